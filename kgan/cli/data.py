"""`kgan data`: describes IDX files."""

import argparse
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Adds the parser."""
    data = commands.add_parser("data", help="describe IDX files")
    data.add_argument("files", metavar="FILE", nargs="+", type=Path)
    data.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints a line for each file."""
    from kgan.data import idx_header

    failed = False
    for path in options.files:
        try:
            header = idx_header(path)
        except (ValueError, OSError) as error:
            print(f"kgan: error: {error}", file=sys.stderr)
            failed = True
            continue
        size = " x ".join(map(str, header.shape)) or "a single number"
        print(f"{path}: {header.dtype} {size}{', gzipped' if header.compressed else ''}")
    return int(failed)
