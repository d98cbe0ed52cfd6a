"""Adaptive discriminator augmentation (ADA): stronger when the discriminator overfits."""

import math
from collections.abc import Iterator, Sequence

import keras
from keras import ops

from kgan import _backend
from kgan._arguments import integer
from kgan._typing import Config, Logs, Noise, Shape, Tensor
from kgan.augmentations.augmentation import Augmentation, check_choice, check_image_shape
from kgan.augmentations.pixels import Affine, draws, integers, warped

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
    """Augments images just enough that the discriminator does not memorise the data (ADA).

    Each transformation changes each image with probability p. p starts at `initial`. It rises while
    the discriminator is too certain about real images, and falls otherwise. The measure of
    certainty is the mean sign of the scores of real images. So the sign of a score must have a
    meaning, as with the losses "non_saturating", "minimax" and "hinge". For other losses, fix p
    with `target=None, initial=0.3`. The logs report p as `augmentation_probability`.

    The transformations, in the order in which they are applied, with `n` a normal random number:

    - "blit", which copies pixels unchanged: "flip", left to right, with probability 1/2;
      "quarter_turn", by 0 to 3 quarters; "integer_translation", up to an eighth of the size. A
      quarter turn must sample if the sides of the images differ by an odd number.
    - "geometry", with bilinear sampling: "isotropic_scaling", by `2^(0.2 n)`; "rotation", by any
      angle, before and after "anisotropic_scaling", by `2^(0.2 n)` in x and the inverse in y;
      "fractional_translation", by `0.125 n` of the size.
    - "color": "brightness", `x + 0.2 n`; "contrast", `x * 2^(0.5 n)`; "luma_flip", which exchanges
      light and dark with probability 1/2; "hue", a rotation by any angle, for images with 3
      channels; "saturation", by `2^n`, for images with more than 1 channel.

    Use only transformations that keep images plausible. Do not flip digits. If p gets close to 1,
    the transformations appear in generated images.

    Args:
        transformations: Names of groups ("blit", "geometry", "color"), of single transformations
            from the list above, or both.
        target: Float in (-1, 1), the mean sign of the scores of real images to aim for. None keeps
            p constant.
        images_to_one: Integer, the number of real images in which p can go from 0 to 1.
        initial: Float in [0, 1], the initial value of p.
        interval: Integer n. Every n-th discriminator update changes p, by the scores of all n.
        fill: Float, the value of pixels outside an image. -1 is black, the background of MNIST.
            None, as in the paper, means the mirror image, which repeats the pixels at the edge.
        name: String.

    Raises:
        ValueError: A name is unknown, or a number is out of range.

    Example:
    ```python
    moves = kgan.augmentations.AdaptiveAugment(("integer_translation", "geometry"))
    gan.compile(augmentation=moves)
    ```

    Reference:
        [Karras et al., 2020](https://arxiv.org/abs/2006.06676), section 3 and appendix B. The
        low-pass filters of the paper are left out.
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
                "Expected `initial` to be above 0 where there is no target, since the probability "
                f"then stays constant. Received: target=None, initial={initial!r}. Use, for "
                "example, initial=0.3."
            )
        self.target = None if target is None else float(target)
        self.images_to_one = integer("images_to_one", images_to_one)
        self.initial = float(initial)
        self.interval = integer("interval", interval)
        self.fill = None if fill is None else float(fill)
        self._chosen = {
            single for name in self.transformations for single in GROUPS.get(name, (name,))
        }
        # "mean": the results of several devices on their parts of a batch have equal weights.
        self.probability = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.initial),
            trainable=False,
            aggregation="mean",
            name="probability",
        )
        # Since the last change of p: updates, images, and the sum of the signs of their scores.
        self.window = self.add_weight(
            shape=(3,), initializer="zeros", trainable=False, aggregation="mean", name="window"
        )

    def check(self, image_shape: Shape) -> None:
        """Raises an error for data other than images."""
        check_image_shape(image_shape, "AdaptiveAugment")

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        """Changes each image at random."""
        self.check(images.shape[1:])
        chance = _Chance(ops.copy(self.probability), self._chosen, images, noise)
        affine = _affine(chance, *images.shape[1:3])
        if self._chosen.intersection(GROUPS["blit"] + GROUPS["geometry"]):
            images = warped(images, affine, self.fill)
        return _recoloured(images, chance)

    def observe(self, real_logits: Tensor) -> Logs:
        """Records the scores of real images, and changes p every `interval` updates."""
        if self.target is not None:
            self._move(real_logits)
        # A copy: on TensorFlow, `convert_to_tensor` would give the variable itself.
        return {"augmentation_probability": ops.copy(self.probability)}

    def _move(self, real_logits: Tensor) -> None:
        _, replicas = _backend.replicas()
        images = ops.cast(ops.shape(real_logits)[0], "float32") * replicas
        self.window.assign_add(ops.stack([1.0, images, images * ops.mean(ops.sign(real_logits))]))
        # Read back, so that each of several devices decides by the results of all of them.
        window, probability = ops.copy(self.window), ops.copy(self.probability)
        updates, images, signs = ops.unstack(window, 3)
        due = updates >= self.interval
        step = ops.sign(signs / images - self.target) * images / self.images_to_one
        moved = ops.clip(probability + step, 0.0, 1.0)
        self.probability.assign(ops.where(due, moved, probability))
        self.window.assign(ops.where(due, 0.0, window))

    def get_config(self) -> Config:
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
    """The random numbers for one batch, and the decisions that they make."""

    def __init__(self, probability: Tensor, chosen: set[str], images: Tensor, noise: Noise) -> None:
        self.probability = probability
        self.chosen = chosen
        # Enough for all transformations, whichever are chosen, with one call for each distribution.
        self.uniform: Iterator[Tensor] = draws(keras.random.uniform, images, 21, noise)
        self.normal: Iterator[Tensor] = draws(keras.random.normal, images, 7, noise)

    def decide(
        self, name: str, value: Tensor, otherwise: float, probability: Tensor | None = None
    ) -> Tensor:
        """Selects the images that a transformation changes, with probability p by default.

        Returns:
            Tensor `(batch, 1, 1, 1)`: `value` for the selected images, `otherwise` for the rest.
            Just `otherwise` if the transformation is not chosen.
        """
        probability = self.probability if probability is None else probability
        is_done = next(self.uniform) < probability
        return ops.where(is_done, value, otherwise) if name in self.chosen else otherwise


def _affine(chance: _Chance, height: int, width: int) -> Affine:
    """All transformations that move pixels, as one map."""
    decide, uniform, normal = chance.decide, chance.uniform, chance.normal
    affine = Affine()
    affine = affine.scaled(decide("flip", 1.0 - 2.0 * integers(next(uniform), 2), 1.0), 1.0)
    angle = decide("quarter_turn", math.pi / 2 * integers(next(uniform), 4), 0.0)
    # Rounded, so that pixels are copied exactly.
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
    # There are two rotations. With probability p, at least one of them is applied.
    probability = 1.0 - ops.sqrt(1.0 - chance.probability)
    angle = chance.decide("rotation", 2.0 * math.pi * next(chance.uniform), 0.0, probability)
    return affine.turned(ops.cos(angle), ops.sin(angle))


def _recoloured(images: Tensor, chance: _Chance) -> Tensor:
    """All transformations that change the values of pixels.

    A pixel consists of its luma, the mean of its channels, and its chroma, the differences from the
    luma. Each transformation multiplies one of the two, or both by the same factor.
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
        # A rotation about the axis of greys. The cross product of the axis and a colour is, for
        # each channel, the difference of the two other channels.
        across = (ops.roll(chroma, 1, axis=-1) - ops.roll(chroma, -1, axis=-1)) / math.sqrt(3.0)
        chroma = ops.cos(hue) * chroma + ops.sin(hue) * across
    return contrast * (flip * (luma + brightness) + saturation * chroma)
