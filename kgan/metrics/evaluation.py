"""What an evaluation found: figures with what it takes to read them, and samples to look at."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kgan.metrics.features import Images
from kgan.metrics.figures import MEASURES, Figure, Measure, notes_on


@dataclass(frozen=True)
class Evaluation:
    """How good a generator is, as far as figures tell.

    `print` shows them as a table; `evaluation["fcd"]` is a figure's value.

    Args:
        figures: Dictionary of `Figure`s; `kgan.metrics.MEASURES` says what each is.
        features: String, the name of the extractor.
        seed: Integer, which chose latents and real images.
        samples: uint8 `(n, H, W, C)`, some of the samples.
        sample_classes: Integer `(n,)`, the classes the extractor sees in them, or None.
        sample_labels: Integer `(n,)`, the classes that were asked for, or None.
        neighbours: uint8 `(m, H, W, C)`, the training images nearest to the first m samples, pixel
            by pixel, or None.
        sample_shares: Float `(K,)`, how all samples are spread over the classes, or None.
        real_shares: Likewise for the real images.
    """

    figures: dict[str, Figure]
    features: str
    seed: int
    samples: Images = field(repr=False)
    sample_classes: np.ndarray | None = field(default=None, repr=False)
    sample_labels: np.ndarray | None = field(default=None, repr=False)
    neighbours: Images | None = field(default=None, repr=False)
    sample_shares: np.ndarray | None = None
    real_shares: np.ndarray | None = None

    def __getitem__(self, name: str) -> float:
        return self.figures[name].value

    def to_dict(self) -> dict[str, Any]:
        """The figures and shares, without the images, as JSON takes them."""
        return {
            "features": self.features,
            "seed": self.seed,
            "figures": {name: _plain(asdict(figure)) for name, figure in self.figures.items()},
            "sample_shares": _plain(self.sample_shares),
            "real_shares": _plain(self.real_shares),
        }

    def __str__(self) -> str:
        heads = ("", "samples", "N", "real", "N", "")
        rows = [heads, *(_row(MEASURES[name], figure) for name, figure in self.figures.items())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"Features: {self.features}. `real`: real images in the samples' place."]
        for title, *numbers, note in rows:
            cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True)]
            lines.append("  ".join([title.ljust(widths[0]), *cells, note]).rstrip())
        return "\n".join(lines)


def _row(measure: Measure, figure: Figure) -> tuple[str, ...]:
    floor, floor_count = "", ""
    if figure.floor is not None:
        floor, floor_count = measure.format(figure.floor), f"{figure.floor_count:,}"
    value, notes = measure.format(figure.value), ", ".join(notes_on(measure, figure))
    return measure.title, value, f"{figure.count:,}", floor, floor_count, notes


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    # JSON knows no infinity: a support that is too large to tell is null.
    return None if isinstance(value, float) and not np.isfinite(value) else value
