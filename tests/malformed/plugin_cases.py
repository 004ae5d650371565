"""Broken plugins: installed packages whose names, modules or things are not what they should be."""

from pathlib import Path

from harness import Case, Stock
from recipe_cases import SOUND

SITE = "site"  # a folder that the harness puts on the path, as an environment has one

NETS = """\
from paddle import nn
from ppgan_zoo import GanSpec

class G(nn.Layer):
    def __init__(self, *, latent_dim: int = 8, image_shape: tuple[int, int, int] = (1, 28, 28)):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, image_shape
        self.dense = nn.Linear(latent_dim, 784)
    def forward(self, z):
        return self.dense(z).tanh().reshape([-1, 1, 28, 28])

class D(nn.Layer):
    def __init__(self, *, image_shape: tuple[int, int, int] = (1, 28, 28)):
        super().__init__()
        self.dense = nn.Linear(784, 1)
    def forward(self, images):
        return self.dense(images.flatten(1))

given = dict(name="bad", generator=G, discriminator=D, paper="none")
"""
SPEC = "SPEC = GanSpec(**given)\n"
RECIPE = SOUND.replace(
    "name: gan_mlp, generator: {hidden_units: [32]}, discriminator: {hidden_units: [32]}",
    "name: bad",
)
TRAIN = ("train", "-c", "recipe.yml", "--offline", "--output", "out")
INFO = ("info", "bad")
CHECK = ("check", "bad_plugin:SPEC")


def _installed(
    text: str,
    value: str = "bad_plugin:SPEC",
    group: str = "models",
    recipe: str = RECIPE,
    name: str = "bad",
):
    """Return what installs a module as a plugin, as pip would."""

    def build(folder: Path, stock: Stock) -> None:
        site = folder / SITE
        (site / "bad_plugin-1.0.dist-info").mkdir(parents=True)
        (site / "bad_plugin.py").write_text(text)
        (site / "bad_plugin-1.0.dist-info" / "METADATA").write_text(
            "Name: bad_plugin\nVersion: 1\n"
        )
        (site / "bad_plugin-1.0.dist-info" / "entry_points.txt").write_text(
            f"[ppgan_zoo.{group}]\n{name} = {value}\n"
        )
        (folder / "recipe.yml").write_text(recipe)

    return build


def _module(name: str, text: str, *says: str, arguments: tuple[str, ...] = INFO) -> Case:
    """Return the case of a module with exactly this text."""
    return Case(name, arguments, says, _installed(text))


def _spec(name: str, change: str, *says: str, arguments: tuple[str, ...] = INFO) -> Case:
    """Return the case of a sound module in which something is changed before the spec."""
    return _module(name, NETS + change + SPEC, *says, arguments=arguments)


def _value(name: str, value: str, *says: str) -> Case:
    """Return the case of an entry point that says this."""
    return Case(name, INFO, says, _installed(NETS + SPEC, value))


def _exits(name: str, where: str, *says: str, code: str = "sys.exit(0)") -> Case:
    """Return the case of a training in which something ends the program."""
    changed = NETS.replace(where, f"{where}\n        {code}").replace(
        "from paddle", "import sys\nfrom paddle", 1
    )
    assert code in changed
    return _module(name, changed + SPEC, *says, arguments=TRAIN)


IMPORTS = [
    _module("a module that ends the program", "import sys; sys.exit(0)", "bad", "SystemExit"),
    _module("a module that ends it with a text", "raise SystemExit('bye')", "bad", "SystemExit"),
    _module("a module that raises", "1 / 0", "model 'bad' of bad_plugin", "ZeroDivisionError"),
    _module("a module that is no Python", "def", "model 'bad' of bad_plugin", "SyntaxError"),
    _module("a module with a NUL", "a\0b", "model 'bad' of bad_plugin"),
    _module("a module that needs another", "import no_such_thing", "bad", "no_such_thing"),
    _module("a module that imports itself", "from bad_plugin import SPEC", "bad", "ImportError"),
    _module("a module without end", "def f(): f()\nf()", "bad", "RecursionError"),
    _module("a module that asserts", "assert False", "bad", "AssertionError"),
    _module("a module that runs out of memory", "raise MemoryError", "bad", "MemoryError"),
    _module("a module with an error of two lines", "raise ValueError('a\\nb\\x1b[31m')", "a b"),
    _module("a module with nothing in it", "", "bad", "AttributeError", "SPEC"),
    _module("a training with a module that ends it", "import sys; sys.exit(0)", "SystemExit",
            arguments=TRAIN),
    _module("a check of a module that ends it", "import sys; sys.exit(0)", "SystemExit",
            arguments=CHECK),
]  # fmt: skip

