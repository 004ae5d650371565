"""The page, in a real Chromium: its pictures are Paddle's, and it asks no network for anything."""

import base64
import functools
import json
import re
import shutil
import signal
import statistics
import subprocess
import sys
import urllib.error
import urllib.request
from html.parser import HTMLParser
from urllib.parse import parse_qs

import numpy as np
import paddle
import pytest
from conftest import checkpoint_of
from PIL import Image

from ppgan_zoo.data import load_image_set, to_uint8
from ppgan_zoo.errors import ConfigError, ExportError
from ppgan_zoo.evaluation.real_images import DataSource
from ppgan_zoo.export.exported import open_exported
from ppgan_zoo.export.exporter import export
from ppgan_zoo.latents.directions import pca, sefa
from ppgan_zoo.latents.space import open_space
from ppgan_zoo.playground import model as module
from ppgan_zoo.playground import pictures
from ppgan_zoo.playground.model import PageModel, read_model
from ppgan_zoo.playground.page import page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--virtual-time-budget=20000", "--window-size=1200,1000")  # fmt: skip


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model with labels and grey pictures, and one without labels and in colour."""
    folder = tmp_path_factory.mktemp("playground")
    checkpoint, _ = checkpoint_of(
        "gan_mlp", folder / "a", num_classes=3, latent_dim=6, image_shape=(1, 8, 8),
        generator={"hidden_units": (16,)}, discriminator={"hidden_units": (8,)},
    )  # fmt: skip
    export(checkpoint, folder / "labelled", timed=False)
    checkpoint, _ = checkpoint_of(
        "gan_mlp", folder / "b", latent_dim=5, image_shape=(3, 8, 8),
        generator={"hidden_units": (16,)}, discriminator={"hidden_units": (8,)},
    )  # fmt: skip
    export(checkpoint, folder / "colour", timed=False)
    return folder


@pytest.fixture(scope="module")
def written(exported):
    """The page of both, and its models."""
    models = [read_model(exported / name, precision="float32") for name in ("labelled", "colour")]
    path = exported / "page.html"
    path.write_text(page(models), encoding="utf-8")
    return path


def chromium(url, *flags):
    command = [CHROMIUM, *FLAGS, *flags, url]
    run = functools.partial(subprocess.run, command, capture_output=True, text=True, check=False)
    try:
        done = run(timeout=50)
    except subprocess.TimeoutExpired:  # it has printed all, and now and then does not end
        done = run(timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


READ = """<script>const poll = setInterval(() => {
  if (document.querySelectorAll("#grid canvas").length < 16) return;
  const isDrawn = (canvas) => canvas.getContext("2d").getImageData(0, 0, 1, 1).data[3] === 255;
  if (![...document.querySelectorAll("#grid canvas")].every(isDrawn)) return;
  clearInterval(poll);
  const read = (canvas) => Array.from(canvas.getContext("2d")
    .getImageData(0, 0, canvas.width, canvas.height).data);
  const said = {
    picture: read(document.getElementById("picture")),
    nearest: read(document.getElementById("nearest")),
    cells: [...document.querySelectorAll("#grid canvas")].map(read),
    hash: location.hash, lang: document.documentElement.lang, title: document.title,
  };
  const out = document.createElement("pre");
  out.id = "read";
  out.textContent = JSON.stringify(said);
  document.body.append(out);
}, 50);</script></body>"""


def seen(written, fragment, *flags, probe=READ):
    """Open the page at a link with a script that says what it finds; return that and the DOM."""
    path = written.with_name("probe.html")
    path.write_text(written.read_text().replace("</body>", probe), encoding="utf-8")
    dom = chromium(f"file://{path}{fragment}", "--dump-dom", *flags)
    return json.loads(re.search(r'<pre id="read">(.*?)</pre>', dom)[1].replace("&amp;", "&")), dom


def z_of(seed, dim):
    """The page's z of a seed: mulberry32, then the normal distribution's quantile."""
    state, z = (seed * 0x9E3779B1 ^ 0x5BD1E995) & 0xFFFFFFFF, []
    for _ in range(dim):
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        mixed = (state ^ state >> 15) * (1 | state) & 0xFFFFFFFF
        mixed = (mixed + ((mixed ^ mixed >> 7) * (61 | mixed) & 0xFFFFFFFF)) & 0xFFFFFFFF ^ mixed
        z.append(statistics.NormalDist().inv_cdf(((mixed ^ mixed >> 14) + 0.5) / 2**32))
    return np.array([z], np.float32)


def pixels(flat, side=8):
    return np.array(flat).reshape(side, side, 4)[:, :, :3].transpose(2, 0, 1)


def text_of(z):
    """z as a link holds it."""
    steps = np.rint(z[0] * 2048).astype("<i2").tobytes()
    return base64.urlsafe_b64encode(steps).decode().rstrip("=")


def assert_shows(flat, folder, z, label=None):
    """The canvas holds Paddle's image of z, to a grey level of rounding."""
    model = open_exported(folder)
    images = model.generate(z, None if label is None else np.array([label]))
    wanted = to_uint8(images, model.image_range)[0].astype(int)
    assert wanted.std() > 0.5  # a flat picture would tell nothing
    assert np.abs(pixels(flat) - wanted).max() <= 1


