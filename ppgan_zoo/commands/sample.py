"""``ppgan-zoo sample``: makes images."""

from __future__ import annotations

import argparse
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import add_device, add_model, check_seed, find_model
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.orders import parse_picture_seeds
from ppgan_zoo.evaluation.written import Output
from ppgan_zoo.storage.terminal import say

USUAL = 64
"""How many images are made where nothing else is said."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_model(parser)
    parser.add_argument("-n", dest="count", type=int,
                        help="how many (default: 64; with classes, whole rows)")  # fmt: skip
    parser.add_argument("--seed", type=int, help="of all of them (default: 0)")
    parser.add_argument("--class", dest="class_name", metavar="CLASS",
                        help="for a model with labels: one class, by name or number (default: "
                        "all, one row of the grid each)")  # fmt: skip
    parser.add_argument("--sweep", metavar="CODE",
                        help="for a model with codes in z: one row for each z, in which one "
                        "code goes through its values (c1, c2, ...: first the categorical "
                        "ones, then the continuous ones)")  # fmt: skip
    parser.add_argument("--truncation", type=float, metavar="T",
                        help="better images, more alike. With styles: how far they may lie "
                        "from their average, 0 (one image) to 1 (the default). Without: no "
                        "number of z is further from 0 than T, 0.1 or more")  # fmt: skip
    parser.add_argument("--seeds", metavar="LIST",
                        help="one picture of each seed instead, such as 3,17,40-60")  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("samples.png"), metavar="PATH",
                        help="a folder (a PNG each, below its class), .npy, .npz, .tar, or .png "
                        "for a grid (default: samples.png)")  # fmt: skip
    parser.add_argument("--shard", type=int, metavar="N",
                        help="for a folder: write tars of N pictures each into it")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a file that ppgan-zoo did not make")  # fmt: skip
    parser.add_argument("--best", action="store_true", help="a run's best checkpoint")
    add_device(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.count is not None and not 1 <= options.count <= 1_000_000:
        raise ConfigError(f"-n {options.count}: give 1 to 1000000")
    seed = 0 if options.seed is None else options.seed
    check_seed(seed)
    if options.sweep is not None and options.class_name is not None:
        raise ConfigError("--sweep: rows of all classes are swept; leave out --class")
    if options.seeds is not None and options.sweep is not None:
        raise ConfigError("--seeds: is for pictures one by one; leave out --sweep")
    if options.seeds is not None and (options.seed is not None or options.count is not None):
        raise ConfigError("--seeds: names each picture; leave out --seed and -n")
    output = Output(options.output, options.shard, options.overwrite)
    seeds = None if options.seeds is None else parse_picture_seeds(options.seeds)
    output.check()
    if options.sweep is not None:
        output.check_rows(options.count or 0)
    model = find_model(options.model)
    runtime.start(options.device)
    from ppgan_zoo.evaluation.sampler import open_sampler

    sampler = open_sampler(model, best=options.best, truncation=options.truncation)
    count = options.count
    if count is None:
        count = USUAL if options.class_name is not None else sampler.whole_rows(USUAL)
    if options.sweep is not None:
        images, in_a_row = sampler.sweep(options.sweep, count, seed)
        output.write_images(images, in_a_row)
        say(f"{len(images)} images in {output.path}")
        return 0
    order = sampler.order(
        count, seed, seeds=seeds, class_name=options.class_name,
        in_rows=output.has_rows,
    )  # fmt: skip
    of_each_class = options.class_name is None and seeds is None
    columns = sampler.labels_in_rows(len(order))[1] if of_each_class else None
    output.write(sampler, order, columns)
    say(f"{len(order)} images in {output.path}")
    return 0
