"""Malformed recipes: what stands in the file, and files that are none."""

import os
from collections.abc import Callable
from pathlib import Path

from harness import Case, Stock

SOUND = """\
model: {name: gan_mlp, generator: {hidden_units: [32]}, discriminator: {hidden_units: [32]}}
latent: {dim: 8}
data: {name: mnist, batch_size: 32, limit: 128}
training: {epochs: 3}
"""

COMMAND = ("train", "-c", "recipe.yml", "--offline", "--dry-run")


def _written(content: str | bytes) -> Callable[[Path, Stock], None]:
    def build(folder: Path, stock: Stock) -> None:
        raw = content.encode() if isinstance(content, str) else content
        (folder / "recipe.yml").write_bytes(raw)

    return build


def _text(name: str, content: str | bytes, *says: str) -> Case:
    """Return the case of a file with exactly this content."""
    return Case(name, COMMAND, ("recipe.yml", *says), _written(content))


def _added(name: str, lines: str, *says: str) -> Case:
    """Return the case of a sound recipe with these lines after it, from line 5 on."""
    return _text(name, SOUND + lines, *says)


def _with(name: str, old: str, new: str, *says: str) -> Case:
    """Return the case of a sound recipe in which one thing was replaced."""
    assert old in SOUND
    return _text(name, SOUND.replace(old, new), *says)


WRONG_TYPES = [
    _added("seed is text", "seed: abc\n", ":5: seed: found 'abc'", "integer"),
    _added("seed is quoted", 'seed: "1"\n', "seed: found '1'", "integer"),
    _added("seed is a float", "seed: 1.0\n", "seed: found 1.0", "integer"),
    _added("seed is a boolean", "seed: true\n", "seed: found True", "integer"),
    _added("seed is a list", "seed: [1]\n", "seed: found [1]", "integer"),
    _added("seed is a section", "seed: {a: 1}\n", "seed: found {'a': 1}", "integer"),
    _added("seed is nothing", "seed:\n", "seed: found nothing", "integer"),
    _added("a date", "seed: 2024-01-01\n", "seed: found '2024-01-01'", "integer"),
    _added("base 60", "seed: 1:30\n", "seed: found '1:30'", "integer"),
    _added("octal", "seed: 0o17\n", "seed: found '0o17'", "integer"),
    _added("an underscore in a number", "seed: 1_000\n", "seed: found '1_000'", "integer"),
    _added("yes is no boolean", "latnt: yes\n", "latnt: unknown key", "did you mean 'latent'"),
    _with("epochs is a float", "epochs: 3", "epochs: 3.0", ":4: training.epochs: found 3.0"),
    _with("epochs in words", "epochs: 3", "epochs: three", "training.epochs: found 'three'"),
    _with("a section is a list", "{dim: 8}", "[dim, 8]", ":2: latent: found", "a section of dim"),
    _with("a section is text", "{epochs: 3}", "3 epochs", "training: found '3 epochs'", "section"),
    _with("a section is nothing", "{dim: 8}", "", "latent: found nothing", "a section of dim"),
    _with("the model is text", "model: {name: gan_mlp, generator: {hidden_units: [32]}, "
          "discriminator: {hidden_units: [32]}}", "model: gan_mlp", ":1: model: found 'gan_mlp'"),
    _with("a model's list is a number", "generator: {hidden_units: [32]}",
          "generator: {hidden_units: 32}", "model.generator.hidden_units: found 32", "tuple"),
    _with("a model's numbers are text", "generator: {hidden_units: [32]}",
          "generator: {hidden_units: [big]}", "model.generator.hidden_units", "integer"),
    _with("a model's section is a list", "generator: {hidden_units: [32]}",
          "generator: [32]", "model.generator: found [32]"),
    _added("a term is no list", "terms: r1\n", "terms: found 'r1'"),
    _added("a term is no section", "terms: [r1]\n", "terms.0"),
    _added("the grid is one number", "samples: {grid: 8}\n", "samples.grid: found 8"),
    _added("the grid has three sides", "samples: {grid: [8, 8, 8]}\n", "samples.grid"),
    _added("the grid is empty", "samples: {grid: []}\n", "samples.grid"),
]  # fmt: skip

