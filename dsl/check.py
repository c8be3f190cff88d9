"""Modules → a checked program set: one world, a table of callables, every body resolved and tabulated."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsl import syntax as s
from dsl.bodies import check_fresh, resolve_body
from dsl.errors import LanguageError, Source
from dsl.files import Module
from dsl.lower import lower
from dsl.program import Program, ProgramSet
from dsl.scope import Bound, Scope, check_name, param_slot
from dsl.tabulate import tabulate
from dsl.taskcheck import check_task
from dsl.worlds import Face, build_world, make_face
from envs.spec import SLOTS, ProgramTable, Signature
from envs.world import World


@dataclass(frozen=True)
class Declared:
    """A program whose signature is known and whose body is not looked at yet."""

    module: Module
    tree: s.Program
    signature: Signature
    types: tuple[str, ...]


def check(modules: Sequence[Module], path: str) -> ProgramSet:
    """The checked program set of a file (the last module).

    Raises:
        LanguageError: for the first mistake, in the order world, signatures, bodies, tasks.
    """
    top = modules[-1]
    world_name, world = find_world(modules)
    face = make_face(world)
    declared = [d for module in modules for d in declare(module, face)]
    signatures = (*world.spec.primitives, *(d.signature for d in declared))
    scopes = {module.name: module_scope(module, modules, face, signatures) for module in modules}
    programs = []
    for number, item in enumerate(declared, start=len(world.spec.primitives)):
        programs.append(check_program(number, item, scopes[item.module.name], world))
    table = ProgramTable(world.spec, tuple(d.signature for d in declared), tuple(p.calls for p in programs))
    scope = scopes[top.name]
    refuse_doubles([(task.name, task) for task in top.tree.tasks], "task", top.source)
    tasks = tuple(check_task(task, scope, programs) for task in top.tree.tasks)
    sources = tuple((module.name, module.source.text) for module in modules)
    return ProgramSet(
        path, sources, world_name, world, table, tuple(programs), tasks, unused(programs, tasks, top, face)
    )


def find_world(modules: Sequence[Module]) -> tuple[str, World[Any]]:
    """The one world of a set: declared once, or several times alike."""
    found: tuple[s.World, Module, World[Any]] | None = None
    for module in modules:
        for tree in module.tree.worlds:
            check_name(tree.name, tree, "world", module.source)
            world = build_world(tree, module.source)
            if found is not None and (found[1] is module or found[2].spec.digest != world.spec.digest):
                message = f"a second world {tree.name}; {found[1].name} declares {found[0].name}, and files share one"
                mend = "remove it, or move its programs into a file of their own"
                raise LanguageError(module.source, tree.line, tree.column, message, mend)
            found = (tree, module, world)
    if found is None:
        source = modules[-1].source
        mend = "begin with: world NAME is scratchpad:, or use a file that has one"
        raise LanguageError(source, 1, 1, "no world is declared", mend)
    return found[0].name, found[2]


def declare(module: Module, face: Face) -> list[Declared]:
    """The signatures of a module's programs."""
    refuse_doubles([(tree.name, tree) for tree in module.tree.programs], "program", module.source)
    found = []
    for tree in module.tree.programs:
        check_name(tree.name, tree, "program", module.source)
        if tree.name in {primitive.name for primitive in face.spec.primitives}:
            message = f"{tree.name} is the name of a primitive, and of a program"
            raise LanguageError(module.source, tree.line, tree.column, message, "rename the program")
        if len(tree.params) > SLOTS:
            extra = tree.params[SLOTS]
            message = f"{tree.name} takes {len(tree.params)} arguments; a call carries at most {SLOTS}"
            raise LanguageError(module.source, extra.line, extra.column, message, "pass less, or write it to the pad")
        refuse_doubles([(param.name, param) for param in tree.params], "parameter", module.source)
        typed = [param_slot(param, face, module.source) for param in tree.params]
        signature = Signature(f"{module.stem}.{tree.name}", tuple(slot for _, slot in typed), tree.doc)
        found.append(Declared(module, tree, signature, tuple(type_ for type_, _ in typed)))
    return found


def refuse_doubles(named: Iterable[tuple[str, s.Node]], what: str, source: Source) -> None:
    seen: dict[str, s.Node] = {}
    for name, node in named:
        if name in seen:
            message = f"{what} {name} is declared twice, first in line {seen[name].line}"
            raise LanguageError(source, node.line, node.column, message, "rename one of them")
        seen[name] = node


def module_scope(module: Module, modules: Sequence[Module], face: Face, signatures: tuple[Signature, ...]) -> Scope:
    """What names mean in a module: its own programs first, then those of the files that it uses, near or far."""
    ids = {signature.name: number for number, signature in enumerate(signatures)}
    primitives = {signature.name: (number,) for number, signature in enumerate(face.spec.primitives)}
    stems = {m.stem for m in modules if m.name in reachable(module, {m.name: m for m in modules})}
    visible: dict[str, tuple[int, ...]] = {}
    for name, number in ids.items():
        stem, _, bare = name.rpartition(".")
        if stem in stems:
            visible[name] = (number,)
            visible[bare] = (*visible.get(bare, ()), number)
    own = {tree.name: (ids[f"{module.stem}.{tree.name}"],) for tree in module.tree.programs}
    return Scope(module.source, face, signatures, {**visible, **own, **primitives}, {}, ())


def reachable(module: Module, by_name: Mapping[str, Module]) -> set[str]:
    found = {module.name}
    waiting = deque(module.uses)
    while waiting:
        name = waiting.popleft()
        if name not in found:
            found.add(name)
            waiting.extend(by_name[name].uses)
    return found


def check_program(number: int, item: Declared, outer: Scope, world: World[Any]) -> Program:
    """A program with its body resolved and tabulated."""
    scope = Scope(outer.source, outer.face, outer.callables, outer.visible, {}, item.signature.slots)
    for slot, (param, type_) in enumerate(zip(item.tree.params, item.types, strict=True)):
        check_fresh(param.name, param, scope)
        scope = scope.bind(param.name, Bound(type_, None, slot))
    body = item.tree.body
    if isinstance(body, s.Signal):
        every = tuple(range(len(world.spec.primitives)))
        return Program(number, item.signature.name, item.signature, item.tree, scope, None, every)
    table = tabulate(lower(resolve_body(item.tree, scope)), scope, world)
    calls = tuple(dict.fromkeys(scope.callee(call) for call in calls_of(body)))
    return Program(number, item.signature.name, item.signature, item.tree, scope, table, calls)


def calls_of(statements: Sequence[s.Statement]) -> list[s.Call]:
    """Every call in a body, in the order of the text."""
    found: list[s.Call] = []
    for item in statements:
        if isinstance(item, s.Call):
            found.append(item)
        elif isinstance(item, s.While | s.For):
            found += calls_of(item.body)
        elif isinstance(item, s.If):
            for body in (*(arm.body for arm in item.arms), item.otherwise):
                found += calls_of(body)
    return found


def unused(programs: Sequence[Program], tasks: Sequence[Any], top: Module, face: Face) -> tuple[str, ...]:
    """Warnings for programs of the top file that nothing calls and no task runs."""
    called = {number for program in programs for number in program.calls if number != program.id}
    called |= {task.program for task in tasks}
    found = []
    for program in programs:
        if program.id not in called and program.scope.source is top.source and program.signal is None:
            place = f"{top.source.name}:{program.tree.line}:{program.tree.column}"
            bare = program.name.rpartition(".")[2]
            found.append(f"{place}: program {bare} is never called and no task runs it: it will have no traces")
    return tuple(found)
