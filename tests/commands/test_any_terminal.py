"""Any stream, any signal, any path: what is printed works, and nothing that was done is lost."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from ppgan_zoo.storage.files import as_argument

ZOO = [sys.executable, "-m", "ppgan_zoo"]


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "set #2"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "r.yml"
    path.write_text(
        "model: {name: gan_mlp, generator: {hidden_units: [8]}, discriminator: {hidden_units: [8]}}\n"
        "latent: {dim: 4}\n"
        "data: {name: folder, directory: x, batch_size: 4, image_size: 8}\n"
        "training: {iterations: 2}\n"
    )
    return path


def run(*arguments, **options):
    return subprocess.run(
        [*ZOO, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("closed", ["2>&-", "1>&-", "0<&-", "0<&- 1>&- 2>&-"])
def test_a_closed_stream_hinders_nothing(closed, tiny_recipe, tmp_path):
    command = shlex.join([*ZOO, "train", "-c", str(tiny_recipe), "--offline", "--output", "run"])
    done = subprocess.run(
        ["bash", "-c", f"{command} {closed}"], cwd=tmp_path, timeout=120, check=False,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / "run" / "checkpoints" / "step-00000012" / "checkpoint.json").is_file()
    # Nothing that was printed went into a file of the run.
    assert (tmp_path / "run" / "recipe.yml").read_text().startswith("seed:")


@contextlib.contextmanager
def begun(tiny_recipe, folder, by=()):
    """A long run, started by a command or directly, that has trained for an epoch at least."""
    process = subprocess.Popen(
        [*by, *ZOO, "train", "-c", str(tiny_recipe), "--offline", "--output", "run",
         "-o", "training.epochs=100000", "-o", "checkpoint.every_steps=100000",
         "-o", "samples.every_steps=100000", "-o", "checkpoint.best_by=null"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        log, end = folder / "run" / "train.log", time.monotonic() + 60
        while not (log.is_file() and "epoch 1.00" in log.read_text()):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_full_disk_behind_standard_output_is_one_line():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*ZOO, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "ppgan-zoo: standard output: No space left on device\n"


def test_a_reader_that_goes_away_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*ZOO, "list"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "latin-1"])
def test_a_terminal_of_another_encoding_shows_what_it_can(encoding, tmp_path):
    name = "ü 🦆 \udcff"
    (tmp_path / name).mkdir()
    done = run(
        "sample", name, cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": encoding},
        encoding=encoding,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("ppgan-zoo: ") and done.stderr.count("\n") == 1
    assert "neither a run" in done.stderr and "\\U0001f986" in done.stderr


def fake_paddle(folder, text):
    """A Paddle whose import does something, first on the path."""
    (folder / "paddle").mkdir()
    (folder / "paddle" / "__init__.py").write_text(text)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
    }


INTERRUPTED = """\
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000): pass
except BaseException:  # as Paddle's own code takes it
    raise ImportError("initialization failed") from None
