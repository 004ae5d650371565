"""FastGAN: for a few hundred pictures of one's own, by a D that must also redraw what it sees.

Liu et al. 2021. In G, maps of few pixels choose which channels of the large maps matter
(skip-layer excitation): a short way for gradients. D judges patches of an image, and of its
copy at half the size. Of real images it must also redraw small copies from its own features
(the term ``reconstruction``), so that these describe the whole image: a D of few images that
need not do so learns them by heart. All convolutions have spectral norm.

The defaults are small nets for 64x64. The published ones have ``ngf`` and ``ndf`` 64 and a z of
256. Their G has a second output at 128, which D sees beside the first; here G has one, and D
halves it itself. What adds noise in training adds none in eval mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.distributed.collectives import drawn
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.gan import Judgement
from ppgan_zoo.models.resampling import doubled, halved
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.models.weights import spectral_norm

SIZES = (32, 64, 128, 256)
WIDTHS = {4: 16.0, 8: 8.0, 16: 4.0, 32: 2.0, 64: 2.0, 128: 1.0, 256: 0.5}
"""G's feature maps at each size, in units of ``ngf``."""
NOISY = (8, 32, 128)
"""Sizes at which G has two convolutions, with noise."""
EXCITED_BY = {32: 8, 64: 4, 128: 8, 256: 16}
"""Whose maps choose the channels of which; 32 only in nets of 64 and below, which lack others."""
LEAKY_SLOPE = 0.2
LAST = 8  # side of D's last maps, and of what is redrawn from
QUADRANTS_OF = 2 * LAST  # side of D's maps of which a quadrant is redrawn
POWER_ITERATIONS = 15  # at once, so that the norms of new nets are about right
DECODER_WIDTHS = (4, 2, 2, 1)  # in units of half of ndf


