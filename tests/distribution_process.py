"""One process of those that test_distribution.py starts.

`python distribution_process.py JOB.json`, an object with `task`, the name of a function below;
`addresses`, of the processes that train together, and this one's `index`; `devices`, how many
virtual ones a process has; `folder`, where what was found is written; and `checkpoint`, a file.

test_distribution.py also imports it, to train the same on one device.
"""

# ruff: noqa: I001

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import kgan  # sets TensorFlow's switches, so it stands first
import keras
import numpy as np
from kgan._versions import KERAS

BACKEND = keras.backend.backend()
# Of one's own, on several devices.
HAS_LOOPS = BACKEND != "jax" or KERAS >= (3, 15)
BATCH = 16


# ---- what is trained -----------------------------------------------------------------------------


def images():
    return np.random.default_rng(0).integers(0, 256, (96, 8, 8), dtype="uint8")


def dataset(count=96, batch_size=BATCH, seed=5, **options):
    labels = np.arange(count) % 3
    return kgan.data.ImageDataset(
        images()[:count], labels, batch_size=batch_size, seed=seed, **options
    )


def held_out():
    return dataset(shuffle=False)


def plain_networks():
    """Networks without what is another thing on several devices: batch statistics and dropout."""
    generator, _ = kgan.networks.mlp((8, 8, 1), 4, width=4)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Dense(8, activation="leaky_relu")(keras.layers.Flatten()(image))
    return generator, keras.Model(image, keras.layers.Dense(1)(x))


def conditional_networks():
    """Networks with embeddings, a regularizer, and statistics of the whole batch."""
    latent, image, label = keras.Input((4,)), keras.Input((8, 8, 1)), keras.Input((), dtype="int32")

    def with_label(x):
        return keras.layers.Concatenate()([x, keras.layers.Embedding(3, 4)(label)])

    x = keras.layers.Dense(8)(with_label(latent))
    x = keras.layers.BatchNormalization(synchronized=BACKEND == "tensorflow")(x)
    x = keras.layers.Dense(64, activation="tanh")(keras.layers.LeakyReLU()(x))
    generator = keras.Model([latent, label], keras.layers.Reshape((8, 8, 1))(x))
    decay = keras.regularizers.L2(0.05)
    x = with_label(keras.layers.Flatten()(image))
    x = keras.layers.Dense(8, activation="leaky_relu", kernel_regularizer=decay)(x)
    return generator, keras.Model([image, label], keras.layers.Dense(1)(x))


def make_gan(case):
    keras.utils.set_random_seed(1)
    if case == "non_saturating":
        gan = kgan.GAN(*plain_networks(), seed=3)
        gan.compile(penalties=["r1", "gradient_penalty", "lecam"], ema_decay=0.9)
    else:
        gan = kgan.GAN(*conditional_networks(), seed=3)
        # Gradients longer than that must be clipped as the whole batch's.
        clipped = [keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.2) for _ in range(2)]
        lazy = kgan.penalties.R2(0.1, interval=2)
        gan.compile(*clipped, loss="relativistic", penalties=lazy, discriminator_steps=2)
    return gan


def accumulating_gan():
    """A GAN whose optimizers make an update every two and every three steps."""
    keras.utils.set_random_seed(1)
    gan = kgan.GAN(*plain_networks(), seed=3)
    gan.compile(
        generator_optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
        discriminator_optimizer=keras.optimizers.Adam(
            1e-2, epsilon=1e-3, gradient_accumulation_steps=3
        ),
        ema_decay=0.9,
    )
    return gan


def state(gan):
    return {
        f"{number}": keras.ops.convert_to_numpy(variable)
        for number, variable in enumerate((*gan.variables, *gan.optimizer.variables))
    }


def numbers(logs):
    return {name: np.asarray(value, "float64") for name, value in logs.items()}


def on_batches(gan):
    """The logs of two batches in a loop of one's own, the first of them trained on."""
    data = dataset()
    trained = gan.train_on_batch(*data.batch(7, 0), return_dict=True)
    tested = gan.test_on_batch(*data.batch(7, 1), return_dict=True)
    return numbers({**trained, **{f"test_{name}": value for name, value in tested.items()}})


def measured(gan):
    return numbers(gan.evaluate(held_out(), verbose=0, return_dict=True))


def samples(gan):
    return {
        "five": gan.generate(5, seed=1),
        "one": gan.generate(1, seed=1),
        "in_parts": gan.generate(5, seed=1, batch_size=2),
        "ways": gan.interpolate(2, 3, seed=1),
    }


def all_callbacks(folder):
    """Every callback that asks for samples, and every one that writes."""
    return [
        kgan.callbacks.PeriodicEvaluation(images(), count=20, features="pixels"),
        kgan.callbacks.CollapseAlarm(images(), count=20, features="pixels"),
        kgan.callbacks.TerminateOnNaN(),
        kgan.callbacks.LossHistory(folder / "history.csv"),
        kgan.callbacks.SampleGrid(folder / "samples", columns=2, rows=2),
        kgan.callbacks.Checkpoint(folder / "gan.keras"),
    ]


# ---- on several devices --------------------------------------------------------------------------


def several(job):
    """Makes this process one of those that train together; returns the scope to make a GAN in."""
    if BACKEND == "jax":
        if len(job["addresses"]) > 1:
            import jax

            # Old versions have no sums over processes on CPUs unless they are told to.
            jax.config.update("jax_cpu_collectives_implementation", "gloo")
            keras.distribution.initialize(job["addresses"][0], len(job["addresses"]), job["index"])
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(auto_shard_dataset=False)
        )
        return contextlib.nullcontext
    import tensorflow as tf

    if len(job["addresses"]) > 1:
        task = {"type": "worker", "index": job["index"]}
        cluster = {"worker": job["addresses"]}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * job["devices"],
        )
        names = [f"CPU:{number}" for number in range(job["devices"])]
        strategy = tf.distribute.MirroredStrategy(names)
    return strategy.scope


