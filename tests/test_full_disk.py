"""Disks that are full, or cannot be written to: a clear error, and the last good files stay."""

import contextlib
import os
import resource
import shutil
import subprocess

import keras
import pytest

from kgan import cli

TRAIN = (
    "train", "--recipe", "first_gan", "--dataset", "digits", "--batch-size", "8",
    "--steps-per-epoch", "2", "--evaluate", "0",
)  # fmt: skip

pytestmark = pytest.mark.backend_free


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, which a test may fill: 128 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system takes root's rights")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


@contextlib.contextmanager
def filled(directory, left):
    """The disk, with a file on it that leaves so many bytes."""
    filler = directory / "filler"
    space = os.statvfs(directory)
    filler.write_bytes(bytes(space.f_bavail * space.f_frsize - left))
    yield
    filler.unlink()


@contextlib.contextmanager
def read_only(directory):
    """The disk, mounted so that nothing can be written."""
    remount = ["mount", "-o", "remount,{}", str(directory)]
    subprocess.run([word.format("ro") for word in remount], check=True)
    yield
    subprocess.run([word.format("rw") for word in remount], check=True)


@contextlib.contextmanager
def no_large_files(directory):
    """What anyone can set: files that end at a size, here within a model."""
    size = (directory / "run" / "model.keras").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that has one epoch."""
    run = tmp_path_factory.mktemp("begun") / "run"
    assert cli.main([*TRAIN, "--epochs", "1", "--output", str(run)]) == 0
    return run


def assert_says_so_and_goes_on(run, broken, messages, capfd):
    before = (run / "model.keras").read_bytes()
    resume = ["train", "--resume", "--output", str(run), "--epochs", "2"]
    with broken:
        code = cli.main(resume)
    _, error = capfd.readouterr()
    assert code == 1
    for message in messages:
        assert message in error
    assert "Traceback" not in error
    assert (run / "model.keras").read_bytes() == before
    assert not list(run.rglob(".*"))
    assert cli.main(resume) == 0
    assert keras.saving.load_model(run / "model.keras").epochs_trained == 2


def test_a_full_disk(begun, disk, capfd):
    run = shutil.copytree(begun, disk / "run")
    messages = (
        f"No space left on device: '{run / 'model.keras'}'",
        "The run is as last saved.",
        f"kgan train --resume --output {run}",
    )
    assert_says_so_and_goes_on(run, filled(disk, left=200_000), messages, capfd)


def test_a_disk_that_cannot_be_written_to(begun, disk, capfd):
    with read_only(disk):
        code = cli.main([*TRAIN, "--epochs", "1", "--output", str(disk / "new")])
    assert code == 1
    assert "Read-only file system" in capfd.readouterr()[1]
    assert not list(disk.iterdir())
    run = shutil.copytree(begun, disk / "run")
    assert_says_so_and_goes_on(run, read_only(disk), ["Read-only file system"], capfd)


def test_a_file_that_may_not_be_so_large(begun, tmp_path, capfd):
    run = shutil.copytree(begun, tmp_path / "run")
    message = f"File too large: '{run / 'model.keras'}'"
    assert_says_so_and_goes_on(run, no_large_files(tmp_path), [message], capfd)
