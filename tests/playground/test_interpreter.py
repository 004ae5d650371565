"""The page's arithmetic, in Node: each kind of node against Paddle, and whole generators."""

import io
import json
import math
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from ppgan_zoo.export.graph import BINARY, KINDS, UNARY, Builder
from ppgan_zoo.export.run_graph import run_graph
from ppgan_zoo.playground.model import _graph, _stored
from ppgan_zoo.playground.page import asset

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
DRAWS = np.random.default_rng(4)


def numbers(*shape):
    return DRAWS.standard_normal(shape).astype(np.float32)


def conv(strides=(1, 1), padding=(0, 0, 0, 0), dilations=(1, 1), groups=1, **more):
    return {
        "strides": strides,
        "padding": padding,
        "dilations": dilations,
        "groups": groups,
        **more,
    }


# A kind, the shape that the first numbers of z [2, 24] get, further weights, attributes.
CASES = [
    *[(kind, (2, 3, 4), (), {}) for kind in UNARY if kind not in ("log", "sqrt")],
    *[(kind, (2, 3, 4), (shape,), {}) for kind in BINARY if kind != "power"
      for shape in ((2, 3, 4), (4,), (3, 1), (1, 1, 1), ())],
    ("subtract", (2, 1, 4), ((3, 1),), {}), ("add", (2, 1, 1, 4), ((3, 5, 1),), {}),
    ("leaky_relu", (2, 12), (), {"alpha": 0.2}), ("elu", (2, 12), (), {"alpha": 0.7}),
    ("matmul", (2, 12), ((12, 5),), {}), ("matmul", (1, 12), ((12, 5),), {}),
    ("matmul", (2, 3, 4), ((4, 7),), {}), ("matmul", (2, 3, 4), ((2, 4, 6),), {}),
    ("matmul", (2, 1, 3, 4), ((5, 4, 3),), {}), ("matmul", (2, 3, 4), ((4,),), {}),
    ("sum", (2, 3, 4), (), {"axes": (1,)}), ("sum", (2, 3, 4), (), {"axes": (0, 2)}),
    ("mean", (2, 3, 2, 2), (), {"axes": (1, 3)}), ("max", (2, 3, 4), (), {"axes": (2,)}),
    ("softmax", (2, 3, 4), (), {"axis": 1}), ("softmax", (2, 12), (), {"axis": 1}),
    ("reshape", (2, 3, 4), (), {"shape": (2, -1, 2)}),
    ("expand", (2, 3, 1, 4), (), {"shape": (1, 1, 5, 1)}), ("expand", (1, 4), (), {"shape": (2, 3, 1)}),
    ("transpose", (2, 3, 4), (), {"order": (0, 2, 1)}),
    ("transpose", (2, 3, 2, 2), (), {"order": (0, 3, 1, 2)}),
    ("slice", (2, 3, 4), (), {"axes": (1, 2), "starts": (1, 0), "ends": (2**31 - 1, -1), "steps": (1, 2)}),
    ("slice", (2, 3, 4), (), {"axes": (2,), "starts": (-1,), "ends": (-(2**31),), "steps": (-1,)}),
    ("concat", (2, 3, 4), ((2, 5, 4),), {"axis": 1}),
    ("conv2d", (2, 3, 2, 2), ((5, 3, 3, 3),), conv(padding=(1, 1, 1, 1))),
    ("conv2d", (2, 1, 4, 3), ((3, 1, 2, 2),), conv((2, 1), (0, 1, 1, 2), (1, 2))),
    ("conv2d", (2, 4, 3, 1), ((6, 2, 2, 1),), conv(padding=(1, 0, 0, 0), groups=2)),
    ("conv2d_transpose", (2, 3, 2, 2), ((3, 2, 4, 4),), conv((2, 2), (1, 1, 1, 1), output_padding=(0, 0))),
    ("conv2d_transpose", (2, 3, 2, 2), ((3, 2, 3, 3),), conv((2, 2), (1, 1, 1, 1), output_padding=(1, 1))),
    ("conv2d_transpose", (2, 4, 3, 1), ((4, 1, 2, 3),), conv((1, 3), (1, 0, 0, 1), (2, 1), 2, output_padding=(0, 0))),
]  # fmt: skip


