"""Recipes and the strict YAML under them: what is read, what is refused and in which words."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ppgan_zoo.errors import ConfigError, UnknownNameError
from ppgan_zoo.recipe.base import Section, keys_without_effect
from ppgan_zoo.recipe.load import load_recipe, recipe_from
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.recipe.schedules import LearningRateSchedule, first_value
from ppgan_zoo.recipe.shipped import find_recipe, shipped_recipes
from ppgan_zoo.recipe.strict_yaml import parse_yaml, to_yaml
from ppgan_zoo.registry import AUGMENTATIONS, DATA, FEATURES, METRICS, OBJECTIVES, TERMS

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yml"))

SMALL = """\
model:
  name: dcgan
data:
  name: mnist
  batch_size: 64
training:
  epochs: 1
"""  # seven lines: what a test adds starts on line 8


@pytest.fixture
def path(tmp_path):
    return tmp_path / "r.yml"


def refusal(path, content, *overrides):
    """The error of a recipe with this content: one line, no longer than a person reads."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        load_recipe(path, overrides)
    message = str(caught.value)
    assert message.isprintable()  # so it is one line
    assert len(message) < 400
    return message


def loaded(path, content, *overrides):
    path.write_text(content, encoding="utf-8")
    return load_recipe(path, overrides)


# What is read.


