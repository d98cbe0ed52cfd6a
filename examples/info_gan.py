# python examples/info_gan.py --data-dir DIR   (DIR holds MNIST's four files)
"""An InfoGAN: it finds for itself that there are ten digits, and how they are written."""

import argparse

import kgan  # before keras: it sets a switch that TensorFlow reads once
import keras
import numpy as np

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

# Of each latent's 64 numbers, the last 12 are codes: one of ten values, and two from -1 to 1. The
# discriminator finds ten logits, two means and the logs of two variances.
generator, discriminator = kgan.networks.dcgan(latent_dim=64, width=24, codes=10 + 2 * 2)
gan = kgan.InfoGAN(generator, discriminator, categorical=(10,), continuous=2, seed=0)
gan.compile(
    generator_optimizer=keras.optimizers.Adam(3e-3, beta_1=0.5, beta_2=0.99),
    discriminator_optimizer=keras.optimizers.Adam(2e-3, beta_1=0.5, beta_2=0.99),
    penalties=kgan.penalties.R1(0.1),
    ema_decay=0.999,
)
gan.fit(train, epochs=arguments.epochs, callbacks=[kgan.callbacks.SampleGrid(arguments.output)])

# Each code in turn takes all its values, in eight latents that are otherwise the same.
for code, name in enumerate(("category", "first", "second")):
    rows = gan.traverse(code, n=8, steps=10, seed=1).reshape(-1, 28, 28, 1)
    picture = kgan.images.grid(kgan.images.to_uint8(rows), columns=10)
    kgan.images.save_png(f"{arguments.output}/{name}.png", picture)

# Which digits are in which category? No label was ever shown to it.
test = kgan.data.load_mnist("test", data_dir=arguments.data_dir)
images, labels = test.draw(len(test.images), seed=0)
(probabilities,), _ = gan.find_codes(images)
table = np.zeros((10, 10), int)
np.add.at(table, (probabilities.argmax(axis=1), np.asarray(labels)), 1)
print("A row for each category, a column for each digit:")
print(table)
