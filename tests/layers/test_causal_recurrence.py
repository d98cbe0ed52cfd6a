"""LSTMs over rows and diagonals: against loops in NumPy, causality, and a pixel at a time."""

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan import _backend, layers

HEIGHT, WIDTH, CHANNELS, FILTERS = 5, 6, 3, 2
MAKE = {
    "row": lambda **options: layers.RowLSTM(FILTERS, kernel_size=2, **options),
    "diagonal": lambda **options: layers.DiagonalBiLSTM(FILTERS, **options),
}


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def layer_of(kind, **options):
    layer = MAKE[kind](**options)
    layer.build((None, HEIGHT, WIDTH, CHANNELS))
    weights = layer.get_weights()
    layer.set_weights([0.6 * numbers(*w.shape, seed=n) for n, w in enumerate(weights)])
    return layer


def weights_of(layer):
    """Kernel and bias of the inputs, and the kernel of the states."""
    of_inputs = layer.input_to_state.get_weights()
    return [*of_inputs, ops.convert_to_numpy(layer.state_to_state)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(gates, cell):
    enter, keep, leave, content = np.split(gates, 4)
    cell = sigmoid(keep + 1) * cell + sigmoid(enter) * np.tanh(content)
    return sigmoid(leave) * np.tanh(cell), cell


def row_lstm(x, kernel, bias, states):
    """One image, pixel by pixel."""
    height, width, _ = x.shape
    columns = kernel.shape[1]
    hidden, cell = np.zeros((2, height + 1, width + 2, FILTERS))  # a row above, and both sides
    for i in range(height):
        for j in range(width):
            gates = bias.copy()
            for k in range(columns):
                left = j + k - (columns - 1)
                if left >= 0:
                    gates = gates + x[i, left] @ kernel[0, k]
            for k in range(3):
                gates = gates + hidden[i, j + k] @ states[k * FILTERS : (k + 1) * FILTERS]
            hidden[i + 1, j + 1], cell[i + 1, j + 1] = lstm(gates, cell[i, j + 1])
    return hidden[1:, 1:-1]


def diagonal_lstm(x, kernel, bias, states):
    """The LSTM from the upper left of one image, pixel by pixel."""
    height, width, _ = x.shape
    hidden, cell = np.zeros(
        (2, height + 1, width + 1, FILTERS)
    )  # a row above, a column to the left
    for i in range(height):
        for j in range(width):
            seen = np.concatenate([hidden[i + 1, j], hidden[i, j + 1]])
            gates = x[i, j] @ kernel + bias + seen @ states
            hidden[i + 1, j + 1], cell[i + 1, j + 1] = lstm(gates, cell[i + 1, j])
    return hidden[1:, 1:]


def diagonal_bilstm(x, kernel, bias, states):
    kernels, biases = np.split(kernel, 2, axis=-1), np.split(bias, 2)
    left = diagonal_lstm(x, kernels[0], biases[0], states[0])
    right = diagonal_lstm(x[:, ::-1], kernels[1], biases[1], states[1])[:, ::-1]
    left[1:] += right[:-1]
    return left


IN_NUMPY = {"row": row_lstm, "diagonal": diagonal_bilstm}


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (6, 3), (1, 5), (4, 1)])
def test_states_are_those_of_a_loop_over_pixels(kind, size):
    layer = MAKE[kind]()
    layer.build((None, *size, CHANNELS))
    layer.set_weights([0.6 * numbers(*w.shape, seed=n) for n, w in enumerate(layer.get_weights())])
    x = numbers(2, *size, CHANNELS, seed=9)
    found = ops.convert_to_numpy(layer(x))
    expected = [IN_NUMPY[kind](image, *weights_of(layer)) for image in x]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def slopes(function, x, outputs):
    """The absolute gradients of outputs `(height, width)` by x, for each output.

    One image of the batch for each output, so that one pass computes all.
    """
    pixels = HEIGHT * WIDTH
    chosen = ops.reshape(ops.eye(pixels), (pixels, HEIGHT, WIDTH, 1))
    repeated = np.repeat(x, pixels, axis=0)
    towards = chosen * ops.convert_to_tensor(numbers(1, 1, 1, outputs, seed=5))
    gradient, _ = _backend.input_gradient(
        lambda x: (ops.sum(function(x) * towards), None), ops.convert_to_tensor(repeated)
    )
    gradient = np.abs(ops.convert_to_numpy(gradient)).max(axis=-1)
    return gradient.reshape(HEIGHT, WIDTH, HEIGHT, WIDTH)


def places():
    """Of each output and each input, `(height, width, height, width)`, the row and column."""
    return np.meshgrid(*map(np.arange, (HEIGHT, WIDTH, HEIGHT, WIDTH)), indexing="ij")


