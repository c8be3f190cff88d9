"""What is remembered, beside plain loops over episodes and lists."""

from __future__ import annotations

import random

import torch

from envs.stepper import Action, Observation, Ragged
from envs.world import Episodes
from npi.learners.objectives.replay_memory import Memory, discounted, transitions
from npi.learners.tasks import Batch

STEPS, COUNT, RETURNS = 7, 3, 4


def episodes() -> Episodes:
    """Three: one that comes to an end, one that is cut by it before, and one that goes on to the last step."""
    live_TB = torch.tensor([[True] * 3] * 3 + [[True, False, True]] * 2 + [[False, False, True]] * 2)
    ended_TB = torch.zeros(STEPS, COUNT, dtype=torch.bool)
    ended_TB[4, 0] = ended_TB[2, 1] = True
    seen = [
        Observation(
            torch.arange(COUNT)[:, None] + 10 * t,
            {"place": torch.full((COUNT, 2), float(t)), "shown": Ragged(torch.zeros(COUNT, 1, 1), torch.ones(COUNT))},
        )
        for t in range(STEPS + 1)
    ]
    actions = [Action(torch.zeros(COUNT, 4, dtype=torch.int64), torch.full((COUNT, 2), float(t))) for t in range(STEPS)]
    score_TB = torch.arange(STEPS * COUNT).view(STEPS, COUNT).float()
    return Episodes(seen, actions, {"paid": score_TB}, live_TB, ended_TB)


def batch() -> Batch:
    number_B = torch.arange(COUNT)
    return Batch([{}] * COUNT, None, number_B + 5, torch.zeros(COUNT, 3).long(), number_B, number_B, COUNT, 1.0)


def test_returns_are_those_of_plain_loops() -> None:
    one = episodes()
    found = transitions(one, batch(), one.seen, RETURNS)
    assert not any("shown" in name for name in found)
    place = 0
    for t in range(STEPS):
        for b in range(COUNT):
            if not one.live_TB[t, b]:
                continue
            ahead = [k for k in range(t, min(t + RETURNS, STEPS)) if one.live_TB[k, b]]
            scores = [float(one.scores["paid"][k, b]) for k in ahead]
            assert found["score.paid"][place].tolist() == scores + [0.0] * (RETURNS - len(scores))
            assert int(found["steps"][place]) == len(ahead)
            assert bool(found["ended"][place]) == bool(one.ended_TB[ahead[-1], b])
            assert found["after.channels.place"][place].tolist() == [ahead[-1] + 1.0] * 2
            assert found["seen.fields"][place].tolist() == [b + 10 * t]
            assert found["row"][place] == b + 5
            total = sum(0.9**k * score for k, score in enumerate(scores))
            torch.testing.assert_close(discounted(found["score.paid"], 0.9)[place], torch.tensor(total))
            place += 1
    assert place == len(found["row"])


def test_the_memory_is_a_list_of_the_last_rollouts() -> None:
    """Also where rollouts differ in size, so that its block is moved and made anew."""
    memory, kept, draw = Memory(4), list[tuple[int, list[int]]](), random.Random(0)
    for number in range(60):
        values = [100 * number + i for i in range(draw.randint(1, 9))]
        memory.append(number, {"a": torch.tensor(values), "b": torch.tensor(values)[:, None] * 2.0})
        kept = [*kept, (number, values)][-4:]
        flat = [value for _, part in kept for value in part]
        assert len(memory) == len(flat)
        index_M = torch.tensor([draw.randrange(len(flat)) for _ in range(5)])
        sample = memory.sample(index_M)
        assert sample["a"].tolist() == [flat[i] for i in index_M.tolist()]
        assert sample["b"][:, 0].tolist() == [2.0 * flat[i] for i in index_M.tolist()]
        assert {n: shard["a"].tolist() for n, shard in memory.by_number().items()} == dict(kept)
