"""Network families, one a file: each a function that returns `(generator, discriminator)`.

A family added here by name is found by the recipes, the command and the tests.
"""

from kgan.networks.dcgan import dcgan
from kgan.networks.mlp import mlp
from kgan.networks.resnet import resnet
from kgan.networks.sngan import sngan
from kgan.networks.vae import conv_vae, dense_vae

__all__ = ["conv_vae", "dcgan", "dense_vae", "mlp", "resnet", "sngan"]
