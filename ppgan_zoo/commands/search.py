"""``ppgan-zoo search``: compares settings of recipes, several seeds each."""

from __future__ import annotations

import argparse
from pathlib import Path

from ppgan_zoo.commands.arguments import add_data_dir, add_device
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.storage.terminal import say, tell


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("file", type=Path, metavar="FILE",
                        help="what to compare, see docs/search.md")  # fmt: skip
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR",
        help="for the runs and the results; a search that is already there is continued",
    )  # fmt: skip
    add_data_dir(parser)
    parser.add_argument("--offline", action="store_true", help="never use the network")
    add_device(parser, default=None)
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N",
        help="runs at the same time, each with its part of the threads (default: 1)",
    )  # fmt: skip
    parser.add_argument("--retry-failed", action="store_true", help="do failed runs again")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ppgan_zoo.runtime import cpu_threads
    from ppgan_zoo.search import Conditions, load_search, run_search

    search = load_search(options.file)
    if not 1 <= options.jobs <= cpu_threads():
        raise ConfigError(
            f"--jobs {options.jobs}: give 1 to {cpu_threads()}, the number of threads"
        )
    conditions = Conditions(
        data_directory=options.data_dir,
        offline=options.offline,
        device=options.device,
        jobs=options.jobs,
    )
    text = run_search(search, options.output, conditions, retry_failed=options.retry_failed)
    say(*text.split("\n"))
    tell(f"table, plot and samples in {options.output}")
    return 0
