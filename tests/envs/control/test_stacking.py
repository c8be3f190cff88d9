"""Block stacking: dynamics against plain Python, tasks and splits, the demonstrator, demonstrations, errors."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from envs.conformance import CHECKS, check_world
from envs.control import stacking_demonstrator
from envs.control.demonstrations import BODY, DEMONSTRATION, OBJECTS, of_episodes, packed, unpacked
from envs.control.stacking import Stacking
from envs.control.stacking_demonstrator import demonstrated
from envs.control.stacking_hand import Bench, moved
from envs.control.stacking_settings import SIZES
from envs.control.stacking_skills import SKILL, STEPS
from envs.control.stacking_tasks import SPLIT, StackingTask, split_tasks
from envs.spec import SpecError
from envs.stepper import Action, Ragged
from envs.world import Layout
from npi.learners import read_demonstrations, write_demonstrations

SMALL = {"demonstrations": 7, "blocks": 5}
SHORT = SMALL | {"steps": 2}
"""With demonstrations that are cut."""


def numbered(count: int, **parts: list[int]) -> list[Layout]:
    return [{"EPISODE": [int(digit) for digit in str(number)], **parts} for number in range(count)]


def act(motion_B3: torch.Tensor) -> Action:
    return Action(torch.zeros(len(motion_B3), 4, dtype=torch.int64), motion_B3)


@pytest.mark.parametrize("config", [SHORT, SHORT | {"shown": "no", "blocks": 10}, SHORT | {"actions": "no"}])
def test_the_world_conforms(config: dict[str, int | str]) -> None:
    layouts = [
        {"EPISODE": [7]},
        {"EPISODE": [1, 2], "TASK": [4], "SPLIT": [2]},
        {"STAGES": [2], "SPLIT": [1]},
        {"SKILL": [2]},
    ]
    world = Stacking("table", config)
    assert check_world(world, layouts, generator=torch.Generator().manual_seed(0)) == tuple(CHECKS)


class PlainTable:
    """The second way: one table, lists and loops, by the rules that the module's head states."""

    def __init__(self, hand: list[float], blocks: list[list[float]]) -> None:
        self.hand, self.blocks, self.closed, self.held = list(hand), [list(b) for b in blocks], False, -1

    def lowest(self, x: float) -> float:
        others = [b for i, b in enumerate(self.blocks) if i != self.held and abs(b[0] - x) < 0.19]
        return max([0.1, *(b[1] + 0.2 for b in others)])

    def is_covered(self, i: int) -> bool:
        x, y = self.blocks[i]
        others = [b for j, b in enumerate(self.blocks) if j not in (i, self.held)]
        return any(abs(b[0] - x) < 0.19 and abs(b[1] - y - 0.2) < 0.01 for b in others)

    def rest(self, x: float) -> list[float]:
        for _ in range(3):
            y = self.lowest(x)
            others = [b for j, b in enumerate(self.blocks) if j != self.held]
            bears = [b[0] for b in others if abs(b[0] - x) < 0.19 and abs(b[1] + 0.2 - y) < 0.01]
            rightwards, leftwards = any(b >= x - 0.1 for b in bears), any(b <= x + 0.1 for b in bears)
            if not bears or (rightwards and leftwards):
                break
            x = max(bears) + 0.2 if leftwards else min(bears) - 0.2
            x = max(-1.8, min(1.8, x))
        return [x, self.lowest(x)]

    def step(self, u: float, v: float, grip: float) -> None:
        u, v = (0.25 * max(-1.0, min(1.0, part)) for part in (u, v))
        x, y = max(-1.8, min(1.8, self.hand[0] + u)), self.hand[1]
        if self.held >= 0 and y < self.lowest(x) - 0.01:
            x = self.hand[0]
        y = max(0.1, min(2.6, y + v))
        if self.held >= 0:
            y = max(y, self.lowest(x))
            self.blocks[self.held] = [x, y]
        self.hand = [x, y]
        if grip > 0 and not self.closed and self.held < 0:
            away = {
                i: abs(b[0] - x) + abs(b[1] - y)
                for i, b in enumerate(self.blocks)
                if abs(b[0] - x) <= 0.08 and abs(b[1] - y) <= 0.08 and not self.is_covered(i)
            }
            if away:
                self.held = min(away, key=lambda i: away[i])
                self.hand = list(self.blocks[self.held])
        elif grip <= 0 and self.held >= 0:
            self.blocks[self.held] = self.rest(x)
            self.held = -1
        self.closed = grip > 0