@pytest.mark.parametrize("kind", MAKE)
def test_an_output_sees_the_inputs_in_its_reach_and_no_others(kind):
    found = slopes(layer_of(kind), numbers(1, HEIGHT, WIDTH, CHANNELS), FILTERS)
    i, j, row, column = places()
    above = i - row
    if kind == "row":
        expected = (above >= 0) & (column >= j - 1 - above) & (column <= j + above)
    else:
        expected = (above > 0) | ((above == 0) & (column <= j))
    assert not found[~expected].any()
    assert (found[expected] > 0).all()


@pytest.mark.parametrize("kind", MAKE)
def test_a_network_sees_the_pixels_before_its_own_and_no_others(kind):
    network = kgan.networks.pixel_rnn(
        (HEIGHT, WIDTH, 2), likelihood=kgan.likelihoods.Categorical(3), width=4, kind=kind,
        first_kernel_size=(1, 3),
    ).network  # fmt: skip
    features = next(layer for layer in reversed(network.layers) if layer.name.startswith("add"))
    until_head = keras.Model(network.input, features.output)
    weights = [0.6 * numbers(*w.shape, seed=n) for n, w in enumerate(until_head.get_weights())]
    until_head.set_weights(weights)
    found = slopes(until_head, numbers(1, HEIGHT, WIDTH, 2), 4)
    i, j, row, column = places()
    above = i - row
    expected = (above > 0) | ((above == 0) & (column < j))
    if kind == "row":  # the triangle of two LSTMs, whose inputs see a pixel to each side
        expected &= column <= j + above
        expected &= column >= j - above - 2 * 2 - 1
    assert not found[~expected].any()
    assert (found[expected] > 0).all()


@pytest.mark.parametrize("kind", MAKE)
def test_the_weights_have_gradients(kind):
    inputs = keras.Input((HEIGHT, WIDTH, CHANNELS))
    layer = MAKE[kind]()
    model = keras.Model(inputs, layer(inputs))
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    x = numbers(4, HEIGHT, WIDTH, CHANNELS)
    loss = model.train_on_batch(x, numbers(4, HEIGHT, WIDTH, FILTERS, seed=1))
    assert np.isfinite(loss)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.isfinite(new).all()
        assert (old != new).any()


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_pixel_at_a_time_gives_the_same_outputs(kind, policy):
    layer = layer_of(kind, dtype=policy)
    x = ops.convert_to_tensor(numbers(2, HEIGHT, WIDTH, CHANNELS, seed=9))
    expected = ops.convert_to_numpy(ops.cast(layer(x), "float32"))
    state = layer.initial_state(x, HEIGHT, WIDTH, CHANNELS)
    found = np.zeros_like(expected)
    for i in range(HEIGHT):
        state = layer.start_row(state)
        for j in range(WIDTH):
            place = ops.convert_to_tensor(i * WIDTH + j)
            y, state = layer.step(state, x[:, i : i + 1, j : j + 1], place)
            assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
            found[:, i, j] = ops.convert_to_numpy(ops.cast(y, "float32"))[:, 0, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5 if policy == "float32" else 2e-2)


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize(
    ("shape", "likelihood", "num_classes"),
    [((4, 5, 1), "bernoulli", None), ((3, 4, 2), kgan.likelihoods.Categorical(3), 3)],
)
def test_cached_and_naive_samples_are_equal(kind, shape, likelihood, num_classes):
    networks = kgan.networks.pixel_rnn(shape, num_classes, likelihood, width=4, kind=kind)
    weights = networks.network.get_weights()
    networks.network.set_weights([0.5 * numbers(*w.shape, seed=n) for n, w in enumerate(weights)])
    model = kgan.PixelRNN(*networks, likelihood=likelihood)
    cached, naive = (
        model.generate(12, seed=3, temperature=0.8, cached=cached) for cached in (True, False)
    )
    np.testing.assert_array_equal(cached, naive)
    assert len(np.unique(cached)) == model.levels


@pytest.mark.backend_free
def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"filters.*Received: filters=0"):
        layers.DiagonalBiLSTM(0)
    with pytest.raises(ValueError, match="kernel_size=0"):
        layers.RowLSTM(2, kernel_size=0)
    with pytest.raises(ValueError, match="fixed height and width"):
        layers.DiagonalBiLSTM(2).build((None, None, 3, 1))
    with pytest.raises(ValueError, match="kind='column'"):
        kgan.networks.pixel_rnn(kind="column")
    with pytest.raises(ValueError, match="width=5"):
        kgan.networks.pixel_rnn(width=5)
