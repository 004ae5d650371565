"""``ppgan-zoo`` and ``python -m ppgan_zoo``: the command line, from the very first moment on.

Paddle's launcher, which takes no module, starts this file as a script.
"""

import sys
from pathlib import Path

if not __package__:  # a script: not this folder, whose modules would stand before others' names
    sys.path[0] = str(Path(__file__).resolve().parents[1])


def main() -> int:
    """Run the command line; Ctrl-C while it is still being imported is no traceback either."""
    try:
        from ppgan_zoo.distributed.streams import run_led

        return run_led(_run)
    except KeyboardInterrupt:
        return 130


def _run() -> int:
    from ppgan_zoo.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
