"""BEGAN: D is an auto-encoder, and likes images that it can reconstruct.

The nets of the paper (figure 1): 3x3 convolutions with ELU, two at each size, halved by a
third of stride 2 and doubled by repetition. G is built as D's decoder is. D answers with the
reconstruction, an image, and for a logit with minus its mean absolute error; the term
``boundary_equilibrium`` holds the errors of real and of G's images at a ratio. G ends in a
convolution, so that its pixels may lie a little outside of the range.
"""

from __future__ import annotations

from paddle import Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.models.gan import Judgement
from ppgan_zoo.models.resampling import doubled
from ppgan_zoo.models.residual import grid_of
from ppgan_zoo.models.spec import GanSpec


class BEGANGenerator(nn.Layer):
    """The decoder: a dense layer to the smallest maps, then two convolutions at each size.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image.
        channels: Feature maps at every size.
        halvings: How often the image's sides are halved down to the smallest maps.
        first_value: About what every pixel is before training: the bias that the last
            convolution starts with. 0, as in the paper, is grey. Where most pixels of the data are
            black, -1 keeps G from a start that D draws well before it has learnt anything.

    Raises:
        ConfigError: The image's sides cannot be halved so often.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 64,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: int = 64,
        halvings: int = 2,
        first_value: float = 0.0,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.grid_shape = (channels, *grid_of("began", image_shape, halvings))
        _, rows, columns = self.grid_shape
        self.dense = nn.Linear(latent_dim, channels * rows * columns)
        self.convolutions = nn.LayerList(
            _conv(channels, channels) for _ in range(2 * (halvings + 1))
        )
        self.pixels = _conv(channels, image_shape[0], first_bias=first_value)

    def forward(self, z: Tensor) -> Tensor:
        """Map z ``[N, latent_dim]`` to images ``[N, C, H, W]``, about in [-1, 1]."""
        x = self.dense(z).reshape([-1, *self.grid_shape])
        for index, convolution in enumerate(self.convolutions):
            if index and index % 2 == 0:
                x = doubled(x)
            x = F.elu(convolution(x))
        return self.pixels(x)


class BEGANDiscriminator(nn.Layer):
    """An encoder to a code, and a decoder like G.

    Args:
        image_shape: Channels, height and width of an image.
        channels: Feature maps of the decoder, and of the encoder at the image's size; twice,
            three times as many and so on at each smaller one.
        code_units: Size of the code.
        halvings: As for G.

    Raises:
        ConfigError: The image's sides cannot be halved so often.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: int = 64,
        code_units: int = 64,
        halvings: int = 2,
    ) -> None:
        super().__init__()
        rows, columns = grid_of("began", image_shape, halvings)
        self.first = _conv(image_shape[0], channels)
        self.convolutions, self.downs = nn.LayerList(), nn.LayerList()
        fan_in = channels
        for size in range(halvings + 1):
            width = channels * (size + 1)
            self.convolutions.extend([_conv(fan_in, width), _conv(width, width)])
            if size < halvings:
                self.downs.append(_conv(width, width, stride=2))
            fan_in = width
        self.code = nn.Linear(fan_in * rows * columns, code_units)
        self.decoder = BEGANGenerator(
            latent_dim=code_units, image_shape=image_shape, channels=channels, halvings=halvings
        )

    def forward(self, images: Tensor) -> Judgement:
        """Reconstruct images ``[N, C, H, W]``.

        Returns:
            Logits ``[N, 1]``, minus the mean absolute error of each image, and
            ``reconstruction`` ``[N, C, H, W]``.
        """
        x = F.elu(self.first(images))
        for index, convolution in enumerate(self.convolutions):
            if index and index % 2 == 0:
                x = F.elu(self.downs[index // 2 - 1](x))
            x = F.elu(convolution(x))
        reconstruction = self.decoder(self.code(x.reshape([x.shape[0], -1])))
        error = (images - reconstruction).abs().reshape([images.shape[0], -1])
        return Judgement(-error.mean(axis=1, keepdim=True), {"reconstruction": reconstruction})


def _conv(inputs: int, outputs: int, stride: int = 1, first_bias: float = 0.0) -> nn.Conv2D:
    return nn.Conv2D(
        inputs,
        outputs,
        3,
        stride=stride,
        padding=1,
        weight_attr=nn.initializer.XavierUniform(),
        bias_attr=nn.initializer.Constant(first_bias),
    )


SPEC = GanSpec(
    name="began",
    family="autoencoders",
    sizes="28 to 256",
    generator=BEGANGenerator,
    discriminator=BEGANDiscriminator,
    paper="Berthelot et al. 2017, BEGAN: Boundary Equilibrium Generative Adversarial Networks",
    objective="wasserstein",
    terms=("boundary_equilibrium",),
    latent_prior="uniform",
    unbounded=True,
)
