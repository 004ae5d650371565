"""The arrays of a network that others trained, taken one by one by the names that they gave."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError

BATCH_NORM_EPSILON = 1e-3
"""Of the batch norms of Inception and of EfficientNet, both from TensorFlow."""


class ReferenceWeights:
    """What is left of the arrays of a file.

    Args:
        arrays: By their names. Counters of batch norms are left out.
        network: Its name, for errors.
        where: The file, for errors.
        unused: What the names of arrays begin with that only training needs.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[np.floating]],
        network: str,
        where: str,
        unused: tuple[str, ...] = (),
    ) -> None:
        self._network, self._where = network, where
        self._left = {
            name: array
            for name, array in arrays.items()
            if not name.endswith(".num_batches_tracked") and not name.startswith(unused)
        }

    def take(self, name: str, shape: list[int]) -> NDArray[np.float64]:
        """Return an array.

        Raises:
            ConfigError: It is missing, of another shape, or not finite.
        """
        array = self._left.pop(name, None)
        if array is None or list(array.shape) != shape:
            found = "missing" if array is None else f"of shape {list(array.shape)}"
            raise ConfigError(
                f"{self._where}: {name} is {found}; {self._network} has it as {shape}"
            )
        if not np.isfinite(array).all():
            raise ConfigError(f"{self._where}: {name} holds NaN or infinity; get the file again")
        return array.astype(np.float64)

    def take_folded(
        self, convolution: str, norm: str, shape: list[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return filters and bias of a convolution with the batch norm after it in them.

        Args:
            convolution: What the name of its filters begins with.
            norm: Likewise of the norm's four arrays.
            shape: Of the filters, channels out first.
        """
        filters = self.take(f"{convolution}.weight", shape)
        scale, shift, mean, variance = (
            self.take(f"{norm}.{part}", shape[:1])
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = scale / np.sqrt(variance + BATCH_NORM_EPSILON)
        return filters * scale[:, None, None, None], shift - mean * scale

    def check_all_taken(self) -> None:
        """Refuse arrays that nobody took.

        Raises:
            ConfigError: There are some.
        """
        if self._left:
            raise ConfigError(
                f"{self._where}: unknown weights {', '.join(sorted(self._left)[:3])}; "
                f"give those of {self._network}, as docs/features.md says"
            )
