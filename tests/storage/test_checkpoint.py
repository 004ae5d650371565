"""Checkpoints: what is written is read back, and damage is found before anything is parsed."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.storage import checkpoint as module
from ppgan_zoo.storage.checkpoint import open_checkpoint, save_checkpoint
from ppgan_zoo.storage.retention import newest_valid_checkpoint

MODEL = {"name": "gan_mlp", "generator": {"latent_dim": 3}}
ARRAYS = {
    "generator": {"w": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.zeros(0, np.float32)},
    "optimizer": {"w|moment1": np.float32([[0.5]]), "steps": np.int64([7])},
}
FILES = ["checkpoint.json", "generator.safetensors", "optimizer.safetensors"]


def save(folder, iteration=5, arrays=ARRAYS):
    return save_checkpoint(folder, arrays, iteration, MODEL)


def refusal(call):
    with pytest.raises(CheckpointError) as caught:
        call()
    assert str(caught.value).isprintable()  # so it is one line
    return str(caught.value)


def read_all(path):
    return open_checkpoint(path).all_arrays()


def equal(left, right):
    return set(left) == set(right) and all(
        left[k].dtype == right[k].dtype and left[k].shape == right[k].shape
        and left[k].tobytes() == right[k].tobytes() for k in left
    )  # fmt: skip


def test_round_trip(tmp_path):
    saved = save_checkpoint(tmp_path, ARRAYS, 1234, MODEL, seed=9)
    assert saved.path == tmp_path / "step-00001234"
    for found in (saved, open_checkpoint(saved.path)):
        assert (found.iteration, found.model, found.manifest["seed"]) == (1234, MODEL, 9)
        assert found.has("generator") and not found.has("ema")
        arrays = found.all_arrays()
        assert set(arrays) == {"generator", "optimizer"}
        assert all(equal(arrays[name], ARRAYS[name]) for name in ARRAYS)


def test_the_manifest_holds_every_files_hash_and_size(tmp_path):
    path = save(tmp_path).path
    assert sorted(p.name for p in path.iterdir()) == FILES
    files = json.loads((path / "checkpoint.json").read_text())["files"]
    for name in FILES[1:]:
        content = (path / name).read_bytes()
        assert files[name] == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


VIEWS = {
    "transposed": lambda a: a.T,
    "every other": lambda a: a[:, ::2],
    "reversed": lambda a: a[::-1],
    "fortran": np.asfortranarray,
    "broadcast": lambda a: np.broadcast_to(a[:1], (5, 6)),
}


@pytest.mark.parametrize("view", VIEWS)
def test_non_contiguous_arrays_are_saved_right(tmp_path, view):
    array = VIEWS[view](np.arange(24, dtype=np.float32).reshape(4, 6))
    wanted = array.tolist()
    assert not array.flags.c_contiguous
    saved = save(tmp_path, arrays={"generator": {"w": array}})
    assert saved.arrays("generator")["w"].tolist() == wanted


def test_the_same_state_gives_the_same_bytes(tmp_path):
    first, second = (save(tmp_path / name).path for name in "ab")
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_same_checkpoint_saved_again_stays(tmp_path):
    path = save(tmp_path).path
    before = path.stat().st_ino
    assert save(tmp_path).path == path
    assert path.stat().st_ino == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_valid_checkpoint_is_never_replaced_by_another(tmp_path):
    path = save(tmp_path).path
    other = {**ARRAYS, "generator": {**ARRAYS["generator"], "w": np.ones((3, 4), np.float32)}}
    message = refusal(lambda: save(tmp_path, arrays=other))
    assert message == (
        f"{path}: not saved: it exists already, valid and with other content; move it away first"
    )
    assert equal(read_all(path)["generator"], ARRAYS["generator"])


def test_a_damaged_checkpoint_makes_way(tmp_path):
    path = save(tmp_path, arrays={**ARRAYS, "ema": ARRAYS["generator"]}).path
    (path / "ema.safetensors").write_bytes(b"")
    save(tmp_path)
    assert sorted(p.name for p in path.iterdir()) == FILES
    assert equal(read_all(path)["generator"], ARRAYS["generator"])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_failure_while_saving_leaves_the_others(tmp_path):
    path = save(tmp_path).path
    with pytest.raises((TypeError, ValueError)):
        save_checkpoint(tmp_path, {"generator": {"w": np.ones(2)}}, 6, {"bad": object()})
    assert equal(read_all(path)["generator"], ARRAYS["generator"])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_state_that_is_not_finite_is_not_saved(tmp_path, bad, dtype):
    weights = np.ones((3, 4), dtype)
    weights[1, 2] = bad
    message = refusal(lambda: save(tmp_path, arrays={"generator": {"a": ARRAYS["generator"]["w"],
                                                                   "w": weights}}))  # fmt: skip
    assert "step-00000005: not saved: generator: 'w' holds NaN or infinity" in message
    assert list(tmp_path.iterdir()) == []


def test_nan_of_another_author_is_refused_and_passed_over(tmp_path, monkeypatch):
    save(tmp_path, 4)
    with monkeypatch.context() as patch:
        patch.setattr(module, "first_non_finite", lambda arrays: None)
        path = save(tmp_path, arrays={"generator": {"w": np.float32([1, np.nan])}}).path
    message = refusal(lambda: read_all(path))
    assert message.startswith(f"{path / 'generator.safetensors'}: tensor 'w' holds NaN")
    notes = []
    assert newest_valid_checkpoint(tmp_path, notes.append).iteration == 4
    assert "tensor 'w' holds NaN" in notes[0]


# Damage.


def test_any_flipped_byte_of_any_array_file_is_found(tmp_path):
    path = save(tmp_path).path
    for name in FILES[1:]:
        content = (path / name).read_bytes()
        for position in range(0, len(content), 7):
            damaged = bytearray(content)
            damaged[position] ^= 0x10
            (path / name).write_bytes(damaged)
            message = refusal(lambda: read_all(path))
            assert message.startswith(f"{path / name}: its SHA-256 is ")
            assert "use another checkpoint" in message
        (path / name).write_bytes(content)
    read_all(path)


def test_any_flipped_byte_of_the_manifest_is_found_or_harmless(tmp_path):
    path = save(tmp_path).path
    file = path / "checkpoint.json"
    content, manifest = file.read_bytes(), open_checkpoint(path).manifest
    found = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        file.write_bytes(damaged)
        try:
            opened = open_checkpoint(path)
        except CheckpointError as error:
            assert str(error).startswith(f"{file}: ")
            assert str(error).isprintable()
            found += 1
        else:  # the name of the hash itself
            assert {key: opened.manifest[key] for key in manifest} == manifest
    assert found > 0.9 * len(content)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_truncated_files(tmp_path, name, share):
    path = save(tmp_path).path
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[: int(len(content) * share)])
    assert str(path / name) in refusal(lambda: read_all(path))


@pytest.mark.parametrize("name", FILES)
def test_missing_files(tmp_path, name):
    path = save(tmp_path).path
    (path / name).unlink()
    assert refusal(lambda: read_all(path)).startswith(
        f"{path / name}: cannot be read: No such file"
    )


def test_hashes_are_checked_before_parsing(tmp_path, monkeypatch):
    path = save(tmp_path).path
    (path / "generator.safetensors").write_bytes(b"whatever")
    monkeypatch.setattr(module, "load", lambda content: pytest.fail("parsed"))
    refusal(lambda: open_checkpoint(path).arrays("generator"))


def test_a_file_of_the_right_hash_and_the_wrong_format(tmp_path):
    path = save(tmp_path).path
    (path / "generator.safetensors").write_bytes(b"\xff" * 64)
    manifest = json.loads((path / "checkpoint.json").read_text())
    del manifest["sha256"]
    manifest["files"]["generator.safetensors"]["sha256"] = hashlib.sha256(b"\xff" * 64).hexdigest()
    (path / "checkpoint.json").write_text(json.dumps(manifest))
    assert "not a safetensors file" in refusal(lambda: open_checkpoint(path).arrays("generator"))


def test_arrays_that_it_does_not_hold(tmp_path):
    saved = save(tmp_path)
    assert "holds no ema.safetensors" in refusal(lambda: saved.arrays("ema"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "not a checkpoint of format 1"),
        ({"format": None}, "not a checkpoint of format 1"),
        ({"iteration": "5"}, "key 'iteration' is missing or not what belongs there"),
        ({"iteration": True}, "key 'iteration'"),
        ({"iteration": -1}, "key 'iteration'"),
        ({"model": []}, "key 'model'"),
        ({"files": None}, "key 'files'"),
        ({"files": {"generator.safetensors": None}}, "key 'files'"),
        ({"files": {"generator.safetensors": {}}}, "key 'files'"),
        ({"files": {"generator.safetensors": {"sha256": 5}}}, "key 'files'"),
        ({"files": {"../generator.safetensors": {"sha256": "x"}}}, "key 'files'"),
    ],
)
def test_wrong_manifests(tmp_path, change, words):
    path = save(tmp_path).path
    manifest = json.loads((path / "checkpoint.json").read_text())
    del manifest["sha256"]  # of another author: only the content is judged
    (path / "checkpoint.json").write_text(json.dumps({**manifest, **change}))
    message = refusal(lambda: open_checkpoint(path))
    assert message.startswith(f"{path / 'checkpoint.json'}: ")
    assert words in message


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"{", b"\xff", b"[" * 100_000])
def test_manifests_that_are_none(tmp_path, content):
    path = save(tmp_path).path
    (path / "checkpoint.json").write_bytes(content)
    refusal(lambda: open_checkpoint(path))


def test_a_checkpoint_can_be_moved(tmp_path):
    path = save(tmp_path / "a").path
    shutil.move(path, tmp_path / "elsewhere")
    assert equal(read_all(tmp_path / "elsewhere")["generator"], ARRAYS["generator"])
