"""Why drawn programs end: ranking functions of loops, and which acts keep them falling.

A loop gets a *ranking function*: a whole number, at least 0 at the loop's condition, that each round makes smaller, so
that the loop ends (Floyd, Assigning meanings to programs, 1967). There are four:

* **edge**: ``not last(P)`` on a list, whose pointers stop at its ends. Each round moves P to the right, and nothing in
  it moves P otherwise. What falls: the cells between P and the end.
* **walk**: ``P`` (or ``P == "x"``, ``P > 0``: whatever fails on a blank) on an endless row. Each round moves P one way,
  nothing in it moves P otherwise, and no other pointer writes on the row. P itself may write where it stands before it
  moves on. What falls: the columns from P to the furthest cell that is not blank, in the direction of the walk, or 0
  where P has passed it: such a write is at most where P stands, which the move leaves behind.
* **order**: ``before(P, Q)``. Each round moves P to the right, nothing moves it otherwise, and Q only to the left; P is
  on an endless row, or on the list on which Q is, so that it can get there. What falls: the columns between them.
* **count**: ``P > 0`` or ``P < k`` on a row of numbers. Each round begins by writing ``P - 1`` or ``P + 1``; nothing
  moves P, and nothing else writes on its row. What falls: the number in the cell, or what it lacks to k.

A condition ``… or …`` has one of the first three for each part, and its rounds make progress in all: none of the
numbers rises, each falls where it is more than 0, and where all are 0 the condition fails. ``… and …`` fails where its
first part does. A program that calls itself does so once on every way through it, under a condition of this kind, and
what it does between two of its conditions keeps to the same rules: it goes down as often as a loop would go round, and
what stands behind the call needs no rule. Everything else ends because its parts do: calls lead to programs that were
there before, so they cannot lead back, and the rules count what a callee does, with everything that it calls, as done
by the call. A ``return`` only ends a round early, and the loop with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dsl.text import syntax as s
from envs.scratchpad.actions import BY_NAME, EXCHANGE, STEPS, TABLE

ANY = "?"
"""An action that depends on what is seen."""

MOVES = frozenset(action.name for action in TABLE if action.moves)

WRITES = frozenset(action.name for action in TABLE if action.writes)

Act = tuple[str, str]
"""A pointer or pointer parameter, and an action (or :data:`ANY`, or a parameter that holds one)."""


@dataclass(frozen=True)
class Ranking:
    """What may not happen while a loop goes round.

    Attributes:
        pointer: the pointer, or pointer parameter, that the condition asks about.
        pointers: what it can stand for.
        direction: the one way in which it may move; empty where it has to stay.
        rows: on these, only the pointer itself may write, and only where ``own`` is true.
    """

    pointer: str
    pointers: frozenset[str]
    direction: str
    rows: frozenset[str] = frozenset()
    own: bool = False

    @property
    def settled(self) -> Ranking:
        """What may not happen any more once a round has made its progress."""
        return replace(self, own=False)


@dataclass(frozen=True)
class Effects:
    """What a program does with pointers, itself or through what it calls.

    Attributes:
        may: acts that could happen. must: steps of pointers that happen in every run of it.
    """

    may: frozenset[Act] = frozenset()
    must: frozenset[Act] = frozenset()


@dataclass(frozen=True)
class Standing:
    """What names of pointers and of their parameters can stand for, and the row of each pointer."""

    pointers: Mapping[str, frozenset[str]]
    rows: Mapping[str, str]

    def allows(self, rankings: Sequence[Ranking], name: str, action: str) -> bool:
        """Whether an act leaves all rankings as they must be."""
        actions = (action,) if action in MOVES or action in WRITES else (*MOVES, *WRITES) if action == ANY else STEPS
        return all(self.keeps(ranking, name, one) for one in actions for ranking in rankings)

    def keeps(self, ranking: Ranking, name: str, action: str) -> bool:
        if action in MOVES:
            return action == ranking.direction or not self.pointers[name] & ranking.pointers
        if not ranking.rows & {self.rows[pointer] for pointer in self.pointers[name]}:
            return True
        return ranking.own and name == ranking.pointer and BY_NAME[action].writes != EXCHANGE


def given(acts: Iterable[Act], arguments: Mapping[str, str]) -> frozenset[Act]:
    """A callee's acts in the words of its caller: parameters replaced by what is passed for them."""
    return frozenset((arguments.get(name, name), arguments.get(action, action)) for name, action in acts)


def find_effects(programs: Mapping[str, s.Program], names: Mapping[str, Mapping[str, str]]) -> dict[str, Effects]:
    """The effects of programs that may call each other; ``names`` says which of them a name in the text of each means,
    where it is not that of a primitive."""
    found = {key: Effects() for key in programs}
    while True:
        before = dict(found)
        for key, program in programs.items():
            assert not isinstance(program.body, s.Signal), f"{program.name} has no body"
            known = {name: (programs[callee], found[callee]) for name, callee in names[key].items()}
            found[key] = _block(program.body, {}, known)
        if found == before:
            return found


Known = Mapping[str, tuple[s.Program, Effects]]


def _block(body: Sequence[s.Statement], words: Mapping[str, str], known: Known) -> Effects:
    """What a block does; ``words`` are loop variables and what they stand for."""
    may: set[Act] = set()
    must: set[Act] = set()
    certain = True
    for item in body:
        done = _statement(item, words, known)
        may |= done.may
        certain = certain and not any(isinstance(node, s.Return) for node in s.nodes(item))
        must |= done.must if certain else set()
    return Effects(frozenset(may), frozenset(must))


def _statement(item: s.Statement, words: Mapping[str, str], known: Known) -> Effects:
    if isinstance(item, s.Call):
        return effects_of_call(item, words, known)
    if isinstance(item, s.For):
        rounds = [_block(item.body, {**words, item.variable: _word(word, words)}, known) for word in item.items]
        must = frozenset[Act]().union(*(done.must for done in rounds))
        return Effects(frozenset[Act]().union(*(done.may for done in rounds)), must)
    bodies = [arm.body for arm in item.arms] + [item.otherwise] if isinstance(item, s.If) else []
    bodies += [item.body] if isinstance(item, s.While) else []
    return Effects(frozenset[Act]().union(*(_block(body, words, known).may for body in bodies)))


def effects_of_call(call: s.Call, words: Mapping[str, str], known: Known) -> Effects:
    """What one call does, in the words of the program that makes it."""
    arguments = [_word(node, words) for node in call.arguments]
    if call.name not in known:
        act = (arguments[0], arguments[1])
        return Effects(frozenset((act,)), frozenset((act,) if act[1] in STEPS else ()))
    program, effects = known[call.name]
    passed = dict(zip((param.name for param in program.params), arguments, strict=False))
    must = frozenset(act for act in given(effects.must, passed) if act[1] in STEPS)
    return Effects(given(effects.may, passed), must)


def _word(node: s.Expression, words: Mapping[str, str]) -> str:
    return words.get(node.text, node.text) if isinstance(node, s.Name) else ANY
