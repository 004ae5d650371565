"""The registry: names, who owns them, and how arguments reach the nets."""

import importlib.metadata
import sys
import types

import pytest
from paddle import nn

from ppgan_zoo.errors import ConfigError, PluginError, UnknownNameError, ZooError
from ppgan_zoo.models.create import create
from ppgan_zoo.models.gan import Gan, build_gan, list_models
from ppgan_zoo.models.spec import GanSpec, constructor_arguments
from ppgan_zoo.registry import MODELS, Registry

ENTRY_POINT_GROUP = "ppgan_zoo.models"


class TinyGenerator(nn.Layer):
    def __init__(self, *, latent_dim: int = 3, image_shape: tuple = (1, 4, 4), width: int = 2):
        super().__init__()
        self.latent_dim, self.image_shape, self.width = latent_dim, image_shape, width


class TinyDiscriminator(nn.Layer):
    def __init__(self, *, image_shape: tuple = (1, 4, 4), slope: float = 0.2):
        super().__init__()
        self.image_shape, self.slope = image_shape, slope


def spec(name="tiny", **changes):
    facts = {"generator": TinyGenerator, "discriminator": TinyDiscriminator, "paper": "none"}
    return GanSpec(name=name, **{**facts, **changes})


def models(built_in=None):
    return Registry("model", ENTRY_POINT_GROUP, "ppgan_zoo.models.spec:GanSpec", built_in)


@pytest.fixture
def registry():
    return models()


@pytest.fixture
def plug(monkeypatch):
    """Install an entry point, with a module of these attributes (None: no such module)."""
    points = []

    def entry_points(*, group):
        assert group == ENTRY_POINT_GROUP
        return importlib.metadata.EntryPoints(points)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)

    def install(name, module, attributes=None, attribute="SPEC"):
        points.append(
            importlib.metadata.EntryPoint(name, f"{module}:{attribute}", ENTRY_POINT_GROUP)
        )
        if attributes is not None:
            made = types.ModuleType(module)
            vars(made).update(attributes)
            monkeypatch.setitem(sys.modules, module, made)

    return install


# Listing and building.


def test_the_built_in_names():
    assert {"dcgan", "dcgan_fashion", "gan_mlp"} <= set(list_models())
    assert list_models() == sorted(list_models())


def test_create_hands_shared_arguments_to_whoever_takes_them(registry, monkeypatch):
    monkeypatch.setattr("ppgan_zoo.models.create.MODELS", registry)
    registry.register(spec())
    gan = create("tiny", latent_dim=7, image_shape=(3, 8, 8), slope=0.5)
    assert isinstance(gan, Gan)
    assert (gan.latent_dim, gan.image_shape, gan.image_range) == (7, (3, 8, 8), (-1.0, 1.0))
    assert gan.generator.width == 2
    assert (gan.discriminator.image_shape, gan.discriminator.slope) == ((3, 8, 8), 0.5)
    found, generator, discriminator = gan
    assert (found.name, generator, discriminator) == ("tiny", gan.generator, gan.discriminator)


def test_a_nets_own_arguments_win_over_shared_ones(registry, monkeypatch):
    monkeypatch.setattr("ppgan_zoo.models.create.MODELS", registry)
    registry.register(spec())
    gan = create("tiny", image_shape=(3, 8, 8), discriminator={"image_shape": (1, 9, 9)})
    assert gan.generator.image_shape == (3, 8, 8)
    assert gan.discriminator.image_shape == (1, 9, 9)


def test_create_takes_paddles_layers_in_train_mode():
    gan = create("gan_mlp", latent_dim=5, generator={"hidden_units": (4,)})
    assert gan.generator.training and gan.discriminator.training
    assert [list(p.shape) for p in gan.generator.parameters()] == [[5, 4], [4], [4, 784], [784]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"latent_dmi": 3},
            "dcgan: no net has an argument 'latent_dmi' (did you mean 'latent_dim'?)",
        ),
        ({"generator": {"chanels": 3}}, "dcgan: generator has no argument 'chanels' (did you mean"),
        ({"discriminator": {"latent_dim": 3}}, "dcgan: discriminator has no argument 'latent_dim'"),
    ],
)
def test_unknown_arguments(arguments, words):
    with pytest.raises(ConfigError) as caught:
        create("dcgan", **arguments)
    assert str(caught.value).startswith(words)
    assert "; allowed: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_name_with_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        create("dcgam")
    message = str(caught.value)
    assert message.startswith("unknown model 'dcgam' (did you mean 'dcgan'?); known: ")
    assert "gan_mlp" in message


