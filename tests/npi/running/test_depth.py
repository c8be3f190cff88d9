"""From the machine's loop to the network at most four calls deep, for every kind of core."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch

from dsl.program import ProgramSet
from envs.steppers.decision_tables import TableStepper
from npi.core.config import CoreConfig
from npi.core.discrete import DiscreteTrunk
from npi.core.lstm import LstmTrunk
from npi.jobs.train import learn_into
from npi.learners import interface
from npi.library.library import Library
from npi.universal.core import SHIPPED
from npi.universal.network import Interpreter
from tests.support import learner_jobs
from tests.support.paths import ROOT
from tests.support.tiny import strip, untrained
from tests.support.tiny_learner import TinyCore
from traces.machine import lockstep

MOST = 4


def depths(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, run: Callable[[], object]) -> set[int]:
    """How many calls lie between ``lockstep.run`` and each call of a method, that one included."""
    found: set[int] = set()
    inner = getattr(owner, name)

    def counted(*args: Any, **given: Any) -> Any:
        frame: FrameType | None = sys._getframe(1)
        depth = 1
        while frame is not None and frame.f_code is not lockstep.run.__code__:
            # What torch puts around a method is no call of the engine's.
            depth += "/torch/" not in frame.f_code.co_filename
            frame = frame.f_back
        if frame is not None:
            found.add(depth)
        return inner(*args, **given)

    monkeypatch.setattr(owner, name, counted)
    run()
    return found


def steps(library: Library, programs: ProgramSet, program: str, *, memo: bool = False) -> None:
    problems = programs.tasks[0].draw(3, 2, generator=torch.Generator().manual_seed(0), spread=False)
    state = programs.world.reset([problem.layout for problem in problems])
    program_N = torch.full((2,), programs.table.id(program))
    lockstep.run(
        library.stepper(programs.table, memo=memo), programs.world, state, programs.table, program_N,
        torch.zeros(2, 3, dtype=torch.int64), budget=lockstep.Budget(steps=6), compiled=False,
    )  # fmt: skip


@pytest.mark.parametrize("memo", [False, True])
@pytest.mark.parametrize(
    ("kind", "trunk"), [("discrete", DiscreteTrunk), ("lstm", LstmTrunk)], ids=["discrete", "lstm"]
)
def test_a_step_is_few_calls_from_the_network(monkeypatch, kind: str, trunk: type, memo: bool) -> None:
    library = untrained(CoreConfig(kind=kind, hidden=13, bits=3, row=5, key=7))
    found = depths(monkeypatch, trunk, "step", lambda: steps(library, strip(), "strip.BOTH", memo=memo))
    assert found
    assert max(found) <= MOST


def test_a_step_of_a_learned_program_is_few_calls_from_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interface, "_REGISTERED", {})
    library = learner_jobs.untrained("tiny")[1]
    found = depths(
        monkeypatch, TinyCore, "step", lambda: steps(library, library.sets[0], library.sets[0].programs[0].name)
    )
    assert found
    assert max(found) <= MOST


def test_a_row_of_the_universal_core_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its network ran when the tables were made, so a step comes down to a look-up."""
    library = Library.open(SHIPPED)
    learn_into(library, [ROOT / "programs" / "examples" / "reverse.npi"])
    (programs,) = library.sets
    stepper = library.stepper(programs.table)
    monkeypatch.setattr(Library, "stepper", lambda *_, **__: stepper)
    monkeypatch.setattr(Interpreter, "forward", None)
    found = depths(monkeypatch, TableStepper, "step", lambda: steps(library, programs, programs.programs[0].name))
    assert found == {2}
