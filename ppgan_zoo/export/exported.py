"""An exported model on disk: ``model.yml`` and the files that Paddle Inference reads.

Hashes are checked before any of Paddle's native loaders sees a file: those abort the
process, or take all memory, on a damaged one.
"""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_serializer,
)

from ppgan_zoo.errors import ConfigError, ExportError, first_fault, os_errors
from ppgan_zoo.export.predictor import (
    PADDLE_ERRORS,
    InferenceSettings,
    make_predictor,
    run_predictor,
)
from ppgan_zoo.export.program import check_program
from ppgan_zoo.models.facts import check_classes
from ppgan_zoo.models.latent import Latent, Prior
from ppgan_zoo.recipe.strict_yaml import MAX_BYTES, read_yaml
from ppgan_zoo.storage.files import read_regular, sha256_file

MODEL_FILE = "model.yml"
MARK = "sha256_of_the_lines_above"
FORMAT = 2


Side = Annotated[int, Field(ge=1, le=2**16)]


def _from_low_to_high(image_range: tuple[float, float]) -> tuple[float, float]:
    low, high = image_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError("give finite numbers, low before high")
    return image_range


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LatentFacts(_Strict):
    """The prior that z must come from."""

    dim: Annotated[int, Field(ge=1, le=2**20)]
    prior: Prior
    categorical: tuple[int, ...] = ()
    continuous: int = 0

    @model_serializer
    def _plain(self) -> dict[str, Any]:
        return self.latent().to_json()

    def latent(self) -> Latent:
        """Return it as what draws z."""
        return Latent(self.dim, self.prior, self.categorical, self.continuous)


class Versions(_Strict):
    """What the model was exported with."""

    ppgan_zoo: str
    paddle: str


class Origin(_Strict):
    """The checkpoint that the weights come from."""

    iteration: int
    weights: str
    truncation: float = 1.0


class Differences(_Strict):
    """Largest absolute difference of the same z's images from the trained generator's."""

    static_graph: float
    paddle_inference: float
    tolerance: float
    samples: int
    onnx: float | None = None


class Description(_Strict):
    """What ``model.yml`` says."""

    format: int
    name: str
    versions: Versions
    origin: Origin
    latent: LatentFacts
    image_shape: tuple[Side, Side, Side]
    image_range: Annotated[tuple[float, float], AfterValidator(_from_low_to_high)]
    program: str
    parameters: str
    inference: InferenceSettings
    largest_difference: Differences
    sha256: dict[str, str]
    num_classes: Annotated[int, Field(ge=0, le=2**20)] = 0
    classes: tuple[str, ...] = ()
    onnx: str | None = None
    sha256_of_the_lines_above: str | None = None


