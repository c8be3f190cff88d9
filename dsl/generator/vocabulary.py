"""What a drawn program may mention: the pointers and symbols of its world, and the programs that it may call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dsl.analysis.equivalence import behaviours
from dsl.errors.examples import RESERVED
from dsl.generator.termination import Effects, Standing, find_effects
from dsl.names.worlds import PAD, Face, make_face, number_of
from dsl.program import Program, ProgramSet
from dsl.text import syntax as s
from dsl.text.parse import parse
from envs.scratchpad.config import PLACE
from envs.spec import BLANK


@dataclass(frozen=True)
class Cursor:
    """A pointer, or a parameter or loop variable that stands for one; without pointers, a parameter that is a symbol.

    Attributes:
        pointers: what it can stand for.
        rows: on which those stand.
        values: what its cell shows; empty where that is not seen, or not the same for all of its pointers.
        places: whether its cells hold places.
        listed: whether all of its pointers stand on lists.
    """

    name: str
    pointers: frozenset[str] = frozenset()
    rows: frozenset[str] = frozenset()
    values: tuple[str, ...] = ()
    places: bool = False
    listed: bool = False

    @property
    def row(self) -> str:
        """The one row on which it stands; empty where there are several."""
        return next(iter(self.rows)) if len(self.rows) == 1 else ""

    @property
    def fillable(self) -> bool:
        """Whether its cell may be seen to be blank."""
        return BLANK in self.values

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """What can be written there; nothing on a row of places."""
        return () if self.places else self.values

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The numbers that its cell counts as, ascending, a blank as 0; empty where some symbol is none."""
        found = [0 if symbol == BLANK else number_of(symbol) for symbol in self.symbols]
        return () if None in found else tuple(sorted({number for number in found if number is not None}))


@dataclass(frozen=True)
class Callee:
    """A program that can be called.

    Attributes:
        name: as a text writes it. number: its id.
        params: its parameters' names. kinds: of each, what it is (:mod:`dsl.names.scope`). values: what each can be.
        effects: what it does with pointers.
    """

    name: str
    number: int
    params: tuple[str, ...]
    kinds: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    effects: Effects


@dataclass(frozen=True)
class Vocabulary:
    """A world, and programs in it.

    Attributes:
        head: what stands in a file before the programs that are drawn.
        cursors, standing: the world's pointers; each stands for itself.
        callees, hashes: the programs that may be called, and how they behave.
    """

    programs: ProgramSet
    head: tuple[s.Use | s.World | s.Program, ...]
    face: Face
    cursors: tuple[Cursor, ...]
    callees: tuple[Callee, ...]
    standing: Standing
    hashes: tuple[str, ...]

    def file(self, programs: Sequence[s.Program]) -> s.File:
        """A file with these programs, and with what they can mention."""
        return s.File((*self.head, *programs))

    def fresh(self, wish: str) -> str:
        """A name for a parameter or loop variable that means nothing yet."""
        taken = {*self.face.pointers, *self.face.rows, *self.face.words, *RESERVED}
        while wish in taken:
            wish += "_"
        return wish

    @cached_property
    def keys(self) -> dict[int, str]:
        """How programs that can be called behave, by id (:func:`dsl.analysis.equivalence.behaviour`)."""
        return {
            **{number: primitive.name for number, primitive in enumerate(self.face.spec.primitives)},
            **behaviours(self.programs),
        }

    @cached_property
    def domains(self) -> tuple[tuple[str, ...], ...]:
        """What a symbol parameter can hold: of each kind of row its first ten symbols, alone and with a blank."""
        rows = [row for row in self.face.rows.values() if not row.places]
        found = [row.symbols[:10] for row in rows]
        found += [(*row.symbols[:10], BLANK) for row in rows if row.blank]
        return tuple(domain for domain in dict.fromkeys(found) if len(domain) > 1)


def vocabulary_of(programs: ProgramSet, *, callees: Sequence[str] | None = None) -> Vocabulary:
    """The vocabulary of a checked file, which may hold nothing but a world.

    Args:
        programs: in a scratch pad. Programs without a body are left out.
        callees: names of the programs that may be called; all by default. They must end on every pad, which is not
            looked into: programs of :func:`~dsl.generator.draw_program` do.

    Raises:
        ValueError: for a world of another kind.
        KeyError: for a name that no program has.
    """
    if programs.world.spec.kind != PAD:
        raise ValueError(f"world {programs.world_name} is a {programs.world.spec.kind}; programs are drawn for a {PAD}")
    face = make_face(programs.world)
    wanted = [programs.program(name) for name in callees] if callees is not None else list(programs.programs)
    effects = effects_of(programs)
    found = tuple(callee(p, programs, face, effects[p.name]) for p in wanted if p.signal is None)
    standing = Standing({name: frozenset((name,)) for name in face.pointers}, face.pointers)
    hashes = behaviours(programs)
    known = tuple(hashes[each.number] for each in found)
    return Vocabulary(programs, head_of(programs), face, cursors_of(face), found, standing, known)


def head_of(programs: ProgramSet) -> tuple[s.Use | s.World | s.Program, ...]:
    """The world and the programs of a file; a file that uses others is used itself."""
    if len(programs.sources) > 1:
        return (s.Use(programs.sources[-1][0]),)
    tree = parse(programs.sources[0][1])
    return tuple(item for item in tree.items if isinstance(item, s.World | s.Program))


def effects_of(programs: ProgramSet) -> dict[str, Effects]:
    """What each program with a body does with pointers, by its qualified name."""
    trees = {p.name: p.tree for p in programs.programs if p.signal is None}
    names: dict[str, dict[str, str]] = {}
    for program in programs.programs:
        sure = {name: ids[0] for name, ids in program.scope.visible.items() if len(ids) == 1}
        meant = {name: programs.table.signatures[number].name for name, number in sure.items()}
        names[program.name] = {name: callee for name, callee in meant.items() if callee in trees}
    return find_effects(trees, names)


def callee(program: Program, programs: ProgramSet, face: Face, effects: Effects) -> Callee:
    bare = program.name.rpartition(".")[2]
    alone = sum(other.name.rpartition(".")[2] == bare for other in programs.programs) == 1
    params = tuple(param.name for param in program.tree.params)
    kinds = tuple(program.scope.bound[param].type for param in params)
    values = tuple(tuple(face.spec.tokens[token] for token in slot.tokens) for slot in program.signature.slots)
    return Callee(bare if alone else program.name, program.id, params, kinds, values, effects)


def cursors_of(face: Face) -> tuple[Cursor, ...]:
    found = []
    for name, on in face.pointers.items():
        row = face.rows[on]
        values = () if name in face.counters else (PLACE, BLANK) if row.places else row.values
        found.append(Cursor(name, frozenset((name,)), frozenset((on,)), values, row.places, not row.blank))
    return tuple(found)


def together(name: str, cursors: Sequence[Cursor]) -> Cursor:
    """A name that stands for any of several pointers."""
    first = cursors[0]
    alike = all((c.values, c.places) == (first.values, first.places) for c in cursors)
    return Cursor(
        name,
        frozenset[str]().union(*(c.pointers for c in cursors)),
        frozenset[str]().union(*(c.rows for c in cursors)),
        first.values if alike else (),
        first.places and alike,
        all(c.listed for c in cursors),
    )
