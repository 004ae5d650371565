"""A training step's products, faster and without a compiler; Paddle's own stay the reference.

Paddle's wheel for CPUs brings oneDNN and uses it in inference alone. Where it is found and
computes what Paddle computes (a self-test when the first net is accelerated), :func:`accelerate`
switches the convolutions and dense layers of a net over to the fastest of several forms, found
by a short trial of each product that is met: by oneDNN, by Paddle, by Winograd's algorithm or as
a product of matrices; inside :func:`precision` also with factors rounded to bfloat16. What was
found is kept for later processes (:mod:`ppgan_zoo.ops.choice`), since each form rounds in its
own way. Without oneDNN convolutions go to faster ones of Paddle's operations. In eval mode, on a
GPU and in an export all is Paddle's own.

``PPGAN_ZOO_OPS`` in the environment chooses: ``auto`` as above; ``onednn`` for the form that is
usually fastest, without a trial; ``paddle`` for Paddle's operations alone; ``off`` for Paddle's
layers as they are.

Read ``accelerated``, then ``geometry`` with ``paddle_convolution``, ``turned``, ``winograd``,
``columns`` and ``bias``; then ``onednn``, ``plan`` and ``onednn_convolution``; ``trial`` and
``choice`` with ``convolution``, which chooses; ``dense`` with ``activation`` and ``onednn_dense``,
``self_test`` and ``threads``; ``differentiation`` says what of these can be differentiated twice,
and ``batch_norm`` computes that of a batch norm. ``arrays`` makes tensors of NumPy's arrays.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.runtime import CHECKING_FLAG, Runtime, cpu_field, instructions, processor_kind

if TYPE_CHECKING:
    from paddle import Tensor, nn

    from ppgan_zoo.ops.accelerated import Convolve
    from ppgan_zoo.ops.choice import Choices, Forms
    from ppgan_zoo.ops.dense import Compute
    from ppgan_zoo.ops.onednn import Library

SWITCH = "PPGAN_ZOO_OPS"
SWITCH_VALUES = ("auto", "onednn", "paddle", "off")
MARK = "accelerated"

Precision = Literal["float32", "bfloat16", "auto"]
ROUGH_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
AMP = {"level": "OD", "dtype": "bfloat16", "custom_white_list": {"conv2d_transpose"}}
"""For ``paddle.amp.auto_cast``: products alone are bfloat16, the kind too that its list lacks."""

_native: ContextVar[bool] = ContextVar("native", default=False)
_rough: ContextVar[bool] = ContextVar("rough", default=False)


def accelerate(*nets: nn.Layer) -> None:
    """Let dense layers and convolutions be computed in the fastest way while they train.

    A layer is accelerated if its class is Paddle's ``Linear``, ``Conv2D`` or
    ``Conv2DTranspose`` itself (a subclass may compute something else), and then only in train
    mode, in float32 on the CPU; a dense layer of ``[N, in]``, with those next to it in a
    ``Sequential``; a convolution in NCHW with no dilation and zero padding.

    A layer that computes its weights and then calls :func:`conv2d` has an attribute
    ``accelerated``, which is set.

    The first call tests oneDNN against Paddle, in some milliseconds. On a GPU nothing is done,
    nor where Paddle is told to look for NaN after every operation (``FLAGS_check_nan_inf``).

    Raises:
        ConfigError: ``PPGAN_ZOO_OPS`` is none of its values.
    """
    if _switch() == "off" or _device() != "cpu" or _checks_every_number():
        return
    library()
    classes = _classes()
    for net in nets:
        for layer in net.sublayers(include_self=True):
            if type(layer) in classes:
                layer.__class__ = classes[type(layer)]
            elif hasattr(layer, MARK):
                layer.accelerated = True


def restore(*nets: nn.Layer) -> None:
    """Undo :func:`accelerate`."""
    plain = {accelerated: paddles for paddles, accelerated in _classes().items()}
    for net in nets:
        for layer in net.sublayers(include_self=True):
            if type(layer) in plain:
                layer.__class__ = plain[type(layer)]
            elif hasattr(layer, MARK):
                layer.accelerated = False


def conv2d(layer: nn.Conv2D, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return what a convolution layer makes of `x` with other weights than its own.

    For a subclass of ``nn.Conv2D`` that computes its weights, such as one with an equalised
    learning rate. Fast in train mode if the layer's attribute ``accelerated`` is true, which
    :func:`accelerate` sees to; else as Paddle computes it.

    Args:
        layer: Gives stride, padding and the shape of the weight.
        x: ``[N, C, H, W]``.
        weight: As ``layer.weight``.
        bias: As ``layer.bias``.
    """
    from ppgan_zoo.ops.accelerated import convolve_with

    fast = layer.training and layer.accelerated
    return convolve_with(_chosen() if fast else None, layer, x, weight, bias)


