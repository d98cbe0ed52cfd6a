"""The networks of models that translate images."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kgan._registry import find_name
from kgan._typing import Network
from kgan.networks import conditioning
from kgan.networks.conditioning import GANPair
from kgan.networks.patch import patch_discriminator
from kgan.networks.translators import resnet_translator, unet

_TRANSLATORS: dict[str, Callable[..., Network]] = {"unet": unet, "resnet": resnet_translator}


class CycleGANNetworks(NamedTuple):
    """The networks of a `kgan.CycleGAN`.

    Attributes:
        a_to_b: From images of the first domain to images of the second.
        b_to_a: From images of the second domain to images of the first.
        discriminator_a: From images of the first domain to logits.
        discriminator_b: From images of the second domain to logits.
    """

    a_to_b: Network
    b_to_a: Network
    discriminator_a: Network
    discriminator_b: Network


def pix2pix(
    image_shape: Sequence[int] = (28, 28, 1),
    target_channels: int | None = None,
    translator: str = "unet",
    width: int = 32,
    discriminator_width: int | None = None,
    receptive_field: int = 34,
    normalization: str | None = "instance",
    **options: Any,
) -> GANPair:
    """Builds the networks of a `kgan.Pix2Pix`: a generator and a conditional PatchGAN.

    Args:
        image_shape: Three integers, `(height, width, channels)` of the images to translate.
        target_channels: Integer, the channels of the translations. Defaults to those of the images.
        translator: `"unet"` or `"resnet"`: the generator is a `kgan.networks.unet` or a
            `kgan.networks.resnet_translator`.
        width: Integer, the width of the generator.
        discriminator_width: Integer. Defaults to `width`.
        receptive_field: Integer, see `kgan.networks.patch_discriminator`.
        normalization: `"instance"`, `"batch"` or None, of both networks.
        **options: Further arguments of the generator's function, such as `dropout`.

    Returns:
        `(generator, discriminator)`, a `GANPair`, for `kgan.Pix2Pix`.

    Raises:
        ValueError: A size is not an integer of at least 1, or a name is unknown.

    Example:
    ```python
    networks = kgan.networks.pix2pix((28, 28, 1), target_channels=3, width=8)
    assert networks.discriminator.input_shape == (None, 28, 28, 1 + 3)
    ```

    Reference:
        [Isola et al., 2017](https://arxiv.org/abs/1611.07004), appendix 6.1.
    """
    shape = conditioning.check_sizes(
        image_shape,
        target_channels=target_channels,
        width=width,
        discriminator_width=discriminator_width,
    )
    channels = target_channels or shape[2]
    return GANPair(
        find_name(translator, _TRANSLATORS, what="a translator")(
            shape, channels, width=width, normalization=normalization, **options
        ),
        patch_discriminator(
            (*shape[:2], shape[2] + channels),
            receptive_field,
            discriminator_width or width,
            normalization,
        ),
    )


def cyclegan(
    image_shape: Sequence[int] = (28, 28, 1),
    target_channels: int | None = None,
    translator: str = "resnet",
    width: int = 32,
    discriminator_width: int | None = None,
    receptive_field: int = 34,
    normalization: str | None = "instance",
    **options: Any,
) -> CycleGANNetworks:
    """Builds the networks of a `kgan.CycleGAN`: two generators and two PatchGANs.

    Args:
        image_shape: Three integers, `(height, width, channels)` of the first domain.
        target_channels: Integer, the channels of the second domain. Defaults to those of the first.
        translator: `"resnet"` or `"unet"`: the generators are `kgan.networks.resnet_translator`s or
            `kgan.networks.unet`s.
        width: Integer, the width of the generators.
        discriminator_width: Integer. Defaults to `width`.
        receptive_field: Integer, see `kgan.networks.patch_discriminator`.
        normalization: `"instance"`, `"batch"` or None, of all networks. `"batch"` uses different
            statistics in training and after it.
        **options: Further arguments of the generators' function, such as `blocks`.

    Returns:
        `(a_to_b, b_to_a, discriminator_a, discriminator_b)`, a `CycleGANNetworks`, for
        `kgan.CycleGAN`.

    Raises:
        ValueError: A size is not an integer of at least 1, or a name is unknown.

    Example:
    ```python
    networks = kgan.networks.cyclegan((28, 28, 1), width=8, blocks=2)
    assert networks.a_to_b.output_shape == (None, 28, 28, 1)
    ```

    Reference:
        [Zhu et al., 2017](https://arxiv.org/abs/1703.10593), appendix 7.2.
    """
    shape = conditioning.check_sizes(
        image_shape,
        target_channels=target_channels,
        width=width,
        discriminator_width=discriminator_width,
    )
    other = (*shape[:2], target_channels or shape[2])
    make = find_name(translator, _TRANSLATORS, what="a translator")

    def translate(source: tuple[int, int, int], target: tuple[int, int, int]) -> Network:
        return make(source, target[2], width=width, normalization=normalization, **options)

    def judge(image_shape: tuple[int, int, int]) -> Network:
        return patch_discriminator(
            image_shape, receptive_field, discriminator_width or width, normalization
        )

    return CycleGANNetworks(
        translate(shape, other), translate(other, shape), judge(shape), judge(other)
    )
