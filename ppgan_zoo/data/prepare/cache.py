"""Sets that were prepared on the way to a training, kept so that the next one finds them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from PIL import __version__ as pillow_version

from ppgan_zoo.data.prepare.layout import is_prepared
from ppgan_zoo.data.prepare.open_source import open_source
from ppgan_zoo.data.prepare.prepare import prepare
from ppgan_zoo.data.prepare.settings import Settings
from ppgan_zoo.data.prepare.source import digest_of
from ppgan_zoo.errors import DataError
from ppgan_zoo.storage.files import as_argument, user_cache

LONGEST_NAME = 40


def prepared_in_cache(source: Path, settings: Settings, notify: Callable[[str], None]) -> Path:
    """Return a prepared set of a source, which is made if it is not there yet.

    Args:
        source: See :func:`ppgan_zoo.data.prepare.open_source.open_source`.
        settings: How.
        notify: Called with a line of text for whatever the user should know.

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
    key = digest_of(opened.identity, settings.describe(), pillow_version)[:16]
    name = re.sub(r"[^A-Za-z0-9]+", "_", source.name)[:LONGEST_NAME]
    folder = cache / "prepared" / f"{name}-{height}x{width}-{key}"
    if is_prepared(folder):
        notify(f"{shown}: was prepared before, in {as_argument(folder)}")
        return folder
    notify(
        f"{shown}: preparing {opened.count:,} pictures at {height}x{width} into "
        f"{as_argument(folder)}"
    )
    prepare(opened, folder, settings, notify=notify)
    return folder
