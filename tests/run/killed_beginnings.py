"""Kills a training at changes of the disk, one after the other, and then does what it is told to.

Run as a script by test_advice.py, with a folder for its work, the recipe, and how many changes
lie between two kills. Each command runs in a fork of this process, which has imported Paddle
and computed nothing. Prints a line of JSON for each kill.
"""

import json
import os
import shlex
import signal
import sys
import threading
from pathlib import Path

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NAME = "it's run #1"


class Killer:
    """Ends this process when it is about to change the disk for the n-th time."""

    def __init__(self, last):
        self.left = last

    def __call__(self, event, arguments):
        changes = event in CHANGES or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        )
        if changes:
            self.left -= 1
            if self.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


def command(arguments, folder, kill_at=None):
    """Run one command line in a fork; return how it ended and what it said."""
    from ppgan_zoo.cli import main

    said = folder / "said"
    assert threading.active_count() == 1
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.chdir(folder)
            descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            if kill_at is not None:
                sys.addaudithook(Killer(kill_at))
            code = main(arguments)
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.read_text(errors="replace")


def weights(run):
    """Return what the last checkpoint holds, but for its manifest, which has no time in it."""
    (*_, last) = sorted(run.glob("checkpoints/step-*"))
    return {path.name: path.read_bytes() for path in sorted(last.iterdir())}


def follow_advice(arguments, folder):
    """Give the same command again and, if it is refused, the one that the refusal names."""
    code, said = command(arguments, folder)
    if code == 0:
        return "begun again", said
    line = said.strip().splitlines()[-1]
    assert code == 2 and "continue it with ppgan-zoo " in line, (code, said)
    advice = line.partition("continue it with ppgan-zoo ")[2].rpartition(", or give")[0]
    code, said = command(shlex.split(advice), folder)
    assert code == 0, (advice, said)
    return "resumed", said


def main():
    """Kill and follow until a training ends before its kill."""
    folder, recipe, every = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    from ppgan_zoo import runtime

    runtime.start("cpu")
    import ppgan_zoo.run.train  # noqa: F401

    arguments = ["train", "-c", recipe, "--offline", f"--output={NAME}"]
    (folder / "whole").mkdir()
    code, said = command(arguments, folder / "whole")
    assert code == 0, said
    whole = weights(folder / "whole" / NAME)
    kill_at, code = 0, -9
    while True:
        place = folder / str(kill_at)
        place.mkdir()
        code, said = command(arguments, place, kill_at)
        if code != -signal.SIGKILL:
            assert code == 0, said
            return 0
        outcome, said = follow_advice(arguments, place)
        had_saved = "resumed from step-" in said
        print(json.dumps({
            "kill_at": kill_at, "outcome": outcome, "had_saved": had_saved,
            "same": weights(place / NAME) == whole,
        }), flush=True)  # fmt: skip
        kill_at += every


if __name__ == "__main__":
    sys.exit(main())