WRONG_VALUES = [
    _added("negative seed", "seed: -1\n", "seed: found -1", "greater than or equal to 0"),
    _added("huge seed", "seed: 99999999999999999999\n", "seed: found 99999999999999999999"),
    _added("seed of 5000 digits", f"seed: {'9' * 5000}\n", ":5: ", "integer"),
    _with("no epochs", "epochs: 3", "epochs: 0", "training.epochs: found 0", "greater"),
    _with("negative epochs", "epochs: 3", "epochs: -3", "training.epochs: found -3", "greater"),
    _with("epochs beyond 32 bits", "epochs: 3", "epochs: 2147483648", "2147483648", "less"),
    _with("both lengths", "epochs: 3", "epochs: 3, iterations: 5", "exactly one of epochs"),
    _with("neither length", "epochs: 3", "first: generator", "exactly one of epochs"),
    _with("no batch", "batch_size: 32", "batch_size: 0", ":3: data.batch_size: found 0"),
    _with("a batch in powers of ten", "batch_size: 32", "batch_size: 1.0e+3", "valid integer: write 1000"),
    _with("negative batch", "batch_size: 32", "batch_size: -1", "data.batch_size: found -1"),
    _with("missing batch", "batch_size: 32, ", "", "data.batch_size: this key is needed"),
    _with("a batch above the data", "batch_size: 32", "batch_size: 129", "data.batch_size: 129",
          "lower it to"),
    _with("huge batch", "batch_size: 32", "batch_size: 2147483647", "data.batch_size: 2147483647"),
    _with("huge latent", "dim: 8", "dim: 2147483647", "latent_dim", "memory"),
    _with("latent of no size", "dim: 8", "dim: 0", "latent.dim: found 0"),
    _with("unknown data", "name: mnist", "name: mnits", "data.name: unknown kind of data 'mnits'",
          "did you mean 'mnist'"),
    _with("unknown model", "name: gan_mlp", "name: gan_mlpp", "model.name: unknown model",
          "did you mean 'gan_mlp'"),
    _with("folder without directory", "name: mnist", "name: folder", "set data.directory"),
    _with("channels of two", "limit: 128", "channels: 2", "data.channels: found 2", "1 or 3"),
    _with("image of a pixel", "limit: 128", "image_size: 1", "data.image_size: found 1"),
    _with("huge image", "limit: 128", "image_size: 1000000", "data.image_size: found 1000000"),
    _with("a limit of none", "limit: 128", "limit: 0", "data.limit: found 0"),
    _with("huge net", "generator: {hidden_units: [32]}", "generator: {hidden_units: [2147483647]}",
          "model.generator", "memory"),
    _with("a net that no machine holds", "generator: {hidden_units: [32]}",
          "generator: {hidden_units: [3000000, 3000000]}", "model.generator", "memory"),
    _with("a net of a width beyond 64 bits", "generator: {hidden_units: [32]}",
          "generator: {hidden_units: [100000000000000000000]}", "model.generator", "hidden_units="),
    _with("a net of no width", "generator: {hidden_units: [32]}",
          "generator: {hidden_units: [0]}", "model.generator", "hidden_units=(0,)"),
    _with("a net of negative width", "discriminator: {hidden_units: [32]}",
          "discriminator: {hidden_units: [-5]}", "model.discriminator", "hidden_units=(-5,)"),
    _with("a million layers", "generator: {hidden_units: [32]}",
          f"generator: {{hidden_units: [{'1, ' * 20000}1]}}", "generator.hidden_units: a list of 20001", "at most 1000"),
    _added("rate of nothing", "optimizer: {generator: {learning_rate: 0}}\n",
           "optimizer.generator.learning_rate: found 0", "greater than 0"),
    _added("negative rate", "optimizer: {generator: {learning_rate: -1e-3}}\n",
           "learning_rate: found -0.001", "greater than 0"),
    _added("huge rate", "optimizer: {generator: {learning_rate: 1e300}}\n",
           "learning_rate: found 1e+300", "less than or equal to 10"),
    _added("rate as text", 'optimizer: {generator: {learning_rate: "2e-4"}}\n',
           "learning_rate: found '2e-4'", "number"),
    _added("rate with a unit", "optimizer: {generator: {learning_rate: 2e-4x}}\n",
           "learning_rate: found '2e-4x'", "number"),
    _added("rate in hexadecimal", "optimizer: {generator: {learning_rate: 0x1p-3}}\n",
           "learning_rate: found '0x1p-3'"),
    _added("NaN", "ema: {decay: .nan}\n", ":5: ", "found nan", "finite"),
    _added("infinity", "ema: {decay: .inf}\n", ":5: ", "found inf", "finite"),
    _added("minus infinity", "ema: {decay: -.inf}\n", "found -inf", "finite"),
    _added("a number that overflows", "ema: {decay: 1e999}\n", "found inf", "finite"),
    _added("NaN as a word", "ema: {decay: nan}\n", "ema.decay: found 'nan'", "number"),
    _added("a decay of one", "ema: {decay: 1.0}\n", "ema.decay: found 1.0", "less than 1"),
    _added("a beta of two", "optimizer: {generator: {beta1: 2.0}}\n", "beta1: found 2.0"),
    _added("a momentum for Adam", "optimizer: {generator: {momentum: 0.9}}\n",
           "momentum: optimizer adam does not take it"),
    _added("unknown optimizer", "optimizer: {generator: {name: adma}}\n",
           "optimizer.generator.name: found 'adma'", "did you mean 'adam'"),
    _added("unknown objective", "objective: {name: hing}\n", "objective.name: unknown objective 'hing'",
           "did you mean 'hinge'"),
    _added("unknown device", "device: tpu\n", "device: found 'tpu'"),
    _added("a device that runs something", "device: 'cpu; touch canary'\n", "device: found"),
    _added("no such GPU", "device: gpu:99\n", "device gpu:99"),
    _added("a GPU of 400 digits", f"device: gpu:{'9' * 400}\n", "device"),
    _added("packing of a hundred", "constraints: {packing: 100}\n", "constraints.packing: found"),
    _added("packing that does not divide", "constraints: {packing: 3}\n", "data.batch_size: 32"),
    _added("grid of 65", "samples: {grid: [65, 1]}\n", "samples.grid.0: found 65"),
    _added("keep no checkpoint", "checkpoint: {keep_last: 0}\n", "checkpoint.keep_last: found 0"),
    _added("a term of no weight", "terms: [{name: r1, weight: 0}]\n",
           "terms.0.weight: found 0"),
    _added("a term where it once stood", "constraints: {penalties: [{name: r1}]}\n",
           ":5: constraints.penalties: is at the top level now", "write terms:"),
    _added("a schedule without an end", "terms: [{name: r1, weight: {name: linear, first: 1}}]\n",
           ":5: terms.0.weight: last: schedule linear needs it"),
    _added("a schedule that overflows", "terms: [{name: r1, weight: {name: steps, first: 1, "
           f"at_steps: [{', '.join(map(str, range(100)))}], factor: 1000}}}}]\n",
           "factor: at iteration 2 the value becomes 1e+09"),
    _added("a schedule of a million steps", "terms: [{name: r1, weight: {name: steps, first: 1, "
           f"at_steps: [{'1, ' * 10000}1], factor: 1}}}}]\n", "at most 100"),
    _added("two lengths of an average", "ema: {decay: 0.9, half_life: 9}\n", "give one of the two"),
    _added("unknown augmentation", "constraints: {augment: [colour]}\n",
           "constraints.augment.0: unknown augmentation 'colour'", "did you mean 'color'"),
    _added("unknown term", "terms: [{name: r3}]\n",
           "terms.0.name: unknown term 'r3'"),
]  # fmt: skip

