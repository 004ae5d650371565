"""Self-attention between the places of a map, for any convolutional net (SAGAN, BigGAN)."""

from __future__ import annotations

from paddle import Tensor, nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.resampling import max_pooled
from ppgan_zoo.models.residual import conv1x1

LEAST_CHANNELS = 8


class SelfAttention(nn.Layer):
    """``x + gamma * o(attention(x))``: what each place takes from all others.

    As in the code of Zhang et al. 2019 and Brock et al. 2019 (the paper's text has other
    widths, and no pooling). With 1x1 convolutions without bias: queries and keys of C / 8
    maps, values of C / 2, keys and values max-pooled by 2x2; a softmax over the H W / 4 keys of
    each query, without ``1 / sqrt(d)``. Gamma is one number and begins at 0, where the block is
    the identity. Divide its convolutions by their spectral norm, as both papers do.

    All of it has double gradients, so that a discriminator may have it under a penalty.

    Args:
        channels: C, at least 8.

    Raises:
        ConfigError: Fewer than 8 channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < LEAST_CHANNELS:
            raise ConfigError(
                f"attention: {channels} feature maps; it takes {LEAST_CHANNELS} or more"
            )
        self.query = conv1x1(channels, channels // 8, bias=False)
        self.key = conv1x1(channels, channels // 8, bias=False)
        self.value = conv1x1(channels, channels // 2, bias=False)
        self.out = conv1x1(channels // 2, channels, bias=False)
        self.gamma = self.create_parameter([1], default_initializer=nn.initializer.Constant(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to the same shape; H and W at least 2."""
        queries = _as_columns(self.query(x))  # [N, C / 8, H W]
        keys = _as_columns(max_pooled(self.key(x)))  # [N, C / 8, H W / 4]
        values = _as_columns(max_pooled(self.value(x)))  # [N, C / 2, H W / 4]
        weights = softmax(queries.transpose([0, 2, 1]).matmul(keys))  # [N, H W, H W / 4]
        seen = values.matmul(weights.transpose([0, 2, 1]))  # [N, C / 2, H W]
        _, _, height, width = x.shape
        return x + self.gamma * self.out(seen.reshape([-1, seen.shape[1], height, width]))


def attention_layers(channels: tuple[int, ...], after: int) -> nn.LayerList:
    """Return what follows each block of a net: nothing, or attention after one of them.

    Args:
        channels: Feature maps that each block puts out.
        after: The number of the block, from 1; 0 for no attention.
    """
    return nn.LayerList(
        [
            SelfAttention(maps) if number == after else nn.Identity()
            for number, maps in enumerate(channels, start=1)
        ]
    )


def check_attention(where: str, after: int, blocks: int) -> None:
    """Refuse attention after a block that there is not.

    Raises:
        ConfigError: `after` is below 0 or above `blocks`.
    """
    if not 0 <= after <= blocks:
        raise ConfigError(
            f"{where}: attention_after is {after}; give a block's number, 1 to {blocks}, or 0 for "
            "no attention"
        )


def softmax(scores: Tensor) -> Tensor:
    """Return the softmax over the last axis; written out, for Paddle's has no double gradient."""
    raised = (scores - scores.max(axis=-1, keepdim=True).detach()).exp()
    return raised / raised.sum(axis=-1, keepdim=True)


def _as_columns(x: Tensor) -> Tensor:
    """Return ``[N, C, H W]`` of ``[N, C, H, W]``."""
    _, channels, height, width = x.shape
    return x.reshape([-1, channels, height * width])
