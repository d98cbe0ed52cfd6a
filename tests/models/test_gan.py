"""The algorithm: one step against the same step written out, and what surrounds it."""

import importlib.util

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan import _backend
from kgan.models.critic import _scores
from kgan.models.latent_model import arcs

LOGS = {
    "discriminator_loss",
    "generator_loss",
    "real_score",
    "fake_score",
    "discriminator_accuracy",
    "discriminator_gradient_norm",
    "generator_gradient_norm",
}


def linear_gan(discriminator_steps=1, loss="wasserstein", rate=0.1, decay=None):
    """G(z) = a z and D(x) = b x, on images of one pixel: a step can be done by hand."""
    latent = keras.Input((1,))
    image = keras.Input((1, 1, 1))

    def dense(weight):
        return keras.layers.Dense(
            1, use_bias=False, kernel_initializer=constant(weight), kernel_regularizer=decay
        )

    generator = keras.Model(latent, keras.layers.Reshape((1, 1, 1))(dense(2.0)(latent)))
    discriminator = keras.Model(image, dense(0.5)(keras.layers.Flatten()(image)))
    gan = kgan.GAN(generator, discriminator, seed=11)
    gan.compile(
        keras.optimizers.SGD(rate),
        keras.optimizers.SGD(rate),
        loss=loss,
        discriminator_steps=discriminator_steps,
    )
    return gan


def constant(value):
    return keras.initializers.Constant(value)


def weights(gan):
    return [float(np.asarray(v)[0, 0]) for v in gan.trainable_variables]


def latents_of_step(seed, count, draws):
    noise = keras.random.SeedGenerator(seed)
    return [np.asarray(keras.random.normal((count, 1), seed=noise)) for _ in range(draws)]


def test_one_step_by_hand():
    gan = linear_gan()
    real = np.array([1.0, 2.0, 4.0], "float32").reshape(3, 1, 1, 1)
    logs = gan.train_on_batch(real, return_dict=True)
    (z,) = latents_of_step(11, 3, 1)
    a, b = 2.0, 0.5
    fake = a * z.mean()
    new_b = b - 0.1 * (fake - real.mean())  # D minimises b (mean fake - mean real)
    new_a = a + 0.1 * new_b * z.mean()  # G minimises -new_b a mean(z), under the updated D
    np.testing.assert_allclose(weights(gan), [new_a, new_b], rtol=1e-5)
    np.testing.assert_allclose(logs["discriminator_loss"], b * (fake - real.mean()), rtol=1e-5)
    np.testing.assert_allclose(logs["generator_loss"], -new_b * fake, rtol=1e-5)
    np.testing.assert_allclose(logs["real_score"], b * real.mean(), rtol=1e-5)
    np.testing.assert_allclose(logs["fake_score"], b * fake, rtol=1e-5)
    above = np.mean(b * real.reshape(3, 1) > b * a * z.reshape(1, 3))
    np.testing.assert_allclose(logs["discriminator_accuracy"], above, rtol=1e-5)
    norm = abs(fake - real.mean())
    np.testing.assert_allclose(logs["discriminator_gradient_norm"], norm, rtol=1e-5)
    np.testing.assert_allclose(logs["generator_gradient_norm"], abs(new_b * z.mean()), rtol=1e-5)


def test_accuracy_counts_ties_half_and_pairs_whatever_the_loss():
    def accuracy(real, fake):
        return float(
            _scores(ops.convert_to_tensor(real), ops.convert_to_tensor(fake))[
                "discriminator_accuracy"
            ]
        )

    assert accuracy([[3.0], [3.0]], [[3.0], [3.0]]) == 0.5
    assert accuracy([[-5.0], [-4.0]], [[-6.0], [-7.0]]) == 1.0
    assert accuracy([[1.0], [4.0]], [[2.0], [3.0]]) == 0.5
    assert accuracy([[[0.0], [4.0]]], [[[1.0], [1.0]]]) == 1.0  # of patches, the mean counts


