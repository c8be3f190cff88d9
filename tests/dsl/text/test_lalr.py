"""The quick loop over Lark's tables against Lark itself: the same trees, the same places, the same texts refused."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lark
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from dsl.errors.wording import grammar
from dsl.text import syntax as s
from dsl.text.build import TreeBuilder
from dsl.text.lalr_loop import At, Stuck, Word
from dsl.text.parse import automaton, parse
from tests.support.big_programs import big_text
from tests.support.paths import ROOT

PROGRAMS = sorted((ROOT / "programs").rglob("*.npi"))


class Slowly(lark.Transformer[lark.Token, s.File]):
    """Lark's own tree, made ours with the same builder."""

    def __default__(self, data: str, children: list[Any], meta: Any) -> Any:
        place = None if meta.empty else At(meta.line, meta.column)
        return getattr(TreeBuilder(), str(data))(place, [self.word(child) for child in children])

    def word(self, child: Any) -> Any:
        if not isinstance(child, lark.Token):
            return child
        found = Word(child)
        found.type = child.type
        return found


def places(node: Any) -> list[tuple[str, int, int]]:
    """Every node of a tree with its place."""
    found = [(type(node).__name__, node.line, node.column)] if isinstance(node, s.Node) else []
    inside = node if isinstance(node, tuple) else vars(node).values() if isinstance(node, s.Node) else ()
    return found + [place for part in inside for place in places(part)]


def accepts(text: str) -> bool:
    """Whether Lark accepts it."""
    try:
        grammar().parse(text)
    except lark.exceptions.LarkError:
        return False
    return True


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_trees_and_places_are_those_of_lark(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    slowly = Slowly().transform(grammar().parse(text))
    assert automaton().parse(text) == slowly
    assert places(automaton().parse(text)) == places(slowly)


def test_places_of_what_stands_in_brackets() -> None:
    text = "program A:\n    if ((B + C) * 2 == (D)) and not (E):\n        F((1), [2])\n"
    found = places(automaton().parse(text))
    assert found == places(Slowly().transform(grammar().parse(text)))
    assert ("Binary", 2, 8) in found


PIECES = [
    *"():,\n=+",
    "    ",
    "        ",
    "program A",
    "if",
    "B",
    "pass",
    "1",
    "..",
    "row",
    "of",
    "task t",
    '"x"',
    " ",
    "#",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_the_same_texts_are_refused(text: str) -> None:
    text = text.lstrip(" ") + "\n"
    try:
        automaton().parse(text)
        accepted = True
    except Stuck:
        accepted = False
    assert accepted == accepts(text)


def test_a_long_file_is_read_and_checked_in_a_moment() -> None:
    """2 seconds are the aim on a free core (``tests/support/big_programs.py`` measures); the test leaves room for
    load."""
    text = big_text(10_000)
    assert text.count("\n") > 9_900
    dsl.diagnose(big_text(100))
    began = time.process_time()
    found = dsl.diagnose(text)
    assert time.process_time() - began < 5
    assert found.errors == ()
    assert len(parse(text).programs) > 600


def test_a_long_file_with_many_mistakes_takes_no_longer_than_twice() -> None:
    lines = big_text(3_000).split("\n")
    broken = [*range(20, 2_800, 50)]
    for number in broken:
        lines[number] = lines[number] + " )"
    began = time.process_time()
    found = dsl.diagnose("\n".join(lines))
    assert time.process_time() - began < 5
    assert len(found.errors) >= len(broken) - 4, "but for those in remarks and empty lines"
    assert {error.line - 1 for error in found.errors} <= set(broken)
