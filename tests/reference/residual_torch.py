"""SNGAN, WGAN-GP, SAGAN and BigGAN in plain PyTorch, from their papers' tables."""

import torch
from reference.torch_net import flat, nearest
from torch.nn import functional as F

# The residual nets of all of them.


def generator(net, z, labels, *, classes, image_shape, channels, epsilon, momentum=0.9,
              attention_after=0, shared_dim=0, self_modulation=0, **_):  # fmt: skip
    blocks = len(channels) - 1
    rows, columns = (side >> blocks for side in image_shape[1:])
    chunk = len(z[0]) // (blocks + 1) if shared_dim else 0  # BigGAN: a part of z for each block
    first = len(z[0]) - blocks * chunk
    embedding = net.row("shared", classes, shared_dim, labels) if shared_dim else None
    x = net.dense(z[:, :first], "project", channels[0] * rows * columns)
    x = x.reshape(-1, channels[0], rows, columns)
    for index, width in enumerate(channels[1:]):
        told = labels
        if shared_dim:
            part = z[:, first + index * chunk : first + (index + 1) * chunk]
            told = torch.cat([embedding, part], 1)

        def norm(x, layer, told=told):
            if self_modulation:
                return F.relu(self_modulated(net, x, layer, z, self_modulation, momentum, epsilon))
            x = conditional_norm(net, x, layer, told, classes, momentum, epsilon)
            return F.relu(x)

        x = generator_block(net, x, f"blocks.{index}", width, norm)
        if index + 1 == attention_after:
            x = attention(net, x, f"attention.{index}")
    if self_modulation:
        x = self_modulated(net, x, "norm", z, self_modulation, momentum, epsilon)
    else:
        x = net.norm(x, "norm", momentum, epsilon)
    return torch.tanh(net.conv(F.relu(x), "pixels", image_shape[0], 3))


def self_modulated(net, x, layer, z, units, momentum, epsilon):
    """Chen et al. 2019: one hidden layer on z makes scale and shift."""
    hidden = F.relu(net.dense(z, f"{layer}.hidden", units))
    scale, shift = (net.dense(hidden, f"{layer}.{part}", x.shape[1]) for part in ("gain", "shift"))
    x = net.normalised(x, f"{layer}.norm", momentum, epsilon)
    return x * scale[:, :, None, None] + shift[:, :, None, None]


def conditional_norm(net, x, layer, told, classes, momentum, epsilon):
    """Plain without labels; by a table of classes; by a vector (BigGAN)."""
    if told is None:
        return net.norm(x, layer, momentum, epsilon)
    width = x.shape[1]
    x = net.normalised(x, f"{layer}.norm", momentum, epsilon)
    if told.ndim == 1:
        scale, shift = (net.row(f"{layer}.{part}", classes, width, told)
                        for part in ("gamma", "beta"))  # fmt: skip
    else:
        scale, shift = (net.dense(told, f"{layer}.{part}", width, bias=False)
                        for part in ("gain", "shift"))  # fmt: skip
        scale = 1 + scale
    return x * scale[:, :, None, None] + shift[:, :, None, None]


def generator_block(net, x, name, width, norm):
    inside = net.conv(nearest(norm(x, f"{name}.norm1")), f"{name}.conv1", width, 3)
    inside = net.conv(norm(inside, f"{name}.norm2"), f"{name}.conv2", width, 3)
    return inside + net.conv(nearest(x), f"{name}.skip", width, 1)


def first_block(net, x, name, width):
    inside = F.relu(net.conv(x, f"{name}.conv1", width, 3))
    inside = F.avg_pool2d(net.conv(inside, f"{name}.conv2", width, 3), 2)
    return inside + net.conv(F.avg_pool2d(x, 2), f"{name}.skip", width, 1)


def discriminator_block(net, x, name, width, down, hidden):
    inside = net.conv(F.relu(x), f"{name}.conv1", hidden, 3)
    inside = net.conv(F.relu(inside), f"{name}.conv2", width, 3)
    learned = down or width != x.shape[1]
    x = net.conv(x, f"{name}.skip", width, 1) if learned else x
    return F.avg_pool2d(inside + x, 2) if down else inside + x