"""


@pytest.mark.parametrize(
    ("command", "text", "code", "said"),
    [
        ("info gan_mlp --full", INTERRUPTED, 130, ""),
        ("train -c demo", INTERRUPTED, 130, ""),
        ("export --checkpoint . --output x", INTERRUPTED, 130, ""),
        ("info gan_mlp --full", 2 * "import os, signal; os.kill(os.getpid(), signal.SIGINT)\n", 130, ""),
        *(
            (command, "raise ImportError('libx.so: gone')", 2,
             "Paddle cannot be imported (libx.so: gone); install it: pip install ")
            for command in ("info gan_mlp --full", "train -c demo", "train --resume .", "sample .",
                            "export --checkpoint . --output x", "evaluate .", "check gan_mlp",
                            "bench -c demo", "collapse ring",
                            "convert x.npz --model gan_mlp --output x")
        ),
        ("info gan_mlp --full", "raise SystemError('no such\\ninstruction')", 2, "(no such instruction)"),
    ],
)  # fmt: skip
def test_paddle_s_import_is_interrupted_or_fails_in_good_order(command, text, code, said, tmp_path):
    (tmp_path / "recipe.yml").write_text("")  # so that it may be a run
    done = run(*command.split(), cwd=tmp_path, env=fake_paddle(tmp_path, text))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert said in done.stderr and bool(done.stderr) == bool(said)


def test_hanging_up_saves_as_a_termination_does(tiny_recipe, tmp_path):
    with begun(tiny_recipe, tmp_path) as process:
        process.send_signal(signal.SIGHUP)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGHUP
    assert "and saved; continue with: ppgan-zoo train --resume run" in said
    assert len(list((tmp_path / "run" / "checkpoints").glob("step-*"))) == 1


def test_a_signal_that_was_ignored_stays_ignored(tiny_recipe, tmp_path):
    with begun(tiny_recipe, tmp_path, by=["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]) as process:
        process.send_signal(signal.SIGHUP)
        time.sleep(1.0)
        assert process.poll() is None  # as under nohup
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("name", ["a run", "it's", "#1", "-dash", "ü", 'say "yes"'])
def test_the_commands_that_are_printed_work_when_pasted(name, tiny_recipe, tmp_path):
    done = run("train", "-c", tiny_recipe, "--offline", f"--output={name}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("  export:")]
    command = line.partition(":")[2].strip().replace("ppgan-zoo", shlex.join(ZOO), 1)
    pasted = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert pasted.returncode == 0, pasted.stderr
    assert (tmp_path / name / "export" / "model.yml").is_file()


def test_a_path_is_an_argument_of_its_own():
    for path, wanted in (
        ("plain/run", "plain/run"), ("a b", "'a b'"), ("-x", "./-x"), ("it's", "'it'\"'\"'s'"),
    ):  # fmt: skip
        assert as_argument(path) == wanted


def data_line(done):
    assert done.returncode == 0, done.stderr
    return next(line for line in done.stdout.splitlines() if line.startswith("data: "))


def test_a_folder_s_name_is_text_and_no_yaml(recipe, pictures, tmp_path):
    dry = ("train", "-c", recipe, "--dry-run", "-o")
    (tmp_path / "set").mkdir()
    shutil.copy(pictures / "0.png", tmp_path / "set")
    assert data_line(run(*dry, f"data.directory={pictures}")).startswith("data: 8 images")
    for name in ("123", "yes", "[a]", "{b: 1}", "a: b"):
        shutil.copytree(pictures, tmp_path / name)
        line = data_line(run(*dry, f"data.directory={name}", cwd=tmp_path))
        assert line.startswith("data: 8 images") and line.endswith(f"{name})"), name
    refused = run(*dry, "data.directory=null")
    assert refused.returncode == 2 and "data.directory" in refused.stderr


@pytest.mark.parametrize("by", ["-o data.directory={}", "--data-dir={}"])
def test_a_tilde_is_the_home_folder(by, recipe, pictures, tmp_path):
    given = by.format("~/set #2")
    arguments = given.split(" ", 1) if given.startswith("-o") else [given]
    done = run(
        "train", "-c", recipe, "--dry-run", *arguments,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert data_line(done).startswith("data: 8 images")


def test_a_run_is_resumed_from_any_folder(recipe, pictures, tmp_path):
    recipe.write_text(recipe.read_text().replace("directory: x", "directory: 'set #2'"))
    done = run("train", "-c", recipe, "--output", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(pictures) in (tmp_path / "run" / "recipe.yml").read_text()
    done = run("train", "--resume", tmp_path / "run", "-o", "training.iterations=4", cwd="/")
    assert done.returncode == 0, done.stderr


def test_the_warnings_of_a_library_become_one_line(recipe, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    damaged = b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03\0\0\0\x01"
    for number in range(8):
        Image.new("RGB", (8, 8)).save(folder / f"{number}.jpg", exif=damaged)
    done = run(
        "train", "-c", recipe, "--output", tmp_path / "run", "-o", f"data.directory={folder}"
    )
    assert done.returncode == 0, done.stderr
    assert "UserWarning" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "EXIF" in line]
    assert line.startswith(f"{folder}: 8 pictures were read with a warning, the first: 0.jpg: ")


SCRIPTS = sorted(path.name for path in (ROOT / "tools").glob("[!_]*.py"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout as it lies after git clone: not installed, and elsewhere."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("tools", "ppgan_zoo", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc"))
    return folder


def script(checkout, name, *arguments, path):
    """Run a script; with -S the zoo's own installation is out of sight."""
    return subprocess.run(
        [sys.executable, "-S", f"tools/{name}", *arguments], cwd=checkout, timeout=120,
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_of_a_checkout_without_any_package_says_what_to_install(name, checkout):
    done = script(checkout, name, "--help", path="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "pip install -e '.[cpu]'" in done.stderr


@pytest.mark.parametrize("name", ["train.py", "demo.py", "load.py"])
def test_a_script_of_a_checkout_that_is_not_installed_runs(name, checkout):
    done = script(checkout, name, "--help", path=sysconfig.get_path("purelib"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
