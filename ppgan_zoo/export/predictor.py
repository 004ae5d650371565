"""Paddle Inference: its settings, a predictor with them, and which are the fastest.

The settings that matter on a CPU are whether oneDNN runs the kernels and whether the
graph is optimised first. Which is faster depends on the network and the machine, and some
operations are wrong under one or the other, so an export measures.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ppgan_zoo.errors import ExportError
from ppgan_zoo.runtime import cpu_threads
from ppgan_zoo.storage.files import by_plain_path
from ppgan_zoo.storage.stages import stage

Images = NDArray[np.float32]

# What Paddle's native code turns its failures into.
PADDLE_ERRORS = (RuntimeError, ValueError, TypeError, OSError, LookupError)


class InferenceSettings(BaseModel):
    """How to run an exported model on a CPU, as ``model.yml`` records it.

    Attributes:
        onednn: Let oneDNN run the kernels.
        optimize_graph: Let Paddle fuse operations before the first run (``ir_optim``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    onednn: bool
    optimize_graph: bool

    def __str__(self) -> str:
        """Return such as ``oneDNN, graph as it is``."""
        kernels = "oneDNN" if self.onednn else "no oneDNN"
        return f"{kernels}, graph {'optimised' if self.optimize_graph else 'as it is'}"


# In the order of preference; the first is the usual winner. Left out: bfloat16, whose
# rounding of 1e-2 no export's tolerance allows; the new executor and the capacity of
# oneDNN's cache, which changed no time on 2.6.2 nor on 3.3.1; and memory optimisation, which
# changed none on 2.6.2 and which 3.3.1 refuses.
CANDIDATES = (
    InferenceSettings(onednn=True, optimize_graph=True),
    InferenceSettings(onednn=False, optimize_graph=True),
    InferenceSettings(onednn=True, optimize_graph=False),
    InferenceSettings(onednn=False, optimize_graph=False),
)

# Paddle 3.3.1 ends in a segmentation fault where it fuses a convolution with LeakyReLU, or a
# factor with the matrix product after it.
CRASHING_PASSES = ("conv_activation_onednn_fuse_pass", "scale_matmul_fuse_pass")

TIMED_BATCH = 128
TIMED_ROUNDS = 7
TIMED_SECONDS = 4.0
CLEARLY_FASTER = 0.9


@dataclass(frozen=True)
class Trial:
    """What one choice of settings does with a model.

    Attributes:
        settings: The choice.
        difference: Largest difference from the wanted images.
        seconds: Time of a batch of `TIMED_BATCH`; None if it was not timed.
    """

    settings: InferenceSettings
    difference: float
    seconds: float | None = None

    @property
    def samples_per_second(self) -> float | None:
        """Images a second at that batch size."""
        return None if self.seconds is None else TIMED_BATCH / self.seconds


def choose_settings(
    program: Path,
    parameters: Path,
    inputs: tuple[NDArray[Any], ...],
    difference: Callable[[Callable[..., Images]], float],
    tolerance: float,
    *,
    timed: bool,
) -> tuple[Trial, list[Trial]]:
    """Return the best settings whose images are right.

    Args:
        program: The exported program.
        parameters: Its weights.
        inputs: What to time with: z ``[N, latent_dim]`` and, if it takes them, labels ``[N]``.
        difference: Returns how far the images of a function of the inputs are from the right
            ones, as :func:`largest_difference`; a choice with which that raises is as wrong as can
            be.
        tolerance: Largest difference allowed.
        timed: Take a later candidate over the first right one where it is clearly faster,
            by 10 % of the median; otherwise the first right one, which is the same at
            every export.

    Returns:
        The choice, and all trials. If no candidate is right, the choice is the nearest.
    """
    predictors, trials = [], []
    with stage("trying settings of Paddle Inference", len(CANDIDATES)) as advance:
        for settings in CANDIDATES:
            predictor = None
            try:
                predictor = make_predictor(program, parameters, settings)
                trial = Trial(settings, difference(functools.partial(run_predictor, predictor)))
            except PADDLE_ERRORS:  # such as oneDNN's split of a tensor, or its layer norm of maps
                trial = Trial(settings, math.inf)
            trials.append(trial)
            predictors.append(predictor)
            advance(1)
            if not timed and trial.difference <= tolerance:
                return trial, trials
    right = [place for place, trial in enumerate(trials) if trial.difference <= tolerance]
    if not right:
        return min(trials, key=lambda trial: trial.difference), trials
    batch = [array[np.arange(TIMED_BATCH) % len(array)] for array in inputs]
    seconds = _interleaved(
        [functools.partial(run_predictor, predictors[place], *batch) for place in right]
    )
    for place, time_ in zip(right, seconds, strict=True):
        trials[place] = Trial(trials[place].settings, trials[place].difference, time_)
    return fastest([trials[place] for place in right]), trials


def largest_difference(images: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Return how far images are from the wanted ones at most; infinity where one is NaN.

    Raises:
        ExportError: They have another shape.
    """
    if images.shape != wanted.shape:
        raise ExportError(f"the exported model makes images {images.shape}, not {wanted.shape}")
    largest = float(np.max(np.abs(images.astype(np.float64) - wanted), initial=0.0))
    return math.inf if math.isnan(largest) else largest


def fastest(trials: Sequence[Trial]) -> Trial:
    """Return the first of the timed trials, unless another is clearly faster."""
    best = min(trials, key=lambda trial: trial.seconds or 0.0)
    first = trials[0]
    assert best.seconds is not None and first.seconds is not None
    return best if best.seconds < CLEARLY_FASTER * first.seconds else first


def _interleaved(runs: Sequence[Callable[[], Any]]) -> list[float]:
    """Return the median seconds of each, run in turns so that a disturbance hits all."""
    times: list[list[float]] = [[] for _ in runs]
    end = time.perf_counter() + TIMED_SECONDS
    with stage("timing them", 1 + TIMED_ROUNDS) as advance:
        for number in range(1 + TIMED_ROUNDS):
            for run, found in zip(runs, times, strict=True):
                start = time.perf_counter()
                run()
                if number:  # the first is the warm-up
                    found.append(time.perf_counter() - start)
            advance(1)
            if number and time.perf_counter() > end:
                break
    return [median(found) for found in times]


def make_predictor(program: Path, parameters: Path, settings: InferenceSettings) -> Any:
    """Return a Paddle Inference predictor on the device that Paddle is set to.

    Both files lie in one folder.
    """
    import paddle
    from paddle import inference

    with by_plain_path(program.parent) as folder:
        config = inference.Config(str(folder / program.name), str(folder / parameters.name))
        config.disable_glog_info()
        device = str(paddle.get_device())
        if device.startswith("gpu"):
            config.enable_use_gpu(256, int(device.partition(":")[2] or 0))
        else:
            config.disable_gpu()
            config.set_cpu_math_library_num_threads(cpu_threads())
            config.switch_ir_optim(settings.optimize_graph)
            if settings.onednn:
                config.enable_mkldnn()
            elif hasattr(config, "disable_mkldnn"):
                config.disable_mkldnn()
            for name in CRASHING_PASSES:
                config.delete_pass(name)
        return inference.create_predictor(config)


def run_predictor(predictor: Any, z: Images, labels: NDArray[np.int64] | None = None) -> Images:
    """Feed z ``[N, latent_dim]``, and labels ``[N]`` if it takes them; return the images.

    Returns:
        float32 ``[N, C, H, W]``.
    """
    arrays = {"z": np.ascontiguousarray(z, np.float32)}
    if labels is not None:
        arrays["labels"] = np.ascontiguousarray(labels, np.int64)
    names = predictor.get_input_names()
    for place, (name, array) in enumerate(arrays.items()):
        # The only input may have another name: exports of before there were labels.
        entry = predictor.get_input_handle(name if name in names else names[place])
        entry.reshape(list(array.shape))
        entry.copy_from_cpu(array)
    predictor.run()
    images: Images = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
    return images
