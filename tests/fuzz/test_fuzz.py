"""What fuzzing found stays fixed, what it does by chance can be done again, and its targets see faults."""

from __future__ import annotations

import random

import pytest

import dsl
from dsl.errors.error import MOST_ERRORS, Source
from dsl.teacher import compile_teacher
from dsl.text.parse import BLOCKS, LEVELS, parse_all
from tests.fuzz import targets
from tests.fuzz.corpus import seeds
from tests.fuzz.mutate import cross, mutate
from tests.fuzz.targets import TARGETS

PAD = "world pad is scratchpad:\n    row IN, OUT of digit\n"

FOUND = {
    "a word glued to a name": ("world w is scratchpad:\n    rowA of digit\n", 2, "NPI008", "did you mean row A?"),
    "a word glued to a number": ("world w is scratchpad:\n    row A of0..9\n", 2, "NPI008", "did you mean of 0?"),
    "a tab inside brackets that are not closed": ("ogram(\n\tT()\n  O\n", 1, "NPI007", "did you mean program?"),
    "a tab beside blanks inside brackets that are not closed": (
        "program (:\n        ACT(IN, LEFT)\n\tACT(P, RIGHT)",
        1,
        "NPI017",
        "write: program NAME:",
    ),
    "sizes that fill the memory": (
        PAD + "program GO:\n    ACT(IN, LEFT)\n"
        "task t(a: number):\n    IN = digits(a)\n    run GO\n    expect 1 == 1\n    train a of 1..2147483648\n",
        9,
        "NPI122",
        "sizes go up to 1,000,000, and a line has at most 10,000; list a few, as in 1, 10, 100",
    ),
    "a character that looks empty": (
        "program GO:\n  X\n \u2028\n",
        1,
        "NPI040",
        "begin with: world NAME is scratchpad:, or use a file that has one",
    ),
    "an indentation inside brackets that are not closed": ("ask(\n  run X\n 1\n", 1, "NPI007", "did you mean task?"),
}
"""Texts that raised something else than a language error, with the line, code and fix that they have now."""


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_a_language_error(name: str) -> None:
    text, line, code, fix = FOUND[name]
    with pytest.raises(dsl.LanguageError) as caught:
        dsl.loads(text)
    assert (caught.value.line, caught.value.code, caught.value.fix) == (line, code, fix)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_no_fault(name: str, target: str) -> None:
    TARGETS[target](FOUND[name][0])


def nested(condition: str, blocks: int) -> str:
    heads = [f"{'    ' * level}{'while' if level % 3 == 2 else 'if'} {condition}:" for level in range(1, blocks)]
    return f"{PAD}program GO:\n" + "\n".join([*heads, "    " * blocks + "ACT(IN, LEFT)"]) + "\n"


EXPRESSIONS = {
    "sums": lambda n: " + ".join(["IN"] * (n + 1)) + " == 3",
    "differences": lambda n: "IN - (" * n + "IN" + ")" * n + " > 3",
    "signs": lambda n: "-" * n + "IN < 3",
    "negations": lambda n: "not " * n + "IN == 3",
    "alternatives": lambda n: " or ".join(["IN == 3"] * n),
    "choices": lambda n: "(" + "1 if IN == 2 else " * n + "3) == 2",
    "functions": lambda n: "len(" * n + "IN" + ")" * n + " == 2",
    "lists": lambda n: "[" * n + "IN" + "]" * n + " == 2",
}


@pytest.mark.parametrize("kind", EXPRESSIONS)
def test_deep_expressions_are_read_or_refused(kind: str) -> None:
    """Red where a limit is raised beyond what the walks of a tree bear; also inside the deepest block."""
    make = EXPRESSIONS[kind]
    task = f"task t(a: number):\n    IN = digits(a)\n    run GO\n    expect {make(LEVELS - 3).replace('IN', 'a')}\n"
    text = nested(make(LEVELS - 3), 2) + task + "    train a of 1..2\n"
    assert "NPI024" not in [error.code for error in dsl.diagnose(text).errors]
    inner = "    " * (BLOCKS - 1) + f"if {make(LEVELS - 3)}:\n" + "    " * BLOCKS + "ACT(IN, LEFT)\n"
    for deepest in (text, nested("IN == 3", BLOCKS - 1) + inner):
        for target in TARGETS.values():
            target(deepest)
    for many in (LEVELS + 1, 10_000):
        found = dsl.diagnose(nested(make(many), 2))
        assert [(error.line, error.code) for error in found.errors] == [(4, "NPI024")]


