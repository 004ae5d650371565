"""What several commands take: the same options, and the same checks of them."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.storage.pickles import refuse_pickle


def add_overrides(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``-o KEY=VALUE`` as ``overrides``; `what` is overridden, for ``--help``."""
    parser.add_argument(
        "-o", dest="overrides", metavar="KEY=VALUE", action="append", default=[],
        help=f"override any key of {what}; repeatable",
    )  # fmt: skip


def add_device(parser: argparse.ArgumentParser, default: str | None = "auto") -> None:
    """Add ``--device``; None where a recipe says it otherwise."""
    parser.add_argument("--device", default=default, help="auto, cpu, gpu or gpu:N")


def check_seed(seed: int) -> None:
    """Refuse a negative seed.

    Raises:
        ConfigError: It is one.
    """
    if seed < 0:
        raise ConfigError(f"--seed {seed}: give 0 or more")


def data_override(directory: str) -> str:
    """Return ``--data-dir`` as an override: absolute, so that a resume from elsewhere finds it."""
    # Not Path.resolve and Path.expanduser, which raise errors of their own.
    return f"data.directory={json.dumps(os.path.realpath(os.path.expanduser(directory)))}"


def check_model(path: Path) -> None:
    """Refuse what can be neither a run nor a checkpoint nor an exported model.

    Raises:
        ZooError: It is a pickle, or no directory.
    """
    refuse_pickle(path)
    if not os.path.isdir(path):  # unlike Path.is_dir, never an error of its own
        raise ConfigError(f"{path}: no such directory; give a run or an exported model")
