"""``ppgan-zoo`` and ``python -m ppgan_zoo``: the command line, from the very first moment on."""

import sys


def main() -> int:
    """Run the command line; Ctrl-C while it is still being imported is no traceback either."""
    try:
        from ppgan_zoo.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
