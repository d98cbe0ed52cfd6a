# python examples/idx_file.py FILE   (an IDX file of uint8 images, N x H x W, plain or gzipped)
"""A GAN for your own images, from any IDX file; kgan.data.write_idx writes such files."""

import argparse

import kgan

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("file", help="IDX file of images")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="samples", help="the directory of the sample grids")
arguments = parser.parse_args()

images = kgan.data.read_idx_images(arguments.file)  # uint8 (N, H, W) or (N, H, W, C)
print(arguments.file, "holds", images.shape)

train = kgan.data.ImageDataset(
    images, batch_size=32, seed=0, steps_per_epoch=arguments.steps_per_epoch
)

gan = kgan.recipes.get().build(train.image_shape, seed=0)
gan.fit(train, epochs=arguments.epochs, callbacks=[kgan.callbacks.SampleGrid(arguments.output)])
