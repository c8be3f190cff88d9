"""Modules → a checked program set: one world, a table of callables, every body resolved and tabulated.

A check goes on after a mistake, with as little as the mistake leaves, and tells all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dsl.check.bodies import check_fresh, resolve_body
from dsl.check.doubts import settle
from dsl.check.modules import Loaded, Module
from dsl.check.tasks import check_task
from dsl.errors.error import Gather, LanguageError, Remark, Source
from dsl.lowering.decision_tables import Legality, tabulate
from dsl.lowering.ir import lower, reached
from dsl.names.scope import Bound, Scope, check_name, param_slot
from dsl.names.worlds import Face, build_world, join_worlds, make_face, part_face
from dsl.program import Program, ProgramSet
from dsl.tasks.task import Task
from dsl.text import syntax as s
from dsl.text.recovery import LOST, Rest
from envs.product import Product
from envs.spec import SLOTS, ProgramTable, Signature
from envs.world import World


@dataclass(frozen=True)
class Declared:
    """A program whose signature is known and whose body is not looked at yet."""

    module: Module
    tree: s.Program
    signature: Signature
    types: tuple[str, ...]


@dataclass(frozen=True)
class Checked:
    """The outcome of a check: a program set, or the mistakes for which there is none."""

    program_set: ProgramSet | None
    errors: tuple[LanguageError, ...]
    warnings: tuple[Remark, ...]


def check(loaded: Loaded, path: str) -> Checked:
    """The checked program set of a file (the last module), with every mistake of it and the files that it uses.

    A mistake that only follows from another one (a name whose declaration could not be read) is not told.
    """
    modules, direct, found, lost = loaded.modules, Gather(), Gather(), _Lost(loaded.rest)
    for error in loaded.errors:
        direct.add(error)
    found_world = find_world(modules, direct, lost)
    if found_world is None:
        return Checked(None, in_order(direct.errors, modules), ())
    world_name, world = found_world
    faces = module_faces(modules, world)
    declared = [d for module in modules for d in declare(module, faces[module.name], found, lost)]
    signatures = (*world.spec.primitives, *(d.signature for d in declared))
    scopes = module_scopes(modules, faces, signatures)
    legality = Legality(world)
    programs: list[Program] = []
    for number, item in enumerate(declared, start=len(world.spec.primitives)):
        with found:
            whole = item.tree.name not in loaded.rest.programs
            programs.append(check_program(number, item, scopes[item.module.name], legality, whole=whole))
    programs = settle(programs, world.spec, signatures, found)
    top = modules[-1]
    tasks: list[Task] = []
    refuse_doubles(top.tree.of(s.Task), "task", top.source, found)
    for task in top.tree.of(s.Task):
        mistakes = Gather()
        with mistakes:
            tasks.append(check_task(task, scopes[top.name]))
        for error in mistakes.errors:
            if error.code not in MISSING or task.name not in loaded.rest.programs:
                found.add(error)
    errors = [*direct.errors, *(error for error in found.errors if not lost.follows(error))] or found.errors
    if errors:
        return Checked(None, in_order(errors, modules), ())
    table = ProgramTable(world.spec, tuple(d.signature for d in declared), tuple(p.calls for p in programs))
    sources = tuple((module.name, module.source.text) for module in modules)
    warnings = unused(programs, tasks, top)
    whole_set = ProgramSet(path, sources, world_name, world, table, tuple(programs), tuple(tasks), warnings)
    return Checked(whole_set, (), warnings)


UNKNOWN = frozenset(f"NPI{n:03}" for n in (48, 66, 68, 69, 102, 105, 108, 110, 118, 121))
"""Kinds that say of a name that nothing has it."""

RESTS_ON_WORLD = frozenset(
    f"NPI{n:03}"
    for n in (
        44, 46, 47, 48, 63, 64, 69, 73, 74, 75, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 90, 92, 94, 95, 96,
        104, 105, 107, 108, 115, 116, 117, 118, 121,
    )
)  # fmt: skip
"""Kinds that can follow from a row or pointer that could not be declared."""

MISSING = frozenset(("NPI100", "NPI101", "NPI112"))
"""Kinds that say of a task that it lacks a line."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class _Lost:
    """What is missing because of mistakes that are told already."""

    rest: Rest

    def program(self, name: str) -> None:
        self.rest = self.rest.union(Rest(frozenset((name,))))

    def row(self, item: s.Node) -> None:
        """An item of the world that cannot be made."""
        self.rest = self.rest.union(Rest(frozenset(getattr(item, "names", ())), whole=frozenset(("world",))))

    def follows(self, error: LanguageError) -> bool:
        """Whether an error only says that something is missing whose own mistake is told."""
        if error.code in UNKNOWN:
            mentioned = set(NAME.findall(error.message)) & self.rest.names
            if LOST in mentioned or mentioned & set(NAME.findall(error.source_line)):
                return True
            if "use" in self.rest.whole and error.code in ("NPI066", "NPI068", "NPI105"):
                return True
            if "program" in self.rest.whole and error.code == "NPI066":
                return True
        return "world" in self.rest.whole and error.code in RESTS_ON_WORLD


