"""The entry point of the `kgan` command.

It is outside of the package `kgan`. `import kgan` registers kgan's classes with Keras, for which it
loads a backend, and that takes seconds. If this module was imported first, `import kgan` leaves it
to the command, which does so when it loads a model. So `kgan --help`, `kgan data` and
`kgan recipes` are quick. No other program imports this module.
"""


def main() -> int:
    """Runs the command, and returns its exit code."""
    from kgan.cli import main as run  # noqa: PLC0415

    return run()
