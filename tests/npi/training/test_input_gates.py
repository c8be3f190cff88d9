"""Which fields a program needs, read off its frames: no spurious ones, and none that only a count could replace."""

from __future__ import annotations

import pytest

from dsl import load, loads
from npi.training.dataset import Dataset
from npi.training.input_gates import Evidence
from tests.support.paths import PROGRAMS


def needed(dataset: Dataset, program: str) -> set[str]:
    table = dataset.table
    frames = dataset.frames.select(dataset.frames.program_M == table.id(program))
    return {table.world.fields[i].name for i in Evidence(frames).needed()}


@pytest.mark.parametrize(
    ("path", "program", "fields"),
    [
        ("addition.npi", "ADD", {"IN1", "IN2", "CARRY"}),
        ("addition.npi", "ADD1", {"IN1", "IN2", "CARRY"}),
        ("addition.npi", "CARRY", set()),
        ("addition.npi", "LSHIFT", set()),
        ("examples/insertionsort.npi", "INSERT", {"ITEM", "LAST", "GAP"}),
        ("examples/insertionsort.npi", "MAKEROOM", {"LAST"}),
    ],
)
def test_a_program_sees_what_its_text_looks_at(path: str, program: str, fields: set[str]) -> None:
    """INSERT goes back as far as it went: a count of its calls would tell how far, and must not replace the look."""
    found = load(PROGRAMS / path)
    dataset = Dataset.from_programs(found, traces=32, seed=0)
    name = next(s.name for s in dataset.table.signatures if s.name.rpartition(".")[2] == program)
    assert needed(dataset, name) == fields


def test_a_call_written_several_times_over_is_told_apart_by_what_was_called_before() -> None:
    """Three equal calls, then another: the last two calls do not tell where the program is, the last three do."""
    programs = loads(
        """
world pad is scratchpad:
    row A of digit

program FOUR "Three steps to the left, then mark":
    ACT(A, LEFT)
    ACT(A, LEFT)
    ACT(A, LEFT)
    ACT(A, WRITE, 1)

task four(a: number):
    A = digits(a)
    run FOUR
    expect under(A) == 1
    train a of 1..3 digits
""",
        path="four.npi",
    )
    dataset = Dataset.from_programs(programs, traces=8, seed=0)
    evidence = Evidence(dataset.frames)
    assert not evidence.settled([], evidence.window(2))
    assert evidence.settled([], evidence.window(3))
    assert evidence.needed() == []
