"""What ``torch.save`` wrote is read without PyTorch, and nothing else of such a file happens."""

import pickle
import zipfile

import numpy as np
import pytest
from conftest import ROOT
from reference.drawn_weights import weight
from reference.torch_files import archive, arrays, pickled, row, state, tensor, text
from safetensors.numpy import load_file

from ppgan_zoo.convert.feature_weights import WELL_KNOWN, convert_features
from ppgan_zoo.convert.trusted_pickle import read_trusted_pickle
from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.metrics.features import FeatureKind, open_features
from ppgan_zoo.registry import FEATURES

REFERENCE = ROOT / "tests" / "reference"
LAYOUTS = {"archive": archive, "row": row}
every_layout = pytest.mark.parametrize("layout", LAYOUTS)
WEIGHTS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.ones(2, "f4")}


def equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        np.testing.assert_array_equal(found[name], array)


def refused(path):
    with pytest.raises(CheckpointError, match=str(path)) as error:
        read_trusted_pickle(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@every_layout
def test_files_of_pytorch_itself_are_read(layout):
    equal(read_trusted_pickle(REFERENCE / f"torch_{layout}.pth"), arrays())


@every_layout
def test_files_written_by_hand_are_read(layout, tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(LAYOUTS[layout](*state(WEIGHTS)))
    equal(read_trusted_pickle(path), WEIGHTS)


@every_layout
@pytest.mark.parametrize("share", [0.2, 0.6, 0.98])
def test_a_file_that_is_cut_off_is_one_line(layout, share, tmp_path):
    whole = LAYOUTS[layout](*state({"w": np.zeros(500, "f4")}))
    (tmp_path / "net.pth").write_bytes(whole[: int(share * len(whole))])
    said = refused(tmp_path / "net.pth")
    assert "cut off" in said or "not readable" in said


SYSTEM = b"\x80\x02cos\nsystem\n(" + text("touch canary") + b"tR."
TOO_LARGE = tensor("0", "FloatStorage", 6, (2, 4), (3, 1))
BEYOND = tensor("0", "FloatStorage", 6, (2, 3), (3, 1), start=1)
BACKWARDS = tensor("0", "FloatStorage", 6, (2,), (-1,), start=5)
MANY_OF_ONE = tensor("0", "FloatStorage", 6, (1 << 20, 1 << 10), (0, 0))
CHANGED = tensor("0", "FloatStorage", 6, (2, 3), (3, 1)) + b"}" + text("start") + b"K\x63sb"
ANOTHER_TYPE = (
    tensor("0", "FloatStorage", 6, (6,), (1,))
    + text("b")
    + tensor("0", "LongStorage", 6, (6,), (1,))
)


@every_layout
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (SYSTEM, "the name os.system, which could run anything"),
        (pickled({"w": TOO_LARGE}), "a tensor [2, 4] that is larger than its storage of 6"),
        (pickled({"w": BEYOND}), "a tensor [2, 3] that is larger than its storage of 6"),
        (pickled({"w": BACKWARDS}), "none of torch.save's"),
        (pickled({"w": MANY_OF_ONE}), "larger than its storage"),
        (pickled({"w": CHANGED}), "not readable as a pickle"),
        (pickled({"w": ANOTHER_TYPE}), "the storage '0' twice, in two forms"),
        (pickled({"w": tensor("0", "QInt8Storage", 6, (6,), (1,))}), "the name torch.QInt8Storage"),
        (pickled({"w": b"(" + text("module") + b"tQ"}), "a reference that is none of torch.save's"),
        (pickled({"w": b"K\x07"}), "no arrays"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00)))\x89}tR.", "none of torch"),
    ],
)
def test_what_may_not_stand_in_a_pickle_of_pytorch_is_named(layout, content, says, tmp_path):
    storages = {"0": bytes(24)} if b"storage" in content else {}
    (tmp_path / "net.pth").write_bytes(LAYOUTS[layout](content, storages))
    assert says in refused(tmp_path / "net.pth")
    assert not (tmp_path / "canary").exists()


