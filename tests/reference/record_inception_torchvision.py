"""Writes ``inception_torchvision.npz``: what torchvision's Inception v3 says, random weights.

``python tests/reference/record_inception_torchvision.py``, with PyTorch and torchvision installed.
The weights of ``drawn_weights.py`` stand in for the file that torchvision downloads.

- ``features``, ``logits``: in float64, of one RGB image that needs no resizing.
"""

from pathlib import Path

import numpy as np
import torch
import torchvision
from drawn_weights import images, weight

network = torchvision.models.Inception3(transform_input=False, init_weights=False).eval()
drawn = {
    name: torch.tensor(weight(name, tuple(tensor.shape)))
    for name, tensor in network.state_dict().items()
    if not name.endswith("num_batches_tracked")
}
network.load_state_dict(drawn, strict=False)
found = {}
network.avgpool.register_forward_hook(
    lambda _layer, _inputs, pooled: found.update(features=pooled.flatten(1).numpy())
)
with torch.no_grad():
    # The published weights take -1 to 1, which its transform_input makes of normalised images.
    pixels = torch.tensor(images(1, 3, 299, 299)).double() / 127.5 - 1
    found["logits"] = network.double()(pixels).numpy()
np.savez_compressed(Path(__file__).parent / "inception_torchvision.npz", **found)
print(found["features"].mean(), found["features"].std(), found["logits"].std())
