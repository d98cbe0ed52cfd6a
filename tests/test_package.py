"""What `import kgan` gives and does."""

import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys
import types
import warnings

import pytest
from packaging.requirements import Requirement

import kgan
from kgan import _environment

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize("name", kgan.__all__)
def test_public_names_are_there(name):
    assert getattr(kgan, name) is not None
    assert name in dir(kgan)


def test_unknown_name():
    with pytest.raises(AttributeError, match="'kgan' has no attribute 'GNA'"):
        _ = kgan.GNA


@pytest.mark.parametrize("own", [None, "0", "1"])
def test_onednn_is_on_unless_the_user_says_otherwise(own):
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    if own is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = own
    # As the command starts, which loads no backend before it has one to load.
    look = "import _kgan_command, os, sys, kgan; print(os.environ[sys.stdin.read()])"
    out = subprocess.run(
        [sys.executable, "-c", look],
        input="TF_ENABLE_ONEDNN_OPTS",
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    ).stdout
    assert out.strip() == (own or "1")


# ---- TensorFlow imported first -------------------------------------------------------------------

VNNI = {"avx2", "avx512f", "avx512_vnni"}
AVX2 = {"sse4_2", "avx2", "fma"}


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("system", "machine", "flags", "expected"),
    [
        ("Linux", "x86_64", AVX2, True),
        ("Linux", "x86_64", VNNI, False),
        ("Linux", "x86_64", AVX2 | {"avx_vnni"}, False),
        ("Linux", "x86_64", AVX2 | {"amx_int8"}, False),
        ("Linux", "x86_64", set(), False),  # not known
        ("Linux", "aarch64", {"asimd"}, False),
        ("Windows", "AMD64", set(), True),
        ("Darwin", "x86_64", set(), False),
        ("Darwin", "arm64", set(), False),
    ],
)
def test_cpus_on_which_tensorflow_leaves_onednn_off(system, machine, flags, expected):
    assert _environment.lacks_onednn_by_default(system, machine, flags) is expected


def prepared(monkeypatch, modules, backend, is_slow=True):
    """The warnings of `import kgan`, with TF_ENABLE_ONEDNN_OPTS unset before."""
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr(_environment, "_is_slow_by_default", lambda: is_slow)
    for name in ("keras", "tensorflow"):
        if name in modules:
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        else:
            monkeypatch.delitem(sys.modules, name, raising=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _environment.prepare()
        _environment.prepare()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
    return [(each.category, str(each.message)) for each in caught]


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("modules", "backend", "is_slow", "expected"),
    [
        (["keras", "tensorflow"], "tensorflow", True, 1),
        (["tensorflow"], "tensorflow", True, 1),
        (["keras", "tensorflow"], "tensorflow", False, 0),
        (["keras"], "tensorflow", True, 0),
        ([], "tensorflow", True, 0),
        (["keras", "tensorflow"], "jax", True, 0),
    ],
)
def test_keras_before_kgan_is_reported_once_where_it_costs_speed(
    monkeypatch, modules, backend, is_slow, expected
):
    found = prepared(monkeypatch, modules, backend, is_slow)
    assert len(found) == expected
    for category, message in found:
        assert category is UserWarning
        assert "Put `import kgan` before `import keras`" in message
        assert "TF_ENABLE_ONEDNN_OPTS=1" in message


@pytest.mark.backend_free
@pytest.mark.parametrize("own", ["0", "1"])
def test_a_variable_that_is_set_is_not_reported(monkeypatch, own):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", own)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setattr(_environment, "_is_slow_by_default", lambda: True)
    monkeypatch.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))
    _environment.prepare()  # a warning would be an error here
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == own


@pytest.mark.backend_free
def test_the_warning_points_at_the_import_of_kgan(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import platform, sys, types\n"
        "sys.modules['tensorflow'] = types.ModuleType('tensorflow')\n"  # stands for the real one
        "platform.system, platform.machine = lambda: 'Windows', lambda: 'AMD64'\n"
        "import _kgan_command\n"  # so that no backend is loaded
        "import kgan\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    done = subprocess.run(
        [sys.executable, script],
        check=True,
        capture_output=True,
        text=True,
        env={**environment, "KERAS_BACKEND": "tensorflow"},
    )
    assert f"{script}:5: UserWarning: TensorFlow was imported before kgan" in done.stderr
    assert done.stderr.count("UserWarning") == 1


