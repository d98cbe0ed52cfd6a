"""The VAE recipes."""

from __future__ import annotations

from dataclasses import replace

from kgan.recipes.recipe import Recipe

_VAE = Recipe(
    summary="a variational autoencoder for binarised images",
    model="VAE",
    networks="dense_vae",
    reference="https://arxiv.org/abs/1312.6114",
    differences="residual networks, a warm-up of the KL divergence, averaged weights, Adam",
    network_options={"latent_dim": 40, "width": 300, "blocks": 2},
    optimizers={"model": {"class": "Adam", "learning_rate": 1e-3}},
    compile={"warm_up": 1000, "ema_decay": 0.9995},
    data={"binarize": "dynamic"},
    batch_size=100,
    epochs=20,
)
_LIKE_VAE = "the networks and the training are those of `vae`"

RECIPES: dict[str, Recipe] = {
    "vae": _VAE,
    "beta_vae": replace(
        _VAE,
        summary="a VAE with few latents that are independent of each other, for looking at them",
        reference="https://openreview.net/forum?id=Sy2fzU9gl",
        differences=_LIKE_VAE + "; 10 latents",
        network_options={**_VAE.network_options, "latent_dim": 10},
        compile={**_VAE.compile, "beta": 4.0},
    ),
    "grey_vae": replace(
        _VAE,
        summary="a VAE for 8-bit images: a mixture of discretised logistics for each pixel",
        reference="https://arxiv.org/abs/1701.05517",
        differences="the networks and the training of `vae`; the likelihood of PixelCNN++ with "
        "independent pixels",
        model_options={"likelihood": "discretized_logistic_mixture"},
        network_options={**_VAE.network_options, "likelihood": "discretized_logistic_mixture"},
        data={},
        epochs=40,
    ),
    "conditional_vae": replace(
        _VAE,
        summary="a VAE that is given the class, so its latents hold the rest",
        reference="https://papers.nips.cc/paper/5775",
        differences=_LIKE_VAE,
        needs="labels",
    ),
    "iwae": replace(
        _VAE,
        summary="a VAE trained on a tighter bound, with 5 importance samples: the highest "
        "likelihood here",
        reference="https://arxiv.org/abs/1509.00519",
        differences=_LIKE_VAE,
        compile={**_VAE.compile, "importance_samples": 5},
        epochs=60,
    ),
}
