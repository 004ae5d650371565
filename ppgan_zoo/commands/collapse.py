"""``ppgan-zoo collapse``: trains on data of known modes and counts those it finds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import (
    add_data_dir,
    add_device,
    add_overrides,
    check_seed,
    data_override,
)
from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.storage.stages import shown
from ppgan_zoo.storage.terminal import say, tell

if TYPE_CHECKING:
    from ppgan_zoo.collapse.recipes import CollapseRecipe
    from ppgan_zoo.collapse.setting import KnownModes
    from ppgan_zoo.collapse.study import SeedResult, Study

FILM = "film.gif"
TESTS = ("ring", "grid", "stacked_mnist")


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("test", choices=TESTS, help="which data")
    parser.add_argument("--objective", metavar="NAME", help="short for -o objective.name=NAME")
    parser.add_argument(
        "--penalty", dest="penalties", metavar="NAME[:WEIGHT]", action="append", default=[],
        help="a term of D's loss, such as r1 or r1:0.1; repeatable",
    )  # fmt: skip
    parser.add_argument("--packing", type=int, metavar="N",
                        help="short for -o constraints.packing=N")  # fmt: skip
    parser.add_argument("--iterations", type=int, metavar="N",
                        help="short for -o training.iterations=N")  # fmt: skip
    add_overrides(parser, "the test's recipe, such as -o ema.decay=0.99")
    parser.add_argument("--seeds", type=int, default=3, metavar="N",
                        help="how many runs (default: 3)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--output", type=Path, metavar="DIR",
                        help="where result.json, samples.png and each run go; the same command "
                        "goes on with what is there (default: nowhere)")  # fmt: skip
    parser.add_argument("--film", type=int, metavar="FRAMES",
                        help="of ring and grid, with --output: film.gif of the first run, "
                        "with G's points and what D thinks of every place")  # fmt: skip
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--samples", type=int, metavar="N",
                        help="of stacked_mnist (default: 26,000, as published)")  # fmt: skip
    add_device(parser)
    add_data_dir(parser, "where MNIST is, for stacked_mnist")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if not 1 <= options.seeds <= 1000:
        raise ConfigError(f"--seeds {options.seeds}: give 1 to 1000")
    check_seed(options.seed)
    if options.samples is not None and options.test != "stacked_mnist":
        raise ConfigError(f"--samples: {options.test} takes 2,500, as published; leave it out")
    if options.samples is not None and not 1 <= options.samples <= 1_000_000:
        raise ConfigError(f"--samples {options.samples}: give 1 to 1000000")
    _check_film(options)
    from ppgan_zoo.collapse.recipes import collapse_recipe

    recipe = collapse_recipe(options.test, _overrides(options))
    machine = runtime.start(options.device)
    from ppgan_zoo import ops
    from ppgan_zoo.collapse.setting import setting_facts
    from ppgan_zoo.collapse.study import Study

    test = _open_test(recipe, options)
    if options.output is None:
        return _study(options, test, recipe, None)
    described = ops.describe_machine(machine)
    study = Study(options.output, setting_facts(test, recipe), described)
    with study.begin():
        if options.film is not None and study.of_seed(options.seed).begun:
            options.film = None
            if not (study.path / FILM).exists():
                tell(
                    f"--film: there will be none: the run of seed {options.seed} in "
                    f"{options.output} has begun without it, or was stopped; for a film give "
                    "another --output"
                )
        return _study(options, test, recipe, study)


def _study(
    options: argparse.Namespace, test: KnownModes, recipe: CollapseRecipe, study: Study | None
) -> int:
    from ppgan_zoo.collapse import report
    from ppgan_zoo.collapse.film import Film, to_gif
    from ppgan_zoo.collapse.setting import MixtureModes, run_setting
    from ppgan_zoo.storage.files import write_atomically

    table = options.format == "table"
    if table:
        say(*report.table_head(test.name, recipe, test.modes).split("\n"))
    films: list[Film] = []

    def film(iterations: int) -> list[Film]:
        if options.film is not None and isinstance(test, MixtureModes):
            packing = recipe.constraints.packing
            films.append(Film(test.mixture, iterations, options.film, packing=packing))
        return films

    def done(seed: SeedResult) -> None:
        if films and study is not None and seed.seed == options.seed:
            with os_errors(ConfigError, f"--output {study.path}: cannot be written to"):
                write_atomically(study.path / FILM, to_gif(films[0]))
        if table:
            say(report.seed_row(seed))

    with shown():
        result = run_setting(
            test,
            recipe,
            range(options.seed, options.seed + options.seeds),
            done,
            film,
            study,
        )
    document = json.dumps(result.to_json(), indent=2, allow_nan=False)
    say(*(report.table_foot(result) if table else document).split("\n"))
    if study is not None:
        files = {
            "result.json": f"{document}\n".encode(),
            "samples.png": report.picture(result),
        }
        with os_errors(ConfigError, f"--output {study.path}: cannot be written to"):
            for name, content in files.items():
                write_atomically(study.path / name, content)
        if table:
            made = [FILM, *files] if films else files
            say(*(str(study.path / name) for name in sorted(made)))
    return 0


def _check_film(options: argparse.Namespace) -> None:
    if options.film is None:
        return
    if options.test == "stacked_mnist":
        raise ConfigError("--film: stacked_mnist has images, not points; leave it out")
    if options.output is None:
        raise ConfigError("--film: give --output DIR, where film.gif is to go")
    if not 2 <= options.film <= 500:
        raise ConfigError(f"--film {options.film}: give 2 to 500 frames")


def _overrides(options: argparse.Namespace) -> list[str]:
    """Return the flags as overrides, before those that are spelt out."""
    overrides = []
    if options.objective is not None:
        overrides.append(f"objective.name={options.objective}")
    if options.penalties:
        terms = []
        for penalty in options.penalties:
            name, colon, weight = penalty.partition(":")
            if colon and not weight.strip():
                raise ConfigError(f"--penalty {penalty}: no weight; give NAME or NAME:WEIGHT")
            own = f", weight: {weight}" if colon else ""
            terms.append(f"{{name: {json.dumps(name)}{own}}}")
        overrides.append(f"terms=[{', '.join(terms)}]")
    if options.packing is not None:
        overrides.append(f"constraints.packing={options.packing}")
    if options.iterations is not None:
        overrides.append(f"training.iterations={options.iterations}")
    if options.data_dir is not None:
        overrides.append(data_override(options.data_dir))
    return [*overrides, *options.overrides]


def _open_test(recipe: CollapseRecipe, options: argparse.Namespace) -> KnownModes:
    from ppgan_zoo.collapse.setting import MixtureModes, StackedMnistModes

    if recipe.data.name != "stacked_mnist":
        return MixtureModes(recipe.data.name)
    from ppgan_zoo.data import load_image_set
    from ppgan_zoo.errors import DataError
    from ppgan_zoo.metrics.features import open_features

    where = {"directory": recipe.data.directory, "offline": options.offline}
    digits = load_image_set("mnist", **where)
    try:
        held_out = load_image_set("mnist", split="test", **where)
    except DataError:  # the embedded part has no test images
        held_out = digits
    count = {} if options.samples is None else {"samples": options.samples}
    return StackedMnistModes(digits, held_out, open_features("digits-v1"), **count)
