"""Rewrites a generator that is to be exported: the same function in fewer and cheaper layers.

Batch norms are folded into the layer before them or the dense layer after them, and
transposed convolutions take the form that Paddle Inference computes fastest
(:mod:`ppgan_zoo.export.block_convolution`).

A model's ``forward`` is any Python code, so what follows what is found by trial: each layer
is made to return random numbers, and a layer that gets exactly those, bit for bit, comes
next with nothing but a reshape between. An activation would have changed some.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from ppgan_zoo.export.block_convolution import as_convolution, with_norm_as_bias
from ppgan_zoo.models.nets import hooked
from ppgan_zoo.ops.accelerated import transposed_geometry
from ppgan_zoo.ops.geometry import Geometry

_NORMS = (nn.BatchNorm1D, nn.BatchNorm2D)
_ALL_BATCH_NORMS = (nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D, nn.SyncBatchNorm)
_PRODUCTS = (nn.Linear, nn.Conv2D, nn.Conv2DTranspose)
_SPREAD = 10.0  # of the random numbers: beyond what a clip would let pass


@dataclass(frozen=True)
class _Call:
    """One call of a layer in a trial: what it got, what it was made to return, its geometry."""

    layer: nn.Layer
    source: bytes
    result: bytes
    geometry: Geometry | None


def give_norms_weights(generator: nn.Layer) -> None:
    """Give each batch norm without a scale or a shift those that change nothing: ones, zeros.

    Paddle 3.3.1 ends in a segmentation fault where oneDNN runs one without.
    """
    for norm in generator.sublayers(include_self=True):
        if isinstance(norm, _ALL_BATCH_NORMS):
            for name, value in (("weight", 1.0), ("bias", 0.0)):
                if getattr(norm, name) is None:
                    shape = norm._mean.shape
                    parameter = norm.create_parameter(
                        shape, default_initializer=nn.initializer.Constant(value)
                    )
                    setattr(norm, name, parameter)


def rewrite_layers(generator: nn.Layer, z: NDArray[np.float32], *labels: NDArray[np.int64]) -> int:
    """Rewrite `generator` in place, in eval mode, and return how many layers were replaced.

    Only Paddle's own layers are touched (not subclasses), without hooks, called once with
    one input, in float32, whose output goes to the layer that they are folded into and, as a
    residual block's might, nowhere else. The caller compares the images before and after.

    Args:
        generator: Maps z to images.
        z: ``[N, latent_dim]`` to try it with; some dozens, so that the random numbers of a
            layer of one feature are not all positive.
        *labels: int64 ``[N]``, for a generator that takes labels.
    """
    replaced = 0
    inputs: tuple[NDArray[Any], ...] = (z, *labels)
    for product, norm in _neighbours(_trial(generator, inputs), _PRODUCTS, _NORMS):
        if _norm_can_follow(product, norm) and _feeds_only(generator, inputs, product, norm):
            _replace(generator, product, _with_norm_after(product, norm))
            _replace(generator, norm, nn.Identity())
            replaced += 2
    for norm, dense in _neighbours(_trial(generator, inputs), _NORMS, (nn.Linear,)):
        fits = _is_fixed(norm) and dense.weight.shape[0] % norm._mean.shape[0] == 0
        if fits and _feeds_only(generator, inputs, norm, dense):
            _replace(generator, dense, _with_norm_before(dense, norm))
            _replace(generator, norm, nn.Identity())
            replaced += 2
    for call in _trial(generator, inputs):
        faster = _faster(call)
        if faster is not None:
            _replace(generator, call.layer, faster)
            replaced += 1
    generator.eval()
    return replaced


def _trial(generator: nn.Layer, inputs: tuple[NDArray[Any], ...]) -> list[_Call]:
    """Run `generator` with its layers made to return random numbers; return their calls."""
    calls: list[_Call] = []
    draws = np.random.default_rng(0)

    def record(layer: nn.Layer, inputs: tuple[Any, ...], output: Any) -> Tensor | None:
        if len(inputs) != 1 or str(output.dtype) != "paddle.float32":
            return None
        geometry = None
        if type(layer) is nn.Conv2DTranspose:
            geometry = transposed_geometry(layer, inputs[0])
            if geometry is None or geometry.target != tuple(output.shape):
                return None  # stays as it is; a target of another shape: called with output_size
        result = (_SPREAD * draws.standard_normal(output.shape)).astype(np.float32)
        calls.append(_Call(layer, inputs[0].numpy().tobytes(), result.tobytes(), geometry))
        return paddle.to_tensor(result)

    layers = [layer for layer in generator.sublayers() if _is_plain(layer)]
    with hooked(layers, record), paddle.no_grad():
        generator(*map(paddle.to_tensor, inputs))
    times = collections.Counter(id(call.layer) for call in calls)
    return [call for call in calls if times[id(call.layer)] == 1]


def _is_plain(layer: nn.Layer) -> bool:
    return type(layer) in (*_NORMS, *_PRODUCTS) and not (
        layer._forward_pre_hooks or layer._forward_post_hooks
    )


def _neighbours(
    calls: list[_Call], first: tuple[type, ...], second: tuple[type, ...]
) -> list[tuple[nn.Layer, nn.Layer]]:
    """Return the pairs of such layers of which the second gets what the first returns."""
    results = {call.result: call.layer for call in calls if type(call.layer) in first}
    return [
        (results.pop(call.source), call.layer)
        for call in calls
        if type(call.layer) in second and call.source in results
    ]


def _feeds_only(
    generator: nn.Layer, inputs: tuple[NDArray[Any], ...], first: nn.Layer, second: nn.Layer
) -> bool:
    """Tell whether nothing but `second` depends on what `first` returns.

    `second` is made to return the same numbers twice, and `first` other ones.
    """

    def images(seed: int) -> NDArray[np.float32]:
        def stand_in(layer: nn.Layer, _: Any, output: Any) -> Tensor:
            draws = np.random.default_rng(seed if layer is first else 0)
            return paddle.to_tensor(draws.standard_normal(output.shape).astype(np.float32))

        with hooked([first, second], stand_in), paddle.no_grad():
            made: NDArray[np.float32] = generator(*map(paddle.to_tensor, inputs)).numpy()
        return made

    return np.array_equal(images(1), images(2))


def _is_fixed(norm: nn.Layer) -> bool:
    """Whether a batch norm is an affine map of each channel, by its running statistics."""
    return bool(
        not norm.training
        and norm._use_global_stats is not False
        and norm._data_format in ("NCHW", "NCL", "NC")
    )


def _norm_can_follow(product: nn.Layer, norm: nn.Layer) -> bool:
    channels = norm._mean.shape[0]
    if type(product) is nn.Linear:
        return _is_fixed(norm) and product.weight.shape[1] % channels == 0
    return (
        _is_fixed(norm)
        and product._out_channels == channels
        and product._data_format == "NCHW"
        and product._groups == 1
        and list(product._dilation) == [1, 1]
        and getattr(product, "_padding_mode", "zeros") == "zeros"
    )


def _scale_and_shift(norm: nn.Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the affine map of each channel; in float64, for its rounding is in every image."""
    mean, variance, weight, bias = (
        tensor.numpy().astype(np.float64)
        for tensor in (norm._mean, norm._variance, norm.weight, norm.bias)
    )
    scale = weight / np.sqrt(variance + norm._epsilon)
    return scale, bias - mean * scale


