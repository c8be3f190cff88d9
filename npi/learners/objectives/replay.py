"""Off-policy learning from a replay memory: a deterministic policy and a critic that are moved apart (Lillicrap 2016).

Actors run in lockstep by the number of the update, so that a run is reproducible.

Shape legend: ``B`` instances, ``M`` transitions of a sample, ``P`` parameters of a row, ``X`` payload.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch

from envs.stepper import Action, Observation
from envs.world import Episodes
from npi.core.config import COUNT, at_least, setting, share
from npi.learners.interface import Learner, LearnerCore, LearnerTraining, TaskInput
from npi.learners.objectives.base import LearnerObjective
from npi.learners.rollout import calls, rollout
from npi.learners.tasks import Batch, Problems, TaskGroup
from npi.training.loop import Loss, State
from npi.training.ranks import Parcel, Ranks

SAMPLES = 5
"""What random numbers are for, as a part of seeds: the transitions of an optimiser step."""

Shard = Mapping[str, torch.Tensor]
"""Transitions that were appended together, by column, M first."""


@dataclass(frozen=True)
class ReplayTraining(LearnerTraining):
    """How a core is trained from a replay memory.

    Attributes:
        optimizer_steps: after each rollout. sample: transitions of each. shards: rollouts that are remembered.
        discount: of scores to come. tracking: share of the core that its target takes on in each step.
    """

    optimizer_steps: int = setting(8, at_least(1))
    sample: int = setting(256, COUNT)
    shards: int = setting(50, COUNT)
    discount: float = setting(0.95, share())
    tracking: float = setting(0.02, share())


class ValuedCore(LearnerCore):
    """A core without memory between steps whose actions are differentiable, with a critic of them.

    Its ``parameter_groups`` are ``actor`` and ``critic``.
    """

    @abstractmethod
    def action_value(self, task: TaskInput, seen: Observation, action: Action) -> torch.Tensor:
        """float32 B: the discounted sum of scores from an action on."""


@final
class Replay(LearnerObjective):
    """Each update: a rollout with exploration noise into the memory, then steps on samples of it."""

    core: ValuedCore
    training: ReplayTraining

    def __init__(
        self, learner: Learner, core: ValuedCore, rows_NP: torch.Tensor, problems: Problems, training: ReplayTraining
    ) -> None:
        super().__init__(learner, core, rows_NP, problems, training)
        self.target = copy.deepcopy(core).requires_grad_(False)
        self.memory: dict[int, dict[int, Shard]] = {place: {} for place in range(len(problems.groups))}
        """For each group the transitions of the last rollouts, by the number of their update."""

    def optimizer_steps(self, group: TaskGroup) -> int:
        return self.training.optimizer_steps

    def batch_losses(self, group: TaskGroup, number: int, progress: float, ranks: Ranks) -> Iterator[tuple[Loss, ...]]:
        memory = self.memory[self.problems.groups.index(group)]
        memory[number] = self._collect(group, number, ranks)
        for oldest in list(memory)[: -self.training.shards]:
            del memory[oldest]
        whole = {name: torch.cat([shard[name] for shard in memory.values()]) for name in memory[number]}
        generator = torch.Generator().manual_seed(self.seed(SAMPLES, number))
        for _ in range(self.training.optimizer_steps):
            chosen_M = torch.randint(len(whole["row"]), (self.training.sample,), generator=generator)
            mine_M = ranks.share(chosen_M).to(self.device)
            sample = {name: column[mine_M] for name, column in whole.items()}
            weight = len(mine_M) / len(chosen_M)
            critic, actor = self._losses(group, sample)
            apart = (critic, ("critic",)), (actor, ("actor", "rows"))
            moved = [(loss, tuple(name for name in names if name in self.groups())) for loss, names in apart]
            yield tuple(Loss(weight * loss, names) for loss, names in moved if names)
            with torch.no_grad():
                for old, new in zip(self.target.parameters(), self.core.parameters(), strict=True):
                    old.lerp_(new, self.training.tracking)

    def _losses(self, group: TaskGroup, sample: Shard) -> tuple[torch.Tensor, torch.Tensor]:
        row_MP = self.rows_NP[sample["row"]]
        task = TaskInput(group.world.spec, group.index, row_MP, sample["arguments"])
        still = TaskInput(group.world.spec, group.index, row_MP.detach(), sample["arguments"])
        seen, after = (unpacked(sample, name) for name in ("seen", "after"))
        action = Action(sample["call"], sample.get("payload"))
        with torch.no_grad():
            next_action = self.target.step(still, after, self._hidden(still)).action
            goes_on_M = ~sample["ended"]
            later_M = goes_on_M * self.target.action_value(still, after, next_action)
            goal_M = sample["score"] + self.training.discount * later_M
        critic = (self.core.action_value(still, seen, action) - goal_M).square().mean()
        value_M = self.core.action_value(task, seen, self.core.step(task, seen, self._hidden(task)).action)
        return critic, -value_M.mean()

    def _hidden(self, task: TaskInput) -> torch.Tensor:
        return task.row_BP.new_zeros(len(task.row_BP), self.core.hidden_size(task.spec))

    @torch.no_grad()
    def _collect(self, group: TaskGroup, number: int, ranks: Ranks) -> Shard:
        """The transitions of a rollout, those of all ranks on each of them."""
        batch = self.batch(group, number, ranks)
        draw = self.exploration(batch, number)
        task = group.input(batch, self.rows_NP.detach()[batch.row_B])
        hidden_BH = self.core.begin(task, group.world.observe(batch.state))
        episodes, _ = rollout(self.core, group.world, batch.state, task, hidden_BH, group.steps, draw=draw)
        parcels = ranks.gather(Parcel(transitions(episodes, batch, group.signal[1], group.sign)))
        columns = {name: torch.cat([p.tensors[name] for p in parcels]).to(self.device) for name in parcels[0].tensors}
        order_M = columns.pop("order").argsort()  # as one rank has them
        return {name: column[order_M] for name, column in columns.items()}

    def state_dict(self) -> State:
        """The target, and the memory by shards, each of which a checkpoint writes once."""
        own = super().state_dict()
        tensors = {f"target.{name}": tensor for name, tensor in self.target.state_dict().items()}
        shards = {f"memory.{place}.{n}": shard for place, memory in self.memory.items() for n, shard in memory.items()}
        for start, shard in shards.items():
            tensors |= {f"{start}.{name}": column for name, column in shard.items()}
        return State(tensors, own.facts, tuple(shards))

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(State({}, state.facts))
        target: dict[str, torch.Tensor] = {}
        shards: dict[tuple[int, int], dict[str, torch.Tensor]] = {}
        for name, tensor in state.tensors.items():
            what, _, rest = name.partition(".")
            if what == "target":
                target[rest] = tensor
            else:
                place, number, column = rest.split(".", 2)
                shards.setdefault((int(place), int(number)), {})[column] = tensor
        self.target.load_state_dict(target)
        for (group, update), shard in sorted(shards.items()):
            self.memory[group][update] = shard


def transitions(episodes: Episodes, batch: Batch, score: str, sign: int) -> dict[str, torch.Tensor]:
    """The live steps of episodes as columns."""
    assert episodes.actions is not None
    live_TB, T = episodes.live_TB, episodes.steps
    payloads = [action.payload_BX for action in episodes.actions if action.payload_BX is not None]
    columns = {
        "order": batch.whole * torch.arange(T, device=live_TB.device)[:, None] + batch.index_B,
        "row": batch.row_B.expand(T, -1),
        "arguments": batch.arguments_B3.expand(T, -1, -1),
        "call": calls(episodes),
        "score": sign * episodes.scores[score],
        "ended": episodes.ended_TB,
        **packed(episodes.seen[:-1], "seen"),
        **packed(episodes.seen[1:], "after"),
    }
    if payloads:
        columns["payload"] = torch.stack(payloads)
    return {name: column[live_TB] for name, column in columns.items()}


def packed(seen: Sequence[Observation], prefix: str) -> dict[str, torch.Tensor]:
    """Observations as columns, T × B first. Ragged channels are no part of a transition."""
    found = {f"{prefix}.fields": torch.stack([observation.fields_BF for observation in seen])}
    for name in seen[0].channels:
        parts = [observation.channels[name] for observation in seen]
        found[f"{prefix}.channels.{name}"] = torch.stack([part for part in parts if isinstance(part, torch.Tensor)])
    return found


def unpacked(sample: Shard, prefix: str) -> Observation:
    """The inverse of :func:`packed`, for a sample."""
    start = f"{prefix}.channels."
    channels = {name.removeprefix(start): column for name, column in sample.items() if name.startswith(start)}
    return Observation(sample[f"{prefix}.fields"], channels)
