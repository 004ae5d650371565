"""Constraints from the YAML: what is refused, what is warned of, and whole runs."""

from dataclasses import replace

import pytest

from ppgan_zoo.cli import main
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.schedules import at
from ppgan_zoo.models.facts import build_model
from ppgan_zoo.recipe.load import load_recipe, recipe_from
from ppgan_zoo.registry import MODELS
from ppgan_zoo.run.build import build_trainer, facts_of
from ppgan_zoo.training.trainer import Trainer
from tests.conftest import tree_bytes

SHAPE = (1, 28, 28)
ALL = (
    "terms=[{name: r1, weight: 1, every_steps: 2}, {name: lecam}]",
    "constraints.spectral_norm={discriminator: true, generator: true}",
    "constraints.instance_noise={std: 0.1, until_step: 8}",
    "constraints.packing=2",
    "constraints.augment=[color, translation, cutout]",
    "training.accumulate_steps=2",
    "objective.name=relativistic_pairing",
    "samples.every_steps=null",
    "samples.real_rows=0",
)


def options(overrides):
    return [part for override in overrides for part in ("-o", override)]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("constraints.wieght_clip=1", "unknown key (did you mean 'weight_clip'?)"),
        ("constraints.weight_clip=-1", "constraints.weight_clip: found -1"),
        ("terms=[{name: r3}]", "terms.0.name: unknown term 'r3'"),
        ("constraints.penalties=[{name: r1}]", "constraints.penalties: is at the top level"),
        ("terms=[r1]", "allowed: a section of name, weight, every_steps"),
        ("terms=[{weight: 1}]", "this key is needed and missing"),
        ("constraints.augment=[colour]", "did you mean 'color'"),
        ("constraints.packing=3", "data.batch_size: 32 is no multiple of 3, the product of"),
        ("training.accumulate_steps=5", "data.batch_size: 32 is no multiple of 5, the product of"),
        ("objective.name=relativistic", "did you mean 'relativistic_"),
    ],
)
def test_mistakes_in_a_recipe_are_one_line(override, said, tiny_recipe):
    with pytest.raises(ConfigError) as caught:
        load_recipe(tiny_recipe, [override])
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        ("model={name: cgan}", "each; leave packing out"),
        ("model.conditional=true", "each; leave packing or model.conditional out"),
    ],
)
def test_packing_with_labels_gets_advice_that_can_be_followed(model, advice, tiny_recipe, capsys):
    command = ["train", "-c", str(tiny_recipe), "--offline", "--dry-run", "-o", model]
    assert main([*command, "-o", "constraints.packing=2"]) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.endswith(advice)


def test_a_mistake_in_a_list_names_its_line(tiny_recipe):
    text = tiny_recipe.read_text()
    tiny_recipe.write_text(text + "terms:\n  - name: r1\n    weight: heavy\n")
    line = len(text.splitlines()) + 3
    with pytest.raises(ConfigError, match=rf"tiny\.yml:{line}: terms\.0\.weight"):
        load_recipe(tiny_recipe)


def built(tiny_recipe, *overrides):
    recipe = load_recipe(tiny_recipe, overrides)
    gan = build_model(facts_of(recipe, SHAPE))
    return build_trainer(recipe, gan, 10)


def test_every_key_reaches_the_trainer(tiny_recipe):
    trainer = built(tiny_recipe, *ALL)
    assert [(t.name, t.weight, t.every_steps) for t in trainer.game.terms.terms] == [
        ("r1", 1.0, 2), ("lecam", 0.01, 1),
    ]  # fmt: skip
    assert trainer.game.view.augment == ("color", "translation", "cutout")
    assert (
        trainer.game.view.noise_std,
        trainer.game.view.noise_until,
        trainer.game.view.packing,
    ) == (0.1, 8, 2)
    of_d, of_g = trainer.updates
    assert of_d.accumulate_steps == of_g.accumulate_steps == 2 and of_d.weight_clip is None
    names = [name for name, _ in trainer.gan.discriminator.named_parameters()]
    assert "layers.0.weight_orig" in names
    assert trainer.gan.discriminator.layers[0].weight_orig.shape == [2 * 784, 32]
    assert built(tiny_recipe, "constraints.weight_clip=0.5").updates[0].weight_clip == 0.5


