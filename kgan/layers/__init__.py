"""Layers for generative models that Keras lacks, or implements differently."""

from kgan.layers.attention import SelfAttention
from kgan.layers.basis import FromBasis, OntoBasis
from kgan.layers.causal import CausalLayer
from kgan.layers.causal_attention import CausalAttention
from kgan.layers.causal_convolution import CausalConv2D
from kgan.layers.causal_recurrence import DiagonalBiLSTM, RowLSTM
from kgan.layers.channel_head import ChannelHead
from kgan.layers.conditional_batch_normalization import ConditionalBatchNormalization
from kgan.layers.crop_like import CropLike
from kgan.layers.equalized import EqualizedConv2D, EqualizedDense
from kgan.layers.fade_in import FadeIn
from kgan.layers.gate import Gate
from kgan.layers.level_embedding import LevelEmbedding
from kgan.layers.minibatch_standard_deviation import MinibatchStandardDeviation
from kgan.layers.pixel_normalization import PixelNormalization
from kgan.layers.pixel_shuffle import PixelShuffle
from kgan.layers.reflection_padding import ReflectionPadding2D
from kgan.layers.resampling import Downsample, Upsample
from kgan.layers.spectral_normalization import SpectralNormalization

__all__ = [
    "CausalAttention",
    "CausalConv2D",
    "CausalLayer",
    "ChannelHead",
    "ConditionalBatchNormalization",
    "CropLike",
    "DiagonalBiLSTM",
    "Downsample",
    "EqualizedConv2D",
    "EqualizedDense",
    "FadeIn",
    "FromBasis",
    "Gate",
    "LevelEmbedding",
    "MinibatchStandardDeviation",
    "OntoBasis",
    "PixelNormalization",
    "PixelShuffle",
    "ReflectionPadding2D",
    "RowLSTM",
    "SelfAttention",
    "SpectralNormalization",
    "Upsample",
]
