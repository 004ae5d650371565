"""A SwanLab log, written to the run's own folder; nothing is sent anywhere.

SwanLab cannot go on in a folder that it has closed, so each start of a run makes one:
``RUN/swanlab/run-TIME-ID``. All carry one id, which makes them one experiment:
``swanlab sync --id ID FOLDER`` sends each.

SwanLab writes from a thread and in blocks: a killed process loses the last of them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ppgan_zoo.storage.logs import LogKind, finite_values
from ppgan_zoo.storage.tolerance import Guard, strict

NAME = "SwanLab records"
PROJECT = "ppgan_zoo"

# The zoo's manifest has these already, and its log has what is printed.
WITHOUT_PROBES = dict.fromkeys(
    ("hardware", "runtime", "requirements", "conda", "git", "swanlab", "monitor"), False
)

logger = logging.getLogger(__name__)


class SwanLabLog:
    """The SwanLab log of one start of a run. A process can have one open.

    Args:
        folder: Where the folders of all starts lie; made if missing.
        guard: Around every write; :class:`ppgan_zoo.storage.tolerance.Tolerant` lets training
            go on where one fails.
        resume_step: None for a fresh log. A step to resume after: the records from it on go
            into a folder of their own, with the id of those that are there.

    Raises:
        OSError: The folder cannot be written to.
        RuntimeError: SwanLab is in use in this process.
    """

    def __init__(
        self, folder: Path, *, guard: Guard = strict, resume_step: int | None = None
    ) -> None:
        self._guard = guard
        self._run: Any = None
        with guard(NAME):
            self._run = _start(folder, _known_id(folder) if resume_step is not None else None)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add one point of a curve."""
        self._log(tag, float(value), step)

    def image(self, tag: str, array: npt.NDArray[np.uint8], step: int) -> None:
        """Add a picture: `array` is uint8 ``[H, W, 3]`` or ``[H, W]``."""
        if self._run is not None:
            from swanlab import Image

            with self._guard(NAME):
                self._log(tag, Image(array), step)

    def histogram(self, tag: str, values: npt.NDArray[Any], step: int) -> None:
        """Add mean and deviation of the finite `values` as two curves: it has no histograms."""
        finite = finite_values(values)
        if finite.size:
            self._log(f"{tag}/mean", float(finite.mean()), step)
            self._log(f"{tag}/std", float(finite.std()), step)

    def hparams(self, values: Mapping[str, object], metrics: Sequence[str]) -> None:
        """Add the run's settings."""
        if self._run is not None:
            with self._guard(NAME):
                self._run.config.update(dict(values))

    def close(self) -> None:
        """Write what is left; a second call does nothing."""
        run, self._run = self._run, None
        if run is not None:
            with self._guard(NAME), _unheard():
                run.finish()

    def _log(self, tag: str, value: Any, step: int) -> None:
        if self._run is not None:
            with self._guard(NAME):
                self._run.log({tag: value}, step=int(step))


def _start(folder: Path, known_id: str | None) -> Any:
    with _unheard():
        import swanlab

        folder.mkdir(parents=True, exist_ok=True)
        return swanlab.init(
            mode="offline",
            log_dir=str(folder),
            project=PROJECT,
            name=folder.absolute().parent.name,
            id=known_id or secrets.token_hex(8),
            settings=swanlab.Settings(
                interactive=False, probe=WITHOUT_PROBES, terminal={"proxy_type": "none"}
            ),
        )


def _known_id(folder: Path) -> str | None:
    """Return the id of the starts that are there, or None."""
    starts = sorted(folder.glob("run-*-*"))
    return starts[0].name.rpartition("-")[2] if starts else None


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Keep SwanLab's own lines from the terminal, and Ctrl-C and errors where they were."""
    hook, own = sys.excepthook, threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if own else None
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield
    finally:
        sys.excepthook = hook
        if own:
            signal.signal(signal.SIGINT, handler)
        logger.debug("%s", said.getvalue())


SWANLAB = LogKind("swanlab", SwanLabLog, ("swanlab",), "swanlab")
