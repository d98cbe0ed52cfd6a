"""Training on several devices, in one process and in several: as on one, and interrupted."""

import csv
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest

BACKEND = keras.backend.backend()
SCRIPT = Path(__file__).with_name("distribution_process.py")
LIMIT = 240  # seconds, for what takes ten on a machine that has nothing else to do

pytestmark = pytest.mark.skipif(
    BACKEND == "torch", reason="Keras has no training on several devices for PyTorch"
)


def load_script():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load_script()


# ---- processes -----------------------------------------------------------------------------------


def free_addresses(count):
    """Addresses on this machine where nobody listens."""
    sockets = [socket.socket() for _ in range(count)]
    for number in sockets:
        number.bind(("localhost", 0))
    addresses = [f"localhost:{number.getsockname()[1]}" for number in sockets]
    for number in sockets:
        number.close()
    return addresses


class Group:
    """Processes that train together, with a folder each."""

    def __init__(self, task, folder, count, **job):
        self.folders = [folder / f"{task}-{index}" for index in range(count)]
        self.processes = []
        addresses = free_addresses(count)
        for index, own in enumerate(self.folders):
            own.mkdir(parents=True)
            whole = {"task": task, "addresses": addresses, "index": index, "folder": str(own)}
            (own / "job.json").write_text(json.dumps({"devices": 1, **whole, **job}))
            with (own / "output.txt").open("w") as output:
                self.processes.append(
                    subprocess.Popen(
                        [sys.executable, "-W", "ignore", SCRIPT, own / "job.json"],
                        env={**os.environ, **environment(job.get("devices", 1))},
                        stdout=output,
                        stderr=subprocess.STDOUT,
                    )
                )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for process in self.processes:
            process.kill()
            process.wait()

    def output(self):
        return "\n".join(
            f"---- {own.name}\n{(own / 'output.txt').read_text()[-6000:]}" for own in self.folders
        )

    def codes(self):
        return [process.poll() for process in self.processes]

    def wait(self, is_over):
        """Waits until `is_over(exit codes)`, of which those of running processes are None."""
        end = time.monotonic() + LIMIT
        while not is_over(self.codes()):
            if time.monotonic() > end:
                pytest.fail(f"Still running after {LIMIT} s: {self.codes()}.\n{self.output()}")
            time.sleep(0.05)
        return self.codes()


def environment(devices):
    return {
        "KERAS_BACKEND": BACKEND,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }


def run(is_over, task, folder, count, **job):
    """Runs processes until it is over; on other ports if somebody was quicker to take these."""
    for attempt in range(3):
        with Group(task, folder / f"attempt-{attempt}", count, **job) as group:
            codes = group.wait(lambda codes: is_over(codes) or any(codes))
            if is_over(codes):
                return group.folders
            if "in use" not in group.output():
                break
    return pytest.fail(f"Exit codes {codes}.\n{group.output()}")


def all_are_done(codes):
    return all(code == 0 for code in codes)


def the_last_was_killed(codes):
    # What the others do then is up to the backend: they fail, at once or after a while. Whoever
    # started them need not wait for that.
    return codes[-1] == -signal.SIGKILL and codes[0] != 0


# ---- what they should find -----------------------------------------------------------------------


def assert_same(actual, expected, tolerance=1e-5):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(
            actual[name], value, rtol=tolerance, atol=tolerance / 5, err_msg=name
        )


def assert_same_logs(actual, expected):
    """Compares the logs, but for what TensorFlow takes on each device by itself."""
    names = [
        name for name in expected if BACKEND == "jax" or not name.endswith("discriminator_accuracy")
    ]
    assert_same({name: actual[name] for name in names}, {name: expected[name] for name in names})


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The folders of what runs on several devices, side by side: each as a call that waits."""
    with ThreadPoolExecutor(2) as threads:
        folder = tmp_path_factory.mktemp("distribution")
        devices = threads.submit(run, all_are_done, "devices", folder, 1, devices=2)
        processes = threads.submit(interrupted_and_resumed, folder)
        yield {"devices": devices.result, "processes": processes.result}


def interrupted_and_resumed(folder):
    """Two processes of which one dies, and both started anew: the second time's folders."""
    checkpoint = folder / "gan.keras"
    run(the_last_was_killed, "interrupted", folder / "first", 2, checkpoint=str(checkpoint))
    return run(all_are_done, "resumed", folder / "second", 2, checkpoint=str(checkpoint))


