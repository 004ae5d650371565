"""The IDX reader, against files made by hand with struct."""

import gzip
import hashlib
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgan_zoo.data.idx import idx_sha256, read_idx, write_idx
from ppgan_zoo.errors import DataError

VALUES = bytes(range(12))
SMALL = b"\0\0\x08\x03" + struct.pack(">III", 2, 3, 2) + VALUES


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def refusal(path, content):
    """The error of a file with this content: one line that names the file."""
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["plain", "plain.gz", "zipped.gz", "zipped"])
def test_reads_raw_and_gzip_by_content_whatever_the_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(SMALL) if name.startswith("zipped") else SMALL)
    array = read_idx(path)
    assert array.dtype == np.uint8
    assert array.tolist() == [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]]


@pytest.mark.parametrize("dims", [1, 2, 3, 4])
def test_reads_one_to_four_dimensions(path, dims):
    shape = (2, 3, 2, 5)[:dims]
    count = int(np.prod(shape))
    path.write_bytes(bytes([0, 0, 8, dims]) + struct.pack(f">{dims}I", *shape) + bytes(count))
    assert read_idx(path).shape == shape


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_truncation_at_every_byte(path, length):
    assert "truncated" in refusal(path, SMALL[:length])


@pytest.mark.parametrize("length", range(2, len(gzip.compress(SMALL))))
def test_gzip_truncation_at_every_byte(path, length):
    refusal(path, gzip.compress(SMALL)[:length])


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_truncation_inside_intact_gzip(path, length):
    assert "truncated" in refusal(path, gzip.compress(SMALL[:length]))


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_trailing_bytes(path, wrap):
    assert "trailing bytes" in refusal(path, wrap(SMALL + b"\0"))


def test_garbage_after_gzip(path):
    assert "damaged gzip" in refusal(path, gzip.compress(SMALL) + b"garbage")


def test_gzip_with_a_wrong_checksum(path):
    zipped = bytearray(gzip.compress(SMALL))
    zipped[-8] ^= 1  # the CRC-32 is the first half of the last eight bytes
    assert "damaged gzip" in refusal(path, bytes(zipped))


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b"\x89PNG", "not an IDX file"),
        (b"\0\1\x08\x03", "not an IDX file"),
        (b"\0\0\x09\x03", "type code 0x09"),
        (b"\0\0\x0d\x03", "type code 0x0d"),
        (b"\0\0\x08\x00", "0 IDX dimensions"),
        (b"\0\0\x08\x05", "5 IDX dimensions"),
    ],
)
def test_wrong_magic(path, header, told):
    assert told in refusal(path, header + SMALL[4:])


def test_empty_dimension(path):
    assert "2 x 0 x 2" in refusal(path, b"\0\0\x08\x03" + struct.pack(">III", 2, 0, 2))


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "shape", [(2**31,) * 4, (2**31 + 1,), (2**32 - 1, 1, 1), (2**16, 2**16, 2**16)]
)
def test_huge_dimensions_are_refused_by_the_header(path, wrap, shape):
    header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    assert "at most 2147483648" in refusal(path, wrap(header + VALUES))


def test_a_large_header_on_a_short_file_costs_no_memory(path):
    tracemalloc.start()
    try:
        assert "truncated" in refusal(path, b"\0\0\x08\x01" + struct.pack(">I", 2**31) + VALUES)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_gzip_bomb_is_not_decompressed_beyond_what_it_declares(path):
    bomb = gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 10) + bytes(64 << 20), 1)
    tracemalloc.start()
    try:
        assert "trailing bytes" in refusal(path, bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_idx(tmp_path / "absent")
    with pytest.raises(DataError, match="not a regular file"):
        read_idx(tmp_path)


@given(st.binary(max_size=64))
@settings(max_examples=200, deadline=None, database=None)
def test_any_bytes_are_an_array_or_a_data_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    try:
        array = read_idx(path)
    except DataError:
        return
    assert len(content) == 4 + 4 * array.ndim + array.size


def test_writer_writes_the_documented_bytes(tmp_path):
    array = np.arange(12, dtype=np.uint8).reshape(2, 3, 2)
    write_idx(tmp_path / "raw", array)
    assert (tmp_path / "raw").read_bytes() == SMALL
    write_idx(tmp_path / "one.gz", array)
    write_idx(tmp_path / "two.gz", array)
    zipped = (tmp_path / "one.gz").read_bytes()
    assert gzip.decompress(zipped) == SMALL
    assert zipped == (tmp_path / "two.gz").read_bytes()
    assert zipped[3:8] == bytes(5)  # no name, no time
    assert idx_sha256(array) == hashlib.sha256(SMALL).hexdigest()


@pytest.mark.parametrize(
    "array",
    [np.zeros(3, np.int64), np.uint8(1).reshape(()), np.zeros((2, 0), np.uint8)],
    ids=["int64", "no dimension", "empty"],
)
def test_writer_refuses_what_idx_cannot_hold(tmp_path, array):
    with pytest.raises(DataError):
        write_idx(tmp_path / "file", array)
    assert not (tmp_path / "file").exists()