def test_deep_blocks_are_read_or_refused() -> None:
    assert not parse_all(Source("a.npi", nested("IN", BLOCKS))).errors
    found = dsl.diagnose(nested("IN", BLOCKS + 1)).errors
    assert [(error.line, error.code) for error in found] == [(3 + BLOCKS + 1, "NPI024")]
    arms = "".join(f"    elif IN == {number % 10}:\n        ACT(IN, LEFT)\n" for number in range(BLOCKS))
    text = f"{PAD}program GO:\n    if IN:\n        ACT(IN, LEFT)\n"
    assert [error.code for error in dsl.diagnose(text + arms).errors] == ["NPI024"]
    assert "NPI024" not in [error.code for error in dsl.diagnose(text + arms[: len(arms) * 3 // 4]).errors]


def test_what_is_nested_too_deep_hides_no_other_mistake_and_makes_none() -> None:
    text = nested("not " * 200 + "IN", 2) + "program ALSO:\n    GO\n    ACT(OUT, LEFTT)\n"
    assert [error.code for error in dsl.diagnose(text).errors] == ["NPI024", "NPI068"]


def test_many_mistakes_in_one_part_take_bounded_time() -> None:
    """Red where a part is read again for each of its mistakes: 1,600 took 42 s. Those that are shown are told."""
    found = parse_all(Source("a.npi", "program A:\n" + "    X Y Z\n" * 1600)).errors
    assert MOST_ERRORS <= len(found) < 200
    assert [error.line for error in found[:3]] == [2, 3, 4]


def test_the_rows_of_an_act_through_a_parameter_are_named() -> None:
    """The fix of NPI074 says what each row holds that the parameter's pointers stand on."""
    text = "world w is scratchpad:\n    row A of 0..4\n    row B of 0..9\n    row C of bit\n    pointer P, Q on A\n"
    (error,) = dsl.diagnose(text + "program GO(p: P or B):\n    ACT(p, WRITE, B + 1)\n").errors
    assert (error.code, error.message) == ("NPI074", "argument operand of ACT becomes 10 when B = 9, p = P")
    assert error.fix.startswith("row A holds 0..4; row B holds 0..9; keep")


def test_a_set_without_programs_has_an_empty_teacher() -> None:
    assert len(compile_teacher(dsl.loads(PAD)).tables.entry_M5) == 0


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_and_changed_seeds_are_no_faults(target: str) -> None:
    chooser = random.Random(7)
    chosen = chooser.sample(seeds(), 25)
    for text in chosen:
        TARGETS[target](text)
        TARGETS[target](mutate(text, chooser, 4000))
        TARGETS[target](cross(text, chooser.choice(chosen), chooser, 4000))


def test_changes_follow_from_their_seed_and_often_parse() -> None:
    text = max(seeds(), key=len)
    assert mutate(text, random.Random(3), 5000) == mutate(text, random.Random(3), 5000)
    changed = [mutate(text, random.Random(seed), 6000) for seed in range(60)]
    assert len(set(changed)) > 55
    right = sum(not parse_all(Source("a.npi", other)).errors for other in changed)
    assert 5 < right < 55, "some mutations leave a text that parses, some do not"


def test_a_teacher_that_decides_otherwise_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAD + "program GO:\n    ACT(IN, LEFT)\n"
    targets.teacher(text)
    other = dsl.loads(PAD + "program GO:\n    ACT(IN, RIGHT)\n")
    monkeypatch.setattr(targets.dsl, "compile_teacher", lambda found: compile_teacher(other))
    with pytest.raises(AssertionError, match="decides otherwise"):
        targets.teacher(text)
