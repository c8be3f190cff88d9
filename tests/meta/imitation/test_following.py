"""Cores that follow a demonstration: promises of the kit, parts against plain loops, and that they learn."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dsl import load, loads
from envs.control.demonstrations import DEMONSTRATION, of_episodes, packed, sizes_of, unpacked
from envs.control.pen import SIZES, Pen
from envs.control.reaching import Reaching
from envs.stepper import Observation, Ragged
from envs.world import Episodes, Layout
from meta.imitation.adaptation import AdaptationConfig, AdaptationLoss, LearnedAdaptation, task_of
from meta.imitation.following import FollowingCore, between, cosines
from meta.imitation.learner import LEARNER
from meta.imitation.network import ImitationConfig
from npi import examples
from npi.jobs.learners import new_library, train_learner
from npi.learners import check_learner, score_task
from npi.learners.demonstration_files import write_demonstrations
from npi.learners.learn_from_demonstrations import learn_from_demonstrations
from npi.learners.tasks import training_tasks
from npi.training.loop import Schedule, fit
from npi.training.ranks import ALONE

SMALL = ImitationConfig(reads="along", row=11, units=7, moments=13, ahead=3)

SHORT = {"alphabets": 3, "steps": 40}

SHORT_PEN = """
world sheet is pen(data: strokes, alphabets: 3, steps: 40)

program DRAW_SHOWN "Draw what the demonstration draws":
    imitate demonstration over 40 steps
    core "imitation"

task known:
    run DRAW_SHOWN
    expect DRAWN == ["yes"]
    train

task other:
    SPLIT = ["test"]
    run DRAW_SHOWN
    expect DRAWN == ["yes"]
    test
"""


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(count: int, **parts: list[int]) -> list[Layout]:
    return [{"EPISODE": [int(digit) for digit in str(number)], **parts} for number in range(count)]


def core_of(world: Pen, config: ImitationConfig = SMALL) -> FollowingCore:
    core = LEARNER.core(config, [world.spec], generator=seeded())
    assert isinstance(core, FollowingCore)
    return core


@pytest.mark.parametrize("file", ["pen", "letters"])
def test_it_keeps_what_the_kit_asks(file: str) -> None:
    check_learner(LEARNER, load(examples() / "learning" / f"{file}.npi"), config=SMALL)


def test_lines_between_others_by_plain_numbers() -> None:
    line_BLG = torch.randn(2, 5, 3, generator=seeded())
    at_BM = torch.tensor([[0.0, 0.25, 3.5, 4.0, 9.0], [1.0, 1.75, 2.0, 3.9, 4.5]])
    found = between(line_BLG, at_BM)
    for b in range(2):
        for m, at in enumerate(at_BM[b].tolist()):
            low, part = min(int(at), 4), min(1.0, at - int(at))
            expected = (1 - part) * line_BLG[b, low] + part * line_BLG[b, min(4, low + 1)]
            assert torch.allclose(found[b, m], expected, atol=1e-6)


def test_a_row_is_a_cosine_transform_before_training() -> None:
    """The second way: NumPy's sums. Waves are orthogonal, so a plan that is made of few comes back."""
    cosines_PG = cosines(8, 13, 3).view(8, 13, 3).numpy()
    middle = (np.arange(13) + 0.5) / 13
    for p, (number, wave) in enumerate([(0, 0), (1, 0), (2, 0), (2, 1), (0, 1), (1, 1), (2, 2), (2, 3)]):
        expected = np.cos(math.pi * wave * middle) * (2**0.5 if wave else 1)
        assert np.allclose(cosines_PG[p, :, number], expected, atol=1e-5)
        assert np.count_nonzero(cosines_PG[p].any(0)) == 1
    gram = np.einsum("pmg,qmg->pq", cosines_PG, cosines_PG) / 13
    assert np.allclose(gram, np.eye(8), atol=1e-5)


