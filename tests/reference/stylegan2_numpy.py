"""StyleGAN2 in NumPy, from its description: nets and terms, in float64.

Functions of a dictionary of arrays by the names of the zoo's parameters. Convolutions are in the
form of the paper, with weights of their own for each image, resampling with a filter of two
axes over an image with zeros between its pixels.
"""

import numpy as np

FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
SLOPE, GAIN = 0.2, np.sqrt(2)


def styles_of(g, z, labels=None, rate=0.01):
    """w of each z: ``[N, w_dim]``."""
    x = unit_mean_square(z)
    if labels is not None:
        one_hot = np.eye(len(g["mapping.embedding.weight"]))[labels]
        x = np.concatenate([x, unit_mean_square(dense(g, "mapping.embedding", one_hot))], axis=1)
    return mapped(g, x, rate)


def truncated(g, w, psi):
    return g["average"] + psi * (w - g["average"])


def images_of(g, styles, noises=None):
    """Images of styles ``[N, 2 L, w_dim]``; noise by the layer's name, else the layers' own."""
    levels = 1 + max(int(name.split(".")[1]) for name in g if name.startswith("levels."))
    x = np.repeat(g["start"], len(styles), axis=0)
    images, used = 0.0, 0
    for level in range(levels):
        for layer in ("up", "conv") if level else ("conv",):
            name = f"levels.{level}.{layer}"
            noise = g[f"{name}.noise"] if noises is None else noises[name]
            x = styled(g, name, x, styles[:, used], noise)
            used += 1
        images = doubled(images) if level else images
        images = images + to_image(g, f"levels.{level}.to_image", x, styles[:, used])
    return images


def logits_of(d, images, labels=None, group_size=4, rate=0.01):
    x = activated(convolution(d, "from_image", images))
    for index in range(1 + max([int(n.split(".")[1]) for n in d if n.startswith("halvings")])):
        name = f"halvings.{index}"
        residual = f"{name}.skip.weight" in d
        y = activated(convolution(d, f"{name}.conv", x, padding=1))
        y = convolution(d, f"{name}.down", filtered(y, (2, 2)), stride=2)
        y = activated(y) * (np.sqrt(0.5) if residual else 1.0)
        if residual:
            around = filtered(x, (1, 1))[:, :, ::2, ::2]
            y = y + np.sqrt(0.5) * convolution(d, f"{name}.skip", around)
        x = y
    x = activated(convolution(d, "conv", with_deviation(x, group_size), padding=1))
    answers = dense(d, "logit", activated(dense(d, "dense", x.reshape(len(x), -1))))
    if labels is None:
        return answers
    one_hot = np.eye(len(d["mapping.embedding.weight"]))[labels]
    of_label = mapped(d, unit_mean_square(dense(d, "mapping.embedding", one_hot)), rate)
    return (answers * of_label).sum(1, keepdims=True) / np.sqrt(answers.shape[1])


def with_deviation(x, group_size):
    """One more map: members of a group of g lie N / g apart."""
    count = len(x)
    groups = count // group_size
    planes = np.empty((count, 1, *x.shape[2:]))
    for group in range(groups):
        members = x[group::groups]
        planes[group::groups] = np.sqrt(members.var(axis=0) + 1e-8).mean()
    return np.concatenate([x, planes], axis=1)


def unit_mean_square(x):
    return x / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + 1e-8)


def mapped(net, x, rate):
    layer = 0
    while f"mapping.layers.{layer}.weight" in net:
        x = activated(dense(net, f"mapping.layers.{layer}", x, rate))
        layer += 1
    return x


def dense(net, name, x, rate=1.0):
    weight = net[f"{name}.weight"]
    return x @ weight * rate / np.sqrt(len(weight)) + net[f"{name}.bias"] * rate


def activated(x):
    return GAIN * np.where(x > 0, x, SLOPE * x)


def convolution(net, name, x, padding=0, stride=1):
    weight = net[f"{name}.weight"]
    y = correlated(x, weight / np.sqrt(weight[0].size), padding)[:, :, ::stride, ::stride]
    bias = net.get(f"{name}.bias", np.zeros(len(weight)))
    return y + bias[:, None, None]


def styled(g, name, x, w, noise):
    scales = dense(g, f"{name}.affine", w)
    weight = g[f"{name}.conv.weight"]
    is_up = name.endswith("up")
    if is_up:  # a transposed convolution's weight is [in, out, h, w], and is turned over
        weight = weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    own = weight * scales[:, None, :, None, None]
    own = own / np.sqrt(np.square(own).sum(axis=(2, 3, 4), keepdims=True) + 1e-8)
    padding = 1
    if is_up:
        x, padding = 4 * filtered(spread(x), (3, 2)), 0
    y = np.concatenate([correlated(x[n : n + 1], own[n], padding) for n in range(len(x))])
    return activated(y + g[f"{name}.noise_strength"] * noise + g[f"{name}.bias"][:, None, None])


def to_image(g, name, x, w):
    weight = g[f"{name}.conv.weight"]
    scales = dense(g, f"{name}.affine", w) / np.sqrt(weight.shape[1])
    own = weight * scales[:, None, :, None, None]
    y = np.concatenate([correlated(x[n : n + 1], own[n], 0) for n in range(len(x))])
    return y + g[f"{name}.bias"][:, None, None]


def doubled(images):
    return 4 * filtered(spread(images), (2, 1))


def spread(x):
    """Each pixel followed by a zero, the last too."""
    y = np.zeros((*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]))
    y[:, :, ::2, ::2] = x
    return y


def filtered(x, padding):
    x = np.pad(x, ((0, 0), (0, 0), padding, padding))
    planes = correlated(x.reshape(-1, 1, *x.shape[2:]), FILTER[None, None], 0)
    return planes.reshape(*x.shape[:2], *planes.shape[2:])


def correlated(x, weight, padding):
    """What is called a convolution: ``[N, I, H, W]`` by ``[O, I, h, w]``, stride 1."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = weight.shape[2:]
    height, width = x.shape[2] - rows + 1, x.shape[3] - columns + 1
    return sum(
        np.einsum("oi,nihw->nohw", weight[:, :, i, j], x[:, :, i : i + height, j : j + width])
        for i in range(rows)
        for j in range(columns)
    )
