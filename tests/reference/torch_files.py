"""Files of ``torch.save`` without PyTorch: what the real ones hold, and such files by hand."""

import io
import pickle
import struct
import zipfile

import numpy as np

KINDS = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage"}


def arrays():
    """Return the arrays of the two files of ``record_torch_files.py``, by dotted name."""
    count = np.arange(24, dtype=np.float32)
    return {
        "model.learnt": (count / 7).reshape(2, 3, 4),
        "model.turned": count[:6].reshape(2, 3),
        "model.low": count[:4],
        "model.high": count[4:10],
        "model.half": np.array([0.5, -2], np.float16),
        "model.steps": np.array(9, np.int64),
        "model.empty": np.zeros((0, 3), np.float32),
    }


def text(value):
    """Return the opcodes of a text."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def numbers(*values):
    """Return the opcodes of a tuple of whole numbers."""
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def tensor(key, kind, size, shape, steps, start=0, location="cpu"):
    """Return the opcodes of a tensor of a storage, as PyTorch writes them."""
    storage = b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key)
    storage += text(location) + b"J" + struct.pack("<i", size) + b"tQ"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"J" + struct.pack("<i", start)
        + numbers(*shape) + numbers(*steps) + b"\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def pickled(tensors):
    """Return the pickle of an OrderedDict of tensors, given as their opcodes by name."""
    items = b"".join(text(name) + opcodes for name, opcodes in tensors.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."


def state(weights):
    """Return the pickle of arrays by name, and the bytes of each one's storage by key."""
    tensors, storages = {}, {}
    for key, (name, array) in enumerate(weights.items()):
        steps = [stride // array.itemsize for stride in np.ascontiguousarray(array).strides]
        tensors[name] = tensor(str(key), KINDS[array.dtype.str[1:]], array.size, array.shape, steps)
        storages[str(key)] = array.tobytes()
    return pickled(tensors), storages


def archive(content, storages, compression=zipfile.ZIP_STORED, order=b"little"):
    """Return the bytes of the layout since PyTorch 1.6."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        made.writestr("net/data.pkl", content)
        made.writestr("net/byteorder", order)
        for key, stored in storages.items():
            made.writestr(f"net/data/{key}", stored)
        made.writestr("net/version", b"3\n")
    return file.getvalue()


def row(content, storages, itemsize=4, little_endian=True):
    """Return the bytes of the layout before PyTorch 1.6, of numbers of one size."""
    machine = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {}}
    head = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, machine))
    keys = pickle.dumps(list(storages), 2)
    stored = b"".join(struct.pack("<q", len(part) // itemsize) + part for part in storages.values())
    return head + content + keys + stored
