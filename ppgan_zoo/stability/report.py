"""What came out of many first phases: shares, intervals, a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median
from typing import Any

Z = 1.959963984540054  # of a 95 % interval

Answer = Mapping[str, Any]


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, by Wilson's score (Wilson 1927).

    Unlike the share plus or minus two standard errors it stays within 0 and 1 and says
    something of 40 of 40.

    Args:
        successes: 0 to `trials`.
        trials: At least 1.

    Raises:
        ValueError: There is no trial, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} of {trials} is no share")
    share, z2 = successes / trials, Z * Z
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return (0.0 if successes == 0 else low, 1.0 if successes == trials else high)


@dataclass(frozen=True)
class Row:
    """All runs of one recipe by one way to compute.

    Attributes:
        recipe: Its name.
        ops: Value of ``PPGAN_ZOO_OPS``.
        data: What they were trained on, in words.
        runs: How many ended with an answer, failures included.
        begun: How many of them began to learn.
        interval: 95 % interval of the share.
        iterations: Median and largest iteration at which runs had begun; None if none had.
        failed: Seeds that did not begin.
    """

    recipe: str
    ops: str
    data: str
    runs: int
    begun: int
    interval: tuple[float, float]
    iterations: tuple[int, int] | None
    failed: tuple[int, ...]


def summarise(recipe: str, ops: str, answers: Mapping[int, Answer]) -> Row:
    """Return the row of the answers of some seeds, at least one."""
    begun = sorted(answer["iteration"] for answer in answers.values() if answer["begun"])
    return Row(
        recipe=recipe,
        ops=ops,
        data=data_in_words(next(iter(answers.values()))),
        runs=len(answers),
        begun=len(begun),
        interval=wilson(len(begun), len(answers)),
        iterations=(int(median(begun)), begun[-1]) if begun else None,
        failed=tuple(seed for seed, answer in sorted(answers.items()) if not answer["begun"]),
    )


def data_in_words(answer: Answer) -> str:
    """Return what a run was trained on: name, size and where from."""
    data = answer["data"]
    return f"{data['name']}, {data['count']:,} images ({data['source']})"


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| recipe | data | computed by | begun | share | 95 % interval "
        "| iterations until then (median, most) | seeds that failed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        low, high = row.interval
        iterations = "none" if row.iterations is None else "{}, {}".format(*row.iterations)
        failed = ", ".join(map(str, row.failed)) or "none"
        lines.append(
            f"| {row.recipe} | {row.data} | {row.ops} | {row.begun} of {row.runs} "
            f"| {row.begun / row.runs:.1%} | {low:.1%} to {high:.1%} | {iterations} | {failed} |"
        )
    return "\n".join(lines)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows as what JSON can hold."""
    return [
        {
            "recipe": row.recipe,
            "data": row.data,
            "ops": row.ops,
            "runs": row.runs,
            "begun": row.begun,
            "interval_95": list(row.interval),
            "iterations_median_and_most": row.iterations and list(row.iterations),
            "failed_seeds": list(row.failed),
        }
        for row in rows
    ]
