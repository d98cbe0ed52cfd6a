"""Families that kgan has never heard of go through recipes, runs and the command."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan import cli, runs
from kgan.training import BatchSpec, GenerativeModel

# What touches a backend in them is tested with the families of kgan.
pytestmark = pytest.mark.backend_free

SHAPE = (28, 28, 1)
SHORT = (
    "--dataset", "digits", "--steps-per-epoch", 3, "--batch-size", 8, "--evaluate", 20,
)  # fmt: skip


@keras.saving.register_keras_serializable(package="test")
class Scorer(GenerativeModel):
    """A model that is no GAN and makes nothing: it learns the mean of images."""

    networks = ("network",)
    roles = {"model": ("network",)}  # noqa: RUF012

    def __init__(self, network, seed=None, name=None):
        super().__init__(seed=seed, name=name)
        self.network = network
        self.built = True

    def log_names(self):
        return ["loss", "brightness"]

    def batch_spec(self, training):
        return BatchSpec(self.network.inputs[0].shape, "network", (-1.0, 1.0))

    def _loss(self, batch, training):
        (outputs,) = (self.run(self.network, [batch.images], training),)
        return ops.mean(ops.square(outputs - batch.images)), ops.mean(batch.images)

    def training_step(self, batch):
        minimized = self.minimize("model", lambda: self._loss(batch, training=True))
        return self.record(batch, loss=minimized.loss, brightness=minimized.aux)

    def evaluation_step(self, batch):
        loss, brightness = self._loss(batch, training=False)
        return self.record(batch, loss=loss, brightness=brightness)


@keras.saving.register_keras_serializable(package="test")
class Painter(Scorer):
    """The same, which also makes images, without labels."""

    def generate(self, n, seed=None):
        noise = np.random.default_rng(seed).uniform(-1, 1, (n, *SHAPE)).astype("float32")
        return np.asarray(keras.ops.convert_to_numpy(self.network(noise)))


def one_network(image_shape, units=2):
    image = keras.Input(image_shape)
    x = keras.layers.Dense(units, activation="tanh")(image)
    return (keras.Model(image, keras.layers.Dense(1, activation="tanh")(x), name="network"),)


def recipe(model, networks="one_network", **options):
    return kgan.recipes.Recipe(
        "a test", model, networks, optimizers={"model": {"learning_rate": 0.01}}, **options
    )


@pytest.fixture
def recipes(monkeypatch):
    """The recipes `scorer`, `painter` and `vae`, as if their families were kgan's."""
    for module, found in (
        (kgan.models, Scorer),
        (kgan.models, Painter),
        (kgan.networks, one_network),
    ):
        monkeypatch.setattr(module, found.__name__, found, raising=False)
        monkeypatch.setattr(module, "__all__", [*module.__all__, found.__name__])
    made = {
        "scorer": recipe("Scorer"),
        "painter": recipe("Painter"),
        "vae": recipe(
            "VAE",
            "dense_vae",
            network_options={"latent_dim": 3, "width": 8, "blocks": 1},
            data={"binarize": "dynamic"},
        ),
        "flat_vae": recipe(
            "VAE",
            "dense_vae",
            network_options={"latent_dim": 2, "width": 8, "blocks": 1},
            data={"binarize": "static"},
            needs="labels",
        ),
    }
    for name, each in made.items():
        monkeypatch.setitem(kgan.recipes.RECIPES, name, each)
    return made


