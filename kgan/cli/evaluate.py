"""`kgan evaluate`: measures a trained model, and writes a report."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kgan.cli import argument_types, evaluate_translation, inputs, model_card
from kgan.cli.terminal import Progress, without_native_noise

if TYPE_CHECKING:
    import argparse

    from kgan._typing import Config
    from kgan.cli.inputs import DataSource
    from kgan.cli.model_card import History
    from kgan.data import ImageDataset
    from kgan.metrics import Evaluation
    from kgan.metrics._printing import Printed
    from kgan.metrics.likelihood import LikelihoodEvaluation
    from kgan.metrics.reconstruction import ReconstructionEvaluation
    from kgan.metrics.truncation import TruncationCurve
    from kgan.runs import SavedRun
    from kgan.training import GenerativeModel


_OF_TRANSLATION = ("task", "diversity_draws")


def add(commands: Any) -> None:
    """Adds the parser."""
    evaluate = commands.add_parser(
        "evaluate",
        help="evaluate a trained model",
        description="Measure what the model can do: its samples against real images (distances, "
        "variety, modes, copies), its likelihood of held-out images, and its reconstructions of "
        "them; or its translations of held-out images. Each result is next to that of real images "
        "or of a method without a network.",
    )
    inputs.add_model(evaluate)
    inputs.add_dataset(evaluate)
    inputs.add_task(evaluate, default="that of the run")
    evaluate.add_argument(
        "--split",
        metavar="NAME",
        default="train",
        help="the split that samples are compared with (default: train)",
    )
    evaluate.add_argument(
        "--test-split",
        metavar="NAME",
        default="test",
        help="the split of held-out images (default: test)",
    )
    evaluate.add_argument(
        "--count",
        metavar="N",
        type=argument_types.positive,
        default=10_000,
        help="samples, and held-out images (default: 10000)",
    )
    evaluate.add_argument(
        "--likelihood-samples",
        metavar="N",
        type=argument_types.count,
        default=500,
        help="importance samples for each image, for a likelihood that is not exact; 0 for no "
        "likelihood (default: 500; published results often use 5000)",
    )
    evaluate.add_argument(
        "--seed",
        metavar="N",
        type=argument_types.seed,
        default=0,
        help="chooses latents and real images (default: 0)",
    )
    evaluate.add_argument(
        "--features",
        metavar="NAME",
        help="mnist, stacked_mnist, cifar10, inception (FID: downloads 96 MB, unless "
        "KGAN_DATA_DIR has the file), inception_clean (FID as clean-fid), or pixels (default: by "
        "the data set)",
    )
    evaluate.add_argument(
        "--bootstrap",
        metavar="N",
        type=argument_types.count,
        default=0,
        help="resamples for 95%% intervals (default: 0, no intervals)",
    )
    evaluate.add_argument(
        "--truncations",
        metavar="T,T,...",
        type=argument_types.numbers_above_zero,
        help="also measure samples at these truncations, such as 0.5,1,2",
    )
    evaluate.add_argument(
        "--diversity-draws",
        metavar="N",
        type=argument_types.count,
        default=0,
        help="for a model that translates with dropout, how often the same images are translated "
        "to measure the diversity (default: 0, not)",
    )
    evaluate.add_argument("--json", action="store_true", help="print the results as JSON")
    evaluate.add_argument(
        "--report", metavar="DIR", type=argument_types.path, help="also write DIR/report.html"
    )
    evaluate.add_argument(
        "--card",
        metavar="FILE",
        nargs="?",
        type=argument_types.path,
        const=model_card.NAME,
        help="also write a model card in Markdown "
        f"(default: {model_card.NAME} in the run directory)",
    )
    evaluate.set_defaults(run=run, needs_backend=True, default_of=evaluate.get_default)


def run(options: argparse.Namespace) -> int:
    """Prints the results, and writes the report if it is asked for."""
    with without_native_noise():
        from kgan import runs
        from kgan.training.capabilities import Translates
    # The optimizers, which only the card needs, count the steps.
    saved = runs.Run.open(options.model, compile=options.card is not None)
    history = None if options.report is None else saved.history  # an error shows before the work
    evaluate = _evaluate
    if isinstance(saved.model, Translates):
        evaluate = evaluate_translation.evaluate
    evaluate(saved, history, options)
    return 0


def _evaluate(saved: SavedRun, history: History | None, options: argparse.Namespace) -> None:
    """Measures samples, the likelihood and reconstructions."""
    inputs.check_not_given(options, _OF_TRANSLATION, saved.model)
    source = inputs.data_source(saved, options)
    results = _measure(saved.model, source, options)
    print(json.dumps(results.to_dict(), indent=2) if options.json else results)
    if options.report is not None:
        page = _report(saved, source, results, history, options)
        print(f"Report: {page}", file=sys.stderr)
    if options.card is not None:
        splits = [options.split]
        if results.likelihood is not None or results.reconstruction is not None:
            splits.append(options.test_split)
        card = model_card.write(saved, results.all(), source.name, splits, options.card)
        print(f"Card: {card}", file=sys.stderr)


@dataclass(frozen=True)
class _Results:
    """The results for each capability of the model; None for those that it does not have."""

    samples: Evaluation | None = None
    likelihood: LikelihoodEvaluation | None = None
    reconstruction: ReconstructionEvaluation | None = None
    truncation: TruncationCurve | None = None

    def to_dict(self) -> Config:
        """All numbers, as JSON takes them: those of samples, and `likelihood` and so on."""
        found = {} if self.samples is None else self.samples.to_dict()
        for name in ("likelihood", "reconstruction", "truncation"):
            result = getattr(self, name)
            if result is not None:
                found[name] = result.to_dict()
        return found

    def all(self) -> list[Printed]:
        """The results that there are."""
        results = (self.samples, self.truncation, self.likelihood, self.reconstruction)
        return [result for result in results if result is not None]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.all()))


def _measure(model: GenerativeModel, source: DataSource, options: argparse.Namespace) -> _Results:
    from kgan.training.capabilities import Encodes, Generates, HasLikelihood

    has_likelihood = isinstance(model, HasLikelihood) and options.likelihood_samples > 0
    if not (isinstance(model, (Generates, Encodes)) or has_likelihood):
        raise inputs.lacks(
            options.model, model, "generates images, reconstructs them or has a likelihood"
        )
    train = source.load(options.split)
    progress = Progress()
    samples = likelihood = reconstruction = truncation = None
    if isinstance(model, Generates) and _has_sample_metrics(train, options):
        from kgan import metrics
        from kgan.metrics.datasets import compared_with

        real = compared_with(model, train)
        samples = metrics.evaluate(
            model,
            real,
            count=options.count,
            seed=options.seed,
            features=options.features,
            bootstrap=options.bootstrap,
            say=progress,
        )
        if options.truncations is not None:
            truncation = metrics.truncation_curve(
                model,
                real,
                [*options.truncations, float("inf")],
                count=options.count,
                seed=options.seed,
                features=options.features,
                say=progress,
            )
    if has_likelihood or isinstance(model, Encodes):
        test = source.load(options.test_split)
        held_out = {"count": options.count, "seed": options.seed, "say": progress}
        if has_likelihood:
            from kgan.metrics import likelihood as measure_likelihood

            likelihood = measure_likelihood(
                model, test, samples=options.likelihood_samples, training=train, **held_out
            )
        if isinstance(model, Encodes):
            from kgan.metrics import reconstruction as measure_reconstruction

            reconstruction = measure_reconstruction(model, test, training=train, **held_out)
    return _Results(samples, likelihood, reconstruction, truncation)


def _has_sample_metrics(train: ImageDataset, options: argparse.Namespace) -> bool:
    """Whether samples are compared with real images. Sequences only are if features are named."""
    from kgan.metrics.evaluator import is_sequence

    if options.features is not None or not is_sequence(train):
        return True
    print(
        "No metrics of samples: images of one row are sequences, and these metrics compare "
        "pictures. --features pixels computes them anyway.",
        file=sys.stderr,
    )
    return False


def _report(
    saved: SavedRun,
    source: DataSource,
    results: _Results,
    history: History | None,
    options: argparse.Namespace,
) -> Any:
    from kgan import report
    from kgan.training.capabilities import Completes, Encodes

    completions = None
    if isinstance(saved.model, Completes):
        test = source.load(options.test_split)
        completions = report.completions(saved.model, test, options.seed)
    latents = None
    if isinstance(saved.model, Encodes):
        latents = report.latent_space(saved.model, source.load(options.test_split), options.seed)
    return report.write_report(
        options.report,
        results.samples,
        model=str(options.model),
        dataset=f"{source.name} ({options.split})",
        history=history,
        interpolation=report.interpolation(saved.model, options.seed),
        path_names=report.path_names(saved.model, saved.class_names),
        likelihood=results.likelihood,
        reconstruction=results.reconstruction,
        latents=latents,
        truncation=results.truncation,
        completions=completions,
    )
