"""Conditions of loops that end, each with what a round has to do (:mod:`dsl.generator.termination`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dsl.generator.expressions import Names, literal, name
from dsl.generator.termination import Act, Ranking
from dsl.generator.vocabulary import Cursor
from dsl.generator.weighted_choice import Chooser, pick
from dsl.lowering import decision_tables
from dsl.text import syntax as s
from envs.spec import BLANK


@dataclass(frozen=True)
class Guard:
    """A condition under which something gets less.

    Attributes:
        condition: one question.
        rankings: what a round may not do.
        progress: the step that a round has to make.
        call: how it is written.
        first: whether it has to stand at the beginning of the round.
        others: conditions that could stand in place of this one.
    """

    condition: s.Expression
    rankings: tuple[Ranking, ...]
    progress: Act
    call: s.Call
    first: bool = False
    others: tuple[s.Expression, ...] = ()

    def varied(self, chooser: Chooser) -> Guard:
        """The same guard, now and then with another condition."""
        if not self.others or chooser.index((3, 1)) == 0:
            return self
        return replace(self, condition=pick(chooser, self.others))


def act(cursor: str, action: str, *operand: s.Expression) -> s.Call:
    return s.Call("ACT", (s.Name(cursor), s.Name(action), *operand))


def guards(names: Names) -> tuple[tuple[int, Guard], ...]:
    """The guards that there are, with weights.

    Counting is left out where a decision may be cut into several tables: the checker then does not see that the number
    which is written is one of the row.
    """
    found: list[tuple[int, Guard]] = []
    whole = names.combinations <= decision_tables.MAX_MERGED_ENTRIES
    for cursor in names.cursors:
        if cursor.listed:
            found += [(3, edge(cursor, direction)) for direction in ("LEFT", "RIGHT")]
        if cursor.fillable:
            found += [(3, walk(cursor, direction)) for direction in ("LEFT", "RIGHT")]
        if whole and counts(cursor):
            found += [(1, count(cursor, sign)) for sign in "-+"]
    for one, two in names.orders:
        for mover, other in ((one, two), (two, one)):
            if not mover.listed or mover.row == other.row:
                found += [(3, order(mover, other, direction)) for direction in ("LEFT", "RIGHT")]
    return tuple(found)


def edge(cursor: Cursor, direction: str) -> Guard:
    """To the end of a list."""
    asked = s.Apply("first" if direction == "LEFT" else "last", (name(cursor),))
    ranking = Ranking(cursor.name, cursor.pointers, direction)
    return Guard(s.Unary("not", asked), (ranking,), (cursor.name, direction), act(cursor.name, direction))


def walk(cursor: Cursor, direction: str) -> Guard:
    """Along the cells of an endless row that are not blank."""
    ranking = Ranking(cursor.name, cursor.pointers, direction, cursor.rows, own=True)
    symbols = [symbol for symbol in cursor.symbols if symbol != BLANK]
    others = tuple(s.Binary("==", name(cursor), literal(symbol)) for symbol in symbols)
    call = act(cursor.name, direction)
    return Guard(name(cursor), (ranking,), (cursor.name, direction), call, others=others)


def order(mover: Cursor, other: Cursor, direction: str) -> Guard:
    """Up to another pointer."""
    asked = s.Apply("before" if direction == "RIGHT" else "after", (name(mover), name(other)))
    towards = "LEFT" if direction == "RIGHT" else "RIGHT"
    rankings = Ranking(mover.name, mover.pointers, direction), Ranking(other.name, other.pointers, towards)
    return Guard(asked, rankings, (mover.name, direction), act(mover.name, direction))


def counts(cursor: Cursor) -> bool:
    """Whether the symbols of its cell are 0, 1, 2 and so on, and so fit to count with."""
    symbols = [symbol for symbol in cursor.symbols if symbol != BLANK]
    return len(symbols) > 1 and set(symbols) == set(map(str, range(len(symbols))))


def count(cursor: Cursor, sign: str) -> Guard:
    """Down to 0, or up to a number, in one cell."""
    if sign == "-":
        asked, *others = [s.Binary(">", name(cursor), s.Number(0))]
    else:
        asked, *others = [s.Binary("<", name(cursor), s.Number(most)) for most in reversed(cursor.numbers[1:])]
    ranking = Ranking(cursor.name, cursor.pointers, "", cursor.rows)
    call = act(cursor.name, "WRITE", s.Binary(sign, name(cursor), s.Number(1)))
    return Guard(asked, (ranking,), (cursor.name, "WRITE"), call, first=True, others=tuple(others))


def joined(parts: Sequence[Guard]) -> s.Expression:
    """``… or …`` of what the guards ask."""
    found = parts[0].condition
    for part in parts[1:]:
        found = s.Binary("or", found, part.condition)
    return found
