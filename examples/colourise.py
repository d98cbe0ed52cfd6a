# python examples/colourise.py --data-dir DIR   (DIR holds colour pictures)
"""Pix2Pix: gives grey pictures colours. Without --data-dir it downloads CIFAR-10."""

import argparse

import kgan  # before keras: it enables TensorFlow's oneDNN kernels
import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="a directory of colour pictures (default: CIFAR-10)")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="samples", help="the directory of the pictures")
arguments = parser.parse_args()

if arguments.data_dir is None:
    pictures = kgan.data.load_cifar10("train").images
else:
    pictures = kgan.data.load_image_folder(arguments.data_dir, 32, batch_size=1).images
is_held_out = np.arange(len(pictures)) % 8 == 0
held_out = kgan.data.PairedDataset(*kgan.data.pairs.grey(pictures[is_held_out]), batch_size=1)
pairs = kgan.data.PairedDataset(
    *kgan.data.pairs.grey(pictures[~is_held_out]),
    batch_size=16,
    seed=0,
    horizontal_flip=True,
    steps_per_epoch=arguments.steps_per_epoch,
)

networks = kgan.networks.pix2pix((32, 32, 1), target_channels=3, width=24, receptive_field=34)
model = kgan.Pix2Pix(*networks, seed=0)
# A lower weight of the distance than in the paper: the mean of all possible colours is brown.
model.compile(loss="non_saturating", l1_weight=30.0)

grey, colour = held_out.draw(min(24, len(held_out)), seed=0)
grid = kgan.callbacks.SampleGrid(arguments.output, inputs=grey, targets=colour)
model.fit(pairs, epochs=arguments.epochs, callbacks=[grid])
model.save(f"{arguments.output}/colourise.keras")
