"""Weights of a PyTorch or Keras model, in the names and the order of a Paddle layer.

Frameworks store the same numbers in other orders: docs/porting.md has the table. Here a
map of layer names says which layer becomes which, and everything else is checked:
nothing missing, nothing left over, every shape right.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from paddle import nn
from safetensors import SafetensorError
from safetensors.numpy import load

from ppgan_zoo.errors import CheckpointError, did_you_mean, first_line
from ppgan_zoo.storage.checkpoint import Arrays
from ppgan_zoo.storage.files import open_regular, read_regular
from ppgan_zoo.storage.pickles import refuse_pickle

Framework = Literal["torch", "keras"]
ImageShape = tuple[int, int, int]
Change = Callable[[NDArray[Any]], NDArray[Any]]

NORMS = (nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D)


LARGEST_UNPACKED = 1 << 30
"""Bytes of all weights of an ``.npz``: as many as of a generator of 268 million parameters."""

_ERRORS = (
    MemoryError,  # an array that says it is larger than any machine
    OSError,
    EOFError,
    ValueError,
    TypeError,  # a .npy that is called .npz
    AttributeError,
    RuntimeError,  # encrypted; NotImplementedError, another compression, is one as well
    zipfile.BadZipFile,
    zlib.error,
    SafetensorError,
)


def read_weights(path: str | Path) -> Arrays:
    """Read the tensors of a ``.safetensors`` or ``.npz`` file, by name; never a pickle.

    Raises:
        CheckpointError: The file is missing, damaged or of another kind.
    """
    path = Path(path)
    refuse_pickle(path)
    try:
        if path.suffix == ".safetensors":
            return dict(load(read_regular(path)))
        if path.suffix == ".npz":
            with open_regular(path) as file:
                with zipfile.ZipFile(file) as archive:
                    _check_size(archive)
                file.seek(0)
                with np.load(file, allow_pickle=False) as stored:
                    return {name: stored[name] for name in stored.files}
    except KeyError as error:  # safetensors looks the type up in a table of NumPy's
        raise CheckpointError(f"{path}: holds numbers of type {error}; give float32") from None
    except _ERRORS as error:
        reason = first_line(error)
        raise CheckpointError(f"{path}: not readable as {path.suffix[1:]}: {reason}") from None
    raise CheckpointError(f"{path}: found {path.suffix or 'no suffix'}; give .safetensors or .npz")


def _check_size(archive: zipfile.ZipFile) -> None:
    """Refuse an archive that is small and unpacks to more than weights have, before it does.

    Raises:
        ValueError: It is one.
    """
    size = sum(member.file_size for member in archive.infolist())
    if size > LARGEST_UNPACKED:
        raise ValueError(f"unpacked it has {size} bytes, and {LARGEST_UNPACKED} are allowed")


def convert_weights(
    layer: nn.Layer,
    arrays: Mapping[str, NDArray[Any]],
    names: Mapping[str, str],
    *,
    framework: Framework,
    flattened: Mapping[str, ImageShape] | None = None,
    reshaped: Mapping[str, ImageShape] | None = None,
) -> Arrays:
    """Return every parameter and running statistic of `layer` from another framework's.

    Args:
        layer: What the weights are for; it is not changed.
        arrays: The other model's tensors by name, such as ``"fc.weight"`` (PyTorch) or
            ``"dense/kernel"`` (Keras; a ``":0"`` at the end is ignored).
        names: For every layer with weights, its name in `layer` and in `arrays`, such
            as ``{"dense1": "fc"}``.
        framework: Whose order the tensors are in: ``"torch"`` or ``"keras"``.
        flattened: Dense layers whose **input** is a flattened image, with that image's
            ``(C, H, W)``; needed for Keras alone, which flattens in the order H, W, C.
        reshaped: Dense layers whose **output** is reshaped to an image, likewise.

    Returns:
        The tensors by the names of ``layer.state_dict()``, in its shapes.

    Raises:
        CheckpointError: A tensor or layer that is missing, unknown, left over or of the
            wrong shape.
    """
    given = {name.removesuffix(":0"): np.asarray(array) for name, array in arrays.items()}
    flattened, reshaped = flattened or {}, reshaped or {}
    state = layer.state_dict()
    layers = dict(layer.named_sublayers())
    for name in (*names, *flattened, *reshaped):
        if name not in layers:
            raise CheckpointError(
                f"{type(layer).__name__} has no layer {name!r}{did_you_mean(name, layers)}"
            )
    converted: Arrays = {}
    used: set[str] = set()
    for name, origin in names.items():
        for leaf, source, change in _tensors(layers[name], framework):
            target = f"{name}.{leaf}"
            if target not in state:
                continue  # a layer without a bias, a norm without scale
            key = f"{origin}{'.' if framework == 'torch' else '/'}{source}"
            if key not in given:
                raise CheckpointError(
                    f"tensor {key!r}, for {target!r}, is missing{did_you_mean(key, given)}"
                )
            used.add(key)
            array = change(given[key])
            if isinstance(layers[name], nn.Linear):
                array = _channels_first(target, array, flattened.get(name), reshaped.get(name))
            if array.shape != tuple(state[target].shape):
                raise CheckpointError(
                    f"tensor {key!r} has shape {given[key].shape}, which makes {array.shape} "
                    f"here; {target!r} needs {tuple(state[target].shape)}"
                )
            converted[target] = np.ascontiguousarray(array)
    _check_that_all_is_used(state, converted, given, used)
    return converted


def _check_that_all_is_used(
    state: Iterable[str], converted: Container[str], given: Iterable[str], used: Container[str]
) -> None:
    for target in state:
        if target not in converted:
            raise CheckpointError(f"{target!r} gets no tensor; name its layer in the map of names")
    for key in given:
        if key not in used and not key.endswith("num_batches_tracked"):
            raise CheckpointError(
                f"tensor {key!r} belongs to no layer in the map of names; add it, or leave it out"
            )


def _tensors(layer: nn.Layer, framework: Framework) -> Iterator[tuple[str, str, Change]]:
    """Yield name here, name there and change of order of each tensor of one layer."""
    if isinstance(layer, NORMS):
        there = {
            "torch": ("weight", "bias", "running_mean", "running_var"),
            "keras": ("gamma", "beta", "moving_mean", "moving_variance"),
        }[framework]
        for leaf, source in zip(("weight", "bias", "_mean", "_variance"), there, strict=True):
            yield leaf, source, _as_it_is
        return
    yield "weight", {"torch": "weight", "keras": "kernel"}[framework], _order(layer, framework)
    yield "bias", "bias", _as_it_is


def _order(layer: nn.Layer, framework: Framework) -> Change:
    if isinstance(layer, nn.Linear):
        return np.transpose if framework == "torch" else _as_it_is
    if isinstance(layer, nn.Conv2D | nn.Conv2DTranspose):
        # Keras: rows, columns, in, out (transposed: out, in). The last two change places
        # with the first, which gives Paddle's out, in (transposed: in, out), rows, columns.
        return _last_axes_first if framework == "keras" else _as_it_is
    raise CheckpointError(f"no convention for a {type(layer).__name__}; load its tensors by hand")


def _as_it_is(array: NDArray[Any]) -> NDArray[Any]:
    return array


def _last_axes_first(array: NDArray[Any]) -> NDArray[Any]:
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def _channels_first(
    target: str, array: NDArray[Any], flattened: ImageShape | None, reshaped: ImageShape | None
) -> NDArray[Any]:
    """Reorder a dense layer's weight ``[in, out]`` or bias ``[out]`` from H, W, C to C, H, W."""
    for shape, axis in ((flattened, -2), (reshaped, -1)):
        if shape is None or array.ndim < -axis:  # a bias has no input side
            continue
        if math.prod(shape) != array.shape[axis]:
            raise CheckpointError(
                f"{target!r}: an image of shape {tuple(shape)} has {math.prod(shape)} values, "
                f"and the dense layer {array.shape[axis]}"
            )
        order = np.arange(math.prod(shape)).reshape(shape[1], shape[2], shape[0])
        array = array.take(order.transpose(2, 0, 1).reshape(-1), axis=axis)
    return array