def test_demonstrations_look_alike_from_any_sheet() -> None:
    """Moved and scaled, with forces that are as large as the sheet, one is the same to the core."""
    world = Pen("sheet", SHORT)
    core = core_of(world)
    held = world.observe(world.reset(numbered(4))).channels[DEMONSTRATION]
    assert isinstance(held, Ragged)
    shown = unpacked(held, SIZES)
    by, to_2 = 0.7, torch.tensor([0.3, -0.2])
    body_BLS, act_BLX = shown.body_BLS.clone(), shown.action_BLX.clone()
    body_BLS[..., :2] = by * body_BLS[..., :2] + to_2
    body_BLS[..., 2:4] *= by
    act_BLX[..., :2] *= by
    sheet_BLKF = shown.objects_BLKF * by + torch.nn.functional.pad(to_2, (0, 1))
    other = shown._replace(body_BLS=body_BLS, action_BLX=act_BLX, objects_BLKF=sheet_BLKF)
    assert torch.allclose(core.kept(other), core.kept(shown), atol=1e-4)
    assert torch.allclose(core.inferred(other), core.inferred(shown), atol=1e-5)
    assert torch.allclose(core.kept(shown)[:, [0, -1], 2], shown.body_BLS[:, [0, -1], 4])


def test_what_is_read_ahead_lies_where_the_clock_says() -> None:
    """What comes before has no part in what is done, and what comes long after neither."""
    world = Pen("sheet", SHORT)
    core = core_of(world, replace(SMALL, moments=41))
    seen = world.observe(world.reset(numbered(1)))
    held, body_B6 = seen.channels[DEMONSTRATION], seen.channels["body"].clone()  # type: ignore[union-attr]
    assert isinstance(held, Ragged)
    body_B6[:, 5] = 20 / 40
    task = task_of(world.spec, 0, torch.randn(1, 11, generator=seeded(1)))

    def acts(line_BLD: torch.Tensor) -> torch.Tensor:
        channels = {**seen.channels, "body": body_B6, DEMONSTRATION: Ragged(line_BLD, held.lengths_B)}
        told = Observation(seen.fields_BF, channels)
        payload_BX = core.step(task, told, core.begin(task, told)).action.payload_BX
        assert payload_BX is not None
        return payload_BX

    before = acts(held.padded_BLX)
    for moment in range(41):
        line_BLD = held.padded_BLX.clone()
        line_BLD[:, moment, :2] += 0.1
        assert torch.equal(acts(line_BLD), before) == (not 20 <= moment <= 22), moment


def test_other_worlds_are_refused() -> None:
    told = r'reads: "along" follows bodies .* has 4 numbers of a body, 5 of an object .* use a kind such as pen'
    with pytest.raises(ValueError, match=told):
        LEARNER.core(SMALL, [Reaching("plane", {}).spec], generator=seeded())


def test_it_learns_to_draw_what_is_shown(tmp_path: Path) -> None:
    """Drawings of an alphabet and of drawers that no training has; who does not read the demonstration draws none."""
    programs = loads(SHORT_PEN, path="pen.npi")
    config = ImitationConfig(reads="along", row=32, units=24, moments=41)
    rates = {"rate": 1e-2, "inferred": 0.3, "kept": 1.0, "cloned": 40}
    training = replace(LEARNER.training, updates=120, batch=24, check_every=120, problems=8, **rates)
    library = train_learner([programs], out=tmp_path / "library", config=config, training=training).library
    score = score_task(library, programs, programs.tasks[1], count=100)
    assert score.scores["success"].mean > 0.8, score


def test_a_drawing_becomes_a_program(tmp_path: Path) -> None:
    """Of a core that nobody trained: one demonstration, a row, and nothing else changes."""
    known, programs = (load(examples() / "learning" / f"{name}.npi") for name in ("letters", "letter"))
    library = new_library(SMALL, training_tasks(known), [known], seed=0)
    assert isinstance(programs.world, Pen)
    shown = programs.world.demonstrate([{"SPLIT": [2], "DRAWING": [1]}], generator=seeded())
    write_demonstrations(tmp_path / "new.npz", shown, programs.world.spec)
    learned = learn_from_demonstrations(
        library, [programs], tmp_path / "new.npz", replace(LEARNER.learning, updates=5, problems=8)
    )
    assert (learned.rows, learned.unchanged, learned.numbers) == (("letter.DRAW_NEW",), True, 11)


# --- the learned loss -------------------------------------------------------------------------------------------------


