"""Programs drawn at random: one, a file of them, or a stream of which no two behave alike.

A draw chooses which pointers and parameters a program speaks of, then its body (:mod:`dsl.generator.programs`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from dsl.analysis.equivalence import behaviour
from dsl.check.doubts import settle
from dsl.check.modules import Module
from dsl.check.programs import check_program, declare_one
from dsl.errors.error import Gather, Source
from dsl.formatting.printer import format_tree
from dsl.generator.expressions import Names, value
from dsl.generator.programs import Author, Block, Stuck, size_of
from dsl.generator.vocabulary import Cursor, Vocabulary, together
from dsl.generator.weighted_choice import Chooser, Dice, pick, weighted
from dsl.lowering.decision_tables import DecisionTable, Legality
from dsl.names.scope import POINTER, SYMBOL, TOKEN, Scope
from dsl.names.worlds import DIRECTIONS, number_of
from dsl.program import Program
from dsl.tasks.sampling import Random
from dsl.text import syntax as s
from envs.spec import BLANK, RETURN, Signature

TRIES = 1_000
"""Draws that may be given up one after the other before there is an error."""

PATIENCE = 300
"""Draws of one size that may one after the other bring nothing new, before the size counts as exhausted."""

MOST_CURSORS, WIDEST = 4, 2_000
"""A program speaks of at most so many pointers, which show at most so many combinations of symbols."""

NAME = "DRAWN"
"""The name of a program while it is drawn."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a program that is drawn: its text, its type (:mod:`dsl.names.scope`), and what it stands for."""

    param: s.Param
    type: str
    cursor: Cursor


def draw_program(
    vocabulary: Vocabulary,
    *,
    size: int,
    generator: Random,
    name: str = NAME,
    parameters: bool = True,
) -> s.Program:
    """A random program that the checker accepts and that ends on every pad.

    Args:
        size: see :func:`~dsl.generator.size_of`; from 1 on.
        name: of the program; nothing else may have it.
        parameters: whether it may have some.

    Raises:
        ValueError: for a size below 1, or where 1,000 draws in a row came to nothing, as all that fits is forbidden.
    """
    if size < 1:
        raise ValueError(f"a program of size {size}; sizes begin at 1")
    chooser = Dice(generator)
    for _ in range(TRIES):
        try:
            return attempt(vocabulary, size, chooser, name, parameters=parameters)
        except Stuck:
            continue
    raise ValueError(f"no program of size {size} was found in {TRIES} draws; choose another size or more callees")


def draw_file(vocabulary: Vocabulary, sizes: Sequence[int], *, generator: Random) -> s.File:
    """A file with a random program of each of these sizes, named ``DRAWN1``, ``DRAWN2`` …; see :func:`draw_program`."""
    drawn = [
        draw_program(vocabulary, size=size, generator=generator, name=f"DRAWN{number}")
        for number, size in enumerate(sizes, start=1)
    ]
    return vocabulary.file(drawn)


def attempt(vocabulary: Vocabulary, size: int, chooser: Chooser, name: str, *, parameters: bool = True) -> s.Program:
    """One draw; raises :class:`Stuck` where it leads nowhere."""
    cast = drawn_cast(vocabulary, chooser)
    taken = drawn_parameters(vocabulary, cast, chooser) if parameters else []
    by_name = {cursor.name: cursor for cursor in cast}
    orders = tuple(
        (by_name[one], by_name[two])
        for one, two in vocabulary.face.spec.config.get("orders", ())
        if one in by_name and two in by_name
    )
    by_type = {kind: [each.cursor for each in taken if each.type == kind] for kind in (POINTER, SYMBOL, TOKEN)}
    directions = tuple(cursor.name for cursor in by_type[TOKEN])
    names = Names((*cast, *by_type[POINTER]), tuple(by_type[SYMBOL]), directions, orders)
    body = drawn_body(Author(vocabulary, names, chooser), size, name, taken)
    params = tuple(each.param for each in taken)
    if not any(isinstance(node, s.Call) and node.name == name for node in s.nodes(body)):
        used = {node.text for node in s.nodes(body) if isinstance(node, s.Name)}
        params = tuple(param for param in params if param.name in used)
    return s.Program(name, params, "", body)