def test_gradient_norms_are_of_all_variables_together(make_gan, dataset):
    gan = make_gan(
        generator_optimizer=keras.optimizers.SGD(1.0),
        discriminator_optimizer=keras.optimizers.SGD(1.0),
    )
    before = [np.array(v) for v in gan.trainable_variables]
    logs = gan.train_on_batch(dataset.batch(0, 0)[0], return_dict=True)
    moved = [np.array(v) - b for v, b in zip(gan.trainable_variables, before, strict=True)]
    count = len(gan.generator.trainable_variables)
    for name, part in (("generator", moved[:count]), ("discriminator", moved[count:])):
        length = np.sqrt(sum(float(np.sum(np.square(m))) for m in part))
        np.testing.assert_allclose(logs[f"{name}_gradient_norm"], length, rtol=1e-4)


def test_discriminator_steps_deal_out_the_batch_and_draw_fresh_latents():
    gan = linear_gan(discriminator_steps=3)
    real = np.arange(1.0, 7.0, dtype="float32").reshape(6, 1, 1, 1)
    gan.train_on_batch(real)
    a, b = 2.0, 0.5
    draws = latents_of_step(11, 2, 3)
    for part, z in zip((real[::3], real[1::3], real[2::3]), draws, strict=True):
        b -= 0.1 * (a * z.mean() - part.mean())
    a += 0.1 * b * draws[-1].mean()
    np.testing.assert_allclose(weights(gan), [a, b], rtol=1e-5)
    assert int(gan.optimizer.generator_optimizer.iterations) == 1
    assert int(gan.optimizer.discriminator_optimizer.iterations) == 3


@pytest.mark.parametrize(
    ("name", "network"),
    [
        *((name, "mlp") for name in kgan.losses.names()),
        *(("hinge", network) for network in ("dcgan", "resnet", "sngan")),
    ],
)
def test_every_loss_updates_both_networks_and_logs_finite_means(make_gan, images, name, network):
    gan = make_gan(network, loss=name)
    before = [np.array(v) for v in gan.trainable_variables]
    x = kgan.data.ImageDataset(images, batch_size=16, seed=0)
    history = gan.fit(x, epochs=1, verbose=0).history
    assert set(history) == LOGS
    assert np.isfinite(list(history.values())).all()
    # Some losses do not see the discriminator's last bias; the kernels must all have moved.
    for b, v in zip(before, gan.trainable_variables, strict=True):
        assert v.ndim == 1 or not np.array_equal(b, v), v.path


