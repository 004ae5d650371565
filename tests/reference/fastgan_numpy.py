"""FastGAN in NumPy, from its description, in eval mode and float64.

Functions of a dictionary of arrays by the names of the zoo's parameters and buffers, and of the
side of the image. A weight with spectral norm is ``weight_orig`` over ``u^T W v``.
"""

import numpy as np

EXCITED_BY = {64: 4, 128: 8, 256: 16}


def images_of(g, z, size):
    weight = normalised(g, "first.0", out_axis=1)
    x = np.einsum("ni,iohw->nohw", z, weight)
    maps = {4: gated(norm(g, "first.1", x))}
    excited_by = {32: 8, **EXCITED_BY} if size <= 64 else EXCITED_BY
    sides = [side for side in (8, 16, 32, 64, 128, 256) if side <= size]
    excited = [side for side in sides if side in excited_by]
    for place, side in enumerate(sides):
        x = doubling(g, f"doublings.{place}", maps[side // 2], noisy=side in (8, 32, 128))
        if side in excited:
            name = f"excitations.{excited.index(side)}"
            x = x * excitation(g, name, maps[excited_by[side]])
        maps[side] = x
    return convolve(x, normalised(g, "pixels"), padding=1)


def judgement_of(d, images, size):
    """Logits [N, 50], and the maps that pictures are drawn from."""
    maps = [leaky(convolve(images, normalised(d, "entry.0"), padding=1))]
    for place in range(int(np.log2(size // 8))):
        x = halving(d, f"halvings.{place}", maps[-1])
        if place >= 2:
            x = x * excitation(d, f"excitations.{place - 2}", maps[place - 2])
        maps.append(x)
    head = leaky(norm(d, "head.1", convolve(maps[-1], normalised(d, "head.0"))))
    small = leaky(convolve(pooled(images, 2), normalised(d, "small.0"), stride=2, padding=1))
    for layer in range(2, 2 + 3 * int(np.log2(size // 32)), 3):
        small = convolve(small, normalised(d, f"small.{layer}"), stride=2, padding=1)
        small = leaky(norm(d, f"small.{layer + 1}", small))
    patches = [
        convolve(head, normalised(d, "head.3")),
        convolve(small, normalised(d, "small_head")),
    ]
    logits = np.concatenate([p.reshape(len(p), -1) for p in patches], axis=1)
    return logits, (maps[-1], small, maps[-2])


def reconstruction(d, images, size, quadrant):
    """The sum of the mean squared errors of the three pictures."""
    _, (last, small, quartered) = judgement_of(d, images, size)
    row, column = quadrant
    part = quartered[:, :, 8 * row :, 8 * column :][:, :, :8, :8]
    half = size // 2
    of_part = images[:, :, half * row :, half * column :][:, :, :half, :half]
    total = 0.0
    for place, (maps, whole) in enumerate([(last, images), (small, images), (part, of_part)]):
        picture = drawn(d, f"decoders.{place}", maps)
        total += np.square(picture - pooled(whole, whole.shape[2] // picture.shape[2])).mean()
    return total


def drawn(d, name, x):
    doublings = len({key.split(".")[2] for key in d if key.startswith(f"{name}.")}) - 1
    for place in range(doublings):
        x = doubling(d, f"{name}.{place}", x, noisy=False)
    return np.tanh(convolve(x, normalised(d, f"{name}.{doublings}"), padding=1))


def doubling(net, name, x, noisy):
    x = x.repeat(2, axis=2).repeat(2, axis=3)
    # With noise a layer of it stands between convolution and norm; in eval mode it adds none.
    for conv, batch_norm in ((0, 2), (4, 6)) if noisy else ((0, 1),):
        x = convolve(x, normalised(net, f"{name}.body.{conv}"), padding=1)
        x = gated(norm(net, f"{name}.body.{batch_norm}", x))
    return x


def halving(d, name, x):
    main = convolve(x, normalised(d, f"{name}.main.0"), stride=2, padding=1)
    main = leaky(norm(d, f"{name}.main.1", main))
    main = convolve(main, normalised(d, f"{name}.main.3"), padding=1)
    main = leaky(norm(d, f"{name}.main.4", main))
    direct = convolve(pooled(x, 2), normalised(d, f"{name}.direct.1"))
    return (main + leaky(norm(d, f"{name}.direct.2", direct))) / 2


def excitation(net, name, x):
    x = pooled(x, x.shape[2] // 4)
    x = convolve(x, normalised(net, f"{name}.gate.1"))
    x = x * sigmoid(x)
    return sigmoid(convolve(x, normalised(net, f"{name}.gate.3")))


def normalised(net, name, out_axis=0):
    weight = net[f"{name}.weight_orig"]
    matrix = np.moveaxis(weight, out_axis, 0).reshape(weight.shape[out_axis], -1)
    sigma = net[f"{name}.weight_u"] @ matrix @ net[f"{name}.weight_v"]
    return weight / sigma


def norm(net, name, x):
    weight, bias, mean, variance = (
        net[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "_mean", "_variance")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def convolve(x, weight, stride=1, padding=0):
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    size = weight.shape[2]
    rows, columns = ((side - size) // stride + 1 for side in padded.shape[2:])
    y = np.zeros((len(x), len(weight), rows, columns))
    for i in range(size):
        for j in range(size):
            window = padded[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride]
            y += np.einsum("oc,nchw->nohw", weight[:, :, i, j], window)
    return y


def pooled(x, factor):
    n, c, height, width = x.shape
    blocks = x.reshape(n, c, height // factor, factor, width // factor, factor)
    return blocks.mean((3, 5))


def gated(x):
    half = x.shape[1] // 2
    return x[:, :half] * sigmoid(x[:, half:])


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))
