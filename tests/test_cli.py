"""The command: what it writes, what it says, its exit codes."""

import csv
import importlib.metadata
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import cli, runs
from kgan.callbacks.loss_history import read_history
from kgan.cli.command import parser
from kgan.cli.terminal import Progress

# The entry point of the installed command.
COMMAND = (sys.executable, "-c", "import sys; from _kgan_command import main; sys.exit(main())")
SHORT = ("--dataset", "digits", "--steps-per-epoch", "2", "--batch-size", "8", "--evaluate", "20")


@pytest.fixture
def command(capfd):
    """Runs the command in this process: `command("train", ...) -> (code, out, err)`."""

    def run(*arguments):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse ends so
            code = stop.code
        return code, *capfd.readouterr()

    return run


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    directory = tmp_path_factory.mktemp("trained") / "run"
    recipe = ("--recipe", "conditional_dcgan", "--epochs", "2")
    assert cli.main(["train", *SHORT, *recipe, "--output", str(directory)]) == 0
    return directory


@pytest.fixture
def run_dir(trained_once, tmp_path):
    """A finished run of the conditional recipe, two epochs long."""
    return Path(shutil.copytree(trained_once, tmp_path / "run"))


def history(directory):
    with (directory / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_train_leaves_a_whole_run(run_dir):
    assert sorted(path.name for path in run_dir.iterdir()) == [
        "config.json", "history.csv", "losses.png", "model.keras", "samples", "training.gif",
    ]  # fmt: skip
    assert sorted(p.name for p in (run_dir / "samples").iterdir()) == [
        "epoch_0001.png", "epoch_0002.png",
    ]  # fmt: skip
    with Image.open(run_dir / "training.gif") as film:
        assert film.n_frames == 2
    with Image.open(run_dir / "samples" / "epoch_0001.png") as grid:
        # A row for each of ten classes, to the right of its name.
        blank = kgan.images.grid(
            np.zeros((80, 28, 28, 1), "uint8"), columns=8, row_names=list("0123456789")
        )
        assert grid.size == (blank.shape[1], 10 * 30 - 2)
        np.testing.assert_array_equal(
            np.asarray(grid)[:, : -8 * 30 + 2], blank[:, : -8 * 30 + 2, 0]
        )
    rows = history(run_dir)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["discriminator_loss"]) > 0
    config = json.loads((run_dir / "config.json").read_text())
    assert config["run"]["recipe"] == "conditional_dcgan"
    assert config["run"]["seed"] == 0
    assert config["versions"]["kgan"] == kgan.__version__
    gan = keras.saving.load_model(run_dir / "model.keras")
    assert (gan.epochs_trained, gan.num_classes, int(gan.optimizer.iterations)) == (2, 10, 4)


def test_resume_equals_a_run_that_was_never_stopped(command, run_dir, tmp_path):
    again = tmp_path / "again"
    recipe = ("--recipe", "conditional_dcgan")
    assert command("train", *SHORT, *recipe, "--epochs", 1, "--output", again)[0] == 0
    code, out, err = command("train", "--resume", "--output", again, "--epochs", 2)
    assert code == 0, err
    assert "for 1 epoch of 2 batches of 8" in out
    one, two = (keras.saving.load_model(d / "model.keras") for d in (run_dir, again))
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert history(again) == history(run_dir)
    with Image.open(again / "training.gif") as film:
        assert film.n_frames == 2


FROZEN = ("--freeze-discriminator", 2, "--seed", 7)


@pytest.mark.backend_free
def test_a_run_from_the_weights_of_another_one(command, run_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    once, twice = tmp_path / "once", tmp_path / "twice"
    start = ("train", *SHORT, "--from", "run", *FROZEN)
    code, out, err = command(*start, "--epochs", 2, "--output", once)
    assert code == 0, err
    assert f"Starting from the weights of {run_dir}." in out
    config = runs.read_config(once / "config.json")
    assert (config.recipe, config.initial) == ("conditional_dcgan", str(run_dir))
    assert config.freeze_discriminator == 2
    assert [row["epoch"] for row in history(once)] == ["1", "2"]
    before, after = (kgan.load(each) for each in (run_dir, once))
    layers = [
        [layer for layer in model.discriminator.layers if layer.weights]
        for model in (before, after)
    ]
    for place, pair in enumerate(zip(*layers, strict=True)):
        same = [
            np.array_equal(*v) for v in zip(*(each.get_weights() for each in pair), strict=True)
        ]
        assert all(same) == (place < 2)
    assert int(after.optimizer.iterations) == 4
    # Stopped after an epoch, it ends in the same weights.
    command(*start, "--epochs", 1, "--output", twice)
    code, out, err = command("train", "--resume", "--output", twice, "--epochs", 2)
    assert code == 0, err
    assert "Starting from" not in out
    for a, b in zip(after.get_weights(), kgan.load(twice).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    code, _, err = command("train", "--resume", "--output", twice, "--from", once)
    assert code == 1
    assert "A resumed run keeps its initial" in err


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--from", "run", "--recipe", "vae"), "Expected a VAE, as is trained here"),
        (("--from", "run", "--recipe", "dcgan"), "Expected the weights of a model of images"),
        (("--from", "run", "--freeze-discriminator", "99"), "Expected to freeze fewer than"),
        (("--from", "nowhere"), "nowhere: no such file"),
        (("--from", "alone.keras"), "Expected --recipe NAME, since there is no config.json"),
        (("--freeze-discriminator", "2"), "Expected --from RUN with --freeze-discriminator"),
    ],
)
def test_weights_that_do_not_fit(command, run_dir, tmp_path, monkeypatch, arguments, error):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(run_dir / "model.keras", tmp_path / "elsewhere" / "alone.keras")
    arguments = ["elsewhere/alone.keras" if a == "alone.keras" else a for a in arguments]
    code, _, err = command("train", *SHORT, *arguments)
    assert code == 1
    assert error in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.backend_free
