"""`kgan train`: trains a model in a run directory, or resumes."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgan.cli import argument_types, inputs
from kgan.cli.terminal import say, warnings_in_lines, without_native_noise

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from kgan.runs import Run, SavedRun


def add(commands: Any) -> None:
    """Adds the parser."""
    train = commands.add_parser(
        "train",
        help="train a model",
        description="Train a model in a run directory: model.keras, samples/, training.gif, "
        "history.csv, losses.png, config.json. Without arguments it trains the default recipe on "
        "MNIST if that is available, and otherwise on the digits in scikit-learn. Ctrl-C stops "
        "after the current batch. --resume continues with the next one, however the run ended.",
    )
    train.add_argument(
        "--dataset",
        metavar="NAME",
        help="mnist, stacked_mnist, fashion_mnist, kmnist, cifar10, digits, python_docstrings or "
        "tfds:NAME (default: that of the recipe)",
    )
    train.add_argument(
        "--data-dir",
        metavar="DIR",
        type=argument_types.directory,
        help="the directory of the data set's files",
    )
    train.add_argument(
        "--data",
        metavar="DIR",
        type=argument_types.directory,
        help="train on the pictures in DIR instead; folders in it are classes, or train and test. "
        "For a recipe that needs pairs: pictures with both halves side by side, or folders inputs "
        "and targets. For domains: folders trainA and trainB",
    )
    inputs.add_task(train)
    train.add_argument(
        "--input-half",
        choices=("left", "right"),
        help="with --data, the half that is the input in pictures of both (default: left)",
    )
    train.add_argument(
        "--image-size",
        metavar="SIZE",
        type=argument_types.image_size,
        help="with --data, the side of images, or HEIGHTxWIDTH: pictures are scaled and the middle "
        "is cut out (default: the size of the first picture, at most 64)",
    )
    train.add_argument(
        "--horizontal-flip",
        action="store_true",
        default=None,
        help="mirror training images at random: for most photographs, not for digits",
    )
    train.add_argument(
        "--recipe",
        metavar="NAME",
        help="see `kgan recipes` (default: dcgan_r1, or that of the run in --from)",
    )
    train.add_argument(
        "--from",
        dest="initial",
        metavar="RUN",
        type=argument_types.directory,
        help="start from the weights of another run, or of a model.keras, for images of the same "
        "size and as many classes",
    )
    train.add_argument(
        "--freeze-discriminator",
        metavar="N",
        type=argument_types.positive,
        help="with --from, keep the weights of the discriminator's N lower layers (FreezeD)",
    )
    train.add_argument(
        "--epochs",
        metavar="N",
        type=argument_types.positive,
        help="total number of epochs, with those before --resume (default: by the recipe)",
    )
    train.add_argument(
        "--steps-per-epoch",
        metavar="N",
        type=argument_types.positive,
        help="batches in an epoch (default: one pass, or as many as make 32000 images)",
    )
    train.add_argument(
        "--batch-size",
        metavar="N",
        type=argument_types.positive,
        help="images in a batch (default: by the recipe)",
    )
    train.add_argument(
        "--seed",
        metavar="N",
        type=argument_types.seed,
        help="seed of weights, noise and data order (default: 0)",
    )
    train.add_argument(
        "--dtype-policy",
        choices=("float32", "mixed_float16", "mixed_bfloat16"),
        help="the precision of the networks (default: by the recipe, mostly float32)",
    )
    train.add_argument(
        "--evaluate",
        dest="evaluation_count",
        metavar="N",
        type=argument_types.evaluation_count,
        help="samples to evaluate after every epoch, 20 or more, or 0 for none (default: 2000; "
        "none for colour images that are not 32x32)",
    )
    train.add_argument(
        "--save-every",
        metavar="N",
        type=argument_types.positive,
        help="batches between saves within an epoch, in addition to that after every epoch "
        "(default: 1000)",
    )
    train.add_argument(
        "--time-limit",
        metavar="SECONDS",
        type=argument_types.above_zero,
        help="stop training after this time",
    )
    train.add_argument(
        "--output",
        metavar="RUN_DIR",
        type=argument_types.path,
        help="the run directory (default: a new one below runs/)",
    )
    train.add_argument("--resume", action="store_true", help="continue the run in RUN_DIR")
    train.set_defaults(run=run, needs_backend=True)


def run(options: argparse.Namespace) -> int:
    """Trains."""
    with _run_to_train(options) as ready:
        return _train(ready, options.time_limit)


@contextlib.contextmanager
def _run_to_train(options: argparse.Namespace) -> Iterator[Run]:
    """The run, new or resumed, in a directory that is locked for it."""
    with without_native_noise():
        from kgan import runs
    given = {
        each.name: getattr(options, each.name, None) for each in dataclasses.fields(runs.RunConfig)
    }
    inputs.check_names_one(options)
    if options.data is not None:
        given |= {"dataset": runs.FOLDER, "data_dir": options.data}
    with contextlib.ExitStack() as locks:
        if options.resume:
            if options.output is None:
                raise ValueError("--resume needs the run to continue: give --output RUN_DIR.")
            runs.check_has_run(options.output)
            asked = runs.read_config(options.output / runs.CONFIG).updated(given)
            locks.enter_context(runs.held(options.output))
            yield runs.Run.resume(options.output, *runs.load_data(asked, say))
            return
        initial = _initial(options)
        if initial is not None:
            given |= _inherited(given, initial)
        asked = runs.RunConfig(**{k: v for k, v in given.items() if v is not None})
        if options.output is not None:
            runs.check_is_free(options.output)  # before data are downloaded for it
        config, dataset = runs.load_data(asked, say)
        if options.output is not None:
            options.output.mkdir(parents=True, exist_ok=True)
            locks.enter_context(runs.held(options.output))
        model = None if initial is None else initial.model
        begun = runs.Run.begin(options.output, config, dataset, model)
        if options.output is None:
            locks.enter_context(runs.held(begun.directory))
        yield begun


def _initial(options: argparse.Namespace) -> SavedRun | None:
    """The run of --from."""
    from kgan import runs

    if options.initial is not None:
        return runs.Run.open(Path(options.initial), compile=False)
    if options.freeze_discriminator is not None:
        raise ValueError(
            "Expected --from RUN with --freeze-discriminator: random weights need training. "
            "Received: no --from."
        )
    return None


def _inherited(given: Mapping[str, Any], initial: SavedRun) -> dict[str, Any]:
    """The settings that a run takes from the one in --from, where the user gave none."""
    from kgan import runs

    inherited: dict[str, Any] = {}
    if given["recipe"] is None:
        if initial.config is None:
            raise ValueError(
                f"Expected --recipe NAME, since there is no config.json next to {initial.path} "
                "that names the recipe. Received: no --recipe."
            )
        inherited["recipe"] = initial.config.recipe
    if given["dataset"] == runs.FOLDER and given["image_size"] is None:
        _, height, width, _ = initial.model.batch_spec(training=True).shape
        if height is not None and width is not None:
            inherited["image_size"] = [height, width]
    return inherited


def _train(run: Run, time_limit: float | None) -> int:
    from kgan import callbacks, training

    left = run.epochs - run.model.epochs_trained
    if left <= 0:
        # If the run was killed after its last epoch, some files are not written yet.
        run.train(verbose=0)
        say(
            f"{run.directory} has its {run.epochs} epochs. Give a larger --epochs to train further."
        )
        return 0
    begun = run.model.batches_trained
    if run.config.initial is not None and not (begun or run.model.epochs_trained):
        say(f"Starting from the weights of {run.config.initial}.")
    if begun and run.model.progress.steps == run.steps_per_epoch:
        say(f"Resuming after batch {begun} of epoch {run.model.epochs_trained + 1}.")
    say(
        f"Training {run.config.recipe} on {run.config.data_name} "
        f"({run.dataset.contents}) "
        f"for {left} {'epoch' if left == 1 else 'epochs'} of {run.steps_per_epoch} batches of "
        f"{run.dataset.batch_size}, into {run.directory}"
    )
    with warnings_in_lines(
        callbacks.CollapseWarning, callbacks.NaNWarning, training.EpochRestartWarning
    ):
        try:
            received = run.train(time_limit, verbose=1 if sys.stdout.isatty() else 2)
        except OSError as error:
            raise OSError(f"{error}\nThe run is as last saved.\n{_how_to_resume(run)}") from error
    if run.model.batches_trained:
        say(
            f"Stopped after batch {run.model.batches_trained} of epoch "
            f"{run.model.epochs_trained + 1}."
        )
    say(_farewell(run, received))
    if received is not None:
        return 128 + received
    return int(run.diverged)


def _farewell(run: Run, received: int | None) -> str:
    from kgan import runs
    from kgan.training.capabilities import Translates

    grids = sorted((run.directory / runs.SAMPLES).glob("*.png"))
    lines = [f"Samples: {grids[-1]}"] if grids else []
    directory = shlex.quote(str(run.directory))
    use = f"translate {directory} PICTURES" if isinstance(run.model, Translates) else None
    lines += [
        f"Model:   {run.directory / runs.MODEL}",
        f"Next:    kgan {use or f'sample {directory}'}",
        f"         kgan evaluate {directory}",
    ]
    if received is not None or run.model.epochs_trained < run.epochs:
        lines.append(_how_to_resume(run))
    return "\n".join(lines)


def _how_to_resume(run: Run) -> str:
    return f"Resume:  kgan train --resume --output {shlex.quote(str(run.directory))}"
