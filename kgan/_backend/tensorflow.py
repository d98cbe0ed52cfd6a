"""The TensorFlow backend: gradient tapes, steps that Keras compiles as they stand, tf.data."""

import functools
import itertools
import weakref
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import keras
import tensorflow as tf

from kgan._backend import functions
from kgan._backend.graph import call
from kgan._backend.keras_internals import reduce_gradients_with
from kgan._typing import Layer, Logs


class ImperativeSteps(functions.FreshFunctions):
    """Shows Keras's TensorFlow trainer the steps that a model states imperatively."""

    def train_step(self: Any, data: Any) -> Logs:
        """What Keras's trainer calls for a batch of training data."""
        return _reducible(self.training_step(self.unpack(data, training=True)))

    def test_step(self: Any, data: Any) -> Logs:
        """What Keras's trainer calls for a batch of held-out data."""
        return _reducible(self.evaluation_step(self.unpack(data, training=False)))

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Keras would build the model from a batch here, in a way that fails for the pairs of
        # images and labels that several processes read. kgan's models are built already.
        del iterator, data_batch


def _reducible(logs: Logs) -> Logs:
    """A replica's logs as Keras can reduce them to one."""
    # Of several processes Keras reduces their first axis, which a number does not have:
    # https://github.com/tensorflow/tensorflow/issues/72388.
    if tf.distribute.get_strategy().extended._in_multi_worker_mode():
        return {name: tf.reshape(value, (1,)) for name, value in logs.items()}
    return logs


def gradients(fn: Callable[[], tuple[Any, Any]], variables: Sequence[Any]) -> tuple[list[Any], Any]:
    """Differentiates what `fn` computes, as `kgan._backend` says."""
    values = [variable.value for variable in variables]
    # Only these variables are watched: a tape that watched all would hold on to the work of
    # every other network that `fn` passes through.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        loss, aux = fn()
    # An embedding's gradient comes as slices, in which a row that was looked up twice stands twice:
    # right for an optimizer, wrong for whoever squares it.
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


def input_gradient(fn: Callable[[Any], tuple[Any, Any]], x: Any) -> tuple[Any, tuple[Any, Any]]:
    """Differentiates what `fn` computes of `x`, as `kgan._backend` says."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        y, aux = fn(x)
        total = tf.reduce_sum(y)
    return tape.gradient(total, x, unconnected_gradients="zero"), (y, aux)


def now_and_then(due: Any, fn: Callable[[], Any]) -> Any:
    """`fn()` where it is due, else 0."""
    return tf.cond(due, fn, lambda: tf.constant(0.0))


def average_into(averages: Sequence[Any], variables: Sequence[Any], share: Any) -> None:
    """Moves averages by a share of their way, as `kgan._backend` says."""

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


def global_norm(tensors: Sequence[Any]) -> Any:
    """The Euclidean length of tensors, all together."""
    return tf.linalg.global_norm(tensors) if tensors else tf.constant(0.0)


def apply(optimizer: Any, gradient: Sequence[Any], variables: Sequence[Any]) -> None:
    """Updates variables by an optimizer that was built for them, as `kgan._backend` says."""
    if replicas()[1] > 1:
        # Keras's optimizers would sum over the replicas what is their mean already. A mean divided
        # by their number would not do: gradients are clipped before that sum.
        reduce_gradients_with(optimizer, list)
    optimizer.apply(list(gradient), list(variables))


run = call  # compiled into a graph: what Keras does around its layers is done once


# ---- several devices -----------------------------------------------------------------------------


def _strategy(model: Any) -> Any:
    # A model knows the strategy that it was made in; any other object has the present one.
    return getattr(model, "distribute_strategy", None) or tf.distribute.get_strategy()


def devices(model: Any) -> int:
    """How many devices share a batch."""
    return int(_strategy(model).num_replicas_in_sync)


def multiple_steps(model: Any) -> bool:
    """Whether Keras's trainer can run several steps in one call."""
    return devices(model) == 1  # of several devices, the graph that Keras makes does not run


def is_chief(model: Any) -> bool:
    """Whether this process is the one that writes files."""
    return bool(_strategy(model).extended.should_checkpoint)


def replicas() -> tuple[Any, int]:
    """Within a step: which of how many parts of the batch this is. The first may be a tensor."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0, 1
    return context.replica_id_in_sync_group, int(context.num_replicas_in_sync)


def scope(model: Any) -> Any:
    """A context, to make variables in that belong to the model."""
    return _strategy(model).scope()


def belongs(variable: Any, model: Any) -> bool:
    """Whether a variable was made for the same devices as the model's own."""
    return bool(_strategy(model).extended.variable_created_in_scope(variable.value))


def dealt_out(batch: Any, model: Any) -> Any:
    """A batch in the form that `train_on_batch` takes, from which each device gets its part."""
    strategy = _strategy(model)

    def deal(array: Any) -> Any:
        size = len(array) // strategy.num_replicas_in_sync

        def own(context: Any) -> Any:
            first = context.replica_id_in_sync_group * size
            return tf.convert_to_tensor(array[first : first + size])

        return strategy.experimental_distribute_values_from_function(own)

    return keras.tree.map_structure(lambda array: None if array is None else deal(array), batch)


