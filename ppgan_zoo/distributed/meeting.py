"""Where several processes meet before they train: all begin, or all end with the same line.

Paddle's processes wait for one another without a limit and without a word, so that one that is
refused on its machine would leave the others there for ever. So they meet before that, at the
address at which Paddle lets them meet next, and each says what it is about to train.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from ppgan_zoo.distributed.group import Group, ProcessLostError
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.storage.durations import in_time
from ppgan_zoo.storage.terminal import tell

LONGEST_WAIT = 900.0
"""Seconds that a process waits for another to come, or to be ready after it is."""

SILENCE = 20.0
"""Seconds after which it says so."""

LAST_WORDS = 30.0
"""Seconds in which one that is refused lets the others know."""

LOOK = 0.5
"""Seconds between two looks at whether to wait on."""

LONGEST_LINE = 1 << 20
LOOPBACK = ("127.0.0.1", "localhost")

Differ = Callable[[Any, Any], Iterable[tuple[str, Any, Any]]]


class Meeting:
    """What a process knows of the others before they are connected.

    Args:
        group: Which process this is, and of how many.

    Attributes:
        over: Whether all are ready, or have been told that they are not.
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self.over = group.size == 1 or _connected()
        self._open = contextlib.ExitStack()
        self._others: dict[int, _Talk] = {}
        self._listener: socket.socket | None = None

    def begin(self) -> None:
        """Let the others come, or go to the leader.

        Raises:
            ConfigError: The leader's address is not free.
            ProcessLostError: The leader has not come in time.
        """
        if self.over:
            return
        address = _address()
        if self.group.leads:
            try:
                # Of one machine alone, nobody else is listened to.
                host = address[0] if address[0] in LOOPBACK else ""
                listener = socket.create_server((host, address[1]), backlog=self.group.size)
            except OSError as error:
                raise ConfigError(
                    f"port {address[1]}, at which the processes are to meet: {error.strerror}; "
                    "give Paddle's launcher another --master"
                ) from None
            self._listener = self._open.enter_context(listener)
        else:
            self._others[0] = self._open.enter_context(_Talk(_reach(address), 0))
            self._others[0].say({"process": self.group.rank, "host": platform.node()})

    def compare(self, facts: Mapping[str, Any], differ: Differ) -> None:
        """Wait until all are ready to train the same.

        Args:
            facts: What must be the same in all, as JSON can hold it.
            differ: Yields the key of each difference of two such facts, and both values.

        Raises:
            ConfigError: One has been refused, or is about to train something else.
            ProcessLostError: One has not come in time, or has ended.
        """
        if self.over:
            return
        _end_without_report()
        if not self.group.leads:
            self._others[0].say({"ready": facts})
            refused = self._others[0].hear()["refused"]
            self.end()
        else:
            refused = self._first_trouble(json.loads(json.dumps(facts)), differ)
            self._tell_all(refused)
        if refused is not None:
            raise ConfigError(refused)

    def refuse(self, line: str) -> None:
        """Let the others know why this process does not train."""
        _end_without_report()
        with contextlib.suppress(OSError, ProcessLostError):
            if self.group.leads:
                with contextlib.suppress(ProcessLostError):
                    self._wait_for_all(LAST_WORDS)
                self._tell_all(f"{_name(0, platform.node())}: {line}")
            else:
                self._others[0].say({"refused": line})
                self._others[0].hear(
                    _Patience(LAST_WORDS)
                )  # ended before, it could take others with it
        self.end()

    def end(self) -> None:
        """Leave: the address is Paddle's now."""
        self.over = True
        self._open.close()

    def _first_trouble(self, facts: Any, differ: Differ) -> str | None:
        """Return the line that all are to end with, or None if all are ready."""
        try:
            self._wait_for_all(LONGEST_WAIT)
            patience = _Patience(LONGEST_WAIT)
            for _, talk in sorted(self._others.items()):
                answer = talk.hear(patience)
                if "refused" in answer:
                    return f"{talk.name}: {answer['refused']}"
                for key, ours, theirs in differ(facts, answer["ready"]):
                    return (
                        f"{talk.name} is about to train with {key} {theirs}, and process 0 with "
                        f"{ours}; start all {self.group.size} with the same recipe, data and "
                        "versions"
                    )
        except ProcessLostError as error:
            return str(error)
        return None

    def _wait_for_all(self, seconds: float) -> None:
        """Wait for each of the others to come; what comes and is none of them is sent away."""
        assert self._listener is not None
        patience = _Patience(seconds)
        while missing := set(range(1, self.group.size)) - set(self._others):
            patience.check(_name(min(missing)), "has not come")
            self._listener.settimeout(LOOK)
            with contextlib.suppress(TimeoutError):
                talk = _Talk(self._listener.accept()[0])
                with contextlib.suppress(ProcessLostError, KeyError):
                    talk.settle(talk.hear(_Patience(LAST_WORDS)), missing)
                if talk.rank is None:
                    talk.close()
                else:
                    self._others[talk.rank] = self._open.enter_context(talk)

    def _tell_all(self, refused: str | None) -> None:
        """Give all the same answer, and the address free before they go there again."""
        assert self._listener is not None
        self._listener.close()
        for talk in self._others.values():
            with contextlib.suppress(OSError):  # it has ended
                talk.say({"refused": refused})
        self.end()


