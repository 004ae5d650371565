"""StyleGAN2: z is mapped to a style, which scales the filters of every convolution of G.

A mapping network turns z into a style w, and every convolution of the synthesis network is
told by w how strongly to use each of its input maps (Karras et al. 2020). Images are the sum of
what each resolution adds to them. Sides may differ, and need not be powers of two: the smallest
maps are the image's sides halved as often as there are resolutions above them. Labels are
embedded beside z and, in D, projected on its last features.

Training adds fresh noise to every map, mixes two styles in an image, and keeps an average of w.
In eval mode the noise is the same for all images, as the official code's ``noise_mode="const"``,
and w is drawn towards the average by `truncation`. Nothing bounds the images.
"""

from __future__ import annotations

import itertools
import math
from typing import Literal

import paddle
from paddle import Tensor, nn

from ppgan_zoo.distributed.collectives import average, drawn, own, whole
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.equalised import EqualisedConv2D, EqualisedLinear, normal
from ppgan_zoo.models.fir import downsample, fir, upsample
from ppgan_zoo.models.layers import check_grid
from ppgan_zoo.models.modulation import Mapping, StyledConv2D, ToImage
from ppgan_zoo.models.spec import GanSpec

AVERAGE_DECAY = 0.995
"""Of the average of w, per batch."""

Architecture = Literal["resnet", "orig"]


