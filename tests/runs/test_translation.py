"""Runs and the command with models that translate images: tasks, folders, grids, pictures."""

import json

import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import cli, runs
from kgan.cli.translate import output_names
from kgan.training.capabilities import translated

# What touches a backend in them is tested with the models.
pytestmark = pytest.mark.backend_free

# For so few steps, compiling would take longer.
EAGER = {"run_eagerly": True}
SHORT = ("--steps-per-epoch", 2, "--batch-size", 4)


def _recipe(model, networks, task, needs, **network_options):
    return kgan.recipes.Recipe(
        "a test",
        model,
        networks,
        network_options={"width": 4, **network_options},
        compile=EAGER,
        needs=needs,
        data={"task": task},
        callbacks={"LinearDecay": {"start": 0.5}},
        epochs=1,
    )


@pytest.fixture
def command(capfd, tmp_path, monkeypatch):
    """Runs the command in an empty directory, with the recipes `to_pairs` and `to_domains`."""
    pairs = _recipe("Pix2Pix", "pix2pix", "outlines", "pairs")
    domains = _recipe("CycleGAN", "cyclegan", "thin_and_thick", "domains", blocks=1)
    for name, each in (("to_pairs", pairs), ("to_domains", domains)):
        monkeypatch.setitem(kgan.recipes.RECIPES, name, each)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))

    def run(*arguments):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse ends so
            code = stop.code
        return code, *capfd.readouterr()

    return run


def trained(command, recipe, *arguments, epochs=1, output="run"):
    options = (*SHORT, "--recipe", recipe, "--epochs", epochs, "--output", output)
    code, out, err = command("train", *options, *arguments)
    assert code == 0, err
    return out


def files(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_recipe_of_pairs_trains_on_its_task_and_is_resumed(command, tmp_path):
    out = trained(command, "to_pairs", "--dataset", "digits", epochs=2)
    assert "Training to_pairs on digits-outlines (1500 pairs of 28x28x1) for 2 epochs" in out
    assert "kgan translate run PICTURES" in out
    run = tmp_path / "run"
    assert files(run) == [
        "config.json", "history.csv", "losses.png", "model.keras", "samples", "training.gif",
    ]  # fmt: skip
    config = runs.read_config(run / "config.json")
    assert (config.task, config.dataset) == ("outlines", "digits")
    stopped = ("--dataset", "digits", "--time-limit", 1e-9)
    assert "after batch 1 of epoch 1" in trained(
        command, "to_pairs", *stopped, epochs=2, output="stopped"
    )
    code, _, err = command("train", "--resume", "--output", "stopped")
    assert code == 0, err
    whole, resumed = (runs.Run.open(tmp_path / name) for name in ("run", "stopped"))
    for each in (whole, resumed):  # the callback of the recipe halves it in the last of two epochs
        np.testing.assert_allclose(float(each.model.optimizer.learning_rate), 1e-4, rtol=1e-6)
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    # Inputs, translations and targets below each other.
    task = kgan.data.load_task("outlines", "train", "digits", batch_size=4)
    inputs, targets = task.dataset.draw(16, seed=0)
    rows = inputs, whole.model.translate(inputs), targets
    expected = kgan.images.paired_grid(*map(kgan.images.to_uint8, rows), columns=8)
    drawn = kgan.images.load_picture(run / "samples" / "epoch_0002.png")
    np.testing.assert_array_equal(drawn, expected)
    code, _, err = command("train", "--resume", "--output", "run", "--task", "hole")
    assert code == 1
    assert "A resumed run keeps its task. Expected 'outlines', or no value" in err


def test_a_recipe_of_domains_draws_both_directions(command, tmp_path):
    out = trained(command, "to_domains", "--dataset", "digits", "--task", "colour_rule")
    assert "digits-colour_rule (750 and 750 images of 28x28x3) for 1 epoch" in out
    run = tmp_path / "run"
    assert "samples_to_a" in files(run)
    model = kgan.load(run)
    task = kgan.data.load_task("colour_rule", "train", "digits", batch_size=4)
    a, b = task.dataset.draw(16, seed=0)
    for name, images, to, of in (("samples", a, "b", "a"), ("samples_to_a", b, "a", "b")):
        rows = images, model.translate(images, to=to), model.cycle(images, of=of)
        expected = kgan.images.paired_grid(*map(kgan.images.to_uint8, rows), columns=8)
        drawn = kgan.images.load_picture(run / name / "epoch_0001.png")
        np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--recipe", "dcgan", "--task", "hole"), "Expected no task (--task), since the recipe"),
        (("--recipe", "to_pairs", "--task", "thin_and_thick"), "Expected a task with pairs, which"),
        (("--recipe", "to_domains", "--task", "hole"), "Expected a task with domains, which the"),
        (("--recipe", "to_pairs", "--task", "holes"), "Did you mean 'hole'?"),
        (("--recipe", "to_pairs", "--data", "pets"), "Expected pairs of pictures in"),
        (("--recipe", "to_domains", "--data", "pets"), "Expected the folders trainA and trainB"),
        (("--recipe", "to_domains", "--data", "missing"), "Expected a folder of pictures."),
        (("--recipe", "to_pairs", "--image-size", 8), "Expected no image_size"),
        (
            ("--recipe", "to_domains", "--task", "horse_to_deer", "--dataset", "digits"),
            "Expected no other data set",
        ),
    ],
)
def test_data_that_do_not_fit_the_recipe(command, tmp_path, pictures_dir, arguments, error):
    (tmp_path / "pets").symlink_to(pictures_dir)
    code, _, err = command("train", *arguments)
    assert code == 1
    assert error in err
    assert not (tmp_path / "runs").exists()


