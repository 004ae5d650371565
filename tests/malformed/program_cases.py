"""Exported models of strangers: every hash is right, and the program lies."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from harness import Case, Stock

COMMAND = ("sample", "model", "--device", "cpu")


class Json:
    """A program of Paddle 3, to be changed."""

    def __init__(self, raw: bytes) -> None:
        self.data = json.loads(raw)
        (region,) = self.data["program"]["regions"]
        (self.block,) = region["blocks"]
        self.ops = self.block["ops"]

    def find(self, name: str) -> dict[str, Any]:
        return next(op for op in self.ops if op["#"] == name)

    def rename(self, new: str) -> None:
        self.find("1.tanh")["#"] = f"1.{new}"

    def nest(self) -> None:
        self.find("1.tanh")["regions"] = [{"#": "r", "blocks": [self.block.copy() | {"ops": []}]}]

    def data_of_z(self) -> tuple[dict[str, Any], dict[str, Any]]:
        op = self.find("1.data")
        return {entry["N"]: entry["AT"] for entry in op["A"]}, op["O"][0]["TT"]

    def latent(self, size: int) -> None:
        attributes, described = self.data_of_z()
        attributes["shape"]["D"] = described["D"][1] = [-1, size]

    def kind(self) -> None:
        attributes, described = self.data_of_z()
        attributes["dtype"]["D"], described["D"][0]["#"] = "float64", "0.t_f64"

    def second_input(self) -> None:
        op = json.loads(json.dumps(self.find("1.data")))
        op["A"][0]["AT"]["D"], op["O"][0]["%"] = "y", 9999
        self.ops.insert(0, op)

    def no_input(self) -> None:
        """The operator that stands for the input makes a constant."""
        op = self.find("1.data")
        full = {"AT": {"#": "0.a_f64", "D": 0.0}, "N": "value"}
        op["#"], op["A"] = "1.full", [*op["A"][1:], full]

    def no_output(self) -> None:
        self.ops.remove(self.find("1.fetch"))

    def second_output(self) -> None:
        op = json.loads(json.dumps(self.find("1.fetch")))
        op["O"][0]["%"] = 9999
        self.ops.append(op)

    def output_of(self, shape: list[int]) -> None:
        made = self.find("1.fetch")["I"][0]["%"]
        for op in self.ops:
            for result in op["O"] if isinstance(op["O"], list) else [op["O"]]:
                if result["%"] == made:
                    result["TT"]["D"][1] = shape

    def dangle(self) -> None:
        self.find("1.tanh")["I"][0]["%"] = 9999

    def backwards(self) -> None:
        self.ops.reverse()

    def raw(self) -> bytes:
        return json.dumps(self.data).encode()


class Protobuf:
    """The same of a program of Paddle 2."""

    def __init__(self, raw: bytes) -> None:
        from paddle.base.proto import framework_pb2

        self.types = framework_pb2
        self.data = framework_pb2.ProgramDesc()
        self.data.ParseFromString(raw)
        (self.block,) = self.data.blocks
        self.ops = self.block.ops

    def find(self, name: str) -> Any:
        return next(op for op in self.ops if op.type == name)

    def rename(self, new: str) -> None:
        self.find("tanh").type = new

    def nest(self) -> None:
        attribute = self.find("tanh").attrs.add(name="sub_block", type=self.types.BLOCK)
        attribute.block_idx = 0

    def tensor(self, name: str) -> Any:
        (variable,) = (v for v in self.block.vars if v.name == name)
        return variable.type.lod_tensor.tensor

    def shape(self, name: str, shape: list[int]) -> None:
        self.tensor(name).ClearField("dims")
        self.tensor(name).dims.extend(shape)

    def latent(self, size: int) -> None:
        self.shape("z", [-1, size])

    def kind(self) -> None:
        self.tensor("z").data_type = self.types.VarType.FP64

    def second_input(self) -> None:
        self.block.vars.add(name="y").CopyFrom(next(v for v in self.block.vars if v.name == "z"))
        self.block.vars[-1].name = "y"
        self.ops.add().CopyFrom(self.find("feed"))
        self.ops[-1].outputs[0].arguments[0] = "y"

    def no_input(self) -> None:
        self.find("feed").type = "fill_constant"

    def no_output(self) -> None:
        self.ops.remove(self.find("fetch"))

    def second_output(self) -> None:
        self.ops.add().CopyFrom(self.find("fetch"))

    def output_of(self, shape: list[int]) -> None:
        self.shape(self.find("fetch").inputs[0].arguments[0], shape)

    def dangle(self) -> None:
        self.find("tanh").inputs[0].arguments[0] = "nowhere"

    def backwards(self) -> None:
        reversed_ = list(self.ops)[::-1]
        copies = [self.types.OpDesc.FromString(op.SerializeToString()) for op in reversed_]
        self.block.ClearField("ops")
        self.block.ops.extend(copies)

    def raw(self) -> bytes:
        return self.data.SerializeToString()


def _resign(model: Path, described: dict, file: str, content: bytes) -> None:
    (model / file).write_bytes(content)
    described["sha256"][file] = hashlib.sha256(content).hexdigest()
    (model / "model.yml").write_text(yaml.safe_dump(described))


def _case(name: str, change: Callable[[Any], object], *says: str) -> Case:
    """Return the case of a program changed by `change`, which gets a Json or a Protobuf."""

    def build(folder: Path, stock: Stock) -> None:
        shutil.copytree(stock.exported, folder / "model")
        described = yaml.safe_load((folder / "model" / "model.yml").read_text())
        file = described["program"]
        program = (Json if file.endswith(".json") else Protobuf)(
            (stock.exported / file).read_bytes()
        )
        change(program)
        _resign(folder / "model", described, file, program.raw())

    return Case(name, COMMAND, ("model/generator.", *says, "again"), build)


def _described(name: str, key: str, value: object, *says: str) -> Case:
    """Return the case of a sound program that ``model.yml`` says something else of."""

    def build(folder: Path, stock: Stock) -> None:
        shutil.copytree(stock.exported, folder / "model")
        described = yaml.safe_load((folder / "model" / "model.yml").read_text())
        *parts, last = key.split(".")
        place = described
        for part in parts:
            place = place[part]
        place[last] = value
        (folder / "model" / "model.yml").write_text(yaml.safe_dump(described))

    return Case(name, COMMAND, ("model", *says, "again"), build)


# Of both versions: files, sockets, processes, Python, devices; engines; what does not exist.
REFUSED = (
    "save", "save_combine", "load", "load_combine", "py_func", "print", "assert", "read_file",
    "send_v2", "recv_v2", "run_program", "c_allreduce_sum", "listen_and_serv", "tensorrt_engine",
    "queue_generator", "decode_jpeg", "while", "conditional_block", "memcpy_d2h", "_run_custom_op",
    "_run_python_op", "pylayer", "share_var", "set_parameter", "cinn_launch", "barrier", "exponential",
    "no_such_operator", "tanh;", "Tanh", "",
)  # fmt: skip

OPERATORS = [
    _case(f"operator {name!r}", lambda program, name=name: program.rename(name), "operator",
          repr(name)) for name in REFUSED
]  # fmt: skip

SIGNATURES = [
    _case("a program in an operator", lambda program: program.nest(), "not a program",
          "a program of its own"),
    _case("a latent of a larger size", lambda program: program.latent(9), "inputs", "[-1, 9]"),
    _case("a latent of size one", lambda program: program.latent(1), "inputs", "[-1, 1]"),
    _case("a latent of any size", lambda program: program.latent(-1), "inputs", "[-1, -1]"),
    _case("a latent of a size below zero", lambda program: program.latent(-5), "inputs", "[-1, -1]"),
    _case("a latent of 2^62", lambda program: program.latent(1 << 62), "not a program"),
    _case("an input of another type", lambda program: program.kind(), "inputs", "type 6"),
    _case("two inputs", lambda program: program.second_input(), "inputs", "y float32"),
    _case("no input", lambda program: program.no_input(), ""),
    _case("no output", lambda program: program.no_output(), "outputs", "none"),
    _case("two outputs", lambda program: program.second_output(), "outputs"),
    _case("an output of another size", lambda program: program.output_of([-1, 1, 32, 32]),
          "outputs", "32, 32"),
    _case("an output of two axes", lambda program: program.output_of([-1, 784]), "outputs"),
    _case("an output that takes all memory", lambda program: program.output_of(
        [-1, 1, 1 << 30, 1 << 30]), "outputs"),
    _case("an operator that takes what none made", lambda program: program.dangle(),
          "not a program", "no operator before it"),
    _case("operators in the wrong order", lambda program: program.backwards(), "not a program",
          "no operator before it"),
]  # fmt: skip

DESCRIPTIONS = [
    _described("model.yml of a larger latent", "latent.dim", 9, "inputs", "[-1, 9]"),
    _described("model.yml of other images", "image_shape", [1, 14, 56], "outputs", "14, 56"),
    _described("model.yml of images in colour", "image_shape", [3, 28, 28], "outputs", "3, 28, 28"),
    _described("model.yml of labels", "num_classes", 10, "inputs", "labels int64"),
]


def _json_only(name: str, change: Callable[[dict], object], *says: str) -> Case:
    """Return the case of a made-up program in JSON, which either version parses."""

    def build(folder: Path, stock: Stock) -> None:
        shutil.copytree(stock.exported, folder / "model")
        described = yaml.safe_load((folder / "model" / "model.yml").read_text())
        program = {"base_code": {"magic": "pir"}, "program": {"regions": [
            {"#": "region_0", "blocks": [{"#": "block_0", "args": [], "ops": []}]}]}}  # fmt: skip
        change(program)
        (folder / "model" / described["program"]).unlink()
        del described["sha256"][described["program"]]
        described["program"], described["versions"]["paddle"] = "generator.json", "3.0.0"
        _resign(folder / "model", described, "generator.json", json.dumps(program).encode())

    return Case(name, COMMAND, ("model/generator.json", *says), build)


def _put(*path: object, value: object) -> Callable[[dict], None]:
    def change(program: dict) -> None:
        place: Any = program
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value

    return change


OPS = ("program", "regions", 0, "blocks", 0, "ops")
_TANH = {"#": "1.tanh", "A": [], "I": [{"%": 0}], "O": [{"%": 1, "TT": {"#": "0.t_vec", "D": []}}]}

MADE_UP = [
    _json_only("a program of nothing", lambda program: None),
    _json_only("a program of no region", _put("program", "regions", value=[])),
    _json_only("a program of two regions", _put("program", "regions", value=[{}, {}])),
    _json_only("a program of a number", _put("program", value=5)),
    _json_only("a program of no blocks", _put("program", "regions", 0, "blocks", value=[])),
    _json_only("a block with arguments", _put("program", "regions", 0, "blocks", 0, "args",
                                              value=[1])),
    _json_only("operators that are text", _put(*OPS, value="tanh")),
    _json_only("an operator that is a list", _put(*OPS, value=[[]])),
    _json_only("an operator without a name", _put(*OPS, value=[{"A": []}])),
    _json_only("an operator whose name is a number", _put(*OPS, value=[{**_TANH, "#": 1}])),
    _json_only("an operator of another dialect", _put(*OPS, value=[{**_TANH, "#": "2.yield"}])),
    _json_only("an attribute of an unknown type", _put(*OPS, value=[
        {**_TANH, "A": [{"N": "x", "AT": {"#": "0.a_pointer", "D": 1 << 40}}]}])),
    _json_only("an attribute inside an array", _put(*OPS, value=[
        {**_TANH, "A": [{"N": "x", "AT": {"#": "0.a_array", "D": [{"#": "0.a_pointer"}]}}]}])),
    _json_only("a value that is made twice", _put(*OPS, value=[_TANH, _TANH])),
    _json_only("a program nested deep", _put("program", value=json.loads(
        "[" * 900 + "]" * 900))),
]  # fmt: skip

CASES = [*OPERATORS, *SIGNATURES, *DESCRIPTIONS, *MADE_UP]
