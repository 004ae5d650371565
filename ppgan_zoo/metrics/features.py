"""Feature networks: what turns images into the vectors that FID and its kin compare.

A figure means something only together with the network it was taken with, so each network
has a name with a version, and the SHA-256 of its weights goes with every result.
``digits-v1``, ``fashion-v1``, ``avatars-v1`` and ``general-v1`` are shipped, trained by
``tools/train_features.py``, and so is ``photos-v1``, the first stages of ``efficientnet-lite0``;
the weights of ``inception-v3``, ``inception-v3-torchvision`` and ``efficientnet-lite0`` the user
supplies; packages may bring networks of their own.
Importing this module imports no Paddle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from ppgan_zoo.data import ImageSet
from ppgan_zoo.errors import ConfigError, PluginError
from ppgan_zoo.metrics.laplacian import modified_laplacian
from ppgan_zoo.registry import FEATURES
from ppgan_zoo.storage.files import as_argument, read_regular
from ppgan_zoo.storage.half_precision import widened
from ppgan_zoo.storage.stages import stage

if TYPE_CHECKING:
    from paddle import nn

    from ppgan_zoo.metrics.efficientnet import EfficientNet
    from ppgan_zoo.metrics.inception import Inception

SHIPPED = {
    "digits-v1": "27bde3a29a4c9dad90276c490f79689858cb3a3b3dfa09f7b9bd81e9e37e9bdb",
    "fashion-v1": "4286400dfffcf969ff6b924c824be5206ef0d4377e4ea680d38ae2861aec5acf",
    "avatars-v1": "d078927db11f20188abc4d931b878e97b48ed8074758c9098958c12502fdcbba",
    "general-v1": "07c8a1c228cb8457ebdda7c906eb7162b48b5f32f427a98177c0e4e7bff5a146",
    "photos-v1": "5fa524c324b7e8ebc408bcd8f6b73d2a0fd0533da5c510ddc26ec6547a3d8be8",
}
"""SHA-256 of the weights of each network that comes with the package, by its name."""

SHAPES = {
    "digits-v1": (1, 28, 28),
    "fashion-v1": (1, 28, 28),
    "avatars-v1": (3, 32, 32),
    "general-v1": (3, 32, 32),
    "photos-v1": (3, 128, 128),
}
"""Channels, height and width of the images that each of them takes."""

GENERAL = "general-v1"
"""The shipped network for pictures of any kind."""
PHOTOS = "photos-v1"
"""The shipped network for photographs."""

EFFICIENTNET = "efficientnet-lite0"

# Activations of Inception at 299 x 299 take some 15 MB an image, of EfficientNet 10 MB.
_INCEPTION_BATCH = _EFFICIENTNET_BATCH = 32

Forward = Callable[[Any], tuple[Any, Any]]
"""Images, a float32 tensor ``[N, C, H, W]`` of 0 to 255, to features ``[N, D]`` and to logits
``[N, classes]``, or None for logits of a network without classes."""


@dataclass(frozen=True)
class FeatureSet:
    """What a network says of N images.

    Attributes:
        features: float32 ``[N, D]``.
        probabilities: Of the classes, float32 ``[N, classes]``, each row adding up to 1; None
            if the network has no classes.
        labels: Which class each image was made for, int64 ``[N]``; None if for none, or if
            that is not known.
        categories: Which category of the model's own, one without a name, each image was made
            for, int64 ``[N]``; None if for none.
        sharpness: Of each image's own pixels, before the network resizes it, float32 ``[N]``
            (:func:`ppgan_zoo.metrics.laplacian.modified_laplacian`); None where the images are
            not known.
    """

    features: NDArray[np.float32]
    probabilities: NDArray[np.float32] | None
    labels: NDArray[np.int64] | None = None
    categories: NDArray[np.int64] | None = None
    sharpness: NDArray[np.float32] | None = None

    def map(self, function: Callable[[NDArray[Any]], NDArray[Any]]) -> FeatureSet:
        """Apply `function` to each of its arrays."""
        arrays = {name: value for name, value in vars(self).items() if value is not None}
        return replace(self, **{name: function(value) for name, value in arrays.items()})


@dataclass(frozen=True)
class FeatureNetwork:
    """A feature network that is ready to use; :func:`open_features` makes one.

    Attributes:
        name: Its name in the registry.
        sha256: Of the weights file, in hex.
        dim: Length of a feature vector.
        classes: How many it tells apart; None if it does not classify.
        accuracy: Share of the official test set that it classifies rightly, as recorded when
            it was trained; None where there is no record.
        forward: What computes the features, and must not change from call to call.
        image_shape: Channels, height and width of the only images that it takes; None for
            grey or RGB of any size.
        largest_batch: The most images that fit in memory; None for no such limit.
        is_general: Whether it is for pictures of any kind: of each it sees the central square,
            resized to its `image_shape`, and its classes say nothing of theirs.
    """

    name: str
    sha256: str
    dim: int
    classes: int | None
    accuracy: float | None
    forward: Forward = field(repr=False)
    image_shape: tuple[int, int, int] | None = field(repr=False)
    largest_batch: int | None = field(default=None, repr=False)
    is_general: bool = field(default=False, repr=False)

    def __call__(self, images: NDArray[np.uint8], *, batch_size: int = 250) -> FeatureSet:
        """Return the features, class probabilities and sharpness of `images`.

        Args:
            images: uint8 ``[N, C, H, W]``, 0 to 255, at least one; of :data:`SHAPES` for the
                shipped networks, grey or RGB of any size for a general one and for
                ``inception-v3``.
            batch_size: The most images that go through the network at once.

        Raises:
            ConfigError: The images or the batch size are not of that form.
        """
        self._check(images, batch_size)
        import paddle

        step = min(batch_size, self.largest_batch or batch_size)
        features, probabilities = [], []
        what = f"{len(images):,} images through {self.name}"
        with paddle.no_grad(), stage(what, len(images)) as advance:
            for start in range(0, len(images), step):
                part = images[start : start + step]
                if self.is_general and self.image_shape is not None:
                    part = _brought_to(part, self.image_shape)
                batch = paddle.to_tensor(part.astype(np.float32))
                found, logits = self.forward(batch)
                features.append(found.numpy())
                if logits is not None:
                    probabilities.append(paddle.nn.functional.softmax(logits, axis=1).numpy())
                advance(len(batch))
        return FeatureSet(
            np.concatenate(features),
            np.concatenate(probabilities) if probabilities else None,
            sharpness=modified_laplacian(images),
        )

    def _check(self, images: NDArray[np.uint8], batch_size: int) -> None:
        if batch_size < 1:
            raise ConfigError(f"{self.name}: batch size {batch_size}; give 1 or more")
        if images.ndim != 4 or images.dtype != np.uint8 or not images.size:
            raise ConfigError(
                f"{self.name}: images are {images.dtype} {list(images.shape)}; "
                "give uint8 [N, C, H, W], at least one image"
            )
        wanted = None if self.is_general else self.image_shape
        if wanted is not None and images.shape[1:] != wanted:
            raise ConfigError(
                f"{self.name}: images are {list(images.shape[1:])}; it takes {list(wanted)} "
                f"(channels, height, width): use {GENERAL}, or a model of such images"
            )
        if wanted is None and images.shape[1] not in (1, 3):
            raise ConfigError(
                f"{self.name}: images have {images.shape[1]} channels; it takes 1 (grey) or 3 (RGB)"
            )


@dataclass(frozen=True)
class FeatureKind:
    """A feature network by name, before it is opened.

    Attributes:
        name: Name in the registry, with a version: other weights get another name.
        open: Makes the network from the user's file of weights, or from None if none was
            given. It raises ConfigError for weights that are missing, not wanted or damaged.
        check_weights: Of a network whose weights the user brings: it is given their arrays by
            name, and which file they are from, and raises ConfigError if they are others. None
            for a network that has its own.
        tells_classes: Whether it tells the classes of the pictures that it judges, so that a search
            counts which of them samples have.
    """

    name: str
    open: Callable[[Path | None], FeatureNetwork]
    check_weights: Callable[[Mapping[str, NDArray[Any]], str], object] | None = None
    tells_classes: bool = True


def open_features(name: str, weights: Path | None = None) -> FeatureNetwork:
    """Open a feature network.

    Args:
        name: A name of :data:`SHIPPED`, ``"inception-v3"`` or one of a plugin.
        weights: The ``.safetensors`` file of ``inception-v3`` or another that needs one; the
            shipped ones bring their own.

    Raises:
        ConfigError: An unknown name, no weights where they are needed or some where they are
            not, or weights that are damaged or belong to something else.
        PluginError: The network is a plugin's, and broken.
    """
    network = FEATURES.get(name).open(None if weights is None else Path(weights))
    if not isinstance(network, FeatureNetwork):
        raise PluginError(
            f"feature network {name!r}: open returned a {type(network).__name__}; it must return "
            "a ppgan_zoo.metrics.features.FeatureNetwork"
        )
    return network


def _brought_to(images: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return images as :meth:`ppgan_zoo.data.ImageSet.resized` makes them of this shape."""
    if images.shape[1:] == shape:
        return images
    made = ImageSet.of("images", images, source="generator", location="images")
    return made.resized(shape[1:], shape[0]).images


