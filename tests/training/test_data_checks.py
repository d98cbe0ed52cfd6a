"""Data and networks are validated before any training."""

import keras
import numpy as np
import pytest

import kgan
from kgan.training import data_checks


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
        [keras.layers.Dense(1, activation="sigmoid"), keras.layers.Activation("linear")],
        [keras.layers.Dense(1, activation="sigmoid"), keras.layers.Reshape((1,))],
        [discriminator_ending_in(keras.layers.Dense(1, activation="sigmoid"))],
    ],
    ids=["dense", "activation", "softmax", "softmax_layer", "cast", "reshaped", "nested"],
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


def test_networks_that_share_a_layer():
    shared = keras.layers.Embedding(3, 6, name="of_both")
    latents, label = keras.Input((6,)), keras.Input((), dtype="int32")
    images = keras.layers.Dense(64, activation="tanh")(latents + shared(label))
    generator = keras.Model([latents, label], keras.layers.Reshape((8, 8, 1))(images))
    images, label = keras.Input((8, 8, 1)), keras.Input((), dtype="int32")
    both = keras.layers.Concatenate()([keras.layers.Flatten()(images), shared(label)])
    discriminator = keras.Model([images, label], keras.layers.Dense(1)(both))
    with pytest.raises(ValueError, match=r"share \['of_both/embeddings'\]"):
        kgan.GAN(generator, discriminator)


@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_a_network_that_is_frozen(dataset, role):
    generator, discriminator = small_networks()
    gan = kgan.GAN(generator, discriminator)
    getattr(gan, role).trainable = False
    gan.compile()
    with pytest.raises(ValueError, match=f"{role}.trainable = True` and compile again"):
        gan.fit(dataset, verbose=0)
    getattr(gan, role).trainable = True
    gan.compile()
    gan.fit(dataset, verbose=0)


def test_layers_frozen_or_unfrozen_since(make_gan, dataset):
    gan = make_gan("mlp")
    layer = next(layer for layer in gan.generator.layers if layer.weights)
    for is_trainable in (False, True):
        layer.trainable = is_trainable
        with pytest.raises(ValueError, match="frozen or unfrozen, compile again"):
            gan.fit(dataset, verbose=0)
        with pytest.raises(ValueError, match="frozen or unfrozen, compile again"):
            gan.train_on_batch(dataset.batch(0, 0))
        gan.compile()
        before = [keras.ops.convert_to_numpy(v) for v in layer.variables]
        gan.fit(dataset, verbose=0)
        for a, b in zip(before, layer.variables, strict=True):
            assert np.array_equal(a, keras.ops.convert_to_numpy(b)) is not is_trainable


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


def test_num_classes_is_read_off_the_networks():
    assert kgan.GAN(*small_networks(num_classes=3)).num_classes == 3
    assert kgan.GAN(*small_networks()).num_classes is None


def test_num_classes_may_be_fewer_than_are_embedded():
    assert kgan.GAN(*small_networks(num_classes=4), num_classes=3).num_classes == 3
    with pytest.raises(ValueError, match="at most 4 classes"):
        kgan.GAN(*small_networks(num_classes=4), num_classes=5)


def test_num_classes_that_contradict_each_other():
    generator, _ = small_networks(num_classes=10)
    _, discriminator = small_networks(num_classes=3)
    with pytest.raises(ValueError, match="10 in the generator and 3 in the discriminator"):
        kgan.GAN(generator, discriminator)


def test_num_classes_of_unconditional_networks():
    with pytest.raises(ValueError, match="unconditional networks and num_classes=3"):
        kgan.GAN(*small_networks(), num_classes=3)


def images_from(latent, label):
    joined = keras.layers.Concatenate()([latent, keras.layers.Rescaling(1.0)(label)])
    return keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64)(joined))


@pytest.mark.parametrize("number", [0, 2.5, "3"])
def test_a_number_of_classes_that_is_none(number):
    with pytest.raises(ValueError, match="num_classes"):
        kgan.GAN(*small_networks(num_classes=3), num_classes=number)


