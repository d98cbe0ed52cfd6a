"""Grids of samples from the same latents, as training goes on."""

import functools
import os
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kgan import _backend
from kgan import images as pictures
from kgan._arguments import integer

_MOST_FRAMES = 200
_MOST_ROWS = 16


class SampleGrid(keras.callbacks.Callback):
    """Draws what the generator makes of the same latents, time after time.

    Writes `epoch_0001.png`, `epoch_0002.png`, ... into a directory (`batch_000100.png`, ... with
    `every_batches`), and at the end of training all of them as an animation. A conditional model
    gets a row per class; if it has more classes than there are rows, they are spread over all.

    Of several processes that train a model together, the chief draws.

    Works in `fit`, and in a loop of one's own through `keras.callbacks.CallbackList`. The model
    needs one method, `generate(n, seed=...)`, and where it has a `num_classes` that is not None,
    `generate(n, labels=..., seed=...)`.

    Args:
        directory: Where the grids go; made if it is not there.
        columns: Integer, images to a row.
        rows: Integer, rows. Defaults to one per class, up to 16, or 8 for an unconditional model.
        every_batches: Integer n: a grid after every n batches. Defaults to one after each epoch.
        seed: Integer, chooses the latents.
        value_range: Two floats, the range of the generated images, for black and for white.
        animation: The name of the GIF that `on_train_end` writes, within the directory unless it
            says otherwise; None for none.
        log_dir: A TensorBoard directory that gets each grid as an image too; needs
            `pip install "kgan[tensorboard]"`.

    Raises:
        ValueError: A size is less than 1.

    Example:
    ```python
    gan.fit(train, epochs=20, callbacks=[kgan.callbacks.SampleGrid("samples")])
    ```

    In a loop of one's own:

    ```python
    callbacks = keras.callbacks.CallbackList([kgan.callbacks.SampleGrid("samples")], model=gan)
    callbacks.on_train_begin()
    for epoch in range(20):
        callbacks.on_epoch_begin(epoch)
        for images, _labels in train:
            gan.train_on_batch(images)
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
    ) -> None:
        super().__init__()
        for name, size in (("columns", columns), ("rows", rows), ("every_batches", every_batches)):
            if size is not None:
                integer(name, size)
        self.directory = Path(directory)
        self.columns = columns
        self.rows = rows
        self.every_batches = every_batches
        self.seed = seed
        self.value_range = value_range
        self.animation = None if animation is None else self.directory / animation
        self._events = None if log_dir is None else _ImageEvents(log_dir)
        self._batches = 0
        self._batches_before_epoch = 0
        self._last = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes a grid and throws it away: what is wrong should show before an epoch is trained."""
        del logs
        if _backend.is_chief(self.model):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._grid()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes where the epoch's batches begin."""
        del logs
        if epoch > 0 and not self._batches:  # a resumed run goes on from its last grid
            self._batches = max(self._found(), default=0)
        self._batches_before_epoch = self._batches

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draws, if it is this batch's turn."""
        del logs
        before, self._batches = self._batches, self._batches_before_epoch + batch + 1
        # Compared by quotient: with steps_per_execution, batches are reported several at a time.
        every = self.every_batches
        if every is not None and self._batches // every > before // every:
            self._draw("batch", self._batches, digits=6)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draws, if epochs are what is drawn."""
        del logs
        if self.every_batches is None:
            self._draw("epoch", epoch + 1, digits=4)

    def get_state(self) -> dict[str, int]:
        """What a resumed training goes on with: how many batches and grids there were."""
        return {
            "batches": self._batches,
            "batches_before_epoch": self._batches_before_epoch,
            "last": self._last,
        }

    def set_state(self, state: dict[str, int]) -> None:
        """Goes on from there."""
        self._batches = state["batches"]
        self._batches_before_epoch = state["batches_before_epoch"]
        self._last = state["last"]

    def on_train_end(self, logs: Any = None) -> None:
        """Makes the animation out of the grids in the directory."""
        del logs
        if not _backend.is_chief(self.model):
            return
        if self.animation is not None and (paths := self._written()):
            # So that a long run's film stays one that people wait for; the last grid is kept.
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
            self._events.add("samples", path.read_bytes(), grid.shape, step=number)

    def _grid(self) -> np.ndarray:
        return pictures.grid(pictures.to_uint8(self._samples(), self.value_range), self.columns)

    def _samples(self) -> np.ndarray:
        classes = getattr(self.model, "num_classes", None)
        if classes is None:
            return self.model.generate((self.rows or 8) * self.columns, seed=self.seed)
        rows = self.rows or min(classes, _MOST_ROWS)
        # With fewer rows than classes from the first class to the last, else class after class.
        shown = np.linspace(0, classes - 1, rows).round() if rows < classes else np.arange(rows)
        labels = np.repeat(shown.astype("int32") % classes, self.columns)
        return self.model.generate(len(labels), labels=labels, seed=self.seed)

    def _written(self) -> list[Path]:
        """The grids so far, in order: earlier sessions of the same run count, older runs do not."""
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

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
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
        # Made with the first image: processes that draw none are to leave no file.
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
        """Waits until all is on disk. What is added later goes into another file."""
        if self._writer.cache_info().currsize:
            self._writer().close()
            self._writer.cache_clear()
