# %% [markdown]
# # Is it any good?
#
# Losses do not show whether the samples of a GAN are good. In this tutorial you train two models
# for one epoch each, read their evaluations, and decide which one is better. On two CPU cores it
# takes about three minutes.

# %%
import os

import kgan  # import kgan before keras: it enables TensorFlow's oneDNN kernels
import numpy as np

FAST = "KGAN_DOCS_FAST" in os.environ  # a few steps on small data, to test this page
COUNT = 500 if FAST else 10_000

# %%
load = kgan.data.load_digits if FAST else kgan.data.load_mnist
train = load("train", batch_size=32, seed=0, steps_per_epoch=2 if FAST else None)

# %% [markdown]
# ## Train two models
#
# `dcgan` is a convolutional GAN. `dcgan_r1` adds the R1 penalty, larger steps and averaged weights.

# %%
models = {}
for name in ("dcgan", "dcgan_r1"):
    models[name] = kgan.recipes.get(name).build(train.image_shape, seed=0)
    models[name].fit(train, epochs=1, verbose=2)

# %%
kgan.images.show(models["dcgan"].generate(40, seed=1), columns=10)

# %%
kgan.images.show(models["dcgan_r1"].generate(40, seed=1), columns=10)

# %% [markdown]
# ## Read an evaluation

# %%
evaluations = {name: kgan.evaluate(model, train, count=COUNT) for name, model in models.items()}
print(evaluations["dcgan_r1"])

# %% [markdown]
# The last column is the **floor**: the score of other real images in place of the samples. No
# generator should be expected to do better. Read the table in this order:
#
# 1. `fcd` and `kid` are distances from the real images. They tell how far away the samples are, but
#    not why.
# 2. `precision` is the share of samples that lie among the real images. If it is low, single
#    samples look wrong.
# 3. `recall` and `coverage` are about variety. If they are low, something is missing.
# 4. `class_divergence` compares the shares of the digits. If it is high, some digits are rare.
# 5. `support` and `authenticity` find repeated samples and copies of training images.
#
# ## Compare

# %%
for name, evaluation in evaluations.items():
    scores = {key: round(evaluation[key], 3) for key in ("fcd", "precision", "recall", "coverage")}
    print(f"{name:10}", scores)

# %% [markdown]
# Compare scores only if they have the same number of samples, the same features and the same real
# images. Two runs with different seeds differ too: train several seeds before you draw conclusions.
#
# ## Know what a metric misses
#
# Blurred real images have good precision and bad recall. No metric is enough by itself:

# %%
real, _ = train.draw(COUNT, seed=3)
blurred = real.copy()
for axis in (1, 2):
    blurred = (np.roll(blurred, 1, axis) + blurred + np.roll(blurred, -1, axis)) / 3
of_blurred = kgan.evaluate(blurred, train, count=COUNT)
for name in ("fcd", "precision", "recall"):
    print(f"{name:10} {of_blurred[name]:.3f}")

# %% [markdown]
# [Metrics](../explanation/metrics.md) has a table of faults and of the metrics that catch them.
#
# ## Add intervals
#
# `bootstrap` adds 95 % intervals from resampling. They do not include the variation between
# training runs.

# %%
print(kgan.evaluate(models["dcgan_r1"], train, count=500, bootstrap=20))

# %% [markdown]
# ## Next
#
# - `kgan evaluate RUN_DIR --report report` writes a page with samples, classes and neighbours.
# - [When it goes wrong](04_when_it_goes_wrong.md) shows a collapse.
# - [Evaluate any generator](08_any_generator.md), of another library too.