def untrained(world: Pen) -> tuple[FollowingCore, AdaptationLoss, Episodes]:
    core = core_of(world).requires_grad_(False)
    learned = AdaptationLoss(core, torch.zeros(11), AdaptationConfig(units=5, steps=2, rate=2e-2))
    return core, learned, world.demonstrate(numbered(3, PUSH=[1]), generator=seeded())


def test_the_learned_loss_reads_no_actions_and_keeps_demonstrations_apart() -> None:
    world = Pen("sheet", {**SHORT, "shown": "no"})
    core, learned, shown = untrained(world)
    row_BP = learned(core, 0, world.spec, shown)
    assert torch.equal(row_BP, learned(core, 0, world.spec, replace(shown, actions=None)))
    assert not torch.equal(row_BP[0], row_BP[1])
    alone = world.demonstrate(numbered(1, PUSH=[1]), generator=seeded())
    alone = replace(alone, seen=[seen.select(torch.tensor([0])) for seen in shown.seen])
    assert torch.allclose(learned(core, 0, world.spec, alone)[0], row_BP[0], atol=1e-4)
    with torch.no_grad():
        assert torch.allclose(learned(core, 0, world.spec, shown), row_BP, atol=1e-5)


def test_the_gradient_through_the_steps_is_that_of_finite_differences() -> None:
    world = Pen("sheet", {**SHORT, "shown": "no"})
    core, learned, shown = untrained(world)
    core, learned = core.double(), learned.double()
    doubled = replace(
        shown, seen=[Observation(s.fields_BF, {n: _double(c) for n, c in s.channels.items()}) for s in shown.seen],
        actions=[a._replace(payload_BX=a.payload_BX.double()) for a in shown.actions or () if a.payload_BX is not None],
    )  # fmt: skip
    objective = LearnedAdaptation(core, 0, world.spec, learned, lambda number: (doubled, doubled))

    def value() -> float:
        ((loss,),) = objective.losses(0, ALONE)
        return float(loss.value)

    ((loss,),) = objective.losses(0, ALONE)
    for parameter, index in ((learned.start_P, (4,)), (learned.rate_P, (2,)), (learned.straight.weight, (1, 3))):
        (gradient,) = torch.autograd.grad(loss.value, parameter, retain_graph=True)
        step = 1e-5
        with torch.no_grad():
            parameter[index] += step
            high = value()
            parameter[index] -= 2 * step
            low = value()
            parameter[index] += step
        assert math.isclose(float(gradient[index]), (high - low) / (2 * step), rel_tol=1e-3, abs_tol=1e-7)


def _double(channel: torch.Tensor | Ragged) -> torch.Tensor | Ragged:
    return channel._replace(padded_BLX=channel.padded_BLX.double()) if isinstance(channel, Ragged) else channel.double()


def test_the_learned_loss_is_learned() -> None:
    """On a few drawings, beside a core that nobody trained: rows that it makes are better than where they begin."""
    world = Pen("sheet", {**SHORT, "shown": "no"})
    core, learned, shown = untrained(world)
    other = world.demonstrate(numbered(3, PUSH=[1]), generator=seeded(1))
    objective = LearnedAdaptation(core, 0, world.spec, learned, lambda number: (shown, other))
    before = objective.evaluate(0).scores["loss"]
    fit(objective, Schedule(40, 40, lambda update: 1.0, 1.0))
    after = objective.evaluate(0).scores["loss"]
    assert after < 0.9 * before
    quiet = core.unroll(task := task_of(world.spec, 0, learned.start_P.expand(3, -1)), other, core.begin(task))[
        "log_likelihood"
    ]
    assert after < float(-quiet.mean().detach()), "the steps help, not the beginning alone"


def test_of_episodes_is_what_is_packed() -> None:
    world = Pen("sheet", {**SHORT, "noise": 0.0})
    episodes = world.demonstrate(numbered(2, PUSH=[1]), generator=seeded())
    shown = of_episodes(episodes, sizes_of(world.spec))
    again = world.reset(numbered(2), given={DEMONSTRATION: packed(shown).padded_BLX})
    assert torch.equal(unpacked(Ragged(again.line_BLD, again.length_B), SIZES).body_BLS, shown.body_BLS)
