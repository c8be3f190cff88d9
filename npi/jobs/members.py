"""Which member of a collection programs are learned beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dsl.program import ProgramSet
from envs.spec import ProgramTable
from npi.learners.tasks import learned_from_signals, learner_for
from npi.library.collection import Collection
from npi.library.kinds import is_learners
from npi.library.library import Library, LibraryError
from npi.library.members import core_named, labels, settled
from npi.library.program_files import parsed
from traces.storage.trace_set import TraceSet


def member_to_learn(
    folder: Path | str, sources: Sequence[Path | str | ProgramSet], *, core: str | None = None
) -> Library:
    """The member of a collection whose core can learn the programs of some files and folders of traces.

    It acts in their worlds, and has the rows that they use as far as a member has them; files with signals go to a core
    of their learner.

    Args:
        core: the beginning of a label or a sha256, where several members fit.

    Raises :class:`LibraryError` where none fits, where several do and nothing says which, and where another member
    answers for a name that the sources bring.
    """
    opened = Collection.open(folder)
    members, tables = opened.members, [_table(source) for source in sources]
    given = None if core is None else members.index(core_named(folder, members, core))
    chosen = _fitting(folder, opened, tables) if given is None else given
    mine = members[chosen]
    programs = dict.fromkeys([*mine.programs, *(name for table, file in tables for name in _programs(table, file))])
    tasks = dict.fromkeys([*mine.tasks, *(name for _, file in tables for name in _tasks(file))])
    after = replace(mine, programs=tuple(programs), tasks=tuple(tasks))
    settled([after if one is mine else one for one in members])
    return opened.libraries[chosen]


def _table(source: Path | str | ProgramSet) -> tuple[ProgramTable, ProgramSet | None]:
    if not isinstance(source, ProgramSet) and Path(source).is_dir():
        return TraceSet.open(source, verify="size").table, None
    programs = parsed(source)
    return programs.table, programs


def _programs(table: ProgramTable, file: ProgramSet | None) -> list[str]:
    """The programs that become rows beside a core; what a learner runs for those of a file with bodies does not."""
    hosted: set[str] = set()
    if file is not None and not learned_from_signals(file):
        hosted = {program.name for program in file.signals}
    return [signature.name for signature in table.programs if signature.name not in hosted]


def _tasks(file: ProgramSet | None) -> list[str]:
    return [] if file is None else [f"{Path(file.path).stem}.{task.name}" for task in file.tasks]


def _fitting(folder: Path | str, opened: Collection, tables: Sequence[tuple[ProgramTable, ProgramSet | None]]) -> int:
    """The position of the member that fits."""
    members = opened.members
    reasons = [_trouble(library, tables) for library in opened.libraries]
    fitting = [number for number, reason in enumerate(reasons) if not reason]
    if not fitting:
        told = "; ".join(f"{one.label}: {reason}" for one, reason in zip(members, reasons, strict=True))
        raise LibraryError(f"no member of {folder} can learn these programs ({told})")
    brought = {name for table, file in tables for name in _programs(table, file)}
    used = brought & {name for one in members for name in one.answered(one.programs)}
    holding = [number for number in fitting if used <= {*members[number].programs}]
    candidates = holding or fitting
    if len(candidates) > 1:
        raise LibraryError(
            f"several members of {folder} can learn these programs: {labels(members[n] for n in candidates)}; say "
            "which (--core)"
        )
    return candidates[0]


def _trouble(library: Library, tables: Sequence[tuple[ProgramTable, ProgramSet | None]]) -> str:
    """Why a library cannot learn these programs; empty where it can."""
    kind = library.core.config.kind
    try:
        for table, file in tables:
            signals = file is not None and learned_from_signals(file)
            if signals != is_learners(kind):
                return "it learns from a signal" if is_learners(kind) else "it learns from texts and traces"
            if file is not None and signals and learner_for(file).kind != kind:
                return f"they are for {learner_for(file).kind}"
            library.core.check_world(table.world)
    except ValueError as error:
        return str(error)
    return ""