class _Talk(contextlib.AbstractContextManager["_Talk"]):
    """A line to another process: each side sends objects of JSON, a line each."""

    def __init__(self, connection: socket.socket, rank: int | None = None) -> None:
        self.rank = rank
        self.name = "" if rank is None else _name(rank)
        self._connection = connection
        self._heard = b""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # its machine may be gone
        for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 6)):
            if hasattr(socket, option):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def settle(self, said: Mapping[str, Any], missing: set[int]) -> None:
        """Learn whose line it is from what came first; remain nobody's if that makes no sense."""
        if said["process"] in missing:
            self.rank = said["process"]
            self.name = _name(said["process"], str(said["host"]))

    def say(self, what: Mapping[str, Any]) -> None:
        self._connection.settimeout(LAST_WORDS)
        self._connection.sendall(json.dumps(what).encode() + b"\n")

    def hear(self, patience: _Patience | None = None) -> dict[str, Any]:
        """Return what the other side says next.

        Raises:
            ProcessLostError: Nothing comes any more, or not in time, or what is no such line.
        """
        self._connection.settimeout(LOOK)
        while b"\n" not in self._heard:
            try:
                part = self._connection.recv(1 << 16)
            except TimeoutError:
                if patience is not None:
                    patience.check(self.name, "is not ready")
                continue
            except OSError:
                part = b""
            if not part or len(self._heard) > LONGEST_LINE:
                raise ProcessLostError(f"{self.name} has ended before training began")
            self._heard += part
        line, _, self._heard = self._heard.partition(b"\n")
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise ProcessLostError(f"{self.name} has said what no process of the zoo says")
        return said


class _Patience:
    """Waits for so long and says so, once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since = time.monotonic()
        self._said = False

    def check(self, who: str, what: str) -> None:
        """Raise an error if it has been too long."""
        waited = time.monotonic() - self._since
        if waited > self._seconds:
            raise ProcessLostError(f"{who} {what} within {in_time(self._seconds)}")
        if waited > SILENCE and not self._said:
            self._said = True
            tell(f"{who} {what} yet; waiting for up to {in_time(self._seconds)}")


_held: ContextVar[Meeting | None] = ContextVar("meeting", default=None)


@contextlib.contextmanager
def meeting(group: Group) -> Iterator[Meeting]:
    """Meet the other processes of a group, or stay in the meeting that this is already in.

    Whatever goes wrong inside before all are ready, the others are told.

    Raises:
        ProcessLostError: The leader has not come in time.
    """
    if (held := _held.get()) is not None:
        yield held
        return
    held = Meeting(group)
    held.begin()
    token = _held.set(held)
    try:
        yield held
    except Exception as error:
        if not held.over:
            held.refuse(str(error) or type(error).__name__)
        raise
    finally:
        _held.reset(token)
        held.end()


def _end_without_report() -> None:
    """Let SIGTERM end this process without the report that Paddle prints of it.

    Where one process ends, Paddle's launcher ends the others by that, while they end themselves.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # as far as Python knows
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _connected() -> bool:
    """Tell whether Paddle has connected the processes already."""
    if "paddle" not in sys.modules:
        return False
    from paddle import distributed

    return bool(distributed.is_initialized())


def _address() -> tuple[str, int]:
    """Return where Paddle lets the processes of the group meet, as it finds out itself."""
    names = ("MASTER_ADDR", "MASTER_PORT")
    if all(os.environ.get(name) for name in names):
        host, port = (os.environ[name] for name in names)
    else:
        first = os.environ.get("PADDLE_TRAINER_ENDPOINTS", "").split(",")[0]
        host, _, port = (os.environ.get("PADDLE_MASTER") or first).partition(":")
    if not host or not port.isdecimal():
        raise ConfigError(
            "this is one of several processes, and nothing says where they meet: start them by "
            "ppgan-zoo train --processes, or by Paddle's launcher"
        )
    return host, int(port)


def _reach(address: tuple[str, int]) -> socket.socket:
    patience = _Patience(LONGEST_WAIT)
    while True:
        with contextlib.suppress(OSError):
            connection = socket.create_connection(address, timeout=LAST_WORDS)
            # Where nobody listens, a port of one's own machine may be connected with itself.
            if connection.getsockname() != connection.getpeername():
                return connection
            connection.close()
        patience.check(_name(0), f"has not come to {address[0]}:{address[1]}")
        time.sleep(0.2)


def _name(rank: int, host: str = "") -> str:
    return f"process {rank}" + (f" on {host}" if host else "")
