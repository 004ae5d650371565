"""The demo: digits of a model that comes along, then train a small DCGAN, export it, and look."""

import argparse
import shutil
import sys
import time
from pathlib import Path

import _checkout  # noqa: F401

from ppgan_zoo.cli import main
from ppgan_zoo.storage.files import as_argument
from ppgan_zoo.storage.terminal import say

PRETRAINED = "mnist_tuned"


def demo() -> int:
    """Run the commands of the demo; returns the first exit code that is not 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("output/demo"))
    parser.add_argument("-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    run = options.output
    if run.exists():  # an earlier demo is kept, under another name
        kept = run.with_name(f"{run.name}-{time.strftime('%Y%m%d-%H%M%S')}")
        shutil.move(run, kept)
        say(f"moved the earlier demo to {kept}")
    overrides = [word for override in options.overrides for word in ("-o", override)]
    grid, first = str(run / "grid.png"), str(run.with_name(f"{run.name}-pretrained.png"))
    say(f"First, digits by {PRETRAINED}, a model that comes with the package:")
    page, report = str(run / "playground.html"), str(run / "report.html")
    for command in (
        ["sample", PRETRAINED, "-n", "100", "--output", first],
        ["train", "-c", "demo", "--output", str(run), *overrides],
        ["export", "--checkpoint", str(run), "--output", str(run / "export")],
        ["sample", str(run / "export"), "-n", "100", "--output", grid],
        ["playground", str(run / "export"), "--output", page],
        ["report", str(run), "--output", report],
    ):
        code = main(command)
        if code:
            return code
        if first in command:
            say(f"look at {first}: what a longer training gives; now one of your own", "")
    here, environment = Path.cwd(), Path(sys.prefix)
    folder = f"{environment.relative_to(here)}/bin/" if environment.is_relative_to(here) else ""
    exported, run_directory = as_argument(run / "export"), as_argument(run)
    say(
        "",
        f"Look at {grid}: 100 digits that nobody wrote. Open in a browser:",
        f"  {page}: play with the generator",
        f"  {report}: how it learned, as a film with its curves",
        "Next, try:",
        f"  {folder}ppgan-zoo sample {exported} -n 64 --seed 1 --output more.png",
        f"  {folder}visualdl --logdir {run_directory} --language en",
        f"  {folder}ppgan-zoo train -c dcgan_fashion",
    )
    return 0


if __name__ == "__main__":
    sys.exit(demo())
