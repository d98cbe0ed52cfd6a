# python examples/conditional_gan.py --data-dir DIR   (DIR holds MNIST's four files)
"""A conditional GAN: it draws the digit that you ask for."""

import argparse

import kgan  # before keras: it enables TensorFlow's oneDNN kernels
import keras
import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="the directory of MNIST's files")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="samples", help="the directory of the sample grids")
arguments = parser.parse_args()

train = kgan.data.load_mnist(  # batches of (images, labels)
    "train",
    data_dir=arguments.data_dir,
    batch_size=32,
    seed=0,
    steps_per_epoch=arguments.steps_per_epoch,
)

# num_classes gives both networks a label as a second input; nothing else changes.
generator, discriminator = kgan.networks.dcgan(
    image_shape=(28, 28, 1), latent_dim=64, width=24, num_classes=10
)
gan = kgan.GAN(generator, discriminator)
gan.compile(
    generator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
    discriminator_optimizer=keras.optimizers.Adam(5e-4, beta_1=0.5),
)
gan.fit(train, epochs=arguments.epochs, callbacks=[kgan.callbacks.SampleGrid(arguments.output)])

sevens = gan.generate(8, labels=7, seed=1)
date = gan.generate(8, labels=[2, 0, 1, 4, 0, 6, 1, 0], seed=1)  # the first GAN paper on arXiv
picture = kgan.images.grid(kgan.images.to_uint8(np.concatenate([sevens, date])), columns=8)
kgan.images.save_png(f"{arguments.output}/sevens_and_a_date.png", picture)
