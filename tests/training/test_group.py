"""Two processes that train together compute what one computes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.latent import Latent
from ppgan_zoo.training.chance import Chance
from ppgan_zoo.training.group import Group

TRAIN = """
import sys
import numpy as np
from ppgan_zoo import runtime
runtime.start("cpu", 1)
import paddle
import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.game.ada import AdaptiveProbability
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.game.view import View
from ppgan_zoo.training.group import Group

group = Group.current()
paddle.seed(1)
gan = ppgan_zoo.create(
    "gan_mlp", latent_dim=8, num_classes=3,
    generator={"hidden_units": (16,)}, discriminator={"hidden_units": (16,)},
)
adaptive = AdaptiveProbability(images=1000, target=-0.9)
adaptive.probability = 0.7  # and, after the last iteration, 32 images of 1000 more
trainer = ppgan_zoo.make_trainer(
    gan, objective="non_saturating", discriminator_steps=2,
    terms=[get_term("r1", 0.1, every_steps=2), get_term("wgan_gp", 0.1)],
    view=View(
        augment=("color", "translation", "cutout", "bgc"), noise_std=0.1,
        augment_probability=adaptive,
    ),
    ema_decay=0.9, seed=3, group=group,
)
for iteration in range(4):
    rng = np.random.default_rng(iteration)
    images = rng.uniform(-1, 1, (2 * 8, 1, 28, 28)).astype(np.float32)
    trainer.step(Batch(images, rng.integers(0, 3, 2 * 8)))
if group.rank == 0:
    state = trainer.state()
    np.savez(sys.argv[1], **{f"{f}/{k}": a for f, part in state.items() for k, a in part.items()})
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("group") / "train.py"
    path.write_text(TRAIN)
    return path


def run(command, folder):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PADDLE_")}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True, text=True, timeout=300, cwd=folder, env=environment, check=False,
    )  # fmt: skip
    logs = "".join(path.read_text() for path in sorted(folder.glob("log/workerlog.*")))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:] + logs[-3000:]


def test_two_processes_equal_one(script, tmp_path):
    run([script, tmp_path / "one.npz"], tmp_path)
    launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", 2, "--log_dir", "log"]
    run([*launcher, script, tmp_path / "two.npz"], tmp_path)
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "two.npz") as two:
        assert set(one) == set(two) and len(one) > 20
        for key in one:
            np.testing.assert_allclose(two[key], one[key], rtol=1e-4, atol=2e-6, err_msg=key)
        # D's last update of each iteration counts, of 16 images.
        np.testing.assert_allclose(one["augmentation/probability"], 0.7 + 4 * 16 / 1000)


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
    assert Group(1, 2).rows(8) == slice(4, 8)
    with pytest.raises(ConfigError, match="data.batch_size: 9 images cannot be shared out to 2"):
        Group(0, 2).rows(9)
