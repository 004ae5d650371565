"""Pictures a second of ``ppgan-zoo data prepare``, beside one process that does nothing else.

Draws a folder of JPEG photographs (noise at several scales), and times from a warm cache of the
file system: the command with one process and with one a core; a plain loop of Pillow that opens,
crops and resizes each picture, which is the work of StyleGAN's dataset tool; and torchvision's
ImageFolder with Resize and CenterCrop, where torchvision is installed.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from ppgan_zoo.bench.driver import table
from ppgan_zoo.data.prepare.prepare import prepare
from ppgan_zoo.data.prepare.settings import Settings
from ppgan_zoo.runtime import available_cores

COLUMNS = {"what": "{what}", "pictures a second": "{rate:,.0f}"}


def draw(folder, count, width, height):
    """Write so many JPEGs of noise that is coarse and fine."""
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
        picture = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
        picture = picture + rng.integers(-12, 13, (height, width, 1), np.int16)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(
            folder / f"{number:05}.jpg", quality=90
        )


def plain(folder, size):
    """Open, crop and resize each picture; write the array."""
    rows = []
    for path in sorted(folder.iterdir()):
        with Image.open(path, formats=("JPEG",)) as opened:
            picture = opened.convert("RGB")
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
        rows.append(np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS)))
    np.save(folder.parent / "plain.npy", np.stack(rows))


def torchvision(folder, size):
    """Read the same folder through ImageFolder; False where it is not installed."""
    try:
        from torchvision import datasets, transforms
    except ImportError:
        return False
    steps = [transforms.Resize(size), transforms.CenterCrop(size), transforms.PILToTensor()]
    for _ in datasets.ImageFolder(str(folder.parent), transforms.Compose(steps)):
        pass
    return True


def main():
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--picture", type=int, nargs=2, default=(640, 480), metavar=("W", "H"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "source" / "pictures"
        folder.mkdir(parents=True)
        draw(folder, options.count, *options.picture)
        plain(folder, options.size)  # so that all files are in the cache
        rows = []

        def timed(what, run):
            start = time.perf_counter()
            if run() is not False:
                rows.append({"what": what, "rate": options.count / (time.perf_counter() - start)})

        settings = Settings((options.size, options.size))
        for jobs in sorted({1, available_cores()}):

            def prepared(jobs=jobs):
                prepare(folder, Path(work) / f"set{jobs}", settings, jobs=jobs)

            timed(f"data prepare, {jobs} process{'es' if jobs > 1 else ''}", prepared)
        timed("a plain loop of Pillow", lambda: plain(folder, options.size))
        timed("torchvision's ImageFolder", lambda: torchvision(folder, options.size))
        print(f"{options.count} JPEGs of {options.picture[0]}x{options.picture[1]} to "
              f"{options.size}x{options.size}, {os.cpu_count()} cores")  # fmt: skip
        print(table(rows, COLUMNS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
