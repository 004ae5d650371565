"""BigGAN: z goes to every block, classes share one embedding, weights begin orthogonal.

Brock et al. 2019. The defaults are reduced nets for 28x28. The published ones: of the authors'
code, with a width of 64 at 32x32 and 64x64 and of 96 at 128x128, and StudioGAN's for 32x32 (32 s).
Where z and classes are shared, shared_dim is 128.

====  =========================================  ==============================================
size  ``generator``                              ``discriminator``
====  =========================================  ==============================================
32    channels: [256, 256, 256, 256],            channels: [256, 256, 256, 256],
      hierarchical: false, shared_dim: 0,        attention_after: 0
      attention_after: 0
32 s  channels: [384, 384, 384, 384],            channels: [192, 192, 192, 192]
      shared_dim: 128, attention_after: 2
64    channels: [1024, 1024, 512, 256, 128],     channels: [64, 128, 256, 512, 1024],
      attention_after: 4                         halvings: 4, attention_after: 0
128   channels: [1536, 1536, 768, 384, 192,      channels: [96, 192, 384, 768, 1536, 1536],
      96], attention_after: 4                    halvings: 5, attention_after: 1
====  =========================================  ==============================================

z has 128, 80, 100 and 120 numbers, from top to bottom; the authors name none for 64x64, and 100 is
StudioGAN's. Without labels each block is conditioned
by its part of z alone, and scale and shift are linear in it.
"""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.conditional_norm import ConditionalBatchNorm, ModulatedBatchNorm
from ppgan_zoo.models.resnet import ResidualDiscriminator, ResidualGenerator
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.models.weights import NORMALISED, spectral_norm


class BigGANGenerator(ResidualGenerator):
    """A dense layer on the first part of z, then blocks that each double the size.

    Every block has a part of z of its own: all have the same size, and the first part, which
    makes the smallest map, has what is left over as well. Spectral norm is on all dense layers
    and convolutions, and not on the embedding.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 2 to the
            number of blocks.
        channels: Feature maps of the smallest size, then those that each block puts out.
        hierarchical: Whether z is shared out to the blocks; otherwise all of it makes the
            smallest map.
        shared_dim: Size of the embedding of a class that all blocks share; 0 gives each norm a
            table of classes of its own.
        attention_after: The number of the block, from 1, that attention comes after; 0 for
            none.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: The sides of the image do not fit the number of blocks, there is no such
            block, z cannot be shared out, or the norms would have both a table and z.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 60,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, ...] = (32, 32, 32),
        hierarchical: bool = True,
        shared_dim: int = 32,
        attention_after: int = 1,
        num_classes: int = 0,
    ) -> None:
        blocks = len(channels) - 1
        chunk = latent_dim // (blocks + 1) if hierarchical else 0
        _check(latent_dim, blocks, chunk, hierarchical, shared_dim, num_classes)
        embedded = shared_dim if num_classes else 0

        def by_vector(maps: int) -> nn.Layer:
            return ModulatedBatchNorm(maps, embedded + chunk)

        def by_label(maps: int) -> nn.Layer:
            return ConditionalBatchNorm(maps, num_classes, epsilon=1e-5)

        unlabelled = by_vector if embedded + chunk else nn.BatchNorm2D
        super().__init__(
            "biggan: generator",
            latent_dim,
            image_shape,
            channels,
            norm=by_label if num_classes and not shared_dim else unlabelled,
            last_norm=nn.BatchNorm2D,
            num_classes=num_classes,
            first_dim=latent_dim - blocks * chunk,
            attention_after=attention_after,
        )
        self.chunk = chunk
        self.shared = nn.Embedding(num_classes, shared_dim) if embedded else nn.Identity()
        make_orthogonal(self)
        spectral_norm(self, leave_out=(nn.Embedding,), power_iterations=1)

    def condition(self, z: Tensor, labels: Tensor | None, place: int) -> Tensor | None:
        """Return the class's embedding and the block's part of z; or the labels; or nothing."""
        of_class = None if labels is None else self.shared(labels)
        if not self.chunk:
            return of_class
        start = self.first_dim + place * self.chunk
        of_z = z[:, start : start + self.chunk]
        return of_z if of_class is None else paddle.concat([of_class, of_z], axis=1)


class BigGANDiscriminator(ResidualDiscriminator):
    """Wide blocks, attention after one of them, the sum over all places, projection.

    Args:
        image_shape: Channels, height and width of an image; both sides multiples of 2 to the
            power of `halvings`.
        channels: Feature maps that each block puts out, and between its convolutions.
        halvings: How many of the blocks, from the first, halve the size.
        attention_after: The number of the block, from 1, that attention comes after; 0 for
            none.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: The sides of the image cannot be halved so often, or there is no such
            block.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, ...] = (32, 32, 32, 32),
        halvings: int = 2,
        attention_after: int = 1,
        num_classes: int = 0,
    ) -> None:
        super().__init__(
            "biggan: discriminator",
            image_shape,
            channels,
            halvings,
            num_classes=num_classes,
            wide=True,
            attention_after=attention_after,
        )
        make_orthogonal(self)
        spectral_norm(self, power_iterations=1)


def make_orthogonal(net: nn.Layer) -> None:
    """Give every dense layer, convolution and embedding orthogonal rows, or columns.

    Saxe et al. 2014, of the weight as a matrix ``[out, rest]``, gain 1.
    """
    orthogonal = nn.initializer.Orthogonal()
    for layer in net.sublayers():
        if isinstance(layer, NORMALISED) and layer.weight._is_initialized():
            if isinstance(layer, nn.Embedding) and not layer.weight.std().item():
                continue  # the tables of class-conditional norms begin at 1 and 0
            orthogonal(layer.weight)


def _check(
    latent_dim: int,
    blocks: int,
    chunk: int,
    hierarchical: bool,
    shared_dim: int,
    num_classes: int,
) -> None:
    if hierarchical and not chunk:
        raise ConfigError(
            f"biggan: generator: z of {latent_dim} cannot be shared out to {blocks + 1} parts; set "
            f"latent.dim to {blocks + 1} or more, or hierarchical to false"
        )
    if hierarchical and num_classes and not shared_dim:
        raise ConfigError(
            "biggan: generator: shared_dim is 0 and hierarchical true: a norm has either a table "
            "of classes or a part of z; set shared_dim above 0, or hierarchical to false"
        )


SPEC = GanSpec(
    name="biggan",
    family="attention",
    sizes="28 to 256",
    generator=BigGANGenerator,
    discriminator=BigGANDiscriminator,
    paper="Brock et al. 2019, Large Scale GAN Training for High Fidelity Natural Image Synthesis",
    objective="hinge",
    labels="takes",
)
