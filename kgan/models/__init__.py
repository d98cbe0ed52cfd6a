"""Model families, one a file."""

from kgan.models.gan import GAN
from kgan.models.optimizer_pair import OptimizerPair

__all__ = ["GAN", "OptimizerPair"]
