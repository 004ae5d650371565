"""Films: frames of one size as an animated GIF, or as MP4 where an encoder is installed."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.storage.files import read_regular
from ppgan_zoo.storage.ownership import BLANK, own_file, refuse_foreign, seal
from ppgan_zoo.storage.scratch import scratch_folder

FORMS = (".gif", ".mp4")
MOST_FRAMES = 5000
MOST_PIXELS = 1 << 30
"""Of all frames together."""

GIF_TICK = 10  # milliseconds: what a GIF counts in
GIF_LONGEST = 65_535 * GIF_TICK  # that one picture of it can stand
ENCODER = "ffmpeg"
ENCODER_SECONDS = 600

Frames = Sequence[NDArray[np.uint8]]
"""``[H, W]`` or ``[H, W, 3]`` each, uint8, all of one shape."""


@dataclass(frozen=True)
class Film:
    """The place for a film.

    Attributes:
        path: A file that ends in ``.gif`` or ``.mp4``.
        fps: Frames a second.
        overwrite: Whether a file that the zoo did not make may be replaced.

    Raises:
        ConfigError: Another ending, a rate that no film has, or MP4 without an encoder.
    """

    path: Path
    fps: float = 20.0
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Refuse what no film can be written to."""
        if self.path.suffix not in FORMS:
            raise ConfigError(f"--output {self.path}: the name must end in .gif or .mp4")
        if not 0.1 <= self.fps <= 50.0:  # no GIF is shown faster
            raise ConfigError(f"--fps {self.fps:g}: give 0.1 to 50")
        if self.path.suffix == ".mp4" and shutil.which(ENCODER) is None:
            raise ConfigError(
                f"--output {self.path}: MP4 needs the program {ENCODER}, which is not installed; "
                "install it, or give a name that ends in .gif"
            )

    def check(self) -> None:
        """Refuse to replace what the zoo did not make, before any work.

        Raises:
            ConfigError: Something is there that stays.
        """
        refuse_foreign(self.path, overwrite=self.overwrite)

    @property
    def in_file(self) -> str:
        """The name of the file, for a message, with the rate where it is not the one asked for."""
        if self.path.suffix != ".gif":
            return str(self.path)
        rate = f"{1000 / _tick(self.fps):.3g}"
        if rate == f"{self.fps:.3g}":
            return str(self.path)
        return (
            f"{self.path}, at {rate} frames a second: a GIF has no {self.fps:g}, for each frame "
            "lasts whole hundredths of a second"
        )

    def write(self, frames: Frames, *, hold: int = 1) -> None:
        """Write the frames, whole or not at all.

        Args:
            frames: At least one.
            hold: How many frames long the last one is shown.

        Raises:
            ConfigError: There are none or too many, they are not of one shape, or the film
                cannot be written.
        """
        _check(frames, self.path)
        with (
            os_errors(ConfigError, f"--output {self.path}: cannot be written"),
            own_file(self.path, overwrite=self.overwrite) as file,
        ):
            if self.path.suffix == ".gif":
                _write_gif(file, frames, self.fps, hold)
                file.write(BLANK)  # readers stop at the end of the GIF
            else:
                self._write_mp4(file, [*frames, *[frames[-1]] * (hold - 1)])
                # A box that readers pass over.
                file.write(struct.pack(">I", 8 + len(BLANK)) + b"free" + BLANK)
            seal(file)

    def _write_mp4(self, file: BinaryIO, frames: Frames) -> None:
        height, width = frames[0].shape[:2]
        pixels = "gray" if frames[0].ndim == 2 else "rgb24"
        with scratch_folder(self.path.parent) as scratch:
            made = scratch / "film.mp4"
            command = [
                ENCODER, "-nostdin", "-loglevel", "error",
                "-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}",
                "-r", f"{self.fps:g}", "-i", "pipe:0",
                # H.264 as players take it has even sides, and half the colour.
                "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p",
                "-movflags", "+faststart", "-f", "mp4",
                os.path.abspath(made),  # else "12:30/a" names a protocol, and "-a" an option
            ]  # fmt: skip
            content = b"".join(np.ascontiguousarray(frame).tobytes() for frame in frames)
            try:
                done = subprocess.run(
                    command,
                    input=content,
                    capture_output=True,
                    timeout=ENCODER_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise ConfigError(
                    f"--output {self.path}: {ENCODER} took more than {ENCODER_SECONDS} s; give a "
                    "name that ends in .gif"
                ) from None
            if done.returncode or not made.is_file():
                said = " ".join(done.stderr.decode(errors="replace").split())[-200:]
                raise ConfigError(
                    f"--output {self.path}: {ENCODER} failed: {said or done.returncode}; give a "
                    "name that ends in .gif"
                )
            file.write(read_regular(made))


def _check(frames: Frames, path: Path) -> None:
    if not 1 <= len(frames) <= MOST_FRAMES:
        raise ConfigError(f"{path}: {len(frames)} frames; 1 to {MOST_FRAMES} make a film")
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        raise ConfigError(f"{path}: frames of several sizes ({sorted(shapes)}); give those of one")
    if len(frames) * frames[0].size > MOST_PIXELS:
        raise ConfigError(f"{path}: {len(frames)} frames of {frames[0].shape} are too many pixels")


def _tick(fps: float) -> int:
    """Return how many milliseconds a frame of a GIF lasts; less than 20 is shown as 100."""
    return max(2, round(1000.0 / fps / GIF_TICK)) * GIF_TICK


def _write_gif(file: BinaryIO, frames: Frames, fps: float, hold: int) -> None:
    tick = _tick(fps)
    durations = [tick] * (len(frames) - 1) + [tick * hold]
    pictures = _merged(frames, durations)
    first, _ = pictures[0]
    first.save(
        file, format="GIF", save_all=True, append_images=[other for other, _ in pictures[1:]],
        duration=[duration for _, duration in pictures], loop=0, disposal=1,
    )  # fmt: skip


def _merged(frames: Frames, durations: list[int]) -> list[tuple[Image.Image, int]]:
    """Return the frames as pictures with durations; equal ones in a row as one that lasts.

    It lasts eleven minutes at most: a GIF cannot say more.
    """
    found: list[tuple[Image.Image, int]] = []
    before: NDArray[np.uint8] | None = None
    for frame, duration in zip(frames, durations, strict=True):
        if before is not None and np.array_equal(frame, before):
            picture, lasts = found.pop()
            found.append((picture, min(lasts + duration, GIF_LONGEST)))
        else:
            found.append((Image.fromarray(frame), duration))
        before = frame
    return found
