"""Decision tables → a stepper: one look-up decides for a whole batch.

Shape legend: ``B`` batch, ``F`` observation fields, ``N`` table nodes of all programs, ``C`` callables, ``M`` table
entries of all nodes, ``V`` tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dsl.program import Program, ProgramSet
from dsl.tabulate import GO_ON, NodeTable
from envs.spec import SLOTS, ProgramTable
from envs.stepper import Decision


@dataclass(frozen=True)
class TeacherTables:
    """All decision tables of a program set in one, on one device.

    Attributes:
        first_C: the node at which each callable begins (0 for a primitive, which never decides).
        base_N: where each node's entries begin.
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

    def to(self, device: torch.device | str) -> TeacherTables:
        return TeacherTables(**{name: tensor.to(device) for name, tensor in vars(self).items()})


class Teacher:
    """The bodies of a program set as a :class:`~envs.stepper.Stepper`.

    A frame's hidden number is the local number of its table node, so 0 is the entry.

    Attributes:
        table: the callables whose ids calls use.
    """

    width = 1
    dtype = torch.int64

    def __init__(self, table: ProgramTable, tables: TeacherTables, *, hops: int, reads_arguments: bool) -> None:
        self.table = table
        self.tables = tables
        self.hops = hops
        self._reads_arguments = reads_arguments

    def to(self, device: torch.device | str) -> Teacher:
        """The same teacher with its tables on another device."""
        return Teacher(self.table, self.tables.to(device), hops=self.hops, reads_arguments=self._reads_arguments)

    def step(
        self,
        obs_BF: torch.Tensor,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
    ) -> Decision:
        """The next call of every frame, as its body says. All tensors int64 on the teacher's device.

        Observations, programs and hidden numbers must be ones that can occur; the machine sees to that.
        """
        first_B = self.tables.first_C[program_B]
        position_B3 = self._positions(program_B, arguments_B3) if self._reads_arguments else None
        entry_B5 = self._look_up(first_B + hidden_BH[:, 0], obs_BF, position_B3)
        for _ in range(self.hops - 1):
            onward_B5 = self._look_up(first_B + entry_B5[:, 4], obs_BF, position_B3)
            entry_B5 = torch.where(entry_B5[:, :1] == GO_ON, onward_B5, entry_B5)
        return Decision(entry_B5[:, :4], entry_B5[:, 4:])

    def _look_up(self, node_B: torch.Tensor, obs_BF: torch.Tensor, position_B3: torch.Tensor | None) -> torch.Tensor:
        tables = self.tables
        entry_B = tables.base_N[node_B] + (tables.stride_NF[node_B] * obs_BF).sum(1)
        if position_B3 is not None:
            entry_B = entry_B + (tables.stride_N3[node_B] * position_B3).sum(1)
        return tables.entry_M5[entry_B]

    def _positions(self, program_B: torch.Tensor, arguments_B3: torch.Tensor) -> torch.Tensor:
        slots = torch.arange(SLOTS, device=program_B.device)
        return self.tables.position_C3V[program_B[:, None], slots, arguments_B3]


def compile_teacher(program_set: ProgramSet) -> Teacher:
    """The teacher of a program set.

    Raises:
        ValueError: where a program has a learning signal in place of a body.
    """
    for program in program_set.programs:
        if program.signal is not None:
            raise ValueError(
                f"{program.name} has no body but a signal ({program.signal.aim} {program.signal.what}), so there is "
                "no teacher to show how it runs; train it by its signal, or write a body"
            )
    table = program_set.table
    nodes = [node for program in program_set.programs for node in body_nodes(program)]
    tables = TeacherTables(
        first_C=torch.from_numpy(first_nodes(program_set)),
        base_N=torch.from_numpy(np.cumsum([0, *(len(node.next_M) for node in nodes)])[:-1].astype(np.int64)),
        stride_NF=torch.from_numpy(strides(nodes, "field", len(table.world.fields))),
        stride_N3=torch.from_numpy(strides(nodes, "slot", SLOTS)),
        position_C3V=torch.from_numpy(positions(table)),
        entry_M5=torch.from_numpy(entries(nodes)),
    )
    hops = max((program.table.hops for program in program_set.programs if program.table), default=1)
    reads_arguments = any(read.kind == "slot" for node in nodes for read in node.reads)
    return Teacher(table, tables, hops=hops, reads_arguments=reads_arguments)


def body_nodes(program: Program) -> tuple[NodeTable, ...]:
    assert program.table is not None, f"{program.name} has no body"
    return program.table.nodes


def first_nodes(program_set: ProgramSet) -> np.ndarray:
    """first_C."""
    counts = [len(body_nodes(program)) for program in program_set.programs]
    starts = np.cumsum([0, *counts])[:-1]
    return np.array([*[0] * program_set.table.primitives, *starts], dtype=np.int64)


def strides(nodes: Sequence[NodeTable], kind: str, width: int) -> np.ndarray:
    """Each node's strides by field or by argument slot; 0 for what it does not read."""
    found = np.zeros((len(nodes), width), dtype=np.int64)
    for number, node in enumerate(nodes):
        for read, stride in zip(node.reads, node.strides, strict=True):
            if read.kind == kind:
                found[number, read.index] = stride
    return found


def positions(table: ProgramTable) -> np.ndarray:
    """position_C3V."""
    found = np.zeros((len(table), SLOTS, len(table.world.tokens)), dtype=np.int64)
    for number, signature in enumerate(table.signatures):
        for index, slot in enumerate(signature.slots):
            found[number, index, list(slot.tokens)] = np.arange(len(slot.tokens))
    return found


def entries(nodes: Sequence[NodeTable]) -> np.ndarray:
    """entry_M5."""
    return np.concatenate([np.concatenate([n.call_M4, n.next_M[:, None]], axis=1) for n in nodes])
