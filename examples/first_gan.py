# python examples/first_gan.py --data-dir DIR   (DIR holds MNIST's four files; without it: download)
"""The first GAN of most courses: two multilayer perceptrons that learn to write digits."""

import argparse

import kgan  # before keras: it enables TensorFlow's oneDNN kernels
import keras

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="the directory of MNIST's files")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="samples", help="the directory of the sample grids")
arguments = parser.parse_args()

keras.utils.set_random_seed(0)
train = kgan.data.load_mnist(
    "train",
    data_dir=arguments.data_dir,
    batch_size=64,
    seed=0,
    steps_per_epoch=arguments.steps_per_epoch,
)

# 100-256-512-1024-784 against 784-1024-512-256-1, LeakyReLU and dropout.
generator, discriminator = kgan.networks.mlp(image_shape=(28, 28, 1), latent_dim=100)
gan = kgan.GAN(generator, discriminator)
gan.compile(
    generator_optimizer=keras.optimizers.Adam(2e-4, beta_1=0.5),
    discriminator_optimizer=keras.optimizers.Adam(2e-4, beta_1=0.5),
    loss="non_saturating",
)
gan.fit(train, epochs=arguments.epochs, callbacks=[kgan.callbacks.SampleGrid(arguments.output)])

digits = gan.generate(16, seed=1)  # float32 (16, 28, 28, 1) in [-1, 1]
print("Generated", digits.shape, "between", digits.min(), "and", digits.max())