def discriminator(net, images, labels, *, classes, channels, halvings=2, wide=False,
                  attention_after=0, head_bias=True, **_):  # fmt: skip
    x = images
    for index, width in enumerate(channels):
        if index:
            hidden = width if wide else x.shape[1]
            x = discriminator_block(net, x, f"blocks.{index}", width, index < halvings, hidden)
        else:
            x = first_block(net, x, "blocks.0", width)
        if index + 1 == attention_after:
            x = attention(net, x, f"attention.{index}")
    features = F.relu(x).sum((2, 3))
    logits = net.dense(features, "score", 1, bias=head_bias)
    if labels is not None:
        logits = logits + projected(net, features, labels, classes)
    return logits, {}


def projected(net, features, labels, classes):
    """Miyato and Koyama 2018: the label's vector times the features."""
    told = net.row("projection.embedding", classes, features.shape[1], labels)
    return (told * features).sum(1, keepdim=True)


def attention(net, x, name):
    """Zhang et al. 2019, as in their code: 2x2 max-pooling of keys and values, no scale."""
    n, c, rows, columns = x.shape
    query = net.conv(x, f"{name}.query", c // 8, 1, bias=False).reshape(n, c // 8, -1)
    key = F.max_pool2d(net.conv(x, f"{name}.key", c // 8, 1, bias=False), 2).reshape(n, c // 8, -1)
    value = net.conv(x, f"{name}.value", c // 2, 1, bias=False)
    value = F.max_pool2d(value, 2).reshape(n, c // 2, -1)
    shares = torch.softmax(query.transpose(1, 2) @ key, dim=2)
    seen = (value @ shares.transpose(1, 2)).reshape(n, c // 2, rows, columns)
    return x + net.learnt(f"{name}.gamma", 1) * net.conv(seen, f"{name}.out", c, 1, bias=False)


# WGAN-GP: a critic without norms (Gulrajani et al. 2017).


def critic(net, images, labels, *, channels, classes, halvings=2, labels_by="projection", **_):
    x = first_block(net, images, "first", channels[0])
    for index, width in enumerate(channels[1:]):
        x = discriminator_block(net, x, f"blocks.{index}", width, index + 1 < halvings, x.shape[1])
    features = F.relu(x).mean((2, 3))
    scores = net.dense(features, "score", 1)
    if labels is None:
        return scores, {}
    if labels_by == "classifier":
        return scores, {"class_logits": net.dense(features, "classify", classes)}
    return scores + projected(net, features, labels, classes), {}


def mnist_generator(net, z, labels, *, image_shape, channels, **_):
    """5x5 transposed convolutions of TensorFlow's "same" padding: 2 n of n rows."""
    rows, columns = (-(-side // 8) for side in image_shape[1:])
    x = F.relu(net.dense(z, "project", 4 * channels * rows * columns))
    x = x.reshape(-1, 4 * channels, rows, columns)
    x = F.relu(same_up_conv(net, x, "up1", 2 * channels))
    x = x[:, :, : image_shape[1] // 4, : image_shape[2] // 4]
    x = F.relu(same_up_conv(net, x, "up2", channels))
    return torch.sigmoid(same_up_conv(net, x, "up3", image_shape[0]))


def same_up_conv(net, x, layer, width):
    """Of the 2 n + 3 rows of the full output, one is cut at the start and two at the end."""
    y = net.up_conv(x, layer, width, 5, 2, 0)
    return y[:, :, 1 : 1 + 2 * x.shape[2], 1 : 1 + 2 * x.shape[3]]


def mnist_critic(net, images, labels, *, channels, **_):
    x = images
    for index in range(3):
        before = [max((-(-side // 2) - 1) * 2 + 5 - side, 0) for side in x.shape[2:]]
        rows, columns = before
        x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        x = net.conv(x, f"conv{index + 1}", channels << index, 5, 2, padding=0)
        x = F.leaky_relu(x, 0.2)
    return net.dense(flat(x), "score", 1), {}