@pytest.fixture(scope="module")
def one_device(started, tmp_path_factory):
    """What one device finds after each epoch of the same training, in this process."""
    folder = tmp_path_factory.mktemp("one_device")
    found = {}
    for case, epochs in (("relativistic", 2), ("non_saturating", 4)):
        gan = script.make_gan(case)
        for epoch in range(1, epochs + 1):
            history = gan.fit(script.dataset(), verbose=0, validation_data=script.held_out())
            found[case, epoch] = {
                "history": script.numbers(history.history),
                "state": script.state(gan),
                "measured": script.measured(gan),
                "samples": script.samples(gan) if case == "non_saturating" else None,
            }
            if case == "non_saturating" and epoch in (2, 4):
                gan.save(folder / "gan.keras")
                copy = keras.saving.load_model(folder / "gan.keras")
                found[case, epoch]["on_batches"] = script.on_batches(copy)
    return found


def history_of(one_device, case, epochs):
    histories = [one_device[case, epoch]["history"] for epoch in epochs]
    return {name: np.concatenate([h[name] for h in histories]) for name in histories[0]}


def load(folder, name):
    return dict(np.load(folder / f"{name}.npz"))


def check_files(folder, epochs):
    with (folder / "history.csv").open(newline="") as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == epochs
    grids = [f"epoch_{epoch:04}.png" for epoch in epochs]
    assert sorted(path.name for path in (folder / "samples").iterdir()) == [*grids, "training.gif"]
    assert (folder / "gan.keras").is_file()


# ---- several devices in one process --------------------------------------------------------------


@pytest.fixture(scope="module")
def two_devices(started, one_device):
    (folder,) = started["devices"]()
    return folder


@pytest.mark.parametrize("case", ["non_saturating", "relativistic"])
def test_two_devices_train_as_one(two_devices, one_device, case):
    assert_same(load(two_devices, f"{case}-state"), one_device[case, 2]["state"])
    history = load(two_devices, f"{case}-history")
    assert_same_logs(history, history_of(one_device, case, (1, 2)))
    assert np.ptp(history["discriminator_gradient_norm"]) > 0
    accuracy = history["discriminator_accuracy"]
    assert ((accuracy >= 0) & (accuracy <= 1)).all()


def test_two_devices_measure_as_one(two_devices, one_device):
    expected = one_device["non_saturating", 2]
    assert_same_logs(load(two_devices, "measured"), expected["measured"])
    assert_same(load(two_devices, "samples"), expected["samples"])


def test_a_loop_of_ones_own_deals_out_its_batches(two_devices, one_device):
    if not script.HAS_LOOPS:
        said = json.loads((two_devices / "errors.json").read_text())["any loop"]
        assert "Expected Keras 3.15 or later" in said
        return
    expected = one_device["non_saturating", 2]["on_batches"]
    assert_same_logs(load(two_devices, "on_batches"), expected)


def test_a_checkpoint_of_two_devices_is_as_one_of_one(two_devices, one_device):
    gan = keras.saving.load_model(two_devices / "files" / "gan.keras")
    assert gan.epochs_trained == 2
    assert_same(script.state(gan), one_device["non_saturating", 2]["state"])
    assert_same(load(two_devices, "resumed-state"), one_device["non_saturating", 3]["state"])


def test_callbacks_on_two_devices(two_devices):
    check_files(two_devices / "files", epochs=[1, 2])
    assert np.isfinite(load(two_devices, "non_saturating-history")["val_coverage"]).all()


