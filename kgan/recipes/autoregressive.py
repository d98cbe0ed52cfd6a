"""The recipes of autoregressive models."""

from __future__ import annotations

from dataclasses import replace

from kgan.recipes.recipe import Recipe

_BINARY = Recipe(
    summary="a gated PixelCNN for binarised images: the highest likelihood here",
    model="PixelCNN",
    networks="pixel_cnn",
    reference="https://arxiv.org/abs/1606.05328",
    differences="dilated convolutions in place of many layers, a shallower and narrower network, "
    "averaged weights, Adam, half precision",
    network_options={"width": 48, "blocks": 6, "dilations": [1, 2, 4]},
    optimizers={"model": {"class": "Adam", "learning_rate": 2e-3, "beta_2": 0.99}},
    compile={"ema_decay": 0.999},
    data={"binarize": "dynamic"},
    callbacks={"LinearDecay": {"start": 0.0}},
    batch_size=32,
    epochs=8,
    dtype_policy="mixed_bfloat16",
)
_MIXTURE = "discretized_logistic_mixture"
_JOINT = "joint_logistic_mixture"

_CATEGORICAL = "categorical"

RECIPES: dict[str, Recipe] = {
    "pixelcnn": replace(
        _BINARY,
        summary="a gated PixelCNN for 8-bit images: a mixture of discretised logistics",
        differences=_BINARY.differences + "; the likelihood of PixelCNN++ for one channel in place "
        "of a softmax over 256 levels",
        model_options={"likelihood": _MIXTURE},
        network_options={**_BINARY.network_options, "likelihood": _MIXTURE},
        data={},
    ),
    "pixelcnn_binary": _BINARY,
    "pixelcnn_pp": replace(
        _BINARY,
        summary="a PixelCNN++ for colour: the channels of a pixel given each other, dropout",
        reference="https://arxiv.org/abs/1701.05517",
        differences="the networks of `pixelcnn` with dropout, no down- and upsampling, half "
        "precision; the likelihood is the paper's",
        model_options={"likelihood": _JOINT},
        network_options={**_BINARY.network_options, "likelihood": _JOINT, "dropout": 0.1},
        data={},
    ),
    "pixelrnn": replace(
        _BINARY,
        summary="a PixelRNN for binarised images: LSTMs over the rows",
        model="PixelRNN",
        networks="pixel_rnn",
        reference="https://arxiv.org/abs/1601.06759",
        differences="few and narrow LSTMs; the first convolutions are two stacks without masks; "
        "averaged weights, Adam with clipped gradients",
        network_options={"width": 32, "layers": 2, "kind": "row"},
        optimizers={"model": {"class": "Adam", "learning_rate": 2e-3, "clipnorm": 1.0}},
        dtype_policy=None,
    ),
    "characters": Recipe(
        summary="a causal convolutional model of text, character by character",
        model="PixelCNN",
        networks="pixel_cnn",
        reference="https://arxiv.org/abs/1609.03499",
        differences="characters of Latin-1 in place of audio samples, vectors for characters in "
        "place of one-hot codes, no skip connections, one pass over the dilations, dropout, "
        "averaged weights, half precision",
        model_options={"likelihood": _CATEGORICAL},
        network_options={
            "likelihood": _CATEGORICAL,
            "width": 128,
            "blocks": 7,
            "dilations": [1, 2, 4, 8, 16, 32, 64],
            "first_kernel_size": [1, 9],
            "embedding_width": 32,
            "dropout": 0.1,
        },
        optimizers={"model": {"class": "Adam", "learning_rate": 2e-3, "beta_2": 0.99}},
        compile={"ema_decay": 0.999},
        dataset="python_docstrings",
        callbacks={"LinearDecay": {"start": 0.0}},
        batch_size=32,
        epochs=10,
        dtype_policy="mixed_bfloat16",
    ),
}
