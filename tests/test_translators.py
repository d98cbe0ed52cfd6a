"""Networks that translate images and judge patches: sizes, receptive fields, no checkerboards."""

import keras
import numpy as np
import pytest
from keras import ops

import kgan

# What they are made of is Keras's, or tested in tests/layers; they are trained in tests/models.
pytestmark = pytest.mark.backend_free

MAKERS = {"unet": kgan.networks.unet, "resnet": kgan.networks.resnet_translator}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (9, 14, 2), (64, 48, 3)])
def test_images_become_images_of_the_same_size_in_range(name, shape):
    network = MAKERS[name](shape, target_channels=3, width=4)
    images = np.random.default_rng(0).normal(0, 100, (2, *shape)).astype("float32")
    translated = ops.convert_to_numpy(network(images))
    assert translated.shape == (2, *shape[:2], 3)
    assert translated.dtype == "float32"
    assert np.abs(translated).max() <= 1.0
    assert np.ptp(translated) > 0


def pattern(name, **options):
    """How much the translation of a constant image changes in its middle, far from the borders."""
    keras.utils.set_random_seed(0)
    network = MAKERS[name]((96, 96, 3), width=4, **options)
    image = np.full((1, 96, 96, 3), 0.3, "float32")
    middle = ops.convert_to_numpy(network(image))[0, 44:52, 44:52]
    return np.ptp(middle, axis=(0, 1)).max()


@pytest.mark.parametrize("normalization", ["instance", None])
@pytest.mark.parametrize(("name", "options"), [("unet", {"depth": 2}), ("resnet", {"blocks": 1})])
def test_no_checkerboards_on_a_constant_image(name, options, normalization):
    options = {**options, "normalization": normalization}
    assert pattern(name, **options) < 1e-5
    assert pattern(name, **options, upsampling="transposed") > 1e-3  # so that the test can fail


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_unet_halves_as_often_as_it_is_asked_to(depth):
    network = kgan.networks.unet((32, 32, 1), width=4, depth=depth)
    strides = [
        layer.strides[0] for layer in network.layers if isinstance(layer, keras.layers.Conv2D)
    ]
    assert strides.count(2) == depth


def test_the_smallest_maps_of_a_unet_have_4_pixels_by_default():
    for size, halvings in ((28, 3), (32, 3), (33, 4), (256, 6), (5, 1), (2, 1)):
        network = kgan.networks.unet((size, size, 1), width=1)
        strides = [
            layer.strides[0] for layer in network.layers if isinstance(layer, keras.layers.Conv2D)
        ]
        assert strides.count(2) == halvings, size


def test_channels_stop_at_eight_widths():
    network = kgan.networks.unet((256, 256, 3), width=2)
    assert max(layer.filters for layer in network.layers if hasattr(layer, "filters")) == 16


@pytest.mark.parametrize("receptive_field", [1, 16, 34, 70])
def test_a_patch_has_the_size_that_is_stated(receptive_field):
    """The pixels on which one logit depends: without normalisation, which looks at all of them."""
    network = kgan.networks.patch_discriminator(
        (128, 128, 1), receptive_field, width=2, normalization=None
    )
    for variable in network.trainable_variables:  # so that no unit is cut off by its activation
        variable.assign(np.abs(variable) + 0.01)
    rows, columns = network.output_shape[1:3]
    image = np.ones((1, 128, 128, 1), "float32")
    before = ops.convert_to_numpy(network(image))[0, rows // 2, columns // 2, 0]
    bars = np.repeat(image, 128, axis=0)
    bars[np.arange(128), np.arange(128)] += 1.0  # in each image, one row
    after = ops.convert_to_numpy(network(bars))[:, rows // 2, columns // 2, 0]
    seen = np.flatnonzero(np.abs(after - before) > 1e-6 * np.abs(before))
    assert len(seen) == receptive_field
    assert np.ptp(seen) == receptive_field - 1


def test_a_discriminator_of_pixels_has_a_logit_for_each():
    network = kgan.networks.patch_discriminator((8, 6, 3), receptive_field=1, width=4)
    assert network.output_shape == (None, 8, 6, 1)


def test_normalization_by_batch_or_none():
    kinds = {"instance": keras.layers.GroupNormalization, "batch": keras.layers.BatchNormalization}
    for name in ("instance", "batch", None):
        for network in kgan.networks.pix2pix((16, 16, 1), width=4, normalization=name):
            found = {type(layer) for layer in network.layers} & set(kinds.values())
            assert found == ({kinds[name]} if name else set())


def test_networks_of_the_models():
    pair = kgan.networks.pix2pix((28, 28, 2), 3, width=4, translator="resnet", blocks=1)
    assert pair.generator.input_shape == (None, 28, 28, 2)
    assert pair.generator.output_shape == (None, 28, 28, 3)
    assert pair.discriminator.input_shape == (None, 28, 28, 5)
    four = kgan.networks.cyclegan((28, 28, 1), 3, width=4, translator="unet")
    assert [each.input_shape[-1] for each in four] == [1, 3, 1, 3]
    assert [each.output_shape[-1] for each in four] == [3, 1, 1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kgan.networks.unet((28, 28)), "height, width, channels"),
        (lambda: kgan.networks.unet((8, 8, 1), depth=4), "halved 4 times.*halved 3 times"),
        (lambda: kgan.networks.unet(depth=0), "`depth`"),
        (lambda: kgan.networks.unet((1, 1, 1)), "halved 0 times"),
        (lambda: kgan.networks.unet(normalization="layer"), "name of a normalization"),
        (lambda: kgan.networks.unet(upsampling="bilinear"), "kind of upsampling"),
        (lambda: kgan.networks.resnet_translator((4, 4, 1)), "at least 5 pixels"),
        (lambda: kgan.networks.patch_discriminator(receptive_field=20), r"\[1, 16, 34, 70, 142\]"),
        (
            lambda: kgan.networks.patch_discriminator(receptive_field=[16]),
            r"receptive_field=\[16\]",
        ),
        (lambda: kgan.networks.pix2pix(translator="u-net"), "Did you mean 'unet'"),
        (lambda: kgan.networks.cyclegan(width=0), "`width`"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