def test_a_run_that_was_killed_in_its_first_epoch_can_be_resumed(command, tmp_path, monkeypatch):
    directory = tmp_path / "run"

    def die(*args, **kwargs):
        raise SystemExit(9)

    directory.mkdir()
    leftover = directory / ".89abcdef-config.json"  # of one that was killed before that
    leftover.write_text("{")
    with monkeypatch.context() as killed:
        killed.setattr(kgan.GAN, "fit", die)
        assert command("train", *SHORT, "--epochs", 1, "--output", directory)[0] == 9
    assert not leftover.exists()
    (directory / ".0123abcd-model.keras").write_bytes(b"half a fi")
    code, _, err = command("train", "--resume", "--output", directory)
    assert code == 0, err
    assert keras.saving.load_model(directory / "model.keras").epochs_trained == 1
    assert not (directory / ".0123abcd-model.keras").exists()


@pytest.mark.backend_free
def test_resume_of_a_finished_run_says_so(command, run_dir):
    code, out, _ = command("train", "--resume", "--output", run_dir)
    assert code == 0
    assert "has its 2 epochs" in out


@pytest.mark.backend_free
def test_an_epoch_of_another_length_begins_anew_and_is_said_to(command, tmp_path):
    directory = tmp_path / "run"
    recipe = ("--recipe", "first_gan", "--steps-per-epoch", 2, "--evaluate", 0)
    command("train", "--dataset", "digits", *recipe, "--epochs", 1, "--output", directory)
    gan = keras.saving.load_model(directory / "model.keras")

    class StopAfterTheFirst(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    data = kgan.data.load_digits("train", batch_size=8)
    fit = {"initial_epoch": 1, "epochs": 2, "steps_per_epoch": 2, "verbose": 0}
    history = directory / "history.csv"
    log = kgan.callbacks.LossHistory(tmp_path / "log.csv")
    shutil.copy(history, log.path)
    gan.fit(data, callbacks=[log, StopAfterTheFirst()], **fit)
    gan.save(directory / "model.keras")
    shutil.copytree(directory, tmp_path / "same")
    resume = ("train", "--resume", "--epochs", 2, "--output")
    code, out, err = command(*resume, tmp_path / "same")
    assert code == 0, err
    assert "Resuming after batch 1 of epoch 2.\n" in out
    assert "begins again" not in out + err
    code, out, err = command(*resume, directory, "--steps-per-epoch", 3)
    assert code == 0, err
    line = re.search(r"^kgan: warning: .* batch 1 of 2 of epoch 2\. .*$", err, re.MULTILINE)
    assert "one with 3 batches to an epoch. That epoch begins again." in line.group()
    assert "Resuming" not in out
    assert "EpochRestartWarning" not in err
    assert int(keras.saving.load_model(directory / "model.keras").optimizer.iterations) == 2 + 1 + 3
    assert [logs["epoch"] for logs in read_history(history)] == [1, 2]


@pytest.mark.backend_free
@pytest.mark.parametrize("how", ["--resume", "--seed=0"])
def test_a_directory_in_which_another_trains_is_refused(command, run_dir, how):
    if how != "--resume":
        (run_dir / "model.keras").unlink()  # the other one has just begun
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    with runs.held(run_dir):
        code, _, err = command("train", how, "--epochs", 3, "--output", run_dir)
    assert code == 1
    assert f"no other process trains in. Received: {run_dir}, in which one does" in err
    assert {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()} == before
    with runs.held(run_dir):  # neither holds it any more
        pass


@pytest.mark.backend_free
def test_a_run_holds_its_directory_while_it_trains(command, tmp_path, monkeypatch):
    tried = []

    def train_and_try(run, *args, **kwargs):
        with pytest.raises(BlockingIOError), runs.held(run.directory):
            pass
        tried.append(run.directory)
        run.model.epochs_trained = run.epochs

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs.Run, "train", train_and_try)
    new = ("train", "--dataset", "digits", "--epochs", 1)
    assert command(*new)[0] == 0
    assert command(*new, "--output", "told")[0] == 0
    assert command("train", "--resume", "--output", "told")[0] == 0
    assert tried == [Path("runs/digits-dcgan_r1-001"), Path("told"), Path("told")]


