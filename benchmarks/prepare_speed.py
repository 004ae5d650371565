"""Pictures a second of ``ppgan-zoo data prepare``, beside what others read the same folder with.

Draws a folder of JPEG photographs (noise at several scales), and times from a warm cache of the
file system, in turns: the command with one process and with one a core, its start, checks and
contact sheet included; a plain loop of Pillow that opens, crops and resizes each picture, which is
the work of StyleGAN's dataset tool; and, with ``--torch PYTHON``, torchvision's ImageFolder in an
environment that has it, without its imports. The processor time, of all processes together, depends
less than the clock on what else the machine does.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from ppgan_zoo.bench.driver import table
from ppgan_zoo.data.prepare.prepare import prepare
from ppgan_zoo.data.prepare.settings import Settings
from ppgan_zoo.errors import ZooError
from ppgan_zoo.runtime import available_cores, cpu_field

HERE = Path(__file__).resolve().parent
COLUMNS = {
    "what": "{what}",
    "pictures a second": "{rate:,.0f}",
    "least to largest": "{least:,.0f} to {largest:,.0f}",
    "a second of processor time": "{processor:,.0f}",
}


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


def torchvision(python, folder, size, jobs):
    """Return what torchvision takes for the same folder, in a process of its own."""
    request = {"folder": str(folder.parent), "size": size, "jobs": jobs}
    done = subprocess.run(
        [python, str(HERE / "torch_folder.py"), json.dumps(request)],
        capture_output=True, text=True, check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ZooError(f"--torch {python}: {last}; is torchvision installed there?")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return told["seconds"], told["processor"]


def processor():
    """Return the processor time of this process and of those that it waited for, in seconds."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def taken(run, *arguments):
    """Return the seconds that a call takes, by the clock and of the processor."""
    start, began = time.perf_counter(), processor()
    run(*arguments)
    return time.perf_counter() - start, processor() - began


def prepared(folder, work, settings, jobs):
    """Return what preparing the folder takes."""
    output = work / "prepared"
    found = taken(lambda: prepare(folder, output, settings, jobs=jobs))
    shutil.rmtree(output)
    return found


def contestants(folder, work, options):
    """Return what is timed: for each its name, and what runs it."""
    settings = Settings((options.size, options.size))
    found = {}
    cores = sorted({1, available_cores()})
    for jobs in cores:
        many = f"{jobs} process{'es' if jobs > 1 else ''}"
        found[f"data prepare, {many}"] = lambda jobs=jobs: prepared(folder, work, settings, jobs)
    found["a plain loop of Pillow"] = lambda: taken(plain, folder, options.size)
    for jobs in cores if options.torch else ():
        many = f"{jobs} process{'es' if jobs > 1 else ''}"
        found[f"torchvision's ImageFolder, {many}"] = lambda jobs=jobs: torchvision(
            options.torch, folder, options.size, jobs
        )
    return found


def parse():
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--picture", type=int, nargs=2, default=(640, 480), metavar=("W", "H"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter that has torchvision")
    return parser.parse_args()


def main():
    """Measure and print a table; 2 where torchvision cannot be measured."""
    options = parse()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "source" / "pictures"
        folder.mkdir(parents=True)
        draw(folder, options.count, *options.picture)
        plain(folder, options.size)  # so that all files are in the cache
        timed = contestants(folder, Path(work), options)
        rates = {what: [] for what in timed}
        try:
            for _ in range(options.rounds):
                for what, run in timed.items():
                    rates[what].append([options.count / seconds for seconds in run()])
        except ZooError as error:
            print(f"prepare_speed: {error}", file=sys.stderr)
            return 2
    rows = []
    for what, found in rates.items():
        clock, processors = zip(*found, strict=True)
        rows.append({"what": what, "rate": median(clock), "least": min(clock),
                     "largest": max(clock), "processor": median(processors)})  # fmt: skip
    print(f"{options.count} JPEGs of {options.picture[0]}x{options.picture[1]} to "
          f"{options.size}x{options.size}, {available_cores()} cores ({cpu_field('model name')}), "
          f"median of {options.rounds}")  # fmt: skip
    print(table(rows, COLUMNS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
