"""Callbacks, for `fit` and for loops of one's own through `keras.callbacks.CallbackList`.

They ask a model for little: those that draw want `generate(n, seed=...)`, so that they serve every
family of models.
"""

from kgan.callbacks.checkpoint import Checkpoint
from kgan.callbacks.loss_history import LossHistory
from kgan.callbacks.sample_grid import SampleGrid
from kgan.callbacks.stopping import StopOnSignal, TimeLimit

__all__ = ["Checkpoint", "LossHistory", "SampleGrid", "StopOnSignal", "TimeLimit"]
