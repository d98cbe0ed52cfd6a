# python examples/sketch_to_digit.py --data-dir DIR   (DIR holds MNIST's four files)
"""Pix2Pix: fills in the outlines of digits, which it learns from pairs."""

import argparse

import kgan  # before keras: it enables TensorFlow's oneDNN kernels

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="the directory of MNIST's files")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="samples", help="the directory of the pictures")
arguments = parser.parse_args()

train = kgan.data.load_mnist("train", data_dir=arguments.data_dir)
test = kgan.data.load_mnist("test", data_dir=arguments.data_dir)
pairs = kgan.data.PairedDataset(
    *kgan.data.pairs.outlines(train.images),
    batch_size=32,
    seed=0,
    steps_per_epoch=arguments.steps_per_epoch,
)
outlines, digits = kgan.data.pairs.outlines(test.images)

# The discriminator sees outline and digit together, and judges patches of 34 x 34 pixels.
networks = kgan.networks.pix2pix((28, 28, 1), width=24, receptive_field=34)
model = kgan.Pix2Pix(*networks, seed=0)
model.compile(loss="non_saturating", l1_weight=100.0)

# Each grid shows outlines, their translations and the true digits, one row under the other.
shown = kgan.data.PairedDataset(outlines, digits, batch_size=1).draw(24, seed=0)
grid = kgan.callbacks.SampleGrid(arguments.output, inputs=shown[0], targets=shown[1])
model.fit(pairs, epochs=arguments.epochs, callbacks=[grid])

# Is it the right digit, and does it look like one?
print(kgan.metrics.translation(model, outlines, digits, paired=True, labels=test.labels))
model.save(f"{arguments.output}/sketch_to_digit.keras")
