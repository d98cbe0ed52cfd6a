"""The operations that Keras's backends do not have in common, under one name each.

Everything else in kgan uses `keras.ops`. The module of each backend defines:

- `ImperativeSteps`: a mixin that gives Keras's trainer its `train_step` and `test_step`. They call
  `training_step(unpack(data, training=True))` and `evaluation_step(unpack(data, training=False))`
  of the model. Those may assign to variables, and return the logs. The model has a
  `training_noise`, the `keras.random.SeedGenerator` of its training.
- `gradients(fn, variables) -> (gradients, aux)`: runs `fn() -> (loss, aux)` and differentiates the
  scalar loss with respect to `keras.Variable`s. `aux` is a structure of tensors that is passed
  through. `fn` may assign to variables, and may call `gradients` for other variables. The gradient
  of a variable that the loss does not depend on is None or zeros.
- `input_gradient(fn, x) -> (gradient, (y, aux))`: runs `fn(x) -> (y, aux)` and differentiates the
  sum of the tensor `y` with respect to the tensor `x`. Inside `gradients`, the results can be
  differentiated again.
- `now_and_then(due, fn) -> tensor`: in a step, the float32 scalar `fn()` if the boolean `due` is
  true, otherwise 0. Then `fn` is not computed and assigns nothing.
- `average_into(averages, variables, share)`: moves each of the averages towards a variable, by a
  scalar fraction of the distance. Variables that are not floats are copied.
- `global_norm(tensors) -> norm`: the Euclidean length of all tensors together, computed in float32;
  0 for none.
- `accumulate(sums, values, weight)`: in a step, adds each of the scalars, times a scalar weight, to
  the element of a float32 variable `(len(values),)` in its place.
- `seeded(noise)`: a context in which layers that draw from a generator of the backend, as `Dropout`
  does on PyTorch, draw numbers that depend on the state of a `SeedGenerator`.
- `losses(networks) -> losses`: in a step, the regularisation losses of networks.
- `may_have_metrics(layer) -> bool`: whether a layer, or one inside it, may have metrics.
- `normalised(kernel, u, iterations, update) -> tensor`: in a step, a kernel divided by its largest
  singular value as a matrix `(other axes, last axis)`, and a kernel of zeros unchanged. The vector
  `(1, last axis)` in the variable `u` starts the power iteration, and gets its result if `update`
  is true. The gradient takes the singular vectors as constants.
- `run(network, tensors, training) -> tensor`: the output of a network, or the list of its outputs
  if it has several, for one tensor per input. It gives what Keras's own call gives, up to
  rounding, but faster where a backend allows that.
- `run_layer(layer, x, training) -> tensor`: the output of a layer inside another one for a tensor.
  It gives what Keras's own call gives, up to rounding, but faster where a backend allows that.
- `apply(optimizer, gradients, variables)`: updates variables with a built optimizer: all that it
  was built for, or some of them.
- `predict(model, method, *tensors, **options)`: the result of a method of the model, or of one of
  its layers, as a structure of NumPy arrays. `method` is a bound method, or a function without a
  closure, which is called as `method(model, *tensors, **options)`. It is compiled once, and again
  after a network, layer or variable of the model is replaced, its `python_state()` changes, or the
  model is compiled. Tensors are
  arrays, None, or structures of these. Options are hashable constants; each combination is compiled
  separately. The method may read only variables of the model, and its assignments to variables may
  be lost. It runs on one device without the other processes. Several threads may call it at once,
  also while another thread trains the model.
- `readable(part, model)`: the fastest input for Keras's trainer that gives the batches of a
  `PyDataset` which depend only on their index and the epoch. `part(index, count)` gives that
  dataset for one of the `count` processes that train the model together: with the process's rows of
  every batch, and with a method `ends_of_pass()`, which returns two batches that have the same
  shape if all batches have.
- `scan(step, states, inputs)`: the states after each step of a loop over the first axis of
  `inputs`, stacked. `step(states, x)` gives the next states, a tuple of tensors. It can be
  differentiated.
- `written(buffer, place, value)`: a tensor with another value at a place of its first axis, which
  may be a tensor. The buffer itself may change.
- `multiple_steps(model)`: whether Keras's trainer can run several steps in one call.
- `can_accumulate(model)`: whether its optimizers can accumulate gradients over several steps.

A model may be trained on several devices, in one process or several: by the `tf.distribute`
strategy that it was made in, or by `keras.distribution` on JAX. Each device then computes an equal
part of every batch. The module of each backend defines:

- `devices(model)`: the number of devices that share a batch.
- `is_chief(model)`: whether this process writes files, among those that train the model together.
- `replicas() -> (index, count)`: in a step, the index of the part of the batch and the number of
  parts. On JAX this is always `(0, 1)`: a step sees the whole batch, in arrays that span the
  devices. `gradients` returns the mean over all parts, and `apply` expects that.
- `dealt_out(batch, model)`: a batch in the form that `train_on_batch` takes, from which each device
  gets its part.
- `scope(model)`: a context in which to make variables that belong to the model.
- `belongs(variable, model)`: whether a variable is on the same devices as those of the model.
- `alone(call)`: runs `call()`, which may make variables without the other processes.
- `average_statistics(model)`: replaces the statistics that each device collected from its parts of
  the batches, such as those of `BatchNormalization`, by their mean. Every process calls it.

`tf_data.py` reads `tf.data.Dataset`s on any backend. `keras_internals.py` holds all private names
of Keras that kgan reads.
"""

import importlib
from typing import Any

import keras

from kgan._typing import Layer

if keras.backend.backend() not in {"tensorflow", "jax", "torch"}:
    raise ImportError(
        "Expected Keras's TensorFlow, JAX or PyTorch backend. "
        f"Received: the {keras.backend.backend()!r} backend. Before importing keras, set the "
        'environment variable KERAS_BACKEND to "tensorflow", "jax" or "torch", or set "backend" in '
        "~/.keras/keras.json."
    )

_module = importlib.import_module(f"kgan._backend.{keras.backend.backend()}")
ImperativeSteps = _module.ImperativeSteps
gradients = _module.gradients
input_gradient = _module.input_gradient
now_and_then = _module.now_and_then
average_into = _module.average_into
accumulate = _module.accumulate
losses = _module.losses
seeded = _module.seeded
may_have_metrics = _module.may_have_metrics
normalised = _module.normalised
run = _module.run
run_layer = _module.run_layer
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
can_accumulate = _module.can_accumulate
written = _module.written
scan = _module.scan


def predict_on_batch(model: Layer, x: Any) -> Any:
    """Calls a model and returns its output as NumPy arrays: see `predict`.

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
    "accumulate",
    "alone",
    "apply",
    "average_into",
    "average_statistics",
    "belongs",
    "can_accumulate",
    "dealt_out",
    "devices",
    "global_norm",
    "gradients",
    "input_gradient",
    "is_chief",
    "losses",
    "may_have_metrics",
    "multiple_steps",
    "normalised",
    "now_and_then",
    "predict",
    "predict_on_batch",
    "readable",
    "replicas",
    "run",
    "run_layer",
    "scan",
    "scope",
    "seeded",
    "written",
]
