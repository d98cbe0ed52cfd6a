"""Runs the command in processes forked from this one, and has them killed: for test_killed.py.

Reads a line of JSON from stdin for each: `arguments` of the command, the `directory` it writes to,
and `kill`, which is null or `[event, delay]`: SIGKILL comes `delay` seconds after the process has
opened, renamed or removed a file there that many times. Answers with a line of JSON: the `status`
that the process ended with, as `os.waitstatus_to_exitcode` has it, and the number of `events`.
"""

import json
import mmap
import os
import signal
import struct
import sys
import threading
import time
from pathlib import Path

import matplotlib.figure  # noqa: F401
import PIL.GifImagePlugin
import PIL.PngImagePlugin  # noqa: F401

# All that a run needs is imported once: a forked process can begin at once.
import kgan  # noqa: F401
from kgan import cli, report, runs  # noqa: F401

WATCHED = {"open", "os.rename", "os.remove"}


def watch(directory, kill, counter):
    """Counts what the process does to files in the directory, and kills it when it is time."""
    directory = str(directory)

    def hook(event, arguments):
        if event not in WATCHED or not isinstance(arguments[0], str):
            return
        path = os.path.abspath(arguments[0])  # noqa: PTH100  (no Path: that would open files)
        if not path.startswith(directory) or (event == "open" and not writes(arguments)):
            return
        (count,) = struct.unpack("Q", counter[:8])
        counter[:8] = struct.pack("Q", count + 1)
        if kill is not None and count + 1 == kill[0]:
            if kill[1] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Thread(target=die, args=(kill[1],), daemon=True).start()

    sys.addaudithook(hook)


def writes(arguments):
    _, mode, flags = arguments
    return bool(flags & (os.O_WRONLY | os.O_RDWR)) if mode is None else set(mode) & set("wax+")


def die(delay):
    time.sleep(delay)
    os.kill(os.getpid(), signal.SIGKILL)


def main():
    out = os.dup(1)
    os.dup2(2, 1)  # what the command prints
    for line in sys.stdin:
        job = json.loads(line)
        counter = mmap.mmap(-1, 8)  # shared with the forked process
        pid = os.fork()
        if pid == 0:
            watch(Path(job["directory"]).absolute(), job["kill"], counter)
            os._exit(cli.main(job["arguments"]))
        _, status = os.waitpid(pid, 0)
        (events,) = struct.unpack("Q", counter[:8])
        answer = {"status": os.waitstatus_to_exitcode(status), "events": events}
        os.write(out, (json.dumps(answer) + "\n").encode())


if __name__ == "__main__":
    main()
