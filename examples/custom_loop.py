# python examples/custom_loop.py --data-dir DIR   (DIR holds MNIST's four files)
"""A custom training loop, with kgan's data, model and callbacks."""

import argparse

import kgan  # before keras: it enables TensorFlow's oneDNN kernels
import keras
import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="the directory of MNIST's files")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="samples", help="the directory of grids and checkpoint")
arguments = parser.parse_args()

train = kgan.data.load_mnist(
    "train",
    data_dir=arguments.data_dir,
    batch_size=32,
    seed=0,
    steps_per_epoch=arguments.steps_per_epoch,
)
gan = kgan.recipes.get().build(train.image_shape, seed=0)

callbacks = keras.callbacks.CallbackList(
    [
        kgan.callbacks.CollapseAlarm(train),
        kgan.callbacks.TerminateOnNaN(),
        kgan.callbacks.SampleGrid(arguments.output),
        kgan.callbacks.Checkpoint(f"{arguments.output}/gan.keras"),
    ],
    model=gan,
    epochs=arguments.epochs,
)
callbacks.on_train_begin()
for epoch in range(arguments.epochs):
    callbacks.on_epoch_begin(epoch)
    batches = []  # the logs of each batch alone
    for batch, (images, _labels) in enumerate(train):  # a new order in every epoch
        callbacks.on_train_batch_begin(batch)
        batches.append(gan.train_on_batch(images, return_dict=True))
        callbacks.on_train_batch_end(batch, batches[-1])
        if gan.stop_training:  # a callback asks for it
            break
    if len(batches) == len(train):
        gan.epochs_trained += 1  # Checkpoint saves it; `fit` counts by itself
    logs = {name: float(np.mean([each[name] for each in batches])) for name in batches[0]}
    print(f"epoch {epoch + 1}:", {name: round(value, 3) for name, value in logs.items()})
    callbacks.on_epoch_end(epoch, logs)
    if gan.stop_training:
        break
callbacks.on_train_end()
