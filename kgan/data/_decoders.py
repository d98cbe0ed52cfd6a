"""Starts processes that decode pictures, see `kgan.data._decoding`, and gives them work.

They are not `multiprocessing`'s: forking is unsafe after TensorFlow or JAX has started threads, and
spawning runs the main script again, which fails in scripts without a `__main__` guard.
"""

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from kgan.data import _decoding
from kgan.data._decoding import Fault, PictureState, Target

# What a worker runs: the module alone, by its path, with the parent's import path. Python's `site`
# is left out, since that path is complete and start-up takes half the time without it.
_START = """
import sys
sys.path[:] = {path!r}
import importlib.util
spec = importlib.util.spec_from_file_location("kgan_decoding", {file!r})
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
module.main()
"""


class Chunk(NamedTuple):
    """Pictures to decode together.

    Attributes:
        number: Integer, from 0.
        first: Integer, the row of the first one among all pictures.
        pictures: Their files.
        offset: Integer, the place of the first one in the file of pixels.
    """

    number: int
    first: int
    pictures: Sequence[PictureState]
    offset: int


Done: TypeAlias = tuple[Chunk, list[Fault]]

_Queue = queue.SimpleQueue


def decode_chunks(
    chunks: Sequence[Chunk], target: Target, path: Path, processes: int
) -> Generator[Done, None, None]:
    """Decodes chunks of pictures into a file, in this process and in others.

    Args:
        chunks: The chunks.
        target: The form of the pictures.
        path: The file, which exists.
        processes: Integer, the processes that decode. This one is one of them: it has nothing else
            to do, and the others take a moment to start.

    Yields:
        Each chunk with its faults, as soon as it is in the file; the order is that of completion.

    Raises:
        OSError: The file cannot be written.
        RuntimeError: A process ended unexpectedly.
    """
    left: _Queue[Chunk] = queue.SimpleQueue()
    for chunk in chunks:
        left.put(chunk)
    done: _Queue[Done | Exception] = queue.SimpleQueue()
    others = min(processes, len(chunks)) - 1 if sys.executable else 0
    workers: list[_Worker] = []
    try:
        workers.extend(_Worker(target, path) for _ in range(others))
        for worker in workers:
            threading.Thread(target=worker.work, args=(left, done), daemon=True).start()
        for _ in chunks:
            yield _next_done(left, done, target, path)
    finally:
        for worker in workers:
            worker.stop()


def _next_done(
    left: _Queue[Chunk], done: _Queue[Done | Exception], target: Target, path: Path
) -> Done:
    """A chunk that another process finished, or one that this process decodes now."""
    try:
        item = done.get_nowait()
    except queue.Empty:
        decoded = _decode_here(left, target, path)
        if decoded is not None:
            return decoded
        item = done.get()
    if isinstance(item, Exception):
        raise item
    return item


def _decode_here(left: _Queue[Chunk], target: Target, path: Path) -> Done | None:
    """Decodes a chunk in this process, if one is left."""
    try:
        chunk = left.get_nowait()
    except queue.Empty:
        return None
    return chunk, _decoding.decode_chunk(chunk.pictures, target, str(path), chunk.offset)


class _Worker:
    """A process that decodes, and the conversation with it."""

    def __init__(self, target: Target, path: Path) -> None:
        self._target = tuple(target)
        self._path = str(path)
        code = _START.format(path=list(map(os.path.abspath, sys.path)), file=_decoding.__file__)
        self._process = subprocess.Popen(  # noqa: S603 (our own code)
            [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def work(
        self,
        left: _Queue[Chunk],
        done: _Queue[Done | Exception],
    ) -> None:
        """Has the process decode chunks while there are any."""
        try:
            while True:
                chunk = left.get_nowait()
                done.put((chunk, self._decode(chunk)))
        except queue.Empty:
            pass
        except Exception as error:
            done.put(error)  # for the thread that waits

    def _decode(self, chunk: Chunk) -> list[Fault]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pictures = [tuple(state) for state in chunk.pictures]
        try:
            request = (pictures, self._target, self._path, chunk.offset)
            pickle.dump(request, self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
            answer = pickle.load(self._process.stdout)  # noqa: S301 (from our own process)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            first, last = (shown(chunk.pictures[place].path) for place in (0, -1))
            raise RuntimeError(
                "Expected the process that decodes pictures to finish. Received: it ended with "
                f"status {self._process.wait()}, at one of {first} to {last}. Pass processes=1 "
                "to decode in this one, and check the memory that is free."
            ) from error
        if isinstance(answer, OSError):
            raise answer
        return [Fault(*fault) for fault in answer]

    def stop(self) -> None:
        """Ends the process, also amid a chunk."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # a request that was half sent
                    pipe.close()


def shown(path: str) -> str:
    """A path as text that can be printed, also if its name is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
