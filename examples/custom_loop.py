# python examples/custom_loop.py --data-dir DIR   (DIR holds MNIST's four files)
"""A training loop of one's own, with kgan's data, model and callbacks."""

import argparse

import kgan  # before keras: it sets a switch that TensorFlow reads once
import keras

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="where MNIST's files are")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--steps-per-epoch", type=int, help="batches to an epoch (default: all)")
parser.add_argument("--output", default="samples", help="where the grids go")
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
    [kgan.callbacks.CollapseAlarm(train), kgan.callbacks.SampleGrid(arguments.output)],
    model=gan,
    epochs=arguments.epochs,
)
callbacks.on_train_begin()
for epoch in range(arguments.epochs):
    gan.reset_metrics()  # the logs are means since this call
    callbacks.on_epoch_begin(epoch)
    for batch, (images, _labels) in enumerate(train):  # a new order in every epoch
        callbacks.on_train_batch_begin(batch)
        logs = gan.train_on_batch(images, return_dict=True)
        callbacks.on_train_batch_end(batch, logs)
    print(f"epoch {epoch + 1}:", {name: round(float(value), 3) for name, value in logs.items()})
    callbacks.on_epoch_end(epoch, logs)
callbacks.on_train_end()
