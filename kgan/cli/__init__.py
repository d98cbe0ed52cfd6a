"""The `kgan` command: train a GAN, sample from it, evaluate it, look into data files.

Exit codes: 0 for success, 1 for an error that a message explains, 2 for a command line that cannot
be understood, 128 + n where signal n ended the command (130 for Ctrl-C).
"""

import argparse
import codecs
import contextlib
import dataclasses
import json
import os
import shlex
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kgan import _environment, _interrupts


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: The command line without the program's name. Defaults to that of the process.

    Returns:
        The exit code.
    """
    if getattr(sys.stdout, "errors", None) == "strict" and hasattr(sys.stdout, "reconfigure"):
        codecs.register_error("kgan", _encodable)
        sys.stdout.reconfigure(errors="kgan")
    try:
        try:
            options = _parser().parse_args(arguments)
        finally:  # --help ends in a SystemExit
            _flush()
        with _interrupts.repeated():
            if options.run is not _help_or_version:
                _environment.require_backend()
            code = int(options.run(options))
        _flush()
        return code
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has left, as `head` does
        _give_up_output()
        return 141
    except MemoryError as error:
        print(
            f"kgan: error: Not enough memory: {str(error) or 'none is left'}. A smaller --count or "
            "--batch-size needs less.",
            file=sys.stderr,
        )
        return 1
    except (ValueError, OSError, ImportError) as error:
        print(f"kgan: error: {error}", file=sys.stderr)
        try:
            _flush()
        except OSError:  # that may have been the error
            _give_up_output()
        return 1


def _encodable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encodes names of files that are no text as the bytes that they are, and other letters as ?.

    A Japanese Windows, for one, knows no é, and a figure is called after Fréchet.
    """
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("replace")(error)


def _flush() -> None:
    """Writes what was printed, now: at Python's exit it is too late to say that it failed."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _give_up_output() -> None:
    """Has what is left to write go nowhere, so that Python does not complain at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kgan", description="GAN training for Keras 3.")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.set_defaults(run=_help_or_version, parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_train(commands)
    _add_sample(commands)
    _add_evaluate(commands)
    _add_data(commands)
    _add_recipes(commands)
    return parser


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="train a GAN",
        description="Train a GAN into a run directory: gan.keras, samples/, training.gif, "
        "history.csv, losses.png, config.json. Without arguments: MNIST if it can be had, "
        "else the digits that scikit-learn carries. Ctrl-C stops cleanly after the batch in hand, "
        "and --resume goes on with the next one, whatever ended the run.",
    )
    train.add_argument(
        "--dataset",
        metavar="NAME",
        help="mnist, stacked_mnist, fashion_mnist, kmnist, digits or tfds:NAME",
    )
    train.add_argument("--data-dir", metavar="DIR", help="where the data set's files are")
    train.add_argument("--recipe", metavar="NAME", help="see `kgan recipes` (default: dcgan_r1)")
    train.add_argument("--epochs", metavar="N", type=_positive, help="epochs, in all sessions")
    train.add_argument(
        "--steps-per-epoch",
        metavar="N",
        type=_positive,
        help="batches to an epoch (default: all, and as many as make 32000 images)",
    )
    train.add_argument("--batch-size", metavar="N", type=_positive, help="images to a batch")
    train.add_argument("--seed", metavar="N", type=_seed, help="for all randomness (default: 0)")
    train.add_argument(
        "--dtype-policy",
        choices=("float32", "mixed_float16", "mixed_bfloat16"),
        help="the precision to compute with (default: float32)",
    )
    train.add_argument(
        "--evaluate",
        dest="evaluation_count",
        metavar="N",
        type=_evaluation_count,
        help="samples to evaluate after every epoch, 20 or more, or 0 for none (default: 2000; of "
        "colour images none, but for stacked_mnist)",
    )
    train.add_argument(
        "--save-every",
        metavar="N",
        type=_positive,
        help="batches from one save of the model to the next, beside that after every epoch "
        "(default: 1000)",
    )
    train.add_argument(
        "--time-limit", metavar="SECONDS", type=_seconds, help="end training after this time"
    )
    train.add_argument(
        "--output", metavar="RUN_DIR", type=_path, help="(default: a new one below runs/)"
    )
    train.add_argument("--resume", action="store_true", help="go on with the run in RUN_DIR")
    train.set_defaults(run=_train)


