"""Runs command lines in forks of one process that has imported everything already.

Started as a script by :mod:`harness`. Reads one JSON object a line on standard input
(``arguments``, ``folder``) and answers one a line. Starting Paddle takes seconds; a fork
of this process takes milliseconds. A fork leaves without the interpreter's own end, which
takes longer than the command; test_malformed.py runs some cases in processes of their own.

Forking is sound only while no lock is held by a thread that the child does not have.
Paddle computes nothing here, so there is one thread (Paddle 2 has a second, asleep since
its import), which is checked before every fork; a test compares a fork's work with that of
a process of its own.
"""

import gc
import json
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

MEMORY_BYTES = 2 << 30
CPU_SECONDS = 10
HANGING_SECONDS = 60  # so long only where a pipe or a lock is waited for


def serve() -> None:
    """Answer requests until they end."""
    from ppgan_zoo import runtime

    runtime.start("cpu")
    import ppgan_zoo.commands.convert
    import ppgan_zoo.evaluation.sampler
    import ppgan_zoo.export.exporter
    import ppgan_zoo.run.train  # noqa: F401
    from ppgan_zoo.cli import main

    threads = os.listdir("/proc/self/task")
    assert len(threads) <= 2 and threading.active_count() == 1
    gc.freeze()  # a collection in a child would touch, and so copy, every page
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        assert os.listdir("/proc/self/task") == threads, "another thread: no fork is sound"
        child = os.fork()
        if child == 0:
            _become_a_command(Path(request["folder"]))
            _run(main, request["arguments"])
        _, status, usage = os.wait4(child, 0)
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_bytes": usage.ru_maxrss * 1024,
        }
        print(json.dumps(answer), file=answers, flush=True)


def _run(main: Callable[[list[str]], int], arguments: list[str]) -> NoReturn:
    """Run the command and leave as the interpreter would."""
    sys.argv = ["ppgan-zoo", *arguments]
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _become_a_command(folder: Path) -> None:
    """Take on directory, standard streams and limits of one command."""
    os.setsid()
    os.chdir(folder / "here")
    sys.path.insert(0, str(folder / "here" / "site"))  # where a case installs a plugin
    for descriptor, name, flags in (
        (0, "/dev/null", os.O_RDONLY),
        (1, folder / "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(name, flags, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    # Counts private writable memory whether touched or not, unlike the resident size; the
    # whole address space cannot be limited, since Paddle maps far more than it uses.
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(HANGING_SECONDS)


if __name__ == "__main__":
    serve()