def in_order(errors: Iterable[LanguageError], modules: Sequence[Module]) -> tuple[LanguageError, ...]:
    """By file, used ones first, and by place."""
    files = [module.source.name for module in modules]
    return tuple(sorted(errors, key=lambda error: (files.index(error.file), error.line, error.column)))


def find_world(modules: Sequence[Module], found: Gather, lost: _Lost) -> tuple[str, World[Any]] | None:
    """The one world of a set: declared once, or several times alike; or one that joins all others."""
    first: tuple[s.World, Module, World[Any]] | None = None
    joins = {name for module in modules for tree in module.tree.of(s.World) for name in tree.joins}
    parts: dict[str, World[Any]] = {}
    for module in modules:
        for tree in sorted(module.tree.of(s.World), key=lambda tree: bool(tree.joins)):
            with found:
                check_name(tree.name, tree, "world", module.source)
            world = make_world(tree, module.source, found, lost, parts)
            if world is None:
                continue
            alike = parts.setdefault(tree.name, world).spec.digest == world.spec.digest
            if tree.name in joins and not tree.joins and alike and (first is None or first[0].joins):
                continue
            if first is not None and (first[1] is module or first[2].spec.digest != world.spec.digest):
                message = f"a second world {tree.name}; {first[1].name} declares {first[0].name}, and files share one"
                fix = "remove it, or move its programs into a file of their own"
                found.add(module.source.error(tree, message, fix, "NPI041"))
            first = first or (tree, module, world)
    if joins and (first is None or not first[0].joins):
        return None  # the mistake is told
    if first is not None:
        return first[0].name, first[2]
    if not lost.rest.whole and not any(module.tree.of(s.World) for module in modules):
        fix = "begin with: world NAME is scratchpad:, or use a file that has one"
        found.add(LanguageError(modules[-1].source, 1, 1, "no world is declared", fix, code="NPI040"))
    return None


def make_world(
    tree: s.World, source: Source, found: Gather, lost: _Lost, declared: Mapping[str, World[Any]]
) -> World[Any] | None:
    """The world of a declaration, without the items in which there is a mistake; None where that leaves nothing.

    Args:
        declared: the worlds before it, which it can join.
    """
    while True:
        try:
            return join_worlds(tree, declared, source) if tree.joins else build_world(tree, source)
        except LanguageError as error:
            wrong = next((item for item in tree.items if item.line == error.line), None)
            if wrong is not None or "world" not in lost.rest.whole:
                found.add(error)
            if wrong is None:
                lost.row(tree)
                return None
            if isinstance(wrong, s.Row) and wrong.start and error.code in ("NPI049", "NPI050"):
                right = replace(wrong, start=None)  # only its start is wrong
                tree = replace(tree, items=tuple(right if item is wrong else item for item in tree.items))
                continue
            gone = [wrong, *_pointers_on(wrong, tree)]
            for item in gone:
                lost.row(item)
            tree = replace(tree, items=tuple(item for item in tree.items if not any(item is one for one in gone)))


def _pointers_on(row: s.Node, tree: s.World) -> list[s.Pointer]:
    """The pointers that stand on a row of a world and on no other: they go with it, and are no mistake of their own."""
    if not isinstance(row, s.Row):
        return []
    others = {name for item in tree.items if isinstance(item, s.Row) and item is not row for name in item.names}
    return [item for item in tree.items if isinstance(item, s.Pointer) and item.row in {*row.names} - others]


def declare(module: Module, face: Face, found: Gather, lost: _Lost) -> list[Declared]:
    """The signatures of a module's programs."""
    refuse_doubles(module.tree.of(s.Program), "program", module.source, found)
    made: dict[str, Declared] = {}
    for tree in module.tree.of(s.Program):
        if tree.name in made:
            continue
        lost_before = len(found)
        with found:
            made[tree.name] = declare_one(tree, module, face)
        if len(found) > lost_before:
            lost.program(tree.name)
    return list(made.values())


def declare_one(tree: s.Program, module: Module, face: Face) -> Declared:
    found = Gather()
    with found:
        check_name(tree.name, tree, "program", module.source)
    if tree.name in face.primitives:
        message = f"{tree.name} is the name of a primitive, and of a program"
        found.add(module.source.error(tree, message, "rename the program", "NPI060"))
    if len(tree.params) > SLOTS:
        extra = tree.params[SLOTS]
        message = f"{tree.name} takes {len(tree.params)} arguments; a call carries at most {SLOTS}"
        fix = "pass less, or write it to the pad"
        found.add(module.source.error(extra, message, fix, "NPI061"))
    refuse_doubles(tree.params, "parameter", module.source, found)
    typed = []
    for param in tree.params:
        with found:
            typed.append(param_slot(param, face, module.source))
    found.close()
    signature = Signature(f"{module.stem}.{tree.name}", tuple(slot for _, slot in typed), tree.doc)
    return Declared(module, tree, signature, tuple(type_ for type_, _ in typed))


