"""Recipes: each builds and trains, with the options that it states; misspelt names are errors."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import kgan
from kgan.recipes import Recipe
from kgan.recipes.recipe import TRANSLATION
from kgan.training import optimizer_argument

# Their parts are tested on every backend.
pytestmark = pytest.mark.backend_free


TRANSLATORS = [name for name, each in kgan.recipes.RECIPES.items() if each.needs in TRANSLATION]


@pytest.mark.parametrize("name", [name for name in kgan.recipes.names() if name not in TRANSLATORS])
def test_every_recipe_trains_and_generates(name, images, labels):
    recipe = kgan.recipes.get(name)
    size = recipe.compile.get("discriminator_steps", 1) * 6
    padded = kgan.data.ImageDataset(
        images[: 2 * size],
        labels[: 2 * size],
        batch_size=size,
        pad_to=(28, 28),
        seed=0,
        **recipe.data,
    )
    # For so few steps, compiling would take longer.
    model = recipe.build(padded.image_shape, padded.num_classes, seed=1, run_eagerly=True)
    assert model.is_conditional == (recipe.needs == "labels")
    history = model.fit(padded, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert model.generate(2).shape == (2, 28, 28, 1)


@pytest.mark.parametrize("name", TRANSLATORS)
def test_every_recipe_of_pairs_or_domains_trains_on_its_task(name):
    recipe = kgan.recipes.get(name)
    task = kgan.data.load_task(dataset="digits", batch_size=2, steps_per_epoch=1, **recipe.data)
    assert task.dataset.kind == recipe.needs
    model = recipe.build(**task.dataset.build_options, seed=1, run_eagerly=True)
    callbacks = recipe.make_callbacks()
    history = model.fit(task.dataset, callbacks=callbacks, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    for to, images in zip(task.dataset.directions, task.dataset.draw(2, seed=0), strict=False):
        made = model.translate(images) if to is None else model.translate(images, to=to)
        assert made.shape == (2, 28, 28, 1)


@pytest.mark.parametrize("name", kgan.recipes.names())
def test_a_recipe_has_the_options_that_it_states(name):
    recipe = kgan.recipes.get(name)
    model = recipe.build(num_classes=10, seed=1)
    assert type(model).__name__ == recipe.model
    assert set(recipe.optimizers) <= set(model.roles)
    for option, value in recipe.model_options.items():
        assert getattr(model, option) == value or option == "likelihood"
    found = model.get_compile_config()
    for option, value in recipe.compile.items():
        if option == "penalties":
            assert {each.name: {"weight": each.weight} for each in model.penalties} == value
        elif option == "loss":
            assert type(found["loss"]) is type(kgan.losses.get(value))
        elif option != "warm_up":
            assert found[option] == value
    for role, options in recipe.optimizers.items():
        config = found[optimizer_argument(role)]["config"]
        for option, value in options.items():
            if option != "class":
                np.testing.assert_allclose(config[option], value, rtol=1e-6, err_msg=option)
    assert recipe.batch_size % model.batch_spec(training=True).divisor == 0


@pytest.mark.parametrize("name", kgan.recipes.names())
def test_a_recipe_is_plain_data_with_text_for_people(name):
    recipe = kgan.recipes.get(name)
    json.dumps(dataclasses.asdict(recipe))
    assert recipe.reference.startswith("https://")
    for text in (recipe.summary, recipe.differences):
        assert text == text.strip().rstrip(".")
    assert recipe.summary


def test_default_is_a_recipe():
    assert kgan.recipes.DEFAULT in kgan.recipes.names()


def test_first_gan_is_that_of_courses():
    gan = kgan.recipes.get("first_gan").build()
    assert gan.latent_dim == 100
    assert gan.generator.count_params() == 1_486_352
    np.testing.assert_allclose(float(gan.optimizer.learning_rate), 2e-4, rtol=1e-6)


def test_same_seed_same_weights():
    recipe = kgan.recipes.get("dcgan")
    one, two, other = (recipe.build(seed=seed).get_weights()[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_compile_options_replace_those_of_the_recipe():
    optimizer = keras.optimizers.SGD(0.5)
    gan = kgan.recipes.get("dcgan").build(
        loss="hinge", discriminator_steps=2, generator_optimizer=optimizer
    )
    assert type(gan.adversarial_loss) is kgan.losses.Hinge
    assert gan.discriminator_steps == 2
    assert gan.optimizer["generator"] is optimizer


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


def test_a_recipe_that_needs_labels_needs_classes():
    with pytest.raises(ValueError, match=r"Expected data with labels.*num_classes=dataset\."):
        kgan.recipes.get("conditional_dcgan").build()


@pytest.mark.parametrize(
    ("name", "message"), [("dcgn", "Did you mean 'dcgan'"), (3, "Received: 3"), (None, "None")]
)
def test_unknown_name(name, message):
    with pytest.raises(ValueError, match=message):
        kgan.recipes.get(name)


# ---- recipes with mistakes -----------------------------------------------------------------------

TINY = Recipe(
    summary="a tiny GAN",
    model="GAN",
    networks="mlp",
    network_options={"latent_dim": 4, "width": 4},
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networks": "mpl"}, r"network function in kgan\.networks, one of \[.*Did you mean 'mlp'"),
        ({"networks": "pyramid"}, r"a network function .* Received: 'pyramid'"),  # a module
        ({"model": "Gan"}, r"a model in kgan\.models, one of .*Received: 'Gan'.*mean 'GAN'"),
        ({"network_options": {"widht": 4}}, r"an argument of mlp, .*Did you mean 'width'"),
        ({"model_options": {"packs": 2}}, r"an argument of GAN, .*Did you mean 'pack'"),
        ({"compile": {"los": "hinge"}}, r"an argument of GAN\.compile, .*Did you mean 'loss'"),
        ({"compile": {"loss": "hinged"}}, r"adversarial loss, .*Did you mean 'hinge'"),
        ({"compile": {"penalties": {"r11": {}}}}, r"a penalty, .*Did you mean 'r1'"),
        ({"optimizers": {"generater": {}}}, r"a role of GAN, .*Did you mean 'generator'"),
        (
            {"optimizers": {"generator": {"class": "Adm"}}},
            r"an optimizer in keras\.optimizers, .*Did you mean 'Adam'",
        ),
        (
            {"optimizers": {"generator": {"learning_rat": 1.0}}},
            r"an argument of keras\.optimizers\.Adam, .*Did you mean 'learning_rate'",
        ),
    ],
)
def test_misspelt_names_are_errors_that_suggest_the_right_one(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **change).build((8, 8, 1))


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ({"LinearDcay": {}}, r"a callback in kgan\.callbacks, .*Did you mean 'LinearDecay'"),
        ({"LinearDecay": {"begin": 0.5}}, r"an argument of kgan\.callbacks\.LinearDecay"),
    ],
)
def test_misspelt_callbacks_are_errors_too(callbacks, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, callbacks=callbacks).make_callbacks()


def test_callbacks_of_a_recipe_are_made_with_their_arguments():
    recipe = dataclasses.replace(TINY, callbacks={"LinearDecay": {"start": 0.25}})
    (one,), (other,) = recipe.make_callbacks(), recipe.make_callbacks()
    assert type(one) is kgan.callbacks.LinearDecay
    assert one.start == 0.25
    assert one is not other


def test_misspelt_options_of_build_are_errors_too():
    with pytest.raises(ValueError, match=r"GAN\.compile, .*Did you mean 'ema_decay'"):
        TINY.build((8, 8, 1), ema_decy=0.9)


def test_keras_options_are_known():
    assert TINY.build((8, 8, 1), run_eagerly=True).run_eagerly


def test_optimizers_are_adam_unless_they_say_otherwise():
    optimizers = {
        "generator": {"learning_rate": 0.5},
        "discriminator": {"class": "SGD", "learning_rate": 0.25, "momentum": 0.5},
    }
    gan = dataclasses.replace(TINY, optimizers=optimizers).build((8, 8, 1))
    first, second = gan.optimizer["generator"], gan.optimizer["discriminator"]
    assert type(first).__name__ == "Adam"
    assert float(first.learning_rate) == 0.5
    assert type(second).__name__ == "SGD"
    assert (float(second.learning_rate), second.momentum) == (0.25, 0.5)


def test_roles_without_an_optimizer_get_the_default_of_the_model():
    gan = TINY.build((8, 8, 1))
    np.testing.assert_allclose(float(gan.optimizer["generator"].learning_rate), 2e-4, rtol=1e-6)


def test_penalties_get_their_arguments():
    penalties = {"gradient_penalty": {"weight": 3.0, "target": 0.5}, "r1": {"interval": 4}}
    gan = dataclasses.replace(TINY, compile={"penalties": penalties}).build((8, 8, 1))
    first, second = gan.penalties
    assert (type(first), first.weight, first.target) == (kgan.penalties.GradientPenalty, 3.0, 0.5)
    assert (type(second), second.interval) == (kgan.penalties.R1, 4)


def test_a_recipe_takes_functions_and_classes_too():
    def networks(image_shape, width):
        return kgan.networks.mlp(image_shape, latent_dim=3, width=width)

    class Mine(kgan.GAN):
        pass

    recipe = dataclasses.replace(TINY, model=Mine, networks=networks, network_options={"width": 4})
    model = recipe.build((8, 8, 1))
    assert type(model) is Mine
    assert model.latent_dim == 3
    with pytest.raises(ValueError, match=r"an argument of networks, .*Did you mean 'width'"):
        dataclasses.replace(recipe, network_options={"wide": 4}).build((8, 8, 1))
