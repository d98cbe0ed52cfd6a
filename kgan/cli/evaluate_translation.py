"""`kgan evaluate` for models that translate images."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from kgan.cli import inputs, model_card
from kgan.cli.terminal import Progress

if TYPE_CHECKING:
    import argparse

    from kgan.cli.model_card import History
    from kgan.data import Direction
    from kgan.metrics import TranslationEvaluation
    from kgan.runs import SavedRun
    from kgan.training.capabilities import Translates

_OF_OTHERS = ("split", "binarize", "truncations", "bootstrap", "likelihood_samples")


def evaluate(saved: SavedRun, history: History | None, options: argparse.Namespace) -> None:
    """Measures the translations of a held-out split, in each direction.

    Raises:
        ValueError: An option does not apply to translations, or the task is not known.
    """
    from kgan.metrics._printing import Titled

    inputs.check_not_given(options, _OF_OTHERS, saved.model)
    source = inputs.task_source(saved, options)
    directions = source.load(options.test_split).directions
    results = {direction.to: _measure(saved.model, direction, options) for direction in directions}
    printed = [
        each if to is None else Titled(f"Translation to {to}.", each)
        for to, each in results.items()
    ]
    if options.json:
        found = {_with("translation", to): each.to_dict() for to, each in results.items()}
        print(json.dumps(found, indent=2))
    else:
        print("\n\n".join(map(str, printed)))
    compared_with = f"{source.name} ({options.test_split})"
    if options.report is not None:
        from kgan import report

        for to, result in results.items():
            page = report.write_report(
                options.report if to is None else options.report / f"to_{to}",
                model=str(options.model) if to is None else f"{options.model}, to {to}",
                dataset=compared_with,
                history=history,
                translation=result,
            )
            print(f"Report: {page}", file=sys.stderr)
    if options.card is not None:
        card = model_card.write(saved, printed, source.name, [options.test_split], options.card)
        print(f"Card: {card}", file=sys.stderr)


def _measure(
    model: Translates, direction: Direction, options: argparse.Namespace
) -> TranslationEvaluation:
    from kgan import metrics

    return metrics.translation(
        model,
        direction.inputs,
        direction.targets,
        paired=direction.is_paired,
        truths=None if direction.is_paired else direction.truths,
        labels=direction.labels,
        target_labels=None if direction.is_paired else direction.target_labels,
        to=direction.to,
        count=options.count,
        seed=options.seed,
        features=options.features,
        diversity_draws=options.diversity_draws,
        say=Progress(),
    )


def _with(name: str, to: str | None) -> str:
    return name if to is None else f"{name}_to_{to}"
