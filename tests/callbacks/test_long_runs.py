"""That a training lets go of what it opens: `benchmarks/long_run.py`, in short."""

import gc
import os
import threading
from pathlib import Path

import keras
import pytest

import kgan

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc"),
    pytest.mark.backend_free,  # the long form is for each of them
]


def open_files_and_threads():
    files = os.listdir("/proc/self/fd")  # noqa: PTH208
    return len(files), threading.active_count(), len(os.listdir("/proc/self/task"))  # noqa: PTH208


def test_files_threads_and_objects_do_not_grow_with_the_epochs(make_gan, images, tmp_path):
    dataset = kgan.data.ImageDataset(images, batch_size=16, seed=5, steps_per_epoch=25)
    looks = {"count": 40, "features": "pixels"}
    counts, objects = [], []

    def count(epoch, logs):
        if epoch in {1, 5}:
            gc.collect()
            counts.append(open_files_and_threads())
            objects.append(len(gc.get_objects()))

    make_gan("mlp", ema_decay=0.9).fit(
        dataset,
        epochs=6,
        verbose=0,
        callbacks=[
            kgan.callbacks.PeriodicEvaluation(dataset, **looks),
            kgan.callbacks.CollapseAlarm(dataset, patience=9, **looks),
            kgan.callbacks.TerminateOnNaN(),
            kgan.callbacks.LossHistory(tmp_path / "history.csv", plot=tmp_path / "losses.png"),
            kgan.callbacks.SampleGrid(tmp_path / "samples"),
            kgan.callbacks.Checkpoint(tmp_path / "gan.keras"),
            keras.callbacks.LambdaCallback(on_epoch_end=count),
        ],
    )
    first, last = counts
    assert all(a >= b for a, b in zip(first, last, strict=True))
    # The history of the logs grows by a few. A step that is compiled anew leaves thousands.
    assert objects[1] - objects[0] < 4 * 300

    before = open_files_and_threads()
    wait = threading.Event()
    thread = threading.Thread(target=wait.wait)
    with (tmp_path / "file").open("w"):
        thread.start()
        assert open_files_and_threads() == tuple(n + 1 for n in before)
        wait.set()
    thread.join()
