"""The environment of Keras: its backend, a switch of TensorFlow, and kgan's classes in it."""

import importlib
import importlib.util
import json
import os
import platform
import sys
import warnings
from collections.abc import Collection
from pathlib import Path

_BACKENDS = ("tensorflow", "jax", "torch")
_COMMAND = "_kgan_command"
# They import all others that register classes.
_MODULES_WITH_CLASSES = (
    "kgan.models",
    "kgan.layers",
    "kgan.constraints",
    "kgan.regularizers",
)
_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
# On Linux, TensorFlow uses oneDNN by itself if the CPU has one of these, by their names there.
_ONEDNN_BY_DEFAULT = {
    "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16",
}  # fmt: skip


def prepare() -> None:
    """Sets environment variables that Keras and its backends read on import, unless they are set.

    Keras loads TensorFlow by default. If its backend is not installed, and another one is, this
    selects that one.

    Warns:
        UserWarning: TensorFlow is the backend and was imported before, and it is too late to make
            it fast on this CPU.
    """
    # TensorFlow does not use oneDNN on many CPUs, where convolutions then take up to four times as
    # long. It reads this variable once, when it is first imported.
    if _ONEDNN not in os.environ:
        if "tensorflow" in sys.modules and _backend() == "tensorflow" and _is_slow_by_default():
            warnings.warn(
                "TensorFlow was imported before kgan, and does not use oneDNN: convolutions may "
                "take up to four times as long on this CPU. Put `import kgan` before `import "
                f"keras` and `import tensorflow`, or set the environment variable {_ONEDNN}=1 "
                "before Python starts.",
                stacklevel=3,  # the import of kgan
            )
        os.environ[_ONEDNN] = "1"
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
    backend, installed = _backend(), _installed()
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


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def _installed() -> list[str]:
    return [name for name in _BACKENDS if is_installed(name)]


def _backend() -> str:
    """The backend that Keras has loaded or will load."""
    return os.environ.get("KERAS_BACKEND") or _configured()


def _configured() -> str:
    """The backend in Keras's configuration file."""
    # Not Path.expanduser, which raises an error without a home directory: Keras needs none.
    directory = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")  # noqa: PTH111
    try:
        settings = json.loads(Path(directory, "keras.json").read_text())
        return str(settings.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):
        return "tensorflow"


def _is_slow_by_default() -> bool:
    """Whether TensorFlow has oneDNN for this CPU, and does not use it unless it is told to."""
    return lacks_onednn_by_default(platform.system(), platform.machine(), _cpu_flags())


def lacks_onednn_by_default(system: str, machine: str, flags: Collection[str]) -> bool:
    """Whether TensorFlow uses oneDNN on a machine only if the environment variable says so.

    Args:
        system: String, as `platform.system()` gives it.
        machine: String, as `platform.machine()` gives it.
        flags: The features of the CPU, by their names in `/proc/cpuinfo`.
    """
    if machine.lower() not in {"x86_64", "amd64"}:
        return False
    if system == "Linux":
        return bool(flags) and _ONEDNN_BY_DEFAULT.isdisjoint(flags)
    return system == "Windows"  # TensorFlow for macOS has no oneDNN


def _cpu_flags() -> set[str]:
    """The features of the CPU, or none if Linux does not list them."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            return next((set(line.split()) for line in file if line.startswith("flags")), set())
    except OSError:
        return set()
