"""Which rows of batches and draws are a process's."""

import signal
from pathlib import Path

import numpy as np
import pytest

import ppgan_zoo
from ppgan_zoo import runtime
from ppgan_zoo.callbacks.stop import StopOnSignal
from ppgan_zoo.data import Batches, ImageSet
from ppgan_zoo.distributed.group import Group, lost
from ppgan_zoo.distributed.launch import resume_command
from ppgan_zoo.errors import ConfigError, Ended
from ppgan_zoo.models.latent import Latent
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run.job import build_job
from ppgan_zoo.training import loop
from ppgan_zoo.training.chance import Chance


def test_each_process_has_its_rows_of_every_draw():
    whole, *parts = (
        Chance(5, Latent(4), num_classes=3, group=Group(rank, size)).at(7)
        for rank, size in ((0, 1), (0, 2), (1, 2))
    )
    for _ in range(2):
        all_of_it, halves = whole.code(6), [part.code(3) for part in parts]
        z, labels = ([getattr(half, name).numpy() for half in halves] for name in ("z", "labels"))
        np.testing.assert_array_equal(np.concatenate(z), all_of_it.z.numpy())
        np.testing.assert_array_equal(np.concatenate(labels), all_of_it.labels.numpy())
    for draw in (
        lambda rng, n: rng.random((n, 1, 2)),
        lambda rng, n: rng.standard_normal((n, 3), dtype=np.float32),
        lambda rng, n: rng.integers(-2, 3, n),
        lambda rng, n: rng.random(n),
    ):
        wanted = draw(whole.rng, 6)
        np.testing.assert_array_equal(np.concatenate([draw(part.rng, 3) for part in parts]), wanted)


def test_rows_that_cannot_be_shared_out_are_refused():
    with pytest.raises(ConfigError, match="data.batch_size: 9 images cannot be shared out to 2"):
        Group(0, 2).own(np.zeros((9, 1)))
    with pytest.raises(ConfigError, match="6 images .* 2 processes, 2 parts each; give a multiple"):
        Group(0, 2).own(np.zeros((6, 1)), parts=2)


@pytest.mark.parametrize(("count", "size"), [(6, 2), (7, 2), (101, 4), (3, 3)])
def test_a_share_is_an_even_part_of_any_number_of_rows(count, size):
    shares = [np.arange(count)[Group(rank, size).share(count)] for rank in range(size)]
    np.testing.assert_array_equal(np.concatenate(shares), np.arange(count))
    assert {len(share) for share in shares} <= {count // size, count // size + 1}


def test_each_process_has_its_rows_of_every_part_of_a_batch():
    rows = np.arange(12).reshape(12, 1)
    own = [Group(rank, 2).own(rows, parts=3).ravel().tolist() for rank in (0, 1)]
    assert own == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]


def test_a_number_without_a_size_is_the_same_in_all_processes():
    draws = [Group(rank, 2).generator(5) for rank in (0, 1)]
    assert draws[0].random(3).tolist() != draws[1].random(3).tolist()
    assert draws[0].integers(0, 10**9) == draws[1].integers(0, 10**9)


def test_draws_of_two_processes_are_the_parts_of_one_processs_draw():
    whole, *parts = (Group(rank, size).generator(5) for rank, size in ((0, 1), (0, 2), (1, 2)))
    for draw in (
        lambda rng, n: rng.uniform(-1, 1, (n, 2)),
        lambda rng, n: rng.normal(3, 2, np.int64(n)),
        lambda rng, n: rng.integers(7, size=n),
        lambda rng, n: rng.integers(2, 9, (n, 3)),
    ):
        np.testing.assert_array_equal(
            np.concatenate([draw(part, 3) for part in parts]), draw(whole, 6)
        )
    with pytest.raises(AttributeError, match="rng.choice: .* has only random, standard_normal"):
        parts[0].choice(3)


def test_the_launcher_says_three_times_to_end_and_means_it_once(monkeypatch):
    stop, alone = StopOnSignal(), StopOnSignal()
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    for _ in range(3):
        stop._handle(signal.SIGTERM, None)
    assert stop.signal == signal.SIGTERM
    stop._came -= 10.0
    with pytest.raises(Ended):
        stop._handle(signal.SIGTERM, None)
    monkeypatch.delenv("PADDLE_TRAINERS_NUM")
    alone._handle(signal.SIGTERM, None)
    with pytest.raises(Ended):
        alone._handle(signal.SIGTERM, None)


def test_the_cores_of_a_machine_are_shared_by_its_processes(monkeypatch):
    monkeypatch.delenv("PPGAN_ZOO_THREADS")
    monkeypatch.setattr(runtime, "available_cores", lambda: 10)
    assert runtime.cpu_threads() == 10
    for processes, threads in (("4", 2), ("10", 1), ("64", 1)):
        monkeypatch.setenv("PADDLE_LOCAL_SIZE", processes)
        assert runtime.cpu_threads() == threads


def test_the_command_that_goes_on_has_as_many_processes(monkeypatch):
    for name in ("PADDLE_TRAINERS_NUM", "PADDLE_LOCAL_SIZE"):
        monkeypatch.delenv(name, raising=False)
    run = Path("my run")
    assert resume_command(run) == "ppgan-zoo train --resume 'my run'"
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "4")
    assert resume_command(run) == "ppgan-zoo train --resume 'my run' --processes 4"
    monkeypatch.setenv("PADDLE_LOCAL_SIZE", "2")
    assert resume_command(run).endswith("--resume 'my run', started on each machine as before")


def test_a_term_refuses_a_batch_before_it_is_due(tmp_path):
    (tmp_path / "recipe.yml").write_text(
        "model: {name: stylegan2}\ndata: {name: mnist, batch_size: 6, limit: 64}\n"
        "terms: [{name: path_length, every_steps: 4}]\ntraining: {iterations: 4}\n"
    )
    recipe = load_recipe(tmp_path / "recipe.yml")
    with pytest.raises(ConfigError, match="of 6 codes it takes 3, which cannot be .* 2 processes"):
        build_job(recipe, offline=True, group=Group(0, 2))


def test_each_process_reads_the_rows_that_it_would_take_of_the_whole_batch(monkeypatch):
    images = np.arange(48 * 784, dtype=np.uint32).astype(np.uint8).reshape(48, 1, 28, 28)
    batches = Batches(ImageSet.of("x", images, None, source="directory", location="x"), 24, seed=1)
    read = []
    monkeypatch.setattr(loop, "fit", lambda trainer, source, **more: read.append(source[1]))
    for rank in (0, 1):
        trainer = ppgan_zoo.make_trainer(
            ppgan_zoo.create("gan_mlp", latent_dim=4),
            discriminator_steps=3, accumulate_steps=2, group=Group(rank, 2),
        )  # fmt: skip
        trainer.fit(batches, iterations=1)
        wanted = [Group(rank, 2).own(part, 2) for part in np.split(batches[1], 3)]
        assert read[rank].whole == 24
        np.testing.assert_array_equal(read[rank].images, np.concatenate(wanted))


def test_the_last_words_of_another_process_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PADDLE_LOG_DIR", str(tmp_path))
    (tmp_path / "workerlog.0").write_text("iteration 4\n")
    assert lost().startswith("another process has ended")
    (tmp_path / "workerlog.1").write_text(f"x\nppgan-zoo: {lost()}\n")
    assert lost().startswith("another process has ended")
    (tmp_path / "workerlog.2").write_text("x\nppgan-zoo: data: no such file\nlast\n")
    assert lost() == "process 2 of this machine: data: no such file"
