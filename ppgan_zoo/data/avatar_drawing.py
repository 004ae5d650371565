"""Drawing avatars: from a seed to a picture and its factors, the same bytes every time.

The packages ``dicebear-core`` and ``dicebear-styles`` make an SVG of a style and a text, and
``resvg-py`` renders it; they are the extra ``data``, with pinned versions, since others draw
otherwise. A factor is what a style chooses for each drawing: the variant of a part (hair, eyes)
or a colour.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import metadata, resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppgan_zoo.data.avatars import FILES, NO_VALUE, STYLES
from ppgan_zoo.data.idx import MAX_BYTES
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.storage.files import atomic_folder, sha256_file
from ppgan_zoo.storage.ownership import is_sealed_folder, refuse_foreign_folder, sealed_json
from ppgan_zoo.storage.pictures import image_grid, sealed_png

MANIFEST, SHEET = "avatars.json", "contact-sheet.png"
PACKAGES = {"dicebear-core": "10.7.0", "dicebear-styles": "10.6.0", "resvg-py": "0.5.0"}
"""What draws, in the versions of the extra ``data``: others may draw otherwise."""

TEST_SHARE = 6  # one of so many pictures is held out
FEWEST, MOST = 60, 10_000_000
SMALLEST, LARGEST = 16, 512

_LICENCE = "CC0 1.0"
_MOVING = ("animation", "star")  # no factors: stars are twelve, and nothing moves in a picture
_SAME_IN_A_ROW = 1000  # drawings after which a style has no more pictures
_SHEET_ROW = 12


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
        if licence != _LICENCE:
            raise ConfigError(f"avatars: the style {name} is {licence!r}, not {_LICENCE}; update "
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


@lru_cache
def open_style(name: str) -> Style:
    """Return a style, which takes a moment to be checked, once."""
    return Style(name)


def make_avatars(
    folder: Path, count: int, size: int, seed: int, progress: Callable[[], None] = lambda: None
) -> None:
    """Make a set of avatars: a folder of IDX files, a manifest and a contact sheet.

    No two pictures of it are equal, and each class is as large as every other. One in six is in the
    test split.

    Args:
        folder: Where to. One that this made, and nobody changed, is replaced.
        count: How many pictures, of both splits together.
        size: Height and width.
        seed: Of all drawings.
        progress: Called after each picture.

    Raises:
        ConfigError: A bad count, size or seed, missing packages, or a folder that stays.
        DataError: A style has too few different pictures.
        OSError: It cannot be written; nothing is left behind.
    """
    check_request(count, size, seed)
    refuse_foreign_set(folder)
    styles = [open_style(name) for name in STYLES]
    with atomic_folder(folder, is_own_set) as made:
        seen: list[set[bytes]] = [set() for _ in styles]
        for split, share in (("train", count - count // TEST_SHARE), ("test", count // TEST_SHARE)):
            drawings = _drawings(styles, seen, f"{split}-{seed}", size)
            _write_split(made, split, share, size, styles, drawings, progress)
        names = [f"{split}-{name}" for split in ("train", "test") for name in FILES.values()]
        told = {
            "format": 1, "name": "avatars", "count": count, "image_shape": [3, size, size],
            "seed": seed, "classes": list(STYLES), "licence": _LICENCE,
            "versions": {package: metadata.version(package) for package in PACKAGES},
            "origin": {style.name: style.definition["meta"]["license"]["text"] for style in styles},
            "factors": {style.name: style.factors for style in styles},
            "sha256": {name: sha256_file(made / name) for name in (*names, SHEET)},
        }  # fmt: skip
        (made / MANIFEST).write_text(sealed_json(told), encoding="utf-8")


def check_request(count: int, size: int, seed: int) -> None:
    """Refuse what no set can be made of.

    Raises:
        ConfigError: It is so.
    """
    if not FEWEST <= count <= MOST:
        raise ConfigError(f"-n {count}: give {FEWEST} to {MOST}")
    if not SMALLEST <= size <= LARGEST:
        raise ConfigError(f"--size {size}: give {SMALLEST} to {LARGEST} pixels")
    if seed < 0:
        raise ConfigError(f"--seed {seed}: give 0 or more")
    if count * 3 * size * size > MAX_BYTES:
        most = MAX_BYTES // (3 * size * size)
        raise ConfigError(
            f"-n {count} of {size} x {size}: give at most {most}, or a smaller --size"
        )


def is_own_set(folder: Path) -> bool:
    """Tell whether a folder is as :func:`make_avatars` left it."""
    return is_sealed_folder(folder, MANIFEST)


def refuse_foreign_set(folder: Path) -> None:
    """Refuse to write where something is that is not as :func:`make_avatars` left it.

    Raises:
        ConfigError: It is so.
    """
    refuse_foreign_folder(folder, is_own_set)


def _drawings(
    styles: list[Style], seen: list[set[bytes]], seed: str, size: int
) -> Iterator[tuple[int, Drawing]]:
    """Yield a picture of each style in its turn, none of which was seen before, with its class."""
    numbers = [0] * len(styles)
    while True:
        for label, style in enumerate(styles):
            for _ in range(_SAME_IN_A_ROW):
                drawing = style.draw(f"{style.name}-{seed}-{numbers[label]}", size)
                numbers[label] += 1
                digest = hashlib.sha256(drawing.image.tobytes()).digest()
                if digest not in seen[label]:
                    break
            else:
                raise DataError(
                    f"avatars: {style.name} has {len(seen[label])} different pictures of {size} x "
                    f"{size} and hardly more; give a smaller -n or a larger --size"
                )
            seen[label].add(digest)
            yield label, drawing


def _write_split(
    folder: Path,
    split: str,
    count: int,
    size: int,
    styles: list[Style],
    drawings: Iterator[tuple[int, Drawing]],
    progress: Callable[[], None],
) -> None:
    """Write the files of one split as the pictures come."""
    width = max(len(style.factors) for style in styles)
    shapes = {"images": (count, size, size, 3), "labels": (count,), "factors": (count, width)}
    paths = {what: folder / f"{split}-{name}" for what, name in FILES.items()}
    shown: list[NDArray[np.uint8]] = []
    with (
        paths["images"].open("xb") as images,
        paths["labels"].open("xb") as labels,
        paths["factors"].open("xb") as factors,
    ):
        for what, file in (("images", images), ("labels", labels), ("factors", factors)):
            shape = shapes[what]
            file.write(struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape))
        for _, (label, drawing) in zip(range(count), drawings, strict=False):
            images.write(np.ascontiguousarray(drawing.image.transpose(1, 2, 0)).tobytes())
            labels.write(bytes([label]))
            factors.write(_encoded(styles[label], drawing.factors, width))
            if len(shown) < _SHEET_ROW * len(styles):
                shown.append(drawing.image)
            progress()
    if split == "train":
        sheet = np.array(
            [picture for style in range(len(styles)) for picture in shown[style :: len(styles)]]
        )
        (folder / SHEET).write_bytes(sealed_png(image_grid(sheet, -(-len(sheet) // len(styles)))))


def _encoded(style: Style, chosen: dict[str, str], width: int) -> bytes:
    row = [NO_VALUE] * width
    for place, (name, values) in enumerate(style.factors.items()):
        if name in chosen:
            row[place] = values.index(chosen[name])
    return bytes(row)
