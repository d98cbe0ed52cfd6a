"""What `import kgan` gives and does."""

import os
import subprocess
import sys

import pytest

import kgan


@pytest.mark.parametrize("name", kgan.__all__)
def test_public_names_are_there(name):
    assert getattr(kgan, name) is not None
    assert name in dir(kgan)


def test_unknown_name():
    with pytest.raises(AttributeError, match="'kgan' has no attribute 'GNA'"):
        _ = kgan.GNA


@pytest.mark.parametrize("own", [None, "0", "1"])
def test_onednn_is_on_unless_the_user_says_otherwise(own):
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    if own is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = own
    look = "import os, kgan; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    out = subprocess.run(
        [sys.executable, "-c", look], check=True, capture_output=True, text=True, env=environment
    ).stdout
    assert out.strip() == (own or "1")


def test_import_kgan_is_enough_for_keras_to_load_a_gan(make_gan, tmp_path):
    make_gan().save(tmp_path / "gan.keras")
    load = "import sys, keras, kgan; print(type(keras.saving.load_model(sys.argv[1])).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", load, tmp_path / "gan.keras"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "GAN", done.stderr