@dataclass(frozen=True)
class ExportedModel:
    """An exported model whose files have been checked, ready to make images."""

    path: Path
    description: Description
    predictor: Any

    @property
    def latent(self) -> Latent:
        """The prior of z."""
        return self.description.latent.latent()

    @property
    def image_range(self) -> tuple[float, float]:
        """Lowest and highest pixel value."""
        return self.description.image_range

    def generate(
        self, z: NDArray[np.float32], labels: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return images ``[N, C, H, W]``, through Paddle Inference.

        Args:
            z: float32 ``[N, latent_dim]``.
            labels: int64 ``[N]``, for a model that takes labels and for no other.

        Raises:
            ExportError: Labels are missing, are too many, or are no class.
        """
        if (labels is not None) != bool(self.description.num_classes):
            wants = f"takes labels of {self.description.num_classes} classes"
            raise ExportError(
                f"{self.path}: {wants if labels is None else 'takes no labels'}; "
                f"{'give' if labels is None else 'leave out'} labels"
            )
        if labels is None:
            return run_predictor(self.predictor, z)
        if len(labels) and not 0 <= labels.min() <= labels.max() < self.description.num_classes:
            raise ExportError(
                f"{self.path}: labels from {labels.min()} to {labels.max()}; give 0 to "
                f"{self.description.num_classes - 1}"
            )
        return run_predictor(self.predictor, z, labels)


def open_exported(path: Path) -> ExportedModel:
    """Check an exported model's files and load it.

    Raises:
        ExportError: A file is missing, changed or not what it should be.
    """
    description = read_description(path)
    for name, wanted in description.sha256.items():
        file = path / name
        with os_errors(ExportError, f"{file}: cannot be read", then="export again"):
            found = sha256_file(file)
        if found != wanted:
            raise ExportError(
                f"{file}: its SHA-256 is {found[:12]}..., and {MODEL_FILE} says {wanted[:12]}...; "
                "the file is damaged or was changed: export again"
            )
    _check_version(path, description)
    check_files(path, description)
    try:
        predictor = make_predictor(
            path / description.program, path / description.parameters, description.inference
        )
        model = ExportedModel(path, description, predictor)
        labels = np.zeros(1, np.int64) if description.num_classes else None
        shape = model.generate(model.latent.sample(1, 0), labels).shape[1:]
    except PADDLE_ERRORS as error:
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ExportError(f"{path}: Paddle cannot run it ({first[:200]}); export again") from None
    if shape != description.image_shape:
        raise ExportError(
            f"{path}: makes images of shape {list(shape)}, and {MODEL_FILE} says "
            f"{list(description.image_shape)}; export again"
        )
    return model


def check_files(path: Path, description: Description) -> None:
    """Make sure that program and weights are what the description says, before Paddle sees them.

    Raises:
        ExportError: They are not.
    """
    check_program(
        path / description.program,
        path / description.parameters,
        description.latent.dim,
        description.num_classes,
        description.image_shape,
    )


def _check_version(path: Path, description: Description) -> None:
    """Paddle 2 crashes on the program of Paddle 3; Paddle 3 reads both."""
    import paddle

    if description.program.endswith(".json") and int(paddle.__version__.split(".")[0]) == 2:
        raise ExportError(
            f"{path / description.program}: written by Paddle {description.versions.paddle}, which "
            f"Paddle {paddle.__version__} cannot read; install Paddle 3, or export with Paddle 2"
        )


def write_description(folder: Path, description: Description) -> None:
    """Write ``model.yml``, whose last line is the hash of what stands above it."""
    data = description.model_dump(mode="json", exclude={MARK}, exclude_none=True)
    text = yaml.safe_dump(data, sort_keys=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / MODEL_FILE).write_text(f"{text}{MARK}: {digest}\n", encoding="utf-8")


def is_as_exported(folder: Path) -> bool:
    """Tell whether a folder holds an exported model as the zoo wrote it, and nothing else."""
    try:
        with os.scandir(folder) as entries:
            files = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
            if len(os.listdir(folder)) != len(files):
                return False
        text, _, digest = read_regular(folder / MODEL_FILE, MAX_BYTES).rpartition(
            f"{MARK}: ".encode()
        )
        description = read_description(folder)
        return (
            digest == f"{hashlib.sha256(text).hexdigest()}\n".encode()
            and files == {MODEL_FILE, *description.sha256}
            and all(sha256_file(folder / name) == is_ for name, is_ in description.sha256.items())
        )
    except (OSError, ExportError):
        return False


def read_description(path: Path) -> Description:
    """Read ``model.yml``.

    Raises:
        ExportError: It is missing or does not describe a model.
    """
    file = path / MODEL_FILE
    try:
        data = read_yaml(file).data
    except ConfigError as error:
        raise ExportError(str(error)) from None
    if isinstance(data, dict) and data.get("format", FORMAT) != FORMAT:
        raise ExportError(
            f"{file}: format: found {data['format']!r}, and this ppgan_zoo reads {FORMAT!r}; "
            "export again"
        )
    try:
        description = Description.model_validate(data)
        description.latent.latent()
        check_classes(description.classes, description.num_classes)
    except ConfigError as error:
        raise ExportError(f"{file}: {error}; export again") from None
    except ValidationError as error:
        key, value, reason = first_fault(error)
        found = repr(value)[:60]
        raise ExportError(f"{file}: {key}: found {found}; {reason}; export again") from None
    onnx = () if description.onnx is None else (description.onnx,)
    for name in (*description.sha256, description.program, description.parameters, *onnx):
        if Path(name).name != name:
            raise ExportError(f"{file}: file name {name!r} leaves the folder; export again")
    for name in (description.program, description.parameters, *onnx):
        if name not in description.sha256:
            raise ExportError(f"{file}: sha256 has no entry for {name!r}; export again")
    return description
