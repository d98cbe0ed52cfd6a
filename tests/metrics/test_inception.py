"""The Inception network of FID: every layer as torch-fidelity computes it, and its weights."""

import functools
import hashlib
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan import metrics
from kgan.metrics import features as extractors
from kgan.metrics import inception

TOOL = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "record_inception.py"))
IMAGES = TOOL["random_images"]()


@functools.cache
def recorded():
    """What tools/record_inception.py recorded from torch-fidelity 0.4.0."""
    with np.load(TOOL["OUTPUT"]) as file:
        return dict(file)


@functools.cache
def weights():
    """The weights that were used for it."""
    sizes = [tuple(map(int, shape.split())) for shape in recorded()["shapes"].tolist()]
    return TOOL["random_weights"](dict(zip(recorded()["names"].tolist(), sizes, strict=True)))


@functools.cache
def network():
    built = inception.build_inception()
    inception.set_weights(built, weights(), "the test")
    return built


def close(computed, expected, spread):
    """Whether values agree to 1e-4 of the spread of their layer."""
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-4 * float(spread))


def test_every_layer_is_that_of_torch_fidelity():
    names = [name.replace(".", "_") for name in recorded()["layers"].tolist()]
    assert len(names) == 94 + 2 + 11  # convolutions, poolings, blocks
    layers = [network().get_layer(name).output for name in names]
    watched = keras.Model(network().input, [*layers, *network().output])
    inputs = extractors.RESIZES["tensorflow"](IMAGES, (299, 299)) / 128 - 1
    *outputs, features, logits = map(ops.convert_to_numpy, watched(inputs, training=False))
    for output, expected in zip(outputs, recorded()["described"], strict=True):
        close(TOOL["described"](output), expected, spread=expected[1])
    for output, name in ((features, "features"), (logits, "logits")):
        expected = recorded()[name]
        close(output, expected, spread=expected.std())


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file that stands for the published one, without its 96 MB."""
    path = tmp_path / "weights.pth"
    path.write_bytes(b"weights")
    monkeypatch.setattr(inception, "read_tensors", lambda path: weights())
    monkeypatch.setattr(inception, "WEIGHTS_SHA256", hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setattr(inception, "_WEIGHTS_SIZE", 7)
    return path


def test_the_features_of_images_are_those_of_torch_fidelity(file):
    extractor = metrics.inception_features(file, batch_size=2)
    assert (extractor.name, extractor.num_classes) == ("inception", None)
    found = extractor(IMAGES)
    expected = recorded()["features"]
    close(found.vectors, expected, spread=expected.std())
    assert found.classes is None
    shifted = recorded()["logits"].astype("float64")
    shifted -= shifted.max(axis=1, keepdims=True)
    likelihoods = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.probabilities, likelihoods, atol=1e-3)


def test_the_network_does_not_hang_on_the_users_settings():
    keras.config.set_dtype_policy("mixed_float16")
    form = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        built = inception.build_inception()
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_image_data_format(form)
    assert [x.shape for x in built.outputs] == [(None, 2048), (None, 1008)]
    computing = built.layers[1:]  # the first one takes the images
    assert {layer.compute_dtype for layer in computing} == {"float32"}


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("Mixed_6a.branch3x3.conv.weight", None, "Mixed_6a_branch3x3_conv_weight of shape "),
        ("fc.weight", np.zeros((1000, 2048)), r"fc_weight of shape \(1008, 2048\).*\(1000, 2048\)"),
        ("Conv2d_1a_3x3.bn.bias", np.zeros(31), r"bn_bias of shape \(32,\).*shape \(31,\)"),
    ],
)
def test_weights_of_another_network(name, change, message):
    tensors = {key: tensor for key, tensor in weights().items() if key != name}
    if change is not None:
        tensors[name] = change
    with pytest.raises(ValueError, match=f"Expected a file to hold {message}|{message}"):
        inception.set_weights(inception.build_inception(), tensors, "a file")


@pytest.mark.backend_free
def test_where_the_file_is_looked_for(file, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path / "data"))
    first, second = inception.PUBLISHED
    folders = [tmp_path / "first", tmp_path / "second"]
    servers = [f"{folder.as_uri()}/" for folder in folders]
    monkeypatch.setattr(inception, "PUBLISHED", dict(zip((first, second), servers, strict=True)))
    with pytest.raises(ConnectionError) as failure:
        inception.published_weights()
    for part in (*servers, first, "KGAN_DATA_DIR", "weights=PATH"):
        assert part in str(failure.value)

    folders[1].mkdir()  # only the second mirror has it
    (folders[1] / second).write_bytes(b"weights")
    cached = inception.published_weights()
    assert cached == tmp_path / "keras" / "datasets" / "kgan" / "inception" / second
    (folders[1] / second).unlink()
    assert inception.published_weights() == cached

    (tmp_path / "data").mkdir()
    given = tmp_path / "data" / first
    given.write_bytes(b"weights")
    assert inception.published_weights() == given
    given.write_bytes(b"weight")  # such as a download that was interrupted
    with pytest.raises(ValueError, match=f"{first} to have the SHA-256"):
        inception.published_weights()
    given.unlink()

    (folders[1] / second).write_bytes(b"weights")
    cached.write_bytes(b"weight!")  # damaged, in full length: it is downloaded again
    assert inception.published_weights().read_bytes() == b"weights"


@pytest.mark.backend_free
def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        metrics.inception_features(tmp_path / "none.pth")


@pytest.mark.backend_free
def test_a_file_that_holds_no_weights(tmp_path):
    (tmp_path / "page.pth").write_text("<html>Not found</html>")
    with pytest.raises(ValueError, match=r"page\.pth to be a dictionary of tensors"):
        metrics.inception_features(tmp_path / "page.pth")


# ---- evaluations ---------------------------------------------------------------------------------


@pytest.fixture
def quick(file, monkeypatch):
    """Puts a small network with as many inputs and outputs in Inception's place."""

    def build():
        image = keras.Input((299, 299, 3))
        features = keras.layers.Flatten()(keras.layers.AveragePooling2D(99)(image))
        logits = keras.layers.Dense(1008, kernel_initializer="ones")(features)
        return keras.Model(image, (features, logits))

    monkeypatch.setattr(inception, "build_inception", build)
    monkeypatch.setattr(inception, "set_weights", lambda *arguments: None)
    monkeypatch.setattr(inception, "published_weights", lambda: file)
    return file


