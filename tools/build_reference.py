# python tools/build_reference.py   (with --check it writes nothing, and fails if a page is old)
"""Writes the generated pages of docs/reference/: API, command, recipes and logs."""

import argparse
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import kgan
from kgan import augmentations, metrics, penalties, recipes
from kgan.cli import command
from kgan.training import log_names

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
GENERATED = "<!-- Written by tools/build_reference.py. Do not edit. -->\n\n"

# On the page of the models, only methods for users; `kgan.training` documents the others.
MODELS = """    options:
      inherited_members:
        - compile
        - fit
        - evaluate
        - train_on_batch
        - test_on_batch
        - save
        - generate
        - interpolate
        - draw_latents
        - decode
        - network_in_use
        - export
      filters:
        - "!^_"
        - "!^(build|call|get_config|.*_step|log_names|batch_spec|default_optimizer)$"
"""

# Public modules that are not names of `kgan` themselves.
SUBMODULES = ("data.pairs", "training.capabilities", "training.log_names")


class Log(NamedTuple):
    """What a page says about a log; `kgan.training.log_names` has the limits of the alarms."""

    name: str
    meaning: str
    healthy: str


LOGS = {
    "GAN": (
        Log(
            "generator_loss",
            "the adversarial loss of the generator",
            "depends on the loss; it need not fall",
        ),
        Log(
            "discriminator_loss",
            "the adversarial loss of the discriminator, without penalties",
            "depends on the loss; it need not fall",
        ),
        Log(
            "real_score",
            "the discriminator's mean score of real images",
            "above `fake_score`",
        ),
        Log(
            "fake_score",
            "the discriminator's mean score of samples",
            "below `real_score`, by a distance that does not grow without end",
        ),
        Log(
            "discriminator_accuracy",
            "how often a real image scores above a sample, over all pairs",
            "0.7 to 0.8 for `dcgan` on MNIST, 0.9 for `first_gan`",
        ),
        Log(
            "classification_loss",
            "the loss of an auxiliary classifier on real images and on samples",
            "falls to near 0",
        ),
        Log(
            "class_accuracy",
            "the share of samples in which an auxiliary classifier sees the requested class",
            "rises to near 1",
        ),
        Log(
            "generator_gradient_norm",
            "the length of the gradient of the generator's weights",
            "within a factor of 2 from epoch to epoch",
        ),
        Log(
            "discriminator_gradient_norm",
            "the length of the gradient of the discriminator's weights",
            "within a factor of 2 from epoch to epoch",
        ),
    ),
    "InfoGAN, in addition": (
        Log(
            "categorical_information",
            "a lower bound of the information about the categorical codes",
            "rises towards the logarithm of the number of categories: 2.30 for ten",
        ),
        Log(
            "continuous_information",
            "a lower bound of the information about the continuous codes",
            "rises",
        ),
    ),
    "ProgressiveGAN, in addition": (
        Log(
            "resolution",
            "the larger side of the training images in pixels",
            "grows in stages to the full size",
        ),
        Log(
            "fade",
            "the share of the new blocks in the images of a stage",
            "rises from 0 to 1 in each stage",
        ),
    ),
    "Pix2Pix and CycleGAN, in addition": (
        Log(
            "l1_error",
            "the mean absolute difference between translations and targets (Pix2Pix)",
            "falls, also on held-out pairs",
        ),
        Log(
            "cycle_error",
            "the mean absolute difference between images and their cycles (CycleGAN)",
            "falls. It does not show whether translations keep the class",
        ),
        Log(
            "identity_error",
            "the mean absolute difference between images and their translations into the domain "
            "that they are from (CycleGAN)",
            "falls",
        ),
    ),
    "Every family with one optimizer": (
        Log(
            "loss",
            "the objective that is minimised",
            "falls",
        ),
        Log(
            "gradient_norm",
            "the length of the gradient of all weights",
            "within a factor of 2 from epoch to epoch",
        ),
    ),
    "PixelCNN and PixelRNN": (
        Log(
            "bits_per_dimension",
            "the negative log probability for each value, in bits",
            "falls, also on held-out images",
        ),
    ),
    "VAE": (
        Log(
            "reconstruction",
            "the negative log-likelihood of images given their latents, in nats",
            "falls",
        ),
        Log(
            "kl",
            "the KL divergence of the posteriors from the prior, in nats for each image",
            "rises from near 0, then stays well above 0.1",
        ),
        Log(
            "kl_weight",
            "the weight of the KL divergence",
            "rises from 0 to `beta` during a warm-up, then stays",
        ),
        Log(
            "active_units",
            "how many latents vary from image to image",
            "well above 0.1; the number of latents that the decoder uses",
        ),
    ),
}


def modules() -> list[str]:
    """The public modules of kgan, without the prefix."""
    public = [name for name in kgan.__all__ if inspect.ismodule(getattr(kgan, name))]
    return sorted([*public, *SUBMODULES])


