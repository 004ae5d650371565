"""What to try next, and what to give up: optuna, told of all results there are.

What was drawn is kept in ``trials.json`` before it is trained. All else is worked out anew from
the results, so that a search goes on from wherever it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ppgan_zoo.errors import ConfigError, reason_of
from ppgan_zoo.recipe.base import Section
from ppgan_zoo.search.plan import Run, Search, with_settings
from ppgan_zoo.search.results import MAX_BYTES, Result
from ppgan_zoo.search.space import Choices, Range, Space
from ppgan_zoo.storage.files import read_regular, to_json, write_atomically

FILE = "trials.json"
SEED = 0x7B1A
"""Of what is drawn: with the same results the same is drawn next."""

STARTUP_TRIALS = 4
"""Trials that are never given up, for the others to be compared with."""


class _Kept(Section):
    """The file: the ranges, and the values of each trial, by the name of the setting."""

    spaces: dict[str, dict[str, Any]]
    drawn: dict[str, list[dict[str, Any]]]


class Trials:
    """The trials of a search with ranges.

    Args:
        search: As its file says.
        output: Its directory.

    Raises:
        ConfigError: Trials of other ranges are there.
    """

    def __init__(self, search: Search, output: Path) -> None:
        self.search = search
        self.path = output / FILE
        self.drawn = self._read()

    @property
    def count(self) -> int:
        """How many there will be: as many as the file says, or were drawn when it said more."""
        return sum(max(self.search.file.trials, len(drawn)) for drawn in self.drawn.values())

    def planned(self) -> Search:
        """Return the search with all trials that were drawn, each a setting."""
        settings = {
            name: setting
            for name, setting in self.search.file.settings.items()
            if name not in self.search.spaces
        }
        for space in self.search.spaces.values():
            for number, values in enumerate(self.drawn[space.name]):
                settings[space.trial_name(number)] = {**space.fixed, **values}
        return with_settings(self.search, settings)

    def draw(self, results: Mapping[Run, Result], count: int) -> Search | None:
        """Draw up to `count` trials more of each range, told of all results.

        Returns:
            The search with them; None if all are drawn.
        """
        new = 0
        for space in self.search.spaces.values():
            drawn = self.drawn[space.name]
            for _ in range(min(count, self.search.file.trials - len(drawn))):
                study = self._study(space, results)
                values = study.ask(_distributions(space)).params
                drawn.append({key: _decoded(space.free[key], values[key]) for key in space.free})
                new += 1
        if not new:
            return None
        spaces = {space.name: space.to_json() for space in self.search.spaces.values()}
        write_atomically(self.path, to_json({"spaces": spaces, "drawn": self.drawn}))
        return self.planned()

    def is_hopeless(
        self, run: Run, curve: Sequence[tuple[int, float]], results: Mapping[Run, Result]
    ) -> bool:
        """Tell whether a run is to be given up: its FID is worse than the median of the others'.

        Args:
            run: It is being trained.
            curve: Iteration and FID so far.
            results: Of the runs that are done.
        """
        found = self._trial_of(run.setting)
        if found is None or not curve:
            return False
        space, number = found
        study = self._study(space, results)
        trial = _trial(space, self.drawn[space.name][number], curve)
        return bool(study.pruner.prune(study, trial))

    def _trial_of(self, setting: str) -> tuple[Space, int] | None:
        for space in self.search.spaces.values():
            if (number := space.number_of(setting)) is not None:
                return space, number
        return None

    def _study(self, space: Space, results: Mapping[Run, Result]) -> Any:
        """Return an optuna study that knows all trials of a space."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        drawn = self.drawn[space.name]
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=SEED + len(drawn)),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS),
        )
        by_name = {run.setting: result for run, result in results.items()}
        for number, values in enumerate(drawn):
            result = by_name.get(space.trial_name(number))
            curve = () if result is None else [(step, fid) for _, step, fid in result.curve]
            study.add_trial(_trial(space, values, curve, result))
        return study

    def _read(self) -> dict[str, list[dict[str, Any]]]:
        spaces = {space.name: space.to_json() for space in self.search.spaces.values()}
        try:
            kept = _Kept.model_validate(json.loads(read_regular(self.path, MAX_BYTES)))
        except FileNotFoundError:
            return {name: [] for name in spaces}
        except (OSError, ValueError, ValidationError, RecursionError) as error:
            raise ConfigError(f"{self.path}: cannot be read: {reason_of(error)}") from None
        if kept.spaces != spaces or set(kept.drawn) != set(spaces):
            raise ConfigError(
                f"{self.path}: is of other ranges than those of {self.search.path} now; give "
                "another --output, or put the ranges back"
            )
        return kept.drawn


def _distributions(space: Space) -> dict[str, Any]:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, Any] = {}
    for key, free in space.free.items():
        if isinstance(free, Choices):  # by their places, as values may be of any kind
            found[key] = CategoricalDistribution(tuple(range(len(free.choices))))
        elif isinstance(free.low, int) and isinstance(free.high, int):
            found[key] = IntDistribution(free.low, free.high, log=free.log)
        else:
            found[key] = FloatDistribution(float(free.low), float(free.high), log=free.log)
    return found


def _decoded(free: Range | Choices, value: Any) -> Any:
    """Return a value of the recipe for what optuna drew, as JSON keeps it."""
    chosen = free.choices[value] if isinstance(free, Choices) else value
    return json.loads(json.dumps(chosen))


def _encoded(free: Range | Choices, value: Any) -> Any:
    if not isinstance(free, Choices):
        return value
    return next(
        place for place, choice in enumerate(free.choices) if _decoded(free, place) == value
    )


def _trial(
    space: Space,
    values: Mapping[str, Any],
    curve: Sequence[tuple[int, float]],
    result: Result | None = None,
) -> Any:
    """Return a trial as optuna knows it: running without a result, else how it ended."""
    from optuna.trial import TrialState, create_trial

    fid = None if result is None else result.metrics.get("fid")
    if result is None:
        state = TrialState.RUNNING
    elif result.pruned:
        state = TrialState.PRUNED
    else:
        state = TrialState.FAIL if fid is None else TrialState.COMPLETE
    return create_trial(
        state=state,
        value=fid if state is TrialState.COMPLETE else None,
        params={key: _encoded(free, values[key]) for key, free in space.free.items()},
        distributions=_distributions(space),
        intermediate_values=dict(curve),
    )


def ends(search: Search) -> list[Run]:
    """Return runs with either end of every range and each choice, to see that they can be built."""
    settings = {name: space.ends() for name, space in search.spaces.items()}
    return [
        run
        for number in range(max(map(len, settings.values())))
        for run in with_settings(
            search, {name: each[number % len(each)] for name, each in settings.items()}
        ).runs
    ]
