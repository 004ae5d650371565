"""Pretrained models: names and paths, hashes, downloads, what publishing makes and says."""

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import yaml
from conftest import ROOT, TINY, install_plugin, tree_bytes
from safetensors.numpy import load_file

import ppgan_zoo
from ppgan_zoo.cli import main
from ppgan_zoo.errors import CheckpointError, ConfigError, PluginError
from ppgan_zoo.evaluation.sampler import open_sampler
from ppgan_zoo.models.latent import Code
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.registry import WEIGHTS
from ppgan_zoo.run import train
from ppgan_zoo.run.publish import publish
from ppgan_zoo.storage.checkpoint import fill_checkpoint, open_checkpoint
from ppgan_zoo.storage.half_precision import halved, widened
from ppgan_zoo.weights import pretrained
from ppgan_zoo.weights.card import card_text, read_card
from ppgan_zoo.weights.pretrained import Pretrained, locate


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "r.yml").write_text(TINY)
    return train.train(load_recipe(folder / "r.yml"), folder / "run", offline=True).run.path


@pytest.fixture(scope="module")
def published(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "tiny"
    return publish(run, folder, licence="MIT", faults=["It knows 128 pictures."]).checkpoint


@pytest.fixture
def named(published):
    """The published folder by the name ``tiny``, for this process."""
    with WEIGHTS.lent(Pretrained("tiny", published.sha256, published.path)):
        yield published.path


# float16


def test_large_tensors_alone_are_stored_as_float16():
    weight = np.array([[1.0, 1 / 3], [1e-9, -65504.0]], np.float32)
    statistic = np.array([1e6, 1 / 3], np.float32)
    found = halved({"w": weight, "variance": statistic})
    # 1/3 in binary16 is 0x3555; 1e-9 is below half of its smallest number, 2**-24.
    assert found["w"].view(np.uint16).tolist() == [[0x3C00, 0x3555], [0, 0xFBFF]]
    assert found["variance"].dtype == np.float32
    again = widened(found)
    assert again["w"].dtype == np.float32
    assert again["w"][0, 1] == np.float32(0x555 / 2**12)  # the fraction 1.0101010101b / 4


def test_a_number_that_float16_has_not_is_refused():
    with pytest.raises(CheckpointError, match="'w'.*65504"):
        halved({"w": np.full((1, 1), 7e4, np.float32)})


def test_float16_is_widened_only_where_the_manifest_says_so(published, tmp_path):
    arrays = {"generator": load_file(published.path / "generator.safetensors")}
    (weight, *_) = [name for name, a in arrays["generator"].items() if a.dtype == np.float16]
    plain = fill_checkpoint(tmp_path, arrays, 0, published.model)
    assert plain.arrays("generator")[weight].dtype == np.float16
    assert open_checkpoint(published.path).arrays("generator")[weight].dtype == np.float32
    with pytest.raises(CheckpointError, match=r"values of float16.*needs float32"):
        open_sampler(plain.path)


# Publishing


def test_the_weights_are_those_of_the_run_rounded(run, published):
    own = load_file(run / "checkpoints" / "step-00000012" / "ema.safetensors")
    for name, array in open_checkpoint(published.path).arrays("generator").items():
        expected = own[name].astype(np.float16) if own[name].ndim > 1 else own[name]
        np.testing.assert_array_equal(array, expected.astype(np.float32))


def test_a_published_average_is_still_called_one(run, published):
    assert open_sampler(run).origin["weights"] == "ema"
    assert open_sampler(published.path).origin["weights"] == "ema"


def test_the_card_says_how_far_rounding_moves_the_images(run, published):
    rounding = read_card(published).rounding
    seed = 0xF16
    before, after = (open_sampler(path).sample(1024, seed) for path in (run, published.path))
    moved = np.abs(before.astype(int) - after.astype(int))
    assert moved.max() == rounding.largest_grey_levels <= 1
    assert rounding.share_changed == pytest.approx((moved > 0).mean(), abs=1e-9)


def test_the_folder_holds_all_and_names_neither_host_nor_folders(run, published):
    names = {str(p.relative_to(published.path)) for p in published.path.rglob("*") if p.is_file()}
    assert {"checkpoint.json", "generator.safetensors", "README.md", "samples.png",
            "export/model.yml"} <= names  # fmt: skip
    text = (published.path / "checkpoint.json").read_text()
    host = json.loads((run / "manifest.json").read_text())["starts"][0]["host"]
    for private in (str(ROOT), str(run.parent), f'"{host}"'):
        assert private not in text
    np.testing.assert_allclose(
        open_sampler(published.path).sample(8, 0).astype(int),
        open_sampler(published.path / "export").sample(8, 0).astype(int), atol=1,
    )  # fmt: skip


def test_weights_that_float16_would_change_too_much_are_refused_or_kept(run, tmp_path, monkeypatch):
    from ppgan_zoo.run import publish as module

    coarse = lambda arrays: {k: np.round(v, 1) for k, v in arrays.items()}  # noqa: E731
    monkeypatch.setattr(module, "halved", coarse)
    with pytest.raises(CheckpointError, match="grey levels.*--float32"):
        publish(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    made = publish(run, tmp_path / "out", half=False).checkpoint
    assert (
        open_sampler(made.path).sample(4, 0).tobytes() == open_sampler(run).sample(4, 0).tobytes()
    )


def evaluation(checkpoint, seed, fid, **changes):
    return {
        "model": {"path": "p", "iteration": 12, "weights": "ema", "sha256": checkpoint.sha256},
        "features": {"name": "digits-v1", "sha256": "f" * 64},
        "real": {"name": "mnist", "count": 10_000, "split": "test"},
        "settings": {"num_samples": 10_000, "seed": seed},
        "metrics": {"fid": fid, "recall": None}, "floor": {"metrics": {"fid": 0.5}}, "notes": [],
        **changes,
    }  # fmt: skip


def test_figures_of_several_draws_become_one_interval(run, tmp_path):
    newest = open_checkpoint(run / "checkpoints" / "step-00000012")
    for seed, fid in enumerate((1.0, 1.5, 1.1)):
        (tmp_path / f"{seed}.json").write_text(json.dumps(evaluation(newest, seed, fid)))
    files = [tmp_path / f"{seed}.json" for seed in range(3)]
    (table,) = publish(run, tmp_path / "out", evaluations=files).card.figures
    assert table.seeds == [0, 1, 2] and set(table.values) == {"fid"}
    fid = table.values["fid"]
    assert (fid.mean, fid.lowest, fid.highest) == (pytest.approx(1.2), 1.0, 1.5)
    text = (tmp_path / "out" / "README.md").read_text()
    assert "| fid | 1.2 | 1 | 1.5 | 3 | 0.5 |" in text and "3 draws of z" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": {"num_samples": 10_000, "seed": 1, "resize": 14}},
        {"settings": {"num_samples": 10_000, "seed": 0, "metrics": ["recall"]}},
    ],
    ids=["another size", "other metrics"],
)
def test_figures_of_two_ways_to_measure_are_two_tables(run, tmp_path, changes):
    newest = open_checkpoint(run / "checkpoints" / "step-00000012")
    for number, more in enumerate(({}, changes)):
        (tmp_path / f"{number}.json").write_text(json.dumps(evaluation(newest, 0, 1.0, **more)))
    files = [tmp_path / f"{number}.json" for number in range(2)]
    tables = publish(run, tmp_path / "out", evaluations=files).card.figures
    assert [table.values["fid"].draws for table in tables] == [1, 1]
    with pytest.raises(ConfigError, match="two results differ in nothing"):
        publish(run, tmp_path / "again", evaluations=[files[0], files[0]])


