"""New programs beside a frozen universal core: a row each, learned from what the program does in every state.

All states of all new programs are learned as one batch. A row is taken where every decision is right: against the
program text in every configuration there can be (:mod:`npi.universal.proof`), and on the tasks of its file. Programs
that come from traces alone have states that were inferred (:mod:`npi.universal.induction.plan_from_traces`); their rows
are followed through all frames, some of which were held back from learning, and proved where a text is there after all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch

from envs.spec import ProgramTable
from npi.core.config import TrainConfig
from npi.library.kinds import fingerprint
from npi.library.library import Library, LibraryError
from npi.library.program_files import held_in
from npi.program_memory import RowInfo
from npi.training.dataset import Dataset, merged
from npi.training.learn_rows import Inferred, Learned, new_rows
from npi.training.validation import TaskValidator, Validation
from npi.universal.code_search import Found, Search, SearchConfig
from npi.universal.core import UniversalCore, universal
from npi.universal.files import by_file
from npi.universal.functions import Functions, deciding, oversize
from npi.universal.induction.plan_from_traces import plan_of_frames
from npi.universal.induction.replay import Evidence, Replay, replay
from npi.universal.plan import Plan, looks_at, plan_of
from npi.universal.proof import Proof, prove
from npi.universal.report import notes, too_large
from npi.universal.rows import Tabulated, learned_numbers, row_of, tabulate, wired, wiring_of

PROBLEMS = 256
"""Validation problems of each task."""


@dataclass(frozen=True)
class Project:
    """A program to be learned.

    Attributes:
        info: of its row, wiring included. plan: its states. dataset: the file that it is written in.
        evidence: its frames, where its states were inferred; None where they were read off its text.
    """

    info: RowInfo
    plan: Plan
    dataset: Dataset
    evidence: Evidence | None = None

    @property
    def states(self) -> int:
        """How many of its states decide something."""
        return sum(map(deciding, self.plan.states))


def learn_universal(
    library: Library,
    datasets: Sequence[Dataset],
    config: SearchConfig | None = None,
    *,
    report: Callable[[int, float, dict[str, int]], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    keep_unsolved: bool = False,
    from_traces: bool = False,
) -> Learned:
    """Learn rows for every program of the datasets that the library does not have.

    The library gains the rows where they are right (or ``keep_unsolved``); otherwise it stays as it was, but for the
    list of its worlds.

    Args:
        from_traces: infer the states from frames also where there is a text, which then only checks the rows.

    Raises:
        LibraryError: where there is nothing new, or a program does not fit the core.
    """
    config = config or SearchConfig()
    core, datasets = universal(library.core), merged(datasets)
    for dataset in datasets:
        core.learns_in(dataset.table.world)
    began = time.process_time()
    old, count = library.memory, len(library.memory)
    before = core.digest(), library.rows_digest(), fingerprint(core, old, count)
    projects = plans(library, datasets, from_traces=from_traces, seed=config.seed)
    found = _searched(core, projects, config, report, stop)
    memory = old.extended([p.info for p in projects], _numbers(projects, found, core))
    trial = Library(core, memory, [], hosts=library.hosts)
    proofs, replays = proved(trial, projects), replayed(trial, projects)
    validation = _validated(trial, datasets, [*proofs.values()], [*replays.values()], config.seed)
    wrong = _wrong(projects, found)
    solved = not sum(wrong.values()) and validation.passed
    if solved or keep_unsolved:
        library.memory = memory
        held = {one.digest for one in held_in(library.sets)}
        sources = [*(project.dataset for project in projects), *datasets]
        given = {m.programs.digest: m.programs for m in sources if m.programs is not None}
        library.sets += [programs for digest, programs in given.items() if digest not in held]
    return Learned(
        rows=tuple(p.info.name for p in projects),
        numbers=max(learned_numbers(p.plan, core.config) for p in projects),
        solved=solved,
        wrong=wrong,
        validation=validation,
        updates=int(found.updates_N.max()) if len(found.wrong) else 0,
        seconds=time.process_time() - began,
        core_before=before[0],
        core_after=core.digest(),
        rows_before=before[1],
        rows_after=library.rows_digest(count),
        outputs_before=before[2],
        outputs_after=fingerprint(core, library.memory, count),
        notes=() if solved else tuple(_notes(projects, proofs, replays)),
        inferred=tuple(_told(projects, proofs, replays)),
    )


def _notes(projects: Sequence[Project], proofs: Mapping[str, Proof], replays: Mapping[str, Replay]) -> Iterator[str]:
    """Where programs that are not right are wrong, and what helps."""
    for project in projects:
        name = project.info.name
        table = project.dataset.table
        yield from notes(name, project.plan, table, proofs.get(name), replays.get(name))


def _told(
    projects: Sequence[Project], proofs: Mapping[str, Proof], replays: Mapping[str, Replay]
) -> Iterator[Inferred]:
    """What was inferred from frames, and how it was checked."""
    for project in projects:
        if project.evidence is not None:
            name, plan, proof = project.info.name, project.plan, proofs.get(project.info.name)
            looks = tuple(looks_at(state, plan.signature, project.evidence.frames.table) for state in plan.states)
            counts = len(project.evidence.frames), project.evidence.held, replays[name].wrong
            yield Inferred(name, looks, *counts, None if proof is None else proof.holds)


def plans(library: Library, datasets: Sequence[Dataset], *, from_traces: bool = False, seed: int = 0) -> list[Project]:
    """What is to be learned; :class:`LibraryError` where there is nothing new, or a program does not fit the core."""
    core = universal(library.core)
    found = []
    for info, dataset in by_file(library.memory.infos, new_rows(library, datasets), datasets):
        inferred = from_traces or dataset.programs is None
        project = _inferred(info, dataset, seed) if inferred else _read_off(info, dataset)
        reason = oversize(project.plan, core.config)
        if reason is not None:
            raise LibraryError(f"{info.name} {reason}; {too_large(inferred=inferred)}")
        found.append(project)
    return found


def _read_off(info: RowInfo, dataset: Dataset) -> Project:
    assert dataset.programs is not None, "only programs with a text have something to read off"
    try:
        plan = plan_of(dataset.programs.program(info.name), dataset.table)
    except ValueError as error:
        raise LibraryError(f"{info.name} cannot be learned as a row: {error}") from error
    return Project(replace(info, wiring=wiring_of(plan, dataset.table)), plan, dataset)


def _inferred(info: RowInfo, dataset: Dataset, seed: int) -> Project:
    table = dataset.frames.table
    program = table.id(info.name)
    own = dataset.frames.select(dataset.frames.program_M == program)
    evidence = Evidence.of(own, generator=torch.Generator().manual_seed(seed))
    try:
        plan = plan_of_frames(evidence.known, program)
    except ValueError as error:
        raise LibraryError(f"{info.name} cannot be learned from its traces: {error}") from error
    return Project(replace(info, wiring=wiring_of(plan, table)), plan, dataset, evidence)


def _searched(
    core: UniversalCore,
    projects: Sequence[Project],
    config: SearchConfig,
    report: Callable[[int, float, dict[str, int]], None] | None,
    stop: Callable[[], bool],
) -> Found:
    """The codes of all deciding states: a file is one batch, so that they are the same whatever is beside it."""
    files = [list(group) for _, group in groupby(projects, key=lambda project: project.info.generation)]
    found = [_searched_file(core, group, config, report, stop) for group in files]
    return Found(
        torch.cat([one.code_NC for one in found]),
        torch.cat([one.gain_NG for one in found]),
        [wrong for one in found for wrong in one.wrong],
        torch.cat([one.updates_N for one in found]),
    )


def _searched_file(
    core: UniversalCore,
    projects: Sequence[Project],
    config: SearchConfig,
    report: Callable[[int, float, dict[str, int]], None] | None,
    stop: Callable[[], bool],
) -> Found:
    states = [state for project in projects for state in project.plan.states if deciding(state)]
    search = Search(core.net, core.proposer, Functions(states, core.config.inputs), config)

    def each(update: int, _: int) -> None:
        if report is not None:
            report(update, math.nan, _wrong(projects, search.best))

    return search.run(report=each, stop=stop)


def _numbers(projects: Sequence[Project], found: Found, core: UniversalCore) -> dict[str, torch.Tensor]:
    """The new rows' numbers, by the name of each parameter of the memory."""
    rows, place = [], 0
    for project in projects:
        own = slice(place, place + project.states)
        rows.append(row_of(project.info.wiring or (), found.code_NC[own], found.gain_NG[own], core.config))
        place += project.states
    none = torch.zeros(len(rows), 0)
    return {"embeddings_NP": torch.stack(rows), "keys_NK": none, "gates_NF": none}


