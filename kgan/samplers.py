"""Other distributions of latents than that of training, to sample a trained model with.

The posteriors of the images, taken together, rarely fill the prior evenly: latents from its empty
parts give poor samples. Samplers for VAEs are fitted to the posteriors after training.
`TruncatedSampler` is for any model with latents. All have `generate(n, seed=...)`, so
`kgan.evaluate`, sample grids and others take them in place of the model.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.mixture import GaussianMixture

from kgan._arguments import integer
from kgan._typing import Array, Images, Labels
from kgan.models.latent_model import LatentModel, check_truncation
from kgan.models.vae import VAE, Posterior

__all__ = ["GaussianMixtureSampler", "PriorSampler", "Sampler", "TruncatedSampler", "VampSampler"]


class Sampler:
    """Samples a model with latents from another distribution.

    Subclass it and implement `_draw`.

    Args:
        model: A model with latents: `kgan.VAE`, `kgan.GAN` or another `kgan.models.LatentModel`.

    Example:
    ```python
    class CalmSampler(kgan.samplers.Sampler):
        def _draw(self, random, n, label):
            return 0.7 * random.standard_normal((n, self.model.latent_dim))


    images = CalmSampler(vae).generate(64, seed=1)
    ```
    """

    model: LatentModel

    def __init__(self, model: LatentModel) -> None:
        self.model = model

    @property
    def num_classes(self) -> int | None:
        """The number of classes of a conditional model, or None."""
        return self.model.num_classes

    def generate(
        self, n: int, labels: npt.ArrayLike | None = None, seed: int | None = None
    ) -> Images:
        """Makes images.

        Args:
            n: Integer, how many.
            labels: Conditional models: as for `generate` of the model.
            seed: Integer. The same seed gives the same latents.

        Returns:
            Float32 array `(n, height, width, channels)`.
        """
        given = self.model.labels_for(integer("n", n), labels)
        return self.model.decode(self._latents(n, given, seed), given)

    def draw_latents(self, n: int, seed: int | None = None) -> Array:
        """Draws the latents from which `generate(n, seed=seed)` makes its images.

        Returns:
            Float32 array `(n, latent_dim)`.
        """
        return self._latents(n, self.model.labels_for(integer("n", n)), seed)

    def _latents(self, n: int, labels: Labels | None, seed: int | None) -> Array:
        random = np.random.default_rng(seed)
        latents = np.empty((n, self.model.latent_dim), "float32")
        for label in [None] if labels is None else np.unique(labels):
            rows = np.ones(n, bool) if label is None else labels == label
            latents[rows] = self._draw(random, int(np.sum(rows)), label)
        return latents

    def _draw(self, random: np.random.Generator, n: int, label: int | None) -> np.ndarray:
        """Draws latents `(n, latent_dim)`, for one class of a conditional model."""
        raise NotImplementedError


class PriorSampler(Sampler):
    """The model's own prior: a standard normal distribution.

    Example:
    ```python
    sampler = kgan.samplers.PriorSampler(vae)
    images = sampler.generate(64, seed=1)
    ```
    """

    def _draw(self, random: np.random.Generator, n: int, label: int | None) -> np.ndarray:
        del label
        return random.standard_normal((n, self.model.latent_dim))


class TruncatedSampler(Sampler):
    """Latents without large values: more typical and less varied images.

    Args:
        model: A model with latents: `kgan.GAN`, `kgan.VAE` or another `kgan.models.LatentModel`.
        truncation: Float t above 0: the normal values of latents that are not between -t and t are
            drawn again.

    Raises:
        ValueError: `truncation` is not above 0.

    Example:
    ```python
    for truncation in (0.5, 1.0, 2.0):
        sampler = kgan.samplers.TruncatedSampler(gan, truncation)
        evaluation = kgan.evaluate(sampler, train)
        print(truncation, evaluation["precision"], evaluation["recall"])
    ```

    Reference:
        [Brock et al., 2019](https://arxiv.org/abs/1809.11096), section 3.1.
    """

    def __init__(self, model: LatentModel, truncation: float) -> None:
        super().__init__(model)
        check_truncation(truncation)
        self.truncation = float(truncation)

    def _latents(self, n: int, labels: Labels | None, seed: int | None) -> Array:
        del labels
        return self.model.draw_latents(n, seed, self.truncation)


class GaussianMixtureSampler(Sampler):
    """A mixture of Gaussians, fitted to latents that are drawn from the posteriors of images.

    A conditional model gets a mixture for each class.

    Args:
        model: A `kgan.VAE`.
        images: Float array `(n, height, width, channels)` in [-1, 1], such as training images.
        labels: Conditional models: integers `(n,)`.
        components: Integer, the number of Gaussians, with full covariances.
        seed: Integer, for the fit.

    Raises:
        ValueError: The images or labels do not fit the model, or a class has fewer images than
            there are components.

    Example:
    ```python
    images, labels = train.draw(10_000, seed=0)
    sampler = kgan.samplers.GaussianMixtureSampler(vae, images)
    print(kgan.evaluate(sampler, train))
    ```

    Reference:
        [Ghosh et al., 2020](https://arxiv.org/abs/1903.12436), who fit such a density after
        training.
    """

    def __init__(
        self,
        model: VAE,
        images: npt.ArrayLike,
        labels: npt.ArrayLike | None = None,
        components: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        components = integer("components", components)
        random = np.random.default_rng(seed)
        self._mixtures = {}
        for label, posterior in _by_class(model, images, labels).items():
            if len(posterior.mean) < components:
                raise ValueError(
                    f"Expected at least {components} images{_of_class(label)}, one for each "
                    f"component. Received: {len(posterior.mean)}. Give more images, or fewer "
                    "components."
                )
            mixture = GaussianMixture(components, random_state=seed, reg_covar=1e-4)
            self._mixtures[label] = mixture.fit(_drawn_from(posterior, random))

    def _draw(self, random: np.random.Generator, n: int, label: int | None) -> np.ndarray:
        mixture = _known(self._mixtures, label)
        chosen = random.choice(len(mixture.weights_), size=n, p=mixture.weights_)
        factors = np.linalg.cholesky(mixture.covariances_)
        normal = random.standard_normal((n, self.model.latent_dim))
        return mixture.means_[chosen] + np.einsum("nij,nj->ni", factors[chosen], normal)


class VampSampler(Sampler):
    """The mean of the posteriors of some images: a VampPrior whose pseudo-inputs are data.

    A conditional model draws from the posteriors of the class that is asked for.

    Args:
        model: A `kgan.VAE`.
        images: Float array `(n, height, width, channels)` in [-1, 1], such as training images.
        labels: Conditional models: integers `(n,)`.
        components: Integer, the number of images whose posteriors are mixed. Defaults to all. With
            few of them, samples resemble those images.
        seed: Integer, chooses the images.

    Raises:
        ValueError: The images or labels do not fit the model.

    Example:
    ```python
    images, labels = train.draw(10_000, seed=0)
    sampler = kgan.samplers.VampSampler(vae, images, components=100)
    print(kgan.evaluate(sampler, train))
    ```

    Reference:
        [Tomczak and Welling, 2018](https://arxiv.org/abs/1705.07120). There the pseudo-inputs may
        be learnt too; here the prior changes only after training.
    """

    def __init__(
        self,
        model: VAE,
        images: npt.ArrayLike,
        labels: npt.ArrayLike | None = None,
        components: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        chosen = np.arange(len(np.asarray(images)))
        if components is not None:
            count = min(integer("components", components), len(chosen))
            chosen = np.sort(np.random.default_rng(seed).choice(chosen, count, replace=False))
        given = None if labels is None else np.asarray(labels)[chosen]
        self._posteriors = _by_class(model, np.asarray(images)[chosen], given)

    def _draw(self, random: np.random.Generator, n: int, label: int | None) -> np.ndarray:
        mean, log_variance = _known(self._posteriors, label)
        rows = random.integers(len(mean), size=n)
        return _drawn_from(Posterior(mean[rows], log_variance[rows]), random)


def _by_class(
    model: VAE, images: npt.ArrayLike, labels: npt.ArrayLike | None
) -> dict[int | None, Posterior]:
    """The posteriors of images, by class for a conditional model."""
    posterior = model.posterior(images, labels)
    if not model.is_conditional:
        return {None: posterior}
    numbers = np.asarray(labels).reshape(-1)
    return {
        int(label): Posterior(*(each[numbers == label] for each in posterior))
        for label in np.unique(numbers)
    }


def _drawn_from(posterior: Posterior, random: np.random.Generator) -> np.ndarray:
    """A latent from each posterior."""
    normal = random.standard_normal(np.shape(posterior.mean))
    return posterior.mean + np.exp(0.5 * posterior.log_variance) * normal


Fitted = TypeVar("Fitted")


def _known(by_class: dict[int | None, Fitted], label: int | None) -> Fitted:
    if label is not None and int(label) not in by_class:
        raise ValueError(
            f"Expected a class that the sampler was fitted to, one of {list(by_class)}. "
            f"Received: label {label}. Fit it to images of that class too."
        )
    return by_class[None if label is None else int(label)]


def _of_class(label: int | None) -> str:
    return "" if label is None else f" of class {label}"
