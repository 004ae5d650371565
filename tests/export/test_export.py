"""Exports: equal to the trained generator, and refused when damaged."""

import hashlib
import importlib
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import paddle
import pytest
import yaml
from conftest import checkpoint_of, tree_bytes
from paddle import nn

import ppgan_zoo
from ppgan_zoo.errors import ExportError
from ppgan_zoo.evaluation.sampler import open_sampler
from ppgan_zoo.export.exported import open_exported
from ppgan_zoo.export.exporter import export
from ppgan_zoo.export.predictor import largest_difference
from ppgan_zoo.models.latent import Latent
from ppgan_zoo.models.nets import generate
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.registry import MODELS
from ppgan_zoo.storage.checkpoint import save_checkpoint
from ppgan_zoo.testing import tiny


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    checkpoint, trainer = checkpoint_of("gan_mlp", folder, generator={"hidden_units": (16,)})
    export(checkpoint, folder / "model", timed=False)  # timed, the settings are a matter of luck
    return folder / "model", trainer


@pytest.mark.parametrize("small", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ppgan_zoo.list_models())
def test_every_model_exports_what_it_trained(name, small, tmp_path):
    spec = MODELS.get(name)
    nets = {net: tiny(getattr(spec, net)) for net in ("generator", "discriminator")}
    checkpoint, trainer = checkpoint_of(name, tmp_path, ema=0.5, **(nets if small else {}))
    description = export(checkpoint, tmp_path / "out", onnx=True)
    assert description.origin.weights == "ema"
    assert 0 <= description.largest_difference.paddle_inference <= 1e-5
    assert 0 <= description.largest_difference.onnx <= 1e-5
    z = Latent(trainer.gan.latent_dim).sample(5, 1)
    model = open_exported(tmp_path / "out")
    labels = np.arange(5) if trainer.gan.num_classes else None
    for count in (1, 5):
        inputs = (z[:count], None if labels is None else labels[:count])
        images = model.generate(*inputs)
        wanted = generate(trainer.ema.generator, *inputs)
        assert images.shape == (count, *trainer.gan.image_shape)
        np.testing.assert_allclose(images, wanted, atol=1e-5)
    # The EMA's weights, not the raw ones.
    raw = generate(trainer.gan.generator, z, labels)
    assert np.abs(images - raw).max() > 10 * np.abs(images - wanted).max()


def test_attention_that_matters_is_exported(tmp_path):
    nets = {net: tiny(getattr(MODELS.get("sagan"), net)) for net in ("generator", "discriminator")}
    checkpoint, trainer = checkpoint_of("sagan", tmp_path, ema=0.5, **nets)
    averaged = trainer.ema.generator
    (place,) = (at for at, layer in enumerate(averaged.attention) if list(layer.parameters()))
    z = Latent(trainer.gan.latent_dim).sample(3, 1)
    without = generate(averaged, z)
    averaged.attention[place].gamma.set_value(paddle.to_tensor([1.5]))
    facts = checkpoint.manifest["model"]
    checkpoint = save_checkpoint(tmp_path / "more", trainer.state(), 3, facts)
    export(checkpoint, tmp_path / "out", onnx=True)
    images = open_exported(tmp_path / "out").generate(z)
    np.testing.assert_allclose(images, generate(averaged, z), atol=1e-5)
    assert np.abs(images - without).max() > 1e-2  # a new gamma is 0, and hides the block


