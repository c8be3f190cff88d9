"""Programs drawn at random, statement by statement, so that each is right by its types and ends on every pad.

The size of a program is the number of its calls, questions, ``for`` loops and ``return`` lines (:func:`size_of`). A
program is drawn with exactly the size that is asked for: a block shares its size out among its statements, and they
among their parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

from dsl.generator.expressions import Guard, Names, act, atoms, choices, condition, guards, joined, name, value
from dsl.generator.termination import ANY, Ranking, Standing, given
from dsl.generator.vocabulary import Callee, Cursor, Vocabulary, together
from dsl.generator.weighted_choice import Chooser, pick, weighted
from dsl.names.scope import POINTER, SYMBOL
from dsl.text import syntax as s
from envs.scratchpad import actions

DEEPEST = 3
"""Loops inside one another, at most."""

WEIGHTS = {"LEFT": 3, "RIGHT": 3, "WRITE": 4, "SWAP": 2, "TO": 1, "HALFWAY": 1, "SAVE": 3, "FOLLOW": 1}
"""How often each action is drawn, to how often others are."""

DIRECTION_WEIGHT = 6
"""Of a step whose direction is a parameter."""

MOST_ARGUMENTS = 64
"""Ways to pass pointers to one callee that are looked at."""

Rankings = tuple[Ranking, ...]

Block = tuple[s.Statement, ...]


class Stuck(Exception):
    """Nothing that is allowed fits here; the draw begins anew."""


def size_of(item: s.Program | s.Statement | Sequence[s.Statement]) -> int:
    """The size of a program or of a part of one.

    Each call, ``for`` and ``return`` counts 1, each question of a condition (what ``and``, ``or`` and ``not`` join, and
    what ``x if C else y`` asks) counts 1; ``pass`` counts nothing.
    """
    if isinstance(item, s.Program):
        assert not isinstance(item.body, s.Signal), f"{item.name} has no body"
        return size_of(item.body)
    if isinstance(item, s.Call):
        return 1 + sum(map(choices, item.arguments))
    if isinstance(item, s.If):
        return sum(atoms(arm.condition) + size_of(arm.body) for arm in item.arms) + size_of(item.otherwise)
    if isinstance(item, s.While):
        return atoms(item.condition) + size_of(item.body)
    if isinstance(item, s.For):
        return 1 + size_of(item.body)
    return sum(map(size_of, item)) if isinstance(item, Sequence) else int(isinstance(item, s.Return))


@dataclass(frozen=True)
class Round:
    """What a loop asks, what its rounds may not do, and the progress they make."""

    condition: s.Expression
    rankings: Rankings
    progress: Block
    first: bool

    @property
    def settled(self) -> Rankings:
        return tuple(ranking.settled for ranking in self.rankings)


class Author:
    """Writes one program, which may mention the vocabulary and the names of its own pointers and parameters."""

    def __init__(self, vocabulary: Vocabulary, names: Names, chooser: Chooser) -> None:
        self.vocabulary, self.names, self.chooser = vocabulary, names, chooser
        stands = {**vocabulary.standing.pointers, **{cursor.name: cursor.pointers for cursor in names.cursors}}
        self.standing = Standing(stands, vocabulary.standing.rows)
        self.loops = 0
        self.known: dict[Rankings, list[tuple[Callee, tuple[str, ...]]]] = {}

    # --- blocks ------------------------------------------------------------------------------------------------------

    def block(self, size: int, rankings: Rankings) -> Block:
        """Statements that together have this size."""
        found: list[s.Statement] = []
        while size > 0:
            found.append(self.statement(size, rankings))
            size -= size_of(found[-1])
        return tuple(found)

    def statement(self, room: int, rankings: Rankings) -> s.Statement:
        """One statement of at most this size."""
        large = room > 1
        kinds: list[tuple[int, Callable[[int, Rankings], s.Statement]]] = [
            (5, self.act),
            (3 if self.vocabulary.callees else 0, self.call),
            (4 if large and self.names.kinds else 0, self.branch),
            (4 if large and self.loops < DEEPEST else 0, self.loop),
            (1 if large and len(self.names.cursors) > 1 else 0, self.unrolled),
        ]
        kind = weighted(self.chooser, kinds)
        whole = room if kind in (self.act, self.call) else 2 + self.chooser.below(room - 1)
        return kind(whole, rankings)

    def shares(self, size: int, parts: int) -> list[int]:
        """A size, shared out at random; each part gets 1 at least."""
        found = [1] * parts
        for _ in range(size - parts):
            found[self.chooser.below(parts)] += 1
        return found

    # --- calls -------------------------------------------------------------------------------------------------------

    def act(self, room: int, rankings: Rankings, cursors: Sequence[Cursor] = ()) -> s.Call:
        """One act of one of these pointers, or of any."""
        found = [
            (weight, (cursor, action, operands))
            for cursor in cursors or self.names.cursors
            for weight, action, operands in self.actions(cursor)
            if self.standing.allows(rankings, cursor.name, action)
        ]
        if not found:
            raise Stuck
        cursor, action, operands = weighted(self.chooser, found)
        if action in actions.BY_NAME and actions.BY_NAME[action].operand == actions.SYMBOL:
            allowed = cursor.symbols or ("blank",)
            return act(cursor.name, action, value(self.names, allowed, room - 1, self.chooser, but=cursor.name))
        if operands:
            return act(cursor.name, action, name(pick(self.chooser, operands)))
        return act(cursor.name, action)

    def actions(self, cursor: Cursor) -> Iterator[tuple[int, str, tuple[Cursor, ...]]]:
        """What a pointer can do: a weight, an action, and the pointers that it can take besides."""
        for step in (*actions.STEPS, *self.names.directions):
            yield WEIGHTS.get(step, DIRECTION_WEIGHT), step, ()
        others = tuple(c for c in self.names.cursors if c.name != cursor.name)
        for action in actions.TABLE:
            if action.operand == actions.SYMBOL and self.writable(cursor):
                yield WEIGHTS[action.name], action.name, ()
            elif action.operand == actions.POINTER and action.name in self.vocabulary.face.words:
                near = [(c, c.row != "" and c.row == cursor.row) for c in others]
                fit = tuple(
                    c for c, same in near if action.takes(same_row=same, on_places=cursor.places, names_places=c.places)
                )
                if fit:
                    yield WEIGHTS[action.name], action.name, fit

    def writable(self, cursor: Cursor) -> bool:
        """Whether all of its pointers can write the same."""
        rows = {self.vocabulary.face.rows[row].values for row in cursor.rows}
        return bool(cursor.values) and len(rows) == 1

    def call(self, room: int, rankings: Rankings) -> s.Call:
        """A call of a program that leaves the rankings as they must be."""
        if rankings not in self.known:
            self.known[rankings] = list(self.calls(self.vocabulary.callees, rankings))
        if not self.known[rankings]:
            return self.act(room, rankings)
        callees = list(dict.fromkeys(callee.number for callee, _ in self.known[rankings]))
        chosen = pick(self.chooser, callees)
        callee, pointers = pick(self.chooser, [found for found in self.known[rankings] if found[0].number == chosen])
        return self.written(callee, pointers)

    def calls(self, callees: Sequence[Callee], rankings: Rankings) -> Iterator[tuple[Callee, tuple[str, ...]]]:
        """Callees, and what can be passed to them for each parameter that is a pointer."""
        for callee in callees:
            slots = [
                [c.name for c in self.names.cursors if c.pointers <= set(values)]
                for kind, values in zip(callee.kinds, callee.values, strict=True)
                if kind == POINTER
            ]
            for chosen in islice(product(*slots), MOST_ARGUMENTS):
                done = given(callee.effects.may, self.passed(callee, chosen))
                if all(self.standing.allows(rankings, *one) for one in done):
                    yield callee, chosen

    def passed(self, callee: Callee, pointers: Sequence[str]) -> dict[str, str]:
        """Parameter → pointer; a direction that is passed can be either."""
        taken = iter(pointers)
        pairs = zip(callee.params, callee.kinds, strict=True)
        return {param: next(taken) if kind == POINTER else f"{ANY}{param}" for param, kind in pairs}

    def written(self, callee: Callee, pointers: Sequence[str]) -> s.Call:
        taken = iter(pointers)
        arguments: list[s.Expression] = []
        for kind, values in zip(callee.kinds, callee.values, strict=True):
            if kind == POINTER:
                arguments.append(s.Name(next(taken)))
            elif kind == SYMBOL:
                arguments.append(value(self.names, values, 0, self.chooser))
            else:
                words = (*values, *(self.names.directions if {"LEFT", "RIGHT"} <= set(values) else ()))
                arguments.append(s.Name(pick(self.chooser, words)))
        return s.Call(callee.name, tuple(arguments))

    # --- branches and loops ------------------------------------------------------------------------------------------

    def branch(self, size: int, rankings: Rankings) -> s.If:
        """``if`` with ``elif``, ``else`` or a ``return``."""
        shapes = ((6, (1, 0)), (4, (1, 1)), (1, (2, 0)), (2, (2, 1)))  # arms, else: each is one larger
        arms, otherwise = weighted(self.chooser, shapes[: size - 1])
        shares = self.shares(size, 2 * arms + otherwise)
        found: list[s.Arm] = []
        for arm in range(arms):
            questions = min(shares[2 * arm], 3)
            spare = shares[2 * arm] - questions
            returns = int(arm == 0 and not otherwise and self.chooser.index((9, 1)))
            inner = self.block(shares[2 * arm + 1] + spare - returns, rankings)
            asked = condition(self.names, questions, self.chooser)
            found.append(s.Arm(asked, (*inner, *([s.Return()] if returns else []))))
        return s.If(tuple(found), self.block(shares[-1], rankings) if otherwise else ())

    def unrolled(self, size: int, rankings: Rankings) -> s.For:
        """``for`` over some of the pointers."""
        if size > 3:
            size = 2 + self.chooser.below(2)
        cursors = list(self.names.cursors)
        while len(cursors) > 2 and self.chooser.below(2):
            cursors.remove(pick(self.chooser, cursors))
        variable = together(self.vocabulary.fresh("each"), cursors)
        before = self.names, self.standing
        self.names = replace(self.names, cursors=(*self.names.cursors, variable))
        self.standing = Standing({**self.standing.pointers, variable.name: variable.pointers}, self.standing.rows)
        try:
            body = tuple(self.act(1, rankings, (variable,)) for _ in range(size - 1))
        finally:
            self.names, self.standing = before
        return s.For(variable.name, tuple(map(name, cursors)), body)

    def loop(self, size: int, rankings: Rankings) -> s.Statement:
        """``while``, or another statement where nothing can get less."""
        found = self.round(size, rankings)
        if found is None:
            return self.act(size, rankings)
        self.loops += 1
        try:
            left = size - atoms(found.condition) - size_of(found.progress)
            return s.While(found.condition, self.around(found, left, rankings))
        finally:
            self.loops -= 1

    def around(self, found: Round, size: int, rankings: Rankings) -> Block:
        """A round: its progress with a block of that size before or behind it, or on both sides."""
        behind = size if found.first else self.chooser.below(size + 1) if self.chooser.index((3, 1)) else 0
        before = self.block(size - behind, (*rankings, *found.rankings))
        return (*before, *found.progress, *self.block(behind, (*rankings, *found.settled)))

    def round(self, size: int, rankings: Rankings) -> Round | None:
        """A condition under which something gets less, at most as large as to leave room for progress."""
        possible = [
            (weight, guard) for weight, guard in guards(self.names) if self.standing.allows(rankings, *guard.progress)
        ]
        if not possible:
            return None
        parts = [weighted(self.chooser, possible).varied(self.chooser)]
        while size > 2 * len(parts) + 1 and not parts[0].first and not self.chooser.index((1, 3)):
            other = weighted(self.chooser, possible).varied(self.chooser)
            if other.first or any(self.clash(other, part) for part in parts):
                break
            parts.append(other)
        held = tuple(dict.fromkeys(ranking for part in parts for ranking in part.rankings))
        progress = self.progress(parts, (*rankings, *(ranking.settled for ranking in held)))
        asked = joined(parts)
        if size > 2 * len(parts) and self.names.kinds and not self.chooser.index((1, 4)):
            asked = s.Binary("and", asked, condition(self.names, 1, self.chooser))
        return Round(asked, held, progress, parts[0].first)

    def clash(self, one: Guard, other: Guard) -> bool:
        """Whether the progress of one is forbidden by the other, or they are the same."""
        if one.progress == other.progress:
            return True
        return not (
            self.standing.allows(one.rankings, *other.progress) and self.standing.allows(other.rankings, *one.progress)
        )

    def progress(self, parts: Sequence[Guard], rankings: Rankings) -> Block:
        """What makes progress in all parts: their own steps, a loop over them, or a callee that does it."""
        if parts[0].first:
            return (parts[0].call,)
        needed = {part.progress for part in parts}
        helpers = [
            (callee, pointers)
            for callee, pointers in self.calls(self.vocabulary.callees, rankings)
            if needed <= given(callee.effects.must, self.passed(callee, pointers))
        ]
        if helpers and self.chooser.below(3):
            return (self.written(*pick(self.chooser, helpers)),)
        if len(parts) > 1 and len({direction for _, direction in needed}) == 1 and self.chooser.below(2):
            variable = self.vocabulary.fresh("each")
            over = tuple(s.Name(part.progress[0]) for part in parts)
            return (s.For(variable, over, (act(variable, parts[0].progress[1]),)),)
        return tuple(part.call for part in parts)

    # --- recursion ---------------------------------------------------------------------------------------------------

    def recursive(self, size: int, itself: Callable[[], s.Call]) -> Block:
        """A body that calls the program itself, once, where something has got less."""
        found = self.round(size - 1, ())
        if found is None:
            raise Stuck
        left = size - atoms(found.condition) - size_of(found.progress) - 1
        if left < 0:
            raise Stuck
        before, behind, otherwise, after = self.spread(left)
        arm = (*self.around(found, before, ()), itself(), *self.block(behind, ()))
        return (s.If((s.Arm(found.condition, arm),), self.block(otherwise, ())), *self.block(after, ()))

    def spread(self, size: int) -> tuple[int, int, int, int]:
        """A size shared out among four parts that may be empty, the first one most likely not."""
        found = [0] * 4
        for _ in range(size):
            found[self.chooser.index((4, 2, 1, 1))] += 1
        return found[0], found[1], found[2], found[3]
