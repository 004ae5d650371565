"""The evaluation protocol: what is compared, what the result states, what is refused."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from conftest import ROOT, TINY, Projection

from ppgan_zoo.cli import main
from ppgan_zoo.data import ImageSet, load_image_set, write_idx
from ppgan_zoo.data.kinds import DataKind
from ppgan_zoo.errors import CheckpointError, ConfigError, DataError
from ppgan_zoo.evaluation.protocol import Protocol
from ppgan_zoo.evaluation.real_images import choose
from ppgan_zoo.evaluation.sampler import open_sampler
from ppgan_zoo.export.exporter import export
from ppgan_zoo.metrics import feature_cache
from ppgan_zoo.metrics import network as network_module
from ppgan_zoo.metrics.feature_cache import cached_features
from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.frechet import Gaussian, frechet_distance
from ppgan_zoo.models.restore import find_checkpoint
from ppgan_zoo.recipe.load import load_recipe, recipe_from
from ppgan_zoo.registry import DATA
from ppgan_zoo.run import train
from ppgan_zoo.run.evaluate import evaluate, find_data
from ppgan_zoo.storage.files import sha256_file


@pytest.fixture(autouse=True)
def network(projection):
    return projection


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """400 training and 200 test images, cut from the embedded ones."""
    folder = tmp_path_factory.mktemp("data")
    images = load_image_set("mnist", offline=True, limit=600, notify=lambda line: None).images
    (folder / "mnist").mkdir()
    write_idx(folder / "mnist" / "train-images-idx3-ubyte", images[:400, 0])
    write_idx(folder / "mnist" / "t10k-images-idx3-ubyte", images[400:, 0])
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_dir):
    """Twelve iterations of a dense GAN with an EMA, trained on the first 300 images."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "r.yml").write_text(TINY.replace("limit: 128", f"limit: 300, directory: {data_dir}"))
    return train.train(load_recipe(folder / "r.yml"), folder / "run").run.path


FAST = Protocol(num_samples=150, metrics=("fid",), floor=False)


def test_the_result_names_all_that_the_figures_depend_on(run, data_dir, network):
    result = evaluate(run, Protocol(num_samples=150, seed=3))
    newest = run / "checkpoints" / "step-00000027"
    assert result["model"] == {
        "kind": "checkpoint", "path": str(newest), "model": "gan_mlp", "iteration": 27,
        "weights": "ema", "sha256": sha256_file(newest / "checkpoint.json"),
    }  # fmt: skip
    assert result["features"] == {
        "name": "projection", "sha256": "0" * 64, "dim": 8, "accuracy": None,
    }  # fmt: skip
    real, test = result["real"], load_image_set("mnist", directory=data_dir, split="test")
    assert (real["split"], real["count"], real["split_count"]) == ("test", 200, 200)
    assert real["split_sha256"] == test.sha256
    assert real["seen_in_training"] is False
    assert result["settings"] == {
        "features": None, "weights": None, "num_samples": 150, "split": "test", "seed": 3,
        "ema": True, "resize": None, "floor": True, "image_shape": [1, 28, 28],
        # A network that is not the zoo's own might take hours over all training images.
        "metrics": ["fid", "kid", "class_score", "precision_recall", "density_coverage", "modes",
                    "sharpness"],
    }  # fmt: skip
    assert list(result["metrics"]) == [
        "fid", "fid_standard_error", "kid", "kid_standard_error", "class_score", "class_score_std", "precision",
        "recall", "density", "coverage", "modes", "class_entropy", "sharpness",
    ]  # fmt: skip
    assert result["floor"]["real"]["split"] == "train"
    assert result["floor"]["real"]["count"] == 150
    assert list(result["floor"]["metrics"]) == list(result["metrics"])
    assert {"paddle", "ppgan_zoo", "versions", "git_commit", "command"} <= set(result)
    assert json.loads(json.dumps(result)) == result


