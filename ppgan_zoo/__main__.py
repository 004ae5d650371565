"""``python -m ppgan_zoo``: the command line, where its script is not on the path."""

import sys

from ppgan_zoo.cli import main

sys.exit(main())
