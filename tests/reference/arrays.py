"""Layers and losses in numpy alone, from their definitions, in float64.

An oracle for nets that have no other: forward passes are written out with these, and gradients
are checked by :func:`slopes`, which needs nothing but the forward pass. Images are
``[N, C, H, W]``; weights have Paddle's order.
"""

import numpy as np


def relu(x):
    return np.maximum(x, 0.0)


def leaky(x, slope):
    return np.where(x > 0.0, x, slope * x)


def elu(x):
    return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))


def doubled(x):
    """Each pixel four times."""
    return x.repeat(2, axis=2).repeat(2, axis=3)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def softplus(x):
    return np.logaddexp(0.0, x)


def dense(w, name, x):
    return x @ w[f"{name}.weight"] + w[f"{name}.bias"]


def norm(w, name, x, epsilon=1e-5):
    """Batch norm in train mode: the batch's own mean and biased variance."""
    axes = (0, *range(2, x.ndim))
    along = (1, -1, *(1,) * (x.ndim - 2))
    mean = x.mean(axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axes, keepdims=True)
    x = (x - mean) / np.sqrt(variance + epsilon)
    return x * w[f"{name}.weight"].reshape(along) + w[f"{name}.bias"].reshape(along)


def conv(w, name, x, stride, padding):
    """Each output is the sum over a window: one shift of the kernel after the other."""
    kernel = w[f"{name}.weight"]  # out, in, rows, columns
    _, _, k, _ = kernel.shape
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = ((side - k) // stride + 1 for side in x.shape[2:])
    out = 0.0
    for i in range(k):
        for j in range(k):
            part = x[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride]
            out = out + np.einsum("nchw,oc->nohw", part, kernel[:, :, i, j])
    return out + _bias(w, name)


def up_conv(w, name, x, stride, padding, size):
    """Transposed: each input adds its multiple of the kernel; then the frame is cut off."""
    kernel = w[f"{name}.weight"]  # in, out, rows, columns
    k, (rows, columns) = kernel.shape[2], x.shape[2:]
    full = [stride * (side - 1) + k for side in x.shape[2:]]
    canvas = np.zeros((len(x), kernel.shape[1], full[0] + stride, full[1] + stride))
    for i in range(k):
        for j in range(k):
            part = np.einsum("nchw,co->nohw", x, kernel[:, :, i, j])
            canvas[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride] += part
    height, width = size
    canvas = canvas[:, :, padding : padding + height, padding : padding + width]
    return canvas + _bias(w, name)


def _bias(w, name):
    bias = w.get(f"{name}.bias")
    return 0.0 if bias is None else bias[:, None, None]


def cross_entropy(logits, labels):
    rows = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -rows[np.arange(len(labels)), labels].mean()


def slopes(loss, weights, step=1e-6, seed=0):
    """Return, by name, a random direction and the slope of ``loss(weights)`` along it."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, array in weights.items():
        direction = rng.normal(size=array.shape)
        ends = [loss({**weights, name: array + sign * step * direction}) for sign in (1, -1)]
        found[name] = direction, (ends[0] - ends[1]) / (2 * step)
    return found
