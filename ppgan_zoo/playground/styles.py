"""Lets a page reach the styles w of a generator that has them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray

from ppgan_zoo.errors import ExportError
from ppgan_zoo.export.graph import Graph, Node
from ppgan_zoo.export.run_graph import compute
from ppgan_zoo.latents.space import LatentSpace

PSI, OFFSET = "psi", "offset"
"""Further inputs of the graph: float32 ``[1]`` and ``[w_dim]``."""

_CLOSE = 1e-5


def with_styles(graph: Graph, space: LatentSpace, inputs: tuple[NDArray[Any], ...]) -> Graph:
    """Return the graph with ``average + psi (w - average) + offset`` in the place of w.

    Where w is in the graph is found by trial: it is what has the values that G's mapping gives.

    Args:
        graph: Of a G with styles, exported with styles as they are.
        space: Of the same G.
        inputs: z ``[N, latent_dim]`` and, if it takes them, labels ``[N]``.

    Raises:
        ExportError: Nothing in the graph has those values.
    """
    with paddle.no_grad():
        wanted = space.generator.mapping(*map(paddle.to_tensor, inputs)).numpy()
        average = space.generator.average.numpy()
    found = compute(graph, inputs)
    places = (
        place
        for place, node in enumerate(graph.nodes)
        if tuple(found[node.output].shape) == wanted.shape
        and np.allclose(found[node.output].numpy(), wanted, atol=_CLOSE, rtol=_CLOSE)
    )
    last = next(places, None)  # those after it are w again, taken from its copies
    if last is None:
        raise ExportError(f"{space.model}: its styles are not found in its program")
    w = graph.nodes[last].output
    inserted = (
        Node("subtract", (w, "average"), "from_average", {}),
        Node("multiply", ("from_average", PSI), "truncated", {}),
        Node("add", ("truncated", "average"), "kept", {}),
        Node("add", ("kept", OFFSET), "moved", {}),
    )
    after = (
        replace(node, inputs=tuple("moved" if name == w else name for name in node.inputs))
        for node in graph.nodes[last + 1 :]
    )
    return Graph(
        (*graph.inputs, PSI, OFFSET),
        graph.output,
        (*graph.nodes[: last + 1], *inserted, *after),
        {**graph.weights, "average": average},
    )
