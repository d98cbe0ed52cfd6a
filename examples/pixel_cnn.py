# python examples/pixel_cnn.py --data-dir DIR   (DIR holds MNIST's four files)
"""A PixelCNN: exact likelihoods, samples, and digits completed from their upper halves."""

import argparse

import kgan  # first: it sets a switch that TensorFlow reads once
import keras
import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="where MNIST's files are")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--steps-per-epoch", type=int, help="batches to an epoch (default: all)")
parser.add_argument("--width", type=int, default=24, help="the channels of the network")
parser.add_argument("--output", default="samples", help="where the pictures go")
arguments = parser.parse_args()

train = kgan.data.load_mnist(
    "train",
    data_dir=arguments.data_dir,
    batch_size=32,
    seed=0,
    binarize="dynamic",
    steps_per_epoch=arguments.steps_per_epoch,
)
test = kgan.data.load_mnist("test", data_dir=arguments.data_dir, binarize="dynamic")

networks = kgan.networks.pixel_cnn(
    train.image_shape, width=arguments.width, blocks=3, dilations=(1, 2, 4)
)
pixel_cnn = kgan.PixelCNN(*networks, seed=0)
pixel_cnn.compile(keras.optimizers.Adam(3e-3, beta_2=0.99), ema_decay=0.999)
pixel_cnn.fit(
    train,
    epochs=arguments.epochs,
    validation_data=test,
    callbacks=[
        kgan.callbacks.LinearDecay(start=0.0),
        kgan.callbacks.SampleGrid(arguments.output),
    ],
)

# How probable are images that it has not seen? The likelihood is exact.
print(kgan.metrics.likelihood(pixel_cnn, test, count=200, training=train))

# Images, what the model was given of them, three completions, and where it is undecided.
images, _ = test.draw(10, seed=0)
height, width = images.shape[1:3]
known = height // 2 * width
given = images.copy()
given[:, height // 2 :] = 0
completed = [pixel_cnn.complete(images, known, seed=seed) for seed in range(3)]
undecided = pixel_cnn.entropy(images) * 2 - 1  # 0 to 1 bit, as grey values
rows = np.concatenate([images, given, *completed, undecided])
picture = kgan.images.grid(kgan.images.to_uint8(rows), columns=10)
kgan.images.save_png(f"{arguments.output}/completions.png", picture)