@pytest.mark.backend_free
def test_a_recipe_that_cannot_be_built_leaves_nothing_behind(command, tmp_path, monkeypatch):
    def unfit(*args, **kwargs):
        raise ValueError("images of another size")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kgan.recipes.Recipe, "build", unfit)
    code, _, err = command("train", "--dataset", "digits")
    assert code == 1
    assert "images of another size" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": "3"}, "Received: epochs='3', not int | None"),
        ({"dataset": 5}, "Received: dataset=5, not str | None"),
        ({"seed": None}, "Received: seed=None, not int"),
        ({"save_every": True}, "Received: save_every=True, not int"),
        ({"batch_size": 8.0}, "Received: batch_size=8.0, not int | None"),
        ({"colour": "red"}, "'colour'"),
    ],
)
def test_a_configuration_of_wrong_types_is_refused(command, run_dir, changed, message):
    path = run_dir / "config.json"
    content = json.loads(path.read_text())
    content["run"].update(changed)
    path.write_text(json.dumps(content))
    for arguments in (("train", "--resume", "--output", run_dir), ("evaluate", run_dir)):
        code, _, err = command(*arguments)
        assert code == 1
        assert f"Expected {path} to be the configuration of a kgan run." in err
        assert message in err


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--output", "RUN"), "--resume to continue"),
        (("--resume", "--output", "RUN", "--recipe", "dcgan"), "keeps its recipe"),
        (("--resume", "--output", "RUN", "--dataset", "mnist"), "keeps its dataset"),
        (("--resume", "--output", "RUN", "--dtype-policy", "mixed_float16"), "its dtype_policy"),
        (("--resume", "--output", "RUN/none"), "without config.json"),
        (("--resume",), "give --output"),
    ],
)
def test_train_refuses_and_changes_nothing(command, run_dir, arguments, message):
    before = (run_dir / "model.keras").read_bytes()
    code, _, err = command("train", *(a.replace("RUN", str(run_dir)) for a in arguments))
    assert code == 1
    assert message in err
    assert "Traceback" not in err
    assert (run_dir / "model.keras").read_bytes() == before


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("train", "--recipe", "dcgam", *SHORT), 1, "Did you mean 'dcgan'"),
        (("train", "--dataset", "mnits"), 1, "mnist"),
        (("train", "--dataset", "mnist", "--data-dir", "/nowhere"), 1, "/nowhere"),
        (("train", "--data-dir", "/nowhere", "--output", "new"), 1, "/nowhere"),
        (("train", "--epochs", "0"), 2, "at least 1"),
        (("train", "--epochs", "many"), 2, "at least 1, received 'many'"),
        (("train", "--time-limit", "soon"), 2, "above 0, received 'soon'"),
        (("train", "--resume", "--output", "/nowhere"), 1, "config.json"),
        (("train", "--seed", "-1"), 2, "--seed"),
        (("train", "--time-limit", "0"), 2, "above 0"),
        (("sample", "/nowhere/model.keras"), 1, "no such file"),
        (("sample", "x", "--output", "x.jpg"), 2, "in .png or .npz or .txt, received 'x.jpg'"),
        (("reconstruct", "x", "--output", "x"), 2, "in .png or .npz, received 'x'"),
        (("sample",), 2, "required: RUN"),
        (("unknown",), 2, "unknown"),
        ((), 2, "usage"),
    ],
)
def test_errors(command, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    received, _, err = command(*arguments)
    assert received == code
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.backend_free
def test_without_mnist_it_trains_on_digits_and_says_so(command, tmp_path, monkeypatch):
    def unavailable(*args, **kwargs):
        raise ConnectionError("no route to anywhere")

    monkeypatch.setitem(kgan.data.DATASETS, "mnist", unavailable)
    monkeypatch.chdir(tmp_path)
    code, out, _ = command("train", "--epochs", 1, "--steps-per-epoch", 1, "--evaluate", 0)
    assert code == 0
    assert "no route to anywhere" in out
    assert "digits" in out
    assert (tmp_path / "runs" / "digits-dcgan_r1-001" / "model.keras").is_file()
    command("train", "--epochs", 1, "--steps-per-epoch", 1, "--evaluate", 0)
    assert (tmp_path / "runs" / "digits-dcgan_r1-002" / "model.keras").is_file()


def test_sample_npz(command, run_dir, tmp_path):
    path = tmp_path / "s.npz"
    code, out, _ = command(
        "sample", run_dir / "model.keras", "--count", 12, "--seed", 1, "--output", path
    )
    assert code == 0
    assert str(path) in out
    with np.load(path) as arrays:
        assert arrays["images"].shape == (12, 28, 28, 1)
        assert arrays["images"].dtype == np.uint8
        np.testing.assert_array_equal(arrays["labels"], np.arange(12) % 10)
        gan = keras.saving.load_model(run_dir / "model.keras")
        expected = kgan.images.to_uint8(gan.generate(12, seed=1))
        np.testing.assert_array_equal(arrays["images"], expected)


@pytest.mark.backend_free
def test_sample_label_and_png(command, run_dir, tmp_path):
    command("sample", run_dir, "--count", 5, "--label", 7, "--output", tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as arrays:
        np.testing.assert_array_equal(arrays["labels"], [7] * 5)
    command("sample", run_dir, "--count", 5, "--output", tmp_path / "s.png")
    names = [str(label) for label in range(5)]
    blank = kgan.images.grid(np.zeros((5, 28, 28, 1), "uint8"), columns=1, row_names=names)
    drawn = kgan.images.load_picture(tmp_path / "s.png")
    assert drawn.shape == blank.shape
    np.testing.assert_array_equal(drawn[:, :-28], blank[:, :-28])  # the names of the rows
    command("sample", run_dir, "--count", 5, "--label", 7, "--output", tmp_path / "s.png")
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.size == (3 * 30 - 2, 2 * 30 - 2)
    code, _, err = command("sample", run_dir, "--label", 10, "--output", tmp_path / "s.png")
    assert code == 1
    assert "labels from 10 to 10" in err


@pytest.mark.backend_free
def test_sample_of_an_unconditional_gan(command, tmp_path):
    command("train", *SHORT, "--epochs", 1, "--output", tmp_path / "run")
    command("sample", tmp_path / "run", "--count", 3, "--output", tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as arrays:
        assert arrays.files == ["images"]
    for arguments in (("sample", "--label", 3), ("interpolate", "--labels", "3,7")):
        code, _, err = command(arguments[0], tmp_path / "run", *arguments[1:])
        assert code == 1
        assert "unconditional" in err


@pytest.mark.backend_free
def test_interpolate_makes_a_film_there_and_back(command, run_dir, tmp_path):
    film = tmp_path / "film.gif"
    options = ("--count", 4, "--steps", 3, "--seed", 1, "--labels", "3,7", "--scale", 2)
    code, out, err = command("interpolate", run_dir, *options, "--output", film)
    assert code == 0, err
    assert f"4 paths of 3 images: {film}" in out
    gan = kgan.load(run_dir)
    paths = gan.interpolate(4, steps=3, labels=[(3, 7)] * 4, seed=1)
    expected = [kgan.images.grid(paths[:, step], scale=2)[..., 0] for step in (0, 1, 2, 1, 0)]
    with Image.open(film) as shown:
        assert shown.n_frames == 5
        for index, frame in enumerate(expected):
            shown.seek(index)
            np.testing.assert_array_equal(np.asarray(shown.convert("L")), frame)


@pytest.mark.backend_free
@pytest.mark.parametrize("label", ["7", "7,7"])
def test_interpolate_within_a_class_as_a_picture(command, run_dir, tmp_path, label):
    picture = tmp_path / "paths.png"
    options = ("--count", 2, "--steps", 4, "--seed", 5, "--labels", label, "--scale", 1)
    assert command("interpolate", run_dir, *options, "--output", picture)[0] == 0
    paths = kgan.load(run_dir).interpolate(2, steps=4, labels=7, seed=5)
    expected = kgan.images.grid(paths.reshape(-1, 28, 28, 1), columns=4)
    np.testing.assert_array_equal(kgan.images.load_picture(picture), expected)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("--labels", "1,2,3"), 1, "--labels to give one or two classes. Received: 1,2,3"),
        (("--labels", "3,"), 1, "--labels to give a class by number or name. Received: ."),
        (("--labels", "3,10"), 1, "labels from 10 to 10"),
        (("--steps", "1"), 2, "expected an integer of at least 2, received '1'"),
        (("--output", "film.mp4"), 2, "expected a name in .gif or .png, received 'film.mp4'"),
    ],
)
def test_interpolate_refuses(command, run_dir, tmp_path, monkeypatch, arguments, code, error):
    monkeypatch.chdir(tmp_path)
    found, _, err = command("interpolate", run_dir, *arguments)
    assert found == code
    assert error in err
    assert not list(tmp_path.glob("film.*"))


