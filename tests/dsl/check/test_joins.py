"""Worlds that join: what texts of the whole and of a part mean, and what is refused."""

from typing import Any

import pytest

import dsl
from dsl.formatting.formatter import format_text
from dsl.formatting.printer import format_tree
from dsl.text.parse import parse

CARDS = "world cards is bandit(arms: 2)\n"
STEPS = "world steps is two_step\n"
PAD = "world pad is scratchpad:\n    row OUT of digit\n"
READ = "program READ:\n    while REWARD == 0:\n        PULL(2)\n"
DESK = CARDS + STEPS + PAD + "world desk joins cards, steps, pad\n"
GO = """
program GO:
    if cards.REWARD == 0:
        PULL(1)
    if OUT:
        ACT(OUT, WRITE, 3)

task go:
    cards.FAMILY = ["easy"]
    OUT = [1]
    run GO
    expect OUT == [3]
    train
    test
"""


def test_a_text_of_the_whole_reads_and_calls_all_parts() -> None:
    text = DESK + GO.replace("cards.FAMILY", "FAMILY")
    found = dsl.loads(text)
    assert found.world.names == ["cards", "steps", "pad"]
    assert [s.name for s in found.table.signatures] == ["PULL", "CHOOSE", "ACT", "text.GO"]
    drawn = found.tasks[0].problem({"episode": 12})
    laid = drawn.layout
    assert list(laid["cards.EPISODE"]) == list(laid["steps.EPISODE"]) == [1, 2]
    assert parse(format_tree(parse(text))) == parse(text)
    assert parse(format_text(text)) == parse(text)


def test_a_used_file_means_what_it_means_alone() -> None:
    files = {"cards.npi": CARDS + READ, "top.npi": 'use "cards.npi"\n' + STEPS + "world desk joins steps, cards\n"}
    alone, joined = dsl.loads(files["cards.npi"], path="cards.npi"), dsl.loads(files["top.npi"], texts=files)
    (one,), (two,) = alone.programs, joined.programs
    assert one.name == two.name
    assert one.table is not None
    assert two.table is not None
    before = len(joined.world.parts[0].spec.fields)
    read, read_there = (
        [read.column(len(programs.world.spec.fields)) for node in table.nodes for read in node.reads]
        for programs, table in ((alone, one.table), (joined, two.table))
    )
    assert read
    assert read_there == [column + before for column in read]


@pytest.mark.parametrize(
    ("text", "told", "code"),
    [
        (CARDS + "world desk joins cards, pat\n", "there is no world pat to join", "NPI058"),
        (CARDS + "world desk joins cards\n", "joins 1 worlds", "NPI058"),
        (CARDS + "world desk joins cards, cards\n", "two worlds that are called cards", "NPI058"),
        (DESK.replace("OUT", "REWARD"), "cards and pad both have REWARD", "NPI058"),
        (DESK + "world other is two_step\n", "a second world desk", "NPI041"),
        (DESK + "world room joins desk, cards\n", "a second world room", "NPI041"),
        (DESK + GO.replace("cards.REWARD", "REWARD"), "there is no pointer or parameter REWARD", "NPI068"),
    ],
)
def test_what_does_not_join_is_refused(text: str, told: str, code: str) -> None:
    errors: list[Any] = list(dsl.diagnose(text).errors)
    assert [error.code for error in errors if told in error.message] == [code]