def test_relativistic_generator_loss_reads_the_real_logits():
    gan = linear_gan(loss="relativistic")
    real = np.array([1.0, 2.0, 4.0], "float32").reshape(3, 1, 1, 1)
    logs = gan.train_on_batch(real, return_dict=True)
    (z,) = latents_of_step(11, 3, 1)
    x, b = real.reshape(3, 1), 0.5
    gap = b * (x - 2.0 * z)
    slope = (-(x - 2.0 * z) / (1 + np.exp(gap))).mean()
    new_b = b - 0.1 * slope
    np.testing.assert_allclose(weights(gan)[1], new_b, rtol=1e-5)
    expected = np.logaddexp(0, new_b * (x - 2.0 * z)).mean()
    np.testing.assert_allclose(logs["generator_loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("steps", [2, 4])
def test_a_short_batch_may_come_anywhere_in_an_epoch(make_gan, images, steps):
    data = kgan.data.ImageDataset(
        images[:20], batch_size=8, drop_remainder=False, steps_per_epoch=steps
    )
    gan = make_gan("mlp")
    gan.fit(data, epochs=2, verbose=0)
    assert int(gan.optimizer.iterations) == 2 * steps


class Exponential(kgan.losses.AdversarialLoss):
    """Ends in what PyTorch keeps for the gradient, so that nothing may be added to it in place."""

    def discriminator_loss(self, real_logits, fake_logits):
        return keras.ops.exp(keras.ops.mean(fake_logits) - keras.ops.mean(real_logits))

    def generator_loss(self, fake_logits, real_logits=None):
        return keras.ops.exp(-keras.ops.mean(fake_logits))


def test_a_loss_of_ones_own():
    gan = linear_gan(loss=Exponential())
    real = np.array([1.0, 2.0, 3.0], "float32").reshape(3, 1, 1, 1)
    logs = gan.train_on_batch(real, return_dict=True)
    z = latents_of_step(11, 3, 1)[0].mean()
    a, b = 2.0, 0.5
    loss = np.exp(b * (a * z - 2.0))
    b -= 0.1 * loss * (a * z - 2.0)
    np.testing.assert_allclose(logs["discriminator_loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(logs["generator_loss"], np.exp(-b * a * z), rtol=1e-5)
    a += 0.1 * np.exp(-b * a * z) * b * z
    np.testing.assert_allclose(weights(gan), [a, b], rtol=1e-5)


class PerImage(Exponential):
    """A loss that forgets to take the mean."""

    def discriminator_loss(self, real_logits, fake_logits):
        return fake_logits - real_logits


def test_a_loss_that_is_no_scalar(make_gan, dataset):
    with pytest.raises(ValueError, match=r"of PerImage to return a scalar.*\(16, 1\)"):
        make_gan("mlp", loss=PerImage()).fit(dataset, verbose=0)


def test_logs_are_means_over_the_epoch(dataset, make_gan):
    gan, twin = make_gan("dcgan"), make_gan("dcgan")
    twin.set_weights(gan.get_weights())
    history = gan.fit(dataset, epochs=2, verbose=0).history
    seen = [twin.train_on_batch(*dataset.batch(*divmod(i, 6)), return_dict=True) for i in range(12)]
    assert set(history) == LOGS
    for name, values in history.items():
        each = [logs[name] for logs in seen]
        np.testing.assert_allclose(values, [np.mean(each[:6]), np.mean(each[6:])], rtol=2e-4)


def test_networks_run_in_training_mode_in_training_and_in_inference_mode_elsewhere(images):
    modes = []

    @keras.saving.register_keras_serializable()
    class Recorder(keras.layers.Layer):
        def call(self, inputs, training=None):
            modes.append(training)
            return inputs

    latent, image = keras.Input((4,)), keras.Input((8, 8, 1))
    flat = Recorder()(keras.layers.Dense(64)(latent))
    generator = keras.Model(latent, keras.layers.Reshape((8, 8, 1))(flat))
    logits = keras.layers.Dense(1)(keras.layers.Flatten()(Recorder()(image)))
    gan = kgan.GAN(generator, keras.Model(image, logits))
    gan.compile(run_eagerly=True)
    x = kgan.data.ImageDataset(images, batch_size=32, seed=0)
    modes.clear()
    gan.train_on_batch(x[0])
    assert modes
    assert all(mode is True for mode in modes)
    modes.clear()
    gan.evaluate(x, verbose=0)
    gan.generate(2)
    assert modes
    assert not any(modes)


def test_batch_statistics_move_once_for_each_pass_through_the_generator(make_gan, dataset):
    gan = make_gan("dcgan")
    layer = next(
        la for la in gan.generator.layers if isinstance(la, keras.layers.BatchNormalization)
    )
    twin = keras.models.clone_model(gan.generator)
    twin.set_weights(gan.generator.get_weights())
    gan.train_on_batch(dataset[0][0])
    noise = keras.random.SeedGenerator(3)
    twin(keras.random.normal((16, 4), seed=noise), training=True)
    expected = next(la for la in twin.layers if la.name == layer.name)
    np.testing.assert_allclose(layer.moving_variance, expected.moving_variance, rtol=1e-5)


def test_the_generators_gradient_ignores_the_discriminators_update(make_gan, dataset):
    """Sharing the generator's pass gives the gradient that a pass of its own would."""
    gan = make_gan(
        "mlp",
        discriminator_optimizer=keras.optimizers.SGD(0.0),
        generator_optimizer=keras.optimizers.SGD(1.0),
    )
    before = [np.array(v) for v in gan.generator.trainable_variables]
    z = keras.random.normal((16, 4), seed=keras.random.SeedGenerator(3))
    # Dropout would draw other masks here than in the step.
    for layer in gan.discriminator.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0

    def objective():
        return ops.mean(ops.softplus(-gan.discriminator(gan.generator(z, training=True)))), None

    gradient, _ = _backend.gradients(objective, gan.generator.trainable_variables)
    gradient = [np.asarray(g) for g in gradient]
    gan.train_on_batch(dataset[0][0])
    for b, g, v in zip(before, gradient, gan.generator.trainable_variables, strict=True):
        np.testing.assert_allclose(np.asarray(v), b - g, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("num_classes", [None, 3])
def test_evaluate_measures_the_losses_and_changes_nothing(make_gan, dataset, num_classes):
    gan = make_gan(num_classes=num_classes)
    before = [np.array(v) for v in (*gan.weights, *gan.optimizer.variables)]
    noise = np.array(gan.training_noise.state)
    first = gan.evaluate(dataset, verbose=0, return_dict=True)
    assert gan.evaluate(dataset, verbose=0, return_dict=True) == first
    for b, v in zip(before, (*gan.weights, *gan.optimizer.variables), strict=True):
        np.testing.assert_array_equal(b, v)
    np.testing.assert_array_equal(noise, gan.training_noise.state)


def test_validation_data_is_logged_and_does_not_change_training(make_gan, images, labels):
    def train(**options):
        keras.utils.set_random_seed(2)
        gan = make_gan("mlp")
        data = kgan.data.ImageDataset(images, labels, batch_size=16, seed=5)
        history = gan.fit(data, epochs=2, verbose=0, **options).history
        return history, gan.get_weights()

    held_out = kgan.data.ImageDataset(images[:32], labels[:32], batch_size=16, shuffle=False)
    plain, weights_plain = train()
    validated, weights_validated = train(validation_data=held_out)
    assert "val_discriminator_loss" in validated
    assert {k: v for k, v in validated.items() if not k.startswith("val_")} == plain
    for a, b in zip(weights_plain, weights_validated, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_unconditional_gan_ignores_labels(make_gan, images, labels):
    losses = []
    for given in (None, labels):
        keras.utils.set_random_seed(2)
        gan = make_gan("mlp")
        data = kgan.data.ImageDataset(images, given, batch_size=16, seed=5)
        losses.append(gan.fit(data, verbose=0).history)
    assert losses[0] == losses[1]


def test_trains_on_arrays_and_generators(make_gan, dataset, labels):
    x = np.concatenate([batch for batch, _ in dataset])
    assert make_gan().fit(x, batch_size=32, verbose=0).history["generator_loss"]
    conditional = make_gan(num_classes=3)
    assert conditional.fit(x, labels, batch_size=32, verbose=0).history["generator_loss"]
    endless = (batch for _ in iter(int, 1) for batch in dataset)
    gan = make_gan(num_classes=3)
    gan.fit(endless, steps_per_epoch=4, verbose=0)
    assert int(gan.optimizer.iterations) == 4


@pytest.mark.filterwarnings("ignore")  # PyTorch's, of arrays that may not be written to
def test_what_other_libraries_give_trains_as_arrays_do(make_gan, dataset):
    """Tensors of the backend, `tf.data`, PyTorch's DataLoader: the same batches and weights."""
    batches = list(dataset)
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))

    def trained(*data, **options):
        keras.utils.set_random_seed(2)
        gan = make_gan("mlp", 3)
        gan.fit(*data, verbose=0, **options)
        return gan.get_weights()

    expected = trained(x, y, batch_size=16, shuffle=False)
    tensors = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
    found = {"tensors": trained(*tensors, batch_size=16, shuffle=False)}
    if importlib.util.find_spec("tensorflow"):
        tf = importlib.import_module("tensorflow")
        found["tf.data"] = trained(tf.data.Dataset.from_tensor_slices((x, y)).batch(16))
    if importlib.util.find_spec("torch"):
        data = importlib.import_module("torch.utils.data")
        found["DataLoader"] = trained(
            data.DataLoader(list(zip(x, y, strict=True)), batch_size=16, num_workers=0)
        )
    for name, weights in found.items():
        for a, b in zip(weights, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.skipif(
    not _backend.multiple_steps(None), reason="Keras has no several steps at once here"
)
def test_steps_per_execution_trains_the_same(make_gan, images):
    results = []
    for steps in (1, 3):
        keras.utils.set_random_seed(2)
        gan = make_gan(steps_per_execution=steps)
        gan.fit(kgan.data.ImageDataset(images, batch_size=16, seed=5), epochs=2, verbose=0)
        results.append(gan.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(_backend.multiple_steps(None), reason="Keras runs several steps at once here")
def test_steps_per_execution_is_refused_early(make_gan):
    with pytest.raises(ValueError, match=r"Expected steps_per_execution=1\. Received: .*=3"):
        make_gan(steps_per_execution=3)


def test_epochs_trained_sets_the_datasets_epoch(make_gan, images):
    gan = make_gan()
    data = kgan.data.ImageDataset(images, batch_size=16, seed=5)
    data.epoch = 7
    epochs = []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: epochs.append(data.epoch)
    )
    gan.fit(data, epochs=2, verbose=0, callbacks=[record])
    gan.fit(data, epochs=1, verbose=0, callbacks=[record])
    assert epochs == [0] * 6 + [1] * 6 + [2] * 6
    assert gan.epochs_trained == 3


def test_short_last_batches_count_for_what_they_are(make_gan, images):
    gan = make_gan("mlp")
    whole = kgan.data.ImageDataset(images, batch_size=96, shuffle=False)
    parts = kgan.data.ImageDataset(images, batch_size=95, shuffle=False, drop_remainder=False)
    scores = [gan.evaluate(x, verbose=0, return_dict=True)["real_score"] for x in (whole, parts)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-5)


def test_regularizers_of_the_networks_count(images):
    batch = kgan.data.ImageDataset(images, batch_size=16, seed=0)[0]

    def one_step(decay):
        gan = linear_gan(decay=decay)
        logs = gan.train_on_batch(batch[:, :1, :1], return_dict=True)
        return weights(gan), logs

    plain, logs = one_step(None)
    # Half the square of the weight: its gradient is the weight.
    decayed, heavier = one_step(keras.regularizers.L2(0.5))
    z = latents_of_step(11, 16, 1)[0].mean()
    np.testing.assert_allclose(decayed[1], plain[1] - 0.1 * 0.5, rtol=1e-4)
    # The generator's gradient comes through the discriminator, which decayed by 0.05 before.
    np.testing.assert_allclose(decayed[0], plain[0] - 0.1 * 2.0 - 0.1 * 0.05 * z, rtol=1e-4)
    increase = float(heavier["discriminator_loss"]) - float(logs["discriminator_loss"])
    np.testing.assert_allclose(increase, 0.5 * 0.5**2, rtol=1e-4)
    # Held-out losses count them too: of the weights 2 and 0.5.
    with_decay, without = (
        linear_gan(decay=decay).evaluate(batch[:, :1, :1], verbose=0, return_dict=True)
        for decay in (keras.regularizers.L2(0.5), None)
    )
    for name, weight in (("discriminator_loss", 0.5), ("generator_loss", 2.0)):
        np.testing.assert_allclose(
            with_decay[name] - without[name], 0.5 * weight**2, rtol=1e-4, err_msg=name
        )


def test_steps_per_epoch_goes_through_the_data_all_the_same(make_gan, images):
    seen = []

    class Recorder(kgan.data.ImageDataset):
        def batch(self, epoch, index):
            seen.append((epoch, index))
            return super().batch(epoch, index)

    gan = make_gan()
    gan.fit(Recorder(images, batch_size=16, seed=5), epochs=3, steps_per_epoch=4, verbose=0)
    assert int(gan.optimizer.iterations) == 12
    # Two passes of six batches each, whatever else was looked at or prefetched.
    assert {(e, i) for e in (0, 1) for i in range(6)} <= set(seen)


def test_workers_do_not_change_training(make_gan, images):
    results = []
    for workers in (1, 4):
        keras.utils.set_random_seed(2)
        gan = make_gan("mlp")
        data = kgan.data.ImageDataset(images, batch_size=16, seed=5, workers=workers)
        gan.fit(data, epochs=2, verbose=0)
        results.append(gan.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_callback_list_may_be_used_again(make_gan, dataset):
    gan = make_gan()
    callbacks = keras.callbacks.CallbackList([], add_history=True, model=gan, epochs=1)
    for _ in range(2):
        gan.fit(dataset, verbose=0, callbacks=callbacks)
    assert gan.epochs_trained == 2


def test_sequential_networks(images):
    generator = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))]
    )
    discriminator = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    gan = kgan.GAN(generator, discriminator)
    gan.compile()
    data = kgan.data.ImageDataset(images, batch_size=16)
    assert np.isfinite(gan.fit(data, verbose=0).history["generator_loss"]).all()
    assert gan.generate(3).shape == (3, 8, 8, 1)


def test_one_input_in_a_list(images):
    latent, image = keras.Input((4,)), keras.Input((8, 8, 1))
    made = keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64)(latent))
    logits = keras.layers.Dense(1)(keras.layers.Flatten()(image))
    gan = kgan.GAN(keras.Model([latent], made), keras.Model([image], logits))
    gan.compile()
    gan.fit(kgan.data.ImageDataset(images, batch_size=16), verbose=0)
    assert gan.generate(3).shape == (3, 8, 8, 1)


