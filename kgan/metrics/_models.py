"""What metrics ask of models."""

from kgan._typing import Labels
from kgan.training.capabilities import is_conditional


def labels_for(model: object, labels: Labels | None) -> Labels | None:
    """Returns the labels that a model is to be given with images: None if it takes none.

    Raises:
        ValueError: The model is conditional, and there are no labels.
    """
    if not is_conditional(model):
        return None
    if labels is None:
        raise ValueError(
            "Expected a data set with labels for a conditional model. Received: no labels."
        )
    return labels
