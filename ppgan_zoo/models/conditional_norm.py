"""Batch norm whose scale and shift are chosen by a label, or computed from a vector.

The statistics are of the whole batch, whatever its labels. Where there is nothing to condition
on, use ``nn.BatchNorm2D``: with one class, or an unchanging vector, both are that.
"""

from __future__ import annotations

from paddle import ParamAttr, Tensor, nn

from ppgan_zoo.ops import relu


class ConditionalBatchNorm(nn.Layer):
    """A row of two tables for each class: ``gamma[y] * norm(x) + beta[y]``.

    De Vries et al. 2017; in a generator Miyato and Koyama 2018. Gamma begins at 1, beta at 0.

    Args:
        channels: Feature maps.
        num_classes: How many classes there are.
        momentum: Share of the running statistics that each training batch leaves in them.
        epsilon: Added to the variance.
    """

    def __init__(
        self, channels: int, num_classes: int, *, momentum: float = 0.9, epsilon: float = 2e-5
    ) -> None:
        super().__init__()
        self.norm = _norm_alone(channels, momentum, epsilon)
        ones, zeros = nn.initializer.Constant(1.0), nn.initializer.Constant(0.0)
        self.gamma = nn.Embedding(num_classes, channels, weight_attr=ones)
        self.beta = nn.Embedding(num_classes, channels, weight_attr=zeros)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return ``[N, C, H, W]`` of maps of that shape and labels int64 ``[N]``."""
        return _scaled(self.norm(x), self.gamma(labels), self.beta(labels))


class ModulatedBatchNorm(nn.Layer):
    """Scale and shift are linear in a vector: ``(1 + A c) * norm(x) + B c``.

    BigGAN (Brock et al. 2019, appendix B), where c is a class embedding and a part of z. With
    a part of z alone it needs no labels.

    Args:
        channels: Feature maps.
        features: Length of the vector.
        momentum: Share of the running statistics that each training batch leaves in them.
        epsilon: Added to the variance.
    """

    def __init__(
        self, channels: int, features: int, *, momentum: float = 0.9, epsilon: float = 1e-5
    ) -> None:
        super().__init__()
        self.norm = _norm_alone(channels, momentum, epsilon)
        self.gain = nn.Linear(features, channels, bias_attr=False)
        self.shift = nn.Linear(features, channels, bias_attr=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return ``[N, C, H, W]`` of maps of that shape and vectors ``[N, features]``."""
        return _scaled(self.norm(x), 1.0 + self.gain(condition), self.shift(condition))


class SelfModulatedBatchNorm(nn.Layer):
    """A net with a hidden layer makes scale and shift of z: ``gamma(z) * norm(x) + beta(z)``.

    Chen et al. 2019; as in the authors' code, both come from the same hidden units,
    ``relu(U z + u)``. Weights begin normal with a standard deviation of 0.02, biases so that
    gamma is about 1 and beta about 0.

    Args:
        channels: Feature maps.
        latent_dim: Size of z.
        hidden_units: Units of the hidden layer; the paper has 32.
        momentum: Share of the running statistics that each training batch leaves in them.
        epsilon: Added to the variance.
    """

    def __init__(
        self,
        channels: int,
        latent_dim: int,
        hidden_units: int = 32,
        *,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm = _norm_alone(channels, momentum, epsilon)
        self.hidden = _small(latent_dim, hidden_units, 0.0)
        self.gain = _small(hidden_units, channels, 1.0)
        self.shift = _small(hidden_units, channels, 0.0)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Return ``[N, C, H, W]`` of maps of that shape and z ``[N, latent_dim]``."""
        hidden = relu(self.hidden(z))
        return _scaled(self.norm(x), self.gain(hidden), self.shift(hidden))


def _small(inputs: int, outputs: int, bias: float) -> nn.Linear:
    weights, biases = nn.initializer.Normal(0.0, 0.02), nn.initializer.Constant(bias)
    return nn.Linear(inputs, outputs, weight_attr=weights, bias_attr=biases)


def _norm_alone(channels: int, momentum: float, epsilon: float) -> nn.BatchNorm2D:
    """Return batch norm whose own scale and shift stay 1 and 0.

    It has them: without, an exported model crashes in Paddle Inference.
    """
    fixed = ParamAttr(trainable=False)
    return nn.BatchNorm2D(
        channels, momentum=momentum, epsilon=epsilon, weight_attr=fixed, bias_attr=fixed
    )


def _scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return ``[N, C, H, W]`` times ``[N, C]`` plus ``[N, C]``."""
    return x * scale.unsqueeze([2, 3]) + shift.unsqueeze([2, 3])
