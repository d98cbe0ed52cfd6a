# python examples/characters.py   (--source FILE for your own text)
"""A model of text, character by character, on the docstrings of Python's standard library.

It prints bits per character and perplexity of held-out modules, next to those of n-grams, and
continuations of a prompt.
"""

import argparse
from pathlib import Path

import kgan  # first: it sets a switch that TensorFlow reads once

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--source", default="docstrings", help="a text file or a folder of .py files")
parser.add_argument("--prompt", default="Return the ", help="the beginning to continue")
parser.add_argument("--length", type=int, default=256, help="characters of a window")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--steps-per-epoch", type=int, default=1000, help="batches to an epoch")
parser.add_argument("--output", default="samples", help="where the continuations go")
arguments = parser.parse_args()

recipe = kgan.recipes.get("characters")
train = kgan.data.load_text(
    "train",
    arguments.source,
    length=arguments.length,
    batch_size=recipe.batch_size,
    seed=0,
    steps_per_epoch=arguments.steps_per_epoch,
)
test = kgan.data.load_text("test", arguments.source, length=arguments.length, drop_remainder=False)

model = recipe.build(train.image_shape, seed=0)
model.fit(train, epochs=arguments.epochs, callbacks=recipe.make_callbacks())

# How well does it predict each character of modules that it has not seen?
found = kgan.metrics.likelihood(model, test, training=train)
print(found)
print(f"{found.bits_per_dimension:.3f} bits per character, perplexity {found.perplexity:.2f}")

# A temperature below 1 makes likely characters more likely: fewer errors, less variety.
prompt = kgan.data.encode_text(arguments.prompt)
made = model.generate(4, prompt=prompt, temperature=0.7, seed=0)
text = "\n----\n".join(kgan.data.decode_text(made))
print(text)
Path(arguments.output).mkdir(parents=True, exist_ok=True)
Path(arguments.output, "continuations.txt").write_text(text, encoding="utf-8")