@pytest.mark.backend_free
def test_more_images_than_memory(command, run_dir, tmp_path):
    code, _, err = command("sample", run_dir, "--count", 10**15, "--output", tmp_path / "s.npz")
    assert code == 1
    assert "kgan: error: Not enough memory: " in err
    assert "smaller --count" in err
    assert not (tmp_path / "s.npz").exists()


@pytest.mark.backend_free
def test_home_directories_are_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    for arguments, name in (
        (["train", "--output=~/x"], "output"),
        (["sample", "m", "--output=~/x.png"], "output"),
        (["reconstruct", "m", "--output=~/x.npz"], "output"),
        (["sample", "~/x"], "model"),
        (["evaluate", "~/x"], "model"),
        (["evaluate", "m", "--report=~/x"], "report"),
    ):
        options = parser().parse_args(arguments)
        found = getattr(options, name)
        assert found.with_suffix("") == Path("/home/somebody/x"), arguments
    nobodys = parser().parse_args(["sample", "~no-such-user/x"])
    assert nobodys.model == Path("~no-such-user/x")


@pytest.mark.backend_free
@pytest.mark.parametrize("damage", ["truncated", "other", "text"])
def test_sample_of_a_damaged_model(command, run_dir, tmp_path, damage):
    path = tmp_path / "damaged.keras"
    if damage == "other":
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    else:
        whole = (run_dir / "model.keras").read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else b"hello")
    code, _, err = command("sample", path, "--output", tmp_path / "s.png")
    assert code == 1
    assert "Expected a model saved by kgan" in err
    assert not (tmp_path / "s.png").exists()


