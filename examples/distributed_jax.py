# python examples/distributed_jax.py --data-dir DIR   (DIR holds MNIST's four files)
"""JAX: training on all GPUs or TPUs of this machine, or of several machines.

For several machines, start this on each of them, with the variables KERAS_DISTRIBUTION_... as in
docs/howto/several_devices.md, and `--output` on a disk that they share. `--cpus 2` tries it without
GPUs, on two virtual devices of one processor.
"""

import argparse
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported

import jax
import kgan
import keras

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="the directory of MNIST's files")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="samples", help="the directory of grids and checkpoint")
parser.add_argument("--cpus", type=int, help="virtual devices to use instead of GPUs")
arguments = parser.parse_args()

if arguments.cpus:  # before JAX looks for devices
    jax.config.update("jax_platforms", "cpu")
    flag = f"--xla_force_host_platform_device_count={arguments.cpus}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
if "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ:
    keras.distribution.initialize()

# Before any weights are made. kgan's data sets give each device its part, so Keras need not.
keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))

# The size of the whole batch: each device gets an equal part of it, 64 images.
train = kgan.data.load_mnist(
    "train",
    data_dir=arguments.data_dir,
    batch_size=64 * len(keras.distribution.list_devices()),
    seed=0,  # the same in all processes: each makes its part of the same batches
    steps_per_epoch=arguments.steps_per_epoch,
)

# A stopped run resumes from its file.
checkpoint = Path(arguments.output, "gan.keras")
if checkpoint.exists():
    gan = keras.saving.load_model(checkpoint)
else:
    keras.utils.set_random_seed(0)
    gan = kgan.recipes.get().build(train.image_shape, seed=0)

gan.fit(
    train,
    initial_epoch=gan.epochs_trained,
    epochs=arguments.epochs,
    # Of several processes, the first one writes files.
    callbacks=[
        kgan.callbacks.SampleGrid(arguments.output),
        kgan.callbacks.Checkpoint(checkpoint),
    ],
)
