"""The fraction of pairs that are in order, against a count of all pairs."""

import math

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import ops

from kgan import _backend, _pairs
from kgan._pairs import fraction_above


@pytest.fixture(autouse=True, params=[0, _pairs.FEW], ids=["sorted", "compared"])
def few(request):
    """Both ways to compare."""
    before, _pairs.FEW = _pairs.FEW, request.param
    yield
    _pairs.FEW = before


def counted(high, low):
    margins = np.asarray(high)[:, None] > np.asarray(low)[None, :]
    ties = np.asarray(high)[:, None] == np.asarray(low)[None, :]
    return (margins.sum() + ties.sum() / 2) / margins.size


def found(high, low):
    tensors = [ops.convert_to_tensor(np.asarray(x, "float32")) for x in (high, low)]
    return float(ops.convert_to_numpy(fraction_above(*tensors)))


# Few values, so that many are equal.
SCORES = st.lists(st.sampled_from([-1e30, -1.5, -0.0, 0.0, 1e-30, 2.0, 1e30]), min_size=1)


@settings(
    deadline=None,
    max_examples=50,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(SCORES, SCORES)
def test_it_is_the_count_of_all_pairs(high, low):
    np.testing.assert_allclose(found(high, low), counted(high, low), rtol=1e-6)


def test_it_is_exact_where_float32_is():
    random = np.random.default_rng(0)
    high, low = random.integers(0, 50, (2, 64))
    assert found(high, low) == counted(high, low)
    assert found([1, 2, 3], [0]) == 1.0
    assert found([0], [1, 2, 3]) == 0.0
    assert found([1.0], [1.0]) == 0.5


@pytest.mark.parametrize("at", [0, 1])
def test_a_score_that_is_not_a_number_is_not_hidden(at):
    scores = [[1.0, 2.0], [0.0, 3.0]]
    scores[at][1] = math.nan
    assert math.isnan(found(*scores))


def test_large_batches_fit_in_memory():
    """All pairs of these would take 40 GB."""
    count = 100_000
    high, low = np.arange(count) + 0.5, np.arange(count)[::-1]
    np.testing.assert_allclose(found(high, low), 0.5 + 0.5 / count, rtol=1e-6)


class Compares(keras.Model):
    def call(self, pair):
        return fraction_above(*pair)


def test_it_can_be_compiled():
    random = np.random.default_rng(1)
    model = Compares()
    for count in (5, 7):
        high, low = random.integers(0, 5, (2, count)).astype("float32")
        compiled = _backend.predict(model, model.call, [high, low])
        np.testing.assert_allclose(compiled, counted(high, low), rtol=1e-6)
