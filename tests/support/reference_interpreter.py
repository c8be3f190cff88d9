"""A second way to run a program: a plain interpreter of the syntax tree on one pad of Python lists.

It shares nothing with the checked code, the decision tables or the tensors of the scratch pad, so tests compare the
two. It is slow and meant for nothing else than that and for reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dsl.program import ProgramSet
from dsl.text import syntax as s
from envs.spec import RETURN

Call = tuple[int, int, int, int]


@dataclass(frozen=True)
class Event:
    """One decision: at this depth of the stack this program observed this and called this (or returned)."""

    depth: int
    program: int
    arguments: tuple[int, int, int]
    observation: tuple[int, ...]
    call: Call


class OutOfSteps(Exception):
    """The program did not end within the given number of decisions; ``events`` is what it did until then."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__(f"no end after {len(events)} decisions")
        self.events = events


class _Returned(Exception):
    """A ``return`` was reached."""


@dataclass
class Pad:
    """One scratch pad: cells by column; a list has all of its columns, an endless row those that were written."""

    config: Mapping[str, Any]
    cells: dict[str, dict[int, str]] = field(default_factory=dict)
    at: dict[str, int] = field(default_factory=dict)

    def lay(self, layout: Mapping[str, Sequence[int]]) -> None:
        rows = {str(row["name"]): row for row in self.config["rows"]}
        endless = [len(cells) for name, cells in layout.items() if rows[name]["blank"]]
        for name, row in rows.items():
            values = [*row["symbols"], "blank"]
            for i, index in enumerate(layout.get(name, ())):
                if row.get("places"):
                    self.cells.setdefault(name, {})[i] = "blank" if index < 0 else f"@{index}"
                else:
                    self.cells.setdefault(name, {})[i] = values[index]
            self.cells.setdefault(name, {})
        for pointer in self.config["pointers"]:
            on = str(pointer["row"])
            width = max([*endless, 1]) if rows[on]["blank"] else len(self.cells[on])
            self.at[str(pointer["name"])] = 0 if pointer["start"] == "left" else width - 1

    def row(self, pointer: str) -> dict[str, Any]:
        name = next(p["row"] for p in self.config["pointers"] if p["name"] == pointer)
        return next(row for row in self.config["rows"] if row["name"] == name)

    def content(self, pointer: str) -> str:
        """What the cell holds; a place is written ``@`` and its column."""
        return self.cells[str(self.row(pointer)["name"])].get(self.at[pointer], "blank")

    def symbol(self, pointer: str) -> str:
        """What is seen of the cell."""
        found = self.content(pointer)
        return "place" if self.row(pointer).get("places") and found != "blank" else found

    def order(self, one: str, two: str) -> str:
        mine, other = self.at[one], self.at[two]
        return "before" if mine < other else "same" if mine == other else "after"

    def edge(self, which: str, pointer: str) -> bool:
        last = len(self.cells[str(self.row(pointer)["name"])]) - 1
        return self.at[pointer] == (0 if which == "first" else last)

    def act(self, pointer: str, action: str, operand: str) -> None:
        row = self.row(pointer)
        cells = self.cells[str(row["name"])]
        if action == "WRITE":
            cells[self.at[pointer]] = operand
        elif action == "SWAP":
            mine, other = self.content(pointer), self.content(operand)
            cells[self.at[pointer]], cells[self.at[operand]] = other, mine
        elif action == "SAVE":
            cells[self.at[pointer]] = f"@{self.at[operand]}"
        else:
            moved = self.target(pointer, action, operand)
            self.at[pointer] = moved if row["blank"] else min(max(moved, 0), len(cells) - 1)

    def target(self, pointer: str, action: str, operand: str) -> int:
        """The column to which a moving action leads."""
        here = self.at[pointer]
        if action == "TO":
            return self.at[operand]
        if action == "HALFWAY":
            return (here + self.at[operand]) // 2
        if action == "FOLLOW":
            found = self.content(operand)
            return here if found == "blank" else int(found[1:])
        return here + (1 if action == "RIGHT" else -1)


