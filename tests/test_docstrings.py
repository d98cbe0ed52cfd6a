"""The examples in docstrings run, and every public class and function has one.

The examples of one docstring run in order, with the names in `THINGS`, little data and one epoch.
A block with a comment `# downloads ...` is compiled and not run.
"""

import dataclasses
import importlib
import inspect
import re
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

import kgan

pytestmark = [
    pytest.mark.backend_free,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="they are for TensorFlow"),
    pytest.mark.filterwarnings("ignore::kgan.callbacks.CollapseWarning"),  # of so few batches
    pytest.mark.filterwarnings("ignore::UserWarning:keras"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


def small_gan():
    """A GAN of digits, conditional."""
    gan = kgan.GAN(*kgan.networks.mlp(latent_dim=8, num_classes=10, width=8), seed=1)
    gan.compile(run_eagerly=True)  # compiling takes longer than a few steps
    return gan


def small_vae():
    """A VAE of grey digits."""
    likelihood = "discretized_logistic"
    networks = kgan.networks.dense_vae(latent_dim=8, width=16, blocks=1, likelihood=likelihood)
    vae = kgan.VAE(*networks, likelihood=likelihood, seed=1)
    vae.compile(run_eagerly=True)
    return vae


def small_pixel_cnn():
    """A PixelCNN of binary digits."""
    pixel_cnn = kgan.PixelCNN(*kgan.networks.pixel_cnn(width=4, blocks=1), seed=1)
    pixel_cnn.compile(run_eagerly=True)
    return pixel_cnn


def small_pix2pix():
    """A translator of grey images."""
    model = kgan.Pix2Pix(*kgan.networks.pix2pix(width=4), seed=1)
    model.compile(run_eagerly=True)
    return model


def small_cycle_gan():
    """A translator between two domains of grey images."""
    networks = kgan.networks.cyclegan(translator="unet", width=4)
    model = kgan.CycleGAN(*networks, seed=1)
    model.compile(run_eagerly=True)
    return model


# What examples need not make themselves: docs/reference/api/index.md tells readers.
THINGS = {
    "train": lambda: kgan.data.load_mnist("train", batch_size=32, seed=1),
    "test": lambda: kgan.data.load_mnist("test", batch_size=32, seed=1),
    "binary_test": lambda: kgan.data.load_mnist("test", binarize="static", batch_size=32),
    "gan": small_gan,
    "model": small_gan,
    "vae": small_vae,
    "pixel_cnn": small_pixel_cnn,
    "pix2pix": small_pix2pix,
    "cycle_gan": small_cycle_gan,
}


def public_modules():
    """The modules that the reference documents, and kgan itself."""
    tool = runpy.run_path(str(ROOT / "tools" / "build_reference.py"))
    names = ["kgan", *(f"kgan.{name}" for name in tool["modules"]())]
    return {name: importlib.import_module(name) for name in names}


def public_names():
    """Every public class and function, by the name under which it is first found."""
    found = {}
    for module, content in public_modules().items():
        for name in content.__all__:
            thing = getattr(content, name)
            if (inspect.isclass(thing) or inspect.isroutine(thing)) and thing not in found.values():
                found[f"{module}.{name}"] = thing
    return found


def documented(public):
    """The public modules and names, and the public methods of the classes and their bases."""
    found = public_modules() | public
    for thing in filter(inspect.isclass, public.values()):
        for base in inspect.getmro(thing):
            if base.__module__.startswith("kgan."):
                prefix = f"{base.__module__}.{base.__qualname__}"
                methods = {key: value for key, value in vars(base).items() if key[0] != "_"}
                found |= {f"{prefix}.{key}": value for key, value in methods.items()}
    return found


def docstring(thing):
    """The docstring of a thing itself: `inspect.getdoc` gives a class that of its base."""
    return inspect.cleandoc(getattr(thing, "__doc__", None) or "")


def examples(thing):
    """The Python blocks of a docstring, in order."""
    return BLOCK.findall(docstring(thing))


def needs_example(thing):
    """Whether a reader makes or calls it: not what kgan raises, warns of, asks for or returns."""
    return not (
        inspect.isclass(thing)
        and (
            issubclass(thing, (BaseException, tuple))
            or dataclasses.is_dataclass(thing)
            or getattr(thing, "_is_protocol", False)
        )
    )


PUBLIC = public_names()
WITH_EXAMPLES = {name: thing for name, thing in documented(PUBLIC).items() if examples(thing)}


@pytest.fixture
def little_files(little, data_dir):
    """MNIST's files in the present directory, in addition to what `little` gives."""
    for path in data_dir.iterdir():
        Path(path.name).symlink_to(path)


@pytest.mark.parametrize("name", [name for name in PUBLIC if needs_example(PUBLIC[name])])
def test_has_an_example(name):
    assert "\nExample:" in docstring(PUBLIC[name])
    assert examples(PUBLIC[name])


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name, little_files):
    blocks = examples(WITH_EXAMPLES[name])
    words = set(re.findall(r"\w+", " ".join(blocks)))
    namespace = {"__name__": "example", "kgan": kgan, "keras": keras, "np": np}
    namespace |= {thing: make() for thing, make in THINGS.items() if thing in words}
    for block in blocks:
        code = compile(block, f"<example of {name}>", "exec")
        if "# downloads " not in block:
            exec(code, namespace)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_calls_are_complete(name):
    for block in examples(WITH_EXAMPLES[name]):
        assert "[...]" not in block
        assert "(...)" not in block
