"""The adversary: a discriminator with everything that is computed from its outputs."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from keras import ops

from kgan import _backend
from kgan._pairs import fraction_above
from kgan._typing import Logs, Network, Noise, Optimizer, Tensor
from kgan.augmentations import Augmentation
from kgan.losses import AdversarialLoss
from kgan.models.latent_model import as_input
from kgan.models.packing import packed, unpacked
from kgan.penalties import Judged, Penalty, gradients_needed
from kgan.training.log_names import GRADIENTS, LOSSES, Gradient, Limit, LogName, hide, register
from kgan.training.steps import check_is_scalar

_SCORES = "Mean scores"

# The generator's come first within a panel: they are drawn in the colour of samples.
register(
    LogName(
        "generator_loss",
        "generator",
        LOSSES,
        order=90,
        nan="The discriminator's update gave it weights that are not finite: lower its learning "
        "rate.",
    ),
    LogName(
        "discriminator_loss",
        "discriminator",
        LOSSES,
        order=20,
        nan="The discriminator's scores are finite, its loss is not: check the loss and the "
        "regularizers.",
    ),
    LogName("classification_loss", "classification", LOSSES, order=30),
    LogName("class_accuracy", "accuracy", "Class accuracy", order=31),
    LogName(
        "fake_score",
        "fakes",
        _SCORES,
        order=11,
        nan="The discriminator's score of samples is not finite: check the generator's last layer, "
        "and whether its weights have exploded.",
    ),
    LogName(
        "real_score",
        "real images",
        _SCORES,
        order=10,
        nan="The discriminator's score of real images is not finite: look for NaN in the data.",
    ),
    LogName(
        "discriminator_accuracy",
        "accuracy",
        "Discriminator accuracy",
        order=12,
        limits=(
            Limit(
                "discriminator_certain",
                "the discriminator tells real from fake in {value:.2%} of all pairs, so the "
                "generator learns little from it. What helps: a lower learning rate or fewer steps "
                "for the discriminator, dropout in it, a gradient penalty, or a loss that does not "
                "saturate.",
                at_least=0.999,
            ),
            Limit(
                "discriminator_fooled",
                "the discriminator ranks real above fake in only {value:.2%} of all pairs: it is "
                "wrong nearly every time. What helps: a higher learning rate or more steps for the "
                "discriminator; check that its loss is not negated.",
                at_most=0.001,
            ),
        ),
    ),
    LogName(
        "generator_gradient_norm",
        "generator",
        GRADIENTS,
        order=95,
        nan="The losses are finite, the generator's gradient is not: look for a square root or a "
        "norm of 0.",
        gradient=Gradient(
            "generator",
            vanished="What helps: the non-saturating loss, and a discriminator that is less "
            "certain.",
        ),
    ),
    LogName(
        "discriminator_gradient_norm",
        "discriminator",
        GRADIENTS,
        order=80,
        nan="The losses are finite, the discriminator's gradient is not: look for a square root or "
        "a norm of 0, for example in a penalty.",
        gradient=Gradient(
            "discriminator",
            vanished="What helps: samples that it can still tell from real images, with a lower "
            "learning rate for the generator.",
            exploded="A gradient penalty on the discriminator helps too.",
        ),
    ),
)

hide("real_score", "fake_score")


class Verdict(NamedTuple):
    """The outputs of a discriminator.

    Attributes:
        logits: Float32 `(batch, ...)`, high for real images.
        found: Float32, its second output, for the auxiliary head; or None.
    """

    logits: Tensor
    found: Tensor | None = None


class Head(Protocol):
    """The use of a discriminator's second output: it predicts something about the images."""

    @property
    def log_names(self) -> Sequence[str]:
        """The names of its logs."""

    def discriminator_loss(
        self, real_found: Tensor, fake_found: Tensor, labels: Tensor | None, targets: Tensor
    ) -> tuple[Tensor, Logs]:
        """The scalar that the discriminator minimises in addition, and logs.

        Args:
            real_found: The second output for real images.
            fake_found: The second output for generated images.
            labels: The labels of the real images, or None.
            targets: What the generated images were made from: labels, or codes.
        """

    def generator_loss(self, found: Tensor, targets: Tensor) -> Tensor:
        """The scalar that the generator minimises in addition."""


