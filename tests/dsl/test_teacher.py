"""Decision tables against a plain interpreter of the syntax tree, on the program files and on random programs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import dsl
from dsl.generator import stream
from dsl.lowering import decision_tables
from envs.spec import RETURN
from envs.stepper import Observation
from tests.fuzz.targets import compare, random_arguments
from tests.support.pads import random_layout
from tests.support.paths import PROGRAMS
from tests.support.random_programs import WORLDS, drawn, together, vocabulary

LIMIT = 80
"""Decisions after which a random program is left alone."""


TAUGHT = [path for path in PROGRAMS.rglob("*.npi") if path.parent.name not in ("learning", "tools")]
FILES = sorted(path for path in TAUGHT if "goto" not in path.stem)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_program_files_decide_as_their_text_says(path: Path) -> None:
    program_set = dsl.load(path)
    teacher = dsl.compile_teacher(program_set)
    generator = torch.Generator().manual_seed(3)
    size, count, least = (5, 8, 4) if path.parent == PROGRAMS else (4, 4, 1)
    for task in program_set.tasks:
        for problem in task.draw(size, count, generator=generator, spread=True):
            compared = compare(program_set, teacher, problem.layout, problem.program, problem.arguments, limit=100_000)
            assert len(compared[0]) > least


WORLD = """world pad is scratchpad:
    row IN, OUT of 0..2 or blank
    row A of 0..2
    pointer P, Q on A
    pointer Z on A at right
    counter K on A
    row S of "(" or ")" or blank at left
    row M, R of place at left
    order P, Q, Z
    order M, P
    jump TO, HALFWAY
"""


def compared(program_set: dsl.ProgramSet, ids: Sequence[int]) -> int:
    """Compare each program on two random pads; gives how many decisions were compared."""
    teacher, chooser, decisions = dsl.compile_teacher(program_set), random.Random(0), 0
    for number in (number for number in ids for _ in range(2)):
        layout = random_layout(program_set.world.config, chooser)
        arguments = random_arguments(program_set.program(number), chooser)
        decisions += len(compare(program_set, teacher, layout, number, arguments, limit=LIMIT)[0])
    return decisions


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_drawn_programs_decide_as_their_text_says(world: str) -> None:
    # red when lowering loses a branch, a stride is wrong, or a blank counts as something else than 0,
    # an order is read the wrong way round, or a jump, a saved place or an empty one means something else
    assert compared(*together(world, drawn(world))) > 700


def test_tables_that_are_cut_decide_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """With hardly any room for merging, chains of branches take several look-ups and give the same."""
    monkeypatch.setattr(decision_tables, "MAX_MERGED_ENTRIES", 8)
    program_set = dsl.load(PROGRAMS / "addition.npi")
    assert dsl.compile_teacher(program_set).hops == 3  # IN1, IN2, then CARRY (2 values) merged with the call
    found = list(stream(vocabulary("mixed"), {4: 30, 8: 40}, generator=np.random.default_rng(0)))
    assert compared(*together("mixed", found)) > 500


def test_a_batch_decides_as_its_rows_do() -> None:
    program_set, _ = together("mixed", drawn("mixed")[::4])
    teacher = dsl.compile_teacher(program_set)
    generator = torch.Generator().manual_seed(0)
    table = program_set.table
    B = 53
    obs_BF = torch.stack([torch.randint(f.size, (B,), generator=generator) for f in table.world.fields], dim=1)
    program_B = torch.randint(table.primitives, len(table), (B,), generator=generator)
    arguments_B3 = torch.zeros(B, 3, dtype=torch.int64)
    for i, program in enumerate(program_B.tolist()):
        for j, slot in enumerate(table.signatures[program].slots):
            arguments_B3[i, j] = slot.tokens[int(torch.randint(len(slot.tokens), (1,), generator=generator))]
    hidden_BH = torch.zeros(B, 1, dtype=torch.int64)
    whole = teacher.step(Observation(obs_BF), program_B, arguments_B3, hidden_BH)
    for i in range(B):
        row = slice(i, i + 1)
        alone = teacher.step(Observation(obs_BF[row]), program_B[row], arguments_B3[row], hidden_BH[row])
        assert torch.equal(alone.call_B4[0], whole.call_B4[i])
        assert torch.equal(alone.hidden_BH[0], whole.hidden_BH[i])
    assert len(torch.unique(whole.call_B4, dim=0)) > 5


@pytest.mark.parametrize("pointer", ["P", "Q"])
def test_a_cell_is_read_through_the_parameter(pointer: str) -> None:
    text = WORLD + f"program X:\n    ACT(Q, RIGHT)\n    Z({pointer})\nprogram Z(p: P or Q):\n    ACT(OUT, WRITE, p)\n"
    text += "    while not last(p):\n        ACT(p, RIGHT)\n        ACT(IN, WRITE, p)\n"
    program_set = dsl.loads(text)
    layout = {"A": [2, 0, 1]}
    teacher = dsl.compile_teacher(program_set)
    _, reading = compare(program_set, teacher, layout, program_set.table.id("X"))
    assert (reading["OUT"], reading["IN"]) == ([2 if pointer == "P" else 0], [1])
    assert reading[f"at({pointer})"] == [2]


def test_the_entry_is_hidden_zero_and_returns_are_calls() -> None:
    text = WORLD + "program X:\n    if IN:\n        ACT(IN, LEFT)\n"
    program_set = dsl.loads(text)
    teacher = dsl.compile_teacher(program_set)
    obs_BF = torch.zeros(2, len(program_set.table.world.fields), dtype=torch.int64)
    obs_BF[:, 0] = torch.tensor([3, 1])
    zeros = torch.zeros(2, 3, dtype=torch.int64)
    first = teacher.step(Observation(obs_BF), torch.tensor([1, 1]), zeros, zeros[:, :1])
    tokens = teacher.table.world.token
    assert first.call_B4.tolist() == [[RETURN, 0, 0, 0], [0, tokens("IN"), tokens("LEFT"), 0]]
    second = teacher.step(Observation(obs_BF[1:]), torch.tensor([1]), zeros[:1], first.hidden_BH[1:])
    assert second.call_B4.tolist() == [[RETURN, 0, 0, 0]]


def test_a_condition_over_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_tables, "MAX_MERGED_ENTRIES", 8)
    monkeypatch.setattr(decision_tables, "MAX_ENTRIES", 15)
    text = WORLD + "program X:\n    if IN + OUT > 1:\n        ACT(IN, LEFT)\n"
    with pytest.raises(dsl.LanguageError, match="this reads 4 × 4 combinations of cells at once, more than 15"):
        dsl.loads(text)


def test_a_silent_loop_is_found_in_cut_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_tables, "MAX_MERGED_ENTRIES", 2)
    text = WORLD + "program X:\n    while IN:\n        if OUT == 1:\n            ACT(IN, LEFT)\n"
    with pytest.raises(dsl.LanguageError, match="this loop calls nothing and never ends"):
        dsl.loads(text)
