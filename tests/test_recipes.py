import dataclasses

import keras
import numpy as np
import pytest

import kgan

# Their parts are tested on every backend.
pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("name", kgan.recipes.names())
def test_every_recipe_trains_and_generates(name, images, labels):
    recipe = kgan.recipes.get(name)
    size = recipe.discriminator_steps * 6
    padded = kgan.data.ImageDataset(
        images[: 2 * size], labels[: 2 * size], batch_size=size, pad_to=(28, 28), seed=0
    )
    # For so few steps, compiling would take longer.
    gan = recipe.build(padded.image_shape, padded.num_classes, seed=1, run_eagerly=True)
    assert gan.is_conditional == recipe.conditional
    assert np.isfinite(gan.fit(padded, verbose=0).history["generator_loss"]).all()
    assert gan.generate(2).shape == (2, 28, 28, 1)


@pytest.mark.parametrize("name", kgan.recipes.names())
def test_a_recipe_is_what_it_says(name):
    recipe = kgan.recipes.get(name)
    gan = recipe.build(num_classes=10, seed=1)
    assert type(gan).__name__ == recipe.model
    for option, value in recipe.model_options.items():
        assert getattr(gan, option) == value
    assert gan.ema_decay == recipe.ema_decay
    assert {p.name: p.weight for p in gan.penalties} == {
        name: given["weight"] for name, given in recipe.penalties.items()
    }
    for role in ("generator", "discriminator"):
        optimizer = getattr(gan.optimizer, f"{role}_optimizer")
        rate = getattr(recipe, f"{role}_learning_rate")
        np.testing.assert_allclose(float(optimizer.learning_rate), rate, rtol=1e-6)
        assert (optimizer.beta_1, optimizer.beta_2) == (recipe.beta_1, recipe.beta_2)
    assert recipe.batch_size % (recipe.discriminator_steps * gan.pack) == 0


def test_default_is_a_recipe():
    assert kgan.recipes.DEFAULT in kgan.recipes.names()


def test_first_gan_is_the_courses():
    gan = kgan.recipes.get("first_gan").build()
    assert gan.latent_dim == 100
    assert gan.generator.count_params() == 1_486_352
    np.testing.assert_allclose(float(gan.optimizer.learning_rate), 2e-4, rtol=1e-6)


def test_same_seed_same_weights():
    recipe = kgan.recipes.get("dcgan")
    one, two, other = (recipe.build(seed=seed).get_weights()[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_compile_options_stand_in_for_the_recipes():
    gan = kgan.recipes.get("dcgan").build(loss="hinge", discriminator_steps=2)
    assert type(gan.adversarial_loss) is kgan.losses.Hinge
    assert gan.discriminator_steps == 2


def test_dtype_policy_is_that_of_the_networks_alone():
    recipe = dataclasses.replace(kgan.recipes.get("sngan"), dtype_policy="mixed_bfloat16")
    gan = recipe.build()
    for network in (gan.generator, gan.discriminator):
        policies = [layer.dtype_policy.name for layer in network.layers if layer.weights]
        assert policies.count("mixed_bfloat16") > len(policies) / 2  # logits stay in float32
    assert gan.dtype_policy.name == keras.config.dtype_policy().name == "float32"


def test_unknown_dtype_policy_leaves_the_global_one():
    with pytest.raises(ValueError, match="mixed_bfloat61"):
        dataclasses.replace(kgan.recipes.get(), dtype_policy="mixed_bfloat61").build()
    assert keras.config.dtype_policy().name == "float32"


def test_conditional_recipe_needs_classes():
    with pytest.raises(ValueError, match="labels"):
        kgan.recipes.get("conditional_dcgan").build()


@pytest.mark.parametrize(
    ("name", "message"), [("dcgn", "Did you mean 'dcgan'"), (3, "Received: 3"), (None, "None")]
)
def test_unknown_name(name, message):
    with pytest.raises(ValueError, match=message):
        kgan.recipes.get(name)
