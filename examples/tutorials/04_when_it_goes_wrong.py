# %% [markdown]
# # When it goes wrong
#
# GANs fail in typical ways. In this tutorial you provoke a collapse and a NaN on purpose, see how
# kgan reports them, and fix them. On two CPU cores it takes about a minute.

# %%
import os

import kgan  # import kgan before keras: it enables TensorFlow's oneDNN kernels
import keras
import numpy as np

FAST = "KGAN_DOCS_FAST" in os.environ  # a few steps on small data, to test this page

load = kgan.data.load_digits if FAST else kgan.data.load_mnist
train = load("train", batch_size=32, seed=0, steps_per_epoch=3 if FAST else 300)


def build(rate, **options):
    """A small GAN with Adam at that rate for both networks."""
    networks = kgan.networks.dcgan(train.image_shape, latent_dim=64, width=24)
    gan = kgan.GAN(*networks, seed=0)
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(rate, **options),
        discriminator_optimizer=keras.optimizers.Adam(rate, **options),
    )
    return gan


# %% [markdown]
# ## A collapse
#
# A learning rate of 0.02 is a hundred times the usual one. `CollapseAlarm` looks at samples and
# logs after every epoch. Some signs count only after 3,000 training steps, since every model shows
# them at first. This training has 900, so `warm_up=0`:

# %%
keras.utils.set_random_seed(0)
collapsed = build(0.02)
alarm = kgan.callbacks.CollapseAlarm(train, warm_up=0)
history = collapsed.fit(train, epochs=3, callbacks=[alarm], verbose=2)

# %% [markdown]
# The samples show it at once:

# %%
kgan.images.show(collapsed.generate(40, seed=1), columns=10)

# %% [markdown]
# The alarm warns during training, and keeps its alarms. Each has the epoch, a sign, and a message
# that says what usually helps:

# %%
for found in alarm.alarms:
    print(f"epoch {found.epoch}, {found.sign}:\n    {found.message}\n")

# %% [markdown]
# The logs show the reason. The scores drift apart without end, and the discriminator is right
# about every pair, so the generator learns nothing:

# %%
for name in ("real_score", "fake_score", "discriminator_accuracy"):
    print(f"{name:24}", np.round(history.history[name], 3))

# %% [markdown]
# ## The fix
#
# Lower the rates first: 2e-4 with `beta_1=0.5` is the usual choice. Then add the R1 penalty, which
# permits higher rates again, and average the weights. The default recipe has R1, averaged weights,
# and rates of 3e-3 and 2e-3. After the first 300 batches, its samples are still poor. A warm-up of
# two epochs leaves that out, and the samples after it raise no alarm:

# %%
fixed = kgan.recipes.get("dcgan_r1").build(train.image_shape, seed=0)
alarm = kgan.callbacks.CollapseAlarm(train, warm_up=600)
history = fixed.fit(train, epochs=3, callbacks=[alarm], verbose=2)
print("alarms:", [f"{found.sign} after epoch {found.epoch}" for found in alarm.alarms])
kgan.images.show(fixed.generate(40, seed=1), columns=10)

# %% [markdown]
# ## A NaN
#
# The Wasserstein loss has no bound, so its discriminator needs a penalty or clipped weights.
# Without them, and with plain gradient descent at a huge rate, its scores overflow:

# %%
keras.utils.set_random_seed(0)
broken = build(1e-3)
broken.compile(
    loss="wasserstein",
    generator_optimizer=keras.optimizers.Adam(1e-3),
    discriminator_optimizer=keras.optimizers.SGD(1e3),
)
guard = kgan.callbacks.TerminateOnNaN()
checkpoint = kgan.callbacks.Checkpoint("gan.keras", every_batches=1)
broken.fit(train, epochs=1, callbacks=[guard, checkpoint], verbose=2)
print("the first log that is not finite:", guard.first)

# %% [markdown]
# `TerminateOnNaN` stopped the training and named the log in which the NaN began. `Checkpoint` does
# not save weights that are not finite, so the last file is sound:

# %%
sound = keras.saving.load_model("gan.keras")
print("finite weights:", all(np.isfinite(weights).all() for weights in sound.get_weights()))

# %% [markdown]
# The fix is a gradient penalty and Adam at a small rate, as in the recipe `wgan_gp`:

# %%
repaired = kgan.recipes.get("wgan_gp").build(train.image_shape, seed=0)
guard = kgan.callbacks.TerminateOnNaN()
batches = load("train", batch_size=160, seed=0, steps_per_epoch=2 if FAST else 60)
repaired.fit(batches, epochs=1, callbacks=[guard], verbose=2)
print("the first log that is not finite:", guard.first)

# %% [markdown]
# ## Watch every run
#
# `kgan train` always uses these callbacks. In your own scripts, add them:
#
# ```python
# callbacks = [
#     kgan.callbacks.PeriodicEvaluation(train),
#     kgan.callbacks.CollapseAlarm(train),
#     kgan.callbacks.TerminateOnNaN(),
#     kgan.callbacks.SampleGrid("samples"),
# ]
# ```
#
# [Fix a run that goes wrong](../howto/troubleshooting.md) lists symptoms, causes and fixes.
