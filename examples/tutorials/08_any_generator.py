# %% [markdown]
# # Evaluate any generator
#
# `kgan.evaluate` is not only for kgan's models. In this tutorial you evaluate an array of samples,
# a function, a Keras network and a model of another library. On two CPU cores it takes about two
# minutes.

# %%
import os

import kgan  # import kgan before keras: it enables TensorFlow's oneDNN kernels
import keras
import numpy as np
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

FAST = "KGAN_DOCS_FAST" in os.environ  # a few steps on small data, to test this page
COUNT = 300 if FAST else 10_000

train = (kgan.data.load_digits if FAST else kgan.data.load_mnist)("train", seed=0)
real = np.asarray(train.images)  # uint8 (N, 28, 28, 1)

# %% [markdown]
# ## An array of samples
#
# Samples are uint8 images from 0 to 255, or floats in the range of the dataset, here [-1, 1]. These
# are real images with noise:

# %%
random = np.random.default_rng(0)
chosen = real[random.choice(len(real), COUNT, replace=False)]
noisy = np.clip(chosen + random.normal(0, 60, chosen.shape), 0, 255).astype("uint8")
kgan.images.show(noisy[:20], columns=10)

# %%
evaluation = kgan.evaluate(noisy, train, count=COUNT)
print("precision:", round(evaluation["precision"], 3), "recall:", round(evaluation["recall"], 3))

# %% [markdown]
# ## A function
#
# A function takes a number n and returns n images. This one repeats 100 training images. `recall`
# and `support` show it:


# %%
def copies(n):
    return real[random.integers(0, 100, n)]


print(kgan.evaluate(copies, train, count=COUNT))

# %% [markdown]
# ## A Keras network
#
# A `keras.Model` from latents to images gets standard normal latents. This one is not trained:

# %%
generator, _ = kgan.networks.dcgan(image_shape=train.image_shape, latent_dim=16, width=8)
print("fcd:", round(kgan.evaluate(generator, train, count=COUNT)["fcd"], 1))

# %% [markdown]
# ## A model of another library
#
# Wrap it in an object with `generate(n, seed=...)`. This one is a mixture of Gaussians of the
# principal components, with scikit-learn. A PyTorch model or a pipeline of diffusers fits in the
# same way: call it in `generate`, and return the images as an array `(n, height, width, channels)`.


# %%
class Mixture:
    """A mixture of Gaussians of principal components."""

    def __init__(self, images, components):
        flat = images.reshape(len(images), -1) / 255.0
        self.shape = images.shape[1:]
        self.pca = PCA(32, random_state=0).fit(flat)
        self.mixture = GaussianMixture(components, random_state=0)
        self.mixture.fit(self.pca.transform(flat))

    def generate(self, n, seed=None):
        self.mixture.random_state = seed
        codes, _ = self.mixture.sample(n)
        random = np.random.default_rng(seed)
        flat = self.pca.inverse_transform(random.permutation(codes))
        return np.clip(255 * flat, 0, 255).astype("uint8").reshape(n, *self.shape)


mixture = Mixture(real[:1000] if FAST else real[:20_000], components=5 if FAST else 20)
kgan.images.show(mixture.generate(20, seed=1), columns=10)

# %%
print(kgan.evaluate(mixture, train, count=COUNT))

# %% [markdown]
# ## Other features
#
# kgan's own features are of digits, and of colour images of 32 x 32. For other images, use pixels
# or a network of your choice:

# %%
small = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        keras.layers.AveragePooling2D(4),
        keras.layers.Flatten(),
    ]
)
features = kgan.metrics.FeatureExtractor(small, value_range=(-1, 1), name="4x4 means")
print(kgan.evaluate(mixture, train, count=min(COUNT, 1000), features=features))

# %% [markdown]
# ## Next
#
# - [Evaluate samples](../howto/evaluate.md) has features for photographs.
# - [Metrics](../explanation/metrics.md) explains every score.
