"""`kgan interpolate`: makes a film of paths between samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgan.cli import argument_types, inputs
from kgan.cli.terminal import say, without_native_noise

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kgan._typing import Labels, Pictures
    from kgan.runs import SavedRun
    from kgan.training import GenerativeModel

_EASY_TO_SEE = 100  # pixels


def add(commands: Any) -> None:
    """Adds the parser."""
    interpolate = commands.add_parser(
        "interpolate",
        help="make a film of paths between samples",
        description="Make images on paths from one latent to another. A film (.gif) shows the "
        "paths side by side, forwards and backwards. A picture (.png) has a row for each path.",
    )
    inputs.add_model(interpolate)
    interpolate.add_argument(
        "--count",
        metavar="N",
        type=argument_types.positive,
        default=9,
        help="the number of paths (default: 9)",
    )
    interpolate.add_argument(
        "--steps",
        metavar="N",
        type=argument_types.steps,
        default=24,
        help="images on each path, with both ends (default: 24)",
    )
    interpolate.add_argument(
        "--seconds",
        metavar="SECONDS",
        type=argument_types.above_zero,
        default=8.0,
        help="about how long the film runs (default: 8)",
    )
    interpolate.add_argument(
        "--labels",
        metavar="A,B",
        help="the classes of both ends, by number or name, for a conditional model; a single A "
        "for both (default: another class for each path)",
    )
    interpolate.add_argument(
        "--seed",
        metavar="N",
        type=argument_types.seed,
        help="chooses the ends (default: different ones every time)",
    )
    interpolate.add_argument(
        "--scale",
        metavar="N",
        type=argument_types.positive,
        help="the side of the square that each pixel becomes (default: as large as keeps images "
        f"within {_EASY_TO_SEE} pixels)",
    )
    interpolate.add_argument(
        "--output",
        metavar="FILE",
        type=argument_types.film_or_picture,
        default=Path("film.gif"),
        help="a film as .gif, or a grid as .png (default: film.gif)",
    )
    interpolate.set_defaults(run=run, needs_backend=True)


def run(options: argparse.Namespace) -> int:
    """Writes the film or the picture."""
    with without_native_noise():
        from kgan import images, runs
        from kgan.training.capabilities import Interpolates
        from kgan.training.labels import as_options
    saved = runs.Run.open(options.model, compile=False)
    if not isinstance(saved.model, Interpolates):
        raise inputs.lacks(options.model, saved.model, "interpolates between latents")
    given = as_options(_labels(saved.model, options, saved.class_names))
    made = saved.model.interpolate(options.count, steps=options.steps, seed=options.seed, **given)
    paths = images.to_uint8(made)
    scale = options.scale or max(1, _EASY_TO_SEE // max(paths.shape[2:4]))
    if options.output.suffix.lower() == ".png":
        row_names = None if options.labels else _row_names(saved, options.count)
        tiles = paths.reshape(-1, *paths.shape[2:])
        picture = images.grid(tiles, options.steps, row_names=row_names, scale=scale)
        images.save_png(options.output, picture)
    else:
        images.save_gif(options.output, _there_and_back(paths), options.seconds, scale)
    say(f"{options.count} paths of {options.steps} images: {options.output}")
    return 0


def _labels(
    model: GenerativeModel, options: argparse.Namespace, names: Sequence[str] | None
) -> Labels | None:
    """The classes of both ends of each path, `(n, 2)`, or None to leave them to the model.

    Raises:
        ValueError: There are no such classes, or not one or two of them.
    """
    import numpy as np

    from kgan.training.labels import labels_for

    if options.labels is None:
        return None
    # A name may have a comma in it.
    is_name = options.labels in (names or ())
    parts = [options.labels] if is_name else options.labels.split(",")
    if len(parts) > 2:
        raise ValueError(
            f"Expected --labels to give one or two classes. Received: {options.labels}. Give "
            "classes with commas in their names by number."
        )
    ends = [inputs.label(part.strip(), names, "--labels") for part in (parts[0], parts[-1])]
    for end in ends:
        labels_for(model, 1, end)  # checks that the model has this class
    return np.tile(np.asarray(ends, "int32"), (options.count, 1))


def _row_names(saved: SavedRun, count: int) -> list[str] | None:
    """The class of each path if the model chose them; None for an unconditional model."""
    from kgan.training.labels import labels_for, names_of

    labels = labels_for(saved.model, count)
    return None if labels is None else names_of(labels, saved.class_names)


def _there_and_back(paths: Pictures) -> Pictures:
    """Paths that return to where they start, so that the film loops without a jump."""
    import numpy as np

    return np.concatenate([paths, paths[:, -2::-1]], axis=1)
