"""A generator's graph as an ONNX file, and its images through ONNX Runtime.

Needs the packages ``onnx`` and ``onnxruntime``: the extra ``onnx``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ppgan_zoo.errors import ExportError
from ppgan_zoo.export.graph import UNARY, Graph, Node
from ppgan_zoo.runtime import cpu_threads
from ppgan_zoo.storage.files import read_regular

OPSET, IR_VERSION = 18, 8
"""Of December 2022: every ONNX Runtime since 1.14 reads them."""

IMAGES = "images"
_NAMES = {
    **{kind: kind.capitalize() for kind in UNARY},
    "absolute": "Abs",
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "maximum": "Max",
    "minimum": "Min",
    "power": "Pow",
    "matmul": "MatMul",
}

Written = list[Any]
"""Messages of nodes."""


def write_onnx(
    graph: Graph,
    path: Path,
    *,
    latent_dim: int,
    image_shape: tuple[int, int, int],
    metadata: Mapping[str, Any],
) -> None:
    """Write a graph as an ONNX file with a free batch size.

    Args:
        graph: The generator.
        path: The file.
        latent_dim: Size of z.
        image_shape: Channels, height and width.
        metadata: What the file says of itself, by name: strings, and anything else as JSON.

    Raises:
        ExportError: onnx itself finds fault with the file.
        OSError: It cannot be written.
    """
    weights = [numpy_helper.from_array(value, name) for name, value in graph.weights.items()]
    nodes: list[Any] = []
    for node in graph.nodes:
        constants, written = _of_node(node)
        weights += constants
        nodes += written
    nodes.append(helper.make_node("Identity", [graph.output], [IMAGES]))
    inputs = [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", latent_dim])]
    if "labels" in graph.inputs:
        inputs.append(helper.make_tensor_value_info("labels", TensorProto.INT64, ["N"]))
    images = helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, ["N", *image_shape])
    model = helper.make_model(
        helper.make_graph(nodes, "generator", inputs, [images], weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="ppgan_zoo",
    )
    helper.set_model_props(
        model,
        {name: is_ if isinstance(is_, str) else json.dumps(is_) for name, is_ in metadata.items()},
    )
    try:
        onnx.checker.check_model(model)
        content = model.SerializeToString()
    except Exception as error:  # of onnx and of protobuf, which have no class in common
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ExportError(f"{path.name}: onnx refuses it ({first[:200]})") from None
    path.write_bytes(content)


def run_onnx(path: Path, inputs: tuple[NDArray[Any], ...]) -> NDArray[np.float32]:
    """Return images of z ``[N, latent_dim]`` and, if the model takes them, labels ``[N]``.

    Raises:
        ExportError: ONNX Runtime refuses the file or fails.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cpu_threads()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            read_regular(path), options, providers=["CPUExecutionProvider"]
        )
        feed = dict(zip(("z", "labels"), inputs, strict=False))
        (images,) = session.run([IMAGES], feed)
    except Exception as error:  # a class of its own for each way to fail
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ExportError(f"{path.name}: ONNX Runtime cannot run it ({first[:200]})") from None
    found: NDArray[np.float32] = images
    return found


def _of_node(node: Node) -> tuple[list[Any], Written]:
    """Return constants and nodes of ONNX for a node of the graph."""
    if node.kind in _NAMES:
        return [], [helper.make_node(_NAMES[node.kind], list(node.inputs), [node.output])]
    return _WRITERS[node.kind](node, node.attributes)


def _plain(
    name: str, *taken: str
) -> Callable[[Node, Mapping[str, Any]], tuple[list[Any], Written]]:
    """Return a writer of one node with attributes of the same names."""

    def write(node: Node, given: Mapping[str, Any]) -> tuple[list[Any], Written]:
        options = {key: given[key] for key in taken}
        return [], [helper.make_node(name, list(node.inputs), [node.output], **options)]

    return write


def _with_lists(
    name: str, *keys: str
) -> Callable[[Node, Mapping[str, Any]], tuple[list[Any], Written]]:
    """Return a writer of one node that takes lists of numbers as further inputs."""

    def write(node: Node, given: Mapping[str, Any]) -> tuple[list[Any], Written]:
        names = [f"{node.output}.{key}" for key in keys]
        constants = [
            numpy_helper.from_array(np.array(given[key], np.int64), of)
            for key, of in zip(keys, names, strict=True)
        ]
        return constants, [helper.make_node(name, [*node.inputs, *names], [node.output])]

    return write


def _transpose(node: Node, given: Mapping[str, Any]) -> tuple[list[Any], Written]:
    made = helper.make_node("Transpose", list(node.inputs), [node.output], perm=given["order"])
    return [], [made]


def _rows(node: Node, given: Mapping[str, Any]) -> tuple[list[Any], Written]:
    return [], [helper.make_node("Gather", list(node.inputs), [node.output], axis=0)]


def _convolution(name: str) -> Callable[[Node, Mapping[str, Any]], tuple[list[Any], Written]]:
    def write(node: Node, given: Mapping[str, Any]) -> tuple[list[Any], Written]:
        options = {
            "strides": given["strides"],
            "pads": given["padding"],
            "dilations": given["dilations"],
            "group": given["groups"],
        }
        if "output_padding" in given:
            options["output_padding"] = given["output_padding"]
        return [], [helper.make_node(name, list(node.inputs), [node.output], **options)]

    return write


_WRITERS: dict[str, Callable[[Node, Mapping[str, Any]], tuple[list[Any], Written]]] = {
    "leaky_relu": _plain("LeakyRelu", "alpha"),
    "elu": _plain("Elu", "alpha"),
    "softmax": _plain("Softmax", "axis"),
    "concat": _plain("Concat", "axis"),
    "sum": _with_lists("ReduceSum", "axes"),
    "mean": _with_lists("ReduceMean", "axes"),
    "max": _with_lists("ReduceMax", "axes"),
    "reshape": _with_lists("Reshape", "shape"),
    "expand": _with_lists("Expand", "shape"),
    "slice": _with_lists("Slice", "starts", "ends", "axes", "steps"),
    "transpose": _transpose,
    "rows": _rows,
    "conv2d": _convolution("Conv"),
    "conv2d_transpose": _convolution("ConvTranspose"),
}
