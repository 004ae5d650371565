"""Residual nets in numpy, written from the papers' tables: nothing of the zoo or of Paddle.

Each net is a function of a dictionary of arrays, whose names are those of a zoo's checkpoint.
The arithmetic is in the arrays' own precision; give float64 for finite differences.
"""

import numpy as np


class Net:
    """The layers of one net, by name.

    Spectral norm is as u and v in the arrays say; `iterated` moves them on.
    """

    def __init__(self, arrays, training):
        self.arrays, self.training = arrays, training

    def has(self, name):
        return any(key.startswith(f"{name}.") for key in self.arrays)

    def weight(self, name, axis=0):
        """A weight, divided by its largest singular value where it is normalised."""
        if f"{name}.weight" in self.arrays:
            return self.arrays[f"{name}.weight"]
        weight = self.arrays[f"{name}.weight_orig"]
        matrix = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
        sigma = self.arrays[f"{name}.weight_u"] @ matrix @ self.arrays[f"{name}.weight_v"]
        return weight / sigma

    def bias(self, name):
        return self.arrays.get(f"{name}.bias", 0.0)

    def dense(self, x, name):
        return x @ self.weight(name, axis=1) + self.bias(name)

    def row(self, name, labels):
        return self.weight(name)[labels]

    def conv(self, x, name, stride=1):
        """Padded as TensorFlow's "same": the odd row and column at the end."""
        weight = self.weight(name)
        kernel, padding = weight.shape[2], [(0, 0), (0, 0)]
        for side in x.shape[2:]:
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            padding.append((total // 2, total - total // 2))
        x = np.pad(x, padding)
        windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
        windows = windows[:, :, ::stride, ::stride]
        bias = self.bias(name)
        bias = bias[:, None, None] if isinstance(bias, np.ndarray) else bias
        return np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True) + bias

    def transposed(self, x, name, stride):
        """What the gradient of such a convolution does: each pixel paints a kernel."""
        weight = self.arrays[f"{name}.weight"]  # [in, out, kernel, kernel]
        n, (high, wide), kernel = len(x), x.shape[2:], weight.shape[2]
        full = np.zeros((n, weight.shape[1], high * stride + kernel, wide * stride + kernel))
        for i in range(kernel):
            for j in range(kernel):
                painted = np.einsum("nchw,co->nohw", x, weight[:, :, i, j])
                full[:, :, i : i + stride * high : stride, j : j + stride * wide : stride] += (
                    painted
                )
        cut = (kernel - stride) // 2
        full = full[:, :, cut : cut + stride * high, cut : cut + stride * wide]
        return full + self.bias(name)[:, None, None]

    def attention(self, x, name):
        """Each place asks all 2x2 cells; no division by a root."""
        query, key, value = (self.conv(x, f"{name}.{part}") for part in ("query", "key", "value"))
        key, value = largest(key), largest(value)
        scores = np.einsum("nchw,ncij->nhwij", query, key)
        raised = np.exp(scores - scores.max((3, 4), keepdims=True))
        weights = raised / raised.sum((3, 4), keepdims=True)
        seen = np.einsum("nhwij,ncij->nchw", weights, value)
        return x + self.arrays[f"{name}.gamma"] * self.conv(seen, f"{name}.out")

    def layer_norm(self, x, name):
        axes = (1, 2, 3)
        x = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
        return x * self.arrays[f"{name}.weight"] + self.arrays[f"{name}.bias"]

    def batch_norm(self, x, name, epsilon):
        """Without scale and shift; the variance is the biased one."""
        if self.training:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
        else:
            mean, variance = self.arrays[f"{name}._mean"], self.arrays[f"{name}._variance"]
        return (x - maps(mean)) / np.sqrt(maps(variance) + epsilon)

    def plain_norm(self, x, name, epsilon):
        scale, shift = self.arrays[f"{name}.weight"], self.arrays[f"{name}.bias"]
        return self.batch_norm(x, name, epsilon) * maps(scale) + maps(shift)

    def norm(self, x, name, epsilon, condition):
        """Plain, by a table of labels, or by a vector, as there are arrays for."""
        if f"{name}.weight" in self.arrays:
            return self.plain_norm(x, name, epsilon)
        x = self.batch_norm(x, f"{name}.norm", epsilon)
        if self.has(f"{name}.gamma"):
            return x * maps(self.row(f"{name}.gamma", condition)) + maps(
                self.row(f"{name}.beta", condition)
            )
        if self.has(f"{name}.hidden"):
            hidden = relu(self.dense(condition, f"{name}.hidden"))
            gain, shift = (self.dense(hidden, f"{name}.{part}") for part in ("gain", "shift"))
            return x * maps(gain) + maps(shift)
        gain, shift = (self.dense(condition, f"{name}.{part}") for part in ("gain", "shift"))
        return x * maps(1 + gain) + maps(shift)

    def generator_block(self, x, name, epsilon, condition):
        h = relu(self.norm(x, f"{name}.norm1", epsilon, condition))
        h = self.conv(nearest(h), f"{name}.conv1")
        h = relu(self.norm(h, f"{name}.norm2", epsilon, condition))
        return self.conv(h, f"{name}.conv2") + self.conv(nearest(x), f"{name}.skip")

    def first_block(self, x, name):
        h = self.conv(relu(self.conv(x, f"{name}.conv1")), f"{name}.conv2")
        return pooled(h) + self.conv(pooled(x), f"{name}.skip")

    def discriminator_block(self, x, name, down, norm=None):
        norm = norm or (lambda h, name: h)
        h = self.conv(relu(norm(x, f"{name}.norm1")), f"{name}.conv1")
        h = self.conv(relu(norm(h, f"{name}.norm2")), f"{name}.conv2")
        skip = self.conv(x, f"{name}.skip") if self.has(f"{name}.skip") else x
        return pooled(h) + pooled(skip) if down else h + skip


def maps(x):
    """[C] or [N, C] beside [N, C, H, W]."""
    return x[..., :, None, None]


def relu(x):
    return np.maximum(x, 0)


def nearest(x):
    return x.repeat(2, axis=2).repeat(2, axis=3)


def pooled(x):
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def largest(x):
    """The largest of each 2x2 cell; an odd row or column at the end is left out."""
    n, c, h, w = x.shape
    cells = x[:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2)
    return cells.max((3, 5))


def iterated(arrays):
    """The arrays after one power iteration of every normalised weight."""
    moved = dict(arrays)
    for key, weight in arrays.items():
        if key.endswith(".weight_orig"):
            name = key.removesuffix("_orig")
            u = arrays[f"{name}_u"]
            axis = list(weight.shape).index(len(u)) if weight.ndim == 2 else 0
            if weight.ndim == 2 and weight.shape[0] == weight.shape[1]:
                raise ValueError(f"{name}: a square matrix does not say which side is its output")
            matrix = np.moveaxis(weight, axis, 0).reshape(len(u), -1)
            v = matrix.T @ u
            v = v / np.sqrt((v * v).sum())
            u = matrix @ v
            moved[f"{name}_u"], moved[f"{name}_v"] = u / np.sqrt((u * u).sum()), v
    return moved


def resnet_generator(arrays, z, labels, *, blocks, grid, epsilon, attention=0, training):
    """SNGAN's, WGAN-GP's and SAGAN's; the norms are told the labels, or z."""
    net = Net(arrays, training)
    condition = z if labels is None else labels
    x = net.dense(z, "project").reshape(len(z), *grid)
    for i in range(blocks):
        x = net.generator_block(x, f"blocks.{i}", epsilon, condition)
        if i + 1 == attention:
            x = net.attention(x, f"attention.{i}")
    return np.tanh(net.conv(relu(net.norm(x, "norm", epsilon, condition)), "pixels"))


def biggan_generator(arrays, z, labels, *, blocks, grid, chunk, attention=0, training):
    """The last `blocks` parts of z, of `chunk` each, go to the blocks, behind the embedding."""
    net = Net(arrays, training)
    first = z.shape[1] - blocks * chunk
    x = net.dense(z[:, :first], "project").reshape(len(z), *grid)
    for i in range(blocks):
        condition = z[:, first + i * chunk : first + (i + 1) * chunk] if chunk else labels
        if labels is not None and net.has("shared"):
            embedding = net.row("shared", labels)
            condition = np.concatenate([embedding, condition], 1) if chunk else embedding
        x = net.generator_block(x, f"blocks.{i}", 1e-5, condition)
        if i + 1 == attention:
            x = net.attention(x, f"attention.{i}")
    return np.tanh(net.conv(relu(net.plain_norm(x, "norm", 1e-5)), "pixels"))


def resnet_discriminator(arrays, images, labels, *, downs, attention=0, training):
    """SNGAN's, SAGAN's and BigGAN's; `downs` of all blocks but the first."""
    net = Net(arrays, training)
    x = net.first_block(images, "blocks.0")
    for i, down in enumerate((None, *downs)):
        if i:
            x = net.discriminator_block(x, f"blocks.{i}", down)
        if i + 1 == attention:
            x = net.attention(x, f"attention.{i}")
    return _scores(net, relu(x).sum((2, 3)), labels)


def wgan_gp_resnet_discriminator(arrays, images, labels, *, downs, layer_norm, training):
    net = Net(arrays, training)
    x = net.conv(images, "first") if layer_norm else net.first_block(images, "first")
    for i, down in enumerate(downs):
        norm = net.layer_norm if layer_norm else None
        x = net.discriminator_block(x, f"blocks.{i}", down, norm)
    h = x.reshape(len(x), -1) if layer_norm else relu(x).mean((2, 3))
    return _scores(net, h, labels)


def wgan_gp_generator(arrays, z, labels, *, grid, quarter, training):
    net = Net(arrays, training)
    x = relu(net.dense(z, "project")).reshape(len(z), *grid)
    x = relu(net.transposed(x, "up1", 2))[:, :, : quarter[0], : quarter[1]]
    x = net.transposed(relu(net.transposed(x, "up2", 2)), "up3", 2)
    return 1 / (1 + np.exp(-x))


def wgan_gp_discriminator(arrays, images, labels, *, training):
    net, x = Net(arrays, training), images
    for name in ("conv1", "conv2", "conv3"):
        x = net.conv(x, name, stride=2)
        x = np.where(x > 0, x, 0.2 * x)
    return net.dense(x.reshape(len(x), -1), "score")


def _scores(net, h, labels):
    logits = net.dense(h, "score")
    if labels is None:
        return logits
    return logits + (net.row("projection.embedding", labels) * h).sum(1, keepdims=True)