@pytest.mark.backend_free
def test_data_says_what_idx_files_hold(command, tmp_path):
    kgan.data.write_idx(tmp_path / "a.gz", np.zeros((3, 4, 5), "uint8"))
    kgan.data.write_idx(tmp_path / "b", np.zeros(7, "float32"))
    code, out, _ = command("data", tmp_path / "a.gz", tmp_path / "b")
    assert code == 0
    assert out.splitlines() == [
        f"{tmp_path / 'a.gz'}: uint8 3 x 4 x 5, gzipped",
        f"{tmp_path / 'b'}: float32 7",
    ]


@pytest.mark.backend_free
def test_data_reports_a_bad_file_and_goes_on(command, tmp_path):
    (tmp_path / "bad").write_bytes(b"not idx at all")
    kgan.data.write_idx(tmp_path / "good", np.zeros(7, "uint8"))
    code, out, err = command("data", tmp_path / "bad", tmp_path / "good", tmp_path / "none")
    assert code == 1
    assert "good: uint8 7" in out
    assert str(tmp_path / "bad") in err
    assert str(tmp_path / "none") in err


@pytest.mark.backend_free
@pytest.mark.skipif(sys.platform == "darwin", reason="all names are UTF-8 there")
def test_names_that_are_not_utf8(tmp_path, monkeypatch):
    name = os.fsencode(tmp_path) + b"/b\xff"
    kgan.data.write_idx(os.fsdecode(name), np.zeros(7, "uint8"))
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, "utf-8", errors="strict"))
    assert cli.main(["data", os.fsdecode(name)]) == 0
    assert printed.getvalue() == name + b": uint8 7\n"


@pytest.mark.backend_free
def test_letters_that_the_terminal_has_not(tmp_path, monkeypatch):
    kgan.data.write_idx(tmp_path / "é", np.zeros(7, "uint8"))
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, "cp932", errors="strict"))
    assert cli.main(["data", str(tmp_path / "é")]) == 0
    assert printed.getvalue() == os.fsencode(tmp_path) + b"/?: uint8 7\n"


@pytest.mark.backend_free
def test_a_reader_who_leaves_ends_the_command_at_its_next_line(command, tmp_path, monkeypatch):
    kgan.data.write_idx(tmp_path / "data", np.zeros(7, "uint8"))
    readable, writable = os.pipe()
    os.close(readable)
    with os.fdopen(writable, "w", buffering=1) as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert command("data", tmp_path / "data", tmp_path / "none") == (141, "", "")


@pytest.mark.backend_free
@pytest.mark.parametrize("argument", ["--version", "--help"])
@pytest.mark.parametrize("output", ["closed", "full"])
def test_output_that_cannot_be_written(argument, output):
    if output == "full":
        if not Path("/dev/full").exists():
            pytest.skip("there is no /dev/full")
        writable = os.open("/dev/full", os.O_WRONLY)
    else:
        readable, writable = os.pipe()
        os.close(readable)
    # As a shell begins it: what is printed waits until there is much of it, or the end.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [*COMMAND, argument],
        check=False,
        stdout=writable,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    os.close(writable)
    full = "kgan: error: [Errno 28] No space left on device\n"
    assert (done.returncode, done.stderr) == ((1, full) if output == "full" else (141, ""))


@pytest.mark.backend_free
def test_recipes_lists_them_all(command):
    code, out, _ = command("recipes")
    assert code == 0
    lines = [line for line in out.splitlines() if not line.startswith(" ")]
    told = [line.split(":")[0].removesuffix(" (default)") for line in lines]
    assert told == kgan.recipes.names()
    assert kgan.recipes.get("r3gan").differences in out


