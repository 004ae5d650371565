"""Redrawing real images from D's features (Liu et al. 2021), so that these describe them whole."""

from __future__ import annotations

from paddle import Tensor
from paddle.nn import functional as F

from ppgan_zoo.game.terms import Term, TermInputs


def reconstruction(inputs: TermInputs) -> Tensor:
    """``E (R(D's features of x) - x)^2``, summed over D's pictures of the real images x.

    Of whole images, of their copies at half the size, and of one quadrant, by chance the same
    of all images of an update; the images are shrunk to the pictures' size. As D was shown them:
    it redraws an augmented image augmented. The paper has LPIPS, a distance of the features of a
    network trained on ImageNet, in place of the square.
    """
    assert inputs.gan is not None
    images = inputs.real.images
    row, column = (int(inputs.rng.integers(0, 2)) for _ in range(2))
    whole, of_small, of_part = inputs.gan.discriminator.redraw(
        inputs.real_judgement.extras, (row, column)
    )
    height, width = (side // 2 for side in images.shape[2:])
    part = images[:, :, row * height : (row + 1) * height, column * width : (column + 1) * width]
    return _error(whole, images) + _error(of_small, images) + _error(of_part, part)


def _error(picture: Tensor, images: Tensor) -> Tensor:
    """Return the mean squared difference from images, shrunk by pooling."""
    factor = images.shape[2] // picture.shape[2]
    return (picture - F.avg_pool2d(images, factor)).square().mean()


RECONSTRUCTION = Term(
    "reconstruction",
    "Liu et al. 2021, equation 4",
    reconstruction,
    1.0,
    of_fakes=False,
    needs=("last", "last_of_small", "quartered"),
)
