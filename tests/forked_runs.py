"""Runs commands one after the other, each in a process of its own, importing Paddle once.

Reads a JSON list of ``{"arguments": [...], "kill_at": iteration or null}`` from standard input;
a run with ``kill_at`` ends itself by SIGKILL after that iteration. Prints the exit codes as JSON.
"""

import json
import os
import signal
import sys

from ppgan_zoo import cli, runtime

runtime.start("cpu", 1)
from ppgan_zoo.trainer import Trainer  # noqa: E402


def kill_at(iteration):
    step = Trainer.step

    def stepping(self, real):
        scalars = step(self, real)
        if self.iteration == iteration:
            os.kill(os.getpid(), signal.SIGKILL)
        return scalars

    Trainer.step = stepping


def run(job):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 70
    try:
        if job["kill_at"] is not None:
            kill_at(job["kill_at"])
        os.dup2(2, 1)
        code = cli.main(job["arguments"])
    finally:
        os._exit(code)


assert len(os.listdir("/proc/self/task")) == 1, "a fork copies one thread only"
print(json.dumps([run(job) for job in json.load(sys.stdin)]))
