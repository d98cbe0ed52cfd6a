"""Files that somebody has tampered with: an error, and no code of theirs is run.

Each attack is shown to be one: loaded as it must not be, it leaves the canary behind.
"""

import base64
import copy
import importlib
import io
import json
import marshal
import os
import stat
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest

import kgan
from kgan import cli, runs
from kgan._versions import KERAS
from kgan.metrics import _classifiers
from kgan.metrics.cache import cached_features

# Reading configurations and archives is no backend's business.
pytestmark = pytest.mark.backend_free

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """What is in the file of an honest GAN, by name."""
    gan = kgan.GAN(*kgan.networks.mlp((8, 8, 1), latent_dim=4, width=4), seed=3)
    gan.compile(penalties="r1", augmentation="diff_augment", ema_decay=0.9)
    path = tmp_path_factory.mktemp("honest") / "gan.keras"
    gan.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """Where hostile code writes."""
    path = tmp_path / "canary"
    monkeypatch.setenv("CANARY", str(path))
    return path


@pytest.fixture
def written(tmp_path, members):
    """Writes a file: `written({name: content or None for none there}, config=...)`."""

    def write(changes=(), config=None):
        content = {**members, **dict(changes)}
        if config is not None:
            content[CONFIG] = json.dumps(config).encode()
        path = tmp_path / "hostile.keras"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                if data is not None:
                    archive.writestr(name, data)
        return path

    return write


@pytest.fixture
def config(members):
    return json.loads(members[CONFIG])


# What hostile code does. It finds nothing imported where it is run.
sing = lambda *args: (  # noqa: E731
    open(__import__("os").environ["CANARY"], "w").close(),  # noqa: PTH123
    args[0] if args else 0.0,
)[1]

LAMBDA = {
    "class_name": "__lambda__",
    "config": {
        "value": base64.b64encode(marshal.dumps(sing.__code__)).decode(),
        "defaults": None,
        "closure": None,
    },
}


def load(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of unsafe loading, and of members that are left out
        return keras.saving.load_model(path, **options)


# ---- code within the file ------------------------------------------------------------------------


def lambda_layer():
    return keras.layers.Lambda(sing, name="lambda")


def gan_of(network):
    """A GAN with a Lambda layer in one of its networks."""
    latent, image = keras.Input((4,)), keras.Input((8, 8, 1))
    to_image = keras.Sequential([keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))])
    to_logit = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    before = lambda_layer() if network == "generator" else keras.layers.Identity()
    generator = keras.Model(latent, to_image(before(latent)))
    before = lambda_layer() if network == "discriminator" else keras.layers.Identity()
    return kgan.GAN(generator, keras.Model(image, to_logit(before(image))))


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_lambda_layer_is_not_run(tmp_path, canary, network):
    path = tmp_path / "gan.keras"
    gan = gan_of(network)
    gan.save(path)
    config = keras.saving.serialize_keras_object(gan)
    canary.unlink()  # made while the network was

    for refused in (
        lambda: keras.saving.load_model(path),
        lambda: keras.saving.load_model(path, compile=False),
        lambda: runs.Run.open(path).model,
        lambda: keras.saving.deserialize_keras_object(copy.deepcopy(config)),
        lambda: kgan.GAN.from_config(copy.deepcopy(config["config"])),
    ):
        with pytest.raises(ValueError, match="safe_mode=False"):
            refused()
        assert not canary.exists()

    # As the user wishes; so the code is such that would have run.
    load(path, safe_mode=False)
    assert canary.exists()
    canary.unlink()
    keras.saving.deserialize_keras_object(config, safe_mode=False)
    assert canary.exists()


def test_a_learning_rate_that_is_code_is_not_run(written, config, canary):
    config["compile_config"]["discriminator_optimizer"]["config"]["learning_rate"] = LAMBDA
    path = written(config=config)
    with pytest.raises(ValueError, match="Python lambda"):
        keras.saving.load_model(path)
    assert not canary.exists()
    # To make images, nothing of it is read.
    assert runs.Run.open(path, compile=False).model.generate(1).shape == (1, 8, 8, 1)
    assert not canary.exists()
    load(path, safe_mode=False)
    assert canary.exists()


COMPILED = [
    "generator_optimizer",
    "discriminator_optimizer",
    "loss",
    "penalties",
    "augmentation",
    "discriminator_steps",
    "ema_decay",
]


