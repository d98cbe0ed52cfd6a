"""Grids of images that a model makes of the same inputs, while it trains."""

import functools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kgan import _backend
from kgan import images as pictures
from kgan._arguments import integer
from kgan._typing import Images, Labels, Pictures
from kgan.training.callback import Callback
from kgan.training.capabilities import (
    Cycles,
    Encodes,
    Generates,
    Translates,
    classes_of,
    cycled,
    translated,
)
from kgan.training.labels import as_options, labels_of, names_of, row_classes

_MOST_FRAMES = 200
_RUN = "train"  # Keras's name for the TensorBoard run of training


class SampleGrid(Callback):
    """Draws a grid of images from the same latents, or of the same images, after every epoch.

    Writes `epoch_0001.png`, `epoch_0002.png`, ... into a directory (`batch_000100.png`, ... with
    `every_batches`), and at the end of training all of them as an animation. A conditional model
    gets a row for each class, with the class written to its left. If it has more classes than there
    are rows, the rows are spread evenly over them.

    With `inputs`, each row of these images is followed by a row of their reconstructions or
    translations. A third row shows the `targets`, if they are given. Without them, it shows the
    images after a translation and the translation back, if the model can do both.

    Of several processes that train a model together, the chief draws.

    Works in `fit`, and in a custom loop through `keras.callbacks.CallbackList`. The model needs one
    method, `generate(n, seed=...)`, and `generate(n, labels=..., seed=...)` if it has a
    `num_classes` that is not None. With `inputs` it needs `encode` and `reconstruct(images)`, or
    `translate(images)` and, for the third row, `cycle(images)`.

    Args:
        directory: The directory of the grids. It is created if necessary.
        columns: Integer, images in a row.
        rows: Integer, rows of samples. Defaults to one for each class, at most 16, or 8 for an
            unconditional model.
        every_batches: Integer n: a grid after every n batches. Defaults to one after each epoch.
        seed: Integer, chooses the latents.
        value_range: Two floats, the pixel values that are drawn black and white.
        animation: The name of the GIF that `on_train_end` writes, relative to the directory; None
            for none.
        log_dir: The directory of a TensorBoard log that gets each grid as an image too, in its run
            "train", where `keras.callbacks.TensorBoard(log_dir)` writes the logs. This needs
            `pip install "kgan[tensorboard]"`.
        inputs: Float array `(n, height, width, channels)` in `value_range`, or a tuple
            `(images, labels)` for a conditional model: the images to reconstruct or translate.
            Defaults to `None`: samples are drawn.
        class_names: Strings, the names of all classes of a conditional model, written to the left
            of the rows. Defaults to the numbers of the classes.
        targets: Float array `(n, height, width, channels)` in `value_range`, what each of the
            inputs should become. Defaults to `None`.
        to: `"a"` or `"b"`, for a model that translates both ways: what the inputs are translated
            to. Defaults to `None`, the model's default.

    Raises:
        ValueError: A size is less than 1, or `targets` or `to` are given without `inputs`. When
            training begins: there are not as many names as classes, or targets as inputs.
        TypeError: When training begins, the model cannot make such images.

    Example:
    ```python
    model.fit(train, epochs=20, callbacks=[kgan.callbacks.SampleGrid("samples")])
    ```

    Reconstructions of held-out images by a VAE:

    ```python
    images, _ = test.draw(32, seed=0)
    grid = kgan.callbacks.SampleGrid("reconstructions", inputs=images)
    vae.fit(train, epochs=20, callbacks=[grid])
    ```

    Translations, each between its input and its target:

    ```python
    pairs = kgan.data.pairs.outlines(test.images[:32])
    inputs, targets = (images / np.float32(127.5) - 1 for images in (pairs.inputs, pairs.targets))
    grid = kgan.callbacks.SampleGrid("translations", inputs=inputs, targets=targets)
    ```

    In a custom loop:

    ```python
    callbacks = keras.callbacks.CallbackList([kgan.callbacks.SampleGrid("samples")], model=gan)
    callbacks.on_train_begin()
    for epoch in range(3):
        callbacks.on_epoch_begin(epoch)
        for images, labels in train:
            gan.train_on_batch(images, labels)
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()
    ```
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        columns: int = 8,
        rows: int | None = None,
        every_batches: int | None = None,
        seed: int = 0,
        value_range: tuple[float, float] = (-1.0, 1.0),
        animation: str | os.PathLike[str] | None = "training.gif",
        log_dir: str | os.PathLike[str] | None = None,
        inputs: Images | tuple[Images, Labels] | None = None,
        class_names: Sequence[str] | None = None,
        targets: Images | None = None,
        to: str | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("columns", columns), ("rows", rows), ("every_batches", every_batches)):
            if size is not None:
                integer(name, size)
        if inputs is None and (targets is not None or to is not None):
            raise ValueError(
                "Expected `inputs`, the images to translate, since `targets` or `to` were given. "
                "Received: inputs=None."
            )
        self.directory = Path(directory)
        self.columns = columns
        self.rows = rows
        self.every_batches = every_batches
        self.seed = seed
        self.value_range = value_range
        self.animation = None if animation is None else self.directory / animation
        self.inputs = inputs
        self.targets = targets
        self.to = to
        self.class_names = None if class_names is None else list(class_names)
        self._events = None if log_dir is None else _ImageEvents(Path(log_dir) / _RUN)
        self._batches = 0
        self._batches_before_epoch = 0
        self._last = 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Makes a grid and discards it, so that errors show before an epoch is trained."""
        del logs
        if _backend.is_chief(self.model):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._grid()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Remembers where the epoch's batches begin."""
        del logs
        if epoch > 0 and not self._batches:  # a resumed run continues after its last grid
            self._batches = max(self._found(), default=0)
        self._batches_before_epoch = self._batches

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Draws, if it is this batch's turn."""
        del logs
        before, self._batches = self._batches, self._batches_before_epoch + batch + 1
        # Compared by quotient: with steps_per_execution, batches are reported several at a time.
        every = self.every_batches
        if every is not None and self._batches // every > before // every:
            self._draw("batch", self._batches, digits=6)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Draws, unless grids are drawn after batches."""
        del logs
        if self.every_batches is None:
            self._draw("epoch", epoch + 1, digits=4)

    def get_state(self) -> dict[str, int]:
        """The number of batches and grids so far, for a resumed training."""
        return {
            "batches": self._batches,
            "batches_before_epoch": self._batches_before_epoch,
            "last": self._last,
        }

    def set_state(self, state: dict[str, int]) -> None:
        """Restores the state that `get_state` returned."""
        self._batches = state["batches"]
        self._batches_before_epoch = state["batches_before_epoch"]
        self._last = state["last"]

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Makes the animation of the grids in the directory."""
        del logs
        if not _backend.is_chief(self.model):
            return
        if self.animation is not None and (paths := self._written()):
            # So that the film of a long run stays short; the last grid is always in it.
            chosen = np.unique(np.linspace(0, len(paths) - 1, _MOST_FRAMES).round().astype(int))
            frames = [pictures.load_picture(paths[index]) for index in chosen]
            same = [frame for frame in frames if frame.shape == frames[-1].shape]
            pictures.save_gif(self.animation, same)
        if self._events is not None:
            self._events.close()

    def _draw(self, unit: str, number: int, digits: int) -> None:
        if not _backend.is_chief(self.model):
            return
        self._last = number
        grid = self._grid()
        path = self.directory / f"{unit}_{number:0{digits}}.png"
        pictures.save_png(path, grid)
        if self._events is not None:
            tag = "samples" if self.inputs is None else self.directory.name
            self._events.add(tag, path.read_bytes(), grid.shape, step=number)

    def _grid(self) -> Pictures:
        if self.inputs is None:
            samples, names = self._samples()
            return pictures.grid(self._to_uint8(samples), self.columns, row_names=names)
        given = self.inputs if isinstance(self.inputs, tuple) else (self.inputs,)
        rows = [given[0], self._outputs(*given), *self._third_row(given[0])]
        return pictures.paired_grid(*map(self._to_uint8, rows), columns=self.columns)

    def _to_uint8(self, images: Images) -> Pictures:
        return pictures.to_uint8(images, self.value_range)

    def _samples(self) -> tuple[Images, list[str] | None]:
        """The samples, and the names of their rows."""
        if not isinstance(self.model, Generates):
            raise TypeError(
                "Expected a model with `generate(n, seed=...)`. Received: "
                f"{type(self.model).__name__}. Give `inputs` to a model that reconstructs or "
                "translates images."
            )
        classes = classes_of(self.model)
        if classes is None:
            return self.model.generate((self.rows or 8) * self.columns, seed=self.seed), None
        if self.class_names is not None and len(self.class_names) != classes:
            raise ValueError(
                f"Expected {classes} class_names, one for each class of the model. "
                f"Received: {len(self.class_names)}."
            )
        shown = row_classes(classes, self.rows)
        labels = np.repeat(shown, self.columns)
        samples = self.model.generate(len(labels), seed=self.seed, **as_options(labels))
        return samples, names_of(shown, self.class_names)

    def _outputs(self, images: Images, labels: Labels | None = None) -> Images:
        if isinstance(self.model, Encodes):
            return self.model.reconstruct(images, **as_options(labels_of(self.model, labels)))
        if isinstance(self.model, Translates):
            return translated(self.model, images, self.to)
        raise TypeError(
            "Expected a model with `encode` and `reconstruct`, or with `translate`, since `inputs` "
            f"were given. Received: {type(self.model).__name__}."
        )

    def _third_row(self, images: Images) -> list[Images]:
        """The targets or the cycles, if there are any."""
        if self.targets is not None:
            return [self.targets]
        return [cycled(self.model, images, self.to)] if isinstance(self.model, Cycles) else []

    def _written(self) -> list[Path]:
        """The grids of this run, in order, with those of earlier sessions, not of older runs."""
        found = self._found()
        return [found[number] for number in sorted(found) if number <= self._last]

    def _found(self) -> dict[int, Path]:
        """The grids in the directory, by number."""
        unit = "epoch" if self.every_batches is None else "batch"
        return {
            int(match[1]): path
            for path in self.directory.glob(f"{unit}_*.png")
            if (match := re.fullmatch(rf"{unit}_(\d+)\.png", path.name))
        }


