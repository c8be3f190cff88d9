"""A searcher's program as a sampler of Optuna: ``optuna.create_study(sampler=NeuralSampler(seed=0))``.

Parameters that all finished trials have are suggested together; others, as those of a branch that not every trial
takes, are drawn by another sampler, at random unless one is given. Floats, also with steps or a logarithmic scale, and
integers are one axis of the unit cube each, a categorical is one for each of its choices, of which the largest wins.

Shape legend: ``D`` axes of the cube.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from meta.black_box.ask_tell import MAX_DIMENSIONS, SHIPPED, USUAL, Searcher
from meta.black_box.warm_starts import WarmStart
from npi.library.library import Library

try:
    from optuna import Study
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.samplers import BaseSampler, RandomSampler
    from optuna.search_space import IntersectionSearchSpace
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    message = "the sampler needs Optuna, which is not installed: pip install 'npi-engine[optuna]'"
    raise ImportError(message) from error

CLOSE = 0.005
"""On every axis: with categoricals, what is not further from something tried counts as tried."""

TRIES = 4
"""Suggestions that may have been tried before a trial is drawn by the other sampler."""

CHOSEN = 0.65
"""Where the axis of a choice is where it is taken, and as far from the other end where it is not: so choices are not
further apart than the ends of a number's axis, and what is learned with one says something of others."""

Number = FloatDistribution | IntDistribution


