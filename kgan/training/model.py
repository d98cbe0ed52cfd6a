"""What every family of generative models shares, beside its algorithm."""

import contextlib
import functools
import types
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from kgan import _backend, _interrupts
from kgan._files import written_whole
from kgan.training.data_checks import as_one, check_weights, split_batch
from kgan.training.feed import feed
from kgan.training.progress import Progress
from kgan.training.session import RestOfEpoch, Session, check_callbacks, in_order


class GenerativeModel(_backend.ImperativeSteps, keras.Model):
    """A model that makes images, whose training can be stopped and taken up again exactly.

    A family subclasses it and states its algorithm: `training_step(data)` and
    `evaluation_step(data)`, which return logs; `_check_data`, which refuses data that do not fit;
    `generate(n, ...)`, which is all that callbacks and the command ask of it.

    It counts the epochs trained (`epochs_trained`) and the batches of the one under way
    (`batches_trained`), reads datasets from the batch that comes next, and saves what Keras's files
    leave out: those counts, the state of every source of noise, and what callbacks remember.

    Args:
        seed: Integer, starts the noise of training. Defaults to a random one.
        name: String.
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        # Its networks compute, each layer by its own policy; it does nothing to what they take.
        super().__init__(name=name, dtype="float32")
        self.seed = seed
        self.epochs_trained = 0
        self.batches_trained = 0
        self.progress = Progress()
        self._session: Session | None = None
        self.training_noise = keras.random.SeedGenerator(seed)
        # Held-out data gets noise of its own: validating must not change the training that follows.
        self.evaluation_noise = keras.random.SeedGenerator(0)

    def training_step(self, data: Any) -> dict[str, Any]:
        """Updates the model on one batch and returns the logs."""
        raise NotImplementedError

    def evaluation_step(self, data: Any) -> dict[str, Any]:
        """Measures the model on one batch and returns the logs."""
        raise NotImplementedError

    def _check_data(self, x: Any, y: Any, training: bool, **options: Any) -> None:
        """Raises a ValueError about data that the model cannot train on or measure.

        Args:
            x: The data, as `fit` got them.
            y: The labels beside an array, or None.
            training: Whether they are to be trained on, or measured only.
            **options: `batch_size`, `validation_split` and `validation_batch_size`, as `fit` got
                them.
        """
        raise NotImplementedError

    def _check_batch(self, x: Any, y: Any, training: bool) -> None:
        """Raises a ValueError about one batch that the model cannot train on or measure."""
        raise NotImplementedError

    def _check_trains(self) -> None:
        """Raises a ValueError if other weights are to be trained than when it was compiled."""

    def _checked(self, x: Any, training: bool) -> Any:
        """The data as they are, but with what can be seen only when a batch comes checked then."""
        if not isinstance(x, types.GeneratorType):
            return x

        def batches() -> Iterator[Any]:
            for batch in x:
                self._check_batch(*split_batch(batch), training=training)
                yield batch

        return batches()

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Configures the training: `keras.Model.compile`."""
        super().compile(*args, **kwargs)
        # Of an epoch under way: means over what may no longer be measured.
        self.progress = replace(self.progress, metrics=[])

    @property
    def metrics(self) -> list[Any]:
        """The running means behind the logs, and what a subclass adds."""
        # Keras's own `loss` would stand in every log and never be told anything.
        return [metric for metric in super().metrics if metric.name != "loss"]

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        **kwargs: Any,
    ) -> Any:
        """Trains the model: `keras.Model.fit`, with the data checked before the first step.

        Args:
            x: A `kgan.data.ImageDataset` or whatever else `keras.Model.fit` takes: arrays, a
                `tf.data.Dataset`, a PyTorch `DataLoader`, a `PyDataset`, a generator; of `images`
                or `(images, labels)` (a generator or a loader: of `(images,)`). Images are float,
                in the range of the generator's output. Of an ImageDataset the model takes the
                epoch after those that it was trained, so that a reloaded model goes on with the
                batches it would have had. One that was stopped within an epoch goes on with its
                next batch, if `initial_epoch` is that epoch; callbacks get back what they had
                remembered.
            y: Integer `(samples,)`, the labels where `x` is an array and the model conditional.
            batch_size: Integer, where `x` is an array. Defaults to 32.
            epochs: Integer, as for `keras.Model.fit`: the number of the last epoch.
            **kwargs: As for `keras.Model.fit`: `callbacks`, `validation_data`, `initial_epoch`,
                ...; but `shuffle` is for arrays. Datasets shuffle themselves: the order in which
                Keras would put their batches hangs on global random state that no checkpoint
                holds.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: The data do not fit the networks, labels are missing or out of range, or
                batches cannot be split as `compile` was told. Said before the first step of arrays
                and of a `kgan.data.ImageDataset`; of a generator, when the batch comes; of other
                datasets, as far as their first and last batch or their `element_spec` tell.
            tensorflow.errors.InvalidArgumentError: Labels in a `tf.data.Dataset` are out of range.
            TypeError: `sample_weight` or `class_weight` is given, or the data come with weights.
        """
        check_weights(**{name: kwargs.get(name) for name in ("sample_weight", "class_weight")})
        y = as_one(y)
        self._check_data(
            x,
            y,
            training=True,
            batch_size=batch_size,
            validation_split=kwargs.get("validation_split", 0.0),
            validation_batch_size=kwargs.get("validation_batch_size"),
        )
        self._check_trains()
        callbacks = kwargs.pop("callbacks", None)
        others = in_order(callbacks)
        check_callbacks(others)
        restored = [each.before_fit(self) for each in others if hasattr(each, "before_fit")]
        if any(restored):
            kwargs["initial_epoch"] = self.progress.epoch
        kwargs["validation_data"] = self._held_out(
            kwargs.get("validation_data"), kwargs.get("validation_batch_size") or batch_size
        )
        x = self._checked(x, training=True)
        kwargs.setdefault("shuffle", hasattr(x, "shape"))
        steps = kwargs.get("steps_per_epoch")
        read = functools.partial(feed, x, lambda: self.epochs_trained, steps, model=self)
        dataset, x = x, read()
        if x is dataset:
            steps = None
        else:
            steps = steps or len(dataset)
            kwargs["steps_per_epoch"] = None
        begin = kwargs.get("initial_epoch", 0)
        session = Session(self, dataset, steps, others, begin, epochs, is_restored=any(restored))
        with self._in_session(session, callbacks) as whole:
            if not session.first_batch or begin >= epochs:
                return super().fit(x, y, batch_size, epochs, callbacks=whole, **kwargs)
            together = RestOfEpoch(session, kwargs.get("verbose", "auto"))
            if session.first_batch == steps:
                self._close_epoch(session, together, batch_size, **kwargs)
            else:
                rest = read(first=session.first_batch)
                super().fit(rest, epochs=session.epoch + 1, callbacks=together, **kwargs)
            if together.is_over:
                return self.history
            kwargs["initial_epoch"] = session.epoch
            return super().fit(x, epochs=epochs, callbacks=together, **kwargs)

    def _close_epoch(
        self,
        session: Session,
        callbacks: Any,
        batch_size: int | None,
        validation_data: Any = None,
        validation_batch_size: int | None = None,
        validation_steps: int | None = None,
        validation_freq: Any = 1,
        **others: Any,
    ) -> None:
        """Does what comes after an epoch's last batch, with which training was left.

        Keras's `fit` cannot: it trains one batch at least.
        """
        del others
        self.stop_training = False
        callbacks.on_train_begin()
        epoch = session.epoch
        callbacks.on_epoch_begin(epoch)
        session.take_up()
        logs = self.get_metrics_result()
        turns = validation_freq
        is_turn = (epoch + 1) % turns == 0 if isinstance(turns, int) else epoch + 1 in turns
        if validation_data is not None and is_turn:
            found = self.evaluate(
                *split_batch(validation_data),
                batch_size=validation_batch_size or batch_size,
                steps=validation_steps,
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
            except BaseException:
                session.fail()
                raise
            finally:
                self._session = None
                if is_list_of_keras:
                    callbacks.callbacks.remove(session)

    def _held_out(self, data: Any, batch_size: int | None) -> Any:
        """Validation data as `fit` takes them, checked."""
        if data is None:
            return None
        x, y = split_batch(data) if isinstance(data, (list, tuple)) else (data, None)
        y = as_one(y)
        self._check_data(x, y, training=False, batch_size=batch_size)
        x = feed(self._checked(x, training=False), epoch=lambda: 0, model=self)
        return x if y is None else (x, y)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Measures the losses on held-out images: `keras.Model.evaluate`.

        The same images get the same latents each time, so that a change in the figures is one of
        the networks. For that, an ImageDataset is read as in its epoch 0.
        """
        self._assert_compile_called("evaluate")  # which Keras does not say on PyTorch
        check_weights(sample_weight=sample_weight)
        if not kwargs.get("_use_cached_eval_dataset"):  # which `fit` has checked
            y = as_one(y)
            self._check_data(x, y, training=False, batch_size=batch_size)
            x = self._checked(x, training=False)
        self.evaluation_noise.state.assign([0, 0])
        x = feed(x, epoch=lambda: 0, model=self)
        with _interrupts.Remembered().listening():
            return super().evaluate(x, y, batch_size, verbose, **kwargs)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Updates the model on one batch: `keras.Model.train_on_batch`.

        Of a model on several devices each gets its part of the batch, as in `fit`. What it returns
        is of this batch alone.

        Args:
            x: Images, or `(images, labels)` as an ImageDataset gives them.
            y: Integer `(batch,)`, the labels, where they are not with the images.
            sample_weight: None: all images weigh alike.
            class_weight: None.
            return_dict: Whether to return the logs by their names.

        Returns:
            The logs, as a list of numbers or a dictionary.

        Raises:
            ValueError: The batch does not fit the networks, labels are missing or out of range, or
                it cannot be split as `compile` was told.
            TypeError: Weights are given.
        """
        check_weights(sample_weight=sample_weight, class_weight=class_weight)
        x, y = self._one_batch(x, y, training=True)
        self._check_trains()
        self.reset_metrics()  # Keras does so itself from 3.15 on
        with _interrupts.Remembered().listening():
            return super().train_on_batch(*self._dealt_out(x, y), return_dict=return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Measures the model on one batch: `keras.Model.test_on_batch`.

        Of a model on several devices each gets its part of the batch, as in `evaluate`. What it
        returns is of this batch alone. The arguments are those of `train_on_batch`.
        """
        check_weights(sample_weight=sample_weight)
        x, y = self._one_batch(x, y, training=False)
        self.reset_metrics()
        with _interrupts.Remembered().listening():
            return super().test_on_batch(*self._dealt_out(x, y), return_dict=return_dict)

    def _one_batch(self, x: Any, y: Any, training: bool) -> tuple[Any, Any]:
        if y is None and isinstance(x, (list, tuple)):
            x, y = split_batch(tuple(x))
        y = as_one(y)
        self._check_batch(x, y, training=training)
        return x, y

    def _dealt_out(self, x: Any, y: Any) -> tuple[Any, Any]:
        return (x, y) if _backend.devices(self) == 1 else _backend.dealt_out((x, y), self)

    def _noise_states(self) -> list[Any]:
        """Every random generator's state: the GAN's latents, the networks' dropout."""
        return [v for v in self.variables if v.name == "seed_generator_state"]

    def taking_stock(self) -> Any:
        """A context to save the model in, while it is trained, by one of several processes.

        All of them enter it: it takes them all to say what the means in the logs are.
        """
        return contextlib.nullcontext() if self._session is None else self._session.taking_stock()

    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> Any:
        """Saves the model: `keras.Model.save`. One of several processes may do so alone.

        A file on this machine is replaced only when the new one is whole.

        Raises:
            ValueError: The file would be of Keras's old format.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                'Expected a file name that ends in ".keras": of the old format for ".h5", a GAN '
                f"cannot be loaded. Received: filepath={str(filepath)!r}."
            )
        options = {"overwrite": overwrite, "zipped": zipped, **kwargs}
        # Else it is for Keras to upload it, to write a folder, to ask before it overwrites.
        is_file = str(filepath).endswith(".keras") and "://" not in str(filepath)

        def save() -> Any:
            if not is_file or zipped is False or not overwrite:
                return super(GenerativeModel, self).save(filepath, **options)
            with written_whole(filepath) as temporary:
                return super(GenerativeModel, self).save(temporary, **options)

        return _backend.alone(save)

    def save_weights(self, *args: Any, **kwargs: Any) -> Any:
        """Saves the state: `keras.Model.save_weights`. One of several processes may do so alone."""
        return _backend.alone(lambda: super(GenerativeModel, self).save_weights(*args, **kwargs))

    def save_own_variables(self, store: Any) -> None:
        """Stores what Keras's files leave out: the noise's states, and how far training is."""
        super().save_own_variables(store)
        for index, state in enumerate(self._noise_states()):
            store[f"noise_{index}"] = ops.convert_to_numpy(state)
        store["epochs_trained"] = np.asarray(self.epochs_trained, "int64")
        progress = self.progress if self._session is None else self._session.progress()
        progress.store(store)

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` stored."""
        # Those that Keras's own version stored are numbered.
        numbered = [key for key in store.keys() if key.isdigit()]  # noqa: SIM118  (no dict)
        super().load_own_variables({key: store[key] for key in numbered})
        for index, state in enumerate(self._noise_states()):
            state.assign(store[f"noise_{index}"])
        self.epochs_trained = int(np.asarray(store["epochs_trained"]))
        self.progress = Progress.stored(store)
        self.batches_trained = self.progress.batches
