"""A result in a line."""

from __future__ import annotations

from ppgan_zoo.search.results import Result


def describe(result: Result) -> str:
    """Return a line on a result."""
    name = f"{result.setting}, seed {result.seed}"
    if result.failure is not None:
        return f"{name}: FAILED in {result.failure}"
    parts = [f"FID {result.metrics['fid']:.2f}"]
    if result.metrics.get("modes") is not None:
        parts.append(f"{result.metrics['modes']:.0f} modes")
    if result.training is not None:
        cut = f" ({result.status})" if result.cut else ""
        parts.append(f"{result.training.minutes:.2f} minutes{cut}")
        parts.append(f"{result.training.images:,} images")
        if result.training.restarts:
            parts.append(f"restarted {times(result.training.restarts)}")
    return f"{name}: {', '.join(parts)}"


def times(count: int) -> str:
    """Return how often, in words."""
    return "once" if count == 1 else f"{count} times"
