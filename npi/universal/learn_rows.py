"""New programs beside a frozen universal core: a row each, learned from what the program does in every state.

All states of all new programs are learned as one batch. A row is taken where every decision is right: against the
program text in every configuration there can be (:mod:`npi.universal.proof`), and on the tasks of its file. Programs
that come from traces alone have states that were inferred (:mod:`npi.universal.induction.plan_from_traces`); their rows
are followed through all frames, some of which were held back from learning, and proved where a text is there after all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch

from dsl.errors.error import Placed
from dsl.program import Program, ProgramSet
from envs.spec import ProgramTable
from npi.core.config import TrainConfig
from npi.library.library import Library, LibraryError
from npi.program_memory import RowInfo
from npi.training.dataset import Dataset, merged
from npi.training.induction.steps import names_of
from npi.training.learn_rows import Digests, Inferred, RowResult, new_rows
from npi.training.loop import Progress, Reporter
from npi.training.validation import TaskValidator, Validation
from npi.universal.code_search import SearchConfig
from npi.universal.core import UniversalCore, universal
from npi.universal.induction.plan_from_traces import plan_of_frames
from npi.universal.induction.replay import Evidence, replay
from npi.universal.plan import OversizeError, Plan, looks_at, place_of, plan_of
from npi.universal.proof import Comparison, Mistake, prove
from npi.universal.row_search import Drafts, SizeError, search
from npi.universal.rows import Tabulated, learned_numbers, row_of, row_tables, wiring_of
from traces.generation.generate import load_sources

PROBLEMS = 256
"""Validation problems of each task."""


@dataclass(frozen=True)
class Project:
    """A program to be learned.

    Attributes:
        info: of its row. drafts: its states, in as many steps as they need. dataset: the file that it is written in.
        evidence: its frames, where its states were inferred; None where they were read off its text.
    """

    info: RowInfo
    drafts: Drafts
    dataset: Dataset
    evidence: Evidence | None = None

    @property
    def plan(self) -> Plan:
        return self.drafts.plan

    @property
    def wired(self) -> RowInfo:
        """Of its row, wiring included."""
        return replace(self.info, wiring=wiring_of(self.plan, self.drafts.table))

    def checked(self, library: Library) -> Checked:
        """Its row in a library, compared with what is known of it."""
        name, programs, evidence = self.info.name, self.dataset.programs, self.evidence

        def tables(table: ProgramTable) -> Tabulated:
            return row_tables(library, library.memory.index(name), table.id(name), table)

        proof = None if programs is None else prove(programs.program(name), tables(self.dataset.table))
        if evidence is None:
            return Checked(self, proof, None)
        frames = evidence.frames
        return Checked(self, proof, replay(tables(frames.table), frames, self.plan.signature))


@dataclass(frozen=True)
class Checked:
    """A program's row against its text, where it has one, and against its frames, where its states were inferred."""

    project: Project
    proof: Comparison | None
    replay: Comparison | None

    def inferred(self) -> Iterator[Inferred]:
        """What was inferred from frames, if anything was, and how it was checked."""
        plan, evidence = self.project.plan, self.project.evidence
        if evidence is not None and self.replay is not None:
            looks = tuple(looks_at(state, plan.signature, evidence.frames.table) for state in plan.states)
            proved = None if self.proof is None else self.proof.holds
            yield Inferred(
                self.project.info.name, looks, len(evidence.frames), evidence.held, self.replay.wrong, proved
            )

    def notes(self) -> Iterator[str]:
        """Where the row is wrong, and what would help; nothing where it is right."""
        name, plan, table = self.project.info.name, self.project.plan, self.project.dataset.table
        compared = ((self.replay, "frames"), (self.proof, "configurations"))
        wrong = [(one, what) for one, what in compared if one is not None and not one.holds]
        for one, what in wrong:
            yield f"{name} is wrong in {one.wrong:,} of {one.cases:,} {what}:"
            yield from map(in_words, one.mistakes)
        bare = name.rpartition(".")[2]
        if not wrong:
            return
        if self.replay is None:
            number = max(range(len(plan.states)), key=lambda number: len(plan.states[number].outcome_M))
            state, programs = plan.states[number], self.project.dataset.programs
            program = None if programs is None else programs.program(name)
            item = None if program is None else place_of(program, table, number)
            yield (
                f"{place(program, item)}one of its decisions looks at {len(state.inputs)} things in "
                f"{len(state.outcome_M):,} configurations: let a program that {bare} calls look at some of them, or "
                "raise --updates or --starts"
            )
        elif self.replay.holds:
            yield (
                f"{bare} is right in all {self.replay.cases:,} frames, and no frame shows what it does there: "
                f"{thin(plan, table)}; or learn it from its text, without --from-traces"
            )
        else:
            yield f"{thin(plan, table)}; or raise --updates or --starts"


