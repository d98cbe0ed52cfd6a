# python examples/dcgan.py --data-dir DIR   (DIR holds MNIST's four files; without it: download)
"""A convolutional GAN: held-out losses, metrics of its samples, and a run that resumes."""

import argparse
from pathlib import Path

import kgan  # before keras: it enables TensorFlow's oneDNN kernels
import keras

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", help="the directory of MNIST's files")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
parser.add_argument("--output", default="dcgan", help="the directory of grids, history and model")
arguments = parser.parse_args()

train = kgan.data.load_mnist(
    "train",
    data_dir=arguments.data_dir,
    batch_size=32,
    seed=0,
    steps_per_epoch=arguments.steps_per_epoch,
)
test = kgan.data.load_mnist(
    "test",
    data_dir=arguments.data_dir,
    batch_size=200,
    shuffle=False,
    steps_per_epoch=arguments.steps_per_epoch,
)

output = Path(arguments.output)
saved = output / "gan.keras"
if saved.exists():
    gan = keras.saving.load_model(saved)
    print("Resuming after epoch", gan.epochs_trained)
else:
    generator, discriminator = kgan.networks.dcgan((28, 28, 1), latent_dim=64, width=24)
    gan = kgan.GAN(generator, discriminator, seed=0)
    gan.compile(
        # Ten times the usual learning rates: R1 keeps training stable.
        generator_optimizer=keras.optimizers.Adam(3e-3, beta_1=0.5, beta_2=0.99),
        discriminator_optimizer=keras.optimizers.Adam(2e-3, beta_1=0.5, beta_2=0.99),
        penalties=kgan.penalties.R1(0.1),
        ema_decay=0.999,  # samples are made with averaged weights
    )

gan.fit(
    train,
    validation_data=test,
    initial_epoch=gan.epochs_trained,
    epochs=gan.epochs_trained + arguments.epochs,
    callbacks=[
        kgan.callbacks.PeriodicEvaluation(train),  # before the callbacks that read the logs
        kgan.callbacks.CollapseAlarm(train),
        kgan.callbacks.TerminateOnNaN(),
        kgan.callbacks.SampleGrid(output / "samples"),
        kgan.callbacks.LossHistory(output / "history.csv", plot=output / "losses.png"),
        kgan.callbacks.Checkpoint(saved),
    ],
)

print(kgan.evaluate(gan, train))