def import_kgan(tmp_path, installed, own=None, configured=None):
    """The backend that `import kgan` has Keras load, where only `installed` are; or the error."""
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    environment["KERAS_HOME"] = str(tmp_path)
    if own is not None:
        environment["KERAS_BACKEND"] = own
    if configured is not None:
        (tmp_path / "keras.json").write_text(json.dumps({"backend": configured}))
    # Stand-ins for installed packages; Keras itself is not imported.
    for name in installed:
        (tmp_path / "site" / name).mkdir(parents=True)
        (tmp_path / "site" / name / "__init__.py").touch()
    look = (
        "import importlib.util, os, sys\n"
        "find = importlib.util.find_spec\n"
        "hidden = {'tensorflow', 'jax', 'torch'} - set(sys.argv[1:])\n"
        "importlib.util.find_spec = lambda name: None if name in hidden else find(name)\n"
        "import _kgan_command\n"
        "from kgan import _environment\n"
        "_environment.require_backend()\n"
        "print(os.environ.get('KERAS_BACKEND'))\n"
    )
    environment["PYTHONPATH"] = str(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-c", look, *installed],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    ("installed", "own", "configured", "expected"),
    [
        (["tensorflow", "jax", "torch"], None, None, "None"),  # Keras's own default, untouched
        (["jax", "torch"], None, None, "jax"),
        (["torch"], None, None, "torch"),
        (["tensorflow", "torch"], None, "torch", "None"),
        (["tensorflow", "torch"], None, "jax", "tensorflow"),
        (["tensorflow", "torch"], "torch", None, "torch"),
    ],
)
def test_keras_takes_a_backend_that_is_installed(tmp_path, installed, own, configured, expected):
    assert import_kgan(tmp_path, installed, own, configured) == expected


@pytest.mark.backend_free
@pytest.mark.skipif(sys.platform == "win32", reason="homes are found otherwise there")
def test_there_need_be_no_home_directory():
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KERAS_")}
    environment.pop("HOME", None)
    look = (
        "import pwd, sys\n"
        "def nobody(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = nobody\n"  # as for a user of a container that has a number only
        "import _kgan_command\n"
        "import kgan\n"
        "from kgan._files import cache_directory\n"
        "try: cache_directory('mnist')\n"
        "except OSError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], check=False, capture_output=True, text=True, env=environment
    )
    assert "variable KERAS_HOME to a directory" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("installed", "own", "expected"),
    [
        ([], None, "'tensorflow', which is not installed. Install it with `pip install 'kgan[te"),
        (["jax"], "torch", "'torch', which is not installed. Installed: jax. Install it with"),
    ],
)
def test_a_missing_backend_is_said(tmp_path, installed, own, expected):
    assert expected in import_kgan(tmp_path, installed, own)


@pytest.mark.parametrize("program", ["script.py", "kgan", "kgan.py"])
def test_import_kgan_is_enough_for_keras_to_load_a_model(make_gan, tmp_path, program):
    make_gan("sngan").save(tmp_path / "gan.keras")
    script = tmp_path / "programs" / program
    script.parent.mkdir()
    script.write_text(
        "import sys, keras\n"
        # So that `import kgan` is the package, whatever the script is called.
        "sys.path.remove(sys.path[0])\n"
        "import kgan\n"
        "print(type(keras.saving.load_model(sys.argv[1])).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, script, tmp_path / "gan.keras"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "GAN", done.stderr


@pytest.mark.backend_free
def test_import_kgan_registers_every_class_of_the_package():
    look = (
        "import importlib, json, pkgutil, keras, kgan\n"
        "def registered(): return sorted(keras.saving.get_custom_objects())\n"
        "found = registered()\n"
        "for module in pkgutil.walk_packages(kgan.__path__, 'kgan.'):\n"
        "    if '_backend' not in module.name and '__main__' not in module.name:\n"
        "        importlib.import_module(module.name)\n"
        "print(json.dumps([found, registered()]))\n"
    )
    done = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    found, expected = json.loads(done.stdout.splitlines()[-1])
    assert found == expected
    assert "kgan>SpectralNormalization" in found


@pytest.mark.backend_free
def test_only_the_command_leaves_registering_for_later():
    look = "import {} kgan, sys; print('keras' in sys.modules)"
    for before, expected in (("", "True"), ("_kgan_command,", "False")):
        done = subprocess.run(
            [sys.executable, "-c", look.format(before)], check=True, capture_output=True, text=True
        )
        assert done.stdout.strip() == expected


@pytest.mark.backend_free
def test_every_dependency_has_an_oldest_version():
    requirements = [Requirement(line) for line in importlib.metadata.requires("kgan")]
    others = [requirement for requirement in requirements if requirement.name != "kgan"]
    assert len(others) > 10
    for requirement in others:
        assert ">=" in {clause.operator for clause in requirement.specifier}, str(requirement)


@pytest.mark.backend_free
def test_the_oldest_build_is_of_all_that_builds_kgan():
    tool = ROOT / "tools" / "oldest_build.py"
    out = subprocess.run([sys.executable, tool], check=True, capture_output=True, text=True).stdout
    pins = dict(line.split("==") for line in out.splitlines())
    named = re.search(r"^requires = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
    required = [Requirement(text) for text in re.findall(r'"(.*?)"', named[1])]
    assert pins.keys() == {requirement.name for requirement in required}
    for requirement in required:
        assert pins[requirement.name] in requirement.specifier
