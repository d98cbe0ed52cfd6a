"""Runs a causal network one pixel after the other, without computing anything twice.

The plan of a network follows from its graph. Each tensor gets a kind, by what it depends on:

- CONSTANT: labels alone. It is computed once.
- ROW: rows above the present one. It is computed for a whole row at once.
- PIXEL: the rows above, and pixels to the left. It is computed for each pixel.
- CURRENT: the present pixel itself, too. It is computed after the pixel was drawn.
- CHANNELS: the present pixel, each channel the ones before it. It is computed for each channel.

An output of the kind CURRENT would see what it predicts: such a network is not causal.
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from kgan import _backend
from kgan._backend.keras_internals import graph_of, nodes_of
from kgan._typing import Network, Tensor
from kgan.layers.causal import CausalLayer, State


class Kind(enum.IntEnum):
    """What a tensor depends on; see the module."""

    CONSTANT = 0
    ROW = 1
    PIXEL = 2
    CURRENT = 3
    CHANNELS = 4


class NotCausalError(ValueError):
    """A network whose outputs see the pixel that they predict, or what comes after it."""


class UnknownLayerError(ValueError):
    """A network with a layer that cannot be computed pixel by pixel."""


# Layers of Keras that compute each position by itself, outside training.
_POINTWISE = (
    layers.Activation,
    layers.Add,
    layers.Average,
    layers.Dense,
    layers.Dropout,
    layers.ELU,
    layers.Embedding,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.LeakyReLU,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.ReLU,
    layers.Rescaling,
    layers.SpatialDropout2D,
    layers.Subtract,
)


@dataclass(frozen=True)
class _Node:
    """A call of a layer in a network: its layer, its tensors by their ids, and its kind."""

    operation: Any
    arguments: Any
    inputs: tuple[int, ...]
    output: int
    kind: Kind


Values = dict[int, Tensor]


class PixelPlan:
    """The order in which the tensors of a causal network are computed, pixel by pixel.

    Args:
        network: A Functional network from images `(batch, height, width, channels)`, and labels if
            it is conditional, to outputs for each pixel.

    Raises:
        NotCausalError: Outputs see the pixel that they predict, or later ones.
        UnknownLayerError: A layer is not known to compute each pixel by itself, and is not a
            `kgan.layers.CausalLayer`.
    """

    def __init__(self, network: Network) -> None:
        graph = graph_of(network)
        if graph is None:
            raise UnknownLayerError(
                "Expected a Functional network, whose layers can be computed one by one. "
                f"Received: a {type(network).__name__}. {_REMEDY}"
            )
        image = network.inputs[0]
        self.height, self.width, self.channels = image.shape[1:]
        self._image = id(image)
        self._labels = [id(each) for each in network.inputs[1:]]
        self._channels = {self._image: self.channels}
        self._kinds = {self._image: Kind.CURRENT, **dict.fromkeys(self._labels, Kind.CONSTANT)}
        self._nodes: dict[int, _Node] = {}
        for node in nodes_of(graph):
            if not node.is_input:
                self._add(node)
        self._output = id(network.outputs[0])
        if self._kinds[self._output] == Kind.CURRENT:
            raise NotCausalError(
                "Expected a network whose outputs see only pixels before their own. Received: a "
                f"network whose output depends on the pixel itself. {_STRICT}"
            )
        causal = [each for each in self._nodes.values() if isinstance(each.operation, CausalLayer)]
        scanned = [each for each in causal if not _is_whole_row(each)]
        self._row_layers = [each for each in scanned if each.operation.scans == "rows"]
        self._pixel_layers = [each for each in scanned if each.operation.scans == "pixels"]
        # Tensors that are known pixel by pixel, and that layers of rows read.
        self._gathered = list(
            dict.fromkeys(
                each.inputs[0]
                for each in self._row_layers
                if self._kinds[each.inputs[0]] > Kind.ROW
            )
        )
        self._at_pixels = self._rows_that_pixels_read()

    @property
    def is_channelwise(self) -> bool:
        """Whether the outputs of a channel depend on the channels before it."""
        return self._kinds[self._output] == Kind.CHANNELS

    def _add(self, node: Any) -> None:
        if len(node.outputs) != 1:
            raise UnknownLayerError(
                f"Expected layers with one output. Received: {node.operation.name!r} with "
                f"{len(node.outputs)}. {_REMEDY}"
            )
        inputs = tuple(id(tensor) for tensor in node.input_tensors)
        output = id(node.outputs[0])
        kind = _kind(node.operation, [self._kinds[tensor] for tensor in inputs])
        self._kinds[output] = kind
        self._nodes[output] = _Node(node.operation, node.arguments, inputs, output, kind)
        self._channels[output] = node.outputs[0].shape[-1]

    def _rows_that_pixels_read(self) -> list[int]:
        """The tensors of kind ROW that are read at each pixel."""
        read = [
            tensor
            for each in self._nodes.values()
            if each.kind > Kind.ROW
            for tensor in each.inputs
            if self._kinds[tensor] == Kind.ROW
        ]
        if self._kinds[self._output] == Kind.ROW:
            read.append(self._output)
        return list(dict.fromkeys(read))

    # ---- the scan --------------------------------------------------------------------------------

    def scan(
        self,
        draw: Callable[[Tensor, Tensor], Tensor],
        given: Tensor,
        known: Tensor,
        numbers: Tensor,
        labels: Sequence[Tensor] = (),
    ) -> Tensor:
        """Draws images, pixel by pixel.

        Args:
            draw: `draw(outputs, numbers)` gives values `(batch, 1, 1, channels)` from the
                network's outputs for a pixel.
            given: Float32 `(batch, height, width, channels)`, values of known pixels.
            known: Boolean `(batch, height, width, 1)`, which pixels are known.
            numbers: Float32 `(batch, height, width, n)`, the random numbers of each pixel.
            labels: The other inputs of the network.

        Returns:
            Float32 `(batch, height, width, channels)`.
        """
        constants: Values = dict(zip(self._labels, labels, strict=True))
        for each in self._nodes.values():
            if each.kind == Kind.CONSTANT:
                self._value(each.output, constants)
        # Rows, then columns first: slices of the first axis are contiguous.
        inputs = [ops.transpose(each, (1, 2, 0, 3)) for each in (given, known, numbers)]

        def row(place: Tensor, state: tuple[Tensor, tuple[State, ...], tuple[State, ...]]) -> Any:
            image, row_states, pixel_states = state
            rows = {**constants}
            row_states = self._run(Kind.ROW, self._row_layers, place, rows, row_states)
            columns = {
                tensor: ops.transpose(rows[tensor], (2, 0, 1, 3)) for tensor in self._at_pixels
            }
            pixel_states = tuple(
                each.operation.start_row(own)
                for each, own in zip(self._pixel_layers, pixel_states, strict=True)
            )
            own_inputs = [each[place] for each in inputs]

            def pixel(column: Tensor, state: tuple[tuple[Tensor, ...], tuple[State, ...]]) -> Any:
                buffers, pixel_states = state
                values = {**constants}
                values |= {tensor: each[column][:, None] for tensor, each in columns.items()}
                values_of_inputs = [each[column][:, None, None] for each in own_inputs]
                pixel_states = self._run_pixel(
                    place * self.width + column, values, pixel_states, draw, values_of_inputs
                )
                written = [values[self._image], *(values[tensor] for tensor in self._gathered)]
                buffers = tuple(
                    _backend.written(buffer, column, ops.cast(value[:, 0, 0], buffer.dtype))
                    for buffer, value in zip(buffers, written, strict=True)
                )
                return buffers, pixel_states

            empty = self._empty_rows(given)
            buffers, pixel_states = ops.fori_loop(0, self.width, pixel, (empty, pixel_states))
            image = _backend.written(image, place, buffers[0])
            for tensor, buffer in zip(self._gathered, buffers[1:], strict=True):
                rows[tensor] = ops.transpose(buffer, (1, 0, 2))[:, None]
            return image, self._pushed(self._row_layers, place, rows, row_states), pixel_states

        image = ops.zeros_like(inputs[0])
        states = (self._initial(self._row_layers, given), self._initial(self._pixel_layers, given))
        image, _, _ = ops.fori_loop(0, self.height, row, (image, *states))
        return ops.transpose(image, (2, 0, 1, 3))

    def _initial(self, nodes: Iterable[_Node], like: Tensor) -> tuple[State, ...]:
        return tuple(
            each.operation.initial_state(
                like, self.height, self.width, self._channels[each.inputs[0]]
            )
            for each in nodes
        )

    def _empty_rows(self, like: Tensor) -> tuple[Tensor, ...]:
        """Zeros `(width, batch, channels)` for the image, and for tensors that rows read."""
        batch = ops.shape(like)[0]
        dtypes = ["float32"]
        for tensor in self._gathered:
            node = self._nodes.get(tensor)
            dtypes.append("float32" if node is None else node.operation.compute_dtype)
        channels = [self.channels, *(self._channels[tensor] for tensor in self._gathered)]
        return tuple(
            ops.zeros((self.width, batch, size), dtype=dtype)
            for size, dtype in zip(channels, dtypes, strict=True)
        )

    def _run(
        self,
        kind: Kind,
        layers: Sequence[_Node],
        place: Tensor,
        values: Values,
        states: tuple[State, ...],
    ) -> tuple[State, ...]:
        """Computes all tensors of a kind into `values`, and gives the next states.

        Args:
            kind: ROW or PIXEL.
            layers: The causal layers that compute a row or a pixel at a time.
            place: The number of the row, or of the pixel.
            values: The tensors that are known. Those of the kind are added.
            states: Those of the layers. Strict layers keep theirs until `_pushed`.
        """
        numbers = {each.output: number for number, each in enumerate(layers)}
        new = list(states)
        for each in self._nodes.values():
            if each.kind != kind:
                continue
            number, layer = numbers.get(each.output), each.operation
            if number is None:
                self._value(each.output, values)
            elif layer.strict:
                values[each.output] = layer.before(states[number], place)
            else:
                x = values[each.inputs[0]]
                values[each.output], new[number] = layer.step(states[number], x, place)
        return tuple(new)

    def _pushed(
        self,
        layers: Sequence[_Node],
        place: Tensor,
        values: Values,
        states: tuple[State, ...],
    ) -> tuple[State, ...]:
        """The states after strict layers got their inputs, which `values` hold or lead to."""
        return tuple(
            each.operation.push(own, self._value(each.inputs[0], values), place)
            if each.operation.strict
            else own
            for each, own in zip(layers, states, strict=True)
        )

    def _run_pixel(
        self,
        place: Tensor,
        values: Values,
        states: tuple[State, ...],
        draw: Callable[[Tensor, Tensor], Tensor],
        inputs: Sequence[Tensor],
    ) -> tuple[State, ...]:
        """Computes all tensors of a pixel into `values`, draws it, and gives the next states."""
        given, known, numbers = inputs
        states = self._run(Kind.PIXEL, self._pixel_layers, place, values, states)
        pixel = ops.zeros_like(given)
        for channel in range(self.channels if self.is_channelwise else 1):
            present = {**values, self._image: pixel}
            drawn = draw(self._value(self._output, present), numbers)
            drawn = ops.where(known, given, drawn)
            if self.is_channelwise:
                is_channel = ops.arange(self.channels) == channel
                pixel = ops.where(is_channel, drawn, pixel)
            else:
                pixel = drawn
        values[self._image] = pixel
        for tensor in self._gathered:
            self._value(tensor, values)
        return self._pushed(self._pixel_layers, place, values, states)

    def _value(self, tensor: int, values: Values) -> Tensor:
        """The value of a tensor, computed from those that are known, and remembered."""
        if tensor not in values:
            node = self._nodes[tensor]
            for each in node.inputs:
                self._value(each, values)
            args, kwargs = node.arguments.fill_in(values)
            values[tensor] = _called(node, args, kwargs)
        return values[tensor]


def _called(node: _Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The output of a layer for a row or a pixel."""
    operation = node.operation
    if kwargs or len(args) != 1 or not isinstance(operation, keras.Layer):
        return operation(*args, **kwargs)
    tensors = args[0] if isinstance(args[0], list) else [args[0]]
    if not all(_has_dtype(x, operation.compute_dtype) for x in tensors):
        return operation(args[0])
    # `Layer.__call__` has nothing to convert, and takes PyTorch longest.
    if not operation.variables:
        return operation.call(args[0])
    return operation(args[0]) if len(tensors) > 1 else _backend.run_layer(operation, args[0], False)


