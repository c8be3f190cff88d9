"""MetaMimic: the kit, the critic's projection, what a task may see of the replay memory, and that it learns."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dsl import load, loads
from dsl.program import ProgramSet
from envs.control.puzzle_box_settings import GRACE
from meta.mimic.critic import projected
from meta.mimic.improvement import BELIEF, MOST, SHARPNESS, better_acts, chosen
from meta.mimic.learner import LEARNER, Mimic
from meta.mimic.network import FEATURE_SIZE, FEATURES, NEAR, WINDOW, MimicConfig
from meta.mimic.objective import MimicReplay, MimicTraining
from meta.mimic.takeover import Beginning, TaskActor, demonstrations_of
from npi.jobs.learners import new_library, objective_of
from npi.learners import check_learner
from npi.learners.evaluate import score_task
from npi.learners.objectives.base import schedule_of
from npi.learners.objectives.replay_memory import Shard, unpacked
from npi.learners.rollout import GeneratorDraw, rollout
from npi.learners.tasks import TaskGroup, training_tasks
from npi.training.loop import Descent, fit
from npi.training.ranks import ALONE

FILE = Path("programs/learning/puzzlebox.npi")

SMALL = MimicConfig(units=11, row=5)


def objective(programs: ProgramSet, config: MimicConfig = SMALL, **settings: Any) -> MimicReplay:
    tasks = training_tasks(programs)
    library = new_library(config, tasks, [programs], seed=0)
    training = replace(LEARNER.training, **{"batch": 4, "sample": 32, "optimizer_steps": 1, **settings})
    found = objective_of(library, tasks, training)
    assert isinstance(found, MimicReplay)
    return found


@pytest.mark.parametrize("program", ["IMITATE", "SOLVE"])
def test_it_keeps_the_promises_of_learners(program: str) -> None:
    text = FILE.read_text()
    shown = 'SHOWN = ["no"]' if program == "SOLVE" else 'SHOWN = ["yes"]'
    world, _, rest = text.partition("\nprogram IMITATE")
    programs = ("program IMITATE" + rest).partition("task imitate")[0]
    task = f"task one:\n    {shown}\n    run {program}\n    expect STEP == [0]\n    train\n"
    learner = Mimic()
    learner.training = replace(LEARNER.training, optimizer_steps=2, sample=32)
    check_learner(learner, loads(f"{world}\n{programs}{task}".replace("500", "20")), config=SMALL)


def test_the_projection_is_that_of_plain_loops() -> None:
    """Shares of each atom's probability go to its neighbours, so the mean stays where nothing is cut."""
    generator = torch.Generator().manual_seed(0)
    later_MA = torch.rand(7, 11, generator=generator).softmax(1)
    won_M, discount_M = torch.rand(7, generator=generator), torch.rand(7, generator=generator)
    discount_M[0], won_M[1], discount_M[1] = 0, 0, 1
    found = projected(later_MA, won_M, discount_M)
    for later, won, discount, one in zip(
        *(part.tolist() for part in (later_MA, won_M, discount_M, found)), strict=True
    ):
        expected = [0.0] * 11
        for atom, probability in enumerate(later):
            place = min(won + discount * atom / 10, 1) * 10
            for near in range(11):
                expected[near] += probability * max(0.0, 1 - abs(place - near))
        assert one == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(found[1], later_MA[1])


def test_sites_are_seen_as_they_are_and_from_near() -> None:
    """The hand, its velocity, sites, sites enlarged where they are near, steps, and whether the box is transparent."""
    one = objective(load(FILE))
    group = one.problems.groups[0]
    world, core = group.world, one.core
    seen = world.observe(world.reset([{"EPISODE": (number,)} for number in (3, 4)]))
    feature_BI = core.remembered(world.spec, seen).channels[FEATURES]
    assert isinstance(feature_BI, torch.Tensor)
    assert feature_BI.shape == (2, FEATURE_SIZE)
    for place, found in enumerate(feature_BI.tolist()):
        hand, velocity, sites, box = (seen.channels[name][place] for name in ("hand", "velocity", "sites", "box"))  # type: ignore[index]
        flat = [number for site in sites.tolist() for number in site]
        near = [math.tanh(number / NEAR) for number in flat]
        transparent = float(seen.fields_BF[place, world.spec.field("TRANSPARENT")])
        assert found == pytest.approx([*hand.tolist(), *velocity.tolist(), *flat, *near, *box.tolist(), transparent])


def test_a_task_learns_from_imitation_without_its_demonstration() -> None:
    """Its losses are the same whatever the demonstrations in the memory show; those of imitation are not."""
    one = objective(load(FILE))
    for losses in one.losses(0, ALONE):
        list(losses)
    imitation, task = one.problems.groups
    assert [len(one.sources(group)) for group in (imitation, task)] == [1, 2]
    sample = dict(one.memories[0].sample(torch.arange(40)))
    other = {name: torch.randn_like(part) if name.endswith(WINDOW) else part for name, part in sample.items()}

    def values(group: TaskGroup, part: Shard) -> list[float]:
        return [float(loss.value.detach()) for loss in one.losses_of([one._viewed(group, part)], 1.0)]

    assert values(task, sample) == values(task, other)
    assert values(imitation, sample) != values(imitation, other)
    alone = objective(load(FILE), sharing=0)
    assert [len(alone.sources(group)) for group in alone.problems.groups] == [1, 1]


