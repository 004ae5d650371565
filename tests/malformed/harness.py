"""What a case of malformed input is, and how it is run and judged."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT
from fork_server import CPU_SECONDS, MEMORY_BYTES


@dataclass(frozen=True)
class Stock:
    """Sound files to damage, made once.

    Attributes:
        data: A directory that holds a small MNIST, which commands find by the environment.
        run: A finished run.
        checkpoint: One of its checkpoints.
        exported: An exported model.
    """

    data: Path
    run: Path
    checkpoint: Path
    exported: Path


def nothing(folder: Path, stock: Stock) -> None:
    """Build no file: the arguments alone are wrong."""


@dataclass(frozen=True)
class Case:
    """One malformed input.

    Attributes:
        name: What is wrong, in a few words; unique within its module.
        arguments: The command line; paths are relative to the folder that `build` fills.
        says: What the one line must contain: the file, the key, what was found, what to do.
        build: Makes the files.
    """

    name: str
    arguments: tuple[str, ...]
    says: tuple[str, ...]
    build: Callable[[Path, Stock], None] = nothing


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    stdout: str
    stderr: str
    cpu_seconds: float
    peak_bytes: int


class ForkServer:
    """Runs command lines in forks of a warmed process."""

    def __init__(self, stock: Stock) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                       "PPGAN_ZOO_THREADS": "1", "PYTHONPATH": str(ROOT),
                       "PPGAN_ZOO_DATA": str(stock.data)}  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("fork_server.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def run(self, arguments: tuple[str, ...], folder: Path) -> Done:
        """Run one command in ``folder/here``."""
        request = json.dumps({"arguments": arguments, "folder": str(folder)})
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the fork server died"
        streams = {
            name: (folder / name).read_text(errors="backslashreplace")
            for name in ("stdout", "stderr")
        }
        return Done(**json.loads(answer), **streams)

    def close(self) -> None:
        """End the server and wait for it."""
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0


def judge(case: Case, done: Done) -> None:
    """Check everything that is promised of malformed input."""
    assert done.code == 2, (done.code, done.stderr[-2000:])
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr[-2000:]
    assert done.stderr.endswith("\n")
    assert lines[0].startswith("ppgan-zoo: ")
    assert lines[0].isprintable(), lines[0]
    assert len(lines[0]) < 1000, lines[0][:1200]
    for words in case.says:
        assert words in lines[0], (words, lines[0])
    assert done.stdout == ""
    assert done.peak_bytes < MEMORY_BYTES
    assert done.cpu_seconds < CPU_SECONDS


def snapshot(folder: Path) -> dict[str, object]:
    """Return what a folder holds, so that a change can be told, but for the locks of runs."""
    return {
        str(path.relative_to(folder)): _content(path)
        for path in sorted(folder.rglob("*"))
        if path.name != ".lock" or path.is_symlink()
    }


def _content(path: Path) -> object:
    if os.path.isfile(path) and path.stat().st_size < 1 << 22:
        return path.read_bytes()
    return path.lstat().st_size