@pytest.mark.parametrize(
    ("case", "received"),
    [
        ("odd", "a batch of 15"),
        ("short", "a batch of 15"),
        ("evaluate", "a batch of 15"),
        ("held out", "a batch of 15"),
        ("loop", "a batch of 15"),
        ("steps", "a batch of 10. Choose a batch size that is a multiple of 4"),
    ],
)
def test_batches_that_two_devices_cannot_share_are_refused(two_devices, case, received):
    said = json.loads((two_devices / "errors.json").read_text())[case]
    assert "number of devices (2)" in said
    assert received in said
    assert "drop_remainder=True" in said


@pytest.mark.skipif(BACKEND != "tensorflow", reason="JAX's distribution is that of all models")
@pytest.mark.parametrize(
    ("case", "received"),
    [
        ("optimizers", "the generator's optimizer and the discriminator's optimizer"),
        ("networks", "the generator and the discriminator"),
    ],
)
def test_what_was_made_outside_the_scope_is_refused(two_devices, case, received):
    said = json.loads((two_devices / "errors.json").read_text())[case]
    assert "with strategy.scope()" in said
    assert f"Received: {received}, made elsewhere" in said


def test_gradients_accumulate_on_two_devices_as_on_one(two_devices):
    if BACKEND == "tensorflow":  # Keras's own `fit` fails there
        said = json.loads((two_devices / "errors.json").read_text())["accumulating"]
        assert "gradient_accumulation_steps for the generator and the discriminator" in said
        return
    gan = script.accumulating_gan()
    gan.fit(script.dataset(), epochs=1, verbose=0)
    assert_same(load(two_devices, "accumulating-state"), script.state(gan))
    assert int(gan.optimizer["generator"].iterations) == 3


def test_moving_averages_are_the_same_on_both_devices_after_an_epoch(two_devices):
    one, other = load(two_devices, "statistics").values()
    assert np.abs(one).max() > 0
    np.testing.assert_array_equal(one, other)


# ---- several processes ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_processes(started, one_device):
    return started["processes"]()


def test_processes_of_which_one_died_go_on_from_the_checkpoint(two_processes, one_device):
    for folder in two_processes:
        begin = load(folder, "begin")
        assert (begin["epochs"], begin["batches"]) == (2, 2)  # within the epoch of its death
        assert_same(load(folder, "state"), one_device["non_saturating", 4]["state"])
        expected = history_of(one_device, "non_saturating", (3, 4))
        assert_same_logs(load(folder, "history"), expected)


def test_processes_end_in_the_same_weights(two_processes):
    one, other = (load(folder, "state") for folder in two_processes)
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])


def test_processes_train_a_conditional_gan_by_several_updates(two_processes, one_device):
    for folder in two_processes:
        state = load(folder, "relativistic-state")
        assert_same(state, one_device["relativistic", 1]["state"])


def test_processes_measure_as_one_device(two_processes, one_device):
    expected = one_device["non_saturating", 4]
    for folder in two_processes:
        assert_same_logs(load(folder, "measured"), expected["measured"])
        if script.HAS_LOOPS:
            assert_same_logs(load(folder, "on_batches"), expected["on_batches"])


def test_only_the_chief_writes_files(two_processes, one_device):
    chief, other = two_processes
    check_files(chief / "files", epochs=[3, 4])
    assert not (other / "files").exists()
    assert_same(load(chief, "samples"), one_device["non_saturating", 4]["samples"])
    gan = keras.saving.load_model(chief / "files" / "gan.keras")
    assert gan.epochs_trained == 4
    assert_same(script.state(gan), one_device["non_saturating", 4]["state"])


def test_figures_in_the_logs_are_the_same_in_all_processes(two_processes):
    one, other = (load(folder, "history")["val_coverage"] for folder in two_processes)
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, other)


def test_processes_need_a_dataset_with_a_seed(two_processes):
    for folder in two_processes:
        said = (folder / "error.txt").read_text()
        assert "Expected a dataset with a seed" in said
        assert "Give it seed=0" in said
