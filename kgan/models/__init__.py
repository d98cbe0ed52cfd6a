"""Model families, one a file."""

from kgan.models.gan import GAN
from kgan.models.generative_model import GenerativeModel
from kgan.models.optimizer_pair import OptimizerPair

__all__ = ["GAN", "GenerativeModel", "OptimizerPair"]
