"""The TensorFlow backend: gradient tapes, imperative steps that Keras compiles, and tf.data."""

import functools
import itertools
import weakref
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, ClassVar, TypeVar

import keras
import tensorflow as tf

from kgan._backend import functions
from kgan._backend.graph import call, call_layer
from kgan._backend.keras_internals import reduce_gradients_with
from kgan._typing import Data, Layer, Logs, Optimizer, Tensor, Variable

T = TypeVar("T")


class ImperativeSteps(functions.FreshFunctions):
    """Gives Keras's TensorFlow trainer the steps of a model."""

    def train_step(self: Any, data: Any) -> Logs:
        """Trains on a batch and returns the logs."""
        return _reducible(self.training_step(self.unpack(data, training=True)))

    def test_step(self: Any, data: Any) -> Logs:
        """Evaluates a batch and returns the logs."""
        return _reducible(self.evaluation_step(self.unpack(data, training=False)))

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Keras would build the model from a batch here. That fails for the pairs of images and
        # labels that several processes read. The models of kgan are already built.
        del iterator, data_batch


def _reducible(logs: Logs) -> Logs:
    """The logs of a replica, in a form that Keras can reduce."""
    # With several processes, Keras reduces over the first axis, which a scalar does not have:
    # https://github.com/tensorflow/tensorflow/issues/72388.
    if tf.distribute.get_strategy().extended._in_multi_worker_mode():
        return {name: tf.reshape(value, (1,)) for name, value in logs.items()}
    return logs


def gradients(
    fn: Callable[[], tuple[Tensor, T]], variables: Sequence[Variable]
) -> tuple[list[Tensor | None], T]:
    """Differentiates the loss of `fn` with respect to variables. See `kgan._backend`."""
    values = [variable.value for variable in variables]
    # The tape watches only these variables. Otherwise it would keep the activations of every other
    # network that `fn` passes through.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        loss, aux = fn()
    # The gradient of an embedding comes as slices, with two slices for a row that was looked up
    # twice. An optimizer adds them, but the square of a gradient would be wrong.
    gradient = [
        tf.convert_to_tensor(part) if isinstance(part, tf.IndexedSlices) else part
        for part in tape.gradient(loss, values)
    ]
    return _mean_over_replicas(gradient), aux


def _mean_over_replicas(gradient: list[Any]) -> list[Any]:
    there = [part for part in gradient if part is not None]
    if replicas()[1] == 1 or not there:
        return gradient
    context = tf.distribute.get_replica_context()
    means = iter(context.all_reduce(tf.distribute.ReduceOp.MEAN, there))
    return [None if part is None else next(means) for part in gradient]


def input_gradient(
    fn: Callable[[Tensor], tuple[Tensor, T]], x: Tensor
) -> tuple[Tensor, tuple[Tensor, T]]:
    """Differentiates the output of `fn` with respect to `x`. See `kgan._backend`."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        y, aux = fn(x)
        total = tf.reduce_sum(y)
    return tape.gradient(total, x, unconnected_gradients="zero"), (y, aux)


def now_and_then(due: Tensor, fn: Callable[[], Tensor]) -> Tensor:
    """`fn()` if it is due, otherwise 0."""
    return tf.cond(due, fn, lambda: tf.constant(0.0))


def average_into(
    averages: Sequence[Variable], variables: Sequence[Variable], share: Tensor
) -> None:
    """Moves averages towards variables. See `kgan._backend`."""

    def move(average: Any, value: Any, share: Any) -> None:
        average.assign_add(
            (value - average) * tf.cast(share, value.dtype)
            if value.dtype.is_floating
            else value - average
        )

    pairs = [(a.value, v.value) for a, v in zip(averages, variables, strict=True)]
    if replicas()[1] == 1:
        for average, value in pairs:
            move(average, value, share)
        return

    def move_all(strategy: Any, share: Any) -> None:
        for average, value in pairs:
            strategy.extended.update(average, move, args=(value, share))

    tf.distribute.get_replica_context().merge_call(move_all, args=(share,))


accumulate = functions.accumulate
losses = functions.losses
seeded = functions.seeded
may_have_metrics = functions.may_have_metrics
written = functions.written
scan = functions.scan
normalised = functions.normalised


def global_norm(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean length of all tensors together."""
    if not tensors:
        return tf.constant(0.0)
    return tf.linalg.global_norm([keras.ops.cast(tensor, "float32") for tensor in tensors])


