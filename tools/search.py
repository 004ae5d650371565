"""The command ``ppgan-zoo search`` as a script; see ``--help``."""

import sys

from ppgan_zoo.cli import tool

if __name__ == "__main__":
    sys.exit(tool("search"))