def learn_universal(
    library: Library,
    datasets: Sequence[Dataset],
    config: SearchConfig | None = None,
    *,
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    keep_unsolved: bool = False,
    from_traces: bool = False,
) -> RowResult:
    """Learn rows for every program of the datasets that the library does not have.

    The library gains the rows where they are right (or ``keep_unsolved``); otherwise it stays as it was, but for the
    list of its worlds.

    Args:
        report: called at checks; the scores are how often each program is wrong.
        from_traces: infer the states from frames also where there is a text, which then only checks the rows.

    Raises:
        LibraryError: where there is nothing new, or a program does not fit the core.
    """
    config = config or SearchConfig()
    core, datasets = universal(library.core), merged(datasets)
    for dataset in datasets:
        core.learns_in(dataset.table.world)
    began, old = time.process_time(), library.memory
    before = Digests.of(library, len(old))
    projects = plans(library, datasets, from_traces=from_traces, seed=config.seed)
    _search(core, projects, config, report, stop)
    memory = old.extended([project.wired for project in projects], _numbers(projects, core))
    trial = Library(core, memory, [], hosts=library.hosts)
    checks = [project.checked(trial) for project in projects]
    validation = _validated(trial, datasets, checks, config.seed)
    wrong = _wrong(projects)
    solved = not sum(wrong.values()) and validation.passed
    if solved or keep_unsolved:
        library.memory = memory
        sources = [*(project.dataset for project in projects), *datasets]
        library.keep_files(d.programs for d in sources if d.programs is not None)
    return RowResult(
        rows=tuple(p.info.name for p in projects),
        numbers=max(learned_numbers(p.plan, core.config) for p in projects),
        solved=solved,
        updates=max(project.drafts.updates for project in projects),
        seconds=time.process_time() - began,
        before=before,
        after=Digests.of(library, len(old)),
        wrong=wrong,
        validation=validation,
        notes=() if solved else tuple(line for check in checks for line in check.notes()),
        inferred=tuple(inferred for check in checks for inferred in check.inferred()),
    )


def plans(library: Library, datasets: Sequence[Dataset], *, from_traces: bool = False, seed: int = 0) -> list[Project]:
    """What is to be learned; :class:`LibraryError` where there is nothing new, or a program does not fit the core."""
    core = universal(library.core)
    found = []
    for info, dataset in by_file(library.memory.infos, new_rows(library, datasets), datasets):
        inferred = from_traces or dataset.programs is None
        plan, evidence = _inferred(info, dataset, seed) if inferred else (_read_off(info, dataset), None)
        table = dataset.frames.table if inferred else dataset.table
        try:
            drafts = Drafts(plan, table, core.config)
        except SizeError as error:
            more = "give more traces, which may show that it looks at less; or " if inferred else ""
            fix = f"{more}split it into programs that call each other, or train a core whose rows have more room"
            program = None if inferred or dataset.programs is None else dataset.programs.program(info.name)
            item = None if program is None else place_of(program, table, error.state)
            raise LibraryError(f"{place(program, item)}{info.name} {error}; {fix}") from error
        project = Project(info, drafts, dataset, evidence)
        found.append(project)
    return found


def by_file(
    known: Sequence[RowInfo], fresh: Sequence[RowInfo], datasets: Sequence[Dataset]
) -> list[tuple[RowInfo, Dataset]]:
    """New rows, each with the dataset of its own file; a generation for each file, used files first.

    So a file is one package, however it came to be learned. ``max.npi`` uses ``bubblesort.npi``: whoever learns the one
    in an empty library learns the other with it; whoever learns both in turn has the same two packages, number for
    number, and the libraries of both people are merged without a clash.

    Args:
        known: rows that are there. fresh: those that datasets bring, in generations that are not taken.
    """
    owner = _owners(datasets)
    left, place = {info.name: info for info in fresh}, {info.name: info.generation for info in known}
    generation = max((info.generation for info in fresh), default=0)
    found: list[tuple[RowInfo, Dataset]] = []
    for dataset in owner:
        named = [signature.name for signature in dataset.table.programs]
        own = [left.pop(name) for name in named if name in left]
        sees = tuple(sorted({place[name] for name in named if name in place}))
        found += [(replace(i, source=dataset.source, generation=generation, sees=sees), dataset) for i in own]
        place |= dict.fromkeys([info.name for info in own], generation)
        generation += bool(own)
    assert not left, "every new row is named by a dataset"
    return found


def _owners(datasets: Sequence[Dataset]) -> list[Dataset]:
    """The datasets, and before each one those of the files that it uses."""
    found: dict[str, Dataset] = {}
    for number, dataset in enumerate(datasets):
        for programs in _used(dataset.programs) if dataset.programs is not None else []:
            part = replace(dataset, programs=programs, table=programs.table, source=programs.digest)
            found.setdefault(programs.digest, part)
        traced = f"traces {number}"  # they may say that they come from the same text, or from none
        found.setdefault(traced if dataset.programs is None else dataset.source, dataset)
    return list(found.values())


