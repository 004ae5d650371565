"""What a prepared set of a million pictures costs: memory, and the time of a batch.

Makes a sparse file of so many pictures (its pages are zeros that are not on the disk), or, with
``--dense``, one of noise that is, maps it as ``data.name: prepared`` does, and goes through batches
in the order of training. The system is asked to forget what it has cached of the file before that,
so that every batch comes from a cold cache: an epoch takes each image once. Between batches it
sleeps, shorter than a step takes. Prints the peak of this process's memory, all that it maps
included, the time of a batch, and its share of a step of a recipe, which ``ppgan-zoo bench``
measures in the same run, on the same file.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from ppgan_zoo.bench.driver import bench
from ppgan_zoo.data import Batches, load_image_set
from ppgan_zoo.data.npy import HEADER_BYTES, header
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe

CHUNK = 4096  # images


def make_set(folder, count, side, dense):
    """Write the files of a prepared set whose images are zeros, or noise."""
    shape = (count, 3, side, side)
    rng = np.random.default_rng(0)
    with (folder / "train_images.npy").open("wb") as file:
        file.write(header(shape, "|u1"))
        if dense:
            for start in range(0, count, CHUNK):
                file.write(rng.bytes(min(CHUNK, count - start) * 3 * side * side))
        file.truncate(HEADER_BYTES + int(np.prod(shape)))
    part = {"count": count, "sha256": "0" * 64, "labels_sha256": None, "classes": None}
    manifest = {
        "format": "ppgan_zoo prepared set, 1", "image_shape": [3, side, side], "classes": None,
        "splits": {"train": part}, "settings": {}, "source": {},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


def forget_cache(path):
    """Ask the system to drop what it has cached of a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def memory(entry):
    """Return an entry of this process's status, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{entry}:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def measure(folder, size, options):
    """Go through batches of so many images; return the figures."""
    before = memory("VmRSS")
    images = load_image_set("prepared", directory=folder, options={"verify": False})
    batches = Batches(images, size, seed=0, flip=True)
    batches[0]  # sorts the epoch's order
    forget_cache(folder / "train_images.npy")
    milliseconds = []
    for step in range(1, options.batches + 1):
        time.sleep(options.pause_ms / 1e3)  # in which a training would compute
        start = time.perf_counter()
        batches[step]
        milliseconds.append(1e3 * (time.perf_counter() - start))
    gib, peak = images.images.nbytes / 2**30, memory("VmHWM") - before
    print(
        f"{options.count:,} images of {options.side}x{options.side} RGB, {gib:.1f} GiB: peak "
        f"{peak:,.0f} MiB above the {before:,.0f} MiB of the imports; a batch of {size} in "
        f"{median(milliseconds):.2f} ms (median), {np.quantile(milliseconds, 0.99):.2f} ms (99 of "
        "100)"
    )
    return median(milliseconds)


def step_ms(folder, options):
    """Return how long an iteration of the recipe takes on the set."""
    overrides = [
        "data.name=prepared", f"data.directory={json.dumps(str(folder))}",
        "data.options={verify: false}", f"data.image_size={options.side}",
    ]  # fmt: skip
    found = bench(options.recipe, overrides, warmup=1, iterations=options.iterations, seconds=0)
    runtime = found["runtime"]
    print(
        f"an iteration of {options.recipe}: {found['ms_per_iteration']:,.0f} ms (median of "
        f"{found['iterations']}; {runtime['threads']} threads, {runtime['processor']})"
    )
    return found["ms_per_iteration"]


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-c", dest="recipe", default="own_64", help="(default: own_64)")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--iterations", type=int, default=20, help="of the recipe (default: 20)")
    parser.add_argument("--pause-ms", type=float, default=100.0, help="between batches (100)")
    parser.add_argument("--dense", action="store_true", help="noise on the disk, not a sparse file")
    parser.add_argument("--folder", help="where the file is made (default: the temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        folder = Path(made)
        make_set(folder, options.count, options.side, options.dense)
        size = load_recipe(find_recipe(options.recipe)).data.batch_size
        share = measure(folder, size, options) / step_ms(folder, options)
        print(f"a batch is {100 * share:.2f} % of that")
    return 0


if __name__ == "__main__":
    sys.exit(main())