class StyleGenerator(nn.Layer):
    """Mapping from z to w, then convolutions from a learnt constant up to the image.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image.
        channels: Feature maps at each resolution, the smallest first; each doubles the sides.
        w_dim: Size of a style, and of the mapping's layers.
        mapping_layers: How many of them.
        mapping_rate: Factor of their learning rate.
        style_mixing: Share of the training batches in which two styles are mixed.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Attributes:
        average: w's moving average ``[w_dim]``, of what train mode sees.
        truncation: In eval mode, how much is left of a style's distance from the average:
            1 leaves styles as they are, 0 makes one image.
        style_count: Styles of one image: one for each convolution, and one for the last
            resolution's image.

    Raises:
        ConfigError: A side of the image cannot be halved so often, or a number is out of range.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 512,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, ...] = (64, 64, 32),
        w_dim: int = 64,
        mapping_layers: int = 2,
        mapping_rate: float = 0.01,
        style_mixing: float = 0.9,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        if not 0.0 <= style_mixing <= 1.0 or not mapping_rate > 0.0 or mapping_layers < 1:
            raise ConfigError(
                "stylegan2: style_mixing must be 0 to 1, mapping_rate above 0, mapping_layers 1 "
                f"or more; found {style_mixing}, {mapping_rate} and {mapping_layers}"
            )
        height, width = smallest_sides(image_shape, channels)
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self.style_mixing = style_mixing
        self.truncation = 1.0
        self.style_count = 2 * len(channels)
        self.mapping = Mapping(latent_dim, w_dim, mapping_layers, mapping_rate, num_classes)
        self.register_buffer("average", paddle.zeros([w_dim]))
        self.start = self.create_parameter([1, channels[0], height, width], attr=normal())
        self.levels = nn.LayerList()
        for index, maps in enumerate(channels):
            sides = height << index, width << index
            below = channels[index - 1] if index else None
            self.levels.append(Level(below, maps, image_shape[0], w_dim, sides))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z ``[N, latent_dim]`` and labels ``[N]`` to images ``[N, C, H, W]``."""
        return self.synthesis(self.styles(z, labels))

    def styles(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the styles ``[N, style_count, w_dim]``: mixed in train mode, else truncated."""
        w = self.mapping(z, labels)
        if self.training:
            self._follow(w)
            return self._mixed(w, z, labels)
        if self.truncation != 1.0:
            w = self.average + self.truncation * (w - self.average)
        return _repeated(w, self.style_count)

    def synthesis(self, styles: Tensor, *, twice: bool = False) -> Tensor:
        """Return the images of styles ``[N, style_count, w_dim]``.

        Args:
            styles: One for each convolution; an image takes the one after its convolutions'.
            twice: Compute in a way that has a double gradient in Paddle.
        """
        x, images = self.start, None
        for index, level in enumerate(self.levels):
            first = max(2 * index - 1, 0)
            x, images = level(x, images, styles[:, first : 2 * index + 2], twice)
        return images

    @paddle.no_grad()
    def _follow(self, w: Tensor) -> None:
        mean = average(w.mean(axis=0))
        paddle.assign(mean + AVERAGE_DECAY * (self.average - mean), self.average)

    def _mixed(self, w: Tensor, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return styles that are of another z, drawn anew, from a random place on."""
        if self.style_mixing == 0.0 or paddle.rand([1]).item() >= self.style_mixing:
            return _repeated(w, self.style_count)
        place = int(paddle.randint(1, self.style_count, [1]).item())
        other = self.mapping(drawn(lambda shape: paddle.randn(shape, z.dtype), z.shape), labels)
        return paddle.concat([_repeated(w, place), _repeated(other, self.style_count - place)], 1)


class StyleDiscriminator(nn.Layer):
    """Convolutions that halve the image, its batch's deviation, then two dense layers.

    Args:
        image_shape: Channels, height and width of an image.
        channels: Feature maps at each resolution, the smallest first, as G's.
        architecture: ``"resnet"``: each resolution has a second way around its convolutions;
            ``"orig"``: it has none.
        group_size: Images whose deviation is taken together (minibatch standard deviation); of
            a batch that this does not divide, the largest number below that does.
        mapping_layers: Layers that a label goes through before it is projected.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: A side of the image cannot be halved so often, or a number is below 1.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, ...] = (64, 64, 32),
        architecture: Architecture = "resnet",
        group_size: int = 4,
        mapping_layers: int = 8,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        if group_size < 1 or mapping_layers < 1:
            raise ConfigError(
                "stylegan2: the discriminator's group_size and mapping_layers must be 1 or more; "
                f"found {group_size} and {mapping_layers}"
            )
        height, width = smallest_sides(image_shape, channels)
        self.num_classes = num_classes
        self.group_size = group_size
        last = channels[0]
        self.from_image = EqualisedConv2D(image_shape[0], channels[-1], 1)
        self.halvings = nn.LayerList(
            [Halving(above, below, architecture == "resnet")
             for below, above in reversed(list(itertools.pairwise(channels)))]
        )  # fmt: skip
        self.conv = EqualisedConv2D(last + 1, last, 3)
        self.dense = EqualisedLinear(last * height * width, last, activated=True)
        self.logit = EqualisedLinear(last, last if num_classes else 1)
        if num_classes:
            self.mapping = Mapping(0, last, mapping_layers, 0.01, num_classes)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``[N, C, H, W]`` and labels ``[N]`` to logits ``[N, 1]``, real above 0."""
        x = self.from_image(images)
        for halving in self.halvings:
            x = halving(x)
        x = self.conv(with_deviation(x, self.group_size))
        answers = self.logit(self.dense(x.reshape([x.shape[0], -1])))
        if labels is None:
            return answers
        of_label = self.mapping(None, labels) / math.sqrt(answers.shape[1])
        return (answers * of_label).sum(axis=1, keepdim=True)


class Level(nn.Layer):
    """What G does at one resolution: one or two convolutions, and its part of the image.

    Args:
        below: Maps of the resolution below; None for the first, which has one convolution.
        maps: Maps of this one.
        image_channels: Channels of the image.
        w_dim: Size of a style.
        sides: Height and width.
    """

    def __init__(
        self,
        below: int | None,
        maps: int,
        image_channels: int,
        w_dim: int,
        sides: tuple[int, int],
    ) -> None:
        super().__init__()
        self.up = None if below is None else StyledConv2D(below, maps, w_dim, sides, up=True)
        self.conv = StyledConv2D(maps, maps, w_dim, sides)
        self.to_image = ToImage(maps, image_channels, w_dim)

    def forward(
        self, x: Tensor, images: Tensor | None, styles: Tensor, twice: bool
    ) -> tuple[Tensor, Tensor]:
        """Return maps and images of this resolution, of those of the one below."""
        if self.up is None:
            x = self.conv(x, styles[:, 0])
            return x, self.to_image(x, styles[:, 1])
        x = self.up(x, styles[:, 0], twice)
        x = self.conv(x, styles[:, 1])
        return x, upsample(images) + self.to_image(x, styles[:, 2])


class Halving(nn.Layer):
    """What D does at one resolution: two convolutions, the second of which halves the sides.

    Args:
        maps: Maps of this resolution.
        below: Maps of the next.
        residual: Whether a 1x1 convolution goes around them.
    """

    def __init__(self, maps: int, below: int, residual: bool) -> None:
        super().__init__()
        gain = math.sqrt(0.5) if residual else 1.0
        self.conv = EqualisedConv2D(maps, maps, 3)
        self.down = EqualisedConv2D(maps, below, 3, stride=2, gain=gain)
        self.skip = None
        if residual:
            self.skip = EqualisedConv2D(maps, below, 1, bias=False, activated=False, gain=gain)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, below, H / 2, W / 2]`` of ``[N, maps, H, W]``."""
        y = self.down(fir(self.conv(x), padding=(2, 2)))
        return y if self.skip is None else y + self.skip(downsample(x))


def with_deviation(x: Tensor, group_size: int) -> Tensor:
    """Append a map of how much the images of a group differ (Karras et al. 2018, section 3).

    The standard deviation over the group of each value, averaged over all of them. Members of
    a group lie N / g apart. g is `group_size` or, where that does not divide N, the largest
    number below it that does.

    Args:
        x: ``[N, C, H, W]``.
        group_size: Images of a group, 1 or more.

    Returns:
        ``[N, C + 1, H, W]``.
    """
    maps, height, width = x.shape[1:]
    images = whole(x)  # of all processes, whose images the groups are mixed of
    count = images.shape[0]
    group = max(size for size in range(1, min(group_size, count) + 1) if count % size == 0)
    values = images.reshape([group, count // group, maps * height * width])
    distances = values - values.mean(axis=0, keepdim=True)
    deviation = (distances.square().mean(axis=0) + 1e-8).sqrt().mean(axis=1)
    planes = deviation.reshape([1, -1, 1, 1]).expand([group, count // group, height, width])
    return paddle.concat([x, own(planes.reshape([count, 1, height, width]))], axis=1)


def smallest_sides(image_shape: tuple[int, int, int], channels: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of the smallest maps.

    Raises:
        ConfigError: The image cannot be halved so often, or there is no width.
    """
    _, height, width = image_shape
    factor = 2 ** (len(channels) - 1) if channels else 0
    if not factor or height % factor or width % factor:
        raise ConfigError(
            f"stylegan2: image_shape {tuple(image_shape)} with {len(channels)} widths in channels: "
            f"height and width must be multiples of {factor or 1}; give a width for the image's "
            "own size and one each time that it is halved"
        )
    grid = height // factor, width // factor
    check_grid("stylegan2", image_shape, grid)
    return grid


def _repeated(w: Tensor, count: int) -> Tensor:
    """Return ``[N, count, w_dim]`` of ``[N, w_dim]``."""
    return w.unsqueeze(1).tile([1, count, 1])


SPEC = GanSpec(
    name="stylegan2",
    family="stylegan2",
    sizes="28 to 256",
    generator=StyleGenerator,
    discriminator=StyleDiscriminator,
    paper="Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN",
    labels="takes",
    unbounded=True,
)