def test_a_subclass_keeps_its_own_metrics(dataset):
    class Counting(kgan.GAN):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.batches = keras.metrics.Sum(name="batches")

        def training_step(self, data):
            self.batches.update_state(1.0)
            return super().training_step(data)

    gan = Counting(*kgan.networks.mlp((8, 8, 1), 4, width=4))
    gan.compile()
    assert gan.fit(dataset, epochs=2, verbose=0).history["batches"] == [6, 6]


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="PyTorch's compiler takes minutes for the first step"
)
def test_jit_compile_trains(make_gan, dataset):
    gan = make_gan("mlp", jit_compile=True)
    assert np.isfinite(gan.fit(dataset, verbose=0).history["generator_loss"]).all()


# ---- generate ------------------------------------------------------------------------------------


def test_generate_gives_floats_in_range(make_gan):
    images = make_gan().generate(5, seed=1)
    assert images.shape == (5, 8, 8, 1)
    assert images.dtype == np.float32
    assert np.abs(images).max() <= 1
    assert np.ptp(images, axis=0).max() > 0


def test_generate_is_the_generator_on_seeded_normal_latents(make_gan):
    gan = make_gan()
    latents = np.random.default_rng(7).standard_normal((5, 4), "float32")
    expected = ops.convert_to_numpy(gan.generator(latents, training=False))
    np.testing.assert_allclose(gan.generate(5, seed=7), expected, atol=1e-6)
    np.testing.assert_allclose(gan.generate(5, seed=7, batch_size=2), expected, atol=1e-6)
    assert not np.array_equal(gan.generate(5, seed=8), gan.generate(5, seed=7))
    assert not np.array_equal(gan.generate(5), gan.generate(5))
    np.testing.assert_allclose(gan.predict(latents, verbose=0), expected, atol=1e-6)


