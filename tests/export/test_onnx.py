"""ONNX files: each rule of the translation against Paddle, and the gate of the export."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml
from conftest import ROOT, checkpoint_of
from paddle import nn
from paddle.nn import functional as F
from test_export import Flat

import ppgan_zoo
from ppgan_zoo import runtime
from ppgan_zoo.errors import ConfigError, ExportError
from ppgan_zoo.evaluation.sampler import open_sampler
from ppgan_zoo.evaluation.subject import tiny
from ppgan_zoo.export import translation
from ppgan_zoo.export.exporter import export
from ppgan_zoo.export.graph import KINDS
from ppgan_zoo.export.translation import read_graph
from ppgan_zoo.models.restore import find_checkpoint
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.registry import MODELS
from ppgan_zoo.weights.pretrained import locate

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from ppgan_zoo.export.onnx_file import run_onnx, write_onnx  # noqa: E402

Z = 12


def graph_of(function, folder, layers=(), labels=False):
    """The graph of a function of z [N, 12] as maps [N, 3, 2, 2], and what Paddle makes of it."""

    class Net(nn.Layer):  # Paddle 2 knows no names of outside when it translates a forward
        def __init__(self):
            super().__init__()
            self.function = function
            self.layers = nn.LayerList(layers)
            self.shift = self.create_parameter([3, 1, 1])  # a program has weights

        def forward(self, z, labels=None):
            x = z.reshape([-1, 3, 2, 2]) + self.shift
            if labels is None:
                return self.function(x, *self.layers)
            return self.function(x, *self.layers, labels)

    paddle.seed(3)
    net = Net()
    net.eval()
    z = np.random.default_rng(5).standard_normal((4, Z)).astype(np.float32)
    inputs = (z, np.array([2, 0, 1, 2])) if labels else (z,)
    specs = [paddle.static.InputSpec([None, Z], "float32", name="z")]
    if labels:
        specs.append(paddle.static.InputSpec([None], "int64", name="labels"))
    with paddle.no_grad():
        wanted = net(*map(paddle.to_tensor, inputs)).numpy()
    paddle.jit.save(net, str(folder / "net"), input_spec=specs)
    programs = [folder / f"net{suffix}" for suffix in (".json", ".pdmodel")]
    program = next(path for path in programs if path.is_file())
    return read_graph(program, folder / "net.pdiparams"), inputs, wanted


def learnt(layer):
    """A layer whose weights and statistics are no longer those that it begins with."""
    draws = np.random.default_rng(1)
    for tensor in layer.state_dict().values():
        tensor.set_value((0.5 + draws.random(tensor.shape)).astype(np.float32))
    return layer


def halves(x):
    return paddle.concat([-part for part in x.split([1, 2], axis=1)], axis=1)


FORMS = {
    "relu": F.relu, "elu": lambda x: F.elu(x, 0.7), "silu": F.silu, "swish": F.swish,
    "gelu": F.gelu, "tanh": paddle.tanh, "sigmoid": F.sigmoid, "softplus": F.softplus,
    "softplus beta": lambda x: F.softplus(20.0 * x, beta=3.0), "exp": paddle.exp,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2), "square": paddle.square, "abs": paddle.abs,
    "rsqrt": lambda x: paddle.rsqrt(x.abs() + 1.0), "log": lambda x: paddle.log(x.abs() + 1.0),
    "pow": lambda x: paddle.pow(x.abs() + 0.1, paddle.abs(x)), "clip": lambda x: x.clip(-0.3, 0.4),
    "scale": lambda x: 2.0 * x + 3.0, "maximum": lambda x: paddle.maximum(x, x.square()),
    "divide": lambda x: x / (x.square() + 1.0),
    "sum": lambda x: x.sum(axis=[1, 3]), "mean": lambda x: x.mean(axis=-1, keepdim=True),
    "max": lambda x: x.max(axis=1), "softmax": lambda x: F.softmax(x, axis=1),
    "transpose": lambda x: x.transpose([0, 3, 1, 2]), "squeeze": lambda x: x[:, :1].squeeze(1),
    "unsqueeze": lambda x: x.unsqueeze(2), "flatten": lambda x: x.flatten(1),
    "tile": lambda x: x.tile([1, 2, 1, 3]), "stack": lambda x: paddle.stack([x, -x], axis=2),
    "expand": lambda x: x.reshape([-1, 3, 1, 4]).expand([-1, 3, 5, 4]),
    "slice": lambda x: x[:, 1:, 0], "steps": lambda x: x[:, ::2], "split": halves,
    "chunk": lambda x: paddle.concat(x.reshape([-1, 4, 3]).chunk(2, axis=1)[::-1], axis=2),
    "bmm": lambda x: paddle.bmm(x[:, 0], x[:, 1]),
    "matmul": lambda x: paddle.matmul(x, x, transpose_y=True),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x.reshape([-1, 12, 1, 1]), 2),
    "nearest": lambda x: F.interpolate(x, scale_factor=3, mode="nearest"),
    "bilinear": lambda x: F.interpolate(x, size=[5, 3], mode="bilinear"),
    "bilinear corners": lambda x: F.interpolate(x, size=[5, 3], mode="bilinear", align_corners=True),
    "bilinear factor": lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear"),
    "bilinear factors": lambda x: F.interpolate(x, scale_factor=[1.7, 2.6], mode="bilinear"),
    "bilinear to one": lambda x: F.interpolate(x, size=[1, 1], mode="bilinear"),
    "average": lambda x: F.adaptive_avg_pool2d(x, 1), "pool": lambda x: F.max_pool2d(x, 2),
}  # fmt: skip
LAYERS = {
    "linear": lambda: nn.Linear(2, 5),
    "conv": lambda: nn.Conv2D(3, 4, 3, padding=1),
    "conv stride": lambda: nn.Conv2D(3, 4, 2, stride=2, padding=[1, 0]),
    "conv dilation": lambda: nn.Conv2D(3, 4, 2, dilation=2, padding=[2, 1, 0, 3]),
    "conv groups": lambda: nn.Conv2D(3, 6, 3, padding=1, groups=3),
    "transposed": lambda: nn.Conv2DTranspose(3, 4, 4, stride=2, padding=1),
    "transposed more": lambda: nn.Conv2DTranspose(3, 2, 3, stride=2, padding=1, output_padding=1),
    "transposed groups": lambda: nn.Conv2DTranspose(3, 6, 3, groups=3),
    "transposed dilation": lambda: nn.Conv2DTranspose(3, 2, 3, stride=3, dilation=2),
    "batch norm": lambda: nn.BatchNorm2D(3), "instance norm": lambda: nn.InstanceNorm2D(3),
    "group norm": lambda: nn.GroupNorm(3, 3), "layer norm": lambda: nn.LayerNorm([2, 2]),
    "prelu": lambda: nn.PReLU(3), "dropout": lambda: nn.Dropout(0.5),
}  # fmt: skip
CASES = {
    **{name: (function, ()) for name, function in FORMS.items()},
    **{name: (lambda x, layer: layer(x), make) for name, make in LAYERS.items()},
}


def onnx_images(graph, inputs, wanted, folder):
    path = folder / "net.onnx"
    shape = wanted.shape[1:]
    write_onnx(graph, path, latent_dim=Z, image_shape=shape, metadata={})
    return run_onnx(path, inputs)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_means_what_paddle_means(name, tmp_path):
    function, make = CASES[name]
    layers = [learnt(make())] if make else ()
    graph, inputs, wanted = graph_of(function, tmp_path, layers)
    assert {node.kind for node in graph.nodes} <= set(KINDS)
    images = onnx_images(graph, inputs, wanted, tmp_path)
    np.testing.assert_allclose(images, wanted, atol=2e-6, rtol=2e-6)


LABELLED = {
    "embedding": (lambda x, layer, labels: layer(labels) + x.sum([1, 2, 3]).unsqueeze(1),
                  lambda: nn.Embedding(3, 5)),
    "one_hot": (lambda x, labels: F.one_hot(labels, 4) + x.sum([1, 2, 3]).unsqueeze(1), None),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELLED)
def test_labels_choose_rows(name, tmp_path):
    function, make = LABELLED[name]
    graph, inputs, wanted = graph_of(function, tmp_path, [make()] if make else (), labels=True)
    images = onnx_images(graph, inputs, wanted, tmp_path)
    np.testing.assert_allclose(images, wanted, atol=1e-6)


def test_what_is_constant_is_worked_out(tmp_path):
    def function(x, layer):
        return x * (layer.weight.square().sum([1, 2, 3], keepdim=True).sqrt() * 2.0).sum()

    graph, _, _ = graph_of(function, tmp_path, [nn.Conv2D(3, 4, 3)])
    assert [node.kind for node in graph.nodes] == ["reshape", "add", "multiply"]
    assert sorted(weight.size for weight in graph.weights.values()) == [1, 3]


TAKES = [name for name in ppgan_zoo.list_models() if MODELS.get(name).labels == "takes"]


@pytest.mark.parametrize("name", TAKES)
def test_every_model_that_takes_labels_goes_to_onnx_with_them(name, tmp_path):
    spec = MODELS.get(name)
    small = {role: tiny(net) for role, net in spec.nets.items() if role != "encoder"}
    try:
        checkpoint, _ = checkpoint_of(name, tmp_path, num_classes=3, **small)
    except ConfigError:  # a width must be a multiple of another
        checkpoint, _ = checkpoint_of(name, tmp_path, num_classes=3)
    description = export(checkpoint, tmp_path / "out", timed=False, onnx=True)
    assert 0 <= description.largest_difference.onnx <= 1e-5


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    checkpoint, _ = checkpoint_of(
        "gan_mlp", folder, num_classes=3, generator={"hidden_units": (8,)}
    )
    export(checkpoint, folder / "model", timed=False, onnx=True)
    return folder / "model"


def test_the_file_says_what_feeds_it_and_is_part_of_the_export(exported):
    said = yaml.safe_load((exported / "model.yml").read_text())
    assert said["onnx"] == "generator.onnx" and "generator.onnx" in said["sha256"]
    model = onnx.load(exported / "generator.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(properties["latent"]) == said["latent"]
    assert json.loads(properties["image_range"]) == said["image_range"] == [-1.0, 1.0]
    assert json.loads(properties["num_classes"]) == 3
    assert properties["ppgan_zoo"] == ppgan_zoo.__version__
    batch = [entry.type.tensor_type.shape.dim[0].dim_param for entry in model.graph.input]
    assert batch == ["N", "N"]


def register(monkeypatch, function):
    class Odd(nn.Layer):
        def __init__(self, *, latent_dim=4, image_shape=(1, 2, 2)):
            super().__init__()
            self.latent_dim, self.image_shape = latent_dim, image_shape
            self.layer, self.function = nn.Linear(latent_dim, 4), function

        def forward(self, z):
            return self.function(self.layer(z)).reshape([-1, 1, 2, 2])

    spec = GanSpec(name="odd", generator=Odd, discriminator=Flat, paper="none")
    monkeypatch.setitem(MODELS._registered, "odd", spec)


def test_an_operator_without_a_rule_is_refused_by_name(tmp_path, monkeypatch):
    register(monkeypatch, lambda x: paddle.roll(x, 1, axis=1))
    checkpoint, _ = checkpoint_of("odd", tmp_path)
    with pytest.raises(ExportError, match=r"out: not exported: .*uses the operator 'roll'"):
        export(checkpoint, tmp_path / "out", timed=False, onnx=True)
    assert not (tmp_path / "out").exists()
    export(checkpoint, tmp_path / "out", timed=False)


@pytest.mark.parametrize(
    ("function", "form"),
    [
        (lambda x: F.softplus(x, threshold=0.5), "'softplus' with a threshold below 20"),
        (
            lambda x: F.interpolate(x.reshape([-1, 1, 1, 4]), scale_factor=1.2, mode="nearest"),
            "'nearest_interp' by another than a whole factor",
        ),
    ],
)
def test_a_form_that_no_rule_knows_is_refused_by_name(function, form, tmp_path, monkeypatch):
    register(monkeypatch, function)
    checkpoint, _ = checkpoint_of("odd", tmp_path)
    with pytest.raises(ExportError, match=f"out: not exported: .*{form}"):
        export(checkpoint, tmp_path / "out", timed=False, onnx=True)


def test_a_wrong_file_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    register(monkeypatch, paddle.tanh)
    checkpoint, _ = checkpoint_of("odd", tmp_path)
    monkeypatch.setitem(translation.RULES, "tanh", translation.RULES["sigmoid"])
    with pytest.raises(ExportError, match=r"not exported: the largest .* for ONNX Runtime, above"):
        export(checkpoint, tmp_path / "out", timed=False, onnx=True)
    assert not (tmp_path / "out").exists()


def test_without_the_packages_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"--onnx: needs onnx and onnxruntime.*pip install .*onnx"
    ):
        runtime.check_installed(("onnx", "onnxruntime"), "onnx", "--onnx")


def test_the_command_writes_it(tmp_path, cli):
    checkpoint, _ = checkpoint_of("gan_mlp", tmp_path, generator={"hidden_units": (8,)})
    done = cli("export", "--checkpoint", checkpoint.path, "--output", tmp_path / "out", "--onnx",
               "--inference", "default")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"ONNX Runtime \d\.\de-\d\d \(allowed 1e-05\)", done.stdout)
    assert (tmp_path / "out" / "generator.onnx").is_file()


PAGE = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")


def snippet(language):
    """The program of the page that runs the ONNX file in a language."""
    section = PAGE[PAGE.index("## ONNX") :]
    return re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)[1]


def test_the_python_program_of_the_page_runs(exported, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", snippet("python"), exported / "generator.onnx"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pixels = np.load(tmp_path / "pixels.npy")
    assert pixels.shape == (16, 1, 28, 28) and pixels.dtype == np.uint8 and pixels.std() > 0


@pytest.mark.parametrize("served", ["onnx", "paddle"])
def test_the_python_programs_draw_the_pictures_of_sample_of_a_model_with_codes(served, tmp_path):
    export(find_checkpoint(locate("mnist_tuned")), tmp_path / "out", onnx=True, timed=False)
    program, file = snippet("python"), tmp_path / "out" / "generator.onnx"
    if served == "paddle":
        program, file = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", program, file], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    wanted = open_sampler(tmp_path / "out").sample(16, 0)
    found = np.load(tmp_path / "pixels.npy")
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_the_javascript_program_of_the_page_runs(exported, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    found = subprocess.run([node, "-p", "require.resolve('onnxruntime-node')"], capture_output=True)
    if found.returncode:
        pytest.skip("the npm package onnxruntime-node is not installed")
    program = tmp_path / "program.cjs"
    program.write_text(snippet("js"))
    done = subprocess.run(
        [node, program, exported / "generator.onnx"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert Path(tmp_path / "pixels.raw").stat().st_size == 16 * 28 * 28