@needs_chromium
def test_the_pictures_are_paddles(written, exported):
    said, dom = seen(written, "#seed=7&label=2&moved=z2:2.5,z6:-1")
    moved = np.array([[0, 2.5, 0, 0, 0, -1]], np.float32)
    assert_shows(said["picture"], exported / "labelled", z_of(7, 6) + moved, 2)
    for place in (0, 1, 15):
        z = z_of(7 + place, 6) + moved
        assert_shows(said["cells"][place], exported / "labelled", z, 2)
    assert "seed 7, class 2" in dom
    assert said["hash"] == "#seed=7&label=2&moved=z2%3A2.5%2Cz6%3A-1"
    assert (said["lang"], said["title"]) == ("en", "GAN playground: gan_mlp")


@needs_chromium
def test_a_second_model_and_the_way_between_two_pictures(written, exported):
    a, b = z_of(1, 5), z_of(2, 5)
    link = f"#model=1&mode=between&way=0.25&a={text_of(a)}.0&b={text_of(b)}.0"
    said, dom = seen(written, link, "--accept-lang=zh-CN", "--lang=zh-CN")
    angle = np.arccos((a @ b.T).item() / np.linalg.norm(a) / np.linalg.norm(b))
    between = lambda t: (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)  # noqa: E731
    folder = exported / "colour"
    assert_shows(said["picture"], folder, between(0.25).astype(np.float32))
    assert_shows(said["cells"][15], folder, b)
    assert_shows(said["cells"][5], folder, between(5 / 15).astype(np.float32))
    assert said["lang"] == "zh-CN" and "从 A 到 B 的 25%" in dom


@pytest.fixture(scope="module")
def styled(tmp_path_factory):
    """A checkpoint of a G with styles, small, and its page."""
    folder = tmp_path_factory.mktemp("styled")
    checkpoint, _ = checkpoint_of(
        "stylegan2", folder, latent_dim=5, image_shape=(1, 8, 8),
        generator={"channels": (8, 4), "w_dim": 6}, discriminator={"channels": (8, 4)},
    )  # fmt: skip
    path = folder / "page.html"
    path.write_text(page([read_model(checkpoint.path, precision="float32")]), encoding="utf-8")
    return checkpoint, path


