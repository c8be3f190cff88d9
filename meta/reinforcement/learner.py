"""Meta-reinforcement learning: a recurrent actor-critic whose hidden state learns within an episode which actions pay
(Wang et al. 2016, section 2; Duan et al. 2016).

Observations also say what the last action led to, so all that is known of an episode lies in the hidden state, and the
weights stay as they are. Which family of tasks is played is said by the row alone.

Shape legend: ``B`` episodes, ``N`` rows, ``P`` parameters of a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from envs.spec import WorldSpec
from envs.world import Episodes, World
from meta.reinforcement.adapter import real_channels
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.network import ActorCritic
from meta.reinforcement.object_memory import places
from meta.reinforcement.object_slots import ObjectActorCritic
from npi.learners.interface import LearnerConfig
from npi.learners.objectives.base import LearnerObjective
from npi.learners.objectives.on_policy import OnPolicy, OnPolicyTraining
from npi.learners.objectives.stopping import Stopping
from npi.learners.tasks import Problems

MAX_CALLS = 4096
"""Calls that a policy can choose from."""


MAX_NUMBERS = 4096
"""In the real-valued channels of a world."""

Net = ActorCritic | ObjectActorCritic
"""A core of either kind."""


class MetaRL:
    """The learner (implements ``Learner``); see the head of this file."""

    kind, signals, anywhere = "meta-rl", (("maximise", "reward"),), False
    config: type[LearnerConfig] = MetaRLConfig
    training = OnPolicyTraining(updates=600, batch=256, rollouts=4, rate=5e-3, check_every=100)
    learning = OnPolicyTraining(updates=200, batch=128, rollouts=4, row_rate=3e-2, check_every=50)

    def admit(self, spec: WorldSpec) -> None:
        """Any world with at most :data:`MAX_CALLS` different calls and :data:`MAX_NUMBERS` real numbers; pictures in it
        must be several of one size."""
        if spec.rendered and not places(spec):
            raise ValueError(
                f"world {spec.name} shows pictures, and cores of {self.kind!r} encode only several of one size that "
                "stand for alike fields; declare it without"
            )
        numbers = sum(channel.size for channel in real_channels(spec))
        ragged = [channel.name for channel in real_channels(spec) if channel.ragged]
        if ragged or numbers > MAX_NUMBERS:
            what = f"{ragged[0]} of no fixed length" if ragged else f"{numbers} numbers"
            raise ValueError(
                f"world {spec.name} shows {what}, and cores of {self.kind!r} read at most {MAX_NUMBERS} numbers in "
                "channels of fixed lengths; declare it without"
            )
        count = sum(math.prod(len(slot.tokens) for slot in primitive.slots) for primitive in spec.primitives)
        if count > MAX_CALLS:
            raise ValueError(
                f"world {spec.name} has {count} different calls, and cores of {self.kind!r} choose among at most "
                f"{MAX_CALLS}; declare fewer tokens"
            )

    def core(self, config: Any, specs: Sequence[WorldSpec], *, generator: torch.Generator) -> Net:
        if config.object_slots:
            return ObjectActorCritic(config, specs, generator=generator)
        return ActorCritic(config, specs, generator=generator)

    def objective(
        self, core: Net, rows_NP: torch.Tensor, problems: Problems, training: OnPolicyTraining
    ) -> LearnerObjective:
        if training.stopping:
            return Stopping(self, core, rows_NP, problems, training, calls=core.calls)
        calls = core.calls if core.config.privileged else None
        return OnPolicy(self, core, rows_NP, problems, training, calls=calls)

    def infer_row(self, core: Net, evidence: Episodes) -> None:
        """Rows are learned by gradient."""

    def judge(self, world: World[Any], episodes: Episodes) -> dict[str, torch.Tensor]:
        """The sum of rewards; where the world knows it, the sum of regrets, and how often no call was worth more."""
        found = {"reward": (episodes.scores["reward"] * episodes.live_TB).sum(0)}
        if "regret" in episodes.extras:
            regret_TB, live_TB = episodes.extras["regret"], episodes.live_TB
            best_TB = (regret_TB < 1e-6) & live_TB
            found |= {"regret": (regret_TB * live_TB).sum(0), "best": best_TB.sum(0) / live_TB.sum(0).clamp(min=1)}
        return found


LEARNER = MetaRL()
