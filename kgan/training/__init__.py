"""The engine: training that can be stopped and resumed exactly, for every family of models."""

from kgan.training.model import GenerativeModel
from kgan.training.optimizers import OptimizerPair
from kgan.training.session import EpochRestartWarning

__all__ = ["EpochRestartWarning", "GenerativeModel", "OptimizerPair"]
