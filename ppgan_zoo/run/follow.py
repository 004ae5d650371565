"""The part of a run's other processes: they compute, and do what the process of rank 0 says.

The leader alone reads and writes the run's folder. It hands its state to the others when training
begins, is resumed or goes back to a checkpoint, and tells them when it is over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ppgan_zoo import ops
from ppgan_zoo.callbacks.stop import StopOnSignal
from ppgan_zoo.distributed.group import Group, LeaderLeft, ProcessLostError, losses_told
from ppgan_zoo.distributed.meeting import meeting
from ppgan_zoo.run.identity import common_facts, differences
from ppgan_zoo.run.job import Job
from ppgan_zoo.run.watch import build_sample_features
from ppgan_zoo.training.loop import alone_in_process
from ppgan_zoo.training.trainer import Trainer


def assemble(job: Job) -> None:
    """Connect the processes, once all are ready to train the same.

    Raises:
        ConfigError: One has been refused, or is about to train something else.
        ProcessLostError: One has not come, or has ended.
    """
    with meeting(job.group) as others:
        others.compare(common_facts(job.recipe, job.describe_data()), differences)
    if job.group.size > 1:
        Group.current()


def follow(job: Job) -> None:
    """Train with the leader until it says that it is over.

    Raises:
        ConfigError: See :func:`assemble`.
        ProcessLostError: The leader, or another process, has ended.
    """
    assemble(job)
    with alone_in_process(), losses_told(job.group):
        while True:
            received = job.group.receive()
            if received is None:
                return
            state, facts = received
            ops.adopt(facts["products"])
            trainer = job.fresh_trainer(facts["restarts"])
            trainer.load_state(state, facts["iteration"])
            trainer.chance.rollbacks = facts["rollbacks"]
            shared = build_sample_features(job)
            callbacks = [*([shared] if shared else []), StopOnSignal()]
            # What goes wrong in the leader, it mends or says.
            with contextlib.suppress(LeaderLeft):
                trainer.fit(job.batches, iterations=job.iterations, callbacks=callbacks)


def hand_over(job: Job, trainer: Trainer) -> None:
    """Give the others the leader's state, to go on from, and the forms of products that it uses."""
    if job.group.size > 1:
        facts = {
            "iteration": trainer.iteration,
            "rollbacks": trainer.chance.rollbacks,
            "restarts": trainer.chance.restarts,
            "products": ops.choices_used(),
        }
        with losses_told(job.group):
            job.group.send(trainer.state(), facts)


@contextlib.contextmanager
def told_of_the_end(job: Job) -> Iterator[list[Trainer]]:
    """Let the others know when the block is over, however it ends; yields a list.

    The last trainer that is put into the list tells whether they are waiting for that: they are
    not if an iteration was cut off.
    """
    used: list[Trainer] = []
    try:
        yield used
    except ProcessLostError:
        raise  # nobody is left to be told
    except BaseException:
        _end(job, used)
        raise
    else:
        _end(job, used)


def _end(job: Job, used: list[Trainer]) -> None:
    if job.group.size > 1 and not (used and used[-1].stepping):
        with contextlib.suppress(RuntimeError):  # they are gone
            job.group.send(None, {})