@dataclass
class Interpreter:
    """Runs programs of a set on one pad and writes down every decision."""

    program_set: ProgramSet
    pad: Pad
    limit: int
    events: list[Event] = field(default_factory=list)

    def run(self, program: int, arguments: tuple[int, int, int], depth: int = 0) -> None:
        found = self.program_set.program(program)
        tokens = self.program_set.table.world.tokens
        slots = found.signature.slots
        names = {slot.name: tokens[token] for slot, token in zip(slots, arguments, strict=False)}
        frame = _Frame(self, program, arguments, depth, names)
        assert not isinstance(found.tree.body, s.Signal), f"{found.name} has no body"
        with suppress(_Returned):
            frame.block(found.tree.body)
        self.note(frame, (RETURN, 0, 0, 0))

    def note(self, frame: _Frame, call: Call) -> None:
        if len(self.events) >= self.limit:
            raise OutOfSteps(self.events)
        self.events.append(Event(frame.depth, frame.program, frame.arguments, self.observation(), call))

    def observation(self) -> tuple[int, ...]:
        found = []
        for item in self.program_set.table.world.fields:
            which, _, rest = item.name.partition("(")
            if which == "order":
                found.append(item.values.index(self.pad.order(*rest[:-1].split(", "))))
            elif rest:
                found.append(int(self.pad.edge(which, rest[:-1])))
            else:
                found.append(item.values.index(self.pad.symbol(item.name)))
        return tuple(found)


