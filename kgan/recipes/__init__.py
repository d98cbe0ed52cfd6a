"""Named recipes: networks, losses and optimizers that work together, as plain data.

The recipes of a family of models are in a module here, in a dictionary `RECIPES`. To add a recipe,
add an entry there. To add a family, add the module to `RECIPES` below. The command, the tests and
the docs find them.
"""

from kgan._registry import find_name
from kgan.recipes import autoregressive, gan, translation, vae
from kgan.recipes.recipe import Recipe

__all__ = ["DEFAULT", "RECIPES", "Recipe", "get", "names"]

RECIPES: dict[str, Recipe] = {
    **gan.RECIPES,
    **vae.RECIPES,
    **translation.RECIPES,
    **autoregressive.RECIPES,
}

DEFAULT = "dcgan_r1"


def names() -> list[str]:
    """The names that `get` knows.

    Example:
    ```python
    assert "dcgan_r1" in kgan.recipes.names()
    ```
    """
    return list(RECIPES)


def get(name: str = DEFAULT) -> Recipe:
    """Finds a recipe.

    Args:
        name: String, one of `kgan.recipes.names()`.

    Returns:
        The `Recipe`.

    Raises:
        ValueError: There is no recipe of that name.

    Example:
    ```python
    gan = kgan.recipes.get("conditional_dcgan").build((28, 28, 1), num_classes=10)
    ```
    """
    return find_name(name, RECIPES, what="a recipe")
