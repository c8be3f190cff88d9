"""Codes evaluated for every combination of what they read, as numpy arrays.

Shape legend: ``M`` combinations of a grid, ``C`` the chosen ones among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from dsl.lowering.ir import Cell, Code, Constant, Flag, Operation, Parameter, Read, Symbol
from dsl.names.scope import Scope
from envs.support.mixed_radix import strides

Array = npt.NDArray[np.int64]

T = TypeVar("T", bound=np.generic)

NO_SYMBOL = -1
"""The token of a number that no symbol stands for."""

COMPARISONS: Mapping[str, Callable[[Array, Array], npt.NDArray[np.bool_]]] = {
    "==": np.equal,
    "same": np.equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}

ARITHMETIC: Mapping[str, Callable[[Array, Array], Array]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "div": np.floor_divide,
    "mod": np.mod,
}


MAX_NUMBER = 2**31
"""Numbers in bodies stay below this, so that a product of two fits 64 bits."""


MAX_CACHED_COMBINATIONS = 2**16
"""Grids of at most this many combinations keep what each read is in each of them."""


class Uncomputable(Exception):
    """An operation without a result; carries the operation, all combinations for which it has none, and the reason in
    the first of them."""

    def __init__(self, operation: Operation, combination_C: Array, message: str, fix: str, code: str) -> None:
        super().__init__(message)
        self.code = code
        self.operation, self.combination_C = operation, combination_C
        self.message, self.fix = message, fix


def read_size(read: Read, scope: Scope) -> int:
    """How many values a field or an argument slot has."""
    if read.kind == "field":
        return scope.face.spec.fields[read.index].size
    return len(scope.slots[read.index].tokens)


def ordered(found: Iterable[Read]) -> tuple[Read, ...]:
    return tuple(sorted(found, key=lambda read: (read.kind, read.index)))


@dataclass(frozen=True)
class Grid:
    """All combinations of the values of some reads; the last read varies fastest."""

    scope: Scope
    reads: tuple[Read, ...]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        return tuple(read_size(read, self.scope) for read in self.reads)

    @cached_property
    def size(self) -> int:
        return prod(self.sizes)

    @cached_property
    def strides(self) -> tuple[int, ...]:
        return strides(self.sizes)

    @cached_property
    def columns(self) -> dict[Read, Array]:
        """The index of each read's value in every combination, as far as it was asked for."""
        return {}

    def values(self, read: Read, chosen_C: Array) -> Array:
        """The index of a read's value in each chosen combination."""
        position = self.reads.index(read)
        if self.size <= MAX_CACHED_COMBINATIONS:
            if read not in self.columns:
                self.columns[read] = np.arange(self.size) // self.strides[position] % self.sizes[position]
            column_M = self.columns[read]
            return column_M if len(chosen_C) == self.size else column_M[chosen_C]  # then all, in their order
        return (chosen_C // self.strides[position]) % self.sizes[position]

    def describe(self, combination: int) -> str:
        """One combination in words: ``IN1 = 9, IN2 = 3``."""
        words = []
        for read in self.reads:
            index = int(self.values(read, np.array([combination]))[0])
            if read.kind == "field":
                field = self.scope.face.spec.fields[read.index]
                words.append(f"{field.name} = {field.values[index]}")
            else:
                slot = self.scope.slots[read.index]
                words.append(f"{slot.name} = {self.scope.face.spec.tokens[slot.tokens[index]]}")
        return ", ".join(words)

    def evaluate(self, code: Code, chosen_C: Array) -> Array:
        """The code's value in each chosen combination: a number, an interned symbol, or 0 and 1."""
        scope = self.scope
        if isinstance(code, Constant):
            return np.broadcast_to(np.int64(code.value), chosen_C.shape)
        if isinstance(code, Symbol):
            return np.broadcast_to(np.int64(code.id), chosen_C.shape)
        if isinstance(code, Cell | Flag):
            index_C = self.values(Read("field", code.field), chosen_C)
            return index_C if isinstance(code, Flag) else scope.face.field_ids[code.field][index_C]
        if isinstance(code, Parameter):
            tokens = np.array(scope.slots[code.slot].tokens, dtype=np.int64)
            return tokens[self.values(Read("slot", code.slot), chosen_C)]
        return self.operate(code, chosen_C)

    def operate(self, code: Operation, chosen_C: Array) -> Array:
        scope = self.scope
        if code.operator in ("and", "or", "choice"):
            return self.decide(code, chosen_C)
        values = [self.evaluate(operand, chosen_C) for operand in code.operands]
        if code.operator == "not":
            return (values[0] == 0).astype(np.int64)
        if code.operator == "negative":
            return -values[0]
        if code.operator == "number":
            strange = np.flatnonzero(~scope.face.counts[values[0]])
            if code.line and strange.size:
                shown = list(scope.face.ids)[int(values[0][strange[0]])]
                message, fix = f"{shown} is not a number, and numbers are needed here", "ask for it before, with =="
                raise Uncomputable(code, chosen_C[strange], message, fix, "NPI085")
            return self.scope.face.symbol_numbers[values[0]]
        if code.operator == "symbol":
            return tokens_of_numbers(values[0], self.scope)
        left_C, right_C = values
        if code.operator in COMPARISONS:
            return COMPARISONS[code.operator](left_C, right_C).astype(np.int64)
        zero = np.flatnonzero(right_C == 0)
        if code.operator in ("div", "mod") and zero.size:
            message, fix = "this divides by zero", "ask for it with if first"
            raise Uncomputable(code, chosen_C[zero], message, fix, "NPI090")
        result_C = ARITHMETIC[code.operator](left_C, right_C)
        large = np.flatnonzero(np.abs(result_C) >= MAX_NUMBER)
        if large.size:
            message = f"this becomes {result_C[large[0]]}, more than a body can hold"
            raise Uncomputable(code, chosen_C[large], message, f"stay below {MAX_NUMBER}", "NPI089")
        return result_C

    def decide(self, code: Operation, chosen_C: Array) -> Array:
        """``and``, ``or`` and ``choice`` look at a side only where they need it."""
        first_C = self.evaluate(code.operands[0], chosen_C) != 0
        result_C = first_C.astype(np.int64)
        if code.operator != "or":
            result_C[first_C] = self.evaluate(code.operands[1], chosen_C[first_C])
        if code.operator != "and":
            result_C[~first_C] = self.evaluate(code.operands[-1], chosen_C[~first_C])
        return result_C


def tokens_of_numbers(number_C: Array, scope: Scope) -> Array:
    """The token of the symbol that stands for each number, :data:`NO_SYMBOL` where there is none."""
    unique, inverse = np.unique(number_C, return_inverse=True)
    found = [scope.face.tokens.get(str(int(number)), NO_SYMBOL) for number in unique]
    return np.array(found, dtype=np.int64)[inverse]


def essential(reads: Sequence[Read], value_M: npt.NDArray[T]) -> tuple[tuple[Read, ...], npt.NDArray[T]]:
    """A function of reads without those on which it does not depend; there is one such form of every function."""
    kept = list(reads)
    for axis in reversed(range(len(kept))):
        first = value_M[(slice(None),) * axis + (slice(0, 1),)]
        if (value_M == first).all():
            value_M = first.reshape(value_M.shape[:axis] + value_M.shape[axis + 1 :])
            del kept[axis]
    return tuple(kept), value_M
