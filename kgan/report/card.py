"""The model card: a Markdown file that describes a model by what is known about it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kgan._core import __version__
from kgan._files import written_whole
from kgan.metrics._printing import Printed, Table
from kgan.training import GenerativeModel
from kgan.training.capabilities import Generates, Translates

_LIMITS = """\
- The model was measured on the images named above only. Nothing is known about other images.
- The metrics above compare whole sets of images. They do not show that each sample is good.
- kgan does not know where the training images come from, whom they show or how they are licensed.
  Add that here before you share the model."""


def write_card(
    path: str | os.PathLike[str],
    results: Sequence[Printed] = (),
    *,
    model: GenerativeModel,
    name: str,
    dataset: str,
    compared_with: str,
    load_from: str = "RUN",
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a model card: what the model is, how it was trained, its metrics and how to load it.

    Args:
        path: The Markdown file.
        results: Results of evaluations, such as a `kgan.metrics.Evaluation`, each shown as a table.
        model: The model.
        name: String, the title.
        dataset: String, the name of the training data.
        compared_with: String, the name of the data that the results are about.
        load_from: String, the path that `kgan.load` takes.
        facts: Further facts about the training, by their names. Those that are None are left out.

    Returns:
        The path of the card.

    Example:
    ```python
    evaluation = kgan.evaluate(gan, train)
    card = kgan.report.write_card(
        "card.md",
        [evaluation],
        model=gan,
        name="dcgan on MNIST",
        dataset="mnist",
        compared_with="mnist (train)",
        facts={"recipe": "dcgan", "seed": 0},
    )
    ```
    """
    known = {**_facts_of(model, dataset), **(facts or {}), "written by": f"kgan {__version__}"}
    rows = [
        ("", ""),
        *((each, _shown(value)) for each, value in known.items() if value is not None),
    ]
    purpose = "translate" if isinstance(model, Translates) else "make"
    parts = [
        f"# {_escaped(name)}",
        _markdown(rows),
        "## Metrics",
        f"Measured on {_escaped(compared_with)}. N is the number of images.",
        *(_as_markdown(result._table()) for result in results),
        "## Load it",
        _loading(model, load_from),
        "## Intended use",
        f"To {purpose} images like those in {_escaped(dataset)}, and to compare methods that do "
        "so. No other use has been examined.",
        "## Limits",
        _LIMITS,
    ]
    card = Path(path)
    with written_whole(card) as temporary:
        # Names of files need not be text.
        temporary.write_bytes(("\n\n".join(parts) + "\n").encode("utf-8", "replace"))
    return card


def _facts_of(model: GenerativeModel, dataset: str) -> dict[str, Any]:
    spec = model.batch_spec(training=False)
    networks = {name: getattr(model, name) for name in model.networks}
    return {
        "model": f"`kgan.{type(model).__name__}`",
        "training data": dataset,
        "images": " x ".join(str(side or "any") for side in spec.shape[1:]),
        "classes": spec.num_classes,
        "parameters": ", ".join(
            f"{each.count_params():,} ({name})" for name, each in networks.items()
        ),
        "average of weights": "samples are made with it" if model.has_average else None,
        "epochs": model.epochs_trained,
        "steps": model.steps_made() if model.compiled else None,
    }


def _loading(model: GenerativeModel, path: str) -> str:
    lines = ["import kgan", "", f"model = kgan.load({path!r})  # the directory, or model.keras"]
    if isinstance(model, Generates):
        lines.append("images = model.generate(16, seed=1)")
    if isinstance(model, Translates):
        lines.append("translations = model.translate(images)  # floats in [-1, 1]")
    return "\n".join(["```python", *lines, "```"])


def _as_markdown(table: Table) -> str:
    return "\n\n".join(
        part
        for part in (
            " ".join(map(_escaped, table.before)),
            _markdown(table.rows),
            " ".join(map(_escaped, table.after)),
        )
        if part
    )


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table: titles to the left, the columns between them and the last one to the right."""
    columns = len(rows[0])
    rule = ["---", *["---:"] * (columns - 2), "---"]
    heads, *others = ([_escaped(cell) for cell in row] for row in rows)
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rule, *others))


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _escaped(text: str) -> str:
    """Text that stays in its cell, whatever a data set or a folder is called."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
