"""The figures of independent implementations, on the same features."""

import numpy as np
import pytest
from prdc import compute_prdc

from kgan import metrics

pytestmark = pytest.mark.backend_free


def drawn():
    """Features and logits that no version of NumPy draws otherwise."""
    state = np.random.RandomState(0)
    mixing = state.randn(16, 16) / 4
    real = np.maximum(state.randn(1000, 16) @ mixing, 0).astype("float32")
    fake = np.maximum(state.randn(1000, 16) @ mixing * 1.1 + 0.15, 0).astype("float32")
    logits = (3 * state.randn(1000, 10)).astype("float32")
    return real, fake, logits


REAL, FAKE, LOGITS = drawn()

# What torch-fidelity 0.4.0 gives for them (kid_subset_size=1000, isc_splits=10 unshuffled). It
# needs torch and torchvision, too much to install for a test.


def test_frechet_distance_of_torch_fidelity():
    assert metrics.frechet_distance(REAL, FAKE) == pytest.approx(0.5513089199595207, rel=1e-6)


def test_kernel_distance_of_torch_fidelity():
    mean, spread = metrics.kernel_distance(REAL, FAKE)
    assert mean == pytest.approx(0.12778639793395996, rel=1e-5)
    assert spread == 0.0


def test_precision_and_recall_of_torch_fidelity():
    precision, recall = metrics.precision_recall(REAL, FAKE)
    assert precision == pytest.approx(0.7870000004768372, abs=1e-6)
    assert recall == pytest.approx(0.9589999914169312, abs=1e-6)


def test_inception_score_of_torch_fidelity():
    exponentials = np.exp(LOGITS.astype("float64"))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    mean, spread = metrics.inception_score(probabilities)
    assert mean == pytest.approx(3.7129434138371935, rel=1e-12)
    assert spread == pytest.approx(0.14487680436407357, rel=1e-9)


@pytest.mark.parametrize("neighbours", [1, 3, 5, 10])
@pytest.mark.parametrize("sizes", [(1000, 1000), (400, 1000), (1000, 150)])
def test_precision_recall_density_coverage_of_prdc(neighbours, sizes):
    real, fake = REAL[: sizes[0]], FAKE[: sizes[1]]
    theirs = compute_prdc(real, fake, neighbours)
    precision, recall = metrics.precision_recall(real, fake, neighbours)
    density, coverage = metrics.density_coverage(real, fake, neighbours)
    ours = {"precision": precision, "recall": recall, "density": density, "coverage": coverage}
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_kernel_distance_over_subsets_agrees_with_the_whole():
    whole, _ = metrics.kernel_distance(REAL, FAKE)
    mean, spread = metrics.kernel_distance(REAL, FAKE, subsets=300, subset_size=200)
    assert spread > 0
    assert mean == pytest.approx(whole, abs=4 * spread / np.sqrt(300))
