"""Processes that meet before they train: here threads, each with a rank."""

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from ppgan_zoo.distributed import meeting as module
from ppgan_zoo.distributed.group import Group, ProcessLostError
from ppgan_zoo.distributed.meeting import meeting
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.run.identity import differences

RECIPE = {"recipe": {"seed": 0, "data": {"batch_size": 64}}, "paddle": "3.3.1"}


@pytest.fixture(autouse=True)
def address(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        host, port = free.getsockname()
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PADDLE_MASTER", f"{host}:{port}")
    monkeypatch.setattr(module, "_connected", lambda: False)
    return host, port


def ready(facts, group):
    with meeting(group) as others, meeting(group) as again:
        assert others is again
        others.compare(facts, differences)


def refused(group):
    with meeting(group):
        raise DataError("data: no such folder")


def vanished(group):
    with meeting(group):
        time.sleep(1.0)  # the other has come
        raise KeyboardInterrupt


def absent(group):
    pass


def ends_of(*works):
    """Return how each of some processes ended: an error, or None."""
    with ThreadPoolExecutor(len(works)) as pool:
        ends = [pool.submit(work, Group(rank, len(works))) for rank, work in enumerate(works)]
        return [end.exception() for end in ends]


def other(**changes):
    return {**RECIPE, **changes}


def test_all_that_are_ready_for_the_same_begin_and_leave_the_address_free(address):
    assert ends_of(*[partial(ready, RECIPE)] * 3) == [None, None, None]
    socket.create_server(address).close()


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (other(recipe={"seed": 0, "data": {"batch_size": 32}}), "recipe.data.batch_size 32"),
        (other(data={"sha256": "0"}), "data {'sha256': '0'}"),
        (other(paddle="2.6.2"), "paddle 2.6.2"),
    ],
)
def test_one_that_is_about_to_train_something_else_ends_all_in_the_same_line(facts, found):
    ends = ends_of(*[partial(ready, RECIPE)] * 2, partial(ready, facts))
    assert {type(end) for end in ends} == {ConfigError} and len(set(map(str, ends))) == 1
    assert f"process 2 on {socket.gethostname()}" in str(ends[0]) and found in str(ends[0])


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_is_refused_tells_the_others_why(rank):
    works = [partial(ready, RECIPE)] * 3
    works[rank] = refused
    ends = ends_of(*works)
    assert str(ends.pop(rank)) == "data: no such folder"
    for end in ends:
        assert type(end) is ConfigError
        assert str(end) == f"process {rank} on {socket.gethostname()}: data: no such folder"


@pytest.mark.parametrize("rank", [0, 1])
def test_the_wait_for_one_that_never_comes_ends(rank, monkeypatch, capsys):
    monkeypatch.setattr(module, "LONGEST_WAIT", 2.0)
    monkeypatch.setattr(module, "SILENCE", 0.5)
    works = [partial(ready, RECIPE)] * 2
    works[rank] = absent
    end = ends_of(*works)[1 - rank]
    assert f"process {rank} has not come" in str(end) and "within 2 s" in str(end)
    assert "waiting for up to 2 s" in capsys.readouterr().err


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_ends_without_a_word_ends_all(rank):
    works = [partial(ready, RECIPE)] * 2
    works[rank] = vanished
    end = ends_of(*works)[1 - rank]
    assert isinstance(end, ProcessLostError | ConfigError)
    assert f"process {rank}" in str(end) and "has ended before training began" in str(end)


def test_strangers_are_sent_away(address):
    def call(group):
        for said in (b"GET / HTTP/1.1\r\n\r\n", b'{"process": 9, "host": "x"}\n', b"[]\n", b""):
            with socket.socket() as stranger:
                while stranger.connect_ex(address):
                    pass
                stranger.sendall(said)
        ready(RECIPE, group)

    assert ends_of(partial(ready, RECIPE), call) == [None, None]


def test_an_address_that_is_taken_is_refused(address):
    with socket.create_server(address), pytest.raises(ConfigError, match="give Paddle's launcher"):
        ready(RECIPE, Group(0, 2))


def test_a_process_that_the_launcher_ends_says_nothing():
    """Paddle would print a report of the signal, on standard output too."""
    script = (
        "import os, signal, paddle; from ppgan_zoo.distributed import meeting;"
        "meeting._end_without_report(); os.kill(os.getpid(), signal.SIGTERM)"
    )
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGTERM
    assert "SIGTERM" not in done.stdout + done.stderr
