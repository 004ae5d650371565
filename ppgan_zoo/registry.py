"""Names, and how a name becomes a thing: models, objectives, terms and all else that is open.

Built-in names stand in tables of ``"module:ATTRIBUTE"`` strings; installed packages add
theirs through entry points; a notebook calls :meth:`Registry.register`. A module is
imported when its name is first asked for, so listing and checking names imports no Paddle,
and a broken plugin hurts only whoever asks for it.

The tables at the end of this file are the zoo's table of contents: an addition is one file
and one line there.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ppgan_zoo.errors import PluginError, UnknownNameError, ZooError

if TYPE_CHECKING:
    from ppgan_zoo.data.kinds import DataKind
    from ppgan_zoo.game.augmentation import Augmentation
    from ppgan_zoo.game.objectives import Objective
    from ppgan_zoo.game.terms import Term
    from ppgan_zoo.metrics.features import FeatureKind
    from ppgan_zoo.metrics.metric import Metric
    from ppgan_zoo.models.spec import GanSpec
    from ppgan_zoo.storage.logs import LogKind
    from ppgan_zoo.weights.pretrained import Pretrained

T = TypeVar("T")
REGISTERED = "register()"  # the owner of a name that was registered in this process


@dataclass(frozen=True)
class Source:
    """Where a name comes from: its owner in words, and ``"module:ATTRIBUTE"``.

    `rival` is another owner that claims the same name.
    """

    owner: str
    target: str
    rival: Source | None = None

    @property
    def is_of_this_process(self) -> bool:
        """Whether it was registered by a program, so that no other process knows of it."""
        return self.owner == REGISTERED


class Registry(Generic[T]):
    """Looks names up in a built-in table, in installed packages and in what was registered.

    Args:
        kind: What a name stands for, in messages: ``"model"``.
        group: The entry points of installed packages: ``"ppgan_zoo.models"``.
        expected: ``"module:CLASS"`` of the things. They have a ``name``; if the class has a
            method ``check(where)``, it is called once for each thing and raises PluginError.
        built_in: The zoo's own names, as ``"module:ATTRIBUTE"``.
    """

    def __init__(
        self, kind: str, group: str, expected: str, built_in: Mapping[str, str] | None = None
    ) -> None:
        self.kind = kind
        self.group = group
        self.expected = expected
        self.built_in = dict(built_in or {})
        self._registered: dict[str, T] = {}

    def sources(self) -> dict[str, Source]:
        """Return every known name with its owner, without importing any of them."""
        found = {name: Source("ppgan_zoo", target) for name, target in self.built_in.items()}
        for point in importlib.metadata.entry_points(group=self.group):
            owner = point.dist.name if point.dist is not None else point.module
            source = Source(owner, point.value)
            first = found.setdefault(point.name, source)
            if (first.owner, first.target) != (source.owner, source.target):
                found[point.name] = replace(first, rival=source)
        for name in self._registered:
            found[name] = Source(REGISTERED, name)
        return found

    def names(self) -> list[str]:
        """Return the known names, sorted."""
        return sorted(self.sources())

    def get(self, name: str, *, where: str = "") -> T:
        """Return what is called `name`, importing its module if need be.

        Args:
            name: A name of :meth:`names`.
            where: File and key the name was read from, for the message.

        Raises:
            UnknownNameError: No such name.
            PluginError: Two owners claim it, or a plugin cannot be imported or does not
                hold what it should.
        """
        source = self.check_name(name, where=where)
        if name in self._registered:
            return self._registered[name]
        return self._load(source.target, f"{self.kind} {name!r} of {source.owner}", name)

    def all(self) -> list[T]:
        """Return all of the zoo's own, in the order of its table; plugins are left out."""
        return [self.get(name) for name in self.built_in]

    def check_name(self, name: str, *, where: str = "") -> Source:
        """Return the source of `name` without importing it.

        Raises:
            UnknownNameError: No such name.
            PluginError: Two owners claim it.
        """
        sources = self.sources()
        if name not in sources:
            raise UnknownNameError(self.kind, name, sources, where)
        source = sources[name]
        if source.rival is not None:
            raise PluginError(
                f"{self.kind} {name!r} is claimed twice: by {source.owner} ({source.target}) and "
                f"by {source.rival.owner} ({source.rival.target}); uninstall one of them or "
                "rename its entry point"
            )
        return source

    def register(self, thing: T) -> T:
        """Add `thing` under its name for the life of this process, and return it.

        Raises:
            PluginError: It is not of this registry's kind, or the name is taken.
        """
        expected = _import(self.expected)
        if not isinstance(thing, expected):
            raise PluginError(
                f"register() takes a {expected.__name__}, found {type(thing).__name__}"
            )
        name = str(thing.name)  # type: ignore[attr-defined]
        taken = self.sources().get(name)
        if taken is not None and self._registered.get(name) != thing:
            raise PluginError(
                f"{self.kind} {name!r} is already registered by {taken.owner} ({taken.target}); "
                "choose another name"
            )
        _check(thing, f"register({name!r})")
        self._registered[name] = thing
        return thing

    @contextlib.contextmanager
    def lent(self, thing: T) -> Iterator[None]:
        """Let the name of `thing` mean it inside the block, whatever it means outside.

        For trying something out that is not installed, or not by this name.
        """
        name = str(thing.name)  # type: ignore[attr-defined]
        before = dict(self._registered)
        self._registered[name] = thing
        try:
            yield
        finally:
            self._registered = before

    def load(self, target: str) -> T:
        """Return what ``"module:ATTRIBUTE"`` names, whether it is registered or not.

        Raises:
            PluginError: It cannot be imported, or is not of this registry's kind.
        """
        return self._load(target, target)

    def _load(self, target: str, title: str, name: str | None = None) -> T:
        """Import and check; `title` is what messages begin with, `name` what it must have."""
        try:
            thing = _import(target)
        except (Exception, SystemExit) as error:  # a stranger's module can raise anything
            origin = "" if title == target else f" from {target}"
            raise PluginError(
                f"{title} cannot be loaded{origin}: {type(error).__name__}: "
                f"{' '.join(str(error).split())}; reinstall or repair that package"
            ) from error
        expected = _import(self.expected)
        if not isinstance(thing, expected):
            subject = title if title == target else f"{title}: {target}"
            raise PluginError(
                f"{subject} is a {type(thing).__name__}, and must be a "
                f"{self.expected.replace(':', '.')}"
            )
        if name is not None and thing.name != name:
            raise PluginError(
                f"{title}: {target} calls itself {thing.name!r}; the entry point and what it "
                "names must have one name"
            )
        _check(thing, target)
        return thing  # type: ignore[no-any-return]


