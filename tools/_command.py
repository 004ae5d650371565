"""What the scripts beside it share: one command of ``ppgan-zoo``, from a checkout as it lies."""

from __future__ import annotations

import sys
from pathlib import Path


def run(command: str) -> int:
    """Run a command and return its exit code; 2 and one line if something is not installed."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it need not be installed
    try:
        from ppgan_zoo.cli import tool

        return tool(command)
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        print(
            f"tools/{command}.py: {error.name} is not installed; run: pip install -e '.[cpu]'",
            file=sys.stderr,
        )
        return 2
