# %% [markdown]
# # Train your first GAN
#
# In this tutorial you train a GAN on handwritten digits, look at its samples, measure how good they
# are, save the model and continue training. You need to know a little Keras. On two CPU cores the
# training takes about four minutes.

# %%
import os

import kgan  # import kgan before keras: it enables TensorFlow's oneDNN kernels
import keras

FAST = "KGAN_DOCS_FAST" in os.environ  # a few steps on small data, to test this page

# %% [markdown]
# ## Load the data
#
# `load_mnist` downloads the images if it has to. It returns a dataset that makes shuffled batches
# of floats in [-1, 1]. With a `seed`, every run gets the same batches.

# %%
if FAST:
    train = kgan.data.load_digits("train", batch_size=32, seed=0, steps_per_epoch=2)
else:
    train = kgan.data.load_mnist("train", batch_size=32, seed=0)
print(len(train.images), "images of shape", train.image_shape)

# %% [markdown]
# `kgan.images.show` draws a grid, which a notebook displays. In a script, add `.save("real.png")`:

# %%
real, labels = train.draw(20, seed=0)
kgan.images.show(real, columns=10)

# %% [markdown]
# ## Build the model
#
# A recipe is a set of networks, a loss, penalties and optimizers that work together. `dcgan_r1` is
# the default: a small convolutional GAN with the R1 penalty and averaged weights.

# %%
gan = kgan.recipes.get("dcgan_r1").build(train.image_shape, seed=0)
print(f"{gan.generator.count_params():,} weights in the generator")
print(f"{gan.discriminator.count_params():,} weights in the discriminator")

# %% [markdown]
# Before training, its samples are noise:

# %%
kgan.images.show(gan.generate(20, seed=1), columns=10)

# %% [markdown]
# ## Train it
#
# A GAN is a `keras.Model`, so `fit` works as usual. `SampleGrid` writes a grid of samples after
# every epoch, and an animation at the end. `CollapseAlarm` warns if training goes wrong.

# %%
epochs = 2 if FAST else 4
history = gan.fit(
    train,
    epochs=epochs,
    callbacks=[kgan.callbacks.SampleGrid("samples"), kgan.callbacks.CollapseAlarm(train)],
    verbose=2,
)

# %% [markdown]
# The two losses depend on each other, so neither has to fall. `discriminator_accuracy` says how
# often a real image scores above a sample: a healthy value is well below 1. [The
# logs](../reference/logs.md) explains the others.
#
# ## Look at the samples

# %%
kgan.images.show(gan.generate(60, seed=1), columns=10)

# %% [markdown]
# The same seed gives the same latents, so you can compare models. `samples/training.gif` shows how
# the grid changed during training.
#
# ## Measure them
#
# `kgan.evaluate` compares samples with real images. Each score stands next to its floor: the score
# of other real images in place of the samples.

# %%
evaluation = kgan.evaluate(gan, train, count=500 if FAST else 10_000)
print(evaluation)

# %% [markdown]
# `fcd` is a distance: lower is better. `recall` is about variety, `precision` about the quality of
# single samples. [Is it any good?](03_is_it_any_good.md) reads such a table line by line.
#
# ## Save and continue
#
# The file holds the weights, both optimizers and the state of the noise. So training continues as
# if it had not stopped. `initial_epoch` and `epochs` count all epochs together.

# %%
gan.save("gan.keras")
gan = keras.saving.load_model("gan.keras")
gan.fit(train, initial_epoch=gan.epochs_trained, epochs=gan.epochs_trained + 1, verbose=2)
print(gan.epochs_trained, "epochs trained")

# %% [markdown]
# ## Next
#
# - [Is it any good?](03_is_it_any_good.md) compares two models.
# - [Train on your own images](../howto/images_of_your_own.md).
# - [Choose a recipe](../howto/choose_a_recipe.md): better samples in more time, or with labels.
