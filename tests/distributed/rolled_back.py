"""Trains ``RECIPE OUTPUT``, and finds a number that is not finite once, after iteration 6."""

import sys
from pathlib import Path

from ppgan_zoo.callbacks.finite import NonFinite, NonFiniteError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run.train import train
from ppgan_zoo.training.loop import Callback


class Once(Callback):
    done = False

    def on_step_end(self, trainer, scalars):
        if trainer.iteration == 6 and not self.done:
            self.done = True
            raise NonFiniteError(NonFinite(6, "generator", "loss", float("nan")))


if __name__ == "__main__":
    recipe = load_recipe(Path(sys.argv[1]), ["recovery.non_finite=rollback"])
    train(recipe, Path(sys.argv[2]), offline=True, callbacks=[Once()])