def test_the_digits_replace_mnist_where_it_is_not_available(command, monkeypatch):
    monkeypatch.setattr(
        kgan.data.registry, "DATASETS", {**kgan.data.DATASETS, "mnist": _not_available}
    )
    said = []
    config, dataset = runs.load_data(runs.RunConfig(recipe="to_pairs", batch_size=4), said.append)
    assert (config.dataset, config.task) == ("digits", "outlines")
    assert dataset.contents == "1500 pairs of 28x28x1"
    assert "MNIST is not available: no network" in said[0]
    # This task is about MNIST.
    with pytest.raises(OSError, match="no network"):
        runs.load_data(runs.RunConfig(recipe="to_domains", task="digits_to_mnist"), said.append)
    assert len(said) == 1


def _not_available(split, data_dir=None, **options):
    raise OSError("no network")


@pytest.fixture
def facades(tmp_path):
    """Pairs side by side, as in the data sets of pix2pix, with a test split."""
    random = np.random.default_rng(0)
    for split, count in (("train", 5), ("test", 20)):
        folder = tmp_path / "facades" / split
        folder.mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (16, 32, 3), dtype="uint8")
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "facades"


def test_pairs_in_a_folder(command, facades, tmp_path):
    options = ("--data", "facades", "--input-half", "right", "--horizontal-flip")
    out = trained(command, "to_pairs", *options)
    assert "Training to_pairs on facades (5 pairs of 16x16x3)" in out
    config = runs.read_config(tmp_path / "run" / "config.json")
    assert (config.task, config.input_half, config.image_size) == (None, "right", [16, 16])
    test = runs.load_task(config, "test", batch_size=1)
    both = np.asarray(Image.open(facades / "test" / "0.png"))
    np.testing.assert_array_equal(test.directions[0].inputs[0], both[:, 16:])
    np.testing.assert_array_equal(test.directions[0].truths[0], both[:, :16])
    code, _, err = command("train", "--resume", "--output", "run", "--input-half", "left")
    assert code == 1
    assert "A resumed run keeps its input_half. Expected 'right'" in err
    code, _, err = command("train", "--resume", "--output", "run", "--epochs", 2)
    assert code == 0, err


def test_a_task_on_the_pictures_in_a_folder(command, pictures_dir):
    out = trained(
        command, "to_pairs", "--data", pictures_dir, "--task", "outlines", "--image-size", 16
    )
    assert "(64 pairs of 16x16x1 and 16x16x3)" in out