def _add_sample(commands: Any) -> None:
    sample = commands.add_parser("sample", help="make images with a trained GAN")
    sample.add_argument("model", metavar="RUN_DIR/gan.keras", type=_path)
    sample.add_argument("--count", metavar="N", type=_positive, default=64, help="(default: 64)")
    sample.add_argument("--label", metavar="L", type=int, help="the class, for a conditional GAN")
    sample.add_argument("--seed", metavar="N", type=_seed, help="(default: other images each time)")
    sample.add_argument(
        "--output",
        metavar="FILE",
        type=_path,
        default=Path("samples.png"),
        help="a grid as .png, or .npz with `images`, uint8 (N, H, W, C), and `labels` where there "
        "are any (default: samples.png)",
    )
    sample.set_defaults(run=_sample)


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="say how good a trained GAN is",
        description="Compare samples with real images: distances, variety, modes, copies. Beside "
        "each figure stands what real images get in the samples' place.",
    )
    evaluate.add_argument("model", metavar="RUN_DIR/gan.keras", type=_path)
    evaluate.add_argument("--dataset", metavar="NAME", help="(default: that of the run)")
    evaluate.add_argument("--data-dir", metavar="DIR", help="where the data set's files are")
    evaluate.add_argument("--split", metavar="NAME", default="train", help="(default: train)")
    evaluate.add_argument(
        "--count", metavar="N", type=_positive, default=10_000, help="samples (default: 10000)"
    )
    evaluate.add_argument(
        "--seed",
        metavar="N",
        type=_seed,
        default=0,
        help="for latents and real images (default: 0)",
    )
    evaluate.add_argument(
        "--features",
        metavar="NAME",
        help="mnist, stacked_mnist or pixels (default: what fits the data set)",
    )
    evaluate.add_argument(
        "--bootstrap",
        metavar="N",
        type=_count,
        default=0,
        help="resamples for 95%% intervals (default: 0, no intervals)",
    )
    evaluate.add_argument("--json", action="store_true", help="print the figures as JSON")
    evaluate.add_argument("--report", metavar="DIR", type=_path, help="write DIR/report.html too")
    evaluate.set_defaults(run=_evaluate)


def _add_data(commands: Any) -> None:
    data = commands.add_parser("data", help="say what IDX files hold")
    data.add_argument("files", metavar="FILE", nargs="+", type=Path)
    data.set_defaults(run=_data)


def _add_recipes(commands: Any) -> None:
    recipes = commands.add_parser("recipes", help="list the recipes")
    recipes.set_defaults(run=_recipes)


def _path(text: str) -> Path:
    # Not Path.expanduser, which is an error where there is no such home directory. No shell expands
    # the ~ of --output=~/run.
    return Path(os.path.expanduser(text))  # noqa: PTH111


def _positive(text: str) -> int:
    return _integer(text, least=1)


def _count(text: str) -> int:
    return _integer(text, least=0)


def _integer(text: str, least: int) -> int:
    if not (text.isdecimal() and int(text) >= least):
        raise argparse.ArgumentTypeError(
            f"expected an integer of at least {least}, received {text!r}"
        )
    return int(text)


def _evaluation_count(text: str) -> int:
    if not (text.isdecimal() and (int(text) == 0 or int(text) >= 20)):
        raise argparse.ArgumentTypeError(
            f"expected 0 or an integer of at least 20, received {text!r}"
        )
    return int(text)


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) < 2**31):
        raise argparse.ArgumentTypeError(
            f"expected an integer from 0 to 2^31 - 1, received {text!r}"
        )
    return int(text)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds above 0, received {text!r}")
    return number


def _help_or_version(options: argparse.Namespace) -> int:
    if options.version:
        with _without_native_noise():
            import kgan
        print(f"kgan {kgan.__version__}")
        return 0
    options.parser.print_help(sys.stderr)
    return 2