@pytest.fixture
def dataset():
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1), dtype="uint8")
    return kgan.data.ImageDataset(images, np.arange(90) % 3, batch_size=10)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("features", "title"), [("inception", "FID"), ("inception_clean", "FID (clean)")]
)
def test_the_distance_is_called_fid(quick, dataset, features, title):
    samples = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 1), dtype="uint8")
    found = kgan.evaluate(samples, dataset, features=features)
    assert found.title("fcd") == title
    assert any(line.startswith(f"{title}  ") for line in str(found).splitlines())
    expected = {"fcd", "kid", "precision", "recall", "density", "coverage", "inception_score"}
    # No score counts ImageNet's classes in images of another data set.
    assert set(found.figures) == {*expected, "support", "authenticity"}
    extractor = metrics.get_features(features)
    real = extractor(np.round((dataset.draw(40, 0)[0] + 1) * 127.5).astype("uint8"))
    fid = metrics.frechet_distance(real.vectors, extractor(samples).vectors)
    assert found["fcd"] == pytest.approx(fid, rel=1e-6)


@pytest.mark.backend_free
def test_other_weights_give_no_fid(quick, dataset, tmp_path):
    other = tmp_path / "other.pth"
    other.write_bytes(b"other weights")
    digest = hashlib.sha256(b"other weights").hexdigest()
    extractor = metrics.inception_features(other, resize="clean")
    assert extractor.name == f"inception_clean, weights {digest[:8]}"
    found = metrics.Evaluator(dataset, 40, features=extractor, thorough=False).evaluate(
        dataset.images[:40]
    )
    assert found.title("fcd") == f"Fréchet distance ({extractor.name})"


@pytest.mark.backend_free
def test_fingerprints_tell_weights_and_resizes_apart(quick, tmp_path):
    other = tmp_path / "other.pth"
    other.write_bytes(b"other weights")
    prints = [
        metrics.inception_features(path, resize).fingerprint()
        for path in (None, quick, other)
        for resize in ("tensorflow", "clean")
    ]
    assert prints[:2] == prints[2:4]
    assert len(set(prints)) == 4


@pytest.mark.backend_free
def test_a_resize_that_is_no_fid(quick):
    with pytest.raises(ValueError, match=r"one of \['tensorflow', 'clean'\].*resize='antialias'"):
        metrics.inception_features(resize="antialias")
