"""The likelihood of images with a probability for each level."""

import keras
import numpy as np
from keras import ops

from kgan._typing import Tensor
from kgan.likelihoods.likelihood import DiscreteLikelihood
from kgan.likelihoods.logistic import chosen


@keras.saving.register_keras_serializable(package="kgan")
class Categorical(DiscreteLikelihood):
    """Likelihood of images of a few levels: a logit for each level of each value.

    It knows nothing of the order of the levels, so it also fits codes and characters. For 256
    levels it needs many outputs; a mixture of discretised logistics is cheaper to learn.

    The outputs are the logit of the lowest level of each channel, then that of the next level.

    Args:
        levels: Integer of at least 2, see `DiscreteLikelihood`.
        name: String, see `Likelihood`.

    Example:
    ```python
    likelihood = kgan.likelihoods.Categorical(levels=4)
    images = likelihood.value_of(np.random.randint(4, size=(8, 28, 28, 1)))
    nats = -likelihood.log_prob(images, np.zeros((8, 28, 28, 4)))
    assert np.allclose(nats, 28 * 28 * np.log(4))
    ```

    Reference:
        [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759).
    """

    def outputs_per_channel(self) -> int:
        """Returns the number of levels."""
        return self.levels

    def log_prob_of_values(self, images: Tensor, outputs: Tensor) -> Tensor:
        """Computes the log probability of each value, see `DiscreteLikelihood`."""
        images, _ = self._float32(images, outputs)
        logits = ops.moveaxis(self._logits(outputs), -2, -1)
        return -ops.sparse_categorical_crossentropy(self.level_of(images), logits, from_logits=True)

    def mean(self, outputs: Tensor) -> Tensor:
        """Computes the expected images, in [-1, 1]."""
        values = np.linspace(-1.0, 1.0, self.levels, dtype="float32")[:, None]
        weights = ops.softmax(self._logits(outputs), axis=-2)
        return ops.sum(weights * ops.convert_to_tensor(values), axis=-2)

    def draw(self, outputs: Tensor, numbers: Tensor) -> Tensor:
        """Draws images, each value at one of the levels."""
        is_chosen = chosen(ops.log_softmax(self._logits(outputs), axis=-2), numbers)
        places = ops.reshape(ops.arange(self.levels, dtype="float32"), (-1, 1))
        return self.value_of(ops.sum(is_chosen * places, axis=-2))

    def tempered(self, outputs: Tensor, temperature: Tensor) -> Tensor:
        """Divides the logits by the temperature."""
        return ops.cast(outputs, "float32") / temperature

    def _logits(self, outputs: Tensor) -> Tensor:
        """Logits `(..., levels, channels)`, float32."""
        self._split(outputs)  # checks the number of outputs
        shape = (*ops.shape(outputs)[:-1], self.levels, outputs.shape[-1] // self.levels)
        return ops.reshape(ops.cast(outputs, "float32"), shape)