def test_a_name_read_from_a_file_is_named_with_it(registry):
    registry.register(spec())
    with pytest.raises(
        UnknownNameError, match=r"^r\.yml:2: model\.name: unknown model 'x'; known: tiny"
    ):
        registry.get("x", where="r.yml:2: model.name")


# register().


def test_register_finds_and_lists(registry):
    made = spec()
    assert registry.register(made) is made
    assert registry.get("tiny") is made
    assert registry.names() == ["tiny"]
    assert registry.register(made) is made  # as a notebook's cell that is run again


def test_register_refuses_a_taken_name(registry, plug):
    registry.register(spec())
    with pytest.raises(PluginError, match=r"'tiny' is already registered by register\(\)"):
        registry.register(spec(paper="another"))
    with pytest.raises(
        PluginError, match="'dcgan' is already registered by ppgan_zoo .*dcgan:SPEC"
    ):
        models(MODELS.built_in).register(spec("dcgan"))
    plug("plugged", "plugged_module")
    with pytest.raises(PluginError, match="'plugged' is already registered by plugged_module"):
        registry.register(spec("plugged"))


@pytest.mark.parametrize("thing", [None, TinyGenerator, "tiny", {"name": "tiny"}])
def test_register_takes_specs_only(registry, thing):
    with pytest.raises(PluginError, match=r"register\(\) takes a GanSpec, found "):
        registry.register(thing)


def test_one_registry_leaves_another_alone(registry):
    registry.register(spec())
    assert models().names() == []
    assert "tiny" not in list_models()


# Constructors whose signature is no schema.


class Positional(nn.Layer):
    def __init__(self, latent_dim: int = 3):
        super().__init__()


class NoDefault(nn.Layer):
    def __init__(self, *, latent_dim: int):
        super().__init__()


class AnyKeyword(nn.Layer):
    def __init__(self, **arguments):
        super().__init__()


class AnyPosition(nn.Layer):
    def __init__(self, *arguments):
        super().__init__()


@pytest.mark.parametrize("net", ["generator", "discriminator"])
@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (Positional, "Positional: argument 'latent_dim' must be keyword-only"),
        (AnyKeyword, "AnyKeyword: argument 'arguments' must be keyword-only"),
        (AnyPosition, "AnyPosition: argument 'arguments' must be keyword-only"),
        (NoDefault, "argument 'latent_dim' of NoDefault has no default"),
    ],
)
def test_constructors_that_are_refused(registry, net, cls, words):
    with pytest.raises(PluginError) as caught:
        registry.register(spec(**{net: cls}))
    assert words in str(caught.value)
    assert registry.names() == []


@pytest.mark.parametrize("image_range", [(1.0, -1.0), (0.0, 0.0)])
def test_an_empty_image_range_is_refused(registry, image_range):
    with pytest.raises(PluginError, match="image_range is .* from low to high"):
        registry.register(spec(image_range=image_range))


def test_the_signature_is_the_schema():
    arguments = constructor_arguments(TinyGenerator)
    assert {name: p.default for name, p in arguments.items()} == {
        "latent_dim": 3, "image_shape": (1, 4, 4), "width": 2,
    }  # fmt: skip


def test_build_takes_exactly_what_it_is_given():
    gan = build_gan(spec(), {"width": 9}, {})
    assert (gan.generator.width, gan.latent_dim) == (9, 3)


# Plugins.


