"""Training runs: each in its own directory, which can be stopped and resumed.

`kgan train` trains one. The page on the run directory lists its files.

Example: a run in Python, with the callbacks of the command.
```python
config = kgan.runs.RunConfig(
    dataset="digits", recipe="first_gan", epochs=1, steps_per_epoch=2, evaluation_count=100
)
config, dataset = kgan.runs.load_data(config)
run = kgan.runs.Run.begin("runs/mine", config, dataset)
with kgan.runs.held(run.directory):
    run.train(verbose=0)
print(kgan.runs.Run.open("runs/mine").history)
```
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
from kgan.runs.run import FEWEST_IMAGES, Run, SavedRun, load
from kgan.runs.training_data import dataset_options, load_data, load_task

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
    "load_task",
    "new_directory",
    "read_config",
]
