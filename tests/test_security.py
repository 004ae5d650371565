"""The package holds nothing that runs what a file says: shown over its syntax trees."""

import ast
import builtins
import io
import struct
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

# A sound tensor's beginning: versions, no LoD, then a message of five bytes.
HEAD = bytes.fromhex("0000000000000000000000000000000005000000")

# What could run or reconstruct something from data. A name matches with all that is below it.
FORBIDDEN = (
    "eval", "exec", "compile", "__import__", "breakpoint",
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "code",
    "os.system", "os.popen", "os.spawn", "os.exec", "os.fork", "pty", "commands", "runpy",
    "subprocess", "multiprocessing", "ctypes", "importlib.import_module",
    "importlib.util.spec_from_file_location", "importlib.util.module_from_spec",
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.Loader",
    "yaml.FullLoader", "yaml.UnsafeLoader",
    "paddle.load", "paddle.jit.load", "paddle.hub", "paddle.utils.download", "paddle.save",
    "torch", "numpy.lib.format", "pandas.read_pickle", "urllib.request.urlretrieve",
    "urllib.request.urlopen", "requests", "httpx", "socket", "zipfile.ZipFile.extractall",
    "shutil.unpack_archive", "tarfile", "tempfile.mktemp",
)  # fmt: skip

# Where one of these stands all the same, and why that is sound.
ALLOWED = {
    ("__init__.py", "importlib.import_module"): "the package's own names, from a table",
    ("cli.py", "importlib.import_module"): "the commands, from a table in the same file",
    ("registry.py", "importlib.import_module"): "models by a table, and plugins: installed code",
    (
        "storage/run_directory.py",
        "subprocess",
    ): "git describe of the zoo's own checkout; a list, no shell",
    (
        "convert/trusted_pickle.py",
        "subprocess",
    ): "starts untrusted_pickle.py; a list, no shell, no environment",
    (
        "convert/untrusted_pickle.py",
        "pickle",
    ): "an Unpickler whose find_class admits a table of names",
    ("runtime.py", "ctypes"): "tells the C library to keep freed memory",
    ("ops/onednn.py", "ctypes"): "the oneDNN of Paddle's own wheel",
    ("ops/onednn_convolution.py", "ctypes"): "types of its arguments",
    ("evaluation/two_processes.py", "subprocess"): "starts Paddle's launcher; a list, no shell",
    ("distributed/launch.py", "subprocess"): "starts Paddle's launcher; a list, no shell",
    ("distributed/launch.py", "socket"): "a pair of sockets to the processes that it starts",
    ("distributed/meeting.py", "socket"): "lines of JSON between processes that train together",
    (
        "distributed/streams.py",
        "socket",
    ): "the other one of that pair; it gives streams and signals",
    ("bench/driver.py", "subprocess"): "starts this package in other processes; a list, no shell",
    ("tools/faults.py", "os.fork"): "kills what it forks; it is there for that",
    ("tools/faults.py", "subprocess"): "starts the zoo's own command; a list, no shell",
    (
        "stability/driver.py",
        "subprocess",
    ): "starts this package in other processes; a list, no shell",
    ("search/running.py", "subprocess"): "starts this package's own commands; a list, no shell",
    ("search/trainings.py", "subprocess"): "waits for a process that running started",
    ("evaluation/sample_files.py", "tarfile"): "writes one, and unpacks none",
    ("evaluation/sample_files.py", "numpy.lib.format"): "writes headers of plain numbers",
    (
        "data/prepare/pool.py",
        "subprocess",
    ): "starts worker.py, which decodes pictures; a list, no shell",
    ("data/prepare/tar_archive.py", "tarfile"): "reads members into memory, and unpacks none",
    (
        "data/download.py",
        "urllib.request.urlopen",
    ): "official sets and pinned weights, by SHA-256 and size",
    ("storage/films.py", "subprocess"): "starts ffmpeg on raw pixels; a list, no shell",
}

PACKAGE = ROOT / "ppgan_zoo"
SOURCES = sorted(
    path for folder in ("ppgan_zoo", "tools") for path in (ROOT / folder).rglob("*.py")
)


