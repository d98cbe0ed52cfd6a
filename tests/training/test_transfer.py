"""Weights of another model to start from, and layers that keep them."""

from dataclasses import replace

import keras
import numpy as np
import pytest

import kgan
from kgan.training import copy_weights, freeze_lower_layers

SHAPE = (8, 8, 1)


def build_small(recipe="conditional_dcgan", num_classes=3, image_shape=SHAPE, **options):
    """Builds a small model of a recipe."""
    found = kgan.recipes.get(recipe)
    small = {**found.network_options, "width": 4, "latent_dim": 4}
    return replace(found, network_options=small).build(
        image_shape, num_classes=num_classes, **options
    )


def arrays(network):
    return [keras.ops.convert_to_numpy(v) for v in network.weights]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- copying -------------------------------------------------------------------------------------


def test_a_model_starts_from_the_weights_of_another_one(dataset):
    old = build_small(seed=0, ema_decay=0.5)
    old.fit(dataset, epochs=1, verbose=0)
    new = build_small(seed=1, ema_decay=0.5, initial=old)
    for name in ("generator", "discriminator"):
        assert_same(arrays(getattr(new, name)), arrays(getattr(old, name)))
    assert new.epochs_trained == 0
    for role in ("generator", "discriminator"):
        optimizer = new.optimizer[role]
        assert int(optimizer.iterations) == 0
        assert not any(np.any(m) for m in map(keras.ops.convert_to_numpy, optimizer._momentums))
    noise = [keras.ops.convert_to_numpy(each.training_noise.state) for each in (new, old)]
    assert not np.array_equal(*noise)
    # The average starts from the copied weights, not from the average of the old ones.
    assert_same(arrays(new.network_in_use("generator")), arrays(old.generator))
    new.fit(dataset, epochs=1, verbose=0)
    assert not np.array_equal(arrays(new.generator)[0], arrays(old.generator)[0])


def test_averages_of_a_compiled_model_start_again():
    old, new = build_small(seed=0), build_small(seed=1, ema_decay=0.9)
    copy_weights(old, new)
    expected = old.generate(4, seed=2)
    np.testing.assert_allclose(new.generate(4, seed=2), expected, atol=1e-6)


@pytest.mark.backend_free
def test_models_of_every_family():
    vae = kgan.recipes.get("vae").build(SHAPE, seed=0)
    again = kgan.recipes.get("vae").build(SHAPE, seed=1, initial=vae)
    assert_same(vae.get_weights(), again.get_weights())


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "vae"}, "Expected a VAE.*Received: the weights of a GAN.*recipe"),
        ({"image_shape": (16, 16, 1)}, r"images \(batch, 16, 16, 1\).*images \(batch, 8, 8, 1\)"),
        ({"num_classes": 4}, "a model of 4 classes.*a model of 3 classes"),
        ({"recipe": "dcgan"}, "images without labels.*a model of 3 classes"),
        ({"recipe": "acgan"}, "a discriminator with weights of the same shapes.*recipe"),
    ],
)
def test_weights_that_do_not_fit(options, message):
    old = build_small(seed=0)
    if options.get("recipe") == "vae":
        with pytest.raises(ValueError, match=message):
            kgan.recipes.get("vae").build(SHAPE, seed=1, initial=old)
        return
    with pytest.raises(ValueError, match=message):
        build_small(seed=1, initial=old, **options)


# ---- freezing ------------------------------------------------------------------------------------


def with_weights(network):
    return [layer for layer in network.layers if layer.weights]


@pytest.mark.parametrize(("recipe", "count"), [("conditional_dcgan", 1), ("sngan", 3)])
def test_frozen_layers_keep_their_weights_and_a_saved_model_goes_on_exactly(
    dataset, tmp_path, recipe, count
):
    old = build_small(recipe, seed=0)
    whole = build_small(recipe, seed=1, initial=old, frozen={"discriminator": count})
    assert not any(layer.trainable for layer in with_weights(whole.discriminator)[:count])
    half = build_small(recipe, seed=1, initial=old, frozen={"discriminator": count})
    assert_same(half.get_weights(), whole.get_weights())
    whole.fit(dataset, epochs=2, verbose=0)
    half.fit(dataset, epochs=1, verbose=0)
    half.save(tmp_path / "half.keras")
    loaded = kgan.load(tmp_path / "half.keras")
    loaded.fit(dataset, initial_epoch=1, epochs=2, verbose=0)
    assert_same(loaded.get_weights(), whole.get_weights())
    pairs = zip(with_weights(old.discriminator), with_weights(loaded.discriminator), strict=True)
    for place, (before, after) in enumerate(pairs):
        for a, b in zip(before.weights, after.weights, strict=True):
            if a.name == "u":  # the power iteration estimates on
                continue
            if place >= count and a.name != "kernel":  # the gradient of a bias may be 0
                continue
            same = np.array_equal(*map(keras.ops.convert_to_numpy, (a, b)))
            assert same == (place < count), b.path
    assert all(
        not np.array_equal(*map(keras.ops.convert_to_numpy, pair))
        for pair in zip(
            old.generator.trainable_variables, loaded.generator.trainable_variables, strict=True
        )
    )


@pytest.mark.backend_free
def test_the_lower_layers_are_those_nearest_to_the_input(make_gan):
    gan = make_gan("dcgan", num_classes=3)
    layers = with_weights(gan.discriminator)
    for _ in range(2):  # again changes nothing
        assert freeze_lower_layers(gan.discriminator, 2) == layers[:2]
        assert [layer.trainable for layer in layers] == [False] * 2 + [True] * (len(layers) - 2)
    assert type(layers[0]).__name__ == "Conv2D"
    assert type(layers[-1]).__name__ == "Dense"


@pytest.mark.backend_free
def test_what_cannot_be_frozen(make_gan):
    discriminator = make_gan().discriminator
    count = len(with_weights(discriminator))
    with pytest.raises(ValueError, match=f"fewer than {count} layers.*Received: {count}"):
        freeze_lower_layers(discriminator, count)
    with pytest.raises(ValueError, match="count"):
        freeze_lower_layers(discriminator, 0)
    with pytest.raises(ValueError, match="a network of GAN"):
        build_small(seed=0, frozen={"critic": 1})
