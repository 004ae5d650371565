"""``ppgan-zoo invert``: finds what a model would have to be given to draw a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import add_device, check_seed, find_model
from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.evaluation.written import Output
from ppgan_zoo.storage.files import absolute
from ppgan_zoo.storage.ownership import BLANK, own_file, refuse_foreign, seal
from ppgan_zoo.storage.terminal import say

SHOWN, USUAL = 8, 8


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("model", metavar="MODEL",
                        help="a run, a checkpoint or the name of a pretrained model")  # fmt: skip
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="PNG, JPEG or BMP")
    parser.add_argument("--best", action="store_true", help="a run's best checkpoint")
    parser.add_argument("--class", dest="class_name", metavar="CLASS",
                        help="for a model with labels: by name or number (default: the "
                        "restarts try each in turn)")  # fmt: skip
    parser.add_argument(
        "--restarts",
        type=int,
        help="random starting points (default: 8, or as many as there are classes to try)",
    )
    parser.add_argument("--steps", type=int, default=500, help="of Adam (default: 500)")
    parser.add_argument("--seed", type=int, default=0, help="of the starting points")
    parser.add_argument("--features", metavar="NETWORK",
                        help="also compare with a feature network, such as digits-v1")  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("inverted.png"), metavar="FILE",
                        help="the picture, then what was found, the best first (.png)")  # fmt: skip
    parser.add_argument("--points", type=Path, metavar="FILE",
                        help="the points themselves, float32 [restarts, dim] (.npy)")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a file that ppgan-zoo did not make")  # fmt: skip
    add_device(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    check_seed(options.seed)
    for option, path, suffix in (
        ("--output", options.output, ".png"), ("--points", options.points, ".npy"),
    ):  # fmt: skip
        if path is not None and path.suffix != suffix:
            raise ConfigError(f"{option} {path}: the name must end in {suffix}")
    if absolute(options.output) == absolute(options.picture):
        raise ConfigError(f"--output {options.output}: is the picture itself; give another name")
    output = Output(options.output, overwrite=options.overwrite)
    output.check()
    if options.points is not None:
        refuse_foreign(options.points, overwrite=options.overwrite, option="--points")
    model = find_model(options.model)
    runtime.start(options.device)
    import numpy as np

    from ppgan_zoo.latents.inversion import invert, read_picture
    from ppgan_zoo.latents.space import open_space
    from ppgan_zoo.metrics.features import open_features
    from ppgan_zoo.models.facts import find_class

    space = open_space(model, best=options.best)
    label = None
    if options.class_name is not None:
        label = find_class(options.class_name, space.num_classes, space.classes, "--class")
    tried = 1 if label is not None else space.num_classes
    restarts = max(USUAL, tried) if options.restarts is None else options.restarts
    shape = tuple(space.generator.image_shape)
    picture = read_picture(options.picture, shape)
    network = None if options.features is None else open_features(options.features)
    if network is not None:
        if network.is_general and network.image_shape not in (None, shape):
            raise ConfigError(
                f"--features {options.features}: is for images {list(network.image_shape)}, and "
                f"the model's are {list(shape)}; give the network of its data, or leave it out"
            )
        network(picture[None])  # a misfit is refused here
    found = invert(
        space, picture, restarts=restarts, steps=options.steps, seed=options.seed,
        label=label, features=None if network is None else network.forward,
    )  # fmt: skip
    shown = np.concatenate([picture[None], found.images[:SHOWN]])
    output.write_images(shown, len(shown))
    if options.points is not None:
        with (
            os_errors(ConfigError, f"--points {options.points}: cannot be written"),
            own_file(options.points, overwrite=options.overwrite) as file,
        ):
            np.save(file, found.points, allow_pickle=False)
            file.write(BLANK)
            seal(file)
    ratios = ", ".join(f"{ratio:.1f}" for ratio in found.psnr)
    say(f"PSNR of {restarts} restarts in dB, the best first: {ratios}")
    if found.labels is not None and label is None:
        best = int(found.labels[0])
        say(f"nearest as class {space.classes[best] if space.classes else best}")
        if restarts < tried:
            say(f"only the first {restarts} of {tried} classes were tried; --restarts {tried} "
                "tries all")  # fmt: skip
    say(f"the picture and what was found: {options.output}")
    return 0
