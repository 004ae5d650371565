"""What the tools that write files from the code have in common: check them, or write them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path


def keep_current(tool: str, description: str | None, make: Callable[[], Mapping[Path, str]]) -> int:
    """Compare files with what they should hold, or write them with ``--write``.

    Args:
        tool: The file name of the tool, for the advice.
        description: For ``--help``.
        make: Returns what each file should hold, by its path.

    Returns:
        The exit code: 2 where a file is out of date and was not written.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    stale = {
        path: text
        for path, text in make().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    if stale and not write:
        names = ", ".join(path.name for path in stale)
        print(f"out of date: {names}; run: python tools/{tool} --write")
        return 2
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0