def test_a_card_names_no_folder_of_the_weights_it_was_judged_by(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    recipe = tmp_path / "run" / "recipe.yml"
    told = yaml.safe_load(recipe.read_text())
    told["evaluation"].update(features="inception-v3", weights="/home/somebody/i.safetensors")
    recipe.write_text(yaml.safe_dump(told))
    publish(tmp_path / "run", tmp_path / "out")
    content = b"".join(tree_bytes(tmp_path / "out").values())
    assert b"somebody" not in content and b"i.safetensors" in content


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"faults": ["x" * 2500]}, "faults"),
        ({"name": "x\n# evil"}, "--name"),
        ({"licence": "MIT\n\n## Figures\n\nFID 0.1"}, "--licence 'MIT"),
        ({"faults": ["None.", "a\nb"]}, "--fault 'a"),
    ],
)
def test_what_no_card_holds_is_one_line(run, tmp_path, arguments, says):
    with pytest.raises(ConfigError, match=says) as caught:
        publish(run, tmp_path / "out", **arguments)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_a_class_whose_name_has_several_lines_is_one_line_of_the_card(run, tmp_path):
    made = publish(run, tmp_path / "out")
    model = {**made.checkpoint.model, "classes": ["cats", "dogs\n\n## Figures\n\nFID 0.1"]}
    text = card_text(made.card, 1, model)
    assert "- classes: cats, dogs\\n\\n## Figures\\n\\nFID 0.1\n- weights:" in text
    assert text.count("\n## Figures\n") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": "x"}, {"metrics": {"fid": float("nan")}}, {"real": "x"}, {"floor": True},
        {"floor": {"metrics": None}}, {"notes": "x"}, {"notes": [1]},
        {"settings": {"num_samples": 1, "seed": float("inf")}},
    ],
    ids=repr,
)  # fmt: skip
def test_a_result_with_something_else_in_it_is_none(run, tmp_path, changes):
    newest = open_checkpoint(run / "checkpoints" / "step-00000012")
    (tmp_path / "e.json").write_text(json.dumps({**evaluation(newest, 0, 1.0), **changes}))
    with pytest.raises(ConfigError, match="is no result of an evaluation"):
        publish(run, tmp_path / "out", evaluations=[tmp_path / "e.json"])


