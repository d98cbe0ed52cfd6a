"""The result of an evaluation: scores with their floors, and samples to look at."""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from kgan._typing import Config, Pictures
from kgan.metrics._json import plain
from kgan.metrics._printing import Printed, Table
from kgan.metrics.figures import MEASURES, Figure, notes_on, title_of
from kgan.training.labels import name_of


@dataclass(frozen=True, repr=False)
class Evaluation(Printed):
    """The quality, variety, modes and copies of a generator's samples.

    `print` and notebooks show a table of the scores. `evaluation["fcd"]` is the value of one.

    Args:
        figures: Dictionary of `Figure`s, one for each score. `kgan.metrics.MEASURES` describes
            them.
        features: String, the name of the extractor.
        seed: Integer, which selected the latents and the real images.
        samples: uint8 `(n, H, W, C)`, some of the samples.
        sample_classes: Integer `(n,)`, the classes that the extractor sees in them, or None.
        sample_labels: Integer `(n,)`, the requested classes, or None.
        neighbours: uint8 `(m, H, W, C)`, the training images that are nearest to the first m
            samples in pixels, or None.
        sample_shares: Float `(K,)`, the share of each class among all samples, or None.
        real_shares: Float `(K,)`, the share of each class among the real images, or None.
        class_names: Strings, the names of the data set's classes, or None if they have none.

    Example:
    ```python
    evaluation = kgan.evaluate(gan, train)
    print(evaluation)
    fcd = evaluation.figures["fcd"]
    print(fcd.value, fcd.floor)
    kgan.images.show(evaluation.samples)
    ```
    """

    figures: dict[str, Figure]
    features: str
    seed: int
    samples: Pictures
    sample_classes: npt.NDArray[np.integer] | None = None
    sample_labels: npt.NDArray[np.integer] | None = None
    neighbours: Pictures | None = None
    sample_shares: npt.NDArray[np.floating] | None = None
    real_shares: npt.NDArray[np.floating] | None = None
    class_names: tuple[str, ...] | None = None

    def __getitem__(self, name: str) -> float:
        return self.figures[name].value

    def title(self, name: str) -> str:
        """Returns the printed title of a score, which names the features where it matters."""
        return title_of(name, self.features)

    def class_name(self, number: int) -> str:
        """Returns the name of a class, or its number if it has no name."""
        return name_of(number, self.class_names)

    def to_dict(self) -> Config:
        """Returns the scores, shares and class names, without the images, as JSON takes them."""
        return {
            "features": self.features,
            "seed": self.seed,
            "figures": {name: plain(asdict(figure)) for name, figure in self.figures.items()},
            "sample_shares": plain(self.sample_shares),
            "real_shares": plain(self.real_shares),
            "class_names": None if self.class_names is None else list(self.class_names),
        }

    def _table(self) -> Table:
        heads = ("", "samples", "N", "real", "N", "")
        return Table(
            [heads, *(self._row(name, figure) for name, figure in self.figures.items())],
            before=[f"Features: {self.features}. `real`: real images in place of the samples."],
            after=self._note_on_floors(),
        )

    def _row(self, name: str, figure: Figure) -> tuple[str, ...]:
        measure = MEASURES[name]
        floor, floor_count = "", ""
        if figure.floor is not None:
            floor, floor_count = measure.format(figure.floor), f"{figure.floor_count:,}"
        value, notes = measure.format(figure.value), ", ".join(notes_on(measure, figure))
        return self.title(name), value, f"{figure.count:,}", floor, floor_count, notes

    def _note_on_floors(self) -> list[str]:
        """Returns a line about a floor of another N than the samples', if there is one."""
        figure = self.figures.get("fcd")
        if figure is None or figure.floor_count is None or figure.floor_count == figure.count:
            return []
        share = figure.floor_count / figure.count
        # Between real images the distance is all bias, which is in proportion to 1 / N.
        return [
            f"The data set has too few images for a floor of N = {figure.count:,}. The Fréchet "
            f"distance falls with N: its floor would be about "
            f"{MEASURES['fcd'].format(share * (figure.floor or 0.0))} there."
        ]
