"""The kinds of core: what the engine does with each of them, found by name.

Packages offer kinds as entry points of the group ``npi.cores``, so that the engine imports none of them from below. A
name that no entry has is a learner's (group ``npi.learners``), and the entry ``learner`` serves it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from dsl.program import ProgramSet
from envs.stepper import Stepper
from envs.steppers.decision_tables import TableStepper
from envs.support.plugins import load, offered
from npi.core.base import Core, tensors_digest
from npi.library.manifest import LibraryError
from npi.program_memory import ProgramMemory
from traces.recording.unique_frames import FrameSet

if TYPE_CHECKING:
    from npi.library.library import Library

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


def refused(reason: str) -> Callable[..., Any]:
    """What a kind of core does where it cannot: raises :class:`LibraryError` that says why."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise LibraryError(reason)

    return refuse


@dataclass(frozen=True)
class CoreKind:
    """What the engine does with the cores of a kind; what it cannot do is :func:`refused`.

    Attributes:
        build: a core with random parameters, of (JSON of its configuration, worlds, *, generator).
        stepper: what decides for programs, of (library, table, their ids in it, *, memo: whether to look up decisions).
        fingerprint: all that rows put out in random configurations, by name, of (core, memory, rows, *, seed); other
            rows take part in nothing.
        compile: every decision of a program file as tables, of (library, programs).
        prove: comparisons of programs with their texts, whatever they observe, of (library, programs, names or None).
        uncertified: why no certificate is written of what was proved, of (core); empty where one is.
        settings: how rows are learned, of keywords; all have usual values.
        learn: learns rows; see :func:`npi.jobs.train.learn_into`.
        row_text: how many parameters a row has, in words, of (core).
        check_rows: raises ``LibraryError`` unless rows from elsewhere fit, of (core, package, the rows that it needs
            with their worlds, place for the message).
        audited: whether proofs rest on what worlds declare, so that these are tried on traces first.
    """

    build: Callable[..., Core]
    stepper: Callable[..., Stepper]
    fingerprint: Callable[..., Mapping[str, torch.Tensor]]
    compile: Callable[[Library, ProgramSet], TableStepper]
    prove: Callable[[Library, ProgramSet, Collection[str] | None], list[ProgramProof]]
    uncertified: Callable[[Core], str]
    settings: Callable[..., Any]
    learn: Callable[..., Any]
    row_text: Callable[[Core], str]
    check_rows: Callable[..., None] = lambda *_: None
    audited: bool = False


_REGISTERED: dict[str, CoreKind] = {}


def register_core(name: str, kind: CoreKind) -> None:
    """Add a kind of core that no package offers; ``ValueError`` where the name is taken by another."""
    if _REGISTERED.setdefault(name, kind) is not kind or name in offered(GROUP):
        raise ValueError(f"a kind of core {name!r} is registered already; choose another name")


def kind_named(name: str) -> CoreKind:
    """The kind of core of a name, such as ``"discrete"``; a learner's where no other has it."""
    packages = offered(GROUP)
    if name in _REGISTERED:
        return _REGISTERED[name]
    if not packages:
        raise ValueError(
            f"the installed package offers no entry points of the group {GROUP!r}, by which cores are found; install "
            "it again (pip install .)"
        )
    found: CoreKind = load(packages[name if name in packages else LEARNER])
    return found


def kind_of(core: Core) -> CoreKind:
    """The kind of a core."""
    return kind_named(core.config.kind)


def fingerprint(core: Core, memory: ProgramMemory, rows: int | Sequence[int], *, seed: int = 0) -> str:
    """sha256 of everything that rows put out in random configurations, to show that new rows changed nothing.

    Args:
        rows: their positions, or how many of the oldest.
    """
    chosen = range(rows) if isinstance(rows, int) else rows
    return tensors_digest(kind_of(core).fingerprint(core, memory, list(chosen), seed=seed))


def is_learners(name: str) -> bool:
    """Whether cores of this name are a learner's: for programs with a signal, not for texts and traces."""
    return name not in offered(GROUP) and name not in _REGISTERED