@contextlib.contextmanager
def _run_to_train(options: argparse.Namespace) -> Iterator[Any]:
    """The run that is asked for, begun or taken up, in a directory that is held for it."""
    with _without_native_noise():
        from kgan import runs
    given = {each.name: getattr(options, each.name) for each in dataclasses.fields(runs.RunConfig)}
    if options.data_dir is not None:
        # Absolute, so that the run can be resumed from another directory.
        given["data_dir"] = os.path.abspath(os.path.expanduser(options.data_dir))  # noqa: PTH100, PTH111
    with contextlib.ExitStack() as holding:
        if options.resume:
            if options.output is None:
                raise ValueError("--resume needs the run to go on with: give --output RUN_DIR.")
            asked = runs.read_config(options.output).updated(given)
            holding.enter_context(runs.held(options.output))
            yield runs.Run.resume(options.output, *runs.load_data(asked, _say))
            return
        asked = runs.RunConfig(**{k: v for k, v in given.items() if v is not None})
        if options.output is not None:
            runs.check_is_free(options.output)  # before data are downloaded for it
        config, dataset = runs.load_data(asked, _say)
        if options.output is not None:
            options.output.mkdir(parents=True, exist_ok=True)
            holding.enter_context(runs.held(options.output))
        run = runs.Run.begin(options.output, config, dataset)
        if options.output is None:
            holding.enter_context(runs.held(run.directory))
        yield run


def _train(options: argparse.Namespace) -> int:
    with _run_to_train(options) as run:
        return _trained(run, options.time_limit)


def _trained(run: Any, time_limit: float | None) -> int:
    from kgan import callbacks, training

    left = run.epochs - run.gan.epochs_trained
    if left <= 0:
        # If it was killed after the last of them, some files are still to be written.
        run.train(verbose=0)
        _say(
            f"{run.directory} has its {run.epochs} epochs. Give a larger --epochs to train further."
        )
        return 0
    begun = run.gan.batches_trained
    if begun and run.gan.progress.steps == run.steps_per_epoch:
        _say(f"Going on after batch {begun} of epoch {run.gan.epochs_trained + 1}.")
    _say(
        f"Training {run.config.recipe} on {run.config.dataset} ({len(run.dataset.images)} images) "
        f"for {left} {'epoch' if left == 1 else 'epochs'} of {run.steps_per_epoch} batches of "
        f"{run.dataset.batch_size}, into {run.directory}"
    )
    with _warnings_in_lines(
        callbacks.CollapseWarning, callbacks.NaNWarning, training.EpochRestartWarning
    ):
        try:
            received = run.train(time_limit, verbose=1 if sys.stdout.isatty() else 2)
        except OSError as error:
            raise OSError(f"{error}\nThe run is as it was last saved.\n{_go_on(run)}") from error
    _say(_farewell(run, received))
    if received is not None:
        return 128 + received
    return int(run.diverged)


def _farewell(run: Any, received: int | None) -> str:
    grids = sorted((run.directory / "samples").glob("*.png"))
    lines = [f"Samples: {grids[-1]}"] if grids else []
    lines += [
        f"Model:   {run.directory / 'gan.keras'}",
        f"More:    kgan sample {shlex.quote(str(run.directory / 'gan.keras'))}",
    ]
    if received is not None or run.gan.epochs_trained < run.epochs:
        lines.append(_go_on(run))
    return "\n".join(lines)


def _go_on(run: Any) -> str:
    return f"Go on:   kgan train --resume --output {shlex.quote(str(run.directory))}"


