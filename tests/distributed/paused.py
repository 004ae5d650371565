"""Trains ``RECIPE OUTPUT``; the leader pauses for longer than a collective of gloo's waits."""

import sys
import time
from pathlib import Path

from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run.train import train
from ppgan_zoo.training.loop import Callback

PAUSE = 35.0


class Pause(Callback):
    def on_step_end(self, trainer, scalars):
        if trainer.iteration == 2:
            time.sleep(PAUSE)

    def on_train_end(self, trainer, error):
        time.sleep(PAUSE)


if __name__ == "__main__":
    train(load_recipe(Path(sys.argv[1])), Path(sys.argv[2]), offline=True, callbacks=[Pause()])
