"""``ppgan-zoo data``: makes image sets; each way is a subcommand in a file of its own.

A subcommand is a module ``data_NAME`` beside this one with a function ``add``, as a command is,
and an item of `SUBCOMMANDS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ppgan_zoo.commands import data_make, data_prepare

Add = Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None]

SUBCOMMANDS: tuple[Add, ...] = (data_prepare.add, data_make.add)
"""The functions that add them, in the order of ``--help``."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    subcommands = parser.add_subparsers(required=True, metavar="what")
    for add_subcommand in SUBCOMMANDS:
        add_subcommand(subcommands)
