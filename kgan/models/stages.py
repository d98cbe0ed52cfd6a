"""Growing networks: the schedule of their stages, and the part of a network that a stage uses."""

import weakref
from dataclasses import dataclass

import keras
from keras import ops

from kgan._backend.keras_internals import layers_of
from kgan._typing import Network, Shape, Tensor
from kgan.layers import FadeIn
from kgan.layers.fade_in import mixture
from kgan.networks import pyramid
from kgan.networks.conditioning import channels_last


@dataclass(frozen=True)
class Schedule:
    """The stages of training, by the number of images seen.

    Stage 0 has the smallest images, for `stable_images`. In each later stage the new blocks fade in
    over `fade_images`, then training continues for `stable_images`. The last stage has no end.

    Args:
        stages: Integer, their number.
        fade_images: Integer.
        stable_images: Integer.
    """

    stages: int
    fade_images: int
    stable_images: int

    def start(self, stage: int) -> int:
        """The number of images seen before a stage."""
        later = max(stage - 1, 0) * (self.fade_images + self.stable_images)
        return later + (self.stable_images if stage else 0)

    def end(self, stage: int) -> float:
        """The number of images seen at the end of a stage: infinite for the last one."""
        return float("inf") if stage == self.stages - 1 else self.start(stage + 1)

    def stage_at(self, images: int) -> int:
        """The stage after that many images."""
        return sum(images >= self.start(stage) for stage in range(1, self.stages))

    def alpha(self, stage: int, images: Tensor) -> Tensor:
        """How far the new blocks of a stage have faded in, a float32 scalar in [0, 1].

        Args:
            stage: Integer.
            images: Integer scalar, the number of images seen.
        """
        if stage == 0 or self.fade_images == 0:
            return ops.ones(())
        seen = ops.cast(images - self.start(stage), "float32")
        return ops.clip(seen / self.fade_images, 0.0, 1.0)


# Not attributes of the networks: Keras would save the same layers twice.
_parts: weakref.WeakKeyDictionary[Network, dict[tuple[int, bool], Network]] = (
    weakref.WeakKeyDictionary()
)
_fades: weakref.WeakKeyDictionary[Network, list[FadeIn]] = weakref.WeakKeyDictionary()


def part_of(network: Network, stage: int, full_size: bool = False) -> Network:
    """The part of a growing network that computes the output of one stage, and no other layers.

    Args:
        network: With an output for each stage, the last stage first, and either a single input or
            one for each output.
        stage: Integer.
        full_size: Whether the output is an image, to be enlarged to the size of the last stage by
            repeating pixels.

    Returns:
        A `keras.Model` with one input and one output, which shares the layers. The same one each
        time.
    """
    parts = _parts.setdefault(network, {})
    if (stage, full_size) not in parts:
        parts[stage, full_size] = _make_part(network, stage, full_size)
    return parts[stage, full_size]


def _make_part(network: Network, stage: int, full_size: bool) -> Network:
    place = len(network.outputs) - 1 - stage
    output = network.outputs[place]
    if full_size:
        with channels_last():
            for larger in reversed(network.outputs[:place]):
                output = pyramid.doubled(output, larger.shape[1:3])
    only = network.inputs[place if len(network.inputs) > 1 else 0]
    return keras.Model(only, output, name=f"{network.name}_of_stage_{stage}")


def fades_of(part: Network) -> list[FadeIn]:
    """The `FadeIn` layers of a network."""
    if part not in _fades:
        _fades[part] = [layer for layer in layers_of(part) if isinstance(layer, FadeIn)]
    return _fades[part]


def shrunk(images: Tensor, times: int) -> Tensor:
    """Images, halved that many times by averaging 2x2 pixels. Odd sizes are rounded up."""
    for _ in range(times):
        images = ops.average_pool(images, 2, 2, "same", data_format="channels_last")
    return images


def enlarged(images: Tensor, size: Shape) -> Tensor:
    """Images, doubled by repeating pixels, up to a size."""
    repeated = ops.repeat(ops.repeat(images, 2, axis=1), 2, axis=2)
    return repeated[:, : size[0], : size[1]]


def faded(images: Tensor, alpha: Tensor) -> Tensor:
    """Images, mixed with what is left of them at half the size, as generated images are mixed."""
    return mixture(enlarged(shrunk(images, 1), images.shape[1:3]), images, alpha)