class FastGANGenerator(nn.Layer):
    """A 4x4 map of z, doubled until it is an image; small maps excite large ones.

    Args:
        latent_dim: Size of z; 256 in the paper.
        image_shape: Channels, height and width of an image, square, of a side in
            :data:`SIZES`.
        ngf: Feature maps, in units of which :data:`WIDTHS` counts; 64 in the paper.

    Raises:
        ConfigError: An image of another size, or widths below one map.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 128,
        image_shape: tuple[int, int, int] = (3, 64, 64),
        ngf: int = 16,
    ) -> None:
        super().__init__()
        size = _size_of(image_shape)
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        maps = {side: _width("ngf", ngf, share) for side, share in WIDTHS.items() if side <= size}
        sides = list(maps)
        self.first = nn.Sequential(
            nn.Conv2DTranspose(latent_dim, 2 * maps[4], 4, bias_attr=False),
            _norm(2 * maps[4]),
            _GLU(),
        )
        self.doublings = nn.LayerList(
            [_Doubling(maps[low], maps[high], high in NOISY) for low, high in pairwise(sides)]
        )
        # Of each doubling the index of the maps that excite its own; None for none.
        self.sources = [
            sides.index(EXCITED_BY[side])
            if side in EXCITED_BY and (side > 32 or size <= 64)
            else None
            for side in sides[1:]
        ]
        self.excitations = nn.LayerList(
            [
                _Excitation(maps[sides[source]], maps[side])
                for source, side in zip(self.sources, sides[1:], strict=True)
                if source is not None
            ]
        )
        self.pixels = _conv(maps[size], self.image_shape[0], 3)
        spectral_norm(self, power_iterations=POWER_ITERATIONS)

    def forward(self, z: Tensor) -> Tensor:
        """Map z ``[N, latent_dim]`` to images ``[N, C, H, W]``, not bounded."""
        maps = [self.first(z.reshape([-1, self.latent_dim, 1, 1]))]
        excitations = list(self.excitations)
        for place, doubling in enumerate(self.doublings):
            x = doubling(maps[-1])
            source = self.sources[place]
            if source is not None:
                x = x * excitations.pop(0)(maps[source])
            maps.append(x)
        return self.pixels(maps[-1])


class FastGANDiscriminator(nn.Layer):
    """Judges 25 patches of an image and 25 of its copy at half the size; redraws both.

    Args:
        image_shape: Channels, height and width of an image, square, of a side in
            :data:`SIZES`.
        ndf: Feature maps at a side of 64; half as many at twice the side. 64 in the paper.

    Raises:
        ConfigError: An image of another size, or widths below one map.
    """

    def __init__(self, *, image_shape: tuple[int, int, int] = (3, 64, 64), ndf: int = 16) -> None:
        super().__init__()
        size, channels = _size_of(image_shape), image_shape[0]
        sides = [side for side in (256, 128, 64, 32, 16, LAST) if side <= size]
        maps = [_width("ndf", ndf, 64 / side) for side in sides]
        self.entry = nn.Sequential(_conv(channels, maps[0], 3), _leaky())
        self.halvings = nn.LayerList([_Halving(*widths) for widths in pairwise(maps)])
        self.excitations = nn.LayerList(
            [_Excitation(low, high) for low, high in zip(maps, maps[3:], strict=False)]
        )
        self.head = nn.Sequential(
            _conv(maps[-1], 2 * maps[-1], 1),
            _norm(2 * maps[-1]),
            _leaky(),
            nn.Conv2D(2 * maps[-1], 1, 4, bias_attr=False),
        )
        of_small = [_width("ndf", ndf, 32 / side) for side in sides[2:]]
        self.small = nn.Sequential(
            _strided(channels, of_small[0]),
            _leaky(),
            *(
                layer
                for before, after in pairwise(of_small)
                for layer in (_strided(before, after), _norm(after), _leaky())
            ),
        )
        self.small_head = nn.Conv2D(of_small[-1], 1, 4, bias_attr=False)
        self.quadrants_at = sides.index(QUADRANTS_OF)
        redrawn = min(size // 2, 128)
        self.decoders = nn.LayerList(
            [
                _decoder(width, _width("ndf", ndf, 0.5), redrawn, channels)
                for width in (maps[-1], of_small[-1], maps[self.quadrants_at])
            ]
        )
        spectral_norm(self, power_iterations=POWER_ITERATIONS)

    def forward(self, images: Tensor) -> Judgement:
        """Map images ``[N, C, H, W]`` to logits ``[N, 50]``, real above 0, and what it saw."""
        maps = [self.entry(images)]
        for place, halving in enumerate(self.halvings):
            x = halving(maps[-1])
            if place >= 2:
                x = x * self.excitations[place - 2](maps[place - 2])
            maps.append(x)
        small = self.small(halved(images))
        patches = [self.head(maps[-1]), self.small_head(small)]
        return Judgement(
            paddle.concat([logits.reshape([logits.shape[0], -1]) for logits in patches], axis=1),
            {"last": maps[-1], "last_of_small": small, "quartered": maps[self.quadrants_at]},
        )

    def redraw(
        self, extras: Mapping[str, Tensor], quadrant: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the features of images show, in [-1, 1].

        Args:
            extras: Of a judgement of the images.
            quadrant: Row and column, each 0 or 1, of the quadrant that the third picture is of.

        Returns:
            Two pictures of the whole images, by the features of the images and by those of their
            copies at half the size, and one of a quadrant; each ``[N, C, H', W']``, H' half of
            the images' side and at most 128.
        """
        row, column = (LAST * place for place in quadrant)
        part = extras["quartered"][:, :, row : row + LAST, column : column + LAST]
        whole, of_small, of_part = self.decoders
        return whole(extras["last"]), of_small(extras["last_of_small"]), of_part(part)


class _Doubling(nn.Layer):
    """Nearest-neighbour doubling, a 3x3 convolution and a gate; where noisy, twice the latter."""

    def __init__(self, inputs: int, outputs: int, noisy: bool) -> None:
        super().__init__()

        def gated(maps: int) -> list[nn.Layer]:
            noise = [_Noise()] if noisy else []
            return [_conv(maps, 2 * outputs, 3), *noise, _norm(2 * outputs), _GLU()]

        self.body = nn.Sequential(*gated(inputs), *(gated(outputs) if noisy else []))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, inputs, H, W]`` to ``[N, outputs, 2 H, 2 W]``."""
        return self.body(doubled(x))


class _Halving(nn.Layer):
    """Half the sum of two ways to half the size: two convolutions; pooling and a 1x1 one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            _strided(inputs, outputs), _norm(outputs), _leaky(),
            _conv(outputs, outputs, 3), _norm(outputs), _leaky(),
        )  # fmt: skip
        self.direct = nn.Sequential(
            _MeanPool(), _conv(inputs, outputs, 1), _norm(outputs), _leaky()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, inputs, H, W]`` to ``[N, outputs, H / 2, W / 2]``."""
        return 0.5 * (self.main(x) + self.direct(x))


class _MeanPool(nn.Layer):
    """The mean of each 2x2 pixels."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to ``[N, C, H / 2, W / 2]``."""
        return halved(x)


