"""Two trainings in one process: one after the other, never at once."""

import threading

import pytest
from conftest import tree_bytes

from ppgan_zoo.errors import TrainingError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run.train import resume, train
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.training.loop import Callback, alone_in_process


class Meanwhile(Callback):
    """Does something in another thread after the first iteration, and waits for its end."""

    def __init__(self, work):
        self.work, self.raised = work, None

    def on_step_end(self, trainer, scalars):
        if trainer.iteration == 1:
            thread = threading.Thread(target=self.catch)
            thread.start()
            thread.join()

    def catch(self):
        try:
            self.work()
        except TrainingError as error:
            self.raised = str(error)


def test_a_second_thread_is_refused_and_the_first_is_as_if_alone(tiny_recipe, tmp_path):
    # With dropout, whose masks come from the stream that all threads share.
    nets = "model={name: dcgan_dropout}"
    recipe = load_recipe(
        tiny_recipe,
        [nets, "data.batch_size=8", "training={iterations: 2}", "checkpoint.best_by=null"],
    )
    train(recipe, tmp_path / "alone", offline=True)
    second = Meanwhile(lambda: train(recipe, tmp_path / "second", offline=True))
    again = Meanwhile(lambda: resume(RunDirectory(tmp_path / "alone"), offline=True))
    train(recipe, tmp_path / "first", offline=True, callbacks=[second, again])
    for refused in (second, again):
        assert refused.raised.startswith("another thread of this process is training")
    assert not (tmp_path / "second").exists()
    weights = [tree_bytes(tmp_path / run / "checkpoints") for run in ("alone", "first")]
    assert weights[0] == weights[1]
    assert "resumed" not in (tmp_path / "alone" / "train.log").read_text()


def test_the_same_thread_may_train_inside_and_again():
    for _ in range(2):
        with alone_in_process(), alone_in_process():
            pass
    with pytest.raises(ZeroDivisionError), alone_in_process():
        raise ZeroDivisionError
    with alone_in_process():
        pass
