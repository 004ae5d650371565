"""MNIST and Fashion-MNIST: the order of their places; downloads, from servers on this machine."""

import gzip
import hashlib
import http.server
import os
import socket
import struct
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppgan_zoo.data import download as download_module
from ppgan_zoo.data import load_image_set
from ppgan_zoo.data import mnist as mnist_module
from ppgan_zoo.data.official import OFFICIAL_SETS, OfficialFile, Split
from ppgan_zoo.errors import DataError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx_images(value, count=3):
    header = b"\0\0\x08\x03" + struct.pack(">III", count, 28, 28)
    return header + bytes([value]) * (count * 784)


def idx_labels(count=3):
    return b"\0\0\x08\x01" + struct.pack(">I", count) + bytes(range(count))


OFFICIAL = {
    f"{IMAGES}.gz": gzip.compress(idx_images(1)),
    f"{LABELS}.gz": gzip.compress(idx_labels()),
}


def official_file(name, content):
    return OfficialFile(name, hashlib.sha256(content).hexdigest(), len(content))


def fill(folder, files=OFFICIAL):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home and system folders of our own, a tiny official MNIST and no mirror of it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for variable in ("XDG_CACHE_HOME", "PPGAN_ZOO_DATA", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(mnist_module, "SYSTEM_FOLDER", tmp_path / "system")
    train = Split(official_file(IMAGES, idx_images(1)), official_file(LABELS, idx_labels()))
    tiny = replace(
        OFFICIAL_SETS["mnist"],
        splits={**OFFICIAL_SETS["mnist"].splits, "train": train},
        mirrors=(),
    )
    monkeypatch.setitem(OFFICIAL_SETS, "mnist", tiny)
    return home


@pytest.fixture
def said():
    return []


@pytest.fixture
def load(home, said):
    def load(name="mnist", **arguments):
        return load_image_set(name, notify=said.append, **arguments)

    return load


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


# Order of the places


def test_each_place_is_used_only_if_those_before_it_lack_the_set(
    load, home, tmp_path, monkeypatch, no_network
):
    assert load(offline=True).source == "embedded"
    fill(home / ".cache/ppgan_zoo/datasets/mnist")
    assert load(offline=True).source == "download"
    assert load().source == "download"
    fill(tmp_path / "system/mnist")
    assert load().source == "debian"
    fill(home / ".cache/paddle/dataset/mnist")
    assert load().source == "paddle-cache"
    monkeypatch.setenv("PPGAN_ZOO_DATA", str(fill(tmp_path / "mine")))
    assert load().source == "environment"
    found = load(directory=fill(tmp_path / "given/mnist").parent)
    assert (found.source, found.location) == ("directory", str(tmp_path / "given/mnist"))
    assert found.image_shape == (1, 28, 28)
    assert found.labels.tolist() == [0, 1, 2]
    assert found.labels.dtype == np.int64
    assert (found.images == 1).all()
    assert found.sha256 == hashlib.sha256(b"\1" * 2352).hexdigest()


def test_xdg_cache_home_is_obeyed_unless_relative(load, home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    fill(tmp_path / "xdg/ppgan_zoo/datasets/mnist")
    assert load(offline=True).source == "download"
    monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
    monkeypatch.chdir(tmp_path)
    assert load(offline=True).source == "embedded"


def test_offline_opens_no_socket_and_says_one_line(load, said, no_network):
    found = load(offline=True)
    assert (found.source, len(found)) == ("embedded", 10_000)
    (line,) = said
    assert line.startswith("mnist: full set not found (looked in ")
    assert line.endswith(
        "not downloaded: offline); using the embedded first 10,000 training images. "
        "Give --data-dir DIR for the full set."
    )
    assert "\n" not in line


def test_the_line_goes_to_standard_error_by_default(home, capsys):
    load_image_set("mnist", offline=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


# A directory that the user names


def test_raw_files_and_other_spellings(load, tmp_path):
    raw = {IMAGES: idx_images(9), LABELS: idx_labels()}
    names = ["fashion-mnist", "fashion_mnist", "FashionMNIST", "FashionMNIST/raw", "."]
    for position, name in enumerate(names):
        folder = fill(tmp_path / str(position) / name, raw)
        found = load("fashion_mnist", directory=tmp_path / str(position))
        assert Path(found.location) == folder
        assert (found.images == 9).all()


def test_a_directory_without_the_set_is_an_error_never_another_place(
    load, home, tmp_path, monkeypatch, no_network
):
    fill(home / ".cache/paddle/dataset/mnist")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=f"{tmp_path}/empty: data directory.*{IMAGES}"):
        load(directory=tmp_path / "empty")
    with pytest.raises(DataError, match="absent: data directory is no folder"):
        load(directory=tmp_path / "absent")
    monkeypatch.setenv("PPGAN_ZOO_DATA", str(tmp_path / "empty"))
    with pytest.raises(DataError, match="PPGAN_ZOO_DATA does not hold mnist"):
        load()
    monkeypatch.setenv("PPGAN_ZOO_DATA", "")
    assert load().source == "paddle-cache"


def test_the_test_split_is_looked_for_too(load, tmp_path):
    fill(tmp_path / "mnist")
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte"):
        load(directory=tmp_path, split="test")
    fill(tmp_path / "mnist", {"t10k-images-idx3-ubyte": idx_images(4, 5)})
    found = load(directory=tmp_path, split="test")
    assert len(found) == 5
    assert found.labels is None


def test_labels_may_be_missing_but_not_damaged(load, tmp_path):
    fill(tmp_path, {IMAGES: idx_images(2)})
    assert load(directory=tmp_path).labels is None
    for labels in (idx_labels(4), idx_labels()[:-1], idx_images(0), b""):
        fill(tmp_path, {LABELS: labels})
        with pytest.raises(DataError, match=LABELS):
            load(directory=tmp_path)


def test_labels_of_more_classes_than_the_official_set_has_go_without_their_names(load, tmp_path):
    fill(tmp_path, {IMAGES: idx_images(2), LABELS: idx_labels()})
    assert load(directory=tmp_path).classes == tuple("0123456789")
    letters = b"\0\0\x08\x01" + struct.pack(">I", 3) + bytes([0, 25, 7])
    fill(tmp_path, {LABELS: letters})
    found = load(directory=tmp_path)
    assert (found.classes, found.num_classes) == (None, 26)


def test_images_of_another_shape_are_refused(load, tmp_path):
    header = b"\0\0\x08\x03" + struct.pack(">III", 2, 28, 27)
    fill(tmp_path, {IMAGES: header + bytes(2 * 28 * 27)})
    with pytest.raises(DataError, match="2 x 28 x 27; N x 28 x 28 is allowed"):
        load(directory=tmp_path)


def test_one_set_is_not_taken_for_another(load, tmp_path):
    fill(tmp_path)
    with pytest.raises(DataError, match="holds mnist, not fashion_mnist"):
        load("fashion_mnist", directory=tmp_path)


# Copies that must be the official ones


@pytest.mark.parametrize(
    "damage", [idx_images(2), idx_images(1)[:-1], b"", gzip.compress(b"x", mtime=0)]
)
@pytest.mark.parametrize("place", ["home/.cache/paddle/dataset/mnist", "system/mnist"])
def test_damaged_copies_are_skipped_with_a_line_that_names_them(
    load, said, tmp_path, damage, place
):
    folder = fill(tmp_path / place, {**OFFICIAL, f"{IMAGES}.gz": damage})
    assert load(offline=True).source == "embedded"
    assert len(said) == 2
    assert f"{folder}/{IMAGES}.gz" in said[0]
    assert "skipped" in said[0]


def test_images_without_labels_are_not_the_full_set(load, said, home):
    fill(home / ".cache/paddle/dataset/mnist", {f"{IMAGES}.gz": OFFICIAL[f"{IMAGES}.gz"]})
    assert load(offline=True).source == "embedded"
    assert len(said) == 1


# Downloads


class Mirror(http.server.ThreadingHTTPServer):
    """A server on this machine; `behaviour` is called with the handler of a GET."""

    daemon_threads = True

    def __init__(self, behaviour):
        self.requests = []
        self.stop = threading.Event()
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests.append(self.path)
                try:
                    behaviour(self, mirror.stop)
                except OSError:
                    pass

            def log_message(self, *_args):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


def send(handler, content, length=None, status=200):
    handler.send_response(status)
    if length != "none":
        handler.send_header("Content-Length", str(len(content) if length is None else length))
    handler.end_headers()
    handler.wfile.write(content)


def good(handler, _stop):
    send(handler, OFFICIAL[handler.path[1:]])


def absent(handler, _stop):
    send(handler, b"no", status=404)


def corrupt(handler, _stop):
    send(handler, gzip.compress(idx_images(77)))


def html(handler, _stop):
    send(handler, b"<html>Please log in to the hotel's network</html>")


def truncated(handler, _stop):
    content = OFFICIAL[handler.path[1:]]
    send(handler, content[:-9], length=len(content))


def truncated_without_length(handler, _stop):
    send(handler, OFFICIAL[handler.path[1:]][:-9], length="none")


def oversized(handler, _stop):
    send(handler, b"", length=1 << 40)


def endless(handler, stop):
    send(handler, b"", length="none")
    while not stop.is_set():
        handler.wfile.write(bytes(1 << 16))


def bomb(handler, _stop):
    send(handler, gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 1 << 30) + bytes(8 << 20)))