class _Excitation(nn.Layer):
    """Skip-layer excitation: from maps to a factor in (0, 1) of each channel of other maps."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2D(4),
            nn.Conv2D(inputs, outputs, 4, bias_attr=False),
            nn.Silu(),
            _conv(outputs, outputs, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, inputs, H, W]`` to ``[N, outputs, 1, 1]``."""
        return self.gate(x)


class _Noise(nn.Layer):
    """Adds, while training, one map of N(0, 1) to all channels, times a learned strength."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = self.create_parameter([1], default_initializer=nn.initializer.Constant(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, C, H, W]``."""
        if not self.training:
            return x
        count, channels, height, width = x.shape
        noise = drawn(lambda shape: paddle.randn(shape, x.dtype), [count, 1, height, width])
        # As a product: on CPUs a sum of two such shapes takes ten times as long.
        strengths = self.strength * paddle.ones([channels, 1], x.dtype)
        return x + paddle.matmul(strengths, noise.reshape([count, 1, -1])).reshape(x.shape)


class _GLU(nn.Layer):
    """Half of the channels, each times the sigmoid of one of the other half."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, 2 C, H, W]`` to ``[N, C, H, W]``."""
        if self.training:
            return F.glu(x, axis=1)
        # Its split raises in Paddle Inference with oneDNN; the gradient of slices is slow.
        half = x.shape[1] // 2
        return x[:, :half] * F.sigmoid(x[:, half:])


def _decoder(inputs: int, unit: int, size: int, channels: int) -> nn.Sequential:
    """Return the way from 8x8 maps to pictures of side `size`: as many doublings as it takes."""
    widths = [inputs]
    while LAST << (len(widths) - 1) < size:
        widths.append(unit * DECODER_WIDTHS[len(widths) - 1])
    doublings = [_Doubling(before, after, noisy=False) for before, after in pairwise(widths)]
    return nn.Sequential(*doublings, _conv(widths[-1], channels, 3), nn.Tanh())


def _conv(inputs: int, outputs: int, size: int) -> nn.Conv2D:
    return nn.Conv2D(inputs, outputs, size, padding=size // 2, bias_attr=False)


def _strided(inputs: int, outputs: int) -> nn.Conv2D:
    return nn.Conv2D(inputs, outputs, 4, stride=2, padding=1, bias_attr=False)


def _norm(maps: int) -> nn.BatchNorm2D:
    return nn.BatchNorm2D(maps, weight_attr=nn.initializer.Normal(1.0, 0.02))


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(LEAKY_SLOPE)


def _size_of(image_shape: tuple[int, int, int]) -> int:
    """Return the side of a square image.

    Raises:
        ConfigError: It is not square, or of another size.
    """
    _, height, width = image_shape
    if height != width or height not in SIZES:
        raise ConfigError(
            f"fastgan: image_shape {tuple(image_shape)}: height and width must be one of "
            f"{', '.join(map(str, SIZES))}; set data.image_size to one"
        )
    return height


def _width(name: str, unit: int, share: float) -> int:
    """Return a number of feature maps.

    Raises:
        ConfigError: Below one.
    """
    maps = int(unit * share)
    if maps < 1:
        raise ConfigError(f"fastgan: {name} {unit} leaves layers without feature maps; give more")
    return maps


SPEC = GanSpec(
    name="fastgan",
    family="fastgan",
    sizes="32 to 256",
    generator=FastGANGenerator,
    discriminator=FastGANDiscriminator,
    paper="Liu et al. 2021, Towards Faster and Stabilized GAN Training for High-fidelity "
    "Few-shot Image Synthesis",
    objective="hinge_random_margins",
    terms=("reconstruction",),
    unbounded=True,
)
