"""Block stacking in a plane (Duan et al. 2017, section 4): towers are built as a demonstration builds them elsewhere.

A gripper moves as it is told, and takes and leaves blocks (:mod:`envs.control.stacking_hand`). A task says which block
belongs onto which one (:mod:`envs.control.stacking_tasks`). Nothing that is observed of a layout tells the task, but a
demonstration of it in another layout does (``shown: yes``), where the same blocks stand in the same order. Where all
stages are done and the gripper is empty, an episode is over.

In place of towers an episode can be about a skill, to take a block or to put one onto another
(:mod:`envs.control.stacking_skills`); then it has no end.

Splits differ in tasks and in layouts. ``MOVE`` takes a velocity and a grip; without them, as programs with bodies call
it, the gripper stays, and opens.

Shape legend: ``B`` instances, ``K`` blocks, ``S`` stages, ``L`` moments, ``D`` numbers of each, ``T`` steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from envs.control.demonstrations import BODY, DEMONSTRATION, OBJECTS, Demonstration, given_lines, packed
from envs.control.stacking_demonstrator import Goal, Shown, achieved, chosen, demonstrated, suggested
from envs.control.stacking_drawing import drawing
from envs.control.stacking_hand import CLOSE, FLOOR, NOTHING, SIDE, WALL, Bench, met, moved
from envs.control.stacking_settings import KIND, SIZES, TASK, StackingConfig, declaration
from envs.control.stacking_skills import DRAWN, FREE, NONE, SKILL, Skill, kinds, laid_out, skilled
from envs.control.stacking_tasks import (
    LETTERS,
    MAX_BLOCKS,
    MAX_STAGES,
    SPLIT,
    StackingTask,
    TaskTable,
    split_tasks,
    table,
)
from envs.episodic.trials import EPISODE, EpisodeState, Trials, columns, digits, episode_number
from envs.settings import laid_value, read_settings
from envs.spec import SLOTS, Field
from envs.stepper import Action, Observation, Ragged
from envs.support.counter_rng import below, mixed, uniform
from envs.support.lazy_torch import torch
from envs.world import Episodes, Given, Layout, check_given

SPACING, JITTER = 0.36, 0.03
"""Blocks begin on the table near the middles of cells."""

HIGHEST_START = 1.2

TRAIN = "train"

LOT = 500
"""Demonstrations that are made side by side."""

OTHER_LAYOUT, CELL, OFFSET, START, TASK_DRAWN, OWN, COUNT = range(121, 128)
"""What is drawn, as a part of the numbers that are mixed."""


@dataclass
class StackingState(EpisodeState):
    """A batch of layouts.

    Attributes:
        number_B, split_B, stages_B, skill_B, asked_B: int64, what was laid out beside the episode.
        task_B: int64, the task among those of its split.
        top_BS, under_BS: int64, blocks of its stages, -1 behind the last one; with a skill, what it puts and onto what.
        count_B: int64, how many blocks there are.
        puts_B: bool, height_B: float32, block_B: int64: see :class:`envs.control.stacking_skills.Skill`.
        hand_B2, closed_B, held_B, place_BK2: see :class:`envs.control.stacking_hand.Bench`.
        line_BLD: float32, the demonstration. length_B: int64, its moments.
    """

    number_B: torch.Tensor
    split_B: torch.Tensor
    stages_B: torch.Tensor
    skill_B: torch.Tensor
    asked_B: torch.Tensor
    task_B: torch.Tensor
    count_B: torch.Tensor
    top_BS: torch.Tensor
    under_BS: torch.Tensor
    puts_B: torch.Tensor
    height_B: torch.Tensor
    block_B: torch.Tensor
    hand_B2: torch.Tensor
    closed_B: torch.Tensor
    held_B: torch.Tensor
    place_BK2: torch.Tensor
    line_BLD: torch.Tensor
    length_B: torch.Tensor

    @property
    def goal(self) -> Goal:
        skill = Skill(self.skill_B != SKILL.values.index(NONE), self.puts_B, self.height_B, self.block_B)
        return Goal(self.top_BS, self.under_BS, skill)

    @property
    def bench(self) -> Bench:
        return Bench(self.hand_B2, self.closed_B, self.held_B, self.place_BK2, existing(self.count_B, self.place_BK2))


class Drawn(NamedTuple):
    """What a layout's number comes to: seed_B, from which all chance follows; the task's number, blocks and stages; the
    index of the skill in :data:`SKILL`, and what it is like."""

    seed_B: torch.Tensor
    task_B: torch.Tensor
    count_B: torch.Tensor
    top_BS: torch.Tensor
    under_BS: torch.Tensor
    skill_B: torch.Tensor
    puts_B: torch.Tensor
    height_B: torch.Tensor


class Stacking(Trials[StackingState]):
    """The world (implements ``World[StackingState]``, ``Scored``, ``Ending``, ``Demonstrated``, ``Suggesting``,
    ``Drawn`` and ``Bounded``)."""

    scores: Mapping[str, bool] = MappingProxyType({"success": True, "stages": True})

    def __init__(self, name: str, config: StackingConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, StackingConfig) else read_settings(StackingConfig, config, KIND)
        self.spec = declaration(name, self.config)
        self.tasks = {split: self._tasks(split) for split in SPLIT.values}
        self._names = [task.name for tasks in self.tasks.values() for task in tasks]
        self._kept: dict[tuple[str, int, int], Shown] = {}

    def _tasks(self, split: str) -> list[StackingTask]:
        allowed = self.config
        return [t for t in split_tasks(split) if t.blocks <= allowed.blocks and t.stages <= allowed.stages]

    @property
    def parts(self) -> tuple[Field, ...]:
        return self.spec.hidden[:-2]

    @property
    def longest(self) -> Mapping[str, int]:
        """Lines of the ragged channels (``Bounded``)."""
        return {OBJECTS: self.config.blocks, DEMONSTRATION: self.config.steps + 1}

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> StackingState:
        """Layouts by their numbers.

        Args:
            given: ``demonstration``, B × L × D, in place of the scripted one.
        """
        state = super().reset(layouts, device=device)
        check_given(self.spec, given, len(layouts))
        if given:
            held = given_lines(self.spec, given, SIZES, self.config.blocks)
            state.line_BLD, state.length_B = held.padded_BLX.to(device), held.lengths_B.to(device)
        return state

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        episode, task = (episode_number(number, layout, part.name) for part in (EPISODE, TASK))
        kept = SPLIT, self.config.counts, SKILL, self.config.about
        split, stages, skill, asked = (laid_value(number, layout, part, 0) for part in kept)
        tasks = self.tasks[SPLIT.values[split]]
        if task > len(tasks):
            raise ValueError(f"instance {number}: TASK is {task}; the split {SPLIT.values[split]!r} has {len(tasks)}")
        if not any(stages in (0, one.stages) for one in tasks):
            many = f"{stages or 'any number of'} stages among at most {self.config.blocks} blocks"
            raise ValueError(f"instance {number}: the split {SPLIT.values[split]!r} has no task of {many}")
        if asked and SKILL.values[skill] in (NONE, FREE):
            raise ValueError(f"instance {number}: BLOCK says which block a skill is about; lay out SKILL, too")
        return episode, task, split, stages, skill, asked

    def begun(self, laid_BX: torch.Tensor) -> StackingState:
        laid = columns(laid_BX)
        drawn = self._drawn(*laid)
        bench, goal = self._scene(drawn, laid[-1] - 1, OWN)
        nothing = bench.hand_B2.new_zeros(len(laid_BX), 1, 0), torch.zeros_like(laid[0])
        named = [drawn.task_B, drawn.count_B, goal.top_BS, goal.under_BS, *goal.skill[1:]]
        state = StackingState(*[*laid, *named, *bench[:-1], *nothing])
        if self.config.shown == "yes":
            told = packed(self._told(self._shown(state, OTHER_LAYOUT), state.count_B))
            state.line_BLD, state.length_B = told.padded_BLX, told.lengths_B
        return state

    # --- what is drawn -----------------------------------------------------------------------------------------------

    @cached_property
    def table(self) -> TaskTable:
        """All tasks, split by split."""
        return table([task for split in SPLIT.values for task in self.tasks[split]])

    @cached_property
    def choices(self) -> tuple[torch.Tensor, torch.Tensor]:
        """index_QN and many_Q: the tasks of each split and number of stages, the first of which is any number."""
        index = list(itertools.accumulate([len(self.tasks[split]) for split in SPLIT.values], initial=0))
        found = [
            [first + i for i, task in enumerate(self.tasks[split]) if stages in (0, task.stages)]
            for first, split in zip(index, SPLIT.values, strict=False)
            for stages in range(1 + self.config.stages)
        ]
        longest = max(map(len, found))
        padded = [tasks + [0] * (longest - len(tasks)) for tasks in found]
        return torch.tensor(padded), torch.tensor([len(tasks) for tasks in found])

    def _drawn(
        self,
        episode_B: torch.Tensor,
        number_B: torch.Tensor,
        split_B: torch.Tensor,
        stages_B: torch.Tensor,
        skill_B: torch.Tensor,
        asked_B: torch.Tensor,
    ) -> Drawn:
        trains_B = split_B == SPLIT.values.index(TRAIN)
        seed_B = mixed(torch.where(trains_B, episode_B % self.config.demonstrations, episode_B), split_B)
        index_QN, many_Q = (part.to(seed_B.device) for part in self.choices)
        group_B = split_B * (1 + self.config.stages) + stages_B
        drawn_B = index_QN[group_B, below(2**30, seed_B, TASK_DRAWN) % many_Q[group_B].clamp(min=1)]
        named_B = index_QN[split_B * (1 + self.config.stages), (number_B - 1).clamp(min=0)]
        task_B = torch.where(number_B > 0, named_B, drawn_B)
        top_BS, under_BS, _, count_B = (part_N.to(seed_B.device)[task_B] for part_N in self.table)
        towers_B = skill_B == SKILL.values.index(NONE)
        handled_B = torch.maximum(2 + below(self.config.blocks - 1, seed_B, COUNT), asked_B)
        handled_B = torch.where(skill_B == SKILL.values.index(FREE), self.config.blocks, handled_B)
        count_B = torch.where(towers_B, count_B, handled_B)
        top_BS, under_BS = (part_BS.masked_fill(~towers_B[:, None], NOTHING) for part_BS in (top_BS, under_BS))
        return Drawn(seed_B, task_B, count_B, top_BS, under_BS, skill_B, *kinds(skill_B, seed_B))

    def _scene(self, drawn: Drawn, asked_B: torch.Tensor, layout: int) -> tuple[Bench, Goal]:
        """One layout or another one; ``asked_B``: the blocks that skills are about, or nothing: they are drawn."""
        seed_B, skill_B = mixed(drawn.seed_B, layout), drawn.skill_B
        bench, nothing_B = self._bench(seed_B, drawn.count_B), torch.full_like(asked_B, NOTHING)
        skill = Skill(skill_B != SKILL.values.index(NONE), drawn.puts_B, drawn.height_B, nothing_B)
        about_B = skill_B >= SKILL.values.index(DRAWN)
        if not bool(about_B.any()):
            return bench, Goal(drawn.top_BS, drawn.under_BS, skill)
        laid, block_B, lone_B = laid_out(bench, drawn.puts_B, asked_B, seed_B)
        first_S = torch.arange(MAX_STAGES, device=seed_B.device) == 0
        stage_BS = first_S & (about_B & drawn.puts_B)[:, None]
        top_BS = torch.where(stage_BS, lone_B[:, None], drawn.top_BS)
        under_BS = torch.where(stage_BS, block_B[:, None], drawn.under_BS)
        skill = skill._replace(block_B=torch.where(about_B, block_B, NOTHING))
        return chosen(about_B, laid, bench), Goal(top_BS, under_BS, skill)

    def _bench(self, seed_B: torch.Tensor, count_B: torch.Tensor) -> Bench:
        """Blocks on the table near the middles of different cells, and an open gripper anywhere above them."""
        K, device = self.config.blocks, seed_B.device
        number_C, axis_2 = torch.arange(MAX_BLOCKS, device=device), torch.arange(2, device=device)
        cell_BK = uniform(seed_B[:, None], CELL, number_C).argsort(1)[:, :K]
        x_BK = SPACING * (cell_BK - (MAX_BLOCKS - 1) / 2) + JITTER * (
            2 * uniform(seed_B[:, None], OFFSET, number_C[:K]) - 1
        )
        place_BK2 = torch.stack([x_BK, torch.full_like(x_BK, FLOOR)], 2).float()
        exists_BK = existing(count_B, place_BK2)
        start_B2 = uniform(seed_B[:, None], START, axis_2)
        hand_B2 = torch.stack([WALL * (2 * start_B2[:, 0] - 1), 2 * SIDE + HIGHEST_START * start_B2[:, 1]], 1).float()
        held_B = torch.full_like(count_B, NOTHING)
        return Bench(hand_B2, held_B == 0, held_B, place_BK2 * exists_BK[..., None], exists_BK)

    # --- demonstrations ----------------------------------------------------------------------------------------------

    def _shown(self, state: StackingState, layout: int) -> Shown:
        """Demonstrations of what is asked, in one layout or in another one; those of training are made once."""
        parts = state.number_B, state.split_B, state.stages_B, state.skill_B, state.asked_B
        skill = int(state.skill_B[0]) if state.batch else 0
        trains_B = (state.split_B == SPLIT.values.index(TRAIN)) & (state.number_B + state.stages_B == 0)
        if not bool((trains_B & (state.skill_B == skill)).all()):
            return self._made(self._drawn(state.episode_B, *parts), state.asked_B, layout)
        key = str(state.device), layout, skill
        if key not in self._kept:
            self._kept[key] = self._pool(state.device, layout, skill)
        count = self.config.demonstrations
        return self._kept[key].select(state.asked_B * count + state.episode_B % count)

    def _pool(self, device: torch.device, layout: int, skill: int) -> Shown:
        """All demonstrations of training, about no block in particular and about each of them, in lots."""
        asked = 1 + self.config.blocks if SKILL.values[skill] not in (NONE, FREE) else 1
        number_N = torch.arange(asked * self.config.demonstrations, device=device)
        lots = []
        for lot in number_N.split(LOT):
            nothing, asked_N = torch.zeros_like(lot), lot // self.config.demonstrations
            drawn = self._drawn(lot, nothing, nothing, nothing, torch.full_like(lot, skill), asked_N)
            lots.append(self._made(drawn, asked_N, layout))
        longest = max(int(lot.length_B.max()) for lot in lots)
        return Shown(*(torch.cat(parts) for parts in zip(*(padded(lot, longest) for lot in lots), strict=True)))

    def _made(self, drawn: Drawn, asked_B: torch.Tensor, layout: int) -> Shown:
        about_B = asked_B - 1 if layout == OWN else torch.full_like(asked_B, NOTHING)
        bench, goal = self._scene(drawn, about_B, layout)
        seed_B = mixed(drawn.seed_B, layout)
        made = demonstrated(bench, goal, seed_B, noise=self.config.noise, steps=self.config.steps)
        return made.select(torch.arange(len(seed_B), device=seed_B.device))

    def _told(self, shown: Shown, count_B: torch.Tensor) -> Demonstration:
        """As it is observed."""
        tells = self.config.actions == "yes"
        exists_BL1 = (torch.arange(shown.hand_BL2.shape[1], device=count_B.device) < shown.length_B[:, None])[..., None]
        return Demonstration(
            shown.body_BL3 * exists_BL1, shown.place_BLK2 * exists_BL1[..., None], count_B, shown.action_BL3 * tells,
            torch.full_like(count_B, tells, dtype=torch.bool), shown.length_B,
        )  # fmt: skip

    def demonstrate(self, layouts: Sequence[Layout], *, generator: torch.Generator) -> Episodes:
        """The scripted demonstrator in these layouts; its noise is a function of them, so nothing is drawn. They are on
        the device of the generator."""
        state = self.reset(layouts, device=generator.device)
        shown = self._shown(state, OWN)
        L = shown.hand_BL2.shape[1]
        call_B4 = torch.zeros(state.batch, 1 + SLOTS, dtype=torch.int64, device=state.device)
        scores = scored(later(state.goal), shown.hand_BL2, shown.place_BLK2, shown.held_BL)
        moments = [shown.held_BL.unbind(1), shown.body_BL3.unbind(1), shown.place_BLK2.unbind(1)]
        seen = [self._observed(state, *parts) for parts in zip(*moments, strict=True)]
        live_BT = torch.arange(L - 1, device=state.device) < shown.length_B[:, None] - 1
        return Episodes(
            seen,
            [Action(call_B4, action_B3) for action_B3 in shown.action_BL3.unbind(1)[:-1]],
            {name: score_BL[:, 1:].T for name, score_BL in scores.items()},
            live_BT.T,
            (live_BT & (scores["success"][:, 1:] > 0) & (state.skill_B == SKILL.values.index(NONE))[:, None]).T,
        )

    def suggest(self, state: StackingState) -> Action:
        """What the demonstrator would do, without its noise."""
        call_B4 = torch.zeros(state.batch, 1 + SLOTS, dtype=torch.int64, device=state.device)
        return Action(call_B4, suggested(state.bench, state.goal))

    # --- as all worlds -----------------------------------------------------------------------------------------------

    def observe(self, state: StackingState) -> Observation:
        body_B3 = torch.cat([state.hand_B2, state.closed_B[:, None].float()], 1)
        return self._observed(state, state.held_B, body_B3, state.place_BK2.clone())

    def _observed(
        self, state: StackingState, held_B: torch.Tensor, body_B3: torch.Tensor, place_BK2: torch.Tensor
    ) -> Observation:
        channels: dict[str, torch.Tensor | Ragged] = {BODY: body_B3, OBJECTS: Ragged(place_BK2, state.count_B)}
        if self.config.shown == "yes":
            channels[DEMONSTRATION] = Ragged(state.line_BLD, state.length_B)
        return Observation(1 + held_B[:, None], channels)

    def act(self, state: StackingState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action)
        still_B3 = torch.cat([torch.zeros_like(state.hand_B2), -torch.ones_like(state.hand_B2[:, :1])], 1)
        given_B3 = still_B3 if action.payload_BX is None else action.payload_BX[:, :3]
        if action.given_B is not None:
            given_B3 = torch.where(action.given_B[:, None], given_B3, still_B3)
        bench = state.bench
        after = chosen(acts_B, moved(bench, given_B3.detach()), bench)
        for name, part in zip(Bench._fields[:-1], after, strict=False):
            getattr(state, name).copy_(part)

    def score(self, state: StackingState) -> dict[str, torch.Tensor]:
        """Whether all stages are done and the gripper is empty, and the share of stages that are done."""
        return scored(state.goal, state.hand_B2, state.place_BK2, state.held_B)

    def ended(self, state: StackingState) -> torch.Tensor:
        return achieved(state.bench, state.goal)

    def hidden(self, state: StackingState) -> Sequence[tuple[Sequence[int], ...]]:
        more = state.skill_B, state.asked_B, self.score(state)["success"].long(), state.count_B, state.held_B
        laid = torch.stack([state.episode_B, state.number_B, state.split_B, state.stages_B, *more], 1).tolist()
        return [
            (digits(episode), digits(task), *([index] for index in others), highest_tower(places[:count], held))
            for (episode, task, *others, count, held), places in zip(laid, state.place_BK2.tolist(), strict=True)
        ]

    def draw(self, state: StackingState, instance: int = 0, *, width: int = 100) -> str:
        """The table from the side: blocks by their letters, the gripper as ``|``; above it what is to be built."""
        places = state.place_BK2[instance, : int(state.count_B[instance])].tolist()
        skill, name = SKILL.values[int(state.skill_B[instance])], self._names[int(state.task_B[instance])]
        if skill != NONE:
            name = skill if skill == FREE else f"{skill} {LETTERS[int(state.block_B[instance])]}"
        return drawing(
            LETTERS, places, state.hand_B2[instance].tolist(), closed=bool(state.closed_B[instance]), task=name,
            width=width,
        )  # fmt: skip


def existing(count_B: torch.Tensor, place_BK2: torch.Tensor) -> torch.Tensor:
    """bool B × K: which blocks there are."""
    return torch.arange(place_BK2.shape[1], device=count_B.device) < count_B[:, None]


def scored(goal: Goal, hand_X2: torch.Tensor, place_XK2: torch.Tensor, held_X: torch.Tensor) -> dict[str, torch.Tensor]:
    """The scores, X each; those of a skill are whether it is done."""
    needed_XS = goal.top_BS != NOTHING
    met_XS = met(goal.top_BS.expand(*held_X.shape, -1), goal.under_BS.expand(*held_X.shape, -1), place_XK2, held_X)
    built_X = (met_XS | ~needed_XS).all(-1) & (held_X == NOTHING)
    share_X = (met_XS & needed_XS).sum(-1) / needed_XS.sum(-1).clamp(min=1)
    skilled_X = skilled(goal.skill, met_XS[..., 0], hand_X2[..., 1], held_X)
    is_X = goal.skill.is_B
    return {
        "success": torch.where(is_X, skilled_X, built_X).float(),
        "stages": torch.where(is_X, skilled_X.float(), share_X.float()),
    }


def later(goal: Goal) -> Goal:
    """With a dimension of moments behind that of instances, of size 1."""
    return Goal(goal.top_BS[:, None], goal.under_BS[:, None], Skill(*(part[:, None] for part in goal.skill)))


def highest_tower(places: Sequence[Sequence[float]], held: int) -> list[int]:
    """The numbers of the blocks of the highest tower, from the table upwards; the one in the gripper is in none."""
    found = [max((i for i in range(len(places)) if i != held), key=lambda number: places[number][1])]
    while places[found[-1]][1] > FLOOR + CLOSE:
        x, y = places[found[-1]]
        below = [i for i, (_, v) in enumerate(places) if i != held and abs(y - v - SIDE) < CLOSE]
        found.append(min(below, key=lambda number: abs(places[number][0] - x)))
    return found[::-1]


def padded(shown: Shown, longest: int) -> Shown:
    """With more moments: things stay as they are, and actions are zeros."""
    spare = longest - shown.hand_BL2.shape[1]
    if not spare:
        return shown
    parts = [torch.cat([part, part[:, -1:].expand(-1, spare, *part.shape[2:])], 1) for part in shown[:-1]]
    return Shown(*[*parts, shown.length_B])