def names_used(tree):
    """Return every imported name and every call or attribute by its full name."""
    known, used = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                used.add(alias.name)
                known[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                used.add(f"{node.module}.{alias.name}")
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        parts, inner = [], node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and (inner.id in known or inner.id in dir(builtins)):
            used.add(".".join([known.get(inner.id, inner.id), *reversed(parts)]))
    return used


def forbidden_in(source):
    tree = ast.parse(source)
    found = {
        rule
        for name in names_used(tree)
        for rule in FORBIDDEN
        if name == rule or name.startswith(rule if rule in PREFIXES else f"{rule}.")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
            if node.arg in ("shell", "allow_pickle", "trust_remote_code") and node.value.value:
                found.add(f"{node.arg}=True")
        elif isinstance(node, ast.keyword) and node.arg in ("shell", "allow_pickle"):
            found.add(f"{node.arg}=...")
    return found


def test_every_picture_is_opened_with_a_list_of_formats():
    """Without one, Pillow tries PostScript too, and starts Ghostscript for it."""
    opened = [
        (path.name, node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Image.open")
    ]
    assert {name for name, _ in opened} == {"pictures.py", "avatar_drawing.py", "damage.py"}
    for _, node in opened:
        assert "formats" in {keyword.arg for keyword in node.keywords}


PREFIXES = ("os.exec", "os.spawn")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_runs_what_a_file_says(path):
    name = str(path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else ROOT))
    allowed = {rule for file, rule in ALLOWED if file == name}
    assert forbidden_in(path.read_bytes()) - allowed == set()


def test_every_exception_is_still_needed():
    for file, rule in ALLOWED:
        folder = ROOT if file.startswith("tools/") else PACKAGE
        assert rule in forbidden_in((folder / file).read_bytes()), (file, rule)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import pickle as p", "eval('1')",
        "exec(text)", "import yaml\nyaml.load(text, yaml.Loader)", "from yaml import load",
        "import os\nos.system('x')", "from os import system", "import os\nos.execvp('x', [])",
        "import subprocess", "from subprocess import run", "run('x', shell=True)",
        "run('x', shell=flag)", "import paddle\npaddle.load('x')", "from paddle import load",
        "import paddle as p\np.jit.load('x')", "import torch", "from torch import load",
        "import numpy as np\nnp.load('x', allow_pickle=True)", "__import__('os')",
        "import urllib.request\nurllib.request.urlopen('x')", "import requests",
        "from importlib import import_module", "import marshal", "from ctypes import CDLL",
    ],
)  # fmt: skip
def test_the_check_finds_what_it_should(source):
    assert forbidden_in(source)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.path.join('a')", "import numpy as np\nnp.load('x', allow_pickle=False)",
        "import yaml\nyaml.safe_load('x')", "layer.eval()", "run(['x'], shell=False)",
        "import re\nre.compile('x')", "encode(1)",
    ],
)  # fmt: skip
def test_the_check_lets_the_harmless_pass(source):
    assert not forbidden_in(source)


def test_every_mirror_and_file_of_a_download_has_a_checksum():
    from ppgan_zoo.data.official import OFFICIAL_SETS

    for official in OFFICIAL_SETS.values():
        for split in official.splits.values():
            for file in (split.images, split.labels):
                assert len(bytes.fromhex(file.sha256)) == 32
                assert file.size_bytes > 0