class Critic:
    """A discriminator with its loss, penalties, augmentation, packing and auxiliary head.

    A family makes one when it is compiled, gives its objective to `minimize`, and asks it for the
    generator's loss. The networks, penalties and augmentation stay attributes of the model, which
    saves them.

    Args:
        network: The discriminator: images (and labels) to logits (and a second output).
        loss: A `kgan.losses.AdversarialLoss`.
        noise: The `keras.random.SeedGenerator` of training.
        penalties: `kgan.penalties.Penalty`s.
        augmentation: A `kgan.augmentations.Augmentation`, or None.
        pack: Integer, how many images are judged as one.
        head: The use of the second output, or None.
        head_weight: Float, the weight of the head's losses.
    """

    LOG_NAMES = (
        "discriminator_loss",
        "generator_loss",
        "real_score",
        "fake_score",
        "discriminator_accuracy",
    )
    """The logs of training and evaluation that every critic has; `log_names` gives all."""

    def __init__(
        self,
        network: Network,
        loss: AdversarialLoss,
        noise: Noise,
        penalties: Sequence[Penalty] = (),
        augmentation: Augmentation | None = None,
        pack: int = 1,
        head: Head | None = None,
        head_weight: float = 1.0,
    ) -> None:
        self.network = network
        self.loss = loss
        self.noise = noise
        self.penalties = penalties
        self.augmentation = augmentation
        self.pack = pack
        self.head = head
        self.head_weight = head_weight

    def log_names(self) -> list[str]:
        """The names of its logs, with the norms of both gradients."""
        return [
            *self.LOG_NAMES,
            *(() if self.head is None else self.head.log_names),
            "discriminator_gradient_norm",
            "generator_gradient_norm",
            *(penalty.name for penalty in self.penalties),
            *(() if self.augmentation is None else self.augmentation.logs),
        ]

    # Sums are never `loss += ...`: on PyTorch that changes the tensor itself, which the loss may
    # need for its gradient (exp, sqrt), and the logs hold.

    def training_loss(
        self,
        real: Tensor,
        fake: Tensor,
        labels: Tensor | None = None,
        targets: Tensor | None = None,
        *,
        optimizer: Optimizer,
        regularisation: Tensor = 0.0,
    ) -> tuple[Tensor, Logs]:
        """Computes the discriminator's objective on one batch, with penalties, and its logs.

        Args:
            real: Real images, float32 `(batch, height, width, channels)`.
            fake: Generated images, with their gradient stopped.
            labels: Integer `(batch,)`, or None.
            targets: What the head looks for in the generated images, or None.
            optimizer: The discriminator's: it counts the updates, for penalties with an interval.
            regularisation: The network's regularisation losses, for the log.

        Returns:
            A float32 scalar without the regularisation, which `minimize` adds, and the logs.
        """
        needed = gradients_needed(self.penalties)
        real, fake = packed(real, self.pack), packed(fake, self.pack)
        real_verdict, real_gradient = self._examine(real, labels, "real" in needed)
        fake_verdict, fake_gradient = self._examine(fake, labels, "fake" in needed)
        loss, logs = self.discriminator_loss(real_verdict, fake_verdict, labels, targets)
        judged = Judged(
            real,
            fake,
            real_verdict.logits,
            fake_verdict.logits,
            real_gradient,
            fake_gradient,
            gradient_at=lambda images: self._examine(images, labels, with_gradient=True)[1],
            noise=self.noise,
        )
        logs["discriminator_loss"] = loss + regularisation
        for penalty in self.penalties:
            value = _penalty_value(penalty, judged, optimizer)
            loss = loss + penalty.weight * value
            logs[penalty.name] = value
        if self.augmentation is not None:
            # Every image of a pack has the pack's score.
            scores = ops.repeat(ops.stop_gradient(real_verdict.logits), self.pack, axis=0)
            logs.update(self.augmentation.observe(scores))
        return loss, logs

    def discriminator_loss(
        self,
        real: Verdict,
        fake: Verdict,
        labels: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> tuple[Tensor, Logs]:
        """The discriminator's loss without penalties, and the logs of the two verdicts."""
        loss = self.loss.discriminator_loss(real.logits, fake.logits)
        check_is_scalar("discriminator_loss", self.loss, loss)
        logs = _scores(real.logits, fake.logits)
        if self.head is not None:
            head_loss, head_logs = self.head.discriminator_loss(
                real.found, fake.found, labels, targets
            )
            loss = loss + self.head_weight * head_loss
            logs.update(head_logs)
        return loss, logs

    def generator_loss(
        self, fake: Verdict, real: Verdict | None = None, targets: Tensor | None = None
    ) -> Tensor:
        """The generator's loss, given the verdict on its images.

        Args:
            fake: The verdict on generated images.
            real: The verdict on the real ones; needed if `loss.generator_needs_real_logits`.
            targets: What the head looks for in the generated images, or None.
        """
        loss = self.loss.generator_loss(fake.logits, None if real is None else real.logits)
        check_is_scalar("generator_loss", self.loss, loss)
        if self.head is not None:
            loss = loss + self.head_weight * self.head.generator_loss(fake.found, targets)
        return loss

    def generator_loss_on(
        self,
        fake: Tensor,
        real: Tensor,
        labels: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> Tensor:
        """The generator's loss in training, given its images.

        Args:
            fake: Generated images, float32 `(batch, height, width, channels)`.
            real: Real images, which are judged only if the loss needs them.
            labels: Integer `(batch,)`, or None.
            targets: What the head looks for in the generated images, or None.
        """
        verdict = self.judge(fake, labels, training=True)
        real_verdict = None
        if self.loss.generator_needs_real_logits:
            real_verdict = self.judge(real, labels, training=True)
        return self.generator_loss(verdict, real_verdict, targets)

    def judge(
        self, images: Tensor, labels: Tensor | None = None, training: bool = False
    ) -> Verdict:
        """The verdict on single images; in training, augmented first.

        Args:
            images: Float32 `(batch, height, width, channels)`.
            labels: Integer `(batch,)`, or None.
            training: Whether the network runs in training mode.
        """
        return self._judge(packed(images, self.pack), labels, training)

    def _judge(self, images: Tensor, labels: Tensor | None, training: bool) -> Verdict:
        """The verdict on packed images."""
        if training and self.augmentation is not None:
            images = unpacked(images, self.pack)
            images = packed(self.augmentation.augment(images, self.noise), self.pack)
        takes_labels = len(self.network.inputs) == 2
        tensors = [images, as_input(labels, self.network)] if takes_labels else [images]
        outputs = _backend.run(self.network, tensors, training)
        logits, found = outputs if len(self.network.outputs) == 2 else (outputs, None)
        return Verdict(
            ops.cast(logits, "float32"), None if found is None else ops.cast(found, "float32")
        )

    def _examine(
        self, images: Tensor, labels: Tensor | None, with_gradient: bool
    ) -> tuple[Verdict, Tensor | None]:
        """The verdict in training, and the gradient of its logits with respect to the images."""
        if not with_gradient:
            return self._judge(images, labels, training=True), None

        def judge(images: Tensor) -> tuple[Tensor, Tensor | None]:
            logits, found = self._judge(images, labels, training=True)
            return logits, found

        gradient, (logits, found) = _backend.input_gradient(judge, images)
        return Verdict(logits, found), gradient


def _penalty_value(penalty: Penalty, judged: Judged, optimizer: Optimizer) -> Tensor:
    def value_of(judged: Judged) -> Tensor:
        value = penalty.value(judged)
        check_is_scalar("value", penalty, value)
        return value

    if penalty.interval == 1:
        return value_of(judged)

    def value() -> Tensor:
        gradients = {
            f"{at}_gradient": judged.gradient_at(getattr(judged, at)) for at in penalty.gradients
        }
        return penalty.interval * value_of(judged._replace(**gradients))

    is_due = ops.equal(ops.mod(optimizer.iterations, penalty.interval), 0)
    return _backend.now_and_then(is_due, value)


def _scores(real_logits: Tensor, fake_logits: Tensor) -> Logs:
    """The mean scores of both kinds of images, and how often a real one has the higher score."""
    # Every real image against every generated one: no loss puts the boundary at 0 for certain.
    return {
        "real_score": ops.mean(real_logits),
        "fake_score": ops.mean(fake_logits),
        "discriminator_accuracy": fraction_above(_by_image(real_logits), _by_image(fake_logits)),
    }


def _by_image(logits: Tensor) -> Tensor:
    """One score for each image, `(batch,)`, of a discriminator that may give more."""
    if tuple(logits.shape[1:]) == (1,):
        return ops.reshape(logits, (-1,))
    return ops.mean(ops.reshape(logits, (ops.shape(logits)[0], -1)), axis=1)


class ClassifierHead:
    """An auxiliary classifier (AC-GAN): the second output is the logits of the classes.

    Reference:
        [Odena et al., 2017](https://arxiv.org/abs/1610.09585).
    """

    log_names = ("classification_loss", "class_accuracy")

    def discriminator_loss(
        self, real_found: Tensor, fake_found: Tensor, labels: Tensor | None, targets: Tensor
    ) -> tuple[Tensor, Logs]:
        """Cross-entropy of the classes of real and generated images."""
        loss = self.generator_loss(real_found, labels) + self.generator_loss(fake_found, targets)
        found = ops.cast(ops.argmax(fake_found, axis=-1), "int32")
        right = ops.cast(ops.equal(found, ops.reshape(targets, (-1,))), "float32")
        return loss, {"classification_loss": loss, "class_accuracy": ops.mean(right)}

    def generator_loss(self, found: Tensor, targets: Tensor | None) -> Tensor:
        """Mean cross-entropy of the classes that the generator was asked for."""
        labels = ops.reshape(targets, (-1,))
        return ops.mean(ops.sparse_categorical_crossentropy(labels, found, from_logits=True))
