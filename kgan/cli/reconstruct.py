"""`kgan reconstruct`: shows real images, and what a trained model makes of their latents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgan.cli import argument_types, inputs
from kgan.cli.terminal import say, without_native_noise

if TYPE_CHECKING:
    import argparse


def add(commands: Any) -> None:
    """Adds the parser."""
    reconstruct = commands.add_parser(
        "reconstruct",
        help="reconstruct images with a trained model",
        description="Reconstruct real images from their latents, with a model that encodes images, "
        "such as a VAE. Each row of images is followed by the row of their reconstructions.",
    )
    inputs.add_model(reconstruct)
    inputs.add_dataset(reconstruct)
    reconstruct.add_argument(
        "--split",
        metavar="NAME",
        default="test",
        help="the split of the data set (default: test)",
    )
    reconstruct.add_argument(
        "--count",
        metavar="N",
        type=argument_types.positive,
        default=32,
        help="the number of images (default: 32)",
    )
    reconstruct.add_argument(
        "--seed",
        metavar="N",
        type=argument_types.seed,
        default=0,
        help="chooses the images (default: 0)",
    )
    reconstruct.add_argument(
        "--output",
        metavar="FILE",
        type=argument_types.picture_or_arrays,
        default=Path("reconstructions.png"),
        help="a grid as .png, or .npz with `images` and `reconstructions`, uint8 (N, H, W, C), and "
        "`labels` if there are any (default: reconstructions.png)",
    )
    reconstruct.set_defaults(run=run, needs_backend=True)


def run(options: argparse.Namespace) -> int:
    """Writes the images and their reconstructions."""
    with without_native_noise():
        from kgan import images, runs
        from kgan.training.capabilities import Encodes
        from kgan.training.labels import as_options, labels_of
    saved = runs.Run.open(options.model, compile=False)
    if not isinstance(saved.model, Encodes):
        raise inputs.lacks(options.model, saved.model, "encodes images, such as a VAE")
    dataset = inputs.data_source(saved, options).load(options.split)
    count = min(options.count, len(dataset.images))
    real, labels = dataset.draw(count, options.seed)
    made = saved.model.reconstruct(real, **as_options(labels_of(saved.model, labels)))
    before, after = (images.to_uint8(each, dataset.value_range) for each in (real, made))
    if options.output.suffix.lower() == ".png":
        images.save_png(options.output, images.paired_grid(before, after))
    else:
        images.save_npz(options.output, images=before, reconstructions=after, **as_options(labels))
    say(f"{count} images and their reconstructions: {options.output}")
    return 0
