"""What a trial found is kept: for later products, other processes, and runs that go on."""

import functools
import json
import subprocess
import sys

import paddle
import pytest

from ppgan_zoo import runtime
from ppgan_zoo.ops import choice
from ppgan_zoo.ops.choice import Choices

MACHINE = {"processor": "a"}


class Clock:
    """Shows what the forms of a test took: no machine, and no other work on it, has a say."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


CLOCK = Clock()


@pytest.fixture(autouse=True)
def _by_a_clock_of_their_own(monkeypatch):
    monkeypatch.setattr(choice, "fastest", functools.partial(choice.fastest, clock=CLOCK))


def forms(fast, calls=None):
    """Return forms of which one takes a tenth of the other's time; `calls` gets who was tried."""

    def run(name):
        if calls is not None:
            calls.append(name)
        CLOCK.seconds += 0.01 if name == fast else 0.1
        return [paddle.ones([1])]

    return {name: lambda name=name: run(name) for name in ("usual", "other")}


def choose(choices, fast, calls=None, product="a product"):
    return choices.of(product, ("usual", "other"), lambda names: forms(fast, calls))


def test_a_product_is_tried_once(tmp_path):
    choices, calls = Choices(MACHINE, tmp_path), []
    assert choose(choices, "other", calls) == "other"
    tried = len(calls)
    assert tried
    assert choose(choices, "usual", calls) == "other"
    assert len(calls) == tried


def test_another_process_takes_what_was_found(tmp_path):
    choose(Choices(MACHINE, tmp_path), "other")
    assert choose(Choices(MACHINE, tmp_path), "usual") == "other"


def test_another_machine_finds_its_own(tmp_path):
    choose(Choices(MACHINE, tmp_path), "other")
    assert choose(Choices({"processor": "b"}, tmp_path), "usual") == "usual"
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


def test_each_number_of_threads_has_its_own(tmp_path, monkeypatch):
    choose(Choices(MACHINE, tmp_path), "other")
    monkeypatch.setattr(runtime, "threads", lambda: 7)
    choices = Choices(MACHINE, tmp_path)
    assert choose(choices, "usual") == "usual"
    assert choices.used == {"a product, threads 7": "usual"}


def test_what_was_found_while_this_process_tried_is_taken(tmp_path):
    late = Choices(MACHINE, tmp_path)
    assert choose(late, "usual", product="another") == "usual"  # it has read the file
    choose(Choices(MACHINE, tmp_path), "other")
    assert choose(late, "usual") == "other"


def test_a_resumed_run_takes_its_own(tmp_path):
    choose(Choices(MACHINE, tmp_path), "other")
    choices = Choices(MACHINE, tmp_path)
    key = f"a product, threads {runtime.threads()}"
    choices.adopt({key: "usual"})
    assert choose(choices, "other") == "usual"
    assert choices.used == {key: "usual"}
    # and leaves to others what they had
    assert choose(Choices(MACHINE, tmp_path), "usual") == "other"


def test_what_is_adopted_counts_at_once(tmp_path):
    choices = Choices(MACHINE, tmp_path)

    def ask():
        return choices.remembered("key", lambda: choose(choices, "other"))

    assert ask() == "other"
    choices.adopt({f"a product, threads {runtime.threads()}": "usual"})
    assert ask() == "usual"


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"format": 1}', '{"format": "other"}\n["a", "b"]\n', "\xff\xfe",
     "[" * 100_000],
)  # fmt: skip
def test_a_damaged_file_is_written_anew(tmp_path, content):
    choices = Choices(MACHINE, tmp_path)
    choices.file.write_text(content, encoding="latin-1")
    assert choose(choices, "other") == "other"
    assert choose(Choices(MACHINE, tmp_path), "usual") == "other"
    assert len(choices.file.read_text().splitlines()) == 2


@pytest.mark.parametrize("damage", ['["a product, th', "[1]\n", "{}\n", "\xff\n", "\n"])
def test_a_damaged_line_costs_no_other(tmp_path, damage):
    choices = Choices(MACHINE, tmp_path)
    choose(choices, "other")
    with choices.file.open("a", encoding="latin-1") as file:
        file.write(damage)
    late = Choices(MACHINE, tmp_path)
    assert choose(late, "usual") == "other"
    assert choose(late, "other", product="another") == "other"
    last = Choices(MACHINE, tmp_path)
    assert choose(last, "usual") == choose(last, "usual", product="another") == "other"


def test_a_file_that_has_grown_too_large_is_begun_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "LARGEST_FILE", 1000)
    for number in range(50):
        choose(Choices(MACHINE, tmp_path), "other", product=f"product {number}")
    assert choose(Choices(MACHINE, tmp_path), "usual", product="product 49") == "other"
    assert Choices(MACHINE, tmp_path).file.stat().st_size < 1100


def test_a_file_that_is_a_link_is_not_written_through(tmp_path):
    choices, other = Choices(MACHINE, tmp_path / "cache"), tmp_path / "other"
    other.write_text("mine")
    choices.file.parent.mkdir()
    choices.file.symlink_to(other)
    assert choose(choices, "other") == "other"
    assert other.read_text() == "mine"


def test_a_form_that_there_is_not_any_more_is_tried_anew(tmp_path):
    choices = Choices(MACHINE, tmp_path)
    choose(choices, "other")
    head, line = choices.file.read_text().splitlines()
    key, _ = json.loads(line)
    choices.file.write_text(f"{head}\n{json.dumps([key, 'of an older version'])}\n")
    assert choose(Choices(MACHINE, tmp_path), "other") == "other"
    assert choose(Choices(MACHINE, tmp_path), "usual") == "other"


@pytest.mark.parametrize("folder", [None, "file"])
def test_where_nothing_can_be_kept_it_is_known_to_this_process(tmp_path, folder):
    if folder is not None:
        (tmp_path / "file").write_text("")
        folder = tmp_path / "file" / "products"
    choices, calls = Choices(MACHINE, folder), []
    assert choose(choices, "other", calls) == "other"
    tried = len(calls)
    assert choose(choices, "usual", calls) == "other"
    assert len(calls) == tried


PROGRAM = """
import sys
from pathlib import Path
import paddle
from ppgan_zoo.ops.choice import Choices
choices = Choices({"processor": "a"}, Path(sys.argv[1]))
for number in range(20):
    print(choices.of(f"product {number}", ("one", "two"), lambda names: {
        name: lambda: [paddle.matmul(paddle.ones([150, 150]), paddle.ones([150, 150]))]
        for name in ("one", "two")}))
"""


def test_processes_that_begin_together_agree(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate(timeout=120)[0].split() for process in both)
    assert len(first) == 20
    assert first == second