def test_a_small_recipe_takes_the_documented_defaults(path):
    recipe = loaded(path, SMALL)
    assert (recipe.model.name, recipe.data.batch_size, recipe.training.epochs) == ("dcgan", 64, 1)
    assert (recipe.training.discriminator_steps, recipe.training.generator_steps) == (1, 2)
    assert recipe.optimizer.generator.learning_rate == 0.0002
    assert recipe.objective.name is None
    assert recipe.ema.decay is None
    assert recipe.samples.grid == (8, 8)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-4", 0.0002), ("1E+2", 100.0), ("2.", 2.0), (".5", 0.5), ("-3.5e1", -35.0),
        ("7", 7), ("-7", -7), ("+7", 7), ("0", 0), ("017", 17.0),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("1:30", "1:30"), ("1_000", "1_000"),
        ("0x10", "0x10"), ("2020-01-01", "2020-01-01"), ("=", "="), ("'2e-4'", "2e-4"),
        ("[1, 2e-4]", [1, 0.0002]), ("{a: b}", {"a": "b"}),
    ],
)  # fmt: skip
def test_scalars_are_read_as_yaml_1_2_and_json_do(text, value):
    found = parse_yaml(f"key: {text}", "r.yml").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_every_key_knows_its_line():
    document = parse_yaml("a: 1\nb:\n  c: 2\n  d: [3,\n    4]\n", "r.yml")
    assert document.lines == {("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "d"): 4}
    assert document.line_of(("b", "d", 1)) == 4
    assert document.line_of(("z",)) is None


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_shipped_recipes_load_and_round_trip(config, path):
    recipe = load_recipe(config)
    path.write_text(recipe.to_yaml(), encoding="utf-8")
    assert load_recipe(path) == recipe
    assert len(config.read_text(encoding="utf-8").splitlines()) <= 40  # readable on one screen


def test_shipped_recipes_are_found_by_bare_name():
    assert set(shipped_recipes()) == {config.stem for config in CONFIGS}
    assert find_recipe("dcgan_mnist").name == "dcgan_mnist.yml"


FULL = (
    SMALL
    + """\
  first: generator
seed: 5
device: gpu:0
latent: {dim: 7, prior: uniform, shared: true}
objective: {name: minimax, label_smoothing: {real: 0.1, generator: 0.05}}
optimizer:
  generator: {name: rmsprop, learning_rate: 1e-17, rho: 0.9}
  discriminator:
    learning_rate: 3e-5
    beta2: {name: steps, first: 0.9, at_steps: [3, 7], factor: 0.1}
    schedule: {name: linear, start: 3, final: 0.5}
ema: {decay: 0.999}
samples: {every_steps: 3, grid: [3, 4], real_rows: 1}
terms:
  - {name: r1, weight: {name: linear, first: 10, last: 1, start_step: 5, until_step: 90}}
  - {name: lecam, every_steps: 4, decay: 0.9, of: [1, 2]}
constraints:
  augment: [{name: bgc, color: 0.5}, cutout]
  augment_probability: {name: cosine, first: 0, last: 1}
trainer: {path_length: 2.0}
checkpoint: {best_by: null, keep_last: 9}
evaluation: {every_steps: 5, metrics: [fid, modes], num_samples: 500, split: test}
"""
)


def test_a_full_recipe_round_trips(path):
    recipe = loaded(path, FULL)
    assert recipe.latent.prior == "uniform"
    assert recipe.samples.grid == (3, 4)
    assert loaded(path, recipe.to_yaml()) == recipe


@pytest.mark.parametrize(
    "text",
    ["2e-4", "1e5", "yes", "true", "null", "~", "", "7", "017", "1:30", ".nan", "=", "a: b", "#",
     "&a", "*a", "!x", "a\nb", "a\n", "\n", "tab\t", "\x85", "\u2028", "\ufeff", "é", "\U0001f600",
     " edge ", "- a", "long " * 50, "'", '"', "\\", "%", "{", "2020-01-01", "---", "..."],
)  # fmt: skip
def test_any_text_round_trips(path, text):
    recipe = recipe_from(
        {
            "model": {"name": "dcgan", "generator": {"layers": [1, 2], "text": text}},
            "data": {"name": "folder", "directory": text, "batch_size": 1},
            "training": {"iterations": 1},
        }
    )
    assert loaded(path, recipe.to_yaml()) == recipe


def test_what_is_further_down_reads_the_new_shape_by_attributes(path):
    recipe = loaded(path, FULL)
    r1, lecam = recipe.terms
    assert (r1.weight.name, r1.weight.first, r1.weight.last) == ("linear", 10, 1)
    assert (r1.weight.start_step, r1.weight.until_step, r1.every_steps) == (5, 90, 1)
    assert (lecam.weight, lecam.every_steps) == (None, 4)
    assert (r1.arguments, lecam.arguments) == ({}, {"decay": 0.9, "of": (1, 2)})
    assert recipe.optimizer.discriminator.beta2.at_steps == (3, 7)
    assert recipe.optimizer.discriminator.learning_rate == 3e-5
    assert recipe.trainer == {"path_length": 2.0}
    bgc, cutout = recipe.constraints.augment
    assert (bgc.name, bgc.arguments, cutout) == ("bgc", {"color": 0.5}, "cutout")
    assert recipe.constraints.augment_probability.until_step is None


def test_a_scheduled_value_begins_at_its_first(path):
    optimizer = "optimizer: {generator: {beta2: {name: linear, first: 0.9, last: 0.99}}}\n"
    assert loaded(path, SMALL + optimizer).optimizer.generator.options() == {
        "beta1": 0.5, "beta2": 0.9,
    }  # fmt: skip
    assert first_value(3) == 3 and first_value(None) is None


def test_new_keys_are_off_unless_they_are_set(path):
    recipe = loaded(path, SMALL)
    assert (recipe.terms, recipe.trainer, recipe.data.options) == (None, {}, {})
    assert (recipe.model.conditional, recipe.model.nets) == (False, {})
    assert (recipe.ema.half_life, recipe.constraints.augment_probability) == (None, 1.0)
    text = SMALL.replace("dcgan", "dcgan\n  conditional: true\n  nets: {encoder: {depth: 3}}")
    text = text.replace("64", "64\n  options: {labels: x.csv}")
    recipe = loaded(path, text + "ema: {half_life: 10000}\n")
    assert recipe.model.nets == {"encoder": {"depth": 3}} and recipe.model.conditional
    assert recipe.data.options == {"labels": "x.csv"} and recipe.ema.half_life == 10000
    assert loaded(path, recipe.to_yaml()) == recipe


def test_names_of_plugins_are_known_as_soon_as_they_are_registered(path, monkeypatch):
    # A recipe takes the names from the registries, whose modules it does not import.
    monkeypatch.setitem(TERMS.built_in, "path_length", "no.such.module:TERM")
    monkeypatch.setitem(DATA.built_in, "celeba", "no.such.module:DATA")
    recipe = loaded(path, SMALL.replace("mnist", "celeba") + "terms: [{name: path_length}]\n")
    assert (recipe.data.name, recipe.terms[0].name) == ("celeba", "path_length")


def test_the_model_is_checked_by_name(path):
    message = refusal(path, SMALL.replace("dcgan", "dcgann"))
    assert message.startswith(
        f"{path}:2: model.name: unknown model 'dcgann' (did you mean 'dcgan'?); known: "
    )


def test_a_recipe_cannot_be_changed(path):
    recipe = loaded(path, SMALL)
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 1


# What is refused: each with file, line, key, what was found and what is allowed.

REFUSED = [
    ("sead: 1", "sead: unknown key (did you mean 'seed'?); allowed: seed, device, model"),
    ("zzz: 1", "zzz: unknown key; allowed: seed, device"),
    ("ema: {deca: 0.9}", "ema.deca: unknown key (did you mean 'decay'?); allowed: decay"),
    ("optimizer: {generator: {lerning_rate: 1}}",
     "optimizer.generator.lerning_rate: unknown key (did you mean 'learning_rate'?)"),
    ("seed: 1.5", "seed: found 1.5; input should be a valid integer"),
    ("seed: 1.0", "seed: found 1.0; input should be a valid integer"),
    ("seed: '1'", "seed: found '1'; input should be a valid integer"),
    ("seed: true", "seed: found True; input should be a valid integer"),
    ("seed: [1]", "seed: found [1]; input should be a valid integer"),
    ("seed: -1", "seed: found -1; input should be greater than or equal to 0"),
    ("seed: 2147483648", "seed: found 2147483648; input should be less than or equal to 2147483647"),
    ("seed:", "seed: found nothing; input should be a valid integer"),
    ("device: tpu", "device: found 'tpu'"),
    ("device: 'gpu:'", "device: found 'gpu:'"),
    ("ema: {decay: fast}", "ema.decay: found 'fast'; input should be a valid number"),
    ("ema: {decay: true}", "ema.decay: found True; input should be a valid number"),
    ("ema: {warmup: 1}", "ema.warmup: found 1; input should be greater than or equal to 2"),
    ("ema: {statistics_batches: 0}", "ema.statistics_batches: found 0; input should be greater"),
    ("ema: {decay: 1}", "ema.decay: found 1; input should be less than 1"),
    ("ema: {decay: -0.1}", "ema.decay: found -0.1; input should be greater than or equal to 0"),
    ("ema: 5", "ema: found 5; allowed: a section of decay"),
    ("ema: []", "ema: found []; allowed: a section of decay"),
    ("ema:", "ema: found nothing; allowed: a section of decay"),
    ("latent: {dim: 0}", "latent.dim: found 0; input should be greater than or equal to 1"),
    ("latent: {shared: 1}", "latent.shared: found 1; input should be a valid boolean"),
    ("latent: {shared: yes}", "latent.shared: found 'yes'; input should be a valid boolean"),
    ("latent: {prior: normall}",
     "latent.prior: found 'normall' (did you mean 'normal'?); allowed: 'normal' or 'uniform'"),
    ("samples: {grid: 8}", "samples.grid: found 8; input should be a valid list"),
    ("samples: {grid: [8]}", "samples.grid.1: this key is needed and missing"),
    ("samples: {grid: [8, 8, 8]}",
     "samples.grid: found [8, 8, 8]; list should have at most 2 items, not 3"),
    ("samples: {grid: [8, 0]}", "samples.grid.1: found 0; input should be greater than or equal"),
    ("objective: {name: hinje}", "objective.name: unknown objective 'hinje' (did you mean 'hinge'?); known: "),
    ("objective: {name: " + "x" * 300 + "}", "objective.name: unknown objective 'xxx"),
    ("objective: {label_smoothing: {real: 0.5}}",
     "objective.label_smoothing.real: found 0.5; input should be less than 0.5"),
    ("optimizer: {generator: {learning_rate: 0}}",
     "optimizer.generator.learning_rate: found 0; input should be greater than 0"),
    ("optimizer: {generator: {name: sgd, beta1: 0.5}}",
     "optimizer.generator: beta1: optimizer sgd does not take it; it takes weight_decay"),
    ("optimizer: {generator: {schedule: {name: cosine, start: 1}}}",
     "optimizer.generator.schedule: start: schedule cosine does not take it; it takes final"),
    ("optimizer: {generator: {schedule: {start: 1}}}",
     "schedule: start: schedule constant does not take it; it takes no other key"),
    ("optimizer: {generator: {schedule: {name: inverse_time}}}",
     "schedule: decay: schedule inverse_time needs it"),
    ("checkpoint: {best_by: kid}",
     "checkpoint.best_by: found 'kid' (did you mean 'fid'?); allowed: 'sliced_wasserstein' or 'fid'"),
    ("evaluation: {metrics: [fidd]}", "evaluation.metrics.0: unknown metric 'fidd' (did you mean 'fid'?)"),
    ("evaluation: {every_steps: 5, metrics: []}", "evaluation.metrics: found []; list should have"),
    ("evaluation: {num_samples: 99}", "evaluation.num_samples: found 99; input should be greater"),
    ("evaluation: {metrics: [memorisation]}", "set evaluation.split to test"),
    ("evaluation: {features: inception}",
     "evaluation.features: unknown feature network 'inception' (did you mean 'inception-v3'?)"),
    ("constraints: {augment: [cut_out]}",
     "constraints.augment.0: unknown augmentation 'cut_out' (did you mean 'cutout'?); known: bgc"),
    ("constraints: {augment: [{name: bdc, color: 0.5}]}",
     "constraints.augment.0.name: unknown augmentation 'bdc' (did you mean 'bgc'?); known: bgc"),
    ("constraints: {augment: [{color: 0.5}]}", "constraints.augment.0.name: this key is needed"),
    ("constraints: {augment: [color, 3]}",
     "constraints.augment.1: found 3; input should be a name, or a section with a name"),
    ("constraints: {augment: [null]}", "constraints.augment.0: found nothing; input should be a name"),
    ("constraints: {augment: bgc}", "constraints.augment: found 'bgc'; input should be a valid list"),
    ("constraints: {augment_probability: 1.1}", "augment_probability: found 1.1; input should be less"),
    ("constraints: {augment: [bgc], augment_probability: {name: adaptive, most: 1.5}}",
     "constraints.augment_probability.most: found 1.5; input should be less"),
    ("constraints: {augment: [bgc], augment_probability: {name: adaptive, first: 1}}",
     "constraints.augment_probability.first: unknown key"),
    ("constraints: {penalties: [{name: r1}]}",
     "constraints.penalties: is at the top level now, as terms; write terms: [{name: r1}] there"),
    ("terms: {name: r1}", "terms: found {'name': 'r1'}; input should be a valid list"),
    ("terms: [r1]", "terms.0: found 'r1'; allowed: a section of name, weight, every_steps"),
    ("terms: [{weight: 1}]", "terms.0.name: this key is needed and missing"),
    ("terms: [{name: r11}]", "terms.0.name: unknown term 'r11' (did you mean 'r1'?); known: "),
    ("terms: [{name: r1, weight: 0}]", "terms.0.weight: found 0; input should be greater than 0"),
    ("terms: [{name: r1, every_steps: 0}]", "terms.0.every_steps: found 0; input should be greater"),
    ("ema: {half_life: 0}", "ema.half_life: found 0; input should be greater than 0"),
    ("ema: {decay: 0.9, half_life: 5e5}", "half_life: replaces decay; give one of the two"),
    ("optimizer: {genrator: {learning_rate: 1}}",
     "optimizer.genrator: unknown key (did you mean 'generator'?)"),
    ("optimizer: {generator: {beta1: {name: linear, first: 0, last: 0.5}}}",
     "optimizer.generator.beta1: found {'name': 'linear'"),
    ("optimizer: {generator: {name: sgd, beta2: {name: linear, first: 0, last: 0.5}}}",
     "optimizer.generator: beta2: optimizer sgd does not take it"),
    ("optimizer: {generator: {schedule: {name: steps, at_steps: [5]}}}",
     "optimizer.generator.schedule: factor: schedule steps needs it"),
    ("optimizer: {generator: {schedule: {name: steps, at_steps: [5, 5], factor: 0.1}}}",
     "at_steps: found [5, 5]; each must be later than the one before"),
    ("optimizer: {generator: {schedule: {name: linear, factor: 0.1}}}",
     "schedule: factor: schedule linear does not take it; it takes final, start, until_step"),
    ("optimizer: {generator: {schedule: {name: linear, start: 5, until_step: 5}}}",
     "until_step: found 5; it must come after start, which is 5"),
    ("trainer: [1]", "trainer: found [1]; allowed: a section of keys"),
]  # fmt: skip


@pytest.mark.parametrize(("added", "words"), REFUSED, ids=[added[:40] for added, _ in REFUSED])
def test_wrong_values(path, added, words):
    message = refusal(path, SMALL + added + "\n")
    assert message.startswith(f"{path}:8: ")
    assert words in message


SCHEDULES = [
    ("fast", "weight: found 'fast'; input should be a valid number, or a section of name, first,"),
    ("true", "weight: found True; input should be a valid number"),
    ("{first: 1}", "weight.name: this key is needed and missing"),
    ("{name: linear, last: 1}", "weight.first: this key is needed and missing"),
    ("{name: linear, frst: 1, last: 1}", "weight.frst: unknown key (did you mean 'first'?)"),
    ("{name: lineal, first: 1, last: 2}", "weight.name: found 'lineal' (did you mean 'linear'?)"),
    ("{name: linear, first: 1}", "weight: last: schedule linear needs it"),
    ("{name: linear, first: 1, last: x}", "weight.last: found 'x'; input should be a valid number"),
    ("{name: linear, first: 0, last: 1}", "weight.first: found 0; input should be greater than 0"),
    ("{name: cosine, first: 1, last: 1e7}", "weight.last: found 10000000.0; input should be less"),
    ("{name: cosine, first: 1, last: 2, factor: 3}",
     "weight: factor: schedule cosine does not take it; it takes first, last, start_step, until_step"),
    ("{name: steps, first: 1, at_steps: [3], factor: 2, start_step: 1}",
     "weight: start_step: schedule steps does not take it; it takes at_steps, factor, first"),
    ("{name: steps, first: 1, factor: 2}", "weight: at_steps: schedule steps needs it"),
    ("{name: steps, first: 1, at_steps: [4, 3], factor: 2}", "at_steps: found [4, 3]; each must be"),
    ("{name: steps, first: 10, at_steps: [3, 4, 5], factor: 1000}",
     "factor: at iteration 4 the value becomes 1e+07; input should be less than or equal to 1000000"),
    ("{name: linear, first: 1, last: 2, start_step: 9, until_step: 9}",
     "until_step: found 9; it must come after start_step, which is 9"),
    ("{name: linear, frist: 1, first: 1, last: 2}",
     "weight.frist: unknown key (did you mean 'first'?); allowed: name, first, last, start_step"),
]  # fmt: skip


@pytest.mark.parametrize(("weight", "words"), SCHEDULES)
def test_wrong_schedules(path, weight, words):
    message = refusal(path, SMALL + "terms: [{name: r1, weight: " + weight + "}]\n")
    assert message.startswith(f"{path}:8: terms.0.weight")
    assert words in message


NOT_YAML = [
    ("seed: 1\nseed: 2", 9, "key 'seed' is there twice, first on line 8"),
    ("ema: {decay: 0.1, decay: 0.2}", 8, "key 'decay' is there twice, first on line 8"),
    ("model:\n  name: x", 8, "key 'model' is there twice, first on line 1"),
    ("ema: &a {}", 8, "anchors and aliases are not allowed"),
    ("ema: *a", 8, "anchors and aliases are not allowed"),
    ("seed: !!int 1", 8, "tags are not allowed"),
    ("seed: !!timestamp x", 8, "tags are not allowed"),
    ("seed: !!bool x", 8, "tags are not allowed"),
    ("seed: !!python/object/apply:os.system [x]", 8, "tags are not allowed"),
    ("<<: {seed: 1}", 8, "unknown key"),
    ("1: 2", 8, "keys must be text"),
    ("? [a]\n: 1", 8, "keys must be text"),
    ("null: 2", 8, "keys must be text"),
    ('"a\\nb": 1', 8, "unprintable characters"),
    ("seed: .nan", 8, "found nan; numbers must be finite"),
    ("ema: {decay: -.inf}", 8, "found -inf; numbers must be finite"),
    ("seed: 1e999", 8, "found inf; numbers must be finite"),
    ("seed: 1" + "0" * 5000, 8, ""),  # the words are Python's, by its patch version
    ("seed: " + "[" * 30, 8, "nested too deep"),
    ("seed: [1,", 9, "expected the node content"),
    ("seed: 1\n  b: 2", 9, "mapping values are not allowed here"),
    ("\tseed: 1", 8, "cannot start any token"),
    ("---\nb: 2", 8, "expected a single document in the stream, but found another document"),
    ("seed: '", 9, "end of stream"),
]


@pytest.mark.parametrize(("added", "line", "words"), NOT_YAML, ids=[a[:30] for a, _, _ in NOT_YAML])
def test_malformed_yaml(path, added, line, words):
    message = refusal(path, SMALL + added + "\n")
    assert message.startswith(f"{path}:{line}: ")
    assert words in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "must be a mapping of keys, found nothing"),
        ("# only a comment\n", "must be a mapping of keys, found nothing"),
        ("5", "must be a mapping of keys, found int"),
        ("- a", "must be a mapping of keys, found a list"),
        ("a\0b", "unacceptable character"),
        (b"seed: \xff", "not UTF-8 at byte 6"),
        (SMALL.encode("utf-16"), "not UTF-8 at byte 0"),
        (b"# " + b"x" * (1 << 20), "larger than 65536 bytes"),
    ],
)
def test_what_is_no_recipe_at_all(path, content, words):
    message = refusal(path, content)
    assert message.startswith(f"{path}: ")
    assert words in message


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("  name: mnist\n", "", 3, "data.name: this key is needed and missing"),
        ("data:\n  name: mnist\n  batch_size: 64\n", "", 0, "data: this key is needed and missing"),
        ("  epochs: 1\n", "  {}\n", 6, "training: give exactly one of epochs and iterations"),
        ("epochs: 1", "epochs: 1\n  iterations: 2", 6, "give exactly one of epochs and iterations"),
        ("mnist", "folder", 3, "data: directory: a folder of images needs one"),
        ("mnist", "folder\n  directory: x\n  channels: 2", 6, "data.channels: found 2; allowed: 1 or 3"),
        ("mnist", "minst", 4, "data.name: unknown kind of data 'minst' (did you mean 'mnist'?)"),
        ("name: dcgan", "name: dcgan\n  generator: [1]", 3, "found [1]; allowed: a section of keys"),
    ],
)  # fmt: skip
def test_wrong_sections(path, old, new, line, words):
    message = refusal(path, SMALL.replace(old, new))
    assert message.startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert words in message


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_recipe(tmp_path / "none.yml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_recipe(tmp_path)


def test_unknown_recipe_names():
    with pytest.raises(UnknownNameError, match=r"unknown recipe 'dcgan_mnst' \(did you mean"):
        find_recipe("dcgan_mnst")
    with pytest.raises(ConfigError, match="no/such.yml: no such recipe file.*dcgan_mnist"):
        find_recipe("no/such.yml")


def test_plain_data_is_checked_as_strictly():
    with pytest.raises(ConfigError, match=r"^recipe: seed: found 'x'"):
        recipe_from({"model": {"name": "dcgan"}, "data": {"name": "mnist", "batch_size": 1},
                     "training": {"epochs": 1}, "seed": "x"})  # fmt: skip


# Overrides.


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("seed=7", lambda recipe: recipe.seed == 7),
        ("optimizer.generator.learning_rate=2e-5",
         lambda recipe: recipe.optimizer.generator.learning_rate == 0.00002),
        ("samples.grid=[2, 3]", lambda recipe: recipe.samples.grid == (2, 3)),
        ("ema={decay: 0.5}", lambda recipe: recipe.ema.decay == 0.5),
        ("ema.warmup=4", lambda recipe: recipe.ema.warmup == 4.0),
        ("model.generator.text=a=b", lambda recipe: recipe.model.generator == {"text": "a=b"}),
    ],
)  # fmt: skip
def test_overrides_set_any_key(path, override, read):
    assert read(loaded(path, SMALL, override))


