"""The smallest learner that acts by calls: a policy that remembers in a GRU, and a row for every program."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action, Observation
from envs.world import Episodes, World
from npi.learners.interface import Draw, LearnerConfig, LearnerCore, StepOutput, TaskInput, choice
from npi.learners.objectives.on_policy import OnPolicy, OnPolicyTraining
from tests.support.small_learners import SmallLearner, program_file


@dataclass(frozen=True)
class TinyConfig(LearnerConfig):
    """Of :class:`Tiny`."""

    kind: str = "tiny"
    row: int = 4
    hidden: int = 16


class TinyCore(LearnerCore):
    """Fields and row into a GRU; out comes a choice of the one argument of one primitive, and a value."""

    def __init__(self, config: TinyConfig, spec: WorldSpec, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.sizes = [field.size for field in spec.fields]
        self.choices = len(spec.primitives[0].slots[0].tokens)
        self.cell = nn.GRUCell(sum(self.sizes) + config.row, config.hidden)
        self.head = nn.Linear(config.hidden + config.row, self.choices + 1)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2, generator=generator)

    def hidden_size(self, spec: WorldSpec) -> int:
        return self.cell.hidden_size

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        columns = zip(seen.fields_BF.unbind(1), self.sizes, strict=True)
        shown = [nn.functional.one_hot(column, size).float() for column, size in columns]
        hidden_BH = self.cell(torch.cat([*shown, task.row_BP], 1), hidden_BH)
        logit_BA, value_B1 = self.head(torch.cat([hidden_BH, task.row_BP], 1)).split([self.choices, 1], 1)
        log_BA = logit_BA.log_softmax(1)
        call_B4 = torch.zeros(len(log_BA), 1 + SLOTS, dtype=torch.int64, device=log_BA.device)
        call_B4[:, 1] = 1 + choice(log_BA.exp(), draw)
        entropy_B = -(log_BA.exp() * log_BA).sum(1)
        return StepOutput(Action(call_B4), hidden_BH, {"log_BA": log_BA, "value": value_B1[:, 0], "entropy": entropy_B})

    def likelihood(self, step: StepOutput, action: Action) -> torch.Tensor:
        return step.extras["log_BA"].gather(1, action.call_B4[:, 1:2] - 1)[:, 0]


class Tiny(SmallLearner):
    """Advantage actor-critic."""

    kind, signals, trained_by = "tiny", (("maximise", "reward"),), OnPolicy
    config = TinyConfig
    training = OnPolicyTraining(updates=60, batch=32, rate=1e-2, check_every=20, problems=32)
    learning = OnPolicyTraining(updates=20, batch=32, check_every=10, problems=32, starts=2)

    def core(self, config: Any, specs: Sequence[WorldSpec], *, generator: torch.Generator) -> TinyCore:
        (spec,) = specs
        return TinyCore(config, spec, generator)

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        parts = {"reward": episodes.scores["reward"], "regret": episodes.extras.get("regret")}
        return {name: part.sum(0) for name, part in parts.items() if part is not None}


LEARNER = Tiny()

EASY = program_file("bandit(arms: 2, family: easy, steps: 40)", "maximise reward", "tiny", 20, count="TRIAL")
"""Find the better arm."""
