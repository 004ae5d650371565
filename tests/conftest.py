"""What the tests share: a quiet, single-device Paddle and small, fast data."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ppgan_zoo import runtime

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config):
    # What is ignored at the start stays ignored, in what the tests start too: nohup and
    # shells without job control start their commands so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Fewer threads than cores may be free on a shared machine; the sums are the same.
    os.environ.setdefault("PPGAN_ZOO_THREADS", "2")
    runtime.start("cpu")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Let what a test printed reach the process that gathers it, whatever bytes a name holds."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode())
                       for name, text in report.sections]  # fmt: skip
    return report


@pytest.fixture
def cli():
    """Run ``ppgan-zoo`` in a process of its own; returns the finished process."""

    def run(*arguments, cwd=None, timeout=120, env=None):
        return subprocess.run(
            [sys.executable, "-m", "ppgan_zoo", *map(str, arguments)],
            capture_output=True, text=True, timeout=timeout, cwd=cwd,
            env={**os.environ, **(env or {})}, check=False,
        )  # fmt: skip

    return run


def install_plugin(source, folder):
    """Install a package of docs/ under `folder`; return environment variables that find it."""
    shutil.copytree(source, folder / "source")  # the build leaves files behind
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
            "--no-build-isolation", "--disable-pip-version-check",
            "--target", folder / "site", folder / "source",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    paths = [str(folder / "site"), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


TINY = """\
model: {name: gan_mlp, generator: {hidden_units: [32]}, discriminator: {hidden_units: [32]}}
latent: {dim: 8}
data: {name: mnist, batch_size: 32, limit: 128}
training: {epochs: 3}
ema: {decay: 0.9}
samples: {every_steps: 4, grid: [2, 4], real_rows: 1}
log: {every_steps: 1, histogram_every_steps: 4}
checkpoint: {every_steps: 4}
"""  # 4 iterations an epoch, 12 in all


@pytest.fixture
def tiny_recipe(tmp_path):
    """A recipe that trains in a second."""
    path = tmp_path / "tiny.yml"
    path.write_text(TINY)
    return path


@pytest.fixture
def batches():
    """Six iterations of fixed noise images, an epoch of three."""

    class Noise:
        steps_per_epoch = 3

        def __getitem__(self, step):
            rng = np.random.default_rng(step)
            return rng.uniform(-1, 1, (8, 1, 28, 28)).astype(np.float32)

    return Noise()


STAND_IN = """
import json, pathlib, signal, sys, time
command, words = sys.argv[1], sys.argv[2:]
output = pathlib.Path(words[words.index("--output") + 1])
name = output.name if command == "train" else pathlib.Path(words[0]).name
behaviour = json.loads((pathlib.Path(__file__).parent / "behaviour.json").read_text())
how = behaviour.get(f"{command} {name}", "well")
if how == "fails":
    print("a warning", file=sys.stderr)
    sys.exit("ppgan-zoo: data: the disk is gone")
once = pathlib.Path(__file__).parent / f"{command} {name} died"
if how == "dies" or (how == "dies once" and not once.exists()):
    once.touch()
    signal.raise_signal(signal.SIGKILL)
if how == "crashes":
    signal.raise_signal(signal.SIGSEGV)
if how == "is ended":
    sys.exit(143)
if command == "evaluate":
    real = {"count": 200, "split": "test", "name": "mnist"}
    floor = None if "--no-floor" in words else {"metrics": {"fid": 0.5, "modes": 10}}
    output.write_text(json.dumps({
        "metrics": {"fid": None if how == "undefined" else 7.0, "modes": 10, "class_entropy": 2.3},
        "floor": floor, "notes": [], "real": real, "settings": {"num_samples": 100},
        "features": {"name": "digits-v1", "sha256": "0" * 64},
        "curve": [{"iteration": 10, "fid": 9.0}, {"iteration": 20, "fid": 7.5}]}))
    sys.exit()
(output / "visualdl").mkdir()
(output / "train.log").write_text(str(time.time_ns()))
lost = how == "restarts"
(output / "manifest.json").write_text(json.dumps({"starts": [{
    "started": "2026-01-01T00:00:00+00:00", "git_commit": "abc", "ppgan_zoo": "0.1.0",
    "data": {"sha256": "d" * 64},
    "runtime": {"device": "cpu", "threads": 2, "processor": "A chip"}}],
    "restarts": [{"iteration": 5, "distance": 1.5}] * lost}))
