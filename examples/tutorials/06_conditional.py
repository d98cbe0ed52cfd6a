# %% [markdown]
# # Use labels
#
# There are three ways for a GAN to know about classes. A conditional GAN is given the label. An
# auxiliary classifier GAN predicts it. An InfoGAN finds classes without labels. In this tutorial
# you train one of each for one epoch. On two CPU cores it takes about three minutes.

# %%
import os

import kgan  # import kgan before keras: it enables TensorFlow's oneDNN kernels
import numpy as np

FAST = "KGAN_DOCS_FAST" in os.environ  # a few steps on small data, to test this page

load = kgan.data.load_digits if FAST else kgan.data.load_mnist
train = load("train", batch_size=32, seed=0, steps_per_epoch=2 if FAST else None)
COUNT = 500 if FAST else 10_000

# %% [markdown]
# ## Conditional GAN
#
# Both networks take the label as a second input. Batches of the dataset are pairs of images and
# labels, so nothing else changes.

# %%
conditional = kgan.recipes.get("conditional_dcgan").build(
    train.image_shape, num_classes=train.num_classes, seed=0
)
conditional.fit(train, epochs=1, verbose=2)

# %% [markdown]
# Ask for a digit, or for one of each:

# %%
kgan.images.show(conditional.generate(10, labels=7, seed=1), columns=10)

# %%
kgan.images.show(conditional.generate(40, labels=np.arange(40) % 10, seed=1), columns=10)

# %% [markdown]
# `interpolate` makes a path from a 3 to a 7, and `save_gif` writes it as a film. The label changes
# in the middle of the path, and the latent changes all the way. `scale` makes the film larger:

# %%
path = conditional.interpolate(1, steps=20, labels=(3, 7), seed=1)
kgan.images.save_gif("film.gif", path, seconds=4, scale=6)
kgan.images.show(path)

# %% [markdown]
# `label_accuracy` is the share of samples that show the requested digit:

# %%
print("label accuracy:", kgan.evaluate(conditional, train, count=COUNT)["label_accuracy"])

# %% [markdown]
# ## Auxiliary classifier
#
# The discriminator does not take the label. It predicts it, as a second output, and the generator
# learns to make images that are easy to classify. `class_accuracy` in the logs is the share of
# samples in which it sees the requested class.

# %%
acgan = kgan.recipes.get("acgan").build(train.image_shape, num_classes=train.num_classes, seed=0)
acgan.fit(train, epochs=1, verbose=2)
kgan.images.show(acgan.generate(40, seed=1), columns=10)

# %% [markdown]
# ## InfoGAN
#
# Without labels: a part of each latent is a code, and the discriminator predicts the code from the
# image. So the codes come to control what is most visible. `categorical_information` in the logs
# can reach log 10 = 2.30 nats for ten categories.

# %%
info = kgan.recipes.get("infogan").build(train.image_shape, seed=0)
info.fit(train, epochs=1, verbose=2)

# %% [markdown]
# Each row has the same noise, and its category changes from left to right:

# %%
rows = info.traverse(code=0, n=4, steps=10, seed=1)
kgan.images.show(rows.reshape(-1, *info.image_shape), columns=10)

# %% [markdown]
# `find_codes` reads the codes from real images. Which digits are in which category?

# %%
images, labels = train.draw(1000, seed=0)
(probabilities,), _ = info.find_codes(images)
table = np.zeros((10, 10), int)
np.add.at(table, (probabilities.argmax(axis=1), np.asarray(labels)), 1)
print(table)

# %% [markdown]
# Each row is a category, each column a digit. After more epochs, most rows have one large number.
#
# ## Which one to choose
#
# | you have | choose |
# |---|---|
# | labels, and want samples of a class | `conditional_dcgan` |
# | labels, and want a classifier too | `acgan` |
# | no labels | `infogan` |
#
# [Sample quality](../benchmarks/quality.md) compares them after five and twenty epochs.