TARGETS = [
    _value("an entry point of no such thing", "bad_plugin:NO", "bad", "AttributeError"),
    _value("an entry point of no such module", "no_such_thing:SPEC", "bad", "no_such_thing"),
    _value("an entry point of nothing", ":", "bad"),
    _value("an entry point of two colons", "bad_plugin:a:b", "bad"),
    _value("an entry point with blanks", "bad plugin : SPEC", "bad"),
    _value("an entry point with a dot first", ".bad_plugin:SPEC", "bad"),
    _value("an entry point of a path", "/etc/passwd:SPEC", "bad"),
    _value("an entry point with an escape", "bad\x1b[31m:SPEC", "bad"),
    _value("an entry point of an attribute of one", "bad_plugin:SPEC.generator", "bad"),
    _value("an entry point of a module", "bad_plugin:nn", "bad", "GanSpec"),
    _value("an entry point with an extra", "bad_plugin:SPEC [more]", "bad"),
    Case("an entry point of another name", ("info", "other"), ("calls itself 'bad'", "one name"),
         _installed(NETS + SPEC, name="other")),
    Case("an entry point of the zoo's own name", ("info", "dcgan"), ("claimed twice", "uninstall"),
         _installed(NETS + SPEC, name="dcgan")),
]  # fmt: skip

SPECS = [
    _module("a spec that is a number", "SPEC = 3", "is a int", "GanSpec"),
    _module("a spec that is a class", NETS + "SPEC = G", "GanSpec"),
    _module("a spec that lacks a field", NETS + "SPEC = GanSpec(name='bad')", "TypeError"),
    _spec("a spec of no generator", "given['generator'] = None\n", "generator is None", "class"),
    _spec("a spec with a net for a class", "given['generator'] = G()\n", "generator is", "class"),
    _spec("a spec with a function for a class", "given['discriminator'] = lambda: D()\n",
          "discriminator is", "class"),
    _spec("a spec with a name of text for a class", "given['discriminator'] = 'D'\n",
          "discriminator is 'D'", "class"),
    _spec("a name that is a number", "given['name'] = 3\n", "bad"),
    _spec("a name with a path", "given['name'] = '../x'\n", "bad"),
    _spec("a paper that is none", "given['paper'] = None\n", "paper is None", "text"),
    _spec("labels that are none of the three", "given['labels'] = 'maybe'\n", "labels is 'maybe'"),
    _spec("labels that nets do not take", "given['labels'] = 'takes'\n", "num_classes"),
    _spec("a range that goes down", "given['image_range'] = (1.0, 0.0)\n", "image_range", "low to"),
    _spec("a range of NaN", "given['image_range'] = (float('nan'), 1.0)\n", "image_range"),
    _spec("a range without an end", "given['image_range'] = (0.0, float('inf'))\n", "image_range"),
    _spec("a range of one number", "given['image_range'] = (0.0,)\n", "image_range"),
    _spec("a range of text", "given['image_range'] = ('low', 'high')\n", "image_range"),
    _spec("a range that is a number", "given['image_range'] = 1.0\n", "image_range"),
    _spec("a prior that there is not", "given['latent_prior'] = 'cauchy'\n", "latent_prior"),
    _spec("an objective that is a number", "given['objective'] = 3\n", "objective is 3"),
    _spec("an objective that there is not", "given['objective'] = 'no'\n", "objective", "'no'",
          arguments=TRAIN),
    _spec("a trainer that is no class", "given['trainer'] = 3\n", "trainer is 3", "class"),
    _spec("a game that is no class", "given['game'] = 'Game'\n", "game is 'Game'", "class"),
    _spec("other nets that are a list", "given['other_nets'] = [G]\n", "other_nets"),
    _spec("another net that is no class", "given['other_nets'] = {'e': 3}\n", "e is 3", "class"),
    _spec("a net trained with itself", "given['other_nets'] = {'e': D}; given['trained_with'] = "
          "{'e': 'e'}\n", "trained_with says 'e'"),
    _spec("trained_with that is a list", "given['trained_with'] = ['e']\n", "trained_with"),
    _spec("a constructor with positions", "class P(G):\n    def __init__(self, latent_dim=8): pass\n"
          "given['generator'] = P\n", "latent_dim", "keyword-only"),
    _spec("a constructor without defaults", "class P(G):\n    def __init__(self, *, latent_dim): "
          "pass\ngiven['generator'] = P\n", "latent_dim", "no default"),
    _spec("a constructor of anything", "class P(G):\n    def __init__(self, **any): pass\n"
          "given['generator'] = P\n", "any", "keyword-only"),
]  # fmt: skip