@needs_chromium
def test_styles_are_truncated_and_moved_along_directions(styled):
    checkpoint, path = styled
    said, dom = seen(path, "#seed=3&truncation=0.5&moved=pca2:-2")
    space = open_space(checkpoint.path)
    generator, direction = space.generator, pca(space)["pca2"]
    average = generator.average.numpy()
    z = np.concatenate([z_of(seed, 5) for seed in (3, 4)])
    w = generator.mapping(paddle.to_tensor(z)).numpy()
    wanted = space.images(average + 0.5 * (w - average) - 2.0 * direction)
    assert wanted[0].std() > 0.5 and np.abs(wanted - space.images(w).astype(int)).max() > 3
    for flat, image in zip((said["picture"], said["cells"][1]), wanted.astype(int), strict=True):
        assert np.abs(pixels(flat) - image).max() <= 1
    assert "sefa" in dom


@needs_chromium
def test_directions_found_in_z_move_the_picture(exported):
    (checkpoint,) = (exported / "a").iterdir()
    path = exported / "found.html"
    path.write_text(page([read_model(checkpoint, precision="float32")]), encoding="utf-8")
    said, _ = seen(path, "#seed=3&label=1&moved=sefa1:3,pca1:-1")
    space = open_space(checkpoint)
    z = z_of(3, 6) + 3.0 * sefa(space)["sefa1"] - pca(space)["pca1"]
    assert_shows(said["picture"], exported / "labelled", z.astype(np.float32), 1)


@needs_chromium
def test_the_nearest_training_picture_stands_beside_the_sample(written, exported, tmp_path):
    model = open_exported(exported / "labelled")
    sample = to_uint8(model.generate(z_of(7, 6), np.array([2])), model.image_range)[0]
    known = np.random.default_rng(0).integers(0, 256, (9, 1, 8, 8), dtype=np.uint8)
    known[4] = np.clip(sample + 6.0, 0, 255)
    distance = np.sqrt(np.square(known[4] - sample.astype(float)).mean())
    (data, _) = json.loads(re.search(r'id="models">(.*?)</script>', written.read_text())[1])
    data["pictures"] = base64.b64encode(known.tobytes()).decode()
    path = tmp_path / "page.html"
    path.write_text(page([PageModel("near", data, 0.0, 0)]), encoding="utf-8")
    said, dom = seen(path, "#seed=7&label=2")
    np.testing.assert_array_equal(pixels(said["nearest"])[0], known[4][0])
    assert f"The nearest of 9 training pictures: {distance:.0f} grey levels away." in dom


def test_training_pictures_are_of_the_training_set(monkeypatch, tmp_path):
    everything = load_image_set("mnist", offline=True, notify=lambda line: None)
    source = DataSource("mnist", None, None, trained_on={"count": 50})
    monkeypatch.setattr(pictures, "find_data", lambda path, **_: source)
    text = pictures.training_pictures(tmp_path, (1, 28, 28), 8)
    found = np.frombuffer(base64.b64decode(text), np.uint8).reshape(8, 1, 28, 28)
    first = {picture.tobytes() for picture in everything.limit(50).images}
    assert {picture.tobytes() for picture in found} <= first
    assert len({picture.tobytes() for picture in found}) == 8


@needs_chromium
def test_a_screenshot_shows_the_picture(written, tmp_path):
    chromium(f"file://{written}", f"--screenshot={tmp_path / 'page.png'}")
    shot = np.asarray(Image.open(tmp_path / "page.png").convert("L")).astype(int)
    assert shot.shape == (1000, 1200)
    # The picture stands on the left, 8 x 8 pixels enlarged: many greys, in flat squares.
    part = shot[150:350, 120:320]
    assert len(np.unique(part)) > 10
    assert (np.diff(part, axis=1) == 0).mean() > 0.9


