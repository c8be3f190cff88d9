"""Off-policy learning from a replay memory: a deterministic policy and a critic that are moved apart (Lillicrap 2016).

Actors run in lockstep by the number of the update, so that a run is reproducible.

Shape legend: ``B`` instances, ``M`` transitions of a sample, ``P`` parameters of a row, ``X`` payload.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from envs.stepper import Action, Observation
from envs.support.typed_json import typed
from npi.core.config import COUNT, at_least, setting, share, within
from npi.learners.interface import Learner, LearnerCore, LearnerTraining, TaskInput
from npi.learners.objectives.base import LearnerObjective
from npi.learners.objectives.replay_memory import SCORE, Memory, Shard, discounted, transitions, unpacked
from npi.learners.rollout import rollout
from npi.learners.tasks import Batch, Problems, TaskGroup
from npi.training.loop import Loss, State
from npi.training.ranks import Parcel, Ranks

SAMPLES = 5
"""What random numbers are for, as a part of seeds: the transitions of an optimiser step."""


@dataclass(frozen=True)
class ReplayTraining(LearnerTraining):
    """How a core is trained from a replay memory.

    Attributes:
        optimizer_steps: after each rollout. sample: transitions of each. shards: rollouts that are remembered.
        discount: of scores to come. tracking: share of the core that its target takes on in each step.
        returns: scores that are added up before the critic is asked what is to come (n-step returns).
    """

    optimizer_steps: int = setting(8, at_least(1))
    sample: int = setting(256, COUNT)
    shards: int = setting(50, COUNT)
    discount: float = setting(0.95, share())
    tracking: float = setting(0.02, share())
    returns: int = setting(1, within(1, 100))


class OffPolicy(LearnerObjective):
    """Each update: a rollout with exploration noise into the memory, then steps on samples of it."""

    training: ReplayTraining

    def __init__(
        self, learner: Learner, core: LearnerCore, rows_NP: torch.Tensor, problems: Problems, training: ReplayTraining
    ) -> None:
        super().__init__(learner, core, rows_NP, problems, training)
        self.memories = [Memory(training.shards) for _ in problems.groups]
        """For each group the transitions of its last rollouts, by the number of their update."""
        self.collected = [0 for _ in problems.groups]
        """How many steps each group has taken in its world so far."""
        self.tracked = self.targets()
        """What targets follow, and the targets."""

    @abstractmethod
    def targets(self) -> tuple[tuple[nn.Module, nn.Module], ...]:
        """Modules, and copies of them that follow slowly."""

    @abstractmethod
    def sample_losses(self, group: TaskGroup, sample: Shard, weight: float) -> tuple[Loss, ...]:
        """The losses of an optimiser step, times ``weight``, of this rank's share of a sample."""

    def remembered(self, group: TaskGroup, task: TaskInput, seen: Observation) -> Observation:
        """What the memory keeps of an observation: all but ragged channels."""
        return seen

    def actor(self, group: TaskGroup, batch: Batch, number: int) -> LearnerCore:
        """What acts in a rollout: the core."""
        return self.core

    def sources(self, group: TaskGroup) -> Sequence[Memory]:
        """The memories that a group learns from: its own."""
        return [self.memories[self.problems.groups.index(group)]]

    def optimizer_steps(self, group: TaskGroup) -> int:
        return self.training.optimizer_steps

    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        place, shard = self.problems.groups.index(group), self._collect(group, number, ranks)
        self.memories[place].append(number, shard)
        self.collected[place] += len(shard["row"])
        generator = torch.Generator().manual_seed(self.seed(SAMPLES, number))
        for _ in range(self.training.optimizer_steps):
            sources = self.sources(group)
            chosen_M = torch.randint(sum(map(len, sources)), (self.training.sample,), generator=generator)
            mine_M = ranks.share(chosen_M).to(self.device)
            losses = self.sample_losses(group, sampled(sources, mine_M), len(mine_M) / len(chosen_M))
            moving = self.groups()
            moved = [(loss, tuple(name for name in loss.groups or moving if name in moving)) for loss in losses]
            yield tuple(Loss(loss.value, names) for loss, names in moved if names)
            with torch.no_grad():
                for module, target in self.tracked:
                    for old, new in zip(target.parameters(), module.parameters(), strict=True):
                        old.lerp_(new, self.training.tracking)

    @torch.no_grad()
    def _collect(self, group: TaskGroup, number: int, ranks: Ranks) -> Shard:
        """The transitions of a rollout, those of all ranks on each of them."""
        batch = self.batch(group, number, ranks)
        draw = self.exploration(batch, number)
        task = group.input(batch, self.rows_NP.detach()[batch.row_B])
        hidden_BH = self.core.begin(task, group.world.observe(batch.state))
        actor = self.actor(group, batch, number)
        episodes, _ = rollout(actor, group.world, batch.state, task, hidden_BH, group.steps, draw=draw)
        kept = [self.remembered(group, task, seen) for seen in episodes.seen]
        columns = transitions(episodes, batch, kept, self.training.returns)
        parcels = ranks.gather(Parcel(columns))
        columns = {name: torch.cat([p.tensors[name] for p in parcels]).to(self.device) for name in parcels[0].tensors}
        order_M = columns.pop("order").argsort()  # as one rank has them
        return {name: column[order_M] for name, column in columns.items()}

    def state_dict(self) -> State:
        """The targets, and the memory by shards, each of which a checkpoint writes once."""
        own = super().state_dict()
        tensors = {
            f"target.{place}.{name}": tensor
            for place, (_, target) in enumerate(self.tracked)
            for name, tensor in target.state_dict().items()
        }
        shards = {
            f"memory.{place}.{number}": shard
            for place, memory in enumerate(self.memories)
            for number, shard in memory.by_number().items()
        }
        for start, shard in shards.items():
            tensors |= {f"{start}.{name}": column for name, column in shard.items()}
        return State(tensors, {**own.facts, "collected": self.collected}, tuple(shards))

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(State({}, state.facts))
        self.collected = typed(list[int], state.facts["collected"])
        targets: dict[int, dict[str, torch.Tensor]] = {}
        shards: dict[tuple[int, int], dict[str, torch.Tensor]] = {}
        for name, tensor in state.tensors.items():
            what, place, rest = name.split(".", 2)
            if what == "target":
                targets.setdefault(int(place), {})[rest] = tensor
            else:
                update, column = rest.split(".", 1)
                shards.setdefault((int(place), int(update)), {})[column] = tensor
        for number, tensors in targets.items():
            self.tracked[number][1].load_state_dict(tensors)
        for (group, rollout_number), shard in sorted(shards.items()):
            self.memories[group].append(rollout_number, shard)


