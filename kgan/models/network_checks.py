"""Validates the networks of a GAN before any training.

Each function raises a ValueError that says what was expected, what was received and how to fix it.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from kgan._arguments import integer
from kgan._backend.keras_internals import layers_of, operation_of
from kgan._typing import Network, Shape, Tensor
from kgan.training.batch_spec import fits, shown


def check_networks(generator: Network, discriminator: Network, pack: int = 1) -> None:
    """Raises an error for two networks that do not fit each other.

    Args:
        generator: The generator.
        discriminator: The discriminator.
        pack: Integer, how many images the discriminator judges at a time.
    """
    for role, network in (("generator", generator), ("discriminator", discriminator)):
        _check_is_built(role, network)
        _check_regularizers(role, network)
    _check_shares_nothing({"generator": generator, "discriminator": discriminator})
    _check_outputs(generator, discriminator)
    _check_inputs(generator, discriminator)
    if pack > 1 and len(generator.inputs) == 2:
        raise ValueError(
            "Expected an unconditional GAN, since the images of a pack have no label in common. "
            f"Received: a conditional generator and pack={pack}."
        )
    images, expected = generator.outputs[0].shape, unpacked_shape(discriminator, pack)
    if not fits(images, expected):
        raise ValueError(
            f"The generator's output does not fit the discriminator's input. The discriminator "
            f"expects images of shape {shown(expected)}{_as_packed(discriminator, pack)}. "
            f"Received: a generator whose output has shape {shown(images)}. Were the two networks "
            "swapped?"
        )
    for output in discriminator.outputs:
        _check_gives_logits(output)


def unpacked_shape(discriminator: Network, pack: int) -> tuple[int | None, ...]:
    """The shape of a batch of single images of which the discriminator takes `pack` as one."""
    *shape, channels = discriminator.inputs[0].shape
    if pack > 1 and (len(shape) != 3 or channels is None or channels % pack):
        raise ValueError(
            f"Expected a discriminator of images whose channels {pack} divides, since it is to "
            f"judge {pack} at a time. Received: one that takes images of shape "
            f"{shown((*shape, channels))} and pack={pack}."
        )
    return (*shape, channels // pack if pack > 1 else channels)


def _as_packed(discriminator: Network, pack: int) -> str:
    if pack == 1:
        return ""
    return f", {pack} of which it takes as one of shape {shown(discriminator.inputs[0].shape)}"


def _check_outputs(generator: Network, discriminator: Network) -> None:
    counts = len(generator.outputs), len(discriminator.outputs)
    if counts[0] != 1 or counts[1] not in {1, 2}:
        raise ValueError(
            "Expected a generator with one output, images, and a discriminator with one, logits, "
            "or with two, logits and the auxiliary output: the classes' logits, or the codes. "
            f"Received: {counts[0]} and {counts[1]} outputs."
        )


def check_growing_networks(generator: Network, discriminator: Network) -> None:
    """Raises an error for two networks that cannot grow together.

    Args:
        generator: The generator, with an output for each size.
        discriminator: The discriminator, with an input and an output for each size.
    """
    for role, network in (("generator", generator), ("discriminator", discriminator)):
        _check_is_built(role, network)
        _check_regularizers(role, network)
    _check_shares_nothing({"generator": generator, "discriminator": discriminator})
    made, taken, judged = generator.outputs, discriminator.inputs, discriminator.outputs
    counts = [len(each) for each in (made, taken, judged)]
    if len(generator.inputs) != 1 or counts[0] < 2 or len(set(counts)) > 1:
        raise ValueError(
            "Expected a generator from latents to a list of images of at least two sizes, and a "
            "discriminator with an input and an output for each of them. Received: a generator "
            f"with {len(generator.inputs)} inputs and {counts[0]} outputs, and a discriminator "
            f"with {counts[1]} inputs and {counts[2]} outputs."
        )
    _check_latents(generator)
    _check_sizes([images.shape for images in made])
    for images, expected, logits in zip(made, taken, judged, strict=True):
        if not fits(images.shape, expected.shape):
            raise ValueError(
                "Expected a discriminator that takes the generator's images, the full size first. "
                f"Received: images of shape {shown(images.shape)} for an input of shape "
                f"{shown(expected.shape)}."
            )
        _check_depends_on(expected, logits)
        _check_gives_logits(logits)


def _check_sizes(shapes: Sequence[Shape]) -> None:
    sizes = [shape[1:3] for shape in shapes]
    halves = [tuple(((side or 0) + 1) // 2 for side in size) for size in sizes[:-1]]
    if sizes[1:] != halves or any(len(shape) != 4 for shape in shapes):
        raise ValueError(
            "Expected a generator whose outputs are images, the full size first, each half as "
            "large as the one before, rounded up: 28, 14, 7, 4. Received: outputs of shapes "
            f"{[shown(shape) for shape in shapes]}."
        )


def _check_depends_on(image: Tensor, logits: Tensor) -> None:
    try:
        keras.Model(image, logits)
    except ValueError as error:
        raise ValueError(
            "Expected a discriminator whose outputs each depend on the input at the same place "
            f"alone. Received: one whose output {shown(logits.shape)} for images "
            f"{shown(image.shape)} does not: {error}"
        ) from error


def check_classifier(generator: Network, discriminator: Network) -> None:
    """Raises an error for a discriminator whose second output is not the logits of the classes.

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
            f"second output has shape {shown(discriminator.outputs[1].shape)}, and a generator "
            f"with {len(generator.inputs)} inputs. (Where the second output finds latent codes: "
            "kgan.InfoGAN.)"
        )


