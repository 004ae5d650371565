"""How fast the recipes train on this machine; no Paddle in this process.

Each recipe is measured in a fresh process by :mod:`ppgan_zoo.bench.process`, offline: on the
data that the recipe names where they are at hand, on the embedded subset of them else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ppgan_zoo.bench.process import Request
from ppgan_zoo.distributed.streams import as_parent
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.ops import SWITCH
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe
from ppgan_zoo.runtime import python_module
from ppgan_zoo.storage.terminal import exit_text, tell

Row = dict[str, Any]


def bench(
    recipe: str,
    overrides: Sequence[str] = (),
    *,
    warmup: int = 3,
    iterations: int = 20,
    seconds: float = 3.0,
    ops: str | None = None,
    profile: bool = False,
    sample: bool = False,
    python: str = sys.executable,
) -> Row:
    """Measure one recipe in a process of its own.

    Args:
        recipe: A file or a shipped name.
        overrides: ``key=value`` texts.
        warmup: Iterations that are not timed, at least 1.
        iterations: Fewest iterations to time.
        seconds: Shortest time to spend on them.
        ops: Value of ``PPGAN_ZOO_OPS``: ``"auto"``, ``"paddle"`` or ``"off"``; None leaves the
            environment's choice.
        profile: Name the most expensive operations as well.
        sample: Measure sampling from the exported generator, and not training.
        python: The interpreter of the process.

    Returns:
        ``recipe``, ``ms_per_iteration`` (the median) and what else was measured: see
        docs/performance.md.

    Raises:
        ConfigError: The recipe cannot be measured, or its process failed.
    """
    path = find_recipe(recipe)
    load_recipe(path, overrides)  # refused here, in a moment
    environment = {**os.environ, **as_parent()}
    if ops is not None:
        environment[SWITCH] = ops
    request = Request(
        recipe=str(path),
        overrides=list(overrides),
        warmup=warmup,
        iterations=iterations,
        seconds=seconds,
        launched=time.time(),
        profile=profile,
        sample=sample,
    )
    done = subprocess.run(
        [*python_module("ppgan_zoo.bench.process", python), json.dumps(asdict(request))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    answer = _last_line(done, path.stem)
    if "error" in answer:
        raise ConfigError(f"{path.stem}: {answer['error']}")
    return {"recipe": path.stem, "ops": environment.get(SWITCH, "auto"), **answer}


def _last_line(done: subprocess.CompletedProcess[str], recipe: str) -> Row:
    if done.returncode:
        tell(*done.stderr.splitlines())
        raise ConfigError(f"{recipe}: its process ended with {exit_text(done.returncode)}")
    answer: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


COLUMNS: dict[str, str] = {  # of training: heading and how a row fills it
    "recipe": "{recipe}",
    "ms / iteration": "{ms_per_iteration:,.1f}",
    "quartiles": "{ms_quartiles[0]:,.1f} to {ms_quartiles[1]:,.1f}",
    "images / s": "{images_per_second:,.0f}",
    "peak MiB": "{peak_memory_mib:,.0f}",
    "growth MiB": "{memory_growth_mib:+,.0f}",
    "GFLOP": "{gflop_per_iteration:,.2f}",
    "of ceiling": "{share_of_ceiling:.0%}",
    "first step s": "{first_step_seconds:.1f}",
}
SAMPLE_COLUMNS: dict[str, str] = {
    "recipe": "{recipe}",
    "ms / batch of 128": "{ms_per_batch:,.1f}",
    "quartiles": "{ms_quartiles[0]:,.1f} to {ms_quartiles[1]:,.1f}",
    "samples / s": "{samples_per_second:,.0f}",
}
PROFILE_COLUMNS: dict[str, str] = {
    "operation": "{operation}",
    "calls / iteration": "{calls:.0f}",
    "ms / iteration": "{ms:,.2f}",
}


def table(rows: Sequence[Row], columns: dict[str, str], *, markdown: bool = False) -> str:
    """Return the rows as a table: for a terminal, or in Markdown."""
    cells = [list(columns), *([form.format(**row) for form in columns.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if markdown:
        cells.insert(1, ["---"] * len(columns))
        return "\n".join("| " + " | ".join(line) + " |" for line in cells)
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    )