def apply(
    optimizer: Optimizer, gradient: Sequence[Tensor | None], variables: Sequence[Variable]
) -> None:
    """Updates variables with an optimizer that was built for them. See `kgan._backend`."""
    if replicas()[1] > 1:
        # The gradients are already means over the replicas, and Keras's optimizers would sum them.
        # Dividing by the number of replicas is not enough: gradients are clipped before the sum.
        reduce_gradients_with(optimizer, list)
    optimizer.apply(list(gradient), list(variables))


run_layer = call_layer
run = call  # compiled into a graph, so the cost of Keras's calls is paid only once


# ---- several devices -----------------------------------------------------------------------------


def _strategy(model: Layer) -> Any:
    # A model knows the strategy that it was made in. Other objects have the present one.
    return getattr(model, "distribute_strategy", None) or tf.distribute.get_strategy()


def devices(model: Layer) -> int:
    """The number of devices that share a batch."""
    return int(_strategy(model).num_replicas_in_sync)


def multiple_steps(model: Layer) -> bool:
    """Whether Keras's trainer can run several steps in one call."""
    return devices(model) == 1  # on several devices, Keras's graph does not run


def can_accumulate(model: Layer) -> bool:
    """Whether optimizers of the model can accumulate gradients over several steps."""
    return devices(model) == 1  # Keras sums over devices within a condition, which fails


def is_chief(model: Layer) -> bool:
    """Whether this process writes files."""
    return bool(_strategy(model).extended.should_checkpoint)


