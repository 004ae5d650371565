"""The small classifier whose features FID and its kin compare: of digits, clothes, avatars or all.

Seven 3 x 3 convolutions. The features are what the last, linear layer reads: the means
over all positions of the activations of two depths, half of them where a position sees
strokes and textures (15 pixels wide), half where it sees whole objects. Taken after the
ReLU and then averaged, as Inception's are, they are nearer to the Gaussian that FID
assumes than single activations; unlike Inception's, each is brought to mean 0 and
variance 1 over the training images, so that no feature outweighs the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import paddle
from paddle import nn

IMAGE_SHAPE = (1, 28, 28)
FEATURES = 128
CLASSES = 10

# Output channels and stride of each convolution; strides instead of pooling, because
# they leave a quarter of the work.
_CONVOLUTIONS = ((16, 1), (32, 2), (48, 1), (64, 2), (64, 1), (96, 2), (64, 1))
_POOLED = (4, 6)
_EPSILON = 1e-5
# A feature that no training image excites has no scale of its own. It gets that of the
# others, or the first generated image to excite it would outweigh all else.
_LEAST_DEVIATION = 1e-3
_TYPICAL_DEVIATION = 0.032


class Standardise(nn.Layer):
    """``(x - mean) / deviation`` with fixed statistics per feature.

    Args:
        features: Length of the last axis.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", paddle.zeros([features]))
        self.register_buffer("deviation", paddle.ones([features]))

    def forward(self, x: Any) -> Any:
        """Map ``[N, features]`` to the same shape."""
        return (x - self.mean) / self.deviation


class Classifier(nn.Layer):
    """Images to features and logits.

    Args:
        channels: Of an image: 1 for grey, 3 for RGB.
        classes: How many it tells apart.
        trainable: Whether to have the batch norms that training needs; without them it is
            the network that :func:`without_batch_norms` makes, convolutions with biases.
    """

    def __init__(
        self, channels: int = 1, classes: int = CLASSES, *, trainable: bool = False
    ) -> None:
        super().__init__()
        widths = (channels, *(width for width, _ in _CONVOLUTIONS))
        self.convolutions = nn.LayerList(
            nn.Conv2D(
                before, after, 3, stride=stride, padding=1, bias_attr=False if trainable else None
            )
            for before, (after, stride) in zip(widths, _CONVOLUTIONS, strict=False)
        )
        # Momentum 0.99: the statistics of some 100 batches, as nothing recomputes them later.
        self.norms = nn.LayerList(
            nn.BatchNorm2D(after, momentum=0.99, epsilon=_EPSILON)
            for after, _ in _CONVOLUTIONS
            if trainable
        )
        self.standardise = (
            nn.BatchNorm1D(FEATURES, momentum=0.99, epsilon=_EPSILON)
            if trainable
            else Standardise(FEATURES)
        )
        self.classify = nn.Linear(FEATURES, classes)

    def pooled(self, images: Any) -> Any:
        """Return the features before they are standardised, ``[N, FEATURES]``, at least 0."""
        x = images
        means = []
        for position, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if len(self.norms):
                x = self.norms[position](x)
            x = nn.functional.relu(x)
            if position in _POOLED:
                means.append(x.mean(axis=[2, 3]))
        return paddle.concat(means, axis=1)

    def forward(self, images: Any) -> tuple[Any, Any]:
        """Return features ``[N, FEATURES]`` and logits ``[N, classes]``.

        Args:
            images: float32 ``[N, C, H, W]``, 0 (black) to 1.
        """
        features = self.standardise(self.pooled(images))
        return features, self.classify(features)


def without_batch_norms(trained: Classifier, batches: Iterable[Any]) -> Classifier:
    """Return the same function without batch norms and with the final features' scale.

    Args:
        trained: A network made with ``trainable=True``.
        batches: Images ``[N, C, H, W]`` over which the features are to have mean 0 and
            variance 1. The logits do not depend on it.
    """
    trained.eval()
    folded = Classifier(trained.convolutions[0].weight.shape[1], trained.classify.weight.shape[1])
    folded.eval()
    with paddle.no_grad():
        for before, norm, after in zip(
            trained.convolutions, trained.norms, folded.convolutions, strict=True
        ):
            scale = norm.weight / paddle.sqrt(norm._variance + _EPSILON)
            after.weight.set_value(before.weight * scale.reshape([-1, 1, 1, 1]))
            after.bias.set_value(norm.bias - norm._mean * scale)

        pooled = paddle.concat([folded.pooled(images) for images in batches]).astype("float64")
        mean = pooled.mean(axis=0)
        deviation = paddle.sqrt(((pooled - mean) ** 2).mean(axis=0))
        deviation = paddle.where(
            deviation > _LEAST_DEVIATION,
            deviation,
            paddle.full_like(deviation, _TYPICAL_DEVIATION),
        )
        folded.standardise.mean.set_value(mean.astype("float32"))
        folded.standardise.deviation.set_value(deviation.astype("float32"))

        # The last layer read a * pooled + b; it now reads (pooled - mean) / deviation.
        norm = trained.standardise
        a = (norm.weight / paddle.sqrt(norm._variance + _EPSILON)).astype("float64")
        b = norm.bias.astype("float64") - norm._mean.astype("float64") * a
        weight = trained.classify.weight.astype("float64")
        bias = trained.classify.bias.astype("float64") + (a * mean + b) @ weight
        folded.classify.weight.set_value(
            ((a * deviation).reshape([-1, 1]) * weight).astype("float32")
        )
        folded.classify.bias.set_value(bias.astype("float32"))
    return folded
