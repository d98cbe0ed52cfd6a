"""Trains saved GANs on the backend that KERAS_BACKEND names: run by test_backends.py.

`python train_saved.py JOBS.json`, a list of objects: the file `start` is loaded, trained one batch
for each entry of `steps` on the images, labels and latents of that number in `data` (.npz), and
saved as `end`, with all its variables and the last logs in `figures` (.npz).
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
from keras import ops

import kgan

FEATURES = kgan.metrics.mnist_features()


def train(job):
    data = np.load(job["data"])
    gan = keras.saving.load_model(job["start"])
    logs = {}
    for step in job["steps"]:
        latents = data["latents"][step]
        with drawing(latents):
            images, labels = data["images"][step], data["labels"][step]
            # Made anew, since what was compiled holds the latents that it was compiled with.
            gan.make_train_function(force=True)
            batch = (images, labels) if gan.is_conditional else (images,)
            logs = gan.train_on_batch(*batch, return_dict=True)
    gan.save(job["end"])
    figures = {f"log/{name}": value for name, value in logs.items()}
    # What an evaluation would see: the features of a batch.
    figures["features"] = FEATURES(kgan.images.to_uint8(data["images"][0], (-1, 1))).vectors
    for variable in [*gan.variables, *gan.optimizer.variables]:
        if variable.name != "seed_generator_state":  # whose dtype is each backend's own
            # Not by path, which is not the same for all optimizers on all backends.
            figures[f"{len(figures):03}/{variable.name}"] = np.asarray(variable)
    np.savez(job["figures"], **figures)


class drawing:  # noqa: N801
    """Within it, random numbers are the same on all backends, whose generators differ.

    Normal numbers are `latents`, one row after the other.
    """

    def __init__(self, latents):
        self.latents = latents

    def __enter__(self):
        self.own = keras.random.normal, keras.random.uniform
        taken = 0
        random = np.random.default_rng(9)

        def normal(shape, seed=None, **options):
            nonlocal taken
            seed.next()
            first, taken = taken, taken + shape[0]
            return ops.convert_to_tensor(self.latents[first:taken])

        def uniform(shape, seed=None, **options):
            seed.next()
            return ops.convert_to_tensor(random.random(tuple(shape), "float32"))

        keras.random.normal, keras.random.uniform = normal, uniform

    def __exit__(self, *error):
        keras.random.normal, keras.random.uniform = self.own


if __name__ == "__main__":
    for job in json.loads(Path(sys.argv[1]).read_text()):
        train(job)
