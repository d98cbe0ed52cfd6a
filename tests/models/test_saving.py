"""What a saved GAN holds: see test_resuming.py for how training goes on from it."""

import errno
import json
from pathlib import Path

import keras
import numpy as np
import pytest

import kgan


def state(gan):
    return [np.array(v) for v in (*gan.variables, *gan.optimizer.variables)]


def assert_same_state(a, b):
    for one, other in zip(state(a), state(b), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("network", "num_classes"),
    [("mlp", None), ("dcgan", 3), ("sngan", 3), ("resnet", None), ("biggan", 3)],
)
def test_round_trip(make_gan, dataset, tmp_path, network, num_classes):
    gan = make_gan(network, num_classes=num_classes, loss="hinge", discriminator_steps=2)
    gan.fit(dataset, epochs=2, verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert type(loaded) is kgan.GAN
    assert type(loaded.adversarial_loss) is kgan.losses.Hinge
    assert loaded.discriminator_steps == 2
    assert loaded.epochs_trained == 2
    assert loaded.optimizer.get_config() == gan.optimizer.get_config()
    assert_same_state(gan, loaded)
    np.testing.assert_array_equal(gan.generate(4, seed=0), loaded.generate(4, seed=0))


def test_a_save_that_fails_leaves_the_file_that_was_there(make_gan, tmp_path, monkeypatch):
    gan, path = make_gan("mlp"), tmp_path / "gan.keras"
    gan.save(path)
    before = path.read_bytes()

    def torn(model, filepath, **options):
        Path(filepath).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", torn)
    with pytest.raises(OSError, match="No space left"):
        gan.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_save_as_a_folder(make_gan, tmp_path):
    gan = make_gan("mlp")
    gan.save(tmp_path / "folder", zipped=False)
    loaded = keras.saving.load_model(tmp_path / "folder")
    np.testing.assert_array_equal(gan.generate(2, seed=0), loaded.generate(2, seed=0))


def test_saving_before_compile(tmp_path):
    gan = kgan.GAN(*kgan.networks.mlp((8, 8, 1), 4, width=4))
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert not loaded.compiled
    np.testing.assert_array_equal(gan.generate(2, seed=0), loaded.generate(2, seed=0))


def test_loading_without_compiling(make_gan, dataset, tmp_path):
    gan = make_gan()
    gan.fit(dataset, verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras", compile=False)
    np.testing.assert_array_equal(gan.generate(2, seed=0), loaded.generate(2, seed=0))


def test_weights_alone_carry_optimizers_and_noise(make_gan, dataset, tmp_path):
    gan = make_gan()
    gan.fit(dataset, verbose=0)
    gan.save_weights(tmp_path / "gan.weights.h5")
    other = make_gan()
    other.load_weights(tmp_path / "gan.weights.h5")
    assert_same_state(gan, other)


def test_keras_backup_and_restore_resumes_exactly(make_gan, images, tmp_path):
    def train(epochs, gan):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        data = kgan.data.ImageDataset(images, batch_size=16, seed=5)
        gan.fit(data, epochs=epochs, verbose=0, callbacks=[backup])

    def fresh():
        keras.utils.set_random_seed(1)
        return make_gan("mlp")

    whole = fresh()
    whole.fit(kgan.data.ImageDataset(images, batch_size=16, seed=5), epochs=3, verbose=0)
    train(2, fresh())
    resumed = fresh()
    train(3, resumed)
    assert resumed.epochs_trained == 3
    assert_same_state(whole, resumed)


def test_loading_under_another_policy_keeps_the_optimizers(make_gan, dataset, tmp_path):
    gan = make_gan()
    gan.fit(dataset, verbose=0)
    gan.save(tmp_path / "gan.keras")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        loaded = keras.saving.load_model(tmp_path / "gan.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    assert_same_state(gan, loaded)


def test_jit_compile_is_saved_as_it_was_given(make_gan, tmp_path):
    for given in ("auto", True, False):
        gan = make_gan(jit_compile=given)
        assert gan.get_compile_config()["jit_compile"] == given
    gan.save(tmp_path / "gan.keras")
    assert keras.saving.load_model(tmp_path / "gan.keras").jit_compile is False


def test_a_subclass_keeps_its_own_weights(tmp_path):
    @keras.saving.register_keras_serializable(package="tests")
    class Weighted(kgan.GAN):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.own = self.add_weight(shape=(), initializer="zeros", name="own")

    gan = Weighted(*kgan.networks.mlp((8, 8, 1), 4, width=4))
    gan.own.assign(7.0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert keras.ops.convert_to_numpy(loaded.own) == 7.0


@pytest.mark.filterwarnings("ignore")  # of what Keras asks of its backends' exporters
def test_export_is_the_generators(make_gan, tmp_path):
    gan = make_gan()
    latents = np.random.default_rng(7).standard_normal((3, 4), "float32")
    if keras.backend.backend() == "torch":
        pytest.importorskip("onnxscript")
        runtime = pytest.importorskip("onnxruntime")
        gan.export(tmp_path / "served.onnx", format="onnx", verbose=False)
        served = runtime.InferenceSession(tmp_path / "served.onnx")
        images = served.run(None, {"latent": latents})[0]
    else:
        tf = pytest.importorskip("tensorflow")
        gan.export(tmp_path / "served", verbose=False)
        served = tf.saved_model.load(str(tmp_path / "served"))
        images = served.serve(latents)
    np.testing.assert_allclose(images, gan.generate(3, seed=7), atol=1e-6)


def test_a_loss_of_ones_own_is_saved_with_its_arguments(make_gan, tmp_path):
    @keras.saving.register_keras_serializable(package="tests")
    class Scaled(kgan.losses.NonSaturating):
        def __init__(self, scale):
            self.scale = scale

        def generator_loss(self, fake_logits, real_logits=None):
            return self.scale * super().generator_loss(fake_logits)

        def get_config(self):
            return {"scale": self.scale}

    gan = make_gan(loss=Scaled(2.5))
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert loaded.adversarial_loss.scale == 2.5


def test_config_is_json(make_gan):
    gan = make_gan(num_classes=3)
    config = keras.saving.serialize_keras_object(gan)
    twin = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert twin.num_classes == 3
    for network, copy in ((gan.generator, twin.generator), (gan.discriminator, twin.discriminator)):
        assert [la.get_config() for la in network.layers] == [la.get_config() for la in copy.layers]
