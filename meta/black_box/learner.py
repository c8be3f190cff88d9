"""Learning to optimise without gradients (Chen et al. 2017); the core is in :mod:`meta.black_box.network`.

In training functions have gradients, which go through all queries of an episode; when programs run they are not needed.

Shape legend: ``T`` steps, ``B`` problems, ``N`` rows, ``P`` parameters of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from envs.black_box.ask_tell import HISTORY
from envs.black_box.world import CHOICES
from envs.spec import WorldSpec
from envs.world import Episodes, World
from meta.black_box.network import KIND, BlackBoxConfig, BlackBoxCore, dimensions
from meta.black_box.posterior import Posterior, log_expected_improvement
from npi.core.config import RATE, at_least, one_of, setting, share
from npi.learners.interface import LearnerTraining
from npi.learners.objectives.base import LearnerObjective
from npi.learners.objectives.search import Search, SearchTraining
from npi.learners.objectives.unrolled import Unrolled, UnrolledTraining
from npi.learners.tasks import Problems, TaskGroup

HORIZONS = (10, 20, 50, 100)
"""Queries after which the best value is judged. TABLE_HORIZONS: of a table."""

TABLE_HORIZONS = (1, 3, 5, 10, 20)

OBSERVED, EXPECTED, SUM, BEST = "observed", "expected", "sum", "best"
"""The losses of section 2.2: what each value lies below the best so far; what it is expected to; the values. Of the
best value no gradient is taken: rows alone are varied (:mod:`npi.learners.objectives.search`), which tables need."""


@dataclass(frozen=True)
class BlackBoxTraining(UnrolledTraining, SearchTraining):
    """How cores are trained.

    Attributes:
        loss: "observed", "expected" or "sum" (section 2.2), or "best": rows alone are learned, by evolution strategies.
            Programs of tables are always learned so.
        search_rate: the learning rate of rows that are.
        first_horizon: queries of an episode when training begins; they grow to those of the program.
        grown: the share of training after which they have.
        dense: how much the mean of all values weighs beside the loss when training begins; it falls to 0 in half of it.
            An improvement alone says nothing of most queries of a core that has not learned much.
    """

    loss: str = setting(OBSERVED, one_of(OBSERVED, EXPECTED, SUM, BEST))
    first_horizon: int = setting(10, at_least(1))
    grown: float = setting(0.7, share())
    dense: float = setting(0.0, at_least(0))
    search_rate: float = setting(0.15, RATE)


class BlackBox:
    """The learner (implements ``npi.learners.interface.Learner``)."""

    kind, signals, anywhere = KIND, (("minimise", "value"),), True
    config = BlackBoxConfig
    training = BlackBoxTraining(updates=400, batch=64, rate=3e-3, row_rate=3e-3, clip=1.0, check_every=50, problems=64)
    learning = BlackBoxTraining(updates=60, batch=32, row_rate=1e-2, clip=1.0, check_every=30, problems=64, starts=2)

    def admit(self, spec: WorldSpec) -> None:
        dimensions(spec)

    def core(self, config: BlackBoxConfig, specs: Sequence[WorldSpec], *, generator: torch.Generator) -> BlackBoxCore:
        return BlackBoxCore(config, generator=generator)

    def objective(
        self, core: BlackBoxCore, rows_NP: torch.Tensor, problems: Problems, training: LearnerTraining
    ) -> LearnerObjective:
        assert isinstance(training, BlackBoxTraining)
        told = [task.name for task in problems.tasks if _is_told(task.world.spec)]
        if told:
            raise ValueError(
                f"{', '.join(told)}: other programs say what its points are worth, so it has nothing to learn from by "
                "itself; take a row of a searcher as it is: npi learn FILE --library DIR --row plain.SEARCH"
            )
        without = [task.name for task in problems.tasks if _is_table(task.world.spec)]
        if without and training.loss != BEST and len(without) < len(problems.tasks):
            raise ValueError(
                f"{', '.join(without)}: tables have no gradient, and other programs beside them do; train a core on "
                "those, and learn the programs of tables beside it (npi learn), or say --set loss=best"
            )
        if without or training.loss == BEST:
            return Search(self, core, rows_NP, problems, replace(training, row_rate=training.search_rate))

        def horizon(group: TaskGroup, progress: float) -> int:
            first = min(training.first_horizon, group.steps)
            grown = min(1.0, progress / training.grown) if training.grown else 1.0
            return first + round(grown * (group.steps - first))

        def measure(world: World[Any], episodes: Episodes, progress: float) -> torch.Tensor:
            value_TB = episodes.scores["value"]
            dense = training.dense * max(0.0, 1 - 2 * progress)
            return LOSSES[training.loss](episodes) + dense * value_TB

        return Unrolled(self, core, rows_NP, problems, training, measure=measure, horizon=horizon)

    def infer_row(self, core: BlackBoxCore, evidence: Episodes) -> None:
        """Rows are learned by gradient, or without where a world has none."""

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        """The best value at the end, and after some queries; of a table first the mean of the best ones so far."""
        best_TB = episodes.scores["value"].cummin(0).values
        table = _is_table(world.spec)
        found = {"mean value": best_TB.mean(0)} if table else {}
        found["value"] = best_TB[-1]
        horizons = TABLE_HORIZONS if table else HORIZONS
        return found | {f"value at {t}": best_TB[t - 1] for t in horizons if t < len(best_TB)}


def _is_table(spec: WorldSpec) -> bool:
    return any(channel.name == CHOICES for channel in spec.channels)


def _is_told(spec: WorldSpec) -> bool:
    return any(channel.name == HISTORY for channel in spec.channels)


def observed_improvement(episodes: Episodes) -> torch.Tensor:
    """T × B: how far each value lies below the best before it, at most 0; the first one itself (equation 5).

    The best is taken as given: a query is to be good, and those before it are not to be bad for its sake.
    """
    value_TB = episodes.scores["value"]
    best_TB = value_TB.detach().cummin(0).values
    return torch.cat([value_TB[:1], (value_TB[1:] - best_TB[:-1]).clamp(max=0)])


def expected_improvement(episodes: Episodes) -> torch.Tensor:
    """T × B: minus what each query's value is expected to lie below the best before it (equation 4), by the likeliest
    Gaussian process of :mod:`meta.black_box.posterior`; the first one's value itself."""
    value_TB = episodes.scores["value"]
    assert episodes.actions is not None
    point_TBD = torch.stack([action.payload_BX for action in episodes.actions if action.payload_BX is not None])
    _, problems, dimensions = point_TBD.shape
    beliefs = Posterior(problems, dimensions, len(value_TB), device=value_TB.device)
    found = [value_TB[0]]
    for step in range(1, len(value_TB)):
        beliefs.add(point_TBD[step - 1].detach(), value_TB[step - 1].detach())
        process = beliefs.likeliest()
        belief = beliefs.at(point_TBD[step][:, None], process)
        gain_B = log_expected_improvement(belief, process.least_B)[:, 0].exp()
        found.append(-process.unit_B * gain_B)
    return torch.stack(found)


LOSSES = {
    OBSERVED: observed_improvement, EXPECTED: expected_improvement, SUM: lambda episodes: episodes.scores["value"],
}  # fmt: skip

LEARNER = BlackBox()
"""What the engine finds by its entry point."""
