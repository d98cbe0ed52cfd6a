"""The autoregressive model of images with recurrent networks."""

import keras

from kgan.models.pixel_cnn import PixelCNN


@keras.saving.register_keras_serializable(package="kgan")
class PixelRNN(PixelCNN):
    """An autoregressive model of images whose network is recurrent.

    It is a `kgan.PixelCNN` with another network: LSTMs carry what a pixel sees over the rows or the
    diagonals of the image, so that few layers see far. Training, logs, sampling, completion and the
    exact log probability are the same. LSTMs compute one row or diagonal after the other, so a step
    takes longer than that of convolutions of the same width.

    Args:
        network: As for `kgan.PixelCNN`. `kgan.networks.pixel_rnn` makes one.
        likelihood: As for `kgan.PixelCNN`.
        num_classes: As for `kgan.PixelCNN`.
        seed: Integer, starts the noise of training. Defaults to a random one.
        name: String.

    Raises:
        ValueError: The network does not fit the likelihood, or sees the pixels that it predicts.

    Example:
    ```python
    train = kgan.data.load_mnist("train", binarize="dynamic")
    networks = kgan.networks.pixel_rnn((28, 28, 1), width=8, layers=1, kind="row")
    pixel_rnn = kgan.PixelRNN(*networks)
    pixel_rnn.compile(keras.optimizers.Adam(2e-3, clipnorm=1.0), ema_decay=0.999)
    pixel_rnn.fit(train, epochs=1)
    images = pixel_rnn.generate(4, seed=1)
    nats = -pixel_rnn.log_prob(images)
    ```

    Reference:
        [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759).
    """
