"""The `kgan` command: train models, sample from them, evaluate them, inspect data files.

Each subcommand has a module here with two functions: `add(commands)` adds its parser, and
`run(options)` runs it and returns the exit code. Modules of kgan that load a backend are imported
in `run`.

Exit codes: 0 for success, 1 for an error with a message, 2 for a command line that is not valid,
128 + n if signal n ended the command (130 for Ctrl-C).
"""

from kgan.cli.command import main

__all__ = ["main"]
