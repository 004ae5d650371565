"""Features of real images on disk, so that each set goes through a network once.

An entry is named by all that its content depends on: the images' SHA-256, the network's
name and that of its weights. What is damaged is worked out again and replaced; a cache
that cannot be written is done without.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ppgan_zoo.data import ImageSet
from ppgan_zoo.metrics.features import FeatureNetwork, FeatureSet
from ppgan_zoo.storage.files import open_regular, user_cache, write_atomically

_FORMAT = "2"

logger = logging.getLogger(__name__)


def cached_features(images: ImageSet, network: FeatureNetwork) -> FeatureSet:
    """Return the features of an image set, from the cache if it has them."""
    path = _entry(images, network)
    if path is None:
        return network(images.images)
    try:
        found = _read(path, len(images), network)
    except OSError as error:  # not damage: what is there stays
        logger.warning("%s: cannot be read: %s; worked out again", path, error.strerror or error)
        return network(images.images)
    if found is None:
        found = network(images.images)
        _write(path, found)
    return found


def _entry(images: ImageSet, network: FeatureNetwork) -> Path | None:
    cache = user_cache()
    if cache is None:
        return None
    shape = "x".join(map(str, images.images.shape))
    key = "|".join((_FORMAT, images.sha256, shape, network.name, network.sha256))
    digest = hashlib.sha256(key.encode()).hexdigest()
    return cache / "features" / f"{network.name}-{digest[:32]}.safetensors"


def _read(path: Path, count: int, network: FeatureNetwork) -> FeatureSet | None:
    """Return an entry; None if there is none, or not a whole one of this form.

    Raises:
        OSError: There is something that cannot be read.
    """
    try:
        open_regular(path).close()
        with safe_open(path, framework="np") as file:
            stated = (file.metadata() or {}).get("sha256")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, NotADirectoryError):
        return None
    except SafetensorError as error:
        logger.warning("%s: damaged, worked out again: %s", path, error)
        return None
    wanted: dict[str, tuple[int, ...]] = {"features": (count, network.dim), "sharpness": (count,)}
    if network.classes is not None:
        wanted["probabilities"] = (count, network.classes)
    if {name: array.shape for name, array in arrays.items()} != wanted or stated != _digest(arrays):
        logger.warning("%s: damaged, worked out again", path)
        return None
    return FeatureSet(
        arrays["features"], arrays.get("probabilities"), sharpness=arrays["sharpness"]
    )


def _write(path: Path, found: FeatureSet) -> None:
    arrays = {"features": np.ascontiguousarray(found.features)}
    if found.probabilities is not None:
        arrays["probabilities"] = np.ascontiguousarray(found.probabilities)
    if found.sharpness is not None:
        arrays["sharpness"] = found.sharpness
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, save(arrays, {"sha256": _digest(arrays)}))
    except OSError as error:
        logger.warning("%s: features are not kept: %s", path.parent, error.strerror)


def _digest(arrays: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
