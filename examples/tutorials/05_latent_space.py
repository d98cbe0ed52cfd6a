# %% [markdown]
# # Explore the latent space
#
# A generator turns latents, vectors of random numbers, into images. In this tutorial you walk
# between latents, choose two digits, write a film that turns one into the other, and mix latents.
# On two CPU cores it takes about two minutes.

# %%
import os

import kgan  # import kgan before keras: it enables TensorFlow's oneDNN kernels
import numpy as np

FAST = "KGAN_DOCS_FAST" in os.environ  # a few steps on small data, to test this page

load = kgan.data.load_digits if FAST else kgan.data.load_mnist
train = load("train", batch_size=32, seed=0, steps_per_epoch=3 if FAST else None)
gan = kgan.recipes.get("dcgan_r1").build(train.image_shape, seed=0)
gan.fit(train, epochs=1 if FAST else 2, verbose=2)

# %% [markdown]
# To use a model of `kgan train` instead, load its run: `gan = kgan.load("runs/mine")`.

# %% [markdown]
# ## Walk between random latents
#
# `interpolate` returns paths: here four rows of ten images. If a model has learnt more than single
# images, its images change smoothly along each path.

# %%
paths = gan.interpolate(4, steps=10, seed=2)
print(paths.shape)
kgan.images.show(paths)

# %% [markdown]
# ## Choose a 3 and a 7
#
# `generate(n, seed=...)` uses the latents of `draw_latents(n, seed=...)`. Draw them yourself, and
# decode only those that you want. kgan's classifier of digits names the samples:

# %%
latents = gan.draw_latents(500, seed=3)
samples = gan.decode(latents)
classify = kgan.metrics.get_features("mnist")
seen = classify(kgan.images.to_uint8(samples))
print("samples of each digit:", np.bincount(seen.classes, minlength=10))

# %% [markdown]
# `seen.probabilities` has a column for each digit. Take the clearest 3 and the clearest 7, those
# with the highest probability:

# %%
first, second = (latents[seen.probabilities[:, digit].argmax()] for digit in (3, 7))
kgan.images.show(gan.decode(np.stack([first, second])), columns=10)

# %% [markdown]
# ## Write a film
#
# Latents are normally distributed, so most of them have about the same length. A straight line
# between two of them leads through shorter vectors, which training rarely used. An arc does not:


# %%
def arc(start, end, steps):
    """Points on the arc from one latent to another."""
    angle = np.arccos(np.dot(start, end) / (np.linalg.norm(start) * np.linalg.norm(end)))
    shares = np.linspace(0, 1, steps)[:, None]
    return (np.sin((1 - shares) * angle) * start + np.sin(shares * angle) * end) / np.sin(angle)


frames = gan.decode(arc(first, second, steps=40))
kgan.images.show(frames[::4], columns=10)

# %% [markdown]
# `save_gif` writes the frames, forwards and backwards, as a film of four seconds. A digit has only
# 28 x 28 pixels, so `scale` makes each pixel a square of 6 x 6:

# %%
film = np.concatenate([frames, frames[::-1]])
kgan.images.save_gif("film.gif", film, seconds=4, scale=6)

# %% [markdown]
# For a run of `kgan train`, `kgan interpolate RUN_DIR` writes such a film of several paths. With a
# conditional model, labels choose the digits: [Use labels](06_conditional.md) writes such a film in
# two lines.

# %% [markdown]
# ## Mix latents
#
# Take the first half of the numbers from one latent, and the second half from another:

# %%
half = gan.latent_dim // 2
mixed = np.concatenate([first[:half], second[half:]])
kgan.images.show(gan.decode(np.stack([first, second, mixed])), columns=10)

# %% [markdown]
# ## Stay close to one sample
#
# Small random steps change details. Larger ones change the digit:

# %%
random = np.random.default_rng(4)
steps = random.normal(size=(10, gan.latent_dim))
near = [(first + scale * steps) / np.sqrt(1 + scale**2) for scale in (0.2, 0.5, 1.0)]
kgan.images.show(gan.decode(np.concatenate(near)), columns=10)

# %% [markdown]
# ## Next
#
# - [Use labels](06_conditional.md) to choose the digit directly.
# - [Train a VAE](02_vae.md): it also finds the latents of real images.
