"""The fault run and the load run, in short."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT


def tool(name, *arguments):
    return subprocess.run(
        [sys.executable, ROOT / "tools" / name, *arguments],
        capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, "PPGAN_ZOO_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs /proc")
def test_kills_at_random_moments_change_no_byte():
    ended = tool("faults.py", "--kills", "6", "--seed", "1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "6 of 6 kills: resumed to the bytes of the run that nothing stopped" in ended.stdout


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs /proc")
def test_open_files_and_threads_stay_constant():
    # Memory has not settled yet after so few iterations: the long run looks at it.
    ended = tool("load.py", "--iterations", "300", "--settled", "100", "--every", "100",
                 "--allowed-growth", "1")  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "open files and threads: constant" in ended.stdout
