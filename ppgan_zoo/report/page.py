"""A report as one HTML page: no file beside it, no network, every stranger's word escaped."""

from __future__ import annotations

import base64
import html
import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from ppgan_zoo import __version__
from ppgan_zoo.metrics.table import figure_text, in_order, row_of
from ppgan_zoo.report.charts import charts_of, common_limits, draw
from ppgan_zoo.report.facts import RunFacts, differing_settings
from ppgan_zoo.storage.pictures import as_data_url, image_grid
from ppgan_zoo.storage.terminal import printable

PAIRS = 12
"""Samples in a row, above their nearest training pictures."""

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto;
  padding: 1rem 1.2rem 3rem; max-width: 74rem; }
h1 { font-size: 1.5rem; margin: .3rem 0; } h2 { font-size: 1.2rem; margin: 1.6rem 0 .4rem;
  overflow-wrap: anywhere; } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .3rem 0 .6rem; } .note, figcaption { color: #555; font-size: .86rem; }
.runs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr));
  gap: 0 2rem; align-items: start; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr));
  gap: .6rem 1.4rem; }
figure { margin: 0; } figure img { width: 100%; height: auto; }
figure.film img { image-rendering: pixelated; background: #606060; }
.controls { display: flex; gap: .7rem; align-items: center; margin: .4rem 0; flex-wrap: wrap; }
.controls input { flex: 1; min-width: 8rem; } button { font: inherit; padding: .2rem .9rem; }
table { border-collapse: collapse; font-size: .9rem; } td, th { padding: .15rem .8rem .15rem 0;
  text-align: left; vertical-align: top; border-bottom: 1px solid #eee; } td.n { text-align: right;
  font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; }
pre { background: #f5f5f3; padding: .6rem .8rem; overflow-x: auto; font-size: .82rem;
  margin: .3rem 0; }
li.trouble::marker { color: #c1120e; font-weight: bold; }
summary { cursor: pointer; } .badge { color: #555; font-size: .95rem; }
"""

_SCRIPT = """
for (const film of document.querySelectorAll('figure.film')) {
  const frames = JSON.parse(film.querySelector('script').textContent);
  const [picture, slider, button, said] = ['img', 'input', 'button', 'output']
    .map(name => film.querySelector(name));
  film.querySelector('.controls').hidden = false;
  let timer = null;
  const show = () => {
    const [iteration, source] = frames[+slider.value];
    picture.src = source;
    said.value = 'iteration ' + iteration.toLocaleString('en');
    slider.setAttribute('aria-valuetext', said.value);
  };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = 'Play'; };
  slider.addEventListener('input', () => { stop(); show(); });
  button.addEventListener('click', () => {
    if (timer) { stop(); return; }
    if (+slider.value === frames.length - 1) slider.value = 0;
    button.textContent = 'Stop';
    show();
    timer = setInterval(() => {
      if (+slider.value === frames.length - 1) { stop(); return; }
      slider.value = +slider.value + 1;
      show();
    }, 250);
  });
  show();
}
"""


def page(runs: Sequence[RunFacts]) -> str:
    """Return the report of one run, or of several side by side.

    Args:
        runs: At least one.
    """
    title = f"Report of {runs[0].name}" if len(runs) == 1 else f"Report of {len(runs)} runs"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="note">Made by ppgan_zoo {_text(__version__)}. G makes samples; D learns to '
        "tell them from real images.</p>",
        *([_comparison(runs)] if len(runs) > 1 else []),
        '<div class="runs">',
        *(_section(run, runs) for run in runs),
        "</div>",
    ]
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + f"\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _comparison(runs: Sequence[RunFacts]) -> str:
    """Return what differs: settings, and the figures of each run."""
    names = [run.name for run in runs]
    settings = differing_settings(runs)
    rows = [[key, *values] for key, values in settings.items()] or [
        ["no setting differs", *[""] * len(runs)]
    ]
    return "<h2>What differs</h2>" + _table(["setting", *names], rows)


def _section(run: RunFacts, runs: Sequence[RunFacts]) -> str:
    parts = [
        f"<h2>{_text(run.name)}</h2>",
        f'<p class="badge">{_text(_summary(run))}</p>',
        _film(run),
        _events(run),
        _figures(run),
        _neighbours(run),
        "<h3>Curves</h3>",
        _curves(run, runs),
        _recipe(run),
        _environment(run),
        _next(run),
    ]
    return "<section>" + "\n".join(filter(None, parts)) + "</section>"


def _summary(run: RunFacts) -> str:
    model, data = run.recipe["model"]["name"], run.recipe["data"]["name"]
    done = "not begun"
    if run.iterations is not None:
        count, of = run.iterations
        state = "finished" if run.is_complete else f"stopped or going on, of {of:,}"
        done = f"{count:,} iterations in {_duration(run.seconds)} ({state})"
    again = f", started again {run.restarts} times" if run.restarts else ""
    return f"{model} on {data}: {done}{again}"


def _film(run: RunFacts) -> str:
    if not run.grids:
        return '<p class="note">No sample grid is drawn yet.</p>'
    frames = [[grid.iteration, as_data_url(grid.pixels)] for grid in run.grids]
    last = len(frames) - 1
    # A script of type application/json runs nothing; "</" could end it.
    data = json.dumps(frames).replace("</", "<\\/")
    return (
        f'<figure class="film"><img src="{frames[last][1]}" alt="Grid of samples">'
        '<div class="controls" hidden><button type="button">Play</button>'
        f'<input type="range" min="0" max="{last}" value="{last}" aria-label="Iteration of the '
        'grid"><output></output></div>'
        f"<figcaption>Samples of always the same z, {len(frames)} grids from iteration "
        f"{frames[0][0]:,} to {frames[last][0]:,}.</figcaption>"
        f'<script type="application/json">{data}</script></figure>'
    )


def _events(run: RunFacts) -> str:
    if not run.events:
        return "<h3>Health</h3><p>No trouble was named.</p>"
    items = "".join(
        f'<li class="trouble"><b>{_text(event.name)}</b> from iteration {event.iteration:,} '
        f"{f'to {event.until:,}' if event.until is not None else 'on'}: {_text(event.text)}</li>"
        for event in run.events
    )
    return f"<h3>Health</h3><p>The numbers are in the curves.</p><ol>{items}</ol>"


def _figures(run: RunFacts) -> str:
    parts = []
    for result in run.evaluations:
        real, settings, floor = result["real"], result["settings"], result["floor"]
        least = floor["metrics"] if floor else {}
        own = result["metrics"]
        rows = [
            [row_of(name)[0], figure_text(name, own), figure_text(name, least), row_of(name)[2]]
            for name in in_order(own)
        ]
        parts.append(
            f'<p class="note">Iteration {result["model"]["iteration"]:,}: '
            f"{settings['num_samples']:,} samples (seed {settings['seed']}) "
            f"against {real['count']:,} {_text(real['split'])} images, features "
            f"{_text(result['features']['name'])}. The floor is what real images get when "
            "they are measured as samples.</p>"
            + _table(["figure", "samples", "floor", "wanted"], rows)
        )
    taken = [
        [tag.removeprefix("metric/"), f"{points[-1][1]:.4g}", f"{points[-1][0]:,}"]
        for tag, points in run.curves.items()
        if tag.startswith("metric/") and points
    ]
    if taken:
        parts.append(
            '<p class="note">Taken while training went on, the last of each.</p>'
            + _table(["figure", "samples", "iteration"], taken)
        )
    if not parts:
        where = shlex.quote(str(run.path))
        parts.append(
            f"<p>Not evaluated. <code>ppgan-zoo evaluate {_text(where)} --output result.json"
            "</code>, then <code>report --figures result.json</code>, puts figures here.</p>"
        )
    return "<h3>Figures</h3>" + "".join(parts)


def _neighbours(run: RunFacts) -> str:
    found = run.neighbours
    if found is None:
        return ""
    count = len(found.samples)
    columns = min(count, PAIRS)
    blank = np.full((-count % columns, *found.samples.shape[1:]), 255, np.uint8)
    in_rows = [
        np.concatenate([pictures, blank]).reshape(-1, columns, *pictures.shape[1:])
        for pictures in (found.samples, found.nearest)
    ]
    pairs = np.stack(in_rows, axis=1).reshape(-1, *found.samples.shape[1:])
    source = as_data_url(image_grid(pairs, columns))
    how_far = (
        f" Samples are {found.ratio:.2f} times as far from their nearest as a training picture is "
        "from its nearest other one: about 1 is as it should be, near 0 are copies, far above 1 "
        "is unlike anything in the set."
        if math.isfinite(found.ratio)
        else ""
    )
    unsure = "" if found.is_known else ", which may not be those the run was trained on"
    return (
        "<h3>Nearest training pictures</h3>"
        f'<figure class="film"><img src="{source}" alt="Samples, and below each its nearest '
        'training picture"><figcaption>In each pair of rows: samples of seed 0 above, and below '
        f"each the nearest of {found.trained_on:,} training pictures{unsure}, by "
        f"{_text(found.measured_by)}.{how_far}</figcaption></figure>"
    )


def _curves(run: RunFacts, runs: Sequence[RunFacts]) -> str:
    figures = []
    for chart in charts_of(run.curves):
        limits = None
        if len(runs) > 1 or chart.limit is not None:
            limits = common_limits(chart, [other.curves for other in runs])
        drawn = draw(chart, run.curves, run.events, limits).encode()
        source = f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}"
        figures.append(
            f'<figure><b>{_text(chart.title)}</b><img src="{source}" '
            f'alt="{_text(chart.title)}: {_text(_ends(chart.tags, run))}" loading="lazy">'
            f"<figcaption>{_text(chart.note)}</figcaption></figure>"
        )
    if not figures:
        return '<p class="note">No curve is recorded yet.</p>'
    return f'<div class="charts">{"".join(figures)}</div>'


def _ends(tags: Mapping[str, str], run: RunFacts) -> str:
    """Return in words where the curves of a chart begin and end, for who cannot see them."""
    return "; ".join(
        f"{label} from {points[0][1]:.3g} to {points[-1][1]:.3g}"
        for tag, label in tags.items()
        if (points := run.curves.get(tag))
    )


def _recipe(run: RunFacts) -> str:
    text = yaml.safe_dump(dict(run.recipe), sort_keys=False, allow_unicode=True)
    return f"<details><summary>Recipe</summary><pre>{_text(text)}</pre></details>"


def _environment(run: RunFacts) -> str:
    if not run.starts:
        return ""
    start = run.starts[-1]
    runtime, versions = _mapping(start, "runtime"), _mapping(start, "versions")
    data, command = _mapping(start, "data"), start.get("command")
    rows: list[list[Any]] = [
        ["command", shlex.join(map(str, command)) if isinstance(command, list) else ""],
        ["started", f"{start.get('started')} ({len(run.starts)} starts)"],
        ["ppgan_zoo", f"{start.get('ppgan_zoo')}, commit {start.get('git_commit') or 'unknown'}"],
        ["Paddle", runtime.get("paddle")],
        ["device", f"{runtime.get('device')}, {runtime.get('threads')} threads, "
         f"{runtime.get('processor')}"],
        ["Python", start.get("python")],
        ["packages", ", ".join(f"{name} {version}" for name, version in versions.items())],
        ["data", f"{data.get('count')} images of {data.get('name')}, SHA-256 {data.get('sha256')}"],
    ]  # fmt: skip
    return f"<details><summary>Environment</summary>{_table(['', ''], rows)}</details>"


def _next(run: RunFacts) -> str:
    where = shlex.quote(str(run.path))
    commands = [
        *([] if run.is_complete else [f"ppgan-zoo train --resume {where}"]),
        f"ppgan-zoo sample {where} -n 64 --output grid.png",
        f"ppgan-zoo walk {where} --output walk.gif",
        f"ppgan-zoo evaluate {where} --output result.json",
        f"ppgan-zoo export --checkpoint {where} --output model",
        f"ppgan-zoo publish {where} --output published",
    ]
    return f"<h3>What to type next</h3><pre>{_text(chr(10).join(commands))}</pre>"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    cells = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    top = f"<tr>{cells}</tr>" if any(head) else ""
    return f'<div class="wide"><table>{top}{body}</table></div>'


def _mapping(start: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = start.get(key)
    return found if isinstance(found, dict) else {}


def _duration(seconds: float) -> str:
    minutes = seconds / 60.0
    return f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{minutes:.1f} minutes"


def _text(value: Any) -> str:
    """Return text as HTML shows it; what steers a terminal or a page is escaped."""
    return html.escape("\n".join(map(printable, str(value).split("\n"))))
