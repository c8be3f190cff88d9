"""Decision tables against a plain interpreter of the syntax tree, on the program files and on random programs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

import dsl
from dsl.lowering import decision_tables
from envs.spec import RETURN
from envs.stepper import Observation
from tests.fuzz.targets import compare
from tests.support.pads import random_layout
from tests.support.paths import PROGRAMS

LIMIT = 80
"""Decisions after which a random program is left alone."""


FILES = sorted(path for path in PROGRAMS.rglob("*.npi") if path.parent.name != "learning" and "goto" not in path.stem)


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

MOVING = ("IN", "P", "Q", "Z", "M", "R")
ORDERS = ("before", "same", "after")
PARAMS = {"X": "", "Y": "(p: pointer, v: 0..2)", "Z": "(p: P or Q, s: 0..2 or blank, d: direction)"}


class Author:
    """Writes random programs that the checker accepts: numbers are written mod 3, and each loop round calls."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self) -> str:
        parts = [WORLD]
        for name, params in PARAMS.items():
            self.pointers = ["P", "Q", *(["p"] * 4 if name == "Z" else [])]
            self.values = {"X": [], "Y": ["v"], "Z": ["s"]}[name]
            self.places = {"X": [], "Y": ["p"], "Z": ["p"]}[name]
            self.words = ["d"] if name == "Z" else []
            body = "".join(f"    {line}\n" for line in self.block(3))
            parts.append(f"program {name}{params}:\n{body}")
        return "\n".join(parts)

    def pick(self, *options: str) -> str:
        return self.random.choice(options)

    def number(self, depth: int) -> str:
        if depth == 0 or self.random.random() < 0.4:
            return self.pick("0", "1", "2", "IN", "OUT", *self.pointers, *self.values)
        left, right = self.number(depth - 1), self.number(depth - 1)
        kind = self.random.randrange(4)
        if kind == 0:
            return f"({left} {self.pick('div', 'mod')} {self.pick('2', '3')})"
        if kind == 1:
            return f"({left} if {self.condition(depth - 1)} else {right})"
        return f"({left} {self.pick('+', '-', '*')} {right})"

    def condition(self, depth: int) -> str:
        if depth == 0 or self.random.random() < 0.5:
            one, two = self.random.sample(["P", "Q", "Z"], 2)
            order, place = self.pick(*ORDERS), self.pick("M", "R")
            return self.pick(
                f"{order}({one}, {two})",
                f"not {order}(P, M)",
                f"{place} {self.pick('==', '!=')} blank",
                f"{place} and {order}(M, P)",
                f"before(P, Q) == after({one}, {two})",
                f"{self.number(1)} {self.pick('<', '<=', '>', '>=')} {self.number(1)}",
                f"{self.pick('IN', 'OUT')} {self.pick('==', '!=')} {self.pick('IN', 'blank', '1', *self.pointers)}",
                f"({self.pick('IN', 'P')} + 1) {self.pick('==', '!=')} {self.pick('OUT', '1', 'Q')}",
                self.pick("IN", "OUT", "S", "not IN"),
                f"S {self.pick('==', '!=')} {self.pick('blank', chr(34) + '(' + chr(34))}",
                f"{self.pick('first', 'last')}({self.pick('K', *self.pointers)})",
                *(f"{value} == {self.pick('IN', '1', 'P')}" for value in self.values),
                *(f"{word} == LEFT" for word in self.words),
            )
        if self.random.random() < 0.25:
            return f"not ({self.condition(depth - 1)})"
        return f"({self.condition(depth - 1)} {self.pick('and', 'or')} {self.condition(depth - 1)})"

    def call(self) -> str:
        anywhere = ["IN", "OUT", "P", "Q", "K", "S", *self.places]
        small = f"({self.number(2)}) mod 3"
        moved, other, place = self.pick(*MOVING), self.pick(*MOVING), self.pick("M", "R")
        return self.pick(
            f"ACT({self.pick(*anywhere)}, {self.pick('LEFT', 'RIGHT', *self.words)})",
            f"ACT({self.pick('IN', 'OUT')}, WRITE, {self.pick(small, 'IN', 'blank', '2', *self.values)})",
            f"ACT({self.pick('P', 'Q', 'K')}, WRITE, {small})",
            f"ACT(S, WRITE, {self.pick('S', 'blank', chr(34) + ')' + chr(34))})",
            f"ACT({self.pick('P', 'Q')}, SWAP, {self.pick('P', 'Q', 'K')})",
            f"Y({self.pick(*anywhere)}, {small})",
            f"Z({self.pick('P', 'Q')}, {self.pick('IN', 'blank', '0', small)}, {self.pick('LEFT', 'RIGHT')})",
            "X",
            f"ACT({moved}, {self.pick('TO', 'HALFWAY')}, {other})",
            f"ACT({place}, SAVE, {other})",
            f"ACT({moved}, FOLLOW, {place})",
            f"ACT({place}, WRITE, blank)",
        )

    def block(self, depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(self.random.randint(1, 3)):
            lines += self.statement(depth)
        return [*lines, "return"] if self.random.random() < 0.1 else lines

    def statement(self, depth: int) -> list[str]:
        kind = self.random.random() if depth else 0
        if kind < 0.45:
            return [self.call()]
        inner = [f"    {line}" for line in self.block(depth - 1)]
        if kind < 0.6:
            return [f"while {self.condition(2)}:", f"    {self.call()}", *inner]
        if kind < 0.7:
            over = self.pick("P, Q, K", "IN, OUT", "S")
            return [f"for w in {over}:", f"    ACT(w, {self.pick('LEFT', 'RIGHT')})"]
        lines = [f"if {self.condition(2)}:", *inner]
        if self.random.random() < 0.4:
            lines += [f"elif {self.condition(1)}:", *[f"    {line}" for line in self.block(0)]]
        if self.random.random() < 0.5:
            lines += ["else:", *[f"    {line}" for line in self.block(depth - 1)]]
        return lines


def check_random(seed: int) -> int:
    """Compare on one random program; gives how many decisions were compared, 0 where the text is refused."""
    text = Author(seed).text()
    try:
        program_set = dsl.loads(text)
    except dsl.LanguageError as error:
        if "never reached" not in error.message:
            raise
        return 0
    teacher = dsl.compile_teacher(program_set)
    chooser = random.Random(seed)
    start, compared = program_set.table.id("X"), 0
    for _ in range(2):
        events, _ = compare(program_set, teacher, random_layout(program_set.world.config, chooser), start, limit=LIMIT)
        compared += len(events)
    return compared


@pytest.mark.parametrize("block", range(6))
def test_random_programs_decide_as_their_text_says(block: int) -> None:
    # red when lowering loses a branch, a stride is wrong, or a blank counts as something else than 0,
    # an order is read the wrong way round, or a jump, a saved place or an empty one means something else
    counts = [check_random(seed) for seed in range(block * 30, block * 30 + 30)]
    assert sum(count > 0 for count in counts) > 20, "most random programs are accepted"
    assert sum(counts) > 700


def test_tables_that_are_cut_decide_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """With hardly any room for merging, chains of branches take several look-ups and give the same."""
    monkeypatch.setattr(decision_tables, "MAX_MERGED_ENTRIES", 8)
    program_set = dsl.load(PROGRAMS / "addition.npi")
    assert dsl.compile_teacher(program_set).hops == 3  # IN1, IN2, then CARRY (2 values) merged with the call
    counts = [check_random(seed) for seed in range(20)]
    assert sum(counts) > 500


def test_a_batch_decides_as_its_rows_do() -> None:
    program_set = dsl.loads(Author(4).text())
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
    together = teacher.step(Observation(obs_BF), program_B, arguments_B3, hidden_BH)
    for i in range(B):
        row = slice(i, i + 1)
        alone = teacher.step(Observation(obs_BF[row]), program_B[row], arguments_B3[row], hidden_BH[row])
        assert torch.equal(alone.call_B4[0], together.call_B4[i])
        assert torch.equal(alone.hidden_BH[0], together.hidden_BH[i])
    assert len(torch.unique(together.call_B4, dim=0)) > 5


@pytest.mark.parametrize("pointer", ["P", "Q"])
def test_a_cell_is_read_through_the_parameter(pointer: str) -> None:
    text = WORLD + f"program X:\n    ACT(Q, RIGHT)\n    Z({pointer})\nprogram Z(p: P or Q):\n    ACT(OUT, WRITE, p)\n"
    text += "    while not last(p):\n        ACT(p, RIGHT)\n        ACT(IN, WRITE, p)\n"
    program_set = dsl.loads(text)
    layout = {"A": [2, 0, 1]}
    teacher = dsl.compile_teacher(program_set)
    _, reading = compare(program_set, teacher, layout, program_set.table.id("X"))
    assert reading is not None
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
