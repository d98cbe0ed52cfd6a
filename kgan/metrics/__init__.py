"""Metrics of generative models: samples, likelihoods, reconstructions, translations.

`kgan.evaluate` measures samples with all metrics at once. `likelihood` and `reconstruction` measure
models that have a likelihood or an encoder, and `translation` measures models that translate
images. The other functions take plain arrays, most of them features `(N, D)`.
"""

from kgan.metrics.bootstrap import bootstrap_interval
from kgan.metrics.classes import class_divergence, class_shares, inception_score, mode_coverage
from kgan.metrics.distances import frechet_distance, kernel_distance
from kgan.metrics.evaluation import Evaluation
from kgan.metrics.evaluator import Evaluator, evaluate
from kgan.metrics.features import (
    ChannelFeatures,
    Extractor,
    FeatureExtractor,
    Features,
    PixelFeatures,
    inception_features,
    mnist_features,
    stacked_mnist_features,
)
from kgan.metrics.features import get as get_features
from kgan.metrics.figures import MEASURES, Figure, Measure
from kgan.metrics.likelihood import LikelihoodEvaluation, LikelihoodFloor, likelihood
from kgan.metrics.neighbours import (
    authenticity,
    compare_neighbours,
    density_coverage,
    duplicate_distance,
    nearest_neighbours,
    precision_recall,
    support_size,
)
from kgan.metrics.reconstruction import (
    ReconstructionEvaluation,
    ReconstructionFloor,
    reconstruction,
)
from kgan.metrics.translated_classes import TranslatedClasses, translated_classes
from kgan.metrics.translation import (
    TRANSLATION_MEASURES,
    TranslationEvaluation,
    TranslationFigure,
    TranslationSigns,
    translation,
)
from kgan.metrics.truncation import TruncationCurve, truncation_curve

__all__ = [
    "MEASURES",
    "TRANSLATION_MEASURES",
    "ChannelFeatures",
    "Evaluation",
    "Evaluator",
    "Extractor",
    "FeatureExtractor",
    "Features",
    "Figure",
    "LikelihoodEvaluation",
    "LikelihoodFloor",
    "Measure",
    "PixelFeatures",
    "ReconstructionEvaluation",
    "ReconstructionFloor",
    "TranslatedClasses",
    "TranslationEvaluation",
    "TranslationFigure",
    "TranslationSigns",
    "TruncationCurve",
    "authenticity",
    "bootstrap_interval",
    "class_divergence",
    "class_shares",
    "compare_neighbours",
    "density_coverage",
    "duplicate_distance",
    "evaluate",
    "frechet_distance",
    "get_features",
    "inception_features",
    "inception_score",
    "kernel_distance",
    "likelihood",
    "mnist_features",
    "mode_coverage",
    "nearest_neighbours",
    "precision_recall",
    "reconstruction",
    "stacked_mnist_features",
    "support_size",
    "translated_classes",
    "translation",
    "truncation_curve",
]
