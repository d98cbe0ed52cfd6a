"""`kgan evaluate`: measures a trained model, and writes a report."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kgan.cli import argument_types, inputs
from kgan.cli.terminal import Progress, without_native_noise

if TYPE_CHECKING:
    import argparse

    from kgan._typing import Config
    from kgan.cli.inputs import DataSource
    from kgan.metrics import Evaluation
    from kgan.metrics.likelihood import LikelihoodEvaluation
    from kgan.metrics.reconstruction import ReconstructionEvaluation
    from kgan.runs import SavedRun
    from kgan.training import GenerativeModel


def add(commands: Any) -> None:
    """Adds the parser."""
    evaluate = commands.add_parser(
        "evaluate",
        help="evaluate a trained model",
        description="Measure what the model can do: its samples against real images (distances, "
        "variety, modes, copies), its likelihood of held-out images, and its reconstructions of "
        "them. Each result is next to that of real images or of a method without a network.",
    )
    inputs.add_model(evaluate)
    inputs.add_dataset(evaluate)
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
    evaluate.add_argument("--json", action="store_true", help="print the results as JSON")
    evaluate.add_argument(
        "--report", metavar="DIR", type=argument_types.path, help="also write DIR/report.html"
    )
    evaluate.set_defaults(run=run, needs_backend=True)


def run(options: argparse.Namespace) -> int:
    """Prints the results, and writes the report if it is asked for."""
    with without_native_noise():
        from kgan import runs
    saved = runs.Run.open(options.model, compile=False)
    source = inputs.data_source(saved, options)
    history = None if options.report is None else saved.history  # an error shows before the work
    results = _measure(saved.model, source, options)
    print(json.dumps(results.to_dict(), indent=2) if options.json else results)
    if options.report is not None:
        page = _report(saved, source, results, history, options)
        print(f"Report: {page}", file=sys.stderr)
    return 0


@dataclass(frozen=True)
class _Results:
    """The results for each capability of the model; None for those that it does not have."""

    samples: Evaluation | None = None
    likelihood: LikelihoodEvaluation | None = None
    reconstruction: ReconstructionEvaluation | None = None

    def to_dict(self) -> Config:
        """All numbers, as JSON takes them: those of samples, and `likelihood` and so on."""
        found = {} if self.samples is None else self.samples.to_dict()
        for name in ("likelihood", "reconstruction"):
            result = getattr(self, name)
            if result is not None:
                found[name] = result.to_dict()
        return found

    def __str__(self) -> str:
        results = (self.samples, self.likelihood, self.reconstruction)
        return "\n\n".join(str(result) for result in results if result is not None)


def _measure(model: GenerativeModel, source: DataSource, options: argparse.Namespace) -> _Results:
    from kgan.training.capabilities import Encodes, Generates, HasLikelihood

    has_likelihood = isinstance(model, HasLikelihood) and options.likelihood_samples > 0
    if not (isinstance(model, (Generates, Encodes)) or has_likelihood):
        raise inputs.lacks(
            options.model, model, "generates images, reconstructs them or has a likelihood"
        )
    train = source.load(options.split)
    progress = Progress()
    samples = likelihood = reconstruction = None
    if isinstance(model, Generates):
        from kgan import metrics

        samples = metrics.evaluate(
            model,
            # A model of binary images is compared with grey ones: its samples are means of pixels.
            train.unbinarized(),
            count=options.count,
            seed=options.seed,
            features=options.features,
            bootstrap=options.bootstrap,
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
    return _Results(samples, likelihood, reconstruction)


def _report(
    saved: SavedRun,
    source: DataSource,
    results: _Results,
    history: list[dict[str, float]] | None,
    options: argparse.Namespace,
) -> Any:
    from kgan import report
    from kgan.training.capabilities import Encodes

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
        path_names=report.path_names(saved.model),
        likelihood=results.likelihood,
        reconstruction=results.reconstruction,
        latents=latents,
    )
