"""Weights of strangers become checkpoints; what ``paddle.save`` of each version wrote is read."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import paddle
import pytest

import ppgan_zoo
from ppgan_zoo.convert import trusted_pickle
from ppgan_zoo.convert.converter import convert, facts_of_model
from ppgan_zoo.convert.trusted_pickle import read_trusted_pickle
from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.evaluation.sampler import open_sampler
from ppgan_zoo.export.exporter import export
from ppgan_zoo.models.facts import build_model
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.weights import layer_arrays
from ppgan_zoo.recipe.load import load_recipe, recipe_from
from ppgan_zoo.run.build import facts_without_data


@pytest.fixture(scope="module")
def generator():
    paddle.seed(5)
    return ppgan_zoo.create("gan_mlp").generator


def equal(found, wanted):
    return found.keys() == wanted.keys() and all(
        found[name].dtype == wanted[name].dtype and np.array_equal(found[name], wanted[name])
        for name in wanted
    )


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves_is_read_back_to_the_bit(generator, tmp_path, protocol):
    path = tmp_path / "g.pdparams"
    paddle.save(generator.state_dict(), str(path), protocol=protocol)
    assert equal(read_trusted_pickle(path), layer_arrays(generator))


def test_sections_of_a_saved_dictionary_are_read(generator, tmp_path):
    path = tmp_path / "g.pdparams"
    paddle.save({"generator": generator.state_dict(), "epoch": 3, "name": "x"}, str(path))
    wanted = {f"generator.{name}": array for name, array in layer_arrays(generator).items()}
    assert equal(read_trusted_pickle(path), wanted)


def test_pickles_of_numpy_1_and_2_are_read(tmp_path):
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3)}
    content = pickle.dumps(arrays, 0)
    for module in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        other = content.replace(b"numpy._core.multiarray", module)
        other = other.replace(b"numpy.core.multiarray", module)
        (tmp_path / "g.pdparams").write_bytes(other)
        assert equal(read_trusted_pickle(tmp_path / "g.pdparams"), arrays)


@pytest.mark.parametrize("form", ["pdparams", "section", "safetensors", "npz"])
def test_a_converted_generator_is_sampled_and_exported(generator, tmp_path, form):
    arrays = layer_arrays(generator)
    path = tmp_path / f"g.{'pdparams' if form == 'section' else form}"
    if form == "pdparams":
        paddle.save(generator.state_dict(), str(path))
    elif form == "section":
        paddle.save({"generator": generator.state_dict()}, str(path))
    elif form == "safetensors":
        from safetensors.numpy import save_file

        save_file(arrays, path)
    else:
        np.savez(path, **arrays)
    checkpoint = convert(path, facts_of_model("gan_mlp"), tmp_path / "out", trust=True)
    assert equal(checkpoint.arrays("generator"), arrays)
    assert checkpoint.manifest["converted_from"]["file"] == path.name
    sampler = open_sampler(tmp_path / "out")
    z = sampler.latent.sample(4, 0)
    generator.eval()
    wanted = generator(paddle.to_tensor(z)).numpy()
    assert np.array_equal(sampler.generate(Code(z)), wanted)
    if form == "pdparams":
        export(checkpoint, tmp_path / "exported")
        assert np.abs(open_sampler(tmp_path / "exported").generate(Code(z)) - wanted).max() < 1e-5


def test_nothing_is_written_when_the_weights_are_of_another_model(generator, tmp_path):
    path = tmp_path / "g.pdparams"
    paddle.save(generator.state_dict(), str(path))
    with pytest.raises(CheckpointError, match=r"g\.pdparams: tensor .* another model"):
        convert(path, facts_of_model("dcgan"), tmp_path / "out", trust=True)
    assert not (tmp_path / "out").exists()


def test_a_pickle_needs_trust_and_output_must_be_new(generator, tmp_path):
    path = tmp_path / "g.pdparams"
    paddle.save(generator.state_dict(), str(path))
    with pytest.raises(CheckpointError, match="give --trust"):
        convert(path, facts_of_model("gan_mlp"), tmp_path / "out")
    with pytest.raises(ConfigError, match="exists already"):
        convert(path, facts_of_model("gan_mlp"), tmp_path, trust=True)


def test_a_recipe_names_the_arguments_of_the_model(tiny_recipe):
    facts = facts_without_data(load_recipe(tiny_recipe))
    assert facts.generator["hidden_units"] == (32,)
    assert build_model(facts).latent_dim == 8


@pytest.mark.parametrize(("name", "shape"), [("mnist", (1, 28, 28)), ("folder", (3, 32, 32))])
def test_a_recipe_that_gives_no_size_means_that_of_its_data(name, shape):
    recipe = recipe_from({
        "model": {"name": "gan_mlp"}, "training": {"iterations": 1},
        "data": {"name": name, "directory": "x" if name == "folder" else None, "batch_size": 1},
    })  # fmt: skip
    assert facts_without_data(recipe).image_shape == shape


def test_the_command_says_what_to_do_next(generator, tmp_path, cli):
    paddle.save(generator.state_dict(), str(tmp_path / "g.pdparams"))
    done = cli("convert", "--trust", "g.pdparams", "--model", "gan_mlp", "--output", "out",
               cwd=tmp_path)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "ppgan-zoo sample out" in done.stdout
    manifest = json.loads((tmp_path / "out/checkpoints/step-00000000/checkpoint.json").read_text())
    assert manifest["model"]["name"] == "gan_mlp"


def test_the_reader_gets_neither_environment_nor_directory(tmp_path, monkeypatch):
    """Run another script in the reader's place, which tells what it can see."""
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    spy = tmp_path / "untrusted_pickle.py"
    spy.write_text(
        "import os, sys\n"
        "sys.exit(f'env={sorted(os.environ)} cwd={os.listdir()} stdin={sys.stdin.read()!r} "
        "isolated={sys.flags.isolated}')\n"
    )
    monkeypatch.setattr(trusted_pickle, "__file__", str(tmp_path / "trusted_pickle.py"))
    (tmp_path / "g.pdparams").write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        read_trusted_pickle(tmp_path / "g.pdparams")
    assert "SECRET" not in str(caught.value)
    assert "cwd=[] stdin='' isolated=1" in str(caught.value)


def test_a_reader_that_crashes_or_hangs_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(trusted_pickle, "__file__", str(tmp_path / "trusted_pickle.py"))
    monkeypatch.setattr(trusted_pickle, "TIMEOUT_SECONDS", 1)
    (tmp_path / "g.pdparams").write_bytes(b"")
    spy = tmp_path / "untrusted_pickle.py"
    spy.write_text("import os; os.abort()\n")
    with pytest.raises(CheckpointError, match="ended with code -6"):
        read_trusted_pickle(tmp_path / "g.pdparams")
    spy.write_text("import time; time.sleep(30)\n")
    with pytest.raises(CheckpointError, match="not read within 1 s"):
        read_trusted_pickle(tmp_path / "g.pdparams")


def test_the_parent_never_imports_pickle_reading_code():
    program = (
        "import sys, ppgan_zoo.convert.trusted_pickle, ppgan_zoo.convert.feature_weights, "
        "ppgan_zoo.convert.converter; print('ppgan_zoo.convert.untrusted_pickle' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]
    assert os.path.isfile(trusted_pickle.__file__)


@pytest.mark.parametrize("name", ["cgan", "acgan"])
def test_a_model_that_needs_labels_is_named_by_a_recipe(name):
    with pytest.raises(ConfigError, match=f"--model {name}: needs labels.* give -c and a recipe"):
        facts_of_model(name)