UNKNOWN_KEYS = [
    _added("unknown section", "callbacks: [x]\n", ":5: callbacks: unknown key", "allowed: seed"),
    _added("unknown key in a section", "ema: {decai: 0.9}\n", "ema.decai: unknown key",
           "did you mean 'decay'"),
    _with("unknown argument of a net", "generator: {hidden_units: [32]}",
          "generator: {hidden_unit: [32]}", "did you mean 'hidden_units'"),
    _with("a dunder as argument", "generator: {hidden_units: [32]}",
          "generator: {__class__: x}", "model.generator.__class__", "no such argument"),
    _with("self as argument", "generator: {hidden_units: [32]}",
          "generator: {self: 1}", "model.generator.self", "no such argument"),
    _added("a key in capitals", "Seed: 1\n", "Seed: unknown key", "did you mean 'seed'"),
    _added("an empty key", '"": 1\n', ":5: ", "unknown key"),
    _added("a very long key", f"{'k' * 900}: 1\n", ":5: ", "kkk"),
]  # fmt: skip

NOT_PLAIN_YAML = [
    _added("duplicate key", "seed: 1\nseed: 2\n", ":6: ", "'seed' is there twice", "line 5"),
    _added("duplicate section", "latent: {dim: 9}\n", ":5: ", "'latent' is there twice"),
    _added("a key that is a number", "1: 2\n", ":5: ", "keys must be text"),
    _added("a key that is a list", "? [a]\n: 1\n", ":5: ", "keys must be text"),
    _added("merge key", "<<: {seed: 1}\n", ":5: ", "<<: unknown key"),
    _added("a key with an escape", '"se\\ed": 1\n', ":5: ", "unprintable"),
    _added("a key with a newline", '"se\\ned": 1\n', ":5: ", "unprintable"),
    _added("anchor and alias", "seed: &a 1\nlog: {every_steps: *a}\n", ":5: ", "anchors"),
    _text("billion laughs", "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)),
        ":1: ", "anchors"),
    _text("an alias to itself", "&a [*a]\n", "anchors"),
    _added("tag that runs a command", 'seed: !!python/object/apply:os.system ["touch canary"]\n',
           ":5: ", "tags are not allowed"),
    _added("tag that makes an object", "seed: !!python/object/new:subprocess.Popen "
           "[[touch, canary]]\n", ":5: ", "tags are not allowed"),
    _added("tag that imports", "seed: !!python/module:antigravity ''\n", "tags are not allowed"),
    _added("tag that evaluates", "seed: !!python/object/apply:eval "
           "[\"open('canary', 'w')\"]\n", "tags are not allowed"),
    _added("local tag", "seed: !env HOME\n", "tags are not allowed"),
    _added("binary tag", "seed: !!binary aGVsbG8=\n", "tags are not allowed"),
    _added("tag on the document's key", "!!str seed: 1\n", "tags are not allowed"),
    _text("tag on the whole", "!!python/object:object {}\n", "tags are not allowed"),
    _text("deep lists", "a: " + "[" * 5000 + "]" * 5000, "nested too deep"),
    _text("deep sections", "".join(" " * n + "a:\n" for n in range(300)), "nested too deep"),
    _text("a list not closed", "model: [1, 2\n", "not valid YAML"),
    _text("a quote not closed", 'model: "gan_mlp\n', "not valid YAML"),
    _text("a tab as indent", "model:\n\tname: gan_mlp\n", ":2: ", "not valid YAML"),
    _text("two documents", SOUND + "---\n" + SOUND, "not valid YAML"),
    _text("wrong indents", "model:\n   name: gan_mlp\n  seed: 1\n", "not valid YAML"),
    _text("JSON that stops", '{"model": {"name":', "not valid YAML"),
    _text("a YAML of version 9", "%YAML 9.9\n---\n" + SOUND, "not valid YAML"),
]  # fmt: skip

