"""Learning to optimise by gradient (Andrychowicz et al. 2016); the core is in :mod:`meta.optimisation.network`.

Shape legend: ``T`` steps, ``N`` rows, ``P`` parameters of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from envs.spec import WorldSpec
from envs.world import Episodes, World
from meta.optimisation.network import KIND, OptimiserConfig, OptimiserCore, gradient
from npi.core.config import POSITIVE, setting
from npi.learners.objectives.unrolled import Unrolled, UnrolledTraining
from npi.learners.tasks import Problems

HORIZONS = (20, 50, 100)
"""Steps after which the loss is judged, beside the mean over all."""


@dataclass(frozen=True)
class OptimiserTraining(UnrolledTraining):
    """How cores are trained.

    Attributes:
        floor: added to losses before their logarithm; beside losses much smaller than it the mean counts.
    """

    floor: float = setting(1e-6, POSITIVE)


class Optimiser:
    """The learner (implements ``npi.learners.interface.Learner``)."""

    kind, signals, anywhere = KIND, (("minimise", "loss"),), True
    config = OptimiserConfig
    training = OptimiserTraining(
        updates=500,
        batch=192,
        hidden_budget=400_000,
        truncation=20,
        rate=2e-3,
        row_rate=3e-3,
        clip=0.05,
        check_every=50,
        problems=32,
    )
    learning = OptimiserTraining(
        updates=40, batch=16, hidden_budget=750_000, truncation=20, row_rate=5e-3, check_every=40, problems=64, starts=2
    )

    def admit(self, spec: WorldSpec) -> None:
        gradient(spec)

    def core(self, config: OptimiserConfig, specs: Sequence[WorldSpec], *, generator: torch.Generator) -> OptimiserCore:
        return OptimiserCore(config, generator=generator)

    def objective(
        self, core: OptimiserCore, rows_NP: torch.Tensor, problems: Problems, training: OptimiserTraining
    ) -> Unrolled:
        """The logarithm of the problems' mean loss after a step, in the mean over steps.

        The mean is what is reported; its logarithm lets late steps, and families of every scale, count as much.
        """

        def logarithm(mean_T: torch.Tensor) -> torch.Tensor:
            return (mean_T + training.floor).log()

        return Unrolled(self, core, rows_NP, problems, training, transform=logarithm)

    def infer_row(self, core: OptimiserCore, evidence: Episodes) -> None:
        """Rows are learned by gradient."""

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        """The mean over all steps, and the losses at some."""
        loss_TB = episodes.scores["loss"]
        return {"loss": loss_TB.mean(0)} | {f"loss at {t}": loss_TB[t - 1] for t in HORIZONS if t <= len(loss_TB)}


LEARNER = Optimiser()
