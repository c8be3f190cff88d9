"""A checked body: every name resolved to an observation field, an argument slot or a token; ``for`` unrolled.

Symbols are interned: the id of a symbol that can be an argument is its token, so what a cell holds and what a call
carries are compared and copied without translation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """A number."""

    value: int


@dataclass(frozen=True)
class Symbol:
    """The interned symbol or token itself."""

    id: int


@dataclass(frozen=True)
class Cell:
    """The symbol that an observation field shows."""

    field: int


@dataclass(frozen=True)
class Flag:
    """A field of no and yes, as a truth value."""

    field: int


@dataclass(frozen=True)
class Parameter:
    """The token in an argument slot of the frame."""

    slot: int


@dataclass(frozen=True)
class NumberOf:
    """The number that a symbol stands for; a blank is 0."""

    symbol: Code


@dataclass(frozen=True)
class SymbolOf:
    """The symbol that stands for a number; where there is none the call that uses it is an error."""

    number: Code


@dataclass(frozen=True)
class Operation:
    """An operator of the language on codes, or ``same`` (equality of symbols), ``choice``, ``negative``."""

    operator: str
    operands: tuple[Code, ...]
    line: int = 0
    column: int = 0


Code = Constant | Symbol | Cell | Flag | Parameter | NumberOf | SymbolOf | Operation


@dataclass(frozen=True)
class Read:
    """What a code reads: an observation field or an argument slot."""

    kind: str
    index: int

    def column(self, fields: int) -> int:
        """Its place among so many observation fields and the argument slots behind them."""
        return self.index if self.kind == "field" else fields + self.index


@dataclass(frozen=True)
class Invoke:
    """A call; ``arguments`` holds one code a slot."""

    callee: int
    arguments: tuple[Code, ...]
    line: int
    column: int


@dataclass(frozen=True)
class Test:
    """``if`` with both blocks."""

    condition: Code
    yes: tuple[Step, ...]
    no: tuple[Step, ...]
    line: int
    column: int


@dataclass(frozen=True)
class Loop:
    condition: Code
    body: tuple[Step, ...]
    line: int
    column: int


@dataclass(frozen=True)
class Leave:
    """Return to the caller."""


Step = Invoke | Test | Loop | Leave


@dataclass(frozen=True)
class Variant:
    """A body for certain arguments: a parameter whose cell is read is known in it.

    Attributes:
        tokens: for each slot of ``Body.slots``, the token for which this variant holds.
    """

    tokens: tuple[int, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Body:
    """All variants of a program's body; ``slots`` is empty, and there is one variant, where none is needed."""

    slots: tuple[int, ...]
    variants: tuple[Variant, ...]


def reads(code: Code) -> frozenset[Read]:
    """The fields and slots that a code reads."""
    if isinstance(code, Cell | Flag):
        return frozenset((Read("field", code.field),))
    if isinstance(code, Parameter):
        return frozenset((Read("slot", code.slot),))
    if isinstance(code, NumberOf):
        return reads(code.symbol)
    if isinstance(code, SymbolOf):
        return reads(code.number)
    if isinstance(code, Operation):
        return frozenset[Read]().union(*map(reads, code.operands))
    return frozenset()


def every_step(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps and those inside them."""
    for step in steps:
        yield step
        if isinstance(step, Test):
            yield from every_step((*step.yes, *step.no))
        elif isinstance(step, Loop):
            yield from every_step(step.body)
