"""R3GAN in NumPy, from its description: nets, losses and penalties, in float64.

Functions of a dictionary of arrays by the names of the zoo's parameters. D is piecewise linear
in its image: its exact gradient at an image is the linear map that remains when each LeakyReLU
keeps the slopes that it has there, read off images of one pixel each. So no automatic
differentiation is needed.
"""

import numpy as np

FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def images_of(g, z, labels=None, group_channels=16):
    if labels is not None:
        z = np.concatenate([z, g["embedding.weight"][labels]], axis=1)
    x = (z @ g["mapping.weight"])[:, :, None, None] * g["basis"]
    return convolve(body(g, x, doubled, Slopes(), group_channels), g["pixels.weight"])


def logits_of(d, images, labels=None, group_channels=16, slopes=None):
    linear = slopes is not None and slopes.fixed is not None
    x = convolve(images, d["pixels.weight"])
    x = body(d, x, halved, slopes or Slopes(), group_channels, linear)
    features = (x * d["window"]).sum((2, 3)) @ d["features.weight"]
    if labels is None:
        return features
    return (features * d["embedding.weight"][labels]).sum(1, keepdims=True)


def squared_gradient_norms(d, images, labels=None, group_channels=16):
    """||grad_x D(x)||^2 of each image."""
    norms = []
    for place, image in enumerate(images):
        label = None if labels is None else labels[place : place + 1]
        there = Slopes()
        logits_of(d, image[None], label, group_channels, there)
        pixels = np.eye(image.size).reshape(-1, *image.shape)
        repeated = None if label is None else np.repeat(label, len(pixels))
        gradient = logits_of(d, pixels, repeated, group_channels, Slopes(there.above))
        norms.append(np.square(gradient).sum())
    return np.array(norms)


def discriminator_loss(g, d, z, reals, labels=None, *, gamma, group_channels=16):
    """Relativistic pairing with R1 and R2."""
    fakes = images_of(g, z, labels, group_channels)
    penalty = sum(
        squared_gradient_norms(d, side, labels, group_channels).mean() for side in (reals, fakes)
    )
    difference = _differences(d, reals, fakes, labels, group_channels)
    return np.logaddexp(0, -difference).mean() + gamma / 2 * penalty


def generator_loss(g, d, z, reals, labels=None, *, group_channels=16):
    fakes = images_of(g, z, labels, group_channels)
    return np.logaddexp(0, _differences(d, reals, fakes, labels, group_channels)).mean()


def _differences(d, reals, fakes, labels, group_channels):
    of_real, of_fake = (logits_of(d, side, labels, group_channels) for side in (reals, fakes))
    return of_real - of_fake


def body(net, x, resampled, slope, group_channels, linear=False):
    layers = {int(name.split(".")[1]) for name in net if name.startswith("body.")}
    for index in range(max(layers) + 1):
        name = f"body.{index}"
        if f"{name}.expand.weight" in net:
            x = x + block(net, name, x, slope, group_channels, linear)
        elif f"{name}.weight" in net:
            x = convolve(x, net[f"{name}.weight"])
        else:
            x = resampled(x)
    return x


def block(net, name, x, slope, group_channels, linear):
    for layer in ("expand", "mix"):
        groups = x.shape[1] // group_channels if layer == "mix" else 1
        x = convolve(x, net[f"{name}.{layer}.weight"], groups)
        x = slope(x if linear else x + net[f"{name}.{layer}.bias"][:, None, None])
    return convolve(x, net[f"{name}.project.weight"])


def convolve(x, weight, groups=1):
    """A convolution of odd size with zeros around, group by group and tap by tap."""
    n, channels, height, width = x.shape
    out, size = len(weight), weight.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (size // 2,) * 2, (size // 2,) * 2))
    y = np.zeros((n, out, height, width))
    for group in range(groups):
        ours = slice(group * out // groups, (group + 1) * out // groups)
        theirs = slice(group * channels // groups, (group + 1) * channels // groups)
        for i in range(size):
            for j in range(size):
                window = padded[:, theirs, i : i + height, j : j + width]
                y[:, ours] += np.einsum("oc,nchw->nohw", weight[ours, :, i, j], window)
    return y


def doubled(x):
    n, c, height, width = x.shape
    between = np.zeros((n, c, 2 * height, 2 * width))
    between[:, :, ::2, ::2] = x
    return 4 * filtered(between, 2, 1)


def halved(x):
    return filtered(x, 1, 1)[:, :, ::2, ::2]


def filtered(x, before, after):
    padded = np.pad(x, ((0, 0), (0, 0), (before, after), (before, after)))
    height, width = padded.shape[2] - 3, padded.shape[3] - 3
    return sum(
        FILTER[i, j] * padded[:, :, i : i + height, j : j + width]
        for i in range(4)
        for j in range(4)
    )


class Slopes:
    """LeakyReLU(0.2) that notes where it was above zero, or keeps the slopes noted elsewhere."""

    def __init__(self, fixed=None):
        self.fixed = None if fixed is None else iter(fixed)
        self.above = []

    def __call__(self, x):
        self.above.append(x > 0 if self.fixed is None else next(self.fixed))
        return np.where(self.above[-1], x, 0.2 * x)
