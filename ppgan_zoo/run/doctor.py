"""Looks at the machine and the installation, and says what is there and what to mend."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal

import ppgan_zoo
from ppgan_zoo import runtime
from ppgan_zoo.errors import ZooError
from ppgan_zoo.registry import DATA, MODELS, OBJECTIVES
from ppgan_zoo.storage.files import user_cache

State = Literal["well", "note", "mend"]

FOR_DEVELOPERS = {"cpu", "gpu", "dev", "fuzz"}
"""Extras that are not looked for: Paddle is looked at by itself, the rest is for the zoo's work."""

LEAST_FREE_BYTES = 2**30
"""Below this much free disk a run may fill it: checkpoints, grids and logs."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        found: What is there.
        state: ``well``, ``note`` (works, and could be better) or ``mend``.
        advice: What to do about it; empty where nothing is to be done.
    """

    name: str
    found: str
    state: State = "well"
    advice: str = ""

    def to_json(self) -> dict[str, str]:
        """Return plain data."""
        return asdict(self)


def examine(directory: str | None = None) -> Iterator[Finding]:
    """Yield what is found, one by one, since importing Paddle takes seconds.

    Args:
        directory: Where the user's data lie, as ``--data-dir``; None looks where a recipe
            without it would.
    """
    yield Finding("ppgan_zoo", f"{ppgan_zoo.__version__} in {Path(ppgan_zoo.__file__).parent}")
    yield _python()
    yield _processor()
    yield _memory()
    yield from _paddle()
    yield _safely("data: mnist", lambda: _data("mnist", directory))
    yield _safely("data: fashion_mnist", lambda: _data("fashion_mnist", directory))
    yield from _plugins()
    yield from _extras()
    yield _disk("this folder", Path.cwd())
    yield _cache()


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.platform(terse=True)}: {sys.executable}"
    return Finding("Python", found)


def _processor() -> Finding:
    name = runtime.cpu_field("model name")
    cores = runtime.available_cores()
    flags = set(runtime.cpu_field("flags").split())
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2 named"
    found = f"{name or platform.machine()}, {vectors}, {cores} cores for this process"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > cores:
        return Finding(
            "processor", f"{found}; {load:.1f} processes want to run", "note",
            "others are at work here, and training is slower for it",
        )  # fmt: skip
    return Finding("processor", found)


def _memory() -> Finding:
    size = runtime.available_memory() / 2**30
    state: State = "note" if size < 3 else "well"
    advice = "little for the larger recipes; --dry-run says what one needs" if size < 3 else ""
    return Finding("memory", f"{size:.1f} GiB for this process", state, advice)


def _paddle() -> Iterator[Finding]:
    """Yield Paddle, its device and threads, and the accelerator; only what is wrong if it is not.

    The rest needs Paddle.
    """
    try:
        machine = runtime.start()
    except ZooError as error:
        yield Finding("Paddle", "cannot be used", "mend", str(error))
        return
    import paddle

    from ppgan_zoo import ops

    build = "GPU" if paddle.is_compiled_with_cuda() else "CPU"
    yield Finding("Paddle", f"{machine.paddle}, built for the {build}; trains on {machine.device}")
    threads, cores = machine.threads, runtime.available_cores()
    if threads > cores:
        yield Finding(
            "threads", f"{threads} on {cores} cores", "note",
            f"more than cores make it slower; set PPGAN_ZOO_THREADS={cores} or unset it",
        )  # fmt: skip
    else:
        yield Finding("threads", f"{threads} of {cores}")
    yield _safely("accelerator", lambda: _accelerator(ops.describe()))


def _accelerator(found: str) -> Finding:
    if found.startswith("oneDNN"):
        return Finding("accelerator", found)
    return Finding("accelerator", f"none: {found}", "note", "convolutions are slower, and as right")


def _data(name: str, directory: str | None) -> Finding:
    from ppgan_zoo.data import load_image_set

    said: list[str] = []
    images = load_image_set(name, directory=directory, offline=True, notify=said.append)
    found = f"{len(images):,} images of {images.source}: {images.location}"
    if images.source == "embedded":
        return Finding(
            f"data: {name}", found, "note",
            "the full set has 60,000: give its folder by --data-dir, or train once with a network",
        )  # fmt: skip
    return Finding(f"data: {name}", found)


def _plugins() -> Iterator[Finding]:
    """Yield each plugin, imported as a command that uses it would."""
    for registry in (MODELS, OBJECTIVES, DATA):
        for name, source in registry.sources().items():
            if source.owner == "ppgan_zoo":
                continue
            title = f"plugin: {registry.kind} {name}"
            try:
                registry.get(name)
            except (ZooError, SystemExit) as error:
                yield Finding(title, f"of {source.owner}", "mend", f"{error or 'ends the program'}")
            else:
                yield Finding(title, f"of {source.owner}")


def _extras() -> Iterator[Finding]:
    """Yield each optional part of the installation; nothing for a package that is not installed."""
    wanted: dict[str, list[str]] = {}
    with contextlib.suppress(PackageNotFoundError):
        for requirement in requires("ppgan_zoo") or ():
            marker = re.search(r"""extra == ['"]([\w-]+)['"]""", requirement)
            name = re.match(r"[\w.-]+", requirement)
            if marker and name and marker[1] not in FOR_DEVELOPERS:
                wanted.setdefault(marker[1], []).append(name[0])
    for extra, packages in sorted(wanted.items()):
        missing = [package for package in packages if not _is_installed(package)]
        if missing:
            yield Finding(
                f"extra: {extra}", f"without {', '.join(missing)}", "note",
                f"only if wanted: pip install {' '.join(missing)}",
            )  # fmt: skip
        else:
            yield Finding(f"extra: {extra}", "installed")


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _disk(name: str, folder: Path) -> Finding:
    """Return how much is free, and whether a file can be written."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(
            name, f"{folder}: {error.strerror or error}", "mend",
            "nothing can be written here; work in another folder, or give --output",
        )  # fmt: skip
    found = f"{folder}: {free / 2**30:.1f} GiB free"
    if free < LEAST_FREE_BYTES:
        return Finding(name, found, "mend", "too little for a run; make room, or give --output")
    return Finding(name, found)


def _cache() -> Finding:
    cache = user_cache()
    if cache is None:
        return Finding(
            "cache", "this user has no home", "note",
            "features are computed again each time; set XDG_CACHE_HOME to a folder of yours",
        )  # fmt: skip
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    if os.access(there, os.W_OK):
        return Finding("cache", str(cache))
    return Finding(
        "cache", f"{cache}: cannot be written", "note",
        "features are computed again each time; set XDG_CACHE_HOME to a folder of yours",
    )  # fmt: skip


def _safely(name: str, look: Callable[[], Finding]) -> Finding:
    """Return what was found, or what was wrong in looking."""
    try:
        return look()
    except ZooError as error:
        return Finding(name, "cannot be used", "mend", str(error))


def summary(findings: list[Finding]) -> dict[str, Any]:
    """Return plain data of all findings, and whether something is to be mended."""
    return {
        "well": all(finding.state != "mend" for finding in findings),
        "findings": [finding.to_json() for finding in findings],
    }
