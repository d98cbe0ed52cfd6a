"""The GAN recipes."""

from __future__ import annotations

from dataclasses import replace

from kgan.recipes.recipe import Options, Recipe

_SMALL_DCGAN = {"latent_dim": 64, "width": 24}
_R1: Options = {"r1": {"weight": 0.1}}


def _adam(
    generator: float = 2e-4, discriminator: float = 2e-4, beta_1: float = 0.5, beta_2: float = 0.999
) -> dict[str, Options]:
    """Adam for both networks, with their learning rates."""
    return {
        role: {"class": "Adam", "learning_rate": rate, "beta_1": beta_1, "beta_2": beta_2}
        for role, rate in (("generator", generator), ("discriminator", discriminator))
    }


_DCGAN = Recipe(
    summary="a small convolutional GAN, quick on a CPU",
    model="GAN",
    networks="dcgan",
    reference="https://arxiv.org/abs/1511.06434",
    differences="small, and batches of 32",
    network_options=_SMALL_DCGAN,
    optimizers=_adam(),
    batch_size=32,
)
# At 1e-3 and 5e-4 `dcgan` later loses the quality that it had: docs/benchmarks/experiments.md. R1
# permits higher rates, and with a shorter memory of squares Adam can follow.
_DCGAN_R1 = replace(
    _DCGAN,
    summary="a small convolutional GAN with R1 and averaged weights: the best for its time",
    reference="https://arxiv.org/abs/1801.04406",
    differences="a small DCGAN instead of residual networks, weight 0.1 for R1, Adam's beta_1=0.5",
    optimizers=_adam(3e-3, 2e-3, beta_2=0.99),
    compile={"penalties": _R1, "ema_decay": 0.999},
    epochs=4,
)
# For papers whose own networks are different.
_LIKE_DEFAULT = "the networks, R1, the optimizers and the average are the default recipe's"

RECIPES: dict[str, Recipe] = {
    "dcgan": _DCGAN,
    "dcgan_r1": _DCGAN_R1,
    "conditional_dcgan": replace(
        _DCGAN_R1,
        summary="the default, conditional on the class",
        reference="https://arxiv.org/abs/1411.1784",
        differences=_LIKE_DEFAULT + "; labels by embedding and projection",
        needs="labels",
    ),
    "lsgan": replace(
        _DCGAN_R1,
        summary="least squares instead of the cross-entropy",
        reference="https://arxiv.org/abs/1611.04076",
        differences=_LIKE_DEFAULT,
        compile={**_DCGAN_R1.compile, "loss": "least_squares"},
    ),
    "wgan_gp": replace(
        _DCGAN,
        summary="a critic that a gradient penalty keeps Lipschitz",
        reference="https://arxiv.org/abs/1704.00028",
        differences="kgan's small DCGAN, larger steps, and averaged weights",
        optimizers=_adam(5e-4, 5e-4, beta_1=0.0, beta_2=0.9),
        compile={
            "loss": "wasserstein",
            "penalties": {"gradient_penalty": {"weight": 10.0}},
            "discriminator_steps": 5,
            "ema_decay": 0.99,
        },
        batch_size=160,
        epochs=12,
    ),
    "pacgan": replace(
        _DCGAN_R1,
        summary="a discriminator that judges two images at a time, against lost modes",
        reference="https://arxiv.org/abs/1712.04086",
        differences=_LIKE_DEFAULT,
        network_options={**_SMALL_DCGAN, "pack": 2},
        model_options={"pack": 2},
    ),
    "acgan": replace(
        _DCGAN_R1,
        summary="a discriminator that predicts the class instead of taking it",
        reference="https://arxiv.org/abs/1610.09585",
        differences=_LIKE_DEFAULT,
        network_options={**_SMALL_DCGAN, "classifier": True},
        needs="labels",
    ),
    "infogan": replace(
        _DCGAN_R1,
        summary="latent codes that come to have a meaning, without labels",
        reference="https://arxiv.org/abs/1606.03657",
        differences=_LIKE_DEFAULT + "; continuous codes have a weight of 0.1",
        network_options={**_SMALL_DCGAN, "codes": 10 + 2 * 2},
        model="InfoGAN",
        model_options={"categorical": (10,), "continuous": 2},
    ),
    "sngan": Recipe(
        summary="residual networks, with spectral normalisation in the discriminator",
        model="GAN",
        networks="sngan",
        reference="https://arxiv.org/abs/1802.05957",
        differences="narrower, one update of each network a step, Adam at 4e-4 with beta_2=0.99, "
        "averaged weights",
        network_options={"latent_dim": 64, "width": 16},
        optimizers=_adam(4e-4, 4e-4, beta_1=0.0, beta_2=0.99),
        compile={"loss": "hinge", "ema_decay": 0.999},
        batch_size=32,
        epochs=4,
    ),
    "biggan": Recipe(
        summary="residual networks for several classes, with a part of the latent for every size",
        model="GAN",
        networks="biggan",
        reference="https://arxiv.org/abs/1809.11096",
        differences="much narrower, batches of 64, Adam at 4e-4 with beta_2=0.99, no attention",
        network_options={"latent_dim": 80, "width": 24},
        optimizers=_adam(4e-4, 4e-4, beta_1=0.0, beta_2=0.99),
        compile={"loss": "hinge", "discriminator_steps": 2, "ema_decay": 0.999},
        needs="labels",
        batch_size=64,
        epochs=10,
    ),
    "r3gan": Recipe(
        summary="residual networks without normalisation, a relativistic loss, R1 and R2",
        model="GAN",
        networks="resnet",
        reference="https://arxiv.org/abs/2501.05441",
        differences="narrower, with one block for each size, no groups, no expansion, no annealing",
        network_options={"latent_dim": 64, "width": 16},
        optimizers=_adam(5e-4, 5e-4, beta_1=0.0, beta_2=0.99),
        compile={
            "loss": "relativistic",
            "penalties": {"r1": {"weight": 0.5}, "r2": {"weight": 0.5}},
            "ema_decay": 0.999,
        },
        batch_size=32,
        epochs=4,
    ),
    # Of images of 28 x 28, the last of 4 stages begins after 2.5 epochs of MNIST.
    "progressive": Recipe(
        summary="growing networks: small images first, then their size is doubled in stages",
        model="ProgressiveGAN",
        networks="progressive",
        reference="https://arxiv.org/abs/1710.10196",
        differences="narrow, and a schedule of 30,000 images for each phase instead of 800,000",
        network_options={"latent_dim": 64, "width": 12},
        optimizers=_adam(1e-3, 1e-3, beta_1=0.0, beta_2=0.99),
        compile={
            "penalties": {"gradient_penalty": {"weight": 10.0}, "drift": {"weight": 0.001}},
            "fade_images": 30_000,
            "stable_images": 30_000,
            "ema_decay": 0.999,
        },
        batch_size=32,
        epochs=6,
    ),
    "first_gan": Recipe(
        summary="the first GAN of most courses: two multilayer perceptrons",
        model="GAN",
        networks="mlp",
        reference="https://arxiv.org/abs/1406.2661",
        differences="Adam's beta_1=0.5, where courses use 0.9",
        network_options={"latent_dim": 100, "width": 256},
        optimizers=_adam(),
    ),
}
