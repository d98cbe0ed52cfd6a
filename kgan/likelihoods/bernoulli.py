"""The likelihood of binary images."""

import keras
from keras import ops

from kgan._typing import Config, Tensor
from kgan.likelihoods.likelihood import DiscreteLikelihood


@keras.saving.register_keras_serializable(package="kgan")
class Bernoulli(DiscreteLikelihood):
    """Likelihood of binary images; each output is the logit of a value of 1.

    `log p = sum(t log s(l) + (1 - t) log(1 - s(l)))`, with the logits `l`, the sigmoid `s` and
    `t = (image + 1) / 2`, which is 0 or 1.

    Grey values have no probability here. Cross-entropy with grey targets is not a likelihood, so
    models with this likelihood raise an error for grey images: load them with
    `ImageDataset(binarize=...)`.

    Args:
        name: String, see `Likelihood`.

    Example:
    ```python
    likelihood = kgan.likelihoods.Bernoulli()
    images, logits = np.ones((8, 28, 28, 1)), np.zeros((8, 28, 28, 1))
    nats = -likelihood.log_prob(images, logits)
    assert np.allclose(nats, 28 * 28 * np.log(2))
    ```
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(levels=2, name=name)

    def log_prob_of_values(self, images: Tensor, outputs: Tensor) -> Tensor:
        """Computes the log probability of each value, see `DiscreteLikelihood`."""
        images, (logits,) = self._float32(images, outputs)
        # log s(l) = -softplus(-l) and log(1 - s(l)) = -softplus(l), without overflow.
        return -ops.softplus(-images * logits)

    def mean(self, outputs: Tensor) -> Tensor:
        """Computes the expected images, `2 s(logits) - 1`."""
        (logits,) = self._split(outputs)
        return ops.tanh(0.5 * logits)

    def draw(self, outputs: Tensor, numbers: Tensor) -> Tensor:
        """Draws images of -1 and 1."""
        (logits,) = self._split(outputs)
        is_one = ops.cast(numbers, "float32") < ops.sigmoid(logits)
        return 2.0 * ops.cast(is_one, "float32") - 1.0

    def tempered(self, outputs: Tensor, temperature: Tensor) -> Tensor:
        """Divides the logits by the temperature."""
        return ops.cast(outputs, "float32") / temperature

    def get_config(self) -> Config:
        """Returns the constructor's arguments, for saving."""
        return {"name": self.name}