def test_a_task_is_drawn_to_acts_that_brought_more_and_to_better_ones() -> None:
    """The policy's loss is that of plain numbers."""
    one = objective(load(FILE), restraint=0.0, cloning=0.7, improvement=0.4)
    for losses in one.losses(0, ALONE):
        list(losses)
    task = one.problems.groups[1]
    sample = dict(one.memories[1].sample(torch.arange(5)))
    reward_MK = torch.zeros_like(sample["score.reward"])
    reward_MK[0, 0] = reward_MK[1, 2] = 1.0
    sample |= {"score.reward": reward_MK, "steps": torch.full((5,), 3)}
    part = one._viewed(task, sample)
    row_MP = one.rows_NP.detach()[part.row_M]
    with torch.no_grad():
        own_MX = one.core.force(row_MP, part.seen)
        value_M = one.critic.value(row_MP, part.seen, own_MX).tolist()
        later_M = one.target_critic.value(row_MP, part.after, one.target_core.force(row_MP, part.after)).tolist()
        better_MX = better_acts(one.critic, row_MP, part.seen, own_MX, part.force_MX)
        loss = float(one.losses_of([part], 1.0)[1].value)
    away_M, worse_M = ((own_MX - act_MX).square().sum(1).tolist() for act_MX in (part.force_MX, better_MX))
    returns = [1, 0.92**2] + [0.92**3 * later for later in later_M[2:]]
    expected = 0.0
    for value, found, away, worse in zip(value_M, returns, away_M, worse_M, strict=True):
        weight = min(MOST, math.exp(BELIEF * (found - value) / (value + 0.05)))
        expected += (0.7 * weight * away + 0.4 * worse) / 5
    assert loss == pytest.approx(expected, rel=1e-3)


def test_better_acts_are_those_of_plain_loops_and_lie_towards_the_best() -> None:
    one = objective(load(FILE))
    for losses in one.losses(0, ALONE):
        list(losses)
    seen = unpacked(one.memories[1].sample(torch.arange(3)), "seen")
    row_MP = one.rows_NP.detach()[[1, 1, 1]]
    own_MX, done_MX = torch.tensor([[0.0, 0.0], [0.9, -0.3], [-0.5, 0.5]]), torch.tensor([[0.3, 0.1]]).expand(3, -1)
    with torch.no_grad():
        one.critic.head.weight.mul_(20)  # far from indifferent
        found_MX = better_acts(one.critic, row_MP, seen, own_MX, done_MX)
        for m in range(3):
            acts = [own_MX[m].tolist(), done_MX[m].tolist()]
            for k in range(16):
                angle, radius = k * math.pi / 4, 0.25 if k < 8 else 0.7
                x, y = own_MX[m].tolist()
                acts.append([x + radius * math.cos(angle), y + radius * math.sin(angle)])
            acts = [[max(-1.0, min(1.0, x)) for x in act] for act in acts]
            one_seen = chosen(seen, torch.tensor([m]))
            worth = [float(one.critic.value(row_MP[:1], one_seen, torch.tensor([act]))) for act in acts]
            weights = [math.exp(SHARPNESS * (each - worth[0]) / (worth[0] + 0.05)) for each in worth]
            for x in range(2):
                mean = sum(w * act[x] for w, act in zip(weights, acts, strict=True)) / sum(weights)
                assert float(found_MX[m, x]) == pytest.approx(mean, abs=1e-3)
            mean_worth = float(one.critic.value(row_MP[:1], one_seen, found_MX[m : m + 1]))
            assert mean_worth > min(worth)


def test_imitation_begins_episodes_of_a_task() -> None:
    """Its acts are those in the box that shows the demonstration; behind them are the policy's own, with noise."""
    one = objective(load(FILE))
    imitation, task = one.problems.groups
    batch = one.batch(task, 1, ALONE)
    world, own = task.world, task.input(batch, one.rows_NP.detach()[batch.row_B])
    row_BP, count_B = one.rows_NP.detach()[:1].expand(4, -1), torch.tensor([0, 2, 5, 5])
    demonstration = demonstrations_of(world, batch.layouts, torch.device("cpu"))
    start = Beginning(row_BP, demonstration, count_B, torch.tensor([0, 0, 0, 3]))
    draw = GeneratorDraw(torch.Generator().manual_seed(3), 4, torch.arange(4))
    with torch.no_grad():
        still = TaskActor(one.core, torch.zeros(4), start)
        episodes, _ = rollout(still, world, batch.state, own, torch.zeros(4, 0), 8, draw=draw)
        shown = world.reset([{**layout, "SHOWN": (0,)} for layout in batch.layouts])
        assert episodes.actions is not None
        for t, action in enumerate(episodes.actions):
            assert action.payload_BX is not None
            seen, everyone_B = world.observe(shown), torch.ones(4, dtype=torch.bool)
            imitating_BX = one.core.force(row_BP, one.core.remembered(world.spec, seen))
            mine_BX = one.core.force(own.row_BP, one.core.remembered(world.spec, episodes.seen[t]))
            for b in range(3):
                expected_X = imitating_BX[b] if t < count_B[b] else mine_BX[b]
                torch.testing.assert_close(action.payload_BX[b], expected_X)
            if t < 5:  # frames are skipped: another act
                assert not torch.allclose(action.payload_BX[3], imitating_BX[3])
            world.act(shown, action, everyone_B)
        noisy = TaskActor(one.core, torch.tensor([0.0, 1.0, 0.0, 1.0]), start)
        seen = world.observe(world.reset(batch.layouts))
        acts = [actor.step(own, seen, torch.zeros(4, 0), draw=draw).action.payload_BX for actor in (still, noisy)]
    assert acts[0] is not None
    assert acts[1] is not None
    assert (acts[0] == acts[1]).all(1).tolist() == [True, False, True, False]