def test_overrides_apply_in_order(path):
    recipe = loaded(
        path, SMALL, "seed=1", "training.epochs=null", "training.iterations=9", "seed=2"
    )
    assert (recipe.seed, recipe.training.epochs, recipe.training.iterations) == (2, None, 9)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed", "write it as key.path=value, such as -o seed=1"),
        ("=1", "write it as key.path=value"),
        ("a..b=1", "write it as key.path=value"),
        ("a\nb=1", "write it as key.path=value"),
        ("seed=x", "seed: found 'x'; input should be a valid integer"),
        ("seed=", "seed: found nothing"),
        ("seed.x=1", "seed is int, not a section"),
        ("model.name.x=1", "model.name is text, not a section"),
        ("seed=[1", "not valid YAML: while parsing a flow sequence"),
        ("seed=.nan", "numbers must be finite"),
        ("seed=&a 1", "anchors and aliases are not allowed"),
        ("seed=1\nb: 2", "not valid YAML"),
        ("sead=1", "sead: unknown key (did you mean 'seed'?)"),
        ("traning.epochs=5", "traning: unknown key (did you mean 'training'?)"),
        ("training.epoch=5", "training.epoch: unknown key (did you mean 'epochs'?)"),
        ("log=5", "log: found 5; allowed: a section of to, every_steps"),
        ("optimizer.generator={name: adm}", "found 'adm' (did you mean 'adam'?)"),
    ],
)
def test_wrong_overrides_are_named(path, override, words):
    message = refusal(path, SMALL + "seed: 3\n", override)
    shown = repr(override) if "\n" in override else override
    assert message.startswith(f"-o {shown}: ")
    assert words in message