def test_domains_in_a_folder(command, tmp_path):
    for name, count in (("trainA", 6), ("trainB", 5)):
        (tmp_path / "two" / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((16, 16, 3), 40 * number, "uint8")
            Image.fromarray(pixels).save(tmp_path / "two" / name / f"{number}.png")
    out = trained(command, "to_domains", "--data", "two", "--image-size", "8x12")
    assert "Training to_domains on two (6 and 5 images of 8x12x3)" in out


def test_recipes_say_what_they_need(command):
    _, out, _ = command("recipes")
    assert "to_pairs: a test.  Needs pairs (default task: outlines).\n" in out
    assert "Needs labels.\n" in out


# ---- kgan evaluate -------------------------------------------------------------------------------

MEASURE = ("--count", 60, "--features", "pixels")


def test_translations_of_pairs_are_measured_on_the_test_split(command, tmp_path):
    trained(command, "to_pairs", "--dataset", "digits")
    code, out, err = command("evaluate", "run", *MEASURE, "--json", "--report", "page", "--card")
    assert code == 0, err
    test = kgan.data.load_digits("test")
    inputs, targets = kgan.data.pairs.outlines(test.images)
    model = kgan.load(tmp_path / "run")
    options = {"labels": test.labels, "count": 60, "features": "pixels"}
    expected = kgan.metrics.translation(model, inputs, targets, paired=True, **options)
    assert json.loads(out) == {"translation": expected.to_dict()}
    assert "Report: page/report.html" in err
    assert (tmp_path / "page" / "report.html").is_file()
    card = (tmp_path / "run" / "model_card.md").read_text()
    assert "Measured on digits-outlines (test)." in card
    assert "| to_pairs: a test |" in card


def test_both_directions_of_domains_are_measured(command, tmp_path):
    trained(command, "to_domains", "--dataset", "digits")
    code, out, err = command("evaluate", "run", *MEASURE, "--json", "--report", "page")
    assert code == 0, err
    task = kgan.data.load_task("thin_and_thick", "test", "digits", batch_size=1)
    model = kgan.load(tmp_path / "run")
    found = json.loads(out)
    assert list(found) == ["translation_to_b", "translation_to_a"]
    for each in task.directions:
        options = {"labels": each.labels, "target_labels": each.target_labels, "count": 60}
        expected = kgan.metrics.translation(
            model, each.inputs, each.targets, truths=each.truths, to=each.to, features="pixels",
            **options,
        )  # fmt: skip
        assert found[f"translation_to_{each.to}"] == expected.to_dict()
        assert (tmp_path / "page" / f"to_{each.to}" / "report.html").is_file()
    code, out, err = command("evaluate", "run", *MEASURE)
    assert code == 0, err
    assert [line for line in out.splitlines() if line.startswith("Translation to")] == [
        "Translation to b.", "Translation to a.",
    ]  # fmt: skip


def test_other_data_can_be_measured(command, facades, tmp_path):
    trained(command, "to_pairs", "--data", "facades", "--image-size", 8)
    measure = ("--count", 20, "--features", "pixels", "--json")
    outputs = []
    for arguments in ((), ("--data", "facades")):
        code, out, err = command("evaluate", "run", *measure, *arguments)
        assert code == 0, err
        outputs.append(out)
    assert outputs[0] == outputs[1]
    code, out, err = command("evaluate", "run", *measure, "--data", "facades", "--task", "outlines")
    assert code == 1
    assert "as the generator takes them. Received: shape (batch, 8, 8, 1)." in err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), "Expected --task NAME or --data DIR, since there is no config.json"),
        (("--task", "outline"), "Did you mean 'outlines'?"),
        (
            ("--task", "thin_and_thick"),
            "a Pix2Pix translates in one direction. Received: task",
        ),
        (("--task", "outlines", "--binarize", "static"), "Expected no --binarize, which"),
        (("--task", "outlines", "--truncations", "1"), "Expected no --truncations, which"),
        (("--task", "outlines", "--split", "test"), "Expected no --split, which does not apply to"),
    ],
)
def test_what_evaluate_refuses(command, colourist, arguments, error):
    code, _, err = command("evaluate", "colourist.keras", "--dataset", "digits", *arguments)
    assert code == 1
    assert error in err


