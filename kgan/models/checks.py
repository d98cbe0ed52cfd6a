"""What can be known to be wrong before any training, said in words.

Each function raises a ValueError that names what was expected, what was received, and the mend.
"""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from kgan import _backend
from kgan.models.feed import is_indexed

# ---- networks ------------------------------------------------------------------------------------


def check_networks(generator: Any, discriminator: Any, pack: int = 1) -> None:
    """Refuses two networks that cannot play against each other.

    Args:
        generator: The generator.
        discriminator: The discriminator.
        pack: Integer, how many images the discriminator judges at a time.
    """
    for role, network in (("generator", generator), ("discriminator", discriminator)):
        _check_is_built(role, network)
        _check_regularizers(role, network)
    _check_outputs(generator, discriminator)
    _check_inputs(generator, discriminator)
    if pack > 1 and len(generator.inputs) == 2:
        raise ValueError(
            "Expected an unconditional GAN, since the images of a pack have no label in common. "
            f"Received: a conditional generator and pack={pack}."
        )
    images, expected = generator.outputs[0].shape, unpacked_shape(discriminator, pack)
    if not _fits(images, expected):
        raise ValueError(
            f"The generator's output does not fit the discriminator's input. The discriminator "
            f"expects images of shape {_shape(expected)}{_as_packed(discriminator, pack)}. "
            f"Received: a generator whose output has shape {_shape(images)}. Were the two networks "
            "swapped?"
        )
    for output in discriminator.outputs:
        _check_gives_logits(output)


