"""A learner in a world for some steps: from what it observes to what that brought.

Shape legend: ``B`` problems, ``K`` steps, ``H`` hidden numbers, ``D`` parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from envs.spec import SLOTS
from envs.stepper import Action
from envs.world import Scored, World
from npi.learners.interface import Asked, Learner, Roll, Step


def check_signal(learner: Learner, world: World[Any]) -> None:
    """Raise ``ValueError`` for a world that does not have the learner's signal."""
    if not isinstance(world, Scored) or learner.signal not in world.scores:
        raise ValueError(
            f"world {world.spec.name} ({world.spec.kind}) has no {learner.signal}, which {learner.kind!r} learns from; "
            "use a kind of world that has one (Scored in envs/world.py)"
        )


def rollout(
    learner: Learner,
    net: nn.Module,
    world: World[Any],
    state: Any,
    asked: Asked,
    hidden_BH: torch.Tensor,
    steps: int,
    *,
    begun: int = 0,
    ends: bool = True,
    twin_B: torch.Tensor | None = None,
    progress: float = 1.0,
    generator: torch.Generator | None = None,
    judged: bool = False,
) -> tuple[Roll, torch.Tensor]:
    """So many steps of a batch, and the hidden numbers after them; ``state`` is changed.

    Args:
        hidden_BH: zeros at a program's beginning.
        begun, ends, twin_B, progress: as in :class:`npi.learners.interface.Roll`.
        generator: of the luck of exploring; None where nothing is left to it.
        judged: note regrets, too, where there is a reward.
    """
    walk = _Walk(learner, net, world, state, asked, hidden_BH, generator)
    first_B = walk.rewarded(steps, judged=judged) if learner.signal == "reward" else walk.losing(steps)
    roll = Roll(
        asked=asked,
        seen=walk.seen,
        acts=[step.act for step in walk.taken],
        notes=_stacked(step.notes for step in walk.taken),
        signal_KB=torch.stack(walk.signals),
        first_B=first_B,
        begun=begun,
        ends=ends,
        twin_B=twin_B,
        progress=progress,
        worth_KBA=torch.stack(walk.worths) if walk.worths else None,
        regret_KB=torch.stack(walk.regrets) if walk.regrets else None,
    )
    return roll, walk.hidden_BH


@dataclass
class _Walk:
    """A batch on its way; what it saw, did and was told."""

    learner: Learner
    net: nn.Module
    world: Any
    state: Any
    asked: Asked
    hidden_BH: torch.Tensor
    generator: torch.Generator | None
    seen: list[torch.Tensor] = field(default_factory=list)
    taken: list[Step] = field(default_factory=list)
    signals: list[torch.Tensor] = field(default_factory=list)
    worths: list[torch.Tensor] = field(default_factory=list)
    regrets: list[torch.Tensor] = field(default_factory=list)

    def step(self, seen: torch.Tensor) -> torch.Tensor:
        """What the learner does."""
        step = self.learner.step(self.net, self.asked, seen, self.hidden_BH, generator=self.generator)
        self.seen.append(seen)
        self.taken.append(step)
        self.hidden_BH = step.hidden_BH
        return step.act

    def rewarded(self, steps: int, *, judged: bool) -> torch.Tensor:
        world, state = self.world, self.state
        everyone_B = torch.ones(state.batch, dtype=torch.bool, device=state.device)
        for _ in range(steps):
            call_B4 = self.step(world.observe(state).fields_BF)
            weighed_A4 = self.taken[-1].weighed_A4
            if weighed_A4 is not None:
                each = [world.value(state, Action(weighed_4.expand_as(call_B4))) for weighed_4 in weighed_A4]
                self.worths.append(torch.stack(each, 1))
            if judged:
                self.regrets.append(world.optimum(state) - world.value(state, Action(call_B4)))
            world.act(state, Action(call_B4), everyone_B)
            self.signals.append(world.score(state)["reward"])
        return torch.zeros_like(self.signals[0])

    def losing(self, steps: int) -> torch.Tensor:
        """The parameters' graph reaches back to the stretch's first step; gradients that are observed have none
        (Andrychowicz et al. 2016, section 2.1: the dashed edges of figure 2 are dropped)."""
        world, state = self.world, self.state
        everyone_B = torch.ones(state.batch, dtype=torch.bool, device=state.device)
        call_B4 = torch.zeros(state.batch, 1 + SLOTS, dtype=torch.int64, device=state.device)
        world.detach(state)
        first_B = world.score(state)["loss"].detach()
        for _ in range(steps):
            step_BD = self.step(world.observe(state).channels["gradient"])
            world.act(state, Action(call_B4, step_BD), everyone_B)
            self.signals.append(world.score(state)["loss"])
        return first_B


def _stacked(notes: Iterable[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    every = list(notes)
    return {name: torch.stack([one[name] for one in every]) for name in (every[0] if every else {})}
