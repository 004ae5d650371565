"""The command line as a user meets it, in processes of its own."""

import json
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pytest
import shtab
import yaml
from conftest import ROOT
from PIL import Image

import ppgan_zoo
from ppgan_zoo.cli import SHELLS


def one_line(done):
    """Check that a command refused in good order; returns its line."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("mnist: full set")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished tiny run."""
    from conftest import TINY

    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.yml").write_text(TINY)
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "train.py", "-c", "tiny.yml", "--offline"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    return folder / "output" / "tiny"


def test_a_run_holds_all_that_it_should(run):
    recipe = yaml.safe_load((run / "recipe.yml").read_text())
    assert recipe["training"]["generator_steps"] == 2
    assert recipe["data"]["limit"] == 128
    (start,) = json.loads((run / "manifest.json").read_text())["starts"]
    assert start["seed"] == 0
    assert start["ppgan_zoo"] == ppgan_zoo.__version__
    assert start["runtime"]["device"] == "cpu"
    assert start["runtime"]["convolutions"].startswith(("oneDNN 3", "Paddle ("))
    assert start["data"]["count"] == 128
    assert len(start["data"]["sha256"]) == 64
    assert start["command"] == ["train.py", "-c", "tiny.yml", "--offline"]
    assert sorted(p.name for p in (run / "samples").iterdir()) == [
        f"step-{step:08d}.png" for step in (4, 8, 12)
    ]
    kept = sorted(p.name for p in (run / "checkpoints").glob("step-*"))
    assert kept[-2:] == ["step-00000008", "step-00000012"]
    best = json.loads((run / "checkpoints" / "best.json").read_text())
    assert best["checkpoint"] in kept
    assert (run / "visualdl").is_dir()


def test_the_log_has_one_line_per_epoch(run):
    lines = [line for line in (run / "train.log").read_text().splitlines() if " epoch " in line]
    assert [line.split("iteration ")[1].split()[0] for line in lines] == ["4", "8", "12"]


def test_the_grid_holds_real_images_above_samples(run):
    picture = Image.open(run / "samples" / "step-00000004.png")
    # 4 columns of 56 pixels, gap 2; a caption, one row of real images, a line, two of samples.
    assert picture.size == (4 * 58 + 2, 16 + (58 + 2) + 8 + (2 * 58 + 2))


def test_nothing_in_a_run_is_a_pickle(run):
    for path in run.rglob("*"):
        if path.is_file():
            assert not path.read_bytes().startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04")), path


def test_sampling_is_the_same_from_run_checkpoint_and_export(run, tmp_path, cli):
    assert cli("export", "--checkpoint", run, "--output", tmp_path / "e").returncode == 0
    sources = [run, run / "checkpoints" / "step-00000012", tmp_path / "e"]
    images = []
    for number, source in enumerate(sources):
        for again in range(2):
            file = tmp_path / f"{number}-{again}.npy"
            done = cli("sample", source, "-n", 9, "--seed", 3, "--output", file)
            assert done.returncode == 0, done.stderr
            images.append(np.load(file))
        assert images[-1].tobytes() == images[-2].tobytes()
    assert images[0].shape == (9, 1, 28, 28)
    assert images[0].dtype == np.uint8
    assert np.array_equal(images[0], images[2])
    assert np.abs(images[0].astype(int) - images[4]).max() <= 1
    cli("sample", run, "-n", 9, "--seed", 4, "--output", tmp_path / "x.npy")
    assert not np.array_equal(np.load(tmp_path / "x.npy"), images[0])


def test_a_damaged_newest_checkpoint_is_named_and_passed_over(run, tmp_path, cli):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    newest = sorted((copy / "checkpoints").glob("step-*"))[-1]
    (newest / "ema.safetensors").write_bytes(b"")
    done = cli("sample", copy, "-n", 4, "--output", tmp_path / "x.npy")
    assert done.returncode == 0, done.stderr
    assert f"skipped a damaged checkpoint: {newest}" in done.stderr


def test_a_system_error_is_one_line(run, tmp_path, cli):
    (tmp_path / "file").write_text("in the way")
    done = cli("export", "--checkpoint", run, "--output", tmp_path / "file" / "model")
    assert f"{tmp_path / 'file'}: File exists" in one_line(done)


def test_best_means_nothing_to_an_exported_model(run, tmp_path, cli):
    assert cli("export", "--checkpoint", run, "--output", tmp_path / "e").returncode == 0
    assert "--best is for runs" in one_line(cli("sample", tmp_path / "e", "--best"))


def test_sample_writes_a_grid(run, tmp_path, cli):
    assert cli("sample", run, "-n", 9, "--output", tmp_path / "g.png").returncode == 0
    assert Image.open(tmp_path / "g.png").size == (3 * 58 + 2, 3 * 58 + 2)