NETS_THAT_FAIL = [
    _spec("a net that is no layer", "class P:\n    pass\ngiven['generator'] = P\n", "nn.Layer"),
    _spec("a net without its size", "class P(G):\n    def __init__(self, *, latent_dim: int = 8):\n"
          "        nn.Layer.__init__(self)\ngiven['generator'] = P\n", "latent_dim is None"),
    _spec("a constructor that raises", "class P(G):\n    def __init__(self, *, latent_dim: int = 8)"
          ":\n        raise ValueError('no')\ngiven['generator'] = P\n", "no"),
    _exits("a generator's constructor that ends the program", "super().__init__()", "sys.exit 0"),
    _exits("a forward that ends the program", "def forward(self, images):", "sys.exit 0"),
]  # fmt: skip


def _data(name: str, text: str, *says: str) -> Case:
    """Return the case of a kind of data."""
    recipe = SOUND.replace("name: mnist", "name: bad")
    text = (
        "import sys\nimport numpy as np\nfrom ppgan_zoo.data import DataKind, ImageSet\n"
        f"def load(*, directory, split, offline, image_size, channels, limit, notify):\n    {text}\n"
        "SPEC = DataKind('bad', load, default_shape=(1, 28, 28))\n"
    )
    return Case(name, TRAIN, says, _installed(text, group="data", recipe=recipe))


def _of(images: str, labels: str = "None") -> str:
    return f"return ImageSet.of('bad', {images}, {labels}, source='x', location='here')"


DATA = [
    _data("data that end the program", "sys.exit(0)", "sys.exit 0", "plugins"),
    _data("data that return nothing", "pass", "returned a NoneType", "ImageSet"),
    _data("data that return an array", "return np.zeros((9, 1, 28, 28), np.uint8)", "ndarray"),
    _data("data of floats", _of("np.zeros((99, 1, 28, 28), np.float32)"), "here", "float32"),
    _data("data without images", _of("np.zeros((0, 1, 28, 28), np.uint8)"), "here", "no images"),
    _data("data of one axis less", _of("np.zeros((99, 28, 28), np.uint8)"), "here", "[99, 28, 28]"),
    _data("data of two channels", _of("np.zeros((99, 2, 28, 28), np.uint8)"), "channels"),
    _data("data with labels of floats", _of("np.zeros((99, 1, 28, 28), np.uint8)",
          "np.zeros(99)"), "here", "labels are float64"),
    _data("data with labels below 0", _of("np.zeros((99, 1, 28, 28), np.uint8)",
          "-np.ones(99, np.int64)"), "here", "labels from -1"),
    _data("data with too few labels", _of("np.zeros((99, 1, 28, 28), np.uint8)",
          "np.zeros(9, np.int64)"), "here", "[9]"),
    _data("data that raise", "raise OSError(5, 'Input/output error', 'somewhere')", "somewhere"),
    _data("data with an escape in their message", "from ppgan_zoo.errors import DataError; "
          "raise DataError('a\\x1b[31m\\nb')", "a\\x1b[31m\\nb"),
]  # fmt: skip

CASES = [*IMPORTS, *TARGETS, *SPECS, *NETS_THAT_FAIL, *DATA]
