"""Decisions of several steps, and symbols of any kind that are computed, beside the core that comes with the engine."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dsl
from dsl.program import Program, ProgramSet
from npi.jobs.train import learn_into
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.library.wiring import deciding_states, functions, in_words
from npi.proof.prove import prove
from npi.universal import row_search
from npi.universal.network import InterpreterConfig
from npi.universal.plan import HEAD, plan_of
from npi.universal.row_search import Drafts
from npi.universal.rows import RowError, row_of, tabulate, wired, wiring_of
from npi.universal.splitting import Draft
from npi.universal.symbols import DIGIT

CONFIG = InterpreterConfig()

SYMBOLS: Mapping[str, tuple[str, str]] = {
    "thirteen": ("row A of 0..12", "if A < 12:\n        ACT(A, WRITE, A + 1)"),
    "forty": ("row A of 0..40", "ACT(A, WRITE, (A + 1) mod 41)"),
    "sum": ("row A, B of 0..12", "ACT(A, WRITE, (A + B) mod 13)"),
    "signed": ("row A, B of -6..6", "if A + B < 7 and A + B > -7:\n        ACT(A, WRITE, A + B)"),
    "minus": ("row A of -6..6", "ACT(A, WRITE, -A)"),
    "passed": ("row A of 0..12", "if A < 12:\n        KEEP(A + 1, 12 - A)"),
    "clock": (
        "row H of 0..23\n    row M of 0..59",
        "if M < 59:\n        ACT(M, WRITE, M + 1)\n    else:\n        ACT(M, WRITE, 0)\n"
        "        ACT(H, WRITE, (H + 1) mod 24)",
    ),
    "product": ("row A, B of 0..6\n    row T of 0..36", "ACT(T, WRITE, A * B)"),
    "letters": (
        "row T of " + " or ".join(f'"{letter}"' for letter in "abcdefghijk") + " or blank",
        "\n    ".join(
            f'{"el" * (a != "a")}if T == "{a}":\n        ACT(T, WRITE, "{b}")'
            for a, b in itertools.pairwise("abcdefghijka")
        ),
    ),
    "calls": (
        "row A of 0..9",
        "\n    ".join(f"{'el' * (n > 0)}if A == {n}:\n        CALL{n}" for n in range(10)),
    ),
}
"""Files that were refused: rows of the world, and a body that computes what is no digit, or has too many calls."""

CELLS: Mapping[str, tuple[str, str]] = {
    "third": (
        "row OUT, D, X of digit",
        "if OUT + D > 9:\n        ACT(X, WRITE, (X + OUT + D) mod 10)\n"
        "    else:\n        ACT(X, WRITE, (X + D) mod 10)",
    ),
    "carry": ("row A, B, C of digit", "ACT(C, WRITE, (A * B + C) mod 10)\n    ACT(C, WRITE, (A * B + C) div 10)"),
    "times": ("row A, B, C of 0..9", "ACT(C, WRITE, (A * B * C) mod 10)"),
    "seven": (
        "row A, B, C, D, E, F, G of 0..1",
        "if (A + B + C + D + E + F + G) mod 2 == 1:\n        ACT(A, WRITE, 0)",
    ),
}
"""Files that came to nothing after 3,000 updates, or look at too much."""

LARGE: Mapping[str, tuple[str, str]] = {
    "less": (
        "row A, B, C, D of digit",
        "if A + B > C:\n        ACT(D, WRITE, (A + B - C) mod 10)\n    else:\n        ACT(D, WRITE, C - A - B)",
    ),
    "four": ("row A, B, C, D of digit", "if A + B > C + D:\n        ACT(D, WRITE, (A + B + C + D) mod 10)"),
    "equal": (
        "row A, B, C, D of 0..9",
        "if A + B > C + D:\n        ACT(D, RIGHT)\n    elif A - B == C - D:\n        ACT(C, RIGHT)",
    ),
    "carried": ("row A, B, C, D of 0..9", "ACT(D, WRITE, (A * B + C + D) div 10)"),
    "modulo": ("row A, B, C of 0..12", "ACT(C, WRITE, (A + B + C) mod 13)"),
    "chance": ("row A, B, C of digit", "ACT(A, WRITE, (A * 7 + B * B * 3 + C * A * 11 + B * C) * 7919 mod 101 mod 10)"),
}
"""More of them, too slow to be learned in a test."""


def text(name: str) -> str:
    rows, body = {**SYMBOLS, **CELLS, **LARGE}[name]
    world = f"world pad is scratchpad:\n    {rows}\n\n"
    keep = "program KEEP(a: 0..12, b: 0..12):\n    if a == b:\n        ACT(A, WRITE, a)\n\n" if "KEEP" in body else ""
    for n in range(10) if name == "calls" else ():
        keep += f"program CALL{n}:\n    ACT(A, WRITE, {n})\n    ACT(A, LEFT)\n\n"
    lists = [row for line in rows.split("\n") if "blank" not in line and "digit" not in line
             for row in line.strip()[4:].split(" of ")[0].split(", ")]  # fmt: skip
    laid = "".join(f"    {row} = [1]\n" for row in lists)
    task = (
        f"task t:\n{laid}    run RUN\n    expect {f'at({lists[0]}) <= 1' if lists else '1 == 1'}\n    train\n    test\n"
    )
    return f"{world}{keep}program RUN:\n    {body}\n\n{task}"


def program_of(name: str) -> tuple[Program, ProgramSet]:
    programs = dsl.loads(text(name))
    return next(p for p in programs.programs if p.name.endswith("RUN")), programs


SLOW = {"sum", "third", "carried", "equal", "signed", "carry"}
"""What takes more than twenty CPU seconds on a slow core, and is learned as others are."""


def quick(*names: str) -> list[Any]:
    """The names; slow ones are for the thorough tests."""
    return [pytest.param(name, marks=pytest.mark.thorough) if name in SLOW else name for name in names]


@pytest.mark.parametrize("name", quick(*SYMBOLS, *CELLS))
def test_a_file_that_was_refused_or_given_up_is_learned_and_proved(name: str, tmp_path: Path) -> None:
    """Red where a computed symbol is enumerated, or a decision that one code cannot hold is not split."""
    path = tmp_path / f"{name}.npi"
    path.write_text(text(name))
    found = learn_into(tmp_path / "library", [path], device="cpu")
    assert found.solved, (found.wrong, found.notes)
    proofs = [proof for _, some in prove(Library.open(tmp_path / "library"), None) for proof in some]
    assert proofs
    assert not any(proof.wrong for proof in proofs)


def test_a_call_with_a_computed_symbol_is_one_outcome() -> None:
    for name, outcomes in (("thirteen", 2), ("forty", 1), ("passed", 2), ("letters", 2), ("clock", 2)):
        program, programs = program_of(name)
        assert len(plan_of(program, programs.table).states[0].outcomes) == outcomes, name


def test_numbers_are_computed_by_their_decimal_digits() -> None:
    program, programs = program_of("forty")
    (part, last) = Drafts(plan_of(program, programs.table), programs.table, CONFIG).parts
    shown = (np.arange(41) + 1) % 41
    assert part.value_I.tolist() == (shown // 10).tolist()
    assert last.value_I.tolist() == (shown % 10).tolist()
    assert (part.to, last.to) == (0, HEAD)


def decided(draft: Draft) -> tuple[np.ndarray, np.ndarray]:
    """The outcome and the value that steps without fault come to, in every configuration of a state."""
    state, count = draft.state, draft.count
    registers: dict[int, np.ndarray] = {}
    outcome_Z, head_Z = np.zeros(count, np.int64), np.zeros(count, np.int64)
    reads = {read: state.seen_MR[:, place] for place, read in enumerate(state.inputs)}
    for step in state.steps or (None,):
        if step is None:
            return state.outcome_M, state.value_M
        columns = {}
        for look in {*step.looks, *(look for look, _ in step.when)}:
            if look.read is None:
                columns[look] = registers[look.register]
            elif look.digit < 0:
                columns[look] = reads[look.read]
            else:
                columns[look] = draft.index[look.read] // DIGIT**look.digit % DIGIT
        mine = np.all(
            [np.isin(columns[look], numbers) for look, numbers in step.when] or [np.ones(count, bool)], axis=0
        )
        known = {
            tuple(seen): (int(o), int(v))
            for seen, o, v in zip(step.seen_MR.tolist(), step.outcome_M, step.value_M, strict=True)
        }
        assert len(known) == len(step.seen_MR), "one function"
        for z in np.flatnonzero(mine):
            outcome, value = known.get(tuple(int(columns[look][z]) for look in step.looks), (0, 0))
            if step.to == HEAD:
                outcome_Z[z], head_Z[z] = outcome, value
            else:
                registers.setdefault(step.to, np.zeros(count, np.int64))[z] = value
    registers[HEAD] = head_Z
    if state.which != HEAD:
        outcome_Z += CONFIG.outcomes * registers[state.which]
    value_Z = np.full(count, -1)
    for number, outcome_ in enumerate(state.outcomes):
        for argument in outcome_.computed:
            places = sum(registers[r] * DIGIT**p for p, r in enumerate(reversed(argument.digits)))
            mine = outcome_Z == number
            value_Z[mine] = np.maximum(value_Z[mine], 0) * argument.radix + places[mine]
    return outcome_Z, value_Z


@pytest.mark.parametrize("name", quick(*SYMBOLS, *CELLS, *LARGE))
def test_steps_come_to_what_the_state_decides_however_often_they_are_split(name: str) -> None:
    """Red where a register has too few classes, a step does configurations of another one, or a digit is lost."""
    program, programs = program_of(name)
    plan = plan_of(program, programs.table)
    for state in plan.states:
        if not state.inputs or len(state.outcome_M) > 12000:
            continue
        draft = Draft(state, programs.table, program.signature, CONFIG)
        for _ in range(4):
            outcome_Z, value_Z = decided(draft)
            assert np.array_equal(outcome_Z, state.outcome_M)
            assert np.array_equal(value_Z, state.value_M)
            for part in list(draft.parts):
                draft.split(part, 24 - len(draft.parts))


def test_a_sum_is_a_register_that_others_read() -> None:
    """A + B > C + D: of both pairs their sums, and nothing else, in digits; no step reads four cells."""
    program, programs = program_of("four")
    drafts = Drafts(plan_of(program, programs.table), programs.table, CONFIG)
    (draft,) = drafts.drafts.values()
    for _ in range(2):
        assert draft.split(draft.parts[-1], 8)
    named = [
        [programs.world.spec.fields[look.read.index].name for look in part.looks if look.read] for part in draft.parts
    ]
    assert sorted(map(sorted, named[:4])) == [["A", "B"], ["A", "B"], ["C", "D"], ["C", "D"]]
    assert named[-1] == []
    assert len(draft.state.steps[-1].seen_MR) == 19 * 19


def test_a_row_of_steps_survives_its_wiring() -> None:
    program, programs = program_of("passed")
    drafts = Drafts(plan_of(program, programs.table), programs.table, CONFIG)
    drafts.split()
    wiring = wiring_of(drafts.plan, programs.table)
    again = wired(wiring, program.id, programs.table)
    assert wiring_of(again, programs.table) == wiring
    assert functions(wiring) == len(drafts.parts) > deciding_states(wiring) == 1
    assert f"state 0 decides by A, in {len(drafts.parts)} steps" in in_words(wiring, ())
    row_P = row_of(wiring, *drafts.numbers, CONFIG)
    assert len(row_P) == CONFIG.row


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state["steps"][0].update(to=64), "names what is not here"),
        (lambda state: state["steps"][0].update(to="x"), "names what is not here"),
        (lambda state: state["steps"][0]["looks"].append(["register", -2]), "place -2"),
        (lambda state: state["steps"][0]["looks"].append(["field", "A", 99]), "names what is not here"),
        (lambda state: state["steps"][0].pop("when"), "when"),
        (lambda state: state["steps"].append(3), "names what is not here"),
        (lambda state: state.update(which=70), "names what is not here"),
        (lambda state: state["does"][0][1].__setitem__(2, ["computed", ["no such token"], [0]]), "no such token"),
    ],
)
def test_wiring_with_steps_that_cannot_be_is_refused(change: object, message: str) -> None:
    program, programs = program_of("thirteen")
    wiring = wiring_of(Drafts(plan_of(program, programs.table), programs.table, CONFIG).plan, programs.table)
    assert callable(change)
    change(wiring[0])
    with pytest.raises(RowError, match=message):
        wired(wiring, program.id, programs.table)


def test_registers_that_nobody_writes_are_zero_and_decide_nothing_outside_the_row() -> None:
    """Red where a hostile row reads beyond its palette or its outcomes."""
    from npi.universal.core import new_universal, universal

    program, programs = program_of("thirteen")
    wiring = wiring_of(Drafts(plan_of(program, programs.table), programs.table, CONFIG).plan, programs.table)
    wiring[0]["steps"][0]["to"] = 7
    wiring[0]["which"] = 7
    plan = wired(wiring, program.id, programs.table)
    core = universal(new_universal(CONFIG, seed=0).core)
    codes = torch.randn(2, CONFIG.code), torch.randn(2, CONFIG.features)
    found = tabulate(core.net, plan, row_of(wiring, *codes, CONFIG), wiring, programs.table)
    assert set(found[0].entry_M5[:, 0].tolist()) <= {-1, 0}


MANY = "world pad is scratchpad:\n    row A, B of digit\n\nprogram MANY:\n" + "".join(
    f"    if A == {n % 10} and B != {n // 2}:\n        ACT(A, RIGHT)\n" for n in range(18)
)
WIDE = (
    "world pad is scratchpad:\n    row A, B, C, D, E, F of digit\n\nprogram WIDE:\n    ACT(A, RIGHT)\n"
    "    if A + B + C + D + E + F > 20:\n        ACT(B, RIGHT)\n"
)


@pytest.mark.parametrize(
    ("body", "name", "where", "message"),
    [
        (MANY, "MANY", ":5:5: ", "the core's rows have room for 16"),
        (
            WIDE,
            "WIDE",
            ":6:5: ",
            "reads 1,771,561 combinations in one decision.*; let a program that it calls look at some",
        ),
    ],
)
def test_what_cannot_be_a_row_is_told_with_its_line_before_anything_is_learned(
    body: str, name: str, where: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*given: object) -> None:
        raise AssertionError("a search began")

    monkeypatch.setattr(row_search, "Search", never)
    path = tmp_path / "file.npi"
    path.write_text(f"{body}\ntask t:\n    run {name}\n    expect 1 == 1\n    train\n    test\n")
    with pytest.raises(LibraryError, match=message) as told:
        learn_into(tmp_path / "library", [path], device="cpu")
    assert f"{path.name}{where}file.{name} " in str(told.value)