def leaky_relu(x: Tensor, slope: float) -> Tensor:
    """Return ``F.leaky_relu(x, slope)``, whose gradient takes a third to half of the time on CPUs.

    Args:
        x: Any tensor.
        slope: 0 or more.
    """
    import paddle

    # As plain as can be, as is the next: Paddle 2 exports by rewriting the source.
    if paddle.in_dynamic_mode():
        return _activated(x, slope)
    return paddle.nn.functional.leaky_relu(x, slope)


def relu(x: Tensor) -> Tensor:
    """Return ``F.relu(x)``, whose gradient takes less time on CPUs."""
    import paddle

    if paddle.in_dynamic_mode():
        return _activated(x, 0.0)
    return paddle.nn.functional.relu(x)


def _activated(x: Tensor, slope: float) -> Tensor:
    from ppgan_zoo.ops import activation

    return activation.leaky_relu(x, slope, _for_activations)


@contextlib.contextmanager
def native() -> Iterator[None]:
    """Compute by Paddle's own code inside; its graph may be differentiated in any way."""
    with _switched(True):
        yield


@contextlib.contextmanager
def input_gradients() -> Iterator[None]:
    """Allow ``paddle.grad(..., create_graph=True)`` of images, and of nothing else, inside."""
    from ppgan_zoo.ops.differentiation import input_gradients_alone

    with _switched(False), input_gradients_alone():
        yield


@contextlib.contextmanager
def precision(wanted: Precision) -> Iterator[None]:
    """Let products inside have factors rounded to bfloat16, where that is wanted and faster.

    Everything that is no product stays float32; on CPUs sums, biases and results too. With another
    value than ``"float32"`` bfloat16 is tried where :func:`why_not_rough` knows no reason against
    it. On a GPU products and their results are bfloat16, by ``paddle.amp``.
    """
    rough = wanted != "float32" and why_not_rough() is None
    with _mixed_by_paddle() if rough and _device() != "cpu" else contextlib.nullcontext():
        token = _rough.set(rough)
        try:
            yield
        finally:
            _rough.reset(token)


def _mixed_by_paddle() -> contextlib.AbstractContextManager[None]:
    import paddle

    mixed: contextlib.AbstractContextManager[None] = paddle.amp.auto_cast(**AMP)
    return mixed


def why_not_rough() -> str | None:
    """Return why products cannot be computed in bfloat16 here, or None where they can."""
    if _device() != "cpu":
        import paddle

        has_them = paddle.amp.is_bfloat16_supported()
        return None if has_them else f"{_device()} or its CUDA does not compute in bfloat16"
    if _switch() != "auto":
        return f"{SWITCH}={_switch()}"
    if not _has_rough_instructions():
        return f"this processor has neither {' nor '.join(ROUGH_INSTRUCTIONS)}"
    return None if library() else describe()


@functools.cache
def _has_rough_instructions() -> bool:
    return bool(instructions(*ROUGH_INSTRUCTIONS))


def library() -> Library | None:
    """Return oneDNN if it is to be used: wanted, there, and right by its self-test.

    Raises:
        ConfigError: ``PPGAN_ZOO_OPS`` is none of its values.
    """
    return _library()[0] if _switch() in ("auto", "onednn") else None


