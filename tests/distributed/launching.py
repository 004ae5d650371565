"""Starts a script of the tests in some processes, by Paddle's launcher if they are more than one."""

import os
import subprocess
import sys


def run_in(processes, folder, script, *arguments, timeout=300):
    """Run ``script arguments`` in a group of processes; fail with what they said."""
    command = [sys.executable]
    if processes > 1:
        launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes)]
        command += [*launcher, "--log_dir", str(folder / "log")]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PADDLE_")}
    done = subprocess.run(
        [*command, str(script), *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout, cwd=folder, check=False,
        env={**clean, "PPGAN_ZOO_THREADS": "1"},
    )  # fmt: skip
    logs = "".join(path.read_text() for path in sorted(folder.glob("log/workerlog.*")))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:] + logs[-3000:]
