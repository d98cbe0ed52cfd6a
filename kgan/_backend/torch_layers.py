"""Faster versions of Keras's layers for PyTorch.

Keras's layout, channels last, is fast on CPUs. PyTorch computes in it if a tensor with channels
first has the memory layout of channels last. So these functions permute axes and copy nothing.
Keras copies before and after every convolution.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch
from torch.nn import functional

from kgan._backend.graph import Inputs
from kgan._backend.keras_internals import has_sublayers, kept_kernel, tensor_of
from kgan._backend.kernel_wrapper import KernelWrapper
from kgan._typing import Layer, Shape, Tensor, Variable
from kgan.layers.causal_convolution import CausalConv2D
from kgan.layers.equalized import EqualizedConv2D, EqualizedDense
from kgan.layers.fade_in import FadeIn, mixture
from kgan.layers.pixel_normalization import PixelNormalization
from kgan.layers.reflection_padding import ReflectionPadding2D

Call = Callable[..., Any]


def shortcut(layer: Layer, inputs: Inputs) -> Call | None:
    """The fastest function that gives what a layer gives. See `kgan._backend.graph.Shortcut`."""
    make: Callable[[Layer, Any], Call | None] | None = None
    shapes: Any = None
    if isinstance(inputs, keras.KerasTensor):
        make, shapes = _maker(layer, inputs.dtype == "float32"), tuple(inputs.shape)
    elif inputs is not None:
        make, shapes = _FASTER_MERGES.get(type(layer)), [tuple(each.shape) for each in inputs]
    function = make and make(layer, shapes)
    return function or (None if has_sublayers(layer) else layer.call)


def _maker(layer: Layer, is_float: bool) -> Callable[[Layer, Any], Call | None] | None:
    """What makes the function of a layer of one input, which has this kind of numbers."""
    if isinstance(layer, KernelWrapper):
        takes_float = not isinstance(layer.layer, keras.layers.Embedding)
        return _with_new_kernel if takes_float == is_float else None
    return _FASTER.get(type(layer)) if is_float else None


def _value(weight: Variable | Tensor) -> Tensor:
    """The tensor of a weight. With LoRA, a weight is an expression and not a variable."""
    return tensor_of(weight) if isinstance(weight, keras.Variable) else weight


def _activated(layer: Layer, x: Tensor) -> Tensor:
    activation = layer.activation
    if activation is keras.activations.linear:
        return x
    return _FASTER_ACTIVATIONS.get(activation, activation)(x)


def _operands(layer: Layer, x: Tensor, kernel: Tensor | None) -> tuple[Tensor, Tensor]:
    """The images and the kernel of a convolution, in PyTorch's order of axes.

    Args:
        layer: The layer.
        x: Images with channels last.
        kernel: The kernel in Keras's order of axes, or None for the layer's own.
    """
    kernel = _value(layer.kernel) if kernel is None else kernel
    x, kernel = x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1)
    if x.shape[0] > 1:
        return x, kernel
    # For a batch of one, PyTorch may choose a method that cannot differentiate by a kernel in this
    # layout: "grad_weight must be contiguous". So Keras's own call fails where there is one filter.
    # `contiguous()` does not help: it keeps the strides of axes of size 1.
    copies = [each.clone(memory_format=torch.contiguous_format) for each in (x, kernel)]
    return copies[0], copies[1]


def _lay_out_kernel(layer: Layer) -> None:
    """Stores a kernel in the memory layout of convolutions, which would copy it otherwise."""
    if isinstance(layer.kernel, keras.Variable):
        value = tensor_of(layer.kernel)
        value.data = value.data.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)


def _scale(layer: Layer) -> float | None:
    """The factor of the kernel in a layer with an equalised learning rate."""
    return layer.scale if isinstance(layer, EqualizedConv2D | EqualizedDense) else None


def _convolution(layer: Layer, input_shape: Shape) -> Call | None:
    if layer.data_format != "channels_last" or layer.padding not in {"same", "valid"}:
        return None
    pads = []
    for size, kernel, stride, dilation in zip(
        input_shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        total = 0
        if layer.padding == "same":
            if size is None:
                return None
            total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        pads.append((total // 2, total - total // 2))
    even = all(before == after for before, after in pads)
    within = [before for before, _ in pads] if even else 0
    _lay_out_kernel(layer)
    scale = _scale(layer)

    def call(x: Tensor, kernel: Tensor | None = None) -> Tensor:
        x, kernel = _operands(layer, x, kernel)
        if not even:
            x = functional.pad(x, [*pads[1], *pads[0]])
        y = functional.conv2d(
            x,
            kernel if scale is None else kernel * scale,
            _value(layer.bias),
            layer.strides,
            within,
            layer.dilation_rate,
            layer.groups,
        )
        return _activated(layer, y.permute(0, 2, 3, 1))

    return call


def _causal_convolution(layer: Layer, input_shape: Shape) -> Call | None:
    del input_shape
    rows, columns = layer.pads
    _lay_out_kernel(layer)

    def call(x: Tensor) -> Tensor:
        x, kernel = _operands(layer, x, None)
        x = functional.pad(x, [*columns, *rows])
        bias = None if layer.bias is None else _value(layer.bias)
        return functional.conv2d(x, kernel, bias, dilation=layer.dilation).permute(0, 2, 3, 1)

    return call


def _transposed_convolution(layer: Layer, input_shape: Shape) -> Call | None:
    del input_shape
    # Other paddings cut off more at one end than at the other one.
    doubles = all(
        kernel >= stride and (kernel - stride) % 2 == 0
        for kernel, stride in zip(layer.kernel_size, layer.strides, strict=True)
    )
    if (
        layer.data_format != "channels_last"
        or layer.padding != "same"
        or layer.output_padding is not None
        or layer.dilation_rate != (1, 1)
        or not doubles
    ):
        return None
    pads = [
        (kernel - stride) // 2
        for kernel, stride in zip(layer.kernel_size, layer.strides, strict=True)
    ]
    _lay_out_kernel(layer)

    def call(x: Tensor, kernel: Tensor | None = None) -> Tensor:
        x, kernel = _operands(layer, x, kernel)
        y = functional.conv_transpose2d(x, kernel, _value(layer.bias), layer.strides, pads)
        return _activated(layer, y.permute(0, 2, 3, 1))

    return call


def _dense(layer: Layer, input_shape: Shape) -> Call | None:
    if len(input_shape) != 2:
        return None

    scale = _scale(layer)

    def call(x: Tensor, kernel: Tensor | None = None, training: bool | None = None) -> Tensor:
        del training
        if kernel is None:
            kernel = layer.kernel if layer.lora_enabled else tensor_of(kept_kernel(layer))
        if scale is not None:
            kernel = kernel * scale
        bias = _value(layer.bias)
        return _activated(layer, x @ kernel if bias is None else torch.addmm(bias, x, kernel))

    return call


def _embedding(layer: Layer, input_shape: Shape) -> Call | None:
    del input_shape
    if layer.mask_zero:
        return None

    def call(x: Tensor, kernel: Tensor | None = None) -> Tensor:
        return keras.ops.take(layer.embeddings if kernel is None else kernel, x, axis=0)

    return call


def _with_new_kernel(layer: Layer, input_shape: Shape) -> Call | None:
    make = _TAKING_A_KERNEL.get(type(layer.layer))
    function = make and make(layer.layer, input_shape)
    if function is None:
        return None

    def call(x: Tensor, training: bool | None = None) -> Tensor:
        return function(x, kernel=layer.new_kernel(bool(training)))

    return call


def _batch_normalization(layer: Layer, input_shape: Shape) -> Call | None:
    renormalises = getattr(layer, "renorm", False)  # Keras has it from 3.14 on
    channels_last = layer.axis in {-1, len(input_shape) - 1}
    if renormalises or layer.synchronized or not channels_last:
        return None

    def call(x: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        del mask
        by_batch = bool(training and layer.trainable)
        moving = [tensor_of(layer.moving_mean), tensor_of(layer.moving_variance)]
        y, mean, scale = torch.native_batch_norm(
            x.movedim(-1, 1),
            _value(layer.gamma),
            _value(layer.beta),
            *([None, None] if by_batch else moving),
            by_batch,
            0.0,
            layer.epsilon,
        )
        if by_batch:
            # PyTorch's own moving variance would be larger by n / (n - 1).
            variance = scale.pow(-2).sub_(layer.epsilon).clamp_(min=0.0)
            torch._foreach_lerp_(moving, [mean, variance], 1.0 - layer.momentum)
        return y.movedim(1, -1)

    return call


def _group_normalization(layer: Layer, input_shape: Shape) -> Call | None:
    """Instance normalisation: groups of one channel."""
    channels_last = layer.axis in {-1, len(input_shape) - 1}
    has_weights = layer.scale and layer.center
    if len(input_shape) < 3 or not channels_last or not has_weights:
        return None
    if layer.groups != input_shape[-1]:
        return None

    def call(x: Tensor) -> Tensor:
        y = _InstanceNormalization.apply(
            x.flatten(1, -2), tensor_of(layer.gamma), tensor_of(layer.beta), layer.epsilon
        )
        return y.unflatten(1, x.shape[1:-1])

    return call


class _InstanceNormalization(torch.autograd.Function):
    """Normalises each channel of each image by itself: `(batch, pixels, channels)`.

    `torch.group_norm` is slower in this layout. On CPUs, it crashes PyTorch 2.13 where the gradient
    of the weights is needed, but not that of the input.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Tensor:
        centred, mean, scale = _centred(x, epsilon)
        ctx.epsilon = epsilon
        ctx.save_for_backward(x, gamma, mean, scale)
        return torch.addcmul(beta, centred, scale * gamma)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, gamma, mean, scale = ctx.saved_tensors
        if torch.is_grad_enabled():  # for second derivatives
            _, mean, scale = _centred(x, ctx.epsilon)
        normal = (x - mean).mul_(scale)
        # In place where possible: new memory costs more than the arithmetic.
        found = gradient * normal
        by_beta, by_gamma = (each.mean(1, keepdim=True) for each in (gradient, found))
        found.copy_(gradient).sub_(by_beta).addcmul_(normal, by_gamma, value=-1)
        pixels = x.shape[1]
        return (
            found.mul_(scale * gamma),
            by_gamma.sum((0, 1)) * pixels,
            by_beta.sum((0, 1)) * pixels,
            None,
        )


