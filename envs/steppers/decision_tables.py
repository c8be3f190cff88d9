"""A stepper as tables: one look-up decides for a whole batch. Program texts and trained cores compile to these.

What decides is a *node*: a place in a program's text, or a program and a state of the core. A frame's hidden number is
the local number of its node within its program, 0 at its beginning. A node reads some fields of the observation and
some arguments; each combination of their values is an *entry*, a call and the node that decides next.

Shape legend: ``B`` batch, ``F`` observation fields, ``N`` nodes of all programs, ``C`` callables, ``M`` entries of all
nodes, ``V`` tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch

from envs.spec import GO_ON, RETURN, SLOTS, ProgramTable
from envs.stepper import Action, Decision, Draw, Observation
from envs.support.typed_json import FormatError


@dataclass
class DecisionTables:
    """All tables of a program set in one, on one device.

    Attributes:
        first_C: the node at which each callable begins (0 for a primitive, which never decides).
        base_N: where each node's entries begin; −1 for a node without entries yet.
        stride_NF: entry = base + sum of observation × stride + sum of the argument's position × stride.
        stride_N3: the strides of the arguments.
        position_C3V: the position of a token among those that a callable's slot allows (0 where it is not).
        entry_M5: callee, three tokens, and the local number of the next node.
    """

    first_C: torch.Tensor
    base_N: torch.Tensor
    stride_NF: torch.Tensor
    stride_N3: torch.Tensor
    position_C3V: torch.Tensor
    entry_M5: torch.Tensor

    def to(self, device: torch.device | str) -> DecisionTables:
        return DecisionTables(**{name: tensor.to(device) for name, tensor in vars(self).items()})


class Node(NamedTuple):
    """What decides at one place of a program.

    Attributes:
        columns, strides: each field (its index) and argument (F + its slot) that is read, and its stride.
        entry_M5: as in :class:`DecisionTables`.
    """

    columns: Sequence[int]
    strides: Sequence[int]
    entry_M5: torch.Tensor


def assemble(table: ProgramTable, programs: Mapping[int, Sequence[Node]]) -> DecisionTables:
    """The tables of some programs, by id, whose nodes are numbered as they are listed."""
    nodes = [node for part in programs.values() for node in part]
    first_C = torch.zeros(len(table), dtype=torch.int64)
    first_C[list(programs)] = _ends_before([len(part) for part in programs.values()])
    fields = len(table.world.fields)
    stride_NX = np.zeros((len(nodes), fields + SLOTS), np.int64)
    for number, node in enumerate(nodes):
        stride_NX[number, list(node.columns)] = node.strides
    return DecisionTables(
        first_C=first_C,
        base_N=_ends_before([len(node.entry_M5) for node in nodes]),
        stride_NF=torch.from_numpy(stride_NX[:, :fields].copy()),
        stride_N3=torch.from_numpy(stride_NX[:, fields:].copy()),
        position_C3V=torch.from_numpy(positions(table)),
        entry_M5=torch.cat([torch.zeros(0, 5, dtype=torch.int64), *(node.entry_M5 for node in nodes)]),
    )


def check_tables(table: ProgramTable, tables: DecisionTables) -> None:
    """Check foreign tables of a table's programs, which may reach machine code that looks at no bounds.

    Nodes and entries lie as :func:`assemble` lays them, every entry is decided, and none leads to a node that its
    program does not have, whatever can be observed. Raises :class:`FormatError` that names the array.
    """
    names, count = [field.name for field in fields(DecisionTables)], len(table)
    first_C, base_N, stride_NF, stride_N3, position_C3V, entry_M5 = (getattr(tables, name).numpy() for name in names)
    seen, tokens = len(table.world.fields), len(table.world.tokens)
    shapes = [(count,), base_N.shape[:1], (len(base_N), seen), (len(base_N), SLOTS), (count, SLOTS, tokens)]
    for name, shape in zip(names, [*shapes, (*entry_M5.shape[:1], 5)], strict=True):
        array = getattr(tables, name)
        if array.dtype != torch.int64 or array.shape != shape:
            raise FormatError(f"{name} is {array.dtype} {[*array.shape]}, expected torch.int64 {[*shape]}")
    starts, slots = first_C[table.primitives :], [[len(slot.tokens) for slot in s.slots] for s in table.programs]
    lengths = np.diff(starts, append=len(base_N))
    if first_C[: table.primitives].any() or starts[:1].any() or (lengths < 1).any():
        raise FormatError("first_C does not lay the nodes of the programs one after another")
    program_N = np.repeat(np.arange(len(starts)), lengths)
    stride_NX = np.concatenate([stride_NF, stride_N3], 1)
    last_PX = np.array([[*(f.size - 1 for f in table.world.fields), *(n - 1 for n in s), *[0] * (SLOTS - len(s))]
                        for s in slots], np.int64).reshape(len(slots), seen + SLOTS)  # fmt: skip
    if ((stride_NX < 0) | (stride_NX > len(entry_M5))).any():
        raise FormatError("stride_NF or stride_N3 reaches beyond the entries")
    size_N = 1 + (stride_NX * last_PX[program_N]).sum(1)
    if (base_N != np.cumsum(size_N) - size_N).any() or size_N.sum() != len(entry_M5):
        raise FormatError("base_N and the strides do not lay the entries of the nodes one after another")
    if (position_C3V != positions(table)).any():
        raise FormatError("position_C3V is not that of the programs' arguments")
    high_M5 = np.full((len(entry_M5), 5), tokens - 1)
    high_M5[:, 0], high_M5[:, 4] = count - 1, np.repeat(lengths[program_N], size_N) - 1
    outside = (entry_M5 < np.array([RETURN, 0, 0, 0, 0])) | (entry_M5 > high_M5)
    if outside.any():
        place = tuple(np.argwhere(outside)[0].tolist())
        raise FormatError(f"entry_M5 at {place} holds {entry_M5[place]}, which leads out of the tables")


def _ends_before(lengths: Sequence[int]) -> torch.Tensor:
    """Where each of some consecutive parts begins."""
    return torch.from_numpy(np.cumsum([0, *lengths])[:-1])


class TableStepper:
    """Decides by tables (implements :class:`~envs.stepper.Stepper`). A subclass may fill them as they are needed.

    Args:
        tables: on the device on which it steps. hops: the most look-ups that one decision takes.

    Attributes:
        version: grows when :meth:`fill` has changed the tables.
    """

    width = 1
    dtype = torch.int64

    def __init__(self, table: ProgramTable, tables: DecisionTables, *, hops: int = 1) -> None:
        self.table, self.tables, self.hops = table, tables, hops
        self.version = 0
        self._reads_arguments = bool(tables.stride_N3.any())

    def step(
        self,
        seen: Observation,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        ended_B: torch.Tensor | None = None,
        draw: Draw | None = None,
    ) -> Decision:
        """The next call of every frame; what is given must be able to occur, which the machine sees to."""
        first_B = self.tables.first_C[program_B]
        position_B3 = self._positions(program_B, arguments_B3) if self._reads_arguments else None
        entry_B5 = self._look_up(first_B + hidden_BH[:, 0], seen.fields_BF, position_B3)
        for _ in range(self.hops - 1):
            onward_B5 = self._look_up(first_B + entry_B5[:, 4], seen.fields_BF, position_B3)
            entry_B5 = torch.where(entry_B5[:, :1] == GO_ON, onward_B5, entry_B5)
        return Decision(Action(entry_B5[:, :4]), entry_B5[:, 4:])

    def fill(self, node_B: np.ndarray, entry_B: np.ndarray) -> None:
        """Decide in new configurations: nodes without entries (entry −1), or entries that are unknown.

        Tables of program texts are whole; this raises ``ValueError``.
        """
        raise ValueError("a whole table was left: an observation is outside the world's declaration")

    def _look_up(self, node_B: torch.Tensor, obs_BF: torch.Tensor, position_B3: torch.Tensor | None) -> torch.Tensor:
        return self.tables.entry_M5[self._entries(node_B, obs_BF, position_B3)]

    def _entries(self, node_B: torch.Tensor, obs_BF: torch.Tensor, position_B3: torch.Tensor | None) -> torch.Tensor:
        tables = self.tables
        entry_B = tables.base_N[node_B] + (tables.stride_NF[node_B] * obs_BF).sum(1)
        if position_B3 is not None:
            entry_B = entry_B + (tables.stride_N3[node_B] * position_B3).sum(1)
        return entry_B

    def _positions(self, program_B: torch.Tensor, arguments_B3: torch.Tensor) -> torch.Tensor:
        slots = torch.arange(SLOTS, device=program_B.device)
        return self.tables.position_C3V[program_B[:, None], slots, arguments_B3]


def positions(table: ProgramTable) -> np.ndarray:
    """position_C3V of a table of callables."""
    found = np.zeros((len(table), SLOTS, len(table.world.tokens)), dtype=np.int64)
    for number, signature in enumerate(table.signatures):
        for index, slot in enumerate(signature.slots):
            found[number, index, list(slot.tokens)] = np.arange(len(slot.tokens))
    return found
