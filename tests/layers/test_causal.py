"""Causal layers, against masked convolutions and plain loops."""

import numpy as np
import pytest
from keras import ops

from kgan.layers import CausalAttention, CausalConv2D, ChannelHead, Gate, LevelEmbedding


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def masked_convolution(x, kernel, bias, offsets):
    """For each pixel, the sum over the kernel's places of what lies at the offset of each."""
    count, height, width, _ = x.shape
    y = np.zeros((count, height, width, kernel.shape[-1])) + bias
    for place, (down, right) in offsets.items():
        for i in range(height):
            for j in range(width):
                if 0 <= i + down < height and 0 <= j + right < width:
                    y[:, i, j] += x[:, i + down, j + right].astype("float64") @ kernel[place]
    return y


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("stack", "size"), [("vertical", (2, 3)), ("horizontal", (1, 3))])
def test_convolutions_are_masked_ones(stack, size, strict, dilation):
    layer = CausalConv2D(4, size, stack, strict=strict, dilation=dilation)
    x = numbers(2, 5, 6, 3)
    layer.build(x.shape)
    layer.bias.assign(numbers(4, seed=2))
    rows, columns = size
    if stack == "vertical":
        offsets = {
            (r, c): ((r - rows + 1) * dilation - strict, (c - columns // 2) * dilation)
            for r in range(rows)
            for c in range(columns)
        }
    else:
        offsets = {(0, c): (0, (c - columns + 1) * dilation - strict) for c in range(columns)}
    expected = masked_convolution(x, np.array(layer.kernel), np.array(layer.bias), offsets)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=1e-4, atol=1e-5)


def test_kernels_that_do_not_fit_a_stack():
    with pytest.raises(ValueError, match="odd number of columns"):
        CausalConv2D(4, (2, 2), "vertical")
    with pytest.raises(ValueError, match="one row"):
        CausalConv2D(4, (2, 3), "horizontal")
    with pytest.raises(ValueError, match="`stack`"):
        CausalConv2D(4, (1, 3), "diagonal")


def test_attention_is_a_weighted_mean_of_what_came_before():
    layer = CausalAttention(heads=2, width=4)
    x = numbers(2, 3, 2, 5)
    layer.build(x.shape)
    layer.positions.assign(numbers(1, 6, 4, seed=2))
    flat = x.reshape(2, 6, 5)
    q, k, v = np.split(flat @ np.array(layer.projection.kernel), 3, axis=-1)
    q, k = (each + np.array(layer.positions) for each in (q, k))
    expected = np.zeros((2, 6, 4))
    for head in (slice(0, 2), slice(2, 4)):
        for place in range(6):
            scores = np.einsum("bc,bnc->bn", q[:, place, head], k[:, : place + 1, head])
            weights = np.exp(scores / np.sqrt(2))
            weights /= weights.sum(axis=1, keepdims=True)
            expected[:, place, head] = np.einsum("bn,bnc->bc", weights, v[:, : place + 1, head])
    found = ops.convert_to_numpy(layer(x)).reshape(2, 6, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="multiple of `heads`"):
        CausalAttention(heads=3, width=4)


def test_gates():
    x = numbers(3, 4, 6)
    a, b = np.split(x, 2, axis=-1)
    gate = 2 / (1 + np.exp(-2 * b))
    np.testing.assert_allclose(ops.convert_to_numpy(Gate()(x)), a * gate, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        ops.convert_to_numpy(Gate("tanh")(x)), np.tanh(a) * gate, rtol=1e-5, atol=1e-6
    )
    with pytest.raises(ValueError, match="even number of channels"):
        Gate().compute_output_shape((None, 3))


def test_levels_get_their_own_vectors():
    layer = LevelEmbedding(levels=3, width=2)
    levels = np.array([[0, 2], [1, 1]]).reshape(1, 2, 2, 1)
    images = (levels - 1.0).repeat(2, axis=-1).astype("float32")
    images[..., 1] *= -1
    found = ops.convert_to_numpy(layer(images))
    table = np.array(layer.vectors)
    np.testing.assert_array_equal(found[0, 0, 1], np.concatenate([table[2], table[3]]))
    np.testing.assert_array_equal(found[0, 1, 0], np.concatenate([table[1], table[4]]))


def test_a_channel_head_is_a_small_network_for_each_channel():
    layer = ChannelHead(outputs_per_channel=2, width=4)
    features, image = numbers(2, 3, 3, 5), numbers(2, 3, 3, 2, seed=1)
    found = ops.convert_to_numpy(layer([features, image])).reshape(2, 3, 3, 2, 2)
    weights = {w.path.split("/")[-2]: np.array(w) for w in layer.weights if w.name == "kernel"}
    first = np.maximum(features @ weights["features_0"], 0) @ weights["outputs_0"]
    second = features @ weights["features_1"] + image[..., :1] @ weights["earlier_1"]
    second = np.maximum(second, 0) @ weights["outputs_1"]
    np.testing.assert_allclose(found, np.stack([first, second], axis=-1), rtol=1e-4, atol=1e-5)
