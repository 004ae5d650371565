"""Kinds of data by name, the zoo's own and those of plugins."""

import importlib.metadata
import os
import subprocess
import sys
import types

import numpy as np
import pytest

from ppgan_zoo.data import DataKind, ImageSet, load_image_set
from ppgan_zoo.errors import ConfigError, PluginError, UnknownNameError
from ppgan_zoo.registry import DATA, Registry

SHARED = ("directory", "split", "offline", "image_size", "channels", "limit", "notify")


def load_noise(
    *, directory, split, offline, image_size, channels, limit, notify, seed: int = 0, side: int = 8
):
    """Ten squares of noise in two classes."""
    notify(f"noise of {side} pixels")
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (10, 1, side, side), np.uint8)
    labels = np.arange(10) % 2
    return ImageSet.of(
        "noise", images, labels, source=split, location=str(directory), classes=("even", "odd")
    )


NOISE = DataKind("noise", load_noise, default_shape=(1, 8, 8))


@pytest.fixture(autouse=True)
def registered():
    """What a test registers is gone after it."""
    before = dict(DATA._registered)
    yield
    DATA._registered.clear()
    DATA._registered.update(before)


def test_the_kinds_of_the_zoo():
    kinds = {kind.name: kind for kind in DATA.all()}
    assert list(kinds) == ["mnist", "fashion_mnist", "folder", "prepared", "avatars"]
    networks = ["digits-v1", "fashion-v1", "general-v1", "general-v1", "avatars-v1"]
    assert [kind.features for kind in kinds.values()] == networks
    assert [kind.needs_directory for kind in kinds.values()] == [False, False, True, True, False]
    assert [kind.has_splits for kind in kinds.values()] == [True, True, False, True, True]
    assert kinds["mnist"].default_shape == load_image_set("mnist", offline=True).image_shape
    options = [[], [], ["background"], ["verify"], []]
    assert [list(kind.options) for kind in kinds.values()] == options


def test_a_registered_kind_is_loaded_by_name():
    DATA.register(NOISE)
    said = []
    images = load_image_set("noise", directory="here", split="test", notify=said.append)
    assert (images.source, images.location, said) == ("test", "here", ["noise of 8 pixels"])
    assert images.image_shape == NOISE.default_shape
    assert images.classes == ("even", "odd")


def test_the_form_that_is_asked_for_is_made_of_whatever_a_kind_loads():
    DATA.register(NOISE)
    images = load_image_set("noise", image_size=16, channels=3, limit=4, notify=lambda line: None)
    assert images.images.shape == (4, 3, 16, 16)
    assert (images.labels.tolist(), images.num_classes) == ([0, 1, 0, 1], 2)


def test_options_are_those_of_the_signature():
    DATA.register(NOISE)
    assert {name: option.default for name, option in NOISE.options.items()} == {
        "seed": 0, "side": 8,
    }  # fmt: skip

    def load(**options):
        return load_image_set("noise", options=options, notify=lambda line: None)

    assert load(side=5).image_shape == (1, 5, 5)
    assert load(seed=1).sha256 != load(seed=0).sha256 == load().sha256
    with pytest.raises(ConfigError) as caught:
        load(sides=3)
    assert str(caught.value) == (
        "data.options: noise has no option 'sides' (did you mean 'side'?); allowed: seed, side"
    )
    with pytest.raises(ConfigError, match="mnist has no option 'side'; allowed: none"):
        load_image_set("mnist", options={"side": 3})


def test_a_kind_of_an_installed_package_is_loaded_by_name(monkeypatch):
    point = importlib.metadata.EntryPoint("noise", "noise_module:KIND", "ppgan_zoo.data")
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda *, group: importlib.metadata.EntryPoints([point] if group == point.group else []),
    )
    module = types.ModuleType("noise_module")
    module.KIND = NOISE
    monkeypatch.setitem(sys.modules, "noise_module", module)
    names = ["avatars", "fashion_mnist", "folder", "mnist", "noise", "prepared"]
    assert DATA.names() == names
    assert len(load_image_set("noise", notify=lambda line: None)) == 10


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (lambda *, directory, split: None, "load takes no offline, image_size, channels, limit"),
        (None, "load is a NoneType without a signature; give a function"),
        (lambda **arguments: None, "load takes no directory, split, "),
        (
            lambda *, directory, split, offline, image_size, channels, limit, notify, own: None,
            "option 'own' of load must be keyword-only",
        ),
        (
            lambda own=1, *, directory, split, offline, image_size, channels, limit, notify: None,
            "option 'own' of load must be keyword-only",
        ),
        (
            lambda *, directory, split, offline, image_size, channels, limit, notify, **own: None,
            "option 'own' of load must be keyword-only",
        ),
    ],
)
def test_a_kind_whose_load_is_no_schema_is_refused(load, words):
    registry = Registry("kind of data", "ppgan_zoo.data", "ppgan_zoo.data.kinds:DataKind")
    with pytest.raises(PluginError) as caught:
        registry.register(DataKind("bad", load))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_kind_that_returns_something_else_is_named():
    def load(*, directory, split, offline, image_size, channels, limit, notify):
        return np.zeros((2, 1, 4, 4), np.uint8)

    DATA.register(DataKind("arrays", load))
    with pytest.raises(PluginError, match="'arrays': load returned a ndarray; it must return"):
        load_image_set("arrays")


def test_what_a_kind_says_of_itself_is_checked():
    DATA.register(DataKind("pile", load_noise, needs_directory=True, has_splits=False))
    with pytest.raises(ConfigError, match="data.directory: missing; image set 'pile' needs a"):
        load_image_set("pile")
    with pytest.raises(ConfigError, match="image set 'pile' has no splits; give the test images"):
        load_image_set("pile", directory="x", split="test")


def test_arguments_that_are_not_allowed():
    with pytest.raises(UnknownNameError, match=r"^data\.name: .*did you mean 'fashion_mnist'"):
        load_image_set("fashion-mnist")
    bad = ({"split": "val"}, {"limit": 0}, {"image_size": 0}, {"channels": 4})
    for arguments in bad:
        with pytest.raises(ConfigError):
            load_image_set("mnist", offline=True, **arguments)


def test_the_package_imports_no_paddle():
    code = (
        "import sys; from ppgan_zoo.registry import DATA; DATA.all(); "
        "sys.exit('paddle' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=60).returncode == 0
