"""Processes as a whole: that they end as they should, and leave nothing behind."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import keras
import pytest

WITH_WORKERS = """
    import sys
    import keras, numpy as np
    import kgan
    images = np.random.default_rng(0).integers(0, 256, (96, 8, 8), dtype="uint8")
    gan = kgan.GAN(*kgan.networks.mlp((8, 8, 1), latent_dim=4, width=4), seed=3)
    gan.compile()
    data = kgan.data.ImageDataset(
        images,
        batch_size=16,
        seed=5,
        steps_per_epoch=int(sys.argv[2]),
        workers=2,
        use_multiprocessing=True,
    )
    tell = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: print("epoch", epoch, flush=True)
    )
    stop = kgan.callbacks.StopOnSignal()
    gan.fit(data, epochs=int(sys.argv[1]), verbose=0, callbacks=[tell, stop])
    updates = int(keras.ops.convert_to_numpy(gan.optimizer.iterations))
    print("trained", updates, stop.received, flush=True)
"""


def in_session(leader):
    """The processes of a session that are not yet ended, by what /proc says."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == leader and state != "Z":
                    found.append(int(entry.name))
    return found


@contextlib.contextmanager
def session_of(*arguments, **options):
    """A process with all that it starts, of which nothing is left in the end."""
    # A shell that began the tests in the background has them ignore it, and what they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    started = subprocess.Popen(
        [str(argument) for argument in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    signal.signal(signal.SIGINT, before)
    with started as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def assert_nobody_is_left(leader):
    deadline = time.monotonic() + 10
    while in_session(leader):
        assert time.monotonic() < deadline, in_session(leader)
        time.sleep(0.1)


def fit_with_workers(epochs, steps):
    return session_of(
        sys.executable, "-W", "ignore", "-c", textwrap.dedent(WITH_WORKERS), epochs, steps
    )


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
class TestWorkerProcesses:
    def test_all_end_with_the_training(self):
        with fit_with_workers(2, 6) as process:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            assert out.splitlines()[-1] == "trained 12 None"
            assert_nobody_is_left(process.pid)

    def test_ctrl_c_ends_all(self):
        with fit_with_workers(9, 100_000) as process:
            assert process.stdout.readline() == "epoch 0\n"
            while len(in_session(process.pid)) < 3:  # with its two workers
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.01)
            time.sleep(0.5)
            # As a terminal does: to the workers, too.
            os.killpg(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            assert out.splitlines()[-1].endswith(f" {int(signal.SIGINT)}")
            assert "Traceback" not in err  # nor of the workers
            assert_nobody_is_left(process.pid)


# ---- Ctrl-C and the command ----------------------------------------------------------------------


def kgan_train(directory, **options):
    return session_of(
        *(sys.executable, "-c", "import sys; from _kgan_command import main; sys.exit(main())"),
        *("train", "--dataset", "digits", "--steps-per-epoch", 2, "--batch-size", 8),
        *("--epochs", 100_000, "--evaluate", 0, "--output", directory),
        **options,
    )


@pytest.mark.parametrize("moment", ["import", "start"])
@pytest.mark.backend_free
def test_ctrl_c_before_training(tmp_path, moment):
    directory = tmp_path / "run"
    with kgan_train(directory) as process:
        if moment == "import":
            libraries = Path(f"/proc/{process.pid}/maps")
            while "numpy" not in libraries.read_text():
                time.sleep(0.01)
        else:
            while not directory.exists():
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    # By then it may have begun to train, and its libraries may have spoken.
    assert not out or (moment == "start" and out.startswith("Training ") and "Resume:" not in out)
    assert err.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in err
    if moment == "import":
        assert not directory.exists()
    else:
        assert not [path for path in directory.iterdir() if path.name.startswith(".")]


@pytest.mark.backend_free
def test_ctrl_c_at_the_end_of_an_epoch(tmp_path):
    # The grid is written by one of the callbacks in their midst.
    directory = tmp_path / "run"
    with kgan_train(directory) as process:
        while not (directory / "samples" / "epoch_0002.png").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Resume:" in out
    assert "Traceback" not in err
    gan = keras.saving.load_model(directory / "model.keras")
    assert gan.epochs_trained >= 2


LOSES = """
    import gc, os, signal, sys, time
    from kgan import cli
    from kgan.cli import recipes

    def lose(phase, info):
        gc.callbacks.remove(lose)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

    def work(options):
        gc.callbacks.append(lose)
        gc.collect()
        print("went on", flush=True)
        time.sleep(60)
        return 0

    recipes.run = work
    sys.exit(cli.main(["recipes"]))
"""


@pytest.mark.backend_free
def test_ctrl_c_that_python_forgets_comes_again():
    # Of what is raised in a callback of the garbage collector, Python only says that it was so.
    with session_of(sys.executable, "-c", textwrap.dedent(LOSES)) as process:
        out, err = process.communicate(timeout=50)
    assert out == "went on\n"
    assert process.returncode == 130
    assert err.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in err
