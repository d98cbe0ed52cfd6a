"""`kgan sample`: makes images with a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgan.cli import argument_types, inputs
from kgan.cli.terminal import say, without_native_noise

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kgan._typing import Labels, Pictures


_BETWEEN_TEXTS = f"\n{'-' * 40}\n"


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
        "--label",
        metavar="L",
        help="the class, by its number or the name of its folder, for a conditional model "
        "(default: all, with a row for each in a grid)",
    )
    sample.add_argument(
        "--seed",
        metavar="N",
        type=argument_types.seed,
        help="(default: different images every time)",
    )
    sample.add_argument(
        "--truncation",
        metavar="T",
        type=argument_types.above_zero,
        help="latents between -T and T only: more typical, less varied images (default: all)",
    )
    sample.add_argument(
        "--temperature",
        metavar="T",
        type=argument_types.above_zero,
        help="for a model that draws pixel by pixel: below 1, more typical images (default: 1)",
    )
    sample.add_argument(
        "--output",
        metavar="FILE",
        type=argument_types.samples,
        default=Path("samples.png"),
        help="a grid as .png; or .npz with `images`, uint8 (N, H, W, C), and `labels` of a "
        "conditional model; or, for a model of text, .txt (default: samples.png)",
    )
    sample.set_defaults(run=run, needs_backend=True)


def run(options: argparse.Namespace) -> int:
    """Writes the images."""
    with without_native_noise():
        from kgan import images, runs
        from kgan.models.latent_model import LatentModel
        from kgan.models.pixel_cnn import InterruptedDrawError
        from kgan.training.capabilities import Completes, Generates
        from kgan.training.labels import as_options, labels_for
    saved = runs.Run.open(options.model, compile=False)
    model, names = saved.model, saved.class_names
    if not isinstance(model, Generates):
        raise inputs.lacks(options.model, model, "generates images")
    label = None if options.label is None else inputs.label(options.label, names)
    labels = labels_for(model, options.count, label)
    given = as_options(labels)
    chosen: dict[str, Any] = {}
    if options.truncation is not None:
        chosen["truncation"] = options.truncation
    if chosen and not isinstance(model, LatentModel):
        raise inputs.lacks(options.model, model, "makes images from latents (--truncation)")
    if options.temperature is not None:
        if not isinstance(model, Completes):
            raise inputs.lacks(options.model, model, "draws pixel by pixel (--temperature)")
        chosen["temperature"] = options.temperature
    interrupt = None
    try:
        made = images.to_uint8(model.generate(options.count, seed=options.seed, **given, **chosen))
    except InterruptedDrawError as interrupted:
        if not len(interrupted.images):
            raise
        interrupt, made = interrupted, images.to_uint8(interrupted.images)
        labels = None if labels is None else labels[: len(made)]
        given = as_options(labels)
    kind = options.output.suffix.lower()
    if kind == ".png":
        images.save_png(options.output, _grid(made, labels, names))
    elif kind == ".txt":
        _save_text(options.output, made)
    else:
        images.save_npz(options.output, images=made, **given)
    say(f"{len(made)} images: {options.output}")
    if interrupt is not None:
        raise interrupt  # the command ends as any that is interrupted
    return 0


def _save_text(path: Path, made: Pictures) -> None:
    """Writes the texts that images of one row hold, with a line of dashes between them."""
    from kgan._files import written_whole
    from kgan.data import decode_text

    texts = decode_text(made)
    with written_whole(path) as temporary:
        temporary.write_text(_BETWEEN_TEXTS.join(texts) + "\n", "utf-8")


def _grid(made: Pictures, labels: Labels | None, names: Sequence[str] | None) -> Pictures:
    """The images as a grid: of several classes, with a row for each, if that stays readable."""
    import numpy as np

    from kgan import images
    from kgan.training.labels import MOST_ROWS, names_of

    if labels is None or not 1 < len(shown := np.unique(labels)) <= MOST_ROWS:
        return images.grid(made)
    return images.class_grid(made, labels, row_names=names_of(shown, names))
