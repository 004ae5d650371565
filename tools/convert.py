"""The command ``ppgan-zoo convert`` as a script; see ``--help``."""

import sys

from _command import run

if __name__ == "__main__":
    sys.exit(run("convert"))