def replicas() -> tuple[Any, int]:
    """In a step, the index of the part of the batch (maybe a tensor), and the number of parts."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0, 1
    return context.replica_id_in_sync_group, int(context.num_replicas_in_sync)


def scope(model: Layer) -> AbstractContextManager[Any]:
    """A context in which to make variables that belong to the model."""
    return _strategy(model).scope()


def belongs(variable: Variable, model: Layer) -> bool:
    """Whether a variable is on the same devices as those of the model."""
    return bool(_strategy(model).extended.variable_created_in_scope(variable.value))


def dealt_out(batch: Data, model: Layer) -> Data:
    """A batch in the form that `train_on_batch` takes, from which each device gets its part."""
    strategy = _strategy(model)

    def deal(array: Any) -> Any:
        size = len(array) // strategy.num_replicas_in_sync

        def own(context: Any) -> Any:
            first = context.replica_id_in_sync_group * size
            return tf.convert_to_tensor(array[first : first + size])

        return strategy.experimental_distribute_values_from_function(own)

    return keras.tree.map_structure(lambda array: None if array is None else deal(array), batch)


def alone(call: Callable[[], T]) -> T:
    """Runs `call()`, which may make variables without the other processes."""
    if not tf.distribute.get_strategy().extended._in_multi_worker_mode():
        return call()
    # In the scope of a strategy, all processes must make a variable. Another thread is outside it.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()


def _compile(model: Layer, call: Callable[..., Any], jit_compile: bool) -> Callable[..., Any]:
    del model
    # Without AutoGraph, as in Keras's own steps: a function has the same meaning on each backend.
    # TensorFlow warns if functions with the same code are traced often. Here, each one belongs to
    # another model or method. A partial has no code.
    return tf.function(
        functools.partial(call),
        reduce_retracing=True,
        autograph=False,
        jit_compile=jit_compile or None,
    )


_functions = functions.Functions(_compile)


def predict(model: Layer, method: functions.Method, *tensors: Any, **options: Hashable) -> Any:
    """The result of a method, as NumPy arrays. See `kgan._backend`."""
    tensors = keras.tree.map_structure(
        lambda x: None if x is None else tf.convert_to_tensor(x), tensors
    )
    if getattr(model, "run_eagerly", False):
        outputs = functions.call(model, method, tensors, options)
    else:
        jit_compile = devices(model) == 1 and bool(getattr(model, "jit_compile", False))
        outputs = _functions.get(model, method, options, jit_compile)(*tensors)
    return functions.to_numpy(outputs)


def average_statistics(model: Layer) -> None:
    """Replaces the statistics that each device collected by their mean."""
    strategy = _strategy(model)
    if strategy.num_replicas_in_sync == 1:
        return
    # Keras does not tell TensorFlow how to aggregate the statistics of layers. So each replica has
    # its own value, and only that of the first one is read and saved.
    own = [
        variable.value
        for variable in model.non_trainable_variables
        if variable.aggregation == "none" and keras.backend.is_float_dtype(variable.dtype)
    ]
    if not own:
        return

    def average_own() -> None:
        context = tf.distribute.get_replica_context()
        means = context.all_reduce(tf.distribute.ReduceOp.MEAN, [v.read_value() for v in own])
        for variable, mean in zip(own, means, strict=True):
            variable.assign(mean)

    tf.function(lambda: strategy.run(average_own))()


# ---- data ----------------------------------------------------------------------------------------


def readable(part: Callable[[int, int], keras.utils.PyDataset], model: Layer) -> Data:
    """The input of Keras's trainer for the batches of a `PyDataset`. See `kgan._backend`.

    Args:
        part: `part(index, count)` gives a `keras.utils.PyDataset` with the rows of every batch for
            one of `count` processes. Batch `i` depends only on `i` and the epoch. The dataset has
            `ends_of_pass()`, which returns two batches that have the same shape if all have.
        model: The model that reads the data.

    Returns:
        A `tf.data.Dataset` of the same batches in the same order, which are made again in each
        pass. For a model on several devices, a `tf.distribute.DistributedDataset`. For a dataset
        with worker processes, on one device, the dataset itself: Keras manages the workers.
    """
    strategy = _strategy(model)
    if strategy.num_replicas_in_sync == 1:
        dataset = part(0, 1)
        return dataset if dataset.use_multiprocessing else _pipeline(dataset)
    # Otherwise, each process would make whole batches and throw away the parts of the others.
    parts = strategy.distribute_datasets_from_function(lambda context: _parts(part, context))
    # TensorFlow counts the parts of a process, but Keras needs the number of steps in an epoch.
    parts._cardinality = len(part(0, 1))
    return parts


def _parts(part: Callable[[int, int], keras.utils.PyDataset], context: Any) -> Any:
    """The input of one process: for each batch, one part for each of its devices."""
    batches = _pipeline(part(context.input_pipeline_id, context.num_input_pipelines))
    count = context.num_replicas_in_sync // context.num_input_pipelines
    if count == 1:
        return batches

    def split(tensor: Any) -> Any:
        size = tensor.shape[0] or tf.shape(tensor)[0]
        return tf.reshape(tensor, (count, size // count, *tensor.shape[1:]))

    return batches.map(lambda *batch: keras.tree.map_structure(split, batch)).unbatch()


def _pipeline(dataset: Any) -> Any:
    """A `tf.data.Dataset` of the batches of a `PyDataset`, with almost no cost per step.

    Keras uses `from_generator` with autotuning, which has two costs that this function avoids. With
    a generator, TensorFlow makes the C library return memory at once (M_TRIM_THRESHOLD), so every
    step causes page faults again. And a finished iterator waits for the autotuner to wake up, which
    happens less and less often: up to half the time of a short epoch.
    """
    specs = keras.tree.map_structure(_spec, *dataset.ends_of_pass())
    types = [spec.dtype for spec in keras.tree.flatten(specs)]

    source = _Source(dataset)

    def batch(index: Tensor) -> Any:
        parts = tf.numpy_function(_make, [source.number, index], types)
        tensors = keras.tree.pack_sequence_as(specs, parts)
        return keras.tree.map_structure(_with_shape, tensors, specs)

    calls = dataset.workers if dataset.workers > 1 else None
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    batches = tf.data.Dataset.range(len(dataset)).map(batch, num_parallel_calls=calls)
    batches.source = source  # datasets made from this one, and their iterators, keep it alive
    return batches.prefetch(2).with_options(options)


class _Source:
    """A dataset that a `tf.data.Dataset` reads, by number.

    TensorFlow never frees what a function given to `tf.numpy_function` holds, which would be the
    dataset and, through it, the model that it counts epochs of.
    """

    alive: ClassVar[weakref.WeakValueDictionary[int, "_Source"]] = weakref.WeakValueDictionary()
    numbers = itertools.count()

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.number = next(self.numbers)
        self.alive[self.number] = self


def _make(number: Any, index: Tensor) -> list[Any]:
    """A batch of the source with this number."""
    source = _Source.alive[int(number)]
    return list(keras.tree.flatten(source.dataset[int(index)]))


def _spec(first: Any, last: Any) -> Any:
    size = first.shape[0] if first.shape == last.shape else None
    return tf.TensorSpec((size, *first.shape[1:]), first.dtype)


def _with_shape(tensor: Any, spec: Any) -> Any:
    tensor.set_shape(spec.shape)
    return tensor