@dataclass
class _Frame:
    """One run of one program; ``names`` are its parameters and loop variables, each the word it stands for."""

    machine: Interpreter
    program: int
    arguments: tuple[int, int, int]
    depth: int
    names: dict[str, str]

    def block(self, statements: Sequence[s.Statement]) -> None:
        for item in statements:
            if isinstance(item, s.Call):
                self.call(item)
            elif isinstance(item, s.If):
                arm = next((arm for arm in item.arms if self.holds(arm.condition)), None)
                self.block(item.otherwise if arm is None else arm.body)
            elif isinstance(item, s.While):
                while self.holds(item.condition):
                    self.block(item.body)
            elif isinstance(item, s.For):
                for word in item.items:
                    self.names[item.variable] = self.word(word)
                    self.block(item.body)
                self.names.pop(item.variable)
            elif isinstance(item, s.Return):
                raise _Returned

    def call(self, call: s.Call) -> None:
        program_set = self.machine.program_set
        callee = self.callee(call.name)
        words: list[str] = []
        for position, node in enumerate(call.arguments):
            symbol_wanted = "WRITE" in words or self.takes_symbol(callee, position)
            as_word = isinstance(node, s.Name) and not symbol_wanted
            words.append(self.word(node) if as_word else str(self.value(node)))
        tokens = [program_set.table.world.tokens.index(word) for word in words]
        tokens += [0] * (3 - len(tokens))
        arguments = (tokens[0], tokens[1], tokens[2])
        self.machine.note(self, (callee, *arguments))
        if callee < program_set.table.primitives:
            self.machine.pad.act(words[0], words[1], words[2] if len(words) > 2 else "")
        else:
            self.machine.run(callee, arguments, self.depth + 1)

    def callee(self, name: str) -> int:
        """The program of that name in the same file, else in any other; or the primitive."""
        table = self.machine.program_set.table
        mine = table.signatures[self.program].name.rpartition(".")[0]
        names = [signature.name for signature in table.signatures]
        return names.index(f"{mine}.{name}") if f"{mine}.{name}" in names else table.id(name)

    def takes_symbol(self, callee: int, position: int) -> bool:
        """Whether a program's parameter holds what a cell can hold, rather than a pointer or a direction."""
        if callee < self.machine.program_set.table.primitives:
            return False
        parts = self.machine.program_set.program(callee).tree.params[position].domain.parts
        places = {"pointer", "direction", "LEFT", "RIGHT", *self.machine.pad.at}
        return not all(isinstance(part, s.DomainName) and part.name in places for part in parts)

    def word(self, node: s.Expression) -> str:
        if isinstance(node, s.Name):
            return self.names.get(node.text, node.text)
        return "blank" if isinstance(node, s.Blank) else str(self.value(node))

    def holds(self, node: s.Expression) -> bool:
        value = self.value(node)
        return value != "blank" if isinstance(value, str) else bool(value)

    def value(self, node: s.Expression) -> int | str | bool:
        """A symbol as a string, a number, or a truth value."""
        if isinstance(node, s.Name):
            word = self.word(node)
            return self.machine.pad.symbol(word) if word in self.machine.pad.at else word
        if isinstance(node, s.Number):
            return node.value
        if isinstance(node, s.Text):
            return node.value
        if isinstance(node, s.Blank):
            return "blank"
        if isinstance(node, s.Apply) and node.name in ("before", "same", "after"):
            return self.machine.pad.order(*map(self.word, node.arguments)) == node.name
        if isinstance(node, s.Apply):
            return self.machine.pad.edge(node.name, self.word(node.arguments[0]))
        if isinstance(node, s.Unary):
            return not self.holds(node.operand) if node.operator == "not" else -self.number(node.operand)
        if isinstance(node, s.Choice):
            chosen = node.value if self.holds(node.condition) else node.other
            return self.number(chosen) if is_number(node.value) or is_number(node.other) else self.value(chosen)
        assert isinstance(node, s.Binary), f"bodies have no {type(node).__name__}"
        return self.binary(node)

    def number(self, node: s.Expression) -> int:
        value = self.value(node)
        return 0 if value == "blank" else int(value)

    def binary(self, node: s.Binary) -> int | bool:
        name = node.operator
        if name == "and":
            return self.holds(node.left) and self.holds(node.right)
        if name == "or":
            return self.holds(node.left) or self.holds(node.right)
        if name in ("==", "!="):
            return self.equal(node.left, node.right) == (name == "==")
        left, right = self.number(node.left), self.number(node.right)
        results: Mapping[str, int | bool] = {
            "<": left < right,
            "<=": left <= right,
            ">": left > right,
            ">=": left >= right,
            "+": left + right,
            "-": left - right,
            "*": left * right,
        }
        if name in results:
            return results[name]
        return left // right if name == "div" else left % right

    def equal(self, left: s.Expression, right: s.Expression) -> bool:
        """Cells and literals are compared as symbols; beside arithmetic they are numbers."""
        arithmetic = [is_number(node) and not isinstance(node, s.Number) for node in (left, right)]
        if any(arithmetic):
            return self.number(left) == self.number(right)
        return str(self.value(left)) == str(self.value(right))


def is_number(node: s.Expression) -> bool:
    """Whether an expression is a number rather than a symbol, by its form alone."""
    if isinstance(node, s.Choice):
        return is_number(node.value) or is_number(node.other)
    if isinstance(node, s.Unary):
        return node.operator == "-"
    return isinstance(node, s.Number) or (isinstance(node, s.Binary) and node.operator in ("+", "-", "*", "div", "mod"))


def interpret(
    program_set: ProgramSet,
    layout: Mapping[str, Sequence[int]],
    program: int,
    arguments: tuple[int, int, int] = (0, 0, 0),
    *,
    limit: int = 100_000,
) -> tuple[list[Event], Pad]:
    """Run a program on one scratch pad.

    Args:
        layout: row → indices of symbols, as a task's problem has it.
        program, arguments: what runs, by its id, with three tokens.
        limit: decisions after which :class:`OutOfSteps` is raised.

    Returns:
        Every decision in order, and the pad at the end.
    """
    pad = Pad(program_set.world.spec.config)
    pad.lay(layout)
    machine = Interpreter(program_set, pad, limit)
    machine.run(program, arguments)
    return machine.events, pad