NO_RECIPE_AT_ALL = [
    _text("empty", "", "found nothing"),
    _text("only a comment", "# nothing\n", "found nothing"),
    _text("a list", "- model\n", "found a list"),
    _text("text", "gan_mlp\n", "found text"),
    _text("a number", "3\n", "found int"),
    _text("NUL bytes", b"\0" * 100, "not valid YAML"),
    _text("a NUL inside", SOUND.encode() + b"seed: 1\0\n", "not valid YAML"),
    _text("an escape character", SOUND.encode() + b"seed: \x1b[31m\n", "not valid YAML"),
    _text("Latin-1", SOUND.encode() + b"# \xe9t\xe9\n", "not UTF-8 at byte"),
    _text("UTF-16", SOUND.encode("utf-16"), "not UTF-8"),
    _text("overlong UTF-8", b"seed: \xc0\xae\n", "not UTF-8 at byte 6"),
    _text("a surrogate in UTF-8", b"seed: \xed\xa0\x80\n", "not UTF-8 at byte 6"),
    _text("a BOM inside", SOUND.encode() + b"\xef\xbb\xbfseed: 1\n", "recipe.yml"),
    _text("a PNG", b"\x89PNG\r\n\x1a\n" + bytes(64), "not UTF-8"),
    _text("a pickle", b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix\x94", "not UTF-8"),
    _text("a text pickle that runs", "cos\nsystem\n(S'touch canary'\ntR.", "recipe.yml"),
    _text("a Python program", "import os\nos.system('touch canary')\n", "recipe.yml"),
    _text("larger than a recipe", SOUND + "#" * 70_000, "larger than 65536 bytes"),
]


def _sparse(folder: Path, stock: Stock) -> None:
    with (folder / "recipe.yml").open("wb") as file:
        file.truncate(1 << 40)


def _cycle(folder: Path, stock: Stock) -> None:
    (folder / "recipe.yml").symlink_to("other.yml")
    (folder / "other.yml").symlink_to("recipe.yml")


FILES = [
    Case("a sparse terabyte", COMMAND, ("recipe.yml", "larger than 65536"), _sparse),
    Case("a folder", COMMAND, ("recipe.yml", "no such recipe file"),
         lambda folder, stock: (folder / "recipe.yml").mkdir()),
    Case("a pipe that nobody writes to", COMMAND, ("recipe.yml", "no such recipe file"),
         lambda folder, stock: os.mkfifo(folder / "recipe.yml")),
    Case("a device without end", ("train", "-c", "/dev/zero", "--offline"),
         ("/dev/zero", "no such recipe file")),
    Case("a terminal", ("train", "-c", "/dev/tty", "--offline"), ("/dev/tty", "no such")),
    Case("symlinks in a circle", COMMAND, ("recipe.yml", "no such recipe file"), _cycle),
    Case("a symlink to nothing", COMMAND, ("recipe.yml", "no such recipe file"),
         lambda folder, stock: (folder / "recipe.yml").symlink_to("gone.yml")),
    Case("a file that cannot be read", ("train", "-c", "/proc/self/mem", "--offline"),
         ("/proc/self/mem", "cannot be read")),
    Case("no file", COMMAND, ("recipe.yml", "no such recipe file", "shipped names")),
    Case("no shipped recipe", ("train", "-c", "dcgan_mnst"), ("did you mean 'dcgan_mnist'",)),
    Case("an empty name", ("train", "-c", ""), ("unknown recipe ''",)),
    Case("a name of 5000 letters", ("train", "-c", "x" * 5000), ("xxx", "known: ")),
    Case("a path of 5000 letters", ("train", "-c", "x/" * 2500 + "r.yml"), ("x/x", "shipped names")),
    Case("a name with an escape", ("train", "-c", "a\x1b[31mb"), ("unknown recipe",)),
    Case("a path with a newline", ("train", "-c", "a\nb.yml"), ("no such recipe file",)),
    Case("bytes that are no text", ("train", "-c", "\udcff.yml"), ("no such recipe file",)),
]  # fmt: skip


def _override(name: str, override: str, *says: str) -> Case:
    return Case(name, (*COMMAND, "-o", override), says, _written(SOUND))


OVERRIDES = [
    _override("override without a value", "seed", "-o seed", "key.path=value"),
    _override("override without a key", "=1", "-o =1", "key.path=value"),
    _override("override with an empty part", "data..limit=1", "-o data..limit=1"),
    _override("override of an unknown key", "data.limt=1", "did you mean 'limit'"),
    _override("override of a type", "seed=abc", "-o seed=abc: seed: found 'abc'"),
    _override("override into a number", "seed.x=1", "-o seed.x=1"),
    _override("override by a tag", "seed=!!python/object/apply:os.system ['touch canary']",
              "tags are not allowed"),
    _override("override by an alias", "seed=&a [*a]", "anchors"),
    _override("override by NaN", "ema.decay=.nan", "found nan", "finite"),
    _override("override with an escape", "se\x1b[31med=1", "key.path=value"),
    _override("override by deep lists", f"seed={'[' * 3000}", "nested too deep"),
    _override("override of a key with 3000 parts", f"{'a.' * 3000}a=1", "3001 parts"),
    _override("override with a comment", "device=cpu #2", "-o device=cpu #2", "comment", "quotes"),
    _override("override that is a comment", "seed= # none", "comment", "quotes"),
    _override("override of a list with a comment", "samples.grid=[2, 2] # small", "comment"),
    _override("override of a quoted text with a comment", "device='cpu' # here", "comment"),
    _override("override by a million digits", f"seed={'9' * 100_000}", "integer"),
]  # fmt: skip


def _data_directory(text: str) -> str:
    return SOUND.replace("limit: 128", f"directory: {text}")


PATHS = [
    Case("a NUL in a path", COMMAND, ("a\\x00b", "is no folder"),
         _written(_data_directory('"a\\0b"'))),
    Case("an escape in a path", COMMAND, ("a\\x1bb", "is no folder"),
         _written(_data_directory('"a\\eb"'))),
    Case("a home that is nobody's", COMMAND, ("~nobody-at-all/x", "is no folder"),
         _written(_data_directory("~nobody-at-all/x"))),
    Case("a path of 5000 letters in a recipe", COMMAND, ("x/x/x", "is no folder"),
         _written(_data_directory("x/" * 2500))),
    _with("a model's name that leaves", "name: gan_mlp", "name: ../../etc/passwd", "model.name"),
    _with("a model's name that is a module", "name: gan_mlp", "name: 'os:system'", "model.name"),
    _with("a model's name with a NUL", "name: gan_mlp", 'name: "gan\\0mlp"', "model.name"),
]  # fmt: skip

CASES = [
    *WRONG_TYPES, *WRONG_VALUES, *UNKNOWN_KEYS, *NOT_PLAIN_YAML, *NO_RECIPE_AT_ALL, *FILES,
    *OVERRIDES, *PATHS,
]  # fmt: skip
