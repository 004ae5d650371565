"""The command ``ppgan-zoo search`` as a script; see ``--help``."""

import sys

from _command import run

if __name__ == "__main__":
    sys.exit(run("search"))
