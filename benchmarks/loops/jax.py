"""The plain loop in JAX: functions of lists of arrays, one jitted step that reuses their memory."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from loops import BETAS, EPSILON, LEARNING_RATE, SLOPE

_LAYOUT = ("NHWC", "HWIO", "NHWC")
# Where among a generator's weights, in Keras's order, the moving means and variances stand.
_STATISTICS = {"dcgan": (3, 4, 8, 9, 13, 14), "mlp": ()}
# How many weights a generator has, moving means and variances among them.
_GENERATOR_WEIGHTS = {"dcgan": 17, "mlp": 8}


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
    """`_up`; its kernel's gradient is that of the convolution which it transposes.

    What JAX derives by itself dilates `x`, for which XLA has nothing but a plain loop on the CPU.
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
    """Batch normalisation and ReLU, and the new moving mean and variance."""
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


def _adam(weights: Any, gradient: Any, moments: Any, count: Any) -> tuple[Any, Any]:
    """Adam as Keras writes it, with its epsilon beside the raw second moment."""
    rate = LEARNING_RATE * jnp.sqrt(1 - BETAS[1] ** count) / (1 - BETAS[0] ** count)
    first, second = moments
    first = jax.tree.map(lambda m, g: m + (1 - BETAS[0]) * (g - m), first, gradient)
    second = jax.tree.map(lambda v, g: v + (1 - BETAS[1]) * (g * g - v), second, gradient)
    weights = jax.tree.map(
        lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), weights, first, second
    )
    return weights, (first, second)


class PlainLoop:
    """See `loops`.

    Args:
        network: As `loops` says, and so are `weights`, `latent_dim`, `width` and `dropout`.
        derived_gradient: Whether transposed convolutions have the gradient that JAX derives, and
            not on a CPU one of their own, which is the same in a tenth of the time.
    """

    def __init__(
        self,
        network: str,
        weights: Sequence[np.ndarray],
        latent_dim: int,
        width: int,
        dropout: float = 0.3,
        derived_gradient: bool = False,
    ) -> None:
        del width  # which the weights tell
        generate, score = NETWORKS[network]
        if network == "dcgan" and not derived_gradient and jax.default_backend() == "cpu":
            generate = functools.partial(generate, up=_up_with_own_gradient)
        self.statistics = _STATISTICS[network]
        arrays = [jnp.array(weight) for weight in weights]
        count = _GENERATOR_WEIGHTS[network]
        generator = [a for i, a in enumerate(arrays[:count]) if i not in self.statistics]
        discriminator = arrays[count:]
        self.state: dict[str, Any] = {
            "generator": generator,
            "statistics": [arrays[i] for i in self.statistics],
            "discriminator": discriminator,
            "generator_moments": _zero_moments(generator),
            "discriminator_moments": _zero_moments(discriminator),
            "count": jnp.zeros(()),
            "key": jax.random.key(0),
            "totals": jnp.zeros(2),
        }

        def step(state: Any, real: Any, latents: Any) -> tuple[Any, Any]:
            count = state["count"] + 1
            key, *keys = jax.random.split(state["key"], 5)
            if real.dtype == jnp.uint8:
                real = real.astype(jnp.float32) * (2 / 255) - 1
            if latents is None:
                latents = jax.random.normal(keys[0], (len(real), latent_dim))

            fake, back, statistics = jax.vjp(
                lambda weights: generate(weights, state["statistics"], latents),
                state["generator"],
                has_aux=True,
            )

            def discriminator_loss(weights: Any) -> Any:
                real_logits = score(weights, real, keys[1], dropout)
                fake_logits = score(weights, fake, keys[2], dropout)
                return jax.nn.softplus(-real_logits).mean() + jax.nn.softplus(fake_logits).mean()

            loss, gradient = jax.value_and_grad(discriminator_loss)(state["discriminator"])
            discriminator, discriminator_moments = _adam(
                state["discriminator"], gradient, state["discriminator_moments"], count
            )

            def generator_loss(fake: Any) -> Any:
                return jax.nn.softplus(-score(discriminator, fake, keys[3], dropout)).mean()

            wrong, gradient = jax.value_and_grad(generator_loss)(fake)
            generator, generator_moments = _adam(
                state["generator"], back(gradient)[0], state["generator_moments"], count
            )
            return (loss, wrong), {
                "generator": generator,
                "statistics": statistics,
                "discriminator": discriminator,
                "generator_moments": generator_moments,
                "discriminator_moments": discriminator_moments,
                "count": count,
                "key": key,
                "totals": state["totals"] + jnp.stack([loss, wrong]),
            }

        self._step = jax.jit(step, donate_argnums=0)

    def weights(self) -> list[np.ndarray]:
        """All weights, in the order and the layout in which they were given."""
        generator, moving = iter(self.state["generator"]), iter(self.state["statistics"])
        count = len(self.state["generator"]) + len(self.statistics)
        merged = [next(moving if i in self.statistics else generator) for i in range(count)]
        return [np.asarray(weight) for weight in (*merged, *self.state["discriminator"])]

    def place(self, images: np.ndarray) -> Any:
        """Puts float images, NHWC, where the steps run."""
        return jax.device_put(images)

    def step(self, real: Any, latents: Any = None) -> tuple[Any, Any]:
        """Trains on one batch that `place` has placed; the two losses."""
        losses, self.state = self._step(self.state, real, latents)
        return losses

    def train(self, batches: Iterable[np.ndarray]) -> tuple[float, float]:
        """Trains on batches of bytes, NHWC; the means of the two losses."""
        self.state["totals"] = jnp.zeros(2)
        count = 0
        for pixels in batches:
            self.step(pixels)
            count += 1
        discriminator_loss, generator_loss = (self.state["totals"] / count).tolist()
        return discriminator_loss, generator_loss


def _zero_moments(weights: Any) -> tuple[Any, Any]:
    return jax.tree.map(jnp.zeros_like, weights), jax.tree.map(jnp.zeros_like, weights)


def compiled_step(gan: Any, images: np.ndarray) -> Callable[[int], None]:
    step = jax.jit(gan.train_step, donate_argnums=0) if gan.jit_compile else gan.train_step
    placed = jax.device_put(images)
    # Copies: a step takes the memory of the state that it is given.
    state = tuple(
        [jnp.copy(variable.value) for variable in variables]
        for variables in (
            gan.trainable_variables,
            gan.non_trainable_variables,
            gan.optimizer.variables,
            gan.metrics_variables,
        )
    )

    def run(count: int) -> None:
        nonlocal state
        for _ in range(count):
            _, state = step(state, placed)
        for array in jax.tree.leaves(state):
            array.block_until_ready()

    return run


def device() -> tuple[str, bool]:
    first = jax.devices()[0]
    return first.device_kind, first.platform == "gpu"


def peak_memory() -> int | None:
    statistics = jax.devices()[0].memory_stats()
    return statistics.get("peak_bytes_in_use") if statistics else None
