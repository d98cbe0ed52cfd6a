"""Prints the oldest versions of what builds kgan that pyproject.toml allows, as constraints.

For `uv pip install --resolution lowest-direct`, which takes the oldest of what kgan needs to run,
but always the newest of what builds it: docs/development/packaging.md has the whole command.

    uv pip install --build-constraints <(python tools/oldest_build.py) ...
"""

import ast
import re
import sys
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def main() -> None:
    """Prints a constraint a line."""
    # On one line, a list of strings in TOML is one in Python too, which can read no TOML before
    # version 3.11.
    requires = re.search(
        r"^\[build-system\]\n(?:#.*\n)*requires = (\[.*?\])", PYPROJECT.read_text(), re.M
    )
    if requires is None:
        sys.exit(f"{PYPROJECT} does not have build-system.requires on one line")
    for requirement in ast.literal_eval(requires[1]):
        name, bound, version = requirement.partition(">=")
        if not bound:
            sys.exit(f"{PYPROJECT}: no oldest version of {name}")
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
