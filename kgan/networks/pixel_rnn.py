"""Causal networks of autoregressive models: residual LSTMs over rows or diagonals."""

from collections.abc import Sequence
from typing import Literal

import keras

from kgan import likelihoods
from kgan._typing import Tensor
from kgan.layers import CausalConv2D, DiagonalBiLSTM, RowLSTM
from kgan.networks import autoregressive, conditioning

Kind = Literal["row", "diagonal"]

_KINDS = ("row", "diagonal")


def pixel_rnn(
    image_shape: Sequence[int] = (28, 28, 1),
    num_classes: int | None = None,
    likelihood: str | likelihoods.Likelihood = "bernoulli",
    width: int = 32,
    layers: int = 2,
    kind: Kind = "row",
    kernel_size: int = 3,
    first_kernel_size: Sequence[int] = (3, 7),
    embedding_width: int | None = None,
    dropout: float = 0.0,
) -> autoregressive.AutoregressiveNetwork:
    """The network of a PixelRNN: convolutions that leave the pixel out, then residual LSTMs.

    An LSTM has half of the width, and a 1x1 convolution brings its output back to the width before
    it is added.

    - `"row"`: `kgan.layers.RowLSTM`. It is faster. A pixel sees a triangle of the rows above.
    - `"diagonal"`: `kgan.layers.DiagonalBiLSTM`. A pixel sees all pixels before it. To see the last
      one of the row above, a convolution of that whole row is added to the first ones. In images of
      one row, it is an ordinary LSTM over the sequence.

    Args:
        image_shape: Three integers, `(height, width, channels)`.
        num_classes: Integer, makes the network conditional on a label below it. Defaults to an
            unconditional one.
        likelihood: As for `kgan.PixelRNN`: it decides how many outputs there are for each pixel.
        width: Integer, the channels of the features, an even number.
        layers: Integer, the number of LSTMs.
        kind: `"row"` or `"diagonal"`.
        kernel_size: Integer, the columns of the convolution of the inputs in a row LSTM.
        first_kernel_size: Integers `(rows, columns)` of the first convolution, which sees the
            image, with an odd number of columns.
        embedding_width: Integer, the size of a trained vector for each level in place of its value,
            for levels without an order, such as characters. Defaults to `None`: the value.
        dropout: Float in [0, 1), the share of an LSTM's outputs that training drops.

    Returns:
        `(network,)`, an `AutoregressiveNetwork`.

    Raises:
        ValueError: A size is not an integer of at least 1, the width is odd, the kind is unknown,
            or the likelihood is unknown or not one of finitely many levels.

    Example:
    ```python
    pixel_rnn = kgan.PixelRNN(*kgan.networks.pixel_rnn((28, 28, 1), width=8, layers=1))
    ```

    Reference:
        [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759).
    """
    shape = conditioning.check_sizes(
        image_shape, num_classes=num_classes, width=width, layers=layers, kernel_size=kernel_size
    )
    if kind not in _KINDS:
        raise ValueError(f"Expected `kind` to be one of {_KINDS}. Received: kind={kind!r}.")
    if width % 2:
        raise ValueError(
            f"Expected an even `width`, since an LSTM has half of it. Received: width={width}."
        )
    given = likelihoods.get(likelihood)
    image = keras.Input(shape, name="image")
    label = None if num_classes is None else conditioning.label_input()
    x = autoregressive.embedded(image, given, embedding_width)
    features = _first(x, shape, width, first_kernel_size, kind)
    for _ in range(layers):
        seen = features if label is None else _with_label(features, label, num_classes)
        lstm = RowLSTM(width // 2, kernel_size) if kind == "row" else DiagonalBiLSTM(width // 2)
        seen = lstm(seen)
        if dropout:
            seen = keras.layers.Dropout(dropout)(seen)
        features = keras.layers.Add()([features, keras.layers.Conv2D(width, 1)(seen)])
    return autoregressive.with_head(image, label, features, given, 2 * width)


def _first(
    x: Tensor, shape: tuple[int, int, int], width: int, kernel_size: Sequence[int], kind: Kind
) -> Tensor:
    """The features of the first convolutions, which leave out the pixel itself."""
    height, columns, _ = shape
    _, features = autoregressive.first_stacks(x, height, width, kernel_size)
    if kind == "row" or height == 1:
        return features
    # The last pixel of a row is in no feature of the row itself, so diagonals do not carry it to
    # the left of the row below.
    whole_row = CausalConv2D(width, (1, 2 * columns - 1), "vertical", strict=True)(x)
    return keras.layers.Add()([features, whole_row])


def _with_label(features: Tensor, label: Tensor, num_classes: int | None) -> Tensor:
    """Features to which a trained vector of the label is added."""
    width = features.shape[-1]
    embedding = keras.layers.Embedding(num_classes, width, embeddings_initializer="zeros")(label)
    return keras.layers.Add()([features, keras.layers.Reshape((1, 1, width))(embedding)])
