"""Things in the place of a file or folder, names that would steer a terminal, options in vain.

The same few mistakes at every door where a command reads or writes something.
"""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from harness import Case, Stock, nothing
from recipe_cases import SOUND

ESCAPE = "a\x1b[31m\nb\x9b"
SHOWN = "a\\x1b[31m\\nb\\x9b"

SEARCH = """\
recipe: recipe.yml
minutes: 1
seeds: [0]
settings: {base: {}}
"""


def _files(folder: Path, stock: Stock) -> None:
    """Make what is right, so that one thing alone is wrong."""
    (folder / "recipe.yml").write_text(SOUND)
    (folder / "search.yml").write_text(SEARCH)


def _case(name: str, arguments: tuple[str, ...], *says: str,
          also: Callable[[Path], object] = lambda folder: None) -> Case:  # fmt: skip
    def build(folder: Path, stock: Stock) -> None:
        _files(folder, stock)
        also(folder)

    return Case(name, arguments, says, build)


# Every argument that is a path, with what else the command needs.
DOORS = {
    "a recipe": lambda path: ("train", "-c", f"{path}.yml", "--offline"),
    "a recipe to convert": lambda path: ("convert", "x.npz", "-c", f"{path}.yml", "--output", "o"),
    "a recipe to bench": lambda path: ("bench", "-c", f"{path}.yml"),
    "a recipe of stability": lambda path: ("stability", f"{path}.yml", "--output", "o"),
    "a search": lambda path: ("search", f"{path}.yml", "--output", "o"),
    "a run to resume": lambda path: ("train", "--resume", path),
    "a folder of runs": lambda path: ("train", "--resume", "--output", path),
    "a model to sample": lambda path: ("sample", path),
    "a model to measure": lambda path: ("evaluate", path),
    "a checkpoint to export": lambda path: ("export", "--checkpoint", path, "--output", "o"),
    "weights to convert": lambda path: ("convert", f"{path}.npz", "--model", "gan_mlp",
                                        "--output", "o"),
    "a pickle to convert": lambda path: ("convert", "--trust", f"{path}.pdparams", "--model",
                                         "gan_mlp", "--output", "o"),
    "data": lambda path: ("train", "-c", "recipe.yml", "--data-dir", path, "--dry-run"),
    "pictures": lambda path: ("train", "-c", "recipe.yml", "-o", "data.name=folder", "-o",
                              f"data.directory={path}", "--dry-run"),
    "data of modes": lambda path: ("collapse", "stacked_mnist", "--data-dir", path),
}  # fmt: skip

NAMES = [_case(f"an escape in the name of {what}", door(ESCAPE), SHOWN)
         for what, door in DOORS.items()]  # fmt: skip


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _suffix(arguments: tuple[str, ...]) -> str:
    (path,) = (word for word in arguments if word.removeprefix("data.directory=").startswith("it"))
    return Path(path.removeprefix("data.directory=")).suffix


