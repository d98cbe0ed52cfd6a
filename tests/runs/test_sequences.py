"""Runs of a recipe for text: its data set, and what the commands do with images of one row."""

import functools
import json
from dataclasses import replace

import numpy as np
import pytest

import kgan
from kgan import cli, runs

pytestmark = pytest.mark.backend_free

LENGTH = 24
RECIPE = kgan.recipes.get("characters")  # before the fixtures replace it by a tiny one


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A directory of Python files, of which some are in each split."""
    directory = tmp_path_factory.mktemp("library")
    words = ["Return", "the", "sum", "of", "all", "values."]
    random = np.random.default_rng(0)
    for number in range(60):
        text = " ".join(random.choice(words, 40))
        (directory / f"module_{number}.py").write_text(f'"""{number} {text}"""')
    return directory


@pytest.fixture(scope="module")
def patched(library):
    """The recipe with a tiny network, and small windows of a small library."""
    tiny = {"width": 4, "blocks": 2, "embedding_width": 4}
    small = replace(
        RECIPE,
        network_options={**RECIPE.network_options, **tiny},
        batch_size=8,
        dtype_policy=None,
    )
    load = functools.partial(kgan.data.load_text, source=library, length=LENGTH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kgan.recipes.RECIPES, "characters", small)
        patch.setitem(kgan.data.DATASETS, "python_docstrings", load)
        yield


@pytest.fixture(scope="module")
def run_dir(patched, tmp_path_factory):
    directory = tmp_path_factory.mktemp("trained") / "run"
    options = ["--recipe", "characters", "--epochs", "1", "--steps-per-epoch", "2"]
    assert cli.main(["train", *options, "--output", str(directory)]) == 0
    return directory


def test_a_recipe_names_its_data_set(patched):
    def never(line):
        raise AssertionError(line)

    config, dataset = runs.load_data(runs.RunConfig(recipe="characters"), say=never)
    assert config.dataset == "python_docstrings"
    assert dataset.image_shape == (1, LENGTH, 1)
    config, dataset = runs.load_data(runs.RunConfig(recipe="characters", dataset="digits"))
    assert config.dataset == "digits"


def test_the_recipe_sees_about_a_hundred_characters():
    options = RECIPE.network_options
    first = options["first_kernel_size"][1] // 2
    assert 100 <= first + sum(options["dilations"]) <= 150
    assert len(options["dilations"]) == options["blocks"]


def test_a_run_has_a_grid_with_a_row_for_each_sequence(run_dir):
    assert json.loads((run_dir / "config.json").read_text())["run"]["dataset"] == (
        "python_docstrings"
    )
    grid = kgan.images.load_picture(run_dir / "samples" / "epoch_0001.png")
    assert grid.shape[:2] == (32 * 3 - 2, LENGTH)
    header = (run_dir / "history.csv").read_text().splitlines()[0]
    assert "bits_per_dimension" in header
    assert "fcd" not in header


def test_samples_as_text(run_dir, tmp_path):
    path = tmp_path / "samples.txt"
    assert (
        cli.main(["sample", str(run_dir), "--count", "3", "--seed", "1", f"--output={path}"]) == 0
    )
    expected = kgan.data.decode_text(kgan.load(run_dir).generate(3, seed=1))
    with path.open(encoding="utf-8", newline="") as file:
        assert file.read() == f"\n{'-' * 40}\n".join(expected) + "\n"


def test_samples_as_a_picture_are_below_each_other(run_dir, tmp_path):
    path = tmp_path / "samples.png"
    assert cli.main(["sample", str(run_dir), "--count", "9", f"--output={path}"]) == 0
    assert kgan.images.load_picture(path).shape[:2] == (9 * 3 - 2, LENGTH)


def test_evaluate_measures_the_likelihood_alone(run_dir, tmp_path, capfd):
    options = ["--count", "20", "--report", str(tmp_path / "report")]
    assert cli.main(["evaluate", str(run_dir), *options]) == 0
    out, err = capfd.readouterr()
    assert "No metrics of samples: images of one row are sequences" in err
    lines = out.splitlines()
    assert lines[0].split()[-2:] == ["bits/dim", "perplexity"]
    assert {line.split("  ")[0] for line in lines[1:5]} == {
        "model",
        "3-gram (Witten-Bell)",
        "5-gram (Witten-Bell)",
        "one histogram",
    }
    assert "training images" in out
    assert "3-gram" in (tmp_path / "report" / "report.html").read_text()


def test_evaluate_as_json_is_json(run_dir, capfd):
    assert cli.main(["evaluate", str(run_dir), "--count", "20", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert set(found) == {"likelihood"}
    bits = found["likelihood"]["bits_per_dimension"]
    assert found["likelihood"]["perplexity"] == pytest.approx(2**bits)