def test_a_recipe_with_constraints_reads_back_equal(tiny_recipe, tmp_path):
    recipe = load_recipe(tiny_recipe, ALL)
    (tmp_path / "again.yml").write_text(recipe.to_yaml())
    assert load_recipe(tmp_path / "again.yml") == recipe


def test_recipes_without_constraints_build_what_they_built(tiny_recipe):
    trainer = built(tiny_recipe)
    assert trainer.game.terms.terms == () and trainer.warnings == []
    data = {"model": {"name": "gan_mlp"}, "data": {"name": "mnist", "batch_size": 4},
            "training": {"epochs": 1}}  # fmt: skip
    assert recipe_from(data).constraints.packing == 1


def test_keys_of_an_average_that_is_not_there_are_warned_of(tiny_recipe):
    keys = ("ema.warmup=4", "ema.statistics_batches=64")
    none = "ema.decay=null"
    assert built(tiny_recipe, none, *keys).warnings == [
        "ema.warmup: has no effect without ema.decay; set that one, or leave warmup out",
        "ema.statistics_batches: has no effect without ema.decay; set that one, or leave "
        "statistics_batches out",
    ]
    assert built(tiny_recipe, *keys).warnings == []
    assert built(tiny_recipe, none, "ema.statistics_batches=16").warnings == []


def test_warnings_are_told_at_load_and_in_the_log(tiny_recipe, tmp_path, cli):
    wasserstein = ("objective.name=wasserstein", "training.epochs=1")
    dry = cli("train", "-c", tiny_recipe, "--offline", "--dry-run", *options(wasserstein))
    assert dry.returncode == 0, dry.stderr
    assert "warning: objective.name: wasserstein needs a D of bounded slope" in dry.stdout
    done = cli(
        "train", "-c", tiny_recipe, "--offline", "--output", tmp_path / "run",
        *options(wasserstein),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING objective.name: wasserstein needs" in (tmp_path / "run/train.log").read_text()


def test_the_resolved_recipe_of_a_dry_run_builds_the_same_packed_model(tiny_recipe, tmp_path, cli):
    done = cli("train", "-c", tiny_recipe, "--offline", "--dry-run", *options(ALL))
    assert done.returncode == 0, done.stderr
    resolved = tmp_path / "resolved.yml"
    resolved.write_text(done.stdout.partition("\n---\n")[0])
    left, right = load_recipe(tiny_recipe, ALL), load_recipe(resolved)
    assert right.model.discriminator["image_shape"] == (2, 28, 28)
    assert facts_of(left, SHAPE) == facts_of(right, SHAPE)


def test_nonsense_is_refused_from_the_command_line_and_leaves_nothing(tiny_recipe, tmp_path, cli):
    done = cli(
        "train", "-c", tiny_recipe, "--offline", "--output", tmp_path / "run",
        "-o", "constraints.weight_clip=0.01", "-o", "terms=[{name: wgan_gp}]",
    )  # fmt: skip
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]  # after the note on where the data come from
    assert "clipping and the gradient penalty wgan_gp do the same job" in line
    assert not (tmp_path / "run").exists()


def test_a_run_under_all_constraints_resumes_to_the_same_bytes_and_exports(
    tiny_recipe, tmp_path, cli
):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train = ("train", "-c", tiny_recipe, "--offline", *options(ALL))
    for arguments in (
        (*train, "--output", whole, "-o", "training.epochs=2"),
        (*train, "--output", halves, "-o", "training.epochs=1"),
        ("train", "--resume", halves, "--offline", "-o", "training.epochs=2"),
    ):
        done = cli(*arguments)
        assert done.returncode == 0, done.stderr
    last = sorted((whole / "checkpoints").glob("step-*"))[-1].name
    left, right = (tree_bytes(run / "checkpoints" / last) for run in (whole, halves))
    assert "terms.safetensors" in left
    assert left == right
    # Export compares the written program with the trained generator, spectral norm and all.
    done = cli("export", "--checkpoint", whole, "--output", tmp_path / "exported")
    assert done.returncode == 0, done.stderr


