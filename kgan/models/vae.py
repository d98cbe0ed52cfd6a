"""The variational autoencoder."""

import math
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from kgan import _backend, _interrupts, likelihoods, schedules
from kgan._arguments import integer
from kgan._noise import for_batch
from kgan._typing import Array, Batch, Images, Logs, Network, Noise, Optimizer, Tensor
from kgan.models import network_checks
from kgan.models.latent_model import LatentModel, as_input
from kgan.training.batch_spec import BatchSpec
from kgan.training.log_names import LOSSES, Limit, LogName, hide, register

# exp() of these stays far from the ends of float32, and no posterior of use comes near them.
_LOG_VARIANCES = (-20.0, 10.0)
# A latent is active if its posterior mean varies by more than this from image to image.
_ACTIVE_VARIANCE = 0.01
# Latents that are decoded at once by `log_prob`: their memory does not grow with the samples.
_DECODED_AT_ONCE = 8192

_COLLAPSED = (
    "posterior collapse: the latents tell next to nothing about the images ({}), and the decoder "
    "ignores them. What helps: compile(warm_up=...) or free_bits=..., a smaller beta, a weaker "
    "decoder."
)

# In nats for each image; the step computes them in this order.
register(
    LogName(
        "reconstruction",
        "reconstruction",
        LOSSES,
        order=11,
        nan="The posteriors are finite, the log-likelihood is not: look for pixels outside of what "
        "the likelihood is for, and for decoder weights that have exploded.",
    ),
    LogName(
        "kl",
        "KL divergence",
        LOSSES,
        order=10,
        nan="The encoder's means or variances are not finite: look for NaN in the data, or lower "
        "the learning rate.",
        limits=(
            Limit(
                "posterior_collapse",
                _COLLAPSED.format("KL divergence {value:.3f} nats for each image"),
                at_most=0.1,
            ),
        ),
    ),
    LogName(
        "active_units",
        "active latents",
        "Active latents",
        order=12,
        limits=(
            Limit(
                "posterior_collapse",
                _COLLAPSED.format("{value:.2g} active latents on average"),
                at_most=0.1,
            ),
        ),
    ),
    LogName("kl_weight", "weight", "Weight of the KL divergence", order=0),
)

hide("kl_weight")


class Posterior(NamedTuple):
    """A diagonal normal distribution over latents for each image.

    Attributes:
        mean: Float32 `(batch, latent_dim)`.
        log_variance: Float32 `(batch, latent_dim)`.
    """

    mean: Tensor
    log_variance: Tensor