def test_the_guilty_one_of_many_overrides_is_named(path):
    assert refusal(path, SMALL, "log.every_steps=5", "se=1", "seed=2").startswith("-o se=1: ")
    assert refusal(path, SMALL, "seed=1", "seed=x").startswith("-o seed=x: ")
    assert refusal(path, SMALL + "seed: x\n", "se=1").startswith(f"{path}:8: seed: found 'x'")
    assert refusal(path, SMALL + "seed: x\n", "ema.decay=0.5").startswith(
        f"{path}:8: seed: found 'x'"
    )


# No Paddle.


@pytest.mark.parametrize(
    "code",
    [
        "from ppgan_zoo.recipe.load import load_recipe; load_recipe({config!r})",
        "import ppgan_zoo; assert 'dcgan' in ppgan_zoo.list_models()",
        "from ppgan_zoo.recipe.shipped import shipped_recipes; assert shipped_recipes()",
    ],
)
def test_reading_recipes_and_listing_names_import_no_paddle(code):
    code = code.format(config=str(CONFIGS[0]))
    check = "import sys; found = {'paddle', 'visualdl'} & set(sys.modules); assert not found, found"
    root = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", f"{code}\n{check}"], check=True, timeout=60, cwd=root)


def test_the_folder_needs_nothing_that_stands_above_it():
    folder = Path(__file__).parents[2] / "ppgan_zoo" / "recipe"
    found = {
        module
        for path in folder.glob("*.py")
        for module in re.findall(r"(?:from|import) (paddle|ppgan_zoo[.\w]+)", path.read_text())
        if not module.startswith("ppgan_zoo.recipe.")
    }
    # Of what is stored, only how a file is read.
    assert found == {"ppgan_zoo.errors", "ppgan_zoo.registry", "ppgan_zoo.storage.files"}


