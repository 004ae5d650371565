"""The command ``ppgan-zoo collapse`` as a script; see ``--help``."""

import sys

from _command import run

if __name__ == "__main__":
    sys.exit(run("collapse"))
