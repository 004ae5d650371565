"""``ppgan-zoo walk``: a film of a walk through the latent space."""

from __future__ import annotations

import argparse
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import add_device, check_seed, find_model
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.storage.films import Film
from ppgan_zoo.storage.terminal import say

STOPS = 4


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("model", metavar="MODEL",
                        help="a run, a checkpoint or the name of a pretrained model")  # fmt: skip
    parser.add_argument("-n", dest="pictures", type=int, default=16, metavar="N",
                        help="pictures side by side (default: 16)")  # fmt: skip
    parser.add_argument("--stops", type=int, help="random points on the way (4)")
    parser.add_argument("--steps", type=int, default=20, help="frames between two of them (20)")
    parser.add_argument("--direction", metavar="NAME",
                        help="go along one direction and back instead: pca1, pca2, ... (what "
                        "varies most) or sefa1, sefa2, ...")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--class", dest="class_name", metavar="CLASS",
                        help="for a model with labels: one class (default: all)")  # fmt: skip
    parser.add_argument("--truncation", type=float, metavar="PSI",
                        help="for a model with styles: 0 (their average) to 1")  # fmt: skip
    parser.add_argument("--fps", type=float, default=20.0, help="frames a second (20)")
    parser.add_argument("--output", type=Path, default=Path("walk.gif"), metavar="FILE",
                        help=".gif, or .mp4 where ffmpeg is installed (walk.gif)")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a file that ppgan-zoo did not make")  # fmt: skip
    parser.add_argument("--best", action="store_true", help="a run's best checkpoint")
    add_device(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    check_seed(options.seed)
    if options.direction is not None and options.stops is not None:
        raise ConfigError("--direction: goes along one line; leave out --stops")
    film = Film(options.output, options.fps, options.overwrite)
    film.check()
    model = find_model(options.model)
    runtime.start(options.device)
    from ppgan_zoo.latents.space import open_space
    from ppgan_zoo.latents.walk import walk_frames
    from ppgan_zoo.models.facts import find_class

    space = open_space(model, best=options.best)
    label = None
    if options.class_name is not None:
        label = find_class(options.class_name, space.num_classes, space.classes, "--class")
    stops = STOPS if options.stops is None else options.stops
    frames = walk_frames(
        space, pictures=options.pictures, stops=stops, steps=options.steps,
        seed=options.seed, label=label, psi=options.truncation, direction=options.direction,
    )  # fmt: skip
    film.write(frames)
    say(f"{len(frames)} frames in {film.in_file}")
    return 0