def refuse_doubles(nodes: Iterable[s.Program | s.Task | s.Param], what: str, source: Source, found: Gather) -> None:
    seen: dict[str, s.Node] = {}
    for node in nodes:
        if node.name in seen:
            message = f"{what} {node.name} is declared twice, first in line {seen[node.name].line}"
            found.add(source.error(node, message, "rename one of them", "NPI053"))
        seen.setdefault(node.name, node)


def module_faces(modules: Sequence[Module], world: World[Any]) -> dict[str, Face]:
    """The names of the world in each module: of the part alone, in one that knows of no other part."""
    whole = make_face(world)
    if not isinstance(world, Product):
        return {module.name: whole for module in modules}
    by_name = {module.name: module for module in modules}
    faces: dict[str, Face] = {}
    for module in modules:
        known = {tree.name for name in reachable(module, by_name) for tree in by_name[name].tree.of(s.World)}
        parts = [number for number, name in enumerate(world.names) if {name} == known]
        faces[module.name] = part_face(world, parts[0]) if parts else whole
    return faces


def module_scopes(
    modules: Sequence[Module], faces: Mapping[str, Face], signatures: tuple[Signature, ...]
) -> dict[str, Scope]:
    """What names mean in each module: its own programs first, then those of the files that it uses, near or far."""
    first_program = len(faces[modules[-1].name].spec.primitives)
    ids = {signature.name: number for number, signature in enumerate(signatures) if number >= first_program}
    by_name = {module.name: module for module in modules}
    scopes: dict[str, Scope] = {}
    for module in modules:
        stems = {by_name[name].stem for name in reachable(module, by_name)}
        visible: dict[str, tuple[int, ...]] = {}
        own: dict[str, tuple[int, ...]] = {}
        for name, number in ids.items():
            stem, _, bare = name.rpartition(".")
            if stem in stems:
                visible[name] = (number,)
                visible[bare] = (*visible.get(bare, ()), number)
            if stem == module.stem:
                own[bare] = (number,)
        face = faces[module.name]
        primitives = {name: (number,) for name, number in face.primitives.items()}
        scopes[module.name] = Scope(module.source, face, signatures, {**visible, **own, **primitives}, {}, ())
    return scopes


def reachable(module: Module, by_name: Mapping[str, Module]) -> set[str]:
    return reached([module.name], lambda name: by_name[name].uses)


def check_program(number: int, item: Declared, outer: Scope, legality: Legality, *, whole: bool) -> Program:
    """A program with its body resolved and, where no line of it was lost (``whole``), tabulated.

    What is in doubt in its tables is left to :func:`~dsl.check.doubts.settle`.
    """
    found = Gather()
    scope = replace(outer, slots=item.signature.slots)
    for slot, (param, type_) in enumerate(zip(item.tree.params, item.types, strict=True)):
        with found:
            check_fresh(param.name, param, scope)
        scope = scope.bind(param.name, Bound(type_, None, slot))
    signature, body = item.signature, item.tree.body
    if isinstance(body, s.Signal):
        found.close()
        every = tuple(n for n in scope.face.primitives.values() if not scope.face.spec.primitives[n].setup)
        return Program(number, signature.name, signature, item.tree, scope, None, every)
    resolved = table = graph = None
    with found:
        resolved = resolve_body(item.tree, scope)
        graph = lower(resolved)
        table = tabulate(graph, scope, legality) if whole else None
    found.close()
    calls = tuple(dict.fromkeys(scope.callee(node) for node in s.nodes(body) if isinstance(node, s.Call)))
    return Program(number, signature.name, signature, item.tree, scope, table, calls, resolved, graph)


def unused(programs: Sequence[Program], tasks: Sequence[Task], top: Module) -> tuple[Remark, ...]:
    """Warnings for programs of the top file that nothing calls and no task runs."""
    called = {number for program in programs for number in program.calls if number != program.id}
    called |= {task.program for task in tasks}
    found = []
    for program in programs:
        if program.id not in called and program.scope.source is top.source and program.signal is None:
            bare = program.name.rpartition(".")[2]
            message = f"program {bare} is never called and no task runs it: it will have no traces"
            fix = "call it, add a task that runs it, or remove it"
            found.append(Remark(top.source, program.tree.line, program.tree.column, message, fix, "NPI200"))
    return tuple(found)
