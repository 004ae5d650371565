"""What the scripts beside it share: one command of ``ppgan-zoo``."""

from __future__ import annotations

import _checkout  # noqa: F401


def run(command: str) -> int:
    """Run a command and return its exit code."""
    try:
        from ppgan_zoo.cli import tool

        return tool(command)
    except KeyboardInterrupt:
        return 130
