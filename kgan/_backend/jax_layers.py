"""Faster versions of Keras's layers for JAX on CPUs.

XLA's own versions are slow there: some gradients of convolutions by many times, and normalisation
of each image by itself by twice.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras

from kgan._backend.graph import Inputs
from kgan._typing import Layer, Shape, Tensor
from kgan.layers.causal_convolution import CausalConv2D

Call = Callable[[Tensor], Tensor]


def shortcut(layer: Layer, inputs: Inputs) -> Call | None:
    """The fastest function that gives what a layer gives. See `kgan._backend.graph.Shortcut`."""
    if not isinstance(inputs, keras.KerasTensor) or inputs.dtype != "float32":
        return None
    make = _FASTER.get(type(layer))
    if make is None or jax.default_backend() != "cpu":
        return None
    return make(layer, tuple(inputs.shape))


def _transposed_convolution(layer: Layer, input_shape: Shape) -> Call | None:
    """A transposed convolution with a kernel gradient that is many times faster.

    For this gradient, XLA convolves with a filter of the size of the image. The gradient of the
    convolution that it is the transpose of is the same, and XLA computes it fast.
    """
    del input_shape
    if layer.output_padding is not None:
        return None
    options = _options(layer)

    @jax.custom_vjp
    def transposed(x: Tensor, kernel: Tensor) -> Any:
        return keras.ops.conv_transpose(x, kernel, **options)

    def forward(x: Tensor, kernel: Tensor) -> Any:
        return transposed(x, kernel), (x, kernel)

    def backward(saved: Any, cotangent: Any) -> Any:
        x, kernel = saved
        # <transposed(x, kernel), y> = <x, conv(y, kernel)>, which is linear in x, y and kernel.
        gradient, by_kernel = jax.vjp(lambda k: keras.ops.conv(cotangent, k, **options), kernel)
        return gradient, by_kernel(x)[0]

    transposed.defvjp(forward, backward)
    return _finished(layer, transposed)


def _pointwise_convolution(layer: Layer, input_shape: Shape) -> Call | None:
    """A convolution of single pixels as a product of matrices, which takes a third of the time."""
    if (
        layer.kernel_size != (1, 1)
        or layer.strides != (1, 1)
        or layer.groups != 1
        or layer.data_format != "channels_last"
        or None in input_shape[1:3]
    ):
        return None

    def convolved(x: Tensor, kernel: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1]) @ kernel[0, 0]
        return flat.reshape(*x.shape[:-1], -1)

    return _finished(layer, convolved)


def _causal_convolution(layer: Layer, input_shape: Shape) -> Call | None:
    """A causal convolution: XLA is twice as fast if the padding belongs to the convolution.

    Of a single row it is a product of matrices: neighbours become channels.
    """
    del input_shape
    pads, step = layer.pads, layer.dilation
    rows, columns = layer.kernel_size

    def convolved(x: Tensor, kernel: Tensor) -> Any:
        if rows > 1:
            return jax.lax.conv_general_dilated(
                x,
                kernel,
                window_strides=(1, 1),
                padding=pads,
                rhs_dilation=(step, step),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        width = x.shape[2]
        zero = jnp.zeros((), x.dtype)
        padded = jax.lax.pad(x, zero, [(0, 0, 0), *((*each, 0) for each in pads), (0, 0, 0)])
        places = range(0, columns * step, step)
        near = jnp.concatenate([padded[:, :, place : place + width] for place in places], axis=-1)
        flat = near.reshape(-1, near.shape[-1]) @ kernel.reshape(near.shape[-1], -1)
        return flat.reshape(*x.shape[:-1], -1)

    def call(x: Tensor) -> Tensor:
        y = convolved(x, keras.ops.convert_to_tensor(layer.kernel))
        return y if layer.bias is None else y + keras.ops.convert_to_tensor(layer.bias)

    return call


def _convolution(layer: Layer, input_shape: Shape) -> Call | None:
    """A convolution of a large kernel to few channels, whose gradients are many times faster.

    This is the last layer of networks that give images. XLA takes 40 times as long for the gradient
    of a 7x7 kernel, and twice as long for that of the maps.
    """
    if layer.kernel_size == (1, 1):
        return _pointwise_convolution(layer, input_shape)
    channels = input_shape[-1]
    if (
        min(layer.kernel_size) < _LARGE_KERNEL
        or layer.data_format != "channels_last"
        or layer.strides != (1, 1)
        or layer.dilation_rate != (1, 1)
        or layer.groups != 1
        or channels is None
        or layer.filters > min(_FEW_CHANNELS, channels - 1)
    ):
        return None
    options = _options(layer)
    pads = [((size - 1) // 2, size // 2) for size in layer.kernel_size]
    if layer.padding == "valid":
        pads = [(0, 0)] * 2

    @jax.custom_vjp
    def convolved(x: Tensor, kernel: Tensor) -> Any:
        return keras.ops.conv(x, kernel, **options)

    def forward(x: Tensor, kernel: Tensor) -> Any:
        return convolved(x, kernel), (x, kernel)

    def backward(saved: Any, cotangent: Any) -> Any:
        x, kernel = saved
        # All shifts of the cotangent over the padded images.
        ends = [(side - 1, side - 1) for side in layer.kernel_size]
        shifted = jnp.pad(cotangent, ((0, 0), *ends, (0, 0)))
        padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
        by_kernel = _correlation(shifted, padded, layer.kernel_size)
        by_image = keras.ops.conv(
            # Otherwise XLA would take the zeros for a padding again, with which it is slow.
            jax.lax.optimization_barrier(shifted),
            jnp.flip(kernel, (0, 1)).swapaxes(2, 3),
            padding="valid",
            data_format="channels_last",
        )
        (top, _), (left, _) = pads
        return (
            by_image[:, top : top + x.shape[1], left : left + x.shape[2]],
            jnp.flip(by_kernel, (0, 1)).swapaxes(2, 3),
        )

    convolved.defvjp(forward, backward)
    return _finished(layer, convolved)


_LARGE_KERNEL = 5
_FEW_CHANNELS = 4


def _correlation(few: Tensor, many: Tensor, size: tuple[int, int]) -> Tensor:
    """The products of images with others, shifted by each place of a kernel.

    Args:
        few: Float32 `(batch, height + rows - 1, width + columns - 1, channels)`.
        many: Float32 `(batch, height, width, other channels)`.
        size: `(rows, columns)` of the kernel.

    Returns:
        Float32 `(rows, columns, channels, other channels)`.
    """
    rows, columns = size
    _, height, width, others = many.shape
    channels_first = jnp.moveaxis(few, -1, 0)
    flat = many.reshape(-1, others)
    products = []
    for row in range(rows):  # one at a time: each needs memory for all columns
        part = channels_first[:, :, row : row + height]
        shifted = jnp.stack([part[..., column : column + width] for column in range(columns)])
        products.append(shifted.reshape(columns * few.shape[-1], -1) @ flat)
    return jnp.stack(products).reshape(rows, columns, few.shape[-1], others)


def _options(layer: Layer) -> dict[str, Any]:
    """The arguments of a layer's convolution."""
    return {
        "strides": layer.strides,
        "padding": layer.padding,
        "data_format": layer.data_format,
        "dilation_rate": layer.dilation_rate,
    }