@pytest.fixture
def command(recipes, capfd, tmp_path, monkeypatch):
    """Runs the command in an empty directory: `command("train", ...) -> (code, out, err)`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return run


def files(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_model_that_makes_nothing_trains_and_is_resumed(command, tmp_path):
    train = ("train", *SHORT, "--recipe", "scorer")
    assert command(*train, "--epochs", 2, "--output", "whole")[0] == 0
    assert files(tmp_path / "whole") == ["config.json", "history.csv", "losses.png", "model.keras"]
    assert command(*train, "--epochs", 1, "--output", "stopped")[0] == 0
    code, _, err = command("train", "--resume", "--output", "stopped", "--epochs", 2)
    assert code == 0, err
    whole, resumed = (runs.Run.open(tmp_path / name) for name in ("whole", "stopped"))
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert resumed.history == whole.history
    assert set(whole.history[0]) == {"epoch", "loss", "brightness"}
    assert resumed.config.recipe == "scorer"
    for arguments, message in (
        (("sample", "whole"), "Expected a model that generates images. Received: whole, which"),
        (("reconstruct", "whole"), "Expected a model that encodes images, such as a VAE."),
        (("evaluate", "whole"), "Expected a model that generates images, reconstructs them or"),
    ):
        code, _, err = command(*arguments)
        assert code == 1
        assert f"kgan: error: {message}" in err
        assert "Scorer" in err


def test_a_model_that_makes_images_has_grids_metrics_and_samples(command, tmp_path):
    train = ("train", *SHORT, "--recipe", "painter", "--epochs", 2, "--output", "run")
    code, _, err = command(*train)
    assert code == 0, err
    assert files(tmp_path / "run") == [
        "config.json", "history.csv", "losses.png", "model.keras", "samples", "training.gif",
    ]  # fmt: skip
    saved = runs.Run.open(tmp_path / "run")
    assert saved.history[1]["val_fcd"] > 0
    assert command("sample", "run", "--seed", 5, "--count", 3, "--output", "s.npz")[0] == 0
    with np.load("s.npz") as arrays:
        assert arrays.files == ["images"]
        expected = kgan.images.to_uint8(saved.model.generate(3, seed=5))
        np.testing.assert_array_equal(arrays["images"], expected)
    code, _, err = command("sample", "run", "--label", 1)
    assert code == 1
    assert "unconditional" in err
    code, out, err = command("evaluate", "run", "--count", 40, "--json", "--report", "report")
    assert code == 0, err
    found = json.loads(out)
    assert found["figures"]["fcd"]["count"] == 40
    assert "likelihood" not in found
    assert "reconstruction" not in found


@pytest.fixture
def vae(command, tmp_path):
    """A VAE's run of one epoch."""
    train = ("train", *SHORT, "--recipe", "vae", "--epochs", 1, "--output", "vae")
    code, _, err = command(*train)
    assert code == 0, err
    return tmp_path / "vae"