def drawn_body(author: Author, size: int, name: str, taken: Sequence[Parameter]) -> Block:
    """Statements, or now and then a program that calls itself."""
    if size < 3 or author.chooser.index((6, 1)) == 0:
        return author.block(size, ())

    def itself() -> s.Call:
        """Pointers are passed on as they are, symbols and directions may change."""
        arguments: list[s.Expression] = []
        for each in taken:
            if each.type == POINTER or (each.type == TOKEN and author.chooser.index((1, 3))):
                arguments.append(s.Name(each.param.name))
            elif each.type == SYMBOL:
                arguments.append(value(author.names, each.cursor.values, 0, author.chooser))
            else:
                arguments.append(s.Name(pick(author.chooser, DIRECTIONS)))
        return s.Call(name, tuple(arguments))

    return author.recursive(size, itself)


def drawn_cast(vocabulary: Vocabulary, chooser: Chooser) -> tuple[Cursor, ...]:
    """The pointers that a program speaks of: all where they are few, else some, so that tables stay small."""
    left = list(vocabulary.cursors)
    while len(left) > MOST_CURSORS or (len(left) > 1 and prod(len(each.values) or 1 for each in left) > WIDEST):
        del left[chooser.below(len(left))]
    return tuple(left)


def drawn_parameters(vocabulary: Vocabulary, cast: Sequence[Cursor], chooser: Chooser) -> list[Parameter]:
    """None, one or two parameters."""
    groups, domains = groups_of(cast), vocabulary.domains
    shapes = [
        (3 if shape else 24, shape)
        for shape in ("", "p", "v", "d", "pv", "pd", "vd", "pp", "vv")
        if ("p" not in shape or groups) and ("v" not in shape or domains)
    ]
    found: list[Parameter] = []
    for kind in weighted(chooser, shapes):
        again = any(each.param.name.startswith(kind) for each in found)
        name = vocabulary.fresh(chr(ord(kind) + 1) if again else kind)
        if kind == "p":
            found.append(pointer_parameter(name, pick(chooser, groups), chooser))
        elif kind == "v":
            found.append(symbol_parameter(name, pick(chooser, domains)))
        else:
            found.append(Parameter(s.Param(name, s.Domain((s.Name("direction"),))), TOKEN, Cursor(name)))
    return found


def groups_of(cast: Sequence[Cursor]) -> list[list[Cursor]]:
    """Pointers that show the same, two and more: what a pointer parameter can stand for."""
    found: dict[tuple[object, ...], list[Cursor]] = {}
    for cursor in cast:
        found.setdefault((cursor.values, cursor.places, cursor.listed), []).append(cursor)
    return [group for group in found.values() if len(group) > 1]


def pointer_parameter(name: str, group: Sequence[Cursor], chooser: Chooser) -> Parameter:
    """A parameter that stands for some pointers of a group, two at least."""
    left = list(group)
    while len(left) > 2 and chooser.below(2):
        del left[chooser.below(len(left))]
    param = s.Param(name, s.Domain(tuple(s.Name(cursor.name) for cursor in left)))
    return Parameter(param, POINTER, together(name, left))


def symbol_parameter(name: str, domain: Sequence[str]) -> Parameter:
    """A parameter that holds a symbol."""
    symbols = [symbol for symbol in domain if symbol != BLANK]
    first = number_of(symbols[0])
    parts: list[s.DomainRange | s.Text | s.Blank] = [s.Text(symbol) for symbol in symbols]
    if first is not None and symbols == [str(first + i) for i in range(len(symbols))]:
        parts = [s.DomainRange(first, first + len(symbols) - 1)]
    if BLANK in domain:
        parts.append(s.Blank())
    return Parameter(s.Param(name, s.Domain(tuple(parts))), SYMBOL, Cursor(name, values=tuple(domain)))


# --- streams ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GeneratedProgram:
    """A program that was drawn.

    Attributes:
        tree: its text as a tree; its name comes from its hash.
        text: its text alone, without the file that it belongs in (:meth:`Vocabulary.file`).
        size: :func:`~dsl.generator.size_of`.
        hash: of its behaviour (:func:`dsl.analysis.equivalence.behaviour`).
        signature: its name and arguments.
        nodes: of its decision table.
    """

    tree: s.Program
    text: str
    size: int
    hash: str
    signature: Signature
    nodes: int


@dataclass
class Tally:
    """What became of the draws of a stream: how many there were, and why some gave no program."""

    draws: int = 0
    repeated: int = 0
    excluded: int = 0
    empty: int = 0
    programs: int = 0

    def enter(self, found: GeneratedProgram | None, *, new: bool, excluded: bool) -> None:
        """Count a draw."""
        self.draws += 1
        self.empty += found is None
        self.excluded += excluded
        self.programs += new
        self.repeated += found is not None and not new and not excluded