def test_blocks_move_as_stated() -> None:
    """A clumsy demonstrator and random motions, from tables that are heaped up, against plain Python."""
    world = Stacking("table", {"blocks": 8, "shown": "no", "demonstrations": 40})
    state = world.reset(numbered(40, STAGES=[5]))
    plain = [
        PlainTable(hand, blocks[:count])
        for hand, blocks, count in zip(
            state.hand_B2.tolist(), state.place_BK2.tolist(), state.count_B.tolist(), strict=True
        )
    ]
    generator, takes, heights = torch.Generator().manual_seed(1), 0, set[int]()
    for step in range(150):
        motion_B3 = world.suggest(state).payload_BX
        assert motion_B3 is not None
        noise_B3 = torch.randn(40, 3, generator=generator) * (0.5 if step % 30 < 20 else 0.05)
        motion_B3 = motion_B3 + noise_B3
        world.act(state, act(motion_B3), torch.ones(40, dtype=torch.bool))
        for i, (table, motion) in enumerate(zip(plain, motion_B3.tolist(), strict=True)):
            table.step(*motion)
            assert state.held_B[i] == table.held, f"step {step}, table {i}"
            assert state.hand_B2[i].tolist() == pytest.approx(table.hand, abs=1e-3)
            assert torch.allclose(state.place_BK2[i, : len(table.blocks)], torch.tensor(table.blocks), atol=1e-3)
            takes += table.held >= 0
            heights |= {round((y - 0.1) / 0.2) for x, y in table.blocks}
    assert takes > 1000, "something was carried"
    assert heights >= {0, 1, 2, 3}, "and heaped up"


def bench(hand: list[float], blocks: list[list[float]], held: int = -1) -> Bench:
    place_BK2 = torch.tensor([blocks])
    return Bench(
        torch.tensor([hand]), torch.tensor([held >= 0]), torch.tensor([held]), place_BK2, torch.ones(1, len(blocks)) > 0
    )


@pytest.mark.parametrize(
    ("x", "rests"),
    [
        (0.05, [0.05, 0.3]),  # on the block at 0
        (0.15, [0.2, 0.1]),  # beside it: slides off
        (-0.15, [-0.2, 0.1]),
        (0.75, [0.75, 0.3]),  # a bridge: held up at 0.6 and 0.9
        (1.2, [1.2, 0.1]),
    ],
)
def test_what_is_let_go_rests_or_slides(x: float, rests: list[float]) -> None:
    before = bench([x, 1.0], [[0.0, 0.1], [0.6, 0.1], [0.9, 0.1], [x, 1.0]], held=3)
    after = moved(before, torch.tensor([[0.0, 0.0, -1.0]]))
    assert after.place_BK2[0, 3].tolist() == pytest.approx(rests, abs=1e-6)
    assert after.held_B.tolist() == [-1]


