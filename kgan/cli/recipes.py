"""`kgan recipes`: lists the recipes."""

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Adds the parser."""
    recipes = commands.add_parser("recipes", help="list the recipes")
    recipes.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints each recipe, with its paper and its differences from it."""
    from kgan import recipes

    del options
    for name, recipe in recipes.RECIPES.items():
        default = " (default)" if name == recipes.DEFAULT else ""
        task = f" (default task: {recipe.data['task']})" if "task" in recipe.data else ""
        needs = "" if recipe.needs is None else f" Needs {recipe.needs}{task}."
        data = "" if recipe.dataset is None else f" (default data set: {recipe.dataset})"
        print(f"{name}{default}: {recipe.summary}{data}. {recipe.reference}{needs}")
        if recipe.differences:
            print(f"    Differences: {recipe.differences}.")
    return 0
