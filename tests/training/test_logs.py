"""The running means in the logs."""

import numpy as np
import pytest
from keras import ops

from kgan.training.logs import Means


def numbers(means):
    return {name: float(ops.convert_to_numpy(value)) for name, value in means.result().items()}


def test_means_are_weighted():
    means = Means(("loss", "score"))
    means.update_state({"loss": ops.array(1.0), "score": ops.array(-2.0)}, weight=3)
    means.update_state({"score": ops.array(6.0), "loss": ops.array(5.0)}, weight=ops.array(1))
    assert numbers(means) == {"loss": 2.0, "score": 0.0}


def test_nothing_told_is_zero_and_reset_forgets():
    means = Means(("loss", "score"))
    assert numbers(means) == {"loss": 0.0, "score": 0.0}
    means.update_state({"loss": ops.array(4.0)})
    assert numbers(means) == {"loss": 4.0, "score": 0.0}
    means.reset_state()
    assert numbers(means) == {"loss": 0.0, "score": 0.0}


def test_one_that_is_not_a_number_spoils_no_other():
    means = Means(("loss", "score"))
    means.update_state({"loss": ops.array(np.nan), "score": ops.array(2.0)})
    assert np.isnan(numbers(means)["loss"])
    assert numbers(means)["score"] == 2.0


def test_what_has_no_place_is_refused():
    with pytest.raises(ValueError, match=r"\['other'\]"):
        Means(("loss",)).update_state({"loss": ops.array(1.0), "other": ops.array(1.0)})