def _wrong(projects: Sequence[Project], found: Found) -> dict[str, int]:
    """For each program that is not right, in how many configurations it is wrong."""
    wrong, place = {}, 0
    for project in projects:
        count = sum(len(one) for one in found.wrong[place : place + project.states])
        place += project.states
        if count:
            wrong[project.info.name] = count
    return wrong


def _validated(
    trial: Library, datasets: Sequence[Dataset], proofs: Sequence[Proof], replays: Sequence[Replay], seed: int
) -> Validation:
    """Run the tasks of the files; frames, and proofs that the rows decide as their texts, count as problems, too."""
    sets = {m.programs.digest: m.programs for m in datasets if m.programs is not None}
    tasks = TaskValidator(trial, list(sets.values()), TrainConfig(seed=seed, problems=PROBLEMS))(0)
    frames = sum(one.frames for one in replays)
    right = sum(proof.holds for proof in proofs) + frames - sum(one.wrong for one in replays)
    return Validation(tasks.problems + len(proofs) + frames, tasks.solved + right, ())


def proved(library: Library, projects: Sequence[Project]) -> Mapping[str, Proof]:
    """For each program with a text, its row's proof."""
    found = {}
    for project in projects:
        programs, name = project.dataset.programs, project.info.name
        if programs is not None:
            found[name] = prove(programs.program(name), _row(library, project, project.dataset.table))
    return found


def replayed(library: Library, projects: Sequence[Project]) -> Mapping[str, Replay]:
    """For each program whose states were inferred, its row against all its frames."""
    found = {}
    for project in projects:
        if project.evidence is not None:
            frames = project.evidence.frames
            found[project.info.name] = replay(_row(library, project, frames.table), frames, project.plan.signature)
    return found


def _row(library: Library, project: Project, table: ProgramTable) -> Tabulated:
    wiring, name = project.info.wiring or (), project.info.name
    row_P = library.memory.embeddings_NP[library.memory.index(name)].detach()
    return tabulate(universal(library.core).net, wired(wiring, table.id(name), table), row_P, wiring, table)