def _arrays(content: bytes, where: str) -> dict[str, NDArray[np.floating]]:
    """Return the arrays of a safetensors file, of which `content` is the whole.

    Raises:
        ConfigError: It is not a safetensors file, or NumPy has not its number type.
    """
    try:
        return load(content)
    except SafetensorError as error:
        raise ConfigError(f"{where}: not a safetensors file: {error}") from None
    except KeyError as error:  # safetensors looks the type up in a table of NumPy's
        raise ConfigError(f"{where}: holds numbers of type {error}; give float32") from None


def recorded(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the header of a safetensors file that says how its weights came about."""
    return {"ppgan_zoo": json.dumps(record, sort_keys=True)}


def _record(content: bytes) -> dict[str, Any]:
    """Return what :func:`recorded` wrote into the header of a safetensors file."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    record: dict[str, Any] = json.loads(header["__metadata__"]["ppgan_zoo"])
    return record


def _read_shipped(
    name: str, weights: Path | None
) -> tuple[dict[str, NDArray[np.floating]], str, dict[str, Any]]:
    """Return the arrays of a network that comes with the package, their SHA-256 and record.

    Raises:
        ConfigError: The user gives weights, or the file is missing or was changed.
    """
    if weights is not None:
        raise ConfigError(f"{name}: comes with its own weights; leave out {weights}")
    file = resources.files("ppgan_zoo.metrics") / "weights" / f"{name}.safetensors"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be read ({error.strerror}); install ppgan_zoo again"
        ) from None
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != SHIPPED[name]:
        raise ConfigError(
            f"{file}: its SHA-256 is {sha256[:12]}..., and {name} is {SHIPPED[name][:12]}...; "
            "the file was changed: install ppgan_zoo again"
        )
    return widened(_arrays(content, str(file))), sha256, _record(content)


