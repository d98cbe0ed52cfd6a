"""Recipes: plain data from which models are built."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from kgan._registry import check_names, find_name

# Recipes are plain data, which the command lists without a backend: what is heavy is imported where
# a model is built.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import ModuleType

    from kgan._typing import Network, Optimizer
    from kgan.training import GenerativeModel

Options: TypeAlias = "dict[str, Any]"
Needs: TypeAlias = Literal["labels", "pairs", "domains", "codes"]

TRANSLATION = ("pairs", "domains")
"""The needs of recipes for models that translate images."""

# Arguments of `compile` that a recipe gives as names with arguments, and the modules that make
# objects of them.
_MADE_BY_NAME = {"penalties": "kgan.penalties"}

# Options that `compile` of every model takes.
_COMPILE_OPTIONS = ("ema_decay", "run_eagerly", "steps_per_execution", "jit_compile")


@dataclass(frozen=True)
class Recipe:
    """All settings for training a model, as plain data.

    Args:
        summary: String, a line that says what it is.
        model: The name of a class in `kgan.models`, or a subclass of
            `kgan.training.GenerativeModel`.
        networks: The name of a function in `kgan.networks`, or a function, that returns the
            model's networks in the order of its constructor.
        reference: String, the paper.
        differences: String, the differences from the paper, and why.
        model_options: Arguments for the class, in addition to the networks and the seed.
        network_options: Arguments for the function, in addition to `image_shape`. With
            `needs="labels"`, it also gets `num_classes`; with `"pairs"` or `"domains"`,
            `target_channels`.
        optimizers: For each role of the model, the arguments of its optimizer; `"class"` is the
            name of a class in `keras.optimizers` and defaults to `"Adam"`. A role that is left out
            gets the model's default.
        compile: Further arguments for the model's `compile`. `penalties` is a dictionary of names,
            each with its arguments.
        needs: What the data must have in addition to images: `"labels"`, `"pairs"`, `"domains"` or
            `"codes"`. Defaults to `None`: nothing.
        data: Arguments for `kgan.data.load_dataset`, such as `{"binarize": "dynamic"}`. With
            `needs="pairs"` or `"domains"`, arguments for `kgan.data.load_task`: `{"task":
            "outlines"}`.
        dataset: The name of the data set that a run trains on if none is named, one that
            `kgan.data.load_dataset` takes. Defaults to `None`: MNIST, or the digits in
            scikit-learn where MNIST is not available.
        callbacks: Callbacks that a run trains with in addition, by the names of classes in
            `kgan.callbacks`, each with its arguments: `{"LinearDecay": {"start": 0.5}}`.
        batch_size: Integer.
        epochs: Integer, the number that the command trains by default.
        dtype_policy: The name of the networks' dtype policy in Keras, such as `"mixed_bfloat16"`.
            Defaults to the global one.

    Example:
    ```python
    recipe = kgan.recipes.Recipe(
        summary="a small GAN with the hinge loss",
        model="GAN",
        networks="dcgan",
        network_options={"latent_dim": 64, "width": 24},
        optimizers={
            "generator": {"learning_rate": 1e-4, "beta_1": 0.0},
            "discriminator": {"learning_rate": 4e-4, "beta_1": 0.0},
        },
        compile={"loss": "hinge", "penalties": {"r1": {"weight": 0.1}}},
    )
    gan = recipe.build((28, 28, 1), seed=0)
    ```
    """

    summary: str
    model: str | type[GenerativeModel]
    networks: str | Callable[..., Sequence[Network]]
    reference: str = ""
    differences: str = ""
    model_options: Options = field(default_factory=dict)
    network_options: Options = field(default_factory=dict)
    optimizers: dict[str, Options] = field(default_factory=dict)
    compile: Options = field(default_factory=dict)
    needs: Needs | None = None
    data: Options = field(default_factory=dict)
    dataset: str | None = None
    callbacks: dict[str, Options] = field(default_factory=dict)
    batch_size: int = 64
    epochs: int = 20
    dtype_policy: str | None = None

    def build(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        num_classes: int | None = None,
        seed: int | None = None,
        initial: GenerativeModel | None = None,
        frozen: Mapping[str, int] | None = None,
        target_channels: int | None = None,
        **compile_options: Any,
    ) -> GenerativeModel:
        """Builds the model, compiled and ready for `fit`.

        Args:
            image_shape: Three integers, `(height, width, channels)`.
            num_classes: Integer, the number of classes of the data. A recipe that needs labels
                needs it; the others ignore it.
            seed: Integer, for the weights and the noise; it also becomes the global seed of Python,
                NumPy and Keras. Defaults to random ones.
            initial: A trained model of this recipe, from whose weights the new one starts. Defaults
                to random weights.
            frozen: The number of lower layers of a network to freeze, by the name of the network:
                `{"discriminator": 2}`. See `kgan.training.freeze_lower_layers`.
            target_channels: Integer, the number of channels of the targets, or of the second
                domain. Recipes that need neither ignore it. Defaults to those of `image_shape`.
            **compile_options: Arguments for the model's `compile`, instead of the recipe's.

        Returns:
            A compiled model.

        Raises:
            ValueError: A name or an option in the recipe is unknown, a recipe that needs labels
                got no `num_classes`, the networks cannot have that shape, or the weights of
                `initial` do not fit them.

        Example:
        ```python
        recipe = kgan.recipes.get("dcgan_r1")
        gan = recipe.build((28, 28, 1), seed=0)
        ```
        """
        if self.needs == "labels" and num_classes is None:
            raise ValueError(
                "Expected data with labels, which this recipe needs. Received: num_classes=None. "
                "Pass num_classes=dataset.num_classes."
            )
        make_networks = _found(self.networks, "kgan.networks", "a network function")
        make_model = _found(self.model, "kgan.models", "a model")
        self._check_options(make_networks, make_model, compile_options)
        import keras  # noqa: PLC0415

        if seed is not None:
            keras.utils.set_random_seed(seed)
        options = {"image_shape": image_shape, **self.network_options}
        if self.needs == "labels":
            options["num_classes"] = num_classes
        elif self.needs in TRANSLATION:
            options["target_channels"] = target_channels
        with _global_dtype_policy(self.dtype_policy):
            networks = make_networks(**options)
        model: GenerativeModel = make_model(*networks, seed=seed, **self.model_options)
        # Before `compile`: averages begin with these weights, and optimizers with what trains.
        _prepare(model, initial, frozen or {})
        model.compile(**{**self._compile_options(), **compile_options})
        return model

    def make_callbacks(self) -> list[Any]:
        """Makes the callbacks that the recipe names, for `fit`.

        Returns:
            A list of new `keras.callbacks.Callback`s.

        Raises:
            ValueError: A name or an argument in the recipe is unknown.

        Example:
        ```python
        recipe = kgan.recipes.get("dcgan_r1")
        gan = recipe.build((28, 28, 1), seed=0)
        gan.fit(train, epochs=1, callbacks=recipe.make_callbacks())
        ```
        """
        made = []
        for name, given in self.callbacks.items():
            make = _found(name, "kgan.callbacks", "a callback")
            _check_arguments(given, make, f"kgan.callbacks.{name}")
            made.append(make(**given))
        return made

    def _check_options(
        self,
        make_networks: Callable[..., Any],
        make_model: type[GenerativeModel],
        compile_options: Mapping[str, Any],
    ) -> None:
        from kgan.training import optimizer_argument  # noqa: PLC0415

        if not _passes_arguments_on(make_networks):
            _check_arguments(self.network_options, make_networks, _shown(make_networks))
        _check_arguments(self.model_options, make_model, _shown(make_model))
        check_names(self.optimizers, make_model.roles, what=f"a role of {_shown(make_model)}")
        of_model = (*_COMPILE_OPTIONS, *map(optimizer_argument, make_model.roles))
        given = {**self.compile, **compile_options}
        _check_arguments(given, make_model.compile, f"{_shown(make_model)}.compile", of_model)

    def _compile_options(self) -> Options:
        from kgan.training import optimizer_argument  # noqa: PLC0415

        optimizers = {
            optimizer_argument(role): _optimizer(given) for role, given in self.optimizers.items()
        }
        return {
            **optimizers,
            **{name: _objects(name, value) for name, value in self.compile.items()},
        }


def _prepare(
    model: GenerativeModel, initial: GenerativeModel | None, frozen: Mapping[str, int]
) -> None:
    """Gives a new model the weights of another one, and freezes layers."""
    from kgan.training import copy_weights, freeze_lower_layers  # noqa: PLC0415

    check_names(frozen, model.networks, what=f"a network of {_shown(type(model))}")
    if initial is not None:
        copy_weights(initial, model)
    for name, count in frozen.items():
        freeze_lower_layers(getattr(model, name), count)


def _found(given: Any, module: str, what: str) -> Any:
    """A public function or class of a module, given by its name or as it is."""
    if callable(given):
        return given
    public: ModuleType = importlib.import_module(module)
    return find_name(
        given, {name: getattr(public, name) for name in public.__all__}, what=f"{what} in {module}"
    )


def _optimizer(options: Options) -> Optimizer:
    import keras  # noqa: PLC0415

    given = dict(options)
    classes = {
        name: value
        for name, value in vars(keras.optimizers).items()
        if inspect.isclass(value) and issubclass(value, keras.optimizers.Optimizer)
    }
    name = given.pop("class", "Adam")
    make = find_name(name, classes, what="an optimizer in keras.optimizers")
    _check_arguments(given, make, f"keras.optimizers.{name}")
    return make(**given)


def _objects(argument: str, value: Any) -> Any:
    """An argument of `compile`, with objects in place of names with arguments."""
    if argument not in _MADE_BY_NAME or not isinstance(value, dict):
        return value
    make = importlib.import_module(_MADE_BY_NAME[argument]).make
    return [make(name, **given) for name, given in value.items()]


def _check_arguments(
    given: Iterable[str], call: Callable[..., Any], shown: str, others: Iterable[str] = ()
) -> None:
    parameters = inspect.signature(call).parameters.values()
    keywords = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = [each.name for each in parameters if each.kind in keywords and each.name != "self"]
    check_names(given, dict.fromkeys((*named, *others)), what=f"an argument of {shown}")


def _passes_arguments_on(call: Callable[..., Any]) -> bool:
    """Whether a function takes arguments of any name, as `kgan.networks.pix2pix` does."""
    kinds = [each.kind for each in inspect.signature(call).parameters.values()]
    return inspect.Parameter.VAR_KEYWORD in kinds


def _shown(call: Any) -> str:
    return str(getattr(call, "__name__", call))


@contextlib.contextmanager
def _global_dtype_policy(name: str | None) -> Iterator[None]:
    """A context in which layers get that dtype policy. None changes nothing."""
    import keras  # noqa: PLC0415

    if name is None:
        yield
        return
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
