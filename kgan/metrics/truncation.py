"""Quality against variety: metrics of samples from truncated latents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kgan._arguments import integer
from kgan._progress import now_and_then
from kgan._typing import Config, Say
from kgan.metrics._json import plain
from kgan.metrics._printing import Printed, Table
from kgan.metrics.datasets import Data
from kgan.metrics.evaluator import Evaluator
from kgan.metrics.figures import MEASURES, Figure
from kgan.models.latent_model import LatentModel
from kgan.samplers import TruncatedSampler

_SHOWN = ("fcd", "precision", "recall")
_STATISTICS_BATCHES = 16


@dataclass(frozen=True, repr=False)
class TruncationCurve(Printed):
    """Metrics of samples at several truncations.

    `print` and notebooks show it as a table.

    Args:
        truncations: Tuple of floats, ascending; infinity for latents that are not truncated.
        figures: For each of them, a dictionary of `kgan.metrics.Figure`s: `fcd`, `precision` and
            `recall`, with the floors of real images.
        features: String, the name of the features.
        count: Integer, samples at each truncation.
        collected: Whether batch normalisation got the statistics of truncated latents.

    Example:
    ```python
    curve = kgan.metrics.truncation_curve(gan, train, (0.5, 1.0), count=100)
    print(curve.truncations[0], curve.figures[0]["precision"].value)
    ```
    """

    truncations: tuple[float, ...]
    figures: tuple[dict[str, Figure], ...]
    features: str
    count: int
    collected: bool

    def to_dict(self) -> Config:
        """Returns all numbers, as JSON takes them."""
        return {
            "features": self.features,
            "count": self.count,
            "collected_statistics": self.collected,
            "truncations": plain(list(self.truncations)),
            "figures": [
                {name: plain(figure.value) for name, figure in each.items()}
                for each in self.figures
            ],
        }

    def _table(self) -> Table:
        titles = [MEASURES[name].title for name in _SHOWN]
        rows = [("truncation", *titles, "")]
        for truncation, figures in zip(self.truncations, self.figures, strict=True):
            name = "none" if truncation == float("inf") else f"{truncation:g}"
            rows.append((name, *self._numbers({n: f.value for n, f in figures.items()}), ""))
        floors = {name: figure.floor for name, figure in self.figures[0].items()}
        rows.append(("real", *self._numbers(floors), ""))
        statistics = "collected again" if self.collected else "those of training"
        return Table(
            rows,
            before=[f"Features: {self.features}. {self.count:,} samples at each truncation."],
            after=[f"Statistics of batch normalisation: {statistics}."],
        )

    def _numbers(self, values: dict[str, float | None]) -> list[str]:
        return [
            "" if (value := values[name]) is None else MEASURES[name].format(value)
            for name in _SHOWN
        ]


def truncation_curve(
    model: LatentModel,
    dataset: Data,
    truncations: Sequence[float] = (0.3, 0.5, 0.7, 1.0, 1.5, float("inf")),
    count: int = 10_000,
    seed: int = 0,
    features: Any = None,
    collect: bool = False,
    say: Say | None = None,
) -> TruncationCurve:
    """Measures samples at several truncations: precision rises and recall falls as they shrink.

    Args:
        model: A model with latents: `kgan.GAN`, `kgan.VAE` or another `kgan.models.LatentModel`.
            Its weights are the same afterwards.
        dataset: As for `kgan.evaluate`.
        truncations: Floats above 0, see `generate` of the model; infinity for none.
        count: Integer, samples at each truncation.
        seed: Integer.
        features: As for `kgan.evaluate`.
        collect: Boolean, whether batch normalisation in the network gets the statistics of
            truncated latents, by `collect_statistics`. Where it follows a linear function of the
            latents, as in `dcgan`, this undoes the truncation. Defaults to `False`.
        say: As for `kgan.evaluate`.

    Returns:
        A `TruncationCurve`: `print` it.

    Raises:
        TypeError: The model has no latents.
        ValueError: There are no truncations, one is not above 0, or as `kgan.evaluate`.

    Example:
    ```python
    print(kgan.metrics.truncation_curve(gan, train, (0.5, 1.0), count=100))
    ```

    Reference:
        [Brock et al., 2019](https://arxiv.org/abs/1809.11096), section 3.1.
    """
    if not isinstance(model, LatentModel):
        raise TypeError(
            "Expected a model with latents, such as kgan.GAN or kgan.VAE. "
            f"Received: {type(model).__name__}."
        )
    values = sorted(map(float, truncations))
    if not values or not values[0] > 0:
        raise ValueError(
            f"Expected `truncations` above 0, at least one. Received: truncations={truncations!r}."
        )
    say = say or now_and_then()
    evaluator = Evaluator(dataset, integer("count", count), seed, features, thorough=False, say=say)
    network = model.network_in_use(model.decoder_name)
    collected = collect and model.has_batch_normalization
    changed = network.non_trainable_variables if collected else []
    before = [(v, keras.ops.convert_to_numpy(v).copy()) for v in changed]
    found = []
    try:
        for value in values:
            say(f"truncation {value:g}")
            if collected:
                cut = None if value == float("inf") else value
                model.collect_statistics(_STATISTICS_BATCHES, truncation=cut, seed=seed)
            sampler = model if value == float("inf") else TruncatedSampler(model, value)
            figures = evaluator.evaluate(sampler).figures
            found.append({name: figures[name] for name in _SHOWN})
    finally:
        for variable, array in before:
            variable.assign(array)
    return TruncationCurve(
        tuple(values), tuple(found), evaluator.extractor.name, evaluator.count, collected
    )