def test_a_saved_vae_is_sampled_reconstructed_and_evaluated(command, vae, tmp_path):
    assert "reconstructions" in files(vae)
    assert command("sample", vae / "model.keras", "--count", 4)[0] == 0
    assert kgan.images.load_picture("samples.png").shape == (58, 58, 1)

    code, out, err = command("reconstruct", vae, "--count", 5, "--output", "r.npz")
    assert code == 0, err
    assert "5 images and their reconstructions: r.npz" in out
    test = kgan.data.load_digits("test", binarize="dynamic")
    images, labels = test.draw(5, seed=0)
    model = runs.Run.open(vae).model
    with np.load("r.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], kgan.images.to_uint8(images))
        assert set(np.unique(arrays["images"])) == {0, 255}
        expected = kgan.images.to_uint8(model.reconstruct(images))
        np.testing.assert_array_equal(arrays["reconstructions"], expected)
        np.testing.assert_array_equal(arrays["labels"], labels)
    assert command("reconstruct", vae, "--count", 5)[0] == 0
    picture = kgan.images.load_picture(tmp_path / "reconstructions.png")
    expected = kgan.images.paired_grid(
        *map(kgan.images.to_uint8, (images, model.reconstruct(images)))
    )
    np.testing.assert_array_equal(picture, expected)

    arguments = ("--count", 40, "--likelihood-samples", 3, "--json", "--report", "report")
    code, out, err = command("evaluate", vae, *arguments)
    assert code == 0, err
    found = json.loads(out)
    train = kgan.data.load_digits("train", binarize="dynamic")
    likelihood = kgan.metrics.likelihood(model, test, samples=3, count=40, training=train)
    assert found["likelihood"] == likelihood.to_dict()
    assert found["likelihood"]["binarize"] == "dynamic"
    error = kgan.metrics.reconstruction(model, test, count=40, training=train)
    assert found["reconstruction"] == error.to_dict()
    # Samples are the means of pixels: they are compared with grey images.
    samples = kgan.evaluate(model, kgan.data.load_digits("train"), count=40)
    assert found["figures"] == samples.to_dict()["figures"]
    page = (tmp_path / "report" / "report.html").read_text()
    for heading in ("Latent space", "Likelihood", "Reconstruction", "Metrics of samples"):
        assert f">{heading}</h2>" in page


def test_results_are_printed_one_after_the_other(command, vae):
    arguments = ("--count", 40, "--likelihood-samples", 1)
    code, out, err = command("evaluate", vae, *arguments)
    assert code == 0, err
    first, second, third = out.split("\n\n")
    assert first.startswith("Features: ")
    assert second.startswith("negative log-likelihood")
    assert third.startswith("reconstruction error")
    code, out, err = command("evaluate", vae, "--count", 40, "--likelihood-samples", 0)
    assert "log-likelihood" not in out


def test_the_binarisation_can_be_given(command, vae, tmp_path):
    (tmp_path / "alone.keras").write_bytes((vae / "model.keras").read_bytes())
    arguments = ("evaluate", "alone.keras", "--dataset", "digits", "--count", 40)
    code, _, err = command(*arguments, "--likelihood-samples", 1)
    assert code == 1
    assert "binarize" in err
    options = ("--likelihood-samples", 1, "--json", "--binarize", "threshold")
    code, out, err = command(*arguments, *options)
    assert code == 0, err
    assert json.loads(out)["likelihood"]["binarize"] == "threshold"


def test_a_conditional_vae_gets_labels_everywhere(command, tmp_path):
    train = ("train", *SHORT, "--recipe", "flat_vae", "--epochs", 1, "--output", "run")
    code, _, err = command(*train)
    assert code == 0, err
    assert command("sample", "run", "--label", 3, "--count", 2, "--output", "s.npz")[0] == 0
    assert command("reconstruct", "run", "--count", 2)[0] == 0
    arguments = ("--count", 40, "--likelihood-samples", 1, "--report", "report")
    code, _, err = command("evaluate", "run", *arguments)
    assert code == 0, err
    page = (tmp_path / "report" / "report.html").read_text()
    assert "All of the latent space" in page  # it has two latents


def test_the_alarm_and_metrics_of_a_run_see_grey_images(recipes, tmp_path):
    config = runs.RunConfig(dataset="digits", recipe="vae", batch_size=8, steps_per_epoch=1)
    config, dataset = runs.load_data(config, print)
    assert dataset.binarize == "dynamic"
    run = runs.Run.begin(tmp_path / "run", config, dataset)
    kinds = [type(each).__name__ for each in run._callbacks()]
    assert kinds == [
        "PeriodicEvaluation", "CollapseAlarm", "TerminateOnNaN", "LossHistory", "SampleGrid",
        "SampleGrid", "Checkpoint",
    ]  # fmt: skip
    for callback in run._evaluation():
        assert callback._evaluator.dataset.binarize is None
    images, _ = dataset.unbinarized().draw(3, seed=0)
    grey, _ = kgan.data.load_digits("train").draw(3, seed=0)
    np.testing.assert_array_equal(images, grey)


# ---- Run.open ------------------------------------------------------------------------------------


def test_a_model_without_its_run_has_no_config_and_no_history(recipes, tmp_path):
    model = recipes["painter"].build(SHAPE, seed=0)
    model.save(tmp_path / "alone.keras")
    saved = runs.Run.open(tmp_path / "alone.keras", compile=False)
    assert type(saved.model) is Painter
    assert not saved.model.compiled
    assert saved.config is None
    assert saved.history is None


def test_files_of_another_program_are_errors_only_if_they_are_read(recipes, tmp_path):
    recipes["painter"].build(SHAPE, seed=0).save(tmp_path / "model.keras")
    (tmp_path / "config.json").write_text('{"model_type": "another"}')
    (tmp_path / "history.csv").write_text("of,another\n1,2\n")
    saved = runs.Run.open(tmp_path)
    assert type(saved.model) is Painter
    with pytest.raises(ValueError, match="the configuration of a kgan run"):
        _ = saved.config
    with pytest.raises(ValueError, match="a column `epoch`"):
        _ = saved.history


def test_a_class_that_is_not_registered_is_named(recipes, tmp_path, monkeypatch):
    recipes["painter"].build(SHAPE, seed=0).save(tmp_path / "model.keras")
    monkeypatch.delitem(keras.saving.get_custom_objects(), "test>Painter")
    with pytest.raises(ValueError, match=r"model\.keras, which cannot be loaded: .*'Painter'"):
        runs.Run.open(tmp_path)


def test_a_keras_model_of_another_kind_is_refused(tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="which holds a Sequential"):
        runs.Run.open(tmp_path)


@pytest.mark.parametrize(
    ("recipe", "names"), [("conditional_vae", ("cat", "dog", "fox")), ("first_gan", None)]
)
def test_grids_name_the_classes_of_the_data(images, labels, tmp_path, recipe, names):
    dataset = kgan.data.ImageDataset(
        images, labels, batch_size=8, class_names=("cat", "dog", "fox")
    )
    run = runs.Run.begin(tmp_path / "run", runs.RunConfig(recipe=recipe, batch_size=8), dataset)
    grid, *_ = run._grids()  # of samples; others are of reconstructions
    assert (grid.class_names and tuple(grid.class_names)) == names