def test_fid_is_of_the_samples_and_the_test_images(run, data_dir, network):
    result = evaluate(run, FAST)
    samples = open_sampler(run).sample(150, 0)
    test = load_image_set("mnist", directory=data_dir, split="test").images
    a, b = (Gaussian.of(network(images).features) for images in (samples, test))
    assert result["metrics"]["fid"] == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_an_untrained_model_is_far_from_the_floor(run):
    result = evaluate(run, Protocol(num_samples=200, metrics=("fid", "precision_recall")))
    assert result["metrics"]["fid"] > 20 * result["floor"]["metrics"]["fid"]
    assert result["metrics"]["recall"] < 0.1 < 0.6 < result["floor"]["metrics"]["recall"]


def test_the_same_seed_gives_the_same_figures_from_run_checkpoint_and_export(run, tmp_path):
    first = evaluate(run, FAST)
    assert evaluate(run / "checkpoints" / "step-00000027", FAST)["metrics"] == first["metrics"]
    export(find_checkpoint(run), tmp_path / "e")
    exported = evaluate(
        tmp_path / "e", FAST, data="mnist", directory=load_recipe(run / "recipe.yml").data.directory
    )
    assert exported["model"]["kind"] == "exported model"
    assert exported["metrics"]["fid"] == pytest.approx(first["metrics"]["fid"], rel=1e-3)
    other = evaluate(run, Protocol(num_samples=150, metrics=("fid",), floor=False, seed=1))
    assert other["metrics"] != first["metrics"]


def test_ema_and_last_weights_are_told_apart(run):
    last = Protocol(num_samples=150, metrics=("fid",), floor=False, ema=False)
    result = evaluate(run, last)
    assert (result["model"]["weights"], result["settings"]["ema"]) == ("generator", False)
    assert result["metrics"] != evaluate(run, FAST)["metrics"]


def test_the_best_checkpoint_can_be_chosen(run):
    best = json.loads((run / "checkpoints" / "best.json").read_text())["checkpoint"]
    assert evaluate(run, FAST, best=True)["model"]["path"].endswith(best)


def test_training_images_are_compared_with_only_when_asked_and_that_is_said(run, capsys):
    assert evaluate(run, FAST)["notes"] == []
    result = evaluate(run, Protocol(num_samples=150, split="train", metrics=("fid",)))
    assert result["real"]["seen_in_training"] is True
    assert result["real"]["count"] == 400
    assert "compared with TRAINING images" in result["notes"][0]
    assert "the run was trained on 300 of these 400 images (data.limit)" in result["notes"][1]
    assert result["floor"]["real"]["split"] == "test"


def test_a_damaged_checkpoint_is_left_out_of_the_curve(run, tmp_path):
    copy, lines = tmp_path / "run", []
    shutil.copytree(run, copy)
    whole = evaluate(copy, FAST, curve=100)["curve"]
    first = min((copy / "checkpoints").glob("step-*"))
    with open(first / "ema.safetensors", "r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    assert evaluate(copy, FAST, curve=100, notify=lines.append)["curve"] == whole[1:]
    (line,) = [line for line in lines if "left out of the curve" in line]
    assert str(first) in line


def test_too_few_real_images_are_said(run):
    few = Protocol(num_samples=250, metrics=("fid",), floor=False)
    assert "only 200 real images for 250 samples" in evaluate(run, few)["notes"][0]


def test_memorisation_is_against_what_the_run_was_trained_on(run, data_dir, network, tmp_path):
    wanted = Protocol(num_samples=150, metrics=("memorisation",))
    result = evaluate(run, wanted)
    assert 300 in [len(images) for images in network.seen]  # the recipe's limit, not all 400
    assert result["notes"] == []
    assert 0 <= result["metrics"]["memorisation"] < 0.5  # noise is farther than digits
    assert result["floor"]["metrics"] == {}
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    manifest = (copy / "manifest.json").read_text()
    known = load_image_set("mnist", directory=data_dir, limit=300).sha256
    (copy / "manifest.json").write_text(manifest.replace(known, "f" * 64))
    assert "may not be those the model was trained on" in evaluate(copy, wanted)["notes"][0]


def test_both_sides_are_resized(run, network):
    result = evaluate(run, Protocol(num_samples=150, resize=16, metrics=("fid",)))
    assert {images.shape[1:] for images in network.seen} == {(1, 16, 16)}
    assert result["real"]["image_shape"] == [1, 16, 16]
    assert result["settings"]["image_shape"] == [1, 28, 28]


def test_a_folder_held_out_is_given_by_name(run, data_dir, tmp_path, network):
    from PIL import Image

    pictures = load_image_set("mnist", directory=data_dir, split="test").images[:120, 0]
    (tmp_path / "held-out").mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "held-out" / f"{number:03d}.png")
    protocol = Protocol(features="projection", num_samples=150, metrics=("fid",))
    lines = []
    result = evaluate(
        run, protocol, data="folder", directory=str(tmp_path / "held-out"), notify=lines.append
    )
    assert (result["real"]["name"], result["real"]["count"]) == ("folder", 120)
    assert result["floor"] is None
    assert "no floor" in lines[-1]


