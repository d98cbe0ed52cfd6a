"""Runs that are killed again and again, at any moment: nothing is torn, and nothing is lost.

`KGAN_KILLS=100 pytest tests/test_killed.py` is the long form, for nights.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from kgan.callbacks.loss_history import read_history

KILLS = int(os.environ.get("KGAN_KILLS", "6"))
TRAIN = (
    "train", "--dataset", "digits", "--batch-size", "8", "--steps-per-epoch", "6",
    "--save-every", "4", "--epochs", "2", "--evaluate", "0",
)  # fmt: skip


class Runs:
    """The process that forks runs."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("killed_runs.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, directory, kill=None):
        """Begins the run in a directory, or goes on with it; `(status, events)`."""
        begun = (directory / "model.keras").exists()
        how = ("train", "--resume") if begun else TRAIN
        job = {
            "arguments": [*how, "--output", str(directory)],
            "directory": str(directory),
            "kill": kill,
        }
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["status"], answer["events"]


@pytest.fixture(scope="module")
def runs():
    runs = Runs()
    with runs.process:
        yield runs


def assert_whole(directory):
    """Every file that has its name is whole; what is not has the name of a temporary one."""
    for path in directory.rglob("*"):
        if path.is_dir() or re.fullmatch(r"\.[0-9a-f]{8}-.+", path.name):
            continue
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
        elif path.suffix in {".png", ".gif"}:
            with Image.open(path) as picture:
                for frame in range(getattr(picture, "n_frames", 1)):
                    picture.seek(frame)
                    picture.load()
        elif path.suffix == ".csv":
            assert read_history(path)
        else:
            assert path.suffix == ".json"
            assert json.loads(path.read_text())["run"]


def outcome(directory):
    """All that a finished run has come to."""
    gan = keras.saving.load_model(directory / "model.keras")
    state = [np.array(v) for v in (*gan.variables, *gan.optimizer.variables)]
    files = {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.suffix != ".keras"
    }
    return state, files


@pytest.mark.backend_free
def test_killed_runs_end_as_one_that_was_not(runs, tmp_path):
    whole = tmp_path / "whole"
    status, events = runs.run(whole)
    assert status == 0
    expected_state, expected_files = outcome(whole)
    chance = random.Random(0)
    killed = finished = 0
    while killed < KILLS or not finished:
        directory = tmp_path / f"run-{finished}"
        # Right at what it does to a file, or in the midst of it.
        delay = chance.choice((0.0, chance.uniform(0.0, 0.05)))
        kill = None if killed >= KILLS else (chance.randint(1, events), delay)
        status, _ = runs.run(directory, kill)
        assert status in {0, -signal.SIGKILL}
        assert_whole(directory)
        if status:
            killed += 1
            continue
        finished += 1
        state, files = outcome(directory)
        for one, other in zip(state, expected_state, strict=True):
            np.testing.assert_array_equal(one, other)
        assert files.keys() == expected_files.keys()
        for path, content in files.items():
            assert content == expected_files[path], path
