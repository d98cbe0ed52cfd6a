"""The model card that `kgan evaluate --card` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kgan.metrics._printing import Printed
    from kgan.runs import SavedRun

    History: TypeAlias = list[dict[str, float]]

NAME = Path("model_card.md")
"""The file in the run directory, if no other is named."""


def write(
    saved: SavedRun, results: Sequence[Printed], data_name: str, splits: Sequence[str], path: Path
) -> Path:
    """Writes the model card of a run.

    Args:
        saved: The run.
        results: The results of its evaluation.
        data_name: The name of the data that the results are about.
        splits: The names of their splits.
        path: The file, or `NAME` for the one in the run directory.

    Returns:
        The path of the card.
    """
    from kgan import report, runs

    whole = saved.path.resolve()
    model = whole.parent if whole.name == runs.MODEL else whole
    return report.write_card(
        saved.path.parent / NAME if path is NAME else path,
        results,
        model=saved.model,
        name=model.name,
        dataset=data_name if saved.config is None else saved.config.data_name,
        compared_with=f"{data_name} ({', '.join(splits)})",
        load_from=model.name,
        facts=_facts(saved),
    )


def _facts(saved: SavedRun) -> dict[str, Any]:
    """The facts about a run in its files: what is not known is left out."""
    from kgan import recipes

    config = saved.config
    if config is None:
        return {}
    recipe = recipes.RECIPES.get(config.recipe)
    return {
        "class names": config.class_names,
        "recipe": config.recipe if recipe is None else f"{config.recipe}: {recipe.summary}",
        "paper": None if recipe is None else recipe.reference or None,
        "batch size": config.batch_size or (None if recipe is None else recipe.batch_size),
        "precision": config.dtype_policy,
        "seed": config.seed,
        "mirrored images": "at random" if config.horizontal_flip else None,
        "started from": config.initial,
        "frozen layers of the discriminator": config.freeze_discriminator or None,
        "trained with": saved.versions,
    }
