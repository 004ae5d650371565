"""What a training run spends beside its steps: assembling batches, and every callback.

Trains a recipe as ``ppgan-zoo train`` does, into a temporary folder, with a clock around
the batches and around each callback's hooks; whatever is left is the step. A callback that
acts now and then, such as the checkpoint saver, is spread over the iterations that ran, so
run at least as many as the recipe has between two of its acts.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.bench.driver import table
from ppgan_zoo.errors import ZooError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe

COLUMNS = {
    "recipe": "{recipe}",
    "part": "{part}",
    "ms / iteration": "{ms:,.3f}",
    "of the whole": "{share:.2%}",
}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Clocked:
    """Stands in for an object and adds the time of its methods to a sum."""

    def __init__(self, inner, name, spent, clock):
        self._inner, self._name, self._spent, self._clock = inner, name, spent, clock

    def __getitem__(self, iteration):
        """Return a batch."""
        return self._time(self._inner.__getitem__, iteration)

    def __getattr__(self, name):
        """Return the attribute; a method comes with the clock around it."""
        found = getattr(self._inner, name)
        if not callable(found):
            return found
        return lambda *arguments: self._time(found, *arguments)

    def _time(self, run, *arguments):
        start = self._clock()
        try:
            return run(*arguments)
        finally:
            self._spent[self._name] += self._clock() - start


def rows_of(name, iterations, overrides, clock):
    """Return a row for each part of a run of the recipe."""
    from ppgan_zoo.run.train import train
    from ppgan_zoo.training.trainer import Trainer

    recipe = load_recipe(
        find_recipe(name), [*overrides, f"training.iterations={iterations}", "training.epochs=null"]
    )
    spent = Counter()
    fit = Trainer.fit

    def clocked_fit(trainer, batches, *, callbacks, **arguments):
        watched = [Clocked(c, type(c).__name__, spent, clock) for c in callbacks]
        trainer.step(batches[trainer.iteration])  # the first one also sets the libraries up
        start = clock()
        fit(trainer, Clocked(batches, "batches", spent, clock), callbacks=watched, **arguments)
        spent["whole"] = clock() - start
        return trainer

    Trainer.fit = clocked_fit
    try:
        with tempfile.TemporaryDirectory() as folder:
            train(recipe, Path(folder) / "run", offline=True)
    finally:
        Trainer.fit = fit
    whole = spent.pop("whole")
    spent["step"] = whole - sum(spent.values())
    return [
        {"recipe": Path(name).stem, "part": part, "ms": 1e3 * seconds / (iterations - 1),
         "share": seconds / whole}
        for part, seconds in spent.most_common()
    ]  # fmt: skip


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-c", dest="recipes", metavar="RECIPE", action="append",
                        help="repeatable (default: dcgan_mnist and gan_mlp_mnist)")  # fmt: skip
    parser.add_argument("-o", dest="overrides", metavar="KEY=VALUE", action="append", default=[])
    parser.add_argument("--iterations", type=int, default=240, metavar="N")
    parser.add_argument("--clock", choices=CLOCKS, default="wall",
                        help="cpu: of all threads, for a machine that is not quiet")  # fmt: skip
    parser.add_argument("--format", choices=("text", "markdown"), default="text")
    options = parser.parse_args()
    runtime.prepare()
    rows = []
    try:
        for name in options.recipes or ("dcgan_mnist", "gan_mlp_mnist"):
            rows += rows_of(name, options.iterations, options.overrides, CLOCKS[options.clock])
    except ZooError as error:
        print(f"overhead: {error}", file=sys.stderr)
        return 2
    print(table(rows, COLUMNS, markdown=options.format == "markdown"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
