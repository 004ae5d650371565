"""The command ``ppgan-zoo bench`` as a script; see ``--help``."""

import sys

from ppgan_zoo.cli import tool

if __name__ == "__main__":
    sys.exit(tool("bench"))