def test_generate_does_not_change_training(make_gan, dataset):
    results = []
    for generates in (False, True):
        keras.utils.set_random_seed(2)
        gan = make_gan("mlp")
        for images, _ in dataset:
            gan.train_on_batch(images)
            if generates:
                gan.generate(3)
        results.append(gan.get_weights())
        dataset.epoch = 0
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_generate_conditional(make_gan):
    gan = make_gan(num_classes=3)
    every = gan.generate(7, seed=1)
    np.testing.assert_array_equal(every, gan.generate(7, labels=np.arange(7) % 3, seed=1))
    ones = gan.generate(7, labels=1, seed=1)
    np.testing.assert_array_equal(ones[1], every[1])
    assert not np.array_equal(ones[0], every[0])


@pytest.mark.parametrize("labels", [3, -1, [0, 1, 2, 3], [0.5, 1, 1, 1]])
def test_generate_refuses_labels_out_of_range(make_gan, labels):
    with pytest.raises(ValueError, match="Received: labels"):
        make_gan(num_classes=3).generate(4, labels=labels)


def test_generate_refuses_wrong_arguments(make_gan):
    with pytest.raises(ValueError, match=r"Expected one label, or 4 of them"):
        make_gan(num_classes=3).generate(4, labels=[0, 1])
    with pytest.raises(ValueError, match="unconditional"):
        make_gan().generate(4, labels=1)
    for n in (0, -3, 2.5):
        with pytest.raises(ValueError, match="at least 1"):
            make_gan().generate(n)
    for size in (0, None):
        with pytest.raises(ValueError, match="batch_size"):
            make_gan().generate(2, batch_size=size)