# What is refused.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_samples": 99}, "--num-samples 99: give 100 to 1000000"),
        ({"seed": -1}, "--seed -1"),
        ({"resize": 2}, "--resize 2"),
        ({"split": "train", "metrics": ("memorisation",)}, "leave out --split train"),
    ],
)
def test_settings_that_make_no_evaluation(settings, message):
    with pytest.raises(ConfigError, match=message):
        Protocol(**settings)


def test_an_absent_test_set_is_one_line_that_says_what_to_do(run, data_dir, tmp_path):
    (tmp_path / "mnist").mkdir()
    shutil.copy(data_dir / "mnist" / "train-images-idx3-ubyte", tmp_path / "mnist")
    with pytest.raises(DataError, match=r"does not hold mnist: looked for t10k.*--split train"):
        evaluate(run, FAST, directory=str(tmp_path))
    lines = []
    trained = Protocol(num_samples=150, metrics=("fid",), split="train")
    result = evaluate(run, trained, directory=str(tmp_path), notify=lines.append)
    assert result["floor"] is None
    assert "no floor" in lines[-1] and "--split train" not in lines[-1]


def test_what_the_model_cannot_give_is_refused(run, tmp_path):
    with pytest.raises(ConfigError, match="is not in a run.*--data"):
        export(find_checkpoint(run), tmp_path / "e")
        evaluate(tmp_path / "e", FAST)
    with pytest.raises(ConfigError, match="exported with the weights 'ema'"):
        open_sampler(tmp_path / "e", ema=False)
    plain = recipe_from({
        "model": {"name": "gan_mlp"}, "data": {"name": "mnist", "batch_size": 32, "limit": 64},
        "training": {"iterations": 1},
    })  # fmt: skip
    without = train.train(plain, tmp_path / "run", offline=True).run.path
    with pytest.raises(CheckpointError, match=r"holds no moving average.*leave out --ema"):
        open_sampler(without, ema=True)
    bare = dataclasses.replace(DATA.get("mnist"), name="bare", features=None)
    with DATA.lent(bare), pytest.raises(ConfigError, match="no network of its own"):
        network_module.open_network("bare", None, None)


def test_metrics_of_classes_need_a_network_that_has_them(run, network):
    network.classes = None
    call = Projection.__call__
    network.__class__ = type(
        "Plain", (Projection,),
        {"__call__": lambda self, images:
            FeatureSet(call(self, images).features, None, sharpness=np.ones(len(images)))},
    )  # fmt: skip
    assert "modes" not in evaluate(run, Protocol(num_samples=150, floor=False))["metrics"]
    with pytest.raises(ConfigError, match="modes needs predicted classes"):
        evaluate(run, Protocol(num_samples=150, metrics=("modes",)))


def test_classes_of_a_general_network_say_nothing_unless_they_are_asked_for(run, network):
    network.is_general, network.image_shape = True, (3, 32, 32)
    result = evaluate(run, Protocol(num_samples=150, floor=False))
    assert "fid" in result["metrics"] and "modes" not in result["metrics"]
    assert "projection sees every picture as 32 x 32 RGB" in result["notes"][0]
    asked = evaluate(run, Protocol(num_samples=150, floor=False, metrics=("modes",)))
    assert "modes" in asked["metrics"]
    with pytest.raises(ConfigError, match="label_accuracy: the classes of projection are not the"):
        evaluate(run, Protocol(num_samples=150, metrics=("label_accuracy",)))


