"""A model as the page holds it: its graph, its weights as text, and what feeds it."""

from __future__ import annotations

import base64
import contextlib
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError, ExportError
from ppgan_zoo.export.exported import MODEL_FILE, ExportedModel, open_exported
from ppgan_zoo.export.exporter import CHECKED_SAMPLES, export
from ppgan_zoo.export.graph import Array, Graph
from ppgan_zoo.export.run_graph import run_graph
from ppgan_zoo.export.translation import read_graph
from ppgan_zoo.latents.space import open_space
from ppgan_zoo.models.latent import Latent, labels_in_turn
from ppgan_zoo.models.restore import find_checkpoint
from ppgan_zoo.playground.directions import axes, codes, found_directions
from ppgan_zoo.playground.pictures import training_pictures
from ppgan_zoo.playground.styles import with_styles

Precision = Literal["float16", "float32"]

TOLERANCE = 1e-4
"""How far the graph's images may be from Paddle Inference's."""


@dataclass(frozen=True)
class PageModel:
    """What the page gets of a model.

    Attributes:
        name: Of the model.
        data: Plain data for the page's scripts.
        difference: Largest difference of images with the weights as they are stored from those
            of Paddle Inference, in grey levels of 255.
        weights_bytes: Size of the stored weights.
    """

    name: str
    data: dict[str, Any]
    difference: float
    weights_bytes: int


def read_model(
    path: Path,
    *,
    name: str | None = None,
    precision: Precision = "float16",
    best: bool = False,
    nearest: int = 0,
) -> PageModel:
    """Read a run, a checkpoint or an exported model.

    Args:
        path: The directory. Of a run, its newest valid checkpoint.
        name: What the page calls it; None for the architecture's name.
        precision: How weights are stored: in half the bytes, rounded, or as they are.
        best: Take a run's best checkpoint.
        nearest: How many training pictures the page holds, to show the nearest of; of a run or a
            pretrained model.

    Raises:
        DataError: The training pictures are not on this machine.
        CheckpointError: It is none of the three, or damaged.
        ExportError: A damaged exported model, or one that cannot be computed elsewhere than in
            Paddle, by name of the operator.
        ConfigError: `best` is asked of an exported model; images of other than 1 or 3 channels.
    """
    with _exported(path, best) as model:
        description = model.description
        graph = read_graph(model.path / description.program, model.path / description.parameters)
        inputs, wanted = _wanted(model)
    if description.image_shape[0] not in (1, 3):
        raise ConfigError(
            f"{path}: images of {description.image_shape[0]} channels; a page shows 1 (grey) or 3"
        )
    directions = [*axes(model.latent), *codes(model.latent)]
    styles = 0
    if not os.path.isfile(path / MODEL_FILE):  # an exported model has no layers to look at
        space = open_space(path, best=best)
        directions = [*found_directions(space), *directions]
        if space.name == "w":
            graph, styles = with_styles(graph, space, inputs), space.dim
            inputs = (*inputs, np.ones(1, np.float32), np.zeros(styles, np.float32))
    exact = _difference(run_graph(graph, inputs), wanted)
    if not exact <= TOLERANCE:
        raise ExportError(
            f"{path}: computed step by step, its images differ by {exact:.1e} from those of "
            f"Paddle Inference, above {TOLERANCE:.0e}"
        )
    stored = _stored(graph, precision)
    rounded = {key: value.astype(np.float32) for key, value in stored.items()}
    difference = _difference(run_graph(graph, inputs, rounded), wanted)
    if not math.isfinite(difference):
        raise ExportError(f"{path}: {precision} cannot hold its weights; give --precision float32")
    low, high = description.image_range
    levels = difference * 255.0 / (high - low)
    raw = b"".join(value.tobytes() for value in stored.values())
    data = {
        "name": name or description.name,
        "model": description.name,
        "iteration": description.origin.iteration,
        "range": [low, high],
        "shape": description.image_shape,
        "classes": _class_names(description.num_classes, description.classes),
        "latent": _latent(model.latent),
        "styles": styles,
        "directions": directions,
        "precision": precision,
        "error": f"{levels:.1g}",
        "pictures": training_pictures(path, description.image_shape, nearest) if nearest else "",
        "graph": _graph(graph, model.latent.dim, precision, raw),
    }
    return PageModel(name or description.name, data, levels, len(raw))


@contextlib.contextmanager
def _exported(path: Path, best: bool) -> Iterator[ExportedModel]:
    """Yield the exported model, of a run or checkpoint one that is made and deleted again."""
    if os.path.isfile(path / MODEL_FILE):
        if best:
            raise ConfigError(f"{path}: --best is for runs; an exported model is one checkpoint's")
        yield open_exported(path)
        return
    checkpoint = find_checkpoint(path, best=best)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model"
        export(checkpoint, target, timed=False)
        yield open_exported(target)


def _wanted(model: ExportedModel) -> tuple[tuple[NDArray[Any], ...], Array]:
    """Return inputs, every class three times or more, and Paddle Inference's images of them."""
    classes = model.description.num_classes
    count = max(CHECKED_SAMPLES, 3 * classes)
    z = model.latent.sample(count, 0)
    labels = labels_in_turn(count, classes) if classes else None
    inputs = (z,) if labels is None else (z, labels)
    return inputs, model.generate(z, labels)


def _difference(images: Array, wanted: Array) -> float:
    if images.shape != wanted.shape:
        raise ExportError(f"the page would make images {images.shape}, not {wanted.shape}")
    return float(np.max(np.abs(images.astype(np.float64) - wanted)))


def _stored(graph: Graph, precision: Precision) -> dict[str, NDArray[Any]]:
    kind = np.dtype(precision).newbyteorder("<")
    with np.errstate(over="ignore"):  # infinite, and so refused by the difference that it makes
        return {name: value.astype(kind) for name, value in graph.weights.items()}


def _graph(graph: Graph, dim: int, precision: Precision, raw: bytes) -> dict[str, Any]:
    return {
        "dim": dim,
        "output": graph.output,
        "nodes": [
            {
                "kind": node.kind,
                "inputs": node.inputs,
                "output": node.output,
                "attributes": dict(node.attributes),
            }
            for node in graph.nodes
        ],
        "weights": [[name, value.shape] for name, value in graph.weights.items()],
        "precision": precision,
        "values": base64.b64encode(raw).decode(),
    }


def _class_names(num_classes: int, classes: tuple[str, ...]) -> list[str]:
    return list(classes) or [str(number) for number in range(num_classes)]


def _latent(latent: Latent) -> dict[str, Any]:
    return {
        "dim": latent.dim,
        "prior": latent.prior,
        "noise": latent.noise_dim,
        "categorical": latent.categorical,
    }