def first_sentence(text: str | None) -> str:
    """The first line of a docstring."""
    return (text or "").strip().splitlines()[0]


def api_page(name: str) -> str:
    """The page of a module: mkdocstrings fills it in."""
    options = MODELS if name == "models" else ""
    return f"{GENERATED}# kgan.{name}\n\n::: kgan.{name}\n{options}"


def api_index() -> str:
    """The list of the modules, and of the names of kgan itself."""
    rows = [
        f"| [`kgan.{name}`]({name}.md) | "
        f"{first_sentence(importlib.import_module(f'kgan.{name}').__doc__)} |"
        for name in modules()
    ]
    return (
        f"{GENERATED}# API\n\n"
        "| module | |\n|---|---|\n" + "\n".join(rows) + "\n\n"
        "In the examples, `np` is NumPy. `train` and `test` are data sets of digits from "
        "`kgan.data.load_mnist`. `gan`, conditional on the digit, `vae`, of grey images, and the "
        "translators `pix2pix` and `cycle_gan`, and `pixel_cnn`, of binary images like those of "
        "`binary_test`, are compiled models for them. `model` is `gan` or "
        "`vae`.\n\n"
        "`import kgan` gives these names too:\n\n"
        "| name | is |\n|---|---|\n"
        "| `kgan.CycleGAN`, `kgan.GAN`, `kgan.InfoGAN`, `kgan.Pix2Pix`, `kgan.PixelCNN`, "
        "`kgan.PixelRNN`, `kgan.ProgressiveGAN`, `kgan.VAE` | [kgan.models](models.md) |\n"
        "| `kgan.evaluate` | [kgan.metrics](metrics.md) |\n"
        "| `kgan.load` | loads a model from a run directory or a file: "
        "[Load a run in Python](../run_directory.md#load-a-run-in-python) |\n"
        "| `kgan.__version__` | the version, a string |\n\n"
        "Import `kgan` before `keras`: it enables TensorFlow's oneDNN kernels, and selects a "
        "backend that is installed.\n"
    )


def cli_page() -> str:
    """Every command with its options, from the parser."""
    parts = [
        f"{GENERATED}# The kgan command\n",
        "[Use the command line](../howto/command_line.md) has examples.\n",
    ]
    for name, parser in commands(command.parser()):
        parts += [f"## kgan {name}\n", f"{command_description(name, parser)}\n"]
        parts += [f"    {usage(name, parser)}\n", options_table(parser)]
    return "\n".join(parts)


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The subcommands of a parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help for choice in action._choices_actions}
            for name, sub in action.choices.items():
                sub.description = sub.description or sentence(helps[name])
                yield name, sub


def command_description(name: str, parser: argparse.ArgumentParser) -> str:
    """What a command does."""
    return (parser.description or name).replace("%%", "%")


def sentence(text: str | None) -> str:
    """A text with a capital at its beginning and a full stop at its end."""
    return f"{(text or '')[:1].upper()}{(text or '')[1:]}."


def usage(name: str, parser: argparse.ArgumentParser) -> str:
    """A line with the arguments that a command needs."""
    shown = [f"kgan {name}"]
    for action in parser._actions:
        if not action.option_strings:
            several = action.nargs == "+"
            shown.append(
                f"{action.metavar} [{action.metavar} ...]" if several else f"{action.metavar}"
            )
    return " ".join([*shown, "[OPTIONS]"] if has_options(parser) else shown)


def has_options(parser: argparse.ArgumentParser) -> bool:
    """Whether a command has options other than --help."""
    return any(a.option_strings and a.dest != "help" for a in parser._actions)


def options_table(parser: argparse.ArgumentParser) -> str:
    """The options of a command."""
    rows = []
    for action in parser._actions:
        if action.dest == "help":
            continue
        shown = " ".join([*action.option_strings, str(action.metavar or "")]).strip()
        text = (action.help or "").replace("%%", "%")
        if action.choices:
            text = f"{', '.join(f'`{choice}`' for choice in action.choices)}: {text}"
        rows.append(f"| `{shown}` | {text} |")
    if not rows:
        return ""
    return "| argument | |\n|---|---|\n" + "\n".join(rows) + "\n"


def recipes_page() -> str:
    """Every recipe with all that it sets."""
    rows = [
        f"| [`{name}`](#{name}) | {recipe.summary} | {recipe.needs or ''} |"
        for name, recipe in recipes.RECIPES.items()
    ]
    parts = [
        f"{GENERATED}# Recipes\n",
        "Run one with `kgan train --recipe NAME`, or build its model with "
        "`kgan.recipes.get(NAME).build(image_shape)`. The default is "
        f"[`{recipes.DEFAULT}`](#{recipes.DEFAULT}). [Choose a "
        "recipe](../howto/choose_a_recipe.md) compares them, and the [gallery](../gallery.md) "
        "shows their samples.\n",
        "| recipe | | needs |\n|---|---|---|\n" + "\n".join(rows) + "\n",
    ]
    for name, recipe in recipes.RECIPES.items():
        parts.append(recipe_section(name, recipe))
    return "\n".join(parts)


