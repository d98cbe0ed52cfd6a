"""kgan: generative models for Keras 3, with a native data path.

```python
import kgan

train = kgan.data.load_mnist("train", batch_size=32)
gan = kgan.recipes.get("dcgan_r1").build(train.image_shape)
gan.fit(train, epochs=4, callbacks=[kgan.callbacks.SampleGrid("samples")])
images = gan.generate(64, seed=1)
print(kgan.evaluate(gan, train))
gan.save("gan.keras")
gan = kgan.load("gan.keras")
```
"""

import importlib
from typing import TYPE_CHECKING, Any

from kgan import _environment

_environment.prepare()  # before anything below can import Keras

if TYPE_CHECKING:
    from kgan import (
        augmentations,
        callbacks,
        constraints,
        data,
        images,
        layers,
        likelihoods,
        losses,
        metrics,
        models,
        networks,
        penalties,
        recipes,
        regularizers,
        report,
        runs,
        samplers,
        schedules,
        training,
    )
    from kgan._core import __version__
    from kgan.metrics import evaluate
    from kgan.models import (
        GAN,
        VAE,
        CycleGAN,
        InfoGAN,
        Pix2Pix,
        PixelCNN,
        PixelRNN,
        ProgressiveGAN,
    )
    from kgan.runs import load

__all__ = [
    "GAN",
    "VAE",
    "CycleGAN",
    "InfoGAN",
    "Pix2Pix",
    "PixelCNN",
    "PixelRNN",
    "ProgressiveGAN",
    "__version__",
    "augmentations",
    "callbacks",
    "constraints",
    "data",
    "evaluate",
    "images",
    "layers",
    "likelihoods",
    "load",
    "losses",
    "metrics",
    "models",
    "networks",
    "penalties",
    "recipes",
    "regularizers",
    "report",
    "runs",
    "samplers",
    "schedules",
    "training",
]

# The modules of the names that are not modules themselves.
_ORIGINS = {
    "CycleGAN": "kgan.models",
    "GAN": "kgan.models",
    "InfoGAN": "kgan.models",
    "Pix2Pix": "kgan.models",
    "PixelCNN": "kgan.models",
    "PixelRNN": "kgan.models",
    "ProgressiveGAN": "kgan.models",
    "VAE": "kgan.models",
    "evaluate": "kgan.metrics",
    "load": "kgan.runs",
    "__version__": "kgan._core",
}


def __getattr__(name: str) -> Any:
    """Imports a name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'kgan' has no attribute {name!r}")
    if name in _ORIGINS:
        value = getattr(importlib.import_module(_ORIGINS[name]), name)
    else:
        value = importlib.import_module(f"kgan.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# Keras finds the classes in a saved model only if they are registered.
if not _environment.is_command():
    _environment.register_classes()
