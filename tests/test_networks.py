"""The shapes, sizes and errors of every network family."""

import keras
import numpy as np
import pytest
from keras import ops

import kgan

# What they are made of is Keras's, or tested in tests/layers; they are trained in tests/models.
pytestmark = pytest.mark.backend_free

FAMILIES = ("biggan", "dcgan", "mlp", "resnet", "sngan")  # of GANs


def layer_sizes(network):
    return [layer.units for layer in network.layers if isinstance(layer, keras.layers.Dense)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_classes", [None, 3])
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (64, 64, 3), (8, 10, 2)])
def test_maps_latents_to_images_to_logits(family, num_classes, shape):
    make = getattr(kgan.networks, family)
    generator, discriminator = make(shape, latent_dim=5, num_classes=num_classes, width=4)
    latents = keras.ops.zeros((6, 5))
    labels = keras.ops.convert_to_tensor(np.arange(6) % 3)
    images = generator(latents if num_classes is None else [latents, labels])
    assert images.shape == (6, *shape)
    logits = discriminator(images if num_classes is None else [images, labels])
    assert logits.shape == (6, 1)
    gan = kgan.GAN(generator, discriminator)
    assert gan.is_conditional == (num_classes is not None)
    assert gan.num_classes == num_classes
    assert gan.image_shape == shape


@pytest.mark.parametrize("family", FAMILIES)
def test_images_are_within_range_and_depend_on_latent_and_label(family):
    make = getattr(kgan.networks, family)
    generator, discriminator = make((28, 28, 1), latent_dim=5, num_classes=3, width=4)
    latents = np.random.default_rng(0).normal(0, 50, (4, 5)).astype("float32")
    images = ops.convert_to_numpy(generator([latents, np.array([0, 0, 1, 2])]))
    assert np.abs(images).max() <= 1.0
    same = np.repeat(latents[:1], 3, axis=0)
    by_label = ops.convert_to_numpy(generator([same, np.array([0, 1, 2])]))
    assert np.ptp(by_label, axis=0).max() > 0
    assert np.ptp(images[:2], axis=0).max() > 0
    one = np.repeat(images[:1], 3, axis=0)
    scores = ops.convert_to_numpy(discriminator([one, np.array([0, 1, 2])]))
    assert np.ptp(scores) > 0