class PacedTrainer(Trainer):
    """A plugin's trainer with an argument of its own."""

    def __init__(self, gan, game, updates, ema, chance, *, pace: int = 1):
        super().__init__(gan, game, updates, ema, chance)
        self.pace = pace


@pytest.fixture
def paced(monkeypatch):
    spec = replace(MODELS.get("gan_mlp"), name="paced", trainer=PacedTrainer)
    monkeypatch.setitem(MODELS._registered, "paced", spec)


def test_the_section_trainer_is_checked_against_the_class_of_the_trainer(paced, tiny_recipe):
    assert built(tiny_recipe, "model.name=paced").pace == 1
    assert built(tiny_recipe, "model.name=paced", "trainer.pace=3").pace == 3
    for overrides, words in (
        (["trainer.pase=3"], r"trainer\.pase: PacedTrainer, .* has no such argument .did you mean"),
        (["trainer.pace=fast"], r"trainer\.pace: found 'fast'; input should be a valid integer"),
    ):
        with pytest.raises(ConfigError, match=words):
            built(tiny_recipe, "model.name=paced", *overrides)
    with pytest.raises(ConfigError, match=r"trainer\.pace: Trainer, .*; allowed: none"):
        built(tiny_recipe, "trainer.pace=3")


def test_schedules_and_arguments_of_terms_reach_the_trainer(tiny_recipe):
    trainer = built(
        tiny_recipe,
        "terms=[{name: r1, weight: {name: linear, first: 10, last: 1, until_step: 5}}, "
        "{name: lecam, decay: 0.5}]",
        "optimizer.discriminator.beta2={name: cosine, first: 0.9, last: 0.99}",
        "optimizer.generator.schedule={name: steps, at_steps: [4], factor: 0.1, warmup_steps: 2}",
        "constraints.augment=[translation]",
        "constraints.augment_probability={name: linear, first: 0, last: 1}",
        "ema={half_life: 500}",
    )
    r1, lecam = trainer.game.terms.terms
    assert [at(r1.weight, i) for i in (0, 5, 9)] == [10, 1, 1]
    assert dict(lecam.arguments) == {"decay": 0.5}
    of_d, of_g = trainer.updates
    assert [at(of_d.beta2, i) for i in (0, 10)] == pytest.approx([0.9, 0.99])
    assert [of_g.schedule(i) for i in (0, 1, 3, 4)] == pytest.approx([1e-4, 2e-4, 2e-4, 2e-5])
    assert [at(trainer.game.view.augment_probability, i) for i in (0, 5, 10)] == [0, 0.5, 1]
    assert trainer.ema.half_life == 500
    with pytest.raises(ConfigError, match="terms: lecam: has no argument 'dekay'"):
        built(tiny_recipe, "terms=[{name: lecam, dekay: 0.5}]")


def test_arguments_of_augmentations_reach_the_trainer(tiny_recipe):
    trainer = built(tiny_recipe, "constraints.augment=[{name: bgc, color: 0.5, blit: 0}, cutout]")
    bgc, cutout = trainer.game.view.augment
    assert (bgc.name, dict(bgc.arguments), cutout) == ("bgc", {"color": 0.5, "blit": 0}, "cutout")
    with pytest.raises(ConfigError, match=r"augment: bgc: has no argument 'colour' \(did you mean"):
        built(tiny_recipe, "constraints.augment=[{name: bgc, colour: 0.5}]")
    with pytest.raises(ConfigError, match="augment: bgc: color: found 2; input should be less"):
        built(tiny_recipe, "constraints.augment=[{name: bgc, color: 2}]")


def test_an_adaptive_probability_comes_from_the_recipe(tiny_recipe):
    trainer = built(
        tiny_recipe,
        "constraints.augment=[bgc]",
        "constraints.augment_probability={name: adaptive, images: 1000, most: 0.5}",
    )
    controller = trainer.game.view.controller
    assert (controller.target, controller.images, controller.most) == (0.6, 1000, 0.5)
    assert trainer.parts["augmentation"] is controller