# ---- kgan translate ------------------------------------------------------------------------------


@pytest.fixture
def colourist(command, tmp_path):
    """A model from one channel to three, and its path."""
    model = kgan.recipes.get("to_pairs").build((16, 16, 1), target_channels=3, seed=1)
    model.save(tmp_path / "colourist.keras")
    return model


def _saved(path, *shape, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")
    Image.fromarray(pixels).save(path)
    return pixels


def _expected(model, pictures, **options):
    floats = pictures.astype("float32") / 127.5 - 1
    return kgan.images.to_uint8(translated(model, floats, **options))


def test_pictures_are_translated_in_their_own_sizes(command, colourist, tmp_path):
    small = _saved(tmp_path / "in" / "small.png", 16, 16)
    large = _saved(tmp_path / "in" / "large.bmp", 32, 24, seed=1)
    colour = _saved(tmp_path / "photo.png", 16, 16, 3, seed=2)
    code, out, err = command(
        "translate", "colourist.keras", "in", "photo.png", "--output", "out", "--grid", "grid.png"
    )
    assert code == 0, err
    assert "3 translations: out" in out
    assert files(tmp_path / "out") == ["large.png", "photo.png", "small.png"]
    grey = np.asarray(Image.fromarray(colour).convert("L"))
    for name, pixels in (("small", small), ("large", large), ("photo", grey)):
        expected = _expected(colourist, pixels[np.newaxis, ..., np.newaxis])[0]
        found = kgan.images.load_picture(tmp_path / "out" / f"{name}.png")
        # The size of a batch may change how a sum is rounded.
        np.testing.assert_allclose(found.astype(int), expected.astype(int), atol=1)
    # Two rows of three tiles, each of the size of the first picture: in/large.bmp.
    assert kgan.images.load_picture("grid.png").shape == (2 * 32 + 2, 3 * 24 + 2 * 2, 3)


def test_pictures_are_scaled_if_a_size_is_given(command, colourist, tmp_path):
    _saved(tmp_path / "wide.png", 20, 40)
    code, _, err = command("translate", "colourist.keras", "wide.png", "--image-size", "16x8")
    assert code == 0, err
    assert kgan.images.load_picture("translations/wide.png").shape == (16, 8, 3)


def test_a_file_of_arrays_gives_a_file_of_arrays(command, colourist, tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1), dtype="uint8")
    np.savez(tmp_path / "five.npz", images=pictures)
    code, out, err = command("translate", "colourist.keras", "five.npz", "--output", "out")
    assert code == 0, err
    assert "5 translations: out" in out
    with np.load("out/five.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], _expected(colourist, pictures))


def test_both_directions(command, tmp_path):
    recipe = kgan.recipes.get("to_domains")
    model = recipe.build((16, 16, 1), target_channels=3, seed=1, identity_weight=0.0)
    model.save("two.keras")
    colour = _saved(tmp_path / "colour.png", 16, 16, 3)
    grey = np.asarray(Image.fromarray(colour).convert("L"))[..., np.newaxis]
    for arguments, to, pixels in (((), "b", grey), (("--to", "a"), "a", colour)):
        code, _, err = command("translate", "two.keras", "colour.png", *arguments)
        assert code == 0, err
        found = kgan.images.load_picture("translations/colour.png")
        np.testing.assert_array_equal(found, _expected(model, pixels[np.newaxis], to=to)[0])


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("missing.png",), 1, "Expected pictures, or folders of pictures. Received: missing.png"),
        (("text.png",), 1, "that can be decoded. Received: text.png: not a JPEG, PNG"),
        (("empty",), 1, "Expected pictures (.jpg"),
        (("text.npz",), 1, "Expected `images`, uint8 (N, H, W, 1) for this model, in text.npz"),
        (("text.npz",), 1, "Received: a file that is not of this format, or is cut off."),
        (("empty.npz",), 1, "in empty.npz. Received: a file that is not of this format"),
        (("other.npz",), 1, "in other.npz. Received: arrays named first, second."),
        (("colour.npz",), 1, "in colour.npz. Received: uint8 of shape (2, 4, 4, 3)"),
        (("none.npz",), 1, "in none.npz. Received: uint8 of shape (0, 4, 4, 1)"),
        (("floats.npz",), 1, "Received: float64 of shape (2, 4, 4, 1)"),
        (("good.png", "--to", "b"), 1, "Expected no --to, since this model has one direction"),
        (("good.png", "--output", "text.png"), 1, "Expected --output to be a directory"),
        (("good.png", "--grid", "grid.jpg"), 2, "expected a name in .png"),
    ],
)
def test_what_translate_refuses(command, colourist, tmp_path, arguments, code, error):
    _saved(tmp_path / "good.png", 16, 16)
    for name in ("text.png", "text.npz"):
        (tmp_path / name).write_text("no picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.npz").touch()
    np.savez(tmp_path / "floats.npz", images=np.zeros((2, 4, 4, 1)))
    np.savez(tmp_path / "colour.npz", images=np.zeros((2, 4, 4, 3), "uint8"))
    np.savez(tmp_path / "none.npz", images=np.zeros((0, 4, 4, 1), "uint8"))
    np.savez(tmp_path / "other.npz", first=np.zeros(2), second=np.zeros(2))
    found, _, err = command("translate", "colourist.keras", *arguments)
    assert found == code
    assert error in err


