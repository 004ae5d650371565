"""Pictures of a model as a folder: a PNG each, or tars of them; whole or not at all.

```
samples.json      what was sampled, how, and the hashes of the other files
metadata.jsonl    a line a picture: file, seed, index, label and class, SHA-256
z.npy             float32 [N, latent_dim], a row for each line
7/000017.png      the pictures; below their class where there are classes
```

With tars, ``shard-00000.tar`` and so on stand beside ``samples.json`` alone.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ppgan_zoo.evaluation.orders import Order
from ppgan_zoo.evaluation.sample_files import Made, write_array_header, write_tar
from ppgan_zoo.storage.files import atomic_folder, open_regular, sha256_file
from ppgan_zoo.storage.ownership import is_sealed_folder, refuse_foreign_folder, sealed_json
from ppgan_zoo.storage.pictures import encode_png, to_pixels

FACTS, METADATA, Z = "samples.json", "metadata.jsonl", "z.npy"
FORMAT = 1

_PLAIN = set(" -_.,+()'")  # in a folder's name, besides letters and digits
_LONGEST_NAME = 60


def write_folder(
    path: Path, made: Iterator[Made], order: Order, facts: Mapping[str, Any], shard: int | None
) -> None:
    """Write pictures as a folder.

    Args:
        path: The folder. An empty one, or one that this wrote and nobody changed, is replaced.
        made: The pictures of `order`.
        order: What they are of.
        facts: Further plain data for ``samples.json``.
        shard: How many pictures a tar holds; None for a file each.

    Raises:
        ConfigError: Another folder is there.
        OSError: It cannot be written; nothing is left behind.
    """
    refuse_foreign_folder(path, is_own_folder)
    with atomic_folder(path, is_own_folder) as folder:
        write = _write_pictures if shard is None else _write_shards
        files = write(folder, made, order, shard or 0)
        told = {
            "format": FORMAT, **facts, "count": len(order), "classes": list(order.classes),
            "sha256": files,
        }  # fmt: skip
        (folder / FACTS).write_text(sealed_json(told), encoding="utf-8")


def is_own_folder(path: Path) -> bool:
    """Tell whether a folder is as :func:`write_folder` left it: every file, and no other."""
    return is_sealed_folder(path, FACTS, _listed)


def _listed(folder: Path) -> dict[str, str]:
    """Return the hashes of the pictures by their names, as the metadata have them."""
    if not os.path.exists(folder / METADATA):
        return {}
    with open_regular(folder / METADATA) as lines:
        told = map(json.loads, lines)
        return {line["file"]: line["sha256"] for line in told}


def class_folders(classes: tuple[str, ...]) -> list[str]:
    """Return a folder's name for each class: its own where a file system takes that."""
    plain = [
        "".join(c if c.isalnum() or c in _PLAIN else "_" for c in name).strip(" .")[:_LONGEST_NAME]
        for name in classes
    ]
    if all(plain) and len({name.casefold() for name in plain}) == len(plain):
        return plain
    digits = len(str(len(plain)))
    return [f"{label:0{digits}d}-{name}".strip("-") for label, name in enumerate(plain)]


def _write_pictures(folder: Path, made: Iterator[Made], order: Order, _: int) -> dict[str, str]:
    below = class_folders(order.classes)
    for name in below:
        (folder / name).mkdir()
    with (folder / METADATA).open("xb") as metadata, (folder / Z).open("xb") as zs:
        write_array_header(zs, (len(order), order.latent.dim), "<f4")
        for place, image, z in made:
            content = encode_png(to_pixels(image))
            name = f"{order.stem(place)}.png"
            if order.labels is not None:
                name = f"{below[order.labels[place]]}/{name}"
            with (folder / name).open("xb") as file:
                file.write(content)
            line = {
                "file": name, **order.describe(place),
                "sha256": hashlib.sha256(content).hexdigest(),
            }  # fmt: skip
            metadata.write(json.dumps(line).encode() + b"\n")
            zs.write(np.ascontiguousarray(z, "<f4").tobytes())
    for name in below:  # of classes that no picture is of
        if not any((folder / name).iterdir()):
            (folder / name).rmdir()
    return {name: sha256_file(folder / name) for name in (METADATA, Z)}


def _write_shards(folder: Path, made: Iterator[Made], order: Order, size: int) -> dict[str, str]:
    digests = {}
    for number in range(-(-len(order) // size)):
        name = f"shard-{number:05d}.tar"
        with (folder / name).open("x+b") as file:
            write_tar(file, itertools.islice(made, size), order)
        digests[name] = sha256_file(folder / name)
    return digests
