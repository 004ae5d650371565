"""Malformed checkpoints and runs."""

import hashlib
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import Case, Stock
from safetensors.numpy import load_file, save_file

SAMPLE = ("sample", "step", "--device", "cpu")
WEIGHTS = "ema.safetensors"  # what is sampled from a run with a moving average


def sign(folder: Path, change: Callable[[dict], object] = lambda manifest: None) -> None:
    """Change the manifest as a stranger can: with every hash right again."""
    file = folder / "checkpoint.json"
    manifest = json.loads(file.read_text())
    for name in manifest["files"]:
        if (folder / name).is_file():
            raw = (folder / name).read_bytes()
            manifest["files"][name] = {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    change(manifest)
    manifest.pop("sha256", None)
    manifest["sha256"] = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
    file.write_text(json.dumps(manifest))


def _case(name: str, damage: Callable[[Path], object], *says: str) -> Case:
    """Return the case of a damaged copy of a checkpoint, in the folder ``step``."""

    def build(folder: Path, stock: Stock) -> None:
        shutil.copytree(stock.checkpoint, folder / "step")
        damage(folder / "step")

    return Case(name, SAMPLE, says, build)


def _bytes(name: str, file: str, change: Callable[[bytes], bytes], *says: str) -> Case:
    def damage(folder: Path) -> None:
        (folder / file).write_bytes(change((folder / file).read_bytes()))

    return _case(name, damage, file, *says)


def _manifest(name: str, change: Callable[[dict], object], *says: str) -> Case:
    """Return the case of a manifest that is wrong and whose own hash is right."""
    return _case(name, lambda folder: sign(folder, change), "checkpoint.json", *says)


def _weights(name: str, content: Callable[[bytes], bytes], *says: str) -> Case:
    """Return the case of a file of weights that is wrong and whose hash is right."""

    def damage(folder: Path) -> None:
        (folder / WEIGHTS).write_bytes(content((folder / WEIGHTS).read_bytes()))
        sign(folder)

    return _case(name, damage, *says)


def _arrays(name: str, change: Callable[[dict], object], *says: str) -> Case:
    """Return the case of wrong tensors in a sound file whose hash is right."""

    def damage(folder: Path) -> None:
        arrays = load_file(folder / WEIGHTS)
        change(arrays)
        save_file(arrays, folder / WEIGHTS)
        sign(folder)

    return _case(name, damage, *says)


def _set(path: str, value: object) -> Callable[[dict], object]:
    def change(manifest: dict) -> None:
        *parts, last = path.split(".")
        for part in parts:
            manifest = manifest[part]
        manifest[last] = value

    return change


def _flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:at] + bytes([raw[at] ^ 1]) + raw[at:][1:]


def tensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """Return a safetensors file with this header, and perhaps a lie about its length."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def _tensor(start: int, end: int, shape: tuple[int, ...] = (2,), dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


DAMAGED = [
    *(_bytes(f"weights with byte {at} flipped", WEIGHTS, _flipped(at), "SHA-256", "damaged")
      for at in (0, 7, 8, 100, 5000, -2)),
    *(_bytes(f"weights of {size} bytes", WEIGHTS, lambda raw, size=size: raw[:size], "SHA-256",
             "use another checkpoint") for size in (0, 1, 8, 9, 1000)),
    _bytes("weights with a byte more", WEIGHTS, lambda raw: raw + b"\0", "SHA-256"),
    _bytes("a pickle for weights", WEIGHTS, lambda raw: b"cos\nsystem\n(S'touch canary'\ntR.",
           "SHA-256"),
    _case("no weights", lambda folder: (folder / WEIGHTS).unlink(), WEIGHTS, "No such file"),
    _case("a folder for weights", lambda folder: ((folder / WEIGHTS).unlink(),
          (folder / WEIGHTS).mkdir()), WEIGHTS, "cannot be read"),
    *(_bytes(f"a manifest of {size} bytes", "checkpoint.json", lambda raw, size=size: raw[:size],
             "not JSON", "damaged") for size in (0, 1, 50)),
    _bytes("a manifest with a changed digit", "checkpoint.json",
           lambda raw: raw.replace(b'"iteration": 1', b'"iteration": 2'), "SHA-256", "damaged"),
    _bytes("a manifest of NULs", "checkpoint.json", lambda raw: bytes(len(raw)), "not JSON"),
    _bytes("a manifest in UTF-16", "checkpoint.json", lambda raw: b"\xff\xfe\xfa", "not JSON"),
    _bytes("a manifest nested deep", "checkpoint.json", lambda raw: b"[" * 100_000, "not JSON"),
    _bytes("a manifest with huge numbers", "checkpoint.json", lambda raw: b"9" * 100_000,
           "not JSON"),
    _bytes("a manifest that is a list", "checkpoint.json", lambda raw: b"[1]", "format 1"),
    _bytes("a manifest that is text", "checkpoint.json", lambda raw: b'"x"', "format 1"),
    _case("a manifest of a terabyte", lambda folder: _terabyte(folder / "checkpoint.json"),
          "checkpoint.json", "larger than"),
]  # fmt: skip


def _terabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


LYING_MANIFESTS = [
    _manifest("another format", _set("format", 2), "format 1"),
    _manifest("no format", lambda manifest: manifest.pop("format"), "format 1"),
    _manifest("no iteration", lambda manifest: manifest.pop("iteration"), "'iteration'"),
    _manifest("negative iteration", _set("iteration", -1), "'iteration'"),
    _manifest("iteration as text", _set("iteration", "1"), "'iteration'"),
    _manifest("iteration as boolean", _set("iteration", True), "'iteration'"),
    _manifest("no model", lambda manifest: manifest.pop("model"), "'model'"),
    _manifest("a model that is a list", _set("model", [1]), "'model'"),
    _manifest("a model without a name", lambda manifest: manifest["model"].pop("name"), "'model'"),
    _manifest("a model of no latent", lambda manifest: manifest["model"].pop("latent"), "'model'"),
    _manifest("an unknown prior", _set("model.latent.prior", "cauchy"), "'model'"),
    _manifest("a latent of another size", _set("model.latent.dim", 9), "latent", "9"),
    _manifest("a latent of negative size", _set("model.latent.dim", -9), "dim: found", "-9"),
    _manifest("a latent as text", _set("model.latent.dim", "8"), "'model'"),
    _manifest("an image of two sides", _set("model.image_shape", [1, 28]), "'model'"),
    _manifest("an image of another size", _set("model.image_shape", [1, 32, 32]), "32, 32"),
    _manifest("an empty range", _set("model.image_range", [1, 1]), "range"),
    _manifest("no files", lambda manifest: manifest.pop("files"), "'files'"),
    _manifest("files as a list", _set("files", []), "'files'"),
    _case("files that are none", lambda folder: sign(folder, _set("files", {})),
          "step: holds no generator.safetensors"),
    _manifest("a file that leaves", _set("files", {"../ema.safetensors": {"sha256": "0"}}),
              "'files'"),
    _manifest("a file with an absolute path", _set("files", {"/etc/passwd": {"sha256": "0"}}),
              "'files'"),
    _manifest("a file without a hash", _set("files", {WEIGHTS: {}}), "'files'"),
    _manifest("a hash that is a number", _set("files", {WEIGHTS: {"sha256": 0}}), "'files'"),
    _manifest("an unknown model", _set("model.name", "gan_mlpp"), "unknown model", "gan_mlp"),
    _manifest("a model's name that leaves", _set("model.name", "../../x"), "unknown model"),
    _manifest("a model's name that is a module", _set("model.name", "os:system"), "unknown model"),
    _manifest("another model's name", _set("model.name", "dcgan"), "model.generator.hidden_units"),
    _manifest("an unknown argument", _set("model.generator.x", 1), "model.generator.x", "no such argument"),
    _manifest("an argument of a wrong type", _set("model.generator.hidden_units", "big"),
              "hidden_units"),
    _manifest("an argument of a wrong kind", _set("model.generator.latent_dim", {"a": 1}),
              "latent_dim"),

    _manifest("a net that no machine holds", _set("model.generator.hidden_units", [3000000] * 2),
              "memory"),
    _manifest("a net of a million layers", _set("model.generator.hidden_units", [1] * 100_000),
              "hidden_units", "at most"),
    _manifest("a spectral norm of nothing", _set("model.spectral_norm", ["os"]), "'model'"),
]  # fmt: skip

LYING_TENSORS = [
    _case("weights of another width", lambda folder: sign(
        folder, _set("model.generator.hidden_units", [33])), WEIGHTS, "(8, 32)", "(8, 33)"),
    _weights("a header of 2^63", lambda raw: tensors({}, length=1 << 63), WEIGHTS, "safetensors"),
    _weights("a header of 2^64 - 1", lambda raw: tensors({}, length=2**64 - 1), WEIGHTS),
    _weights("a header longer than the file", lambda raw: tensors({}, length=100), WEIGHTS),
    _weights("a header of no length", lambda raw: bytes(8), WEIGHTS),
    _weights("a header that is no JSON", lambda raw: tensors(b"{x}"), WEIGHTS),
    _weights("a header nested deep", lambda raw: tensors(b"[" * 10_000), WEIGHTS),
    _weights("overlapping tensors", lambda raw: tensors(
        {"a": _tensor(0, 8), "b": _tensor(4, 12)}, bytes(12)), WEIGHTS),
    _weights("a gap between tensors", lambda raw: tensors(
        {"a": _tensor(0, 8), "b": _tensor(12, 20)}, bytes(20)), WEIGHTS),
    _weights("a tensor beyond the end", lambda raw: tensors({"a": _tensor(0, 8)}, bytes(4)),
             WEIGHTS),
    _weights("a tensor that ends before it starts", lambda raw: tensors(
        {"a": _tensor(8, 0)}, bytes(8)), WEIGHTS),
    _weights("a shape that its bytes do not fill", lambda raw: tensors(
        {"a": _tensor(0, 8, (3,))}, bytes(8)), WEIGHTS),
    _weights("a shape that overflows", lambda raw: tensors(
        {"a": _tensor(0, 8, (1 << 62, 1 << 62))}, bytes(8)), WEIGHTS),
    _weights("a negative shape", lambda raw: tensors({"a": _tensor(0, 8, (-2,))}, bytes(8)),
             WEIGHTS),
    _weights("an unknown type", lambda raw: tensors(
        {"a": _tensor(0, 8, dtype="OBJECT")}, bytes(8)), WEIGHTS),
    _weights("a type that numpy lacks", lambda raw: tensors(
        {"a": _tensor(0, 4, dtype="BF16")}, bytes(4)), "tensor"),
    _weights("a name twice", lambda raw: tensors(
        b'{"a":%s,"a":%s}' % ((json.dumps(_tensor(0, 8)).encode(),) * 2), bytes(8)), "tensor"),
    _weights("bytes after the tensors", lambda raw: raw + bytes(8), WEIGHTS),
    _weights("text for weights", lambda raw: b"these are no weights", WEIGHTS),
    _weights("a pickle that runs, signed", lambda raw: b"cos\nsystem\n(S'touch canary'\ntR.",
             WEIGHTS),
    _weights("a pickle of protocol 4, signed", lambda raw: b"\x80\x04\x8c\x02os\x94\x8c\x06system"
             b"\x94\x93\x8c\x0ctouch canary\x85R.", WEIGHTS),
    _arrays("a missing tensor", lambda arrays: arrays.popitem(), "is missing", "tensor"),
    _arrays("an extra tensor", lambda arrays: arrays.update(x=np.zeros(1, np.float32)),
            "tensor 'x' is not expected"),
    _arrays("no tensor", lambda arrays: arrays.clear(), "is missing"),
    _arrays("a tensor with an axis more", lambda arrays: arrays.update(
        {name: value[None] for name, value in arrays.items()}), "has shape (1,"),
    _arrays("a tensor turned", lambda arrays: arrays.update(
        {name: np.ascontiguousarray(value.T) for name, value in arrays.items()}), "has shape"),
    _arrays("tensors of 64 bits", lambda arrays: arrays.update(
        {name: value.astype(np.float64) for name, value in arrays.items()}), "float64", "float32"),
    _arrays("tensors of integers", lambda arrays: arrays.update(
        {name: value.astype(np.int32) for name, value in arrays.items()}), "int32", "float32"),
    _arrays("a weight that is NaN", lambda arrays: arrays.update(
        {name: value * np.float32("nan") for name, value in arrays.items()}), "NaN"),
    _arrays("a weight that is infinite", lambda arrays: arrays.update(
        {name: value + np.float32("inf") for name, value in arrays.items()}), "NaN"),
]  # fmt: skip


def _run(name: str, arguments: tuple[str, ...], damage: Callable[[Path], object],
         *says: str) -> Case:  # fmt: skip
    """Return the case of a damaged copy of a run, in the folder ``run``."""

    def build(folder: Path, stock: Stock) -> None:
        shutil.copytree(stock.run, folder / "run")
        for path in (folder / "run").glob("visualdl/*"):
            path.unlink()
        damage(folder / "run")

    return Case(name, arguments, says, build)


def _empty(run: Path) -> None:
    for checkpoint in run.glob("checkpoints/step-*"):
        shutil.rmtree(checkpoint)


def _spoil(run: Path) -> None:
    for file in run.glob("checkpoints/step-*/*.safetensors"):
        file.write_bytes(b"")


SAMPLE_RUN = ("sample", "run", "--device", "cpu")
BEST = (*SAMPLE_RUN, "--best")

RUNS = [
    _run("a run without checkpoints", SAMPLE_RUN, _empty, "run/checkpoints", "no valid"),
    _run("a run of damaged checkpoints", SAMPLE_RUN, _spoil, "no valid", "SHA-256"),
    _run("a run without its folder", SAMPLE_RUN, lambda run: shutil.rmtree(run / "checkpoints"),
         "neither a run"),
    _run("a best that is no JSON", BEST, lambda run: (run / "checkpoints/best.json").write_text(
        "{"), "best.json", "cannot be read"),
    _run("a best that is a list", BEST, lambda run: (run / "checkpoints/best.json").write_text(
        "[]"), "best.json", "cannot be read"),
    _run("no best", BEST, lambda run: (run / "checkpoints/best.json").unlink(), "no best"),
    _run("a best that leaves", BEST, lambda run: (run / "checkpoints/best.json").write_text(
        '{"checkpoint": "../../../etc", "figure": "x", "value": 1}'), "checkpoints/etc"),
    _run("a resume of a changed recipe", ("train", "--resume", "run"),
         lambda run: (run / "recipe.yml").write_text("model: [\n"), "recipe.yml", "YAML"),
    _run("a resume of an emptied recipe", ("train", "--resume", "run"),
         lambda run: (run / "recipe.yml").write_text(""), "recipe.yml", "found nothing"),
    _run("a resume without a recipe", ("train", "--resume", "run"),
         lambda run: (run / "recipe.yml").unlink(), "not a run"),
    _run("a resume with another model", ("train", "--resume", "run", "-o", "model.name=dcgan"),
         lambda run: None, "cannot be changed on a resume"),
]  # fmt: skip

CASES = [*DAMAGED, *LYING_MANIFESTS, *LYING_TENSORS, *RUNS]