def test_a_block_in_the_gripper_is_stopped_and_a_covered_one_is_not_taken() -> None:
    tower = [[0.0, 0.1], [0.0, 0.3], [0.5, 0.1]]
    aside = moved(bench([0.25, 0.1], [*tower, [0.25, 0.1]], held=3), torch.tensor([[-1.0, 0.0, 1.0]]))
    assert aside.hand_B2.tolist()[0] == pytest.approx([0.25, 0.1]), "a tower is in its way"
    down = moved(bench([0.05, 0.6], [*tower, [0.05, 0.6]], held=3), torch.tensor([[0.0, -1.0, 1.0]]))
    assert down.place_BK2[0, 3].tolist() == pytest.approx([0.05, 0.5]), "it stands on the tower"
    taken = moved(bench([0.02, 0.12], tower), torch.tensor([[0.0, 0.0, 1.0]]))
    assert taken.held_B.tolist() == [-1]
    taken = moved(bench([0.48, 0.12], tower), torch.tensor([[0.0, 0.0, 1.0]]))
    assert taken.held_B.tolist() == [2]
    assert taken.hand_B2.tolist()[0] == pytest.approx([0.5, 0.1])


def test_tasks_are_written_as_in_the_paper_and_no_split_shares_any() -> None:
    assert StackingTask("ab cde", 6).pairs == [(0, 1), (3, 4), (2, 3)]
    found = [split_tasks(split) for split in SPLIT.values]
    assert [len(tasks) for tasks in found] == [140, 20, 43, 40]
    outcomes = [task.outcome for tasks in found for task in tasks]
    assert len(set(outcomes)) == len(outcomes)
    assert {task.blocks for task in found[0]} <= set(range(2, 9))
    assert {task.blocks for task in found[3]} == {9, 10}
    assert [sum(task.stages == n for task in found[2]) for n in range(1, 8)] == [7, 6, 6, 6, 6, 6, 6]
    assert found[0][:2] == (StackingTask("ac", 6), StackingTask("ce fg", 7)), "they never change"


@pytest.mark.parametrize("split", range(4))
def test_the_demonstrator_does_all_tasks(split: int) -> None:
    world = Stacking("table", {"blocks": 10, "shown": "no"})
    tasks = world.tasks[SPLIT.values[split]]
    layouts = [{"TASK": [int(c) for c in str(1 + i)], "SPLIT": [split], "EPISODE": [9]} for i in range(len(tasks))]
    episodes = world.demonstrate(layouts, generator=torch.Generator())
    last_1B = (episodes.live_TB.sum(0) - 1)[None]
    assert bool((episodes.scores["success"].gather(0, last_1B) == 1).all())
    assert torch.equal(episodes.ended_TB.sum(0), torch.ones(len(tasks), dtype=torch.int64))
    end_BK2 = episodes.seen[-1].channels[OBJECTS]
    assert isinstance(end_BK2, Ragged)
    for task, place_K2 in zip(tasks, end_BK2.padded_BLX.tolist(), strict=True):
        for top, under in task.pairs:  # the second way
            assert math.isclose(place_K2[top][1] - place_K2[under][1], 0.2, abs_tol=0.01), task.name
            assert abs(place_K2[top][0] - place_K2[under][0]) <= 0.11


