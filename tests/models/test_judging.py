"""Other ways for the discriminator to judge: several images at a time, and their classes too."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import kgan
from kgan.models.packing import packed, unpacked


def pack_gan(pack=2, **options):
    """G(z) = 2 z and D(x) = sum of (channel + 1) x, on packs of images of one pixel."""
    latent, image = keras.Input((1,)), keras.Input((1, 1, pack))
    scale = keras.initializers.Constant(2.0)
    made = layers.Dense(1, use_bias=False, kernel_initializer=scale)(latent)
    dense = layers.Dense(1, use_bias=False)
    gan = kgan.GAN(
        keras.Model(latent, layers.Reshape((1, 1, 1))(made)),
        keras.Model(image, dense(layers.Flatten()(image))),
        pack=pack,
        seed=11,
    )
    dense.set_weights([np.arange(1.0, pack + 1).reshape(pack, 1)])
    gan.compile(*[keras.optimizers.SGD(0.0) for _ in range(2)], loss="wasserstein", **options)
    return gan


def test_packs_are_of_images_that_follow_one_another():
    images = np.arange(6 * 2 * 3 * 2.0).reshape(6, 2, 3, 2).astype("float32")
    together = packed(ops.convert_to_tensor(images), 3)
    expected = [np.concatenate(list(images[first : first + 3]), axis=-1) for first in (0, 3)]
    np.testing.assert_array_equal(ops.convert_to_numpy(together), expected)
    np.testing.assert_array_equal(ops.convert_to_numpy(unpacked(together, 3)), images)


def test_the_discriminator_judges_packs():
    real = np.array([1.0, 2.0, 4.0, 7.0], "float32").reshape(4, 1, 1, 1)
    gan = pack_gan(penalties="r1")
    for logs in (
        gan.train_on_batch(real, return_dict=True),
        gan.evaluate(real, batch_size=4, verbose=0, return_dict=True),
    ):
        score = np.mean([1 * 1 + 2 * 2, 1 * 4 + 2 * 7])
        np.testing.assert_allclose(logs["real_score"], score, rtol=1e-6)
    assert "r1" not in logs
    logs = gan.train_on_batch(real, return_dict=True)
    np.testing.assert_allclose(logs["r1"], (1 + 4) / 2, rtol=1e-6)


def test_packs_in_fit_and_in_files(images, tmp_path):
    networks = [kgan.networks.dcgan((8, 8, channels), latent_dim=4, width=4) for channels in (1, 2)]
    gan = kgan.GAN(networks[0][0], networks[1][1], pack=2)
    gan.compile(discriminator_steps=2)
    data = kgan.data.ImageDataset(images, batch_size=16, seed=0)
    assert np.isfinite(gan.fit(data, verbose=0).history["discriminator_loss"]).all()
    gan.save(tmp_path / "gan.keras")
    assert keras.saving.load_model(tmp_path / "gan.keras").pack == 2


def test_batches_that_packs_do_not_divide(images):
    gan = pack_gan(3)
    with pytest.raises(ValueError, match=r"multiple of pack=3.*batch of 4"):
        gan.train_on_batch(np.zeros((4, 1, 1, 1), "float32"))
    gan.compile(discriminator_steps=2)
    data = kgan.data.ImageDataset(images[:, :1, :1], batch_size=16)
    with pytest.raises(ValueError, match="discriminator_steps=2 times pack=3,"):
        gan.fit(data)


@pytest.mark.parametrize(
    ("channels", "num_classes", "message"),
    [(3, None, "channels 2 divides"), (4, None, "2 of which"), (2, 3, "unconditional")],
)
def test_networks_that_do_not_fit_a_pack(channels, num_classes, message):
    generator, _ = kgan.networks.dcgan((8, 8, 1), num_classes=num_classes, width=4)
    _, discriminator = kgan.networks.dcgan((8, 8, channels), num_classes=num_classes, width=4)
    with pytest.raises(ValueError, match=message):
        kgan.GAN(generator, discriminator, pack=2)


# ---- an auxiliary classifier ---------------------------------------------------------------------


def classifying_gan(weight=1.0, rate=0.0):
    """Images of one pixel; the class logits of x are (x, 0, -x)."""
    latent, label, image = keras.Input((1,)), keras.Input((), dtype="int32"), keras.Input((1, 1, 1))
    shift = layers.Embedding(3, 1, embeddings_initializer="zeros")(label)
    generator = keras.Model(
        [latent, label], layers.Reshape((1, 1, 1))(layers.Add()([latent, shift]))
    )
    flat = layers.Flatten()(image)
    classes = layers.Dense(3, use_bias=False)
    one = keras.initializers.Constant(0.5)
    logits = layers.Dense(1, use_bias=False, kernel_initializer=one)(flat)
    gan = kgan.GAN(generator, keras.Model(image, [logits, classes(flat)]), seed=11)
    classes.set_weights([np.array([[1.0, 0.0, -1.0]])])
    optimizers = [keras.optimizers.SGD(rate) for _ in range(2)]
    gan.compile(*optimizers, loss="wasserstein", auxiliary_weight=weight)
    return gan


def cross_entropy(x, labels):
    logits = np.stack([x, 0 * x, -x], axis=-1)
    log_shares = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -np.mean(log_shares[np.arange(len(x)), labels])


def test_classification_counts_in_both_losses():
    real, labels = np.array([1.0, 2.0, -1.0, 0.5]), np.array([0, 2, 1, 0])
    z = np.asarray(keras.random.normal((4, 1), seed=keras.random.SeedGenerator(11)))[:, 0]
    gan = classifying_gan(weight=3.0)
    assert gan.num_classes == 3
    logs = gan.train_on_batch(real.reshape(4, 1, 1, 1).astype("float32"), labels, return_dict=True)
    classification = cross_entropy(real, labels) + cross_entropy(z, labels)
    np.testing.assert_allclose(logs["classification_loss"], classification, rtol=1e-5)
    expected = 0.5 * (z.mean() - real.mean()) + 3.0 * classification
    np.testing.assert_allclose(logs["discriminator_loss"], expected, rtol=1e-5)
    expected = -0.5 * z.mean() + 3.0 * cross_entropy(z, labels)
    np.testing.assert_allclose(logs["generator_loss"], expected, rtol=1e-5)
    found = np.where(z > 0, 0, 2)
    np.testing.assert_allclose(logs["class_accuracy"], np.mean(found == labels), rtol=1e-6)


def test_a_classifier_trains_evaluates_saves_and_generates(tmp_path, images, labels):
    data = kgan.data.ImageDataset(images[:, :1, :1], labels, batch_size=16, seed=0)
    gan = classifying_gan(rate=0.1)
    history = gan.fit(data, verbose=0, validation_data=data).history
    assert {"classification_loss", "val_class_accuracy"} <= set(history)
    gan.compile(penalties=["gradient_penalty", "r1"])
    history = gan.fit(data, epochs=2, initial_epoch=1, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(loaded.generate(3, seed=0), gan.generate(3, seed=0))


def test_classifiers_that_do_not_fit():
    generator, _ = kgan.networks.dcgan((8, 8, 1), latent_dim=4, width=4)
    image = keras.Input((8, 8, 1))
    flat = layers.Flatten()(image)
    discriminator = keras.Model(image, [layers.Dense(1)(flat), layers.Dense(3)(flat)])
    with pytest.raises(ValueError, match="a generator that takes labels"):
        kgan.GAN(generator, discriminator)
    generator, _ = kgan.networks.dcgan((8, 8, 1), latent_dim=4, width=4, num_classes=4)
    with pytest.raises(ValueError, match="same number of classes"):
        kgan.GAN(generator, discriminator)
    softmax = layers.Dense(4, activation="softmax")(flat)
    with pytest.raises(ValueError, match="'softmax'"):
        kgan.GAN(generator, keras.Model(image, [layers.Dense(1)(flat), softmax]))
