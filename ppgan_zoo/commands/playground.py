"""``ppgan-zoo playground``: a page in which a generator can be played with."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import find_model
from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.storage.ownership import own_file, refuse_foreign, sealed_markup
from ppgan_zoo.storage.terminal import printable, say

MOST_PICTURES = 20_000
"""Of the training set in one page: 28x28 pixels each, 21 MB of text."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("models", nargs="+", metavar="MODEL",
                        help="runs, checkpoints, exported models or names of pretrained ones, all "
                        "in one page")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE",
                        help="write the page, one .html file that needs no network, instead of "
                        "serving it on this machine")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a file that the zoo did not make")  # fmt: skip
    parser.add_argument("--port", type=int, help="to serve on (default: any free one)")
    parser.add_argument("--precision", choices=("float16", "float32"), default="float16",
                        help="of the weights: float16 halves the page and rounds them, by how "
                        "much is printed (the default); float32 leaves them")  # fmt: skip
    parser.add_argument("--nearest", type=int, default=0, metavar="N",
                        help="put N training pictures into the page, and show the nearest of them "
                        "beside each sample (default: none)")  # fmt: skip
    parser.add_argument("--best", action="store_true", help="for runs, the best checkpoint")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.output is not None and options.output.suffix not in {".html", ".htm"}:
        raise ConfigError(f"--output {options.output}: the name must end in .html")
    if options.output is not None and options.port is not None:
        raise ConfigError("--port: is to serve the page; leave it out, or --output")
    if options.output is None and options.overwrite:
        raise ConfigError("--overwrite: is for --output; add that, or leave --overwrite out")
    if not 0 <= (options.port or 0) < 1 << 16:
        raise ConfigError(f"--port {options.port}: give 0 to 65535")
    if not 0 <= options.nearest <= MOST_PICTURES:
        raise ConfigError(f"--nearest {options.nearest}: give 0 to {MOST_PICTURES}")
    paths = [find_model(model) for model in options.models]
    if options.output is not None:
        refuse_foreign(options.output, overwrite=options.overwrite)
    runtime.start("cpu")
    from ppgan_zoo.playground.model import read_model
    from ppgan_zoo.playground.page import page

    models = []
    for path, given in zip(paths, options.models, strict=True):
        model = read_model(
            path,
            name=printable(os.path.basename(os.path.realpath(given))),
            precision=options.precision,
            best=options.best,
            nearest=options.nearest,
        )
        say(
            f"{given}: {model.weights_bytes / 1e6:.1f} MB of weights as "
            f"{options.precision}, images within {model.difference:.1g} grey levels of Paddle's"
        )
        models.append(model)
    content = page(models)
    if options.output is None:
        return _serve(content, options.port or 0)
    with (
        os_errors(ConfigError, f"--output {options.output}: cannot be written"),
        own_file(options.output, overwrite=options.overwrite) as file,
    ):
        file.write(sealed_markup(content))
    say(f"the page is {options.output} ({len(content) / 1e6:.1f} MB); open it in a browser")
    return 0


def _serve(content: str, port: int) -> int:
    from ppgan_zoo.playground.server import HOST, make_server

    with make_server(content, port) as server:
        say(f"open http://{HOST}:{server.server_port}/ in a browser; Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