def test_the_best_checkpoint_can_be_asked_for(run, tmp_path, cli):
    done = cli("export", "--checkpoint", run, "--best", "--output", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    best = json.loads((run / "checkpoints" / "best.json").read_text())["checkpoint"]
    model = yaml.safe_load((tmp_path / "b" / "model.yml").read_text())
    assert f"step-{model['origin']['iteration']:08d}" == best


def test_dry_run_shows_everything_and_trains_nothing(tmp_path, cli):
    done = cli("train", "-c", "dcgan_mnist", "--dry-run", "--offline", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text, _, cost = done.stdout.partition("---\n")
    recipe = yaml.safe_load(text)
    assert recipe["training"]["epochs"] == 20
    assert recipe["model"]["generator"]["hidden_units"] == 2048
    # G by hand: 100*2048+2048 + 2*2048 + 2048*6272+6272 + 2*6272 + 128*128*25+128 + 128*25+1
    assert "generator: 13,487,745 parameters" in cost
    # D: 25*64+64 + 64*25*128+128 + 2*128 + 2048*1024+1024 + 2*1024 + 1024+1
    assert "discriminator: 2,308,097 parameters" in cost
    assert re.search(
        r"^time: about \d+ (s|min|h).*, at [\d.]+ m?s an iteration \(timed here: \d+\)$", cost, re.M
    )
    assert "memory: about" in cost
    assert re.search(r"convolutions by (oneDNN 3|Paddle \()", cost)
    assert list(tmp_path.iterdir()) == []


def test_list_names_models_and_recipes_without_paddle(cli):
    done = cli("list", "--format", "json")
    listed = json.loads(done.stdout)
    assert {"gan_mlp", "dcgan", "dcgan_fashion"} <= {model["name"] for model in listed["models"]}
    assert {"demo", "dcgan_mnist", "gan_mlp_mnist", "dcgan_fashion"} <= set(listed["recipes"])


@pytest.mark.parametrize(
    ("arguments", "code", "unneeded"),
    [
        (["--help"], 0, {"paddle", "numpy", "PIL", "pydantic", "yaml", "tqdm"}),
        (["--version"], 0, {"paddle", "numpy", "PIL", "pydantic", "yaml", "tqdm"}),
        (["train", "--help"], 0, {"paddle", "numpy", "PIL", "pydantic"}),
        (["list"], 0, {"paddle", "numpy", "PIL", "pydantic"}),
        (["train", "-c", "dcgan_mnst"], 2, {"paddle", "numpy", "PIL", "pydantic"}),
        (["train", "-c", "demo", "-o", "sed=1"], 2, {"paddle", "numpy", "PIL"}),
        (["info", "dcgn"], 2, {"paddle"}),
    ],
)
def test_what_takes_long_to_import_is_left_out_where_it_is_not_needed(arguments, code, unneeded):
    script = (
        "import json, sys; from ppgan_zoo.cli import main\n"
        "try: code = main(sys.argv[2:])\n"
        "except SystemExit as end: code = end.code or 0\n"
        "open(sys.argv[1], 'w').write(json.dumps([code, list(sys.modules)]))"
    )
    with tempfile.NamedTemporaryFile("r") as file:
        words = [sys.executable, "-c", script, file.name, *arguments]
        subprocess.run(words, check=True, capture_output=True)
        found, modules = json.load(file)
    assert found == code
    assert not unneeded & set(modules)


def test_info_tells_what_a_model_takes(cli):
    info = json.loads(cli("info", "gan_mlp", "--full", "--format", "json").stdout)
    # 100*128+128 + 128*256+256 + 256*512+512 + 512*1024+1024 + 1024*784+784
    assert info["generator"]["parameters"] == 12928 + 33024 + 131584 + 525312 + 803600
    assert info["latent"] == {"dim": 100, "prior": "normal"}
    assert "latent_dim" in info["generator"]["arguments"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train"], "needs -c RECIPE"),
        (["train", "-c", "dcgan_mnst"], "did you mean 'dcgan_mnist'?"),
        (["train", "-c", "no/such.yml"], "no such recipe file"),
        (["train", "-c", "demo", "-o", "seed"], "write it as key.path=value"),
        (["train", "-c", "demo", "-o", "model.name=dcgn"], "did you mean 'dcgan'?"),
        (["train", "-c", "demo", "-o", "training.generator_stepz=2"], "'generator_steps'?"),
        (["train", "-c", "demo", "-o", "model.generator.chanels=8"], "'channels'?"),
        (["train", "-c", "demo", "-o", "model.generator.channels=x"], "model.generator.channels"),
        (["train", "-c", "demo", "-o", "data.batch_size=99999"], "data.batch_size"),
        (["train", "-c", "demo", "-o", "objective.name=hinge",
          "-o", "objective.label_smoothing.real=0.1"], "has no labels to smooth"),
        (["train", "-c", "demo", "--device", "tpu"], "device"),
        (["train", "-c", "demo", "--device", "gpu:9"], "ppgan-zoo: device gpu:9: this Paddle"),
        (["train", "-c", "demo", "--seed", "-1"], "seed"),
        (["train", "-c", "demo", "--data-dir", "/no/such"], "/no/such"),
        (["train", "-c", "demo", "--data-dir", ""], "argument --data-dir: is empty; give a path"),
        (["train", "-c", "demo", "--data", "", "--dry-run"], "argument --data: is empty"),
        (["evaluate", ".", "--against", ""], "argument --against: is empty"),
        (["data", "prepare", "", "--size", "8", "--output", "s"], "argument SOURCE: is empty"),
        (["train", "-c", "demo", "-o", "data.name=folder"], "set data.directory"),
        (["train", "-c", "demo", "-o", "data.batch_size=6000",
          "-o", "training.discriminator_steps=2"], "takes 12000 images an iteration"),
        (["train", "--resume", "/no/such"], "not a run"),
        (["train", "--resume"], "no run to resume"),
        (["train", "-c", "demo", "--resume"], "leave out -c"),
        (["export", "--checkpoint", "/no/such", "--output", "x"], "no such directory"),
        (["sample", "/no/such"], "no such directory"),
        (["sample", ".", "-n", "0"], "give 1 to"),
        (["sample", "mnist_tuned", "-n", "10001", "--output", "new/deep/x.png"], "a grid shows at"),
        (["sample", ".", "--seed", "-3"], "give 0 or more"),
        (["sample", ".", "--output", "x.jpg"], ".npz or .tar"),
        (["info", "nothing"], "unknown model 'nothing'"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_leave_nothing(arguments, said, tmp_path, cli):
    offline = ["--offline"] if arguments[0] == "train" else []
    assert said in one_line(cli(*arguments, *offline, cwd=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_never_overwritten(run, cli):
    done = cli("train", "-c", run.parent.parent / "tiny.yml", "--output", run, "--offline")
    assert "already holds a run; continue it with ppgan-zoo train --resume" in one_line(done)


def test_the_version_is_told(cli):
    assert cli("--version").stdout.strip() == f"ppgan_zoo {ppgan_zoo.__version__}"


def test_a_wasserstein_gan_from_the_command_line(tiny_recipe, tmp_path, cli):
    done = cli(
        "train", "-c", tiny_recipe, "--offline", "--output", tmp_path / "w",
        "-o", "objective.name=wasserstein", "-o", "training.discriminator_steps=2",
        "-o", "training.first=generator", "-o", "latent.prior=uniform",
        "-o", "optimizer.discriminator.name=rmsprop", "-o", "training.epochs=1",
        "-o", "training.discriminator_batch=concatenated", "-o", "latent.shared=true",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "iteration 2 " in (tmp_path / "w" / "train.log").read_text()


def test_a_folder_of_rgb_images(tmp_path, cli):
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for number in range(8):
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number}.png")
    done = cli(
        "train", "-c", "dcgan_fashion", "--output", tmp_path / "rgb", "--offline",
        "-o", "data.name=folder", "--data-dir", "pictures",
        "-o", "data.image_size=32", "-o", "data.batch_size=4",
        "-o", "model.generator.channels=4", "-o", "model.discriminator.channels=4",
        "-o", "training.epochs=null", "-o", "training.iterations=2", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = cli("train", "--resume", tmp_path / "rgb", "-o", "training.iterations=3")
    assert done.returncode == 0, done.stderr  # the run knows where its data are
    assert cli("sample", tmp_path / "rgb", "-n", 4, "--output", tmp_path / "s.npy").returncode == 0
    assert np.load(tmp_path / "s.npy").shape == (4, 3, 32, 32)


def test_every_shell_of_the_library_is_offered():
    assert list(SHELLS) == list(shtab.SUPPORTED_SHELLS)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["ppgan-zoo", "leader"], "leaderboard"),
        (["ppgan-zoo", "train", "--dry"], "--dry-run"),
        (["ppgan-zoo", "data", "pre"], "prepare"),
        (["ppgan-zoo", "evaluate", "run", "--split", "te"], "test"),
    ],
)
def test_bash_completes_commands_options_and_values(typed, offered, cli, tmp_path):
    script = tmp_path / "completion.sh"
    script.write_text(cli("--print-completion", "bash").stdout)
    words = " ".join(typed)
    done = subprocess.run(
        ["bash", "-c", f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; "
         '_shtab_ppgan_zoo; printf "%s\\n" "${COMPREPLY[@]}"'],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert offered in done.stdout.split(), done.stderr
