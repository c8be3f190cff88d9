"""The steps of a program's frames as columns: what was seen and called, and what tells one call from another.

Shape legend: ``S`` steps of all frames, ``X`` inputs (fields, then argument slots), ``I`` chosen steps, ``V`` tokens.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from dsl.lowering.ir import Read
from dsl.lowering.value_grid import Array
from envs.spec import Signature, WorldSpec
from npi.training.input_gates import settles, spared
from traces.recording.unique_frames import FrameSet, row_hash

INPUT_BITS = 3.0
"""What an input costs in a description of a program, beside the bits of its value."""

STATE_BITS = 2.0
"""What a state costs."""

UNSETTLED = 1e5
"""What a state costs whose calls nothing that is seen tells apart."""

LAGS = 3
"""So many steps before a step, what was seen may be remembered."""

PAIRED = 40
"""Of so many inputs at most all pairs are tried."""


@dataclass(frozen=True)
class Needed:
    """Inputs that tell the outcomes of some steps apart, and the bits that this costs."""

    inputs: tuple[int, ...]
    bits: float

    @property
    def settled(self) -> bool:
        return self.bits < UNSETTLED


class Steps:
    """All steps of one program.

    Attributes:
        reads: the X inputs. index_SX: which of its values each has. token_SX: the token of that name (−1: none).
        sizes: how many values each input has; those of the steps before follow (:data:`LAGS` times the fields).
        call_S4: callee and arguments. number_S: equal for equal calls.
        kind_S: equal for calls that differ at most in masked tokens that they pass.
        varied: kinds of more than one call.
        hash_XS: of what each input is, then of what each field was one step before, and so on (:meth:`past`).
        frame_S, step_S: the frame, and the place in it. start_M, length_M: of the M frames.
    """

    def __init__(self, frames: FrameSet, signature: Signature, masked: Collection[int]) -> None:
        self.frames = frames
        spec = frames.table.world
        fields = len(spec.fields)
        self.reads = inputs_of(frames, signature)
        self.start_M, self.length_M = frames.start_M.numpy(), frames.length_M.numpy()
        self.frame_S = np.repeat(np.arange(len(frames)), self.length_M)
        self.step_S = np.arange(len(self.frame_S)) - self.start_M[self.frame_S]
        self.call_S4 = frames.call_S4.numpy().astype(np.int64)
        self.index_SX = seen_in(frames, signature)
        columns = list(self.index_SX.T)
        sizes = [f.size for f in spec.fields] + [len(slot.tokens) for slot in signature.slots]
        self.sizes = sizes + sizes[:fields] * LAGS
        self.number_S = _numbered(self.call_S4)
        left_V = np.arange(len(spec.tokens))
        left_V[list(masked)] = -1
        self.kind_S = _numbered(np.column_stack([self.call_S4[:, 0], left_V[self.call_S4[:, 1:]]]))
        self.varied = _varied(self.kind_S, self.number_S)
        tokens = [tokens_of(r, spec, signature) for r in self.reads]
        self.token_SX = np.stack([t[c] for t, c in zip(tokens, columns, strict=True)], 1)
        self.hash_XS = [row_hash([column], 11 + i) for i, column in enumerate(columns)]
        for lag in range(1, LAGS + 1):
            self.hash_XS += [self._before(column, lag, 11 + i) for i, column in enumerate(columns[:fields])]

    def tagged(self, tag_S: Array) -> Steps:
        """The same steps, where calls with different tags are different calls."""
        found = copy.copy(self)
        found.number_S = _numbered(np.column_stack([self.number_S, tag_S]))
        found.kind_S = _numbered(np.column_stack([self.kind_S, tag_S]))
        found.varied = _varied(found.kind_S, found.number_S)
        return found

    def _before(self, column_S: Array, lag: int, salt: int) -> np.ndarray:
        """Hashes of what was seen ``lag`` steps before; of nothing where the frame had not begun."""
        earlier = np.full(len(column_S), -1)
        late = self.step_S >= lag
        earlier[lag:] = column_S[:-lag]
        earlier[~late] = -1
        return row_hash([earlier], 100 * lag + salt)

    @cached_property
    def present(self) -> range:
        """The inputs of the step itself."""
        return range(len(self.reads))

    def past(self, lag: int) -> range:
        """The inputs of the step so many before."""
        fields = sum(read.kind == "field" for read in self.reads)
        begin = len(self.reads) + (lag - 1) * fields
        return range(begin, begin + fields)

    def key(self, inputs: Sequence[int], at_I: Array) -> np.ndarray:
        """A hash of what some inputs are in each of some steps."""
        total = np.zeros(len(at_I), np.uint64)
        for number in inputs:
            total += self.hash_XS[number][at_I]
        return total

    def outcome(self, at_I: Array) -> tuple[Array, float]:
        """A number for the call of each step, equal where an argument is always what one input shows; and the bits.

        Copies count where at least two different symbols were passed.
        """
        number_I, bits = self.number_S[at_I], 0.0
        kind_I = self.kind_S[at_I]
        for kind in self.varied:
            mine = np.flatnonzero(kind_I == kind)
            if not len(mine):
                continue
            passed = self.call_S4[at_I[mine], 1:]
            varied = np.flatnonzero((passed != passed[0]).any(0))
            if len(varied) and all(self._copied(at_I[mine], passed[:, slot]) for slot in varied):
                number_I = np.where(kind_I == kind, -1 - kind, number_I)
                bits += INPUT_BITS * len(varied)
        return number_I, bits

    def _copied(self, at_I: Array, passed_I: Array) -> bool:
        return bool((self.token_SX[at_I] == passed_I[:, None]).all(0).any())

    def needed(self, at_I: Array, *, quick: bool = False) -> Needed:
        """The cheapest inputs found that settle the calls of some steps."""
        outcome_I, bits = self.outcome(at_I)
        found = self.fewest(at_I, outcome_I, self.present, quick=quick)
        return Needed(found.inputs, found.bits + bits)

    def fewest(self, at_I: Array, outcome_I: Array, among: Sequence[int], *, quick: bool = False) -> Needed:
        """The cheapest inputs found that settle outcomes: none, one, two (unless quick), or what is left of all."""
        if (outcome_I == outcome_I[0]).all():
            return Needed((), 0.0)

        def settled(inputs: Sequence[int]) -> bool:
            return settles(self.key(inputs, at_I), outcome_I)

        left = spared(among, self.sizes, settled)
        if left is None:
            return Needed(tuple(among), UNSETTLED)
        best = self._costing(left, at_I, outcome_I)
        most = self.bits(left)
        sizes: tuple[int, ...] = (1, 2) if len(among) <= PAIRED and not quick else (1,)
        sizes = tuple(size for size in sizes if size < len(left) or size == 1)
        tried = sorted((self.bits(c), c) for size in sizes for c in combinations(among, size))
        for bits, inputs in tried:
            if bits >= most:
                break
            if settled(inputs):
                return self._costing(inputs, at_I, outcome_I)
        return best

    def _costing(self, inputs: Sequence[int], at_I: Array, outcome_I: Array) -> Needed:
        """Inputs with what they cost, and what it costs to write down the outcome of each configuration that occurs."""
        if not inputs:
            return Needed((), 0.0)
        configurations = len(np.unique(self.key(inputs, at_I)))
        table = configurations * math.log2(len(np.unique(outcome_I)))
        return Needed(tuple(sorted(inputs)), min(UNSETTLED - 1, self.bits(inputs) + table))

    def settle(self, at_I: Array, inputs: Sequence[int]) -> Needed | None:
        """Of these inputs, those that the calls of some steps need; None where they do not settle them."""
        outcome_I, bits = self.outcome(at_I)
        left = spared(inputs, self.sizes, lambda these: settles(self.key(these, at_I), outcome_I))
        if left is None:
            return None
        found = self._costing(left, at_I, outcome_I)
        return Needed(found.inputs, found.bits + bits)

    def bits(self, inputs: Sequence[int]) -> float:
        """What inputs cost."""
        return sum(INPUT_BITS + math.log2(self.sizes[number]) for number in inputs)


def inputs_of(frames: FrameSet, signature: Signature) -> list[Read]:
    """The X inputs that a program has."""
    fields = [Read("field", number) for number in range(len(frames.table.world.fields))]
    return fields + [Read("slot", number) for number in range(len(signature.slots))]


def seen_in(frames: FrameSet, signature: Signature) -> Array:
    """index_SX: which of its values each input has in each step."""
    columns = list(frames.obs_SF.numpy().astype(np.int64).T)
    frame_S = np.repeat(np.arange(len(frames)), frames.length_M.numpy())
    for number, slot in enumerate(signature.slots):
        place = np.zeros(len(frames.table.world.tokens), np.int64)
        place[list(slot.tokens)] = np.arange(len(slot.tokens))
        columns.append(place[frames.arguments_M3[:, number].numpy()][frame_S])
    return np.stack(columns, 1)


def names_of(read: Read, spec: WorldSpec, signature: Signature) -> tuple[str, ...]:
    """The name of each value that a field or an argument slot can have."""
    if read.kind == "field":
        return spec.fields[read.index].values
    return tuple(spec.tokens[token] for token in signature.slots[read.index].tokens)


def tokens_of(read: Read, spec: WorldSpec, signature: Signature) -> Array:
    """The token of the same name as each value that a field or an argument slot can have; −1 where there is none."""
    known = {name: token for token, name in enumerate(spec.tokens)}
    return np.array([known.get(name, -1) for name in names_of(read, spec, signature)], np.int64)


def maskings(frames: FrameSet, signature: Signature) -> list[frozenset[int]]:
    """Tokens that a call may have from what is seen or given: symbols and the tokens of arguments; symbols alone."""
    spec = frames.table.world
    shown = {value for field in spec.fields for value in field.values}
    symbols = frozenset(number for number, token in enumerate(spec.tokens) if token in shown)
    given = symbols.union(*(slot.tokens for slot in signature.slots))
    return list(dict.fromkeys((given, symbols)))


def _varied(kind_S: Array, number_S: Array) -> list[int]:
    """Kinds of more than one call."""
    kinds = np.unique(np.column_stack([kind_S, number_S]), axis=0)[:, 0]
    return [int(kind) for kind in np.flatnonzero(np.bincount(kinds) > 1)]


def _numbered(rows_SX: Array) -> Array:
    """Equal numbers for equal rows."""
    return np.unique(rows_SX, axis=0, return_inverse=True)[1].ravel()
