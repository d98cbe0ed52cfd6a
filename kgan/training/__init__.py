"""The engine: training that can be stopped and resumed exactly, for every family of models."""

from kgan._typing import Batch
from kgan.training.batch_spec import BatchSpec, Divisor
from kgan.training.callback import Callback
from kgan.training.data_checks import DataRangeWarning
from kgan.training.model import GenerativeModel
from kgan.training.optimizers import Optimizers, optimizer_argument
from kgan.training.session import EpochRestartWarning
from kgan.training.steps import Minimized
from kgan.training.transfer import copy_weights, freeze_lower_layers

__all__ = [
    "Batch",
    "BatchSpec",
    "Callback",
    "DataRangeWarning",
    "Divisor",
    "EpochRestartWarning",
    "GenerativeModel",
    "Minimized",
    "Optimizers",
    "copy_weights",
    "freeze_lower_layers",
    "optimizer_argument",
]