def _open_shipped(name: str, weights: Path | None) -> FeatureNetwork:
    arrays, sha256, record = _read_shipped(name, weights)

    from ppgan_zoo.metrics.classifier import FEATURES, Classifier

    classes = len(arrays["classify.bias"])
    network = Classifier(SHAPES[name][0], classes)
    _load(network, arrays)
    return FeatureNetwork(
        name, sha256, FEATURES, classes, record["accuracy"],
        lambda images: network(images / 255), SHAPES[name], is_general=name == GENERAL,
    )  # fmt: skip


def _open_photos(weights: Path | None) -> FeatureNetwork:
    arrays, sha256, _ = _read_shipped(PHOTOS, weights)

    from ppgan_zoo.metrics.efficientnet import Photos

    network = Photos()
    _load(network, arrays)
    return FeatureNetwork(
        PHOTOS, sha256, Photos.features, None, None, network, SHAPES[PHOTOS],
        _EFFICIENTNET_BATCH, is_general=True,
    )  # fmt: skip


def _read_own(name: str, weights: Path | None) -> tuple[dict[str, NDArray[np.floating]], str]:
    """Return the arrays of the file that the user brings for a network, and its SHA-256.

    Raises:
        ConfigError: There is none, it is a pickle, or it cannot be read.
    """
    if weights is None:
        raise ConfigError(
            f"{name}: needs a file of weights, which the zoo does not ship; docs/features.md says "
            "where they are from"
        )
    if weights.suffix != ".safetensors":
        raise ConfigError(
            f"{weights}: {name} reads .safetensors only; make one of a .pth: ppgan-zoo convert "
            f"{as_argument(weights)} --trust --features {name} --output {name}.safetensors"
        )
    try:
        content = read_regular(weights)
    except OSError as error:
        raise ConfigError(f"{weights}: cannot be read ({error.strerror})") from None
    return _arrays(content, str(weights)), hashlib.sha256(content).hexdigest()