# Nothing but ConfigError, whatever the bytes.

try:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
except ImportError:  # the 2.6.2 environment has none
    pass
else:
    quick = settings(
        max_examples=150, deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip
    # Fragments that YAML gives a meaning to, so that the parser is reached and not just its lexer.
    fragments = st.sampled_from(
        [*"abn:-#&*!|>%@`[]{},?'\"\\ \n\t.0159eExo_+=~<", ": ", "\n  ", "- ", "!!float ", "!!set ",
         "<<", "&a ", "*a", "---", "...", ".nan", "1e9", "seed", "model", "name: dcgan", "\x85",
         "\ufeff", "\u2028", "%YAML 1.2", "%TAG ! x", "\\x00", "0b", "190:20:30"]
    )  # fmt: skip
    yaml_text = st.lists(fragments, max_size=40).map("".join) | st.text(max_size=60)

    def never_anything_but_config_error(path, content, *overrides):
        path.write_bytes(content)
        try:
            assert isinstance(load_recipe(path, overrides), Recipe)
        except ConfigError as error:
            assert str(error).isprintable()

    @quick
    @given(content=st.binary(max_size=60))
    def test_random_bytes(path, content):
        never_anything_but_config_error(path, content)

    @quick
    @given(text=yaml_text)
    def test_random_yaml(path, text):
        never_anything_but_config_error(path, text.encode("utf-8", "surrogatepass"))

    @quick
    @given(text=yaml_text, at=st.integers(0, len(SMALL)))
    def test_random_yaml_inside_a_recipe(path, text, at):
        content = SMALL[:at] + text + SMALL[at:]
        never_anything_but_config_error(path, content.encode("utf-8", "surrogatepass"))

    @quick
    @given(text=yaml_text)
    def test_random_overrides(path, text):
        never_anything_but_config_error(path, SMALL.encode(), text)
        never_anything_but_config_error(path, SMALL.encode(), f"model.generator.x={text}")

    plain = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5).filter(str.isprintable), inner, max_size=3),
        max_leaves=8,
    )  # fmt: skip

    @quick
    @given(value=plain)
    def test_any_plain_data_round_trip(value):
        assert parse_yaml(to_yaml({"key": value}), "r.yml").data == {"key": value}


