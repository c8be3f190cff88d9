"""A learner in a world for some steps: from what it observes to what that brought.

Shape legend: ``B`` problems, ``K`` steps, ``H`` hidden numbers, ``D`` parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from envs.world import Lossy, Rewarded, World
from npi.hosted.learner import Asked, Learner, Roll, Step


def check_signal(learner: Learner, world: World[Any]) -> None:
    """Raise ``ValueError`` for a world that does not have the learner's signal."""
    needed: type = Rewarded if learner.signal == "reward" else Lossy
    if not isinstance(world, needed):
        raise ValueError(
            f"world {world.spec.name} ({world.spec.kind}) has no {learner.signal}, which {learner.kind!r} learns from; "
            f"use a kind of world that has one ({needed.__name__} in envs/world.py)"
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
    generator: torch.Generator | None = None,
    judged: bool = False,
) -> tuple[Roll, torch.Tensor]:
    """So many steps of a batch, and the hidden numbers after them; ``state`` is changed.

    Args:
        hidden_BH: zeros at a program's beginning.
        begun, ends: as in :class:`npi.hosted.learner.Roll`.
        generator: of the luck of exploring; None where nothing is left to it.
        judged: note regrets, too.
    """
    if learner.signal == "reward":
        return _rewarded(learner, net, world, state, asked, hidden_BH, steps, begun, ends, generator, judged)
    return _losing(learner, net, world, state, asked, hidden_BH, steps, begun, ends, generator)


def _rewarded(
    learner: Learner,
    net: nn.Module,
    world: Any,
    state: Any,
    asked: Asked,
    hidden_BH: torch.Tensor,
    steps: int,
    begun: int,
    ends: bool,
    generator: torch.Generator | None,
    judged: bool,
) -> tuple[Roll, torch.Tensor]:
    everyone_B = torch.ones(state.batch, dtype=torch.bool, device=state.device)
    seen, taken, rewards, regrets = [], [], [], []
    for _ in range(steps):
        seen.append(world.observe(state))
        step = learner.step(net, asked, seen[-1], hidden_BH, generator=generator)
        if judged:
            regrets.append(world.best(state) - world.worth(state, step.act))
        world.act(state, step.act, everyone_B)
        rewards.append(world.reward(state))
        taken.append(step)
        hidden_BH = step.hidden_BH
    regret_KB = torch.stack(regrets) if judged else None
    signal_KB = torch.stack(rewards)
    return _roll(asked, seen, taken, signal_KB, torch.zeros_like(signal_KB[0]), begun, ends, regret_KB), hidden_BH


def _losing(
    learner: Learner,
    net: nn.Module,
    world: Any,
    state: Any,
    asked: Asked,
    hidden_BH: torch.Tensor,
    steps: int,
    begun: int,
    ends: bool,
    generator: torch.Generator | None,
) -> tuple[Roll, torch.Tensor]:
    """The parameters' graph reaches back to the stretch's first step; gradients that are observed have none
    (Andrychowicz et al. 2016, section 2.1: the dashed edges of figure 2 are dropped)."""
    learns = torch.is_grad_enabled()
    world.detach(state)
    seen, taken, losses = [], [], []
    with torch.enable_grad():
        loss_B = world.loss(state)
        first_B = loss_B.detach()
        for _ in range(steps):
            (gradient_BD,) = torch.autograd.grad(loss_B.sum(), world.parameters(state), retain_graph=learns)
            seen.append(gradient_BD)
            with torch.set_grad_enabled(learns):
                step = learner.step(net, asked, gradient_BD, hidden_BH, generator=generator)
            world.move(state, step.act)
            if not learns:
                world.detach(state)
            loss_B = world.loss(state)
            losses.append(loss_B if learns else loss_B.detach())
            taken.append(step)
            hidden_BH = step.hidden_BH
    if not learns:
        world.detach(state)
    return _roll(asked, seen, taken, torch.stack(losses), first_B, begun, ends, None), hidden_BH


def _roll(
    asked: Asked,
    seen: Sequence[torch.Tensor],
    taken: Sequence[Step],
    signal_KB: torch.Tensor,
    first_B: torch.Tensor,
    begun: int,
    ends: bool,
    regret_KB: torch.Tensor | None,
) -> Roll:
    notes = _stacked(step.notes for step in taken)
    return Roll(asked, seen, [step.act for step in taken], notes, signal_KB, first_B, begun, ends, regret_KB)


def _stacked(notes: Iterable[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    every = list(notes)
    return {name: torch.stack([one[name] for one in every]) for name in (every[0] if every else {})}
