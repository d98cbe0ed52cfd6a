"""Callbacks, for `fit` and for custom loops through `keras.callbacks.CallbackList`.

They find out what a model can do by the Protocols in `kgan.training.capabilities`, and what its
logs mean from the table in `kgan.training.log_names`. So they work with every family of models.
"""

from kgan.callbacks.checkpoint import BackupAndRestore, Checkpoint
from kgan.callbacks.collapse_alarm import Alarm, CollapseAlarm, CollapseWarning
from kgan.callbacks.linear_decay import LinearDecay
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
    "LinearDecay",
    "LossHistory",
    "NaNWarning",
    "PeriodicEvaluation",
    "SampleGrid",
    "StopOnSignal",
    "TerminateOnNaN",
    "TimeLimit",
]
