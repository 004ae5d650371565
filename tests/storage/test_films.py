"""Films: what a reader of GIFs sees, what an encoder is given, what is refused."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.storage.films import Film
from ppgan_zoo.storage.ownership import is_sealed


def frames(count=5, shape=(6, 10)):
    return [np.full(shape, 40 * place, np.uint8) for place in range(count)]


def shown(path):
    """Return the frames of a GIF as a reader shows them, and how long each lasts."""
    with Image.open(path) as picture:
        assert picture.info["loop"] == 0
        pages = [(np.asarray(page.convert("RGB")).copy(), page.info["duration"])
                 for page in ImageSequence.Iterator(picture)]  # fmt: skip
    return [page for page, _ in pages], [duration for _, duration in pages]


def test_a_gif_shows_every_frame_in_its_time(tmp_path):
    path = tmp_path / "deep" / "film.gif"
    Film(path, fps=20.0).write(frames(), hold=10)
    pages, durations = shown(path)
    assert durations == [50, 50, 50, 50, 500]
    for page, frame in zip(pages, frames(), strict=True):
        np.testing.assert_array_equal(page, frame[..., None].repeat(3, 2))
    assert is_sealed(path)


def test_a_gif_keeps_colours(tmp_path):
    made = frames(3, (6, 10, 3))
    made[1][..., 0] = 250
    Film(tmp_path / "film.gif").write(made)
    pages, _ = shown(tmp_path / "film.gif")
    np.testing.assert_allclose(pages[1].astype(int), made[1], atol=4)


@pytest.mark.parametrize(
    ("fps", "milliseconds", "rate"),
    [(40, 20, "50"), (22, 50, "20"), (30, 30, "33.3"), (20, 50, None), (12.5, 80, None)],
)
def test_a_rate_that_no_gif_has_is_said(tmp_path, fps, milliseconds, rate):
    film = Film(tmp_path / "film.gif", fps=fps)
    film.write(frames(2))
    assert shown(film.path)[1] == [milliseconds] * 2
    more = "" if rate is None else f", at {rate} frames a second: a GIF has no {fps}, for each"
    assert film.in_file.removesuffix(" frame lasts whole hundredths of a second") == (
        f"{film.path}{more}"
    )


def test_an_mp4_has_any_rate(tmp_path, encoder):
    encoder()
    assert Film(tmp_path / "film.mp4", fps=22).in_file == str(tmp_path / "film.mp4")


def test_frames_that_stand_still_last_longer(tmp_path):
    made = [frame for frame in frames(2) for _ in range(3)]
    Film(tmp_path / "film.gif", fps=10.0).write(made)
    assert shown(tmp_path / "film.gif")[1] == [300, 300]


def test_a_gif_stands_still_for_eleven_minutes_at_most(tmp_path):
    made = [frame for frame in frames(2) for _ in range(80)]
    Film(tmp_path / "film.gif", fps=0.1).write(made)
    assert shown(tmp_path / "film.gif")[1] == [655_350, 655_350]


def test_one_frame_is_a_film(tmp_path):
    Film(tmp_path / "film.gif").write(frames(1))
    with Image.open(tmp_path / "film.gif") as picture:
        assert picture.size == (10, 6)


def test_only_the_zoos_own_films_are_replaced(tmp_path):
    path = tmp_path / "film.gif"
    Film(path).write(frames())
    Film(path).check()
    Film(path).write(frames(2))
    path.write_bytes(b"mine" + path.read_bytes())
    for attempt in (Film(path).check, lambda: Film(path).write(frames())):
        with pytest.raises(ConfigError, match="not as ppgan_zoo wrote it"):
            attempt()
    Film(path, overwrite=True).write(frames(2))
    assert os.listdir(tmp_path) == ["film.gif"]


ENCODER = """#!{python}
import pathlib, sys
content = sys.stdin.buffer.read()
here = pathlib.Path({here!r})
(here / "given").write_bytes(content)
(here / "arguments").write_text("\\n".join(sys.argv[1:]))
if {fails}:
    sys.exit("no such codec\\nat all")
pathlib.Path(sys.argv[-1]).write_bytes(b"an mp4")
"""


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    """Puts a program in the encoder's place, which notes what it is given."""

    def put(fails=False):
        (tmp_path / "bin").mkdir(exist_ok=True)
        program = tmp_path / "bin" / "ffmpeg"
        program.write_text(ENCODER.format(python=sys.executable, here=str(tmp_path), fails=fails))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    return put


def test_an_encoder_is_given_the_raw_frames(tmp_path, encoder):
    encoder()
    made = frames(3, (6, 10, 3))
    Film(tmp_path / "film.mp4", fps=12.5).write(made, hold=2)
    assert (tmp_path / "given").read_bytes() == b"".join(f.tobytes() for f in [*made, made[-1]])
    arguments = (tmp_path / "arguments").read_text().split("\n")
    for pair in (["-s", "10x6"], ["-r", "12.5"], ["-pix_fmt", "rgb24"]):
        assert pair in [arguments[at : at + 2] for at in range(len(arguments))]
    content = (tmp_path / "film.mp4").read_bytes()
    assert content.startswith(b"an mp4") and is_sealed(tmp_path / "film.mp4")
    box = content[len(b"an mp4") :]
    assert int.from_bytes(box[:4], "big") == len(box) and box[4:8] == b"free"


@pytest.mark.parametrize("folder", ["12:30", "-f"])
def test_an_encoder_is_given_a_path_that_is_nothing_else(tmp_path, encoder, monkeypatch, folder):
    """One that names no protocol and no option."""
    encoder()
    monkeypatch.chdir(tmp_path)
    Film(Path(folder, "film.mp4")).write(frames())
    assert (tmp_path / "arguments").read_text().split("\n")[-1].startswith(f"{tmp_path}/{folder}/")
    assert is_sealed(tmp_path / folder / "film.mp4")


def test_an_encoder_that_fails_is_one_line(tmp_path, encoder):
    encoder(fails=True)
    with pytest.raises(ConfigError, match=r"ffmpeg failed: no such codec at all; give .* \.gif"):
        Film(tmp_path / "film.mp4").write(frames())
    assert not (tmp_path / "film.mp4").exists()


def test_without_an_encoder_mp4_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"ffmpeg, which is not installed.*\.gif"):
        Film(tmp_path / "film.mp4")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("film.avi",), "must end in"), (("film",), "must end in"), (("f.gif", 0.0), "--fps 0"),
     (("f.gif", float("nan")), "--fps nan"), (("f.gif", 1000.0), "--fps 1000")],
)  # fmt: skip
def test_what_is_no_film(tmp_path, arguments, says):
    with pytest.raises(ConfigError, match=says):
        Film(tmp_path / arguments[0], *arguments[1:])


def test_frames_that_make_no_film(tmp_path):
    film = Film(tmp_path / "f.gif")
    with pytest.raises(ConfigError, match="0 frames"):
        film.write([])
    with pytest.raises(ConfigError, match="several sizes"):
        film.write([*frames(1), *frames(1, (7, 10))])
    with pytest.raises(ConfigError, match="too many pixels"):
        film.write([np.broadcast_to(np.uint8(0), (1 << 16, 1 << 15))])
    assert list(tmp_path.iterdir()) == []