def _sample(options: argparse.Namespace) -> int:
    suffix = options.output.suffix.lower()
    if suffix not in {".png", ".npz"}:
        raise ValueError(
            f"Expected --output to end in .png or .npz. Received: {str(options.output)!r}."
        )
    with _without_native_noise():
        from kgan import images as pictures
        from kgan import runs
    gan = runs.load_gan(options.model, compile=False)
    made = gan.generate(options.count, labels=options.label, seed=options.seed)
    images = pictures.to_uint8(made)
    if suffix == ".png":
        pictures.save_png(options.output, pictures.grid(images))
    else:
        arrays = {"images": images}
        labels = gan.labels_for(options.count, options.label)
        if labels is not None:
            arrays["labels"] = labels
        pictures.save_npz(options.output, **arrays)
    _say(f"{options.count} images: {options.output}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    with _without_native_noise():
        from kgan import data, metrics, report, runs
        from kgan.images import to_uint8
    gan = runs.load_gan(options.model, compile=False)
    try:
        config = runs.config_beside(options.model) or runs.RunConfig()
    except ValueError:
        if options.dataset is None:
            raise
        config = runs.RunConfig()  # the file is somebody else's, and not needed
    name = options.dataset or config.dataset
    if name is None:
        raise ValueError(
            f"Expected --dataset NAME, since no config.json beside {options.model} says which "
            "images it was trained on. Received: no --dataset."
        )
    history = None if options.report is None else runs.history_beside(options.model)
    data_dir = options.data_dir or (config.data_dir if name == config.dataset else None)
    # Standard output is for the figures alone, which another program may read.
    with contextlib.redirect_stdout(sys.stderr):  # where a download tells of its progress
        dataset = data.load_dataset(name, options.split, data_dir=data_dir)
    evaluation = metrics.evaluate(
        gan,
        dataset,
        count=options.count,
        seed=options.seed,
        features=options.features,
        bootstrap=options.bootstrap,
        say=lambda text: print(f"{text} ...", file=sys.stderr, flush=True),
    )
    print(json.dumps(evaluation.to_dict(), indent=2) if options.json else evaluation)
    if options.report is not None:
        page = report.write_report(
            options.report,
            evaluation,
            model=str(options.model),
            dataset=f"{name} ({options.split})",
            history=history,
            interpolation=to_uint8(gan.interpolate(8, steps=10, seed=options.seed)),
        )
        print(f"Report: {page}", file=sys.stderr)
    return 0


def _data(options: argparse.Namespace) -> int:
    with _without_native_noise():
        from kgan.data import idx_header
    failed = False
    for path in options.files:
        try:
            header = idx_header(path)
        except (ValueError, OSError) as error:
            print(f"kgan: error: {error}", file=sys.stderr)
            failed = True
            continue
        size = " x ".join(map(str, header.shape)) or "a single number"
        print(f"{path}: {header.dtype} {size}{', gzipped' if header.compressed else ''}")
    return int(failed)


def _recipes(options: argparse.Namespace) -> int:
    del options
    with _without_native_noise():
        from kgan import recipes
    for name, recipe in recipes.RECIPES.items():
        default = " (default)" if name == recipes.DEFAULT else ""
        print(f"{name}{default}: {recipe.summary}. {recipe.reference}")
        if recipe.differences:
            print(f"    Unlike there: {recipe.differences}.")
    return 0


@contextlib.contextmanager
def _warnings_in_lines(*categories: type[Warning]) -> Iterator[None]:
    """Shows warnings of these categories as a command does: lines for a person, each of them."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Any, category: Any, *place: Any, **more: Any) -> None:
            if issubclass(category, categories):
                print(f"\nkgan: warning: {message}", file=sys.stderr, flush=True)
            else:
                shown(message, category, *place, **more)

        for category in categories:
            warnings.simplefilter("always", category)
        warnings.showwarning = show
        yield


def _say(text: str) -> None:
    print(text, flush=True)


@contextlib.contextmanager
def _without_native_noise() -> Iterator[None]:
    """Holds back what libraries print to standard error while they load, unless loading fails.

    TensorFlow's native code prints a page about CPU features and CUDA that no setting silences.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        sys.stderr.flush()
        file = tempfile.TemporaryFile()  # noqa: SIM115  (closed below)
        saved = os.dup(2)
    except (AttributeError, OSError):  # there is no standard error to hold back, or nowhere to
        yield
        return
    with file as held:
        os.dup2(held.fileno(), 2)
        try:
            with _interrupts.leaving_at_once(saved):
                yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