def unpacked_shape(discriminator: Any, pack: int) -> tuple[int | None, ...]:
    """The shape of a batch of single images of which the discriminator takes `pack` as one."""
    *shape, channels = discriminator.inputs[0].shape
    if pack > 1 and (len(shape) != 3 or channels is None or channels % pack):
        raise ValueError(
            f"Expected a discriminator of images whose channels {pack} divides, since it is to "
            f"judge {pack} at a time. Received: one that takes images of shape "
            f"{_shape((*shape, channels))} and pack={pack}."
        )
    return (*shape, channels // pack if pack > 1 else channels)


def _as_packed(discriminator: Any, pack: int) -> str:
    if pack == 1:
        return ""
    return f", {pack} of which it takes as one of shape {_shape(discriminator.inputs[0].shape)}"


def _check_outputs(generator: Any, discriminator: Any) -> None:
    counts = len(generator.outputs), len(discriminator.outputs)
    if counts[0] != 1 or counts[1] not in {1, 2}:
        raise ValueError(
            "Expected a generator with one output, images, and a discriminator with one, logits, "
            "or with two, logits and what else it is to find: the classes' logits, or the codes. "
            f"Received: {counts[0]} and {counts[1]} outputs."
        )


def check_classifier(generator: Any, discriminator: Any) -> None:
    """Refuses a discriminator whose second output cannot be the logits of the classes.

    Args:
        generator: The generator.
        discriminator: The discriminator.
    """
    if len(discriminator.outputs) == 2 and (
        len(generator.inputs) != 2
        or len(discriminator.inputs) != 1
        or len(discriminator.outputs[1].shape) != 2
    ):
        raise ValueError(
            "Expected of a discriminator that is an auxiliary classifier one input, images, and as "
            "its second output logits of shape (batch, num_classes); and a generator that takes "
            f"labels. Received: a discriminator with {len(discriminator.inputs)} inputs whose "
            f"second output has shape {_shape(discriminator.outputs[1].shape)}, and a generator "
            f"with {len(generator.inputs)} inputs. (Where the second output finds latent codes: "
            "kgan.InfoGAN.)"
        )


def check_codes(generator: Any, discriminator: Any, size: int, found: int) -> None:
    """Refuses networks that cannot write and find the codes of an InfoGAN.

    Args:
        generator: The generator.
        discriminator: The discriminator.
        size: Integer, how many of a latent's numbers the codes take.
        found: Integer, how many numbers say what was found of them.
    """
    if len(generator.inputs) != 1 or len(discriminator.inputs) != 1:
        raise ValueError(
            "Expected unconditional networks with one input each, latents and images: an InfoGAN "
            f"is told no labels. Received: {len(generator.inputs)} generator inputs and "
            f"{len(discriminator.inputs)} discriminator inputs."
        )
    outputs = [_shape(output.shape) for output in discriminator.outputs]
    if len(outputs) != 2 or outputs[1] != f"(batch, {found})":
        raise ValueError(
            "Expected a discriminator with two outputs, logits and what it finds of the codes, "
            f"the latter of shape (batch, {found}): logits for each value of each categorical "
            "code, then the means of the continuous ones, then the logs of their variances. "
            f"Received: outputs of shapes {outputs}."
        )
    if generator.inputs[0].shape[1] < size:
        raise ValueError(
            f"Expected latents of at least {size} numbers, since the codes take so many. "
            f"Received: a generator that takes {generator.inputs[0].shape[1]}."
        )


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


def _check_regularizers(role: str, network: Any) -> None:
    for layer in network._flatten_layers():
        if getattr(layer, "activity_regularizer", None) is not None:
            raise ValueError(
                "Expected regularizers of weights alone, as kernel_regularizer. Received: the "
                f"{role}'s layer {layer.name!r} with an activity_regularizer. Keras keeps what the "
                "last call of a network adds, and in a step each network is called several times: "
                "on different images, and differently on each backend."
            )


def _check_inputs(generator: Any, discriminator: Any) -> None:
    counts = len(generator.inputs), len(discriminator.inputs)
    classifies = len(discriminator.outputs) == 2
    if counts not in {(1, 1), (2, 2)} and not (classifies and counts == (2, 1)):
        raise ValueError(
            "Expected a generator and a discriminator that are both unconditional (one input each: "
            "latent; image) or both conditional (two inputs each: latent, label; image, label). "
            f"Received: {counts[0]} generator inputs and {counts[1]} discriminator inputs."
        )
    for role, network in (("generator", generator), ("discriminator", discriminator)):
        labels = [tuple(x.shape[1:]) for x in network.inputs[1:]]
        if labels not in ([], [()], [(1,)]):
            raise ValueError(
                f"Expected the {role}'s second input to be labels of shape (batch,) or (batch, 1). "
                f"Received: inputs of shapes {[_shape(x.shape) for x in network.inputs]}. The "
                "latent or image comes first, the label second; inputs given as a dict are taken "
                "in the order of their names. Labels are integers: embed or one-hot encode them "
                "inside the network."
            )
    latent = generator.inputs[0].shape
    if len(latent) != 2 or latent[1] is None:
        raise ValueError(
            "Expected the generator's first input to be latents of shape (batch, latent_dim). "
            f"Received: shape {_shape(latent)}. Were the two networks swapped, or is the label "
            "the first input?"
        )


def _last_operation(tensor: Any) -> tuple[Any, str]:
    """The operation that makes a network's output what it is, and its activation's name."""
    while True:
        last = tensor._keras_history.operation
        activation = getattr(last, "activation", None)
        name = getattr(activation, "__name__", type(activation).__name__).lower()
        if isinstance(last, keras.Model):  # a network that ends in another network
            tensor = last.outputs[0]
        elif isinstance(last, (keras.layers.Reshape, keras.layers.Flatten)) or (
            isinstance(last, keras.layers.Activation) and name == "linear"
        ):
            tensor = last.input
        else:
            return last, name


def _check_gives_logits(tensor: Any) -> None:
    last, name = _last_operation(tensor)
    if name in {"sigmoid", "hard_sigmoid", "softmax"} or type(last).__name__ in {
        "Sigmoid",
        "Softmax",
    }:
        raise ValueError(
            "Expected a discriminator that gives logits (any real number). Received: a "
            f"discriminator whose last layer {last.name!r} ends in {name!r}. Remove that "
            "activation: the losses of kgan apply it, in a form that does not overflow."
        )


def resolve_num_classes(generator: Any, discriminator: Any, num_classes: int | None) -> int | None:
    """How many classes a GAN's labels have.

    Args:
        generator: The generator.
        discriminator: The discriminator.
        num_classes: What the user said, or None to read it off the networks.

    Returns:
        The number; None for an unconditional GAN, and where the networks do not tell.
    """
    if len(generator.inputs) == 1:
        if num_classes is not None:
            raise ValueError(
                "Expected networks that take labels, since num_classes is given. Received: "
                f"unconditional networks and num_classes={num_classes!r}."
            )
        return None
    embedded = {
        role: _embedded_classes(network)
        for role, network in (("generator", generator), ("discriminator", discriminator))
    }
    if len(discriminator.outputs) == 2:
        embedded["discriminator"] = discriminator.outputs[1].shape[1]
    known = {role: number for role, number in embedded.items() if number is not None}
    if num_classes is not None:
        for role, number in known.items():
            if number < num_classes:
                raise ValueError(
                    f"Expected at most {number} classes, since that is what the {role} embeds. "
                    f"Received: num_classes={num_classes}."
                )
        return num_classes
    if len(set(known.values())) > 1:
        raise ValueError(
            "Expected networks that embed the same number of classes. Received: "
            + " and ".join(f"{number} in the {role}" for role, number in known.items())
            + ". If that is meant, say how many there are: GAN(..., num_classes=...)."
        )
    return next(iter(known.values()), None)


def _embedded_classes(network: Any) -> int | None:
    sizes = {
        size
        for layer in network._flatten_layers()
        for kind, attribute in (
            (keras.layers.Embedding, "input_dim"),
            (keras.layers.CategoryEncoding, "num_tokens"),
        )
        if isinstance(layer, kind) and (size := getattr(layer, attribute)) is not None
    }
    return int(sizes.pop()) if len(sizes) == 1 else None


# ---- devices -------------------------------------------------------------------------------------


def check_same_devices(model: Any, optimizer: Any) -> None:
    """Refuses networks and optimizers that were made for other devices than their model.

    Args:
        model: The `GAN`.
        optimizer: Its `OptimizerPair`.
    """
    parts = {
        "the generator": model.generator.variables,
        "the discriminator": model.discriminator.variables,
        "the generator's optimizer": optimizer.generator_optimizer.variables,
        "the discriminator's optimizer": optimizer.discriminator_optimizer.variables,
    }
    others = [
        name
        for name, variables in parts.items()
        if not all(_backend.belongs(variable, model) for variable in variables)
    ]
    if others:
        raise ValueError(
            "Expected networks, optimizers and the GAN to be made for the same devices: all of "
            "them in one `with strategy.scope():` on TensorFlow, all of them after "
            "keras.distribution.set_distribution(...) on JAX. "
            f"Received: {' and '.join(others)}, made elsewhere than the GAN."
        )


# ---- data ----------------------------------------------------------------------------------------


def check_labels(labels: Any, num_classes: int | None) -> None:
    """Refuses labels that are no class of the model.

    Args:
        labels: Array-like of integers, `()`, `(n,)` or `(n, 1)`.
        num_classes: How many classes there are, or None if that is not known.
    """
    labels = keras.ops.convert_to_numpy(labels)
    _check_shape_of_labels(labels.shape)
    if labels.size == 0:
        return
    if labels.dtype.kind not in "iub" and not np.array_equal(labels, labels.astype("int64")):
        raise ValueError(f"Expected integer labels. Received: labels of dtype {labels.dtype}.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (num_classes is not None and high >= num_classes):
        most = "up" if num_classes is None else f"to {num_classes - 1}"
        raise ValueError(
            f"Expected labels from 0 {most}, the classes that the generator knows. "
            f"Received: labels from {low} to {high}."
        )


def _check_shape_of_labels(shape: tuple[int | None, ...]) -> None:
    if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        raise ValueError(
            "Expected integer labels of shape (n,), one class for each image. Received: labels of "
            f"shape {shape}. Of one-hot labels give labels.argmax(axis=-1)."
        )


def check_data(
    x: Any,
    y: Any = None,
    *,
    model: Any,
    batch_size: int | None = None,
    steps: int = 1,
    devices: int = 1,
    validation_split: float = 0.0,
) -> None:
    """Refuses data that the model would stumble over, as far as they tell before they are read.

    Args:
        x: What `fit` or `evaluate` got: an array, a `keras.utils.PyDataset`, a `tf.data.Dataset`,
            a PyTorch `DataLoader`, a generator.
        y: The labels beside an array.
        model: The `GAN`.
        batch_size: Integer, where `x` is an array.
        steps: `discriminator_steps`.
        devices: Integer, how many devices share a batch. Times `steps`, it must divide every one.
        validation_split: Float, the part of an array that is held out.
    """
    if isinstance(x, keras.utils.PyDataset):
        for index in {0, (x.num_batches or 1) - 1}:
            check_values(*split_batch(x[index]), model=model, steps=steps, devices=devices)
        if model.is_conditional and is_indexed(x) and getattr(x, "labels", None) is not None:
            check_labels(x.labels, model.num_classes)  # all of them are at hand
    elif hasattr(x, "element_spec"):
        images, labels = split_batch(x.element_spec)
        if not hasattr(images, "shape") and not keras.tree.is_nested(images):
            return  # parts for several devices, which somebody has distributed already
        _check_is_tensor(images)
        if images.shape.rank is not None:
            check_batch(tuple(images.shape), images.dtype.name, labels is not None, model=model)
            if model.is_conditional and labels.shape.rank is not None:
                _check_shape_of_labels(tuple(labels.shape))
            _check_spec_divides(images.shape[0], steps, model.pack, devices)
    elif hasattr(x, "shape") and hasattr(x, "dtype"):
        check_batch(tuple(x.shape), x.dtype, y is not None, model=model)
        _check_range(x[:_LOOKED_AT], model)
        if model.is_conditional:
            check_labels(y, model.num_classes)
        count = math.floor(len(x) * (1.0 - validation_split))
        size = min(batch_size or 32, count)
        for length in {size, count % size or size} if size else ():
            check_divides(length, steps, model.pack, devices)
    elif isinstance(x, (list, tuple, dict)) or not hasattr(x, "__iter__"):
        _check_is_tensor(x)
    # A generator's batches are checked as they come. Of what PyTorch's DataLoader gives, each step
    # checks the shape.


def check_values(images: Any, labels: Any, *, model: Any, steps: int = 1, devices: int = 1) -> None:
    """Refuses a batch of arrays or tensors that the model would stumble over.

    Args:
        images: Array or tensor `(batch, height, width, channels)`.
        labels: Array-like of integers, or None.
        model: The `GAN`.
        steps: `discriminator_steps`.
        devices: Integer, how many devices share the batch.
    """
    _check_is_tensor(images)
    check_batch(tuple(images.shape), images.dtype, labels is not None, model=model)
    # As an array first: to slice a tensor takes TensorFlow longer than all else here.
    _check_range(keras.ops.convert_to_numpy(images)[:_LOOKED_AT], model)
    if model.is_conditional:
        check_labels(labels, model.num_classes)
    check_divides(images.shape[0], steps, model.pack, devices)


_LOOKED_AT = 32  # images: enough to tell a range
_RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


def _check_range(images: Any, model: Any) -> None:
    """Refuses images that are far from all that the generator can make."""
    _, activation = _last_operation(model.generator.outputs[0])
    if activation not in _RANGES or 0 in images.shape:
        return
    images = keras.ops.convert_to_numpy(images)
    (least, most), (low, high) = _RANGES[activation], (float(images.min()), float(images.max()))
    slack = (most - least) / 4  # whoever adds noise goes somewhat beyond
    if low < least - slack or high > most + slack:
        raise ValueError(
            f"Expected images in the range of the generator, which ends in {activation!r}: "
            f"[{least:g}, {most:g}]. Received: values from {low:g} to {high:g}. "
            "kgan.data.ImageDataset(images) makes images in [-1, 1] of uint8 ones; of floats from "
            "0 to 255, so does images / 127.5 - 1."
        )


def split_batch(data: Any) -> tuple[Any, Any]:
    """A batch as `(images, labels)`, with labels None where there are none."""
    images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
    check_weights(sample_weight=weights)
    return images, labels


def as_one(labels: Any) -> Any:
    """Labels as they are, but of a list an array: Keras takes a list for one of several arrays."""
    return np.asarray(labels) if isinstance(labels, list) else labels


def check_weights(**weights: Any) -> None:
    """Refuses weights of images or classes."""
    given = [name for name, value in weights.items() if value is not None]
    if given:
        raise TypeError(
            "Generative models weigh all images alike. Expected images, or images and labels. "
            f"Received: {' and '.join(given)}."
        )


def check_batch(shape: tuple[Any, ...], dtype: Any, has_labels: bool, *, model: Any) -> None:
    """Refuses a batch that the model's discriminator cannot take.

    Args:
        shape: The images' shape, None where a size is not known.
        dtype: Their dtype, or its name.
        has_labels: Whether labels come with them.
        model: The `GAN`.
    """
    expected = unpacked_shape(model.discriminator, model.pack)
    if not _fits(shape, expected):
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


def check_divides(batch: int | None, steps: int, pack: int = 1, devices: int = 1) -> None:
    """Refuses a batch, of a size that is known, which cannot be split into equal parts.

    Args:
        batch: Integer, the images in it, or None.
        steps: `discriminator_steps`.
        pack: Integer, how many images the discriminator judges at a time.
        devices: Integer, how many devices share the batch.
    """
    least = steps * pack * devices
    if batch is None or batch % least == 0:
        return
    parts, why = _parts(steps, pack, devices)
    raise ValueError(
        f"Expected batches that {parts} divides, since {why}. Received: a batch of {batch}. Choose "
        f"a batch size that is a multiple of {least}, and drop_remainder=True for the last batch."
    )


def _check_spec_divides(batch: int | None, steps: int, pack: int, devices: int) -> None:
    if batch is None and steps * pack * devices > 1:
        parts, why = _parts(steps, pack, devices)
        raise ValueError(
            f"Expected batches of one size, which {parts} divides, since {why}. Received: a "
            "tf.data.Dataset whose batches have no fixed size. Batch it with drop_remainder=True."
        )
    check_divides(batch, steps, pack, devices)


def _parts(steps: int, pack: int, devices: int) -> tuple[str, str]:
    """What a batch is split by, and why."""
    factors = [
        (steps, f"discriminator_steps={steps}", f"each is split into {steps} equal parts"),
        (pack, f"pack={pack}", f"the discriminator judges {pack} images at a time"),
        (devices, f"the number of devices, {devices},", "each device gets as large a part"),
    ]
    named = [(name, why) for number, name, why in factors if number > 1]
    return " times ".join(name for name, _ in named), " and ".join(why for _, why in named)


def _check_is_tensor(images: Any) -> None:
    if not hasattr(images, "shape"):
        raise ValueError(
            "Expected images as one array or tensor, alone or as (images, labels). "
            f"Received: a {type(images).__name__}."
        )


def _fits(shape: Any, expected: Any) -> bool:
    return len(shape) == len(expected) and all(
        size is None or wanted is None or size == wanted
        for size, wanted in zip(tuple(shape)[1:], tuple(expected)[1:], strict=True)
    )


def _shape(shape: Any) -> str:
    return "(" + ", ".join("batch" if i == 0 else str(n) for i, n in enumerate(shape)) + ")"


# ---- callbacks -----------------------------------------------------------------------------------


def check_callbacks(callbacks: Iterable[Any]) -> None:
    """Refuses callbacks that would watch over a training without ever seeing anything of it."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TerminateOnNaN):
            raise ValueError(
                "Expected callbacks that read the logs of a GAN. Received: "
                "`keras.callbacks.TerminateOnNaN`, which looks at `loss` only, and a GAN's logs "
                "have none: it would never end this training. Use `kgan.callbacks.TerminateOnNaN`."
            )
