"""Models and datasets are freed once nobody uses them, after all that they can do."""

import gc
import weakref

import numpy as np
import pytest

import kgan
from kgan._backend.keras_internals import untrack


@pytest.fixture
def released():
    """Says which of some objects are still there once the test's own names for them are gone."""

    def survivors(references):
        gc.collect()
        return [name for name, reference in references.items() if reference() is not None]

    return survivors


def use(gan, dataset, way):
    if way == "fit":
        gan.fit(dataset, epochs=2, validation_data=dataset, verbose=0)
    elif way == "parallel":
        dataset.workers = 2
        gan.fit(dataset, epochs=1, verbose=0)
    elif way == "resume":
        gan.fit(dataset, epochs=1, verbose=0)
        gan.fit(dataset, epochs=2, initial_epoch=1, verbose=0)
    elif way == "batch":
        gan.train_on_batch(dataset.batch(0, 0))
        gan.test_on_batch(dataset.batch(0, 0))
    elif way == "predict":
        gan.generate(4)
        gan.interpolate(2, steps=3)
        gan.predict(np.zeros((2, 4), "float32"), verbose=0)
    else:
        gan.evaluate(dataset, verbose=0)


@pytest.mark.parametrize("way", ["fit", "parallel", "resume", "batch", "predict", "evaluate"])
def test_a_gan_and_its_data_are_freed(make_gan, images, released, way):
    gan = make_gan("mlp", ema_decay=0.9, penalties="r1")
    dataset = kgan.data.ImageDataset(images, batch_size=16, seed=5)
    use(gan, dataset, way)
    references = {
        "gan": weakref.ref(gan),
        "generator": weakref.ref(gan.generator),
        "optimizer": weakref.ref(gan.optimizer),
        "dataset": weakref.ref(dataset),
    }
    del gan, dataset
    assert released(references) == []


def test_a_network_that_was_replaced_is_freed(make_gan, dataset, released):
    gan = make_gan("mlp")
    gan.fit(dataset, epochs=1, verbose=0)
    gan.generate(2)
    references = {"old": weakref.ref(gan.generator)}
    untrack(gan, gan.generator)
    gan.generator = make_gan("mlp").generator
    gan.compile()
    gan.generate(2)
    gan.fit(dataset, epochs=1, verbose=0)
    assert released(references) == []
