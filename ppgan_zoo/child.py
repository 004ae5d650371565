"""``python -m ppgan_zoo.child COMMAND ...``: a command that ends with its parent.

A search that is killed, and so cannot end its runs, leaves none of them behind.
"""

from __future__ import annotations

import sys

from ppgan_zoo.distributed.streams import end_with_parent


def main() -> int:
    """Run the command line until it ends, or the process that started it is gone."""
    end_with_parent()
    from ppgan_zoo.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
