"""An evaluation's result as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ppgan_zoo.storage.terminal import printable

# Label, digits after the point, and what to wish for.
ROWS = {
    "fid": ("FID", 3, "lower"),
    "kid": ("KID x 1000", 3, "lower"),
    "class_score": ("class score", 3, "higher"),
    "precision": ("precision", 4, "higher"),
    "recall": ("recall", 4, "higher"),
    "density": ("density", 4, "near 1"),
    "coverage": ("coverage", 4, "higher"),
    "modes": ("modes", 0, "higher"),
    "class_entropy": ("class entropy (nats)", 4, "near the floor"),
    "sharpness": ("sharpness", 3, "near 1"),
    "label_accuracy": ("label accuracy", 4, "higher"),
    "cluster_accuracy": ("cluster accuracy", 4, "higher"),
    "factor_recall": ("factors: recall", 4, "higher"),
    "least_factor_recall": ("factors: least recall", 4, "higher"),
    "factor_distance": ("factors: distance", 4, "near the floor"),
    "largest_factor_distance": ("factors: largest distance", 4, "near the floor"),
    "memorisation": ("memorisation", 4, "0.5; 1 copies"),
    "memorisation_z": ("memorisation z", 1, "below 3"),
    "memorisation_ratio": ("distance ratio", 3, "near 1"),
}
ERRORS = {
    "fid": "fid_standard_error",
    "kid": "kid_standard_error",
    "class_score": "class_score_std",
}
SCALES = {"kid": 1000.0}


def format_result(result: Mapping[str, Any]) -> str:
    """Return a result of :func:`ppgan_zoo.run.evaluate.evaluate` as text, notes first."""
    model, real, features = result["model"], result["real"], result["features"]
    settings, floor = result["settings"], result["floor"]
    weights = "moving average" if model["weights"] == "ema" else "last weights"
    lines = [
        *(f"note: {note}" for note in result["notes"]),
        f"{model['model']}, iteration {model['iteration']:,} ({weights}): {model['path']}",
        f"{settings['num_samples']:,} samples (seed {settings['seed']}) against "
        f"{real['count']:,} {real['split']} images of {real['name']}, "
        f"features {features['name']} ({features['sha256'][:12]})",
        "",
    ]
    lines += _table(result["metrics"], floor)
    if floor:
        lines += ["", f"floor: {floor['real']['count']:,} {floor['real']['split']} images of "
                  f"{floor['real']['name']} measured as samples"]  # fmt: skip
    if result.get("curve"):
        points = "; ".join(
            f"{point['iteration']:,}: {figure_text('fid', point)}" for point in result["curve"]
        )
        lines += ["", f"FID by {result['curve_samples']:,} samples, by iteration: {points}"]
    return "\n".join(map(printable, lines))


def format_comparison(result: Mapping[str, Any]) -> str:
    """Return a result of :func:`ppgan_zoo.evaluation.comparison.compare` as text, notes first."""
    pictures, real, features = result["pictures"], result["real"], result["features"]
    floor = result["floor"]
    lines = [
        *(f"note: {note}" for note in result["notes"]),
        f"{pictures['count']:,} pictures of {pictures['path']} against {real['count']:,} of "
        f"{real['path']}, features {features['name']} ({features['sha256'][:12]})",
        "",
        *_table(result["metrics"], floor),
    ]
    if floor:
        count = floor["real"]["count"]
        lines += ["", f"floor: one half of the second set against the other, {count:,} pictures "
                  "each; FID of fewer pictures is higher"]  # fmt: skip
    return "\n".join(map(printable, lines))


def _table(metrics: Mapping[str, float | None], floor: Mapping[str, Any] | None) -> list[str]:
    lines = []
    table = [("", "samples", "floor" if floor else "", "wanted")]
    for name in in_order(metrics):
        label, _, wanted = row_of(name)
        own = figure_text(name, metrics)
        table.append((label, own, figure_text(name, floor["metrics"]) if floor else "", wanted))
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    for label, own, least, wanted in table:
        cells = f"{label:{widths[0]}}  {own:>{widths[1]}}  {least:>{widths[2]}}  {wanted}"
        lines.append(cells.rstrip())
    return lines


def in_order(figures: Iterable[str]) -> list[str]:
    """Return the figures that have a row: the zoo's own in the order of `ROWS`, then others."""
    found = [name for name in figures if name not in ERRORS.values()]
    return [name for name in ROWS if name in found] + [name for name in found if name not in ROWS]


def row_of(name: str) -> tuple[str, int, str]:
    """Return label, digits and wish of a figure; of a plugin's figure nothing but the name."""
    return ROWS.get(name, (name.replace("_", " "), 4, ""))


def figure_text(name: str, figures: Mapping[str, float | None]) -> str:
    """Return a figure with its standard error, where it has one, as the table shows them."""
    value = figures.get(name)
    if value is None:
        return "-"
    digits, scale = row_of(name)[1], SCALES.get(name, 1.0)
    text = f"{value * scale:.{digits}f}"
    error = figures.get(ERRORS.get(name, ""))
    return text if error is None else f"{text} +- {error * scale:.{digits}f}"
