"""The environment of Keras: its backend, a switch of TensorFlow, and kgan's classes in it."""

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path

_BACKENDS = ("tensorflow", "jax", "torch")
_COMMAND = "_kgan_command"
# They import all others that register classes.
_MODULES_WITH_CLASSES = ("kgan.models", "kgan.layers", "kgan.constraints")


def prepare() -> None:
    """Sets environment variables that Keras and its backends read on import, unless they are set.

    Keras loads TensorFlow by default. If its backend is not installed, and another one is, this
    selects that one.
    """
    # TensorFlow does not use oneDNN on many CPUs, where convolutions then take up to four times as
    # long. It reads this variable once, when it is first imported.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "keras" in sys.modules or "KERAS_BACKEND" in os.environ:
        return
    installed = _installed()
    if installed and _configured() not in installed:
        os.environ["KERAS_BACKEND"] = installed[0]


def require_backend() -> None:
    """Checks that Keras's backend is installed.

    Raises:
        ImportError: It is not. The message says what to install.
    """
    backend, installed = os.environ.get("KERAS_BACKEND") or _configured(), _installed()
    if backend in installed or backend not in _BACKENDS:
        return
    others = f" Installed: {', '.join(installed)}." if installed else ""
    raise ImportError(
        f"Keras's backend is {backend!r}, which is not installed.{others} Install it with "
        f"`pip install 'kgan[{backend}]'`, or set the environment variable KERAS_BACKEND to "
        "another one: tensorflow, jax or torch."
    )


def is_command() -> bool:
    """Whether this process is the `kgan` command, by its entry point, not by a program's name."""
    return _COMMAND in sys.modules


def register_classes() -> None:
    """Registers all classes of kgan with Keras, which finds them by name in saved models.

    Raises:
        ImportError: Keras's backend is not installed.
    """
    require_backend()
    for name in _MODULES_WITH_CLASSES:
        importlib.import_module(name)


def _installed() -> list[str]:
    return [name for name in _BACKENDS if importlib.util.find_spec(name) is not None]


def _configured() -> str:
    """The backend in Keras's configuration file."""
    # Not Path.expanduser, which raises an error without a home directory: Keras needs none.
    directory = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")  # noqa: PTH111
    try:
        settings = json.loads(Path(directory, "keras.json").read_text())
        return str(settings.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):
        return "tensorflow"
