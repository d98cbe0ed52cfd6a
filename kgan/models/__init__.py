"""Model families, one a file."""

from kgan.models.gan import GAN
from kgan.models.info_gan import InfoGAN

__all__ = ["GAN", "InfoGAN"]
