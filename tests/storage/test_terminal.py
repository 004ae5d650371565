"""What is printed steers no terminal and fits any stream; commands that are printed can be pasted."""

import ast
import errno
import io
import json
import logging
import os
import subprocess
import sys
import warnings

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from ppgan_zoo.storage import terminal
from ppgan_zoo.storage.files import as_argument, to_json

NASTY = "a\x1b[31m\nb\r\x9bc\u202ed\udcffe\u2028"


def stream(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)


def test_what_cannot_be_shown_is_escaped_and_all_else_stays():
    assert terminal.printable("Grüße, 世界 🦆 'x' $\\") == "Grüße, 世界 🦆 'x' $\\"
    assert terminal.printable(NASTY) == r"a\x1b[31m\nb\r\x9bc\u202ed\udcffe\u2028"


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_becomes_one_printable_line(text):
    assert terminal.printable(text).isprintable()


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "latin-1", "utf-8", "utf-16"])
def test_any_line_can_be_printed_in_any_encoding(encoding, monkeypatch):
    for name, write in (("stdout", terminal.say), ("stderr", terminal.tell)):
        monkeypatch.setattr(sys, name, stream(encoding))
        write("ü 世界 🦆", NASTY)
        written = getattr(sys, name).buffer.getvalue().decode(encoding)
        assert written.count("\n") == 2 and "\x1b" not in written


def test_a_stream_that_is_not_there_is_no_hindrance(monkeypatch):
    for name, write in (("stdout", terminal.say), ("stderr", terminal.tell)):
        monkeypatch.setattr(sys, name, None)
        write("x")
    closed = stream("utf-8")
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    terminal.tell("x")


class Full(io.StringIO):
    def flush(self):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_standard_output_is_named_and_a_full_standard_error_is_not_spoken_of(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Full())
    terminal.tell("x")
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OSError) as caught:
        terminal.say("x")
    assert caught.value.filename == "standard output"


def test_what_modules_log_is_told_in_a_printable_line(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream("utf-8"))
    logger = logging.getLogger("ppgan_zoo")
    before = list(logger.handlers)
    logger.handlers.clear()
    try:
        terminal.tell_warnings()
        terminal.tell_warnings()
        logging.getLogger("ppgan_zoo.metrics.feature_cache").warning("%s: damaged", NASTY)
    finally:
        logger.handlers[:] = before
    said = sys.stderr.buffer.getvalue().decode()
    assert said.splitlines() == [f"{terminal.printable(NASTY)}: damaged"]


def test_what_a_library_warns_of_is_one_line(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream("utf-8"))
    with warnings.catch_warnings():
        terminal.tell_warnings()
        warnings.simplefilter("always")
        warnings.warn("Glyph \x1b[31m missing\nand more", UserWarning, stacklevel=1)
    assert sys.stderr.buffer.getvalue().decode() == "UserWarning: Glyph \\x1b[31m missing\n"


def test_nothing_else_in_the_package_prints():
    for path in sorted((ROOT / "ppgan_zoo").rglob("*.py")):
        calls = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_bytes()))
            if isinstance(node, ast.Call)
        }
        assert not calls & {"print", "sys.stdout.write", "sys.stderr.write", "tqdm.write"}, path


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_json_is_printable_and_means_the_same(text):
    written = to_json({text: [text]})
    assert written.replace("\n", "").isprintable()
    assert json.loads(written) == {text: [text]}


NAMES = ["a b", "it's", "#1", "~", "-x", "$HOME", "`id`", "a\nb", "a\tb", "\x1b[31m", "ü", "🦆",
         "\\", "\\n", "'", '"', "a;b", "*", "!x", "\udcff", "\udce4'\\", "$'x'", " "]  # fmt: skip


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "utf-8"])
def test_a_path_is_pasted_as_what_it_is(encoding, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream(encoding))
    monkeypatch.setattr(sys, "stderr", stream(encoding))
    shown = [as_argument(name) for name in NAMES]
    for text in shown:
        text.encode(encoding)  # as it stands on the screen
        assert text.isprintable()
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {' '.join(shown)}"], capture_output=True, check=True
    )
    assert done.stdout.split(b"\0")[:-1] == [
        os.fsencode(f"./{name}" if name.startswith("-") else name) for name in NAMES
    ]