def check_codes(generator: Network, discriminator: Network, size: int, found: int) -> None:
    """Raises an error for networks that cannot use and predict the codes of an InfoGAN.

    Args:
        generator: The generator.
        discriminator: The discriminator.
        size: Integer, how many of a latent's numbers the codes take.
        found: Integer, how many numbers the discriminator predicts of them.
    """
    if len(generator.inputs) != 1 or len(discriminator.inputs) != 1:
        raise ValueError(
            "Expected unconditional networks with one input each, latents and images: an InfoGAN "
            f"is told no labels. Received: {len(generator.inputs)} generator inputs and "
            f"{len(discriminator.inputs)} discriminator inputs."
        )
    outputs = [shown(output.shape) for output in discriminator.outputs]
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


def check_translators(
    translators: Mapping[str, Network],
    critics: Mapping[str, Network],
    judged: Mapping[str, Sequence[Shape]],
) -> None:
    """Raises an error for networks that cannot translate images, or judge translations.

    Args:
        translators: The networks from images to images, by their names.
        critics: The discriminators, by their names.
        judged: For each discriminator, the shapes of a batch that it may take.
    """
    networks = {**translators, **critics}
    for name, network in networks.items():
        _check_is_built(name, network)
        _check_regularizers(name, network)
    _check_shares_nothing(networks)
    for name, network in translators.items():
        shapes = [tuple(each.shape) for each in (*network.inputs, *network.outputs)]
        if len(shapes) != 2 or any(len(shape) != 4 for shape in shapes) or not _same_size(*shapes):
            raise ValueError(
                f"Expected `{name}` to take images (batch, height, width, channels), and to make "
                "images of the same height and width. Received: "
                f"{len(network.inputs)} inputs and {len(network.outputs)} outputs, of shapes "
                f"{[shown(shape) for shape in shapes]}."
            )
    for name, network in critics.items():
        shapes = [tuple(each.shape) for each in network.inputs]
        if (
            len(shapes) != 1
            or len(network.outputs) != 1
            or not any(
                fits(shapes[0], expected) and shapes[0][-1] == expected[-1]
                for expected in judged[name]
            )
        ):
            expected = " or ".join(shown(each) for each in judged[name])
            raise ValueError(
                f"Expected `{name}` to take one input of shape {expected} and to give logits. "
                f"Received: {len(network.outputs)} outputs and inputs of shapes "
                f"{[shown(shape) for shape in shapes]}."
            )
        _check_gives_logits(network.outputs[0])


def check_cycle(a_to_b: Network, b_to_a: Network) -> None:
    """Raises an error for two networks of which one does not take what the other one makes."""
    for one, other in ((a_to_b, b_to_a), (b_to_a, a_to_b)):
        made, taken = one.outputs[0].shape, other.inputs[0].shape
        if not fits(made, taken):
            raise ValueError(
                "Expected `a_to_b` and `b_to_a` to take what the other one makes. Received: one "
                f"that makes images of shape {shown(made)}, and the other takes {shown(taken)}."
            )