def graph_of(kind, shape, weights, attributes):
    builder = Builder(("z",))
    flat = builder.node("reshape", "z", shape=(48,))
    first = {"axes": (0,), "starts": (0,), "ends": (math.prod(shape),), "steps": (1,)}
    x = builder.node("reshape", builder.node("slice", flat, **first), shape=shape)
    made = builder.node(kind, x, *[builder.weight(numbers(*w)) for w in weights], **attributes)
    return builder.graph(made)


def of_positive(kind):
    builder = Builder(("z",))
    x = builder.node("add", builder.node("absolute", "z"), builder.weight(np.float32(0.5)))
    other = [builder.weight(numbers(24))] if kind == "power" else []
    return builder.graph(builder.node(kind, x, *other))


def of_labels():
    builder = Builder(("z", "labels"))
    rows = builder.node("rows", builder.weight(numbers(3, 24)), "labels")
    return builder.graph(builder.node("add", rows, "z"))


GRAPHS = [
    *[graph_of(*case) for case in CASES], *map(of_positive, ("log", "sqrt", "power")), of_labels(),
]  # fmt: skip
RUN = """
const { z, labels, graphs } = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(graphs.map((graph) => {
  const { shape, data } = makeGenerator(graph)(Float32Array.from(z), labels);
  return { shape, data: Array.from(data) };
})));
"""


def data_of(graph, dim, precision="float32"):
    raw = b"".join(value.tobytes() for value in _stored(graph, precision).values())
    return _graph(graph, dim, precision, raw)


def javascript(graphs, z, labels=None):
    """What the interpreter makes of each graph, in Node."""
    script = asset("kernels.js") + asset("interpreter.js") + RUN
    given = {"z": z.ravel().tolist(), "labels": labels, "graphs": graphs}
    done = subprocess.run(
        [NODE, "-e", script], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [np.array(made["data"]).reshape(made["shape"]) for made in json.loads(done.stdout)]


@needs_node
def test_every_kind_of_node_is_computed_as_paddle_does():
    assert {node.kind for graph in GRAPHS for node in graph.nodes} == set(KINDS)
    z, labels = numbers(2, 24) * 2, np.array([2, 1])
    made = javascript([data_of(graph, 24) for graph in GRAPHS], z, labels.tolist())
    for graph, found in zip(GRAPHS, made, strict=True):
        inputs = (z, labels) if "labels" in graph.inputs else (z,)
        wanted = run_graph(graph, inputs)
        assert found.shape == wanted.shape, graph.nodes
        np.testing.assert_allclose(found, wanted, atol=2e-6, rtol=2e-6, err_msg=str(graph.nodes))


@needs_node
def test_weights_of_16_bits_are_read_as_numpy_writes_them():
    builder = Builder(("z",))
    values = np.array([0.1, -2.5, 65504, 6e-8, 5e-5, 0, 1 / 3], np.float32)
    graph = builder.graph(builder.node("multiply", "z", builder.weight(values)))
    (made,) = javascript([data_of(graph, 7, "float16")], np.ones((1, 7), np.float32))
    np.testing.assert_array_equal(made[0], values.astype(np.float16).astype(np.float32))


@needs_node
def test_both_languages_say_the_same_things():
    script = asset("words.js") + "console.log(JSON.stringify(WORDS))"
    done = subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True)
    words = json.loads(done.stdout)
    assert words["en"].keys() == words["zh"].keys()
    for name, text in words["en"].items():
        blanks = {part.split("}")[0] for part in text.split("{")[1:]}
        assert blanks == {part.split("}")[0] for part in words["zh"][name].split("{")[1:]}, name
    used = set(asset("page.html").split('data-word="')[1:])
    assert {part.split('"')[0] for part in used} <= words["en"].keys()


