"""What must be settled before Keras is imported: its backend, and a switch of TensorFlow's."""

import importlib.util
import json
import os
import sys
from pathlib import Path

_BACKENDS = ("tensorflow", "jax", "torch")


def prepare() -> None:
    """Sets what Keras and its backends read when they are imported, where the user has not.

    Keras loads TensorFlow unless it is told otherwise. Where what it would load is not installed
    and another of its backends is, it is told so.
    """
    # TensorFlow leaves oneDNN off on many CPUs, where convolutions then take up to four times as
    # long. It reads this once, when it is first imported.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "keras" in sys.modules or "KERAS_BACKEND" in os.environ:
        return
    installed = _installed()
    if installed and _configured() not in installed:
        os.environ["KERAS_BACKEND"] = installed[0]


def require_backend() -> None:
    """Raises an ImportError, which says what to install, where Keras's backend is missing."""
    backend, installed = os.environ.get("KERAS_BACKEND") or _configured(), _installed()
    if backend in installed or backend not in _BACKENDS:
        return
    others = f" Installed: {', '.join(installed)}." if installed else ""
    raise ImportError(
        f"Keras's backend is {backend!r}, which is not installed.{others} Install it with "
        f"`pip install 'kgan[{backend}]'`, or have Keras take another: tensorflow, jax or torch, "
        "in the environment variable KERAS_BACKEND."
    )


def _installed() -> list[str]:
    return [name for name in _BACKENDS if importlib.util.find_spec(name) is not None]


def _configured() -> str:
    """The backend in Keras's own file of settings."""
    # Not Path.expanduser, which is an error where there is no home directory: Keras needs none.
    directory = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")  # noqa: PTH111
    try:
        settings = json.loads(Path(directory, "keras.json").read_text())
        return str(settings.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):
        return "tensorflow"