# The data.


def test_the_data_are_the_runs_own_or_the_named_ones(run, data_dir, tmp_path):
    own = find_data(run)
    assert (own.name, own.train_directory, own.test_directory) == ("mnist", *[str(data_dir)] * 2)
    assert own.trained_on["count"] == 300
    assert find_data(run / "checkpoints" / "step-00000027") == own
    moved = find_data(run, "mnist", "/elsewhere")
    assert (moved.train_directory, moved.trained_on) == ("/elsewhere", own.trained_on)
    other = find_data(run, "fashion_mnist")
    assert (other.name, other.test_directory, other.trained_on) == ("fashion_mnist", None, None)
    assert find_data(tmp_path, "folder", "x").train_directory is None


def test_a_plugins_kind_of_data_is_as_good_as_the_zoos(run, tmp_path, network, monkeypatch, capsys):
    """One without splits, whose images are held out by a directory, and with an option."""
    loaded = []

    def load(*, directory, split, offline, image_size, channels, limit, notify, shade=0):
        loaded.append((directory, split, shade))
        pixels = np.random.default_rng(len(str(directory))).integers(0, 256, (150, 1, 28, 28))
        images = pixels.astype(np.uint8)
        return ImageSet.of("noise", images, source="directory", location=str(directory))

    monkeypatch.setitem(DATA._registered, "noise", DataKind("noise", load, has_splits=False))
    arguments = ["--data", "noise", "--data-dir", "held_out", "--num-samples", "150", "--no-floor"]
    arguments += ["--features", "digits-v1", "--metrics", "fid", "--format", "json"]
    assert main(["evaluate", str(run), *arguments]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["real"]["name"], result["real"]["count"]) == ("noise", 150)
    assert loaded == [("held_out", "train", 0)]
    own = shutil.copytree(run, tmp_path / "own")
    text = (own / "recipe.yml").read_text()
    (own / "recipe.yml").write_text(
        text.replace("name: mnist", "name: noise").replace("options: {}", "options: {shade: 3}")
    )
    source = find_data(own, directory="held_out")
    assert source.test_directory == "held_out" != source.train_directory
    protocol = Protocol("digits-v1", num_samples=150, metrics=("fid",), floor=False)
    evaluate(own, protocol, directory="held_out")
    assert loaded[1:] == [("held_out", "train", 3)]


def test_a_choice_of_images_is_random_and_always_the_same():
    images = np.arange(500, dtype=np.uint8)[:, None, None, None]
    whole = ImageSet.of("s", images, np.arange(500), source="", location="")
    chosen = choose(whole, 100)
    # Of results that are already published: must never change.
    assert (
        chosen.labels[:5].tolist() == choose(whole, 5).labels.tolist() == [269, 11, 403, 196, 150]
    )
    assert len(set(chosen.labels.tolist())) == 100
    assert np.array_equal(chosen.images.ravel(), chosen.labels.astype(np.uint8))
    assert sorted(choose(whole, 9999).labels.tolist()) == list(range(500))


# The cache of features.


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (120, 1, 4, 4), dtype=np.uint8)
    return ImageSet.of("s", pixels, source="", location="")


def entries(tmp_path):
    return list((tmp_path / "cache" / "ppgan_zoo" / "features").iterdir())


def test_features_are_worked_out_once(images, network, tmp_path):
    first = cached_features(images, network)
    again = cached_features(images, network)
    assert len(network.seen) == 1
    assert np.array_equal(first.features, again.features)
    assert np.array_equal(first.probabilities, again.probabilities)
    (entry,) = entries(tmp_path)
    assert entry.name.startswith("projection-")