PLAY = """<script>
const errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
const at = (id) => document.getElementById(id);
const move = (id, value) => { at(id).value = value; at(id).dispatchEvent(new Event("input")); };
const steps = [
  () => at("keep-a").click(), () => at("next").click(), () => move("direction-z1", 2),
  () => at("keep-b").click(), () => move("way", 0.4), () => at("film").click(), null,
  () => at("save").click(), () => at("save-grid").click(), () => at("language").click(),
];
let waited = 0;
const play = setInterval(() => {
  if (at("film").disabled || (steps[0] === null && waited++ < 5)) return;
  const step = steps.shift();
  if (step) return step();
  if (steps.length) return;
  if (!at("said").textContent.includes("grid") && waited++ < 100) return; // it is encoded meanwhile
  clearInterval(play);
  const said = { errors, hash: location.hash, said: at("said").textContent,
                 moved: at("direction-z1").value, lang: document.documentElement.lang };
  document.body.append(Object.assign(document.createElement("pre"),
    { id: "read", textContent: JSON.stringify(said) }));
}, 100);
</script></body>"""


@needs_chromium
def test_the_controls_do_what_they_say(written, exported):
    said, dom = seen(written, "#seed=1&label=1", probe=PLAY)
    assert said["errors"] == []
    link = {key: values[0] for key, values in parse_qs(said["hash"][1:]).items()}
    assert link["a"] == f"{text_of(z_of(1, 6))}.1"
    moved = z_of(2, 6) + np.array([[2.0, 0, 0, 0, 0, 0]], np.float32)
    assert link["b"] == f"{text_of(moved)}.1"
    assert (link["mode"], link["way"]) == ("between", "0.4")
    assert "moved" not in link and said["moved"] == "0"  # the sliders begin again
    assert said["lang"] == "zh-CN" and "从 A 到 B 的 40%" in dom
    assert "gan_mlp-grid.png" in said["said"]


FILMS = """<script>
const at = (id) => document.getElementById(id);
const films = [], names = [];
URL.createObjectURL = (blob) => { films.push(blob); return "#"; };
HTMLAnchorElement.prototype.click = function () { names.push(this.download); };
const choose = (value) => { at("model").value = value; at("model").dispatchEvent(new Event("change")); };
let begun = 0, changed = false;
const play = setInterval(async () => {
  if (begun === 2 && at("film").disabled && !changed) {
    changed = true;
    at("next").click();
    choose(1);
  }
  if (at("film").disabled) return;
  if (begun < 2) { begun += 1; at("film").click(); return; }
  clearInterval(play);
  const bytes = await Promise.all(films.map(async (film) => new Uint8Array(await film.arrayBuffer())));
  const same = bytes[0].length === bytes[1].length && bytes[0].every((v, i) => v === bytes[1][i]);
  document.body.append(Object.assign(document.createElement("pre"),
    { id: "read", textContent: JSON.stringify({ same, names, changed, model: at("model").value }) }));
}, 1);
</script></body>"""


@needs_chromium
def test_a_film_is_of_what_was_chosen_when_it_was_begun(written):
    said, _ = seen(written, "#seed=1&label=1", probe=FILMS)
    assert said == {"same": True, "names": 2 * ["gan_mlp.gif"], "changed": True, "model": "1"}


class Controls(HTMLParser):
    """What a screen reader would find: controls, what names them, ids."""

    def __init__(self):
        super().__init__()
        self.inside, self.unnamed, self.seen = [], [], 0

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag in ("input", "select", "button"):
            self.seen += 1
            if not given.get("aria-label") and "label" not in self.inside:
                self.unnamed.append([tag, given, ""])
        if tag not in ("input", "link", "meta"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, text):
        if "button" in self.inside and self.unnamed:
            self.unnamed[-1][2] += text.strip()


@needs_chromium
def test_every_control_has_a_name_and_changes_are_announced(written):
    _, dom = seen(written, "")
    parser = Controls()
    parser.feed(re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL))
    assert parser.seen > 30
    assert [tag for tag, _, text in parser.unnamed if not text] == []
    assert dom.count('aria-live="polite"') == 2
    assert re.search(
        r'<canvas id="picture" role="img"[^>]* aria-label="gan_mlp, seed 0, class 0"', dom
    )


