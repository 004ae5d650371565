"""Bounds that two check: the recipe, and the object that a number is for.

The recipe checks them first, since it can name file and line; the object checks them too, since
a program can make one without a recipe. Each number stands here, once. Nothing here knows a
recipe, and any folder may import it.
"""

from __future__ import annotations

from ppgan_zoo.errors import ConfigError

LEAST_COUNT = 1
"""The fewest updates in an iteration, parts of a batch, batches, images to keep, and the like."""

LEAST_WARMUP = 2.0
"""Of a moving average: 2 weighs all iterations alike, and less would weigh the first ones most."""

FEWEST_IMAGES = 100
"""The fewest images, real or generated, that metrics are taken of."""

MOST_SAMPLES = 1_000_000
"""The most samples that metrics are taken of."""
LOOKS_AT_A_START = 2
"""So many looks in a row have to find that a run has begun to learn."""


def check_least(what: str, value: float, least: float) -> None:
    """Refuse a number that is too small, or NaN.

    Args:
        what: Whose number it is, in words: ``"ema: warmup"``.
        value: The number.
        least: The smallest that is allowed.

    Raises:
        ConfigError: It is below that.
    """
    if not value >= least:
        raise ConfigError(f"{what} must be at least {least:g}, found {value}")
