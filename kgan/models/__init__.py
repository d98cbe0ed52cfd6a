"""Model families, one a file."""

from kgan.models.gan import GAN
from kgan.models.info_gan import InfoGAN
from kgan.models.latent_model import LatentModel
from kgan.models.progressive_gan import ProgressiveGAN
from kgan.models.vae import VAE

__all__ = ["GAN", "VAE", "InfoGAN", "LatentModel", "ProgressiveGAN"]
