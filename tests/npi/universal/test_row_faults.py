"""Faults of proofs, pools and searches of the universal core that nothing else would show."""

from pathlib import Path

import numpy as np
import pytest
import torch

import dsl
from dsl.generator import GeneratedProgram
from npi.jobs.universal import _pool_of, _state_of
from npi.training.checkpoint import FileCheckpoint
from npi.universal import training_stream
from npi.universal.code_search import Search, SearchConfig
from npi.universal.functions import Functions
from npi.universal.network import Interpreter, InterpreterConfig, Proposer
from npi.universal.plan import plan_of
from npi.universal.proof import prove
from npi.universal.training_stream import WORLDS, draw_pool, vocabularies
from tests.support.paths import ROOT
from tests.support.universal_helpers import tables

SMALL = InterpreterConfig(hidden=32, layers=1, features=32, code=8)


@pytest.mark.parametrize("state", [0, 1, 2])
def test_a_wrong_decision_of_a_late_state_is_found(state: int) -> None:
    """Red where only the first pair of states is walked."""
    programs = dsl.load(ROOT / "programs/addition.npi")
    program = programs.program("addition.ADD1")
    row = tables(plan_of(program, programs.table), programs)
    right = prove(program, row)
    assert right.holds
    assert right.cases == sum(int(np.prod(one.sizes, dtype=np.int64)) for one in row)
    row[state].entry_M5[-1, 0] = 0 if row[state].entry_M5[-1, 0] != 0 else -1  # another program, or a return
    assert prove(program, row).wrong == 1


def test_a_pool_has_no_program_that_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where the pool is drawn without leaving them out: the held-out ones here are those it would draw."""
    worlds = vocabularies({"bits": WORLDS["bits"]})
    drawn: list[set[str]] = []
    checked = training_stream.checked

    def seen(vocabulary: object, programs: list[GeneratedProgram]) -> object:
        drawn.append({program.hash for program in programs})
        return checked(vocabulary, programs)  # type: ignore[arg-type]

    monkeypatch.setattr(training_stream, "checked", seen)
    monkeypatch.setattr(training_stream, "SIZES", (1, 2, 3))
    held: list[GeneratedProgram] = []
    monkeypatch.setattr(training_stream, "held_programs", lambda vocabulary: held)
    draw_pool(SMALL, worlds, each=4, seed=0)
    generator = np.random.default_rng([0, 0])
    held += training_stream.stream(worlds["bits"], dict.fromkeys((1, 2, 3), 4), generator=generator)
    assert {program.hash for program in held} == drawn[0]
    draw_pool(SMALL, worlds, each=4, seed=0)
    assert len(drawn[1]) == 12
    assert not drawn[0] & drawn[1]


def test_a_search_keeps_the_best_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three candidates that are wrong in 5, 2 and 9 situations the second is kept, until one is wrong in fewer."""
    generator = torch.Generator().manual_seed(0)
    net, proposer = Interpreter(SMALL, generator=generator), Proposer(SMALL, generator=generator)
    programs = dsl.load(ROOT / "programs/addition.npi")
    states = [plan_of(programs.program("addition.ADD1"), programs.table).states[0]]  # hundreds of situations
    search = Search(net, proposer, Functions(states, SMALL.inputs), SearchConfig(starts=3, propose=False))
    for wrong, kept in (((5, 2, 9), 1), ((7, 7, 2), 1), ((1, 7, 2), 0)):
        monkeypatch.setattr(search.functions, "wrong", lambda *_, w=wrong, **__: [torch.arange(n) for n in w])
        was = search.best.code_NC.clone()
        search.evaluate(0)
        expected = was if wrong == (7, 7, 2) else search.code_AC.detach()[kept : kept + 1]
        assert torch.equal(search.best.code_NC, expected)
    assert [len(one) for one in search.best.wrong] == [1]


def test_the_functions_of_a_run_that_was_killed_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where they are kept as numbers of a type that files do not hold."""
    monkeypatch.setattr(training_stream, "SIZES", (2, 3))
    monkeypatch.setattr(training_stream, "held_programs", lambda vocabulary: [])
    pool = draw_pool(SMALL, vocabularies({"bits": WORLDS["bits"]}), each=4, seed=0)
    kept = FileCheckpoint(tmp_path / "functions.safetensors", identity="a run")
    kept.save(_state_of(pool))
    state = kept.load()
    assert state is not None
    found = _pool_of(state, SMALL)
    assert (found.counts, found.programs, len(found.states)) == (pool.counts, pool.programs, len(pool.states))
    for one, other in zip(found.states, pool.states, strict=True):
        for name in ("seen_MR", "outcome_M", "value_M"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
