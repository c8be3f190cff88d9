"""The kinds of core: what the engine does with each of them, found by name.

Packages offer kinds as entry points of the group ``npi.cores``, so that the engine imports none of them from below. A
name that no entry has is a learner's (group ``npi.learners``), and the entry ``learner`` serves it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

import torch

from dsl.program import ProgramSet
from envs.spec import ProgramTable, WorldSpec
from envs.steppers.decision_tables import TableStepper
from npi.core.base import Core
from npi.program_memory import ProgramMemory, RowInfo
from traces.recording.unique_frames import FrameSet
from traces.stepper import Stepper

if TYPE_CHECKING:
    from npi.library.library import Library
    from npi.library.row_file import Pack

GROUP = "npi.cores"
"""The group of entry points that kinds of core are found by."""

LEARNER = "learner"
"""The entry for the cores of learners, which have the names of these."""


@dataclass(frozen=True)
class ProgramProof:
    """How the decisions of a program's row compare with its text.

    Attributes:
        program: qualified name.
        configurations: how many there are. wrong: in how many the core decides otherwise than the text.
        margin: by how much the call of the text leads at least (logits).
        fields: names of the observation fields that matter.
        changes: names of those that the program, or what it calls, can change.
        walked: the configurations, int16 or int32: three argument tokens, the teacher's node, the state code,
            ``fields``.
        examples: the paths to wrong configurations as frames to learn from; ``None`` where there are none.
        trouble: why it could not be walked; empty where it was.
        where: the first configuration in which the core is wrong, in words, as far as the proof tells.
        close: whether it is wrong only in that decisions lead by too little for every device to decide alike.
    """

    program: str
    configurations: int
    wrong: int
    margin: float
    fields: tuple[str, ...]
    changes: tuple[str, ...] = ()
    walked: torch.Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.int16))
    examples: FrameSet | None = None
    trouble: str = ""
    where: str = ""
    close: bool = False

    @classmethod
    def unproved(cls, program: str, trouble: str) -> ProgramProof:
        """Of a program that nothing can be proved of, with the reason."""
        return cls(program, 0, 0, 0.0, (), trouble=trouble)

    @property
    def proved(self) -> bool:
        return self.wrong == 0 and not self.trouble


class CoreKind(Protocol):
    """What the engine does with the cores of a kind. Where it cannot, a method raises ``LibraryError`` and says why.

    Attributes:
        audited: whether proofs rest on what worlds declare, so that these are tried on traces first.
    """

    audited: bool

    def build(self, config: Mapping[str, Any], worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> Core:
        """A core with random parameters, from the JSON of its configuration."""
        ...

    def stepper(self, library: Library, table: ProgramTable, programs: Sequence[int], *, memo: bool) -> Stepper:
        """What decides for these programs of a table, by id; with ``memo`` decisions may be kept and looked up."""
        ...

    def fingerprint(
        self, core: Core, memory: ProgramMemory, rows: Sequence[int], *, seed: int
    ) -> Mapping[str, torch.Tensor]:
        """Everything that these rows put out in random configurations, by name; other rows take part in nothing."""
        ...

    def compile(self, library: Library, programs: ProgramSet) -> TableStepper:
        """Every decision of a file's programs as tables."""
        ...

    def prove(self, library: Library, programs: ProgramSet, names: Collection[str] | None) -> list[ProgramProof]:
        """Compare the programs of a file (those of these names) with their texts, whatever they observe."""
        ...

    def check_certifiable(self, core: Core) -> None:
        """Raise ``LibraryError`` where no certificate is written of what was proved of such a core."""
        ...

    def check_rows(self, core: Core, rows: Pack, needed: Sequence[tuple[RowInfo, WorldSpec]], *, place: str) -> None:
        """Raise ``LibraryError`` unless rows from elsewhere fit the core.

        Args:
            needed: the rows that they need, with their worlds. place: where they come from, for the message.
        """
        ...

    def learning(self, *, seed: int, starts: int | None, updates: int | None, certify: bool) -> Any:
        """How rows are learned; what is not given is as usual."""
        ...

    def learn(
        self,
        library: Library,
        materials: Sequence[Any],
        config: Any,
        *,
        report: Callable[[int, float, dict[str, int]], None] | None,
        stop: Callable[[], bool],
        keep_unsolved: bool,
        from_traces: bool,
    ) -> Any:
        """Learn rows from program files and traces; see :func:`npi.jobs.train.learn_into`."""
        ...

    def row_text(self, core: Core) -> str:
        """How many parameters a row has, for people."""
        ...


_REGISTERED: dict[str, CoreKind] = {}


def register_core(name: str, kind: CoreKind) -> None:
    """Add a kind of core that no package offers; ``ValueError`` where the name is taken by another."""
    if _REGISTERED.setdefault(name, kind) is not kind or name in _offered():
        raise ValueError(f"a kind of core {name!r} is registered already; choose another name")


def kind_named(name: str) -> CoreKind:
    """The kind of core of a name, such as ``"discrete"``; a learner's where no other has it."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    offered = _offered()
    if not offered:
        raise ValueError(
            f"the installed package offers no entry points of the group {GROUP!r}, by which cores are found; install "
            "it again (pip install .)"
        )
    found: CoreKind = offered[name if name in offered else LEARNER].load()
    return found


def kind_of(core: Core) -> CoreKind:
    """The kind of a core."""
    return kind_named(core.config.kind)


def is_learners(name: str) -> bool:
    """Whether cores of this name are a learner's: for programs with a signal, not for texts and traces."""
    return name not in _REGISTERED and name not in _offered()


@cache
def _offered() -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=GROUP)}
