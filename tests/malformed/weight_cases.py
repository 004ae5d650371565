"""Weights that the zoo did not write: pickles above all."""

import os
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from checkpoint_cases import tensors
from harness import Case, Stock
from safetensors.numpy import save_file

CONVERT = ("--model", "gan_mlp", "--output", "out")
TRUSTED = ("convert", "--trust", "weights.pdparams", *CONVERT)


class Runs:
    """What a pickle of this does when it is read: call `function`."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def _write(name: str, content: bytes) -> Callable[[Path, Stock], None]:
    def build(folder: Path, stock: Stock) -> None:
        (folder / name).write_bytes(content)

    return build


TOUCH = pickle.dumps(Runs(os.system, "touch canary"))

REFUSED = [
    *(Case(f"{command[0]} takes no {suffix}", (*command, f"weights{suffix}", *rest),
           (f"weights{suffix}", "pickle", "can run anything", "ppgan-zoo convert --trust"),
           _write(f"weights{suffix}", TOUCH))
      for suffix in (".pdparams", ".pkl", ".pt", ".pth")
      for command, rest in (
          (("sample",), ()), (("export", "--checkpoint"), ("--output", "out")),
          (("train", "--resume"), ()))),
    *(Case(f"convert takes no {suffix} without trust", ("convert", f"weights{suffix}", *CONVERT),
           (f"weights{suffix}", "pickle", "can run anything", "--trust"),
           _write(f"weights{suffix}", TOUCH))
      for suffix in (".pdparams", ".PDPARAMS", ".pkl", ".pickle", ".pt", ".pth", ".ckpt")),
]  # fmt: skip


def _malicious(name: str, content: bytes, *says: str) -> Case:
    """Return the case of a pickle that is read, with trust, and runs nothing all the same."""
    return Case(name, TRUSTED, ("weights.pdparams", *says), _write("weights.pdparams", content))


def _global(module: str, name: str, argument: str) -> bytes:
    return f"c{module}\n{name}\n(S'{argument}'\ntR.".encode()


WRITE = "__import__('pathlib').Path('canary').touch()"

# numpy.ndarray((1,), numpy.dtype(...), bytes), by hand: an array over bytes of the file's choice.
BY_HAND = b"\x80\x05" + b"\x8c\x05numpy\x8c\x07ndarray\x93" + b"K\x01\x85"
BYTES = b"\x96" + struct.pack("<QQ", 8, 0x4141414141414140) + b"\x87R(K\x00K\x01u."
AT_AN_ADDRESS = BY_HAND + b"\x8c\x05numpy\x8c\x05dtype\x93\x8c\x01O\x85R" + BYTES
MADE = BY_HAND + b"\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02i8\x85R" + BYTES

MALICIOUS = [
    _malicious("a pickle that runs a command", TOUCH, "posix.system"),
    *(_malicious(f"a pickle that runs one by protocol {protocol}",
                 pickle.dumps({"w": Runs(os.system, "touch canary")}, protocol), "system")
      for protocol in range(5)),
    _malicious("a pickle that evaluates", _global("builtins", "eval", WRITE), "builtins.eval"),
    _malicious("a pickle that executes", _global("builtins", "exec", WRITE), "builtins.exec"),
    _malicious("a pickle that opens a process", _global("subprocess", "Popen", "touch"), "Popen"),
    _malicious("a pickle that imports", _global("builtins", "__import__", "antigravity"),
               "builtins.__import__"),
    _malicious("a pickle that writes a file", _global("builtins", "open", "canary"), "open"),
    _malicious("a pickle that gets an attribute", _global("builtins", "getattr", "x"), "getattr"),
    _malicious("a pickle through numpy", _global("numpy", "load", "x"), "numpy.load"),
    _malicious("a pickle through numpy's tests",
               _global("numpy.testing._private.utils", "runstring", WRITE), "runstring"),
    _malicious("a pickle through a dotted name", pickle.dumps(None)[:2] + b"\x8c\x05numpy"
               b"\x8c\x0fndarray.__new__\x93.", "numpy.ndarray.__new__"),
    _malicious("a pickle by an extension code", b"\x80\x02\x82\x01.", "not readable"),
    _malicious("a pickle that refers outside", b"\x80\x02K\x01Q.", "outside the file"),
    _malicious("a pickle that sets what runs later", b"\x80\x02cnumpy\nndarray\n}\x8c\x01a"
               b"cos\nsystem\nsb.", "os.system"),
]  # fmt: skip

ARRAY = np.zeros(3, np.float32)

DAMAGED = [
    _malicious("an empty pickle", b"", "not readable"),
    _malicious("a text for a pickle", b"these are no weights", "not readable"),
    _malicious("half a pickle", pickle.dumps({"w": np.zeros(999)})[:500], "not readable"),
    _malicious("a pickle without arrays", pickle.dumps({"epoch": 3}), "no arrays"),
    _malicious("a pickle of objects", pickle.dumps({"w": np.array([{}], object)}), "type 'O8'"),
    _malicious("a pickle of text", pickle.dumps({"w": np.array(["x"])}), "type 'U1'"),
    _malicious("a pickle of dates", pickle.dumps({"w": np.array(["2024"], "M8[s]")}), "type 'M8'"),
    _malicious("a pickle of an object at an address", AT_AN_ADDRESS, "type 'O'"),
    _malicious("a pickle of an array that is made by its class", MADE, "TypeError"),
    _malicious("a pickle of a class of its own", pickle.dumps({"w": Path("x")}), "pathlib"),
    _malicious("a pickle nested deep", pickletools.optimize(b"\x80\x02" + b"](" * 0
               + b"}X\x01\0\0\0a" * 40 + b"K\x01" + b"s" * 40 + b"."), "nested too deep"),
    _malicious("a pickle of 2^40 bytes", b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40),
               "weights.pdparams"),
    _malicious("a pickle that doubles itself", b"\x80\x02(K\x01t" + b"2\x86" * 5000 + b".",
               "no arrays"),
    _malicious("weights of another model", pickle.dumps({"layers.0.weight": ARRAY}),
               "is missing", "another model"),
    _malicious("weights of no name of the model", pickle.dumps({"x": ARRAY}), "tensor"),
]  # fmt: skip


def _torch(folder: Path, stock: Stock) -> None:
    with zipfile.ZipFile(folder / "weights.pt", "w") as archive:
        archive.writestr("archive/data.pkl", TOUCH)


def _bomb(folder: Path, stock: Stock) -> None:
    with zipfile.ZipFile(folder / "weights.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", b"\x93NUMPY\x01\0v\0" + (
            b"{'descr': '<f4', 'fortran_order': False, 'shape': (1073741824,), }".ljust(117)
        ) + b"\n" + bytes(1 << 24))  # fmt: skip


def _objects(folder: Path, stock: Stock) -> None:
    np.savez(folder / "weights.npz", w=np.array([Runs(os.system, "touch canary")], object))


def _other(folder: Path, stock: Stock) -> None:
    save_file({"x": ARRAY}, folder / "weights.safetensors")


OTHERS = [
    Case("a zip of PyTorch that runs a command", ("convert", "--trust", "weights.pt", *CONVERT),
         ("weights.pt", "system, which could run anything"), _torch),
    Case("a web page for weights", ("convert", "--trust", "weights.pth", *CONVERT),
         ("weights.pth", "a page of the web"), _write("weights.pth", b"<html>404</html>")),
    Case("features that bring their own weights",
         ("convert", "x.npz", "--features", "avatars-v1", "--output", "x.safetensors"),
         ("--features avatars-v1", "its own weights")),
    Case("an unknown feature network for weights",
         ("convert", "x.npz", "--features", "inception-v4", "--output", "x.safetensors"),
         ("--features", "did you mean 'inception-v3'")),
    Case("an npz with a pickle in it", ("convert", "weights.npz", *CONVERT),
         ("weights.npz", "not readable"), _objects),
    Case("an npz that asks for 4 GiB", ("convert", "weights.npz", *CONVERT),
         ("weights.npz", "Unable to allocate"), _bomb),
    Case("an npz of text", ("convert", "weights.npz", *CONVERT), ("weights.npz", "not readable"),
         _write("weights.npz", b"PK\x03\x04 no archive")),
    Case("safetensors of text", ("convert", "weights.safetensors", *CONVERT),
         ("weights.safetensors", "not readable"), _write("weights.safetensors", b"x" * 99)),
    Case("safetensors of a lying header", ("convert", "weights.safetensors", *CONVERT),
         ("weights.safetensors", "not readable"),
         _write("weights.safetensors", tensors({}, length=1 << 63))),
    Case("safetensors of another model", ("convert", "weights.safetensors", *CONVERT),
         ("weights.safetensors", "tensor"), _other),
    Case("weights of no suffix", ("convert", "weights", *CONVERT), ("weights", ".safetensors"),
         _write("weights", TOUCH)),
    Case("no weights", ("convert", "--trust", "no.pdparams", *CONVERT),
         ("no.pdparams", "no such file")),
    Case("no model for weights", ("convert", "x.npz", "--output", "out"),
         ("--model", "convert --help")),
    Case("an unknown model for weights",
         ("convert", "x.npz", "--model", "gan_mpl", "--output", "out"),
         ("--model", "did you mean 'gan_mlp'")),
    Case("a pipe for weights", TRUSTED, ("weights.pdparams", "no such file"),
         lambda folder, stock: os.mkfifo(folder / "weights.pdparams")),
]  # fmt: skip

CASES = [*REFUSED, *MALICIOUS, *DAMAGED, *OTHERS]
