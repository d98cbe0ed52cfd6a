# %% [markdown]
# # Your own loss
#
# In this tutorial you write an adversarial loss, a penalty and a network, check them by hand, and
# train, save and load a GAN with them. On two CPU cores it takes less than a minute.

# %%
import os

import kgan  # import kgan before keras: it enables TensorFlow's oneDNN kernels
import keras
import numpy as np
from keras import layers, ops

FAST = "KGAN_DOCS_FAST" in os.environ  # a few steps on small data, to test this page

load = kgan.data.load_digits if FAST else kgan.data.load_mnist
train = load("train", batch_size=32, seed=0, steps_per_epoch=3 if FAST else 800)

# %% [markdown]
# ## Write a loss
#
# A loss has two methods, both of which return a scalar. This one pulls the scores of real images to
# 1 and those of fakes to 0, by the absolute distance. Write it in `keras.ops`, so that it runs on
# every backend. Register it, so that a saved GAN can be loaded.


# %%
@keras.saving.register_keras_serializable(package="mine")
class Absolute(kgan.losses.AdversarialLoss):
    """The mean absolute distance of the scores from 1 and 0."""

    def discriminator_loss(self, real_logits, fake_logits):
        return ops.mean(ops.abs(real_logits - 1)) + ops.mean(ops.abs(fake_logits))

    def generator_loss(self, fake_logits, real_logits=None):
        return ops.mean(ops.abs(fake_logits - 1))


# %% [markdown]
# ## Check it by hand
#
# A loss is a function of a few numbers. Compute its value for some that you can check:

# %%
loss = Absolute()
real, fake = np.array([3.0, 0.0]), np.array([-1.0, 0.0])
print(float(loss.discriminator_loss(real, fake)), "should be (2 + 1) / 2 + (1 + 0) / 2 = 2")
print(float(loss.generator_loss(np.array([3.0, 1.0]))), "should be (2 + 0) / 2 = 1")

# %% [markdown]
# ## Write a penalty
#
# A penalty is added to the discriminator's loss. It says in `gradients` at which images it needs
# the gradient of the scores, and gets them in `judged`.


# %%
@keras.saving.register_keras_serializable(package="mine")
class Slope(kgan.penalties.Penalty):
    """The mean absolute gradient at real images."""

    gradients = ("real",)

    def value(self, judged):
        return ops.mean(ops.abs(judged.real_gradient))


# %% [markdown]
# ## Write networks
#
# Any Functional or Sequential models work. The generator ends in a tanh, since images are in [-1,
# 1]. The discriminator ends in a score, without a sigmoid.

# %%
generator = keras.Sequential(
    [
        keras.Input((32,)),
        layers.Dense(7 * 7 * 32, activation="relu"),
        layers.Reshape((7, 7, 32)),
        layers.Conv2DTranspose(16, 4, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="tanh"),
    ]
)
discriminator = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Conv2D(16, 4, strides=2, padding="same"),
        layers.LeakyReLU(0.2),
        layers.Conv2D(32, 4, strides=2, padding="same"),
        layers.LeakyReLU(0.2),
        layers.Flatten(),
        layers.Dense(1),
    ]
)

# %% [markdown]
# ## Train
#
# The penalty has its own line in the logs, by its name in lower case and before weighting.

# %%
gan = kgan.GAN(generator, discriminator, seed=0)
gan.compile(
    generator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
    discriminator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
    loss=Absolute(),
    penalties=Slope(weight=10.0),
    ema_decay=0.99,
)
history = gan.fit(train, epochs=2, verbose=2)
print("slope:", np.round(history.history["slope"], 5))

# %%
kgan.images.show(gan.generate(40, seed=1), columns=10)

# %% [markdown]
# ## Save and load

# %%
gan.save("mine.keras")
loaded = keras.saving.load_model("mine.keras")
same = np.array_equal(loaded.generate(4, seed=1), gan.generate(4, seed=1))
print("the loaded model makes the same images:", same)

# %% [markdown]
# ## Next
#
# - [Write a loss or a penalty](../howto/custom_losses.md) has the options.
# - [One training step](../explanation/one_training_step.md) shows where each option acts.
# - To add a whole family of models, see [Add a family](../development/adding_a_family.md).
