"""New programs with a signal as rows beside a learner's frozen core.

Shape legend: ``N`` rows, ``P`` numbers of each, ``L`` programs, ``S`` rows that are tried for one program, ``M`` of
which they are chosen.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from dsl.program import ProgramSet
from envs.settings import closest
from npi.learners.core import LearnerProgramCore
from npi.learners.interface import LearnerCore, LearnerTraining
from npi.learners.objectives.base import LearnerObjective, schedule_of
from npi.learners.tasks import Problems, TrainingTask, learner_for, training_tasks
from npi.library.library import Library, check_texts
from npi.library.manifest import LibraryError
from npi.program_memory import RowInfo
from npi.training.learn_rows import Digests, RowResult, RowScores
from npi.training.loop import Progress, Reporter, fit

MAX_TRIED = 64
"""Old rows that are tried as starts."""

CHOICE = -1
"""The turn of the problems by which rows are chosen; TOLD: of those by which the choice is told."""
TOLD = -2


def learn_rows(
    library: Library,
    sets: Sequence[ProgramSet],
    training: LearnerTraining | None = None,
    *,
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> RowResult:
    """Learn the programs of some files that a library does not have; they become rows of it, in memory.

    Of each program several rows are tried side by side: they begin at the mean of the old rows and at those that do
    best as they are. What does best on problems that none of them was learned from is kept, a beginning as it was
    among them.

    Raises ``ValueError`` for files of another learner, worlds that the core cannot act in, and where nothing is new.
    """
    core, tasks = core_for(library, sets), new_tasks(library, sets)
    began, count, listed = time.process_time(), len(library.memory), core.worlds
    before = Digests.of(library, count)
    try:
        worlds = [core.learns_in(task.world.spec) for task in tasks]
        search = RowSearch(core, tasks, worlds, training or core.learner.learning)
        row_LP, scores, progress = search.run(_starts(library, worlds), report, stop)
    except BaseException:
        core.worlds = listed
        raise
    append_rows(library, tasks, worlds, row_LP)
    library.history.append(history_entry("learned", tasks, search.training, progress))
    library.keep_files(sets)
    names = tuple(task.name for task in tasks)
    return RowResult(
        rows=names,
        numbers=library.memory.numbers,
        solved=not stop(),
        updates=progress.update,
        seconds=time.process_time() - began,
        before=before,
        after=Digests.of(library, count),
        scores=dict(zip(names, scores, strict=True)),
    )


def take_row(library: Library, sets: Sequence[ProgramSet], name: str) -> RowResult:
    """Let the programs of some files that a library does not have be one of its rows, as it is; in memory.

    Nothing is learned: the same numbers run under other names, in worlds that can be new to the core, such as one in
    which nothing could be learned since other programs say what things are worth.

    Raises ``ValueError`` for a row that there is not, and what :func:`learn_rows` raises for files.
    """
    core = core_for(library, sets)
    rows = {info.name: place for place, info in enumerate(library.memory.infos) if not info.primitive}
    if name not in rows:
        raise LibraryError(f"the library has no row {name!r}{closest(name, list(rows))}")
    tasks, began = new_tasks(library, sets), time.process_time()
    count, listed = len(library.memory), core.worlds
    before = Digests.of(library, count)
    try:
        worlds = [core.learns_in(task.world.spec) for task in tasks]
    except BaseException:
        core.worlds = listed
        raise
    row_P = library.memory.embeddings_NP.detach()[rows[name]]
    append_rows(library, tasks, worlds, row_P.repeat(len(tasks), 1))
    entry = history_entry("taken", tasks, core.learner.learning, Progress(update=0, solved=True))
    library.history.append(entry | {"row": name})
    library.keep_files(sets)
    return RowResult(
        rows=tuple(task.name for task in tasks),
        numbers=library.memory.numbers,
        solved=True,
        updates=0,
        seconds=time.process_time() - began,
        before=before,
        after=Digests.of(library, count),
    )


def new_tasks(library: Library, sets: Sequence[ProgramSet]) -> list[TrainingTask]:
    """Of the programs of some files that a library does not have; :class:`LibraryError` where it has all of them."""
    known = {info.name for info in library.memory.infos}
    tasks = [task for programs in sets for task in training_tasks(programs) if task.name not in known]
    if not tasks:
        raise LibraryError("the library has all of these programs already; rename one to learn it anew")
    return tasks


def core_for(library: Library, sets: Sequence[ProgramSet]) -> LearnerProgramCore:
    """A library's core, to learn programs of some files beside it; ``ValueError`` for files of another learner."""
    core = library.core
    if not isinstance(core, LearnerProgramCore):
        raise LibraryError(f"the library's core learns from texts and traces, and {sets[0].path} has a signal")
    for programs in sets:
        if learner_for(programs).kind != core.config.kind:
            raise LibraryError(
                f"{programs.path} is for {learner_for(programs).kind!r}, and the library has a core of "
                f"{core.config.kind!r}; choose another --library, or train one (npi train)"
            )
    check_texts([*library.sets, *sets])
    return core