def _same_size(images: Shape, others: Shape) -> bool:
    return fits((*images[:3], None), others)


def _check_is_built(role: str, network: Network) -> None:
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


def _check_regularizers(role: str, network: Network) -> None:
    for layer in layers_of(network):
        if getattr(layer, "activity_regularizer", None) is not None:
            raise ValueError(
                "Expected regularizers of weights alone, as kernel_regularizer. Received: the "
                f"{role}'s layer {layer.name!r} with an activity_regularizer. Keras keeps what the "
                "last call of a network adds, and in a step each network is called several times: "
                "on different images, and differently on each backend."
            )


def _check_shares_nothing(networks: Mapping[str, Network]) -> None:
    for (first, one), (second, other) in itertools.combinations(networks.items(), 2):
        known = {id(variable) for variable in one.variables}
        shared = [variable.path for variable in other.variables if id(variable) in known]
        if shared:
            raise ValueError(
                "Expected networks that share no weights: each is saved by itself. Received: the "
                f"{first} and the {second} share {shared}. Give each of them its own layer."
            )


def _check_inputs(generator: Network, discriminator: Network) -> None:
    counts = len(generator.inputs), len(discriminator.inputs)
    classifies = len(discriminator.outputs) == 2
    if counts not in {(1, 1), (2, 2)} and not (classifies and counts == (2, 1)):
        raise ValueError(
            "Expected a generator and a discriminator that are both unconditional (one input each: "
            "latent; image) or both conditional (two inputs each: latent, label; image, label). "
            f"Received: {counts[0]} generator inputs and {counts[1]} discriminator inputs."
        )
    _check_labels({"generator": generator, "discriminator": discriminator})
    _check_latents(generator)


def _check_latents(generator: Network) -> None:
    latent = generator.inputs[0].shape
    if len(latent) != 2 or latent[1] is None:
        raise ValueError(
            "Expected the generator's first input to be latents of shape (batch, latent_dim). "
            f"Received: shape {shown(latent)}. Were the two networks swapped, or is the label "
            "the first input?"
        )


def _check_labels(networks: Mapping[str, Network]) -> None:
    for role, network in networks.items():
        labels = [tuple(x.shape[1:]) for x in network.inputs[1:]]
        if labels not in ([], [()], [(1,)]):
            raise ValueError(
                f"Expected the {role}'s second input to be labels of shape (batch,) or (batch, 1). "
                f"Received: inputs of shapes {[shown(x.shape) for x in network.inputs]}. The "
                "latent or image comes first, the label second; inputs given as a dict are taken "
                "in the order of their names. Labels are integers: embed or one-hot encode them "
                "inside the network."
            )


_RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


def range_of(network: Network) -> dict[str, Any]:
    """The range of a network's images, as `BatchSpec` takes it, as far as its last layer tells."""
    _, activation = last_operation(network.outputs[0])
    if activation not in _RANGES:
        return {}
    return {
        "value_range": _RANGES[activation],
        "range_reason": f"the range of the {network.name}, which ends in {activation!r}",
    }


def last_operation(tensor: Tensor) -> tuple[Any, str]:
    """The operation that makes a network's output what it is, and its activation's name."""
    while True:
        last = operation_of(tensor)
        activation = getattr(last, "activation", None)
        name = getattr(activation, "__name__", type(activation).__name__).lower()
        if isinstance(last, keras.Model) and getattr(last, "outputs", None):
            tensor = last.outputs[0]  # a network that ends in another network
        elif isinstance(last, (keras.layers.Reshape, keras.layers.Flatten)) or (
            isinstance(last, keras.layers.Activation) and name == "linear"
        ):
            tensor = last.input
        else:
            return last, name


def _check_gives_logits(tensor: Tensor) -> None:
    last, name = last_operation(tensor)
    if name in {"sigmoid", "hard_sigmoid", "softmax"} or type(last).__name__ in {
        "Sigmoid",
        "Softmax",
    }:
        raise ValueError(
            "Expected a discriminator that gives logits (any real number). Received: a "
            f"discriminator whose last layer {last.name!r} ends in {name!r}. Remove that "
            "activation: the losses of kgan apply it, in a form that does not overflow."
        )


