"""The Inception networks against torch-fidelity and torchvision with the same random weights."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from reference.drawn_weights import images, weight
from safetensors.numpy import save_file

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.metrics.features import open_features
from ppgan_zoo.metrics.inception import FID, TORCHVISION, Inception, resize, state_from_reference

REFERENCE = Path(__file__).parents[1] / "reference"
RECORDED = np.load(REFERENCE / "inception.npz", allow_pickle=False)
TORCHVISION_FILE = REFERENCE / "inception_torchvision.npz"
SHAPES = {
    str(name): tuple(map(int, str(shape).split("x")))
    for name, shape in zip(RECORDED["names"], RECORDED["shapes"])
}


@pytest.fixture(scope="module")
def drawn():
    return {name: weight(name, shape) for name, shape in SHAPES.items()}


@pytest.fixture(scope="module")
def network(drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "inception.safetensors"
    save_file(drawn, path)
    return open_features("inception-v3", path)


def close(found, wanted, tolerance):
    """Compare relative to the spread of all values, as single features may be near 0."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * wanted.std())


def test_grey_images_give_the_features_of_the_reference(network):
    found = network(images(2, 1, 28, 28))
    assert (network.dim, network.classes, network.accuracy) == (2048, 1008, None)
    close(found.features, RECORDED["grey/features"], 1e-4)
    logits = RECORDED["grey/logits"].astype(np.float64)
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-4)


def exact(layout, drawn):
    """Return features and logits of one image, in float64."""
    paddle.set_default_dtype("float64")
    try:
        network = Inception(layout)
    finally:
        paddle.set_default_dtype("float32")
    arrays = state_from_reference(drawn, network, "drawn")
    assert network.set_state_dict(arrays) == ([], [])
    network.eval()
    with paddle.no_grad():
        found = network(paddle.to_tensor(images(1, 3, 299, 299).astype(np.float64)))
    return [part.numpy() for part in found]


def test_the_architecture_is_the_reference_s_in_double_precision(drawn):
    features, logits = exact(FID, drawn)
    close(features, RECORDED["exact/features"], 1e-9)
    close(logits, RECORDED["exact/logits"], 1e-9)


def test_torchvision_s_is_torchvision_s_in_double_precision(drawn):
    recorded = np.load(TORCHVISION_FILE, allow_pickle=False)
    shapes = {"fc.weight": (1000, 2048), "fc.bias": (1000,)}
    own = {name: weight(name, shape) for name, shape in shapes.items()}
    unused = {"AuxLogits.fc.weight": np.zeros((1000, 768), np.float32)}
    features, logits = exact(TORCHVISION, {**drawn, **own, **unused})
    close(features, recorded["features"], 1e-9)
    close(logits, recorded["logits"], 1e-9)


@pytest.mark.parametrize("side", [28, 64, 320])
def test_images_are_resized_as_the_reference_does(side):
    pixels = paddle.to_tensor(images(1, 1, side, side).astype(np.float32))
    found = resize(pixels, 299).numpy()[0, 0, ::7]
    np.testing.assert_allclose(found, RECORDED[f"resize/{side}"], rtol=0, atol=1e-4)


def test_grey_is_the_same_as_three_equal_channels(network):
    grey = images(1, 1, 32, 32)
    found = network(grey), network(np.repeat(grey, 3, axis=1))
    np.testing.assert_array_equal(found[0].features, found[1].features)


def test_weights_of_another_network_are_refused(tmp_path):
    arrays = {"Conv2d_1a_3x3.conv.weight": np.zeros((32, 3, 5, 5), np.float32)}
    path = tmp_path / "other.safetensors"
    save_file(arrays, path)
    with pytest.raises(
        ConfigError,
        match=r"other.safetensors: Conv2d_1a_3x3.conv.weight is of shape \[32, 3, 5, 5\]; "
        r"inception-v3 has it as \[32, 3, 3, 3\]",
    ):
        open_features("inception-v3", path)


def test_a_missing_array_is_named():
    arrays = {"Conv2d_1a_3x3.conv.weight": np.zeros((32, 3, 3, 3), np.float32)}
    with pytest.raises(ConfigError, match="Conv2d_1a_3x3.bn.weight is missing"):
        state_from_reference(arrays, Inception(), "file")


def test_arrays_that_are_not_numbers_are_named():
    arrays = {"Conv2d_1a_3x3.conv.weight": np.full((32, 3, 3, 3), np.nan, np.float32)}
    with pytest.raises(ConfigError, match=r"Conv2d_1a_3x3.conv.weight holds NaN or infinity"):
        state_from_reference(arrays, Inception(), "file")


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.pkl"])
def test_pickles_are_refused_unread(name, tmp_path):
    with pytest.raises(ConfigError, match=rf"{name}: inception-v3 reads .*: ppgan-zoo convert"):
        open_features("inception-v3", tmp_path / name)  # not even there


def test_bad_files_are_one_line(tmp_path):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(ConfigError, match="cannot be read") as missing:
        open_features("inception-v3", path)
    path.write_bytes(b"\x80\x04" + b"not a safetensors file")
    with pytest.raises(ConfigError, match="not a safetensors file") as damaged:
        open_features("inception-v3", path)
    header = b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"00")
    with pytest.raises(ConfigError, match="holds numbers of type 'BF16'"):
        open_features("inception-v3", path)
    with pytest.raises(ConfigError, match="needs a file of weights") as none:
        open_features("inception-v3")
    for error in (missing, damaged, none):
        assert "\n" not in str(error.value)