def test_adam_betas_left_out_are_those_of_the_dcgan_paper(path):
    for optimizer in ("", "optimizer: {generator: {learning_rate: 1e-3}}\n"):
        section = loaded(path, SMALL + optimizer).optimizer.generator
        assert section.options() == {"beta1": 0.5, "beta2": 0.999}
    nothing = "optimizer: {generator: {beta1: null, beta2: null}}\n"
    section = loaded(path, SMALL + nothing).optimizer.generator
    assert section.options() == {"beta1": 0.5, "beta2": 0.999}
    given = "optimizer: {generator: {beta1: 0.0}, discriminator: {name: rmsprop}}\n"
    sections = loaded(path, SMALL + given).optimizer
    assert sections.generator.options() == {"beta1": 0.0, "beta2": 0.999}
    assert sections.discriminator.options() == {}


# The page.

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "recipes.md").read_text(encoding="utf-8")


def keys_of(section, prefix=""):
    """Every key of a kind of recipe, with the section before it where the page has it so."""
    for key, value in section:
        if isinstance(value, Section) and key not in ("schedule", "weight"):
            yield from keys_of(value, "" if prefix == "optimizer." else f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_every_key_is_on_the_page():
    text = SMALL + "terms: [{name: r1, weight: {name: linear, first: 1, last: 2}}]\n"
    recipe = recipe_from(parse_yaml(text, "page").data)
    (term,) = recipe.terms
    keys = {*keys_of(recipe), *keys_of(term), *keys_of(term.weight)}
    keys |= set(LearningRateSchedule.model_fields)
    parents = "constraints.spectral_norm.generator"  # stands there as ".generator"
    missing = {key for key in keys - {parents} if f"`{key}`" not in PAGE}
    assert not missing - {"trainer"} and "**`trainer`**" in PAGE


def test_the_page_names_all_that_is_built_in():
    """The terms by a link to the page that explains them."""
    terms = (DOCS / "objectives.md").read_text(encoding="utf-8")
    assert "(objectives.md#terms-terms)" in PAGE
    for registry in (OBJECTIVES, TERMS, AUGMENTATIONS, METRICS, DATA, FEATURES):
        text = terms if registry is TERMS else PAGE
        assert [name for name in registry.built_in if f"`{name}`" not in text] == []


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_examples_of_the_page_are_recipes(example):
    assert recipe_from({**parse_yaml(SMALL, "small").data, **parse_yaml(example, "page").data})


# Keys without effect.

WITHOUT_EFFECT = [
    ("ema.warmup=4", "ema.decay", "ema.decay=0.9"),
    ("ema.warmup=4", "ema.decay", "ema.half_life=10000"),
    ("ema.statistics_batches=64", "ema.decay", "ema.decay=0.9"),
    ("evaluation.metrics=[kid]", "evaluation.every_steps", "evaluation.every_steps=5"),
    ("evaluation.num_samples=500", "evaluation.every_steps", "checkpoint.best_by=fid"),
    ("evaluation.features=digits-v1", "evaluation.every_steps", "checkpoint.best_by=fid"),
    ("evaluation.weights=x", "evaluation.every_steps", "evaluation.every_steps=5"),
    ("evaluation.split=test", "evaluation.every_steps", "evaluation.every_steps=5"),
    ("constraints.instance_noise.until_step=9", "constraints.instance_noise.std",
     "constraints.instance_noise.std=0.1"),
    ("constraints.augment_probability=0.5", "constraints.augment", "constraints.augment=[color]"),
    ("constraints.augment_probability={name: linear, first: 0, last: 1}", "constraints.augment",
     "constraints.augment=[color]"),
    ("recovery.max_rollbacks=9", "recovery.non_finite: rollback", "recovery.non_finite=rollback"),
]  # fmt: skip


@pytest.mark.parametrize(("override", "needed", "remedy"), WITHOUT_EFFECT)
def test_a_key_without_effect_is_told_with_what_would_give_it_one(path, override, needed, remedy):
    place = override.partition("=")[0]
    key = place.rpartition(".")[2]
    recipe = loaded(path, SMALL, override)
    line = f"{place}: has no effect without {needed}; set that one, or leave {key} out"
    assert keys_without_effect(recipe) == [line]
    # A run keeps its recipe with every key in it, and resumes with the same warnings.
    assert keys_without_effect(loaded(path, recipe.to_yaml())) == [line]
    assert keys_without_effect(loaded(path, SMALL, override, remedy)) == []


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_shipped_recipes_have_no_key_without_effect(config):
    assert keys_without_effect(load_recipe(config)) == []


def test_a_key_that_is_set_to_its_default_is_not_told(path):
    recipe = loaded(path, SMALL, "ema.statistics_batches=16", "evaluation.num_samples=2000")
    assert keys_without_effect(recipe) == []
    assert keys_without_effect(loaded(path, recipe.to_yaml())) == []


@pytest.mark.parametrize("model", ["gan_mlp", "dcgan", "dcgan_fashion"])
def test_the_recipe_of_each_of_the_first_names_trains_d_once_and_g_twice(model):
    name = model if model == "dcgan_fashion" else f"{model}_mnist"
    recipe = load_recipe(find_recipe(name))
    assert recipe.model.name == model
    training = recipe.training
    assert (training.discriminator_steps, training.generator_steps) == (1, 2)
    assert training.first == "discriminator"
