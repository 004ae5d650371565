"""Bounds that two check: the recipe, and the object that a number is for.

The recipe checks them first, since it can name file and line; the object checks them too, since
a program can make one without a recipe. Each number stands here, once. Nothing here knows a
recipe, and any folder may import it.
"""

from __future__ import annotations

import operator
from typing import Annotated

from pydantic import Field

from ppgan_zoo.errors import ConfigError

LEAST_COUNT = 1
"""The fewest updates in an iteration, parts of a batch, batches, images to keep, and the like."""

LEAST_WARMUP = 2.0
"""Of a moving average: 2 weighs all iterations alike, and less would weigh the first ones most."""

FEWEST_IMAGES = 100
"""The fewest images, real or generated, that metrics are taken of."""

MOST_SAMPLES = 1_000_000
"""The most samples that metrics are taken of."""
MOST_WEIGHT = 1e6
"""Of a term, or of a part of it."""

PartWeight = Annotated[float, Field(ge=0.0, le=MOST_WEIGHT, allow_inf_nan=False)]
"""The type of an argument that is the weight of a part of a term."""

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


def check_count(what: str, value: int) -> None:
    """Refuse a count that is below 1, or no whole number.

    Raises:
        ConfigError: It is one of these.
    """
    try:
        operator.index(value)
    except TypeError:
        raise ConfigError(f"{what} must be a whole number, found {value}") from None
    check_least(what, value, LEAST_COUNT)


def check_weight(what: str, value: float) -> None:
    """Refuse a weight that is below 0, too large for its products, NaN, or no number.

    Raises:
        ConfigError: It is one of these.
    """
    if isinstance(value, bool | str) or not 0.0 <= value <= MOST_WEIGHT:
        raise ConfigError(f"{what} is {value!r}; give 0 or more, up to {MOST_WEIGHT:,.0f}")


def check_share(what: str, value: float, *, with_0: bool = True, with_1: bool = True) -> None:
    """Refuse a number outside of 0 to 1, or NaN.

    Args:
        what: Whose number it is, in words.
        value: The number.
        with_0: Whether 0 itself is allowed.
        with_1: Whether 1 itself is.

    Raises:
        ConfigError: It is not allowed.
    """
    above = value >= 0.0 if with_0 else value > 0.0
    below = value <= 1.0 if with_1 else value < 1.0
    if not (above and below):
        least = "0 or more" if with_0 else "above 0"
        raise ConfigError(f"{what} is {value}; give {least}, {'up to' if with_1 else 'below'} 1")
