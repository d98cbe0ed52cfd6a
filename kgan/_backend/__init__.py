"""What Keras's backends do not have in common, under the same names for each of them.

Everything else in kgan is written in `keras.ops`. A backend's module gives:

- `ImperativeSteps`: a mixin that shows Keras's trainer the `train_step` and `test_step` it wants
  there, and calls the model's `training_step(data)` and `evaluation_step(data)`, which may assign
  to variables as they please and return the logs. The model has a `training_noise`, the
  `keras.random.SeedGenerator` of its training;
- `gradients(fn, variables) -> (gradients, aux)`: runs `fn() -> (loss, aux)` and differentiates the
  scalar loss with respect to `keras.Variable`s. `aux` is a structure of tensors that is handed
  through. `fn` may assign to variables, and may itself call `gradients` for others. Where the loss
  does not depend on a variable, its gradient is None or zeros;
- `input_gradient(fn, x) -> gradient`: differentiates the sum of the tensor `fn(x)` with respect to
  the tensor `x`; within `gradients`, the result can be differentiated once more;
- `apply(optimizer, gradients, variables)`: updates variables by a built optimizer;
- `readable(dataset)`: a `PyDataset` whose batches depend on nothing but their index and the epoch,
  in the form that Keras's trainer reads fastest there;
- `MULTIPLE_STEPS`: whether Keras's trainer can run several steps in one call there.
"""

import importlib

import keras

if keras.backend.backend() not in {"tensorflow", "jax", "torch"}:
    raise ImportError(
        "kgan trains on Keras's TensorFlow, JAX and PyTorch backends. "
        f"Received: the {keras.backend.backend()!r} backend. Set the environment variable "
        'KERAS_BACKEND to "tensorflow", "jax" or "torch", or "backend" in ~/.keras/keras.json, '
        "before importing keras."
    )

_module = importlib.import_module(f"kgan._backend.{keras.backend.backend()}")
ImperativeSteps = _module.ImperativeSteps
gradients = _module.gradients
input_gradient = _module.input_gradient
apply = _module.apply
readable = _module.readable
MULTIPLE_STEPS: bool = _module.MULTIPLE_STEPS

__all__ = [
    "MULTIPLE_STEPS",
    "ImperativeSteps",
    "apply",
    "gradients",
    "input_gradient",
    "readable",
]