def test_a_share_of_episodes_is_taken_over() -> None:
    """None where nothing is shared; otherwise about that share, with any number of acts and of skipped frames."""
    one = objective(load(FILE), batch=200, takeover=0.5, skips=0.3)
    imitation, task = one.problems.groups
    batch = one.batch(task, 1, ALONE)
    actor = one.actor(task, batch, 1)
    assert isinstance(actor, TaskActor)
    start = actor.beginning
    assert start is not None
    assert 0.35 < (start.count_B > 0).float().mean() < 0.6
    assert 0.2 < (start.skipped_B > 0).float().mean() < 0.4
    assert int((start.count_B + start.skipped_B - start.demonstration.lengths_B).max()) <= GRACE
    assert 0 < float(actor.noise_B.min()) < 0.01
    assert 0.06 < float(actor.noise_B.median()) < 0.2
    assert 0.45 < float(actor.noise_B.max()) < 0.5
    assert one.actor(imitation, batch, 1) is one.core
    alone = objective(load(FILE), sharing=0).actor(task, batch, 1)
    assert isinstance(alone, TaskActor)
    assert alone.beginning is None


def test_ends_are_those_of_the_program() -> None:
    """An imitation that is cut is no end for the task: what comes after it counts."""
    one = objective(load(FILE))
    imitation, task = one.problems.groups
    sample = {
        "score.likeness": torch.tensor([[0.5, 0.25], [1.0, 0.0], [0.5, 0.5]]),
        "score.reward": torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]),
        "steps": torch.tensor([2, 1, 2]),
        "ended": torch.tensor([False, True, True]),
    }
    i = one.training.discount
    won_M, discount_M = one._returns(task, sample)
    r = one.training.reward_discount
    assert won_M.tolist() == pytest.approx([0, 0, r])
    assert discount_M.tolist() == pytest.approx([r * r, r, 0])
    won_M, discount_M = one._returns(imitation, sample)
    assert won_M.tolist() == pytest.approx([(1 - i) * (0.5 + 0.25 * i), 1 - i, (1 - i) * (0.5 + 0.5 * i)])
    assert discount_M.tolist() == pytest.approx([i * i, 0, 0])


def test_beside_a_frozen_core_rows_and_the_critic_move() -> None:
    programs = load(FILE)
    tasks = training_tasks(programs)[1:]
    library = new_library(SMALL, tasks, [programs], seed=0)
    library.core.requires_grad_(False)
    found = objective_of(library, tasks, replace(LEARNER.training, batch=4, sample=32, optimizer_steps=2))
    before, rows_NP = library.core.digest(), found.rows_NP.detach().clone()
    assert list(found.groups()) == ["rows", "critic"]
    Descent(found.groups(), schedule_of(found.training)).update(found, 0)
    assert library.core.digest() == before
    assert not torch.equal(rows_NP, found.rows_NP)


def test_it_learns_to_follow_demonstrations() -> None:
    """From 0.13 of the likeness, where it loses the demonstration at once, to more than twice that in seconds."""
    text = FILE.read_text().replace("demonstrations: 500", "demonstrations: 20").partition("program SOLVE")[0]
    programs = loads(text + 'task one:\n    run IMITATE\n    expect EXTRACT == ["yes"]\n    train\n    test\n')
    training = MimicTraining(
        updates=36, batch=32, rate=2e-3, row_rate=2e-3, check_every=36, problems=16, optimizer_steps=64, sample=64,
        returns=5, tracking=0.02,
    )  # fmt: skip
    tasks = training_tasks(programs)
    library = new_library(MimicConfig(units=64), tasks, [programs], seed=0)
    found = objective_of(library, tasks, training)
    library.memory.embeddings_NP = found.rows_NP
    before = score_task(library, programs, programs.tasks[0], count=100).scores["likeness"].mean
    fit(found, schedule_of(training))
    after = score_task(library, programs, programs.tasks[0], count=100).scores["likeness"].mean
    assert before < 0.25
    assert after > 0.35, after
