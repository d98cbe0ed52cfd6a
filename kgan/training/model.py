"""The base class of all model families: everything but the algorithm."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from kgan import _backend, _interrupts
from kgan._backend import graph
from kgan._backend.keras_internals import (
    accumulates,
    layers_of,
    own_metrics,
    sublayers,
    untrack,
)
from kgan._files import written_whole
from kgan._typing import (
    Batch,
    Config,
    Data,
    ImagesLike,
    LabelsLike,
    Layer,
    Logs,
    Network,
    Optimizer,
    Tensor,
    Variable,
)
from kgan.training import data_checks, steps
from kgan.training.averaging import AveragedNetwork, fingerprint
from kgan.training.batch_spec import BatchSpec, Divisor
from kgan.training.data_checks import as_array, check_weights, split_batch
from kgan.training.family_checks import check_class
from kgan.training.feed import feed
from kgan.training.logs import Means
from kgan.training.optimizers import Optimizers, optimizer_argument, serialize
from kgan.training.progress import Progress
from kgan.training.session import RestOfEpoch, Session, check_callbacks, in_order

_KERAS_OPTIONS = ("run_eagerly", "steps_per_execution", "jit_compile")


class GenerativeModel(_backend.ImperativeSteps, keras.Model):
    """A model that makes images, whose training can be stopped and resumed exactly.

    A family subclasses it, names its parts in the class attributes below, and states its algorithm
    in four methods: `training_step`, `evaluation_step`, `log_names` and `batch_spec`. It gets
    `compile`, `fit`, `evaluate`, single batches, saving and loading, exact resumption, data checks,
    averaged weights, mixed precision and several devices. Callbacks, metrics, the command and the
    report find out what else a model can do by the Protocols in `kgan.training.capabilities`.

    The model counts the epochs it was trained (`epochs_trained`) and the batches of the present one
    (`batches_trained`), reads datasets from the next batch on, and saves what Keras's files leave
    out: those counts, the state of every source of noise, and what callbacks remember.

    Args:
        seed: Integer, starts the noise of training. Defaults to a random one.
        name: String.

    Example:
    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class Autoencoder(kgan.training.GenerativeModel):
        networks = ("encoder", "decoder")
        roles = {"model": ("encoder", "decoder")}

        def training_step(self, batch):
            minimized = self.minimize("model", lambda: (self._loss(batch, True), None))
            return self.record(batch, loss=minimized.loss)

        def evaluation_step(self, batch):
            return self.record(batch, loss=self._loss(batch, False))

        def log_names(self):
            return ["loss"]

        def batch_spec(self, training):
            return kgan.training.BatchSpec(self.encoder.inputs[0].shape, "encoder", (-1.0, 1.0))

        def _loss(self, batch, training):
            codes = self.run(self.encoder, [batch.images], training)
            outputs = self.run(self.decoder, [codes], training)
            return keras.ops.mean(keras.ops.square(outputs - batch.images))
    ```
    """

    networks: ClassVar[tuple[str, ...]] = ()
    """The constructor's arguments that are networks, each also an attribute: saved by name."""

    roles: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The optimizers, by role, each with the names of the networks (or layers) that it trains. The
    first one leads: its learning rate is the model's. The role of a single one is "model"."""

    averaged: ClassVar[tuple[str, ...]] = ()
    """The networks of which `compile(ema_decay=...)` keeps an average, to sample with."""

    arguments: ClassVar[tuple[str, ...]] = ()
    """The constructor's other arguments, each also the attribute that holds it, for saving."""

    compile_arguments: ClassVar[Mapping[str, str]] = {}
    """The arguments of the family's own `compile`, each with the attribute that holds it, for
    saving."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        check_class(cls, GenerativeModel)

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        # Its networks compute, each layer by its own policy; it does nothing to their inputs.
        super().__init__(name=name, dtype="float32")
        self.seed = seed
        self.ema_decay: float | None = None
        self.epochs_trained = 0
        self.batches_trained = 0
        self.progress = Progress()
        self._session: Session | None = None
        self._averages: dict[str, AveragedNetwork] = {}
        self._seen_weights: tuple[int, dict[str, int]] | None = None
        self._evaluated: tuple[str, ...] = ()  # the names of the logs of `evaluation_step`
        self._is_evaluation = False
        self.training_noise = keras.random.SeedGenerator(seed)
        # Held-out data gets its own noise: validating must not change the training that follows.
        self.evaluation_noise = keras.random.SeedGenerator(0)

    def __setattr__(self, name: str, value: Any) -> None:
        # Not `self.__dict__`: PyTorch keeps networks elsewhere.
        previous = getattr(self, name, None) if name in type(self).networks else None
        if previous is not None and previous is not value:
            self._forget_network(name, previous)
        super().__setattr__(name, value)

    def _forget_network(self, name: str, network: Network) -> None:
        """Removes a network that another one replaces, and the average of it."""
        untrack(self, network)
        if name in self._averages:
            untrack(self, self._averages.pop(name))

    # ---- what a family states --------------------------------------------------------------------

    def training_step(self, batch: Batch) -> Logs:
        """Updates the model on one batch and returns `self.record(...)`."""
        raise NotImplementedError

    def evaluation_step(self, batch: Batch) -> Logs:
        """Measures the model on one batch, changes no weights, and returns `self.record(...)`."""
        raise NotImplementedError

    def log_names(self) -> Sequence[str]:
        """The names of all logs of `training_step`, in the order in which they are shown."""
        raise NotImplementedError

    def batch_spec(self, training: bool) -> BatchSpec:
        """Returns the requirements on a batch.

        Args:
            training: Whether it is trained on, or only measured.
        """
        raise NotImplementedError

    def default_optimizer(self, role: str) -> Optimizer:
        """The optimizer of a role for which `compile` was given none."""
        del role
        return keras.optimizers.Adam(1e-3)

    def before_step(self) -> None:
        """Called before each training step, outside the compiled step. By default does nothing."""

    def active_part(self, network: Layer) -> Layer:
        """The part of a network that the present step runs and trains. By default all of it."""
        return network

    def steps_made(self) -> int:
        """The number of training steps so far."""
        optimizer = getattr(self, "optimizer", None)
        return 0 if optimizer is None else optimizer.steps_made()

    # ---- what a family uses ----------------------------------------------------------------------

    def run(self, network: Network, tensors: Sequence[Tensor], training: bool) -> Tensor:
        """The output of a network in float32, or the list of its outputs if it has several.

        Args:
            network: A network of the model.
            tensors: One tensor for each of its inputs.
            training: Whether it runs in training mode.
        """
        outputs = _backend.run(network, tensors, training)
        if isinstance(outputs, list):
            return [ops.cast(output, "float32") for output in outputs]
        return ops.cast(outputs, "float32")

    def minimize(self, role: str, objective: steps.Objective) -> steps.Minimized:
        """Updates the networks of a role once, to lower an objective.

        Args:
            role: String, one of `roles`.
            objective: A function `() -> (loss, aux)`: a float32 scalar, and tensors to hand on. The
                networks' regularisation losses are added to the loss.

        Returns:
            A `Minimized`: `loss`, `gradient_norm` and `aux`.
        """
        if role not in self.roles:
            raise ValueError(
                f"Expected `role` to be one of {sorted(self.roles)}. Received: {role!r}."
            )
        parts = self._parts(role)
        active = [self.active_part(part) for part in parts]
        variables = None
        if active != parts:
            variables = [v for part in active for v in part.trainable_variables]
        return steps.minimize(self.optimizer[role], active, objective, variables)

    def regularisation(self, role: str) -> Tensor:
        """The regularisation losses of the networks of a role, as `minimize` adds them."""
        return steps.regularisation([self.active_part(part) for part in self._parts(role)])

    def record(self, batch: Batch, **values: Tensor) -> Logs:
        """Adds a batch's values to the running means.

        Args:
            batch: The batch; a short one counts for as many images as it has.
            **values: Float32 scalars by their names in the logs.

        Returns:
            The running means of those values, and of a subclass's own metrics: the logs of a step.
        """
        self._means.update_state(values, weight=ops.shape(batch.images)[0])
        absent = set(self._means.names) - set(values)
        logs = self.get_metrics_result()
        logs = {name: value for name, value in logs.items() if name not in absent}
        if self._is_evaluation:
            self._evaluated = tuple(logs)
        return logs

    def follow(self) -> None:
        """Moves the averages of the weights, if `compile` was given an `ema_decay`."""
        for name, average in self._averages.items():
            has_updated = self.optimizer.has_updated(self._role_of(name))
            decay = self.ema_decay or 0.0
            average.follow(getattr(self, name), decay, has_updated, self.active_part)

    def _role_of(self, name: str) -> str:
        """The role that trains a network."""
        return next(role for role, names in self.roles.items() if name in names)

    def network_in_use(self, name: str, averaged: bool = True) -> Network:
        """The network that samples are made with: its average, if there is one.

        Args:
            name: String, one of `networks`.
            averaged: Whether the average is wanted.

        Example:
        ```python
        gan.compile(ema_decay=0.99)
        assert gan.network_in_use("generator") is not gan.generator  # its average
        ```
        """
        average = self._averages.get(name)
        return getattr(self, name) if average is None or not averaged else average.network

    def _restart_averages(self) -> None:
        """Starts averages again whose networks got other weights without training."""
        if not self._averages or self._session is not None:
            return
        before, self._seen_weights = self._seen_weights, self._weights_now()
        if before is None or before[0] != self._seen_weights[0]:
            return
        for name, checksum in self._seen_weights[1].items():
            if before[1].get(name) not in (None, checksum):
                self._averages[name].restart(getattr(self, name))

    def _weights_now(self) -> tuple[int, dict[str, int]]:
        """The number of training steps, and checksums of the networks that have an average."""
        checksums = {name: fingerprint(getattr(self, name)) for name in self._averages}
        return self.steps_made(), checksums

    @property
    def has_average(self) -> bool:
        """Whether the model keeps an average of its weights."""
        return bool(self._averages)

    def _parts(self, role: str) -> list[Layer]:
        return [getattr(self, name) for name in self.roles[role]]

    def predict_in_batches(
        self,
        fn: Callable[..., Any],
        arrays: Sequence[np.ndarray],
        batch_size: int,
        **options: Hashable,
    ) -> Any:
        """Computes a function of the model for many inputs, a batch at a time.

        Args:
            fn: An unbound method or function `fn(model, *tensors)` that reads the model's variables
                and returns a tensor or a structure of tensors. It is compiled once.
            arrays: Arrays of the same length, its arguments.
            batch_size: Integer, how many rows at a time.
            **options: Constants that `fn` takes by name. It is compiled for each combination.

        Returns:
            What `fn` returns, as arrays of all rows.
        """
        self._restart_averages()
        parts = []
        interrupt = _interrupts.Remembered()
        with interrupt.listening():
            for first in range(0, len(arrays[0]), batch_size):
                rows = [array[first : first + batch_size] for array in arrays]
                parts.append(_backend.predict(self, fn, *rows, **options))
                interrupt.arrive()
        return keras.tree.map_structure(lambda *each: np.concatenate(each), *parts)

    def checked_arrays(self, images: ImagesLike, labels: LabelsLike = None) -> list[np.ndarray]:
        """The arguments of a function for `predict_in_batches`, from what a user gave.

        Args:
            images: Array or tensor `(n, height, width, channels)`, as in training.
            labels: Integers `(n,)`; None for an unconditional model.

        Returns:
            `[images]`, float32, or `[images, labels]`, int32, if the model takes labels.

        Raises:
            ValueError: They do not fit the model.
        """
        spec = self.batch_spec(training=False)
        images = np.asarray(ops.convert_to_numpy(images))
        data_checks.check_values(images, labels, spec=spec, divides=False)
        arrays = [np.asarray(ops.convert_to_numpy(spec.as_floats(images)))]
        if spec.needs_labels:
            arrays.append(np.asarray(labels).reshape(-1).astype("int32"))
        return arrays

    # ---- compile ---------------------------------------------------------------------------------

    def compile(self, ema_decay: float | None = None, **options: Any) -> None:
        """Configures the training.

        A family with more options overrides it, keeps them in the attributes that
        `compile_arguments` names, and calls this last.

        Args:
            ema_decay: Float in [0, 1): the share of a running average of the weights that stays in
                each update (less in the first ones). Samples are then made with the average.
                Defaults to no average.
            **options: The optimizers, each a string or a `keras.optimizers.Optimizer`: `optimizer`,
                or `<role>_optimizer` in a family with several roles; and Keras's `run_eagerly`,
                `steps_per_execution` and `jit_compile`.

        Raises:
            ValueError: A number is out of its range, or an optimizer is not a new one.
            TypeError: There is no such option.
        """
        given = {role: options.pop(optimizer_argument(role), None) for role in self.roles}
        self._check_options(options)
        # As given: "auto" must be resolved again on the machine that loads the model.
        self._given_jit_compile = options.get("jit_compile", "auto")
        with self.making_variables(ema_decay):
            self._replace_means()
            optimizers = Optimizers(
                {role: self._resolve_optimizer(role, each) for role, each in given.items()}
            )
            self._check_devices(optimizers)
            # Built before Keras sees it: a checkpoint is loaded only into variables that exist.
            optimizers.build(self._trained_variables())
            super().compile(optimizer=optimizers, auto_scale_loss=False, **options)
        # Running means of an interrupted epoch may be of values that are no longer measured.
        self.progress = replace(self.progress, metrics=[])
        self._seen_weights = self._weights_now() if self._averages else None

    def _check_options(self, options: Mapping[str, Any]) -> None:
        unknown = sorted(set(options) - set(_KERAS_OPTIONS))
        if unknown:
            known = ", ".join(optimizer_argument(role) for role in self.roles)
            raise TypeError(
                f"{type(self).__name__}.compile() got unexpected arguments {unknown}. It takes "
                f"{known} and the options in its documentation; Keras's metrics and loss weights "
                "do not apply to generative models."
            )
        steps_per_execution = options.get("steps_per_execution", 1)
        if steps_per_execution != 1 and not _backend.multiple_steps(self):
            raise ValueError(
                f"Keras's {keras.backend.backend()} backend executes one step at a time on "
                f"{_backend.devices(self)} device(s). Expected steps_per_execution=1. Received: "
                f"steps_per_execution={steps_per_execution}."
            )

    def _replace_means(self) -> None:
        # Keras does not by itself forget what it was compiled with before.
        untrack(self, getattr(self, "_means", None))
        names = list(self.log_names())
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                "Expected logs with different names. Received: "
                f"{', '.join(twice)} more than once. If a penalty or an augmentation has the name, "
                "give it another one with name=..."
            )
        self._means = Means(names)

    @contextlib.contextmanager
    def making_variables(self, ema_decay: float | None) -> Iterator[None]:
        """A context for a family's `compile` to make layers and variables in.

        They come after the averages then, as in a loaded model, which has its averages before it is
        compiled: files rely on that order. And they are made for the model's devices.

        Args:
            ema_decay: As `compile` got it.
        """
        with _backend.scope(self):
            self._keep_average(ema_decay)
            yield

    def _keep_average(self, decay: float | None) -> None:
        if decay is not None and not 0 <= decay < 1:
            raise ValueError(f"Expected `ema_decay` to be in [0, 1). Received: {decay!r}.")
        if decay is not None and not self.averaged:
            raise TypeError(
                f"{type(self).__name__} keeps no average of its weights. Expected no `ema_decay`. "
                f"Received: ema_decay={decay!r}."
            )
        self.ema_decay = decay
        if decay is None:
            for name in list(self._averages):
                untrack(self, self._averages.pop(name))
        else:
            self._begin_averages()

    def _begin_averages(self) -> None:
        for name in self.averaged:
            if name not in self._averages:
                self._averages[name] = AveragedNetwork(getattr(self, name), f"averaged_{name}")

    def _resolve_optimizer(self, role: str, optimizer: str | Optimizer | None) -> Optimizer:
        if optimizer is None:
            optimizer = self.default_optimizer(role)
        optimizer = keras.optimizers.get(optimizer)
        # Keras would put one loss scale around all of them. Each loss needs its own.
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if self._computes_in_float16() and not scales:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        return optimizer

    def _computes_in_float16(self) -> bool:
        return any(
            layer.compute_dtype == "float16"
            for name in self.networks
            for layer in graph.computing_layers(getattr(self, name))
        )

    def _trained_variables(self) -> dict[str, list[Variable]]:
        return {
            role: [v for part in self._parts(role) for v in part.trainable_variables]
            for role in self.roles
        }

    def _check_devices(self, optimizers: Optimizers) -> None:
        parts = {f"the {name}": getattr(self, name).variables for name in self.networks} | {
            f"the {role}'s optimizer": optimizer.variables for role, optimizer in optimizers.items()
        }
        others = [
            name
            for name, variables in parts.items()
            if not all(_backend.belongs(variable, self) for variable in variables)
        ]
        if others:
            raise ValueError(
                "Expected networks, optimizers and the model to be made for the same devices: all "
                "of them in one `with strategy.scope():` on TensorFlow, all of them after "
                "keras.distribution.set_distribution(...) on JAX. "
                f"Received: {' and '.join(others)}, made elsewhere than the model."
            )
        accumulating = [role for role, each in optimizers.items() if accumulates(each)]
        if accumulating and not _backend.can_accumulate(self):
            raise ValueError(
                "Expected optimizers without gradient_accumulation_steps: in Keras, they do not "
                "work on several devices of TensorFlow. "
                f"Received: gradient_accumulation_steps for the {' and the '.join(accumulating)}. "
                "Use a smaller batch and more devices, or train on JAX."
            )

    def _check_trains(self) -> None:
        """Raises a ValueError if other weights would train than when it was compiled."""
        if self.compiled:
            self.optimizer.check_trains({role: self._parts(role) for role in self.roles})

    @property
    def metrics_names(self) -> list[str]:
        """The names of the numbers that `evaluate` returns as a list, in its order."""
        return sorted(self._evaluated or self.log_names())

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means behind the logs, and what a subclass adds."""
        # Not Keras's list: its own `loss` would be in every log without ever being updated, and it
        # searches all layers at every step on PyTorch.
        metrics = list(own_metrics(self))
        for part in sublayers(self):
            if _backend.may_have_metrics(part):
                layers = (each for each in layers_of(part) if not isinstance(each, keras.Model))
                metrics += [metric for layer in layers for metric in own_metrics(layer)]
        return metrics

    # ---- data ------------------------------------------------------------------------------------

    def unpack(self, data: Data, training: bool) -> Batch:
        """Converts the data of a step in Keras to the `Batch` of the family's step."""
        self._is_evaluation = not training
        spec = self.batch_spec(training)
        images, y = split_batch(data)
        data_checks.check_batch(images, y, spec=spec)
        data_checks.check_divides(images.shape[0], spec)
        # On PyTorch, train_on_batch hands arrays through.
        images = spec.as_floats(ops.convert_to_tensor(images))
        if spec.second is not None:
            return Batch(images, second=ops.cast(ops.convert_to_tensor(y), "float32"))
        if not spec.needs_labels:
            return Batch(images)
        return Batch(images, ops.reshape(ops.cast(y, "int32"), (-1,)))

    def _spec(self, training: bool) -> BatchSpec:
        """The family's `batch_spec`, and the devices that share a batch."""
        spec = self.batch_spec(training)
        count = _backend.devices(self)
        devices = Divisor(count, f"the number of devices ({count})", "each device gets a part")
        return replace(spec, divisors=(*spec.divisors, devices))

    def _check_data(self, x: Data, y: LabelsLike, training: bool, **options: Any) -> None:
        data_checks.check_data(x, y, spec=self._spec(training), **options)

    def _checked(self, x: Data, training: bool) -> Any:
        return data_checks.checked(x, self._spec(training))

    # ---- fit -------------------------------------------------------------------------------------

    def fit(
        self,
        x: Data = None,
        y: LabelsLike = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Data = None,
        shuffle: bool | None = None,
        class_weight: None = None,
        sample_weight: None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> keras.callbacks.History:
        """Trains the model: `keras.Model.fit`, with the data checked before the first step.

        Args:
            x: A `kgan.data.ImageDataset` or anything else that `keras.Model.fit` takes: arrays, a
                `tf.data.Dataset`, a PyTorch `DataLoader`, a `PyDataset`, a generator; of `images`,
                `(images, labels)` or `(images, second images)` (a generator or a loader: of
                `(images,)`). Images are floats
                in the range of the model, which for kgan's networks is [-1, 1]. With an
                ImageDataset, training continues with the epoch after those that the model has
                trained, so a reloaded model sees the batches it would have seen. A model that was
                stopped within an epoch continues with its next batch if `initial_epoch` is that
                epoch, and callbacks get back what they remembered.
            y: Where `x` is an array: integer `(samples,)`, the labels of a conditional model, or
                as many second images of a model of two kinds of images.
            batch_size: Integer, where `x` is an array. Defaults to 32.
            epochs: Integer, the number of the last epoch.
            verbose: As for `keras.Model.fit`. The progress line shows the main logs only; the
                history has all. `callbacks=[keras.callbacks.ProgbarLogger()]` shows all.
            callbacks: Keras callbacks, or `kgan.training.Callback`s.
            validation_split: Float, the share of an array that is held out.
            validation_data: Held-out data, as `x` or `(x, y)`.
            shuffle: Whether arrays are shuffled. Datasets shuffle themselves: Keras would order
                their batches by global random state that no checkpoint holds.
            class_weight: Not supported.
            sample_weight: Not supported.
            initial_epoch: Integer, the epoch to begin with, as for `keras.Model.fit`.
            steps_per_epoch: Integer, batches to an epoch.
            validation_steps: Integer, batches of the held-out data.
            validation_batch_size: Integer. Defaults to `batch_size`.
            validation_freq: As for `keras.Model.fit`.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: The data do not fit the networks, images are not in the model's range,
                labels are missing or out of range, or batches cannot be split as `compile` was
                told. It is raised before the first step for arrays and `kgan.data.ImageDataset`,
                and when the batch arrives for other data.
            tensorflow.errors.InvalidArgumentError: The same in a batch of a `tf.data.Dataset`.
            TypeError: `sample_weight` or `class_weight` is given, or the data come with weights.

        Example:
        ```python
        history = gan.fit(train, epochs=20, validation_data=test)
        print(history.history["val_generator_loss"])
        ```
        """
        check_weights(sample_weight=sample_weight, class_weight=class_weight)
        y = as_array(y)
        self._check_data(
            x,
            y,
            training=True,
            batch_size=batch_size,
            validation_split=validation_split,
            validation=(self._spec(False), validation_batch_size),
        )
        self._check_trains()
        others = in_order(callbacks, verbose)
        check_callbacks(others)
        restored = [each.before_fit(self) for each in others if _restores(each)]
        checked = self._checked(x, training=True)
        is_array = hasattr(checked, "shape")
        read = functools.partial(
            feed, checked, lambda: self.epochs_trained, steps_per_epoch, model=self
        )
        readable = read()
        is_indexed = readable is not checked
        length = (steps_per_epoch or len(checked)) if is_indexed else None
        training = _Training(
            read=read,
            x=readable,
            y=y,
            keras_options={
                "batch_size": batch_size,
                "verbose": verbose,
                "validation_split": validation_split,
                "validation_data": self._held_out(
                    validation_data, validation_batch_size or batch_size
                ),
                "shuffle": is_array if shuffle is None else shuffle,
                "steps_per_epoch": None if is_indexed else steps_per_epoch,
                "validation_steps": validation_steps,
                "validation_batch_size": validation_batch_size,
                "validation_freq": validation_freq,
            },
        )
        begin = self.progress.epoch if any(restored) else initial_epoch
        session = Session(self, checked, length, others, begin, epochs, any(restored))
        with self._in_session(session, callbacks) as all_callbacks:
            if begin >= epochs or not session.first_batch:
                return self._fit_epochs(training, begin, epochs, all_callbacks)
            if session.first_batch == length:
                return self._fit_after_last_batch(training, session)
            return self._fit_within_epoch(training, session)

    def _fit_epochs(
        self, training: "_Training", begin: int, epochs: int, callbacks: Any
    ) -> keras.callbacks.History:
        """The usual path: whole epochs, all of them by Keras."""
        return super().fit(
            training.x,
            training.y,
            initial_epoch=begin,
            epochs=epochs,
            callbacks=callbacks,
            **training.keras_options,
        )

    def _fit_within_epoch(self, training: "_Training", session: Session) -> keras.callbacks.History:
        """Resumes within an epoch: its remaining batches first, then whole epochs."""
        callbacks = RestOfEpoch(session, training.keras_options["verbose"])
        rest = dataclasses.replace(training, x=training.read(first=session.first_batch))
        self._fit_epochs(rest, session.epoch, session.epoch + 1, callbacks)
        return self._fit_remaining_epochs(training, session, callbacks)

    def _fit_after_last_batch(
        self, training: "_Training", session: Session
    ) -> keras.callbacks.History:
        """Resumes after an epoch's last batch: what follows it first, then whole epochs."""
        callbacks = RestOfEpoch(session, training.keras_options["verbose"])
        self._close_epoch(session, callbacks, training.keras_options)
        return self._fit_remaining_epochs(training, session, callbacks)

    def _fit_remaining_epochs(
        self, training: "_Training", session: Session, callbacks: RestOfEpoch
    ) -> keras.callbacks.History:
        if callbacks.is_over:
            return self.history
        return self._fit_epochs(training, session.epoch, session.epochs, callbacks)

    def _close_epoch(
        self, session: Session, callbacks: RestOfEpoch, options: Mapping[str, Any]
    ) -> None:
        """Validates and ends an epoch whose last batch was trained before.

        Keras's `fit` cannot: it trains at least one batch.
        """
        self.stop_training = False
        callbacks.on_train_begin()
        epoch = session.epoch
        callbacks.on_epoch_begin(epoch)
        session.take_up()
        logs = self.get_metrics_result()
        turns = options["validation_freq"]
        is_turn = (epoch + 1) % turns == 0 if isinstance(turns, int) else epoch + 1 in turns
        if options["validation_data"] is not None and is_turn:
            found: dict[str, float] = self.evaluate(
                *split_batch(options["validation_data"]),
                batch_size=options["validation_batch_size"] or options["batch_size"],
                steps=options["validation_steps"],
                callbacks=callbacks,
                return_dict=True,
            )
            logs |= {f"val_{name}": value for name, value in found.items()}
        callbacks.on_epoch_end(epoch, logs)
        self.optimizer.finalize_variable_values(self.trainable_variables)
        callbacks.on_train_end(logs)

    @contextlib.contextmanager
    def _in_session(self, session: Session, callbacks: Any) -> Iterator[Any]:
        """Gives the callbacks for Keras's `fit`, the session before the others."""
        self._session = session
        is_list_of_keras = isinstance(callbacks, keras.callbacks.CallbackList)
        if is_list_of_keras:
            callbacks.callbacks.insert(0, session)
        with session.interrupt.listening():
            try:
                yield callbacks if is_list_of_keras else [session, *session.callbacks]
            except BaseException as error:
                session.fail(keeps_place=isinstance(error, KeyboardInterrupt))
                raise
            finally:
                self._session = None
                self._seen_weights = self._weights_now() if self._averages else None
                if is_list_of_keras:
                    callbacks.callbacks.remove(session)

    def _held_out(self, data: Data, batch_size: int | None) -> Any:
        """Validation data as `fit` takes them, checked."""
        if data is None:
            return None
        x, y = split_batch(data) if isinstance(data, (list, tuple)) else (data, None)
        y = as_array(y)
        self._check_data(x, y, training=False, batch_size=batch_size)
        x = feed(self._checked(x, training=False), epoch=_first_epoch, model=self)
        return x if y is None else (x, y)

    # ---- evaluate, single batches ----------------------------------------------------------------

    def evaluate(
        self,
        x: Data = None,
        y: LabelsLike = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: None = None,
        **kwargs: Any,
    ) -> Any:
        """Measures the losses on held-out images: `keras.Model.evaluate`.

        The same images get the same noise each time, so a change in the results is a change of the
        networks. For that, an ImageDataset is read as in its epoch 0.

        Example:
        ```python
        logs = gan.evaluate(test, return_dict=True)
        print(logs["discriminator_accuracy"])
        ```
        """
        self._assert_compile_called("evaluate")  # Keras does not on PyTorch
        check_weights(sample_weight=sample_weight)
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has checked that one
            y = as_array(y)
            self._check_data(x, y, training=False, batch_size=batch_size)
            x = self._checked(x, training=False)
        self.evaluation_noise.state.assign([0, 0])
        x = feed(x, epoch=_first_epoch, model=self)
        with _interrupts.Remembered().listening():
            return super().evaluate(x, y, batch_size, verbose, **kwargs)

    def train_on_batch(
        self,
        x: Data,
        y: LabelsLike = None,
        sample_weight: None = None,
        class_weight: None = None,
        return_dict: bool = False,
    ) -> Any:
        """Updates the model on one batch: `keras.Model.train_on_batch`.

        On several devices each gets its part of the batch, as in `fit`. The logs are of this batch
        alone.

        Args:
            x: Images, or `(images, labels)` as an ImageDataset gives them.
            y: Integer `(batch,)`, the labels, or the second images, where they are not in `x`.
            sample_weight: Not supported.
            class_weight: Not supported.
            return_dict: Whether to return the logs by their names.

        Returns:
            The logs, as a list of numbers or a dictionary.

        Raises:
            ValueError: The batch does not fit the networks, labels are missing or out of range, or
                it cannot be split as `compile` was told.
            TypeError: Weights are given.

        Example:
        ```python
        for images, labels in train:
            logs = gan.train_on_batch(images, labels, return_dict=True)
        ```
        """
        check_weights(sample_weight=sample_weight, class_weight=class_weight)
        x, y = self._one_batch(x, y, training=True)
        self._check_trains()
        self.before_step()
        self.reset_metrics()  # Keras does so itself from 3.15 on
        with _interrupts.Remembered().listening():
            return super().train_on_batch(*self._dealt_out(x, y), return_dict=return_dict)

    def test_on_batch(
        self, x: Data, y: LabelsLike = None, sample_weight: None = None, return_dict: bool = False
    ) -> Any:
        """Measures the model on one batch: `keras.Model.test_on_batch`.

        On several devices each gets its part of the batch, as in `evaluate`. The logs are of this
        batch alone. The arguments are those of `train_on_batch`.

        Example:
        ```python
        logs = gan.test_on_batch(*test[0], return_dict=True)
        ```
        """
        check_weights(sample_weight=sample_weight)
        x, y = self._one_batch(x, y, training=False)
        self.reset_metrics()
        with _interrupts.Remembered().listening():
            return super().test_on_batch(*self._dealt_out(x, y), return_dict=return_dict)

    def _one_batch(self, x: Data, y: LabelsLike, training: bool) -> tuple[Tensor, LabelsLike]:
        if y is None and isinstance(x, (list, tuple)):
            x, y = split_batch(tuple(x))
        y = as_array(y)
        data_checks.check_values(x, y, spec=self._spec(training))
        return x, y

    def _dealt_out(self, x: Data, y: LabelsLike) -> tuple[Tensor, LabelsLike]:
        return (x, y) if _backend.devices(self) == 1 else _backend.dealt_out((x, y), self)

    # ---- saving ----------------------------------------------------------------------------------

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {
            **{
                name: keras.saving.serialize_keras_object(getattr(self, name))
                for name in self.networks
            },
            **{name: getattr(self, name) for name in self.arguments},
            "seed": self.seed,
            "name": self.name,
            "has_average": self.has_average,
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: Config | None = None) -> "GenerativeModel":
        """The model that `get_config` described."""
        config = dict(config)
        has_average = config.pop("has_average")
        for name in (*cls.networks, *cls.arguments):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        model = cls(**config)
        if has_average:  # samples are made with it, whether the model is compiled or not
            with _backend.scope(model):
                model._begin_averages()
        return model

    def get_compile_config(self) -> Config | None:
        """The arguments of `compile`, for saving."""
        if not self.compiled:
            return None
        return {
            **{optimizer_argument(role): serialize(each) for role, each in self.optimizer.items()},
            "learning_rate_ratios": self.optimizer.learning_rate_ratios,
            **{name: _plain(getattr(self, at)) for name, at in self.compile_arguments.items()},
            "ema_decay": self.ema_decay,
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
            "jit_compile": self._given_jit_compile,
        }

    def compile_from_config(self, config: Config) -> None:
        """Compiles a loaded model as it was; its optimizers are built, ready for their state."""
        options = dict(keras.saving.deserialize_keras_object(config))
        ratios = options.pop("learning_rate_ratios")
        if not _backend.multiple_steps(self):  # the backend that saved it could
            options["steps_per_execution"] = 1
        self.compile(**options)
        self.optimizer.learning_rate_ratios = ratios

    def _noise_states(self) -> list[Variable]:
        """The state of every random generator: the model's, and those of dropout layers."""
        return [v for v in self.variables if v.name == "seed_generator_state"]

    def taking_stock(self) -> contextlib.AbstractContextManager[None]:
        """A context to save the model in, while it is trained, by one of several processes.

        All processes enter it: all of them are needed to compute the means in the logs.
        """
        return contextlib.nullcontext() if self._session is None else self._session.taking_stock()

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Saves the model: `keras.Model.save`. One of several processes may do so alone.

        A file on this machine is replaced only when the new one is complete.

        Raises:
            ValueError: The file would be of Keras's old format.

        Example:
        ```python
        gan.save("gan.keras")
        gan = kgan.load("gan.keras")
        ```
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                'Expected a file name that ends in ".keras": the old format of ".h5" cannot hold a '
                f"generative model. Received: filepath={str(filepath)!r}."
            )
        options = {"overwrite": overwrite, "zipped": zipped, **kwargs}
        # Otherwise Keras uploads it, writes a folder, or asks before it overwrites.
        is_file = str(filepath).endswith(".keras") and "://" not in str(filepath)

        def save() -> None:
            if not is_file or zipped is False or not overwrite:
                super(GenerativeModel, self).save(filepath, **options)
                return
            with written_whole(filepath) as temporary:
                super(GenerativeModel, self).save(temporary, **options)

        _backend.alone(save)

    def save_weights(self, *args: Any, **kwargs: Any) -> None:
        """Saves the state: `keras.Model.save_weights`. One of several processes may do so alone."""
        _backend.alone(lambda: super(GenerativeModel, self).save_weights(*args, **kwargs))

    def save_own_variables(self, store: Any) -> None:
        """Stores what Keras's files leave out: the states of noise, and how far training is."""
        super().save_own_variables(store)
        for index, state in enumerate(self._noise_states()):
            store[f"noise_{index}"] = ops.convert_to_numpy(state)
        store["has_average"] = np.asarray(self.has_average)
        store["epochs_trained"] = np.asarray(self.epochs_trained, "int64")
        progress = self.progress if self._session is None else self._session.progress()
        progress.store(store)

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` stored."""
        self._check_average(bool(np.asarray(store["has_average"])))
        # Those that Keras's own version stored are numbered.
        numbered = [key for key in store.keys() if key.isdigit()]  # noqa: SIM118  (no dict)
        super().load_own_variables({key: store[key] for key in numbered})
        for index, state in enumerate(self._noise_states()):
            state.assign(store[f"noise_{index}"])
        self.epochs_trained = int(np.asarray(store["epochs_trained"]))
        self.progress = Progress.stored(store)
        self.batches_trained = self.progress.batches

    def _check_average(self, is_stored: bool) -> None:
        if is_stored == self.has_average:
            return
        expected, received, remedy = (
            ("with", "without", "Compile the model without `ema_decay`, or save it with an average")
            if self.has_average
            else ("without", "with", "Compile the model with `ema_decay=...` first")
        )
        raise ValueError(
            f"Expected a file {expected} an average of the weights, as this model is compiled. "
            f"Received: one {received} an average. {remedy}."
        )


@dataclass(frozen=True)
class _Training:
    """The training data, in the form that Keras's trainer takes.

    Attributes:
        read: `read(first=0)` gives the data from a batch of the epoch on.
        x: The data, from the epoch's first batch on.
        y: The labels of arrays, or None.
        keras_options: The other arguments of `keras.Model.fit`, the same for each call of it.
    """

    read: Callable[..., Any]
    x: Data
    y: LabelsLike
    keras_options: dict[str, Any]


def _plain(value: Any) -> Any:
    """A list that Keras tracks as a plain one, which its serialization knows."""
    return list(value) if isinstance(value, list) else value


def _first_epoch() -> int:
    return 0


def _restores(callback: keras.callbacks.Callback) -> bool:
    """Whether it has the hook that may restore an earlier training."""
    return hasattr(callback, "before_fit")