def test_labels_first_or_one_hot():
    latent = keras.Input((4,), name="latent")
    label = keras.Input((1,), dtype="int32", name="of_class")
    images = images_from(latent, label)
    _, discriminator = small_networks(num_classes=3)
    with pytest.raises(ValueError, match="latent or image comes first"):
        kgan.GAN(keras.Model([label, latent], images), discriminator)
    first = keras.Input((1,), dtype="int32", name="a_label")
    by_name = keras.Model({"a_label": first, "latent": latent}, images_from(latent, first))
    with pytest.raises(ValueError, match="in the order of their names"):
        kgan.GAN(by_name, discriminator)
    gan = kgan.GAN(keras.Model({"latent": latent, "of_class": label}, images), discriminator)
    assert gan.generate(3, labels=[0, 1, 2]).shape == (3, 8, 8, 1)


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
    with pytest.raises(ValueError, match=r"build it with num_classes=\.\.\., for example GAN"):
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
    data = kgan.data.ImageDataset(images, labels + 1, batch_size=16, num_classes=4)
    refuses(gan, data, match="labels from 1 to 3")
    refuses(gan, data[0][0], np.full(16, 3), match="labels from 3 to 3")


def test_labels_of_stacked_images_out_of_range(images, labels):
    # Each channel's labels are classes of the GAN, but the numbers that they make are not.
    data = kgan.data.StackedImageDataset(images, labels, batch_size=16, seed=0)
    gan = kgan.GAN(*small_networks(num_classes=3, shape=(8, 8, 3)))
    gan.compile()
    refuses(gan, data, match="from 0 to 2.*Received: labels from")


@pytest.mark.parametrize("batch_size", [5, 16])
def test_batch_that_discriminator_steps_does_not_divide(make_gan, images, batch_size):
    gan = make_gan(discriminator_steps=3)
    data = kgan.data.ImageDataset(images, batch_size=batch_size)
    refuses(gan, data, match=f"batch of {batch_size}")
    refuses(gan, data[0], batch_size=batch_size, match="multiple")


def test_labels_of_held_out_images_may_be_a_list(make_gan, images, labels):
    gan = make_gan("mlp", num_classes=3)
    x = images[:32, ..., None].astype("float32") / 127.5 - 1
    found = [
        gan.fit(x, kind(labels[:32]), validation_data=(x, kind(labels[:32])), verbose=0).history
        for kind in (list, tuple)
    ]
    assert all(np.isfinite(history["val_generator_loss"][0]) for history in found)


def test_last_batch_that_discriminator_steps_does_not_divide(make_gan, images):
    gan = make_gan(discriminator_steps=4)
    # Wherever in an epoch a pass ends.
    for steps in (None, 3, 1):
        data = kgan.data.ImageDataset(
            images[:18], batch_size=16, drop_remainder=False, steps_per_epoch=steps
        )
        refuses(gan, data, match="batch of 2")
    refuses(gan, np.zeros((18, 8, 8, 1), "float32"), batch_size=16, match="batch of 2")


def test_images_of_another_shape_or_type(make_gan):
    gan = make_gan()
    refuses(gan, np.zeros((16, 9, 8, 1), "float32"), match=r"\(batch, 9, 8, 1\)")
    refuses(gan, np.zeros((16, 8, 8), "float32"), match=r"\(batch, 8, 8, 1\)")
    refuses(gan, np.zeros((16, 8, 8, 1), "uint8"), match="ImageDataset")


def test_integer_batches(make_gan, images):
    data = kgan.data.ImageDataset(images, batch_size=16, dtype="uint8")
    match = r"floats in \[-1, 1\]. Received: dtype uint8.*ImageDataset\(images, dtype='float32'\)"
    refuses(make_gan(), data, match=match)
    vae = kgan.VAE(*kgan.networks.dense_vae((8, 8, 1), latent_dim=4, width=8, blocks=1))
    vae.compile()
    refuses(vae, data, match=match)


def test_a_tensorflow_dataset_is_checked_by_its_spec(make_gan):
    tf = pytest.importorskip("tensorflow")
    x = np.zeros((32, 8, 8, 1), "float32")
    plain = tf.data.Dataset.from_tensor_slices(x)
    refuses(make_gan(num_classes=3), plain.batch(16), match="without labels")
    refuses(make_gan(), plain.batch(4).batch(4), match="shape")
    odd = make_gan(discriminator_steps=3)
    refuses(odd, plain.batch(16, drop_remainder=True), match="batch of 16")
    even = plain.batch(16, drop_remainder=True)
    assert make_gan(discriminator_steps=2).fit(even, verbose=0).history


