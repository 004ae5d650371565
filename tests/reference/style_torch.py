"""StyleGAN2, R3GAN and FastGAN in plain PyTorch, from their papers and official code's facts.

Convolutions in the form of the papers: modulated ones with weights of their own for each image,
resampling with the filter of two axes over an image with zeros between its pixels.
"""

import math

import torch
from reference.torch_net import flat, nearest, one_hot
from torch.nn import functional as F

TAPS = torch.outer(*[torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)] * 2) / 64


def filtered(x, before, after):
    n, c, rows, columns = x.shape
    x = F.pad(x.reshape(n * c, 1, rows, columns), (before, after, before, after))
    x = F.conv2d(x, TAPS[None, None])
    return x.reshape(n, c, *x.shape[2:])


def spread(x):
    """Zeros after each row and each column."""
    n, c, rows, columns = x.shape
    y = torch.zeros(n, c, rows, 2, columns, 2, dtype=x.dtype)
    y[:, :, :, 0, :, 0] = x
    return y.reshape(n, c, 2 * rows, 2 * columns)


def upsampled(x):
    return 4 * filtered(spread(x), 2, 1)


def downsampled(x):
    return filtered(x, 1, 1)[:, :, ::2, ::2]


# StyleGAN2 (Karras et al. 2020).


def lrelu(x):
    return math.sqrt(2) * F.leaky_relu(x, 0.2)


def equal_dense(net, x, layer, outputs, rate=1.0):
    weight = net.learnt(f"{layer}.weight", x.shape[1], outputs)
    bias = net.learnt(f"{layer}.bias", outputs)
    return x @ weight * rate / math.sqrt(x.shape[1]) + bias * rate


def equal_conv(net, x, layer, outputs, kernel, padding, stride=1, bias=True):
    weight = net.learnt(f"{layer}.weight", outputs, x.shape[1], kernel, kernel)
    y = F.conv2d(x, weight / math.sqrt(x.shape[1] * kernel**2), stride=stride, padding=padding)
    return y + net.bias(layer, outputs, y) if bias else y


def second_moment(x):
    return x * torch.rsqrt((x**2).mean(1, keepdim=True) + 1e-8)


def mapping(net, z, labels, width, depth, classes):
    parts = [] if z is None else [second_moment(z)]
    if labels is not None:
        label = equal_dense(net, one_hot(labels, classes), "mapping.embedding", width)
        parts.append(second_moment(label))
    x = torch.cat(parts, 1)
    for index in range(depth):
        x = lrelu(equal_dense(net, x, f"mapping.layers.{index}", width, 0.01))
    return x


def styles(net, z, labels, *, classes, channels, w_dim, style_mixing, draws, **_):
    """w for each layer; in train mode w's average moves, and another z may come in."""
    count = 2 * len(channels)
    average = net.remembered("average", w_dim)
    w = mapping(net, z, labels, w_dim, 2, classes)
    if not net.training:
        return w[:, None].repeat(1, count, 1)
    net.memory["average"] = 0.995 * average + 0.005 * w.detach().mean(0)
    if style_mixing == 0.0 or draws().uniform((1,))[0] >= style_mixing:
        return w[:, None].repeat(1, count, 1)
    place = draws().integer(1, count)
    other = torch.tensor(draws().normal(tuple(z.shape))).double()
    other = mapping(net, other, labels, w_dim, 2, classes)
    return torch.stack([w] * place + [other] * (count - place), 1)


def modulated(net, x, layer, scales, outputs, kernel, demodulated, up=False):
    """A grouped convolution, each image by weights of its own."""
    n, c = x.shape[:2]
    if up:  # a transposed convolution's weight in the zoo: [in, out, k, k], flipped
        weight = net.learnt(f"{layer}.conv.weight", c, outputs, kernel, kernel)
        weight = weight.permute(1, 0, 2, 3).flip(2, 3)
    else:
        weight = net.learnt(f"{layer}.conv.weight", outputs, c, kernel, kernel)
    weight = weight[None] * scales[:, None, :, None, None]
    if demodulated:
        weight = weight * torch.rsqrt((weight**2).sum((2, 3, 4), keepdim=True) + 1e-8)
    if up:  # zeros, filter, then the kernel without padding
        x, padding = 4 * filtered(spread(x), 3, 2), 0
    else:
        padding = kernel // 2
    x = x.reshape(1, n * c, *x.shape[2:])
    y = F.conv2d(x, weight.reshape(n * outputs, c, kernel, kernel), padding=padding, groups=n)
    return y.reshape(n, outputs, *y.shape[2:])