def test_mlp_is_the_courses_first_gan():
    generator, discriminator = kgan.networks.mlp()
    assert generator.input_shape == (None, 100)
    assert layer_sizes(generator) == [256, 512, 1024, 784]
    assert layer_sizes(discriminator) == [1024, 512, 256, 1]
    slopes = {
        layer.negative_slope
        for network in (generator, discriminator)
        for layer in network.layers
        if isinstance(layer, keras.layers.LeakyReLU)
    }
    rates = [la.rate for la in discriminator.layers if isinstance(la, keras.layers.Dropout)]
    assert slopes == {0.2}
    assert rates == [0.3, 0.3, 0.3]
    # 100*256+256 + 256*512+512 + 512*1024+1024 + 1024*784+784
    assert generator.count_params() == 1_486_352


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_shape": (28, 28)}, "height, width, channels"),
        ({"image_shape": 28}, "height, width, channels"),
        ({"image_shape": (28, 0, 1)}, "image_shape"),
        ({"latent_dim": 0}, "latent_dim=0"),
        ({"num_classes": -1}, "num_classes=-1"),
        ({"width": 1.5}, "width=1.5"),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_refuses_impossible_sizes(family, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(kgan.networks, family)(**options)


@pytest.mark.parametrize("shape", [(30, 30, 1), (28, 32, 1), (5, 4, 3), (17, 9, 2)])
def test_dcgan_makes_images_of_any_size(shape):
    generator, discriminator = kgan.networks.dcgan(shape, latent_dim=3, width=2)
    assert kgan.GAN(generator, discriminator).image_shape == shape


def test_dcgan_goes_down_to_maps_of_four_pixels():
    _, discriminator = kgan.networks.dcgan((28, 28, 1))
    convolutions = [la for la in discriminator.layers if isinstance(la, keras.layers.Conv2D)]
    assert [la.output.shape[1:] for la in convolutions] == [
        (14, 14, 64), (7, 7, 128), (4, 4, 256),
    ]  # fmt: skip


def test_dcgan_refuses_images_too_small_to_halve():
    with pytest.raises(ValueError, match="at least 5"):
        kgan.networks.dcgan((4, 4, 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_channels_are_last_whatever_the_default(family):
    keras.config.set_image_data_format("channels_first")
    try:
        networks = getattr(kgan.networks, family)((28, 28, 1), latent_dim=5, width=4)
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format("channels_last")
    gan = kgan.GAN(*networks)
    assert gan.image_shape == (28, 28, 1)
    assert gan.discriminator(gan.generate(2)).shape == (2, 1)


def test_resnet_has_the_blocks_and_groups_that_are_asked_for():
    options = {"width": 4, "blocks": 2, "expansion": 3, "group_width": 6}
    for network in kgan.networks.resnet((8, 8, 1), latent_dim=5, **options):
        convolutions = [la for la in network.layers if isinstance(la, keras.layers.Conv2D)]
        inner = [la for la in convolutions if la.kernel_size == (3, 3)]
        assert sorted(la.filters for la in inner) == [12, 12, 24, 24]  # two stages of two blocks
        assert all(la.kernel.shape[2] == 6 == la.filters // la.groups for la in inner)
        # He's variance, over the root of the number of blocks.
        for layer in inner:
            deviation = np.sqrt(2 / (1 + 0.2**2) / 4**0.5 / (9 * 6))
            np.testing.assert_allclose(np.std(np.array(layer.kernel)), deviation, rtol=0.1)


def test_resnet_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="group_width=12"):
        kgan.networks.resnet(width=16, expansion=2, group_width=12)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_discriminator_of_packs(family):
    make = getattr(kgan.networks, family)
    generator, discriminator = make((8, 8, 3), latent_dim=5, width=4, pack=2)
    assert generator.output_shape == (None, 8, 8, 3)
    assert discriminator.input_shape == (None, 8, 8, 6)
    assert kgan.GAN(generator, discriminator, pack=2).image_shape == (8, 8, 3)


def test_a_discriminator_that_classifies():
    generator, discriminator = kgan.networks.dcgan(
        (8, 8, 1), latent_dim=5, num_classes=3, width=4, classifier=True
    )
    assert [tuple(output.shape) for output in discriminator.outputs] == [(None, 1), (None, 3)]
    gan = kgan.GAN(generator, discriminator)
    assert len(gan.discriminator.outputs) == 2
    assert gan.num_classes == 3
    with pytest.raises(ValueError, match="num_classes for a classifier"):
        kgan.networks.dcgan(classifier=True)


def test_every_block_of_biggan_has_its_own_part_of_the_latent():
    generator, _ = kgan.networks.biggan((16, 16, 1), latent_dim=7, num_classes=3, width=4)
    latents = np.random.default_rng(0).standard_normal((1, 7)).astype("float32")
    image = ops.convert_to_numpy(generator([latents, np.array([0])]))
    # Three chunks: for the first layer, and for the blocks that make maps of 8 and 16.
    for places in (slice(0, 3), slice(3, 5), slice(5, 7)):
        other = latents.copy()
        other[:, places] += 1.0
        changed = ops.convert_to_numpy(generator([other, np.array([0])]))
        assert np.abs(changed - image).max() > 1e-4
    # Only the first chunk reaches the first layer.
    first = next(
        layer for layer in generator.layers if isinstance(layer, kgan.layers.SpectralNormalization)
    )
    assert first.layer.kernel.shape == (3, 4 * 4 * 8)


def test_biggan_attends_at_one_size():
    networks = kgan.networks.biggan((32, 32, 3), width=4, attention_size=16)
    for network in networks:
        (attention,) = [
            layer for layer in network.layers if isinstance(layer, kgan.layers.SelfAttention)
        ]
        assert attention.output.shape[1:3] == (16, 16)
    with pytest.raises(ValueError, match=r"one of \[16, 8, 4\], or None.*attention_size=5"):
        kgan.networks.biggan((32, 32, 3), attention_size=5)


def test_biggan_regularises_the_convolutions_of_its_generator():
    generator, discriminator = kgan.networks.biggan((8, 8, 1), latent_dim=4, width=4, num_classes=2)
    regularised = [weight for weight in generator.weights if weight.regularizer is not None]
    assert len(regularised) == len(generator.losses) == 3
    assert all(len(weight.shape) == 4 for weight in regularised)
    assert discriminator.losses == []
    assert kgan.networks.biggan((8, 8, 1), orthogonal_weight=0).generator.losses == []


def test_biggan_needs_a_latent_for_each_chunk():
    with pytest.raises(ValueError, match=r"at least 4 latents, one for each chunk.*latent_dim=3"):
        kgan.networks.biggan((32, 32, 3), latent_dim=3)


def test_off_diagonal_orthogonal_against_numpy():
    kernel = np.random.default_rng(0).standard_normal((3, 2, 4)).astype("float32")
    matrix = kernel.reshape(6, 4)
    expected = sum((matrix[:, i] @ matrix[:, j]) ** 2 for i in range(4) for j in range(4) if i != j)
    regularizer = kgan.regularizers.OffDiagonalOrthogonal(0.5)
    found = float(ops.convert_to_numpy(regularizer(ops.convert_to_tensor(kernel))))
    np.testing.assert_allclose(found, 0.5 * expected, rtol=1e-5)
    orthogonal = ops.convert_to_tensor(3.0 * np.eye(4, dtype="float32"))
    assert float(ops.convert_to_numpy(regularizer(orthogonal))) == 0.0
    assert kgan.regularizers.OffDiagonalOrthogonal(**regularizer.get_config()).weight == 0.5
    with pytest.raises(ValueError, match="`weight` to be at least 0"):
        kgan.regularizers.OffDiagonalOrthogonal(-1.0)
