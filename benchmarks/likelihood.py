"""Trains a recipe on MNIST and measures its likelihood.

    python benchmarks/likelihood.py --recipe iwae --epochs 100 --data-dir DIR
    python benchmarks/likelihood.py --recipe vae --time-limit 600 --samples 1 50 --count 1000

The script prints the negative ELBO of the test images with the KL divergence in closed form, then
the negative log-likelihood with each number of `--samples`, an importance-weighted bound that falls
with more samples. All are in nats for each image. It also prints the protocol, the seconds that
training and each measurement took, and the peak memory of the process. `print` of the last
measurement shows the floors for comparison.

The binarisation of the images is that of the recipe.
"""

import argparse
import resource
import sys
import time

import kgan


def peak_memory() -> float:
    """Returns the peak resident memory of the process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    """Trains, measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="vae", help="a recipe with a likelihood")
    parser.add_argument("--data-dir", help="the directory of the four MNIST files")
    parser.add_argument("--epochs", type=int, help="defaults to the recipe's")
    parser.add_argument("--time-limit", type=float, help="seconds, after which training ends")
    parser.add_argument("--count", type=int, help="test images; defaults to all")
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 50, 5000])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    recipe = kgan.recipes.get(options.recipe)
    train, test = (
        kgan.data.load_mnist(
            split,
            data_dir=options.data_dir,
            batch_size=recipe.batch_size,
            seed=options.seed,
            **recipe.data,
        )
        for split in ("train", "test")
    )
    model = recipe.build(train.image_shape, num_classes=train.num_classes, seed=options.seed)
    callbacks = [kgan.callbacks.TimeLimit(options.time_limit)] if options.time_limit else []
    start = time.perf_counter()
    model.fit(train, epochs=options.epochs or recipe.epochs, verbose=2, callbacks=callbacks)
    seconds = time.perf_counter() - start
    print(
        f"{options.recipe}: {model.epochs_trained} epochs and {model.batches_trained} batches in "
        f"{seconds:.0f} s, {peak_memory():.0f} MiB",
        flush=True,
    )

    start = time.perf_counter()
    losses = model.evaluate(test, verbose=0, return_dict=True)
    if "kl" in losses:  # a loss with another weight of the KL divergence is no bound
        elbo = losses["reconstruction"] + losses["kl"]
        print(f"-ELBO    {elbo:9.3f} nats, {time.perf_counter() - start:.0f} s, all test images")
    for samples in sorted(options.samples):
        start = time.perf_counter()
        found = kgan.metrics.likelihood(
            model, test, samples=samples, count=options.count, seed=options.seed, training=train
        )
        name = "exact" if found.is_exact else f"IW-{samples}"
        print(
            f"{name:8} {found.nats:9.3f} nats ± {found.standard_error:.3f}, "
            f"{time.perf_counter() - start:.0f} s, {peak_memory():.0f} MiB. {found.protocol}",
            flush=True,
        )
        if found.is_exact:
            break
    print(f"\n{found}")


if __name__ == "__main__":
    main()
