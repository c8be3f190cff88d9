"""The nouns of a checked program file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dsl.errors.error import Remark, suggest
from dsl.lowering.decision_tables import DecisionTable
from dsl.lowering.ir import Body, Graph
from dsl.names.scope import Scope
from dsl.text import syntax as s
from envs.spec import ProgramTable, Signature
from envs.stepper import Stepper
from envs.world import World

if TYPE_CHECKING:
    from dsl.tasks.task import Task


@dataclass(frozen=True)
class Program:
    """A checked program.

    Attributes:
        id: in the program table.
        name: qualified by its file, e.g. ``"addition.ADD"``.
        tree: its text as a tree; ``tree.body`` is a ``Signal`` where it has no teacher.
        scope: what the names in it mean.
        table: its body as decision tables; None where it has a signal.
        body, graph: its body on the way there.
        calls: ids that its text calls, in the order of the text.
    """

    id: int
    name: str
    signature: Signature
    tree: s.Program
    scope: Scope = field(repr=False)
    table: DecisionTable | None = field(repr=False)
    calls: tuple[int, ...]
    body: Body | None = field(default=None, repr=False)
    graph: Graph | None = field(default=None, repr=False)

    @property
    def doc(self) -> str:
        return self.tree.doc

    @property
    def signal(self) -> s.Signal | None:
        return self.tree.body if isinstance(self.tree.body, s.Signal) else None


@dataclass(frozen=True)
class ProgramSet:
    """A checked program file with the files that it uses.

    Attributes:
        path: as it was given.
        sources: (name relative to the file's folder, text), used files first, the file itself last.
        world_name, world: all programs of a set share one world.
        table: what can be called.
        programs: in the order of the table.
        tasks: of the file itself; tasks of used files are not taken over.
        warnings: what is suspicious but not wrong.
        hosts: decides for the programs that have a signal in place of a body; None where nothing was given for them.
    """

    path: str
    sources: tuple[tuple[str, str], ...]
    world_name: str
    world: World[Any]
    table: ProgramTable
    programs: tuple[Program, ...]
    tasks: tuple[Task, ...]
    warnings: tuple[Remark, ...]
    hosts: Stepper | None = field(default=None, repr=False, compare=False)

    @cached_property
    def digest(self) -> str:
        """sha256 of the sources, names included."""
        return sources_digest(self.sources)

    @cached_property
    def signals(self) -> tuple[Program, ...]:
        """The programs that have a signal in place of a body."""
        return tuple(program for program in self.programs if program.signal is not None)

    def hosting(self, hosts: Stepper) -> ProgramSet:
        """The same file, with something that decides for its programs with a signal."""
        return replace(self, hosts=hosts)

    def task(self, name: str) -> Task:
        """The task of that name; raises ``ValueError`` that names the closest one."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise ValueError(f"{self.path} has no task {name}: {suggest(name, [task.name for task in self.tasks])}")

    def program(self, name: str | int) -> Program:
        """The program of that id, qualified name, or bare name where only one has it; raises ``KeyError``."""
        number = self.table.id(name) if isinstance(name, str) else name
        for program in self.programs:
            if program.id == number:
                return program
        raise KeyError(f"{name} is not a program but a primitive")


def sources_digest(sources: Iterable[tuple[str, str]]) -> str:
    """sha256 of (name, text) pairs."""
    found = hashlib.sha256()
    for name, text in sources:
        for part in (name, text):
            data = part.encode()
            found.update(len(data).to_bytes(8, "little") + data)
    return found.hexdigest()
