import threading

import keras
import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import images as pictures


class Painter:
    """All that SampleGrid asks of a model: `generate`. Shade grows with every call.

    The first call is the trial that SampleGrid makes before training.
    """

    num_classes = None

    def __init__(self, size=4):
        self.calls = []
        self.size = size

    def generate(self, n, labels=None, seed=None):
        self.calls.append((n, labels, seed))
        shade = min(-1.1 + 0.1 * len(self.calls), 1.0)
        return np.full((n, self.size, self.size, 1), shade, "float32")


def run(callback, model, epochs=3, batches=2, first=0):
    callbacks = keras.callbacks.CallbackList([callback], model=model)
    callbacks.on_train_begin()
    for epoch in range(first, first + epochs):
        callbacks.on_epoch_begin(epoch)
        for batch in range(batches):
            callbacks.on_train_batch_begin(batch)
            callbacks.on_train_batch_end(batch)
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_grid_an_epoch_and_an_animation(tmp_path):
    model = Painter()
    run(kgan.callbacks.SampleGrid(tmp_path / "s", columns=3, rows=2, seed=9), model)
    assert names(tmp_path / "s") == [
        "epoch_0001.png", "epoch_0002.png", "epoch_0003.png", "training.gif",
    ]  # fmt: skip
    assert model.calls == [(6, None, 9)] * 4
    grid = pictures.load_picture(tmp_path / "s" / "epoch_0002.png")
    assert grid.shape == (10, 16, 1)
    assert grid[0, 0, 0] == round((-0.8 + 1) * 127.5)
    with Image.open(tmp_path / "s" / "training.gif") as film:
        assert film.n_frames == 3


def test_every_n_batches(tmp_path):
    model = Painter()
    run(kgan.callbacks.SampleGrid(tmp_path, every_batches=2), model, epochs=2, batches=3)
    assert names(tmp_path) == [
        "batch_000002.png", "batch_000004.png", "batch_000006.png", "training.gif",
    ]  # fmt: skip


def test_batches_reported_several_at_a_time(tmp_path):
    callback = kgan.callbacks.SampleGrid(tmp_path, every_batches=2, animation=None)
    callback.set_model(Painter())
    callback.on_epoch_begin(0)
    for last in (2, 5, 8):
        callback.on_train_batch_end(last)
    assert names(tmp_path) == ["batch_000003.png", "batch_000006.png", "batch_000009.png"]