@keras.saving.register_keras_serializable(package="kgan")
class VAE(LatentModel):
    """A variational autoencoder.

    An *encoder* maps an image to a normal distribution over latents, a *decoder* maps a latent to
    the parameters of a distribution over images, the *likelihood*. Training maximises a lower bound
    of the log probability of the images (ELBO): the expected log-likelihood of an image given its
    latent, minus `beta` times the KL divergence of its latents' distribution from the standard
    normal prior. Both are sums over dimensions, in nats for each image.

    With labels as second inputs of both networks it is conditional.

    The logs of `fit` and `evaluate` are means over the epoch so far, in nats for each image:

    - `loss`: the objective.
    - `reconstruction`: the negative expected log-likelihood.
    - `kl`: the KL divergence. Near 0, the decoder ignores the latents (posterior collapse).
    - `active_units`: how many latents vary from image to image. Their posterior mean has a variance
      above 0.01 in the batch.
    - In training, `kl_weight`, the current weight of the KL divergence, and `gradient_norm`.

    Args:
        encoder: Functional or Sequential `keras.Model` from images, float
            `(batch, height, width, channels)` (conditional: from `[images, labels]`), to
            `[mean, log_variance]`, each `(batch, latent_dim)`.
        decoder: Functional or Sequential `keras.Model` from latents, float `(batch, latent_dim)`
            (conditional: from `[latents, labels]`), to the outputs of the likelihood,
            `(batch, height, width, channels * likelihood.outputs_per_channel())`.
        likelihood: A name out of `kgan.likelihoods.names()`, or a `kgan.likelihoods.Likelihood`.
            "bernoulli" is for binary images, `ImageDataset(binarize="dynamic")`;
            "discretized_logistic" for images of 256 levels; "gaussian" for images of real numbers.
        num_classes: Integer, the number of classes of a conditional VAE. Needed only where no
            `Embedding` or `CategoryEncoding` layer tells it.
        seed: Integer, starts the noise of training. Defaults to a random one.
        name: String.

    Raises:
        ValueError: The networks do not fit each other or the likelihood.

    Example:
    ```python
    train = kgan.data.load_mnist("train", binarize="dynamic")
    vae = kgan.VAE(*kgan.networks.dense_vae((28, 28, 1), latent_dim=40))
    vae.compile()
    vae.fit(train, epochs=20)
    images = vae.generate(64, seed=1)
    latents = vae.encode(train[0][0])
    ```

    Reference:
        [Kingma and Welling, 2014](https://arxiv.org/abs/1312.6114);
        [Higgins et al., 2017](https://openreview.net/forum?id=Sy2fzU9gl) for `beta`;
        [Burda et al., 2016](https://arxiv.org/abs/1509.00519) for importance weighting and active
        units; [Kingma et al., 2016](https://arxiv.org/abs/1606.04934) for free bits;
        [Sohn et al., 2015](https://papers.nips.cc/paper/5775) for the conditional VAE.
    """

    networks = ("encoder", "decoder")
    roles: ClassVar = {"model": ("encoder", "decoder", "likelihood")}
    averaged = ("encoder", "decoder")
    arguments = ("likelihood", "num_classes")
    compile_arguments: ClassVar = {
        "beta": "beta",
        "warm_up": "warm_up",
        "free_bits": "free_bits",
        "importance_samples": "importance_samples",
    }
    decoder_name = "decoder"
    likelihood_is_exact = False

    def __init__(
        self,
        encoder: Network,
        decoder: Network,
        likelihood: str | likelihoods.Likelihood = "bernoulli",
        num_classes: int | None = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        likelihood = likelihoods.get(likelihood)
        network_checks.check_autoencoder(encoder, decoder, likelihood.outputs_per_channel())
        super().__init__(seed=seed, name=name)
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.latent_dim: int = decoder.inputs[0].shape[1]
        self.image_shape = tuple(encoder.inputs[0].shape[1:])
        self.num_classes = network_checks.resolve_num_classes(
            {"decoder": decoder, "encoder": encoder}, num_classes
        )
        self.beta = 1.0
        # A separate count: the optimizer's starts again when the model is compiled again.
        self.steps_trained = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            aggregation="mean",
            name="steps_trained",
        )
        self.built = True

    def compile(  # type: ignore[override]  # with the optimizer by its name
        self,
        optimizer: str | Optimizer | None = None,
        beta: float = 1.0,
        warm_up: int | schedules.Schedule | None = None,
        free_bits: float = 0.0,
        importance_samples: int = 1,
        ema_decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures the training. Every argument has a default that works.

        Args:
            optimizer: String or `keras.optimizers.Optimizer`. Defaults to `Adam(1e-3)`.
            beta: Float, the weight of the KL divergence: 1 for a bound of the likelihood, more for
                latents that are independent of each other (beta-VAE).
            warm_up: What `beta` is multiplied with in training: an integer n to grow it linearly
                from 0 in the first n steps, or a `kgan.schedules.Schedule`. Against posterior
                collapse. Defaults to none.
            free_bits: Float, in nats: the KL divergence of each latent, averaged over the batch,
                counts as at least this much in training. Against posterior collapse.
            importance_samples: Integer k: train on the importance-weighted bound with k latents for
                each image (IWAE), which is tighter than the ELBO. Needs about k times the work of
                the decoder.
            ema_decay: Float in [0, 1): keep a running average of the weights, for everything but
                training. Defaults to none.
            **kwargs: Keras's own `run_eagerly`, `steps_per_execution` and `jit_compile`.

        Raises:
            ValueError: A number is out of its range, or free bits are combined with several
                importance samples.

        Example: a warm-up against posterior collapse, and averaged weights.
        ```python
        vae.compile(keras.optimizers.Adam(1e-3), warm_up=2_000, ema_decay=0.999)
        ```
        """
        if not beta >= 0 or not free_bits >= 0:
            raise ValueError(
                "Expected `beta` and `free_bits` to be at least 0. Received: "
                f"beta={beta!r}, free_bits={free_bits!r}."
            )
        importance_samples = integer("importance_samples", importance_samples)
        if importance_samples > 1 and free_bits:
            raise ValueError(
                "Expected free bits or importance weighting: the importance-weighted bound has no "
                "KL divergence of each latent. Received: "
                f"free_bits={free_bits!r}, importance_samples={importance_samples}."
            )
        self.beta = float(beta)
        self.warm_up = schedules.get(warm_up)
        self.free_bits = float(free_bits)
        self.importance_samples = importance_samples
        super().compile(optimizer=optimizer, ema_decay=ema_decay, **kwargs)

    def log_names(self) -> list[str]:
        """The names of all logs, in the order in which they are shown."""
        return ["loss", "reconstruction", "kl", "active_units", "kl_weight", "gradient_norm"]

    def batch_spec(self, training: bool) -> BatchSpec:
        """Images that the likelihood is a distribution over."""
        del training
        is_binary = self.likelihood.support == "binary"
        return BatchSpec(
            shape=self.encoder.inputs[0].shape,
            consumer="encoder",
            value_range=(-1.0, 1.0),
            range_reason=f"the likelihood is {type(self.likelihood).__name__}",
            binary=is_binary,
            needs_labels=self.is_conditional,
            num_classes=self.num_classes,
        )

    # ---- the algorithm ---------------------------------------------------------------------------

    def training_step(self, batch: Batch) -> Logs:
        """Updates both networks on one batch."""
        weight = self.beta * self.warm_up(self.steps_trained.value)

        def objective() -> tuple[Tensor, Logs]:
            if self.importance_samples > 1:
                return self._importance_weighted_loss(batch, weight)
            return self._negative_elbo(
                batch, weight, self.training_noise, training=True, free_bits=self.free_bits
            )

        minimized = self.minimize("model", objective)
        self.steps_trained.assign_add(1.0)
        self.follow()
        return self.record(
            batch,
            loss=minimized.loss,
            gradient_norm=minimized.gradient_norm,
            kl_weight=weight,
            **minimized.aux,
        )

    def evaluation_step(self, batch: Batch) -> Logs:
        """Measures the negative ELBO, with the full `beta`, on one batch of held-out images.

        With an `ema_decay` in `compile`, it is that of the averaged networks, as everywhere but in
        training.
        """
        loss, logs = self._negative_elbo(batch, self.beta, self.evaluation_noise, training=False)
        return self.record(batch, loss=loss + self.regularisation("model"), **logs)

    def _negative_elbo(
        self,
        batch: Batch,
        weight: Tensor,
        noise: Noise,
        training: bool,
        free_bits: float = 0.0,
    ) -> tuple[Tensor, Logs]:
        encoder, decoder = (
            self.network_in_use(name, averaged=not training) for name in self.networks
        )
        posterior = self._posterior(encoder, batch.images, batch.labels, training)
        latents = _sample(posterior, noise)
        outputs = self._outputs(decoder, latents, batch.labels, training)
        reconstruction = -ops.mean(
            self.likelihood.log_prob(batch.images, outputs, training=training)
        )
        per_latent = ops.mean(_kl_divergence(posterior), axis=0)
        penalty = ops.sum(ops.maximum(per_latent, free_bits) if free_bits else per_latent)
        logs = {
            "reconstruction": reconstruction,
            "kl": ops.sum(per_latent),
            "active_units": _active_units(posterior),
        }
        return reconstruction + weight * penalty, logs

    def _importance_weighted_loss(self, batch: Batch, weight: Tensor) -> tuple[Tensor, Logs]:
        """The negative importance-weighted bound, with k latents for each image."""
        k, noise = self.importance_samples, self.training_noise
        posterior = self._posterior(self.encoder, batch.images, batch.labels, training=True)
        count = ops.shape(batch.images)[0]
        normal = for_batch(keras.random.normal, count, k, self.latent_dim, noise=noise)
        log_likelihood, log_ratio = self._importance_terms(
            self.decoder, batch.images, batch.labels, posterior, normal, training=True
        )
        bound = ops.logsumexp(log_likelihood + weight * log_ratio, axis=1) - math.log(k)
        logs = {
            "reconstruction": -ops.mean(log_likelihood),
            "kl": ops.mean(ops.sum(_kl_divergence(posterior), axis=1)),
            "active_units": _active_units(posterior),
        }
        return -ops.mean(bound), logs

    def _importance_terms(
        self,
        decoder: Network,
        images: Tensor,
        labels: Tensor | None,
        posterior: Posterior,
        normal: Tensor,
        training: bool,
    ) -> tuple[Tensor, Tensor]:
        """`log p(x|z)` and `log p(z) - log q(z|x)` of several latents for each image.

        Args:
            decoder: The decoder.
            images: Float32 `(batch, height, width, channels)`.
            labels: Integer `(batch,)`, or None.
            posterior: That of the images.
            normal: Float32 `(batch, k, latent_dim)`, standard normal numbers.
            training: Whether networks run in training mode.

        Returns:
            Two float32 tensors `(batch, k)`.
        """
        k = ops.shape(normal)[1]
        deviation = ops.exp(0.5 * posterior.log_variance)
        latents = posterior.mean[:, None] + deviation[:, None] * normal
        outputs = self._outputs(
            decoder,
            ops.reshape(latents, (-1, self.latent_dim)),
            None if labels is None else ops.repeat(labels, k, axis=0),
            training,
        )
        log_likelihood = self.likelihood.log_prob(
            ops.repeat(images, k, axis=0), outputs, training=training
        )
        # The constants of the two normal densities cancel.
        log_prior = -0.5 * ops.sum(ops.square(latents), axis=2)
        log_posterior = -0.5 * (
            ops.sum(ops.square(normal), axis=2) + ops.sum(posterior.log_variance, axis=1)[:, None]
        )
        return ops.reshape(log_likelihood, (-1, k)), log_prior - log_posterior

    def _posterior(
        self, encoder: Network, images: Tensor, labels: Tensor | None, training: bool
    ) -> Posterior:
        tensors = [images] if labels is None else [images, as_input(labels, encoder)]
        mean, log_variance = self.run(encoder, tensors, training)
        return Posterior(mean, ops.clip(log_variance, *_LOG_VARIANCES))

    def _outputs(
        self, decoder: Network, latents: Tensor, labels: Tensor | None, training: bool
    ) -> Tensor:
        tensors = [latents] if labels is None else [latents, as_input(labels, decoder)]
        return self.run(decoder, tensors, training)

    def _images_of(self, outputs: Tensor) -> Tensor:
        return self.likelihood.mean(ops.cast(outputs, "float32"))

    # ---- what a trained model does ---------------------------------------------------------------

    @property
    def likelihood_support(self) -> str:
        """The kind of images of the likelihood: "binary", "levels" or "density"."""
        return self.likelihood.support

    def encode(
        self, images: npt.ArrayLike, labels: npt.ArrayLike | None = None, batch_size: int = 256
    ) -> Array:
        """Finds the latents of images: the means of their posteriors.

        Args:
            images: Float array `(n, height, width, channels)` in [-1, 1].
            labels: Conditional models: integers `(n,)`.
            batch_size: Integer, images at a time.

        Returns:
            Float32 array `(n, latent_dim)`.

        Raises:
            ValueError: The images or labels do not fit the model.

        Example:
        ```python
        images, _ = test.draw(100, seed=0)
        latents = vae.encode(images)
        assert latents.shape == (100, vae.latent_dim)
        ```
        """
        return self.posterior(images, labels, batch_size).mean

    def posterior(
        self, images: npt.ArrayLike, labels: npt.ArrayLike | None = None, batch_size: int = 256
    ) -> Posterior:
        """Computes the distributions of the latents of images.

        Args:
            images: As for `encode`.
            labels: As for `encode`.
            batch_size: Integer, images at a time.

        Returns:
            `(mean, log_variance)`, two float32 arrays `(n, latent_dim)`.

        Example:
        ```python
        images, _ = test.draw(100, seed=0)
        mean, log_variance = vae.posterior(images)
        deviation = np.exp(0.5 * log_variance)
        ```
        """
        arrays = self.checked_arrays(images, labels)
        size = integer("batch_size", batch_size)
        return Posterior(*self.predict_in_batches(VAE._posterior_of_arrays, arrays, size))

    def _posterior_of_arrays(self, images: Tensor, labels: Tensor | None = None) -> Posterior:
        encoder = self.network_in_use("encoder")
        return self._posterior(encoder, images, labels, training=False)

    def reconstruct(
        self, images: npt.ArrayLike, labels: npt.ArrayLike | None = None, batch_size: int = 256
    ) -> Images:
        """Makes images again from the means of their latents.

        Args:
            images: As for `encode`.
            labels: As for `encode`.
            batch_size: Integer, images at a time.

        Returns:
            Float32 array like `images`: the mean of the likelihood.

        Example:
        ```python
        images, _ = test.draw(16, seed=0)
        kgan.images.show(kgan.images.paired_grid(images, vae.reconstruct(images)))
        ```
        """
        return self.decode(self.encode(images, labels, batch_size), labels, batch_size)

    def traverse(
        self,
        latent: int,
        n: int,
        steps: int = 8,
        extent: float = 3.0,
        labels: npt.ArrayLike | None = None,
        seed: int | None = None,
    ) -> Images:
        """Makes images in which one latent alone changes.

        Args:
            latent: Integer, its number.
            n: Integer, the number of latent vectors that it is changed in.
            steps: Integer of at least 2, the number of values, evenly from `-extent` to `extent`.
            extent: Float, in standard deviations of the prior.
            labels: Conditional models: as for `generate`, a class for each vector.
            seed: Integer, chooses the vectors.

        Returns:
            Float32 array `(n, steps, height, width, channels)`.

        Raises:
            ValueError: There is no such latent, or a number is too small.

        Example: the latent that tells most about the images.
        ```python
        images, _ = test.draw(100, seed=0)
        latent = int(np.argmax(vae.kl_per_latent(images)))
        kgan.images.show(vae.traverse(latent, n=4, steps=8, seed=1))
        ```
        """
        n, steps = integer("n", n), integer("steps", steps, least=2)
        if integer("latent", latent, least=0) >= self.latent_dim:
            raise ValueError(
                f"Expected a latent below {self.latent_dim}, their number. "
                f"Received: latent={latent}."
            )
        vectors = np.repeat(self.draw_latents(n, seed)[:, None], steps, axis=1)
        vectors[:, :, latent] = np.linspace(-extent, extent, steps)
        return self._decode_paths(vectors, self.labels_for(n, labels))

    def kl_per_latent(
        self, images: npt.ArrayLike, labels: npt.ArrayLike | None = None, batch_size: int = 256
    ) -> np.ndarray:
        """Computes the information that each latent holds about the images.

        Args:
            images: As for `encode`.
            labels: As for `encode`.
            batch_size: Integer, images at a time.

        Returns:
            Float64 array `(latent_dim,)`, in nats: the mean KL divergence of each latent's
            posterior from the prior. Their sum is `kl` in the logs.

        Example:
        ```python
        images, _ = test.draw(100, seed=0)
        nats = vae.kl_per_latent(images)
        print(f"{np.sum(nats > 0.1)} of {vae.latent_dim} latents are in use.")
        ```
        """
        mean, log_variance = (
            np.asarray(each, "float64") for each in self.posterior(images, labels, batch_size)
        )
        return np.mean(0.5 * (mean**2 + np.exp(log_variance) - 1.0 - log_variance), axis=0)

    def log_prob(
        self,
        images: npt.ArrayLike,
        labels: npt.ArrayLike | None = None,
        samples: int = 1,
        seed: int = 0,
    ) -> np.ndarray:
        """Estimates the log probability of images by importance sampling.

        `log (1/k) sum_i p(x | z_i) p(z_i) / q(z_i | x)` with k latents `z_i` from the posterior of
        each image. On average it is a lower bound, which rises with k towards the true value; with
        one sample it is the ELBO. Memory does not grow with k.

        Args:
            images: Float array `(n, height, width, channels)`, as in training.
            labels: Conditional models: integers `(n,)`; the probability is given the label.
            samples: Integer k.
            seed: Integer, for the latents.

        Returns:
            Float64 array `(n,)`, in nats.

        Raises:
            ValueError: The images or labels do not fit the model, or `samples` is less than 1.

        Example:
        ```python
        images, _ = test.draw(100, seed=0)
        nats = -vae.log_prob(images, samples=10)
        unlikely = images[np.argsort(nats)[-8:]]
        ```

        Reference:
            [Burda et al., 2016](https://arxiv.org/abs/1509.00519).
        """
        samples = integer("samples", samples)
        seed = integer("seed", seed, least=0)
        arrays = self.checked_arrays(images, labels)
        self.likelihood.check_images(arrays[0])
        at_once = min(samples, 64)
        size = max(1, _DECODED_AT_ONCE // self.likelihood.outputs_per_channel() // at_once)
        posterior = self.predict_in_batches(VAE._posterior_of_arrays, arrays, size)
        parts = []
        interrupt = _interrupts.Remembered()
        with interrupt.listening():
            for first in range(0, len(arrays[0]), size):
                rows = [array[first : first + size] for array in (*posterior, *arrays)]
                parts.append(self._log_prob_of_rows(rows, samples, at_once, (seed, first)))
                interrupt.arrive()
        return np.concatenate(parts)

    def _log_prob_of_rows(
        self, rows: list[np.ndarray], samples: int, at_once: int, seed: tuple[int, int]
    ) -> np.ndarray:
        """The estimates for some images: `rows` are the arguments of `_log_sum_of_weights`."""
        random = np.random.default_rng(seed)
        total = np.full(len(rows[0]), -np.inf)
        for first in range(0, samples, at_once):
            shape = (len(rows[0]), min(at_once, samples - first), self.latent_dim)
            normal = random.standard_normal(shape, "float32")  # the same on every backend
            terms = _backend.predict(self, VAE._log_sum_of_weights, normal, *rows)
            total = np.logaddexp(total, np.asarray(terms, "float64"))
        return total - math.log(samples)

    def _log_sum_of_weights(
        self,
        normal: Tensor,
        mean: Tensor,
        log_variance: Tensor,
        images: Tensor,
        labels: Tensor | None = None,
    ) -> Tensor:
        """The log of the sum of importance weights, `(batch,)`."""
        log_likelihood, log_ratio = self._importance_terms(
            self.network_in_use("decoder"),
            images,
            labels,
            Posterior(mean, log_variance),
            normal,
            training=False,
        )
        return ops.logsumexp(log_likelihood + log_ratio, axis=1)


def _sample(posterior: Posterior, noise: Noise) -> Tensor:
    """A latent for each image, by the reparameterisation trick."""
    count, size = ops.shape(posterior.mean)[0], posterior.mean.shape[1]
    normal = for_batch(keras.random.normal, count, size, noise=noise)
    return posterior.mean + ops.exp(0.5 * posterior.log_variance) * normal


def _kl_divergence(posterior: Posterior) -> Tensor:
    """The KL divergence of each latent's posterior from the prior, `(batch, latent_dim)`."""
    mean, log_variance = posterior
    return 0.5 * (ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance)


def _active_units(posterior: Posterior) -> Tensor:
    """The number of latents whose mean varies from image to image."""
    variances = ops.var(ops.stop_gradient(posterior.mean), axis=0)
    return ops.sum(ops.cast(variances > _ACTIVE_VARIANCE, "float32"))
