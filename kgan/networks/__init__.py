"""Network families, one a file: functions that return the networks of a model, in its order.

A family added here by name is found by the recipes, the command and the tests.
"""

from kgan.networks.autoregressive import AutoregressiveNetwork
from kgan.networks.biggan import biggan
from kgan.networks.conditioning import GANPair
from kgan.networks.dcgan import dcgan
from kgan.networks.mlp import mlp
from kgan.networks.patch import patch_discriminator
from kgan.networks.pixel_cnn import pixel_cnn
from kgan.networks.pixel_rnn import pixel_rnn
from kgan.networks.progressive import progressive
from kgan.networks.resnet import resnet
from kgan.networks.sngan import sngan
from kgan.networks.translation import CycleGANNetworks, cyclegan, pix2pix
from kgan.networks.translators import resnet_translator, unet
from kgan.networks.vae import VAENetworks, conv_vae, dense_vae

__all__ = [
    "AutoregressiveNetwork",
    "CycleGANNetworks",
    "GANPair",
    "VAENetworks",
    "biggan",
    "conv_vae",
    "cyclegan",
    "dcgan",
    "dense_vae",
    "mlp",
    "patch_discriminator",
    "pix2pix",
    "pixel_cnn",
    "pixel_rnn",
    "progressive",
    "resnet",
    "resnet_translator",
    "sngan",
    "unet",
]
