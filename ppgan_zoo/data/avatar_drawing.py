"""Drawing avatars: from a seed to a picture and its factors, the same bytes every time.

The packages ``dicebear-core`` and ``dicebear-styles`` make an SVG of a style and a text, and
``resvg-py`` renders it; they are the extra ``data``, with pinned versions, since others draw
otherwise. A factor is what a style chooses for each drawing: the variant of a part (hair, eyes)
or a colour.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppgan_zoo.data.avatars import NO_VALUE
from ppgan_zoo.errors import ConfigError

PACKAGES = {"dicebear-core": "10.7.0", "dicebear-styles": "10.6.0", "resvg-py": "0.5.0"}
"""What draws, in the versions of the extra ``data``: others may draw otherwise."""

LICENCE = "CC0 1.0"
_MOVING = ("animation", "star")  # no factors: stars are twelve, and nothing moves in a picture


@dataclass(frozen=True)
class Drawing:
    """One avatar: its image, uint8 ``[3, S, S]``, and the value of each factor of its style."""

    image: NDArray[np.uint8]
    factors: dict[str, str]


class Style:
    """One style of DiceBear.

    Args:
        name: Its name in ``dicebear-styles``.

    Raises:
        ConfigError: The packages are not installed, or the style is not CC0.
    """

    def __init__(self, name: str) -> None:
        try:
            import dicebear
            import resvg_py

            text = (resources.files("dicebear_styles") / f"{name}.json").read_text("utf-8")
        except ImportError as error:
            wanted = " ".join(f"{package}=={version}" for package, version in PACKAGES.items())
            raise ConfigError(
                f"avatars: {error.name} is not installed; run: pip install {wanted}"
            ) from None
        self.name, self.definition = name, json.loads(text)
        licence = self.definition["meta"]["license"]["name"]
        if licence != LICENCE:
            raise ConfigError(f"avatars: the style {name} is {licence!r}, not {LICENCE}; update "
                              "the list of styles")  # fmt: skip
        self._style = dicebear.Style(self.definition)
        self._avatar, self._render = dicebear.Avatar, resvg_py.svg_to_bytes

    @cached_property
    def factors(self) -> dict[str, list[str]]:
        """What each factor may be: the names of variants, or colours; of those that vary."""
        found = {}
        for part, described in self.definition["components"].items():
            if not part.startswith(_MOVING):
                found[f"{part}Variant"] = sorted(described.get("variants", {}))
        for part, described in self.definition["colors"].items():
            found[f"{part}Color"] = sorted(set(described.get("values", [])))
        return {name: values for name, values in found.items() if len(values) > 1}

    def draw(self, seed: str, size: int) -> Drawing:
        """Draw the avatar of a text, on white where it is transparent."""
        made = self._avatar(self._style, {"seed": seed}).to_json()
        encoded = self._render(
            svg_string=made["svg"], width=size, height=size, background="#ffffff",
            skip_system_fonts=True,
        )  # fmt: skip
        with Image.open(io.BytesIO(bytes(encoded)), formats=("PNG",)) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        chosen = {}
        for name in self.factors:
            value = made["options"].get(name)
            value = value[0] if isinstance(value, list) and value else value
            if value:
                chosen[name] = str(value)
        return Drawing(np.ascontiguousarray(pixels.transpose(2, 0, 1)), chosen)

    def values(self, drawing: Drawing, width: int) -> bytes:
        """Return a drawing's factors as `width` numbers, :data:`NO_VALUE` for none."""
        row = [NO_VALUE] * width
        for place, (name, values) in enumerate(self.factors.items()):
            if name in drawing.factors:
                row[place] = values.index(drawing.factors[name])
        return bytes(row)


@lru_cache
def open_style(name: str) -> Style:
    """Return a style, which takes a moment to be checked, once."""
    return Style(name)
