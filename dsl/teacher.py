"""The decision tables of each program of a set → one stepper (shapes as in :mod:`envs.steppers.decision_tables`)."""

from __future__ import annotations

import numpy as np
import torch

from dsl.lowering.decision_tables import NodeTable
from dsl.program import Program, ProgramSet
from envs.stepper import Stepper
from envs.steppers.decision_tables import Node, TableStepper, assemble
from envs.steppers.routed import Joined


class Teacher(TableStepper):
    """The bodies of a program set as a stepper. A node is the place after a call, or a program's beginning."""

    def to(self, device: torch.device | str) -> Teacher:
        """The same teacher with its tables on another device."""
        return Teacher(self.table, self.tables.to(device), hops=self.hops)


def compile_teacher(program_set: ProgramSet) -> Teacher:
    """The teacher of a program set.

    Raises:
        ValueError: where a program has a learning signal in place of a body.
    """
    for program in program_set.signals:
        assert program.signal is not None
        raise ValueError(
            f"{program.name} has no body but a signal ({program.signal.aim} {program.signal.what}), so there is "
            "no teacher to show how it runs; train it by its signal, or write a body"
        )
    return teacher_of_bodies(program_set)


def shown_by(program_set: ProgramSet) -> Stepper:
    """What shows how all programs of a set run: its teacher, for programs with a signal beside what hosts them.

    Raises ``ValueError`` where nothing does (:attr:`dsl.program.ProgramSet.hosts`).
    """
    if not program_set.signals or program_set.hosts is None:
        return compile_teacher(program_set)
    ids = [program.id for program in program_set.signals]
    if len(ids) == len(program_set.programs):
        return program_set.hosts
    return Joined(teacher_of_bodies(program_set), program_set.hosts, ids, program_set.table)


def teacher_of_bodies(program_set: ProgramSet) -> Teacher:
    """The teacher of all programs that have a body; nothing is known of the others."""
    table = program_set.table
    fields = len(table.world.fields)
    programs = {
        program.id: [
            Node(
                [read.column(fields) for read in node.reads],
                node.strides,
                torch.from_numpy(np.concatenate([node.call_M4, node.next_M[:, None]], axis=1)),
            )
            for node in (program.table.nodes if program.table is not None else ())
        ]
        for program in program_set.programs
    }
    hops = max((program.table.hops for program in program_set.programs if program.table), default=1)
    return Teacher(table, assemble(table, programs), hops=hops)


def body_nodes(program: Program) -> tuple[NodeTable, ...]:
    assert program.table is not None, f"{program.name} has no body"
    return program.table.nodes
