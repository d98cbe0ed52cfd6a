# python examples/distributed_tensorflow.py --data-dir DIR   (DIR holds MNIST's four files)
"""TensorFlow: training on all GPUs of this machine, or of several machines.

For several machines, start this on each of them, with TF_CONFIG as in
docs/howto/several_devices.md, and `--output` on a disk that they share. `--cpus 2` tries it without
GPUs, on two virtual devices of one processor.
"""

import argparse
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"  # before Keras is imported

import kgan
import keras
import tensorflow as tf

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="the directory of MNIST's files")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="samples", help="the directory of grids and checkpoint")
parser.add_argument("--cpus", type=int, help="virtual devices to use instead of GPUs")
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

# The size of the whole batch: each device gets an equal part of it, 64 images.
train = kgan.data.load_mnist(
    "train",
    data_dir=arguments.data_dir,
    batch_size=64 * strategy.num_replicas_in_sync,
    seed=0,  # the same in all processes: each makes its part of the same batches
    steps_per_epoch=arguments.steps_per_epoch,
)

# Everything with weights is made in the strategy's scope. A stopped run resumes from its file.
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
    # Of several processes, the first one writes files.
    callbacks=[
        kgan.callbacks.SampleGrid(arguments.output),
        kgan.callbacks.Checkpoint(checkpoint),
    ],
)