# ---- compile -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"discriminator_steps": 0}, ValueError, "discriminator_steps=0"),
        ({"discriminator_steps": 1.5}, ValueError, "discriminator_steps=1.5"),
        ({"loss": "hing"}, ValueError, "Did you mean 'hinge'"),
        ({"metrics": ["accuracy"]}, TypeError, "metrics"),
        ({"optimizer": "adam"}, TypeError, "generator_optimizer"),
    ],
)
def test_compile_refuses(make_gan, options, error, message):
    with pytest.raises(error, match=message):
        make_gan(**options)


def test_compile_refuses_one_optimizer_for_both(make_gan):
    adam = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="Make two"):
        make_gan(generator_optimizer=adam, discriminator_optimizer=adam)


def test_fit_before_compile_says_so(dataset):
    gan = kgan.GAN(*kgan.networks.mlp((8, 8, 1), 4, width=4))
    for method in (gan.fit, gan.evaluate):
        with pytest.raises(ValueError, match=r"compile\(\)"):
            method(dataset)


def test_interpolate_goes_from_one_sample_to_another_along_an_arc(make_gan):
    gan = make_gan()
    images = gan.interpolate(3, steps=5, seed=2)
    assert images.shape == (3, 5, 8, 8, 1)
    latents = np.random.default_rng(2).standard_normal((2, 3, 4), "float32")
    np.testing.assert_allclose(images[:, 0], gan.predict(latents[0], verbose=0), atol=1e-5)
    np.testing.assert_allclose(images[:, -1], gan.predict(latents[1], verbose=0), atol=1e-5)
    # Half way: between the directions, and as long as the two ends in the mean.
    lengths = np.linalg.norm(latents[:, 0], axis=1)
    middle = (latents[0, 0] / lengths[0] + latents[1, 0] / lengths[1])[None]
    middle *= lengths.mean() / np.linalg.norm(middle)
    np.testing.assert_allclose(images[0, 2], gan.predict(middle, verbose=0)[0], atol=1e-5)