def _load(network: nn.Layer, state: Mapping[str, NDArray[np.floating]]) -> None:
    """Give a network its state, for use and not for training."""
    from ppgan_zoo.models.weights import load_arrays

    load_arrays(network, {key: array.astype(np.float32) for key, array in state.items()})
    network.eval()


def _open_inception(name: str, weights: Path | None) -> FeatureNetwork:
    arrays, sha256 = _read_own(name, weights)

    from ppgan_zoo.metrics.inception import FEATURES

    network, state = _inception_of(name, arrays, str(weights))
    _load(network, state)
    return FeatureNetwork(
        name, sha256, FEATURES, network.layout.classes, None, network, None, _INCEPTION_BATCH
    )  # fmt: skip


def _inception_of(
    name: str, arrays: Mapping[str, NDArray[Any]], where: str
) -> tuple[Inception, dict[str, NDArray[np.float64]]]:
    """Return an Inception network, and what its state is by the reference's weights.

    Raises:
        ConfigError: They are those of another network.
    """
    from ppgan_zoo.metrics.inception import FID, TORCHVISION, Inception, state_from_reference

    network = Inception({layout.name: layout for layout in (FID, TORCHVISION)}[name])
    return network, state_from_reference(arrays, network, where)


def _inception(name: str) -> FeatureKind:
    opened, checked = partial(_open_inception, name), partial(_inception_of, name)
    return FeatureKind(name, opened, checked, tells_classes=False)


def _open_efficientnet(weights: Path | None) -> FeatureNetwork:
    arrays, sha256 = _read_own(EFFICIENTNET, weights)

    from ppgan_zoo.metrics.efficientnet import CLASSES, FEATURES, IMAGE_SIZE

    network, state = _efficientnet_of(arrays, str(weights))
    _load(network, state)
    return FeatureNetwork(
        EFFICIENTNET, sha256, FEATURES, CLASSES, None, network, (3, IMAGE_SIZE, IMAGE_SIZE),
        _EFFICIENTNET_BATCH, is_general=True,
    )  # fmt: skip


def _efficientnet_of(
    arrays: Mapping[str, NDArray[Any]], where: str
) -> tuple[EfficientNet, dict[str, NDArray[np.float64]]]:
    """Return an EfficientNet, and what its state is by the reference's weights.

    Raises:
        ConfigError: They are those of another network.
    """
    from ppgan_zoo.metrics.efficientnet import EfficientNet, state_from_reference

    network = EfficientNet()
    return network, state_from_reference(arrays, network, where)


DIGITS_V1 = FeatureKind("digits-v1", partial(_open_shipped, "digits-v1"))

FASHION_V1 = FeatureKind("fashion-v1", partial(_open_shipped, "fashion-v1"))

AVATARS_V1 = FeatureKind("avatars-v1", partial(_open_shipped, "avatars-v1"))

GENERAL_V1 = FeatureKind(GENERAL, partial(_open_shipped, GENERAL), tells_classes=False)

INCEPTION_V3 = _inception("inception-v3")

INCEPTION_V3_TORCHVISION = _inception("inception-v3-torchvision")

EFFICIENTNET_LITE0 = FeatureKind(
    EFFICIENTNET, _open_efficientnet, _efficientnet_of, tells_classes=False
)

PHOTOS_V1 = FeatureKind(PHOTOS, _open_photos, tells_classes=False)
