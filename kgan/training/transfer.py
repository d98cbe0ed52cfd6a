"""Starting a model from the weights of another one."""

from typing import TYPE_CHECKING

from kgan._arguments import integer
from kgan._typing import Layer, Network
from kgan.training.batch_spec import shown

if TYPE_CHECKING:
    from kgan.training.model import GenerativeModel


def copy_weights(source: "GenerativeModel", target: "GenerativeModel") -> None:
    """Copies the weights of all networks from one model to another.

    The target keeps its own optimizers, noise and position in the data. Averages of its weights
    start again from the copied weights.

    Args:
        source: A `kgan.training.GenerativeModel`, such as `kgan.load` returns.
        target: A model with the same networks.

    Raises:
        ValueError: The models differ in their kind, the shape of images, the number of classes or
            the shapes of weights.

    Example:
    ```python
    new = kgan.recipes.get("dcgan_r1").build((28, 28, 1), seed=1)
    trained = kgan.recipes.get("dcgan_r1").build((28, 28, 1), seed=0)
    kgan.training.copy_weights(trained, new)
    assert np.array_equal(new.generate(4, seed=1), trained.generate(4, seed=1))
    ```
    """
    _check_fits(source, target)
    for name in target.networks:
        getattr(target, name).set_weights(getattr(source, name).get_weights())


def _check_fits(source: "GenerativeModel", target: "GenerativeModel") -> None:
    if source.networks != target.networks:
        raise ValueError(
            f"Expected a {type(target).__name__}, as is trained here. Received: the weights of a "
            f"{type(source).__name__}. Train with the recipe of that model."
        )
    given, needed = source.batch_spec(training=True), target.batch_spec(training=True)
    if given.shape != needed.shape:
        raise ValueError(
            f"Expected the weights of a model of images {shown(needed.shape)}, as in the data. "
            f"Received: those of a model of images {shown(given.shape)}. Give images of its size."
        )
    classes = [
        f"{spec.num_classes} classes" if spec.needs_labels else "images without labels"
        for spec in (needed, given)
    ]
    if classes[0] != classes[1]:
        raise ValueError(
            f"Expected the weights of a model of {classes[0]}, as is trained here. Received: those "
            f"of a model of {classes[1]}. Give data with as many classes, or start from another "
            "model."
        )
    for name in target.networks:
        _check_shapes(name, getattr(source, name), getattr(target, name))


def _check_shapes(name: str, source: Network, target: Network) -> None:
    given, needed = ([tuple(v.shape) for v in each.weights] for each in (source, target))
    if given == needed:
        return
    differences = [f"{b} instead of {a}" for a, b in zip(needed, given, strict=False) if a != b]
    difference = differences[0] if differences else f"{len(given)} instead of {len(needed)} weights"
    raise ValueError(
        f"Expected a {name} with weights of the same shapes. Received: {difference}. Train with "
        "the recipe of that model."
    )


def freeze_lower_layers(network: Network, count: int) -> list[Layer]:
    """Freezes the layers of a network that are nearest to its input (FreezeD).

    Frozen layers keep their weights in training, and frozen batch normalisation its statistics.
    Call it before `compile`. Files keep which layers are frozen.

    Args:
        network: The network, such as `gan.discriminator`.
        count: Integer, the number of layers. Only layers with weights count; a network inside the
            network is one layer.

    Returns:
        The frozen layers.

    Raises:
        ValueError: The network has not more layers than that.

    Example:
    ```python
    kgan.training.freeze_lower_layers(gan.discriminator, 2)
    gan.compile()
    ```

    Reference:
        [Mo, Cho and Shin, 2020](https://arxiv.org/abs/2002.10964).
    """
    layers = [layer for layer in network.layers if layer.weights]
    if integer("count", count) >= len(layers):
        raise ValueError(
            f"Expected to freeze fewer than {len(layers)} layers, the number with weights in "
            f"{network.name!r}. Received: {count}."
        )
    for layer in layers[:count]:
        layer.trainable = False
    return layers[:count]