def test_ways_between_opposite_latents_are_straight():
    start = np.array([[1.0, 0.0], [2.0, 0.0]], "float32")
    end = np.array([[-3.0, 0.0], [0.0, 1.0]], "float32")
    straight, arc = arcs(start, end, 3)
    np.testing.assert_allclose(straight, [[1, 0], [-1, 0], [-3, 0]], atol=1e-6)
    np.testing.assert_allclose(arc[1], np.array([1.5, 1.5]) / np.sqrt(2), rtol=1e-6)


def test_interpolate_keeps_the_class_of_each_way(make_gan):
    gan = make_gan(num_classes=3)
    images = gan.interpolate(2, steps=3, labels=[2, 0], seed=2)
    latents = np.random.default_rng(2).standard_normal((2, 2, 4), "float32")
    ends = gan.predict([latents[1], np.array([2, 0])], verbose=0)
    np.testing.assert_allclose(images[:, -1], ends, atol=1e-5)
    with pytest.raises(ValueError, match=r"`steps` to be an integer of at least 2"):
        gan.interpolate(2, steps=1)
    with pytest.raises(ValueError, match="unconditional"):
        make_gan().interpolate(2, labels=1)


@pytest.mark.parametrize("steps", [2, 5, 6])
def test_a_path_between_classes_changes_the_class_in_the_middle(make_gan, steps):
    gan = make_gan(num_classes=3)
    pairs = np.array([[2, 0], [1, 1]])
    path = gan.interpolate(2, steps=steps, labels=pairs, seed=2)
    first, last = (gan.interpolate(2, steps=steps, labels=each, seed=2) for each in pairs.T)
    half = steps // 2  # the middle image of an odd number has the last class
    np.testing.assert_array_equal(path[:, :half], first[:, :half])
    np.testing.assert_array_equal(path[:, half:], last[:, half:])
    assert np.abs(first[0] - last[0]).max() > 0


