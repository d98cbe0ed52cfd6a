"""Model families, one a file."""

from kgan.models.cycle_gan import CycleGAN
from kgan.models.gan import GAN
from kgan.models.info_gan import InfoGAN
from kgan.models.latent_model import LatentModel
from kgan.models.pix2pix import Pix2Pix
from kgan.models.pixel_cnn import InterruptedDrawError, PixelCNN
from kgan.models.pixel_rnn import PixelRNN
from kgan.models.progressive_gan import ProgressiveGAN
from kgan.models.translation_model import TranslationModel
from kgan.models.vae import VAE

__all__ = [
    "GAN",
    "VAE",
    "CycleGAN",
    "InfoGAN",
    "InterruptedDrawError",
    "LatentModel",
    "Pix2Pix",
    "PixelCNN",
    "PixelRNN",
    "ProgressiveGAN",
    "TranslationModel",
]
