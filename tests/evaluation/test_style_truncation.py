"""Truncation of styles: as an option of sampling, and as a choice of an export."""

import numpy as np
import paddle
import pytest
import yaml

import ppgan_zoo
from ppgan_zoo.cli import main
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.sampler import open_sampler
from ppgan_zoo.export.exporter import export
from ppgan_zoo.models.facts import build_model, model_facts
from ppgan_zoo.models.restore import find_checkpoint
from ppgan_zoo.models.weights import layer_arrays
from ppgan_zoo.storage.checkpoint import save_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint of a small StyleGAN2 whose average style is not zero."""
    small = {"channels": (4, 4), "w_dim": 4}
    facts = model_facts("stylegan2", (1, 8, 8), 4, arguments={"generator": small})
    paddle.seed(0)
    generator = build_model(facts).generator
    arrays = layer_arrays(generator)
    arrays["average"] = np.random.default_rng(0).standard_normal(4).astype(np.float32)
    folder = tmp_path_factory.mktemp("checkpoint")
    return save_checkpoint(folder, {"generator": arrays}, 3, facts.to_json()).path


def images(path, truncation=None, count=6):
    sampler = open_sampler(path, truncation=truncation)
    return sampler.generate(ppgan_zoo.models.latent.Code(sampler.latent.sample(count, 0)))


def test_0_makes_one_image_and_1_changes_nothing(checkpoint):
    one = images(checkpoint, 0.0)
    np.testing.assert_allclose(one, np.repeat(one[:1], 6, axis=0), atol=1e-6)
    np.testing.assert_array_equal(images(checkpoint, 1.0), images(checkpoint))
    spreads = [images(checkpoint, psi).std(axis=0).mean() for psi in (0.0, 0.3, 0.7, 1.0)]
    assert spreads == sorted(spreads) and spreads[1] > 1e-3
    assert open_sampler(checkpoint, truncation=0.5).origin["truncation"] == 0.5


def test_an_export_has_that_of_its_making(checkpoint, tmp_path):
    folder = tmp_path / "exported"
    export(find_checkpoint(checkpoint), folder, timed=False, truncation=0.5)
    np.testing.assert_allclose(images(folder), images(checkpoint, 0.5), atol=1e-5)
    model = yaml.safe_load((folder / "model.yml").read_text(encoding="utf-8"))
    assert model["origin"]["truncation"] == 0.5
    with pytest.raises(ConfigError, match="--truncation is for runs"):
        open_sampler(folder, truncation=0.7)


def test_the_command_line(checkpoint, tmp_path, capsys):
    output = tmp_path / "one.npy"
    assert main(["sample", str(checkpoint), "-n", "4", "--truncation", "0", "--output", str(output)]) == 0  # fmt: skip
    pixels = np.load(output).astype(int)
    assert np.abs(pixels - pixels[:1]).max() <= 1
    assert main(["sample", str(checkpoint), "--truncation", "1.5"]) == 2
    assert "--truncation 1.5: give 0 to 1" in capsys.readouterr().err


def test_a_model_without_styles_is_exported_without(tmp_path):
    facts = model_facts("gan_mlp", (1, 8, 8), 4)
    arrays = {"generator": layer_arrays(build_model(facts).generator)}
    path = save_checkpoint(tmp_path, arrays, 1, facts.to_json()).path
    with pytest.raises(ConfigError, match="gan_mlp has no average style"):
        export(find_checkpoint(path), tmp_path / "exported", timed=False, truncation=0.5)


@pytest.mark.skipif(paddle.__version__ < "3", reason="its oneDNN is another")
def test_an_export_with_labels_is_right_with_onednn_too(tmp_path):
    """Paddle Inference squares a sum in its own memory, and has lost the sum: of an embedding."""
    small = {"channels": (4, 4), "w_dim": 4}
    facts = model_facts(
        "stylegan2", (1, 8, 8), 4, arguments={"generator": small}, conditional=True, num_classes=10
    )
    arrays = {"generator": layer_arrays(build_model(facts).generator)}
    checkpoint = save_checkpoint(tmp_path, arrays, 1, facts.to_json())
    assert export(checkpoint, tmp_path / "exported", timed=False).inference.onednn
