"""Pipes, devices, giants, folders and links in the place of every file that is read or written."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from checkpoint_cases import sign
from harness import Case, Stock
from safetensors.numpy import load_file

DEVICE = ("--device", "cpu")
RESUME = ("train", "--resume", "run", "--offline")
SEARCH = "recipe: small.yml\nminutes: 1\nseeds: [0]\nsettings: {a: {}}\n"


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


INSTEAD = {
    "a pipe": _pipe, "a device without end": _endless, "a sparse terabyte": _giant,
    "a folder": _folder, "a link to itself": _loop,
}  # fmt: skip


def _stock(folder: Path, stock: Stock) -> None:
    shutil.copytree(stock.run, folder / "run")
    shutil.rmtree(folder / "run" / "visualdl")
    shutil.copytree(stock.exported, folder / "model")
    shutil.copyfile(stock.run / "recipe.yml", folder / "small.yml")
    (folder / "search.yml").write_text(SEARCH)
    arrays = load_file(stock.checkpoint / "generator.safetensors")
    np.savez(folder / "good.npz", **arrays)


def _newest(folder: Path) -> Path:
    return max((folder / "run" / "checkpoints").glob("step-*"))


def _program(folder: Path) -> Path:
    return next(
        path for path in (folder / "model").iterdir() if path.suffix in (".json", ".pdmodel")
    )


READ: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "checkpoint.json": (lambda folder: _newest(folder) / "checkpoint.json",
                        ("sample", "run", *DEVICE)),
    "ema.safetensors": (lambda folder: _newest(folder) / "ema.safetensors",
                        ("sample", "run", *DEVICE)),
    "best.json": (lambda folder: folder / "run" / "checkpoints" / "best.json",
                  ("sample", "run", "--best", *DEVICE)),
    "recipe.yml": (lambda folder: folder / "run" / "recipe.yml", RESUME),
    "manifest.json": (lambda folder: folder / "run" / "manifest.json", RESUME),
    "model.yml": (lambda folder: folder / "model" / "model.yml", ("sample", "model", *DEVICE)),
    "pdiparams": (lambda folder: folder / "model" / "generator.pdiparams",
                  ("sample", "model", *DEVICE)),
    "generator.": (_program, ("export", "--checkpoint", "run", "--output", "model")),
    "search.yml": (lambda folder: folder / "search.yml",
                   ("search", "search.yml", "--output", "out", "--offline")),
    "weights.safetensors": (lambda folder: folder / "weights.safetensors",
                            ("convert", "weights.safetensors", "--model", "gan_mlp", "--output", "o")),
    "weights.npz": (lambda folder: folder / "weights.npz",
                    ("convert", "weights.npz", "--model", "gan_mlp", "--output", "o")),
    "inception.safetensors": (lambda folder: folder / "inception.safetensors",
                              ("evaluate", "run", "--features", "inception-v3", "--weights",
                               "inception.safetensors", "--split", "train", "--num-samples", "100",
                               "--offline", *DEVICE)),
}  # fmt: skip
SAYS = {  # where another file is named, or the whole
    "recipe.yml": "recipe.yml",
    "generator.": "no earlier export",
}


def _case(file: str, kind: str) -> Case:
    place, arguments = READ[file]

    def build(folder: Path, stock: Stock) -> None:
        _stock(folder, stock)
        path = place(folder)
        path.unlink(missing_ok=True)
        INSTEAD[kind](path)

    return Case(f"{kind} for {file}", arguments, (SAYS.get(file, file),), build)


INPUTS = [_case(file, kind) for file in READ for kind in INSTEAD]

# A run of a stranger, whose files lead out of it.
LINKED = (
    "checkpoints", "samples", "visualdl", "train.log", ".lock", "recipe.yml", "manifest.json",
    "progress.json", "checkpoints/best.json", "checkpoints/step-00000001",
    "checkpoints/step-00000001/generator.safetensors", "visualdl/vdlrecords.0000000000.log",
)  # fmt: skip


def _linked(name: str) -> Case:
    def build(folder: Path, stock: Stock) -> None:
        _stock(folder, stock)
        path, outside = folder / "run" / name, folder / "outside"
        path.parent.mkdir(exist_ok=True)
        if path.is_dir():
            path.rename(outside)
        else:
            path.unlink(missing_ok=True)
            outside.write_text("theirs" if name != "recipe.yml" else (stock.run / name).read_text())
        path.symlink_to(outside)

    more = ("-o", "training.iterations=2")
    return Case(f"a resume whose {name} is a link", (*RESUME, *more), (f"run/{name}: is a symbolic link",),
                build)  # fmt: skip


def _log(kind: str) -> Case:
    def build(folder: Path, stock: Stock) -> None:
        _stock(folder, stock)
        (folder / "run" / "train.log").unlink()
        INSTEAD[kind](folder / "run" / "train.log")

    return Case(f"a resume whose log is {kind}", (*RESUME, "-o", "training.iterations=2"),
                ("train.log",), build)  # fmt: skip


def _run(name: str, change: Callable[[Path], object], *says: str) -> Case:
    def build(folder: Path, stock: Stock) -> None:
        _stock(folder, stock)
        change(folder / "run")

    return Case(name, (*RESUME, "-o", "training.iterations=2"), says, build)


def _replaced(file: str, old: str, new: str) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        text = (run / file).read_text()
        assert old in text
        (run / file).write_text(text.replace(old, new, 1))

    return change


def _manifest(change: Callable[[dict], object]) -> Callable[[Path], object]:
    def rewrite(run: Path) -> None:
        manifest = json.loads((run / "manifest.json").read_text())
        change(manifest)
        (run / "manifest.json").write_text(json.dumps(manifest))

    return rewrite


def _renamed(run: Path) -> None:
    (run / "checkpoints" / "step-00000001").rename(run / "checkpoints" / "step-00000009")


def _newer(run: Path) -> None:
    file = run / "checkpoints" / "step-00000001" / "checkpoint.json"
    file.write_text(json.dumps({"format": 7}))


CHANGED = [
    _run("a resume with another seed", _replaced("recipe.yml", "seed: 0", "seed: 5"), "seed"),
    _run("a resume with another batch", _replaced("recipe.yml", "batch_size: 32", "batch_size: 16"),
         "data.batch_size", "by hand"),
    _run("a resume with another first net", _replaced("recipe.yml", "first: discriminator",
         "first: generator"), "training.first"),
    _run("a resume without a manifest", lambda run: (run / "manifest.json").unlink(), "is missing"),
    _run("a manifest of nothing", lambda run: (run / "manifest.json").write_text("{}"), "starts"),
    _run("a manifest nested deep", lambda run: (run / "manifest.json").write_text("[" * 100_000),
         "manifest.json"),
    _run("a manifest without data", _manifest(lambda m: m["starts"][0].pop("data")), "data"),
    _run("a manifest of other data", _manifest(lambda m: m["starts"][0]["data"].update(
        sha256="0" * 64)), "was started on"),
    _run("a manifest of a count in words", _manifest(lambda m: m["starts"][0]["data"].update(
        count="many")), "starts.0.data.count"),
    _run("a manifest of starts that are numbers", _manifest(lambda m: m.update(starts=[1])),
         "no mapping"),
    _run("a checkpoint under another number", _renamed, "step-00000009", "iteration 1"),
    _run("a checkpoint of a newer format", _newer, "checkpoint.json", "7"),
    _run("a checkpoint of another seed", lambda run: sign(
        run / "checkpoints" / "step-00000001", lambda m: m.update(seed=9)), "of another run", "seed"),
    _run("a checkpoint of another model", lambda run: sign(
        run / "checkpoints" / "step-00000001",
        lambda m: m["model"]["generator"].update(activation="relu")), "of another run",
        "activation"),
]  # fmt: skip


def _outputs(name: str, arguments: tuple[str, ...], *says: str) -> Case:
    def build(folder: Path, stock: Stock) -> None:
        _stock(folder, stock)
        (folder / "mine").mkdir()
        for file in ("model.yml", "results.json", "notes.txt"):
            (folder / "mine" / file).write_text("mine")
        (folder / "mine" / "runs").mkdir()
        (folder / "file").write_text("mine")

    return Case(name, arguments, says, build)


OUTPUTS = [
    _outputs(f"{command[0]} into {what}", (*command, "--output", where), where[:4])
    for what, where in {"somebody's folder": "mine", "a file": "file",
                        "a folder in a file": "file/out"}.items()
    for command in (
        ("export", "--checkpoint", "run"),
        ("search", "search.yml", "--offline"),
        ("train", "-c", "run/recipe.yml", "--offline"),
        ("convert", "good.npz", "-c", "run/recipe.yml"),
    )
]  # fmt: skip

CASES = [
    *INPUTS, *map(_linked, LINKED), *map(_log, ("a pipe", "a device without end", "a folder")),
    *CHANGED, *OUTPUTS,
]  # fmt: skip
