"""The table of log names."""

import pytest

import kgan
from kgan.training import log_names
from kgan.training.log_names import GRADIENTS, LOSSES, Gradient, Limit, LogName, describe

pytestmark = pytest.mark.backend_free


def models():
    """A compiled model of each family, with logs of all kinds."""
    gan = kgan.GAN(*kgan.networks.dcgan((8, 8, 1), latent_dim=4, width=4, num_classes=3,
                                        classifier=True))  # fmt: skip
    gan.compile()
    info_gan = kgan.InfoGAN(*kgan.networks.dcgan((8, 8, 1), 4 + 3 + 1, width=4, codes=5),
                            categorical=(3,), continuous=1)  # fmt: skip
    info_gan.compile()
    vae = kgan.VAE(*kgan.networks.dense_vae((8, 8, 1), 4, width=8, blocks=1))
    vae.compile()
    return {"gan": gan, "info_gan": info_gan, "vae": vae}


@pytest.mark.parametrize("family", ["gan", "info_gan", "vae"])
def test_every_family_has_registered_its_logs(family):
    for name in models()[family].log_names():
        described = describe(name)
        assert described is log_names._TABLE[name]
        assert described.name == name
        assert described.nan == "" or described.nan.endswith(".")
        for limit in described.limits:
            assert limit.message.format(value=0.5).endswith(".")


def test_names_that_are_held_out_share_the_panel_and_raise_no_alarm():
    trained, held_out = describe("kl"), describe("val_kl")
    assert (held_out.name, held_out.label) == ("val_kl", "held-out KL divergence")
    assert held_out.panel == trained.panel
    assert trained.limits
    assert not held_out.limits
    assert describe("val_gradient_norm").gradient is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("codebook_loss", ("codebook", LOSSES)),
        ("loss", ("objective", LOSSES)),  # common to families
        ("prior_gradient_norm", ("prior", GRADIENTS)),
        ("learning_rate", ("learning rate", "Learning rate")),
        ("val_own_score", ("held-out own score", "Own score")),
        ("val_", ("val ", "Val ")),
    ],
)
def test_names_that_nobody_registered(name, expected):
    described = describe(name)
    assert (described.label, described.panel) == expected


def test_a_gradient_that_nobody_registered_is_watched():
    assert describe("prior_gradient_norm").gradient == Gradient("prior")


def test_unregistered_names_come_between_a_loss_and_its_gradient():
    orders = [
        describe(name).order
        for name in ("discriminator_loss", "my_penalty", "discriminator_gradient_norm")
    ]
    assert orders == sorted(orders)


def test_panels_and_lines_keep_the_order_of_the_table():
    # Keras sorts logs by name.
    names = [
        "active_units", "discriminator_accuracy", "discriminator_loss", "generator_loss", "other",
        "val_generator_loss", "val_mine",
    ]  # fmt: skip
    panels = log_names.in_panels(names)
    assert list(panels) == [
        "Losses", "Discriminator accuracy", "Active latents", "Other", "Mine",
    ]  # fmt: skip
    assert [each.label for each in panels["Losses"]] == [
        "generator", "discriminator", "held-out generator",
    ]  # fmt: skip


def test_the_panels_of_a_vae_begin_with_its_losses():
    names = sorted(models()["vae"].log_names())
    assert list(log_names.in_panels(names)) == [
        "Losses", "Active latents", "Weight of the KL divergence", "Gradient norms",
    ]  # fmt: skip


def test_a_name_is_registered_once(monkeypatch):
    monkeypatch.setattr(log_names, "_TABLE", {})
    first, second = (LogName("x", label, "Panel") for label in ("one", "two"))
    log_names.register(first)
    log_names.register(LogName("x", "one", "Panel"))
    with pytest.raises(ValueError, match=r"'x' as 'two', but it is 'one' in the panel 'Panel'"):
        log_names.register(second)
    assert describe("x") == first


@pytest.mark.parametrize(
    ("limit", "inside", "outside"),
    [
        (Limit("s", "m", at_least=0.9), (0.0, 0.89), (0.9, 1.0)),
        (Limit("s", "m", at_most=0.1), (0.11, 5.0), (0.1, -1.0)),
        (Limit("s", "m", at_least=1.0, at_most=0.0), (0.5,), (0.0, 1.0)),
    ],
)
def test_limits(limit, inside, outside):
    assert not any(map(limit.is_reached, inside))
    assert all(map(limit.is_reached, outside))
    assert not limit.is_reached(float("nan"))
