"""Every augmentation: its gradients, in `fit` with a penalty, in files, and by name or object."""

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan import _backend, augmentations

KINDS = {
    "diff_augment": augmentations.DiffAugment,
    "adaptive": lambda **options: augmentations.AdaptiveAugment(initial=0.75, **options),
}


def test_every_name_is_here():
    assert set(KINDS) == set(augmentations.names())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", KINDS)
def test_gradients_and_their_gradients(name, channels, run):
    # As a map of one image with certain random numbers, each is linear but for an offset: the
    # images of a basis tell all of it, and with it every gradient of a critic sum w y^2.
    augmentation, noise = KINDS[name](), keras.random.SeedGenerator(6)
    start = np.array(noise.state)
    generator = np.random.default_rng(0)
    count, shape = 4, (2, 2, channels)
    size = 4 * channels
    images = generator.standard_normal((count, *shape)).astype("float32")
    weights = generator.standard_normal(shape).astype("float32")

    def augment(images):
        noise.state.assign(start)
        return augmentation.augment(images, noise)

    basis = np.concatenate([np.zeros((1, size)), np.eye(size)]).astype("float32")
    of_basis = [
        run(augment, np.tile(each.reshape(1, *shape), (count, 1, 1, 1))).reshape(count, size)
        for each in basis
    ]
    offset, matrix = of_basis[0], np.stack(of_basis[1:], axis=-1) - of_basis[0][..., None]
    x, w = images.reshape(count, size), weights.ravel()
    y = np.einsum("bij,bj->bi", matrix, x) + offset
    np.testing.assert_allclose(run(augment, images).reshape(count, size), y, atol=1e-4)
    gradient = 2 * np.einsum("bij,bi->bj", matrix, w * y)

    variable = keras.Variable(weights)

    def critic(images):
        augmented = augment(images)
        return ops.sum(variable * augmented**2, axis=(1, 2, 3)), None

    def r1(images):
        def objective():
            found, _ = _backend.input_gradient(critic, images)
            return ops.sum(found**2), found

        (slope,), found = _backend.gradients(objective, [variable])
        return found, slope

    found, slope = run(r1, images)
    np.testing.assert_allclose(found.reshape(count, size), gradient, rtol=1e-3, atol=1e-3)
    slopes = 4 * np.einsum("bij,bj->bi", matrix, gradient) * y
    np.testing.assert_allclose(slope.ravel(), slopes.sum(axis=0), rtol=1e-3, atol=1e-2)


class Inverted(augmentations.Augmentation):
    def augment(self, images, noise):
        return -images


def linear_gan(weight, augmentation):
    """G(z) = 2 z and D(x) = weight x, on images of one pixel."""
    latent, image = keras.Input((1,)), keras.Input((1, 1, 1))

    def dense(weight):
        kernel = keras.initializers.Constant(weight)
        return keras.layers.Dense(1, use_bias=False, kernel_initializer=kernel)

    generator = keras.Model(latent, keras.layers.Reshape((1, 1, 1))(dense(2.0)(latent)))
    discriminator = keras.Model(image, dense(weight)(keras.layers.Flatten()(image)))
    gan = kgan.GAN(generator, discriminator, seed=11)
    sgd = [keras.optimizers.SGD(0.1) for _ in range(2)]
    gan.compile(*sgd, loss="wasserstein", augmentation=augmentation)
    return gan


def test_images_of_both_kinds_are_augmented():
    # Where all images are inverted, a discriminator with inverted weights does the same.
    plain, gan = linear_gan(0.5, None), linear_gan(-0.5, Inverted())
    real = np.array([1.0, 2.0, 4.0], "float32").reshape(3, 1, 1, 1)
    logs = [g.train_on_batch(real, return_dict=True) for g in (plain, gan)]
    for name, value in logs[0].items():
        np.testing.assert_allclose(logs[1][name], value, rtol=1e-5, err_msg=name)
    for network, sign in (("generator", 1.0), ("discriminator", -1.0)):
        weights = [np.asarray(getattr(g, network).weights[0]) for g in (plain, gan)]
        np.testing.assert_allclose(weights[1], sign * weights[0], rtol=1e-5, err_msg=network)


