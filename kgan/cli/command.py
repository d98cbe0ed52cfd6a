"""The command as a whole: its parser, its errors and its exit codes."""

import argparse
import os
import sys
from collections.abc import Sequence

from kgan import _environment, _interrupts
from kgan.cli import (
    data,
    evaluate,
    interpolate,
    recipes,
    reconstruct,
    sample,
    terminal,
    train,
    translate,
)

_COMMANDS = (train, sample, interpolate, reconstruct, translate, evaluate, data, recipes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: The command line without the program's name. Defaults to that of the process.

    Returns:
        The exit code.
    """
    terminal.print_any_name()
    try:
        try:
            options = parser().parse_args(arguments)
        finally:  # --help ends in a SystemExit
            terminal.flush()
        with _interrupts.repeated():
            if options.needs_backend:
                _environment.require_backend()
            code = int(options.run(options))
        terminal.flush()
        return code
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the program that reads our output has ended, as `head` does
        _discard_output()
        return 141
    except MemoryError as error:
        print(
            f"kgan: error: Not enough memory: {str(error) or 'none is left'}. A smaller --count or "
            "--batch-size needs less.",
            file=sys.stderr,
        )
        return 1
    except (ValueError, OSError, ImportError) as error:
        print(f"kgan: error: {error}", file=sys.stderr)
        try:
            terminal.flush()
        except OSError:  # that may have been the error
            _discard_output()
        return 1


def parser() -> argparse.ArgumentParser:
    """The parser of the command line, with those of all subcommands."""
    whole = argparse.ArgumentParser(prog="kgan", description="Generative models for Keras 3.")
    whole.add_argument("--version", action="store_true", help="print the version and exit")
    whole.set_defaults(run=_help_or_version, parser=whole, needs_backend=False)
    commands = whole.add_subparsers(title="commands", metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return whole


def _help_or_version(options: argparse.Namespace) -> int:
    if options.version:
        from kgan._core import __version__

        print(f"kgan {__version__}")
        return 0
    options.parser.print_help(sys.stderr)
    return 2


def _discard_output() -> None:
    """Discards the rest of the output, so that Python does not report an error at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