LATENT = """
const latent = { dim: 9, prior: "normal", noise: 4, categorical: [3], };
const uniform = { dim: 4, prior: "uniform", noise: 4, categorical: [] };
const a = drawn(latent, 5), b = drawn(latent, 6);
console.log(JSON.stringify({
  many: Array.from(drawn({ dim: 20000, prior: "normal", noise: 20000, categorical: [] }, 1)),
  cut: Array.from(drawn({ dim: 20000, prior: "normal", noise: 20000, categorical: [] }, 1, 0.5)),
  flat: Array.from(drawn({ dim: 20000, prior: "uniform", noise: 20000, categorical: [] }, 1)),
  a: Array.from(a), again: Array.from(drawn(latent, 5)), b: Array.from(b),
  ways: [0, 0.3, 1].map((t) => Array.from(between(latent, a, b, t))),
  line: Array.from(between(uniform, [0, 1, 0.5, -1], [1, 1, 0, 1], 0.25)),
  moved: Array.from(moved(uniform, [0.5, 0, 0, 0], [1, 1, 0, 0], 0.75)),
  text: Array.from(fromText(toText(a), 9)), bad: [fromText("!", 9), fromText("AAAA", 9)],
}));
"""


@needs_node
def test_latent_vectors_follow_the_prior_and_mix_along_an_arc():
    script = asset("kernels.js") + asset("interpreter.js") + asset("latent.js") + LATENT
    done = subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    many, cut, flat = (np.array(said[name]) for name in ("many", "cut", "flat"))
    assert abs(many.mean()) < 0.03 and abs(many.std() - 1) < 0.02 and abs(many).max() > 3.5
    # The standard deviation of a normal number within +-0.5 is 0.2837 (by its density).
    assert abs(cut).max() <= 0.5 + 1e-6 and abs(cut.std() - 0.2837) < 0.005
    assert abs(flat.std() - 1 / np.sqrt(3)) < 0.01 and abs(flat).max() <= 1
    assert said["a"] == said["again"] != said["b"]
    assert sorted(said["a"][4:7]) == [0, 0, 1] and max(map(abs, said["a"][7:])) <= 1
    a, b = np.array(said["a"]), np.array(said["b"])
    angle = np.arccos(a[:4] @ b[:4] / np.linalg.norm(a[:4]) / np.linalg.norm(b[:4]))
    arc = (np.sin(0.7 * angle) * a[:4] + np.sin(0.3 * angle) * b[:4]) / np.sin(angle)
    start, way, end = map(np.array, said["ways"])
    np.testing.assert_allclose(start, a, atol=1e-6)
    np.testing.assert_allclose(end, b, atol=1e-6)
    np.testing.assert_allclose(way[:4], arc, atol=1e-6)
    np.testing.assert_allclose(way[4:], 0.7 * a[4:] + 0.3 * b[4:], atol=1e-6)
    np.testing.assert_allclose(said["line"], [0.25, 1, 0.375, -0.5])
    np.testing.assert_allclose(said["moved"], [1, 0.75, 0, 0])
    np.testing.assert_allclose(said["text"], a, atol=1 / 4096 + 1e-6)
    assert said["bad"] == [None, None]


FILM = """
const frames = JSON.parse(require("fs").readFileSync(0, "utf8")).map((pixels) => Uint8Array.from(pixels));
process.stdout.write(Buffer.from(gif(frames, 100, 80, 6)));
"""


@needs_node
@pytest.mark.parametrize("colours", [1, 3])
def test_a_film_is_a_gif_that_others_read(colours):
    frames = DRAWS.integers(0, 256, (3, 80, 100, colours), dtype=np.uint8)
    frames[1] = 7  # one that is packed well, and two that fill the table of codes
    whole = np.concatenate(
        [frames.repeat(4 - colours, -1)[..., :3], np.full((3, 80, 100, 1), 255)], -1
    )
    done = subprocess.run(
        [NODE, "-e", asset("gif.js") + FILM], input=json.dumps(whole.reshape(3, -1).tolist()).encode(),
        capture_output=True, check=True,
    )  # fmt: skip
    film = Image.open(io.BytesIO(done.stdout))
    assert (film.n_frames, film.size, film.info["duration"], film.info["loop"]) == (
        3,
        (100, 80),
        60,
        0,
    )
    for place, wanted in enumerate(whole[..., :3].astype(int)):
        film.seek(place)
        got = np.asarray(film.convert("RGB")).astype(int)
        assert np.abs(got - wanted).max() <= (0 if colours == 1 else 26)  # half of 255 / 5
