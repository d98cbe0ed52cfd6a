# python tools/record_inception.py   (needs PyTorch and torch-fidelity; writes the file of a test)
"""Records what torch-fidelity's Inception network computes with weights that anyone can make.

`tests/metrics/test_inception.py` gives kgan's network the same weights and compares every layer.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

OUTPUT = Path(__file__).parents[1] / "tests" / "metrics" / "inception_recorded.npz"
IMAGE_SHAPE = (2, 40, 56, 3)
SHOWN = 8  # values of each layer

Array = npt.NDArray[Any]


def random_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """Makes weights for tensors of given names and shapes, the same with every version of NumPy.

    The variances of some channels are small, so that the epsilon of batch normalisation matters.

    Args:
        shapes: Dictionary of shapes by PyTorch's names.
    """
    state = np.random.RandomState(2015)
    weights = {}
    for name, shape in sorted(shapes.items()):
        if name.endswith("num_batches_tracked"):
            weights[name] = np.zeros(shape, "int64")
        elif len(shape) > 1:
            deviation = np.sqrt(2.0 / np.prod(shape[1:]))
            weights[name] = (deviation * state.standard_normal(shape)).astype("float32")
        elif name.endswith("running_var"):
            weights[name] = state.uniform(0.02, 1.5, shape).astype("float32")
        elif name.endswith("bn.weight"):
            weights[name] = state.uniform(0.4, 1.2, shape).astype("float32")
        else:
            weights[name] = state.normal(0.0, 0.2, shape).astype("float32")
    return weights


def random_images() -> npt.NDArray[np.uint8]:
    """Makes uint8 images `(2, 40, 56, 3)`, the same with every version of NumPy."""
    return np.random.RandomState(5).randint(0, 256, IMAGE_SHAPE).astype("uint8")


def described(output: Array) -> Array:
    """Returns mean, standard deviation and some values of an output, channels last."""
    places = np.linspace(0, output.size - 1, SHOWN).astype("int64")
    values = output.astype("float64").ravel()
    return np.concatenate([[values.mean(), values.std()], values[places]]).astype("float32")


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    import torch  # noqa: PLC0415, TID251
    from torch_fidelity import feature_extractor_inceptionv3 as reference  # noqa: PLC0415
    from torch_fidelity import interpolate_compat_tensorflow as resizing  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        # Its constructor reads a file. Here, it gets weights of the shapes that it has built.
        loaded = torch.nn.Module.load_state_dict
        shapes: dict[str, tuple[int, ...]] = {}

        def load(network: Any, _: Any) -> Any:
            shapes.update((n, tuple(t.shape)) for n, t in network.state_dict().items())
            weights = random_weights(shapes)
            return loaded(network, {n: torch.from_numpy(w) for n, w in weights.items()})

        torch.save({}, path)
        reference.FeatureExtractorInceptionV3.load_state_dict = load
        network = reference.FeatureExtractorInceptionV3(
            "inception", ["2048", "logits_unbiased", "logits"], str(path)
        )
    layers: dict[str, Array] = {}

    def record(name: str) -> Any:
        def hook(_: Any, inputs: Any, output: Any) -> None:
            del inputs
            layers[name] = described(output.permute(0, 2, 3, 1).contiguous().numpy())

        return hook

    for name, module in network.named_modules():
        if isinstance(module, reference.BasicConv2d | torch.nn.MaxPool2d) or (
            name.startswith("Mixed") and "." not in name
        ):
            module.register_forward_hook(record(name))
    images = torch.from_numpy(random_images()).permute(0, 3, 1, 2)
    with torch.no_grad():
        features, logits, _ = network(images)
        resized = resizing.interpolate_bilinear_2d_like_tensorflow1x(
            images.float(), size=(299, 299), align_corners=False
        )
    np.savez_compressed(
        options.output,
        names=np.array(list(shapes)),
        shapes=np.array([" ".join(map(str, shape)) for shape in shapes.values()]),
        layers=np.array(list(layers)),
        described=np.stack(list(layers.values())),
        features=features.numpy(),
        logits=logits.numpy(),
        resized=resized.permute(0, 2, 3, 1).numpy()[:, ::23, ::19],
    )
    print(f"{options.output}: {options.output.stat().st_size:,} bytes, {len(layers)} layers")


if __name__ == "__main__":
    main()