def _centred(x: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Channels without their mean, this mean, and one over their standard deviation."""
    mean = x.mean(1, keepdim=True)
    centred = x - mean
    return centred, mean, torch.rsqrt(centred.square().mean(1, keepdim=True) + epsilon)


def _leaky_relu(layer: Layer, input_shape: Shape) -> Call:
    del input_shape
    return lambda x: functional.leaky_relu(x, layer.negative_slope)


def _relu(layer: Layer, input_shape: Shape) -> Call | None:
    del input_shape
    plain = layer.max_value is None and not layer.negative_slope and not layer.threshold
    return functional.relu if plain else None


def _average_pooling(layer: Layer, input_shape: Shape) -> Call | None:
    return _pooling(functional.avg_pool2d, layer, input_shape)


def _max_pooling(layer: Layer, input_shape: Shape) -> Call | None:
    return _pooling(functional.max_pool2d, layer, input_shape)


def _pooling(pool: Callable[..., Tensor], layer: Layer, input_shape: Shape) -> Call | None:
    if layer.data_format != "channels_last" or layer.strides != layer.pool_size:
        return None
    # Windows at the end that are not whole: left out, or of the pixels that there are. Keras would
    # share the missing pixels between both ends.
    sides = list(zip(input_shape[1:3], layer.pool_size, strict=True))
    is_same = layer.padding == "same"
    if is_same and any(side is None or -side % part > 1 for side, part in sides):
        return None
    size = tuple(layer.pool_size)
    return lambda x: pool(x.permute(0, 3, 1, 2), size, ceil_mode=is_same).permute(0, 2, 3, 1)


def _up_sampling(layer: Layer, input_shape: Shape) -> Call | None:
    del input_shape
    if layer.data_format != "channels_last" or layer.interpolation != "nearest":
        return None
    scales = tuple(map(float, layer.size))

    def call(x: Tensor) -> Tensor:
        y = functional.interpolate(x.permute(0, 3, 1, 2), scale_factor=scales)
        return y.permute(0, 2, 3, 1)

    return call


def _reflection_padding(layer: Layer, input_shape: Shape) -> Call:
    del input_shape
    pads = [layer.padding] * 4

    def call(x: Tensor) -> Tensor:
        return functional.pad(x.permute(0, 3, 1, 2), pads, mode="reflect").permute(0, 2, 3, 1)

    return call


def _flatten(layer: Layer, input_shape: Shape) -> Call | None:
    # Flatten adds an axis to a vector, and moves the axes of images with channels first.
    if len(input_shape) < 2 or layer.data_format != "channels_last":
        return None
    return lambda x: x.flatten(1)


def _reshape(layer: Layer, input_shape: Shape) -> Call | None:
    del input_shape
    shape = layer.target_shape
    return lambda x: x.reshape(x.shape[0], *shape)


def _add(layer: Layer, input_shapes: Sequence[Shape]) -> Call | None:
    del layer
    return _reduced(torch.add, torch.Tensor.add_, input_shapes)


def _multiply(layer: Layer, input_shapes: Sequence[Shape]) -> Call | None:
    del layer
    return _reduced(torch.mul, torch.mul, input_shapes)


def _reduced(
    merge: Callable[..., Tensor], further: Callable[..., Tensor], input_shapes: Sequence[Shape]
) -> Call | None:
    """Merges two tensors, and the result with each of the others: in place, if it has the shape."""
    # Tensors of fewer axes get more of them, after the first.
    if len({len(shape) for shape in input_shapes}) > 1:
        return None
    is_full = len({shape[0] for shape in input_shapes}) == 1 and (
        input_shapes[0][1:] == _broadcast(input_shapes)
    )

    def call(tensors: Sequence[Tensor]) -> Tensor:
        first, *others = tensors
        if not others:
            return first
        second, *others = others
        return functools.reduce(further if is_full else merge, others, merge(first, second))

    return call


def _broadcast(shapes: Sequence[Shape]) -> tuple[int | None, ...]:
    """The largest size of each axis after that of the batch."""
    return tuple(max(size or 0 for size in sizes) for sizes in zip(*shapes, strict=True))[1:]


def _concatenate(layer: Layer, input_shapes: Sequence[Shape]) -> Call:
    del input_shapes
    return lambda tensors: torch.cat(tensors, layer.axis)


def _dot(layer: Layer, input_shapes: Sequence[Shape]) -> Call | None:
    if layer.normalize or layer.axes not in {-1, 1} or {len(s) for s in input_shapes} != {2}:
        return None
    return lambda tensors: torch.sum(tensors[0] * tensors[1], 1, keepdim=True)


def _pixel_normalization(layer: Layer, input_shape: Shape) -> Call:
    del input_shape
    return lambda x: x * torch.rsqrt(x.square().mean(-1, keepdim=True) + layer.epsilon)


def _fade_in(layer: Layer, input_shapes: Sequence[Shape]) -> Call:
    del input_shapes

    return lambda tensors: mixture(tensors[0], tensors[1], tensor_of(layer.alpha))


_FASTER_ACTIVATIONS: dict[Callable[..., Any], Callable[[Tensor], Tensor]] = {
    keras.activations.silu: functional.silu,
    keras.activations.relu: functional.relu,
    keras.activations.tanh: torch.tanh,
}

_FASTER: dict[type, Callable[[Any, Shape], Call | None]] = {
    CausalConv2D: _causal_convolution,
    keras.layers.Conv2D: _convolution,
    keras.layers.Conv2DTranspose: _transposed_convolution,
    keras.layers.Dense: _dense,
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.GroupNormalization: _group_normalization,
    keras.layers.AveragePooling2D: _average_pooling,
    keras.layers.MaxPooling2D: _max_pooling,
    keras.layers.UpSampling2D: _up_sampling,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.ReLU: _relu,
    keras.layers.Flatten: _flatten,
    keras.layers.Reshape: _reshape,
    EqualizedConv2D: _convolution,
    EqualizedDense: _dense,
    PixelNormalization: _pixel_normalization,
    ReflectionPadding2D: _reflection_padding,
}

_FASTER_MERGES: dict[type, Callable[[Any, Sequence[Shape]], Call | None]] = {
    keras.layers.Add: _add,
    FadeIn: _fade_in,
    keras.layers.Multiply: _multiply,
    keras.layers.Concatenate: _concatenate,
    keras.layers.Dot: _dot,
}

# Their functions take a `kernel` in place of the layer's own.
_TAKING_A_KERNEL: dict[type, Callable[[Any, Shape], Call | None]] = {
    keras.layers.Conv2D: _convolution,
    keras.layers.Dense: _dense,
    keras.layers.Embedding: _embedding,
}