def adopt(choices: Mapping[str, str]) -> None:
    """Compute products by these forms, as a run did that is continued.

    Args:
        choices: As :func:`choices_used` returned them. A product that is not among them is
            computed as ever.
    """
    if found := _that_chooses():
        _choices(found).adopt(choices)


def choices_used() -> dict[str, str]:
    """Return the form of each product that has been computed by a choice, in plain words."""
    found = _that_chooses()
    return dict(sorted(_choices(found).used.items())) if found else {}


def _that_chooses() -> Library | None:
    return library() if _switch() == "auto" and _device() == "cpu" else None


def describe_machine(machine: Runtime) -> dict[str, Any]:
    """Return what a manifest records of a machine: itself, and how products are computed there."""
    return {**machine.describe(), "convolutions": describe()}


def describe() -> str:
    """Return what products are trained by on this device, and why, for a manifest."""
    if _switch() in ("paddle", "off"):
        return f"Paddle ({SWITCH}={_switch()})"
    if _device() != "cpu":
        return f"Paddle (on {_device()})"
    if _checks_every_number():
        return f"Paddle ({CHECKING_FLAG})"
    found, reason = _library()
    if not found:
        return f"Paddle ({reason})"
    return f"oneDNN {found.version}" + ("" if _switch() == "auto" else ", without a trial")


def _switch() -> str:
    value = os.environ.get(SWITCH, "auto")
    if value not in SWITCH_VALUES:
        raise ConfigError(f"{SWITCH}={value!r}: must be one of {', '.join(SWITCH_VALUES)}")
    return value


def _checks_every_number() -> bool:
    """Tell whether Paddle looks for NaN in every tensor, even in one that is not written yet."""
    import paddle

    return bool(paddle.get_flags(CHECKING_FLAG)[CHECKING_FLAG])


def _device() -> str:
    import paddle

    return str(paddle.get_device())


@functools.cache
def _library() -> tuple[Library | None, str]:
    import paddle

    from ppgan_zoo.ops.onednn import Library, OneDNNError
    from ppgan_zoo.ops.self_test import largest_error

    files = sorted((Path(paddle.__file__).parent / "libs").glob("libdnnl.so.*"))
    if not files:
        return None, "no oneDNN beside this Paddle"
    try:
        found = Library(files[0])
        error = largest_error(found)
    except OneDNNError as problem:
        return None, f"oneDNN: {problem}"
    if not error < TOLERANCE:
        return None, f"oneDNN {found.version} differs from it by {error:.1e}"
    return found, ""


TOLERANCE = 1e-4
"""Largest difference from Paddle's results that the self-test allows, relative to them."""


@functools.cache
def _classes() -> dict[Any, Any]:
    from ppgan_zoo.ops.accelerated import accelerated_classes

    return accelerated_classes(_chosen, _chosen_dense)


def _chosen() -> Convolve | None:
    if _native.get() or _switch() == "off":
        return None
    from ppgan_zoo.ops import convolution, paddle_convolution

    forms = _forms()
    return functools.partial(convolution.convolve, forms) if forms else paddle_convolution.convolve


def _for_activations() -> Library | None:
    return None if _native.get() or _checks_every_number() else library()


def _chosen_dense() -> Compute | None:
    forms = None if _native.get() else _forms()
    if forms is None:
        return None
    from ppgan_zoo.ops.onednn_dense import dense

    return functools.partial(dense, forms)


def _forms() -> Forms | None:
    """Return what products are computed by, if oneDNN is to be used."""
    from ppgan_zoo.ops.choice import Forms

    found = library()
    if found is None:
        return None
    return Forms(found, _choices(found) if _switch() == "auto" else None, _rough.get())


@functools.cache
def _choices(found: Library) -> Choices:
    import paddle

    from ppgan_zoo.ops.choice import Choices, folder

    machine = {
        "model name": cpu_field("model name"),
        **processor_kind(),
        "oneDNN": found.version,
        "Paddle": paddle.__version__,
    }
    return Choices(machine, folder())


@contextlib.contextmanager
def _switched(native: bool) -> Iterator[None]:
    token = _native.set(native)
    try:
        yield
    finally:
        _native.reset(token)
