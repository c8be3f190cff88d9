"""Programs over joined worlds that call programs with a signal, each of which was learned in one part alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import dsl
from dsl.teacher import shown_by
from envs.episodic import bandit
from envs.registry import KINDS
from envs.stepper import Stepper
from envs.world import Layout
from npi.jobs.learners import train_learner
from npi.learners import interface as registry
from npi.learners.interface import register_learner
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.library.library import Library
from npi.library.operations import hosting
from tests.support.tiny_learner import LEARNER
from traces.machine.lockstep import run

PART = """
world {name} is {kind}(arms: {arms}, steps: 20)

program {program} "Find the better arm":
    maximise reward over {steps} steps
    core "tiny"

task learn:
    FAMILY = ["easy"]
    run {program}
    expect TRIAL == [{steps}]
    train
    test
"""
CARDS = PART.format(name="cards", kind="bandit", arms=2, program="DRAW", steps=6)
DICE = PART.format(name="dice", kind="{kind}", arms=2, program="ROLL", steps=4)
DESK = """
use "cards.npi"
use "dice.npi"

world pad is scratchpad:
    row OUT of 1..2 or blank

world desk joins cards, dice, pad

program BOTH "Draw, and roll until a roll pays":
    DRAW
    TICK(1)
    ROLL
    TICK(2)
    if cards.REWARD == 0:
        cards.PULL(1)
        TICK(1)

program TICK(what: 1..2) "Note it":
    ACT(OUT, WRITE, what)
    ACT(OUT, LEFT)

task both:
    cards.FAMILY = ["easy"]
    dice.FAMILY = ["easy"]
    run BOTH
    expect OUT == [2, 1] or OUT == [1, 2, 1]
    train
    test
"""
QUICK = OnPolicyTraining(updates=10, batch=16, rate=1e-2, check_every=10, problems=16)


class Closing(bandit.Bandit):
    """A bandit that closes behind the third pull."""

    def __init__(self, name: str, config: Any) -> None:
        super().__init__(name, config)
        object.__setattr__(self.spec, "kind", "closing")

    def ended(self, state: Any) -> torch.Tensor:
        return state.trial_B >= 3  # type: ignore[no-any-return]


@pytest.fixture(params=["bandit", "closing"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "_REGISTERED", {})
    monkeypatch.setitem(KINDS, "closing", Closing)
    register_learner(LEARNER)
    for name, text in (("cards", CARDS), ("dice", DICE.replace("{kind}", request.param)), ("desk", DESK)):
        (tmp_path / f"{name}.npi").write_text(text)
    return tmp_path


def after(programs: dsl.ProgramSet, stepper: Stepper, layouts: Sequence[Layout], program: int) -> list[dict[str, Any]]:
    """What the world shows behind a run of a program without arguments."""
    everyone = len(layouts)
    outcome = run(
        stepper,
        programs.world,
        programs.world.reset(layouts),
        programs.table,
        torch.full((everyone,), program),
        torch.zeros(everyone, 3, dtype=torch.int64),
    )
    return programs.world.read(outcome.state)


def test_each_learned_program_runs_in_its_part(folder: Path) -> None:
    for name in ("cards", "dice"):
        train_learner([folder / f"{name}.npi"], out=folder / name, training=QUICK)
    hosts = [Library.open(folder / name) for name in ("cards", "dice")]
    desk = hosting(dsl.load(folder / "desk.npi"), hosts)
    stepper, (task,) = shown_by(desk), desk.tasks
    problems = task.draw(8, 16, generator=torch.Generator().manual_seed(3), spread=False)
    layouts = [problem.layout for problem in problems]
    readings = after(desk, stepper, layouts, task.program)
    closing = "closing" in (folder / "dice.npi").read_text()
    for layout, problem, reading in zip(layouts, problems, readings, strict=True):
        assert task.judge(problem, reading)
        assert after(desk, stepper, [layout], task.program) == [reading]
        assert reading["dice.TRIAL"] == [3 if closing else 4]
    for name, host, least in (("cards", hosts[0], 6), ("dice", hosts[1], 3 if closing else 4)):
        part = dsl.load(folder / f"{name}.npi")
        own = [{k.partition(".")[2]: row for k, row in layout.items() if k.startswith(name)} for layout in layouts]
        (learned,) = part.signals
        same = 0
        for alone, whole in zip(after(part, host.stepper(part.table), own, learned.id), readings, strict=True):
            assert alone["TRIAL"] == [least]
            if whole[f"{name}.TRIAL"] == alone["TRIAL"]:
                same += 1
                assert {f"{name}.{key}": value for key, value in alone.items()}.items() <= whole.items()
        assert same
