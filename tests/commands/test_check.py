"""``ppgan-zoo check`` as a plugin's author meets it."""

import json

import pytest

BROKEN = """
from paddle import nn
from ppgan_zoo import GanSpec
from ppgan_zoo.models.gan_mlp import SPEC as DENSE


class Bright(DENSE.generator):
    def forward(self, z, labels=None):
        return 3.0 + DENSE.generator.forward(self, z)


SPEC = GanSpec(name="bright", generator=Bright, discriminator=DENSE.discriminator, paper="None")
NO_SPEC = 3
"""


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_a_model_of_the_zoo_passes(form, cli):
    done = cli("check", "gan_mlp", "--latent-dim", 5, "-o", "generator.hidden_units=[6]",
               "--image-shape", 3, 8, 8, "--format", form)  # fmt: skip
    assert done.returncode == 0, done.stderr
    if form == "json":
        found = json.loads(done.stdout)
        assert found["model"] == "gan_mlp" and found["passed"] is True
        assert {check["result"] for check in found["checks"]} == {"passed", "not run"}
        return
    assert "z of 5, images (3, 8, 8), generator(hidden_units=(6,), " in done.stdout
    lines = done.stdout.splitlines()
    if form == "markdown":
        assert lines[2:4] == ["| check | result |", "| --- | --- |"]
        assert "| further nets | not run: there are none |" in lines
    else:
        assert "constructors             passed" in lines


def test_a_spec_that_is_not_installed_is_checked_where_it_lies(tmp_path, cli):
    (tmp_path / "mine.py").write_text(BROKEN)
    done = cli("check", "mine:SPEC", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "FAILED" in line]
    assert line.startswith("image range ") and "outside of the declared image_range" in line
    assert done.stderr == ""
    for form, words in (("markdown", "| image range | **failed**: gen"), ("json", '"failed"')):
        done = cli("check", "mine:SPEC", "--format", form, cwd=tmp_path)
        assert done.returncode == 1 and words in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dcgn"], "unknown model 'dcgn' (did you mean 'dcgan'?)"),
        (["no_such_module:SPEC"], "no_such_module:SPEC cannot be loaded: ModuleNotFoundError"),
        (["mine:NO_SPEC"], "mine:NO_SPEC is a int, and must be a ppgan_zoo.models.spec.GanSpec"),
        (["mine:NONE"], "has no attribute 'NONE'"),
        (["broken:SPEC"], "broken:SPEC cannot be loaded: ZeroDivisionError"),
        (["dcgan", "--latent-dim", "0"], "--latent-dim 0: give 1 or more"),
        (["dcgan", "--image-shape", "1", "-4", "4"], "--image-shape 1 -4 4: give numbers of 1 or"),
        (["dcgan", "--image-shape", "1", "30", "28"], "must be multiples of 4"),
        (["dcgan", "-o", "generator.chanels=8"], "did you mean 'channels'?"),
        (["dcgan", "-o", "generater.channels=8"], "did you mean 'generator'?"),
        (["dcgan", "-o", "channels=8"], "write it as NET.KEY=VALUE"),
        (["dcgan", "-o", "generator.channels=x"], "model.generator.channels: found 'x'"),
        (["dcgan", "-o", "generator.hidden_units=99999999999"], "does not fit into 32 bits"),
        (["dcgan", "--term", "lecan"], "--term: unknown term 'lecan' (did you mean 'lecam'?)"),
    ],
)
def test_mistakes_are_one_line(arguments, said, tmp_path, cli):
    (tmp_path / "mine.py").write_text(BROKEN)
    (tmp_path / "broken.py").write_text("1 / 0")
    done = cli("check", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
