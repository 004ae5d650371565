"""Runs commands one after the other, each in a process of its own, importing Paddle once.

Reads a JSON list of ``{"arguments": [...], "at": iteration, "signals": [...]}`` from standard
input; a run sends itself the signals after that iteration. Prints the exit codes as JSON.
"""

import json
import os
import sys

from ppgan_zoo import cli, runtime

runtime.start("cpu", 1)
import paddle  # noqa: E402

from ppgan_zoo.training.trainer import Trainer  # noqa: E402


def send(signals, iteration):
    step = Trainer.step

    def stepping(self, real):
        scalars = step(self, real)
        if self.iteration == iteration:
            for number in signals:
                os.kill(os.getpid(), number)
        return scalars

    Trainer.step = stepping


def run(job):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 70
    try:
        send(job["signals"], job["at"])
        os.dup2(2, 1)
        code = cli.main(job["arguments"])
    except SystemExit as ended:
        code = ended.code
    finally:
        os._exit(code)


# Paddle 2 has a second thread, asleep from its import on, which holds no lock.
THREADS = 1 if paddle.__version__.startswith("3") else 2
assert len(os.listdir("/proc/self/task")) <= THREADS, "a fork copies one thread only"
print(json.dumps([run(job) for job in json.load(sys.stdin)]))
