"""``progress.json`` of a run: how far it is and what time it took, for other programs to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ppgan_zoo.errors import DataError, reason_of
from ppgan_zoo.storage.files import read_regular, to_json, write_atomically

_Count = Annotated[int, Field(ge=0)]
_Seconds = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Stretch(_Strict):
    """Iterations done without a break: from a start, a resume or a rollback on.

    Attributes:
        began: When its first iteration began, in seconds since 1970.
        first: Iterations that were done before it.
        done: Iterations done in all when this was written.
        seconds: That its iterations took, with checkpoints, grids and evaluations in between.
        cpu_seconds: Processor time of this process and all its threads in them; None where an
            older version of the zoo wrote the file.
    """

    began: float
    first: _Count
    done: _Count
    seconds: _Seconds
    cpu_seconds: _Seconds | None = None


class Progress(_Strict):
    """How far a run is.

    Attributes:
        iterations: Of the whole run.
        stretches: What was done of it, oldest first. After a crash or a rollback a stretch
            begins before the end of the one before it.
    """

    iterations: _Count
    stretches: Annotated[tuple[Stretch, ...], Field(min_length=1, strict=False)]

    @property
    def began(self) -> float:
        """When the first iteration began, in seconds since 1970."""
        return self.stretches[0].began

    @property
    def done(self) -> int:
        """Iterations done."""
        return self.stretches[-1].done

    @property
    def seconds(self) -> float:
        """Seconds of all stretches together."""
        return sum(stretch.seconds for stretch in self.stretches)

    @property
    def cpu_seconds(self) -> float | None:
        """Processor time of all stretches together; None where that of one is not known."""
        known = [stretch.cpu_seconds for stretch in self.stretches]
        return None if None in known else sum(seconds for seconds in known if seconds)

    @property
    def iterations_in_all(self) -> int:
        """Iterations of all stretches together, with those that a restart or rollback lost."""
        return sum(stretch.done - stretch.first for stretch in self.stretches)

    def seconds_at(self, iteration: int, *, cpu: bool = False) -> float | None:
        """Return the time up to an iteration, when the run came to it for the last time.

        Within a stretch all iterations are taken to be alike.

        Args:
            iteration: How many are done by then.
            cpu: Whether to return processor time; None where that is not known.
        """
        before = 0.0
        for number, stretch in enumerate(self.stretches):
            took = stretch.cpu_seconds if cpu else stretch.seconds
            if took is None:
                return None
            last = not any(later.first < iteration for later in self.stretches[number + 1 :])
            if last and stretch.done > stretch.first:
                share = (iteration - stretch.first) / (stretch.done - stretch.first)
                return before + min(share, 1.0) * took
            before += took
        return before

    @property
    def is_complete(self) -> bool:
        """Whether all iterations are done."""
        return self.done >= self.iterations

    def write(self, path: Path) -> None:
        """Write it, so that no reader ever sees half of it.

        Raises:
            OSError: It cannot be written.
        """
        write_atomically(path, to_json(self.model_dump(mode="json")))


def read_progress(path: Path) -> Progress | None:
    """Read a run's ``progress.json``; None if there is none, as before the first iteration.

    Raises:
        DataError: It is damaged.
    """
    try:
        return Progress.model_validate_json(read_regular(path))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        reason = reason_of(error)
        raise DataError(f"{path}: cannot be read: {reason}; resuming the run mends it") from None
