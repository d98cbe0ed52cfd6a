"""A training run in its own directory, which can be stopped and resumed.

model.keras      the model, from which training resumes with the next batch
samples/         a grid of samples after every epoch, of models that generate
reconstructions/ a grid of reconstructions after every epoch, of models that encode
training.gif     the grids of samples as an animation
history.csv      the logs of every epoch, with the metrics of its samples
losses.png       the plot of losses
config.json      the settings of the run, and the versions of its packages
"""

from kgan.data.folder_splits import FOLDER
from kgan.runs.config import RunConfig, read_config
from kgan.runs.directory import (
    CONFIG,
    HISTORY,
    MODEL,
    SAMPLES,
    check_has_run,
    check_is_free,
    held,
    new_directory,
)
from kgan.runs.run import FEWEST_IMAGES, Run, SavedRun, dataset_options, load, load_data

__all__ = [
    "CONFIG",
    "FEWEST_IMAGES",
    "FOLDER",
    "HISTORY",
    "MODEL",
    "SAMPLES",
    "Run",
    "RunConfig",
    "SavedRun",
    "check_has_run",
    "check_is_free",
    "dataset_options",
    "held",
    "load",
    "load_data",
    "new_directory",
    "read_config",
]