def test_a_broken_gripper_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never closes: the same demonstrator gets nothing done."""

    def broken(before: Bench, action_B3: torch.Tensor) -> Bench:
        return moved(before, torch.cat([action_B3[:, :2], -action_B3[:, 2:].abs()], 1))

    world = Stacking("table", SMALL | {"shown": "no"})
    state = world.reset(numbered(7))
    told = state.bench, state.goal, state.episode_B
    sound = demonstrated(*told, noise=0.1, steps=200)
    assert bool((sound.length_B < 200).all())
    monkeypatch.setattr(stacking_demonstrator, "moved", broken)
    assert demonstrated(*told, noise=0.1, steps=200).length_B.tolist() == [201] * 7


def test_mistakes_are_put_right() -> None:
    """From heaps that stand in its way the demonstrator still comes to the end."""
    world = Stacking("table", {"blocks": 4, "shown": "no", "demonstrations": 20})
    state = world.reset(numbered(20))
    place_42 = torch.tensor([[0.0, 0.1], [0.02, 0.3], [0.0, 0.5], [0.9, 0.1]])
    state.count_B[:] = 4
    state.place_BK2[:] = place_42[
        torch.stack([torch.randperm(4, generator=torch.Generator().manual_seed(i)) for i in range(20)])
    ]
    for _ in range(200):
        world.act(state, world.suggest(state), ~world.ended(state))
    assert world.score(state)["success"].tolist() == [1.0] * 20


def test_demonstrations_show_the_task_in_another_layout() -> None:
    world = Stacking("table", SMALL)
    state = world.reset(numbered(14))
    held = world.observe(state).channels[DEMONSTRATION]
    assert isinstance(held, Ragged)
    shown = unpacked(held, SIZES)
    here = torch.arange(14)
    end_BK2 = shown.objects_BLKF[here, shown.length_B - 1]
    done = replace(state, place_BK2=end_BK2)
    assert world.score(done)["success"].tolist() == [1.0] * 14, "it ends with all stages done"
    assert not torch.allclose(shown.objects_BLKF[:, 0], state.place_BK2)
    assert torch.equal(held.padded_BLX[:7], held.padded_BLX[7:]), "episodes count modulo the demonstrations"
    alone = world.observe(world.reset(numbered(14)[4:5], device="cpu")).channels[DEMONSTRATION]
    assert isinstance(alone, Ragged)
    length = int(alone.lengths_B[0])
    assert torch.equal(alone.padded_BLX[0], held.padded_BLX[4, :length])
    named = {"TASK": [1], "SPLIT": [2], "EPISODE": [3]}
    apart = [
        world.observe(world.reset(part)).channels[DEMONSTRATION] for part in ([named], [named, *numbered(3, SPLIT=[2])])
    ]
    lines = [part.padded_BLX[0, : int(part.lengths_B[0])] for part in apart if isinstance(part, Ragged)]
    assert torch.equal(*lines), "alone as in a batch"


@pytest.mark.parametrize("skill", ["drawn", "lift", "pick", "place"])
def test_skills_are_done_in_time_and_stay_done(skill: str) -> None:
    world = Stacking("table", {"blocks": 4, "demonstrations": 40})
    about = {"SKILL": [SKILL.values.index(skill)]}
    layouts = [{**layout, "BLOCK": [1 + number % 4]} for number, layout in enumerate(numbered(40, **about))]
    episodes = world.demonstrate(layouts, generator=torch.Generator())
    assert episodes.steps == STEPS
    assert bool((episodes.scores["success"][-8:] == 1).all())
    assert not bool(episodes.ended_TB.any()), "a skill has no end"
    end = episodes.seen[-1]
    body_B3, objects = end.channels[BODY], end.channels[OBJECTS]
    assert isinstance(body_B3, torch.Tensor)
    assert isinstance(objects, Ragged)
    state = world.reset(layouts)
    for i in range(40):  # the second way
        (x, y), held = objects.padded_BLX[i, i % 4].tolist(), int(end.fields_BF[i, 0]) - 1
        over = [
            j
            for j, (u, v) in enumerate(objects.padded_BLX[i].tolist())
            if abs(u - x) < 0.11 and abs(v - y - 0.2) < 0.01
        ]
        assert (held == -1 and len(over) == 1) if state.puts_B[i] else held == i % 4
        assert abs(float(body_B3[i, 1]) - float(state.height_B[i])) < 0.1
    kept_B = (state.height_B - 1.7).abs() < 0.15
    assert bool((kept_B if skill in ("pick", "place") else ~kept_B).all()), "no training rises to where these do"


def test_a_free_table_asks_for_nothing_and_tells_its_tower() -> None:
    world = Stacking("table", {"blocks": 4, "shown": "no"})
    state = world.reset(numbered(9, SKILL=[1]))
    assert not bool(world.ended(state).any())
    assert not bool(world.score(state)["success"].any())
    state = world.reset([{"SKILL": [5], "BLOCK": [3]}])
    assert state.count_B.tolist()[0] >= 3
    state.held_B[:], state.count_B[:] = 0, 4
    state.place_BK2[0] = torch.tensor([[0.0, 0.7], [0.02, 0.3], [0.0, 0.5], [0.0, 0.1]])
    assert world.read(state)[0]["TOWER"] == [3, 1, 2], "a is in the gripper"


def test_a_batch_may_be_empty_and_training_is_kept() -> None:
    """Demonstrations of skills that are kept are those that are made anew, whichever block they are about."""
    world = Stacking("table", SMALL)
    assert world.observe(world.reset([])).fields_BF.shape == (0, 1)
    layouts = [{**layout, "BLOCK": [1 + n % 5]} for n, layout in enumerate(numbered(9, SKILL=[2]))]
    kept, anew = world.demonstrate(layouts, generator=torch.Generator()), []
    for layout in layouts:  # beside another skill nothing is kept
        anew.append(world.demonstrate([layout, {"SKILL": [3]}], generator=torch.Generator()))
    for n, one in enumerate(anew):
        for step in (0, STEPS):
            for name, part in kept.seen[step].channels.items():
                other = one.seen[step].channels[name]
                if isinstance(part, Ragged):
                    assert isinstance(other, Ragged)
                    count = int(part.lengths_B[n])
                    assert int(other.lengths_B[0]) == count
                    part, other = part.padded_BLX[:, :count], other.padded_BLX[:, :count]
                assert isinstance(part, torch.Tensor)
                assert isinstance(other, torch.Tensor)
                assert torch.allclose(part[n], other[0]), name


def test_splits_differ_in_layouts() -> None:
    world = Stacking("table", SMALL | {"shown": "no"})
    starts = [world.reset(numbered(1, SPLIT=[split])).hand_B2 for split in range(3)]
    assert len(torch.cat(starts).unique(dim=0)) == 3


def test_what_is_demonstrated_here_becomes_a_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    world = Stacking("table", SMALL)
    episodes = world.demonstrate(numbered(1), generator=torch.Generator())
    write_demonstrations(tmp_path / "shown.npz", episodes, world.spec)
    again = read_demonstrations(tmp_path / "shown.npz", world.spec)
    assert again.steps == episodes.steps
    first = packed(of_episodes(episodes, SIZES))
    count = int(of_episodes(again, SIZES).count_B)
    assert torch.equal(of_episodes(again, SIZES).objects_BLKF, of_episodes(episodes, SIZES).objects_BLKF[:, :, :count])
    assert torch.equal(of_episodes(again, SIZES).action_BLX, of_episodes(episodes, SIZES).action_BLX)
    state = world.reset(numbered(1), given={DEMONSTRATION: first.padded_BLX})
    held = world.observe(state).channels[DEMONSTRATION]
    assert isinstance(held, Ragged)
    assert torch.equal(held.padded_BLX, first.padded_BLX)


def test_errors_name_the_fix() -> None:
    with pytest.raises(SpecError, match=r"blocks of stacking is 11; it can be 2 to 10"):
        Stacking("table", {"blocks": 11})
    with pytest.raises(SpecError, match=r"shown of stacking is 'nope'"):
        Stacking("table", {"shown": "nope"})
    world = Stacking("table", SMALL | {"blocks": 8})
    with pytest.raises(ValueError, match=r"TASK is 44; the split 'test' has 43"):
        world.reset([{"TASK": [4, 4], "SPLIT": [2]}])
    with pytest.raises(ValueError, match=r"the split 'more' has no task of any number of stages among at most 8"):
        world.reset([{"SPLIT": [3]}])
    with pytest.raises(ValueError, match=r"give B x moments x 24"):
        world.reset([{}], given={DEMONSTRATION: torch.zeros(1, 4, 9)})
    with pytest.raises(ValueError, match="BLOCK says which block a skill is about; lay out SKILL, too"):
        world.reset([{"BLOCK": [1]}])
    with pytest.raises(ValueError, match="DONE"):
        world.reset([{"DONE": [1]}])
    assert "[a]" in world.draw(world.reset([{}]))
