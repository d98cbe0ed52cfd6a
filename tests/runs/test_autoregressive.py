"""Runs of an autoregressive recipe: its precision, and what the commands do with its model."""

from dataclasses import replace

import numpy as np
import pytest

import kgan
from kgan import cli, runs
from kgan.training.capabilities import draws_binary

pytestmark = pytest.mark.backend_free

RECIPE = kgan.recipes.get("pixelcnn_binary")  # before the fixture replaces it by a tiny one


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("trained") / "run"
    tiny = {"width": 4, "blocks": 1, "first_kernel_size": (2, 3)}
    small = replace(RECIPE, network_options={**RECIPE.network_options, **tiny})
    options = ["--dataset", "digits", "--epochs", "1", "--steps-per-epoch", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kgan.recipes.RECIPES, "pixelcnn_binary", small)
        options += ["--recipe", "pixelcnn_binary", "--output", str(directory)]
        assert cli.main(["train", *options]) == 0
    return directory


def test_a_run_has_the_precision_of_its_recipe(run_dir):
    assert RECIPE.dtype_policy == "mixed_bfloat16"
    assert runs.read_config(run_dir / "config.json").dtype_policy == "mixed_bfloat16"
    policies = {layer.dtype_policy.name for layer in kgan.load(run_dir).network.layers}
    assert "mixed_bfloat16" in policies


def test_samples_are_binary(run_dir, tmp_path):
    path = tmp_path / "samples.npz"
    options = ["--count", "5", "--seed", "1", "--temperature", "0.5"]
    assert cli.main(["sample", str(run_dir), *options, f"--output={path}"]) == 0
    with np.load(path) as file:
        images = file["images"]
    assert set(np.unique(images)) <= {0, 255}
    model = kgan.load(run_dir)
    assert draws_binary(model)
    expected = kgan.images.to_uint8(model.generate(5, seed=1, temperature=0.5))
    np.testing.assert_array_equal(images, expected)


def test_an_interrupted_draw_keeps_what_is_whole(run_dir, tmp_path, monkeypatch):
    whole = np.ones((3, 8, 8, 1), "float32")

    def generate(self, n, **options):
        raise kgan.models.InterruptedDrawError(whole)

    monkeypatch.setattr(kgan.PixelCNN, "generate", generate)
    path = tmp_path / "samples.npz"
    cli.main(["sample", str(run_dir), "--count", "5", f"--output={path}"])
    with np.load(path) as file:
        assert file["images"].shape == (3, 8, 8, 1)


def test_the_report_shows_completions(run_dir, tmp_path, capfd):
    options = ["--count", "20", "--features", "pixels", "--report", str(tmp_path)]
    assert cli.main(["evaluate", str(run_dir), *options]) == 0
    assert "Exact likelihood" in capfd.readouterr().out
    page = (tmp_path / "report.html").read_text()
    for title in ("Completions", "Where it is undecided"):
        assert title in page


def test_completions_keep_the_upper_half():
    networks = kgan.networks.pixel_cnn((8, 8, 1), width=4, blocks=1)
    pictures = np.random.default_rng(0).integers(0, 256, (16, 8, 8), dtype="uint8")
    test = kgan.data.ImageDataset(pictures, batch_size=8, binarize="static")
    found = kgan.report.completions(kgan.PixelCNN(*networks, seed=0), test)
    assert found.completions.shape == (4, 8, 8, 8, 1)
    np.testing.assert_array_equal(found.completions[1, :, :4], found.images[:, :4])
    np.testing.assert_array_equal(found.known[:, :4], found.images[:, :4])
    assert set(np.unique(found.known[:, 4:])) == {128}
    assert found.entropy_pictures.max() == 255
    assert 0 < found.entropy.max() <= 1.0 + 1e-5


def test_temperature_is_for_models_that_draw_pixels(tmp_path, capfd):
    gan = kgan.GAN(*kgan.networks.mlp((8, 8, 1), latent_dim=4, width=4))
    gan.save(tmp_path / "gan.keras")
    code = cli.main(["sample", str(tmp_path / "gan.keras"), "--temperature", "0.5"])
    assert code != 0
    assert "--temperature" in capfd.readouterr().err
