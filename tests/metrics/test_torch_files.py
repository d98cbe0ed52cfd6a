"""Files of torch.save, read without PyTorch and without running their pickles."""

import contextlib
import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from kgan.metrics._torch_files import read_tensors

pytestmark = pytest.mark.backend_free

formats = pytest.mark.parametrize("new", [False, True], ids=["old", "zip"])


def save(tensors, path, new):
    torch = pytest.importorskip("torch")
    torch.save(tensors, path, _use_new_zipfile_serialization=new)
    return path


@formats
def test_tensors_of_every_kind(tmp_path, new):
    torch = pytest.importorskip("torch")
    whole = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    tensors = {
        "whole": whole,
        "part": whole[1, :, 1:3],  # of the same storage
        "turned": whole.permute(2, 0, 1),
        "double": torch.tensor([[1.5], [2.5]], dtype=torch.float64),
        "half": torch.tensor([0.5, -2], dtype=torch.float16),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    found = read_tensors(save(tensors, tmp_path / "tensors.pth", new))
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        expected = tensor.detach().numpy()
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].flags.writeable


@formats
def test_the_state_of_a_network(tmp_path, new):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2), torch.nn.BatchNorm2d(4))
    found = read_tensors(save(network.state_dict(), tmp_path / "state.pth", new))
    expected = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor)


class Harmful:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@formats
def test_a_pickle_that_runs_something(tmp_path, new):
    made = tmp_path / "made"
    path = save({"a": Harmful(made)}, tmp_path / "harmful.pth", new)
    with pytest.raises(ValueError, match=r"harmful\.pth to be .*it names (posix|nt)\.mkdir"):
        read_tensors(path)
    assert not made.exists()


@formats
@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {1: 2}, 5], ids=str)
def test_other_objects_than_tensors(tmp_path, new, content):
    with pytest.raises(ValueError, match="other objects than tensors by names"):
        read_tensors(save(content, tmp_path / "other.pth", new))


@formats
def test_files_that_are_cut_off(tmp_path, new):
    torch = pytest.importorskip("torch")
    path = save({"a": torch.ones(100), "b": torch.zeros(30)}, tmp_path / "cut.pth", new)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 17):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut\.pth to be a dictionary of tensors"):
            read_tensors(path)


@formats
def test_damaged_files_are_errors_or_arrays(tmp_path, new):
    """Whatever a byte becomes: a ValueError, or arrays."""
    torch = pytest.importorskip("torch")
    path = save(OrderedDict(a=torch.ones(3, 2), b=torch.arange(4)), tmp_path / "bad.pth", new)
    whole = bytearray(path.read_bytes())
    generator = np.random.default_rng(0)
    for place in generator.choice(len(whole), min(len(whole), 400), replace=False):
        damaged = whole.copy()
        damaged[place] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        with contextlib.suppress(ValueError):
            assert all(isinstance(array, np.ndarray) for array in read_tensors(path).values())


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"<html>404</html>", pickle.dumps({"a": 1}), bytes(100)]
)
def test_files_of_another_kind(tmp_path, data):
    (tmp_path / "x.pth").write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.pth to be a dictionary of tensors that torch\.save"):
        read_tensors(tmp_path / "x.pth")


def test_zip_files_of_another_kind(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "text")
    with pytest.raises(ValueError, match=r"a zip file without data\.pkl"):
        read_tensors(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10_000_000))  # small in the file, large in memory
    with pytest.raises(ValueError, match="larger than expected, or compressed"):
        read_tensors(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/byteorder", "big")
        archive.writestr("x/data.pkl", pickle.dumps({}))
    with pytest.raises(ValueError, match="big-endian"):
        read_tensors(path)


def test_a_tensor_larger_than_its_storage(tmp_path):
    """A stride of 0 could make a few bytes an array of any size."""
    torch = pytest.importorskip("torch")
    path = save({"a": torch.ones(1).expand(1000)}, tmp_path / "wide.pth", True)
    with pytest.raises(ValueError, match="a tensor is larger than its storage"):
        read_tensors(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "none.pth")
