"""The plain loops in JAX: functions of lists of arrays, one jitted step that reuses their memory.

See `loops`.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from loops import ADAM_OF_GAN, ADAM_OF_VAE, SLOPE, Adam

_LAYOUT = ("NHWC", "HWIO", "NHWC")
# The indices of moving means and variances among a generator's weights, in Keras's order.
_STATISTICS = {"dcgan": (3, 4, 8, 9, 13, 14), "mlp": ()}
# The number of a generator's weights, with moving means and variances.
_GENERATOR_WEIGHTS = {"dcgan": 17, "mlp": 8}
_ENCODER_WEIGHTS = 2 + 2 * 4 + 2 * 2  # a dense layer, two blocks of two layers, two outputs


def _leaky(x: Any) -> Any:
    return jax.nn.leaky_relu(x, SLOPE)


def _down(x: Any, kernel: Any, bias: Any) -> Any:
    return lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=_LAYOUT) + bias


def _up(x: Any, kernel: Any) -> Any:
    return lax.conv_transpose(
        x, kernel, (2, 2), "SAME", dimension_numbers=_LAYOUT, transpose_kernel=True
    )


@jax.custom_vjp
def _up_with_own_gradient(x: Any, kernel: Any) -> Any:
    """Computes `_up`, with the kernel's gradient of the convolution that it transposes.

    The gradient that JAX derives dilates `x`. XLA computes that slowly on a CPU.
    """
    return _up(x, kernel)


def _up_backward(saved: Any, cotangent: Any) -> tuple[Any, Any]:
    x, kernel = saved

    def down(kernel: Any) -> Any:
        return lax.conv_general_dilated(
            cotangent, kernel, (2, 2), "SAME", dimension_numbers=_LAYOUT
        )

    gradient, back = jax.vjp(down, kernel)
    return gradient, back(x)[0]


_up_with_own_gradient.defvjp(lambda x, kernel: (_up(x, kernel), (x, kernel)), _up_backward)


def _normalised(x: Any, scale: Any, offset: Any, mean: Any, variance: Any) -> tuple[Any, list[Any]]:
    """Returns batch normalisation with ReLU, and the new moving mean and variance."""
    batch_mean = x.mean((0, 1, 2))
    batch_variance = (x * x).mean((0, 1, 2)) - batch_mean**2
    factor = lax.rsqrt(batch_variance + 1e-3) * scale
    moved = [0.9 * mean + 0.1 * batch_mean, 0.9 * variance + 0.1 * batch_variance]
    return jax.nn.relu(x * factor + (offset - batch_mean * factor)), moved


def dcgan_generator(
    weights: Any, statistics: Any, latents: Any, up: Callable[[Any, Any], Any] = _up
) -> tuple[Any, list[Any]]:
    dense, *norm_0, up_1, scale_1, offset_1, up_2, scale_2, offset_2, up_3, bias = weights
    x = (latents @ dense).reshape(len(latents), 4, 4, -1)
    x, moved_0 = _normalised(x, *norm_0, *statistics[0:2])
    x, moved_1 = _normalised(up(x, up_1)[:, :7, :7], scale_1, offset_1, *statistics[2:4])
    x, moved_2 = _normalised(up(x, up_2), scale_2, offset_2, *statistics[4:6])
    return jnp.tanh(up(x, up_3) + bias), [*moved_0, *moved_1, *moved_2]


def dcgan_discriminator(weights: Any, x: Any, key: Any, dropout: float) -> Any:
    del key, dropout
    *convolutions, dense, bias = weights
    for kernel, offset in zip(convolutions[::2], convolutions[1::2], strict=True):
        x = _leaky(_down(x, kernel, offset))
    return x.reshape(len(x), -1) @ dense + bias


def mlp_generator(weights: Any, statistics: Any, x: Any) -> tuple[Any, list[Any]]:
    *hidden, dense, bias = weights
    for kernel, offset in zip(hidden[::2], hidden[1::2], strict=True):
        x = _leaky(x @ kernel + offset)
    return jnp.tanh(x @ dense + bias).reshape(len(x), 28, 28, 1), statistics


def mlp_discriminator(weights: Any, x: Any, key: Any, dropout: float) -> Any:
    *hidden, dense, bias = weights
    x = x.reshape(len(x), -1)
    for kernel, offset in zip(hidden[::2], hidden[1::2], strict=True):
        x = _leaky(x @ kernel + offset)
        if dropout:
            key, used = jax.random.split(key)
            x = jnp.where(jax.random.bernoulli(used, 1 - dropout, x.shape), x / (1 - dropout), 0)
    return x @ dense + bias


NETWORKS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "dcgan": (dcgan_generator, dcgan_discriminator),
    "mlp": (mlp_generator, mlp_discriminator),
}


def vae_encoder(weights: Any, x: Any) -> tuple[Any, Any]:
    *hidden, mean, mean_bias, log_variance, log_variance_bias = weights
    x = _residual(hidden, x.reshape(len(x), -1))
    return x @ mean + mean_bias, x @ log_variance + log_variance_bias


def vae_decoder(weights: Any, x: Any) -> Any:
    *hidden, dense, bias = weights
    return (_residual(hidden, x) @ dense + bias).reshape(len(x), 28, 28, 1)


def _residual(weights: Any, x: Any) -> Any:
    """A dense layer, then residual blocks of two layers each."""
    kernel, bias, *blocks = weights
    x = jax.nn.silu(x @ kernel + bias)
    for first in range(0, len(blocks), 4):
        kernel_1, bias_1, kernel_2, bias_2 = blocks[first : first + 4]
        x = x + (jax.nn.silu(x @ kernel_1 + bias_1) @ kernel_2 + bias_2)
    return x


def _adam(adam: Adam, weights: Any, gradient: Any, moments: Any, count: Any) -> tuple[Any, Any]:
    """Adam as in Keras, which adds epsilon to the root of the second moment without correction."""
    beta_1, beta_2 = adam.betas
    rate = adam.learning_rate * jnp.sqrt(1 - beta_2**count) / (1 - beta_1**count)
    first, second = moments
    first = jax.tree.map(lambda m, g: m + (1 - beta_1) * (g - m), first, gradient)
    second = jax.tree.map(lambda v, g: v + (1 - beta_2) * (g * g - v), second, gradient)
    weights = jax.tree.map(
        lambda w, m, v: w - rate * m / (jnp.sqrt(v) + adam.epsilon), weights, first, second
    )
    return weights, (first, second)


class PlainLoop:
    """The part that the loops of all families share.

    A family's `_stated_step(state, images, noise, keys)` is a pure function of arrays that returns
    the losses and the new entries of the state.
    """

    losses = 0  # how many a step returns

    def __init__(self, state: dict[str, Any], latent_dim: int) -> None:
        self.latent_dim = latent_dim
        self.state = {
            **state,
            "count": jnp.zeros(()),
            "key": jax.random.key(0),
            "totals": jnp.zeros(self.losses),
        }
        self._compiled = jax.jit(self._counted_step, donate_argnums=0)

    def place(self, images: np.ndarray) -> Any:
        """Puts float images, NHWC, where the steps run."""
        return jax.device_put(images)

    def step(self, images: Any, noise: Any = None) -> tuple[Any, ...]:
        """Trains on one batch that `place` has placed, and returns the losses."""
        losses, self.state = self._compiled(self.state, images, noise)
        return losses

    def train(self, batches: Iterable[np.ndarray]) -> tuple[float, ...]:
        """Trains on batches of bytes, NHWC, and returns the mean losses."""
        self.state["totals"] = jnp.zeros(self.losses)
        count = 0
        for pixels in batches:
            self.step(pixels)
            count += 1
        return tuple((self.state["totals"] / count).tolist())

    def _counted_step(self, state: Any, images: Any, noise: Any) -> tuple[Any, Any]:
        key, *keys = jax.random.split(state["key"], 5)
        if noise is None:
            noise = jax.random.normal(keys.pop(), (len(images), self.latent_dim))
        state = {**state, "count": state["count"] + 1, "key": key}
        losses, changed = self._stated_step(state, images, noise, keys)
        return losses, {**state, **changed, "totals": state["totals"] + jnp.stack(losses)}

    def _stated_step(
        self, state: Any, images: Any, noise: Any, keys: Sequence[Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        raise NotImplementedError


class PlainGAN(PlainLoop):
    """The loop of a GAN.

    Args:
        network: As `loops` says, as are `weights`, `latent_dim`, `width` and `dropout`.
        derived_gradient: Whether transposed convolutions have the gradient that JAX derives. By
            default they have one written by hand on a CPU. It computes the same in a tenth of the
            time.
    """

    losses = 2

    def __init__(
        self,
        network: str,
        weights: Sequence[np.ndarray],
        latent_dim: int,
        width: int,
        dropout: float = 0.3,
        derived_gradient: bool = False,
    ) -> None:
        del width  # the weights have it
        self._generate, self._score = NETWORKS[network]
        if network == "dcgan" and not derived_gradient and jax.default_backend() == "cpu":
            self._generate = functools.partial(self._generate, up=_up_with_own_gradient)
        self.dropout = dropout
        self.statistics = _STATISTICS[network]
        arrays = [jnp.array(weight) for weight in weights]
        count = _GENERATOR_WEIGHTS[network]
        generator = [a for i, a in enumerate(arrays[:count]) if i not in self.statistics]
        discriminator = arrays[count:]
        state = {
            "generator": generator,
            "statistics": [arrays[i] for i in self.statistics],
            "discriminator": discriminator,
            "generator_moments": _zero_moments(generator),
            "discriminator_moments": _zero_moments(discriminator),
        }
        super().__init__(state, latent_dim)

    def weights(self) -> list[np.ndarray]:
        """Returns all weights, in the order and layout in which they were given."""
        generator, moving = iter(self.state["generator"]), iter(self.state["statistics"])
        count = len(self.state["generator"]) + len(self.statistics)
        merged = [next(moving if i in self.statistics else generator) for i in range(count)]
        return [np.asarray(weight) for weight in (*merged, *self.state["discriminator"])]

    def _stated_step(
        self, state: Any, images: Any, noise: Any, keys: Sequence[Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        real = images
        if images.dtype == jnp.uint8:
            real = images.astype(jnp.float32) * (2 / 255) - 1

        fake, back, statistics = jax.vjp(
            lambda weights: self._generate(weights, state["statistics"], noise),
            state["generator"],
            has_aux=True,
        )

        def discriminator_loss(weights: Any) -> Any:
            real_logits = self._score(weights, real, keys[0], self.dropout)
            fake_logits = self._score(weights, fake, keys[1], self.dropout)
            return jax.nn.softplus(-real_logits).mean() + jax.nn.softplus(fake_logits).mean()

        loss, gradient = jax.value_and_grad(discriminator_loss)(state["discriminator"])
        discriminator, discriminator_moments = _adam(
            ADAM_OF_GAN,
            state["discriminator"],
            gradient,
            state["discriminator_moments"],
            state["count"],
        )

        def generator_loss(fake: Any) -> Any:
            return jax.nn.softplus(-self._score(discriminator, fake, keys[2], self.dropout)).mean()

        wrong, gradient = jax.value_and_grad(generator_loss)(fake)
        generator, generator_moments = _adam(
            ADAM_OF_GAN,
            state["generator"],
            back(gradient)[0],
            state["generator_moments"],
            state["count"],
        )
        return (loss, wrong), {
            "generator": generator,
            "statistics": statistics,
            "discriminator": discriminator,
            "generator_moments": generator_moments,
            "discriminator_moments": discriminator_moments,
        }


class PlainVAE(PlainLoop):
    """The loop of a VAE."""

    losses = 3

    def __init__(
        self,
        network: str,
        weights: Sequence[np.ndarray],
        latent_dim: int,
        width: int,
        dropout: float = 0.0,
    ) -> None:
        del network, width, dropout  # the weights have the width; there is no dropout
        arrays = [jnp.array(weight) for weight in weights]
        parts = arrays[:_ENCODER_WEIGHTS], arrays[_ENCODER_WEIGHTS:]
        super().__init__({"networks": parts, "moments": _zero_moments(parts)}, latent_dim)

    def weights(self) -> list[np.ndarray]:
        """Returns all weights, in the order and layout in which they were given."""
        return [np.asarray(weight) for network in self.state["networks"] for weight in network]

    def _stated_step(
        self, state: Any, images: Any, noise: Any, keys: Sequence[Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if images.dtype == jnp.uint8:
            is_on = jax.random.uniform(keys[0], images.shape) < images / 255
            images = jnp.where(is_on, 1.0, -1.0)

        def negative_elbo(networks: Any) -> tuple[Any, Any]:
            encoder, decoder = networks
            mean, log_variance = vae_encoder(encoder, images)
            logits = vae_decoder(decoder, mean + jnp.exp(0.5 * log_variance) * noise)
            reconstruction = jax.nn.softplus(-images * logits).sum((1, 2, 3)).mean()
            kl = 0.5 * (mean**2 + jnp.exp(log_variance) - 1 - log_variance).sum(1).mean()
            return reconstruction + kl, (reconstruction, kl)

        (loss, parts), gradient = jax.value_and_grad(negative_elbo, has_aux=True)(state["networks"])
        networks, moments = _adam(
            ADAM_OF_VAE, state["networks"], gradient, state["moments"], state["count"]
        )
        return (loss, *parts), {"networks": networks, "moments": moments}


LOOPS = {"dcgan": PlainGAN, "mlp": PlainGAN, "dense_vae": PlainVAE}


def _zero_moments(weights: Any) -> tuple[Any, Any]:
    return jax.tree.map(jnp.zeros_like, weights), jax.tree.map(jnp.zeros_like, weights)


def compiled_step(model: Any, batch: Any) -> Callable[[int], None]:
    step = jax.jit(model.train_step, donate_argnums=0) if model.jit_compile else model.train_step
    placed = jax.device_put(batch)
    # Copies: a step reuses the memory of the state that it gets.
    state = tuple(
        [jnp.copy(variable.value) for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )

    def run(count: int) -> None:
        nonlocal state
        for _ in range(count):
            _, state = step(state, placed)
        for array in jax.tree.leaves(state):
            array.block_until_ready()

    return run


def wait(losses: Sequence[Any]) -> None:
    losses[0].block_until_ready()


def device() -> tuple[str, bool]:
    first = jax.devices()[0]
    return first.device_kind, first.platform == "gpu"


def peak_memory() -> int | None:
    statistics = jax.devices()[0].memory_stats()
    return statistics.get("peak_bytes_in_use") if statistics else None
