# python examples/progressive_growing.py --data-dir DIR   (DIR holds MNIST's four files)
"""Progressive growing: a GAN learns digits of 4 x 4 pixels first, then of 7, 14 and 28."""

import argparse
from typing import Any

import kgan  # before keras: it enables TensorFlow's oneDNN kernels
import keras

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="the directory of MNIST's files")
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="samples", help="the directory of the sample grids")
arguments = parser.parse_args()

train = kgan.data.load_mnist(
    "train",
    data_dir=arguments.data_dir,
    batch_size=32,
    seed=0,
    steps_per_epoch=arguments.steps_per_epoch,
)

generator, discriminator = kgan.networks.progressive(train.image_shape, latent_dim=64, width=12)
gan = kgan.ProgressiveGAN(generator, discriminator, seed=0)
# Half an epoch at 4 x 4. Then, for each size, half an epoch of fading in and half an epoch more.
phase = len(train) * train.batch_size // 2
gan.compile(fade_images=phase, stable_images=phase, ema_decay=0.999)


class Report(keras.callbacks.Callback):
    """Prints the stage after every epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Prints it."""
        height, width = self.model.resolution
        print(f"epoch {epoch + 1}: {height} x {width}, new blocks {logs['fade']:.0%}")


# Samples of the small sizes are enlarged, so the grids show the stages.
gan.fit(
    train,
    epochs=arguments.epochs,
    callbacks=[kgan.callbacks.SampleGrid(arguments.output), Report()],
)
