"""What is wrong is said before any training, in words."""

import keras
import numpy as np
import pytest

import kgan
from kgan.models import checks


def small_networks(num_classes=None, shape=(8, 8, 1)):
    return kgan.networks.mlp(shape, latent_dim=4, num_classes=num_classes, width=4)


def discriminator_ending_in(*ending):
    first = [keras.Input((8, 8, 1)), keras.layers.Flatten()]
    return keras.Sequential([*first, *ending])


@pytest.mark.parametrize(
    "ending",
    [
        [keras.layers.Dense(1, activation="sigmoid")],
        [keras.layers.Dense(1), keras.layers.Activation("sigmoid")],
        [keras.layers.Dense(2, activation="softmax")],
        [keras.layers.Dense(2), keras.layers.Softmax()],
        [discriminator_ending_in(keras.layers.Dense(1, activation="sigmoid"))],
    ],
    ids=["dense", "activation", "softmax", "softmax_layer", "nested"],
)
def test_discriminator_that_ends_in_a_probability(ending):
    generator, _ = small_networks()
    if isinstance(ending[0], keras.Sequential):
        discriminator = keras.Sequential([keras.Input((8, 8, 1)), *ending])
    else:
        discriminator = discriminator_ending_in(*ending)
    with pytest.raises(ValueError, match="gives logits"):
        kgan.GAN(generator, discriminator)


def test_discriminator_may_use_a_sigmoid_inside():
    generator, _ = small_networks()
    inside = discriminator_ending_in(
        keras.layers.Dense(3, activation="sigmoid"), keras.layers.Dense(1)
    )
    assert kgan.GAN(generator, inside).image_shape == (8, 8, 1)


def test_networks_that_do_not_fit():
    generator, _ = small_networks(shape=(8, 8, 3))
    _, discriminator = small_networks()
    with pytest.raises(ValueError, match=r"\(batch, 8, 8, 1\).*\(batch, 8, 8, 3\)"):
        kgan.GAN(generator, discriminator)


def test_networks_swapped():
    generator, discriminator = small_networks()
    with pytest.raises(ValueError, match="swapped"):
        kgan.GAN(discriminator, generator)


def test_one_network_conditional_the_other_not():
    generator, _ = small_networks(num_classes=3)
    _, discriminator = small_networks()
    with pytest.raises(ValueError, match="2 generator inputs and 1 discriminator inputs"):
        kgan.GAN(generator, discriminator)


def test_networks_that_do_not_know_their_inputs():
    _, discriminator = small_networks()
    with pytest.raises(ValueError, match=r"keras\.Input"):
        kgan.GAN(keras.Sequential([keras.layers.Dense(4)]), discriminator)
    with pytest.raises(ValueError, match=r"Expected `generator` to be a keras\.Model"):
        kgan.GAN("dcgan", discriminator)


def test_num_classes_is_read_off_the_generator_and_contradictions_are_refused():
    networks = small_networks(num_classes=3)
    assert kgan.GAN(*networks).num_classes == 3
    with pytest.raises(ValueError, match="num_classes=3"):
        kgan.GAN(*networks, num_classes=4)


def one_hot_gan(num_classes=None):
    """A conditional GAN in which no layer tells the number of classes."""
    latent, image = keras.Input((4,)), keras.Input((8, 8, 1))
    label = [keras.Input((), dtype="int32") for _ in range(2)]
    lifted = [keras.layers.Rescaling(1.0)(keras.ops.expand_dims(la, -1)) for la in label]
    hidden = keras.layers.Concatenate()([latent, lifted[0]])
    generator = keras.Model(
        [latent, label[0]], keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64)(hidden))
    )
    seen = keras.layers.Concatenate()([keras.layers.Flatten()(image), lifted[1]])
    discriminator = keras.Model([image, label[1]], keras.layers.Dense(1)(seen))
    return kgan.GAN(generator, discriminator, num_classes=num_classes)


def test_num_classes_that_cannot_be_told():
    with pytest.raises(ValueError, match=r"num_classes to GAN"):
        one_hot_gan().generate(3)
    assert one_hot_gan(num_classes=3).generate(3).shape == (3, 8, 8, 1)


class Untouched(keras.callbacks.Callback):
    """Fails the test if training begins."""

    def on_train_begin(self, logs=None):
        raise AssertionError("training began")


def refuses(gan, x, y=None, match="", **options):
    with pytest.raises(ValueError, match=match):
        gan.fit(x, y, verbose=0, callbacks=[Untouched()], **options)


def test_labels_missing(make_gan, images):
    gan = make_gan(num_classes=3)
    without = kgan.data.ImageDataset(images, batch_size=16)
    refuses(gan, without, match="images without labels")
    refuses(gan, without[0], match="images without labels")


def test_labels_out_of_range(make_gan, images, labels):
    gan = make_gan(num_classes=3)
    data = kgan.data.ImageDataset(images, labels + 1, batch_size=16)
    refuses(gan, data, match="labels from 1 to 3")
    refuses(gan, data[0][0], np.full(16, 3), match="labels from 3 to 3")


@pytest.mark.parametrize("batch_size", [5, 16])
def test_batch_that_discriminator_steps_does_not_divide(make_gan, images, batch_size):
    gan = make_gan(discriminator_steps=3)
    data = kgan.data.ImageDataset(images, batch_size=batch_size)
    refuses(gan, data, match=f"batch of {batch_size}")
    refuses(gan, data[0], batch_size=batch_size, match="multiple")


def test_last_batch_that_discriminator_steps_does_not_divide(make_gan, images):
    gan = make_gan(discriminator_steps=4)
    data = kgan.data.ImageDataset(images[:18], batch_size=16, drop_remainder=False)
    refuses(gan, data, match="batch of 2")
    refuses(gan, np.zeros((18, 8, 8, 1), "float32"), batch_size=16, match="batch of 2")


def test_images_of_another_shape_or_type(make_gan):
    gan = make_gan()
    refuses(gan, np.zeros((16, 9, 8, 1), "float32"), match=r"\(batch, 9, 8, 1\)")
    refuses(gan, np.zeros((16, 8, 8), "float32"), match=r"\(batch, 8, 8, 1\)")
    refuses(gan, np.zeros((16, 8, 8, 1), "uint8"), match="ImageDataset")


def test_a_tensorflow_dataset_is_checked_by_its_spec(make_gan):
    tf = pytest.importorskip("tensorflow")
    x = np.zeros((32, 8, 8, 1), "float32")
    plain = tf.data.Dataset.from_tensor_slices(x)
    refuses(make_gan(num_classes=3), plain.batch(16), match="without labels")
    refuses(make_gan(), plain.batch(4).batch(4), match="shape")
    odd = make_gan(discriminator_steps=3)
    refuses(odd, plain.batch(16, drop_remainder=True), match="batch of 16")
    assert make_gan(discriminator_steps=2).fit(plain.batch(16), verbose=0).history


def test_check_labels_takes_whole_floats():
    checks.check_labels(np.array([0.0, 2.0]), 3)
    with pytest.raises(ValueError, match="dtype float64"):
        checks.check_labels(np.array([0.0, 0.5]), 3)
