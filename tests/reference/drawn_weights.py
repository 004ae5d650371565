"""Random weights of Inception and of EfficientNet, and images for them, numpy alone.

Shared by ``record_inception.py`` and its like (PyTorch) and by the tests (Paddle). Drawn from
``RandomState``, whose stream NumPy has frozen.
"""

import zlib

import numpy as np


def weight(name, shape):
    """Return one array by its PyTorch name; scaled so that activations neither grow nor die."""
    draw = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith(".running_var") or (name.endswith(".weight") and len(shape) == 1):
        return draw.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) == 1:
        return (0.1 * draw.standard_normal(shape)).astype(np.float32)
    fan_in = np.prod(shape[1:])
    # Uniform is several times quicker to draw than normal, and there are 24 million.
    bound = np.sqrt(6 / fan_in)
    return (bound * (2 * draw.random_sample(shape) - 1)).astype(np.float32)


def images(count, channels, height, width):
    """Return uint8 images: coarse noise, so that there are flat parts and edges."""
    draw = np.random.RandomState(count + channels + height + width)
    coarse = draw.randint(0, 256, (count, channels, -(-height // 4), -(-width // 4)))
    return coarse.repeat(4, axis=2).repeat(4, axis=3)[:, :, :height, :width].astype(np.uint8)