def test_the_page_names_no_place_of_any_network(written):
    text = re.sub(r'"values": "[^"]*"', "", written.read_text(encoding="utf-8"))
    assert not re.search(
        r"https?:|wss?://|//[a-z0-9.]+/|@import|\bfetch\(|XMLHttp|sendBeacon", text
    )
    assert not re.search(r"<(link|script|img|iframe)\b[^>]*\b(src|href)=(?!\"data:)", text)
    assert "default-src 'none'" in text


NASTY = '</script><b id="bad">&amp;</b><!--'


def nasty(written):
    (data, _) = json.loads(re.search(r'id="models">(.*?)</script>', written.read_text())[1])
    data = {**data, "name": NASTY, "classes": [NASTY, "b", "c"]}
    return PageModel(NASTY, data, 0.0, 0)


@needs_chromium
def test_names_are_text_and_nothing_else(written, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page([nasty(written)]), encoding="utf-8")
    _, dom = seen(path, "#seed=%3Cb%20id=bad%3E&a=%3Cb%20id=bad%3E")
    body = re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL)
    assert "<b id" not in body
    assert f"class {NASTY}".replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in body


def test_half_the_bytes_cost_less_than_a_grey_level(exported):
    whole, rounded = (
        read_model(exported / "labelled", precision=p) for p in ("float32", "float16")
    )
    assert rounded.weights_bytes * 2 == whole.weights_bytes
    assert whole.difference < 1e-2 < 255 * 1e-3
    assert whole.difference < rounded.difference < 1


def test_a_checkpoint_is_as_good_as_its_export(exported, tmp_path):
    (checkpoint,) = (exported / "a").iterdir()
    made, read = read_model(checkpoint), read_model(exported / "labelled")
    assert made.data["graph"]["values"] == read.data["graph"]["values"]
    with pytest.raises(ConfigError, match="--best is for runs"):
        read_model(exported / "labelled", best=True)


def test_a_graph_that_makes_other_images_is_refused(exported, monkeypatch):
    monkeypatch.setattr(module, "run_graph", lambda graph, inputs: np.zeros((64, 1, 8, 8), "f4"))
    with pytest.raises(ExportError, match=r"its images differ by .* above 1e-04"):
        read_model(exported / "labelled")


def test_weights_that_float16_has_not_are_refused(tmp_path, monkeypatch):
    checkpoint, _ = checkpoint_of("gan_mlp", tmp_path, generator={"hidden_units": (8,)})
    stored = module._stored

    def too_large(graph, precision):
        arrays = stored(graph, precision)
        name = max(arrays, key=lambda key: arrays[key].size)
        return {**arrays, name: np.full_like(arrays[name], np.inf)}

    monkeypatch.setattr(module, "_stored", too_large)
    with pytest.raises(ExportError, match="float16 cannot hold .* give --precision float32"):
        read_model(checkpoint.path)


def test_the_command_writes_a_page_and_refuses_in_one_line(exported, tmp_path, cli):
    target = tmp_path / "deep" / "page.html"
    done = cli("playground", exported / "labelled", exported / "colour", "--output", target)
    assert done.returncode == 0, done.stderr
    assert "grey levels of Paddle's" in done.stdout and str(target) in done.stdout
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    for arguments in (
        ("--output", "page.png"),
        ("--port", "70000"),
        ("--output", "p.html", "--port", "8000"),
        ("--overwrite",),
    ):
        done = cli("playground", exported / "labelled", *arguments, cwd=tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr


def test_it_is_served_to_this_machine(exported):
    command = [sys.executable, "-m", "ppgan_zoo", "playground", str(exported / "labelled")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = next(found[0] for line in process.stdout
                           if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))  # fmt: skip
            with urllib.request.urlopen(f"{address}?x", timeout=20) as answer:
                assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
                assert answer.read().startswith(b"<!doctype html>")
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{address}etc/passwd", timeout=20)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
