"""The hooks that kgan's `fit` calls in addition to Keras's."""

from typing import Any

import keras


class Callback(keras.callbacks.Callback):
    """A Keras callback with the further hooks that `fit` of a kgan model calls.

    Subclass it and override what you need. A plain Keras callback works too: hooks that it does not
    have are not called.

    In a custom loop, through `keras.callbacks.CallbackList`, only Keras's own hooks are called.

    Example: a count of batches that a resumed training continues.
    ```python
    class BatchCount(kgan.training.Callback):
        count = 0

        def on_train_batch_end(self, batch, logs=None):
            self.count += 1

        def get_state(self):
            return {"count": self.count}

        def set_state(self, state):
            self.count = state["count"]


    gan.fit(train, callbacks=[BatchCount()])
    ```
    """

    saves = False
    """Whether it saves the model: it then runs after the callbacks whose state it saves."""

    has_interrupted = False
    """Whether it has ended training within an epoch. Read when training ends."""

    def before_fit(self, model: keras.Model) -> bool:
        """Called before all else in `fit`. May load an earlier state of the model.

        Args:
            model: The model that is about to train.

        Returns:
            Whether it has loaded one: `fit` then resumes from there.
        """
        del model
        return False

    def on_train_interrupted(self) -> None:
        """Called when training ends within an epoch, after its last batch: the place to save."""

    def on_train_failed(self) -> None:
        """Called instead of `on_train_end` when training ends in an error."""

    def get_state(self) -> dict[str, Any] | None:
        """Returns what a resumed training needs, or None if it remembers nothing.

        Returns:
            A dictionary of numbers, strings, NumPy arrays, lists and dictionaries.
        """
        return None

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores what `get_state` returned, after `on_train_begin` of a resumed training."""
