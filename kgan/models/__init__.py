"""Model families, one a file."""

from kgan.models.gan import GAN
from kgan.models.generative_model import GenerativeModel
from kgan.models.info_gan import InfoGAN
from kgan.models.optimizer_pair import OptimizerPair
from kgan.models.session import EpochRestartWarning

__all__ = ["GAN", "EpochRestartWarning", "GenerativeModel", "InfoGAN", "OptimizerPair"]
