"""Progressive growing: stages by images seen, fades, and what an early stage leaves alone."""

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan.models import stages
from kgan.training import log_names

BATCH = 12


def make(shape=(13, 9, 1), stable_images=30, fade_images=60, **options):
    """A GAN for images of 13 x 9, whose sizes are 13 x 9, 7 x 5 and 4 x 3."""
    keras.utils.set_random_seed(2)
    networks = kgan.networks.progressive(shape, latent_dim=5, width=3, max_width=8)
    gan = kgan.ProgressiveGAN(*networks, seed=4)
    # For so few steps, compiling each stage would take longer.
    options = {"run_eagerly": True, **options}
    gan.compile(stable_images=stable_images, fade_images=fade_images, **options)
    return gan


def data(count=48, shape=(13, 9, 1), batch_size=BATCH, **options):
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype="uint8")
    return kgan.data.ImageDataset(images, batch_size=batch_size, seed=1, **options)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def array(tensor):
    return ops.convert_to_numpy(tensor)


def shrunk(images):
    """Means of 2 x 2 pixels; those at the end of odd sizes have fewer."""
    height, width = images.shape[1:3]
    rows = [images[:, i : i + 2] for i in range(0, height, 2)]
    return np.stack(
        [
            np.stack([row[:, :, j : j + 2].mean(axis=(1, 2)) for j in range(0, width, 2)], axis=1)
            for row in rows
        ],
        axis=1,
    )


def enlarged(images, size):
    return images.repeat(2, axis=1).repeat(2, axis=2)[:, : size[0], : size[1]]


def set_alpha(network, value):
    for layer in network.layers:
        if isinstance(layer, kgan.layers.FadeIn):
            layer.alpha.assign(value)