@pytest.mark.parametrize("argument", COMPILED)
def test_code_in_the_place_of_an_argument_of_compile(written, config, canary, argument):
    config["compile_config"][argument] = [LAMBDA] if argument == "penalties" else LAMBDA
    path = written(config=config)
    with pytest.raises(ValueError, match="Python lambda"):
        keras.saving.load_model(path)
    # Made into a function where that is allowed, it is none of what is asked for, and not called.
    with pytest.raises((ValueError, TypeError), match=r"(?s)function|module") as error:
        load(path, safe_mode=False)
    assert "Python lambda" not in str(error.value)
    assert not canary.exists()


def test_an_optimizers_and_layers_within_layers_keep_safe(canary):
    pair = kgan.training.Optimizers(
        {"generator": keras.optimizers.Adam(), "discriminator": keras.optimizers.Adam()}
    )
    pair = keras.saving.serialize_keras_object(pair)
    pair["config"]["by_role"]["generator"]["config"]["learning_rate"] = LAMBDA
    pair["config"]["learning_rate_ratios"] = None  # so that it asks for the rates
    wrapped = keras.saving.serialize_keras_object(
        kgan.layers.SpectralNormalization(keras.layers.Dense(3))
    )
    wrapped["config"]["layer"]["config"]["activation"] = LAMBDA
    for config in (pair, wrapped):
        with pytest.raises((ValueError, TypeError), match="Python lambda"):
            keras.saving.deserialize_keras_object(copy.deepcopy(config))
    assert not canary.exists()
    keras.saving.deserialize_keras_object(pair, safe_mode=False)
    assert canary.exists()
    canary.unlink()
    keras.saving.deserialize_keras_object(wrapped, safe_mode=False)(np.ones((1, 2), "float32"))
    assert canary.exists()


# ---- code elsewhere, by name ---------------------------------------------------------------------


def by_name(module, name, **arguments):
    return {"module": module, "class_name": name, "config": arguments, "registered_name": None}


def naively(config):
    """What a loader does that trusts what it reads."""
    made = getattr(importlib.import_module(config["module"]), config["class_name"])
    return made(*config["config"].values())


NAMED = {
    "os": lambda path: by_name("os", "mkdir", path=path),
    "builtins": lambda path: by_name("builtins", "exec", code=f"import os; os.mkdir({path!r})"),
    "kgan": lambda path: by_name("kgan.images", "save_png", path=path, image=[[[0]]]),
    "keras": lambda path: by_name("keras.src.utils.file_utils", "makedirs", path=path),
}
PLACES = {
    "the model": lambda config, code: config.update(code),
    "generator": lambda config, code: config["config"].update(generator=code),
    "a layer": lambda config, code: config["config"]["generator"]["config"]["layers"][1].update(
        code
    ),
    "an activation": lambda config, code: config["config"]["generator"]["config"]["layers"][1][
        "config"
    ].update(activation=code),
    "loss": lambda config, code: config["compile_config"].update(loss=code),
    "penalties": lambda config, code: config["compile_config"].update(penalties=[code]),
    "augmentation": lambda config, code: config["compile_config"].update(augmentation=code),
}


@pytest.mark.parametrize("named", NAMED)
def test_classes_and_functions_by_name_are_not_called(written, config, canary, named):
    code = NAMED[named](str(canary))
    call = {**code, "config": dict(code["config"])}
    if named == "kgan":
        call["config"]["image"] = np.zeros((1, 1, 1), "uint8")
    naively(call)
    assert canary.exists()
    canary.rmdir() if canary.is_dir() else canary.unlink()

    as_function = {**code, "class_name": "function", "config": code["class_name"]}
    for place in PLACES.values():
        for form in (code, as_function):
            # Nor where Python lambdas are allowed.
            for options in ({"safe_mode": True}, {"safe_mode": False}):
                changed = copy.deepcopy(config)
                place(changed, form)
                with pytest.raises((ValueError, TypeError)):
                    load(written(config=changed), **options)
                assert not canary.exists()


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("the model", "kgan>Optimizers"),
        ("the model", "kgan>R1"),
        ("generator", "kgan>GAN"),
        ("generator", "kgan>R1"),
        ("loss", "kgan>R1"),
        ("penalties", "kgan>Hinge"),
        ("augmentation", "kgan>InfoGAN"),
    ],
)
def test_another_registered_class_in_the_place_of_one(written, config, place, name):
    at = {"the model": config, "generator": config["config"]["generator"]}.get(place)
    if at is None:
        at = config["compile_config"][place]
        at = at[0] if isinstance(at, list) else at
    at["registered_name"] = name
    with pytest.raises(ValueError, match="Expected a model saved by kgan"):
        runs.Run.open(written(config=config))


