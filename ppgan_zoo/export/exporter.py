"""From a checkpoint to a static-graph model for Paddle Inference, proven equal."""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn
from paddle.static import InputSpec

from ppgan_zoo import __version__
from ppgan_zoo.errors import ExportError, os_errors
from ppgan_zoo.export.exported import (
    FORMAT,
    Description,
    Differences,
    LatentFacts,
    Origin,
    Versions,
    is_as_exported,
    open_exported,
    write_description,
)
from ppgan_zoo.export.predictor import Trial, choose_settings, largest_difference
from ppgan_zoo.export.program import check_program
from ppgan_zoo.export.rewrite import give_norms_weights, rewrite_layers
from ppgan_zoo.models.facts import ModelFacts
from ppgan_zoo.models.latent import labels_in_turn
from ppgan_zoo.models.restore import load_generator, recorded_weights
from ppgan_zoo.runtime import home_that_can_be_written
from ppgan_zoo.storage.checkpoint import Checkpoint
from ppgan_zoo.storage.files import absolute, atomic_folder, by_plain_path, sha256_file
from ppgan_zoo.storage.stages import stage

PREFIX = "generator"
TOLERANCE = 1e-5
CHECKED_SAMPLES = 64
_OWN = "leave it out of the generator, or add it to ppgan_zoo/export/operators.py"


def export(
    checkpoint: Checkpoint,
    output: Path,
    *,
    tolerance: float = TOLERANCE,
    timed: bool = True,
    truncation: float | None = None,
    onnx: bool = False,
    notify: Callable[[Trial], None] | None = None,
) -> Description:
    """Write the checkpoint's generator as an inference model, whole or not at all.

    The folder gets the program and its parameters in the form of this Paddle, and
    ``model.yml``, which says how to feed it and how far its images are from the trained
    generator's on the same z. Batches of any size can be fed.

    Args:
        checkpoint: What to export; the EMA's weights where there are any.
        output: The folder to make; an earlier export there is replaced.
        tolerance: Largest difference allowed, in the units of the image range; that many times
            more as images go beyond the range's ends.
        timed: Measure which of Paddle Inference's settings is the fastest here, which may
            differ from one export to the next; otherwise take the first that is right.
        truncation: Of a model with styles, how far these go from their average, 0 to 1; see
            :func:`ppgan_zoo.models.restore.truncate`.
        onnx: Also write ``generator.onnx``, which needs the packages of the extra ``onnx``.
        notify: Called with every trial of such settings.

    Returns:
        What ``model.yml`` says.

    Raises:
        ExportError: `output` holds something else, a difference is above `tolerance`, or the
            generator uses an operator that no rule translates to ONNX.
        CheckpointError: The checkpoint is damaged.
        ConfigError: `truncation` of a model without styles.
    """
    output = absolute(output)
    _check_output(output)
    with stage("loading the generator"):
        generator, facts = load_generator(checkpoint, truncation=truncation)
        inputs = _checked_inputs(facts, checkpoint.iteration)
        # This forward also brings spectral norm's stored weight up to date before it is saved.
        wanted = _wanted(generator, inputs, output)
        tolerance *= _beyond_the_range(wanted, facts.image_range)
        give_norms_weights(generator)
        faster = _rewritten(
            load_generator(checkpoint, truncation=truncation)[0], inputs, wanted, tolerance
        )
    with atomic_folder(output, is_as_exported) as made, by_plain_path(made) as folder:
        saved = faster or generator
        tracing = stage("writing the static graph")
        with _blaming_what_is_to_blame(saved, folder, output), tracing:
            program, parameters = _save_static(saved, facts, folder)
        with stage("comparing the static graph"):
            of_graph = largest_difference(_run_static_graph(folder, inputs), wanted)
        choice, trials = choose_settings(
            program,
            parameters,
            inputs,
            # A batch of one first: the batch size must be free.
            lambda run: max(
                largest_difference(run(*(array[:n] for array in inputs)), wanted[:n])
                for n in (1, len(wanted))
            ),
            tolerance,
            timed=timed,
        )
        if notify is not None:
            for trial in trials:
                notify(trial)
        of_inference = choice.difference
        worst = max(of_graph, of_inference)
        if worst > tolerance:
            raise ExportError(
                f"{output}: not exported: the largest difference from the trained generator is "
                f"{of_graph:.2e} for the static graph and {of_inference:.2e} for Paddle "
                f"Inference, above {tolerance:.0e}; the architecture uses an operation that "
                "Paddle does not export faithfully, or rounding adds up"
            )
        description = Description(
            format=FORMAT,
            name=facts.name,
            versions=Versions(ppgan_zoo=__version__, paddle=paddle.__version__),
            origin=Origin(
                iteration=checkpoint.iteration,
                weights=recorded_weights(checkpoint, None),
                truncation=1.0 if truncation is None else truncation,
            ),
            latent=LatentFacts(**facts.latent.to_json()),
            image_shape=facts.image_shape,
            image_range=facts.image_range,
            program=program.name,
            parameters=parameters.name,
            inference=choice.settings,
            largest_difference=Differences(
                static_graph=of_graph,
                paddle_inference=of_inference,
                tolerance=tolerance,
                samples=len(wanted),
            ),
            sha256={path.name: sha256_file(path) for path in (program, parameters)},
            num_classes=facts.num_classes,
            classes=facts.classes,
        )
        if onnx:
            from ppgan_zoo.export.onnx_export import add_onnx

            writing = stage("writing and comparing ONNX")
            with _blaming_what_is_to_blame(saved, folder, output), writing:
                description = add_onnx(folder, description, inputs, wanted)
        write_description(folder, description)
        open_exported(folder)  # what a user will do first must work
    return description