def test_nothing_of_a_run_lies_outside_its_directory(tiny_recipe, tmp_path, monkeypatch):
    """The names that a recipe gives (of model, data, figure) make no path."""
    from ppgan_zoo.recipe.load import load_recipe
    from ppgan_zoo.run.train import train

    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    recipe = load_recipe(tiny_recipe, ["training.epochs=null", "training.iterations=1"])
    train(recipe, Path("run"), offline=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.yml", "work"]
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["run"]


def test_no_link_inside_a_folder_of_pictures_is_followed_to_other_folders(tmp_path):
    import numpy as np
    from PIL import Image

    from ppgan_zoo.data import load_image_set

    for name in ("pictures", "private"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / name / "a.png")
    (tmp_path / "pictures" / "more").symlink_to(tmp_path / "private")
    assert len(load_image_set("folder", directory=tmp_path / "pictures", image_size=8)) == 1


READERS = {  # who may open what is no file of a user, or does so elsewhere
    ("runtime.py", "read_text"),  # of /proc and /sys
    ("bench/process.py", "read_text"),  # of /proc
    ("evaluation/two_processes.py", "read_text"),  # its own files, as is the next
    ("evaluation/two_processes.py", "read_bytes"),
    ("evaluation/two_processes.py", "load"),
    ("metrics/features.py", "read_bytes"),  # of the package
    ("data/embedded_files.py", "open"),  # of the package
    ("data/avatar_drawing.py", "read_text"),  # of the package dicebear-styles
    ("data/avatar_drawing.py", "open"),  # by Pillow, what was drawn
    ("convert/untrusted_pickle.py", "open"),  # a process of its own, with limits
    ("collapse/study.py", "load"),  # of a file that is open already, as are the next
    ("convert/porting.py", "load"),
    ("metrics/feature_cache.py", "safe_open"),
    ("metrics/damage.py", "open"),  # by Pillow, what was written just before
    ("convert/trusted_pickle.py", "load_file"),  # what that process wrote
    ("data/pictures.py", "open"),  # by Pillow, which is given a regular file, as is the next
    ("leaderboard/pictures.py", "open"),
    ("data/prepare/zip_archive.py", "open"),  # a member of an archive, as is the next
    ("data/prepare/arrays.py", "open"),
    ("metrics/features.py", "open"),  # a kind of network, which is no file
}
READING = {"read_bytes", "read_text", "open", "load_file", "safe_open"}


def test_processes_of_ours_are_started_by_one_door_which_knows_no_current_folder():
    by_module = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "ppgan_zoo").rglob("*.py"))
        if '"-m", "' in path.read_text(encoding="utf-8")
    ]
    assert by_module == ["ppgan_zoo/evaluation/two_processes.py"]  # in a folder of its own


def test_files_are_opened_by_one_door_which_waits_for_no_pipe_and_no_giant():
    """See storage/files.py; what is opened to be written is new, in scratch."""
    found = set()
    for path in sorted((ROOT / "ppgan_zoo").rglob("*.py")):
        name = str(path.relative_to(ROOT / "ppgan_zoo"))
        if name.startswith(("storage/files.py", "storage/scratch.py")):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            of = getattr(getattr(node.func, "value", None), "id", "")
            modes = [value.value for value in node.args if isinstance(value, ast.Constant)]
            written = any(str(mode).startswith(("x", "w")) for mode in modes)
            if called in READING and not written and of not in ("webbrowser", "os"):
                found.add((name, called))
            if called == "load" and of == "np":
                found.add((name, called))
    assert found == READERS


def test_the_operators_of_the_list_compute_and_are_known_to_paddle():
    """Refused ones are in tests/malformed/program_cases.py; what models need, test_export.py."""
    import re

    import paddle
    from paddle.base.framework import OpProtoHolder

    from ppgan_zoo.export.operators import COMPUTING

    if not paddle.__version__.startswith("3"):
        pytest.skip("Paddle 3 knows the names of both")
    known = {name.rstrip("_") for name in dir(paddle._C_ops)}
    known |= set(OpProtoHolder.instance().op_proto_map)
    assert {name for name in COMPUTING if not name.startswith("builtin.")} <= known
    effects = r".*(save|load|print|assert|send|recv|read|write|file|python|py_|run_|engine|while|"
    effects += r"block|memcpy|comm|nccl|queue|barrier|c_all|parameter|strided_select|custom).*"
    assert [name for name in COMPUTING if re.fullmatch(effects, name)] == []


@given(content=st.binary(max_size=80) | st.binary(max_size=40).map(lambda raw: HEAD + raw))
@settings(max_examples=300, deadline=None)
def test_any_bytes_as_weights_are_shapes_or_one_error(content):
    from ppgan_zoo.export.program_file import _tensors

    try:
        assert all(isinstance(shape, tuple) for _, shape in _tensors(content))
    except (ValueError, struct.error, IndexError, KeyError):
        pass


@given(content=st.binary(max_size=100))
@settings(max_examples=300, deadline=None)
def test_the_unpickler_knows_a_table_of_names(content):
    """Through the unpickler itself, in this process: it admits a table of names and no other."""
    from ppgan_zoo.convert.untrusted_pickle import ALLOWED, _ArraysOnly, _Refused

    reader = _ArraysOnly(io.BytesIO(content))
    for module, name in ALLOWED:
        assert reader.find_class(module, name) is ALLOWED[module, name]
    with pytest.raises(_Refused):
        reader.find_class("os", content.hex() or "system")
