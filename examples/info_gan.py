# python examples/info_gan.py --data-dir DIR   (DIR holds MNIST's four files)
"""An InfoGAN: without labels it finds ten digits, and how they are written."""

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

train = kgan.data.load_mnist(
    "train",
    data_dir=arguments.data_dir,
    batch_size=32,
    seed=0,
    steps_per_epoch=arguments.steps_per_epoch,
)

# The last 12 of each latent's 64 numbers are codes: a category of ten, and two numbers in [-1, 1].
# The discriminator predicts ten logits, two means and two log variances.
generator, discriminator = kgan.networks.dcgan(latent_dim=64, width=24, codes=10 + 2 * 2)
gan = kgan.InfoGAN(generator, discriminator, categorical=(10,), continuous=2, seed=0)
gan.compile(
    generator_optimizer=keras.optimizers.Adam(3e-3, beta_1=0.5, beta_2=0.99),
    discriminator_optimizer=keras.optimizers.Adam(2e-3, beta_1=0.5, beta_2=0.99),
    penalties=kgan.penalties.R1(0.1),
    ema_decay=0.999,
)
gan.fit(train, epochs=arguments.epochs, callbacks=[kgan.callbacks.SampleGrid(arguments.output)])

# Each code in turn takes all its values, in eight latents that stay the same otherwise.
for code, name in enumerate(("category", "first", "second")):
    rows = gan.traverse(code, n=8, steps=10, seed=1).reshape(-1, 28, 28, 1)
    picture = kgan.images.grid(kgan.images.to_uint8(rows), columns=10)
    kgan.images.save_png(f"{arguments.output}/{name}.png", picture)

# Which digits are in which category? The model has never seen a label.
test = kgan.data.load_mnist("test", data_dir=arguments.data_dir)
images, labels = test.draw(len(test.images), seed=0)
(probabilities,), _ = gan.find_codes(images)
table = np.zeros((10, 10), int)
np.add.at(table, (probabilities.argmax(axis=1), np.asarray(labels)), 1)
print("A row for each category, a column for each digit:")
print(table)