def _wanted(
    generator: nn.Layer, inputs: tuple[NDArray[Any], ...], output: Path
) -> NDArray[np.float32]:
    """Return the trained generator's images.

    Raises:
        ExportError: They are no images, or not finite.
    """
    with paddle.no_grad():
        images = generator(*map(paddle.to_tensor, inputs))
    if not isinstance(images, paddle.Tensor):
        raise ExportError(
            f"{output}: not exported: the generator returns a {type(images).__name__} and not "
            "images; let its forward return one tensor"
        )
    wanted: NDArray[np.float32] = images.numpy()
    if not np.isfinite(wanted).all():
        raise ExportError(
            f"{output}: not exported: the generator's images are not finite; take another "
            "checkpoint"
        )
    return wanted


def _beyond_the_range(wanted: NDArray[np.float32], image_range: tuple[float, float]) -> float:
    """Return how many times as large as the range's ends images are; 1 for those within it.

    Float32 rounds large numbers by more.
    """
    return max(1.0, float(np.abs(wanted).max(initial=0.0)) / max(map(abs, image_range)))


def _checked_inputs(facts: ModelFacts, seed: int) -> tuple[NDArray[Any], ...]:
    """Return z, and labels if the model takes them: every class at least three times."""
    count = max(CHECKED_SAMPLES, 3 * facts.num_classes)
    z = facts.latent.sample(count, seed)
    return (z, labels_in_turn(count, facts.num_classes)) if facts.num_classes else (z,)


def _rewritten(
    generator: nn.Layer,
    inputs: tuple[NDArray[Any], ...],
    wanted: NDArray[Any],
    tolerance: float,
) -> nn.Layer | None:
    """Return the generator in its faster form, or None if it makes other images in that."""
    try:
        give_norms_weights(generator)
        rewrite_layers(generator, *inputs)
        with paddle.no_grad():
            images = generator(*map(paddle.to_tensor, inputs)).numpy()
    except Exception:
        return None  # the model's own code reaches into its layers, as to a weight's shape
    right = images.shape == wanted.shape and largest_difference(images, wanted) <= tolerance
    return generator if right else None


