"""The inputs of a task: their kinds, what a user may give for them, and their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dsl.names.worlds import describe_symbols
from dsl.tasks.graphs import check_graph, parse_graph
from dsl.tasks.values import Value, digits_of, number_from_digits, show, symbol_value

NUMBER, LIST, GRAPH, SCALAR = "number", "list", "graph", "scalar"


@dataclass(frozen=True)
class Input:
    """One input of a task.

    Attributes:
        name: as in the task.
        kind: NUMBER (a natural number, its size is its digits in ``base``), LIST (its size is its length), GRAPH
            (its size is its number of vertices) or SCALAR (one symbol, without a size).
        symbols: what a list's items or a scalar can be.
        base: of a number.
        acyclic: whether a graph has no cycle.
    """

    name: str
    kind: str
    symbols: tuple[str, ...]
    base: int
    acyclic: bool = False

    @property
    def sized(self) -> bool:
        return self.kind != SCALAR

    def size(self, value: Value) -> int:
        """Digits of a number, items of a list, vertices of a graph."""
        if isinstance(value, tuple):
            return len(value)
        return len(digits_of(value, self.base)) if isinstance(value, int) and self.sized else 1

    def describe(self) -> str:
        if self.kind == NUMBER:
            return "a natural number"
        if self.kind == GRAPH:
            return f"{'an acyclic' if self.acyclic else 'a'} graph"
        items = describe_symbols(self.symbols)
        return f"a list of {items}" if self.kind == LIST else items

    def example(self) -> str:
        """How a user writes one on the command line."""
        if self.kind == NUMBER:
            return "96"
        if self.kind == GRAPH:
            return "'1 2; 2;'"
        return ",".join((self.symbols * 3)[:3]) if self.kind == LIST else self.symbols[0]

    def check(self, value: Value | Sequence[Value], task: str) -> Value:
        """The value in its own type; raises ``ValueError`` for one that the input cannot have."""
        if self.kind == NUMBER:
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                return value
        elif self.kind == GRAPH:
            return self._check_graph(value, task)
        elif self.kind == SCALAR:
            if isinstance(value, int | str) and str(value) in self.symbols:
                return symbol_value(str(value))
        elif isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0:
            wrong = [item for item in value if isinstance(item, bool | tuple) or str(item) not in self.symbols]
            if wrong:
                message = f"task {task}: input {self.name} holds {wrong[0]!r}; its items are"
                raise ValueError(f"{message} {describe_symbols(self.symbols)}")
            return tuple(symbol_value(str(item)) for item in value)
        shown = show(value) if isinstance(value, int | str) else repr(value)
        empty = " with at least one item" if self.kind == LIST else ""
        raise ValueError(f"task {task}: input {self.name} is {shown}; give {self.describe()}{empty}")

    def _check_graph(self, value: Value | Sequence[Value], task: str) -> Value:
        """For each vertex the vertices that follow it."""
        parts: Any = value if isinstance(value, Sequence) else (None,)
        if not all(isinstance(part, Sequence) and all(isinstance(vertex, int) for vertex in part) for part in parts):
            raise ValueError(f"task {task}: input {self.name} is {value!r}; give for each vertex what follows it")
        try:
            return check_graph(parts, acyclic=self.acyclic)
        except ValueError as reason:
            raise ValueError(f"task {task}: input {self.name}: {reason}") from None

    def parse(self, word: str, task: str) -> Value:
        """A word of the command line: ``96``, ``3,1,2``, ``[3, 1, 2]``, ``(())`` for symbols of one character."""
        text = word.strip()
        if self.kind == NUMBER:
            digits = text.replace("_", "")
            if not (digits.isascii() and digits.isdigit()):
                raise ValueError(f"task {task}: input {self.name} is {word!r}; give {self.describe()}, for example 96")
            return number_from_digits(list(map(int, digits)))
        if self.kind == SCALAR:
            return symbol_value(text)
        if self.kind == GRAPH:
            return parse_graph(text)
        inner = text[1:-1] if text[:1] == "[" and text[-1:] == "]" and text not in self.symbols else text
        if "," in inner and inner not in self.symbols:
            return tuple(symbol_value(item.strip()) for item in inner.split(","))
        if inner not in self.symbols and all(character in self.symbols for character in inner):
            return tuple(map(symbol_value, inner))
        return (symbol_value(inner),)


def named_words(task: str, inputs: Sequence[Input], argv: Sequence[str]) -> dict[str, str]:
    """The words of a command line by the names of inputs: first those without a name, in order, then ``name=word``.

    A name may be one that no input has. Raises ``ValueError`` for an input that is given twice, a word without a name
    behind one that has one; there are at most as many words as inputs.
    """
    names = [item.name for item in inputs]
    found: dict[str, str] = {}
    named = ""
    for number, given in enumerate(argv):
        name, equals, word = given.partition("=")
        literal = any("=" in symbol for symbol in inputs[number].symbols)
        if equals and (name in names or (name.isidentifier() and not literal)):
            if name in found:
                raise ValueError(f"task {task}: input {name} is given twice, as {found[name]} and as {word}")
            found[name] = word
            named = named or given
        elif named:
            message = f"task {task}: {given} comes behind {named} and has no name"
            free = next(name for name in names if name not in found)
            raise ValueError(f"{message}; write for example {free}={given}, or put it first")
        else:
            found[names[number]] = given
    return found
