"""Adds an ONNX file to an exported model, proven equal as the model itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ppgan_zoo.errors import ExportError
from ppgan_zoo.export.exported import Description
from ppgan_zoo.export.onnx_file import run_onnx, write_onnx
from ppgan_zoo.export.predictor import largest_difference
from ppgan_zoo.export.translation import read_graph
from ppgan_zoo.storage.files import sha256_file


def add_onnx(
    folder: Path, description: Description, inputs: tuple[NDArray[Any], ...], wanted: NDArray[Any]
) -> Description:
    """Write ``generator.onnx`` beside the program that it is translated from.

    Args:
        folder: Of the exported model.
        description: Of it.
        inputs: z ``[N, latent_dim]`` and, if the model takes them, labels ``[N]``.
        wanted: The trained generator's images of these, ``[N, C, H, W]``.

    Returns:
        The description, with the file and how far its images are from the wanted ones.

    Raises:
        ExportError: An operator has no rule, or the images differ by more than allowed.
    """
    program = folder / description.program
    path = program.with_suffix(".onnx")
    write_onnx(
        read_graph(program, folder / description.parameters),
        path,
        latent_dim=description.latent.dim,
        image_shape=description.image_shape,
        metadata=_metadata(description),
    )
    # A batch of one first: the batch size must be free.
    difference = max(
        largest_difference(run_onnx(path, tuple(array[:count] for array in inputs)), wanted[:count])
        for count in (1, len(wanted))
    )
    differences = description.largest_difference
    if difference > differences.tolerance:
        raise ExportError(
            f"the largest difference from the trained generator is {difference:.2e} for ONNX "
            f"Runtime, above {differences.tolerance:.0e}; leave out --onnx"
        )
    return description.model_copy(
        update={
            "onnx": path.name,
            "sha256": {**description.sha256, path.name: sha256_file(path)},
            "largest_difference": differences.model_copy(update={"onnx": difference}),
        }
    )


def _metadata(description: Description) -> dict[str, Any]:
    """Return what a program needs to feed the file and to show its images."""
    said = description.model_dump(mode="json", include={"latent", "image_range", "image_shape"})
    return {
        "name": description.name,
        "ppgan_zoo": description.versions.ppgan_zoo,
        "iteration": description.origin.iteration,
        "weights": description.origin.weights,
        "truncation": description.origin.truncation,
        "num_classes": description.num_classes,
        "classes": list(description.classes),
        **said,
    }
