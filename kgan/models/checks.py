"""What can be known to be wrong before any training, said in words.

Each function raises a ValueError that names what was expected, what was received, and the mend.
"""

from typing import Any

import keras
import numpy as np


def check_networks(generator: Any, discriminator: Any) -> None:
    """Refuses two networks that cannot play against each other."""
    for role, network in (("generator", generator), ("discriminator", discriminator)):
        _check_is_built(role, network)
    _check_inputs(generator, discriminator)
    if len(generator.outputs) != 1 or len(discriminator.outputs) != 1:
        raise ValueError(
            "Expected networks with one output each: images from the generator, logits from the "
            f"discriminator. Received: {len(generator.outputs)} and "
            f"{len(discriminator.outputs)} outputs."
        )
    images, expected = generator.outputs[0].shape, discriminator.inputs[0].shape
    fits = len(images) == len(expected) and all(
        made is None or wanted is None or made == wanted
        for made, wanted in zip(images[1:], expected[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"The generator's output does not fit the discriminator's input. The discriminator "
            f"expects images of shape {_shape(expected)}. Received: a generator whose output has "
            f"shape {_shape(images)}. Were the two networks swapped?"
        )
    _check_gives_logits(discriminator)


def _check_is_built(role: str, network: Any) -> None:
    if not isinstance(network, keras.Model):
        raise ValueError(
            f"Expected `{role}` to be a keras.Model. Received: {type(network).__name__}."
        )
    if not network.built or not getattr(network, "inputs", None):
        raise ValueError(
            f"Expected `{role}` to be a Functional or Sequential model that knows its inputs. "
            f"Received: {network.name!r} ({type(network).__name__}), which does not. Begin it with "
            "keras.Input(shape)."
        )


def _check_inputs(generator: Any, discriminator: Any) -> None:
    counts = len(generator.inputs), len(discriminator.inputs)
    if counts not in {(1, 1), (2, 2)}:
        raise ValueError(
            "Expected a generator and a discriminator that are both unconditional (one input each: "
            "latent; image) or both conditional (two inputs each: latent, label; image, label). "
            f"Received: {counts[0]} generator inputs and {counts[1]} discriminator inputs."
        )
    latent = generator.inputs[0].shape
    if len(latent) != 2 or latent[1] is None:
        raise ValueError(
            "Expected the generator's first input to be latents of shape (batch, latent_dim). "
            f"Received: shape {_shape(latent)}. Were the two networks swapped?"
        )


def _check_gives_logits(discriminator: Any) -> None:
    last = discriminator.outputs[0]._keras_history.operation
    while isinstance(last, keras.Model):  # a network that ends in another network
        last = last.outputs[0]._keras_history.operation
    activation = getattr(last, "activation", None)
    name = getattr(activation, "__name__", type(activation).__name__).lower()
    if name in {"sigmoid", "hard_sigmoid", "softmax"} or type(last).__name__ in {
        "Sigmoid",
        "Softmax",
    }:
        raise ValueError(
            "Expected a discriminator that gives logits (any real number). Received: a "
            f"discriminator whose last layer {last.name!r} ends in {name!r}. Remove that "
            "activation: the losses of kgan apply it, in a form that does not overflow."
        )


def find_num_classes(generator: Any) -> int | None:
    """The number of classes that a conditional generator embeds, or None if it cannot be told."""
    sizes = {
        layer.input_dim
        for layer in generator._flatten_layers()
        if isinstance(layer, keras.layers.Embedding)
    } | {
        layer.num_tokens
        for layer in generator._flatten_layers()
        if isinstance(layer, keras.layers.CategoryEncoding)
    }
    return int(sizes.pop()) if len(sizes) == 1 else None


def check_labels(labels: Any, num_classes: int | None) -> None:
    """Refuses labels that are no class of the model.

    Args:
        labels: Array-like of integers.
        num_classes: How many classes there are, or None if that is not known.
    """
    labels = np.asarray(labels)
    if labels.size == 0 or num_classes is None:
        return
    if labels.dtype.kind not in "iub" and not np.array_equal(labels, labels.astype("int64")):
        raise ValueError(f"Expected integer labels. Received: labels of dtype {labels.dtype}.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"Expected labels from 0 to {num_classes - 1}, since the generator knows {num_classes} "
            f"classes. Received: labels from {low} to {high}."
        )


def check_training_data(
    x: Any, y: Any, batch_size: int | None, *, model: Any, steps: int = 1
) -> None:
    """Refuses data that training would stumble over, as far as `x` tells before it is read.

    Args:
        x: What `fit` got: an array, a `keras.utils.PyDataset`, a `tf.data.Dataset`, a generator.
        y: The labels that `fit` got.
        batch_size: The batch size that `fit` got.
        model: The `GAN`.
        steps: `discriminator_steps`.
    """
    if isinstance(x, keras.utils.PyDataset):
        images, labels = split_batch(x[0])
        check_batch(np.shape(images), images.dtype, labels is not None, model=model)
        if model.num_classes is not None:
            check_labels(
                getattr(x, "labels", labels) if labels is not None else (), model.num_classes
            )
        for index in (0, len(x) - 1):
            _check_divides(len(split_batch(x[index])[0]), steps)
    elif hasattr(x, "shape") and hasattr(x, "dtype"):
        check_batch(tuple(x.shape), x.dtype, y is not None, model=model)
        if model.is_conditional:
            check_labels(y, model.num_classes)
        size = min(batch_size or 32, len(x))
        for length in {size, len(x) % size or size}:
            _check_divides(length, steps)
    elif hasattr(x, "element_spec"):
        images, labels = split_batch(x.element_spec)
        check_batch(tuple(images.shape), images.dtype.name, labels is not None, model=model)
        if images.shape[0] is not None:
            _check_divides(images.shape[0], steps)


def split_batch(data: Any) -> tuple[Any, Any]:
    """A batch as `(images, labels)`, with labels None where there are none."""
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
    return images, labels


def check_batch(shape: tuple[Any, ...], dtype: Any, has_labels: bool, *, model: Any) -> None:
    """Refuses a batch that the model's discriminator cannot take.

    Args:
        shape: The images' shape, None where a size is not known.
        dtype: Their dtype, or its name.
        has_labels: Whether labels come with them.
        model: The `GAN`.
    """
    expected = tuple(model.discriminator.inputs[0].shape)
    fits = len(shape) == len(expected) and all(
        size is None or wanted is None or size == wanted
        for size, wanted in zip(shape[1:], expected[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"Expected images of shape {_shape(expected)}, as the discriminator takes them. "
            f"Received: shape {_shape(shape)}."
        )
    if "float" not in keras.backend.standardize_dtype(dtype):
        raise ValueError(
            "Expected images as floats in the generator's range, [-1, 1] for a tanh. Received: "
            f"dtype {keras.backend.standardize_dtype(dtype)}. kgan.data.ImageDataset(images) makes "
            "normalised batches of uint8 images."
        )
    if model.is_conditional and not has_labels:
        raise ValueError(
            "A conditional GAN trains on (images, labels). Received: images without labels. Give "
            "fit a dataset with labels, or networks built without num_classes."
        )


def _check_divides(batch: int, steps: int) -> None:
    if batch % steps:
        raise ValueError(
            f"Expected batches that discriminator_steps={steps} divides, since each batch is "
            f"split into that many equal parts. Received: a batch of {batch}. Choose a batch size "
            "that is a multiple, and drop_remainder=True for the last batch."
        )


def _shape(shape: Any) -> str:
    return "(" + ", ".join("batch" if i == 0 else str(n) for i, n in enumerate(shape)) + ")"
