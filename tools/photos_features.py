"""Make the weights of photos-v1, the first five stages of efficientnet-lite0.

    python tools/photos_features.py efficientnet-lite0.safetensors --output photos-v1.safetensors

docs/features.md says where those weights are from. The same file gives the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import _checkout  # noqa: F401

from ppgan_zoo import runtime
from ppgan_zoo.errors import ZooError
from ppgan_zoo.storage.files import sha256_file, write_atomically


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, help="of efficientnet-lite0, converted")
    parser.add_argument("--output", type=Path, required=True, help="the .safetensors to write")
    options = parser.parse_args()
    runtime.start("cpu", threads=1)
    try:
        _make(options.weights, options.output)
    except ZooError as error:
        print(f"photos_features: {error}", file=sys.stderr)
        return 2
    return 0


def _make(weights: Path, output: Path) -> None:
    from safetensors.numpy import save

    from ppgan_zoo.metrics.efficientnet import Photos
    from ppgan_zoo.metrics.features import PHOTOS, open_features, recorded
    from ppgan_zoo.models.weights import layer_arrays
    from ppgan_zoo.storage.half_precision import halved

    whole = layer_arrays(open_features("efficientnet-lite0", weights).forward)
    names = layer_arrays(Photos())
    record = {
        "name": PHOTOS,
        "from": "efficientnet-lite0",
        "weights_sha256": sha256_file(weights),
        "licence": "Apache-2.0; trained on ImageNet by the authors of EfficientNet, Google",
    }
    write_atomically(output, save(halved({name: whole[name] for name in names}), recorded(record)))
    print(f"{output}: {output.stat().st_size:,} bytes, SHA-256 {sha256_file(output)}")


if __name__ == "__main__":
    sys.exit(main())
