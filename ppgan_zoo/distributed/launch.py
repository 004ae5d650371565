"""Starts the processes of ``ppgan-zoo train --processes`` by Paddle's launcher, without Paddle."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from ppgan_zoo.distributed.group import ProcessLostError, started
from ppgan_zoo.distributed.streams import GRACE, LED, TEMPORARY, give_streams
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.runtime import available_cores, python_module
from ppgan_zoo.storage.files import as_argument, read_regular
from ppgan_zoo.storage.terminal import tell

MOST_PROCESSES = 1024

OF_THIS_MACHINE = "PADDLE_LOCAL_SIZE"
"""How many processes Paddle's launcher started on this machine."""


def check_processes(count: int) -> None:
    """Refuse a number of processes that makes no sense.

    Raises:
        ConfigError: It does not.
    """
    if not 1 <= count <= MOST_PROCESSES:
        raise ConfigError(f"--processes {count}: give 1 to {MOST_PROCESSES}")
    if count > 1 and started().size > 1:
        raise ConfigError(
            "--processes: this is one of several processes already, started by Paddle's launcher; "
            "leave the option out"
        )


def resume_command(run: Path) -> str:
    """Return the command that goes on with a run in as many processes as train it now."""
    command, size = f"ppgan-zoo train --resume {as_argument(run)}", started().size
    if size == 1:
        return command
    if os.environ.get(OF_THIS_MACHINE, str(size)) != str(size):
        return f"{command}, started on each machine as before"
    return f"{command} --processes {size}"


def run_in_processes(count: int, arguments: Sequence[str]) -> int:
    """Run ``ppgan-zoo ARGUMENTS`` in `count` processes; return the exit code of the leader.

    Whatever happens to one of them, all have ended when this returns.
    """
    if (cores := available_cores()) < count:
        tell(f"warning: {count} processes share {cores} cores; more than that are no faster")
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder, ours:
        logs = Path(folder, "logs")
        launcher = [
            *python_module("paddle.distributed.launch"), "--nproc_per_node", str(count),
            "--log_dir", str(logs), str(Path(__file__).parents[1] / "__main__.py"), *arguments,
        ]  # fmt: skip
        with theirs, open(Path(folder, "launcher"), "w", encoding="utf-8") as said:
            process = subprocess.Popen(
                launcher,
                stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=said,
                start_new_session=True, env=_environment(),
            )  # fmt: skip
        with _signals_to(ours):
            give_streams(ours)
            code = _wait(ours, process)
        return _told(code, count, logs / "workerlog.0", Path(folder, "launcher"))


def _environment() -> dict[str, str]:
    """Return the environment of the launcher: nothing of another launcher, or of Paddle's flags."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PADDLE_", "FLAGS_"))}
    return {**clean, LED: "1"}


@contextlib.contextmanager
def _signals_to(ours: socket.socket) -> Iterator[None]:
    """Hand on to the leader what this process is told to end by."""

    def hand_on(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):  # nobody is left
            ours.send(bytes([number]))

    before = {
        number: signal.signal(number, hand_on)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(ours: socket.socket, launcher: subprocess.Popen[bytes]) -> int | None:
    """Wait until nothing is left of the processes; return the leader's exit code, if it told."""
    code = None
    ours.settimeout(0.5)
    ended = False
    while True:
        try:
            told = ours.recv(1)
        except (TimeoutError, InterruptedError):
            if launcher.poll() is not None and not ended:
                ended = True
                ours.shutdown(socket.SHUT_WR)  # those that it has left behind see it, and end
            continue
        except ConnectionResetError:
            break
        if not told:
            break
        code = told[0]
    launcher.wait(GRACE)
    return code


def _told(code: int | None, count: int, leader: Path, launcher: Path) -> int:
    """Return the exit code; of a leader that told none, say what is known."""
    if code is not None:
        return code
    raise ProcessLostError(
        f"one of {count} processes has ended without a word (killed, or out of memory?)"
        f"{_last_line(leader) or _last_line(launcher)}"
    )


def _last_line(file: Path) -> str:
    """Return the last line of what a process said, after a colon; nothing if it was silent."""
    with contextlib.suppress(OSError):
        lines = read_regular(file).decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip() and "FLAGS" not in line]
        return f": {said[-1]}" if said else ""
    return ""