def _used(programs: ProgramSet) -> list[ProgramSet]:
    """The files that a file uses, each with what it uses in turn, in the order in which they depend on each other."""
    return [load_sources(programs.sources[:count]) for count in range(1, len(programs.sources))]


def _read_off(info: RowInfo, dataset: Dataset) -> Plan:
    assert dataset.programs is not None, "only programs with a text have something to read off"
    program = dataset.programs.program(info.name)
    try:
        return plan_of(program, dataset.table)
    except OversizeError as error:
        fix = "let a program that it calls look at some of them"
        raise LibraryError(f"{place(program, error.item)}{info.name} {error}; {fix}") from error
    except ValueError as error:
        raise LibraryError(f"{place(program, None)}{info.name} cannot be learned as a row: {error}") from error


def place(program: Program | None, item: Placed | None) -> str:
    """``file:line:column: `` of something in a program's text; of the program itself where it is not known."""
    if program is None:
        return ""
    at = item or program.tree
    return f"{program.scope.source.name}:{at.line}:{at.column}: "


def _inferred(info: RowInfo, dataset: Dataset, seed: int) -> tuple[Plan, Evidence]:
    table = dataset.frames.table
    program = table.id(info.name)
    own = dataset.frames.select(dataset.frames.program_M == program)
    evidence = Evidence.of(own, generator=torch.Generator().manual_seed(seed))
    try:
        return plan_of_frames(evidence.known, program), evidence
    except ValueError as error:
        raise LibraryError(f"{info.name} cannot be learned from its traces: {error}") from error


def _search(
    core: UniversalCore,
    projects: Sequence[Project],
    config: SearchConfig,
    report: Reporter | None,
    stop: Callable[[], bool],
) -> None:
    """The codes of all states: a file is one batch, so that they are the same whatever is beside it."""
    for _, group in groupby(projects, key=lambda project: project.info.generation):
        own = list(group)

        def each(updates: int, own: Sequence[Project] = own) -> None:
            if report is not None:
                report(Progress(min(updates, config.most), scores=_wrong(own)))

        search(core.net, core.proposer, [project.drafts for project in own], config, report=each, stop=stop)


def _numbers(projects: Sequence[Project], core: UniversalCore) -> dict[str, torch.Tensor]:
    """The new rows' numbers, by the name of each parameter of the memory."""
    rows = [row_of(p.wired.wiring or (), *p.drafts.numbers, core.config) for p in projects]
    none = torch.zeros(len(rows), 0)
    return {"embeddings_NP": torch.stack(rows), "keys_NK": none, "gates_NF": none}


def _wrong(projects: Sequence[Project]) -> dict[str, int]:
    """For each program that is not right, in how many configurations it is wrong."""
    return {project.info.name: count for project in projects if (count := project.drafts.wrong)}


def _validated(trial: Library, datasets: Sequence[Dataset], checks: Sequence[Checked], seed: int) -> Validation:
    """Run the tasks of the files; frames, and proofs that the rows decide as their texts, count as problems, too."""
    sets = {m.programs.digest: m.programs for m in datasets if m.programs is not None}
    settings = TrainConfig(seed=seed, problems=PROBLEMS)
    tasks = TaskValidator(trial, list(sets.values()), settings, budget=datasets[0].budget)(0)
    proofs = [check.proof.holds for check in checks if check.proof is not None]
    replays = [check.replay for check in checks if check.replay is not None]
    frames = sum(replay.cases for replay in replays)
    right = sum(proofs) + frames - sum(replay.wrong for replay in replays)
    return Validation(tasks.problems + len(proofs) + frames, tasks.solved + right, ())


def in_words(mistake: Mistake) -> str:
    """One wrong decision."""
    return f"  state {mistake.state} sees {mistake.seen}: {mistake.calls}, where {mistake.should} is right"


def thin(plan: Plan, table: ProgramTable) -> str:
    """What helps where states were inferred: of which state the most configurations were never seen."""
    possible = [
        math.prod(len(names_of(read, table.world, plan.signature)) for read in state.inputs) for state in plan.states
    ]
    seen = [len(np.unique(state.seen_MR, axis=0)) for state in plan.states]
    number = max(range(len(seen)), key=lambda n: possible[n] - seen[n])
    if possible[number] == seen[number]:
        return "give traces whose frames are longer or more varied"
    return (
        f"state {number} was seen in {seen[number]:,} of the {possible[number]:,} configurations of what it reads, "
        "so give more traces, or others (--traces, --seed)"
    )
