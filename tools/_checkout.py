"""What a script beside it imports first: it then runs from a checkout as it lies.

Puts the checkout on the path, and ends the script with one line if something that the zoo needs
is not installed.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

NEEDED = ("numpy", "PIL", "yaml", "pydantic", "safetensors", "tqdm", "paddle")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
MISSING = next((name for name in NEEDED if importlib.util.find_spec(name) is None), None)
if MISSING is not None:
    print(
        f"{sys.argv[0]}: {MISSING} is not installed; run, in the folder of the checkout: "
        "pip install -e '.[cpu]'",
        file=sys.stderr,
    )
    sys.exit(2)