# ---- the archive ---------------------------------------------------------------------------------


def assert_loads(path):
    assert load(path).generate(2, seed=0).shape == (2, 8, 8, 1)


def escaping(kind):
    """A member whose name, or whose link, leads out of the directory it is unpacked to."""
    name = {
        "up": "assets/../../../escaped",
        "backslash": "assets\\..\\..\\..\\escaped",
        "absolute": "{outside}/escaped",
        "link": "assets/link",
    }[kind]
    member = zipfile.ZipInfo(name)
    if kind == "link":
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize("kind", ["up", "backslash", "absolute", "link"])
def test_no_member_is_unpacked_outside(written, tmp_path, monkeypatch, kind):
    path, outside, inside = written(), tmp_path / "outside", tmp_path / "a" / "b" / "c"
    for directory in (outside, inside):
        directory.mkdir(parents=True)
    member = escaping(kind)
    member.filename = member.filename.format(outside=outside)
    content = str(outside) if kind == "link" else "here"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, content)
        if kind == "link":
            archive.writestr("assets/link/escaped", "here")
    unpacked = []

    def temporary():
        unpacked.append(str(inside))
        return str(inside)

    monkeypatch.setattr(keras.src.saving.saving_lib, "get_temp_dir", temporary)
    before = {p for p in tmp_path.rglob("*") if inside not in p.parents}
    try:
        assert_loads(path)
    except (ValueError, OSError):
        assert kind == "link"  # two members, of which one is in the other's way
    except AttributeError:
        assert KERAS < (3, 14)  # which fails to say what it skips
    assert unpacked  # so there was something to escape from
    after = {p for p in tmp_path.rglob("*") if inside not in p.parents}
    assert after - {inside} == before - {inside}


def h5_with(data, change):
    file = io.BytesIO(data)
    with h5py.File(file, "r+") as h5:
        change(h5)
    return file.getvalue()


KERNEL = "generator/layers/dense/vars/0"


def replaced(value, name=KERNEL):
    def change(h5):
        del h5[name]
        if value is not None:
            h5[name] = value

    return change


WEIGHT_CHANGES = {
    "shape": replaced(np.zeros((4, 5), "float32")),
    "rank": replaced(np.zeros((4,), "float32")),
    "text": replaced("a text"),
    "objects": replaced(np.array([b"cos\nsystem\n"], dtype=h5py.string_dtype())),
    "missing": replaced(None),
    "group": lambda h5: h5.__delitem__("generator"),
    "soft link": replaced(h5py.SoftLink("/discriminator/layers/dense/vars/0")),
    "external link": replaced(h5py.ExternalLink("/etc/hostname", "/x")),
    "noise": replaced(None, "vars/noise_0"),
    "epochs": replaced("many", "vars/epochs_trained"),
    "average": replaced(np.zeros((1, 1)), "layers/averaged_network/network/layers/dense/vars/0"),
}


@pytest.mark.parametrize("change", WEIGHT_CHANGES)
def test_weights_that_do_not_fit(written, members, change):
    path = written({WEIGHTS: h5_with(members[WEIGHTS], WEIGHT_CHANGES[change])})
    with pytest.raises(Exception, match=r".+"):
        load(path)
    for options in ({}, {"compile": False}):
        with pytest.raises(ValueError, match="Expected a model saved by kgan"):
            runs.Run.open(path, **options)


@pytest.mark.filterwarnings("ignore")  # as if nobody looked at them
def test_an_optimizer_that_has_lost_its_moments_is_no_model_to_train_on(written, members):
    def change(h5):
        del h5["optimizer/generator_optimizer/vars/5"]

    path = written({WEIGHTS: h5_with(members[WEIGHTS], change)})
    with pytest.raises(ValueError, match="Skipping variable loading for optimizer"):
        runs.Run.open(path)
    assert runs.Run.open(path, compile=False).model.generate(1).shape == (1, 8, 8, 1)


class Hostile:
    def __reduce__(self):
        return os.mkdir, (os.environ["CANARY"],)


