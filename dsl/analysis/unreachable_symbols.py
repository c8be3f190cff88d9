"""Symbols that a row may hold and that nothing ever lays or writes there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dsl.errors.error import Remark
from dsl.names.worlds import PAD, describe_symbols
from dsl.program import ProgramSet
from dsl.tasks.inputs import NUMBER, Input
from dsl.tasks.task import Task
from dsl.text import syntax as s
from envs.scratchpad.actions import BY_NAME, SYMBOL
from envs.spec import BLANK


def symbols_never_there(programs: ProgramSet, tree: s.File) -> Iterator[Remark]:
    """Rows of the file's own world some of whose symbols never appear in any of its tasks."""
    if not programs.tasks or programs.world.spec.kind != PAD or not programs.programs:
        return
    face = programs.programs[0].scope.face
    source = next((p.scope.source for p in programs.programs if p.scope.source.name == programs.path), None)
    trees = [item for world in tree.worlds for item in world.items] if source is not None else []
    there = written(programs)
    for task in programs.tasks:
        for place, symbols in laid(task).items():
            known = there[place]
            there[place] = None if symbols is None or known is None else known | symbols
    for item in trees:
        for name in item.names if isinstance(item, s.Row) else ():
            seen, row = there[name], face.rows[name]
            missing = [] if seen is None or row.places else [x for x in row.symbols if x not in seen]
            if missing and source is not None:
                message = f"row {name} can hold {describe_symbols(tuple(missing))}, which nothing lays or writes there"
                fix = "narrow the row to what it holds: the core then sees fewer cases"
                yield Remark(source, item.line, item.column, message, fix, "NPI204")


def written(programs: ProgramSet) -> dict[str, set[str] | None]:
    """Row → symbols that the programs write there; None where an action could write anything."""
    face = programs.programs[0].scope.face
    tokens = face.spec.tokens
    found: dict[str, set[str] | None] = {row: set() for row in face.rows}
    for program in programs.programs:
        for _, pointer, action, operand in program.table.acts if program.table is not None else ():
            symbols = found[face.pointers[tokens[pointer]]]
            if BY_NAME[tokens[action]].writes == SYMBOL and symbols is not None:
                symbols.add(tokens[operand])
        if program.signal is not None:
            found = dict.fromkeys(found)
    return found


def laid(task: Task) -> dict[str, set[str] | None]:
    """Row → symbols that a task lays there; None where that cannot be told."""
    inputs = {item.name: item for item in task.inputs}
    return {item.row: symbols_of(item.value, inputs) for item in task.laid}


def symbols_of(node: s.Expression, inputs: Mapping[str, Input]) -> set[str] | None:
    """The symbols that a laid expression can hold."""
    if isinstance(node, s.Name) and node.text in inputs:
        return None if inputs[node.text].kind == NUMBER else set(inputs[node.text].symbols)
    if isinstance(node, s.Number):
        return {str(node.value)}
    if isinstance(node, s.Text):
        return {node.value}
    if isinstance(node, s.Blank):
        return {BLANK}
    if isinstance(node, s.Items | s.Choice):
        parts = node.items if isinstance(node, s.Items) else (node.value, node.other)
        found = [symbols_of(part, inputs) for part in parts]
        return None if None in found else set[str]().union(*(part for part in found if part is not None))
    if isinstance(node, s.Apply) and node.name in ("sorted", "reversed") and len(node.arguments) == 1:
        return symbols_of(node.arguments[0], inputs)
    if isinstance(node, s.Apply) and node.name == "digits":
        base = node.arguments[1] if len(node.arguments) > 1 else s.Number(10)
        return {str(digit) for digit in range(base.value)} if isinstance(base, s.Number) else None
    return None