def test_model_yml_says_all_that_a_server_needs(exported):
    folder, _ = exported
    model = yaml.safe_load((folder / "model.yml").read_text())
    assert model["name"] == "gan_mlp"
    assert model["versions"] == {
        "ppgan_zoo": ppgan_zoo.__version__, "paddle": paddle.__version__,
    }  # fmt: skip
    assert model["latent"] == {"dim": 100, "prior": "normal"}
    assert (model["image_shape"], model["image_range"]) == ([1, 28, 28], [-1.0, 1.0])
    for name, digest in model["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert {p.name for p in folder.iterdir()} == {"model.yml", *model["sha256"]}


def test_the_export_runs_without_the_zoo(exported):
    folder, trainer = exported
    z = Latent(100).sample(3, 0)
    script = f"""
import sys, yaml, numpy as np
from paddle import inference
model = yaml.safe_load(open(sys.argv[1] + "/model.yml"))
config = inference.Config(*(sys.argv[1] + "/" + model[key] for key in ("program", "parameters")))
config.disable_glog_info()
predictor = inference.create_predictor(config)
predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(
    np.frombuffer(bytes.fromhex("{z.tobytes().hex()}"), "float32").reshape(3, 100))
predictor.run()
images = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
assert "ppgan_zoo" not in sys.modules
print(images.tobytes().hex())
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    images = np.frombuffer(bytes.fromhex(done.stdout.split()[-1]), "float32")
    np.testing.assert_allclose(
        images.reshape(3, 1, 28, 28), generate(trainer.gan.generator, z), atol=1e-5
    )


@pytest.mark.parametrize("victim", ["program", "parameters"])
def test_a_flipped_byte_is_refused_before_paddle_sees_it(victim, exported, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(exported[0], folder)
    model = yaml.safe_load((folder / "model.yml").read_text())
    file = folder / model[victim]
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 4
    file.write_bytes(content)
    with pytest.raises(ExportError, match=r"SHA-256.*damaged or was changed"):
        open_sampler(folder)
    file.unlink()
    with pytest.raises(ExportError, match="cannot be read"):
        open_sampler(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: gan_mlp", "name: [1]", "name"),
        ("program: ", "program: ../", "leaves the folder"),
        ("dim: 100", "dim: many", "latent.dim"),
        ("format: 2", "format: 2\nextra: 2", "extra"),
        ("format: 2", "format: 2\nformat: 2", "is there twice"),
        ("format: 2", "format: 1", "format: found 1, and this ppgan_zoo reads 2; export again"),
        ("  onednn: ", "  onednn: maybe", "inference.onednn"),
        (
            "dim: 100",
            "dim: 100\n  categorical: [200]",
            r"model.yml: latent.dim: 100, .*export again$",
        ),
        ("classes: []", "classes: [a]", r"model.yml: classes: .*export again$"),
    ],
)
def test_a_changed_model_yml_is_refused(old, new, said, exported, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(exported[0], folder)
    text = (folder / "model.yml").read_text()
    (folder / "model.yml").write_text(text.replace(old, new, 1))
    with pytest.raises(ExportError, match=said):
        open_exported(folder)


class Unfaithful(nn.Layer):
    """Differs between eager and static: the loop runs once while it is traced."""

    def __init__(self, *, latent_dim=4, image_shape=(1, 2, 2)):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, image_shape
        self.layer = nn.Linear(latent_dim, 4)
        self.calls = 0

    def forward(self, z):
        self.calls += 1
        return (self.layer(z) * self.calls).reshape([-1, 1, 2, 2])


class Flat(nn.Layer):
    def __init__(self, *, image_shape=(1, 2, 2)):
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, images):
        return self.layer(images.reshape([-1, 4]))


def test_an_export_that_differs_fails_and_leaves_nothing(tmp_path, monkeypatch):
    spec = GanSpec(name="unfaithful", generator=Unfaithful, discriminator=Flat, paper="none")
    monkeypatch.setitem(MODELS._registered, "unfaithful", spec)
    checkpoint, _ = checkpoint_of("unfaithful", tmp_path)
    with pytest.raises(ExportError, match=r"not exported: the largest difference"):
        export(checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_an_export_replaces_only_an_export(tmp_path):
    checkpoint, _ = checkpoint_of("gan_mlp", tmp_path, generator={"hidden_units": (8,)})
    export(checkpoint, tmp_path / "out")
    export(checkpoint, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportError, match="no earlier export"):
        export(checkpoint, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def with_notes(folder):
    (folder / "notes.txt").write_text("mine")


def with_a_changed_program(folder):
    program = next(path for path in folder.iterdir() if path.suffix in (".json", ".pdmodel"))
    program.write_bytes(program.read_bytes() + b" ")


def with_a_comment(folder):
    text = (folder / "model.yml").read_text()
    (folder / "model.yml").write_text(f"# the one for the paper\n{text}")


def without_its_last_line(folder):
    lines = (folder / "model.yml").read_text().splitlines(keepends=True)
    (folder / "model.yml").write_text("".join(lines[:-1]))


def of_somebody(folder):
    shutil.rmtree(folder)
    folder.mkdir()
    for name in ("model.yml", "weights.bin", "notes.txt"):
        (folder / name).write_text("mine")


def with_a_folder(folder):
    next(folder.glob("*.pdiparams")).unlink()
    (folder / "generator.pdiparams").mkdir()


@pytest.mark.parametrize(
    "change",
    [with_notes, with_a_changed_program, with_a_comment, without_its_last_line, of_somebody,
     with_a_folder],
)  # fmt: skip
def test_what_was_changed_since_or_is_not_ours_is_not_replaced(change, exported, tmp_path):
    checkpoint, _ = checkpoint_of("gan_mlp", tmp_path, generator={"hidden_units": (8,)})
    shutil.copytree(exported[0], tmp_path / "out")
    change(tmp_path / "out")
    before = tree_bytes(tmp_path)
    with pytest.raises(ExportError, match="no earlier export, or one that was changed since"):
        export(checkpoint, tmp_path / "out", timed=False)
    assert tree_bytes(tmp_path) == before


def test_what_comes_while_it_exports_is_not_replaced(exported, tmp_path, monkeypatch):
    from ppgan_zoo.export import exporter

    checkpoint, _ = checkpoint_of("gan_mlp", tmp_path, generator={"hidden_units": (8,)})
    shutil.copytree(exported[0], tmp_path / "out")
    original = exporter.open_exported

    def opening(folder):
        with_notes(tmp_path / "out")
        return original(folder)

    monkeypatch.setattr(exporter, "open_exported", opening)
    with pytest.raises(OSError, match="exists already"):
        export(checkpoint, tmp_path / "out", timed=False)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "step-00000002"]


@pytest.mark.parametrize("kilobytes", [1, 60])
def test_a_full_disk_is_to_blame_and_not_the_model(kilobytes, tmp_path):
    """Whether there is no room for the program or for the weights, of 67 kB."""
    checkpoint, _ = checkpoint_of("gan_mlp", tmp_path, generator={"hidden_units": (20,)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            export(checkpoint, tmp_path / "deep" / "out", timed=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(tmp_path / "deep" / "out")
    assert not (tmp_path / "deep").exists()


def test_what_paddle_left_out_is_found_before_it_is_run(tmp_path, monkeypatch):
    """Paddle writes what it can and says nothing."""
    checkpoint, _ = checkpoint_of("gan_mlp", tmp_path, generator={"hidden_units": (8,)})
    save = paddle.jit.save

    def short(layer, path, **options):
        save(layer, path, **options)
        os.truncate(f"{path}.pdiparams", 1000)

    monkeypatch.setattr(paddle.jit, "save", short)
    with pytest.raises(ExportError, match=r"out: not exported: generator.pdiparams: not weights"):
        export(checkpoint, tmp_path / "out", timed=False)
    assert not (tmp_path / "out").exists()


def test_classes_without_a_name_each_are_refused(exported, tmp_path):
    from ppgan_zoo.export.exported import read_description

    told = yaml.safe_load((exported[0] / "model.yml").read_text())
    told.update(num_classes=3, classes=["a", "b"])
    (tmp_path / "model.yml").write_text(yaml.safe_dump(told))
    with pytest.raises(ExportError, match="found 2 names for num_classes 3"):
        read_description(tmp_path)


def test_a_program_of_paddle_3_is_not_given_to_paddle_2(exported, monkeypatch):
    # Paddle 2 would end the process with a segmentation fault.
    from ppgan_zoo.export import exported as module

    description = module.read_description(exported[0])
    monkeypatch.setattr(paddle, "__version__", "2.6.2")
    for program, refused in (("generator.json", True), ("generator.pdmodel", False)):
        other = description.model_copy(update={"program": program})
        if refused:
            with pytest.raises(ExportError, match=r"which Paddle 2\.6\.2 cannot read"):
                module._check_version(exported[0], other)
        else:
            module._check_version(exported[0], other)


def test_the_fastest_right_settings_are_taken_only_if_clearly_faster():
    from ppgan_zoo.export.predictor import CANDIDATES, Trial, fastest

    def chosen(*seconds):
        trials = [Trial(s, 0.0, t) for s, t in zip(CANDIDATES, seconds, strict=False)]
        return trials.index(fastest(trials))

    assert chosen(1.0, 0.91, 2.0) == 0  # noise is no reason to leave the usual choice
    assert chosen(1.0, 0.95, 0.5, 0.51) == 2
    assert chosen(1.0) == 0


@pytest.mark.parametrize("timed", [True, False])
def test_wrong_settings_are_never_chosen(timed, monkeypatch, tmp_path):
    from ppgan_zoo.export import predictor as inference

    checkpoint, _ = checkpoint_of("gan_mlp", tmp_path, generator={"hidden_units": (8,)})
    run = inference.run_predictor
    onednn = set()

    def make(program, parameters, settings):
        predictor = inference_make(program, parameters, settings)
        if settings.onednn:
            onednn.add(id(predictor))
        return predictor

    inference_make = inference.make_predictor
    monkeypatch.setattr(inference, "make_predictor", make)
    # An operation that oneDNN gets wrong, and which it would be the fastest at.
    monkeypatch.setattr(
        inference, "run_predictor", lambda p, *z: run(p, *z) + np.float32(id(p) in onednn)
    )
    monkeypatch.setattr(inference, "TIMED_SECONDS", 0.0)
    trials = []
    description = export(checkpoint, tmp_path / "out", timed=timed, notify=trials.append)
    assert not description.inference.onednn
    assert trials[0].difference == pytest.approx(1.0, abs=1e-5)
    assert trials[0].samples_per_second is None
    assert (trials[1].samples_per_second is not None) == timed
    assert len(trials) == (4 if timed else 2)


def test_an_untimed_export_says_the_same_every_time(tmp_path):
    checkpoint, _ = checkpoint_of("gan_mlp", tmp_path, generator={"hidden_units": (8,)})
    first, second = (export(checkpoint, tmp_path / name, timed=False) for name in "ab")
    assert first.inference == second.inference
    assert first.inference.onednn


class Pictures(nn.Layer):
    """Two maps of 4x4, and what an architecture of one's own does with them."""

    def __init__(self, *, latent_dim=4, image_shape=(2, 4, 4)):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, image_shape
        self.dense, self.last = nn.Linear(latent_dim, 32), self.last_layer()

    def last_layer(self):
        return None

    def maps(self, z):
        return self.dense(z).reshape([-1, 2, 4, 4])

    def forward(self, z):
        return self.last(self.maps(z))


class NormOfMaps(Pictures):
    """Which oneDNN refuses, so that another setting has to be taken."""

    def last_layer(self):
        return nn.LayerNorm([2, 4, 4])


class BareNorm(Pictures):
    """A norm without scale and shift: Paddle 3.3.1 ends the process where oneDNN runs it."""

    def last_layer(self):
        return nn.BatchNorm2D(2, weight_attr=False, bias_attr=False)


class BareNormAfterConvolution(Pictures):
    def last_layer(self):
        norm = nn.BatchNorm2D(2, weight_attr=False, bias_attr=False)
        return nn.Sequential(nn.Conv2D(2, 2, 3, padding=1), norm, nn.Tanh())


class FlatPictures(Flat):
    def __init__(self, *, image_shape=(2, 4, 4)):
        super().__init__()
        self.layer = nn.Linear(32, 1)

    def forward(self, images):
        return self.layer(images.reshape([-1, 32]))


def own(monkeypatch, generator):
    spec = GanSpec(name="odd", generator=generator, discriminator=FlatPictures, paper="none")
    monkeypatch.setitem(MODELS._registered, "odd", spec)


@pytest.mark.parametrize("generator", [NormOfMaps, BareNorm, BareNormAfterConvolution])
@pytest.mark.parametrize("onnx", [False, True])
def test_norms_that_onednn_cannot_run_are_exported_all_the_same(
    generator, onnx, tmp_path, monkeypatch
):
    if onnx:
        pytest.importorskip("onnxruntime")
    own(monkeypatch, generator)
    checkpoint, trainer = checkpoint_of("odd", tmp_path)
    export(checkpoint, tmp_path / "out", timed=False, onnx=onnx)
    z = Latent(4).sample(5, 1)
    np.testing.assert_allclose(
        open_exported(tmp_path / "out").generate(z), generate(trainer.gan.generator, z), atol=1e-4
    )


class Failing(Pictures):
    error = KeyError("a key")

    def forward(self, z):
        if not paddle.in_dynamic_mode():
            raise self.error
        return self.maps(z)


class FailingWithReason(Failing):
    error = ValueError("the reason")


class Folding(Pictures):
    def forward(self, z):
        return nn.functional.fold(nn.functional.unfold(self.maps(z), 2, 2), [4, 4], 2, 2)


class Twice(Pictures):
    def forward(self, z):
        return self.maps(z) if self.training else (self.maps(z), self.maps(z))


class Infinite(Pictures):
    def forward(self, z):
        return self.maps(z) if self.training else self.maps(z) / 0.0


class Remembering(Pictures):
    def last_layer(self):
        return nn.GRU(4, 4)

    def forward(self, z):
        x = self.maps(z)
        return paddle.stack([self.last(x[:, 0])[0], self.last(x[:, 1])[0]], axis=1)


@pytest.mark.parametrize(
    ("generator", "said"),
    [
        (Failing, "KeyError: 'a key'"),
        (FailingWithReason, "ValueError: the reason"),
        (Folding, "AssertionError"),
        (Twice, "the generator returns a tuple and not images; let its forward return one tensor"),
        (Infinite, "the generator's images are not finite; take another checkpoint"),
        (Remembering, "operator 'rnn' is not one .* leave it out of the generator, or add it to"),
    ],
)
@pytest.mark.skipif(paddle.__version__ < "3", reason="Paddle 2 traces in other words")
def test_what_cannot_be_traced_is_one_line_with_its_reason(generator, said, tmp_path, monkeypatch):
    own(monkeypatch, generator)
    checkpoint, _ = checkpoint_of("odd", tmp_path)
    with pytest.raises(ExportError, match=f"out: not exported: .*{said}") as caught:
        export(checkpoint, tmp_path / "out", timed=False)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


class Large(Pictures):
    def forward(self, z):
        return 1000.0 * self.maps(z)


def test_images_far_beyond_their_range_may_be_rounded_by_as_much_more(tmp_path, monkeypatch):
    own(monkeypatch, Large)
    checkpoint, trainer = checkpoint_of("odd", tmp_path)
    differences = export(checkpoint, tmp_path / "out", timed=False).largest_difference
    z = Latent(4).sample(differences.samples, 2)
    largest = np.abs(generate(trainer.gan.generator, z)).max()
    assert largest > 100.0
    assert differences.tolerance == pytest.approx(1e-5 * largest, rel=1e-3)


def test_a_difference_that_is_no_number_is_as_large_as_can_be():
    wanted = np.zeros((2, 1, 2, 2), np.float32)
    images = wanted.copy()
    images[0, 0, 0, 0] = 0.5
    assert largest_difference(images, wanted) == 0.5
    images[1] = np.nan
    assert largest_difference(images, wanted) == np.inf
    with pytest.raises(ExportError, match="makes images"):
        largest_difference(images[:1], wanted)


@pytest.mark.parametrize("onnx", [False, True])
def test_a_batch_that_is_not_a_number_is_found(onnx, tmp_path, monkeypatch):
    """The first image is right, the rest is NaN: neither comparison may stop at the former."""
    checkpoint, _ = checkpoint_of("gan_mlp", tmp_path, generator={"hidden_units": (8,)})
    where, name = ("predictor", "run_predictor")
    if onnx:
        pytest.importorskip("onnxruntime")
        where, name = ("onnx_export", "run_onnx")
    module = importlib.import_module(f"ppgan_zoo.export.{where}")
    run = getattr(module, name)

    def broken(*arguments):
        images = np.array(run(*arguments))
        images[1:] = np.nan
        return images

    monkeypatch.setattr(module, name, broken)
    with pytest.raises(ExportError, match="not exported: the largest difference .* inf for"):
        export(checkpoint, tmp_path / "out", timed=False, onnx=onnx)


class Reaching(nn.Layer):
    """Looks at a norm that an export would fold away."""

    def __init__(self, *, latent_dim=4, image_shape=(1, 2, 2)):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, image_shape
        self.layer, self.norm = nn.Linear(latent_dim, 4), nn.BatchNorm1D(4)

    def forward(self, z):
        return (self.norm(self.layer(z)) * self.norm.weight).reshape([-1, 1, 2, 2])


class Branching(Reaching):
    """Uses the layer before the norm a second time."""

    def forward(self, z):
        x = self.layer(z)
        return (self.norm(x) + x).reshape([-1, 1, 2, 2])


class Leaky(nn.Layer):
    """A convolution and LeakyReLU, which Paddle 3.3.1 ends the process for fusing."""

    def __init__(self, *, latent_dim=4, image_shape=(1, 2, 2)):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, image_shape
        self.layer, self.conv = nn.Linear(latent_dim, 4), nn.Conv2D(1, 1, 3, padding=1)

    def forward(self, z):
        return nn.functional.leaky_relu(self.conv(self.layer(z).reshape([-1, 1, 2, 2])), 0.2)


@pytest.mark.parametrize("generator", [Reaching, Branching, Leaky])
def test_a_model_that_is_not_to_be_rewritten_is_exported_as_it_is(generator, tmp_path, monkeypatch):
    spec = GanSpec(name="odd", generator=generator, discriminator=Flat, paper="none")
    monkeypatch.setitem(MODELS._registered, "odd", spec)
    checkpoint, trainer = checkpoint_of("odd", tmp_path)
    description = export(checkpoint, tmp_path / "out")
    assert description.largest_difference.paddle_inference <= 1e-5
    z = Latent(4).sample(5, 1)
    np.testing.assert_allclose(
        open_exported(tmp_path / "out").generate(z), generate(trainer.gan.generator, z), atol=1e-5
    )


def test_the_program_of_an_export_is_the_rewritten_one(tmp_path):
    checkpoint, _ = checkpoint_of(
        "dcgan_fashion", tmp_path, generator={"channels": 4}, discriminator={"channels": 4}
    )
    description = export(checkpoint, tmp_path / "out", timed=False)
    assert b"pixel_shuffle" in (tmp_path / "out" / description.program).read_bytes()


def test_where_the_system_cannot_reserve_room_an_export_is_made_all_the_same(tmp_path, monkeypatch):
    """As on macOS, whose Python has no such call."""
    from ppgan_zoo.export.exporter import _check_room

    with pytest.raises(OSError):
        _check_room(tmp_path, tmp_path / "out", 1 << 60)
    monkeypatch.delattr("os.posix_fallocate")
    _check_room(tmp_path, tmp_path / "out", 1 << 60)
    assert list(tmp_path.iterdir()) == []
