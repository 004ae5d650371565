"""``ppgan-zoo info``: what a source says is what the built nets say, and takes no Paddle."""

import json
import subprocess
import sys

import pytest
import yaml

from ppgan_zoo.cli import main
from ppgan_zoo.models.net_outline import read_spec
from ppgan_zoo.registry import MODELS


def told(capsys, *arguments):
    assert main(["info", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(MODELS.built_in))
def test_the_source_says_what_the_built_nets_say(name, capsys):
    quick = json.loads(told(capsys, name, "--format", "json"))
    full = json.loads(told(capsys, name, "--format", "json", "--full"))
    for net in MODELS.get(name).nets:
        assert full[net].pop("parameters") > 0
        assert quick[net]["arguments"] and list(quick[net]["arguments"]) == list(
            full[net]["arguments"]
        )
    assert quick == full
    assert list(quick) == list(full)


@pytest.mark.parametrize("arguments", [["dcgan"], ["bigan", "--format", "json"]])
def test_paddle_is_not_imported(arguments):
    script = (
        "import sys\n"
        "from ppgan_zoo.cli import main\n"
        "assert main(['info', *sys.argv[1:]]) == 0\n"
        "assert not {'paddle', 'visualdl', 'scipy'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_text_is_yaml_and_says_how_to_get_the_rest(capsys):
    text = told(capsys, "gan_mlp")
    facts = yaml.safe_load(text)
    assert facts["generator"]["arguments"]["latent_dim"]["type"] == "int"
    assert "parameters" not in facts["generator"]
    assert text.splitlines()[-1].endswith("ppgan-zoo info gan_mlp --full")
    assert yaml.safe_load(told(capsys, "gan_mlp", "--full"))["generator"]["parameters"] > 1000


NETS = """
from base_nets import Base as B
SIZE = 7
class G(B):
    '''A G.

    Args:
        size: How large,
            in all.
    '''
    def __init__(self, *, size: int = SIZE, shape: "tuple[int, ...]" = (1, 2)): pass
class D(B): pass
GOOD = GanSpec(name="x", generator=G, discriminator=D, labels="takes")
FUNCTION = make("x")
ODD = GanSpec(generator=make(), discriminator=D)
COMPUTED = GanSpec(generator=C, discriminator=D)
class C(B):
    def __init__(self, *, size: int = 2 * SIZE): pass
"""


def test_a_class_is_followed_to_where_it_stands(tmp_path, monkeypatch):
    (tmp_path / "base_nets.py").write_text(
        "from paddle import nn\nclass Base(nn.Layer):\n    '''Base.\n\n    Args:\n"
        "        width: Wide.\n    '''\n    def __init__(self, *, width: float = 1e-8): pass\n"
    )
    (tmp_path / "my_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    found = read_spec("my_nets:GOOD")
    assert found.fields == {"name": "x", "labels": "takes"}
    size, _ = found.nets["generator"].arguments.values()
    assert (size.type, size.default, size.meaning) == ("int", "7", "How large, in all.")
    assert found.nets["generator"].constant("shape") == (1, 2)
    (width,) = found.nets["discriminator"].arguments.values()
    assert (width.type, width.default, width.meaning) == ("float", "1e-08", "Wide.")
    assert found.nets["discriminator"].name == "my_nets.D"
    assert found.nets["discriminator"].constant("size") is None
    for other in ("FUNCTION", "ODD", "COMPUTED", "NONE"):
        assert read_spec(f"my_nets:{other}") is None
    assert read_spec("no_such_module_at_all:SPEC") is None
    assert not {"my_nets", "base_nets"} & set(sys.modules)
