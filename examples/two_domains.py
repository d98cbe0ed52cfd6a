# python examples/two_domains.py --data-dir DIR   (DIR holds MNIST's four files)
"""CycleGAN: makes thin digits thick and thick digits thin, without a single pair."""

import argparse

import kgan  # before keras: it enables TensorFlow's oneDNN kernels
import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="the directory of MNIST's files")
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="samples", help="the directory of the pictures")
arguments = parser.parse_args()

train = kgan.data.load_mnist("train", data_dir=arguments.data_dir)
test = kgan.data.load_mnist("test", data_dir=arguments.data_dir)
# Half of the digits are in domain a, made thin; the others are in domain b, made thick.
task = kgan.data.pairs.thin_and_thick(train.images, seed=0)
domains = kgan.data.UnpairedDataset(
    task.a, task.b, batch_size=32, seed=0, steps_per_epoch=arguments.steps_per_epoch
)

networks = kgan.networks.cyclegan((28, 28, 1), translator="unet", width=16, receptive_field=16)
model = kgan.CycleGAN(*networks, seed=0)
model.compile()

# Each grid shows thin digits, their translations, and the translations back.
held_out = kgan.data.pairs.thin_and_thick(test.images, seed=0)
thin, _ = kgan.data.UnpairedDataset(held_out.a, held_out.b, batch_size=1).draw(24, seed=0)
grid = kgan.callbacks.SampleGrid(arguments.output, inputs=thin, to="b")
decay = kgan.callbacks.LinearDecay()
model.fit(domains, epochs=arguments.epochs, callbacks=[grid, decay])

# A cycle can close although every 3 became an 8. Here the true translations are known.
evaluation = kgan.metrics.translation(
    model,
    held_out.a,
    held_out.b,
    truths=held_out.partners_of_a,
    labels=np.asarray(test.labels)[held_out.rows_of_a],
    to="b",
)
print(evaluation)
for finding in kgan.report.verdict(translation=evaluation):
    print(f"{finding.tone}: {finding.text}")
model.save(f"{arguments.output}/two_domains.keras")
