"""A core in a world for some steps.

Shape legend: ``B`` instances (of this rank, of ``W`` in the whole batch), ``T`` steps, ``H`` hidden numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from envs.stepper import Action, Observation
from envs.world import Ending, Episodes, Layout, Privileged, Scored, World
from npi.learners.interface import Draw, LearnerCore, StepOutput, TaskInput

STRETCH = 8
"""Steps after which it is looked whether all instances have come to their ends."""

Notes = Callable[[Any, Action], Mapping[str, torch.Tensor]]
"""What is kept of a step beside the rest, by name and B first: of the state before an action, and of the action."""


def rollout(
    core: LearnerCore,
    world: World[Any],
    state: Any,
    task: TaskInput,
    hidden_BH: torch.Tensor,
    steps: int,
    *,
    draw: Draw | None = None,
    first_step: int = 0,
    notes: Notes | None = None,
) -> tuple[Episodes, torch.Tensor]:
    """So many steps of a batch, and the hidden numbers after them; ``state`` changes.

    Where a graph is made it reaches back to the first of these steps, through the world where that is differentiable.
    Instances stay as they are behind a true end; where all have come to one, the rest of the steps is left out.

    Args:
        draw: of exploration noise; without it the likeliest actions are taken.
        first_step: steps of the program before these.
    """
    scored, ending = isinstance(world, Scored), isinstance(world, Ending)
    everyone_B = torch.ones(state.batch, dtype=torch.bool, device=state.device)
    live, scores, extras = list[torch.Tensor](), list[Mapping[str, torch.Tensor]](), list[Mapping[str, torch.Tensor]]()

    def respond(step: StepOutput) -> Observation:
        if notes is not None:
            extras.append(notes(state, step.action))
        world.act(state, step.action, live[-1])
        scores.append(world.score(state) if scored else {})  # type: ignore[attr-defined]
        live.append(~world.ended(state) if ending else everyone_B)  # type: ignore[attr-defined]
        return world.observe(state)

    if scored:
        world.detach(state)  # type: ignore[attr-defined]
    live.append(~world.ended(state) if ending else everyone_B)  # type: ignore[attr-defined]
    seen, taken = [world.observe(state)], list[StepOutput]()
    while len(taken) < steps and not (ending and taken and not bool(live[-1].any())):
        count = min(STRETCH, steps - len(taken)) if ending else steps
        more, acted = core.generate(task, seen[-1], respond, hidden_BH, count, draw=draw)
        seen, taken, hidden_BH = [*seen, *more[1:]], [*taken, *acted], acted[-1].hidden_BH
    live_JB = torch.stack(live)
    episodes = Episodes(
        seen=seen,
        actions=[step.action for step in taken],
        scores=stacked(scores),
        live_TB=live_JB[:-1],
        ended_TB=live_JB[:-1] & ~live_JB[1:],
        row_BP=task.row_BP,
        extras=stacked([step.extras for step in taken]) | stacked(extras),
        first_step=first_step,
    )
    return episodes, hidden_BH


@torch.no_grad()
def play(
    core: LearnerCore, world: World[Any], state: Any, task: TaskInput, steps: int, *, draw: Draw | None = None
) -> Episodes:
    """Whole programs from their beginning, with the regret of each action where the world knows it."""

    def regret(state: Any, action: Action) -> Mapping[str, torch.Tensor]:
        assert isinstance(world, Privileged)
        return {"regret": world.optimum(state) - world.value(state, action)}

    hidden_BH = core.begin(task, world.observe(state))
    notes = regret if isinstance(world, Privileged) else None
    return rollout(core, world, state, task, hidden_BH, steps, draw=draw, notes=notes)[0]


@torch.no_grad()
def predicted(core: LearnerCore, world: World[Any], layouts: Sequence[Layout], task: TaskInput, steps: int) -> Episodes:
    """What a world demonstrates (:class:`envs.world.Demonstrated`), with how likely the core finds each action of it.

    The same as :func:`play` in a world that shows what is demonstrated, whatever was done
    (:class:`npi.learners.interface.Predicting`).
    """
    generator = torch.Generator(task.row_BP.device).manual_seed(0)
    shown: Episodes = world.demonstrate(layouts, generator=generator)  # type: ignore[attr-defined]
    shown = first_steps(shown, steps)
    unrolled = core.unroll(task, shown, core.begin(task, shown.seen[0]))
    return replace(shown, row_BP=task.row_BP, extras=unrolled)


def first_steps(episodes: Episodes, steps: int) -> Episodes:
    """So many steps at most, from the first."""
    return replace(
        episodes,
        seen=episodes.seen[: steps + 1],
        actions=None if episodes.actions is None else episodes.actions[:steps],
        scores={name: score_TB[:steps] for name, score_TB in episodes.scores.items()},
        live_TB=episodes.live_TB[:steps],
        ended_TB=episodes.ended_TB[:steps],
        extras={name: extra_TB[:steps] for name, extra_TB in episodes.extras.items()},
    )


def carry_out(world: World[Any], state: Any, episodes: Episodes) -> None:
    """The actions of episodes in a world, which is as it was before them."""
    for action, live_B in zip(episodes.actions or (), episodes.live_TB, strict=True):
        world.act(state, action, live_B)


def calls(episodes: Episodes) -> torch.Tensor:
    """call_TB4 of what was done."""
    assert episodes.actions is not None
    return torch.stack([action.call_B4 for action in episodes.actions])


def stacked(parts: list[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """By name, T first."""
    return {name: torch.stack([part[name] for part in parts]) for name in (parts[0] if parts else ())}


class GeneratorDraw:
    """Random numbers of a training batch; an instance has the same ones on any number of ranks (implements ``Draw``).

    Args:
        whole: W. index_B: the places of the instances in the whole batch.
    """

    def __init__(self, generator: torch.Generator, whole: int, index_B: torch.Tensor) -> None:
        self.generator, self.whole = generator, whole
        self.index_B = index_B if len(index_B) < whole else None

    def uniform(self, count: int) -> torch.Tensor:
        return self._share(self._empty(count).uniform_(generator=self.generator))

    def normal(self, count: int) -> torch.Tensor:
        return self._share(self._empty(count).normal_(generator=self.generator))

    def exponential(self, count: int) -> torch.Tensor:
        return self._share(self._empty(count).exponential_(generator=self.generator))

    def _empty(self, count: int) -> torch.Tensor:
        return torch.empty(self.whole, count, device=self.generator.device)

    def _share(self, number_WX: torch.Tensor) -> torch.Tensor:
        return number_WX if self.index_B is None else number_WX[self.index_B]