def affine(net, w, layer, width):
    return equal_dense(net, w, f"{layer}.affine", width)


def styled(net, x, layer, w, outputs, draws, up=False):
    y = modulated(net, x, layer, affine(net, w, layer, x.shape[1]), outputs, 3, True, up)
    noise = net.remembered(f"{layer}.noise", 1, 1, *y.shape[2:])
    if net.training:
        noise = torch.tensor(draws().normal((len(y), 1, *y.shape[2:]))).double()
    y = y + net.learnt(f"{layer}.noise_strength", 1) * noise
    return lrelu(y + net.bias(layer, outputs, y))


def to_image(net, x, layer, w, channels):
    scales = affine(net, w, layer, x.shape[1]) / math.sqrt(x.shape[1])
    y = modulated(net, x, layer, scales, channels, 1, False)
    return y + net.bias(layer, channels, y)


def synthesis(net, ws, *, image_shape, channels, draws, **_):
    rows, columns = (side >> (len(channels) - 1) for side in image_shape[1:])
    x = net.learnt("start", 1, channels[0], rows, columns).repeat(len(ws), 1, 1, 1)
    image = None
    for index, width in enumerate(channels):
        name, first = f"levels.{index}", 2 * index - 1
        if index:
            x = styled(net, x, f"{name}.up", ws[:, first], width, draws, up=True)
        x = styled(net, x, f"{name}.conv", ws[:, first + 1], width, draws)
        rgb = to_image(net, x, f"{name}.to_image", ws[:, first + 2], image_shape[0])
        image = rgb if image is None else upsampled(image) + rgb
    return image


def style_generator(net, z, labels, **facts):
    return synthesis(net, styles(net, z, labels, **facts), **facts)


def style_discriminator(
    net, images, labels, *, classes, channels, architecture="resnet", group_size=4, **_
):
    x = lrelu(equal_conv(net, images, "from_image", channels[-1], 1, 0))
    for index, width in enumerate(channels[-2::-1]):
        name = f"halvings.{index}"
        y = lrelu(equal_conv(net, x, f"{name}.conv", x.shape[1], 3, 1))
        y = lrelu(equal_conv(net, filtered(y, 2, 2), f"{name}.down", width, 3, 0, stride=2))
        if architecture == "resnet":
            skip = equal_conv(net, downsampled(x), f"{name}.skip", width, 1, 0, bias=False)
            y = (y + skip) * math.sqrt(0.5)
        x = y
    x = torch.cat([x, deviation(x, group_size)], 1)
    x = lrelu(equal_conv(net, x, "conv", channels[0], 3, 1))
    x = lrelu(equal_dense(net, flat(x), "dense", channels[0]))
    answers = equal_dense(net, x, "logit", channels[0] if labels is not None else 1)
    if labels is None:
        return answers, {}
    of_label = mapping(net, None, labels, channels[0], 2, classes)
    return (answers * of_label).sum(1, keepdim=True) / math.sqrt(channels[0]), {}


