"""Network families, one a file: each a function that returns `(generator, discriminator)`.

A family added here by name is found by the recipes, the command and the tests.
"""

from kgan.networks.dcgan import dcgan
from kgan.networks.mlp import mlp
from kgan.networks.resnet import resnet
from kgan.networks.sngan import sngan

__all__ = ["dcgan", "mlp", "resnet", "sngan"]
