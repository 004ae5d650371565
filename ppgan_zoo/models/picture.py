"""Draws the nets of a model as an SVG picture: what runs when, its output, its parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import paddle
from paddle import Tensor, nn

from ppgan_zoo.models.cost import count_parameters
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.nets import hooked, in_mode

WIDTH, HEIGHT, GAP, MARGIN, HEADER = 250, 44, 16, 20, 58
"""Pixels: width and height of a box, space between two, around all, and above the first."""

COLOURS = {
    "dense": "#dbe9fb",
    "convolution": "#fde3c8",
    "norm": "#eeeeee",
    "block": "#dcf1dc",
    "other": "#ffffff",
}


@dataclass(frozen=True)
class Box:
    """One layer or block of a net.

    Attributes:
        title: Its name in the net and its class, with what follows it and has no weights.
        kind: A key of :data:`COLOURS`.
        shape: Of its output for one image, without the batch; empty where that is unknown.
        parameters: That learn.
        times: How many alike follow one another.
        ran: Whether it had a part in drawing an image or in judging it.
    """

    title: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    times: int = 1
    ran: bool = True


def draw(gan: Gan) -> str:
    """Return an SVG picture of all nets, side by side.

    The boxes are the layers and blocks of each net in the order in which they run, seen by
    sending one z through G and its image through the others. Functions that are no layers,
    such as the sums of residual blocks, have no box.

    Args:
        gan: Built; its mode and weights stay as they are.
    """
    return _svg(gan.spec.name, _seen(gan))


def _seen(gan: Gan) -> dict[str, list[Box]]:
    """Run every net once, and return its boxes."""
    calls: dict[str, list[tuple[nn.Layer, tuple[int, ...]]]] = {net: [] for net in gan.nets}
    units = {net: list(_units(layer)) for net, layer in gan.nets.items()}

    def note_in(net: str) -> Any:
        def note(layer: nn.Layer, inputs: Any, output: Any) -> None:
            calls[net].append((layer, _shape(output)))

        return note

    with ExitStack() as stack:
        for net, named in units.items():
            stack.enter_context(hooked([layer for _, layer in named], note_in(net)))
        stack.enter_context(in_mode(*gan.nets.values(), training=False))
        stack.enter_context(paddle.no_grad())
        told = [paddle.zeros([1], "int64")] if gan.num_classes else []
        z = gan.latent().sample(1, 0).astype(np.float32)
        images = gan.generator(paddle.to_tensor(z), *told)
        gan.judge(images, *told)
    return {net: _boxes(gan.nets[net], units[net], calls[net]) for net in gan.nets}


def _units(net: nn.Layer, before: str = "") -> Iterator[tuple[str, nn.Layer]]:
    """Yield each layer or block with its name; what only holds others is looked into."""
    children = list(net.named_children())
    for name, layer in children:
        only = len(children) == 1 and bool(layer.sublayers())
        if only or isinstance(layer, nn.LayerList | nn.Sequential | nn.LayerDict):
            yield from _units(layer, f"{before}{name}.")
        else:
            yield before + name, layer


def _boxes(
    net: nn.Layer,
    units: Sequence[tuple[str, nn.Layer]],
    calls: Sequence[tuple[nn.Layer, tuple[int, ...]]],
) -> list[Box]:
    """Return a box for each call, and for the net's own parameters."""
    names = {id(layer): name for name, layer in units}
    called = {id(layer) for layer, _ in calls}
    idle = [(layer, ()) for _, layer in units if id(layer) not in called and layer.parameters()]
    boxes: list[Box] = []
    own = net.parameters(include_sublayers=False)
    if own:
        count = sum(int(np.prod(parameter.shape)) for parameter in own if parameter.trainable)
        boxes.append(Box("parameters of its own", "other", (), count))
    for layer, shape in [*calls, *idle]:
        parameters = count_parameters(layer)
        kind = type(layer).__name__.lstrip("_")
        if not layer.parameters():
            if isinstance(layer, nn.Identity) or not boxes:
                continue
            last = boxes.pop()
            title = last.title if last.title.endswith(kind) else f"{last.title}, {kind}"
            boxes.append(replace(last, title=title, shape=shape or last.shape))
            continue
        ran = id(layer) in called
        box = Box(f"{names[id(layer)]}: {kind}", _kind(layer), shape, parameters, ran=ran)
        if boxes and _alike(boxes[-1], box):
            last = boxes.pop()
            box = replace(last, times=last.times + 1)
        boxes.append(box)
    return boxes


def _alike(one: Box, other: Box) -> bool:
    """Tell whether two boxes differ at most in the place of a list that they stand at."""
    places = [re.sub(r"\d+", "#", box.title) for box in (one, other)]
    return places[0] == places[1] and (one.shape, one.parameters) == (other.shape, other.parameters)


def _kind(layer: nn.Layer) -> str:
    name = type(layer).__name__
    if layer.sublayers() and not name.endswith(("Linear", "Conv2D")):
        return "block"
    for word, kind in (("Linear", "dense"), ("Conv", "convolution"), ("Norm", "norm")):
        if word in name:
            return kind
    return "other"


def _shape(output: Any) -> tuple[int, ...]:
    """Return the shape of a layer's first output for one image."""
    first = output[0] if isinstance(output, tuple | list) and output else output
    return tuple(first.shape[1:]) if isinstance(first, Tensor) else ()


def _svg(name: str, nets: dict[str, list[Box]]) -> str:
    rows = max(map(len, nets.values()))
    width = MARGIN + len(nets) * (WIDTH + 2 * MARGIN)
    height = HEADER + rows * (HEIGHT + GAP) + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="sans-serif">',
        f"<title>The nets of {escape(name)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for column, (net, boxes) in enumerate(nets.items()):
        lines += _column(net, boxes, 1.5 * MARGIN + column * (WIDTH + 2 * MARGIN))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _column(net: str, boxes: Sequence[Box], left: float) -> Iterator[str]:
    """Yield the elements of one net, top to bottom."""
    middle = left + WIDTH / 2
    total = sum(box.parameters * box.times for box in boxes)
    yield _text(middle, 24, net, 15, bold=True)
    yield _text(middle, 42, f"{total:,} parameters", 11)
    for row, box in enumerate(boxes):
        top = HEADER + row * (HEIGHT + GAP)
        if row and box.ran:
            yield (
                f'<path d="M{middle:g} {top - GAP}v{GAP - 2}m-4 -5l4 5l4 -5" fill="none" '
                'stroke="#555555"/>'
            )
        yield (
            f'<rect x="{left:g}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="5" '
            f'fill="{COLOURS[box.kind]}" stroke="#555555"/>'
        )
        times = f" (x{box.times})" if box.times > 1 else ""
        yield _text(middle, top + 18, _short(box.title, 38 - len(times)) + times, 12, bold=True)
        shape = "x".join(map(str, box.shape))
        facts = [f"makes {shape}"] if shape else []
        if not box.ran:
            facts = ["in training alone"]
        yield _text(middle, top + 35, ", ".join([*facts, f"{box.parameters:,} parameters"]), 11)


def _text(x: float, y: float, text: str, size: int, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y}" font-size="{size}" text-anchor="middle" '
        f'fill="#222222"{weight}>{escape(text)}</text>'
    )


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