def sampled(sources: Sequence[Memory], index_M: torch.Tensor) -> Shard:
    """The transitions of these places of memories, which count as one behind the other."""
    found, first = list[Shard](), 0
    for memory in sources:
        found.append(memory.sample(index_M[(index_M >= first) & (index_M < first + len(memory))] - first))
        first += len(memory)
    return found[0] if len(found) == 1 else {name: torch.cat([part[name] for part in found]) for name in found[0]}


class ValuedCore(LearnerCore):
    """A core without memory between steps whose actions are differentiable, with a critic of them.

    Its ``parameter_groups`` are ``actor`` and ``critic``.
    """

    @abstractmethod
    def action_value(self, task: TaskInput, seen: Observation, action: Action) -> torch.Tensor:
        """float32 B: the discounted sum of scores from an action on."""


@final
class Replay(OffPolicy):
    """The critic is a part of the core and says one number; its loss is the squared error."""

    core: ValuedCore

    def targets(self) -> tuple[tuple[nn.Module, nn.Module], ...]:
        self.target = copy.deepcopy(self.core).requires_grad_(False)
        return ((self.core, self.target),)

    def sample_losses(self, group: TaskGroup, sample: Shard, weight: float) -> tuple[Loss, ...]:
        row_MP = self.rows_NP[sample["row"]]
        task = TaskInput(group.world.spec, group.index, row_MP, sample["arguments"])
        still = TaskInput(group.world.spec, group.index, row_MP.detach(), sample["arguments"])
        seen, after = (unpacked(sample, name) for name in ("seen", "after"))
        action = Action(sample["call"], sample.get("payload"))
        discount = self.training.discount
        with torch.no_grad():
            next_action = self.target.step(still, after, self._hidden(still)).action
            goes_on_M = ~sample["ended"]
            later_M = goes_on_M * self.target.action_value(still, after, next_action)
            won_M = discounted(group.sign * sample[SCORE + group.signal[1]], discount)
            goal_M = won_M + discount ** sample["steps"] * later_M
        critic = (self.core.action_value(still, seen, action) - goal_M).square().mean()
        value_M = self.core.action_value(task, seen, self.core.step(task, seen, self._hidden(task)).action)
        return Loss(weight * critic, ("critic",)), Loss(-weight * value_M.mean(), ("actor", "rows"))

    def _hidden(self, task: TaskInput) -> torch.Tensor:
        return task.row_BP.new_zeros(len(task.row_BP), self.core.hidden_size(task.spec))
