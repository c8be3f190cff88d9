"""What the programs of a file can do, read off their tables: whom they call, what they change, what rows can hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dsl.program import ProgramSet
from dsl.teacher import body_nodes
from envs.scratchpad.actions import BY_NAME, COLUMN, SYMBOL
from envs.scratchpad.config import PadConfig
from envs.scratchpad.transitions import Effect, Rule, anything, changed_fields, effect_of
from envs.spec import BLANK


def calls_of(programs: ProgramSet) -> dict[int, set[tuple[int, ...]]]:
    """For each program with a body, every call that it makes in some configuration (returns are none)."""
    found = {}
    for program in programs.programs:
        if program.signal is None:
            made = {c for node in body_nodes(program) for c in map(tuple, node.call_M4.tolist())}
            found[program.id] = {c for c in made if c[0] >= 0}
    return found


def with_callees(programs: ProgramSet, names: Collection[str]) -> list[str]:
    """The programs with bodies of these names and all that they call, in the order of the file."""
    calls, known = calls_of(programs), {p.name: p.id for p in programs.programs}
    waiting, found = [known[name] for name in names], set[int]()
    while waiting:
        program = waiting.pop()
        if program not in found:
            found.add(program)
            waiting += [c[0] for c in calls[program] if c[0] in calls]
    return [p.name for p in programs.programs if p.id in found]


def changed_by(programs: ProgramSet) -> dict[int, set[int]]:
    """The fields that each program can change by what it calls: the least fixed point.

    A program with a signal in place of a body can change every field: a learned call counts as any answer.
    """
    calls, spec = calls_of(programs), programs.world.spec
    direct = {p: {c for c in made if c[0] < programs.table.primitives} for p, made in calls.items()}
    changes = {p: changed_fields([effect_of(spec, c) for c in made]) for p, made in direct.items()}
    changes |= {program.id: set(range(len(spec.fields))) for program in programs.signals}
    grown = True
    while grown:
        grown = False
        for program, made in calls.items():
            more = set[int]().union(*(changes[c[0]] for c in made - direct[program])) - changes[program]
            changes[program] |= more
            grown |= bool(more)
    return changes


def call_effects(programs: ProgramSet, changes: Mapping[int, set[int]]) -> dict[tuple[int, ...], Effect]:
    """The effect of every call that some body makes: that of the world for primitives, widened for programs."""
    every = set[tuple[int, ...]]().union(*calls_of(programs).values())
    spec, primitives = programs.world.spec, programs.table.primitives
    return {c: effect_of(spec, c) if c[0] < primitives else anything(changes[c[0]]) for c in every}


def domains(programs: ProgramSet) -> dict[str, tuple[str, ...]]:
    """For each row of a pad, the symbols that its cells can ever hold: the invariant under which a file is proved.

    A row into which some task lays something holds anything that it declares. Another one begins blank, and holds what
    some program writes. A file without tasks says nothing about layouts, and one with learned programs nothing about
    what these write, so its rows hold anything.
    """
    spec = programs.world.spec
    if spec.kind != "scratchpad" or programs.signals:
        return {}
    config = PadConfig.from_json(spec.config)
    rows = {row.name: row for row in config.rows}
    laid = {laid.row for task in programs.tasks for laid in task.laid}
    found = {n: {BLANK} if row.blank and n not in laid and programs.tasks else {*row.values} for n, row in rows.items()}
    pointers = {pointer.name: pointer.row for pointer in config.pointers}
    for made in calls_of(programs).values():
        for callee, *tokens in made:
            pointer, action, operand = (spec.tokens[token] for token in tokens)
            if callee < programs.table.primitives and (writes := BY_NAME[action].writes) in (SYMBOL, COLUMN):
                row = rows[pointers[pointer]]
                found[row.name].add(operand if writes == SYMBOL else row.values[0])
    return {name: tuple(v for v in rows[name].values if v in values) for name, values in found.items()}


def domain_rules(programs: ProgramSet, held: Mapping[str, Collection[str]]) -> list[Rule]:
    """That a pointer shows only what its row can hold, for the rows that do not hold all that they declare."""
    spec, found = programs.world.spec, []
    for pointer in PadConfig.from_json(spec.config).pointers if held else ():
        if pointer.sees:
            index = spec.field(pointer.name)
            values = spec.fields[index].values
            if set(held[pointer.row]) != set(values):
                found.append(Rule((index,), frozenset((values.index(v),) for v in held[pointer.row])))
    return found
