"""EfficientNet-Lite0 against the PyTorch package with the same random weights."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from reference.drawn_weights import images, weight
from safetensors.numpy import save_file

from ppgan_zoo.data import ImageSet, load_image_set
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.metrics.efficientnet import EfficientNet, Photos, state_from_reference
from ppgan_zoo.metrics.features import SHIPPED, open_features

RECORDED = np.load(Path(__file__).parents[1] / "reference" / "efficientnet.npz", allow_pickle=False)


@pytest.fixture(scope="module")
def drawn():
    shapes = [tuple(map(int, str(shape).split("x"))) for shape in RECORDED["shapes"]]
    return {str(name): weight(str(name), shape) for name, shape in zip(RECORDED["names"], shapes)}


@pytest.fixture(scope="module")
def network(drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("efficientnet") / "lite0.safetensors"
    save_file(drawn, path)
    return open_features("efficientnet-lite0", path)


def test_the_architecture_is_the_reference_s_in_double_precision(drawn):
    paddle.set_default_dtype("float64")
    try:
        network = EfficientNet()
    finally:
        paddle.set_default_dtype("float32")
    assert network.set_state_dict(state_from_reference(drawn, network, "drawn")) == ([], [])
    network.eval()
    with paddle.no_grad():
        found = network(paddle.to_tensor(images(1, 3, 224, 224).astype(np.float64)))
    for part, name in zip(found, ("features", "logits")):
        wanted = RECORDED[name]
        assert wanted.std() > 0.01
        np.testing.assert_allclose(part.numpy(), wanted, rtol=0, atol=1e-9 * wanted.std())


def test_pictures_of_any_size_are_seen_at_its_own(network):
    assert (network.dim, network.classes, network.is_general) == (1280, 1000, True)
    exact = images(1, 3, 224, 224)
    wanted = RECORDED["features"]
    np.testing.assert_allclose(network(exact).features, wanted, rtol=0, atol=1e-4 * wanted.std())
    small = images(2, 1, 28, 20)  # grey; of it the central square
    made = ImageSet.of("images", small, source="generator", location="images").resized(224, 3)
    np.testing.assert_array_equal(network(small).features, network(made.images).features)


def test_weights_of_another_network_are_refused(drawn):
    network = EfficientNet()
    with pytest.raises(
        ConfigError, match=r"file: _conv_stem.weight is missing; efficientnet-lite0"
    ):
        state_from_reference({}, network, "file")
    with pytest.raises(
        ConfigError, match="file: unknown weights _head; give those of efficientnet"
    ):
        state_from_reference({**drawn, "_head": np.zeros(2, np.float32)}, network, "file")


# Every 14th feature of the first two embedded avatars, as Paddle 3.3.1 computed them on an Intel
# processor: a figure must not depend on the version of Paddle or on the machine.
PHOTOS = [
    [-0.56308, 0.11765, 0.06922, -0.17043, -2.40738, -0.07919, 1.41225, -0.55860],
    [-1.17322, -0.15413, -0.89766, 0.26336, -2.38578, 0.23190, 2.63286, -0.42761],
]


def test_photos_v1_is_its_first_five_stages(drawn):
    """The shipped file has other weights: here both have the same."""
    whole, part = EfficientNet(), Photos()
    state = {name: array.astype(np.float32) for name, array in
             state_from_reference(drawn, whole, "drawn").items()}  # fmt: skip
    whole.set_state_dict(state)
    own = {name: state.get(name, array.numpy()) for name, array in part.state_dict().items()}
    assert set(own) - set(state) == {"standardise.mean", "standardise.deviation"}  # 0 and 1
    assert part.set_state_dict(own) == ([], [])
    seen = []
    whole.blocks[10].register_forward_post_hook(lambda _layer, _in, maps: seen.append(maps))
    pixels = paddle.to_tensor(images(1, 3, 224, 224).astype(np.float32))
    for network in (whole, part):
        network.eval()
    with paddle.no_grad():
        whole(pixels)
        found, logits = part(pixels)
    wanted = seen[0].numpy().mean(axis=(2, 3))
    assert logits is None and wanted.shape == (1, 112)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_photos_v1_comes_with_the_package():
    network = open_features("photos-v1")
    assert (network.dim, network.classes, network.is_general) == (112, None, True)
    avatars = load_image_set("avatars", offline=True).images[:2]
    found = network(avatars)
    assert found.probabilities is None
    np.testing.assert_allclose(found.features[:, ::14], PHOTOS, rtol=0, atol=1e-3)
    page = (Path(__file__).parents[2] / "docs" / "features.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| `photos-v1`"))
    assert SHIPPED["photos-v1"] in row