@pytest.fixture
def pets(tmp_path, monkeypatch):
    """A folder of pictures in two classes, and held-out ones of the second class."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    random = np.random.default_rng(0)
    for name in ("train/cat", "train/dog", "test/dog"):
        folder = tmp_path / "pets" / name
        folder.mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 256, (12, 8 + number, 3), dtype="uint8")
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "pets"


def test_a_folder_of_pictures(command, pets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = ("--steps-per-epoch", 2, "--batch-size", 8, "--recipe", "conditional_dcgan")
    options = ("--data", "pets", "--image-size", "8x12", "--horizontal-flip")
    code, out, err = command("train", *options, *short, "--epochs", 1, "--evaluate", 0)
    assert code == 0, err
    assert "Training conditional_dcgan on pets (40 images of 8x12x3)" in out
    run = tmp_path / "runs" / "pets-conditional_dcgan-001"
    config = runs.read_config(run / "config.json")
    assert (config.dataset, config.data_dir) == ("folder", str(pets))
    assert (config.image_size, config.class_names) == ([8, 12], ["cat", "dog"])
    names = kgan.images.grid(np.zeros((16, 8, 12, 3), "uint8"), columns=8, row_names=["cat", "dog"])
    with Image.open(run / "samples" / "epoch_0001.png") as grid:
        assert grid.size == names.shape[1::-1]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, out, err = command("train", "--resume", "--output", run, "--epochs", 2)
    assert code == 0, err
    assert len(history(run)) == 2
    assert command("sample", run, "--label", "dog", "--count", 2, "--output", "two.npz")[0] == 0
    with np.load("two.npz") as two:
        assert two["labels"].tolist() == [1, 1]
    code, _, err = command("sample", run, "--label", "cow")
    assert code == 1
    assert "Expected --label to give a class by number or name: cat, dog. Received: cow" in err
    ends = ("--labels", "dog,0", "--count", 2, "--steps", 3, "--output", "paths.png")
    assert command("interpolate", run, *ends)[0] == 0
    with Image.open("paths.png") as paths:  # images of 12 x 8 pixels, at most 100 when enlarged
        assert paths.size == (3 * 96 + 2 * 2, 2 * 64 + 2)
    assert command("interpolate", run, *ends[2:])[0] == 0
    names = kgan.images.grid(
        np.zeros((6, 8, 12, 3), "uint8"), columns=3, row_names=["cat", "dog"], scale=8
    )
    drawn = kgan.images.load_picture("paths.png")
    np.testing.assert_array_equal(drawn[:, :-292], names[:, :-292])
    code, _, err = command("interpolate", run, "--labels", "cat,cow")
    assert code == 1
    assert "Expected --labels to give a class by number or name: cat, dog. Received: cow" in err
    measure = ("--count", 20, "--features", "pixels", "--json")
    for more in ((), ("--split", "test"), ("--data", pets / "test")):
        code, out, err = command("evaluate", run, *measure, *more)
        assert code == 0, err
        assert json.loads(out)["figures"]["kid"]["count"] == 20
    code, out, err = command("evaluate", run, *measure, "--truncations", "1,0.5")
    assert code == 0, err
    assert json.loads(out)["truncation"]["truncations"] == [0.5, 1.0, None]
    assert command("sample", run, "--truncation", 0.5, "--output", "truncated.png")[0] == 0


def test_pictures_get_the_size_of_the_run_that_training_starts_from(
    command, pets, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    short = ("--steps-per-epoch", 1, "--batch-size", 8, "--epochs", 1, "--evaluate", 0)
    old, new = tmp_path / "old", tmp_path / "new"
    command("train", "--data", "pets", "--image-size", "8x12", *short, "--output", old)
    code, out, err = command(
        "train", "--data", "pets/train", "--from", old, *short, "--output", new
    )
    assert code == 0, err
    assert "(40 images of 8x12x3)" in out
    code, _, err = command("train", "--data", "pets", "--from", old, *short, "--image-size", 16)
    assert code == 1
    assert "images (batch, 16, 16, 3), as in the data" in err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--data", "pets", "--dataset", "mnist"), "Expected --data, or --dataset and --data-dir"),
        (("--data", "missing"), "Expected a folder of pictures"),
        (("--data", "pets", "--image-size", "8x"), "HEIGHTxWIDTH such as 48x64, received '8x'"),
        (("--dataset", "digits", "--image-size", "8"), "Expected no image_size"),
    ],
)
def test_wrong_arguments_for_pictures(command, pets, tmp_path, monkeypatch, arguments, error):
    monkeypatch.chdir(tmp_path)
    code, _, err = command("train", *arguments)
    assert code != 0
    assert error in err
    assert not (tmp_path / "runs").exists()


def test_a_resumed_run_keeps_its_pictures(command, pets, tmp_path, monkeypatch):
    short = ("--steps-per-epoch", 1, "--batch-size", 8, "--epochs", 1, "--evaluate", 0)
    run = tmp_path / "run"
    assert command("train", "--data", pets, *short, "--output", run)[0] == 0
    code, _, err = command("train", "--resume", "--output", run, "--image-size", 16)
    assert code == 1
    assert "A resumed run keeps its image_size. Expected [12, 8], or no value" in err


def test_an_epoch_of_small_data_spans_several_passes():
    for asked, expected in ((None, 1000), (7, 7)):
        config = runs.RunConfig(dataset="digits", batch_size=32, steps_per_epoch=asked)
        run = runs.Run(Path("nowhere"), *runs.load_data(config, print), model=None)
        assert run.steps_per_epoch == expected


@pytest.mark.backend_free
def test_names_of_data_sets_stay_below_the_root(tmp_path):
    for name, expected in (
        ("mnist", "mnist-dcgan_r1-001"),
        ("tfds:mnist_corrupted/fog", "tfds-mnist_corrupted-fog-dcgan_r1-001"),
        ("tfds:../../x", "tfds-..-..-x-dcgan_r1-001"),
    ):
        directory = runs.new_directory(tmp_path / "runs", name, "dcgan_r1")
        assert directory.parent == tmp_path / "runs"
        assert directory.name == expected
        assert directory.is_dir()


@pytest.mark.backend_free
def test_runs_that_begin_together_have_directories_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        made = threads.map(lambda _: runs.new_directory(tmp_path, "digits", "dcgan_r1"), range(40))
        names = sorted(directory.name for directory in made)
    assert names == [f"digits-dcgan_r1-{number:03d}" for number in range(1, 41)]


@pytest.mark.backend_free
def test_progress_leaves_out_lines_of_one_kind_that_come_fast(capsys, monkeypatch):
    times = iter([0.0, 1.0, 1.1, 6.0, 7.0])
    monkeypatch.setattr("kgan.cli.terminal.time", SimpleNamespace(monotonic=lambda: next(times)))
    say = Progress(seconds=5.0)
    for line in ("images 1 to 2", "images 3 to 4", "floors", "images 5 to 6", "images 7 to 8"):
        say(line)
    assert capsys.readouterr().err.splitlines() == [
        "images 1 to 2 ...", "floors ...", "images 5 to 6 ...",
    ]  # fmt: skip


@pytest.mark.backend_free
def test_python_m_kgan():
    done = subprocess.run(
        [sys.executable, "-m", "kgan", "--version"], check=True, capture_output=True, text=True
    )
    assert done.stdout == f"kgan {kgan.__version__}\n"


def loads_keras(*arguments):
    """Whether the command loads Keras, with these arguments; it prints nothing to stderr."""
    look = (
        "import sys\n"
        "from _kgan_command import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit('keras' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", look, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout
    assert done.stderr == ""
    return bool(done.returncode)


@pytest.mark.backend_free
def test_light_commands_load_no_backend(tmp_path):
    kgan.data.write_idx(tmp_path / "a", np.zeros(7, "uint8"))
    for arguments in (
        ["--version"], ["--help"], ["train", "--help"], ["recipes"], ["data", str(tmp_path / "a")]
    ):  # fmt: skip
        assert not loads_keras(*arguments), arguments


@pytest.mark.backend_free
def test_the_installed_command_is_that_entry_point():
    (found,) = importlib.metadata.distribution("kgan").entry_points.select(name="kgan")
    assert found.value == "_kgan_command:main"


@pytest.mark.backend_free
def test_interrupted_run_is_usable(tmp_path):
    directory = tmp_path / "run"
    train = [
        *COMMAND,
        "train",
        "--dataset",
        "digits",
        "--steps-per-epoch",
        "20",
        "--epochs",
        "1000",
        "--evaluate",
        "0",
        "--output",
        directory,
    ]
    with subprocess.Popen(train, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
        deadline = time.monotonic() + 120
        while not (directory / "samples" / "epoch_0001.png").exists():
            assert p.poll() is None, p.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        p.send_signal(signal.SIGTERM)  # Ctrl-C: test_processes.py
        out, _ = p.communicate(timeout=60)
    assert p.returncode == 128 + signal.SIGTERM
    assert f"kgan train --resume --output {directory}" in out
    assert "Traceback" not in out
    gan = keras.saving.load_model(directory / "model.keras")
    if gan.batches_trained:  # the signal may have come between two epochs
        assert f"after batch {gan.batches_trained} of epoch {gan.epochs_trained + 1}." in out
    assert gan.epochs_trained == len(history(directory)) > 0
    assert (directory / "training.gif").is_file()


def test_evaluate_prints_figures_and_writes_a_report(command, run_dir, tmp_path):
    code, out, err = command("evaluate", run_dir, "--count", 60, "--report", tmp_path / "report")
    assert code == 0, err
    assert [line.split("  ")[0] for line in out.splitlines()[2:]] == [
        kgan.metrics.figures.title_of(name, "mnist_classifier")
        for name in (
            "fcd", "kid", "precision", "recall", "density", "coverage", "label_accuracy",
            "class_divergence", "modes", "inception_score", "support", "authenticity",
        )
    ]  # fmt: skip
    page = (tmp_path / "report" / "report.html").read_text()
    assert "digits" in page
    # The same figures, for whoever asks Python.
    gan = keras.saving.load_model(run_dir / "model.keras")
    found = kgan.evaluate(gan, kgan.data.load_digits("train"), count=60)
    assert out.strip() == str(found)


@pytest.mark.backend_free
def test_evaluate_writes_a_model_card(command, run_dir, monkeypatch):
    code, out, err = command("evaluate", run_dir, "--count", 60, "--card")
    assert code == 0, err
    assert f"Card: {run_dir / 'model_card.md'}" in err
    card = (run_dir / "model_card.md").read_text()
    for fact in (
        "| model | `kgan.GAN` |", "| training data | digits |", "| images | 28 x 28 x 1 |",
        "| classes | 10 |", "| epochs | 2 |", "| steps | 4 |", "| batch size | 8 |", "| seed | 0 |",
        f"| trained with | kgan {kgan.__version__}, keras {keras.version()}, ",
    ):  # fmt: skip
        assert fact in card
    assert "class names" not in card  # digits have none
    # The scores are those that the command prints.
    printed = {tuple(re.split(r" {2,}", line.strip())) for line in out.splitlines()[2:]}
    table = card.split("## Metrics")[1].split("## Load it")[0]
    rows = [tuple(filter(None, map(str.strip, row.split("|")))) for row in table.splitlines()]
    assert printed <= set(rows)
    # Its lines of Python load the model.
    monkeypatch.chdir(run_dir.parent)
    found = {}
    exec(card.split("```python\n")[1].split("```")[0], found)
    expected = kgan.load(run_dir).generate(16, seed=1)
    np.testing.assert_array_equal(found["images"], expected)


@pytest.mark.backend_free
def test_evaluate_writes_the_card_of_a_model_alone(command, run_dir, tmp_path):
    shutil.copy(run_dir / "model.keras", tmp_path / "alone.keras")
    options = ("--dataset", "digits", "--count", 60, "--card", tmp_path / "new" / "card.md")
    code, _, err = command("evaluate", tmp_path / "alone.keras", *options)
    assert code == 0, err
    card = (tmp_path / "new" / "card.md").read_text()
    assert card.startswith("# alone.keras\n")
    assert "kgan.load('alone.keras')" in card
    assert "| epochs | 2 |" in card
    assert "| recipe |" not in card  # the file does not know


@pytest.mark.backend_free
def test_evaluate_as_json(command, run_dir):
    code, out, _ = command(
        "evaluate", run_dir / "model.keras", "--count", 60, "--json", "--bootstrap", 20, "--seed", 3
    )
    read = json.loads(out)
    assert code == 0
    assert read["seed"] == 3
    assert read["figures"]["recall"]["count"] == 60
    assert len(read["figures"]["recall"]["interval"]) == 2


@pytest.mark.backend_free
def test_evaluate_needs_to_know_the_images(command, run_dir, tmp_path):
    alone = tmp_path / "model.keras"
    alone.write_bytes((run_dir / "model.keras").read_bytes())
    code, _, err = command("evaluate", alone)
    assert code == 1
    assert "Expected --dataset NAME, since there is no config.json next to" in err
    (tmp_path / "config.json").write_text('{"model_type": "of somebody else"}')
    (tmp_path / "history.csv").write_text("of,somebody\n1,2\n")
    code, _, err = command("evaluate", alone, "--dataset", "digits", "--count", 60)
    assert code == 0, err
    code, _, err = command("evaluate", alone, "--dataset", "digits", "--features", "imagenet")
    assert code == 1
    assert "Expected features by name, one of 'mnist', 'cifar10', 'stacked_mnist'" in err


@pytest.mark.backend_free
def test_train_puts_figures_into_the_history_unless_told_not_to(command, run_dir, tmp_path):
    assert float(history(run_dir)[1]["val_fcd"]) > 0
    code, _, err = command(
        "train", *SHORT, "--epochs", 1, "--evaluate", 0, "--output", tmp_path / "plain"
    )
    assert code == 0, err
    assert "val_fcd" not in history(tmp_path / "plain")[0]


@pytest.mark.backend_free
def test_train_computes_in_the_precision_that_is_asked_for(command, tmp_path):
    policy, output = "mixed_bfloat16", tmp_path / "mixed"
    code, _, err = command(
        "train",
        *SHORT,
        "--epochs",
        1,
        "--evaluate",
        0,
        "--dtype-policy",
        policy,
        "--output",
        output,
    )
    assert code == 0, err
    layers = runs.Run.open(output).model.generator.layers
    policies = [layer.dtype_policy.name for layer in layers if layer.weights]
    assert policies.count(policy) > len(policies) / 2
    assert (
        runs.read_config(output / "config.json").dtype_policy == policy
    )  # so --resume does not change it


@pytest.mark.backend_free
def test_a_run_that_diverges_says_so_and_keeps_its_last_good_model(command, tmp_path, monkeypatch):
    from kgan import losses

    def broken(self, real_logits, fake_logits):
        return keras.ops.mean(real_logits) * float("nan")

    monkeypatch.setattr(losses.NonSaturating, "discriminator_loss", broken)
    directory = tmp_path / "run"
    code, _, err = command("train", *SHORT, "--epochs", 2, "--output", directory)
    assert code == 1
    assert "kgan: warning: Training ends at epoch 1, batch 1: discriminator_loss is nan" in err
    assert "kgan: warning: Not saved" in err
    assert keras.saving.load_model(directory / "model.keras").epochs_trained == 0
