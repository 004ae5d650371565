"""InfoGAN: codes in z that D learns to read off the images, without labels.

The nets of the paper's experiment on MNIST (appendix C.1). After the noise, z has a categorical
code of ten values and two continuous ones. D answers with a logit and with its reading of the
codes, Q of the paper, which is a head on D's layers; the term ``mutual_information`` is of that.
Weights begin at N(0, 0.02) as in the authors' code; images are in [-1, 1], not in [0, 1]. Labels,
where it is built for them, are appended to z as one-hot vectors, and D projects them on the
features that its logit is of (Miyato and Koyama 2018); the codes are then what a class leaves open.
"""

from __future__ import annotations

from paddle import Tensor, nn

from ppgan_zoo.models.gan import Judgement
from ppgan_zoo.models.labels import Projection, with_one_hot
from ppgan_zoo.models.layers import check_quarters, normal_weights
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.ops import leaky_relu, relu


class InfoGenerator(nn.Layer):
    """Two dense layers, then two transposed convolutions, batch norm in all but the last.

    Args:
        latent_dim: Size of z, codes included.
        image_shape: Channels, height and width of an image; both sides multiples of 4.
        hidden_units: Width of the first dense layer.
        channels: Feature maps at a quarter and at half of the image's size.
        categorical: Values of each categorical code in z.
        continuous: Continuous codes in z.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: A side of the image is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 74,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        hidden_units: int = 1024,
        channels: tuple[int, int] = (128, 64),
        categorical: tuple[int, ...] = (10,),
        continuous: int = 2,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        image_channels, height, width = check_quarters("infogan", image_shape)
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.categorical, self.continuous = tuple(categorical), continuous
        self.grid_shape = (channels[0], height // 4, width // 4)
        units = channels[0] * (height // 4) * (width // 4)
        self.dense1 = nn.Linear(
            latent_dim + num_classes, hidden_units, weight_attr=normal_weights()
        )
        self.norm1 = nn.BatchNorm1D(hidden_units)
        self.dense2 = nn.Linear(hidden_units, units, weight_attr=normal_weights())
        self.norm2 = nn.BatchNorm1D(units)
        self.up3 = nn.Conv2DTranspose(
            channels[0], channels[1], 4, stride=2, padding=1, weight_attr=normal_weights()
        )
        self.norm3 = nn.BatchNorm2D(channels[1])
        self.up4 = nn.Conv2DTranspose(
            channels[1], image_channels, 4, stride=2, padding=1, weight_attr=normal_weights()
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z ``[N, latent_dim]`` and labels ``[N]`` to images ``[N, C, H, W]`` in [-1, 1]."""
        if labels is not None:
            z = with_one_hot(z, labels, self.num_classes)
        x = relu(self.norm1(self.dense1(z)))
        x = relu(self.norm2(self.dense2(x))).reshape([-1, *self.grid_shape])
        x = relu(self.norm3(self.up3(x)))
        return self.up4(x).tanh()


class InfoDiscriminator(nn.Layer):
    """Two convolutions and a dense layer; then a logit, and by two more layers the codes.

    Args:
        image_shape: Channels, height and width of an image; both sides multiples of 4.
        channels: Feature maps of the two convolutions.
        hidden_units: Width of the dense layer.
        code_units: Width of the layer before the codes.
        categorical: Values of each categorical code.
        continuous: Continuous codes.
        learned_variance: Whether it says how sure it is of each continuous code; the paper has
            a variance of 1.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: A side of the image is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, int] = (64, 128),
        hidden_units: int = 1024,
        code_units: int = 128,
        categorical: tuple[int, ...] = (10,),
        continuous: int = 2,
        learned_variance: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        image_channels, height, width = check_quarters("infogan", image_shape)
        self.conv1 = nn.Conv2D(
            image_channels, channels[0], 4, stride=2, padding=1, weight_attr=normal_weights()
        )
        self.conv2 = nn.Conv2D(
            channels[0], channels[1], 4, stride=2, padding=1, weight_attr=normal_weights()
        )
        self.norm2 = nn.BatchNorm2D(channels[1])
        self.dense3 = nn.Linear(
            channels[1] * (height // 4) * (width // 4), hidden_units, weight_attr=normal_weights()
        )
        self.norm3 = nn.BatchNorm1D(hidden_units)
        self.logit = nn.Linear(hidden_units, 1, weight_attr=normal_weights())
        self.code1 = nn.Linear(hidden_units, code_units, weight_attr=normal_weights())
        self.code_norm1 = nn.BatchNorm1D(code_units)
        self.code2 = nn.Linear(
            code_units,
            sum(categorical) + continuous * (1 + learned_variance),
            weight_attr=normal_weights(),
        )
        if num_classes:
            self.projection = Projection(num_classes, hidden_units)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Judgement:
        """Judge images ``[N, C, H, W]``, with their labels ``[N]`` where it takes any.

        Returns:
            Logits ``[N, 1]``, real above 0, and ``code``: logits of each categorical code, means
            of the continuous ones and, if they are learnt, their log-variances.
        """
        x = leaky_relu(self.conv1(images), 0.1)
        x = leaky_relu(self.norm2(self.conv2(x)), 0.1)
        x = leaky_relu(self.norm3(self.dense3(x.reshape([x.shape[0], -1]))), 0.1)
        code = leaky_relu(self.code_norm1(self.code1(x)), 0.1)
        logits = self.logit(x)
        if labels is not None:
            logits = logits + self.projection(x, labels)
        return Judgement(logits, {"code": self.code2(code)})


SPEC = GanSpec(
    name="infogan",
    family="labels",
    sizes="28 to 64",
    generator=InfoGenerator,
    discriminator=InfoDiscriminator,
    paper="Chen et al. 2016, InfoGAN: Interpretable Representation Learning by Information "
    "Maximizing Generative Adversarial Nets",
    labels="takes",
    terms=("mutual_information",),
)