@pytest.mark.parametrize("wrong", [-1, 3])
def test_labels_in_a_tensorflow_dataset_are_checked_as_they_come(make_gan, wrong):
    tf = pytest.importorskip("tensorflow")
    gan = make_gan(num_classes=3)
    labels = np.arange(32) % 3

    def dataset():
        return tf.data.Dataset.from_tensor_slices((np.zeros((32, 8, 8, 1), "float32"), labels))

    right = dataset().batch(16)
    assert gan.fit(right, validation_data=right, verbose=0).history
    labels[20] = wrong
    for use in (gan.fit, gan.evaluate):
        with pytest.raises(tf.errors.InvalidArgumentError, match="the classes that the model"):
            use(dataset().batch(16), verbose=0)


def test_validation_data_are_checked_too(make_gan, images, labels):
    gan = make_gan(num_classes=3)
    train = kgan.data.ImageDataset(images, labels, batch_size=16)
    without = kgan.data.ImageDataset(images, batch_size=16)
    refuses(gan, train, validation_data=without, match="images without labels")
    wrong = (without[0], np.full(16, 3))
    refuses(gan, train, validation_data=wrong, match="labels from 3 to 3")


def test_validation_split_is_taken_off_before_batches_are_counted(make_gan):
    gan = make_gan(discriminator_steps=2)
    x = np.zeros((80, 8, 8, 1), "float32")
    refuses(gan, x, batch_size=16, validation_split=0.1125, match="batch of 7")
    assert gan.fit(x[:42], batch_size=16, validation_split=0.22, verbose=0).history
    packs = kgan.GAN(*kgan.networks.mlp((8, 8, 1), latent_dim=4, width=4, pack=2), pack=2)
    packs.compile()
    refuses(packs, x[:61], batch_size=24, validation_split=0.2131, match="batch of 13")
    x = x[:60]
    refuses(packs, x, batch_size=24, validation_split=0.2, validation_batch_size=3, match="of 3")


def test_data_of_other_kinds(make_gan, labels):
    tf = pytest.importorskip("tensorflow")
    x = np.zeros((16, 8, 8, 1), "float32")
    refuses(make_gan(), [x, x], match="Received: a list")
    refuses(make_gan(), {"image": x}, match="Received: a dict")
    features = tf.data.Dataset.from_tensor_slices({"image": x}).batch(4)
    refuses(make_gan(), features, match="Received: a dict")
    one_hot = np.eye(3)[labels[:16]]
    refuses(make_gan(num_classes=3), x, one_hot, match="argmax")
    spec = tf.data.Dataset.from_tensor_slices((x, one_hot)).batch(4)
    refuses(make_gan(num_classes=3), spec, match="argmax")
    unknown = make_gan(discriminator_steps=2)
    refuses(unknown, tf.data.Dataset.from_tensor_slices(x).batch(4), match="drop_remainder=True")


def test_one_batch_is_checked_too(make_gan):
    x = np.zeros((6, 8, 8, 1), "float32")
    conditional, split = make_gan(num_classes=3), make_gan(discriminator_steps=2)
    for batch, match in (
        ((x, np.full(6, 3)), "labels from 3 to 3"),
        ((x, np.eye(3)[[0, 1, 2, 0, 1, 2]]), "argmax"),
        ((x,), "images without labels"),
        ((x[:, :4], np.zeros(6)), "Received: shape"),
        ((x.tolist(), np.zeros(6)), "one array"),
    ):
        for call in (conditional.train_on_batch, conditional.test_on_batch):
            with pytest.raises(ValueError, match=match):
                call(*batch)
    with pytest.raises(ValueError, match="batch of 5"):
        split.train_on_batch(x[:5])
    assert np.isfinite(split.test_on_batch(x[:5])).all()  # which is not split


def test_one_batch_with_fewer_labels_than_images(make_gan, images, labels):
    x = images[..., None].astype("float32") / 127.5 - 1
    with pytest.raises(ValueError, match="32 images and 20 labels"):
        make_gan(num_classes=3).train_on_batch(x[:32], labels[:20])


def test_a_batch_may_be_given_as_datasets_give_it(make_gan, images, labels):
    batch = kgan.data.ImageDataset(images, labels, batch_size=16, seed=0)[0]
    logs = []
    for given in (batch, (batch,), (batch[0], list(batch[1]))):
        keras.utils.set_random_seed(1)
        gan = make_gan("mlp", num_classes=3)
        logs.append(gan.train_on_batch(*given, return_dict=True))
    assert logs[0] == logs[1] == logs[2]


