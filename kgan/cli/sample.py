"""`kgan sample`: makes images with a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgan.cli import argument_types, inputs
from kgan.cli.terminal import say, without_native_noise

if TYPE_CHECKING:
    import argparse

    from kgan._typing import Labels
    from kgan.training import GenerativeModel


def add(commands: Any) -> None:
    """Adds the parser."""
    sample = commands.add_parser("sample", help="make images with a trained model")
    inputs.add_model(sample)
    sample.add_argument(
        "--count",
        metavar="N",
        type=argument_types.positive,
        default=64,
        help="the number of images (default: 64)",
    )
    sample.add_argument(
        "--label", metavar="L", type=int, help="the class, for a conditional model (default: all)"
    )
    sample.add_argument(
        "--seed",
        metavar="N",
        type=argument_types.seed,
        help="(default: different images every time)",
    )
    sample.add_argument(
        "--output",
        metavar="FILE",
        type=argument_types.picture_or_arrays,
        default=Path("samples.png"),
        help="a grid as .png, or .npz with `images`, uint8 (N, H, W, C), and `labels` of a "
        "conditional model (default: samples.png)",
    )
    sample.set_defaults(run=run, needs_backend=True)


def run(options: argparse.Namespace) -> int:
    """Writes the images."""
    with without_native_noise():
        from kgan import images, runs
        from kgan.training.capabilities import Generates
    model = runs.Run.open(options.model, compile=False).model
    if not isinstance(model, Generates):
        raise inputs.lacks(options.model, model, "generates images")
    labels = _labels(model, options.count, options.label)
    given = {} if labels is None else {"labels": labels}
    made = images.to_uint8(model.generate(options.count, seed=options.seed, **given))
    if options.output.suffix.lower() == ".png":
        images.save_png(options.output, images.grid(made))
    else:
        images.save_npz(options.output, images=made, **given)
    say(f"{options.count} images: {options.output}")
    return 0


def _labels(model: GenerativeModel, count: int, label: int | None) -> Labels | None:
    """The classes to ask for: one, or all in turn; None for an unconditional model."""
    import numpy as np

    from kgan.training.capabilities import classes_of, is_conditional

    if not is_conditional(model):
        if label is not None:
            raise ValueError(
                f"Expected no --label, since the model is unconditional. Received: {label}."
            )
        return None
    if label is not None:
        return np.full(count, label, "int32")
    return np.arange(count, dtype="int32") % classes_of(model)