def resolve_num_classes(
    networks: Mapping[str, Network], num_classes: int | None, predicted: int | None = None
) -> int | None:
    """The number of classes of a model's labels.

    Args:
        networks: The networks by their names in the model. The first one makes images.
        num_classes: As the user gave it, or None to find it in the networks.
        predicted: Integer, the classes that the last network predicts, if it is a classifier.

    Returns:
        The number; None for an unconditional model, and where the networks do not tell.
    """
    if num_classes is not None:
        num_classes = integer("num_classes", num_classes)
    if len(next(iter(networks.values())).inputs) == 1:
        if num_classes is not None:
            raise ValueError(
                "Expected networks that take labels, since num_classes is given. Received: "
                f"unconditional networks and num_classes={num_classes!r}."
            )
        return None
    embedded = {role: _embedded_classes(network) for role, network in networks.items()}
    if predicted is not None:
        embedded[list(networks)[-1]] = predicted
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
            + ". If that is intended, give the number: num_classes=..."
        )
    return next(iter(known.values()), None)


def _embedded_classes(network: Network) -> int | None:
    sizes = {
        size
        for layer in layers_of(network)
        for kind, attribute in (
            (keras.layers.Embedding, "input_dim"),
            (keras.layers.CategoryEncoding, "num_tokens"),
        )
        if isinstance(layer, kind) and (size := getattr(layer, attribute)) is not None
    }
    return int(sizes.pop()) if len(sizes) == 1 else None


def check_autoencoder(encoder: Network, decoder: Network, outputs_per_channel: int) -> None:
    """Checks that an encoder and a decoder fit each other and the likelihood.

    Args:
        encoder: The encoder.
        decoder: The decoder.
        outputs_per_channel: Integer, the decoder's outputs for each pixel and channel.
    """
    for role, network in (("encoder", encoder), ("decoder", decoder)):
        _check_is_built(role, network)
        _check_regularizers(role, network)
    _check_shares_nothing({"encoder": encoder, "decoder": decoder})
    _check_labels({"encoder": encoder, "decoder": decoder})
    latent = decoder.inputs[0].shape
    if len(latent) != 2 or latent[1] is None:
        raise ValueError(
            "Expected the decoder's first input to be latents of shape (batch, latent_dim). "
            f"Received: shape {shown(latent)}. Were the two networks swapped?"
        )
    found = [shown(output.shape) for output in encoder.outputs]
    if found != [shown(latent)] * 2:
        raise ValueError(
            "Expected an encoder with two outputs, the mean and the log variance of the latents, "
            f"both of shape {shown(latent)}, as the decoder takes latents. Received: outputs of "
            f"shapes {found}."
        )
    *image, channels = encoder.inputs[0].shape
    expected = (*image, None if channels is None else channels * outputs_per_channel)
    if len(decoder.outputs) != 1 or not fits(decoder.outputs[0].shape, expected):
        raise ValueError(
            f"Expected a decoder with one output of shape {shown(expected)}: {outputs_per_channel} "
            "for each pixel and channel, as the likelihood takes them. Received: outputs of shapes "
            f"{[shown(output.shape) for output in decoder.outputs]}."
        )
    if len(encoder.inputs) != len(decoder.inputs):
        raise ValueError(
            "Expected an encoder and a decoder that are both unconditional (one input each) or "
            "both conditional (a second input for labels). Received: "
            f"{len(encoder.inputs)} encoder inputs and {len(decoder.inputs)} decoder inputs."
        )


def check_autoregressive(network: Network, outputs_for: Callable[[int], int]) -> None:
    """Checks the network of an autoregressive model.

    Args:
        network: From images (and labels) to the outputs of a likelihood.
        outputs_for: The likelihood's number of outputs for a pixel of so many channels.
    """
    _check_is_built("network", network)
    _check_regularizers("network", network)
    _check_labels({"network": network})
    image = network.inputs[0].shape
    if len(image) != 4 or None in image[1:]:
        raise ValueError(
            "Expected a network whose first input is images of a fixed size, (batch, height, "
            f"width, channels). Received: shape {shown(image)}."
        )
    expected = (*image[:3], outputs_for(image[3]))
    if len(network.outputs) != 1 or not fits(network.outputs[0].shape, expected):
        raise ValueError(
            f"Expected a network with one output of shape {shown(expected)}: {expected[3]} for "
            "each pixel, as the likelihood takes them. Received: outputs of shapes "
            f"{[shown(output.shape) for output in network.outputs]}."
        )
