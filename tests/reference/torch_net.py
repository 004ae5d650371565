"""One net of a newer model in plain PyTorch: its tensors by name, and layers written out.

A net is a function ``forward(net, ...)``; a tensor comes into being, at the values that
``modern_cases`` gives it, when the function first asks for it, so that the names and the shapes
recorded are the function's own. Dense weights are ``[in, out]``, as checkpoints of the zoo have
them; the rest is in PyTorch's order, which is the same. All is in float64.
"""

import torch
from reference.modern_cases import drawn
from torch.nn import functional as F


class Net:
    """One net: what learns, what it remembers, and which of its layers are normalised.

    Args:
        name: A key of ``CASES``.
        role: Which of its nets.
        forward: The net as a function of this object and its inputs.
        spectral: Kinds of layers with spectral norm: of "dense", "conv", "table".
        **facts: Sizes that `forward` reads.
    """

    def __init__(self, name, role, forward, spectral=(), **facts):
        self.name, self.role, self.forward, self.spectral = name, role, forward, spectral
        self.facts = facts
        self.parameters, self.memory = {}, {}
        self.training = True

    def __call__(self, *inputs):
        return self.forward(self, *inputs, **self.facts)

    def learnt(self, tensor, *shape):
        return self._found(self.parameters, tensor, shape, True)

    def remembered(self, tensor, *shape):
        return self._found(self.memory, tensor, shape, False)

    def _found(self, there, tensor, shape, learns):
        if tensor not in there:
            array = drawn(self.name, self.role, tensor, shape)
            there[tensor] = torch.tensor(array, dtype=torch.float64, requires_grad=learns)
        assert tuple(there[tensor].shape) == shape, (tensor, shape)
        return there[tensor]

    # Layers.

    def weight(self, kind, layer, *shape, outputs_at=0):
        if kind not in self.spectral:
            return self.learnt(f"{layer}.weight", *shape)
        weight = self.learnt(f"{layer}.weight_orig", *shape)
        matrix = weight.transpose(0, outputs_at).reshape(shape[outputs_at], -1)
        return weight / self.spectral_norm(layer, matrix)

    def spectral_norm(self, layer, matrix):
        """One power iteration for each forward in train mode; u and v count as constants."""
        names = f"{layer}.weight_u", f"{layer}.weight_v"
        u, v = (self.remembered(key, n) for key, n in zip(names, matrix.shape))
        if self.training:
            with torch.no_grad():
                v = F.normalize(matrix.T @ u, dim=0, eps=1e-12)
                u = F.normalize(matrix @ v, dim=0, eps=1e-12)
            self.memory.update(zip(names, (u, v)))
        return u @ matrix @ v

    def bias(self, layer, count, x):
        return along_channels(self.learnt(f"{layer}.bias", count), x)

    def dense(self, x, layer, outputs, bias=True):
        x = x @ self.weight("dense", layer, x.shape[1], outputs, outputs_at=1)
        return x + self.bias(layer, outputs, x) if bias else x

    def row(self, layer, rows, width, labels):
        return self.weight("table", layer, rows, width)[labels]

    def conv(self, x, layer, outputs, kernel, stride=1, padding=None, bias=True, groups=1):
        weight = self.weight("conv", layer, outputs, x.shape[1] // groups, kernel, kernel)
        padding = kernel // 2 if padding is None else padding
        x = F.conv2d(x, weight, stride=stride, padding=padding, groups=groups)
        return x + self.bias(layer, outputs, x) if bias else x

    def up_conv(self, x, layer, outputs, kernel, stride, padding, more=(0, 0), bias=True):
        weight = self.weight("conv", layer, x.shape[1], outputs, kernel, kernel, outputs_at=1)
        x = F.conv_transpose2d(x, weight, stride=stride, padding=padding, output_padding=more)
        return x + self.bias(layer, outputs, x) if bias else x

    def normalised(self, x, layer, momentum=0.9, epsilon=1e-5):
        """Batch norm before scale and shift; momentum is the share of the old average."""
        keys = f"{layer}._mean", f"{layer}._variance"
        old = [self.remembered(key, x.shape[1]) for key in keys]
        if self.training:
            axes = [0, *range(2, x.ndim)]
            mean = x.mean(axes)
            variance = ((x - along_channels(mean, x)) ** 2).mean(axes)
            for key, before, now in zip(keys, old, (mean, variance)):
                self.memory[key] = momentum * before + (1 - momentum) * now.detach()
        else:
            mean, variance = old
        return (x - along_channels(mean, x)) / torch.sqrt(along_channels(variance, x) + epsilon)

    def norm(self, x, layer, momentum=0.9, epsilon=1e-5):
        width = x.shape[1]
        scale, shift = (self.learnt(f"{layer}.{leaf}", width) for leaf in ("weight", "bias"))
        x = self.normalised(x, layer, momentum, epsilon)
        return x * along_channels(scale, x) + along_channels(shift, x)


def along_channels(v, x):
    return v.reshape(1, -1, *[1] * (x.ndim - 2))


def flat(x):
    return x.reshape(len(x), -1)


def one_hot(labels, classes):
    return F.one_hot(labels, classes).double()


def nearest(x):
    return F.interpolate(x, scale_factor=2, mode="nearest")