@dataclass(frozen=True)
class RowSearch:
    """Rows of some programs, several of each side by side, beside a core that does not change."""

    core: LearnerProgramCore
    tasks: Sequence[TrainingTask]
    worlds: Sequence[int]
    training: LearnerTraining

    def run(
        self, start_MP: torch.Tensor, report: Reporter | None, stop: Callable[[], bool]
    ) -> tuple[torch.Tensor, list[RowScores], Progress]:
        """row_LP, the best of each program, and how it does; learned from some of the rows to start from.

        Args:
            start_MP: the mean of the old rows, then some of them.
        """
        order_LM = self.best_first(self.scores(start_MP[1:].repeat(len(self.tasks), 1), turn=CHOICE)) + 1
        starts = min(self.training.starts, len(start_MP))
        chosen_LS = torch.cat([torch.zeros_like(order_LM[:, :1]), order_LM[:, : starts - 1]], 1)
        start_LSP = start_MP[chosen_LS]
        objective = self.objective(copy.deepcopy(self.core.net).requires_grad_(False), start_LSP.flatten(0, 1))
        progress = fit(objective, schedule_of(self.training), report=report, stop=stop)
        both_LMP = torch.cat([start_LSP, objective.rows_NP.detach().view_as(start_LSP)], 1)
        best_LM = self.best_first(self.scores(both_LMP.flatten(0, 1), turn=CHOICE))
        row_LP = both_LMP[torch.arange(len(self.tasks)), best_LM[:, 0]]
        told_L3P = torch.stack([start_MP[0].expand_as(row_LP), start_MP[order_LM[:, 0]], row_LP], 1)
        told_L3 = self.scores(told_L3P.flatten(0, 1), turn=TOLD)
        return row_LP, [RowScores(*scores) for scores in told_L3.tolist()], progress

    def objective(self, net: LearnerCore, rows_NP: torch.Tensor) -> LearnerObjective:
        """Of rows that lie side by side, equally many of each task."""
        problems = Problems(tuple(self.tasks), tuple(self.worlds), copies=len(rows_NP) // len(self.tasks))
        return self.core.learner.objective(net, rows_NP, problems, self.training)

    def scores(self, rows_NP: torch.Tensor, *, turn: int) -> torch.Tensor:
        """float64: for each task the first score of each of its rows, which lie side by side."""
        problems = self.training.problems * (4 if turn == TOLD else 1)
        return self.objective(self.core.net, rows_NP).row_scores(2**31 + turn, problems).view(len(self.tasks), -1)

    def best_first(self, scores_LM: torch.Tensor) -> torch.Tensor:
        """int64: for each task its rows, the best one first."""
        sign_L1 = torch.tensor([[float(task.sign)] for task in self.tasks])
        return (-sign_L1 * scores_LM).argsort(stable=True, dim=1)


def _starts(library: Library, worlds: Sequence[int]) -> torch.Tensor:
    """M × P: the mean of the old rows, then some of them; those of the same worlds where there are any."""
    infos = library.memory.infos
    near = [place for place, info in enumerate(infos) if info.world in worlds] or list(range(len(infos)))
    if not near:
        raise LibraryError("the library has no row to begin from; train its core on some programs")
    old_MP = library.memory.embeddings_NP.detach()[near]
    looked_M = torch.linspace(0, len(near) - 1, min(MAX_TRIED, len(near))).long()
    return torch.cat([old_MP.mean(0, keepdim=True), old_MP[looked_M]])


def append_rows(library: Library, tasks: Sequence[TrainingTask], worlds: Sequence[int], row_LP: torch.Tensor) -> None:
    """The rows of a new generation."""
    generation = library.memory.generations
    infos = [row_info(task, world, generation) for task, world in zip(tasks, worlds, strict=True)]
    numbers = {name: part.new_zeros(len(infos), part.shape[1]) for name, part in library.memory.named_parameters()}
    library.memory = library.memory.extended(infos, {**numbers, "embeddings_NP": row_LP})


def row_info(task: TrainingTask, world: int, generation: int) -> RowInfo:
    """What a library knows about the row of a program with a signal."""
    signature, source = task.program.signature, task.programs.digest
    return RowInfo(task.name, world, generation, signature, primitive=False, source=source)


def history_entry(
    what: str, tasks: Sequence[TrainingTask], training: LearnerTraining, progress: Progress
) -> dict[str, Any]:
    """What a library's history says of a run."""
    return {
        what: [task.name for task in tasks],
        "from": sorted({Path(task.programs.path).name for task in tasks}),
        "settings": training.to_json(),
        "updates": progress.update,
        "scores": dict(progress.scores),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
