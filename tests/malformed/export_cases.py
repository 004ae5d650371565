"""Malformed exported models."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml
from harness import Case, Stock

COMMAND = ("sample", "model", "--device", "cpu")


def _case(name: str, damage: Callable[[Path, dict], object], *says: str) -> Case:
    """Return the case of a damaged copy of an exported model, with its ``model.yml``."""

    def build(folder: Path, stock: Stock) -> None:
        model = folder / "model"
        shutil.copytree(stock.exported, model)
        described = yaml.safe_load((model / "model.yml").read_text())
        damage(model, described)

    return Case(name, COMMAND, says, build)


def _described(name: str, change: Callable[[dict], object], *says: str) -> Case:
    """Return the case of another ``model.yml``."""

    def damage(model: Path, described: dict) -> None:
        change(described)
        (model / "model.yml").write_text(yaml.safe_dump(described))

    return _case(name, damage, "model.yml", *says)


def _set(path: str, value: object) -> Callable[[dict], object]:
    def change(described: dict) -> None:
        *parts, last = path.split(".")
        for part in parts:
            described = described[part]
        described[last] = value

    return change


def _file(name: str, which: str, change: Callable[[bytes], bytes], *says: str,
          signed: bool = False) -> Case:  # fmt: skip
    """Return the case of a changed program or weights; `signed`: with the right hash."""

    def damage(model: Path, described: dict) -> None:
        file = model / described[which]
        content = change(file.read_bytes())
        file.write_bytes(content)
        if signed:
            described["sha256"][file.name] = hashlib.sha256(content).hexdigest()
            (model / "model.yml").write_text(yaml.safe_dump(described))

    return _case(name, damage, *says)


def _swap(model: Path, described: dict) -> None:
    program, parameters = model / described["program"], model / described["parameters"]
    content = program.read_bytes()
    program.write_bytes(parameters.read_bytes())
    parameters.write_bytes(content)


def _link(model: Path, described: dict) -> None:
    file = model / described["parameters"]
    file.unlink()
    file.symlink_to("/dev/zero")


FILES = [
    *(_file(f"{which} with byte {at} flipped", which,
            lambda raw, at=at: raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :], "SHA-256", "again")
      for which in ("program", "parameters") for at in (0, 40, 1000)),
    *(_file(f"{which} of {size} bytes", which, lambda raw, size=size: raw[:size], "SHA-256")
      for which in ("program", "parameters") for size in (0, 1, 500)),
    _file("weights with a byte more", "parameters", lambda raw: raw + b"\0", "SHA-256"),
    _file("a pickle for weights", "parameters", lambda raw: b"cos\nsystem\n(S'touch canary'\ntR.",
          "SHA-256"),
    _case("no program", lambda model, described: (model / described["program"]).unlink(),
          "No such file", "export again"),
    _case("no weights", lambda model, described: (model / described["parameters"]).unlink(),
          "No such file", "export again"),
    _case("program and weights exchanged", _swap, "SHA-256"),
    _case("weights without end", _link, "not a regular file"),
    _case("a folder for weights", lambda model, described: (
        (model / described["parameters"]).unlink(), (model / described["parameters"]).mkdir()),
        "Is a directory"),
]  # fmt: skip

SIGNED = [
    _file("a program of text, signed", "program", lambda raw: b"no program", "not a program",
          signed=True),
    _file("an empty program, signed", "program", lambda raw: b"", "not a program", signed=True),
    _file("half a program, signed", "program", lambda raw: raw[: len(raw) // 2], "not a program",
          signed=True),
    _file("weights of text, signed", "parameters", lambda raw: b"no weights", "weights",
          signed=True),
    _file("empty weights, signed", "parameters", lambda raw: b"", "weights", signed=True),
    _file("half the weights, signed", "parameters", lambda raw: raw[: len(raw) // 2], "weights",
          signed=True),
    _file("weights with a byte more, signed", "parameters", lambda raw: raw + b"\0", "weights",
          signed=True),
    _file("weights that lie of their size, signed", "parameters",
          lambda raw: raw[:16] + b"\xff\xff\xff\x7f" + raw[20:], "weights", signed=True),
    _file("a pickle for weights, signed", "parameters",
          lambda raw: b"cos\nsystem\n(S'touch canary'\ntR.", "weights", signed=True),
]  # fmt: skip

DESCRIPTIONS = [
    _described("no format", lambda described: described.pop("format"), "format", "required"),
    _described("another format", _set("format", 99), "format", "99"),
    _described("no name", lambda described: described.pop("name"), "name", "required"),
    _described("an unknown key", _set("evil", 1), "evil"),
    _described("no latent", lambda described: described.pop("latent"), "latent"),
    _described("an unknown prior", _set("latent.prior", "cauchy"), "latent.prior"),
    _described("a latent in words", _set("latent.dim", "many"), "latent.dim"),
    _described("a latent of no size", _set("latent.dim", 0), "latent.dim"),
    _described("a negative latent", _set("latent.dim", -1), "latent.dim"),
    _described("a huge latent", _set("latent.dim", 2**40), "latent.dim"),
    _described("an image of two sides", _set("image_shape", [1, 28]), "image_shape"),
    _described("an empty range", _set("image_range", [1.0, 1.0]), "image_range"),
    _described("a range upside down", _set("image_range", [1.0, -1.0]), "image_range"),
    _described("onednn in words", _set("onednn", "perhaps"), "onednn"),
    _described("no hashes", _set("sha256", {}), "sha256", "no entry"),
    _described("a hash that is a list", _set("sha256", []), "sha256"),
    _described("a program that leaves", _set("program", "../generator.json"), "leaves the folder"),
    _described("a program with an absolute path", _set("program", "/etc/passwd"), "leaves"),
    _described("a program that is the parent", _set("program", ".."), "no entry for '..'"),
    _described("a program of no name", _set("program", ""), "no entry for ''"),
    _described("weights that leave", _set("parameters", "../../x"), "leaves the folder"),
    _described("a hash of a file that leaves", lambda described: described["sha256"].update(
        {"../../../etc/passwd": "0" * 64}), "leaves the folder"),
    _described("another program", _set("program", "other.json"), "no entry for 'other.json'"),
    _case("no description", lambda model, described: (model / "model.yml").unlink(), "neither"),
    *(_case(f"a description that is {what}",
            lambda model, described, content=content: (model / "model.yml").write_bytes(content),
            "model.yml")
      for what, content in {
          "empty": b"", "a list": b"- 1\n", "text": b"model\n", "no UTF-8": b"\xff\xfe",
          "no YAML": b"{", "a bomb": b"a: &a [x]\nb: [*a, *a]\n", "too long": b"#" * 70_000,
          "tagged": b"!!python/object/apply:os.system ['touch canary']\n",
      }.items()),
]  # fmt: skip

CASES = [*FILES, *SIGNED, *DESCRIPTIONS]