class _ImageEvents:
    """Writes images to a TensorBoard directory, without TensorFlow."""

    def __init__(self, log_dir: Path) -> None:
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2  # noqa: PLC0415
            from tensorboard.summary.writer.event_file_writer import (  # noqa: PLC0415
                EventFileWriter,
            )
        except ImportError as error:
            raise ImportError(
                "SampleGrid(log_dir=...) writes TensorBoard images and needs tensorboard: "
                'pip install "kgan[tensorboard]"'
            ) from error
        self._event = event_pb2.Event
        self._summary = summary_pb2.Summary
        # Made with the first image, so that processes that draw none leave no file.
        self._writer = functools.cache(lambda: EventFileWriter(str(log_dir)))

    def add(self, tag: str, png: bytes, shape: tuple[int, ...], step: int) -> None:
        """Writes one PNG."""
        height, width, channels = shape
        image = self._summary.Image(
            height=height, width=width, colorspace=channels, encoded_image_string=png
        )
        value = self._summary.Value(tag=tag, image=image)
        event = self._event(step=step, summary=self._summary(value=[value]))
        self._writer().add_event(event)
        self._writer().flush()

    def close(self) -> None:
        """Waits until everything is on disk. Images that are added later go into another file."""
        if self._writer.cache_info().currsize:
            self._writer().close()
            self._writer.cache_clear()
