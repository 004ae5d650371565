"""Where sampled pictures go: which form the name of the output asks for, and writing it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm  # type: ignore[import-untyped]

from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.evaluation import sample_files
from ppgan_zoo.evaluation.orders import Order
from ppgan_zoo.evaluation.sample_folder import is_own_folder, write_folder
from ppgan_zoo.models.latent import Code
from ppgan_zoo.storage.ownership import own_file, refuse_foreign, refuse_foreign_folder

if TYPE_CHECKING:  # it imports Paddle
    from ppgan_zoo.evaluation.sampler import Sampler

FORMS = (".png", ".npy", ".npz", ".tar")
"""What the name of a file of pictures ends in; a name without an ending is a folder."""


@dataclass(frozen=True)
class Output:
    """The place for sampled pictures.

    Attributes:
        path: A file whose name ends as one of :data:`FORMS`, or a folder.
        shard: Of a folder: how many pictures a tar in it holds; None for a file each.
        overwrite: Whether a file that the zoo did not make may be replaced.

    Raises:
        ConfigError: Another ending, or `shard` for a file.
    """

    path: Path
    shard: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Refuse what no pictures can be written to."""
        if not self.is_folder and self.path.suffix not in FORMS:
            raise ConfigError(
                f"--output {self.path}: the name must end in {', '.join(FORMS[:-1])} or "
                f"{FORMS[-1]}; without an ending it is a folder"
            )
        if self.shard is not None and (not self.is_folder or self.shard < 1):
            raise ConfigError(f"--shard {self.shard}: give 1 or more, and --output a folder")

    @property
    def is_folder(self) -> bool:
        """Whether the pictures are files of a folder."""
        return not self.path.suffix or os.path.isdir(self.path)

    @property
    def has_rows(self) -> bool:
        """Whether pictures stand in rows, one of each class: in a grid, or as a bare array."""
        return not self.is_folder and self.path.suffix in (".png", ".npy")

    def check(self) -> None:
        """Refuse to replace what the zoo did not make, before any work.

        Raises:
            ConfigError: Something is there that stays.
        """
        if self.is_folder:
            refuse_foreign_folder(self.path, is_own_folder)
        else:
            refuse_foreign(self.path, overwrite=self.overwrite)

    def write(self, sampler: Sampler, order: Order, columns: int | None = None) -> None:
        """Make the pictures of an order and write them as they come, whole or not at all.

        Args:
            sampler: What makes them.
            order: Which.
            columns: Of a grid; None for a square.

        Raises:
            ConfigError: It cannot be written, or something is there that stays.
        """
        parts = _with_progress(sampler.parts(order), len(order))
        images = (part for _, part in parts)
        shape = (len(order), *sampler.image_shape)
        with os_errors(ConfigError, f"--output {self.path}: cannot be written"):
            if self.is_folder:
                made = sample_files.one_by_one(parts)
                facts = {"image_shape": list(sampler.image_shape), "model": dict(sampler.origin)}
                write_folder(self.path, made, order, facts, self.shard)
                return
            with own_file(self.path, overwrite=self.overwrite) as file:
                if self.path.suffix == ".npy":
                    sample_files.write_npy(file, images, shape)
                elif self.path.suffix == ".npz":
                    sample_files.write_npz(file, images, shape, order)
                elif self.path.suffix == ".tar":
                    sample_files.write_tar(file, sample_files.one_by_one(parts), order)
                else:
                    sample_files.write_grid(file, images, len(order), columns)

    def check_rows(self, count: int) -> None:
        """Refuse a form that rows of a sweep have not, and more of them than a picture can show.

        Raises:
            ConfigError: It is one of these.
        """
        if not self.has_rows:
            raise ConfigError(f"--output {self.path}: rows of a sweep are a .png or a .npy")
        if self.path.suffix == ".png" and count > sample_files.MOST_IN_A_GRID:
            raise ConfigError(
                f"-n {count}: a grid shows at most {sample_files.MOST_IN_A_GRID}; give --output "
                "a .npy"
            )

    def write_images(self, images: NDArray[np.uint8], columns: int) -> None:
        """Write images ``uint8 [N, C, H, W]`` that are there already: as a grid, or as arrays.

        Raises:
            ConfigError: Another form was asked for, or it cannot be written.
        """
        self.check_rows(len(images))
        with (
            os_errors(ConfigError, f"--output {self.path}: cannot be written"),
            own_file(self.path, overwrite=self.overwrite) as file,
        ):
            if self.path.suffix == ".png":
                sample_files.write_grid(file, [images], len(images), columns)
            else:
                sample_files.write_npy(file, [images], images.shape)


def _with_progress(
    parts: Iterator[tuple[Code, NDArray[np.uint8]]], count: int
) -> Iterator[tuple[Code, NDArray[np.uint8]]]:
    with tqdm(total=count, desc="pictures", file=sys.stderr, disable=None, delay=1.0) as bar:
        for code, images in parts:
            yield code, images
            bar.update(len(images))
