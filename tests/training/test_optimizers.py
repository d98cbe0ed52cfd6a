import keras
import numpy as np
import pytest

import kgan
from kgan.training import Optimizers


def test_keras_sees_one_optimizer_that_holds_both(make_gan):
    generator, discriminator = keras.optimizers.Adam(1e-3), keras.optimizers.SGD(1e-2, momentum=0.9)
    gan = make_gan(generator_optimizer=generator, discriminator_optimizer=discriminator)
    pair = gan.optimizer
    assert isinstance(pair, keras.optimizers.Optimizer)
    assert pair.built
    assert [id(v) for v in pair.variables] == [
        id(v) for v in (*generator.variables, *discriminator.variables)
    ]
    # Adam: iterations, learning rate, two moments a weight; SGD with momentum: one.
    g, d = len(gan.generator.trainable_variables), len(gan.discriminator.trainable_variables)
    assert len(pair.variables) == (2 + 2 * g) + (2 + d)


def test_default_optimizers(make_gan):
    pair = make_gan().optimizer
    for optimizer in (pair.generator_optimizer, pair.discriminator_optimizer):
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert optimizer.beta_1 == 0.5
        np.testing.assert_allclose(float(optimizer.learning_rate), 2e-4, rtol=1e-6)


def test_learning_rates_keep_their_ratio_through_zero(make_gan, tmp_path):
    gan = make_gan(
        generator_optimizer=keras.optimizers.Adam(1e-3),
        discriminator_optimizer=keras.optimizers.Adam(4e-3),
    )
    gan.optimizer.learning_rate = 0.0
    gan.save(tmp_path / "gan.keras")
    for model in (gan, keras.saving.load_model(tmp_path / "gan.keras")):
        model.optimizer.learning_rate = 2e-3
        rate = float(model.optimizer.discriminator_optimizer.learning_rate)
        np.testing.assert_allclose(rate, 8e-3, rtol=1e-5)


@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_a_schedule_cannot_be_set_and_nothing_is_changed(make_gan, role):
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
    gan = make_gan(**{f"{role}_optimizer": keras.optimizers.Adam(schedule)})
    rate = float(gan.optimizer.learning_rate)
    with pytest.raises(TypeError, match=f"{role}'s optimizer has a learning rate schedule"):
        gan.optimizer.learning_rate = 1.0
    assert float(gan.optimizer.learning_rate) == rate


def test_an_optimizer_that_was_built_for_another_gan_is_refused(make_gan):
    gan = make_gan()
    pair = gan.optimizer
    optimizers = (pair.generator_optimizer, pair.discriminator_optimizer)
    gan.compile(*optimizers)  # for the same weights it goes on
    with pytest.raises(ValueError, match="new optimizer for the generator"):
        make_gan(generator_optimizer=optimizers[0])


def test_one_optimizer_for_both_is_refused():
    adam = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="Make two"):
        Optimizers({"generator": adam, "discriminator": adam})


def test_apply_says_where_to_apply(make_gan):
    with pytest.raises(NotImplementedError, match="generator_optimizer"):
        make_gan().optimizer.apply([], [])


def test_averages_of_weights_are_put_in_place_at_the_end(make_gan, dataset):
    gan = make_gan(
        generator_optimizer=keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5),
    )
    averages = gan.optimizer.generator_optimizer._model_variables_moving_average
    gan.fit(dataset, verbose=0)
    for average, variable in zip(averages, gan.generator.trainable_variables, strict=True):
        np.testing.assert_array_equal(average, variable)


def test_round_trip_through_config():
    pair = Optimizers(
        {"generator": keras.optimizers.Adam(3e-4), "discriminator": keras.optimizers.RMSprop(2e-3)}
    )
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(pair))
    assert isinstance(twin, kgan.training.Optimizers)
    assert twin.get_config() == pair.get_config()
