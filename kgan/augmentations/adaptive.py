"""Adaptive discriminator augmentation: as much as the discriminator's memory asks for."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from kgan import _backend
from kgan._arguments import integer
from kgan.augmentations.augmentation import Augmentation, check_choice
from kgan.augmentations.pixels import Affine, draws, integers, warped

Tensor = Any

GROUPS = {
    "blit": ("flip", "quarter_turn", "integer_translation"),
    "geometry": (
        "isotropic_scaling",
        "rotation",
        "anisotropic_scaling",
        "fractional_translation",
    ),
    "color": ("brightness", "contrast", "luma_flip", "hue", "saturation"),
}
SINGLE = tuple(name for group in GROUPS.values() for name in group)


@keras.saving.register_keras_serializable(package="kgan")
class AdaptiveAugment(Augmentation):
    """Augments as often as keeps the discriminator from learning the data by heart (ADA).

    Each transformation is done to each image with the probability p, which begins at `initial` and
    goes up while the discriminator is too sure of the real images, down while it is not: that is
    told by the mean sign of its scores of them, which must mean something on their own. They do
    with the losses that have 0 in the middle ("non_saturating", "minimax", "hinge"); for others,
    give p itself, with `target=None, initial=0.3`. The logs have it as `augmentation_probability`.

    In the order in which they are done, `n` being normal random numbers:

    - "blit", pixels as they are (but a quarter turn of images whose sides differ by an odd number
      has to sample): "flip", left to right, every other time; "quarter_turn", by 0 to 3
      of them; "integer_translation", up to an eighth of the size.
    - "geometry", sampled bilinearly: "isotropic_scaling", by `2^(0.2 n)`; "rotation", by any angle,
      before and after the "anisotropic_scaling", by `2^(0.2 n)` in x and the inverse in y;
      "fractional_translation", by `0.125 n` of the size.
    - "color": "brightness", `x + 0.2 n`; "contrast", `x * 2^(0.5 n)`; "luma_flip", light for dark,
      every other time; "hue", turned by any angle, of images with 3 channels; "saturation", by
      `2^n`, of images with more than 1.

    Choose what leaves the data what they are: a digit that was flipped is no digit, and with p near
    1 what is done to the real images shows in the generated ones.

    Args:
        transformations: Which are done: names of groups ("blit", "geometry", "color"), of single
            transformations as above, or both.
        target: Float in (-1, 1), the mean sign of the real images' scores that p is moved for.
            None: p stays what it is.
        images_to_one: Integer, the number of real images in which p goes from 0 to 1.
        initial: Float in [0, 1], where p begins.
        interval: Integer n, p is moved every n-th discriminator update, by the scores of all n.
        fill: Float, what is seen beyond an image's edges; black, the background of MNIST, is -1.
            None, as in the paper: the image as in a mirror; the pixels at the edge are seen twice.
        name: String.

    Raises:
        ValueError: A name is unknown, or a number out of its range.

    Example:
    ```python
    moves = kgan.augmentations.AdaptiveAugment(("integer_translation", "geometry"))
    gan.compile(augmentation=moves)
    ```

    Reference:
        [Karras et al., 2020](https://arxiv.org/abs/2006.06676), section 3 and appendix B; without
        its filters for images in between pixels.
    """

    logs = ("augmentation_probability",)

    def __init__(
        self,
        transformations: str | Sequence[str] = ("blit", "geometry", "color"),
        target: float | None = 0.6,
        images_to_one: int = 500_000,
        initial: float = 0.0,
        interval: int = 4,
        fill: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.transformations = check_choice("transformations", transformations, (*GROUPS, *SINGLE))
        if target is not None and not -1 < target < 1:
            raise ValueError(
                f"Expected `target` to be in (-1, 1), or None. Received: target={target!r}."
            )
        if not 0 <= initial <= 1:
            raise ValueError(f"Expected `initial` to be in [0, 1]. Received: initial={initial!r}.")
        if target is None and initial == 0:
            raise ValueError(
                "Without a target the probability stays at `initial`. Expected one above 0, such "
                f"as initial=0.3. Received: target=None, initial={initial!r}."
            )
        self.target = None if target is None else float(target)
        self.images_to_one = integer("images_to_one", images_to_one)
        self.initial = float(initial)
        self.interval = integer("interval", interval)
        self.fill = None if fill is None else float(fill)
        self._chosen = {
            single for name in self.transformations for single in GROUPS.get(name, (name,))
        }
        # "mean": what each of several devices finds on its part of the batch counts alike.
        self.probability = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.initial),
            trainable=False,
            aggregation="mean",
            name="probability",
        )
        # Since p was last moved: updates, images, and the sum of their signs.
        self.window = self.add_weight(
            shape=(3,), initializer="zeros", trainable=False, aggregation="mean", name="window"
        )

    def augment(self, images: Tensor, noise: Any) -> Tensor:
        """Changes images at random, each in its own way."""
        chance = _Chance(ops.copy(self.probability), self._chosen, images, noise)
        affine = _affine(chance, *images.shape[1:3])
        if self._chosen.intersection(GROUPS["blit"] + GROUPS["geometry"]):
            images = warped(images, affine, self.fill)
        return _recoloured(images, chance)

    def observe(self, real_logits: Tensor) -> dict[str, Tensor]:
        """Counts the scores of the real images in; moves p every `interval` updates."""
        if self.target is not None:
            self._move(real_logits)
        # A copy, since the variable itself is what `convert_to_tensor` gives on TensorFlow.
        return {"augmentation_probability": ops.copy(self.probability)}

    def _move(self, real_logits: Tensor) -> None:
        _, replicas = _backend.replicas()
        images = ops.cast(ops.shape(real_logits)[0], "float32") * replicas
        self.window.assign_add(ops.stack([1.0, images, images * ops.mean(ops.sign(real_logits))]))
        # Read anew: so each of several devices decides by what all of them have found.
        window, probability = ops.copy(self.window), ops.copy(self.probability)
        updates, images, signs = ops.unstack(window, 3)
        due = updates >= self.interval
        step = ops.sign(signs / images - self.target) * images / self.images_to_one
        moved = ops.clip(probability + step, 0.0, 1.0)
        self.probability.assign(ops.where(due, moved, probability))
        self.window.assign(ops.where(due, 0.0, window))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "transformations": list(self.transformations),
            "target": self.target,
            "images_to_one": self.images_to_one,
            "initial": self.initial,
            "interval": self.interval,
            "fill": self.fill,
        }


class _Chance:
    """Random numbers for one batch, and what they decide on."""

    def __init__(self, probability: Tensor, chosen: set[str], images: Tensor, noise: Any) -> None:
        self.probability = probability
        self.chosen = chosen
        # As many as all transformations use, whichever are chosen, in a call of each kind.
        self.uniform: Iterator[Tensor] = draws(keras.random.uniform, images, 21, noise)
        self.normal: Iterator[Tensor] = draws(keras.random.normal, images, 7, noise)

    def decide(self, name: str, value: Tensor, otherwise: float, probability: Any = None) -> Tensor:
        """The value for images that have the transformation done, with p if nothing else is said.

        Returns:
            Tensor `(batch, 1, 1, 1)`, or just `otherwise` if that transformation is not chosen.
        """
        probability = self.probability if probability is None else probability
        is_done = next(self.uniform) < probability
        return ops.where(is_done, value, otherwise) if name in self.chosen else otherwise


def _affine(chance: _Chance, height: int, width: int) -> Affine:
    """All that moves pixels, put together."""
    decide, uniform, normal = chance.decide, chance.uniform, chance.normal
    affine = Affine()
    affine = affine.scaled(decide("flip", 1.0 - 2.0 * integers(next(uniform), 2), 1.0), 1.0)
    angle = decide("quarter_turn", math.pi / 2 * integers(next(uniform), 4), 0.0)
    # Rounded, so that pixels are met exactly.
    affine = affine.turned(ops.round(ops.cos(angle)), ops.round(ops.sin(angle)))
    x, y = (ops.round((0.25 * next(uniform) - 0.125) * size) for size in (width, height))
    is_done = decide("integer_translation", 1.0, 0.0)
    affine = affine.moved(is_done * x, is_done * y)

    scale = decide("isotropic_scaling", 2.0 ** (0.2 * next(normal)), 1.0)
    affine = _turned(affine.scaled(scale, scale), chance)
    scale = decide("anisotropic_scaling", 2.0 ** (0.2 * next(normal)), 1.0)
    affine = _turned(affine.scaled(scale, 1.0 / scale), chance)
    x, y = (0.125 * next(normal) * size for size in (width, height))
    is_done = decide("fractional_translation", 1.0, 0.0)
    return affine.moved(is_done * x, is_done * y)


def _turned(affine: Affine, chance: _Chance) -> Affine:
    # There are two of these, and at least one is done with the probability p.
    probability = 1.0 - ops.sqrt(1.0 - chance.probability)
    angle = chance.decide("rotation", 2.0 * math.pi * next(chance.uniform), 0.0, probability)
    return affine.turned(ops.cos(angle), ops.sin(angle))


def _recoloured(images: Tensor, chance: _Chance) -> Tensor:
    """All that changes pixels.

    Each pixel has a luma, the mean of its channels, and what they differ from it by, its chroma.
    Each transformation is of one of them, or the same for both, so luma and chroma get factors.
    """
    decide, uniform, normal = chance.decide, chance.uniform, chance.normal
    brightness = decide("brightness", 0.2 * next(normal), 0.0)
    contrast = decide("contrast", 2.0 ** (0.5 * next(normal)), 1.0)
    flip = decide("luma_flip", 1.0 - 2.0 * integers(next(uniform), 2), 1.0)
    hue = decide("hue", 2.0 * math.pi * next(uniform), 0.0)
    saturation = decide("saturation", 2.0 ** next(normal), 1.0)
    channels = images.shape[-1]
    if channels == 1:
        return flip * contrast * (images + brightness)
    luma = ops.mean(images, axis=-1, keepdims=True)
    chroma = images - luma
    if channels == 3:
        # A rotation about the axis of greys: its cross product with a colour is the difference of
        # the two other channels.
        across = (ops.roll(chroma, 1, axis=-1) - ops.roll(chroma, -1, axis=-1)) / math.sqrt(3.0)
        chroma = ops.cos(hue) * chroma + ops.sin(hue) * across
    return contrast * (flip * (luma + brightness) + saturation * chroma)