def test_a_plugin_is_listed_and_loaded(registry, plug):
    made = spec("plugged")
    plug("plugged", "plugged_module", {"SPEC": made})
    assert registry.names() == ["plugged"]
    assert registry.get("plugged") is made
    source = registry.sources()["plugged"]
    assert (source.owner, source.target) == ("plugged_module", "plugged_module:SPEC")


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        (None, "cannot be loaded from broken_module:SPEC: ModuleNotFoundError: "),
        ({}, "cannot be loaded from broken_module:SPEC: AttributeError: "),
        (
            {"SPEC": TinyGenerator},
            "broken_module:SPEC is a type, and must be a ppgan_zoo.models.spec.GanSpec",
        ),
        ({"SPEC": spec("other")}, "broken_module:SPEC calls itself 'other'"),
        ({"SPEC": spec("broken", generator=Positional)}, "'latent_dim' must be keyword-only"),
        ({"SPEC": spec("broken", generator=NoDefault)}, "'latent_dim' of NoDefault has no default"),
    ],
)
def test_a_broken_plugin_hurts_only_whoever_asks(registry, plug, attributes, words):
    plug("broken", "broken_module", attributes)
    plug("whole", "whole_module", {"SPEC": spec("whole")})
    assert registry.names() == ["broken", "whole"]
    assert registry.get("whole").name == "whole"
    registry.register(spec())
    with pytest.raises(PluginError) as caught:
        registry.get("broken")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    ["raise RuntimeError('at import')", "1 / 0", "def (", "import no_such_thing", "{}['x']"],
)
def test_a_plugin_that_fails_at_import(registry, plug, tmp_path, monkeypatch, source):
    (tmp_path / "failing_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    plug("failing", "failing_module")
    assert registry.names() == ["failing"]
    with pytest.raises(PluginError) as caught:
        registry.get("failing")
    assert "model 'failing' of failing_module cannot be loaded" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_plugins_of_one_name(plug):
    plug("twice", "first_module", {"SPEC": spec("twice")})
    plug("twice", "second_module", {"SPEC": spec("twice")})
    with pytest.raises(PluginError) as caught:
        models().get("twice")
    assert "'twice' is claimed twice" in str(caught.value)
    assert "first_module:SPEC" in str(caught.value) and "second_module:SPEC" in str(caught.value)


def test_a_plugin_cannot_take_a_built_in_name(plug):
    plug("dcgan", "rival_module", {"SPEC": spec("dcgan")})
    with pytest.raises(PluginError, match="'dcgan' is claimed twice: by ppgan_zoo .* rival_module"):
        models(MODELS.built_in).get("dcgan")


def test_a_name_claimed_twice_hurts_nobody_else(plug):
    plug("twice", "first_module", {"SPEC": spec("twice")})
    plug("twice", "second_module", {"SPEC": spec("twice")})
    plug("whole", "whole_module", {"SPEC": spec("whole")})
    registry = models(MODELS.built_in)
    assert registry.get("whole").name == "whole"
    assert registry.get("dcgan").name == "dcgan"
    assert {"dcgan", "twice", "whole"} <= set(registry.names())


def test_the_same_entry_point_seen_twice_is_one(plug):
    # An editable install beside a wheel of the same package lists it twice.
    plug("plugged", "plugged_module", {"SPEC": spec("plugged")})
    plug("plugged", "plugged_module")
    assert models().get("plugged").name == "plugged"


def test_all_errors_are_zoo_errors():
    assert issubclass(PluginError, ZooError) and issubclass(UnknownNameError, ConfigError)


# Things that are not installed.


def test_what_is_lent_has_its_name_inside_the_block_only(registry):
    registry.register(spec())
    other = spec(paper="another")
    with pytest.raises(ValueError), registry.lent(other):
        assert registry.get("tiny") is other
        raise ValueError
    assert registry.get("tiny") is not other


def test_a_target_is_loaded_without_an_entry_point(registry):
    assert registry.load("ppgan_zoo.models.dcgan:SPEC").name == "dcgan"
    for target, words in (
        ("no_such_module:SPEC", "^no_such_module:SPEC cannot be loaded: ModuleNotFoundError: No"),
        ("ppgan_zoo.models.dcgan:SPECK", "has no attribute 'SPECK'"),
        ("ppgan_zoo.errors:ZooError", "^ppgan_zoo.errors:ZooError is a type, and must be a "),
    ):
        with pytest.raises(PluginError, match=words):
            registry.load(target)
