"""Reports: what they say of a run, that nothing outside is needed, that no word of a stranger acts."""

import base64
import html.parser
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from PIL import Image

from ppgan_zoo.cli import main
from ppgan_zoo.report.charts import CHARTS, COLOURS, Chart, charts_of, common_limits, draw
from ppgan_zoo.report.facts import Event, differing_settings, read_events, read_run
from ppgan_zoo.report.page import page
from ppgan_zoo.storage.checkpoint import open_checkpoint
from ppgan_zoo.storage.ownership import is_sealed

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two finished runs that differ in the rate of D; their names would be HTML."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "r.yml").write_text(TINY)
    found = []
    for name, rate in (("<b>one", "1e-3"), ("two", "1e-4")):
        more = ["-o", f"optimizer.discriminator.learning_rate={rate}", "-o", "health.every_steps=4"]
        arguments = ["train", "-c", str(folder / "r.yml"), "--offline", *more]
        assert main([*arguments, "--output", str(folder / name)]) == 0
        found.append(folder / name)
    return found


class Reader(html.parser.HTMLParser):
    """Gathers tags with their attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("img", "input", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def made(*paths, **options):
    return page([read_run(path, **options) for path in paths])


def test_the_page_is_whole_and_needs_nothing_else(runs):
    text = made(*runs)
    reader = Reader(text)
    assert reader.open == []
    for tag, attributes in reader.tags:
        assert tag not in ("link", "iframe", "object", "base"), tag
        source = attributes.get("src")
        assert source is None or source.startswith("data:image/"), source
        assert not {"href", "srcset", "onload", "onclick"} & set(attributes)
        if tag == "img":
            assert attributes["alt"]
    assert "http://" not in re.sub(r"data:[^\"']*", "", text)
    (policy,) = [a["content"] for _, a in reader.tags if "http-equiv" in a]
    assert policy.startswith("default-src 'none'")


def test_names_are_text_and_no_tags(runs):
    text = made(runs[0])
    assert "&lt;b&gt;one" in text
    assert "<b>one" not in text


def test_the_film_holds_the_grids(runs):
    text = made(runs[1])
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    frames = json.loads(data)
    files = sorted((runs[1] / "samples").iterdir())
    assert [iteration for iteration, _ in frames] == [4, 8, 12]
    for (_, source), path in zip(frames, files, strict=True):
        content = base64.b64decode(source.removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(content)) as shown, Image.open(path) as drawn:
            np.testing.assert_array_equal(np.asarray(shown), np.asarray(drawn))
    assert len(read_run(runs[1], frames=2).grids) == 2


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_runs_the_film(runs, tmp_path):
    text = made(runs[1])
    end = text.rindex("</body>")
    probe = """<script>
      document.querySelector('input').value = 1;
      document.querySelector('input').dispatchEvent(new Event('input'));
    </script>"""
    (tmp_path / "page.html").write_text(text[:end] + probe + text[end:])
    done = subprocess.run(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", tmp_path / "page.html"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "iteration 8</output>" in done.stdout  # the second of 4, 8 and 12
    assert '<div class="controls">' in done.stdout  # no longer hidden
    shown = re.search(r'<figure class="film"><img src="([^"]*)"', done.stdout)[1]
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    assert shown == json.loads(data)[1][1]


def test_the_page_says_what_the_run_was_and_what_to_type(runs):
    text = Reader(made(runs[1])).text
    assert "gan_mlp on mnist: 12 iterations in" in text and "(finished)" in text
    assert f"ppgan-zoo walk {runs[1]}" in text and "--resume" not in text
    assert "learning_rate: 0.0001" in text  # the recipe
    start = json.loads((runs[1] / "manifest.json").read_text())["starts"][0]
    for value in (start["git_commit"], start["data"]["sha256"], start["runtime"]["paddle"]):
        assert str(value) in text
    assert "Not evaluated." in text


def test_runs_side_by_side_name_what_differs(runs):
    both = [read_run(path) for path in runs]
    assert differing_settings(both) == {
        "optimizer.discriminator.learning_rate": ["0.001", "0.0001"]
    }
    text = Reader(page(both)).text
    assert "Report of 2 runs" in text and "What differs" in text
    assert page(both).count("<section>") == 2


def result(path, **changes):
    sha256 = open_checkpoint(path / "checkpoints" / "step-00000012").sha256
    return {
        "model": {"path": str(path), "sha256": sha256, "iteration": 12, "weights": "ema"},
        "features": {"name": "digits-v1", "sha256": "f" * 64},
        "real": {"name": "mnist", "count": 10_000, "split": "test"},
        "settings": {"num_samples": 500, "seed": 3},
        "metrics": {"fid": 12.3456, "kid": 0.0123, "kid_standard_error": 0.0004, "recall": None},
        "floor": {"metrics": {"fid": 0.5}}, "notes": [], **changes,
    }  # fmt: skip


def test_figures_stand_beside_their_floor(runs, tmp_path):
    (tmp_path / "e.json").write_text(json.dumps(result(runs[1])))
    output = tmp_path / "new" / "r.html"
    command = ["report", *map(str, runs), "--output", str(output)]
    assert main([*command, "--figures", str(tmp_path / "e.json")]) == 0
    text = output.read_text()
    assert "<td>FID</td><td>12.346</td><td>0.500</td><td>lower</td>" in text
    assert "<td>KID x 1000</td><td>12.300 +- 0.400</td><td>-</td>" in text
    assert "500 samples (seed 3) against 10,000 test images" in text
    assert text.count("Not evaluated.") == 1  # the other run
    assert is_sealed(output)
    assert main(command) == 0  # its own page is replaced


def test_a_file_of_another_run_is_named_though_others_fit(runs, tmp_path, capsys):
    (tmp_path / "one.json").write_text(json.dumps(result(runs[0])))
    (tmp_path / "two.json").write_text(json.dumps(result(runs[1])))
    capsys.readouterr()
    both = ["--figures", str(tmp_path / "one.json"), "--figures", str(tmp_path / "two.json")]
    same = [str(runs[0]), str(runs[0])]
    assert main(["report", *same, "--output", str(tmp_path / "r.html"), *both]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--figures {tmp_path / 'two.json'}: belongs to no checkpoint" in line


def test_a_run_given_as_a_dot_has_its_name(runs, monkeypatch):
    monkeypatch.chdir(runs[0])
    text = Reader(page([read_run(Path())])).text
    assert f"Report of {runs[0].name}" in text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("nothing", "is no result"), (json.dumps({"model": {}}), "is no result"),
        (json.dumps([]), "is no result"), ("METRICS", "is no result"),
        ("OTHER", "e.json: belongs to no checkpoint"),
    ],
)  # fmt: skip
def test_figures_of_something_else_are_refused(runs, tmp_path, capsys, content, says):
    if content == "METRICS":
        content = json.dumps(result(runs[1], metrics={"fid": "high"}))
    elif content == "OTHER":
        found = result(runs[1])
        content = json.dumps({**found, "model": {**found["model"], "sha256": "0" * 64}})
    (tmp_path / "e.json").write_text(content)
    capsys.readouterr()
    command = ["report", str(runs[1]), "--output", str(tmp_path / "r.html")]
    assert main([*command, "--figures", str(tmp_path / "e.json")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line and not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "nowhere"), (["RUN", "--output", "r.pdf"], "must end in .html"),
        (["RUN", "--frames", "0"], "--frames 0"), (["RUN"] * 13, "13 runs"),
        (["RUN", "--output", "mine.html"], "not as ppgan_zoo wrote it"),
    ],
)  # fmt: skip
def test_refused_in_one_line(runs, tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.html").write_text("my own page")
    capsys.readouterr()
    assert main(["report", *(str(runs[1]) if word == "RUN" else word for word in arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_run_that_has_just_begun_has_a_report(tmp_path):
    (tmp_path / "recipe.yml").write_text(TINY)
    text = Reader(made(tmp_path)).text
    for said in ("not begun", "No sample grid", "No curve", "No trouble", "train --resume"):
        assert said in text


LOG = """\
2026-01-01 00:00:00,000 INFO gan on cpu
2026-01-01 00:00:01,000 WARNING health: identical_samples at iteration 100: alike; try <i>packing</i>
2026-01-01 00:00:02,000 WARNING health: strong_discriminator at iteration 200: D wins; hold it back
2026-01-01 00:00:03,000 INFO health: identical_samples is over (iteration 300)
2026-01-01 00:00:04,000 WARNING health: identical_samples at iteration 400: alike again; the same
"""


def test_events_are_read_from_the_log_and_stand_in_the_page(runs, tmp_path):
    (tmp_path / "train.log").write_text(LOG)
    assert [(e.iteration, e.name, e.until) for e in read_events(tmp_path / "train.log")] == [
        (100, "identical_samples", 300), (200, "strong_discriminator", None),
        (400, "identical_samples", None),
    ]  # fmt: skip
    (tmp_path / "recipe.yml").write_text(TINY)
    text = made(tmp_path)
    assert "from iteration 100 to 300: alike; try &lt;i&gt;packing&lt;/i&gt;" in text
    assert "from iteration 200 on: D wins" in text
    assert read_events(tmp_path / "none.log") == []


# Charts


def line_in(svg, colour):
    """Return the x and y of the path of a colour."""
    (path,) = re.findall(rf' d="([^"]*)"[^>]*stroke: {colour}', svg)
    return np.array([[float(n) for n in p] for p in re.findall(r"[ML] ([\d.]+) ([\d.]+)", path)])


def test_a_chart_draws_its_points_and_marks_its_events():
    chart = Chart("T", {"a": "first", "b": "second"}, "note", limit=0.5)
    curves = {"a": [(0, 0.0), (10, 1.0), (20, 0.0)], "b": []}
    svg = draw(chart, curves, [Event(10, "x", "y")])
    assert svg == draw(chart, curves, [Event(10, "x", "y")])  # no date, no random names
    line = line_in(svg, COLOURS[0])
    steps = np.diff(line[:, 0])
    assert steps[0] == pytest.approx(steps[1], rel=1e-3) and steps[0] > 0
    assert line[0, 1] == line[2, 1] > line[1, 1]  # down the page is down
    assert ">1</text>" in svg and "first" not in svg  # one curve needs no legend


def test_many_points_are_averaged():
    from ppgan_zoo.report.charts import MOST_POINTS, _thinned

    points = [(n, float(n % 2)) for n in range(8 * MOST_POINTS)]
    steps, means, lows, highs = _thinned(points)
    assert len(steps) == MOST_POINTS
    np.testing.assert_array_equal(steps[:2], [3.5, 11.5])
    assert set(means) == {0.5} and set(lows) == {0.0} and set(highs) == {1.0}


@pytest.mark.parametrize("label", [r"loss/a$\foo$", "$x^2$", "_hidden"])
def test_a_tag_is_shown_as_it_is(label):
    chart = Chart("T", {"a": label, "b": "other"}, "note")  # one curve needs no legend
    points = [(0, 1.0), (1, 2.0)]
    drawn = draw(chart, {"a": points, "b": points})
    words = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert label in [word.strip() for word in words]


def test_charts_of_several_runs_have_one_scale():
    chart = Chart("T", {"a": "a"}, "note")
    low, high = common_limits(chart, [{"a": [(0, 0.0)]}, {"a": [(0, 10.0), (1, float("nan"))]}])
    assert (low, high) == (-0.5, 10.5)
    log = Chart("T", {"a": "a"}, "note", log=True)
    assert common_limits(log, [{"a": [(0, 0.0), (1, 3.0)]}]) == (2.0, 4.5)
    assert common_limits(chart, [{}]) is None


def test_only_charts_with_points_are_shown_and_metrics_come_first():
    curves = {"loss/generator": [(0, 1.0)], "loss/r1": [(0, 1.0)], "metric/fid": [(0, 9.0)]}
    titles = [chart.title for chart in charts_of(curves)]
    assert titles == ["fid", "Losses", "Terms of the losses"]
    assert len({chart.title for chart in CHARTS}) == len(CHARTS)


def test_what_every_run_records_is_charted(runs):
    shown = {tag for chart in charts_of(read_run(runs[1]).curves) for tag in chart.tags}
    assert set(read_run(runs[1]).curves) <= shown