class Watch(keras.callbacks.Callback):
    """Notes the stage, and the alphas of all fades, after every step."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        gan = self.model
        alphas = [
            float(array(fade.alpha))
            for network in (gan.generator, gan.discriminator)
            for fade in stages.fades_of(stages.part_of(network, gan.stage))
        ]
        self.seen.append((int(array(gan.images_seen)), gan.stage, sorted(set(alphas))))


# ---- the schedule --------------------------------------------------------------------------------


def test_stages_and_alphas_by_images_seen():
    schedule = stages.Schedule(stages=4, fade_images=100, stable_images=50)
    assert [schedule.start(stage) for stage in range(4)] == [0, 50, 200, 350]
    assert [schedule.end(stage) for stage in range(4)] == [50, 200, 350, float("inf")]
    expected = {0: 0, 49: 0, 50: 1, 199: 1, 200: 2, 349: 2, 350: 3, 10**9: 3}
    assert {images: schedule.stage_at(images) for images in expected} == expected
    found = [float(array(schedule.alpha(2, n))) for n in (150, 200, 225, 299, 300, 349, 10**6)]
    np.testing.assert_allclose(found, [0, 0, 0.25, 0.99, 1, 1, 1], rtol=1e-6)
    assert float(array(schedule.alpha(0, 0))) == 1.0


def test_without_a_fade_new_blocks_count_at_once():
    schedule = stages.Schedule(stages=3, fade_images=0, stable_images=10)
    assert [schedule.stage_at(n) for n in (9, 10, 19, 20)] == [0, 1, 1, 2]
    assert float(array(schedule.alpha(1, 10))) == 1.0


@pytest.mark.parametrize("partial", [False, True])
def test_stages_follow_the_images_also_within_epochs_and_with_partial_batches(partial):
    gan, watch = make(run_eagerly=partial), Watch()
    count = 43 if partial else 48
    dataset = data(count, drop_remainder=False) if partial else data(count)
    history = gan.fit(dataset, epochs=6, verbose=0, callbacks=watch).history
    sizes = [12, 12, 12, 7 if partial else 12] * 6
    seen = 0
    for found, size in zip(watch.seen, sizes, strict=True):
        stage = sum(seen >= start for start in (30, 120))  # at the beginning of the step
        seen += size
        alpha = np.clip((seen - (0, 30, 120)[stage]) / 60, 0, 1)
        assert found[:2] == (seen, stage)
        np.testing.assert_allclose(found[2], [alpha] if stage else [], rtol=1e-6)
    assert gan.stage == 2
    assert gan.resolution == (13, 9)
    assert watch.seen[-1][2] == [1.0]  # neither past 1 nor stuck at 0
    assert history["resolution"][-1] == 13.0
    assert history["fade"][-1] == 1.0
    first = {False: (4 * 36 + 7 * 12) / 48, True: (4 * 36 + 7 * 7) / 43}[partial]
    np.testing.assert_allclose(history["resolution"][0], first, rtol=1e-6)


def test_single_batches_grow_it_too():
    gan = make(stable_images=20, fade_images=0)
    (images,) = (data()[0],)
    stages_seen = []
    for _ in range(6):
        logs = gan.train_on_batch(images, return_dict=True)
        stages_seen.append((gan.stage, float(logs["resolution"])))
    assert stages_seen == [(0, 4), (0, 4), (1, 7), (1, 7), (2, 13), (2, 13)]


def test_batches_of_other_sizes_end_a_stage_in_time():
    gan = make(stable_images=40, fade_images=0)
    images = data(48, batch_size=48)[0]
    found = []
    for size in (4, 4, 30, 4, 4):
        gan.train_on_batch(images[:size])
        found.append(gan.stage)
    assert found == [0, 0, 0, 0, 1]


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras runs one step at a time")
def test_several_steps_in_one_execution_end_a_stage_after_it():
    gan, watch = make(shape=(8, 8, 1), run_eagerly=False, steps_per_execution=2), Watch()
    dataset = data(shape=(8, 8, 1))
    gan.fit(dataset, epochs=1, verbose=0, callbacks=watch)
    assert [each[:2] for each in watch.seen] == [(24, 0), (48, 0)]
    gan.fit(dataset, epochs=2, initial_epoch=1, steps_per_epoch=2, verbose=0)
    assert gan.stage == 1


# ---- fades ---------------------------------------------------------------------------------------


def test_generated_images_fade_from_the_smaller_ones_enlarged_to_those_of_the_new_block():
    generator, _ = kgan.networks.progressive((13, 9, 2), latent_dim=5, width=3)
    latents = numbers(4, 5)
    sizes = [(13, 9), (7, 5), (4, 3)]
    small = {stage: stages.part_of(generator, stage) for stage in range(3)}
    for stage in (1, 2):
        set_alpha(generator, 1.0)
        new = array(small[stage](latents))
        assert new.shape == (4, *sizes[2 - stage], 2)
        old_output = array(small[stage - 1](latents))
        set_alpha(generator, 0.0)
        old = array(small[stage](latents))
        set_alpha(generator, 1.0)
        if stage == 1:  # the smaller image has no fade itself
            np.testing.assert_array_equal(old, enlarged(old_output, sizes[2 - stage]))
        set_alpha(generator, 0.25)
        np.testing.assert_allclose(
            array(small[stage](latents)), 0.25 * new + 0.75 * old, rtol=1e-4, atol=1e-5
        )


def test_a_new_stage_begins_exactly_where_the_last_one_ended():
    gan = make()
    gan.fit(data(), epochs=2, steps_per_epoch=3, verbose=0)  # 72 images: in the fade of stage 1
    for stage in (1, 2):
        latents = gan.draw_latents(3, seed=1)
        set_alpha(gan.generator, 1.0)
        before = array(stages.part_of(gan.generator, stage - 1, full_size=True)(latents))
        set_alpha(gan.generator, 0.0)
        after = array(stages.part_of(gan.generator, stage, full_size=True)(latents))
        np.testing.assert_array_equal(before, after)


def test_real_images_are_shrunk_and_faded_as_generated_ones_are():
    gan = make()
    images = numbers(4, 13, 9, 1)
    batch = kgan.training.Batch(ops.convert_to_tensor(images))
    for seen, stage, alpha in ((0, 0, None), (30, 1, 0.0), (75, 1, 0.75), (119, 1, 1.0)):
        gan.images_seen.assign(seen)
        gan._saved_stage.assign(stage)
        gan.python_state()
        found = array(gan._of_stage(batch).images)
        expected = shrunk(images)
        if stage == 0:
            expected = shrunk(expected)
        else:
            small = enlarged(shrunk(expected), (7, 5))
            expected = alpha * expected + (1 - alpha) * small
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_discriminator_sees_a_faded_real_image_through_the_old_block_at_alpha_0():
    _, discriminator = kgan.networks.progressive((8, 8, 1), latent_dim=5, width=3, group_size=None)
    images = numbers(4, 8, 8, 1)
    large, small = (stages.part_of(discriminator, stage) for stage in (1, 0))
    np.testing.assert_allclose(
        array(large(images)), array(small(shrunk(images))), rtol=1e-4, atol=1e-5
    )


# ---- what a stage trains -------------------------------------------------------------------------


def weights_of(network):
    return {id(v): array(v).copy() for v in network.trainable_variables}


def test_an_early_stage_trains_its_layers_and_no_others():
    gan = make(stable_images=10**6, ema_decay=0.5)
    before = {name: weights_of(getattr(gan, name)) for name in gan.networks}
    state = [array(v).copy() for v in gan.optimizer.variables]
    gan.fit(data(), epochs=1, verbose=0)
    for name in gan.networks:
        network = getattr(gan, name)
        mine = {id(v) for v in stages.part_of(network, 0).trainable_variables}
        assert 0 < len(mine) < len(before[name])
        for key, value in weights_of(network).items():
            assert np.array_equal(value, before[name][key]) == (key not in mine)
    # Nor have the optimizers seen a gradient of the other layers.
    for role in gan.roles:
        optimizer = gan.optimizer[role]
        mine = {id(v) for v in stages.part_of(getattr(gan, role), 0).trainable_variables}
        for variable, moment in zip(
            getattr(gan, role).trainable_variables, optimizer._velocities, strict=True
        ):
            assert (np.abs(array(moment)).max() > 0) == (id(variable) in mine)
    assert len(state) == len(gan.optimizer.variables)


def test_an_early_stage_runs_no_later_layers():
    gan = make()
    called = []
    for network in (gan.generator, gan.discriminator):
        later = set(network.layers) - set(stages.part_of(network, 0).layers)
        for layer in later:
            layer.call = lambda *a, name=layer.name, **k: called.append(name)
    gan.train_on_batch(data()[0])
    assert not called
    assert gan.generate(2, seed=1).shape == (2, 13, 9, 1)


def test_optimizers_start_again_with_each_stage():
    gan = make(
        stable_images=24,
        generator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.99),
    )
    gan.optimizer.learning_rate = 5e-4
    for _ in range(2):
        gan.train_on_batch(data()[0])
    adam = gan.optimizer["generator"]
    assert int(array(adam.iterations)) == 2
    assert gan.steps_made() == 2
    first = adam._momentums[0]
    assert np.abs(array(first)).max() > 0
    gan.before_step()  # the next stage is due
    assert gan.stage == 1
    assert int(array(adam.iterations)) == 0
    assert all(not np.any(array(v)) for v in (*adam._momentums, *adam._velocities))
    np.testing.assert_allclose(float(array(adam.learning_rate)), 5e-4, rtol=1e-6)
    gan.train_on_batch(data()[0])
    assert (int(array(adam.iterations)), gan.steps_made()) == (1, 3)


def test_a_restart_gives_optimizers_their_first_state_and_keeps_rates_and_schedules():
    for make_optimizer in (
        lambda: keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.25),
        lambda: keras.optimizers.Nadam(0.1),
        lambda: keras.optimizers.SGD(Linear(), momentum=0.9),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.RMSprop(0.1)),
    ):
        variable = keras.Variable([1.0, 2.0])
        optimizers = kgan.training.Optimizers({"model": make_optimizer()})
        optimizers.build({"model": [variable]})
        before = [array(v).copy() for v in optimizers.variables]
        for each in optimizers.variables:
            if "learning_rate" not in each.path:
                each.assign(each.value + 1)
        optimizers.restart()
        for found, expected in zip(optimizers.variables, before, strict=True):
            if "scale" not in found.path and "step_counter" not in found.path:
                np.testing.assert_array_equal(array(found), expected, err_msg=found.path)


class Linear(keras.optimizers.schedules.LearningRateSchedule):
    """Of a class that is not registered, which Keras cannot make from a configuration."""

    def __call__(self, step):
        return 0.1 / (1.0 + ops.cast(step, "float32"))

    def get_config(self):
        return {}


# ---- samples, saving -----------------------------------------------------------------------------


def test_samples_have_the_full_size_in_every_stage(tmp_path):
    gan = make(fade_images=0, stable_images=12)
    for stage, size in enumerate([(4, 3), (7, 5), (13, 9)]):
        gan.train_on_batch(data()[0])
        assert (gan.stage, gan.resolution) == (stage, size)
        images = gan.generate(3, seed=1)
        assert images.shape == (3, 13, 9, 1)
        assert np.abs(images).max() <= 1.0
        small = np.clip(array(stages.part_of(gan.generator, stage)(gan.draw_latents(3, 1))), -1, 1)
        for larger in ((7, 5), (13, 9))[stage:]:
            small = enlarged(small, larger)
        np.testing.assert_allclose(images, small, rtol=1e-4, atol=1e-5)
        gan.save(tmp_path / "gan.keras")
        for options in ({}, {"compile": False}):
            loaded = keras.saving.load_model(tmp_path / "gan.keras", **options)
            assert loaded.stage == stage
            np.testing.assert_array_equal(loaded.generate(3, seed=1), images)
            np.testing.assert_allclose(
                array(loaded(gan.draw_latents(3, 1))), images, rtol=1e-4, atol=1e-5
            )


def test_evaluation_measures_the_present_stage_and_grows_nothing():
    gan = make(fade_images=0, stable_images=12)
    found = []
    for stage in range(3):
        gan.train_on_batch(data()[0])
        logs = gan.evaluate(data(), verbose=0, return_dict=True)
        assert "resolution" not in logs
        found.append(logs["real_score"])
        assert (gan.stage, int(array(gan.images_seen))) == (stage, 12 * (stage + 1))
        images = stages.shrunk(ops.convert_to_tensor(np.concatenate(list(data()))), 2 - stage)
        # The deviation over the minibatch depends on the batches.
        expected = [
            array(stages.part_of(gan.discriminator, stage)(images[at : at + BATCH]))
            for at in range(0, 48, BATCH)
        ]
        order_free = pytest.approx(np.mean(expected), rel=0.2, abs=0.05)
        assert logs["real_score"] == order_free
    assert len(set(found)) == 3


def test_the_average_fades_and_grows_with_the_generator():
    gan = make(ema_decay=0.9)
    gan.fit(data(), epochs=2, verbose=0)
    average = gan.network_in_use("generator")
    assert average is not gan.generator
    alphas = [
        [float(array(fade.alpha)) for fade in stages.fades_of(stages.part_of(each, gan.stage))]
        for each in (average, gan.generator)
    ]
    assert alphas[0] == alphas[1] == [1.0]
    different = gan.generate(3, seed=1) - gan.generate(3, seed=1, averaged=False)
    assert np.abs(different).max() > 0


def test_another_schedule_takes_effect_at_the_next_step():
    gan = make()
    gan.train_on_batch(data()[0])
    gan.compile(stable_images=6, fade_images=0)
    assert gan.stage == 0
    gan.train_on_batch(data()[0])
    assert gan.stage == 2
    assert gan.resolution == (13, 9)


def test_ctrl_c_in_an_epoch_with_a_new_stage_keeps_the_place(interruptible):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 3:
                raise KeyboardInterrupt

    gan = make(stable_images=24)
    with pytest.raises(KeyboardInterrupt):
        gan.fit(data(), epochs=1, verbose=0, callbacks=Interrupt())
    assert gan.stage == 1
    assert (gan.progress.epoch, gan.progress.batches) == (0, 3)
    gan.fit(data(), epochs=1, verbose=0)
    expected = make(stable_images=24)
    expected.fit(data(), epochs=1, verbose=0)
    for found, wanted in zip(gan.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(array(found), array(wanted), err_msg=found.path)


# ---- wrong input ---------------------------------------------------------------------------------


def growing(generator_outputs, discriminator_pairs):
    latent = keras.Input((4,))
    images = [
        keras.layers.Reshape(shape)(keras.layers.Dense(int(np.prod(shape)))(latent))
        for shape in generator_outputs
    ]
    inputs = [keras.Input(shape) for shape in discriminator_pairs]
    logits = [keras.layers.Dense(1)(keras.layers.Flatten()(x)) for x in inputs]
    return keras.Model(latent, images), inputs, logits


def test_networks_that_cannot_grow_are_refused():
    large, small = (8, 8, 1), (4, 4, 1)
    generator, inputs, logits = growing([large, small], [large, small])
    right = keras.Model(inputs, logits)
    kgan.ProgressiveGAN(generator, right)
    plain = kgan.networks.mlp(large, latent_dim=4, width=4)
    mixed = keras.Model(inputs, [keras.layers.Add()(logits), logits[1]])
    sigmoid = keras.Model(inputs, [keras.layers.Activation("sigmoid")(x) for x in logits])
    swapped = growing([small, large], [small, large])
    other = growing([large, small], [large, (4, 4, 3)])
    for pair, message in (
        (plain, "at least two sizes.*1 outputs"),
        ((right, generator), "at least two sizes"),
        ((generator, mixed), "at the same place alone"),
        ((generator, sigmoid), "logits"),
        ((swapped[0], keras.Model(*swapped[1:])), "half as large"),
        ((other[0], keras.Model(*other[1:])), r"input of shape \(batch, 4, 4, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            kgan.ProgressiveGAN(*pair)


@pytest.mark.parametrize(
    "options", [{"fade_images": -1}, {"stable_images": 0}, {"stable_images": 1.5}]
)
def test_wrong_schedules_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        make(**options)


def test_network_arguments_are_checked():
    with pytest.raises(ValueError, match="at least 5 pixels"):
        kgan.networks.progressive((4, 4, 1))
    for name in ("latent_dim", "width", "max_width", "group_size"):
        with pytest.raises(ValueError, match=name):
            kgan.networks.progressive((8, 8, 1), **{name: 0})


def test_its_logs_have_panels():
    panels = log_names.in_panels(make().log_names())
    assert panels["Size of the images"][0].name == "resolution"
    assert panels["Share of the new blocks"][0].name == "fade"