def _with_norm_after(product: nn.Layer, norm: nn.Layer) -> nn.Layer:
    """Return one layer that does what `product` and then `norm` do."""
    scale, shift = _scale_and_shift(norm)
    axis = 0 if type(product) is nn.Conv2D else 1
    if type(product) is nn.Linear:
        # Of [N, C x H x W]: as many neighbours as a map has pixels belong to one channel.
        pixels = product.weight.shape[1] // len(scale)
        scale, shift = np.repeat(scale, pixels), np.repeat(shift, pixels)
    weight = product.weight.numpy()
    others = [a for a in range(weight.ndim) if a != axis]
    bias = 0.0 if product.bias is None else product.bias.numpy()
    return _set(_like(product), weight * np.expand_dims(scale, others), bias * scale + shift)


def _with_norm_before(dense: nn.Linear, norm: nn.Layer) -> nn.Layer:
    """Return one layer that does what `norm` and then `dense` do."""
    scale, shift = _scale_and_shift(norm)
    pixels = dense.weight.shape[0] // len(scale)
    scale, shift = np.repeat(scale, pixels), np.repeat(shift, pixels)
    weight = dense.weight.numpy().astype(np.float64)
    bias = 0.0 if dense.bias is None else dense.bias.numpy()
    return _set(_like(dense), weight * scale[:, None], bias + shift @ weight)


def _like(product: nn.Layer) -> nn.Layer:
    """Return a layer of the same form, with a bias."""
    if type(product) is nn.Linear:
        return nn.Linear(*product.weight.shape)
    form: dict[str, Any] = {"stride": product._stride, "padding": product._padding}
    if type(product) is nn.Conv2DTranspose:
        form["output_padding"] = product.output_padding
    return type(product)(product._in_channels, product._out_channels, product._kernel_size, **form)


def _set(layer: nn.Layer, weight: NDArray[Any], bias: NDArray[Any]) -> nn.Layer:
    layer.weight.set_value(weight.astype(np.float32))
    layer.bias.set_value(bias.astype(np.float32))
    return layer


def _faster(call: _Call) -> nn.Layer | None:
    """Return a faster form of a transposed convolution, or None if there is none."""
    if call.geometry is None or call.geometry.groups > 1:
        return None
    convolution = as_convolution(call.layer, call.geometry)
    if convolution is None and call.geometry.bias:
        return with_norm_as_bias(call.layer)
    return convolution


def _replace(generator: nn.Layer, old: nn.Layer, new: nn.Layer) -> None:
    """Put `new` in the place of `old`, under each of its names."""
    for parent in generator.sublayers(include_self=True):
        for name, child in parent._sub_layers.items():
            if child is old:
                parent._sub_layers[name] = new