def progress(done, seconds):
    stretch = {"began": 1767225600.25, "first": 0, "done": done, "seconds": seconds,
               "cpu_seconds": seconds / 2}
    stretches = [{**stretch, "done": 5, "seconds": 8.0, "cpu_seconds": 6.0}] * lost + [stretch]
    text = json.dumps({"iterations": 20, "stretches": stretches})
    (output / "new.json").write_text(text)
    (output / "new.json").rename(output / "progress.json")
progress(0, 0.0)
if how == "never ends":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (output / "visualdl" / "pid.0.log").write_text(str(__import__("os").getpid()))
    (output / "recipe.yml").touch()
    time.sleep(60)
if how == "takes long":
    progress(1, 30.0)
    def stop(*_):
        progress(10, 30.0)
        sys.exit(143)
    signal.signal(signal.SIGTERM, stop)
    (output / "recipe.yml").touch()
    time.sleep(60)
    sys.exit("was not stopped")
progress(20, 40.0)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Replace the processes of searches; returns a function that says how they behave."""
    from ppgan_zoo.search import running

    (tmp_path / "zoo.py").write_text(STAND_IN)
    monkeypatch.setattr(running, "ZOO", (sys.executable, "-S", str(tmp_path / "zoo.py")))
    monkeypatch.setattr(running, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(running.trainings, "check_recipe", lambda place, planned: None)

    def behave(**how):
        how = {name.replace("_", " ", 1).replace("_", "-"): value for name, value in how.items()}
        (tmp_path / "behaviour.json").write_text(json.dumps(how))

    behave()
    return behave


class Projection:
    """A feature network of no training: eight fixed projections and four classes."""

    name, sha256, dim, classes, accuracy = "projection", "0" * 64, 8, 4, None
    is_general = False

    def __init__(self):
        self.seen = []

    def __call__(self, images, *, batch_size=250):
        from ppgan_zoo.metrics.features import FeatureSet

        self.seen.append(images)
        flat = images.reshape(len(images), -1).astype(np.float32) / 255
        weights = np.random.default_rng(0).normal(size=(flat.shape[1], 12)).astype(np.float32)
        projected = flat @ weights
        powers = np.exp(projected[:, 8:] / 10)
        return FeatureSet(
            projected[:, :8],
            powers / powers.sum(axis=1, keepdims=True),
            sharpness=flat.std(axis=1),
        )


@pytest.fixture
def projection(monkeypatch, tmp_path):
    """Stands in for every feature network; features are cached under `tmp_path`."""
    from ppgan_zoo.metrics import network

    made = Projection()
    monkeypatch.setattr(network, "open_features", lambda name, weights: made)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return made


def wait_for(what, seconds=100):
    """Return what a function finds, once it finds something."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.05)
    return found


def is_alive(pid):
    """Tell whether a process is there and not only its exit code."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def tree_bytes(folder):
    """Return every file's content under `folder`, by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def checkpoint_of(name, folder, ema=None, **arguments):
    """A checkpoint after two iterations on noise."""
    import paddle

    import ppgan_zoo
    from ppgan_zoo.data.batches import Batch
    from ppgan_zoo.models.facts import ModelFacts
    from ppgan_zoo.models.spec import constructor_arguments
    from ppgan_zoo.registry import MODELS
    from ppgan_zoo.storage.checkpoint import save_checkpoint
    from ppgan_zoo.training.assemble import make_trainer

    spec = MODELS.get(name)
    paddle.seed(7)
    gan = ppgan_zoo.create(name, **arguments)
    trainer = make_trainer(gan, ema_decay=ema)
    noise = np.random.default_rng(0).uniform(-1, 1, (8, *gan.image_shape)).astype(np.float32)
    labels = np.arange(8) % gan.num_classes if gan.num_classes else None
    for _ in range(2):
        trainer.step(Batch(noise, labels))
    resolved = {
        role: {
            key: arguments.get(role, {}).get(key, arguments.get(key, parameter.default))
            for key, parameter in constructor_arguments(spec.nets[role]).items()
        }
        for role in ("generator", "discriminator")
    }
    facts = ModelFacts(
        name=name, image_shape=gan.image_shape, image_range=spec.image_range,
        latent=gan.latent(), num_classes=gan.num_classes, **resolved,
    )  # fmt: skip
    return save_checkpoint(folder, trainer.state(), 2, facts.to_json()), trainer


def assert_same_state(left, right):
    """Compare two states of trainers, byte by byte."""
    assert left.keys() == right.keys()
    for file, arrays in left.items():
        assert arrays.keys() == right[file].keys()
        for key, array in arrays.items():
            assert array.tobytes() == right[file][key].tobytes(), (file, key)