def test_other_images_and_other_weights_have_entries_of_their_own(images, network, tmp_path):
    cached_features(images, network)
    cached_features(choose(images, 119), network)
    network.sha256 = "1" * 64
    cached_features(images, network)
    pixels = images.images.reshape(120, 1, 2, 8)
    cached_features(ImageSet.of("s", pixels, source="", location=""), network)
    assert len(network.seen) == len(entries(tmp_path)) == 4


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "other"])
def test_a_damaged_entry_is_worked_out_again_and_replaced(
    damage, images, network, tmp_path, caplog
):
    cached_features(images, network)
    (entry,) = entries(tmp_path)
    whole = entry.read_bytes()
    flipped = bytearray(whole)
    flipped[-3] ^= 1
    other = Projection()
    other.dim = 5
    entry.write_bytes(
        {"truncate": whole[:-9], "flip": bytes(flipped), "empty": b"", "other": whole}[damage]
    )
    if damage == "other":  # a file of the right name and the wrong form
        feature_cache._write(entry, FeatureSet(np.zeros((120, 5), np.float32), None))
    assert np.array_equal(
        cached_features(images, network).features, network(images.images).features
    )
    assert entry.read_bytes() == whole
    assert "worked out again" in caplog.text


def test_a_cache_that_cannot_be_written_is_done_without(
    images, network, tmp_path, monkeypatch, caplog
):
    (tmp_path / "cache").write_text("in the way")
    assert len(cached_features(images, network).features) == 120
    assert "are not kept" in caplog.text
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError()))
    assert len(cached_features(images, network).features) == 120


# The command.


def test_the_command_prints_a_table_and_writes_the_result(run, tmp_path, capsys):
    arguments = ["evaluate", str(run), "--num-samples", "150", "--output", str(tmp_path / "r.json")]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["settings"]["num_samples"] == 150
    lines = text.splitlines()
    assert lines[0].startswith("gan_mlp, iteration 27 (moving average): ")
    assert lines[1].startswith(
        "150 samples (seed 0) against 200 test images of mnist, features pro"
    )
    own, floor = result["metrics"], result["floor"]["metrics"]
    assert lines[4].split() == [
        "FID", f"{own['fid']:.3f}", "+-", f"{own['fid_standard_error']:.3f}",
        f"{floor['fid']:.3f}", "+-", f"{floor['fid_standard_error']:.3f}", "lower",
    ]  # fmt: skip
    assert f"{1000 * own['kid']:.3f} +- {1000 * own['kid_standard_error']:.3f}" in lines[5]
    assert lines[-1] == "floor: 150 train images of mnist measured as samples"


def test_the_command_prints_json_and_loud_notes(run, capsys):
    fast = ["evaluate", str(run), "--num-samples", "120", "--metrics", "fid,modes", "--no-floor"]
    assert main([*fast, "--format", "json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["metrics"]) == {
        "fid", "fid_standard_error", "modes", "class_entropy",
    }  # fmt: skip
    assert main([*fast, "--split", "train", "--no-ema", "--best"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("note: compared with TRAINING images")
    assert "(last weights)" in text and "floor:" not in text


def test_a_curve_is_the_fid_of_every_kept_checkpoint(run, capsys):
    fast = ["evaluate", str(run), "--metrics", "fid", "--num-samples", "150", "--no-floor"]
    assert main([*fast, "--curve", "120", "--format", "json"]) == 0
    result = json.loads(capsys.readouterr().out)
    kept = [24, 27]
    assert [point["iteration"] for point in result["curve"]] == kept
    at = run / "checkpoints" / "step-00000024"
    alone = evaluate(at, Protocol(num_samples=120, metrics=("fid",), floor=False))
    assert result["curve"][0]["fid"] == alone["metrics"]["fid"]
    assert main([*fast, "--curve", "120"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("FID by 120 samples, by iteration: 24: ")
    assert main(["evaluate", str(at), "--curve", "120"]) == 2
    assert "--curve is for runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--curve", "3"], "--curve 3: give 100"),
        (
            ["--metrics", "fid,fidd"],
            "metrics: unknown metric 'fidd' (did you mean 'fid'?); known: class_score",
        ),
        (["--output", "result.txt"], "--output result.txt: give a name that ends in .json"),
        (["--output", "/nowhere/r.json"], "in a folder"),
        (["--num-samples", "3"], "--num-samples 3"),
        (["--data", "mnits"], "--data: unknown kind of data 'mnits' (did you mean 'mnist'?)"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, run, capsys):
    assert main(["evaluate", str(run), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert main(["evaluate", str(ROOT / "nothing"), *arguments]) == 2