@pytest.mark.parametrize("name", KINDS)
def test_in_fit_with_a_penalty_and_in_files(make_gan, dataset, name, tmp_path):
    options = {} if name == "diff_augment" else {"images_to_one": 1000}
    gan = make_gan("mlp", augmentation=KINDS[name](**options), penalties="r1")
    history = gan.fit(dataset, epochs=1, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    assert history["r1"][0] > 0
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert loaded.augmentation.get_config() == gan.augmentation.get_config()
    logs = [g.fit(dataset, epochs=2, initial_epoch=1, verbose=0).history for g in (gan, loaded)]
    assert logs[0] == logs[1]
    for a, b in zip(gan.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=a.path)


def test_p_in_training_is_that_of_the_scores(make_gan, dataset):
    # Of a discriminator that calls everything real, then nothing, and does not learn.
    augmentation = augmentations.AdaptiveAugment("blit", images_to_one=128, interval=2)
    gan = make_gan("mlp", augmentation=augmentation, discriminator_steps=2)
    gan.optimizer.discriminator_optimizer.learning_rate = 0.0
    bias = gan.discriminator.layers[-1].bias
    way = []
    for value in (50.0, 50.0, -50.0):
        bias.assign([value])
        gan.reset_metrics()
        logs = gan.train_on_batch(dataset.batch(0, len(way))[0], return_dict=True)
        way.append(float(np.asarray(gan.augmentation.probability)))
        assert 0 <= float(logs["augmentation_probability"]) <= 1
    np.testing.assert_allclose(way, [0.125, 0.25, 0.125], rtol=1e-6)


def test_evaluation_sees_images_as_they_are(make_gan, dataset):
    plain, gan = make_gan("mlp"), make_gan("mlp", augmentation=KINDS["adaptive"]())
    for network in ("generator", "discriminator"):
        getattr(gan, network).set_weights(getattr(plain, network).get_weights())
    assert plain.evaluate(dataset, verbose=0) == gan.evaluate(dataset, verbose=0)


# ---- by name or object ---------------------------------------------------------------------------


def test_get():
    given = augmentations.DiffAugment("color")
    assert augmentations.get(None) is None
    assert augmentations.get(given) is given
    for identifier in ("adaptive", augmentations.AdaptiveAugment):
        assert type(augmentations.get(identifier)) is augmentations.AdaptiveAugment


@pytest.mark.parametrize(
    ("identifier", "message"),
    [("adaptiv", "Did you mean 'adaptive'"), (3.0, "of type float")],
    ids=["unknown", "a number"],
)
def test_get_refuses(identifier, message):
    with pytest.raises(ValueError, match=message):
        augmentations.get(identifier)


def test_every_image_of_a_pack_counts(dataset):
    networks = kgan.networks.mlp((8, 8, 1), latent_dim=4, width=4, pack=2)
    gan = kgan.GAN(*networks, pack=2, seed=0)
    moving = kgan.augmentations.AdaptiveAugment("blit", initial=0.5, images_to_one=64, interval=1)
    gan.compile(augmentation=moving)
    images = dataset.batch(0, 0)[0]
    gan.train_on_batch(images)
    assert len(images) == 16
    assert abs(float(moving.probability) - 0.5) == 0.25


NOT_IMAGES = {"points": (2,), "signals": (16, 1), "volumes": (8, 8, 8, 1), "unknown": (None, 8, 1)}


@pytest.mark.parametrize("name", kgan.augmentations.names())
@pytest.mark.parametrize("shape", NOT_IMAGES.values(), ids=NOT_IMAGES)
def test_data_other_than_images_are_refused(name, shape):
    augmentation = kgan.augmentations.get(name)
    with pytest.raises(ValueError, match=r"Expected images of shape \(height, width, channels\)"):
        augmentation.check(shape)
    if None not in shape:
        with pytest.raises(ValueError, match="Expected images of shape"):
            augmentation.augment(ops.zeros((4, *shape)), keras.random.SeedGenerator(1))


@pytest.mark.parametrize("name", kgan.augmentations.names())
def test_channels_first_are_refused(name):
    augmentation = kgan.augmentations.get(name)
    with pytest.raises(ValueError, match="channels first"):
        augmentation.check((3, 32, 32))
    augmentation.check((32, 32, 3))
    augmentation.check((3, 5, 4))


def test_an_augmentation_of_ones_own_may_take_other_data():
    class Jitter(kgan.augmentations.Augmentation):
        def augment(self, images, noise):
            return images + keras.random.normal(ops.shape(images), seed=noise)

    jitter = Jitter()
    jitter.check((2,))
    assert tuple(jitter.augment(ops.zeros((4, 2)), keras.random.SeedGenerator(1)).shape) == (4, 2)


def test_compile_checks_that_the_augmentation_takes_the_images():
    generator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    gan = kgan.GAN(generator, discriminator)
    with pytest.raises(ValueError, match="Expected images of shape"):
        gan.compile(augmentation="diff_augment")
