"""``ppgan-zoo data prepare``: pictures of one's own become a set to train on."""

from __future__ import annotations

import argparse
from pathlib import Path

from ppgan_zoo.commands.arguments import named_path
from ppgan_zoo.storage.files import as_argument
from ppgan_zoo.storage.terminal import say


def add(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the parser."""
    parser = subcommands.add_parser(
        "prepare", help="read pictures, resize them, and write a set to train on"
    )
    parser.add_argument(
        "source", type=named_path, metavar="SOURCE",
        help="a folder (of class folders), .zip, .tar, .csv of pixels, .npz, .npy or IDX",
    )  # fmt: skip
    parser.add_argument("--size", required=True, metavar="S or HxW", help="pixels, as 64 or 48x64")
    parser.add_argument("--output", type=Path, required=True, metavar="SET", help="the set to make")
    parser.add_argument(
        "--mode", default="crop", metavar="MODE",
        help="for pictures of other proportions: crop to the middle, fit by stretching, or pad "
        "with the background (default: crop)",
    )  # fmt: skip
    parser.add_argument("--ground", default="255,255,255", metavar="R,G,B",
                        help="background colour, behind transparent parts and beside padded "
                        "pictures (default: 255,255,255)")  # fmt: skip
    parser.add_argument(
        "--channels", type=int, metavar="N",
        help="1 (grey) or 3 (RGB) (default: as arrays have it, 3 for pictures)",
    )  # fmt: skip
    parser.add_argument(
        "--held-out", type=float, metavar="SHARE",
        help="share kept for evaluation, by pixels (default: 0.1 of 1,000 pictures and more)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="seed of that choice (default: 0)")
    parser.add_argument("--drop-duplicates", action="store_true",
                        help="keep only the first of equal pictures")  # fmt: skip
    parser.add_argument(
        "--max-unreadable", type=float, default=0.05, metavar="SHARE",
        help="largest share of unreadable pictures; more are an error (default: 0.05)",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="processes that decode (default: one for each core)")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ppgan_zoo.data.prepare.layout import REPORT, SHEET
    from ppgan_zoo.data.prepare.prepare import prepare
    from ppgan_zoo.data.prepare.settings import Settings, parse_colour, parse_size

    settings = Settings(
        parse_size(options.size),
        options.mode,
        options.channels,
        parse_colour(options.ground),
        options.held_out,
        options.seed,
        options.drop_duplicates,
    )
    result = prepare(
        Path(options.source),
        options.output,
        settings,
        max_unreadable=options.max_unreadable,
        jobs=options.jobs,
    )
    channels, height, width = result.manifest.image_shape
    counts = ", ".join(f"{part.count:,} {split}" for split, part in result.manifest.splits.items())
    classes = result.manifest.classes
    say(
        f"done: {counts}, {height}x{width} {'grey' if channels == 1 else 'RGB'}, "
        f"{f'{len(classes):,} classes' if classes else 'no classes'}, {settings.filter} filter",
        f"  look at: {as_argument(result.folder / SHEET)}",
        f"  report:  {as_argument(result.folder / REPORT)}",
    )
    return 0