def _import(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute or "SPEC")


def _check(thing: Any, where: str) -> None:
    check = getattr(thing, "check", None)
    if check is None:
        return
    try:
        check(where)
    except ZooError:
        raise
    except Exception as error:  # what a check takes for granted of a field may not hold
        raise PluginError(
            f"{where}: its fields are not what they must be: {type(error).__name__}: "
            f"{' '.join(str(error).split())}"
        ) from error


MODELS: Registry[GanSpec] = Registry(
    "model",
    "ppgan_zoo.models",
    "ppgan_zoo.models.spec:GanSpec",
    {
        name: f"ppgan_zoo.models.{name}:SPEC"
        for name in (
            "gan_mlp",
            "gan_mlp_bn",
            "dcgan",
            "dcgan_fashion",
            "dcgan_dropout",
            "dcgan_keras",
            "r3gan",
            "fastgan",
            "wgan_gp",
            "wgan_gp_resnet",
            "sngan",
            "sagan",
            "biggan",
            "cgan",
            "acgan",
            "infogan",
            "began",
            "bigan",
            "stylegan2",
        )
    },
)

OBJECTIVES: Registry[Objective] = Registry(
    "objective",
    "ppgan_zoo.objectives",
    "ppgan_zoo.game.objectives:Objective",
    {
        name: f"ppgan_zoo.game.objectives:{name.upper()}"
        for name in (
            "non_saturating",
            "minimax",
            "least_squares",
            "hinge",
            "hinge_random_margins",
            "wasserstein",
            "relativistic_average",
            "relativistic_pairing",
        )
    },
)

TERMS: Registry[Term] = Registry(
    "term",
    "ppgan_zoo.terms",
    "ppgan_zoo.game.terms:Term",
    {
        "wgan_gp": "ppgan_zoo.game.gradient_penalties:WGAN_GP",
        "one_sided_gp": "ppgan_zoo.game.gradient_penalties:ONE_SIDED_GP",
        "zero_centered_gp": "ppgan_zoo.game.gradient_penalties:ZERO_CENTERED_GP",
        "dragan": "ppgan_zoo.game.gradient_penalties:DRAGAN",
        "r1": "ppgan_zoo.game.gradient_penalties:R1",
        "r2": "ppgan_zoo.game.gradient_penalties:R2",
        "consistency": "ppgan_zoo.game.consistency:CONSISTENCY",
        "latent_consistency": "ppgan_zoo.game.latent_consistency:LATENT_CONSISTENCY",
        "lecam": "ppgan_zoo.game.lecam:LECAM",
        "reconstruction": "ppgan_zoo.game.reconstruction:RECONSTRUCTION",
        "orthogonal": "ppgan_zoo.game.orthogonal:ORTHOGONAL",
        "auxiliary_classifier": "ppgan_zoo.game.auxiliary_classifier:AUXILIARY_CLASSIFIER",
        "bidirectional": "ppgan_zoo.game.bidirectional:BIDIRECTIONAL",
        "boundary_equilibrium": "ppgan_zoo.game.boundary_equilibrium:BOUNDARY_EQUILIBRIUM",
        "mutual_information": "ppgan_zoo.game.mutual_information:MUTUAL_INFORMATION",
        "path_length": "ppgan_zoo.game.path_length:PATH_LENGTH",
    },
)