def alone(call: Callable[[], Any]) -> Any:
    """`call()`, in which variables may be made without the other processes."""
    if not tf.distribute.get_strategy().extended._in_multi_worker_mode():
        return call()
    # Within a strategy's scope all processes have to make a variable. A scope is its thread's.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()


def _compile(model: Layer, call: Callable[..., Any], jit_compile: bool) -> Callable[..., Any]:
    del model
    # Without AutoGraph, as Keras compiles its own steps: a function means the same on each backend.
    # TensorFlow warns of functions with the same code that are traced often, as if they were one:
    # here each is another model's or method's. A partial has no code of its own.
    return tf.function(
        functools.partial(call),
        reduce_retracing=True,
        autograph=False,
        jit_compile=jit_compile or None,
    )


_functions = functions.Functions(_compile)


def predict(model: Layer, method: functions.Method, *tensors: Any, **options: Hashable) -> Any:
    """What a method computes, as NumPy arrays. See `kgan._backend`."""
    tensors = keras.tree.map_structure(
        lambda x: None if x is None else tf.convert_to_tensor(x), tensors
    )
    if getattr(model, "run_eagerly", False):
        outputs = functions.call(model, method, tensors, options)
    else:
        jit_compile = devices(model) == 1 and bool(getattr(model, "jit_compile", False))
        outputs = _functions.get(model, method, options, jit_compile)(*tensors)
    return functions.to_numpy(outputs)


def average_statistics(model: Any) -> None:
    """Makes what each device has counted up for itself the mean of all."""
    strategy = _strategy(model)
    if strategy.num_replicas_in_sync == 1:
        return
    # Keras tells TensorFlow nothing about how its layers' own variables go together, so that each
    # replica has its own value, of which that of the first is read and saved.
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


def readable(part: Callable[[int, int], Any], model: Any) -> Any:
    """What Keras's trainer reads in place of a `PyDataset`, as `kgan._backend` says.

    Args:
        part: `part(index, count)` gives a `keras.utils.PyDataset`, the rows of every batch that are
            for one of `count` processes; batch `i` is a function of `i` and of the epoch alone. It
            has `ends_of_pass()`: two batches, which are alike if all are.
        model: The model that is to read it.

    Returns:
        A `tf.data.Dataset` of the same batches in the same order, read anew each time; of a model
        on several devices a `tf.distribute.DistributedDataset`; of a dataset that wants worker
        processes, on one device, the dataset itself, for Keras to manage them.
    """
    strategy = _strategy(model)
    if strategy.num_replicas_in_sync == 1:
        dataset = part(0, 1)
        return dataset if dataset.use_multiprocessing else _pipeline(dataset)
    # By itself TensorFlow would have each process make whole batches and throw away the parts of
    # the others.
    parts = strategy.distribute_datasets_from_function(lambda context: _parts(part, context))
    # TensorFlow counts a process's parts, and Keras takes that number for the steps of an epoch.
    parts._cardinality = len(part(0, 1))
    return parts


def _parts(part: Callable[[int, int], Any], context: Any) -> Any:
    """What one process reads: of each batch, a part for each of its devices."""
    batches = _pipeline(part(context.input_pipeline_id, context.num_input_pipelines))
    count = context.num_replicas_in_sync // context.num_input_pipelines
    if count == 1:
        return batches

    def split(tensor: Any) -> Any:
        size = tensor.shape[0] or tf.shape(tensor)[0]
        return tf.reshape(tensor, (count, size // count, *tensor.shape[1:]))

    return batches.map(lambda *batch: keras.tree.map_structure(split, batch)).unbatch()


def _pipeline(dataset: Any) -> Any:
    """Turns what `part` gives into a `tf.data.Dataset` that costs a step next to nothing.

    Keras's own way, `from_generator` with autotuning, has two costs that this one avoids. A
    generator makes TensorFlow have the C library give memory back at once (M_TRIM_THRESHOLD), so
    that every step faults its pages in anew. And an iterator that is done with waits for the
    autotuner to wake, which it does ever more seldom: up to half the time of a short epoch.
    """
    specs = keras.tree.map_structure(_spec, *dataset.ends_of_pass())
    types = [spec.dtype for spec in keras.tree.flatten(specs)]

    source = _Source(dataset)

    def batch(index: Any) -> Any:
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


def _make(number: Any, index: Any) -> list[Any]:
    """A batch of the source with this number."""
    source = _Source.alive[int(number)]
    return list(keras.tree.flatten(source.dataset[int(index)]))


def _spec(first: Any, last: Any) -> Any:
    size = first.shape[0] if first.shape == last.shape else None
    return tf.TensorSpec((size, *first.shape[1:]), first.dtype)


def _with_shape(tensor: Any, spec: Any) -> Any:
    tensor.set_shape(spec.shape)
    return tensor
