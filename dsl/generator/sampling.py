"""A program drawn at random: which pointers and parameters it speaks of, then its body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dsl.generator.expressions import Names, value
from dsl.generator.programs import Author, Block, Stuck
from dsl.generator.trees import calls, words
from dsl.generator.vocabulary import WIDEST, Cursor, Given, Vocabulary, shown, together
from dsl.generator.weighted_choice import Chooser, Dice, pick
from dsl.names.worlds import DIRECTIONS, number_of
from dsl.text import syntax as s
from envs.spec import BLANK
from envs.support.lazy_torch import torch

TRIES = 1_000
"""Draws that may be given up one after the other before there is an error."""

MOST_CURSORS = 4
"""Pointers that one program speaks of, at most."""


@dataclass(frozen=True)
class Parameters:
    """The parameters of a program that is drawn: cursors, symbols and directions, with what the text says of each."""

    params: tuple[s.Param, ...] = ()
    cursors: tuple[Cursor, ...] = ()
    given: tuple[Given, ...] = ()
    directions: tuple[str, ...] = ()


def draw_program(
    vocabulary: Vocabulary,
    *,
    size: int,
    generator: torch.Generator | np.random.Generator,
    name: str = "DRAWN",
    parameters: bool = True,
) -> s.Program:
    """A random program that the checker accepts and that ends on every pad.

    Args:
        vocabulary: the world, and the programs that may be called.
        size: the program's size (:func:`~dsl.generator.size_of`), from 1 on.
        generator: the only source of randomness.
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


def draw_file(
    vocabulary: Vocabulary, sizes: Sequence[int], *, generator: torch.Generator | np.random.Generator
) -> s.File:
    """A file with a random program of each of these sizes, named ``DRAWN1``, ``DRAWN2`` …; see :func:`draw_program`."""
    drawn = [
        draw_program(vocabulary, size=size, generator=generator, name=f"DRAWN{number}")
        for number, size in enumerate(sizes, start=1)
    ]
    return vocabulary.file(drawn)


def attempt(vocabulary: Vocabulary, size: int, chooser: Chooser, name: str, *, parameters: bool = True) -> s.Program:
    """One draw; raises :class:`Stuck` where it leads nowhere."""
    cast = drawn_cast(vocabulary, chooser)
    taken = drawn_parameters(vocabulary, cast, chooser) if parameters else Parameters()
    cursors = (*cast, *taken.cursors)
    by_name = {cursor.name: cursor for cursor in cast}
    orders = tuple(
        (by_name[one], by_name[two])
        for one, two in vocabulary.face.spec.config.get("orders", ())
        if one in by_name and two in by_name
    )
    author = Author(vocabulary, Names(cursors, taken.given, taken.directions, orders), chooser)
    body = drawn_body(author, size, name, taken)
    if calls(body, name):
        return s.Program(name, taken.params, "", body)
    used = words(body)
    return s.Program(name, tuple(param for param in taken.params if param.name in used), "", body)


def drawn_body(author: Author, size: int, name: str, taken: Parameters) -> Block:
    """Statements, or now and then a program that calls itself."""
    if size < 3 or author.chooser.index((6, 1)) == 0:
        return author.block(size, ())
    cursors = {cursor.name for cursor in taken.cursors}
    symbols = {given.name: given.values for given in taken.given}

    def itself() -> s.Call:
        """Pointers are passed on as they are, symbols and directions may change."""
        arguments: list[s.Expression] = []
        for param in taken.params:
            if param.name in cursors or (param.name not in symbols and author.chooser.index((1, 3))):
                arguments.append(s.Name(param.name))
            elif param.name in symbols:
                arguments.append(value(author.names, symbols[param.name], 0, author.chooser))
            else:
                arguments.append(s.Name(pick(author.chooser, DIRECTIONS)))
        return s.Call(name, tuple(arguments))

    return author.recursive(size, itself)


def drawn_cast(vocabulary: Vocabulary, chooser: Chooser) -> tuple[Cursor, ...]:
    """The pointers that a program speaks of: all where they are few, else some, so that tables stay small."""
    left = list(vocabulary.cursors)
    while len(left) > MOST_CURSORS or (len(left) > 1 and shown(left) > WIDEST):
        del left[chooser.below(len(left))]
    return tuple(left)


def drawn_parameters(vocabulary: Vocabulary, cast: Sequence[Cursor], chooser: Chooser) -> Parameters:
    """None, one or two parameters."""
    groups, domains = groups_of(cast), vocabulary.domains
    shapes = [
        shape
        for shape in ("", "p", "v", "d", "pv", "pd", "vd", "pp", "vv")
        if ("p" not in shape or groups) and ("v" not in shape or domains)
    ]
    weights = [3 if shape else 24 for shape in shapes]
    found = Parameters()
    for kind in shapes[chooser.index(weights)]:
        again = any(param.name.startswith(kind) for param in found.params)
        name = vocabulary.fresh(chr(ord(kind) + 1) if again else kind)
        if kind == "p":
            found = with_pointer(found, name, pick(chooser, groups), chooser)
        elif kind == "v":
            found = with_symbol(found, name, pick(chooser, domains))
        else:
            param = s.Param(name, s.Domain((s.Name("direction"),)))
            found = replace(found, params=(*found.params, param), directions=(*found.directions, name))
    return found


def groups_of(cast: Sequence[Cursor]) -> list[list[Cursor]]:
    """Pointers that show the same, two and more: what a pointer parameter can stand for."""
    found: dict[tuple[object, ...], list[Cursor]] = {}
    for cursor in cast:
        found.setdefault((cursor.values, cursor.places, cursor.listed), []).append(cursor)
    return [group for group in found.values() if len(group) > 1]


def with_pointer(found: Parameters, name: str, group: Sequence[Cursor], chooser: Chooser) -> Parameters:
    """With a parameter that stands for some pointers of a group, two at least."""
    left = list(group)
    while len(left) > 2 and chooser.below(2):
        del left[chooser.below(len(left))]
    param = s.Param(name, s.Domain(tuple(s.Name(cursor.name) for cursor in left)))
    return replace(found, params=(*found.params, param), cursors=(*found.cursors, together(name, left)))


def with_symbol(found: Parameters, name: str, domain: Sequence[str]) -> Parameters:
    """With a parameter that holds a symbol."""
    symbols = [symbol for symbol in domain if symbol != BLANK]
    first = number_of(symbols[0])
    parts: list[s.DomainRange | s.Text | s.Blank] = [s.Text(symbol) for symbol in symbols]
    if first is not None and symbols == [str(first + i) for i in range(len(symbols))]:
        parts = [s.DomainRange(first, first + len(symbols) - 1)]
    if BLANK in domain:
        parts.append(s.Blank())
    param = s.Param(name, s.Domain(tuple(parts)))
    return replace(found, params=(*found.params, param), given=(*found.given, Given(name, tuple(domain))))