@pytest.mark.parametrize("missing", ["notes", "floor", "metrics"])
def test_a_result_that_lacks_something_is_none(run, tmp_path, missing):
    newest = open_checkpoint(run / "checkpoints" / "step-00000012")
    found = evaluation(newest, 0, 1.0)
    del found[missing]
    (tmp_path / "e.json").write_text(json.dumps(found))
    with pytest.raises(ConfigError, match="is no result of an evaluation"):
        publish(run, tmp_path / "out", evaluations=[tmp_path / "e.json"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("no json", "is no result of an evaluation"),
        (json.dumps({"model": 3}), "is no result of an evaluation"),
        ("[" * 100_000, "is no result of an evaluation"),
        ("OTHER", "is of other weights"),
    ],
)
def test_figures_of_something_else_are_refused(run, published, tmp_path, content, says):
    if content == "OTHER":
        content = json.dumps(evaluation(published, 0, 1.0))
    (tmp_path / "e.json").write_text(content)
    with pytest.raises(ConfigError, match=says):
        publish(run, tmp_path / "out", evaluations=[tmp_path / "e.json"])


def test_what_cannot_be_published(run, published, tmp_path):
    with pytest.raises(ConfigError, match="another --output"):
        publish(run, published.path)
    with pytest.raises(CheckpointError, match="is not in a run"):
        publish(published.path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# Names and paths


def test_a_name_means_its_folder_and_a_path_wins(named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("tiny") == named
    assert str(locate("./tiny")) == "tiny"  # a separator: never a name
    (tmp_path / "tiny").mkdir()
    assert str(locate("tiny")) == "tiny"


def test_every_door_takes_the_name(named, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["sample", "tiny", "-n", "4", "--output", "grid.png"]) == 0
    assert main(["export", "--checkpoint", "tiny", "--output", "exported"]) == 0
    assert main(["info", "tiny"]) == 0
    said = capsys.readouterr().out
    assert "Licence of the data: CC BY-SA 3.0." in said and "- It knows 128 pictures." in said
    assert main(["info", "tiny", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["count"] == 128
    assert main(["list"]) == 0
    assert "tiny" in capsys.readouterr().out.rpartition("pretrained: ")[2]
    found = ppgan_zoo.open_sampler("tiny").sample(3, 1)
    assert found.tobytes() == ppgan_zoo.open_sampler("exported").sample(3, 1).tobytes() or (
        np.abs(found.astype(int) - ppgan_zoo.open_sampler("exported").sample(3, 1)).max() <= 1
    )


def test_evaluate_knows_the_data_by_the_card(named, projection, tmp_path):
    from ppgan_zoo.run.evaluate import find_data

    source = find_data(named)
    assert (source.name, source.trained_on["count"]) == ("mnist", 128)
    assert find_data(named, "fashion_mnist").trained_on is None
    assert find_data(named / "export").trained_on["count"] == 128
    # A recipe that happens to lie two folders up is of no run.
    around = tmp_path / "project"
    shutil.copytree(named, around / "published" / "m")
    (around / "recipe.yml").write_text("model: {name: dcgan}\ndata: {name: fashion_mnist}\n")
    assert find_data(around / "published" / "m").name == "mnist"
    arguments = ["evaluate", "tiny", "--split", "train", "--offline", "--num-samples", "150"]
    assert main([*arguments, "--metrics", "fid", "--no-floor"]) == 0


def test_create_restores_g_and_nothing_else_may_be_given(named):
    gan = ppgan_zoo.create("gan_mlp", pretrained="tiny")
    z = open_sampler("tiny").latent.sample(4, 0)
    import paddle

    gan.generator.eval()
    images = gan.generate(Code(paddle.to_tensor(z))).numpy()
    np.testing.assert_array_equal(images, open_sampler("tiny").generate(Code(z)))
    with pytest.raises(ConfigError, match="leave out latent_dim"):
        ppgan_zoo.create("gan_mlp", pretrained="tiny", latent_dim=4)
    with pytest.raises(ConfigError, match="is of gan_mlp"):
        ppgan_zoo.create("dcgan", pretrained="tiny")


@pytest.mark.parametrize(
    "command", [["sample"], ["info"], ["export", "--output", "x", "--checkpoint"]]
)
def test_a_name_that_is_none_is_refused_in_one_line(named, tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    assert main([*command, "tinny"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "did you mean 'tiny'?" in line


# Hashes


def test_another_checkpoint_than_the_pinned_one_is_refused(published):
    says = "tiny is 000000000000.*install its package again"
    model = Pretrained("tiny", "0" * 64, published.path)
    with WEIGHTS.lent(model), pytest.raises(CheckpointError, match=says):
        locate("tiny")


def test_changed_weights_are_refused(published, tmp_path):
    shutil.copytree(published.path, tmp_path / "copy")
    file = tmp_path / "copy" / "generator.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    model = Pretrained("tiny", published.sha256, tmp_path / "copy")
    says = r"generator\.safetensors: its SHA-256"
    with WEIGHTS.lent(model), pytest.raises(CheckpointError, match=says):
        open_sampler("tiny")


@pytest.mark.parametrize(
    ("card", "says"),
    [({"name": 3}, "card.name"), ([], "'card'"), ({"extra": 1}, "card."), ("x", "'card'")],
)
def test_a_strangers_card_is_checked(published, tmp_path, capsys, card, says):
    manifest = {k: v for k, v in published.manifest.items() if k not in ("card", "sha256")}
    (tmp_path / "checkpoint.json").write_text(json.dumps({**manifest, "card": card}))
    assert main(["info", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line and "card is damaged" in line


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "changes",
    [
        {"model": {}},
        {"model": {"image_range": []}},
        {"card": {"recipe": {"x": float("nan")}}},
        {"card": {"recipe": {"x": "DEEP"}}},
    ],
)
def test_a_card_that_cannot_be_shown_is_one_line(published, tmp_path, capsys, form, changes):
    manifest = {k: v for k, v in published.manifest.items() if k != "sha256"}
    card = {**manifest["card"], **changes.get("card", {})}
    text = json.dumps({**manifest, **changes, "card": card})
    text = text.replace('"DEEP"', "[" * 800 + "]" * 800)
    (tmp_path / "checkpoint.json").write_text(text)
    code = main(["info", str(tmp_path), "--format", form])
    said = capsys.readouterr()
    assert code in (0, 2) and len(said.err.splitlines()) == code // 2


def test_a_strangers_words_do_not_steer_the_terminal(published, tmp_path, capsys):
    manifest = {k: v for k, v in published.manifest.items() if k != "sha256"}
    card = {**manifest["card"], "faults": ["\x1b[2J gone"]}
    (tmp_path / "checkpoint.json").write_text(json.dumps({**manifest, "card": card}))
    assert main(["info", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and "gone" in said


@pytest.mark.parametrize("more", [["--full"], ["--picture", "nets.svg"]])
def test_what_a_card_has_not_is_refused(published, tmp_path, monkeypatch, capsys, more):
    monkeypatch.chdir(tmp_path)
    assert main(["info", str(published.path), *more]) == 2
    assert f"{more[0]}: is for a model of the zoo" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_without_a_card_says_so(run, capsys):
    assert main(["info", str(run / "checkpoints" / "step-00000012")]) == 2
    assert "has no card" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "../up"}, "lower case"), ({"sha256": "0"}, "64 hex"),
        ({"folder": None}, "either a folder or mirrors"),
        ({"mirrors": ("https://x.org/",)}, "either a folder or mirrors"),
        ({"folder": None, "mirrors": ("file:///etc/",)}, "is no mirror"),
        ({"folder": None, "mirrors": ("https://x.org",)}, "is no mirror"),
    ],
)  # fmt: skip
def test_a_plugins_entry_is_checked(tmp_path, fields, says):
    whole = {"name": "a", "sha256": "0" * 64, "folder": tmp_path, **fields}
    with pytest.raises(PluginError, match=says):
        Pretrained(**whole).check("here")


# Downloads


class Server:
    """Serves a folder, and notes what is asked for."""

    def __init__(self, folder):
        asked = self.asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_arguments):
                asked.append(self.path)

        handler = functools.partial(Handler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def mirror(published, tmp_path, monkeypatch):
    """A mirror of ``tiny``, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    shutil.copytree(published.path, tmp_path / "www" / "tiny")
    server = Server(tmp_path / "www")
    yield server
    server.close()


def test_a_download_is_verified_kept_and_repaired(mirror, published, tmp_path, capsys):
    model = Pretrained("tiny", published.sha256, mirrors=(mirror.url,))
    folder = model.checkpoint().path
    assert folder.parent == tmp_path / "cache" / "ppgan_zoo" / "weights"
    assert mirror.asked == ["/tiny/checkpoint.json", "/tiny/generator.safetensors"]
    assert sorted(os.listdir(folder)) == ["checkpoint.json", "generator.safetensors"]
    assert "downloaded generator.safetensors" in capsys.readouterr().err
    assert open_sampler(folder).sample(4, 0).tobytes() == open_sampler(
        published.path
    ).sample(4, 0).tobytes()  # fmt: skip
    model.checkpoint()
    assert len(mirror.asked) == 2
    (folder / "generator.safetensors").write_bytes(b"damaged")
    model.checkpoint()
    assert mirror.asked[2:] == ["/tiny/generator.safetensors"]


@pytest.mark.parametrize("name", ["checkpoint.json", "generator.safetensors"])
def test_what_is_not_the_pinned_file_gets_no_place(mirror, published, tmp_path, name):
    served = tmp_path / "www" / "tiny" / name
    content = served.read_bytes()
    served.write_bytes(content[:-1] + b" ")
    model = Pretrained("tiny", published.sha256, mirrors=(mirror.url,))
    with pytest.raises(CheckpointError, match=f"tiny: cannot be downloaded: {name}.*SHA-256"):
        model.checkpoint()
    served.write_bytes(content + bytes(1 << 21))
    with pytest.raises(CheckpointError, match=r"bytes offered; at most"):
        model.checkpoint()
    assert not list((tmp_path / "cache").rglob(name))


def test_the_users_mirror_is_asked_first(mirror, published, monkeypatch):
    monkeypatch.setenv(pretrained.MIRROR_VARIABLE, mirror.url.rstrip("/"))
    elsewhere = ("http://127.0.0.1:9/",)  # nobody listens there
    Pretrained("tiny", published.sha256, mirrors=elsewhere).checkpoint()
    assert len(mirror.asked) == 2


def test_a_mirror_that_is_no_address_or_cannot_be_reached(published, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = Pretrained("tiny", published.sha256, mirrors=("http://127.0.0.1:9/",))
    with pytest.raises(CheckpointError, match="PPGAN_ZOO_WEIGHTS_MIRROR"):
        model.checkpoint()
    monkeypatch.setenv(pretrained.MIRROR_VARIABLE, "file:///etc/")
    with pytest.raises(ConfigError, match="is no mirror"):
        model.checkpoint()


# A package of weights


def test_a_package_that_is_filled_and_installed_brings_its_names(published, tmp_path, cli):
    source = tmp_path / "package"
    shutil.copytree(ROOT / "weights_package", source)
    fill = [sys.executable, source / "fill.py", "--package", source, published.path]
    done = subprocess.run(fill, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ppgan_zoo_weights holds tiny\n"), done.stderr
    environment = install_plugin(source, tmp_path / "installed")
    done = cli("sample", "tiny", "-n", 4, "--output", tmp_path / "g.npy", env=environment)
    assert done.returncode == 0, done.stderr
    made = np.load(tmp_path / "g.npy")
    assert made.tobytes() == open_sampler(published.path).sample(4, 0).tobytes()


def test_a_damaged_folder_is_not_filled_in(published, tmp_path):
    source = tmp_path / "package"
    shutil.copytree(ROOT / "weights_package", source)
    shutil.copytree(published.path, tmp_path / "bad")
    (tmp_path / "bad" / "generator.safetensors").write_bytes(b"")
    fill = [sys.executable, source / "fill.py", "--package", source, tmp_path / "bad"]
    done = subprocess.run(fill, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "SHA-256" in done.stderr
    assert (source / "entry_points.txt").read_text() == "[ppgan_zoo.weights]\n"
