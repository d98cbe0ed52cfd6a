"""The recipes of image translation: Pix2Pix and CycleGAN."""

from kgan.recipes.recipe import Options, Recipe

_ADAM: Options = {"learning_rate": 2e-4, "beta_1": 0.5}

RECIPES: dict[str, Recipe] = {
    "pix2pix": Recipe(
        summary="image translation from pairs: a U-Net, and a discriminator of patches",
        model="Pix2Pix",
        networks="pix2pix",
        reference="https://arxiv.org/abs/1611.07004",
        differences="narrow, and 3 halvings instead of 8, for small images; instance "
        "normalisation; the input image is joined to the last maps; no dropout; batches of 32 "
        "instead of 1",
        network_options={"width": 24, "receptive_field": 34},
        optimizers={"generator": _ADAM, "discriminator": _ADAM},
        compile={"l1_weight": 100.0},
        needs="pairs",
        data={"task": "outlines"},
        batch_size=32,
        epochs=4,
    ),
    "cyclegan": Recipe(
        summary="image translation without pairs: two generators, and a cycle that must close",
        model="CycleGAN",
        networks="cyclegan",
        reference="https://arxiv.org/abs/1703.10593",
        differences="U-Nets instead of residual networks, which are three times as fast here; "
        "narrow, for small images; patches of 16 instead of 70 pixels; batches of 32 instead of 1; "
        "no identity loss, which hinders changes where the domains overlap",
        network_options={"translator": "unet", "width": 16, "receptive_field": 16},
        optimizers={"generator": _ADAM, "discriminator": _ADAM},
        compile={"cycle_weight": 10.0, "identity_weight": 0.0},
        needs="domains",
        data={"task": "thin_and_thick"},
        callbacks={"LinearDecay": {"start": 0.5}},
        batch_size=32,
        epochs=12,
    ),
}
