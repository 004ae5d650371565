"""The demo from end to end, at a few iterations."""

import subprocess
import sys

from conftest import ROOT
from PIL import Image

SHORT = [
    "-o", "training.iterations=6", "-o", "data.limit=256", "-o", "data.batch_size=16",
    "-o", "samples.every_steps=3", "-o", "checkpoint.every_steps=3",
]  # fmt: skip


def demo(folder):
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "demo.py", "--output", "output/demo", *SHORT],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_the_demo_trains_exports_samples_and_says_what_is_next(tmp_path):
    done = demo(tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "output" / "demo"
    assert (run / "export" / "model.yml").is_file()
    assert Image.open(run / "grid.png").size == (10 * 58 + 2, 10 * 58 + 2)
    assert Image.open(tmp_path / "output" / "demo-pretrained.png").width == 582
    for page in ("playground.html", "report.html"):
        assert (run / page).read_text(encoding="utf-8").startswith("<!doctype html>")
        assert f"  output/demo/{page}: " in done.stdout
    assert "largest difference from the trained generator" in done.stdout
    assert len([line for line in done.stdout.splitlines() if line.startswith("  ")][-3:]) == 3
    for noise in ("Traceback", "Warning", "W0", "I0", "ccache", "OMP_NUM_THREADS"):
        assert noise not in done.stdout + done.stderr, noise


def test_a_second_demo_keeps_the_first(tmp_path):
    first = demo(tmp_path)
    marker = tmp_path / "output" / "demo" / "mine.txt"
    marker.write_text("kept")
    second = demo(tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert "moved the earlier demo" in second.stdout
    (kept,) = (tmp_path / "output").glob("demo-2*")
    assert (kept / "mine.txt").read_text() == "kept"
