"""``ppgan-zoo evaluate``: measures a trained model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import add_data_dir, add_device, add_model, find_model, named_path
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.registry import DATA
from ppgan_zoo.storage.files import as_argument, to_json
from ppgan_zoo.storage.ownership import own_file, refuse_foreign, sealed_json
from ppgan_zoo.storage.stages import shown
from ppgan_zoo.storage.terminal import say, tell


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_model(parser)
    parser.add_argument("--against", type=named_path, metavar="PICTURES",
                        help="compare two sets of pictures instead; MODEL is then one of them "
                        "(a folder, an archive, arrays or a prepared set)")  # fmt: skip
    parser.add_argument("--best", action="store_true", help="a run's best checkpoint")
    parser.add_argument(
        "--ema", action=argparse.BooleanOptionalAction,
        help="use the moving average of the weights, or not (default: use it if there is one)",
    )  # fmt: skip
    parser.add_argument("--metrics", metavar="NAME,NAME", help="fid, kid, ... (default: all)")
    parser.add_argument(
        "--features", metavar="NETWORK",
        help="digits-v1, general-v1, inception-v3, ... (default: the data set's own; for pictures "
        "of your own: general-v1)",
    )  # fmt: skip
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="of inception-v3 or another that needs some"
    )
    parser.add_argument("--num-samples", type=int, default=10_000, metavar="N")
    parser.add_argument(
        "--split", choices=("test", "train"), default="test",
        help="real images to compare with (default: test)",
    )  # fmt: skip
    parser.add_argument("--data", metavar="SET",
                        help="mnist or another kind of data (default: the run's)")  # fmt: skip
    add_data_dir(parser)
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.add_argument("--seed", type=int, default=0, help="of the samples")
    parser.add_argument("--resize", type=int, metavar="PIXELS", help="resize all images")
    parser.add_argument("--no-floor", action="store_true",
                        help="leave out the figures of real images")  # fmt: skip
    parser.add_argument("--curve", type=int, metavar="N",
                        help="also FID of each kept checkpoint, by N samples")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--overwrite", action="store_true",
                        help="let --output replace a file that ppgan-zoo did not make")  # fmt: skip
    parser.add_argument("--format", choices=("text", "json"), default="text")
    add_device(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ppgan_zoo.metrics.metric import check_metrics

    if options.data is not None:
        _check_kind(options.data)
    metrics = None
    if options.metrics is not None:
        metrics = tuple(
            check_metrics(options.metrics.split(","), classes=True, labels=True, categories=True)
        )
    output: Path | None = options.output
    if output is not None and (output.suffix != ".json" or not output.parent.is_dir()):
        raise ConfigError(f"--output {output}: give a name that ends in .json, in a folder")
    if output is not None:
        refuse_foreign(output, overwrite=options.overwrite)
    if options.against is not None:
        return _report(_compare(options, metrics), options)
    model = find_model(options.model)
    runtime.start(options.device)
    from ppgan_zoo.evaluation.protocol import Protocol
    from ppgan_zoo.run.evaluate import evaluate

    protocol = Protocol(
        features=options.features,
        weights=options.weights,
        num_samples=options.num_samples,
        split=options.split,
        seed=options.seed,
        ema=options.ema,
        resize=options.resize,
        metrics=metrics,
        floor=not options.no_floor,
    )
    with shown():
        result = evaluate(
            model, protocol, best=options.best, data=options.data,
            directory=options.data_dir, offline=options.offline, curve=options.curve,
        )  # fmt: skip
    return _report(result, options)


def _compare(options: argparse.Namespace, metrics: tuple[str, ...] | None) -> dict[str, Any]:
    """Compare two sets of pictures."""
    of_models = {
        "--best": options.best, "--ema": options.ema is not None, "--data": options.data,
        "--data-dir": options.data_dir, "--split train": options.split != "test",
        "--curve": options.curve is not None, "--seed": options.seed != 0,
    }  # fmt: skip
    for option, given in of_models.items():
        if given:
            raise ConfigError(f"{option}: is for a model; leave it out, or leave out --against")
    runtime.start(options.device)
    from ppgan_zoo.evaluation.comparison import DEFAULT_FEATURES, Comparison, compare

    how = Comparison(
        features=options.features or DEFAULT_FEATURES,
        weights=options.weights,
        most=options.num_samples,
        resize=options.resize,
        metrics=metrics,
        floor=not options.no_floor,
    )
    with shown():
        return compare(Path(options.model), Path(options.against), how)


def _check_kind(name: str) -> None:
    """Refuse what is no kind of data; of a path, say where it belongs."""
    from ppgan_zoo.data.prepare.layout import is_prepared

    if name not in DATA.sources() and Path(name).exists():
        kind = "prepared" if is_prepared(Path(name)) else "folder"
        raise ConfigError(
            f"--data {name}: is a path, and a kind of data is named here; give --data {kind} "
            f"--data-dir {as_argument(Path(name))}"
        )
    DATA.check_name(name, where="--data")


def _report(result: dict[str, Any], options: argparse.Namespace) -> int:
    """Write and print a result."""
    from ppgan_zoo.metrics.table import format_comparison, format_result

    if options.output is not None:
        with own_file(options.output, overwrite=options.overwrite) as file:
            file.write(sealed_json(result).encode())
        tell(f"result in {options.output}")
    if options.format == "json":
        text = to_json(result).rstrip()
    else:
        text = (format_result if options.against is None else format_comparison)(result)
    say(*text.split("\n"))
    return 0
