"""Truncated z: the worked number, the same bytes, and statistics that fit it."""

import numpy as np
import paddle
import pytest

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.sampler import STATISTICS_BATCHES, open_sampler
from ppgan_zoo.models.facts import build_model, model_facts
from ppgan_zoo.models.latent import Latent
from ppgan_zoo.models.weights import layer_arrays
from ppgan_zoo.storage.checkpoint import save_checkpoint


def test_truncated_z_has_the_known_deviation():
    """std .5396 at 1; of a normal variable between -t and t in general."""
    z = Latent(100, truncation=1.0).sample(2000, 3)
    assert np.abs(z).max() <= 1.0 and z.dtype == np.float32
    assert z.std() == pytest.approx(0.5396, abs=0.003)
    assert z.mean() == pytest.approx(0.0, abs=0.005)
    narrow = Latent(100, truncation=0.1).sample(50, 3)
    assert narrow.std() == pytest.approx(0.1 / 3**0.5, abs=0.002)  # nearly uniform


def test_what_lies_near_0_stays_and_the_first_rows_do_not_depend_on_how_many():
    plain, near = Latent(20).sample(40, 7), Latent(20, truncation=0.8).sample(40, 7)
    kept = np.abs(plain) <= 0.8
    np.testing.assert_array_equal(near[kept], plain[kept])
    assert (near[~kept] != plain[~kept]).all()
    np.testing.assert_array_equal(Latent(20, truncation=0.8).sample(5, 7), near[:5])
    assert not np.array_equal(Latent(20, truncation=0.8).sample(40, 8), near)
    np.testing.assert_array_equal(Latent(20, truncation=9.0).sample(40, 7), plain)


def test_codes_in_z_are_not_truncated():
    latent = Latent(12, categorical=(3,), continuous=2, truncation=0.5)
    z, plain = latent.sample(30, 1), Latent(12, categorical=(3,), continuous=2).sample(30, 1)
    assert np.abs(z[:, : latent.noise_dim]).max() <= 0.5
    np.testing.assert_array_equal(z[:, latent.noise_dim :], plain[:, latent.noise_dim :])


@pytest.mark.parametrize("value", [0.0, 0.05, -1.0, float("nan"), float("inf")])
def test_a_truncation_that_would_never_end_is_refused(value):
    with pytest.raises(ConfigError, match="truncation .*: give 0.1 or more; 0.5 to 1 are usual"):
        Latent(4, truncation=value)


def test_uniform_z_is_refused():
    with pytest.raises(ConfigError, match="needs normal z, but this model's prior is uniform"):
        Latent(4, "uniform", truncation=0.5)


@pytest.fixture
def checkpoint(tmp_path):
    paddle.seed(0)
    nets = {"generator": {"channels": (8, 8)}, "discriminator": {"channels": (8, 8)}}
    facts = model_facts(
        "biggan", (1, 8, 8), 8, conditional=True, num_classes=3,
        arguments={net: {**own, "attention_after": 0} for net, own in nets.items()},
    )  # fmt: skip
    arrays = {"generator": layer_arrays(build_model(facts).generator)}
    return save_checkpoint(tmp_path, arrays, 1, facts.to_json()).path


def test_batch_norms_get_the_statistics_of_truncated_z(checkpoint, monkeypatch):
    from ppgan_zoo.evaluation import sampler

    seen = []
    take = sampler.take_statistics
    monkeypatch.setattr(
        sampler, "take_statistics", lambda net, batches: seen.append(batches) or take(net, batches)
    )
    plain, near = open_sampler(checkpoint), open_sampler(checkpoint, truncation=0.5)
    (batches,) = seen  # not for the plain one
    assert len(batches) == STATISTICS_BATCHES
    assert max(float(z.abs().max()) for z, _ in batches) <= 0.5
    assert near.origin["truncation"] == 0.5 and "truncation" not in plain.origin
    images = near.sample(6, 0)
    np.testing.assert_array_equal(images, open_sampler(checkpoint, truncation=0.5).sample(6, 0))
    assert not np.array_equal(images, plain.sample(6, 0))


def test_the_command(checkpoint, tmp_path, cli):
    output = tmp_path / "near.npy"
    done = cli("sample", checkpoint, "-n", "6", "--truncation", "0.7", "--output", output)
    assert done.returncode == 0, done.stderr
    wanted = open_sampler(checkpoint, truncation=0.7)
    labels, _ = wanted.labels_in_rows(6)
    np.testing.assert_array_equal(np.load(output), wanted.sample(6, 0, labels))
    done = cli("sample", checkpoint, "--truncation", "0.01", "--output", output)
    assert done.returncode == 2 and "truncation 0.01: give 0.1 or more" in done.stderr
