"""ADA's pipeline "bgc" in NumPy, from its description: every place by itself, in float64.

Where the zoo multiplies 3x3 matrices of whole batches and lets Paddle sample, this one walks each
new pixel back through the moves, looks up the old image there by hand, and changes one colour
after the other. Draws are dictionaries of arrays, by the names of the zoo's.
"""

import numpy as np

# The low-pass filter of the wavelet sym6, as PyWavelets lists it for decomposition.
SYM6 = np.array([
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633,
    0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252,
    -0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148,
])  # fmt: skip
TAPS = SYM6 / SYM6.sum()
RIM = 3  # a quarter of the taps


def bgc(images, moves, colours):
    images = images.astype(np.float64)
    if moves is not None:
        images = moved(images, moves)
    return images if colours is None else recoloured(images, colours)


def moved(images, moves):
    """Each image, resampled once: padded by its mirror image, doubled, looked up, halved."""
    height, width = images.shape[2:]
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    corners = np.array([[x, y] for x in (-middle[0], middle[0]) for y in (-middle[1], middle[1])])
    seen = np.stack([old_places(corners, moves, image) for image in range(len(images))])
    # Two rims more than the corners see, at most the image without its edge; all images alike.
    before = (-seen).max(axis=(0, 1)) + 2 * RIM - middle
    after = seen.max(axis=(0, 1)) + 2 * RIM - middle
    (left, top), (right, bottom) = (
        np.ceil(np.clip(side, 0, [width - 1, height - 1])).astype(int) for side in (before, after)
    )
    padded = np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right)), mode="reflect")
    doubled = along_rows(
        doubling(padded.shape[2]), along_columns(doubling(padded.shape[3]), padded)
    )
    # Pixel j of the doubled image stands at j / 2, and halving looks at five more on either side.
    x, y = (
        np.arange(-5, 2 * side + 5) / 2 - half
        for side, half in zip((width, height), middle, strict=True)
    )
    places = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1)
    looked_up = np.stack([
        bilinear(doubled[image], 2 * (old_places(places, moves, image) + middle + [left, top]))
        for image in range(len(images))
    ])  # fmt: skip
    return along_rows(halving(height), along_columns(halving(width), looked_up))


def old_places(places, moves, image):
    """Where the content of new places ``[..., 2]`` stood, from the middle: the last move first."""
    x, y = np.moveaxis(places, -1, 0)
    at = {name: draws[image] for name, draws in moves.items()}
    x, y = x - at["shift"][0], y - at["shift"][1]
    x, y = rotated(x, y, at["second"])
    x, y = x / at["uneven"], y * at["uneven"]
    x, y = rotated(x, y, at["first"])
    x, y = x / at["size"], y / at["size"]
    x, y = x - at["steps"][0], y - at["steps"][1]
    for _ in range(int(at["turns"])):
        x, y = -y, x
    return np.stack([x * at["flip"], y], axis=-1)


def rotated(x, y, angle):
    place = (x + 1j * y) * np.exp(1j * angle)
    return place.real, place.imag


def doubling(side):
    """``[2 side, side]``: zeros between the pixels, filtered."""
    matrix = np.zeros((2 * side, side))
    for i in range(side):
        for k, tap in enumerate(TAPS):
            if 0 <= 2 * i - 5 + k < 2 * side:
                matrix[2 * i - 5 + k, i] = 2 * tap
    return matrix


def halving(side):
    """``[side, 2 side + 10]``: filtered the other way about, at every second pixel."""
    matrix = np.zeros((side, 2 * side + 10))
    for i in range(side):
        matrix[i, 2 * i : 2 * i + len(TAPS)] = TAPS
    return matrix


def along_rows(matrix, images):
    return np.einsum("ij,nsjx->nsix", matrix, images)


def along_columns(matrix, images):
    return np.einsum("ij,nsyj->nsyi", matrix, images)


def bilinear(image, places):
    """Values ``[C, ...]`` between the pixels of ``[C, H, W]``; beyond them there is 0."""
    first = np.floor(places).astype(int)
    found = 0.0
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        x, y = np.moveaxis(first + corner, -1, 0)
        share = np.prod(1 - np.abs(places - (first + corner)), axis=-1)
        inside = (x >= 0) & (x < image.shape[2]) & (y >= 0) & (y < image.shape[1])
        found = found + np.where(inside, share * image[:, y * inside, x * inside], 0.0)
    return found


def recoloured(images, colours):
    """One change after the other; grey images as three equal channels, then averaged."""
    grey = images.shape[1] == 1
    brightness, contrast, inverted, hue, saturation = (
        colours[name][:, None, None, None]
        for name in ("brightness", "contrast", "inverted", "hue", "saturation")
    )
    x = np.repeat(images, 3, axis=1) if grey else images
    x = (x + brightness) * contrast
    x = np.where(inverted, x - 2 * x.mean(axis=1, keepdims=True), x)
    if grey:
        return x.mean(axis=1, keepdims=True)
    luma = x.mean(axis=1, keepdims=True)
    away = x - luma
    # At right angles to both the axis and the colour: their vector product.
    across = np.cross(np.full((1, 3, 1, 1), 3**-0.5), away, axis=1)
    away = away * np.cos(hue) + across * np.sin(hue)
    return luma + away * saturation
