"""Writes ``efficientnet.npz``: what the PyTorch package's EfficientNet-Lite0 says, random weights.

``python tests/reference/record_efficientnet.py``, with PyTorch and efficientnet_lite_pytorch 0.1.0
installed. The weights of ``drawn_weights.py`` stand in for the published ones.

- ``names``, ``shapes``: of the weights.
- ``features``, ``logits``: in float64, of one RGB image that needs no resizing.
"""

from pathlib import Path

import numpy as np
import torch
from drawn_weights import images, weight
from efficientnet_lite_pytorch import EfficientNet

network = EfficientNet.from_name("efficientnet-lite0").eval()
shapes = {
    name: tuple(tensor.shape)
    for name, tensor in network.state_dict().items()
    if not name.endswith("num_batches_tracked")
}
drawn = {name: torch.tensor(weight(name, shape)) for name, shape in shapes.items()}
network.load_state_dict(drawn, strict=False)
with torch.no_grad():
    # As the authors' code normalises (efficientnet_lite_builder.py: 127 and 128).
    pixels = (torch.tensor(images(1, 3, 224, 224)).double() - 127) / 128
    maps = network.double().extract_features(pixels)
    found = {"features": maps.mean((2, 3)).numpy(), "logits": network(pixels).numpy()}
np.savez_compressed(
    Path(__file__).parent / "efficientnet.npz",
    names=np.array(list(shapes)),
    shapes=np.array(["x".join(map(str, shape)) for shape in shapes.values()]),
    **found,
)
print(found["features"].mean(), found["features"].std(), found["logits"].std())
