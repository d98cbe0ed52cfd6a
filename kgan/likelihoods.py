"""TEMPORARY."""

import keras
from keras import ops


class Likelihood(keras.layers.Layer):
    support = "binary"


@keras.saving.register_keras_serializable(package="kgan")
class Bernoulli(Likelihood):
    support = "binary"

    def __init__(self, name="bernoulli"):
        super().__init__(name=name, dtype="float32")
        self.built = True

    def outputs_per_channel(self):
        return 1

    def log_prob(self, images, outputs, training=False):
        x = (images + 1.0) / 2.0
        return ops.sum(x * outputs - ops.softplus(outputs), axis=(1, 2, 3))

    def mean(self, outputs):
        return ops.tanh(outputs / 2.0)

    def get_config(self):
        return {"name": self.name}


def get(identifier):
    return Bernoulli() if isinstance(identifier, str) else identifier