def hanging(_handler, stop):
    stop.wait(20)


def hanging_midway(handler, stop):
    content = OFFICIAL[handler.path[1:]]
    send(handler, content[:9], length=len(content))
    stop.wait(20)


def dripping(handler, stop):
    send(handler, b"", length=1000)
    while not stop.wait(0.02):
        handler.wfile.write(b"x")


def dripping_headers(handler, stop):
    while not stop.wait(0.02):
        handler.wfile.write(b"x")


@pytest.fixture
def mirrors(home, monkeypatch):
    """Makes servers the mirrors of MNIST."""
    running = []

    def start(*behaviours):
        servers = [Mirror(behaviour) for behaviour in behaviours]
        running.extend(servers)
        urls = tuple(server.url for server in servers)
        monkeypatch.setitem(OFFICIAL_SETS, "mnist", replace(OFFICIAL_SETS["mnist"], mirrors=urls))
        return servers

    yield start
    for server in running:
        server.stop.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def impatient(monkeypatch):
    """Shorter time-outs, for servers that are slow on purpose."""
    monkeypatch.setattr(download_module, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(download_module, "NETWORK_SECONDS", 1.5)
    monkeypatch.setattr(download_module, "_SLOW_START_SECONDS", 0.2)


def test_the_bounds_on_time():
    assert download_module.TIMEOUT_SECONDS == 3
    assert download_module.NETWORK_SECONDS == 8


def test_download_is_verified_kept_and_not_repeated(load, said, home, mirrors):
    (server,) = mirrors(good)
    found = load()
    cache = home / ".cache/ppgan_zoo/datasets/mnist"
    assert (found.source, found.location, len(found)) == ("download", str(cache), 3)
    assert sorted(os.listdir(cache)) == sorted(OFFICIAL)
    assert said == [f"mnist: downloaded the train split from {server.url} to {cache}"]
    assert server.requests == [f"/{IMAGES}.gz", f"/{LABELS}.gz"]
    assert load().sha256 == found.sha256
    assert len(server.requests) == 2


BAD = [
    absent,
    corrupt,
    html,
    truncated,
    truncated_without_length,
    oversized,
    endless,
    bomb,
    hanging,
    hanging_midway,
    dripping,
    dripping_headers,
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_a_bad_mirror_is_given_up_for_the_next(load, home, mirrors, impatient, bad):
    bad_server, good_server = mirrors(bad, good)
    started = time.monotonic()
    assert load().source == "download"
    assert time.monotonic() - started < 4
    # The mirror that served the first file is asked first for the second.
    assert len(bad_server.requests) == 1
    assert len(good_server.requests) == 2
    assert sorted(os.listdir(home / ".cache/ppgan_zoo/datasets/mnist")) == sorted(OFFICIAL)


def test_when_all_mirrors_fail_the_embedded_part_is_used_and_said(load, said, home, mirrors):
    mirrors(corrupt, absent)
    assert load().source == "embedded"
    (line,) = said
    assert "download failed: " in line
    assert "not the official file" in line
    assert "HTTP 404" in line
    assert "\n" not in line
    assert os.listdir(home / ".cache/ppgan_zoo/datasets/mnist") == []


def test_hanging_mirrors_together_stay_within_the_bound(load, mirrors, impatient):
    mirrors(hanging, dripping_headers, hanging)
    started = time.monotonic()
    assert load().source == "embedded"
    assert time.monotonic() - started < 1.5 + 1.5


def test_a_name_lookup_that_hangs_stays_within_the_bound(
    load, said, mirrors, impatient, monkeypatch
):
    mirrors(good, good, good)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: time.sleep(5) or [])
    started = time.monotonic()
    assert load().source == "embedded"
    assert time.monotonic() - started < 1.5 + 1.5
    assert "no answer" in said[0]


def test_no_network(load, said, mirrors, monkeypatch):
    mirrors(good, good)

    def unknown(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert load().source == "embedded"
    assert "Name or service not known" in said[0]
    assert len(said) == 1


def test_a_cache_that_cannot_be_written(load, said, home, mirrors):
    mirrors(good)
    (home / ".cache").write_text("a file where a folder should be")
    assert load().source == "embedded"
    assert "cannot be written" in said[0]


def test_a_damaged_download_is_replaced(load, said, home, mirrors):
    mirrors(good)
    folder = fill(
        home / ".cache/ppgan_zoo/datasets/mnist", {**OFFICIAL, f"{IMAGES}.gz": b"damaged"}
    )
    assert load().source == "download"
    assert len(said) == 2
    assert (folder / f"{IMAGES}.gz").read_bytes() == OFFICIAL[f"{IMAGES}.gz"]
    assert load(offline=True).source == "download"


# Embedded sets


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_embedded_sets(load, name):
    found = load(name, offline=True)
    assert found.images.shape == (10_000, 1, 28, 28)
    assert sorted(set(found.labels.tolist())) == list(range(10))
    assert found.num_classes == found.describe()["classes"] == 10
    first = {"mnist": "5", "fashion_mnist": "Ankle boot"}  # as both sets are known to begin
    assert found.classes[found.labels[0]] == first[name]
    folder = Path(found.location)
    split = OFFICIAL_SETS[name].embedded
    readme = (folder.parent / "README.md").read_text(encoding="utf-8")
    for file in (split.images, split.labels):
        content = gzip.decompress((folder / f"{file.name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == file.sha256
        assert len(content) == file.size_bytes
        assert file.sha256 in readme
    # An image set's checksum is that of the pixels alone, after the header of 16 bytes.
    content = gzip.decompress((folder / f"{split.images.name}.gz").read_bytes())
    assert hashlib.sha256(content[16:]).hexdigest() == found.sha256


def test_embedded_sets_are_the_start_of_the_full_sets(load):
    full = os.environ.get("PPGAN_ZOO_TEST_DATA")
    if not full:
        pytest.skip("PPGAN_ZOO_TEST_DATA does not name a folder with the full sets")
    for name in ("mnist", "fashion_mnist"):
        whole = load_image_set(name, directory=full)
        part = load_image_set(name, offline=True, notify=lambda _line: None)
        assert len(whole) == 60_000
        np.testing.assert_array_equal(whole.images[:10_000], part.images)
        np.testing.assert_array_equal(whole.labels[:10_000], part.labels)


def test_the_embedded_set_has_no_test_split(load, said):
    with pytest.raises(DataError, match="mnist: test split not found .*offline.*give --data-dir"):
        load(offline=True, split="test")
    assert said == []


# Arguments


def test_limit_size_and_channels(load):
    found = load(offline=True, limit=7, image_size=32, channels=3)
    assert found.images.shape == (7, 3, 32, 32)
    assert len(set(found.labels.tolist())) == 7  # even over the classes
    again = load(offline=True, limit=7, image_size=32, channels=3, limit_seed=1)
    assert again.sha256 != found.sha256


@pytest.mark.parametrize(
    "place",
    [
        "train-images.idx3-ubyte",
        "train-images.idx3-ubyte.gz",
        "train-images-idx3-ubyte/train-images-idx3-ubyte",
        "train-images.idx3-ubyte/train-images-idx3-ubyte",
        "train-images-idx3-ubyte.gz/train-images-idx3-ubyte.gz",
    ],
)
def test_files_as_unpackers_name_them_are_found(load, tmp_path, place):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    zipped = gzip.compress if place.endswith(".gz") else bytes
    (tmp_path / place).write_bytes(zipped(idx_images(7)))
    labels = tmp_path / "train-labels.idx1-ubyte" / "train-labels.idx1-ubyte"
    labels.parent.mkdir()
    labels.write_bytes(idx_labels())
    found = load("mnist", directory=tmp_path)
    assert (found.images == 7).all() and len(found) == 3
    assert found.labels.tolist() == [0, 1, 2]
