"""What holds D (and G) back, and which combinations make no sense.

Weight clipping and spectral norm act on a net's weights; a :class:`View` on the images
that D is shown; penalties, on D's loss, have a module of their own.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import paddle
from paddle import Tensor, nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.augmentation import augment, constant
from ppgan_zoo.game.objectives import Objective
from ppgan_zoo.game.penalties import Penalty, Shown
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.nets import BATCH_NORMS, in_mode
from ppgan_zoo.training.optimizers import trainable_parameters

NORMALISED = (
    nn.Linear, nn.Conv1D, nn.Conv2D, nn.Conv3D,
    nn.Conv1DTranspose, nn.Conv2DTranspose, nn.Conv3DTranspose,
)  # fmt: skip
# Functions with bounded values, by the nodes that Paddle's graph has for them.
BOUNDED = {"sigmoid", "tanh", "softmax", "softsign", "hardsigmoid", "hardtanh", "clip"}
SAME_VALUES = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")
WITHOUT_BATCH_NORM = (
    "one without it: gan_mlp's, or dcgan_fashion's with model.discriminator.batch_norm false"
)


@dataclass(frozen=True)
class View:
    """How D sees a batch of images, real and fake alike: augmented, then noisy, then packed.

    Attributes:
        augment: Names of :data:`ppgan_zoo.game.augmentation.AUGMENTATIONS`, applied in this order.
        noise_std: Standard deviation of Gaussian instance noise at the first iteration
            (Sonderby et al. 2017).
        noise_until: Iteration at which the noise, which falls in a straight line, is
            gone; None keeps it as it is.
        packing: How many images D judges together, stacked along the channels (PacGAN,
            Lin et al. 2018); D must be built for that many times the channels.
    """

    augment: tuple[str, ...] = ()
    noise_std: float = 0.0
    noise_until: int | None = None
    packing: int = 1

    def __call__(self, images: Tensor, iteration: int, rng: np.random.Generator) -> Tensor:
        """Return what D is shown of images ``[N, C, H, W]``: ``[N / m, m C, H, W]``.

        Raises:
            ConfigError: The batch cannot be packed.
        """
        images = augment(images, self.augment, rng)
        std = self.noise_std_at(iteration)
        if std:
            noise = rng.standard_normal(images.shape, dtype=np.float32)
            images = images + std * constant(noise, images)
        if self.packing == 1:
            return images
        count, channels, height, width = images.shape
        if count % self.packing:
            raise ConfigError(
                f"constraints.packing: a batch of {count} images is no multiple of "
                f"{self.packing}; change data.batch_size"
            )
        return images.reshape([count // self.packing, self.packing * channels, height, width])

    def noise_std_at(self, iteration: int) -> float:
        """Return the noise's standard deviation in an iteration."""
        if self.noise_until is None:
            return self.noise_std
        return self.noise_std * max(0.0, 1.0 - iteration / self.noise_until)


def spectral_norm(layer: nn.Layer) -> None:
    """Divide every dense and convolution weight in `layer` by its spectral norm, from now on.

    Miyato et al. 2018, one power iteration for each forward in train mode. Make the
    optimizer after this call.
    """
    # nn.utils.spectral_norm, never nn.SpectralNorm: that one does not iterate at all.
    for part in layer.sublayers(include_self=True):
        if isinstance(part, NORMALISED):
            nn.utils.spectral_norm(part)


def has_spectral_norm(layer: nn.Layer) -> bool:
    """Tell whether :func:`spectral_norm` was applied to `layer`."""
    return any(name.endswith("weight_orig") for name, _ in layer.named_parameters())


@paddle.no_grad()
def clip_weights(layer: nn.Layer, limit: float) -> None:
    """Clip every weight that learns to ``[-limit, limit]`` (Arjovsky et al. 2017)."""
    for parameter in trainable_parameters(layer):
        parameter.clip_(-limit, limit)


