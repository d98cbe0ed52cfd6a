# python examples/vae.py --data-dir DIR   (DIR holds MNIST's four files)
"""A variational autoencoder: likelihoods, latents of images, and samples from a fitted mixture."""

import argparse

import kgan  # first: it sets a switch that TensorFlow reads once
import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="where MNIST's files are")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--steps-per-epoch", type=int, help="batches to an epoch (default: all)")
parser.add_argument("--output", default="samples", help="where the pictures go")
arguments = parser.parse_args()

train = kgan.data.load_mnist(
    "train",
    data_dir=arguments.data_dir,
    batch_size=100,
    seed=0,
    binarize="dynamic",
    steps_per_epoch=arguments.steps_per_epoch,
)
test = kgan.data.load_mnist("test", data_dir=arguments.data_dir, binarize="dynamic")

vae = kgan.VAE(*kgan.networks.dense_vae(train.image_shape, latent_dim=20), seed=0)
vae.compile(warm_up=1000, ema_decay=0.999)
vae.fit(
    train,
    epochs=arguments.epochs,
    validation_data=test,
    callbacks=[kgan.callbacks.SampleGrid(arguments.output)],
)

# How probable are images that it has not seen?
print(kgan.metrics.likelihood(vae, test, samples=100, count=200, training=train))

# Images above, their reconstructions below.
images, _ = test.draw(10, seed=0)
rows = np.concatenate([images, vae.reconstruct(images)])
picture = kgan.images.grid(kgan.images.to_uint8(rows), columns=10)
kgan.images.save_png(f"{arguments.output}/reconstructions.png", picture)

# Latents drawn from a mixture that was fitted to those of images, instead of from the prior.
known, _ = train.draw(min(5000, len(train.images)), seed=0)
sampler = kgan.samplers.GaussianMixtureSampler(vae, known, components=10)
picture = kgan.images.grid(kgan.images.to_uint8(sampler.generate(80, seed=0)), columns=10)
kgan.images.save_png(f"{arguments.output}/mixture.png", picture)
