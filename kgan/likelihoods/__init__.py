"""Likelihoods of images under the outputs of a network, by name or object.

A likelihood turns the numbers that a decoder gives for each pixel into a distribution over images.
To add one, write a class and name it in `_LIKELIHOODS`; models, recipes and tests find it there.
"""

from kgan._registry import find
from kgan.likelihoods.bernoulli import Bernoulli
from kgan.likelihoods.categorical import Categorical
from kgan.likelihoods.gaussian import Gaussian
from kgan.likelihoods.joint_logistic import JointLogisticMixture
from kgan.likelihoods.likelihood import DiscreteLikelihood, Likelihood, check_support
from kgan.likelihoods.logistic import DiscretizedLogistic, DiscretizedLogisticMixture

__all__ = [
    "Bernoulli",
    "Categorical",
    "DiscreteLikelihood",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Gaussian",
    "JointLogisticMixture",
    "Likelihood",
    "check_support",
    "get",
    "names",
]

_LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "categorical": Categorical,
    "discretized_logistic": DiscretizedLogistic,
    "discretized_logistic_mixture": DiscretizedLogisticMixture,
    "gaussian": Gaussian,
    "joint_logistic_mixture": JointLogisticMixture,
}


def names() -> list[str]:
    """Returns the names that `get` knows.

    Example:
    ```python
    assert "bernoulli" in kgan.likelihoods.names()
    ```
    """
    return list(_LIKELIHOODS)


def get(identifier: str | Likelihood | type[Likelihood]) -> Likelihood:
    """Finds a likelihood by its name.

    Args:
        identifier: One of `kgan.likelihoods.names()`, a `Likelihood`, or a subclass of it that
            needs no arguments.

    Returns:
        The `Likelihood`.

    Raises:
        ValueError: The name is unknown, or the object is not a likelihood.

    Example:
    ```python
    kgan.likelihoods.get("bernoulli")
    ```
    """
    likelihood: Likelihood = find(
        identifier,
        _LIKELIHOODS,
        Likelihood,
        what="a likelihood",
        argument="likelihood",
        public="kgan.likelihoods.Likelihood",
    )
    return likelihood
