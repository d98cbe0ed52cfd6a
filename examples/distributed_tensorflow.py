# python examples/distributed_tensorflow.py --data-dir DIR   (DIR holds MNIST's four files)
"""TensorFlow: training on all GPUs of this machine, or of several machines.

Several machines need to know of each other: start this on each of them with TF_CONFIG set, as
docs/distribution.md shows, and `--output` on a disk that all of them see. `--cpus 2` tries it
without GPUs, on two virtual devices of one processor.
"""

import argparse
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"  # before Keras is imported

import kgan
import keras
import tensorflow as tf

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="where MNIST's files are")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--steps-per-epoch", type=int, help="batches to an epoch (default: all)")
parser.add_argument("--output", default="samples", help="where the grids and the checkpoint go")
parser.add_argument("--cpus", type=int, help="virtual devices to use in place of GPUs")
arguments = parser.parse_args()

if arguments.cpus:
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * arguments.cpus,
    )
    names = [f"CPU:{number}" for number in range(arguments.cpus)]
    strategy = tf.distribute.MirroredStrategy(names)
elif "TF_CONFIG" in os.environ:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    strategy = tf.distribute.MirroredStrategy()

# The whole batch, of which each device gets an equal part: 64 images.
train = kgan.data.load_mnist(
    "train",
    data_dir=arguments.data_dir,
    batch_size=64 * strategy.num_replicas_in_sync,
    seed=0,  # so that all processes have the same batches, of which each makes its part
    steps_per_epoch=arguments.steps_per_epoch,
)

# What has weights is made in the strategy's scope; a run that was stopped goes on from its file.
checkpoint = Path(arguments.output, "gan.keras")
with strategy.scope():
    if checkpoint.exists():
        gan = keras.saving.load_model(checkpoint)
    else:
        keras.utils.set_random_seed(0)
        gan = kgan.recipes.get().build(train.image_shape, seed=0)

gan.fit(
    train,
    initial_epoch=gan.epochs_trained,
    epochs=arguments.epochs,
    # Of several processes the first one writes.
    callbacks=[
        kgan.callbacks.SampleGrid(arguments.output),
        kgan.callbacks.Checkpoint(checkpoint),
    ],
)
