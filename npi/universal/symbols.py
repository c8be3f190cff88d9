"""One vocabulary of values for the observations and arguments of every world of symbols.

The universal core has no adapter of its own for a world: a digit is the same input wherever it stands. What a world
shows is translated by name into :data:`VALUES` numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dsl.lowering.ir import Read
from dsl.lowering.value_grid import Array
from envs.spec import BLANK, NONE, ProgramTable, Signature, WorldSpec
from npi.training.induction.steps import names_of

VALUES = 64
"""How many values there are: digits, blank, no and yes, before, same and after, and others by their order."""

FIXED = {
    **{str(digit): digit for digit in range(10)},
    BLANK: 10,
    "no": 11,
    "yes": 12,
    "before": 13,
    "same": 14,
    "after": 15,
    NONE: 16,
}
OTHERS = 17
"""The first number of all that has no fixed one."""

COMPUTABLE = 11
"""Values below this one, digits and blank, can be computed by the core; others are copied, or chosen."""


DIGIT = 10
"""Of more places than :data:`COMPUTABLE`, the core sees and computes decimal digits."""


def numbering(spec: WorldSpec) -> dict[str, int]:
    """The number of every value that a world shows and of every token; those from :data:`VALUES` on have no embedding.

    Symbols come before pointers and actions, in the order of the vocabulary.
    """
    shown = [value for field in spec.fields for value in field.values if value not in FIXED]
    names = dict.fromkeys([*(t for t in spec.tokens if t in set(shown)), *shown, *spec.tokens])
    others = [name for name in names if name not in FIXED]
    return {**FIXED, **{name: OTHERS + rank for rank, name in enumerate(others)}}


def name_of(read: Read, spec: WorldSpec, signature: Signature) -> str:
    """The name of a field or of an argument slot."""
    return spec.fields[read.index].name if read.kind == "field" else signature.slots[read.index].name


def seen_words(reads: Sequence[Read], index_R: Sequence[int], spec: WorldSpec, signature: Signature) -> str:
    """What is read, by which of its values each read has: ``IN1 = 9, d = LEFT``."""
    pairs = zip(reads, index_R, strict=True)
    words = [f"{name_of(read, spec, signature)} = {names_of(read, spec, signature)[index]}" for read, index in pairs]
    return ", ".join(words) or "nothing seen"


def numbers_of(read: Read, spec: WorldSpec, signature: Signature) -> Array:
    """The number of each value that a field or an argument slot can have."""
    known = numbering(spec)
    return np.array([known[name] for name in names_of(read, spec, signature)], np.int64)


def computable_tokens(table: ProgramTable) -> tuple[Array, Array]:
    """Of every token, the value that it stands for (−1 for none that can be computed), and back."""
    spec = table.world
    value_V = np.array([FIXED.get(t, VALUES) if FIXED.get(t, VALUES) < COMPUTABLE else -1 for t in spec.tokens])
    token_C = np.full(COMPUTABLE, -1, np.int64)
    token_C[value_V[value_V >= 0]] = np.flatnonzero(value_V >= 0)
    return value_V.astype(np.int64), token_C
