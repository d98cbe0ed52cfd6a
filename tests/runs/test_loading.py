"""`kgan.load`: models from files and run directories."""

import json

import keras
import numpy as np
import pytest

import kgan


@pytest.fixture
def run_dir(make_gan, tmp_path):
    """What is in the directory of a run, of a tiny model."""
    directory = tmp_path / "run"
    directory.mkdir()
    make_gan("mlp", ema_decay=0.9).save(directory / "model.keras")
    (directory / "config.json").write_text(json.dumps({}))
    return directory


@pytest.mark.parametrize("kind", [str, lambda path: path])
@pytest.mark.parametrize("name", ["", "model.keras"])
def test_a_directory_and_a_file_give_the_model(run_dir, kind, name):
    model = kgan.load(kind(run_dir / name))
    assert type(model) is kgan.GAN
    assert model.compiled
    expected = keras.saving.load_model(run_dir / "model.keras")
    np.testing.assert_array_equal(model.generate(3, seed=1), expected.generate(3, seed=1))


def test_options_are_those_of_keras(run_dir):
    assert not kgan.load(run_dir, compile=False).compiled


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: path / "nothing", FileNotFoundError, "nothing: no such file"),
        (
            lambda path: path,
            FileNotFoundError,
            r"Expected a run directory, with a file model\.keras.*a directory without it",
        ),
        (lambda path: _file(path / "a.keras", b"hello"), ValueError, "which cannot be loaded"),
        (lambda path: _file(path / "a.png", b"hello"), ValueError, "which cannot be loaded"),
        (lambda path: _other(path / "a.keras"), ValueError, "which holds a Sequential"),
        (lambda path: None, TypeError, "path=None, a NoneType"),
    ],
)
def test_anything_else_is_refused(tmp_path, make, error, message):
    with pytest.raises(error, match=message):
        kgan.load(make(tmp_path))


def _file(path, content):
    path.write_bytes(content)
    return path


def _other(path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    return path


def test_a_folder_that_keras_saved_unzipped(make_gan, tmp_path):
    gan = make_gan("mlp")
    gan.save(tmp_path / "folder", zipped=False)
    for load in (kgan.load, keras.saving.load_model):
        found = load(tmp_path / "folder")
        np.testing.assert_array_equal(found.generate(3, seed=1), gan.generate(3, seed=1))
        assert found.compiled
