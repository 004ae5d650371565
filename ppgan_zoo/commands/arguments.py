"""What several commands take: the same options, and the same checks of them."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.storage.pickles import refuse_pickle

SEEDS = re.compile(r"[0-9]{1,10}(-[0-9]{1,10})?(,[0-9]{1,10}(-[0-9]{1,10})?)*")
MOST_SEEDS = 1000
LARGEST_SEED = 2**31 - 1


def add_overrides(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``-o KEY=VALUE`` as ``overrides``; `what` is overridden, for ``--help``."""
    parser.add_argument(
        "-o", dest="overrides", metavar="KEY=VALUE", action="append", default=[],
        help=f"override any key of {what}; repeatable",
    )  # fmt: skip


def add_device(parser: argparse.ArgumentParser, default: str | None = "auto") -> None:
    """Add ``--device``; None where a recipe says it otherwise."""
    parser.add_argument("--device", default=default, help="auto, cpu, gpu or gpu:N")


def add_data_dir(parser: argparse.ArgumentParser, what: str = "where the data set is") -> None:
    """Add ``--data-dir``; `what` is said of it by ``--help``."""
    parser.add_argument("--data-dir", type=named_path, metavar="DIR", help=what)


def named_path(text: str) -> str:
    """Return the text of a path; refuse an empty one, which would mean the current folder.

    For argparse: as an unset variable of a script leaves it.

    Raises:
        ArgumentTypeError: It is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("is empty; give a path, or . for the current folder")
    return text


def check_seed(seed: int) -> None:
    """Refuse a seed that is negative or has more than 63 bits.

    Raises:
        ConfigError: It is one.
    """
    if seed < 0:
        raise ConfigError(f"--seed {seed}: give 0 or more")
    if seed >= 2**63:
        raise ConfigError(f"--seed {seed}: give at most {2**63 - 1}")


def parse_run_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of a list such as ``0-39,77``, each once, in order of mention.

    Raises:
        ConfigError: It is no such list, names too many, or one that is too large.
    """
    if not SEEDS.fullmatch(text):
        raise ConfigError(f"--seeds {text!r}: give numbers and ranges, such as 0-39 or 0,3,7")
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if high < low or high > LARGEST_SEED:
            raise ConfigError(
                f"--seeds {part}: give a range from the smaller to the larger seed, at most "
                f"{LARGEST_SEED}"
            )
        if high - low >= MOST_SEEDS:
            raise ConfigError(f"--seeds {part}: {high - low + 1} seeds; give {MOST_SEEDS} at most")
        seeds.update(dict.fromkeys(range(low, high + 1)))
    if len(seeds) > MOST_SEEDS:
        raise ConfigError(f"--seeds: {len(seeds)} seeds; give {MOST_SEEDS} at most")
    return tuple(seeds)


def data_override(directory: str) -> str:
    """Return ``--data-dir`` as an override: absolute, so that a resume from elsewhere finds it."""
    # Not Path.resolve and Path.expanduser, which raise errors of their own.
    return f"data.directory={json.dumps(os.path.realpath(os.path.expanduser(directory)))}"


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the positional argument ``model``, which :func:`find_model` looks up."""
    parser.add_argument(
        "model", metavar="MODEL",
        help="a run, a checkpoint, an exported model, or the name of a pretrained one",
    )  # fmt: skip


def find_model(model: str, kinds: str = "a run, an exported model or a pretrained one") -> Path:
    """Return the directory that MODEL means; refuse what can be no model.

    Args:
        model: A directory, or the name of a pretrained model.
        kinds: What the command takes, in words.

    Raises:
        ZooError: It is a pickle, no directory, or a pretrained model that is damaged.
    """
    from ppgan_zoo.weights.pretrained import is_name, locate, suggestion

    refuse_pickle(Path(model))
    if is_name(model):
        return locate(model)
    if not os.path.isdir(model):  # unlike Path.is_dir, never an error of its own
        raise ConfigError(f"{model}: no such directory; give {kinds}{suggestion(model)}")
    return Path(model)
