"""Make the weights of photos-v1, the first five stages of efficientnet-lite0.

    python tools/photos_features.py efficientnet-lite0.safetensors --photos SET --output FILE

docs/features.md says where those weights are from. SET is a prepared set of photographs, over which
each feature gets mean 0 and variance 1.
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
    parser.add_argument("--photos", type=Path, required=True, help="a prepared set")
    parser.add_argument("--output", type=Path, required=True, help="the .safetensors to write")
    options = parser.parse_args()
    runtime.start("cpu", threads=1)
    try:
        _make(options.weights, options.photos, options.output)
    except ZooError as error:
        print(f"photos_features: {error}", file=sys.stderr)
        return 2
    return 0


def _make(weights: Path, photos: Path, output: Path) -> None:
    import numpy as np
    from safetensors.numpy import save

    from ppgan_zoo.data import load_image_set
    from ppgan_zoo.metrics.efficientnet import Photos
    from ppgan_zoo.metrics.features import (
        PHOTOS,
        SHAPES,
        FeatureNetwork,
        open_features,
        recorded,
    )  # fmt: skip
    from ppgan_zoo.models.weights import layer_arrays, load_arrays
    from ppgan_zoo.storage.half_precision import halved, widened

    images = load_image_set("prepared", directory=photos)
    network = Photos()
    whole = layer_arrays(open_features("efficientnet-lite0", weights).forward)
    kept = halved({name: whole.get(name, array) for name, array in layer_arrays(network).items()})
    load_arrays(network, widened(kept))
    network.eval()
    shown = FeatureNetwork(PHOTOS, "0" * 64, Photos.features, None, None, network, SHAPES[PHOTOS],
                           32, is_general=True)  # fmt: skip
    features = shown(images.images).features.astype(np.float64)
    kept["standardise.mean"] = features.mean(axis=0).astype(np.float32)
    kept["standardise.deviation"] = features.std(axis=0).astype(np.float32)
    record = {
        "name": PHOTOS,
        "from": "efficientnet-lite0",
        "weights_sha256": sha256_file(weights),
        "licence": "Apache-2.0; trained on ImageNet by the authors of EfficientNet, Google",
        "photos": {"count": len(images), "sha256": images.sha256},
    }
    write_atomically(output, save(kept, recorded(record)))
    print(f"{output}: {output.stat().st_size:,} bytes, SHA-256 {sha256_file(output)}")


if __name__ == "__main__":
    sys.exit(main())
