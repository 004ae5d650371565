"""cGAN, ACGAN, InfoGAN, BEGAN and BiGAN in plain PyTorch, from their papers' tables."""

import torch
from reference.torch_net import flat, nearest, one_hot
from torch.nn import functional as F

# cGAN: the label has a layer of its own in both nets (Mirza and Osindero 2014).


def cgan_generator(
    net, z, labels, *, classes, image_shape, z_units, label_units, hidden_units, **_
):
    y = net.dense(one_hot(labels, classes), "of_label", label_units)
    x = F.relu(torch.cat([net.dense(z, "of_z", z_units), y], 1))
    x = F.relu(net.dense(x, "joint", hidden_units))
    pixels = image_shape[0] * image_shape[1] * image_shape[2]
    return torch.sigmoid(net.dense(x, "pixels", pixels)).reshape(-1, *image_shape)


def cgan_discriminator(
    net, images, labels, *, classes, image_units, label_units, hidden_units, **_
):
    x = maxout(net, flat(images), "of_image", image_units, 5)
    y = maxout(net, one_hot(labels, classes), "of_label", label_units, 5)
    x = maxout(net, torch.cat([x, y], 1), "joint", hidden_units, 4)
    return net.dense(x, "logit", 1), {}


def maxout(net, x, layer, units, pieces):
    return net.dense(x, f"{layer}.linear", units * pieces).reshape(-1, units, pieces).amax(2)


# ACGAN: D says of which class an image is (Odena et al. 2017).


def acgan_generator(net, z, labels, *, classes, image_shape, channels, **_):
    sides = [image_shape[1:]]
    for _ in channels:
        sides.append(tuple((side + 1) // 2 for side in sides[-1]))
    sides = sides[::-1]
    rows, columns = sides[0]
    x = torch.cat([z, one_hot(labels, classes)], 1)
    x = F.relu(net.dense(x, "dense", channels[0] * rows * columns))
    x = x.reshape(-1, channels[0], rows, columns)
    widths = [*channels[1:], image_shape[0]]
    for index, width in enumerate(widths):
        # Of n rows, a transposed convolution of padding 2 makes 2 n - 1.
        more = tuple(b - 2 * a + 1 for a, b in zip(sides[index], sides[index + 1]))
        x = net.up_conv(x, f"ups.{index}", width, 5, 2, 2, more)
        if index < len(widths) - 1:
            x = F.relu(net.norm(x, f"norms.{index}"))
    return torch.tanh(x)


def acgan_discriminator(net, images, labels, *, classes, channels, draws, **_):
    x = images
    for index, width in enumerate(channels):
        x = net.conv(x, f"convolutions.{index}", width, 3, 1 + (index + 1) % 2)
        if index:
            x = net.norm(x, f"norms.{index - 1}")
        x = F.leaky_relu(x, 0.2)
        if net.training:  # dropout of one half
            x = x * 2.0 * (torch.tensor(draws().uniform(tuple(x.shape))) >= 0.5)
    x = flat(x)
    return net.dense(x, "logit", 1), {"class_logits": net.dense(x, "classes", classes)}


# InfoGAN: D reads the codes off an image (Chen et al. 2016).


def infogan_generator(net, z, labels, *, image_shape, hidden_units, channels, **_):
    rows, columns = (side // 4 for side in image_shape[1:])
    x = F.relu(net.norm(net.dense(z, "dense1", hidden_units), "norm1"))
    x = F.relu(net.norm(net.dense(x, "dense2", channels[0] * rows * columns), "norm2"))
    x = x.reshape(-1, channels[0], rows, columns)
    x = F.relu(net.norm(net.up_conv(x, "up3", channels[1], 4, 2, 1), "norm3"))
    return torch.tanh(net.up_conv(x, "up4", image_shape[0], 4, 2, 1))


def infogan_discriminator(net, images, labels, *, channels, hidden_units, code_units, codes, **_):
    x = F.leaky_relu(net.conv(images, "conv1", channels[0], 4, 2, 1), 0.1)
    x = F.leaky_relu(net.norm(net.conv(x, "conv2", channels[1], 4, 2, 1), "norm2"), 0.1)
    x = F.leaky_relu(net.norm(net.dense(flat(x), "dense3", hidden_units), "norm3"), 0.1)
    read = F.leaky_relu(net.norm(net.dense(x, "code1", code_units), "code_norm1"), 0.1)
    return net.dense(x, "logit", 1), {"code": net.dense(read, "code2", sum(codes))}


# BEGAN: D is an auto-encoder whose error is its score (Berthelot et al. 2017).


def began_generator(net, z, labels=None, *, image_shape, channels, halvings, prefix="", **_):
    rows, columns = (side >> halvings for side in image_shape[1:])
    x = net.dense(z, f"{prefix}dense", channels * rows * columns)
    x = x.reshape(-1, channels, rows, columns)
    for index in range(2 * (halvings + 1)):
        x = nearest(x) if index and index % 2 == 0 else x
        x = F.elu(net.conv(x, f"{prefix}convolutions.{index}", channels, 3))
    return net.conv(x, f"{prefix}pixels", image_shape[0], 3)


def began_discriminator(net, images, labels, *, image_shape, channels, code_units, halvings, **_):
    x = F.elu(net.conv(images, "first", channels, 3))
    for index in range(2 * (halvings + 1)):
        if index and index % 2 == 0:
            x = F.elu(net.conv(x, f"downs.{index // 2 - 1}", x.shape[1], 3, 2))
        x = F.elu(net.conv(x, f"convolutions.{index}", channels * (index // 2 + 1), 3))
    code = net.dense(flat(x), "code", code_units)
    redrawn = began_generator(net, code, image_shape=image_shape, channels=channels,
                              halvings=halvings, prefix="decoder.")  # fmt: skip
    return -flat((images - redrawn).abs()).mean(1, keepdim=True), {"reconstruction": redrawn}


# BiGAN: D judges pairs (Donahue et al. 2017).


def stack(net, x, hidden_units, outputs, slope, batch_norm=True):
    x = F.leaky_relu(net.dense(x, "layers.dense1", hidden_units), slope)
    x = net.dense(x, "layers.dense2", hidden_units)
    x = F.leaky_relu(net.norm(x, "layers.norm2") if batch_norm else x, slope)
    return net.dense(x, "layers.dense3", outputs)


def bigan_generator(net, z, labels, *, image_shape, hidden_units, **_):
    pixels = image_shape[0] * image_shape[1] * image_shape[2]
    return torch.sigmoid(stack(net, z, hidden_units, pixels, 0.0)).reshape(-1, *image_shape)


def bigan_encoder(net, images, *, latent, hidden_units, **_):
    return stack(net, flat(images), hidden_units, latent, 0.2)


def bigan_discriminator(net, images, z, *, hidden_units, batch_norm, **_):
    return stack(net, torch.cat([flat(images), z], 1), hidden_units, 1, 0.2, batch_norm), {}