AUGMENTATIONS: Registry[Augmentation] = Registry(
    "augmentation",
    "ppgan_zoo.augmentations",
    "ppgan_zoo.game.augmentation:Augmentation",
    {
        **{
            name: f"ppgan_zoo.game.augmentation:{name.upper()}"
            for name in ("color", "translation", "cutout")
        },
        "bgc": "ppgan_zoo.game.ada:BGC",
    },
)

METRICS: Registry[Metric] = Registry(
    "metric",
    "ppgan_zoo.metrics",
    "ppgan_zoo.metrics.metric:Metric",
    {
        "fid": "ppgan_zoo.metrics.frechet:FID",
        "kid": "ppgan_zoo.metrics.kernel_distance:KID",
        "class_score": "ppgan_zoo.metrics.class_score:CLASS_SCORE",
        "precision_recall": "ppgan_zoo.metrics.manifold:PRECISION_RECALL",
        "density_coverage": "ppgan_zoo.metrics.manifold:DENSITY_COVERAGE",
        "modes": "ppgan_zoo.metrics.classes_found:MODES",
        "sharpness": "ppgan_zoo.metrics.sharpness:SHARPNESS",
        "memorisation": "ppgan_zoo.metrics.memorisation:MEMORISATION",
        "label_accuracy": "ppgan_zoo.metrics.label_accuracy:LABEL_ACCURACY",
        "cluster_accuracy": "ppgan_zoo.metrics.cluster_accuracy:CLUSTER_ACCURACY",
        "factors": "ppgan_zoo.metrics.factors:FACTORS",
    },
)

DATA: Registry[DataKind] = Registry(
    "kind of data",
    "ppgan_zoo.data",
    "ppgan_zoo.data.kinds:DataKind",
    {
        "mnist": "ppgan_zoo.data.mnist:MNIST",
        "fashion_mnist": "ppgan_zoo.data.mnist:FASHION_MNIST",
        "folder": "ppgan_zoo.data.folder:FOLDER",
        "prepared": "ppgan_zoo.data.prepared:PREPARED",
        "avatars": "ppgan_zoo.data.avatars:AVATARS",
    },
)

FEATURES: Registry[FeatureKind] = Registry(
    "feature network",
    "ppgan_zoo.features",
    "ppgan_zoo.metrics.features:FeatureKind",
    {
        "digits-v1": "ppgan_zoo.metrics.features:DIGITS_V1",
        "fashion-v1": "ppgan_zoo.metrics.features:FASHION_V1",
        "avatars-v1": "ppgan_zoo.metrics.features:AVATARS_V1",
        "general-v1": "ppgan_zoo.metrics.features:GENERAL_V1",
        "photos-v1": "ppgan_zoo.metrics.features:PHOTOS_V1",
        "inception-v3": "ppgan_zoo.metrics.features:INCEPTION_V3",
        "inception-v3-torchvision": "ppgan_zoo.metrics.features:INCEPTION_V3_TORCHVISION",
        "efficientnet-lite0": "ppgan_zoo.metrics.features:EFFICIENTNET_LITE0",
    },
)

WEIGHTS: Registry[Pretrained] = Registry(
    "pretrained model",
    "ppgan_zoo.weights",
    "ppgan_zoo.weights.pretrained:Pretrained",
    {
        "mnist_tuned": "ppgan_zoo.weights.shipped:MNIST_TUNED",
        "fashion_tuned": "ppgan_zoo.weights.shipped:FASHION_TUNED",
        "dcgan_avatars": "ppgan_zoo.weights.shipped:DCGAN_AVATARS",
    },
)

LOGS: Registry[LogKind] = Registry(
    "log",
    "ppgan_zoo.logs",
    "ppgan_zoo.storage.logs:LogKind",
    {
        "visualdl": "ppgan_zoo.storage.visualdl_log:VISUALDL",
        "tensorboard": "ppgan_zoo.storage.tensorboard_log:TENSORBOARD",
        "swanlab": "ppgan_zoo.storage.swanlab_log:SWANLAB",
    },
)