def deviation(x, most):
    """Of groups whose members lie N / g apart; g divides N."""
    n, _, rows, columns = x.shape
    g = max(size for size in range(1, most + 1) if n % size == 0)
    y = x.reshape(g, n // g, -1)
    y = torch.sqrt(((y - y.mean(0)) ** 2).mean(0) + 1e-8).mean(1)
    return y.repeat(g)[:, None, None, None].repeat(1, 1, rows, columns)


# R3GAN (Huang et al. 2024).


def r3gan_generator(
    net, z, labels, *, classes, image_shape, widths, group_channels, label_dim, **_
):
    z = torch.cat([z, net.row("embedding", classes, label_dim, labels)], 1)
    rows, columns = (side >> (len(widths) - 1) for side in image_shape[1:])
    scales = net.dense(z, "mapping", widths[0], bias=False)
    x = scales[:, :, None, None] * net.learnt("basis", widths[0], rows, columns)
    x = stages(net, x, widths, group_channels, upsampled)
    return net.conv(x, "pixels", image_shape[0], 1, bias=False)


def r3gan_discriminator(net, images, labels, *, classes, widths, group_channels, **_):
    x = net.conv(images, "pixels", widths[-1], 1, bias=False)
    x = stages(net, x, widths[::-1], group_channels, downsampled)
    x = (x * net.learnt("window", *x.shape[1:])).sum((2, 3))
    features = net.dense(x, "features", widths[0], bias=False)
    told = net.row("embedding", classes, widths[0], labels)
    return (features * told).sum(1, keepdim=True), {}


def stages(net, x, widths, group_channels, resampled):
    """A block at each width; up, the width changes before resampling, down, after it."""
    place = 0
    for index, width in enumerate(widths):
        if index:
            narrower = f"body.{place if resampled is upsampled else place + 1}"
            if resampled is upsampled:
                x = resampled(net.conv(x, narrower, width, 1, bias=False))
            else:
                x = net.conv(resampled(x), narrower, width, 1, bias=False)
            place += 2
        x = x + r3gan_block(net, x, f"body.{place}", group_channels)
        place += 1
    return x


def r3gan_block(net, x, name, group_channels):
    width = x.shape[1]
    y = F.leaky_relu(net.conv(x, f"{name}.expand", 2 * width, 1), 0.2)
    y = net.conv(y, f"{name}.mix", 2 * width, 3, groups=2 * width // group_channels)
    return net.conv(F.leaky_relu(y, 0.2), f"{name}.project", width, 1, bias=False)


# FastGAN at 32x32 (Liu et al. 2021).


def gate(x):
    a, b = x.chunk(2, 1)
    return a * torch.sigmoid(b)


def fast_conv(net, x, layer, width, kernel, stride=1, padding=None):
    return net.conv(x, layer, width, kernel, stride, padding, bias=False)


def doubling(net, x, name, width, draws=None):
    """Once, or twice with noise."""
    x, step = nearest(x), 0
    for _ in range(2 if draws else 1):
        x = fast_conv(net, x, f"{name}.body.{step}", 2 * width, 3)
        if draws:
            strength = net.learnt(f"{name}.body.{step + 1}.strength", 1)
            if net.training:
                noise = torch.tensor(draws().normal((len(x), 1, *x.shape[2:]))).double()
                x = x + strength * noise
        x = gate(net.norm(x, f"{name}.body.{step + (2 if draws else 1)}"))
        step += 4
    return x


def excitation(net, x, name, width):
    x = fast_conv(net, F.adaptive_avg_pool2d(x, 4), f"{name}.gate.1", width, 4, padding=0)
    return torch.sigmoid(fast_conv(net, F.silu(x), f"{name}.gate.3", width, 1))


def fast_generator(net, z, labels, *, image_shape, ngf, draws, **_):
    x = net.up_conv(z[:, :, None, None], "first.0", 32 * ngf, 4, 1, 0, bias=False)
    x = gate(net.norm(x, "first.1"))
    low = doubling(net, x, "doublings.0", 8 * ngf, draws)
    x = doubling(net, low, "doublings.1", 4 * ngf)
    x = doubling(net, x, "doublings.2", 2 * ngf, draws)
    x = x * excitation(net, low, "excitations.0", 2 * ngf)
    return fast_conv(net, x, "pixels", image_shape[0], 3)


def fast_halving(net, x, name, width):
    y = fast_conv(net, x, f"{name}.main.0", width, 4, 2, 1)
    y = F.leaky_relu(net.norm(y, f"{name}.main.1"), 0.2)
    y = fast_conv(net, y, f"{name}.main.3", width, 3)
    y = F.leaky_relu(net.norm(y, f"{name}.main.4"), 0.2)
    x = fast_conv(net, F.avg_pool2d(x, 2), f"{name}.direct.1", width, 1)
    return (y + F.leaky_relu(net.norm(x, f"{name}.direct.2"), 0.2)) / 2


def fast_discriminator(net, images, labels, *, ndf, **_):
    """At 32x32: the entry, two halvings; and one convolution of the half-size copy."""
    x = F.leaky_relu(fast_conv(net, images, "entry.0", 2 * ndf, 3), 0.2)
    of_16 = fast_halving(net, x, "halvings.0", 4 * ndf)
    last = fast_halving(net, of_16, "halvings.1", 8 * ndf)
    small = fast_conv(net, F.avg_pool2d(images, 2), "small.0", 4 * ndf, 4, 2, 1)
    small = F.leaky_relu(small, 0.2)
    head = fast_conv(net, last, "head.0", 16 * ndf, 1)
    head = F.leaky_relu(net.norm(head, "head.1"), 0.2)
    patches = [fast_conv(net, head, "head.3", 1, 4, padding=0),
               fast_conv(net, small, "small_head", 1, 4, padding=0)]  # fmt: skip
    extras = {"last": last, "small": small, "of_16": of_16}
    return torch.cat([flat(part) for part in patches], 1), extras


def redrawn(net, maps, name, ndf, channels):
    """A picture of 16x16 of maps of 8x8; at most one doubling, of 4 halves of ndf."""
    x = doubling(net, maps, f"{name}.0", 4 * (ndf // 2))
    return torch.tanh(fast_conv(net, x, f"{name}.1", channels, 3))
