"""What Keras's backends do not have in common, under the same names for each of them.

Everything else in kgan is written in `keras.ops`. A backend's module gives:

- `ImperativeSteps`: a mixin that shows Keras's trainer the `train_step` and `test_step` it wants
  there, and calls the model`s `training_step(unpack(data, training=True))` and
  `evaluation_step(unpack(data, training=False))`, which may assign
  to variables as they please and return the logs. The model has a `training_noise`, the
  `keras.random.SeedGenerator` of its training;
- `gradients(fn, variables) -> (gradients, aux)`: runs `fn() -> (loss, aux)` and differentiates the
  scalar loss with respect to `keras.Variable`s. `aux` is a structure of tensors that is handed
  through. `fn` may assign to variables, and may itself call `gradients` for others. Where the loss
  does not depend on a variable, its gradient is None or zeros;
- `input_gradient(fn, x) -> (gradient, (y, aux))`: runs `fn(x) -> (y, aux)` and differentiates the
  sum of the tensor `y` with respect to the tensor `x`; within `gradients`, all of it can be
  differentiated once more;
- `now_and_then(due, fn) -> tensor`: within a step, the float32 scalar `fn()` where the boolean
  `due` is true, else 0, without working it out and without what `fn` would assign to variables;
- `average_into(averages, variables, share)`: moves each of a list of variables by a share, a
  scalar, of its way to another's value; those that are not floats are set to it;
- `global_norm(tensors) -> norm`: the Euclidean length of float32 tensors, all together, 0 of none;
- `run(network, tensors, training) -> tensor`: the output of a network, or the list of them if it
  has several, for one tensor for each of its inputs: what Keras's own call of it gives, to
  rounding, and as fast as a good engineer would have it there;
- `apply(optimizer, gradients, variables)`: updates variables by a built optimizer;
- `readable(part, model)`: what Keras's trainer reads fastest there in place of a `PyDataset` whose
  batches depend on nothing but their index and the epoch. `part(index, count)` gives that dataset
  for one of the `count` processes that train the model together: with its rows of every batch, and
  with `ends_of_pass()`, two batches that are alike if all are;
- `multiple_steps(model)`: whether Keras's trainer can run several steps in one call there.

A model may be trained on several devices, in one process or several: by the `tf.distribute`
strategy it was made in, or by `keras.distribution` on JAX. Each device then works out its equal
part of every batch, and a backend's module says how that is:

- `devices(model)`: how many devices share a batch;
- `is_chief(model)`: whether this process is the one, of those that train the model together, that
  writes files;
- `replicas() -> (index, count)`: within a step, which of how many parts of the batch it sees. On
  JAX that is always the whole one, `(0, 1)`, of arrays that span the devices. `gradients` are the
  mean over all parts, and `apply` takes them as that;
- `dealt_out(batch, model)`: a batch in the form that `train_on_batch` takes, from which each device
  gets its part;
- `scope(model)`: a context, to make variables in that belong to the model;
- `belongs(variable, model)`: whether a variable was made for the same devices as the model's own;
- `alone(call)`: `call()`, in which variables may be made without the other processes;
- `predict(model, method, *tensors, **options)`: what a method of the model, or of one of its
  layers, computes from tensors: structures of NumPy arrays. `method` is a bound method, or a
  function without a closure that is called as `method(model, *tensors, **options)`. The function is
  compiled once, and again after a network, layer or variable of the model is replaced, or the model
  is compiled. Tensors are arrays, None, or structures of these; options are hashable constants,
  each combination of which is compiled separately. The function may read only variables of the
  model; assignments to variables may be lost. It runs on one device without the other processes,
  and several threads may call it at once, also while another thread trains the model;
- `average_statistics(model)`: makes what each device has counted up for itself on its parts of the
  batches, as `BatchNormalization` does, the mean of all. Every process calls it.

`tf_data.py` stands beside them: `tf.data.Dataset`s can be read on any backend.
"""

import importlib
from typing import Any

import keras

from kgan._typing import Layer

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
now_and_then = _module.now_and_then
average_into = _module.average_into
run = _module.run
global_norm = _module.global_norm
apply = _module.apply
readable = _module.readable
devices = _module.devices
is_chief = _module.is_chief
replicas = _module.replicas
scope = _module.scope
belongs = _module.belongs
predict = _module.predict
alone = _module.alone
average_statistics = _module.average_statistics
dealt_out = _module.dealt_out
multiple_steps = _module.multiple_steps


def predict_on_batch(model: Layer, x: Any) -> Any:
    """What a model's call gives, as NumPy arrays: see `predict`.

    Args:
        model: `keras.Model` or `keras.Layer`, built.
        x: An array, or the structure of arrays that the model takes.

    Returns:
        A NumPy array, or the structure of arrays that the model returns.
    """
    return predict(model, _call, x)


def _call(model: Layer, x: Any) -> Any:
    return model(x, training=False)


__all__ = [
    "ImperativeSteps",
    "alone",
    "apply",
    "average_into",
    "average_statistics",
    "belongs",
    "dealt_out",
    "devices",
    "global_norm",
    "gradients",
    "input_gradient",
    "is_chief",
    "multiple_steps",
    "now_and_then",
    "predict",
    "predict_on_batch",
    "readable",
    "replicas",
    "run",
    "scope",
]