def check_combination(
    gan: Gan,
    objective: Objective,
    penalties: Sequence[Penalty],
    *,
    weight_clip: float | None = None,
    packing: int = 1,
) -> list[str]:
    """Refuse what makes no sense together.

    Returns:
        A line for each thing that works and is not advised.

    Raises:
        ConfigError: One line: what does not go together, why, and what to use instead.
    """
    name, discriminator = gan.spec.name, gan.discriminator
    of_gradient = [penalty for penalty in penalties if penalty.of_gradient]
    normalised = has_spectral_norm(discriminator)
    if weight_clip is not None:
        if weight_clip <= 0.0:
            raise ConfigError(f"constraints.weight_clip: must be above 0, found {weight_clip}")
        if of_gradient:
            raise ConfigError(
                f"constraints.weight_clip: clipping and the gradient penalty {of_gradient[0].name} "
                "do the same job and fight over the weights; leave one of them out"
            )
        if normalised:
            raise ConfigError(
                "constraints.weight_clip: spectral norm rescales the weights after they are "
                "clipped, which undoes it; leave one of them out"
            )
    warnings = []
    if any(isinstance(part, BATCH_NORMS) for part in discriminator.sublayers()):
        for penalty in of_gradient:
            line = (
                f"constraints.penalties: {penalty.name} is of D's gradient at single images, and "
                f"{name}'s discriminator has batch norm, which mixes the images of a batch; "
            )
            if penalty.of_single_images:
                raise ConfigError(
                    f"{line}use {WITHOUT_BATCH_NORM}, or spectral_norm in place of the penalty"
                )
            warnings.append(f"{line}better use {WITHOUT_BATCH_NORM}")
    if of_gradient:
        _check_double_gradient(gan, of_gradient, packing)
    if objective.name == "wasserstein" and not (weight_clip or of_gradient or normalised):
        warnings.append(
            "objective.name: wasserstein needs a D of bounded slope, and nothing bounds it: its "
            "loss can fall for ever; set constraints.weight_clip, a gradient penalty such as "
            "wgan_gp, or constraints.spectral_norm.discriminator"
        )
    return warnings


def check_output(gan: Gan, objective: Objective, packing: int = 1) -> list[str]:
    """Refuse a D whose last operation bounds its output.

    Returns:
        A line, where the objective can live with that.

    Raises:
        ConfigError: The objective takes logits of any size.
    """
    with in_mode(gan.discriminator, training=False):  # running statistics must stay as they are
        node = gan.discriminator(_noise(gan, packing)).grad_fn
    while node is not None and node.name().startswith(SAME_VALUES) and node.next_functions:
        node = node.next_functions[0]
    operation = "" if node is None else node.name().removesuffix("GradNode").lower()
    if operation not in BOUNDED:
        return []
    line = (
        f"model.name: {gan.spec.name}'s discriminator ends in {operation}, and objective "
        f"{objective.name} takes logits of any size"
    )
    if objective.name != "least_squares":
        raise ConfigError(f"{line}; let D return what it now hands to {operation}")
    return [f"{line}; better let D return what it now hands to {operation}"]


def _check_double_gradient(gan: Gan, penalties: Sequence[Penalty], packing: int) -> None:
    """Try each penalty on a copy of D: which operations lack one depends on Paddle's version."""
    twin = copy.deepcopy(gan.discriminator)
    for penalty in penalties:
        real, fake = _noise(gan, packing), _noise(gan, packing)
        shown = Shown(twin, real, fake, twin(real), twin(fake), np.random.default_rng(0))
        try:
            penalty.function(shown).backward()
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                f"constraints.penalties: {penalty.name} needs the double gradient of "
                f"{gan.spec.name}'s discriminator, and Paddle {paddle.__version__} has none of "
                f"{_operation(error)}; use gan_mlp or dcgan_fashion, or a constraint without "
                "one: weight_clip, spectral_norm, consistency, lecam"
            ) from None


def _noise(gan: Gan, packing: int) -> Tensor:
    channels, height, width = gan.image_shape
    shape = (2, packing * channels, height, width)
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, shape)
    parameters = gan.discriminator.parameters()
    return paddle.to_tensor(noise).astype(parameters[0].dtype if parameters else "float32")


def _operation(error: Exception) -> str:
    """Return the operation that Paddle complains of, or its whole complaint in one line."""
    found = re.search(r"The Op (\w+)_grad doesn't", str(error))
    return found[1] if found else "one of its operations: " + " ".join(str(error).split())[:100]
