"""What ties processes to the one that began them: its streams, its signals and its life.

``ppgan-zoo train --processes`` starts Paddle's launcher with a socket as standard input, and the
launcher's processes inherit it. Through it the leader gets the standard output and error
of the command, and the signals that the command is sent; it sends back its exit code. And since
every process holds its end, each of the two sides sees when nothing is left of the other.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ppgan_zoo.errors import INTERRUPTED

RANK = "PADDLE_TRAINER_ID"
SIZE = "PADDLE_TRAINERS_NUM"
"""How many processes Paddle's launcher started."""

TEMPORARY = "ppgan-zoo-processes-"
"""What the name begins with of the folder of a command that has started processes."""

LED = "PPGAN_ZOO_LED"
"""In the environment of a process whose standard input is that socket."""

PARENT = "PPGAN_ZOO_PARENT"
"""In the environment of a process: the number of the one that started it."""

GRACE = 30.0
"""Seconds in which a process that nobody waits for any more may end in good order."""


def processes() -> int:
    """Return how many processes Paddle's launcher started, of which this is one; 1 without it."""
    return int(os.environ.get(SIZE, "1"))


def run_led(run: Callable[[], int]) -> int:
    """Run the command line; as one of several processes, do as the command says that began them."""
    if os.environ.pop(LED, None) is None:  # taken out: not for what this process starts
        return run()
    if int(os.environ.get(RANK, "0")):
        _in_background(_wait_for_the_end)
        return run()
    starter = _take_streams()
    code: int | str | None = INTERRUPTED + signal.SIGINT
    try:
        code = run()
    except SystemExit as end:
        code = end.code
        raise
    finally:
        try:
            starter.send(bytes([code % 256 if isinstance(code, int) else 1]))
        except OSError:  # it was killed, and left its temporary files
            _clear()
    return code


def _take_streams() -> socket.socket:
    """Become the process that prints: take over the streams of the command."""
    starter = socket.socket(fileno=os.dup(0))
    _, descriptors, _, _ = socket.recv_fds(starter, 1, 2)
    for descriptor, number in zip(descriptors, (1, 2), strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    _in_background(lambda: _obey(starter))
    return starter


def give_streams(to: socket.socket) -> None:
    """Send this process's streams to the one that is to print."""
    socket.send_fds(to, [b"!"], [1, 2])


def as_parent() -> dict[str, str]:
    """Return what to add to the environment of a process that is to :func:`end_with_parent`."""
    return {PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """End this process when the one that started it is gone, killed: a launcher, a search.

    Started with :func:`as_parent`, it ends also if that came before this call.
    """
    parent = int(os.environ.pop(PARENT, os.getppid()))  # taken out: not for what this one starts

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        _end()

    _in_background(wait)


def _obey(starter: socket.socket) -> None:
    """Pass on each signal that comes as a byte; the end of them is that of the command."""
    while numbers := starter.recv(1):
        os.kill(os.getpid(), numbers[0])
    _end()


def _wait_for_the_end() -> None:
    """End this process when the command that began it is gone."""
    poll = select.poll()
    poll.register(0, getattr(select, "POLLRDHUP", 0))
    poll.poll()
    _end()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


def _clear() -> None:
    """Delete what a command that was killed left: the folder with what its processes said."""
    folder = Path(os.environ.get("PADDLE_LOG_DIR", "")).parent
    if folder.name.startswith(TEMPORARY):
        shutil.rmtree(folder, ignore_errors=True)


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
