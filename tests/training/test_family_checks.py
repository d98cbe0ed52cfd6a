"""A mistake in the declarations of a family is reported when its class is made."""

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan.training import GenerativeModel


class Fitted(GenerativeModel):
    """A network that learns its inputs, with an objective that tests replace."""

    networks = ("network",)
    roles = {"model": ("network",)}  # noqa: RUF012

    def __init__(self, network, role="model", objective=None, **options):
        super().__init__(**options)
        self.network, self.role, self.objective = network, role, objective

    def get_config(self):
        raise NotImplementedError

    def training_step(self, batch):
        def objective():
            error = ops.square(self.run(self.network, [batch.images], True) - batch.images)
            return self.objective(error)

        return self.record(batch, loss=self.minimize(self.role, objective).loss)

    def evaluation_step(self, batch):
        return self.record(batch)

    def log_names(self):
        return ["loss"]

    def batch_spec(self, training):
        del training
        return kgan.training.BatchSpec(self.network.inputs[0].shape, "network", (-1.0, 1.0))


def train(**options):
    network = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Dense(1)])
    model = Fitted(network, **options)
    model.built = True
    model.compile(run_eagerly=True)
    return model.train_on_batch(np.zeros((4, 2, 2, 1), "float32"))


@pytest.mark.backend_free
def test_a_private_name_of_the_engine():
    with pytest.raises(TypeError, match=r"its own names\. Received: _checked, private"):

        class Mine(GenerativeModel):
            def _checked(self):
                pass


@pytest.mark.backend_free
def test_declarations_of_unknown_networks():
    with pytest.raises(TypeError, match=r"'decodr'"):

        class Misspelt(GenerativeModel):
            networks = ("decoder",)
            roles = {"model": ("decodr",)}  # noqa: RUF012

    with pytest.raises(TypeError, match=r"Averages.averaged to name.*'encoder'"):

        class Averages(GenerativeModel):
            networks = ("decoder",)
            averaged = ("encoder",)


@pytest.mark.backend_free
def test_an_argument_that_would_not_be_saved():
    with pytest.raises(TypeError, match=r"not saved\. Received also: width"):

        class Loses(GenerativeModel):
            networks = ("decoder",)

            def __init__(self, decoder, width=3, seed=None, name=None):
                super().__init__(seed=seed, name=name)
                self.decoder, self.width = decoder, width


def test_results_of_an_objective():
    assert np.isfinite(train(objective=lambda error: (ops.mean(error), None)))
    with pytest.raises(TypeError, match=r"\(loss, aux\)"):
        train(objective=ops.mean)
    with pytest.raises(ValueError, match=r"scalar.*Received: a tensor of shape \(4, 2, 2, 1\)"):
        train(objective=lambda error: (error, None))
    with pytest.raises(ValueError, match=r"one of \['model'\]. Received: 'modl'"):
        train(role="modl", objective=lambda error: (ops.mean(error), None))
