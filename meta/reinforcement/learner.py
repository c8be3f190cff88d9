"""Meta-reinforcement learning: a recurrent actor-critic whose hidden numbers learn within an episode what pays
(Wang et al. 2016, section 2; Duan et al. 2016).

What it sees of a step also tells what the last act brought, so that all it knows of an episode lies in its hidden
numbers, and its weights stay as they are. Which family of tasks it plays is said by its row alone.

Shape legend: ``B`` episodes, ``K`` steps, ``F`` observation fields, ``H`` hidden numbers, ``A`` calls to choose from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from envs.spec import WorldSpec
from envs.world import World
from meta.reinforcement.network import ActorCritic, MetaRLConfig
from meta.reinforcement.object_memory import places
from meta.reinforcement.privileged_critic import brought
from npi.learners.interface import Asked, HostedConfig, HostedTraining, Roll, Step

MOST_CALLS = 4096
"""Calls that a policy can choose from."""


class MetaRL:
    """The learner (implements ``Learner``); see the head of this file."""

    kind, signal, anywhere = "meta-rl", "reward", False
    config: type[HostedConfig] = MetaRLConfig
    training = HostedTraining(updates=600, batch=256, twins=4, rate=5e-3, check_every=100)
    learning = HostedTraining(updates=200, batch=128, twins=4, row_rate=3e-2, check_every=50)

    def admit(self, spec: WorldSpec) -> None:
        """Any world that has at most :data:`MOST_CALLS` different calls; pictures in it must be several of one size."""
        if spec.rendered and not places(spec):
            raise ValueError(
                f"world {spec.name} shows pictures, and cores of {self.kind!r} have eyes only for several of one size "
                "that stand for alike fields; declare it without"
            )
        count = sum(math.prod(len(slot.tokens) for slot in primitive.slots) for primitive in spec.primitives)
        if count > MOST_CALLS:
            raise ValueError(
                f"world {spec.name} has {count} different calls, and cores of {self.kind!r} choose among at most "
                f"{MOST_CALLS}; declare fewer tokens"
            )

    def network(self, config: Any, worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> nn.Module:
        return ActorCritic(config, worlds, generator=generator)

    def width(self, net: nn.Module, world: World[Any]) -> int:
        return _core(net).width(world.spec)

    @torch.no_grad()
    def step(
        self, net: nn.Module, asked: Asked, seen: torch.Tensor, hidden_BH: torch.Tensor, *,
        generator: torch.Generator | None,
    ) -> Step:  # fmt: skip
        """Draw a call, or take the likeliest. The graph is made by :meth:`loss`, for all steps at once."""
        core = _core(net)
        log_BA, value_B, after_BH = core.once(asked, core.told_once(asked), seen, hidden_BH)
        chosen_B = log_BA.argmax(1) if generator is None else drawn(log_BA, generator)
        log_B = log_BA.gather(1, chosen_B[:, None])[:, 0]
        notes = {"chosen": chosen_B, "log": log_B, "value": value_B, "hidden": hidden_BH}
        adapter = core.adapter(asked)
        weighed_A4 = adapter.call_A4 if adapter.insight is not None and generator is not None else None
        return Step(adapter.call_A4[chosen_B], after_BH, notes, weighed_A4)

    def loss(self, net: nn.Module, roll: Roll) -> torch.Tensor:
        """Advantage actor-critic (Mnih et al. 2016, section 4) on the stretch: policy, value, entropy."""
        core, asked = _core(net), roll.asked
        config = core.config
        seen_KBF, chosen_KB = torch.stack([*roll.seen]), roll.notes["chosen"]
        log_KBA, value_KB = core.whole(asked, core.told(asked), seen_KBF, roll.notes["hidden"][0], roll.worth_KBA)
        discount = between(config.discount, config.later_discount, roll.progress)
        reward_KB = roll.signal_KB
        if roll.worth_KBA is not None:
            reward_KB = brought(roll.worth_KBA, chosen_KB, regret=bool(config.regret))
        if roll.twin_B is not None:
            reward_KB = beside_twins(reward_KB, roll.twin_B)
        advantage_KB = advantages(reward_KB, value_KB.detach(), discount, config.trace, ends=roll.ends)
        K = len(advantage_KB)
        error_KB = value_KB[:K] - (advantage_KB + value_KB[:K].detach())
        weight_KB = (advantage_KB - advantage_KB.mean()) / (advantage_KB.std() + 1e-6)
        log_KB = log_KBA[:K].gather(2, chosen_KB[:K, :, None])[:, :, 0]
        entropy = -(log_KBA.exp() * log_KBA).sum(2).mean()
        explores = between(config.entropy, config.later_entropy, roll.progress)
        return config.value * error_KB.square().mean() - (log_KB * weight_KB).mean() - explores * entropy

    def judge(self, world: World[Any], roll: Roll) -> dict[str, torch.Tensor]:
        """The sum of rewards; where it was noted, the sum of regrets, and how often no call was worth more."""
        found = {"reward": roll.signal_KB.sum(0)}
        if roll.regret_KB is not None:
            found |= {"regret": roll.regret_KB.sum(0), "best": (roll.regret_KB < 1e-6).float().mean(0)}
        return found


def _core(net: nn.Module) -> ActorCritic:
    assert isinstance(net, ActorCritic)
    return net


def drawn(log_BA: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """int64 B: indices by log-probabilities."""
    return torch.multinomial(log_BA.exp(), 1, generator=generator)[:, 0]


def beside_twins(reward_KB: torch.Tensor, twin_B: torch.Tensor) -> torch.Tensor:
    """How much more each act brought than those of the same problem's other plays at the same step, on average.

    What others bring does not depend on what is done here, so the expected gradient is the same (a baseline that
    leaves one out: Kool et al. 2019); but the luck that all share, and what the problem is worth, is gone.
    """
    count_B = torch.bincount(twin_B)[twin_B]
    sum_KT = reward_KB.new_zeros(len(reward_KB), int(twin_B.max()) + 1).index_add_(1, twin_B, reward_KB)
    others_KB = (sum_KT[:, twin_B] - reward_KB) / (count_B - 1).clamp(min=1)
    return reward_KB - others_KB


def between(first: float, last: float, progress: float) -> float:
    """What changes evenly in training."""
    return first + (last - first) * progress


def advantages(
    reward_KB: torch.Tensor, value_KB: torch.Tensor, discount: float, trace: float, *, ends: bool
) -> torch.Tensor:
    """Generalised advantage estimates (Schulman et al. 2016, equation 16).

    Where the program goes on behind the stretch, the value of its last step stands for all that comes, and that step
    has no estimate of its own: there is one less than there are rewards.
    """
    if ends:
        value_KB = torch.cat([value_KB, torch.zeros_like(value_KB[:1])])
    count = len(value_KB) - 1
    delta_KB = reward_KB[:count] + discount * value_KB[1:] - value_KB[:-1]
    step_K = torch.arange(count, device=delta_KB.device)
    ahead_KK = (step_K - step_K[:, None]).to(delta_KB.dtype)
    decay_KK = torch.where(ahead_KK >= 0, (discount * trace) ** ahead_KK.clamp(min=0), 0.0)
    return decay_KK @ delta_KB


LEARNER = MetaRL()