@pytest.mark.filterwarnings("ignore")  # of the rest that is missing
def test_arrays_are_never_unpickled(tmp_path, written, canary, monkeypatch):
    array = np.empty(1, object)
    array[0] = Hostile()
    weights = tmp_path / "weights.npz"
    np.savez(weights, **{"generator/layers/dense": array})

    # Keras would also read weights that NumPy wrote; before 3.14 it misses others first.
    with pytest.raises(ValueError, match="allow_pickle" if KERAS >= (3, 14) else "'noise_0'"):
        runs.Run.open(written({WEIGHTS: None, "model.weights.npz": weights.read_bytes()}))
    np.savez(weights, **{"0": array})
    with pytest.raises(ValueError, match="allow_pickle"):
        _classifiers.read_weights(weights)
    # What is in the cache of features is taken for damaged, and replaced.
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    images = np.zeros((20, 8, 8, 1), "uint8")
    pixels = kgan.metrics.get_features("pixels")
    monkeypatch.setattr(pixels, "fingerprint", lambda: "pixels", raising=False)
    expected = cached_features(pixels, images)
    (cached,) = (tmp_path / "home").rglob("*.npz")
    np.savez(cached, vectors=array)
    np.testing.assert_array_equal(cached_features(pixels, images).vectors, expected.vectors)
    with np.load(cached) as file:
        np.testing.assert_array_equal(file["vectors"], expected.vectors)

    assert not canary.exists()
    with np.load(weights, allow_pickle=True) as file, pytest.raises(FileExistsError):
        file["0"], file["0"]
    assert canary.exists()


@pytest.mark.parametrize("missing", [CONFIG, WEIGHTS])
def test_a_member_is_missing(written, missing):
    with pytest.raises(ValueError, match="Expected a model saved by kgan"):
        runs.Run.open(written({missing: None}))


@pytest.mark.parametrize("metadata", [None, b"", b'{"keras_version": "99.0.0"}'])
def test_what_another_version_says_of_itself_is_not_needed(written, metadata):
    assert_loads(written({METADATA: metadata}))


@pytest.mark.parametrize("text", [b"", b"[]", b"3", b"null", b"{}", b"[" * 100_000, b"\xff\xfe"])
def test_a_config_that_is_none(written, text):
    with pytest.raises(ValueError, match="Expected a model saved by kgan"):
        runs.Run.open(written({CONFIG: text}))


def test_flipped_bytes_are_an_error_or_change_nothing(written):
    path = written()
    whole = path.read_bytes()
    honest = load(path, compile=False).get_weights()
    # In the headers of the archive, at its end, and anywhere.
    random = np.random.default_rng(0)
    places = [*random.integers(0, len(whole), 8), 0, 8, -50, -10]
    damage = []
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            weights = runs.Run.open(path, compile=False).model.get_weights()
        except ValueError as error:
            damage.append(str(error))
        else:
            for a, b in zip(weights, honest, strict=True):
                np.testing.assert_array_equal(a, b)
    assert len(damage) > len(places) / 3
    assert all(message.startswith("Expected a model saved by kgan") for message in damage)


# ---- the command ---------------------------------------------------------------------------------


@pytest.fixture
def run_dir(tmp_path, members):
    directory = tmp_path / "run"
    directory.mkdir()
    content = {"run": {"dataset": "digits", "epochs": 2, "steps_per_epoch": 2, "batch_size": 8}}
    (directory / "config.json").write_text(json.dumps(content))
    return directory


def hostile_file(kind, config, members, written):
    if kind == "lambda":
        config["config"]["generator"]["config"]["layers"][1]["config"]["activation"] = LAMBDA
        return written(config=config)
    if kind == "named":
        PLACES["generator"](config, by_name("os", "system", command="touch $CANARY"))
        return written(config=config)
    if kind == "shapes":
        return written({WEIGHTS: h5_with(members[WEIGHTS], WEIGHT_CHANGES["shape"])})
    path = written()
    path.write_bytes(path.read_bytes()[:-3000])
    return path


@pytest.mark.parametrize("kind", ["lambda", "named", "shapes", "truncated"])
def test_the_command_says_what_is_wrong_and_changes_nothing(
    run_dir, written, config, members, canary, capfd, kind
):
    model = run_dir / "model.keras"
    hostile_file(kind, config, members, written).rename(model)
    before = {path: path.read_bytes() for path in run_dir.iterdir()}
    for arguments in (
        ("sample", model, "--output", run_dir / "samples.png"),
        ("evaluate", run_dir, "--count", 40),
        ("train", "--resume", "--output", run_dir),
    ):
        code = cli.main([str(argument) for argument in arguments])
        _, err = capfd.readouterr()
        assert code == 1
        (line,) = err.splitlines()
        assert line.startswith(f"kgan: error: Expected a model saved by kgan. Received: {model}")
        assert {path: path.read_bytes() for path in run_dir.iterdir()} == before
        assert not canary.exists()