@final
class NeuralSampler(BaseSampler):
    """Suggests parameters by a core that optimises (Chen et al. 2017).

    Args:
        library: of the core; by default the one that comes with the engine. program: whose row it runs.
        seed: studies with the same one make the same suggestions.
        independent: draws what is not suggested together.
        past: past studies of the same hyper-parameters, a file as ``npi learn`` took it to learn the row ``experience``
            of this library (docs/searching.md). The first ``warm`` trials of a study are configurations of them.

    Raises ``ValueError`` for studies of several objectives, and for ``past`` without ``experience``.
    """

    def __init__(
        self,
        *,
        library: Library | Path | str = SHIPPED,
        program: str = USUAL,
        seed: int | None = None,
        independent: BaseSampler | None = None,
        past: Path | str | None = None,
        experience: str | None = None,
        warm: int = 10,
    ) -> None:
        if (past is None) != (experience is None):
            raise ValueError("past studies need the program whose row was learned from them: give past and experience")
        self.library = library if isinstance(library, Library) else Library.open(library)
        self.program, self.seed = program, random.randrange(2**31) if seed is None else seed
        self.independent = independent or RandomSampler(seed=self.seed)
        self.past, self.experience, self.warm = past, experience, warm
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        """What it knows of studies is found again in their trials."""
        return {key: value for key, value in vars(self).items() if key not in ("_lock", "_studies", "_warm", "_begun")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def _forget(self) -> None:
        """Of studies, what is found again in their trials: progress; past studies, and what they said by trial."""
        self._studies, self._lock = dict[str, _Progress](), threading.Lock()
        self._warm, self._begun = dict[str, WarmStart](), dict[str, dict[int, Mapping[str, Any]]]()

    def reseed_rng(self) -> None:
        self.seed = random.randrange(2**31)
        self.independent.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What all finished trials have; nothing where that has more axes than a searcher, nor for a trial whose
        parameters past studies say."""
        if self._from_past(study, trial):
            return {}
        space = IntersectionSearchSpace().calculate(study)
        found = {name: kind for name, kind in space.items() if not kind.single()}
        return found if sum(map(_axes, found.values())) <= MAX_DIMENSIONS else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        cube = Cube(search_space)
        with self._lock:
            progress = self._studies.get(study.study_name)
            if progress is None or progress.cube.axes != cube.axes:
                searcher = Searcher.open(cube.dimensions, library=self.library, program=self.program, seed=self.seed)
                progress = self._studies[study.study_name] = _Progress(cube, searcher)
            return progress.suggested(study, trial)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        self._raise_error_if_multi_objective(study)
        said = self._from_past(study, trial)
        if param_name in said and param_distribution._contains(param_distribution.to_internal_repr(said[param_name])):
            return said[param_name]
        return self.independent.sample_independent(study, trial, param_name, param_distribution)

    def _from_past(self, study: Study, trial: FrozenTrial) -> Mapping[str, Any]:
        """The parameters that past studies say for a trial; none where there are no more."""
        if self.past is None or self.experience is None or trial.number >= self.warm or len(study.directions) > 1:
            return {}
        with self._lock:
            begun = self._begun.setdefault(study.study_name, {})
            if trial.number not in begun:
                if study.study_name not in self._warm:
                    self._warm[study.study_name] = WarmStart(self.past, self.library, self.experience)
                sign = _sign(study)
                done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
                finished = [(one.number, one.params, sign * one.value) for one in done if one.value is not None]
                begun[trial.number] = self._warm[study.study_name].suggested(finished) or {}
            return begun[trial.number]

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.independent.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self.independent.after_trial(study, trial, state, values)


class _Progress:
    """A searcher, and the trials of a study that it was told of."""

    def __init__(self, cube: Cube, searcher: Searcher) -> None:
        self.cube, self.searcher, self.told = cube, searcher, set[int]()
        self.finished = list[tuple[Mapping[str, Any], float]]()

    def suggested(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        """Parameters for a trial, after what has come since the last one.

        Where all suggestions were tried, as in small spaces and close to a minimum, the best ones with another choice;
        where these were, too, none, so that others are drawn.
        """
        sign = _sign(study)
        for done in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if done.number not in self.told and self.cube.holds(done.params):
                self.told.add(done.number)
                if done.value is not None and math.isfinite(done.value):
                    self.finished.append((done.params, sign * done.value))
                    self.searcher.tell(self.cube.point(done.params), sign * done.value)
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        others = [one.params for one in running if one.number != trial.number and self.cube.holds(one.params)]
        self.searcher.pending = [self.cube.point(params) for params in others]
        tried = [*others, *(params for params, _ in self.finished)]
        points = [self.cube.point(params) for params in tried]
        for _ in range(TRIES):
            params = self.cube.params(self.searcher.ask()) | self.cube.untried(tried)
            if self._new(params, points):
                return params
            self.searcher.pending[-1] = self.cube.point(params)
        if not self.finished:
            return {}
        best, _ = min(self.finished, key=lambda done: done[1])
        return next((params for params in self.cube.neighbours(best) if self._new(params, points)), {})

    def _new(self, params: Mapping[str, Any], points: Sequence[Sequence[float]]) -> bool:
        """Whether parameters were not tried, nor any that are close to them where another choice could be made."""
        point, close = self.cube.point(params), CLOSE if self.cube.categorical else 0.0
        return all(max(abs(x - y) for x, y in zip(point, one, strict=True)) > close for one in points)


def _sign(study: Study) -> float:
    """What makes less better."""
    return -1.0 if study.direction.name == "MAXIMIZE" else 1.0


@final
class Cube:
    """A search space as a unit cube of D axes."""

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self.space = dict(sorted(space.items()))
        self.axes = {name: (repr(kind), _axes(kind)) for name, kind in self.space.items()}
        self.categorical = any(isinstance(kind, CategoricalDistribution) for kind in self.space.values())
        self.dimensions = sum(count for _, count in self.axes.values())

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Whether parameters have a place in it."""
        return all(
            name in params and kind._contains(kind.to_internal_repr(params[name])) for name, kind in self.space.items()
        )

    def neighbours(self, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Parameters with another choice of one categorical."""
        for name, kind in self.space.items():
            if isinstance(kind, CategoricalDistribution):
                yield from (dict(params) | {name: choice} for choice in kind.choices if choice != params[name])

    def untried(self, tried: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Of each categorical a choice that no trial had, where there is one: what it is worth cannot be guessed from
        others."""
        found = dict[str, Any]()
        for name, kind in self.space.items():
            if isinstance(kind, CategoricalDistribution):
                had = {kind.to_internal_repr(params[name]) for params in tried}
                for choice in kind.choices:
                    if kind.to_internal_repr(choice) not in had:
                        found[name] = choice
        return found

    def point(self, params: Mapping[str, Any]) -> tuple[float, ...]:
        """D numbers from 0 to 1 of some parameters."""
        return tuple(x for name, kind in self.space.items() for x in _coordinates(kind, params[name]))

    def params(self, point: Sequence[float]) -> dict[str, Any]:
        """The parameters at a point, or those that are closest to it."""
        found, place = dict[str, Any](), 0
        for name, (_, count) in self.axes.items():
            found[name] = _value(self.space[name], point[place : place + count])
            place += count
        return found


def _axes(kind: BaseDistribution) -> int:
    return len(kind.choices) if isinstance(kind, CategoricalDistribution) else 1


def _coordinates(kind: BaseDistribution, value: Any) -> Iterator[float]:
    if isinstance(kind, CategoricalDistribution):
        chosen = int(kind.to_internal_repr(value))
        yield from (CHOSEN if place == chosen else 1 - CHOSEN for place in range(len(kind.choices)))
        return
    low, high = _range(kind)
    yield min(1.0, max(0.0, (_scaled(kind, value) - low) / (high - low)))


def _value(kind: BaseDistribution, axes: Sequence[float]) -> Any:
    if isinstance(kind, CategoricalDistribution):
        return kind.choices[max(range(len(axes)), key=axes.__getitem__)]
    assert isinstance(kind, Number)
    low, high = _range(kind)
    value = low + axes[0] * (high - low)
    value = math.exp(value) if kind.log else value
    if kind.step is not None:
        value = kind.low + round((value - kind.low) / kind.step) * kind.step
    value = min(kind.high, max(kind.low, value))
    return int(value) if isinstance(kind, IntDistribution) else float(value)


def _range(kind: BaseDistribution) -> tuple[float, float]:
    """The ends of an axis; with steps half a step beyond the values, so that each has as much of it."""
    assert isinstance(kind, Number)
    half = (kind.step or 0) / 2
    return _scaled(kind, kind.low - half), _scaled(kind, kind.high + half)


def _scaled(kind: BaseDistribution, value: float) -> float:
    assert isinstance(kind, Number)
    return math.log(value) if kind.log else value
