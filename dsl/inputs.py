"""The inputs of a task: their kinds, what a user may give for them, and their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dsl.values import Value, digits_of, number_from_digits, show, symbol_value
from dsl.worlds import describe_symbols

NUMBER, LIST, SCALAR = "number", "list", "scalar"


@dataclass(frozen=True)
class Input:
    """One input of a task.

    Attributes:
        name: as in the task.
        kind: NUMBER (a natural number, its size is its digits in ``base``), LIST (its size is its length) or SCALAR
            (one symbol, without a size).
        symbols: what a list's items or a scalar can be.
        base: of a number.
    """

    name: str
    kind: str
    symbols: tuple[str, ...]
    base: int

    @property
    def sized(self) -> bool:
        return self.kind != SCALAR

    def size(self, value: Value) -> int:
        """Digits of a number, items of a list."""
        if isinstance(value, tuple):
            return len(value)
        return len(digits_of(value, self.base)) if isinstance(value, int) and self.sized else 1

    def describe(self) -> str:
        if self.kind == NUMBER:
            return "a natural number"
        items = describe_symbols(self.symbols)
        return f"a list of {items}" if self.kind == LIST else items

    def example(self) -> str:
        """How a user writes one on the command line."""
        if self.kind == NUMBER:
            return "96"
        return ",".join((self.symbols * 3)[:3]) if self.kind == LIST else self.symbols[0]

    def check(self, value: Value | Sequence[Value], task: str) -> Value:
        """The value in its own type; raises ``ValueError`` for one that the input cannot have."""
        if self.kind == NUMBER:
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                return value
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
        inner = text[1:-1] if text[:1] == "[" and text[-1:] == "]" and text not in self.symbols else text
        if "," in inner and inner not in self.symbols:
            return tuple(symbol_value(item.strip()) for item in inner.split(","))
        if inner not in self.symbols and all(character in self.symbols for character in inner):
            return tuple(map(symbol_value, inner))
        return (symbol_value(inner),)