def _check_output(output: Path) -> None:
    """Replace nothing but an earlier export, to the byte as the zoo wrote it."""
    with os_errors(ExportError, f"--output {output}: cannot be looked at"):
        empty = not os.path.lexists(output) or (output.is_dir() and not os.listdir(output))
    if not empty and not is_as_exported(output):
        raise ExportError(
            f"--output {output}: exists already and is no earlier export, or one that was "
            "changed since; give another folder, or delete it yourself"
        )


def _save_static(generator: nn.Layer, facts: ModelFacts, folder: Path) -> tuple[Path, Path]:
    """Trace and save; Paddle 3 writes a ``.json`` program, Paddle 2 a ``.pdmodel``."""
    inputs = [InputSpec([None, facts.latent.dim], "float32", name="z")]
    if facts.num_classes:
        inputs.append(InputSpec([None], "int64", name="labels"))
    with warnings.catch_warnings(), home_that_can_be_written():
        warnings.simplefilter("ignore")
        paddle.jit.save(
            generator,
            str(folder / PREFIX),
            input_spec=inputs,
        )
    # Paddle 2 adds a pickle that only its training side reads: it must not be shipped.
    (folder / f"{PREFIX}.pdiparams.info").unlink(missing_ok=True)
    programs = [folder / f"{PREFIX}{suffix}" for suffix in (".json", ".pdmodel")]
    program = next((path for path in programs if path.is_file()), None)
    parameters = folder / f"{PREFIX}.pdiparams"
    if program is None or not parameters.is_file():
        raise ExportError(f"Paddle {paddle.__version__} wrote no program and parameters")
    check_program(
        program, parameters, facts.latent.dim, facts.num_classes, facts.image_shape, then=_OWN
    )
    return program, parameters


@contextlib.contextmanager
def _blaming_what_is_to_blame(generator: nn.Layer, folder: Path, output: Path) -> Iterator[None]:
    """Tell a full disk from a model that Paddle cannot export: it leaves out what it cannot write.

    Raises:
        OSError: There is no room.
        ExportError: There is, and Paddle failed all the same.
    """
    size = sum(tensor.numpy().nbytes for tensor in generator.state_dict().values())
    _check_room(folder, output, size)
    try:
        yield
    except Exception as error:  # a stranger's forward may raise anything while it is traced
        _check_room(folder, output, size + (1 << 20))  # for the program too
        said = _reason(error).replace(f"{folder}/", "")[:300]
        raise ExportError(f"{output}: not exported: {said}") from error


def _reason(error: Exception) -> str:
    """Return what an error says: of one from traced code the end, where its cause stands."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1 if lines[0] in ("In transformed code:", "In user code:") else 0]


def _check_room(folder: Path, output: Path, size: int) -> None:
    """Make sure that a file of so many bytes can be written."""
    allocate = getattr(os, "posix_fallocate", None)
    if allocate is None:  # as on macOS: what is written next tells
        return
    place = folder / "room"
    try:
        with place.open("xb") as file:
            allocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system that cannot tell
            raise OSError(error.errno, error.strerror, str(output)) from None
    finally:
        place.unlink(missing_ok=True)


def _run_static_graph(folder: Path, inputs: tuple[NDArray[Any], ...]) -> NDArray[np.float32]:
    """Reload the saved graph and run it by Paddle's own executor.

    By ``load_inference_model``, since ``jit.load`` of Paddle 2 executes a pickle.
    """
    paddle.enable_static()
    try:
        with paddle.static.scope_guard(paddle.static.Scope()):
            executor = paddle.static.Executor(paddle.CPUPlace())
            program, feeds, fetches = paddle.static.load_inference_model(
                str(folder / PREFIX), executor
            )
            # Fed by name: a program does not keep the order of its inputs.
            named = dict(zip(("z", "labels"), inputs, strict=False))
            feed = {name: named[name] for name in feeds}
            (images,) = executor.run(program, feed=feed, fetch_list=fetches)
            result: NDArray[np.float32] = images
            return result
    finally:
        paddle.disable_static()