class Examiner:
    """Checks programs one by one beside what they can mention, without reading that again."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary, self.legality = vocabulary, Legality(vocabulary.programs.world)
        self.number = len(vocabulary.programs.table)
        self.visible = {name: (number,) for name, number in vocabulary.face.primitives.items()}
        self.visible |= {callee.name: (callee.number,) for callee in vocabulary.callees}

    def examine(self, tree: s.Program) -> Program:
        """The checked program, its id the next one behind those of the vocabulary.

        Raises:
            LanguageError: for a program that the checker refuses; drawn ones it accepts.
        """
        face = self.vocabulary.face
        module = Module("generated", "generated", Source("generated", ""), s.File((tree,)), ())
        declared = declare_one(tree, module, face)
        callables = (*self.vocabulary.programs.table.signatures, declared.signature)
        visible = {**self.visible, tree.name: (self.number,)}
        scope = Scope(module.source, face, callables, visible, {}, ())
        found = Gather()
        program = check_program(self.number, declared, scope, self.legality, whole=True)
        *_, settled = settle([*self.vocabulary.programs.programs, program], face.spec, callables, found)
        found.close()
        return settled

    def behaviour(self, program: Program) -> str:
        return behaviour(program, self.vocabulary.keys)


def stream(
    vocabulary: Vocabulary,
    sizes: Mapping[int, int],
    *,
    generator: Random,
    exclude: Collection[str] = (),
    tally: Mapping[int, Tally] | None = None,
) -> Iterator[GeneratedProgram]:
    """Random programs of which no two behave alike, small ones first.

    Programs that never call anything are left out, and so are those that behave as a callee of the vocabulary does.
    A behaviour counts to the first size at which it is drawn. A size whose behaviours run out gives fewer than are
    wanted: it is left when :data:`PATIENCE` draws in a row have brought nothing new.

    Args:
        sizes: how many programs of each size.
        exclude: hashes that must not appear, such as those of a held-out set.
        tally: where the draws of each size are counted.

    Raises :class:`ValueError` as :func:`draw_program`.
    """
    seen = {*vocabulary.hashes}
    examiner = Examiner(vocabulary)
    for size, wanted in sorted(sizes.items()):
        counted = (tally or {}).get(size) or Tally()
        idle = 0
        while wanted > 0 and idle < PATIENCE:
            found = examined(draw_program(vocabulary, size=size, generator=generator), examiner)
            new = found is not None and found.hash not in seen and found.hash not in exclude
            counted.enter(found, new=new, excluded=found is not None and found.hash in exclude)
            idle = 0 if new else idle + 1
            if new and found is not None:
                seen.add(found.hash)
                wanted -= 1
                yield found


def examined(tree: s.Program, examiner: Examiner) -> GeneratedProgram | None:
    """A drawn tree as a program, named by its hash; None for one that never calls anything."""
    checked = examiner.examine(tree)
    assert checked.table is not None, "a drawn program has a body"
    if idle(checked.table):
        return None
    found = examiner.behaviour(checked)
    named = renamed(tree, f"G{found[:12].upper()}")
    signature = Signature(named.name, checked.signature.slots)
    text = format_tree(s.File((named,)))
    return GeneratedProgram(named, text, size_of(named), found, signature, len(checked.table.nodes))


def idle(table: DecisionTable) -> bool:
    """Whether a program returns at once, whatever it sees."""
    return all(bool((node.call_M4[:, 0] <= RETURN).all()) for node in table.nodes)


def held_out(vocabulary: Vocabulary, sizes: Mapping[int, int], *, seed: int = 0) -> tuple[GeneratedProgram, ...]:
    """The programs that training leaves out: a stream of its own, which the seed fixes.

    ``stream(…, exclude={p.hash for p in held_out(…)})`` has no program that behaves as one of these, whatever its
    seed. Of a size with few behaviours, hold few out.
    """
    return tuple(stream(vocabulary, sizes, generator=np.random.Generator(np.random.PCG64([seed, 1]))))


def renamed(program: s.Program, name: str) -> s.Program:
    """A program under another name, also where it calls itself."""

    def change(node: Any) -> Any:
        return replace(node, name=name) if isinstance(node, s.Call) and node.name == program.name else node

    return replace(program, name=name, body=s.mapped(program.body, change))