def test_every_batch_of_a_generator_is_checked(make_gan):
    x, right = np.zeros((4, 8, 8, 1), "float32"), np.zeros(4, "int32")

    def fit(gan, *batches):
        gan.fit((batch for batch in batches), verbose=0)

    for gan, last, match in (
        (make_gan(num_classes=3), (x, right + 3), "labels from 3 to 3"),
        (make_gan(discriminator_steps=2), (x[:3],), "batch of 3"),
    ):
        # TensorFlow makes an error of its own of one in a generator, with the same words.
        with pytest.raises(Exception, match=match):
            fit(gan, (x, right), (x, right), last)


@pytest.mark.parametrize(
    ("activation", "images"),
    [("tanh", np.linspace(0, 255, 64)), ("sigmoid", np.linspace(-1, 1, 64))],
)
def test_images_that_no_generator_of_that_range_makes(activation, images):
    generator = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(64, activation=activation),
            keras.layers.Reshape((8, 8, 1)),
        ]
    )
    gan = kgan.GAN(generator, discriminator_ending_in(keras.layers.Dense(1)))
    gan.compile()
    x = np.tile(images.reshape(1, 8, 8, 1), (32, 1, 1, 1)).astype("float32")
    refuses(gan, x, match=f"ends in '{activation}'.*Received: values from {images[0]:g} to")
    assert gan.fit(x / 127.5 - 1 if activation == "tanh" else (x + 1) / 2, verbose=0).history
    if activation == "tanh":
        with pytest.warns(kgan.training.DataRangeWarning, match=r"from 0 to 1.*images \* 2 - 1"):
            gan.fit(x / 255, verbose=0)


@pytest.mark.parametrize("activation", ["tanh", None])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_that_are_not_finite(activation, value):
    generator = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(64),
            keras.layers.Activation(activation),
            keras.layers.Reshape((8, 8, 1)),
        ]
    )
    gan = kgan.GAN(generator, small_networks()[1])
    gan.compile()
    images = np.zeros((8, 8, 8, 1), "float32")
    images[3, 2, 1] = value
    with pytest.raises(ValueError, match="finite"):
        gan.fit(images, verbose=0)


def test_weights_of_images_and_classes_are_refused_wherever_they_are_given(make_gan, labels):
    gan, x, w = make_gan(), np.zeros((16, 8, 8, 1), "float32"), np.ones(16)
    for call in (
        lambda: gan.fit(x, sample_weight=w),
        lambda: gan.fit(x, class_weight={0: 1.0}),
        lambda: gan.fit(x, validation_data=(x, labels[:16], w)),
        lambda: gan.evaluate(x, sample_weight=w),
        lambda: gan.train_on_batch(x, None, w),
        lambda: gan.train_on_batch(x, class_weight={0: 1.0}),
        lambda: gan.test_on_batch(x, None, w),
    ):
        with pytest.raises(TypeError, match=r"weigh all images alike.*_weight"):
            call()


def test_held_out_batches_are_those_that_keras_makes():
    networks = kgan.networks.mlp((8, 8, 1), latent_dim=4, width=4, pack=3)
    gan = kgan.GAN(*networks, pack=3)
    gan.compile()
    x = np.zeros((48, 8, 8, 1), "float32")
    assert gan.fit(x, batch_size=24, validation_data=x, verbose=0).history
    refuses(gan, x, batch_size=24, validation_data=x, validation_batch_size=20, match="of (20|8)")


def test_a_dataset_of_ones_own_may_call_its_attributes_as_it_likes(make_gan):
    class Own(keras.utils.PyDataset):
        batch, labels = 8, ["cat", "dog", "hen"]
        epoch = property(lambda self: 7)

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return np.zeros((8, 8, 8, 1), "float32"), np.full(8, index)

    assert make_gan("mlp", num_classes=3).fit(Own(), verbose=0).history


def test_regularizers_of_what_layers_give_are_refused():
    generator, _ = small_networks()
    layer = keras.layers.Dense(1, activity_regularizer="l2")
    with pytest.raises(ValueError, match=r"discriminator's layer .* activity_regularizer"):
        kgan.GAN(generator, discriminator_ending_in(layer))


def test_a_file_of_the_old_format_is_refused(make_gan, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \"\.keras\""):
        make_gan("mlp").save(tmp_path / "gan.h5")
    assert not list(tmp_path.iterdir())


def test_check_labels_takes_whole_floats():
    data_checks.check_labels(np.array([0.0, 2.0]), 3)
    with pytest.raises(ValueError, match="dtype float64"):
        data_checks.check_labels(np.array([0.0, 0.5]), 3)
    with pytest.raises(ValueError, match="labels from -7 to 0"):
        data_checks.check_labels(np.array([0, -7]), None)
