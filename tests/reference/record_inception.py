"""Writes ``inception.npz``: what torch-fidelity 0.3.0 computes with random weights.

``python tests/reference/record_inception.py``, with PyTorch and torch-fidelity installed.
The weights of ``drawn_weights.py`` stand in for the file that torch-fidelity downloads.

- ``names``, ``shapes``: of the reference's weights, shapes as text;
- ``grey/features``, ``grey/logits``: float32, of two grey images 28 x 28;
- ``exact/features``, ``exact/logits``: in float64, of one RGB image that needs no resizing;
- ``resize/SIDE``: one channel of an image of SIDE x SIDE at 299 x 299, every 7th row.
"""

import sys
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from drawn_weights import images, weight
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

module = "torch_fidelity.feature_extractor_inceptionv3"
out = {}


def extractor():
    """Return the reference network with our weights instead of the downloaded ones."""
    with mock.patch(f"{module}.load_state_dict_from_url", return_value={}), \
            mock.patch.object(torch.nn.Module, "load_state_dict"):  # fmt: skip
        network = FeatureExtractorInceptionV3("inception-v3", ["2048", "logits_unbiased"])
    state = {name: tensor for name, tensor in network.state_dict().items()
             if not name.endswith("num_batches_tracked")}  # fmt: skip
    out["names"] = np.array(list(state))
    out["shapes"] = np.array(["x".join(map(str, tensor.shape)) for tensor in state.values()])
    drawn = {name: torch.tensor(weight(name, tuple(tensor.shape)))
             for name, tensor in state.items()}  # fmt: skip
    network.load_state_dict(drawn, strict=False)
    return network.eval()


def record(label, network, pixels, dtype):
    features, logits = network(torch.tensor(pixels))
    out[f"{label}/features"] = features.numpy().astype(dtype)
    out[f"{label}/logits"] = logits.numpy().astype(dtype)
    print(label, features.mean().item(), features.std().item(), logits.std().item())


with torch.no_grad():
    network = extractor()
    grey = np.repeat(images(2, 1, 28, 28), 3, axis=1)
    record("grey", network, grey, np.float32)
    # The reference turns its bytes into float32 by itself.
    with mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        record("exact", network.double(), images(1, 3, 299, 299), np.float64)
    for side in (28, 64, 320):
        resized = interpolate_bilinear_2d_like_tensorflow1x(
            torch.tensor(images(1, 1, side, side)).float(), size=(299, 299), align_corners=False
        )
        out[f"resize/{side}"] = resized.numpy()[0, 0, ::7].astype(np.float32)

target = Path(__file__).parent / "inception.npz"
np.savez_compressed(target, **out)
print(f"{target}: {target.stat().st_size} bytes", file=sys.stderr)