CONTENT, STORAGES = state(WEIGHTS)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><html>Not found</html>", "a page of the web and no weights"),
        (archive(CONTENT, {"0": STORAGES["0"]}), "no net/data/1, which its pickle refers to"),
        (archive(CONTENT, {**STORAGES, "1": b"\0" * 4}), "net/data/1 of 4 bytes, and its pickle"),
        (archive(CONTENT, STORAGES, zipfile.ZIP_DEFLATED), "compressed, which torch.save never"),
        (archive(CONTENT, STORAGES, order=b"big"), "of 3 bytes, and its pickle says 6"),
        (archive(CONTENT, STORAGES).replace(b"data.pkl", b"data.txt"), "no data.pkl"),
        (archive(CONTENT, STORAGES).replace(STORAGES["0"], bytes(24)), "cut off or damaged"),
        (row(CONTENT, STORAGES, little_endian=False), "another order of bytes"),
        (row(CONTENT, {"0": STORAGES["0"]}), "other storages than its pickle refers to"),
        (row(CONTENT, {**STORAGES, "1": bytes(4)}), "the storage '1' is cut off"),
        (row(CONTENT, STORAGES).replace(pickle.dumps(1001, 2), pickle.dumps(1002, 2), 1), "1002"),
    ],
)
def test_what_is_wrong_around_the_pickle_is_named(content, says, tmp_path):
    (tmp_path / "net.pth").write_bytes(content)
    assert says in refused(tmp_path / "net.pth")


# Feature networks.


@pytest.fixture
def taking():
    """A feature network that takes the two arrays above."""

    def check(given, where):
        if set(given) != set(WEIGHTS):
            raise ConfigError(f"{where}: others")

    with FEATURES.lent(FeatureKind("taking-v1", lambda weights: None, check)):
        yield "taking-v1"


@every_layout
def test_weights_of_a_feature_network_keep_names_and_numbers(layout, taking, tmp_path):
    path, output = tmp_path / "net.pth", tmp_path / "net.safetensors"
    path.write_bytes(LAYOUTS[layout](*state(WEIGHTS)))
    assert convert_features(path, taking, output, trust=True) is None
    equal(load_file(output), WEIGHTS)


def test_what_cannot_be_converted_is_one_line_and_writes_nothing(taking, tmp_path):
    path, output = tmp_path / "net.pth", tmp_path / "net.safetensors"
    path.write_bytes(archive(*state({"x": np.ones(2, "f4")})))
    for name, target, trust, says in (
        (taking, output, False, "give --trust"),
        (taking, output, True, "net.pth: others"),
        (taking, tmp_path / "net.npz", True, "ends in .safetensors"),
        (taking, path.with_name("there.safetensors"), True, "exists already"),
        ("digits-v1", output, True, "--features digits-v1: comes with its own weights"),
        ("inception", output, True, "did you mean 'inception-v3'"),
    ):
        (tmp_path / "there.safetensors").touch()
        with pytest.raises((CheckpointError, ConfigError), match=says) as error:
            convert_features(path, name, target, trust=trust)
        assert "\n" not in str(error.value) and not output.exists()


def test_inception_s_weights_are_checked_before_a_file_is_written(cli, tmp_path):
    only = {"Conv2d_1a_3x3.conv.weight": np.zeros((32, 3, 3, 3), np.float32)}
    (tmp_path / "net.pth").write_bytes(row(*state(only)))
    done = cli("convert", "net.pth", "--trust", "--features", "inception-v3", "--output",
               "out.safetensors", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "net.pth: Conv2d_1a_3x3.bn.weight is missing" in done.stderr
    assert not (tmp_path / "out.safetensors").exists()


def test_the_hashes_of_well_known_files_are_those_in_their_names():
    assert all(len(known) == 64 for known in WELL_KNOWN)
    assert [known[:8] for known in WELL_KNOWN] == ["6726825d", "57934424"]


@pytest.mark.slow
@every_layout
def test_a_whole_file_of_inception_is_converted_and_opened(layout, tmp_path):
    recorded = np.load(REFERENCE / "inception.npz", allow_pickle=False)
    drawn = {
        str(key): weight(str(key), tuple(map(int, str(shape).split("x"))))
        for key, shape in zip(recorded["names"], recorded["shapes"])
    }
    path, output = tmp_path / "pt_inception.pth", tmp_path / "inception.safetensors"
    path.write_bytes(LAYOUTS[layout](*state(drawn)))
    convert_features(path, "inception-v3", output, trust=True)
    equal(load_file(output), drawn)
    assert open_features("inception-v3", output).classes == 1008
