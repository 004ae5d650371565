"""What long work says of itself: on a terminal of any width, and by lines elsewhere."""

import os
import pty
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT

from ppgan_zoo.storage.stages import BAR_FORMAT, Bar, shown, stage, tell_above_bars


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def work(clock, seconds, total=100, what="images through digits-v1"):
    with stage(what, total) as advance:
        for _ in range(total or 5):
            clock.now += seconds
            advance(1)


def lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_nothing_is_shown_unless_a_program_asks_for_it(capsys):
    work(Clock(), 100.0)
    assert lines(capsys) == []


def test_without_a_terminal_a_line_soon_and_then_one_a_minute(capsys):
    clock = Clock()
    with shown(has_bar=lambda: False, clock=clock):
        work(clock, 1.5)
    assert lines(capsys) == [
        "images through digits-v1: 4 of 100 (4 %), about 2 min 20 s left",
        "images through digits-v1: 44 of 100 (44 %), about 1 min 20 s left",
        "images through digits-v1: 84 of 100 (84 %), about 24 s left",
    ]


@pytest.mark.parametrize(("seconds", "total"), [(0.1, 100), (100.0, 1), (100.0, None)])
def test_what_ends_soon_or_cannot_tell_is_not_told_of(seconds, total, capsys):
    clock = Clock()
    with shown(has_bar=lambda: False, clock=clock):
        work(clock, seconds, total)
    assert lines(capsys) == []


def test_a_stage_of_a_stage_is_not_shown_beside_it(capsys):
    clock = Clock()
    with shown(has_bar=lambda: False, clock=clock), stage("outer", 3) as advance:
        work(clock, 10.0)
        advance(1)
    assert [line.partition(":")[0] for line in lines(capsys)] == ["outer"]
    work(clock, 10.0)
    assert lines(capsys) == []


def test_an_error_goes_on_to_the_caller(capsys):
    with pytest.raises(KeyError), shown(has_bar=lambda: True), stage("short", 3):
        raise KeyError("x")
    work(Clock(), 100.0)
    assert "images" not in capsys.readouterr().err


DRAW = """
import time
from ppgan_zoo.storage.stages import shown, stage, tell_above_bars
with shown():
    with stage("60,000 images through digits-v1", 60000) as advance:
        for _ in range(4):
            time.sleep(0.12)
            advance(12345)
        tell_above_bars("a line")
    with stage("writing the static graph"):
        pass
"""


@pytest.mark.parametrize("columns", [40, 120])
def test_on_a_terminal_of_any_width_the_time_left_is_seen(columns):
    """In a real terminal, whose width tqdm asks the system for."""
    leader, follower = pty.openpty()
    subprocess.run(["stty", "cols", str(columns), "rows", "24"], stdin=follower, check=True)
    env = {**os.environ, "TERM": "xterm"}
    env.pop("COLUMNS", None)
    process = subprocess.Popen(
        [sys.executable, "-c", DRAW], stdin=follower, stdout=follower, stderr=follower, env=env,
        cwd=ROOT,
    )  # fmt: skip
    os.close(follower)
    text = b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        if not part:
            break
        text += part
    os.close(leader)
    assert process.wait(timeout=60) == 0
    drawn = [one for one in text.decode().replace("\n", "\r").split("\r") if one.strip()]
    bars = [one for one in drawn if "%|" in one and "\x1b" not in one]
    assert len(bars) > 2 and all(len(one) <= columns for one in bars)
    assert all("left, " in one for one in bars)
    assert any("00:0" in one for one in bars)
    assert columns == 40 or any("left, 60,000 images through digits-v1: 12345" in b for b in bars)
    assert any(one.strip().startswith("a line") for one in drawn)
    assert any(one.startswith("writing the static graph") for one in drawn)


def test_the_bar_of_training_keeps_the_time_left_at_forty_columns():
    meter = Bar.format_meter(
        45_500, 91_000, 100.0, ncols=40, bar_format=BAR_FORMAT, initial=45_000,
        postfix="D 0.693 G 0.700 1234 images/s samples alike",
    )  # fmt: skip
    assert len(meter) == 40 and meter.startswith(" 50%|") and "2:31:40 left, 45500" in meter


def test_measuring_and_sampling_say_where_they_are(capsys):
    from ppgan_zoo.metrics.features import open_features

    clock = Clock()
    network = open_features("digits-v1")
    forward = network.forward

    def slow(batch):
        clock.now += 30.0
        return forward(batch)

    object.__setattr__(network, "forward", slow)
    with shown(has_bar=lambda: False, clock=clock):
        network(np.zeros((10, 1, 28, 28), np.uint8), batch_size=2)
    assert lines(capsys)[0] == "10 images through digits-v1: 2 of 10 (20 %), about 2 min left"


def test_a_line_above_bars_where_there_are_none(capsys):
    tell_above_bars("alone")
    assert lines(capsys) == ["alone"]
