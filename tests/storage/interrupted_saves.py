"""Saves checkpoints in forks that end, or meet an error, at their n-th call of the system.

Started as a script by test_write_faults.py. Reads one JSON object a line on standard input
(``folder``, ``call``, ``kill``) and answers with the fork's exit code, one a line: 0 if the
save came to its end before that call. Forking is sound here: this process has one thread.
"""

import errno
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from ppgan_zoo.storage.checkpoint import save_checkpoint
from ppgan_zoo.storage.retention import prune_checkpoints, remember_best

ARRAYS = {"generator": {"w": np.arange(6.0)}}
EVENTS = {"open", "os.mkdir", "os.rename", "os.rmdir", "os.remove", "os.chmod", "os.listdir",
          "os.scandir", "shutil.rmtree", "tempfile.mkdtemp", "tempfile.mkstemp"}  # fmt: skip


def save_and_prune(folder):
    """What a run does when it saves its third checkpoint."""
    checkpoint = save_checkpoint(folder, ARRAYS, 3, {"name": "x"})
    remember_best(folder, checkpoint, "figure", 0.5)
    prune_checkpoints(folder, 1, 3)


def interrupted(folder, call, kill):
    """Save as a child that is killed at (or has an error from) its n-th call; never returns.

    Calls are those that Python's audit events tell of, and each fsync.
    """
    seen = 0

    def count(event, arguments):
        if event in EVENTS and str(arguments[0]).startswith(str(folder)):
            tick()

    def tick():
        nonlocal seen
        seen += 1
        if seen == call:
            if kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, "No space left on device")

    fsync = os.fsync

    def counted_fsync(descriptor):
        tick()
        fsync(descriptor)

    code = 1
    try:
        os.fsync = counted_fsync
        sys.addaudithook(count)
        save_and_prune(folder)
        code = 0 if seen < call else 1
    finally:
        os._exit(code)


def main():
    """Answer requests until they end."""
    assert len(os.listdir("/proc/self/task")) == 1, "a fork copies one thread only"
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            interrupted(Path(request["folder"]), request["call"], request["kill"])
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