def test_a_broken_picture_loses_no_translation_of_an_earlier_one(command, colourist, tmp_path):
    _saved(tmp_path / "in" / "a.png", 16, 16)
    (tmp_path / "in" / "b.png").write_bytes((tmp_path / "in" / "a.png").read_bytes()[:100])
    _saved(tmp_path / "in" / "c.png", 16, 16)
    code, _, err = command("translate", "colourist.keras", "in", "--output", "out")
    assert code == 1
    assert "Received: in/b.png: " in err
    assert "Remove or replace it." in err
    assert files(tmp_path / "out") == ["a.png"]


def test_a_picture_that_is_too_small_is_named(command, tmp_path):
    networks = kgan.networks.pix2pix((16, 16, 1), translator="resnet", width=4, blocks=1)
    kgan.Pix2Pix(*networks).save("resnet.keras")
    _saved(tmp_path / "tiny.png", 3, 3)
    code, _, err = command("translate", "resnet.keras", "tiny.png")
    assert code == 1
    assert "tiny.png: Expected images of 16x16 pixels" in err
    assert "images of 3x3 pixels. Expected images of more than 3 pixels on each side" in err


def test_a_model_that_makes_images_does_not_translate(command, make_gan, tmp_path):
    make_gan().save("gan.keras")
    _saved(tmp_path / "good.png", 16, 16)
    code, _, err = command("evaluate", "gan.keras", "--task", "hole")
    assert code == 1
    assert "Expected no --task, which does not apply to a GAN." in err
    code, _, err = command("translate", "gan.keras", "good.png")
    assert code == 1
    assert "Expected a model that translates images, such as a Pix2Pix or a CycleGAN." in err


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["x/1.png", "x/2.jpg"], ["1.png", "2.png"]),
        (["x/1.png", "y/1.jpg", "y/2.jpg"], ["x_1.png", "y_1.png", "2.png"]),
        (["x/1.png", "x/1.jpg"], ["x_1_png.png", "x_1_jpg.png"]),
        (["x/A.png", "y/a.png"], ["x_A.png", "y_a.png"]),
        (["u/x/1.png", "v/x/1.png"], ["x_1_png_0.png", "x_1_png_1.png"]),
        (["x/1.npz", "x/1.png"], ["1.npz", "1.png"]),
    ],
)
def test_names_of_translations_are_unique(tmp_path, paths, expected):
    assert output_names([tmp_path / path for path in paths]) == expected


def test_the_configuration_names_the_task(command, tmp_path):
    trained(command, "to_pairs", "--dataset", "digits", "--task", "hole", output="run")
    saved = json.loads((tmp_path / "run" / "config.json").read_text())["run"]
    assert saved["task"] == "hole"
