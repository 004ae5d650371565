"""The example of a kind of data, installed by pip as a stranger would, loaded by name alone."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT, install_plugin

EXAMPLE = ROOT / "docs" / "example_data_plugin"

SCRIPT = """
from ppgan_zoo.data import load_image_set
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.registry import DATA

source = DATA.sources()["example_shapes"]
assert "example" in source.owner, source
train, test = (load_image_set("example_shapes", split=split) for split in ("train", "test"))
assert train.image_shape == DATA.get("example_shapes").default_shape
assert (len(train), len(test)) == (6000, 6000)
assert train.sha256 != test.sha256
assert train.classes == ("disc", "square", "triangle") and set(train.labels) == {0, 1, 2}
few = load_image_set("example_shapes", limit=5)
assert (few.images == train.images[:5]).all() and few.labels.tolist() == train.labels[:5].tolist()
own = load_image_set("example_shapes", image_size=16, channels=3, options={"count": 9, "noise": 8})
assert own.images.shape == (9, 3, 16, 16)
for options in ({"count": 0}, {"noise": float("nan")}, {"counts": 3}):
    try:
        load_image_set("example_shapes", options=options)
    except ConfigError as error:
        assert str(error).startswith("data.options: "), error
    else:
        raise AssertionError(options)
print("loaded")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Environment variables under which the plugin is installed, in a folder of its own."""
    return install_plugin(EXAMPLE, tmp_path_factory.mktemp("plugin"))


def test_the_example_is_loaded_by_name(installed):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, **installed},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "loaded\n"), done.stderr


def test_without_the_example_its_name_is_unknown():
    from ppgan_zoo.data import load_image_set
    from ppgan_zoo.errors import UnknownNameError

    with pytest.raises(UnknownNameError, match="unknown kind of data 'example_shapes'"):
        load_image_set("example_shapes")


def test_the_page_shows_the_example_as_it_is():
    page = (ROOT / "docs" / "adding_data.md").read_text(encoding="utf-8")
    code = (EXAMPLE / "ppgan_zoo_example_data.py").read_text(encoding="utf-8")
    assert code[code.index("def load_shapes(") : code.index('    """Draw')] in page
    assert code[code.index("SHAPES = ") :] in page