SPECIAL = {
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a link to a device without end": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}
SPECIAL_PLACES = [
    _case(f"{thing} for {what}", door("it"), "no folder" if what == "data" else "it",
          also=lambda folder, make=make, name=f"it{_suffix(door('it'))}": make(folder / name))
    for what, door in DOORS.items() for thing, make in SPECIAL.items()
    if what not in ("a recipe of stability", "a recipe to bench", "a recipe to convert",
                    "a folder of runs", "data of modes")
]  # fmt: skip


def _file(folder: Path) -> None:
    (folder / "it").write_text("in the way")


def _full(folder: Path) -> None:
    (folder / "it").mkdir()
    (folder / "it" / "precious.txt").write_text("mine")


OUTPUTS = {
    "a training": ("train", "-c", "recipe.yml", "--output"),
    "a search": ("search", "search.yml", "--offline", "--output"),
    "a collapse": ("collapse", "ring", "--iterations", "1", "--seeds", "1", "--output"),
    "a conversion": ("convert", "x.npz", "--model", "gan_mlp", "--output"),
}
PLACES = [
    *(_case(f"a file where {what} goes", (*words, "it"), "it", also=_file)
      for what, words in OUTPUTS.items()),
    *(_case(f"a file above where {what} goes", (*words, "it/x"), "it", also=_file)
      for what, words in OUTPUTS.items() if what != "a conversion"),
    *(_case(f"a user's folder where {what} goes", (*words, "it"), "it", also=_full)
      for what, words in OUTPUTS.items()),
    *(_case(f"an escape where {what} goes, and a file", (*words, ESCAPE), SHOWN,
            also=lambda folder: (folder / ESCAPE).write_text("in the way"))
      for what, words in OUTPUTS.items()),
]  # fmt: skip


def _of_run(name: str, arguments: tuple[str, ...], *says: str) -> Case:
    def build(folder: Path, stock: Stock) -> None:
        shutil.copytree(stock.run, folder / "run")
        shutil.copytree(stock.checkpoint, folder / "step")
        shutil.copytree(stock.exported, folder / "exported")

    return Case(name, arguments, says, build)


IN_VAIN = [
    _of_run("the best of one checkpoint", ("sample", "step", "--best"), "--best is for runs"),
    _of_run("the best of one checkpoint to export", ("export", "--checkpoint", "step", "--best",
            "--output", "o"), "--best is for runs"),
    _of_run("the best of an export", ("sample", "exported", "--best"), "--best is for runs"),
    _of_run("a class of a model without labels", ("sample", "run", "--class", "3"),
            "--class 3", "without labels"),
    _of_run("no average of an export of one", ("evaluate", "exported", "--no-ema", "--data",
            "mnist"), "--no-ema"),
    _of_run("no metric", ("evaluate", "run", "--metrics", ""), "metric"),
    _of_run("a result that is no JSON", ("evaluate", "run", "--output", "x.txt"), ".json"),
    _of_run("a result in no folder", ("evaluate", "run", "--output", "no/x.json"), "in a folder"),
    _of_run("too few samples to measure", ("evaluate", "run", "--num-samples", "1"), "1"),
    _of_run("a negative seed to measure", ("evaluate", "run", "--seed", "-1"), "-1"),
    _of_run("a size of nothing to measure at", ("evaluate", "run", "--resize", "0"), "0"),
    _of_run("weights of a network that has its own", ("evaluate", "run", "--weights", "x"), "x"),
    _of_run("an unknown network", ("evaluate", "run", "--features", "digits-v9"), "digits-v9"),
    _of_run("images into a folder of files", ("sample", "run", "--output", "run/recipe.yml/x.png"),
            "recipe.yml"),
    _of_run("a resume by another seed", ("train", "--resume", "run", "--seed", "9"), "seed=9"),
    _of_run("a resume with more batches", ("train", "--resume", "run", "-o", "data.batch_size=9"),
            "data.batch_size=9"),
    _of_run("a resume that is shorter", ("train", "--resume", "run", "-o", "training.iterations=0"),
            "training.iterations"),
    _of_run("a run trained over", ("train", "-c", "demo", "--output", "run"),
            "already holds a run", "ppgan-zoo train --resume run"),
    Case("an override of a model without a recipe", ("convert", "x.npz", "--model", "gan_mlp",
         "-o", "seed=1", "--output", "o"), ("-c RECIPE instead",), nothing),
    Case("a profile of sampling", ("bench", "--profile", "--sample"), ("--profile", "--sample"),
         nothing),
    Case("seconds that are NaN", ("bench", "--seconds", "nan"), ("--seconds nan",), nothing),
    Case("samples of a test that has its own", ("collapse", "grid", "--samples", "5"),
         ("--samples", "2,500"), nothing),
    Case("a penalty of no weight", ("collapse", "ring", "--penalty", "r1:"), ("weight",), nothing),
    Case("a penalty that is YAML", ("collapse", "ring", "--penalty", "r1: {a"), ("YAML",), nothing),
    Case("no seeds", ("collapse", "ring", "--seeds", "0"), ("--seeds 0", "1 to 1000"), nothing),
]  # fmt: skip

CASES = [*NAMES, *SPECIAL_PLACES, *PLACES, *IN_VAIN]
