"""Ends training in good order on Ctrl-C, SIGTERM and SIGHUP (a terminal that is closed)."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from ppgan_zoo.distributed.group import started
from ppgan_zoo.errors import INTERRUPTED, Ended
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

REPEATED = 2.0
"""Seconds within which Paddle's launcher says again that its processes are to end."""

STOPPING = "\nstopping: finishing this iteration and saving (a second signal ends at once)\n"


class StopOnSignal(Callback):
    """Lets the running iteration finish, so that everything after it is saved.

    A second signal ends the process at once; the last checkpoint is kept. (Paddle's launcher sends
    SIGTERM three times in a row, and means it once.) It comes last
    among the callbacks, so that a first signal does not cut off what the others do at the end.

    Attributes:
        signal: The signal that came, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._came = 0.0
        self._previous: dict[int, Any] = {}
        self._trainer: Trainer | None = None

    def on_train_begin(self, trainer: Trainer) -> None:
        """Take the signals over (Python lets only the main thread do so)."""
        self._trainer = trainer
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                # One that is ignored stays so: nohup means it, and a shell's "&" of Ctrl-C.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._handle)

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        again = number == self.signal == signal.SIGTERM and now - self._came < REPEATED
        if again and started().size > 1:
            return
        self._came = now
        if self.signal is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise Ended(INTERRUPTED + number)
        self.signal = number
        if self._trainer is not None:
            self._trainer.stop_requested = True
        # "train 2>&1 | tee log": Ctrl-C ends tee too, and nobody reads this any more.
        # Past Python's buffer, which the signal may have found in the middle of a line.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.write(sys.stderr.fileno(), STOPPING.encode())
