# python examples/own_folders.py --data-dir DIR   (DIR holds folders trainA and trainB of pictures)
"""CycleGAN between two folders of your own pictures, with sizes of your choice."""

import argparse
from pathlib import Path

import kgan  # before keras: it enables TensorFlow's oneDNN kernels

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", required=True, help="the directory of trainA and trainB")
parser.add_argument("--image-size", type=int, default=64)
parser.add_argument("--batch-size", type=int, default=8)
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="samples", help="the directory of the pictures")
arguments = parser.parse_args()

domains = kgan.data.load_domains(
    arguments.data_dir,
    arguments.image_size,
    batch_size=arguments.batch_size,
    seed=0,
    horizontal_flip=True,
    steps_per_epoch=arguments.steps_per_epoch,
)

networks = kgan.networks.cyclegan(domains.a.image_shape, width=16, blocks=3)
model = kgan.CycleGAN(*networks, seed=0)
model.compile()

shown, _ = domains.draw(min(8, len(domains.a.images), len(domains.b.images)), seed=0)
model.fit(
    domains,
    epochs=arguments.epochs,
    callbacks=[
        kgan.callbacks.SampleGrid(arguments.output, inputs=shown, to="b"),
        kgan.callbacks.LinearDecay(),
        kgan.callbacks.BackupAndRestore(Path(arguments.output) / "backup"),  # resumes a killed run
    ],
)
model.save(f"{arguments.output}/own_folders.keras")
