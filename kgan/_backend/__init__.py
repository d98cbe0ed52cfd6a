"""What Keras's backends do not have in common, under the same names for each of them.

Everything else in kgan is written in `keras.ops`. A backend's module gives:

- `ImperativeSteps`: a mixin that shows Keras's trainer the `train_step` and `test_step` it wants
  there, and calls the model's `training_step(data)` and `evaluation_step(data)`, which may assign
  to variables as they please and return the logs;
- `gradients(fn, variables)`: differentiates what `fn` computes;
- `readable(dataset)`: a `PyDataset` whose batches depend on nothing but their index and the epoch,
  in the form that Keras's trainer reads fastest there.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from kgan._backend.tensorflow import ImperativeSteps, gradients, readable
else:
    raise ImportError(
        "This version of kgan trains on Keras's TensorFlow backend. "
        f"Received: the {keras.backend.backend()!r} backend. Set the environment variable "
        'KERAS_BACKEND="tensorflow", or "backend" in ~/.keras/keras.json, before importing keras.'
    )

__all__ = ["ImperativeSteps", "gradients", "readable"]
