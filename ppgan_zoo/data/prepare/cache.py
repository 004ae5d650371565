"""Sets that were prepared on the way to a training, kept so that the next one finds them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import __version__ as pillow_version

from ppgan_zoo.data.prepare.manifest import read_manifest
from ppgan_zoo.data.prepare.open_source import open_source
from ppgan_zoo.data.prepare.prepare import prepare
from ppgan_zoo.data.prepare.settings import Settings
from ppgan_zoo.data.prepare.source import digest_of
from ppgan_zoo.data.prepared import load_prepared
from ppgan_zoo.errors import DataError, os_errors
from ppgan_zoo.storage.files import as_argument, user_cache
from ppgan_zoo.storage.journal import PARTIAL

LONGEST_NAME = 40


def prepared_in_cache(
    source: Path, settings: Settings, notify: Callable[[str], None], *, verify: bool = True
) -> Path:
    """Return a prepared set of a source, which is made if it is not there yet, or damaged.

    Args:
        source: See :func:`ppgan_zoo.data.prepare.open_source.open_source`.
        settings: How; a source that says what is held out takes no share of its own.
        notify: Called with a line of text for whatever the user should know.
        verify: Whether a set that is there is compared with its hashes, for which it is read.

    Raises:
        DataError: The source cannot be read, too many of its pictures cannot be, or there is no
            folder to keep the set in.
        OSError: It cannot be written.
    """
    shown = as_argument(source)
    height, width = settings.size
    cache = user_cache()
    if cache is None:
        raise DataError(
            f"{source}: no home folder to keep a prepared set in; prepare one with: ppgan-zoo data "
            f"prepare {shown} --size {height}x{width} --output SET, and give that"
        )
    opened = open_source(source, notify)
    if opened.has_splits:
        settings = replace(settings, held_out=None)
    key = digest_of(opened.identity, settings.describe(), pillow_version)[:16]
    name = re.sub(r"[^A-Za-z0-9]+", "_", source.name)[:LONGEST_NAME]
    folder = cache / "prepared" / f"{name}-{height}x{width}-{key}"
    if os.path.isdir(folder):
        if _is_whole(folder, verify):
            notify(f"{shown}: was prepared before, in {as_argument(folder)}")
            return folder
        notify(f"{shown}: what was prepared before is damaged, and is made again")
        shutil.rmtree(folder)
    advice = "let XDG_CACHE_HOME name a folder that can be written to"
    with os_errors(DataError, f"{folder}: cannot be made", advice):
        folder.with_name(folder.name + PARTIAL).mkdir(parents=True, exist_ok=True)
    notify(
        f"{shown}: preparing {opened.count:,} pictures at {height}x{width} into "
        f"{as_argument(folder)}"
    )
    prepare(opened, folder, settings, notify=notify)
    return folder


def _is_whole(folder: Path, verify: bool) -> bool:
    """Tell whether every split of a prepared set can be loaded."""
    try:
        for split in read_manifest(folder).splits:
            load_prepared(folder, split, verify=verify)
    except DataError:
        return False
    return True
