# %% [markdown]
# # Train a VAE
#
# A variational autoencoder learns an encoder, from images to latents, and a decoder, from latents
# to a distribution over images. In this tutorial you train one, reconstruct images, measure the
# likelihood of images that it has not seen, and explore its latents.

# %%
import os

import kgan  # import kgan before keras: it enables TensorFlow's oneDNN kernels
import numpy as np

FAST = "KGAN_DOCS_FAST" in os.environ  # a few steps on small data, to test this page

# %% [markdown]
# ## Load binary images
#
# The Bernoulli likelihood is for binary images. `binarize="dynamic"` draws every pixel as black or
# white, in proportion to its grey level, and draws again in every epoch.

# %%
load = kgan.data.load_digits if FAST else kgan.data.load_mnist
train = load(
    "train", batch_size=100, seed=0, binarize="dynamic", steps_per_epoch=3 if FAST else None
)
test = load("test", binarize="dynamic", seed=0)
images, _ = test.draw(10, seed=0)
kgan.images.show(images, columns=10)

# %% [markdown]
# ## Train it
#
# `dense_vae` returns an encoder and a decoder. `warm_up` grows the weight of the KL divergence from
# 0 in the first steps, so that the decoder learns to use the latents.

# %%
encoder, decoder = kgan.networks.dense_vae(train.image_shape, latent_dim=20)
vae = kgan.VAE(encoder, decoder, seed=0)
vae.compile(warm_up=1000, ema_decay=0.999)
history = vae.fit(train, epochs=2 if FAST else 10, verbose=2)

# %% [markdown]
# `reconstruction` and `kl` are in nats for each image. Their sum is the negative ELBO. A `kl` near
# 0 would be posterior collapse: a decoder that ignores the latents.
#
# ## Reconstruct images
#
# The images above, and their reconstructions below:

# %%
kgan.images.show(np.concatenate([images, vae.reconstruct(images)]), columns=10)

# %% [markdown]
# ## Sample
#
# The decoder gives the mean of each pixel, so samples look smoother than binary images.

# %%
kgan.images.show(vae.generate(40, seed=1), columns=10)

# %% [markdown]
# ## Measure the likelihood
#
# `log_prob` is a lower bound that rises with the number of importance samples. Results compare only
# under one protocol, so the printed result states all of it, with floors.

# %%
print(
    kgan.metrics.likelihood(
        vae, test, samples=10 if FAST else 100, count=50 if FAST else 1000, training=train
    )
)

# %% [markdown]
# ## Move between two images
#
# Encode two images and decode the points on the line between their latents:

# %%
first, second = vae.encode(images[:2])
shares = np.linspace(0, 1, 10)[:, None]
kgan.images.show(vae.decode((1 - shares) * first + shares * second), columns=10)

# %% [markdown]
# ## Look at single latents
#
# `kl_per_latent` shows how many nats each latent holds. In each row below one of the four strongest
# latents changes:

# %%
information = vae.kl_per_latent(images)
strongest = np.argsort(information)[::-1][:4]
print("nats:", np.round(information[strongest], 2))
base = np.repeat(first[None], 10, axis=0)
rows = []
for latent in strongest:
    changed = base.copy()
    changed[:, latent] = np.linspace(-3, 3, 10)
    rows.append(vae.decode(changed))
kgan.images.show(np.concatenate(rows), columns=10)

# %% [markdown]
# ## Next
#
# - [Variational autoencoders](../families/vae.md) has likelihoods for grey images and all options.
# - `kgan train --recipe vae` trains a larger one. `kgan evaluate` writes a report with its latents.