def test_a_row_per_class(tmp_path):
    model = Painter()
    model.num_classes = 3
    run(kgan.callbacks.SampleGrid(tmp_path, columns=2), model, epochs=1)
    _, (n, labels, _) = model.calls
    assert n == 6
    np.testing.assert_array_equal(labels, [0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize(
    ("classes", "rows", "expected"),
    [
        (16, None, range(16)),
        (1000, None, [0, 67, 133, 200, 266, 333, 400, 466, 533, 599, 666, 733, 799, 866, 932, 999]),
        (10, 4, [0, 3, 6, 9]),
        (10, 1, [0]),
        (3, 5, [0, 1, 2, 0, 1]),
    ],
)
def test_rows_of_many_classes_are_spread_over_them(tmp_path, classes, rows, expected):
    model = Painter()
    model.num_classes = classes
    run(kgan.callbacks.SampleGrid(tmp_path, columns=2, rows=rows), model, epochs=1)
    _, (n, labels, _) = model.calls
    assert n == 2 * len(expected)
    np.testing.assert_array_equal(labels, np.repeat(expected, 2))


def test_rows_of_classes_have_names(tmp_path):
    model = Painter(size=20)
    model.num_classes = 3
    for directory, options, names in (
        ("numbers", {"rows": 4}, ["0", "1", "2", "0"]),
        ("names", {"class_names": ("cat", "dog", "fox")}, ["cat", "dog", "fox"]),
    ):
        callback = kgan.callbacks.SampleGrid(tmp_path / directory, columns=2, **options)
        run(callback, model, epochs=1)
        shades = np.full((2 * len(names), 20, 20, 1), -1.1 + 0.1 * len(model.calls))
        np.testing.assert_array_equal(
            pictures.load_picture(tmp_path / directory / "epoch_0001.png"),
            pictures.grid(shades, columns=2, row_names=names),
        )


def test_every_class_needs_a_name(tmp_path):
    model = Painter()
    model.num_classes = 3
    callback = kgan.callbacks.SampleGrid(tmp_path, class_names=["cat", "dog"])
    callback.set_model(model)
    with pytest.raises(ValueError, match=r"Expected 3 class_names.*Received: 2"):
        callback.on_train_begin()


def test_a_resumed_run_has_one_animation_and_older_files_are_left_out_of_a_new_one(tmp_path):
    run(kgan.callbacks.SampleGrid(tmp_path), Painter(), epochs=2)
    run(kgan.callbacks.SampleGrid(tmp_path), Painter(), epochs=2, first=2)
    with Image.open(tmp_path / "training.gif") as film:
        assert film.n_frames == 4
    run(kgan.callbacks.SampleGrid(tmp_path), Painter(), epochs=1)
    with Image.open(tmp_path / "training.gif") as film:
        assert film.n_frames == 1
    # Another size of grid, from a run with other settings, cannot be a frame of the same film.
    run(kgan.callbacks.SampleGrid(tmp_path), Painter(size=6), epochs=1, first=1)
    with Image.open(tmp_path / "training.gif") as film:
        assert film.n_frames == 1


def test_same_latents_in_fit(make_gan, dataset, tmp_path):
    gan = make_gan(num_classes=3, generator_optimizer=keras.optimizers.SGD(0.0))
    grid = kgan.callbacks.SampleGrid(tmp_path, columns=4)
    gan.fit(dataset, epochs=1, verbose=0, callbacks=[grid])
    expected = gan.generate(12, labels=np.repeat([0, 1, 2], 4), seed=0)
    np.testing.assert_array_equal(
        pictures.load_picture(tmp_path / "epoch_0001.png"),
        pictures.grid(pictures.to_uint8(expected), 4, row_names=["0", "1", "2"]),
    )


def test_training_is_the_same_with_grids_and_without(make_gan, images, tmp_path):
    results = []
    for callbacks in ([], [kgan.callbacks.SampleGrid(tmp_path, every_batches=2)]):
        keras.utils.set_random_seed(4)
        gan = make_gan("mlp")
        data = kgan.data.ImageDataset(images, batch_size=16, seed=1)
        gan.fit(data, epochs=2, verbose=0, callbacks=callbacks)
        results.append(gan.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_custom_loop_draws_what_fit_draws(make_gan, images, tmp_path):
    def fresh():
        keras.utils.set_random_seed(4)
        return make_gan(), kgan.data.ImageDataset(images, batch_size=16, seed=1)

    gan, data = fresh()
    gan.fit(data, epochs=2, verbose=0, callbacks=[kgan.callbacks.SampleGrid(tmp_path / "fit")])
    gan, data = fresh()
    callbacks = keras.callbacks.CallbackList(
        [kgan.callbacks.SampleGrid(tmp_path / "loop")], model=gan
    )
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        for batch, real in enumerate(data):
            logs = gan.train_on_batch(real, return_dict=True)
            callbacks.on_train_batch_end(batch, logs)
        callbacks.on_epoch_end(epoch, logs)
    callbacks.on_train_end()
    for name in ("epoch_0001.png", "epoch_0002.png"):
        in_fit, in_loop = (pictures.load_picture(tmp_path / d / name) for d in ("fit", "loop"))
        np.testing.assert_allclose(in_fit.astype(int), in_loop, atol=1)


def test_what_is_wrong_shows_before_an_epoch_is_trained(tmp_path):
    (tmp_path / "file").write_text("in the way")
    model = Painter()
    model.generate = lambda n, labels=None, seed=None: np.zeros((n, 4, 4, 2), "float32")
    for callback, error in (
        (kgan.callbacks.SampleGrid(tmp_path / "s"), ValueError),
        (kgan.callbacks.SampleGrid(tmp_path / "file"), FileExistsError),
        (kgan.callbacks.Checkpoint(tmp_path / "file" / "gan.keras"), OSError),
    ):
        callback.set_model(model)
        with pytest.raises(error):
            callback.on_train_begin()


def test_batches_go_on_counting_when_resumed(tmp_path):
    run(kgan.callbacks.SampleGrid(tmp_path, every_batches=3), Painter(), epochs=2, batches=3)
    run(kgan.callbacks.SampleGrid(tmp_path, every_batches=3), Painter(), 1, batches=3, first=2)
    assert names(tmp_path)[:-1] == ["batch_000003.png", "batch_000006.png", "batch_000009.png"]
    with Image.open(tmp_path / "training.gif") as film:
        assert film.n_frames == 3


def test_value_range(tmp_path):
    model = Painter()
    run(kgan.callbacks.SampleGrid(tmp_path, value_range=(-1.0, 0.0)), model, epochs=1)
    assert pictures.load_picture(tmp_path / "epoch_0001.png")[0, 0, 0] == round(0.1 * 255)


def test_tensorboard_images(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    threads = threading.active_count()
    run(kgan.callbacks.SampleGrid(tmp_path / "s", log_dir=tmp_path / "logs"), Painter(), epochs=2)
    assert threading.active_count() == threads
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["train"]  # no run "."
    events = EventAccumulator(str(tmp_path / "logs" / "train"), {"images": 0})
    events.Reload()
    written = events.Images("samples")
    assert [image.step for image in written] == [1, 2]
    assert written[1].encoded_image_string == (tmp_path / "s" / "epoch_0002.png").read_bytes()


@pytest.mark.parametrize("option", ["columns", "rows", "every_batches"])
def test_refuses_sizes_below_one(tmp_path, option):
    with pytest.raises(ValueError, match=f"{option}=0"):
        kgan.callbacks.SampleGrid(tmp_path, **{option: 0})


# ---- inputs --------------------------------------------------------------------------------------


class Inverter:
    """Reconstructs images as their negatives."""

    def __init__(self, num_classes=None):
        self.num_classes = num_classes
        self.labels = []

    def encode(self, images, labels=None):
        return images.reshape(len(images), -1)

    def reconstruct(self, images, labels=None):
        self.labels.append(labels)
        return -images


class Translator:
    def translate(self, images, to=None):
        return -images


def some_images(count):
    return np.random.default_rng(0).uniform(-1, 1, (count, 4, 4, 1)).astype("float32")


@pytest.mark.parametrize("model", [Inverter(), Translator()])
def test_rows_of_inputs_and_of_what_is_made_of_them(tmp_path, model):
    inputs = some_images(4)
    run(kgan.callbacks.SampleGrid(tmp_path, columns=3, inputs=inputs), model, epochs=1)
    assert names(tmp_path) == ["epoch_0001.png", "training.gif"]
    grid = pictures.load_picture(tmp_path / "epoch_0001.png")
    assert grid.shape == (4 * 6 - 2, 3 * 6 - 2, 1)
    before, after = pictures.to_uint8(inputs), pictures.to_uint8(-inputs)
    np.testing.assert_array_equal(grid[:4, 6:10], before[1])
    np.testing.assert_array_equal(grid[6:10, 6:10], after[1])
    np.testing.assert_array_equal(grid[12:16, :4], before[3])
    np.testing.assert_array_equal(grid[18:22, :4], after[3])
    assert (grid[12:, 6:] == 127).all()


class Cycling(Translator):
    """Translates to negatives with `to="b"`, and to half the contrast with `to="a"`."""

    def __init__(self):
        self.asked = []

    def translate(self, images, to="b"):
        self.asked.append(to)
        return -images if to == "b" else images / 2

    def cycle(self, images, of="a"):
        self.asked.append(f"cycle {of}")
        return images / 4


def rows_of_a_grid(tmp_path, model, inputs, **options):
    grid = kgan.callbacks.SampleGrid(tmp_path, columns=2, inputs=inputs, **options)
    run(grid, model, epochs=1)
    return pictures.load_picture(tmp_path / "epoch_0001.png")


@pytest.mark.parametrize("channels", [1, 3])
def test_targets_are_a_third_row(tmp_path, channels):
    inputs = some_images(2)
    targets = np.repeat(some_images(4)[2:], channels, axis=3)
    for model in (Translator(), Cycling()):  # targets come before cycles
        grid = rows_of_a_grid(tmp_path, model, inputs, targets=targets)
        assert grid.shape == (3 * 6 - 2, 2 * 6 - 2, channels)
        for row, images in enumerate((inputs, -inputs, targets)):
            expected = np.broadcast_to(pictures.to_uint8(images[1]), (4, 4, channels))
            np.testing.assert_array_equal(grid[6 * row : 6 * row + 4, 6:], expected)


@pytest.mark.parametrize(
    ("to", "factor", "asked"),
    [(None, -1, ["b", "cycle a"]), ("b", -1, ["b", "cycle a"]), ("a", 0.5, ["a", "cycle b"])],
)
def test_cycles_are_a_third_row(tmp_path, to, factor, asked):
    inputs, model = some_images(2), Cycling()
    grid = rows_of_a_grid(tmp_path, model, inputs, to=to)
    assert model.asked[-2:] == asked
    for row, images in enumerate((inputs, factor * inputs, inputs / 4)):
        expected = pictures.to_uint8(images[1])
        np.testing.assert_array_equal(grid[6 * row : 6 * row + 4, 6:], expected)


def test_rows_that_do_not_fit_raise_before_training(tmp_path):
    with pytest.raises(ValueError, match="inputs=None"):
        kgan.callbacks.SampleGrid(tmp_path, targets=some_images(2))
    for options, message in (
        ({"targets": some_images(3)}, r"same shape.*\(2, 4, 4, 1\), \(2, .*, \(3, 4, 4, 1\)"),
        ({"to": "c"}, r"'a' or 'b'. Received: to='c'"),
    ):
        callback = kgan.callbacks.SampleGrid(tmp_path, inputs=some_images(2), **options)
        callback.set_model(Cycling())
        with pytest.raises(ValueError, match=message):
            callback.on_train_begin()


def test_a_conditional_model_gets_the_labels_of_inputs(tmp_path):
    labels = np.array([2, 0, 1], "int32")
    for model, expected in ((Inverter(num_classes=3), labels), (Inverter(), None)):
        grid = kgan.callbacks.SampleGrid(tmp_path, inputs=(some_images(3), labels))
        run(grid, model, epochs=1)
        assert model.labels[-1] is expected


def test_reconstructions_in_fit(tmp_path):
    data = kgan.data.load_digits("train", batch_size=100, binarize="dynamic", seed=0)
    networks = kgan.networks.dense_vae((28, 28, 1), latent_dim=2, width=8, blocks=1)
    vae = kgan.VAE(*networks, seed=0)
    vae.compile()
    inputs, _ = data.draw(8, seed=0)
    grid = kgan.callbacks.SampleGrid(tmp_path, columns=4, inputs=inputs)
    vae.fit(data, steps_per_epoch=3, verbose=0, callbacks=[grid])
    expected = pictures.paired_grid(
        pictures.to_uint8(inputs), pictures.to_uint8(vae.reconstruct(inputs)), columns=4
    )
    np.testing.assert_array_equal(pictures.load_picture(tmp_path / "epoch_0001.png"), expected)


def test_models_that_cannot_make_the_images_are_refused(tmp_path):
    for model, options, message in (
        (Painter(), {"inputs": some_images(2)}, r"since `inputs` were given. Received: Painter"),
        (Inverter(), {}, r"generate\(n, seed=\.\.\.\).*Received: Inverter"),
    ):
        callback = kgan.callbacks.SampleGrid(tmp_path, **options)
        callback.set_model(model)
        with pytest.raises(TypeError, match=message):
            callback.on_train_begin()
