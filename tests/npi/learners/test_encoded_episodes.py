"""Episodes that are encoded once: the same numbers as where each call encodes them anew."""

from typing import Any

import numpy as np
import pytest
import torch

from dsl import loads
from envs.images import data
from envs.images.world import Images
from envs.spec import RETURN, SLOTS
from envs.stepper import Observation, Ragged
from meta.few_shot.network import FewShotConfig
from npi.learners.core import LearnerProgramCore
from npi.learners.encoded_episodes import EncodedEpisodes
from npi.learners.interface import TaskInput
from npi.learners.kind import LearnerStepper
from tests.support.tiny_drawings import tiny_drawings

FILE = """
world pictures is images(data: tiny, ways: 3, shots: 2, queries: 5, within: all, pixels: 16)

program ONE "Name a picture":
    maximise accuracy over 1 steps
    core "few-shot"

program TWO "Name two pictures":
    maximise accuracy over 2 steps
    core "few-shot"

task one:
    run ONE
    expect len(ANSWERS) == 1
    train
"""
EPISODES = 7


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tiny_drawings({"a": 6, "b": 5}, size=16, drawers=5)
    found.picture_NSS[:] = np.random.default_rng(0).integers(256, size=found.picture_NSS.shape)
    monkeypatch.setitem(data._HELD, "tiny", found)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def core() -> LearnerProgramCore:
    config = FewShotConfig(row=4, channels=8)
    return LearnerProgramCore(config, [loads(FILE).world.spec], generator=seeded(0))


def world() -> Images:
    found = loads(FILE).world
    assert isinstance(found, Images)
    return found


def asked(row_BP: torch.Tensor) -> TaskInput:
    return TaskInput(world().spec, 0, row_BP, torch.zeros(len(row_BP), SLOTS, dtype=torch.int64))


def shown(numbers: list[int]) -> Observation:
    here = world()
    return here.observe(here.reset([{"EPISODE": [number]} for number in numbers]))


def test_kept_numbers_are_those_of_begin() -> None:
    net, row_BP = core().net, torch.randn(1, 4, generator=seeded(1)).expand(EPISODES, -1)
    seen, program_B = shown([*range(EPISODES)]), torch.full((EPISODES,), 2)
    with torch.no_grad():
        expected_BH = net.begin(asked(row_BP), seen)
        episodes = EncodedEpisodes(net)
        assert torch.equal(episodes.hidden(asked(row_BP), seen, program_B), expected_BH)
        order = torch.tensor([5, 2, 2, 0])
        found_BH = episodes.hidden(asked(row_BP[:4]), seen.select(order), program_B[:4])
    assert torch.equal(found_BH, expected_BH[order])
    assert episodes.encoded == EPISODES


def test_another_row_picture_or_length_is_another_episode() -> None:
    net, rows_2P = core().net, torch.randn(2, 4, generator=seeded(1))
    seen, episodes = shown([3]), EncodedEpisodes(net)
    support = seen.channels["support"]
    assert isinstance(support, Ragged)
    changed = support.padded_BLX.clone()
    changed[0, -1, 0, 0] = 1 - changed[0, -1, 0, 0]
    cases = [
        (2, seen),
        (3, seen),
        (2, Observation(seen.fields_BF, {"support": Ragged(changed, support.lengths_B)})),
        (2, Observation(seen.fields_BF, {"support": Ragged(support.padded_BLX, support.lengths_B - 1)})),
    ]
    with torch.no_grad():
        for encoded, (program, shown_1) in enumerate(cases, 1):
            task = asked(rows_2P[program - 2 : program - 1])
            found_1H = episodes.hidden(task, shown_1, torch.tensor([program]))
            assert torch.equal(found_1H, net.begin(task, shown_1))
            assert episodes.encoded == encoded


def test_what_was_used_longest_ago_goes_first() -> None:
    net, row_1P = core().net, torch.zeros(1, 4)
    wide = net.hidden_size(world().spec) * 4
    episodes = EncodedEpisodes(net, max_bytes=2 * wide)

    def ask(*numbers: int) -> int:
        before, row_BP = episodes.encoded, row_1P.expand(len(numbers), -1)
        seen = shown([*numbers])
        with torch.no_grad():
            found_BH = episodes.hidden(asked(row_BP), seen, torch.full((len(numbers),), 2))
            assert torch.allclose(found_BH, net.begin(asked(row_BP), seen), atol=1e-5)
        return episodes.encoded - before

    assert ask(0, 1) == 2
    assert ask(0) == 0
    assert ask(2) == 1  # 1 goes
    assert ask(0, 2) == 0
    assert ask(1) == 1
    assert ask(3, 4, 5, 6) == 4  # all of a batch stay, also beyond the bound
    assert ask(3, 4, 5, 6) == 0


@pytest.mark.parametrize("ended", [False, True])
def test_a_stepper_decides_as_one_that_encodes_at_each_call(ended: bool) -> None:
    programs, rows_2P = loads(FILE), 3 * torch.randn(2, 4, generator=seeded(4))
    numbers = [program.id for program in programs.signals]
    found = []
    for constant in (True, False):
        made = core()
        begun: list[int] = []

        def begin(task: TaskInput, given: Any, begun: list[int] = begun, made: Any = made) -> torch.Tensor:
            begun.append(len(task.row_BP))
            return type(made.net).begin(made.net, task, given)

        made.net.begin = begin  # type: ignore[method-assign]
        made.net.constant_hidden = constant  # type: ignore[misc]
        steps = dict(zip(numbers, (1, 2), strict=True))
        stepper = LearnerStepper(made, programs.table, dict(zip(numbers, rows_2P, strict=True)), steps, world=0)
        found.append(calls_of(stepper, numbers, ended=ended))
        assert sum(begun) == (EPISODES if constant else 3 * EPISODES)
        assert (stepper.width == 1) == constant
    assert torch.equal(*found)
    assert {*found[0][:, :, 0].flatten().tolist()} == {RETURN, 0}


def calls_of(stepper: LearnerStepper, numbers: list[int], *, ended: bool) -> torch.Tensor:
    """call_TB4 of three calls in one batch of episodes, each of three decisions, whose pictures are named in turn."""
    here, found = world(), []
    state = here.reset([{"EPISODE": [number]} for number in range(EPISODES)])
    program_B = torch.tensor(numbers)[torch.arange(EPISODES) % 2]
    for _ in range(3):
        hidden_BH = torch.zeros(EPISODES, stepper.width)
        for _ in range(3):
            over_B = torch.arange(EPISODES) < 2 if ended else torch.zeros(EPISODES, dtype=torch.bool)
            decision = stepper.step(
                here.observe(state), program_B, torch.zeros(EPISODES, SLOTS, dtype=torch.int64), hidden_BH,
                ended_B=over_B,
            )  # fmt: skip
            hidden_BH = decision.hidden_BH
            found.append(decision.call_B4)
            here.act(state, decision.action, decision.call_B4[:, 0] == 0)
    return torch.stack(found)