def _finished(layer: Layer, convolve: Callable[[Tensor, Tensor], Tensor]) -> Call:
    """The function of a layer, by that of its images and its kernel."""

    def call(x: Tensor) -> Any:
        y = convolve(x, keras.ops.convert_to_tensor(layer.kernel))
        if layer.use_bias:
            shape = (-1,) if layer.data_format == "channels_last" else (-1, 1, 1)
            y = y + keras.ops.reshape(layer.bias, shape)
        return y if layer.activation is None else layer.activation(y)

    return call


def _group_normalization(layer: Layer, input_shape: Shape) -> Call | None:
    """Instance normalisation of images: groups of one channel, without reshaping them."""
    is_instance = layer.groups == input_shape[-1] and len(input_shape) == 4
    if not is_instance or layer.axis not in {-1, 3}:
        return None

    def call(x: Tensor) -> Any:
        mean = jnp.mean(x, (1, 2), keepdims=True)
        variance = jnp.mean(jnp.square(x - mean), (1, 2), keepdims=True)
        scale = jax.lax.rsqrt(variance + layer.epsilon)
        if layer.scale:
            scale = scale * keras.ops.convert_to_tensor(layer.gamma)
        shift = -mean * scale
        if layer.center:
            shift = shift + keras.ops.convert_to_tensor(layer.beta)
        return x * scale + shift

    return call


_FASTER: dict[type, Callable[[Any, Shape], Call | None]] = {
    CausalConv2D: _causal_convolution,
    keras.layers.Conv2D: _convolution,
    keras.layers.Conv2DTranspose: _transposed_convolution,
    keras.layers.GroupNormalization: _group_normalization,
}