def recipe_section(name: str, recipe: recipes.Recipe) -> str:
    """All that a recipe sets."""
    rows = {
        "model": call(f"kgan.{recipe.model}", recipe.model_options),
        "networks": call(f"kgan.networks.{recipe.networks}", recipe.network_options),
        "compile": arguments(recipe.compile),
        **{
            f"optimizer ({role})": call(
                str(options.get("class", "Adam")),
                {key: value for key, value in options.items() if key != "class"},
            )
            for role, options in recipe.optimizers.items()
        },
        "data set": "" if recipe.dataset is None else recipe.dataset,
        "data": arguments(recipe.data),
        "batch size": str(recipe.batch_size),
        "epochs": str(recipe.epochs),
        "needs": recipe.needs or "",
    }
    table = "\n".join(f"| {key} | `{value}` |" for key, value in rows.items() if value)
    heading = f"## {name} {{ #{name} }}\n\n{sentence(recipe.summary)}\n\n"
    paper = f"[Paper]({recipe.reference}). " if recipe.reference else ""
    differences = f"Differences: {recipe.differences}." if recipe.differences else ""
    return f"{heading}{paper}{differences}\n\n| | |\n|---|---|\n{table}\n"


def call(function: str, options: dict[str, Any]) -> str:
    """A call with keyword arguments, as text."""
    return f"{function}({arguments(options)})"


def arguments(options: dict[str, Any]) -> str:
    """Keyword arguments, as text."""
    return ", ".join(f"{key}={value!r}" for key, value in options.items())


def logs_page() -> str:
    """Every log, with what a healthy run shows."""
    parts = [
        f"{GENERATED}# Logs\n",
        "`fit` reports these, `history.csv` and `LossHistory` keep them, and the report draws "
        "them. Each is a mean over the epoch. Logs of validation data have the prefix `val_`.\n",
        "An alarm is a warning of `kgan.callbacks.CollapseAlarm`. [Fix a run that goes "
        "wrong](../howto/troubleshooting.md) lists the remedies.\n",
    ]
    for title, logs in LOGS.items():
        parts += [f"## {title}\n", logs_table(logs)]
    shown = ", ".join(f"`{name}`" for name in penalties.names())
    parts += [
        "## Penalties and augmentation\n",
        f"Each penalty is reported by its name, before weighting: {shown}. A healthy penalty "
        "stays finite and does not grow without end.\n",
        f"`{augmentations.AdaptiveAugment.logs[0]}` is the probability of `AdaptiveAugment`. It "
        "rises while the discriminator memorises images.\n",
        "## Metrics of samples\n",
        "`kgan.callbacks.PeriodicEvaluation` adds these with the prefix `val_`. In epochs without "
        "an evaluation they are NaN. [Metrics](../explanation/metrics.md) explains them.\n",
        "| log | better | |\n|---|---|---|\n"
        + "\n".join(
            f"| `val_{name}` | {measure.better} | {measure.explanation} |"
            for name, measure in metrics.MEASURES.items()
        )
        + "\n",
    ]
    return "\n".join(parts)


def logs_table(logs: tuple[Log, ...]) -> str:
    """The logs of a family."""
    rows = [
        f"| `{log.name}` | {log.meaning} | {log.healthy} | {alarms(log_names.describe(log.name))} |"
        for log in logs
    ]
    return "| log | what it is | healthy | alarm |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def alarms(log: log_names.LogName) -> str:
    """The limits of a log, as text."""
    shown = []
    for limit in log.limits:
        if limit.at_least is not None:
            shown.append(f"{limit.at_least:g} and above: `{limit.sign}`")
        if limit.at_most is not None:
            shown.append(f"{limit.at_most:g} and below: `{limit.sign}`")
    if log.gradient is not None:
        shown.append("100 times or a hundredth of earlier epochs; below 1e-6, above 1e4")
    return "; ".join(shown)


def pages() -> dict[Path, str]:
    """Every generated page by its path."""
    return {
        **{REFERENCE / "api" / f"{name}.md": api_page(name) for name in modules()},
        REFERENCE / "api" / "index.md": api_index(),
        REFERENCE / "cli.md": cli_page(),
        REFERENCE / "recipes.md": recipes_page(),
        REFERENCE / "logs.md": logs_page(),
    }


def main() -> int:
    """Writes the pages, or checks that they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is old")
    check = parser.parse_args().check
    old = []
    for path, text in pages().items():
        if path.exists() and path.read_text() == text:
            continue
        old.append(path)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for path in old:
        print(f"{'Out of date' if check else 'Written'}: {path}")
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
