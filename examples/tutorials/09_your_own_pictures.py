# %% [markdown]
# # Train on your own pictures
#
# In this tutorial, you make a folder of pictures, load it, train a conditional GAN on it, and
# measure its samples. The pictures are small pieces of two photographs that come with scikit-learn:
# a temple in China and a flower. To use your own pictures, replace the folder. The tutorial takes
# about five minutes on two CPU cores.

# %%
import os
from pathlib import Path

import kgan  # import kgan before keras: it enables TensorFlow's oneDNN kernels
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

FAST = "KGAN_DOCS_FAST" in os.environ  # a few steps on small data, to test this page
PIECES = 64 if FAST else 2000

random = np.random.default_rng(0)
for name, photograph in zip(("china", "flower"), load_sample_images().images, strict=True):
    Path("pictures", name).mkdir(parents=True)
    height, width, _ = photograph.shape
    for number in range(PIECES):
        top, left = random.integers(0, height - 96), random.integers(0, width - 96)
        piece = Image.fromarray(photograph[top : top + 96, left : left + 96])
        piece.save(f"pictures/{name}/{number:04d}.jpg")

# %% [markdown]
# ## Load the folder
#
# Each folder is a class. `image_size` scales the pictures and crops the centre of those that are
# not square. kgan decodes them once, into a file of pixels in Keras's cache directory. The next
# time, the same call only opens that file. `horizontal_flip` mirrors each image with probability
# 1/2 in each pass.

# %%
train = kgan.data.load_image_folder(
    "pictures", image_size=32, batch_size=32, seed=0, horizontal_flip=True
)
print(train)
print(train.class_names)

# %% [markdown]
# Always look at the images as the model will see them, after all these changes:

# %%
images, labels = train[0]
kgan.images.show(kgan.images.class_grid(images, labels, row_names=train.class_names))

# %% [markdown]
# ## Train
#
# This recipe was made for digits. It builds networks for the image size, the channels and the
# classes of your dataset.

# %%
gan = kgan.recipes.get("conditional_dcgan").build(
    train.image_shape, num_classes=train.num_classes, seed=0
)
gan.fit(train, epochs=1 if FAST else 10, steps_per_epoch=2 if FAST else None, verbose=2)

# %%
labels = np.repeat([0, 1], 8)
samples = gan.generate(16, labels=labels, seed=1)
kgan.images.show(kgan.images.class_grid(samples, labels, row_names=train.class_names))

# %% [markdown]
# ## Measure
#
# kgan's features for colour images of 32 x 32 are those of photographs. For pictures such as these,
# compare pixels. The column `real` shows what real images score in place of the samples: the best
# that a model can reach.

# %%
print(kgan.evaluate(gan, train, count=100 if FAST else 2000, features="pixels"))

# %% [markdown]
# ## The same from the command line
#
# ```sh
# kgan train --data pictures --image-size 32 --horizontal-flip --recipe conditional_dcgan
# ```
#
# ## What is different with your pictures
#
# - **Sizes.** Pictures of any size work. Start with 32 or 64 pixels: when you double the size, a
#   step takes about four times as long.
# - **Flips.** Do not use flips if left and right differ, as in letters.
# - **Number.** With fewer than a few thousand pictures, the discriminator memorises them. Read
#   [Train with few images](../howto/few_images.md).
# - **Files that cannot be decoded.** The error lists them. `on_unreadable="skip"` leaves them out.
# - **Classes.** If your folder has no folders inside, there are no classes. Use the default recipe.
#
# [Train on your own images](../howto/images_of_your_own.md) shows all the ways to load data.
