"""A second way to run a program: a plain interpreter of the syntax tree on one pad of Python values.

It shares nothing with the checked code, the decision tables or the tensors of the scratch pad, so tests compare the
two. It is slow and meant for nothing else than that and for reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from dsl.program import ProgramSet
from dsl.text import syntax as s
from envs.scratchpad.config import PadConfig
from envs.spec import RETURN
from tests.support.pads import PlainPad

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
class Interpreter:
    """Runs programs of a set on one pad and writes down every decision."""

    program_set: ProgramSet
    pad: PlainPad
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
        self.events.append(Event(frame.depth, frame.program, frame.arguments, tuple(self.pad.observe()), call))


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
            assert self.machine.pad.act(*words), "a call that the pad refuses"
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
        return not all(isinstance(part, s.Name) and part.text in places for part in parts)

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
) -> tuple[list[Event], PlainPad]:
    """Run a program on one scratch pad.

    Args:
        layout: row → indices of symbols, as a task's problem has it.
        program, arguments: what runs, by its id, with three tokens.
        limit: decisions after which :class:`OutOfSteps` is raised.

    Returns:
        Every decision in order, and the pad at the end.
    """
    pad = PlainPad(PadConfig.from_json(program_set.world.spec.config), layout)
    machine = Interpreter(program_set, pad, limit)
    machine.run(program, arguments)
    return machine.events, pad