def write(folder, name, **values):
    np.savez(folder / f"{name}.npz", **values)


def devices(job, folder):
    """One process with several devices."""
    scope = several(job)
    for case in ("relativistic", "non_saturating"):
        with scope():
            gan = make_gan(case)
        history = gan.fit(
            dataset(),
            epochs=2,
            verbose=0,
            validation_data=held_out(),
            callbacks=all_callbacks(folder / "files") if case == "non_saturating" else [],
        ).history
        write(folder, f"{case}-state", **state(gan))
        write(folder, f"{case}-history", **history)
    write(folder, "measured", **measured(gan))
    write(folder, "samples", **samples(gan))
    if HAS_LOOPS:
        write(folder, "on_batches", **on_batches(gan))
    with scope():
        gan = keras.saving.load_model(folder / "files" / "gan.keras")
    gan.fit(dataset(), epochs=3, initial_epoch=2, verbose=0)
    write(folder, "resumed-state", **state(gan))
    if BACKEND == "jax":
        gan = accumulating_gan()
        gan.fit(dataset(), epochs=1, verbose=0)
        write(folder, "accumulating-state", **state(gan))
    (folder / "errors.json").write_text(json.dumps(errors(scope)))
    write(folder, "statistics", **statistics(scope))


def errors(scope):
    """What is said of batches that cannot be shared, and of what was made elsewhere."""
    said = {}

    def attempt(name, call):
        try:
            call()
        except (ValueError, NotImplementedError) as error:
            said[name] = str(error)

    with scope():
        gan = make_gan("non_saturating")
        steps = make_gan("relativistic")
    short = dataset(count=95, drop_remainder=False)
    attempt("odd", lambda: gan.fit(dataset(batch_size=15)))
    attempt("short", lambda: gan.fit(short))
    attempt("evaluate", lambda: gan.evaluate(short))
    attempt("held out", lambda: gan.fit(dataset(), validation_data=short))
    attempt("steps", lambda: steps.fit(dataset(batch_size=10)))
    attempt("loop", lambda: gan.train_on_batch(dataset(batch_size=15)[0][0]))
    if not HAS_LOOPS:
        attempt("any loop", lambda: gan.train_on_batch(dataset()[0][0]))
    if BACKEND == "tensorflow":
        made = [keras.optimizers.Adam(1e-3) for _ in range(2)]
        attempt("optimizers", lambda: gan.compile(*made))
        networks = kgan.networks.mlp((8, 8, 1), 4, width=4)
        with scope():
            other = kgan.GAN(*networks)
        attempt("networks", other.compile)
        with scope():
            attempt("accumulating", accumulating_gan)
    return said


def statistics(scope):
    """A moving mean of a network with batch normalisation, as each device has it after training."""
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy("mixed_float16" if BACKEND == "tensorflow" else "float32")
    with scope():
        gan = kgan.GAN(*kgan.networks.dcgan((8, 8, 1), 4, width=4), seed=3)
    gan.compile()
    gan.fit(dataset(), verbose=0)
    keras.config.set_dtype_policy("float32")
    (mean,) = [v for v in gan.generator.non_trainable_variables if v.name == "moving_mean"][:1]
    if BACKEND == "jax":
        copies = [shard.data for shard in mean.value.addressable_shards]
    else:
        copies = mean.value.values
    return {f"{number}": np.asarray(copy) for number, copy in enumerate(copies)}


# ---- in several processes ------------------------------------------------------------------------


class Die(keras.callbacks.Callback):
    """Kills the process in the midst of its third epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == (2, 3):
            os.kill(os.getpid(), signal.SIGKILL)


def interrupted(job, folder):
    """The last process dies in the midst of training; what the others do is up to the backend."""
    scope = several(job)
    with scope():
        gan = make_gan("non_saturating")
    callbacks = [kgan.callbacks.Checkpoint(job["checkpoint"], every_batches=2)]
    if job["index"] == len(job["addresses"]) - 1:
        callbacks.append(Die())
    with scope():  # where fit need not stand, but may
        gan.fit(dataset(), epochs=4, verbose=0, callbacks=callbacks)


def resumed(job, folder):
    """The same processes, started anew, go on from the checkpoint."""
    scope = several(job)
    with scope():
        gan = keras.saving.load_model(job["checkpoint"])
    write(folder, "begin", epochs=gan.epochs_trained, batches=gan.batches_trained)
    history = gan.fit(
        dataset(),
        initial_epoch=gan.epochs_trained,
        epochs=4,
        verbose=0,
        validation_data=held_out(),
        callbacks=all_callbacks(folder / "files"),
    ).history
    write(folder, "state", **state(gan))
    write(folder, "history", **history)
    write(folder, "measured", **measured(gan))
    if job["index"] == 0:  # alone: nobody else has to ask for images too
        write(folder, "samples", **samples(gan))
        kgan.metrics.get_features("mnist")
    if HAS_LOOPS:
        write(folder, "on_batches", **on_batches(gan))
    try:
        gan.fit(dataset(seed=None))
    except ValueError as error:
        (folder / "error.txt").write_text(str(error))
    with scope():
        gan = make_gan("relativistic")
    gan.fit(dataset(), verbose=0, validation_data=held_out())
    write(folder, "relativistic-state", **state(gan))


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    {task.__name__: task for task in (devices, interrupted, resumed)}[given["task"]](
        given, Path(given["folder"])
    )
