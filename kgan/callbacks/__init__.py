"""Callbacks, for `fit` and for loops of one's own through `keras.callbacks.CallbackList`.

They ask a model for little: those that draw want `generate(n, seed=...)`, so that they serve every
family of models.
"""

from kgan.callbacks.checkpoint import BackupAndRestore, Checkpoint
from kgan.callbacks.collapse_alarm import Alarm, CollapseAlarm, CollapseWarning
from kgan.callbacks.loss_history import LossHistory
from kgan.callbacks.periodic_evaluation import PeriodicEvaluation
from kgan.callbacks.sample_grid import SampleGrid
from kgan.callbacks.stopping import StopOnSignal, TimeLimit
from kgan.callbacks.terminate_on_nan import NaNWarning, TerminateOnNaN

__all__ = [
    "Alarm",
    "BackupAndRestore",
    "Checkpoint",
    "CollapseAlarm",
    "CollapseWarning",
    "LossHistory",
    "NaNWarning",
    "PeriodicEvaluation",
    "SampleGrid",
    "StopOnSignal",
    "TerminateOnNaN",
    "TimeLimit",
]