def _has_dtype(x: Tensor, dtype: str) -> bool:
    return bool(keras.backend.standardize_dtype(x.dtype) == dtype)


_REMEDY = "Use cached=False to compute the whole image for each pixel, which is slow."
_STRICT = (
    "Begin each stack with a layer that leaves the pixel out: "
    "kgan.layers.CausalConv2D(..., strict=True)."
)


def _kind(operation: Any, kinds: Sequence[Kind]) -> Kind:
    """The kind of the output of a layer, from those of its inputs."""
    most = max(kinds, default=Kind.CONSTANT)
    if most == Kind.CONSTANT:
        return most
    if isinstance(operation, CausalLayer):
        return _causal_kind(operation, most)
    if getattr(operation, "is_channelwise", False):
        if max(kinds[:-1], default=Kind.CONSTANT) > Kind.PIXEL:
            raise NotCausalError(
                f"Expected features of earlier pixels for the layer {operation.name!r}. "
                f"Received: features that depend on the pixel itself. {_STRICT}"
            )
        return Kind.CHANNELS
    if most == Kind.CHANNELS or not _is_pointwise(operation):
        raise UnknownLayerError(
            "Expected layers that compute each pixel by itself, or causal layers of kgan.layers. "
            f"Received: {getattr(operation, 'name', operation)!r}, a {type(operation).__name__}. "
            f"{_REMEDY}"
        )
    return most


def _causal_kind(layer: CausalLayer, kind: Kind) -> Kind:
    if layer.scans == "rows":
        if layer.strict or kind == Kind.ROW:
            return Kind.ROW
    elif kind == Kind.ROW and layer.rows_alone:
        return Kind.ROW
    elif layer.strict or kind <= Kind.PIXEL:
        return Kind.PIXEL
    raise NotCausalError(
        f"Expected a causal network. Received: the layer {layer.name!r} sees pixels at or after "
        f"the one that it belongs to. {_STRICT}"
    )


def _is_whole_row(node: _Node) -> bool:
    """Whether a layer of pixels is computed for a whole row at once."""
    return node.operation.scans == "pixels" and node.kind == Kind.ROW


def _is_pointwise(operation: Any) -> bool:
    if isinstance(operation, layers.Conv2D):
        return (operation.kernel_size, operation.strides) == ((1, 1), (1, 1))
    if isinstance(operation, (layers.LayerNormalization, layers.RMSNormalization)):
        return operation.axis in (-1, [-1], 3, [3])
    if isinstance(operation, layers.Concatenate):
        return operation.axis in (-1, 3)
    is_known = type(operation) in _POINTWISE
    return is_known or bool(getattr(operation, "is_pointwise", False))