def test_labels_of_paths(make_gan):
    gan = make_gan(num_classes=3)
    expected = gan.interpolate(1, steps=4, labels=[[1, 2]], seed=0)
    np.testing.assert_array_equal(gan.interpolate(1, steps=4, labels=(1, 2), seed=0), expected)
    # As many labels as paths: a class for each.
    of_paths = gan.interpolate(2, steps=4, labels=(1, 2), seed=0)
    same = gan.interpolate(2, steps=4, labels=[[1, 1], [2, 2]], seed=0)
    np.testing.assert_array_equal(of_paths, same)
    for labels in ([[0, 3]], [[0, 1, 2]], [[0, 1], [1, 2], [2, 0]]):
        with pytest.raises(ValueError, match="Expected"):
            gan.interpolate(1, labels=labels)
    with pytest.raises(ValueError, match="unconditional"):
        make_gan().interpolate(1, labels=(0, 1))


def test_compiling_anew_forgets_what_it_was_compiled_with_before(make_gan, dataset):
    gan = make_gan("mlp", penalties=["r1", "lecam"], augmentation="adaptive", ema_decay=0.9)
    gan.fit(dataset, verbose=0)
    gan.compile(penalties=["r2"])
    fresh = make_gan("mlp", penalties=["r2"])
    assert [v.name for v in gan.variables] == [v.name for v in fresh.variables]
    assert len(gan.metrics_variables) == len(fresh.metrics_variables)
    assert set(gan.fit(dataset, verbose=0).history) == {*LOGS, "r2"}


def test_optimizers_that_accumulate_gradients_update_every_so_many_steps(make_gan, dataset):
    gan = make_gan(
        "mlp",
        generator_optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
        discriminator_optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
    )
    before = gan.generator.get_weights()
    moved = []
    for index in range(2):
        gan.train_on_batch(dataset.batch(0, index))
        now = gan.generator.get_weights()
        moved.append(any(not np.array_equal(a, b) for a, b in zip(now, before, strict=True)))
    assert moved == [False, True]


def test_images_of_other_floats_train_as_float32(make_gan, dataset):
    images = np.round(dataset.batch(0, 0)[0] * 16) / 16  # which float16 holds exactly

    def train(dtype):
        keras.utils.set_random_seed(1)
        gan = make_gan("mlp", penalties=["gradient_penalty", "dragan", "r1"])
        return gan.train_on_batch(images.astype(dtype), return_dict=True)

    expected = train("float32")
    for dtype in ("float16", "float64"):
        for name, value in train(dtype).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-6, err_msg=f"{dtype} {name}")


def test_labels_as_rows_in_one_network_and_as_numbers_in_the_other(dataset):
    layers = keras.layers

    def embedded(label):
        return layers.Flatten()(layers.Embedding(3, 4)(label))

    latent, number = keras.Input((4,)), keras.Input((), dtype="int32")
    image, row = keras.Input((8, 8, 1)), keras.Input((1,), dtype="int32")
    x = layers.Dense(64)(layers.Concatenate()([latent, embedded(number)]))
    y = layers.Concatenate()([layers.Flatten()(image), embedded(row)])
    gan = kgan.GAN(
        keras.Model([latent, number], layers.Reshape((8, 8, 1))(x)),
        keras.Model([image, row], layers.Dense(1)(y)),
        seed=0,
    )
    gan.compile()
    assert np.isfinite(gan.fit(dataset, verbose=0).history["generator_loss"][-1])
