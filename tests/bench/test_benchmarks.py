"""The scripts under benchmarks/: their arithmetic, and a run of what needs no PyTorch."""

import importlib.util
import json
import subprocess
import sys

import pytest
from conftest import ROOT, TINY

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def comparison():
    spec = importlib.util.spec_from_file_location("peers", BENCHMARKS / "peers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Sequence:
    """Answers of a process, one a call."""

    def __init__(self, answers):
        self.answers, self.requests = list(answers), []

    def __call__(self, *arguments, **options):
        self.requests.append((arguments, options))
        return self.answers.pop(0)


def mine(ms):
    return {"ms_per_iteration": ms, "processor_ms_per_iteration": 2 * ms, "parameters": [3, 4], "ops": "paddle",
            "setting": {"objective": "non_saturating"}, "runtime": {"paddle": "3"}}  # fmt: skip


def theirs(ms, parameters=(3, 4)):
    return {
        "ms": ms,
        "processor_ms": 3 * ms,
        "parameters": list(parameters),
        "versions": "PyTorch 2",
    }


def test_the_ratio_is_peer_over_ours_and_the_runs_take_turns(comparison, monkeypatch, capsys):
    monkeypatch.setattr(comparison, "bench", Sequence([mine(100), mine(50), mine(200)]))
    monkeypatch.setattr(comparison, "peer", Sequence([theirs(150), theirs(100), theirs(100)]))
    monkeypatch.setattr(
        sys, "argv",
        ["peers.py", "-c", "demo", "--what", "training", "--ops", "paddle", "--format", "json"],
    )  # fmt: skip
    assert comparison.main() == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert [entry["ratio"] for entry in row["rounds"]] == [1.5, 2.0, 0.5]
    assert (row["ratio"], row["ratios_least"], row["ratios_largest"]) == (1.5, 0.5, 2.0)
    assert (row["ours_ms"], row["peer_ms"]) == (100, 100)
    assert (row["recipe"], row["peer"]) == ("demo", "eager")
    (which, _, request), _ = comparison.peer.requests[0]
    assert which == "torch"
    assert request["recipe"]["data"]["batch_size"] == 64
    assert request["setting"] == {"objective": "non_saturating"}
    assert comparison.bench.requests[0][1]["ops"] == "paddle"


def test_processor_time_is_compared_with_processor_time(comparison, monkeypatch, capsys):
    monkeypatch.setattr(comparison, "bench", Sequence([mine(100)]))
    monkeypatch.setattr(comparison, "peer", Sequence([theirs(150)]))
    monkeypatch.setattr(
        sys, "argv",
        ["peers.py", "-c", "demo", "--what", "training", "--rounds", "1", "--clock", "processor"],
    )  # fmt: skip
    assert comparison.main() == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split()[3:6] == ["200.0", "450.0", "2.25"]
    assert out.rstrip().endswith("1 rounds, processor time")


def test_the_variants_of_a_round_stand_beside_one_time_of_ours(comparison, monkeypatch, capsys):
    monkeypatch.setattr(comparison, "bench", Sequence([mine(100), mine(50)]))
    monkeypatch.setattr(
        comparison, "peer", Sequence([theirs(150), theirs(120), theirs(100), theirs(60)])
    )
    monkeypatch.setattr(
        sys, "argv",
        ["peers.py", "-c", "demo", "--what", "training", "--rounds", "2", "--variant", "eager",
         "--variant", "best"],
    )  # fmt: skip
    assert comparison.main() == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:3]]
    assert [row[2:6] for row in rows] == [
        ["eager", "75.0", "125.0", "1.75"],
        ["best", "75.0", "90.0", "1.20"],
    ]
    asked = [request["variant"] for (_, _, request), _ in comparison.peer.requests]
    assert asked == ["eager", "best", "eager", "best"]


def test_keras_is_asked_for_dense_nets_and_its_own_variant(comparison, monkeypatch, capsys):
    names = len(comparison.DENSE)
    monkeypatch.setattr(comparison, "bench", Sequence([mine(100)] * names))
    monkeypatch.setattr(comparison, "peer", Sequence([theirs(150)] * names))
    monkeypatch.setattr(
        sys, "argv",
        ["peers.py", "--peer", "keras", "--what", "training", "--rounds", "1", "--format", "json"],
    )  # fmt: skip
    assert comparison.main() == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["peer"] for row in rows} == {"jit"}
    assert all(row["recipe"].startswith("gan_mlp") for row in rows) and rows
    assert {arguments[0] for arguments, _ in comparison.peer.requests} == {"keras"}


def test_a_variant_of_the_other_peer_is_one_line(comparison, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["peers.py", "--peer", "keras", "--variant", "best"])
    with pytest.raises(SystemExit):
        comparison.main()
    assert "--peer keras has no variant best; give jit" in capsys.readouterr().err


def test_other_nets_are_not_compared(comparison, monkeypatch, capsys):
    monkeypatch.setattr(comparison, "bench", Sequence([mine(100)]))
    monkeypatch.setattr(comparison, "peer", Sequence([theirs(150, (3, 5))]))
    monkeypatch.setattr(sys, "argv", ["peers.py", "-c", "demo"])
    assert comparison.main() == 2
    assert "the peer has [3, 5] parameters, ours [3, 4]" in capsys.readouterr().err


def test_an_interpreter_without_the_peer_is_one_line(comparison, monkeypatch):
    from ppgan_zoo.errors import ZooError

    with pytest.raises(ZooError, match="make bench-peer PEER=keras does it"):
        comparison.peer("keras", "false", {})


def test_the_overhead_of_a_run_adds_up(tmp_path):
    (tmp_path / "tiny.yml").write_text(TINY)
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "overhead.py", "-c", "tiny.yml", "--iterations", "6",
         "--format", "markdown"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.strip().splitlines()[2:]]
    shares = {part: float(share.rstrip("%")) for _, part, _, share in rows}
    assert {"step", "batches", "SampleGrid", "CheckpointSaver", "Curves"} <= set(shares)
    assert sum(shares.values()) == pytest.approx(100, abs=0.1)
    assert all(share >= 0 for share in shares.values())


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, BENCHMARKS / script, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_pictures_a_second_of_all_who_read_the_folder():
    small = ["--count", "8", "--rounds", "1", "--picture", "64", "48", "--size", "16"]
    done = run("prepare_speed.py", *small)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("8 JPEGs of 64x48 to 16x16")
    rows = [line for line in done.stdout.splitlines() if line.startswith(("data", "a plain"))]
    assert len(rows) >= 2 and rows[-1].startswith("a plain loop of Pillow")
    done = run("prepare_speed.py", *small, "--torch", "/bin/false")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("prepare_speed: --torch /bin/false: no message")


def test_the_share_of_a_step_that_a_batch_takes(tmp_path):
    (tmp_path / "tiny.yml").write_text(TINY)
    done = run(
        "large_set.py", "-c", str(tmp_path / "tiny.yml"), "--count", "500", "--side", "28",
        "--batches", "3", "--iterations", "2", "--pause-ms", "0", "--dense",
        "--folder", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("500 images of 28x28 RGB, 0.0 GiB: peak ")
    assert "an iteration of" in lines[1] and lines[2].endswith("% of that")
