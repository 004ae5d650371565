"""``ppgan-zoo data make``: draws image sets, of any number and size."""

from __future__ import annotations

import argparse
from pathlib import Path

from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.storage.files import as_argument
from ppgan_zoo.storage.terminal import say


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the parser."""
    parser = commands.add_parser("make", help="draw a set: avatars, in ten classes")
    parser.add_argument("name", choices=("avatars",), help="what to draw")
    parser.add_argument("-n", dest="count", type=int, default=6000,
                        help="how many; one picture in six is for tests (6000)")  # fmt: skip
    parser.add_argument("--size", type=int, default=32, metavar="PIXELS",
                        help="height and width (default: 32)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ppgan_zoo.data.avatar_making import make_avatars

    with os_errors(ConfigError, f"--output {options.output}: cannot be written"):
        make_avatars(options.output, options.count, options.size, options.seed)
    place = as_argument(options.output)
    say(f"{options.count} avatars of {options.size} x {options.size} in {options.output}",
        f"  look:   {as_argument(options.output / 'contact-sheet.png')}",
        f"  train:  ppgan-zoo train -c RECIPE -o data.name=avatars --data-dir {place}")  # fmt: skip
    return 0
