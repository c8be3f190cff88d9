"""New programs with a signal as rows beside a learner's frozen core.

Shape legend: ``N`` rows, ``P`` numbers of each, ``S`` rows that are tried for one program, ``B`` problems.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dsl.program import ProgramSet
from npi.learners.core import LearnerProgramCore
from npi.learners.interface import LearnerCore, LearnerTraining
from npi.learners.jobs import Reporter, history_entry, row_info
from npi.learners.objectives.base import LearnerObjective, schedule_of
from npi.learners.tasks import Problems, TrainingTask, learner_for, training_tasks
from npi.library.kinds import fingerprint
from npi.library.library import Library, check_texts
from npi.library.manifest import LibraryError
from npi.library.program_files import parsed
from npi.training.loop import fit

MAX_TRIED = 64
"""Old rows that are tried as starts."""

CHOICE = -1
"""The turn of the problems by which rows are chosen; TOLD: of those by which the choice is told."""
TOLD = -2


@dataclass(frozen=True)
class LearnedRows:
    """What learning rows came to.

    Attributes:
        rows: names of the new rows. numbers: that each has. updates: taken.
        mean, nearest, learned: for each new program, by name, the first score of the mean of the old rows, of the best
            old row, and of its own row; all on fresh problems.
        core_before, core_after, rows_before, rows_after, outputs_before, outputs_after: sha256 of the core, of the old
            rows, and of what the old programs do in random situations.
    """

    rows: tuple[str, ...]
    numbers: int
    updates: int
    mean: dict[str, float]
    nearest: dict[str, float]
    learned: dict[str, float]
    core_before: str
    core_after: str
    rows_before: str
    rows_after: str
    outputs_before: str
    outputs_after: str

    @property
    def solved(self) -> bool:
        """Whether the rows were kept, as other kinds of core say it: the best ones are, whatever they score."""
        return bool(self.rows)

    @property
    def unchanged(self) -> bool:
        """Whether core, old rows and what old programs do are as they were, to the bit."""
        pairs = (self.core_before, self.core_after), (self.rows_before, self.rows_after)
        return all(a == b for a, b in (*pairs, (self.outputs_before, self.outputs_after)))


def learn_rows(
    library: Library,
    sets: Sequence[ProgramSet],
    training: LearnerTraining | None = None,
    *,
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> LearnedRows:
    """Learn the programs of some files that a library does not have; they become rows of it, in memory.

    Of each program several rows are tried side by side: they begin at the mean of the old rows and at those that do
    best as they are. What does best on problems that none of them was learned from is kept, a beginning as it was
    among them.

    Raises ``ValueError`` for files of another learner, worlds that the core cannot act in, and where nothing is new.
    """
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
    training = training or core.learner.learning
    known = {info.name for info in library.memory.infos}
    tasks = [task for programs in sets for task in training_tasks(programs) if task.name not in known]
    if not tasks:
        raise LibraryError("the library has all of these programs already; rename one to learn it anew")
    before = core.digest(), library.rows_digest(), fingerprint(core, library.memory, len(library.memory))
    count, listed = len(library.memory), core.worlds
    try:
        found = _learn(library, core, tasks, training, report, stop)
    except BaseException:
        core.worlds = listed
        raise
    after = core.digest(), library.rows_digest(count), fingerprint(core, library.memory, count)
    new = [programs for programs in sets if library.file(programs.digest) is None]
    library.sets.extend(new)
    (core_a, rows_a, outputs_a), (core_b, rows_b, outputs_b) = before, after
    return LearnedRows(
        tuple(task.name for task in tasks), library.memory.numbers, *found,
        core_a, core_b, rows_a, rows_b, outputs_a, outputs_b,
    )  # fmt: skip


def _learn(
    library: Library,
    core: LearnerProgramCore,
    tasks: Sequence[TrainingTask],
    training: LearnerTraining,
    report: Reporter | None,
    stop: Callable[[], bool],
) -> tuple[int, dict[str, float], dict[str, float], dict[str, float]]:
    worlds = [core.learns_in(task.world.spec) for task in tasks]
    asked = tasks, worlds, training
    start_MP = _starts(library, worlds)
    order_LM = _best_first(tasks, _scores(core, start_MP[1:].repeat(len(tasks), 1), *asked, turn=CHOICE)) + 1
    starts = min(training.starts, len(start_MP))
    chosen_LS = torch.cat([torch.zeros_like(order_LM[:, :1]), order_LM[:, : starts - 1]], 1)
    start_LSP = start_MP[chosen_LS]
    objective = _objective(core, copy.deepcopy(core.net).requires_grad_(False), start_LSP.flatten(0, 1), *asked)
    progress = fit(objective, schedule_of(training), report=report, stop=stop)
    both_LMP = torch.cat([start_LSP, objective.rows_NP.detach().view_as(start_LSP)], 1)
    best_LM = _best_first(tasks, _scores(core, both_LMP.flatten(0, 1), *asked, turn=CHOICE))
    row_LP = both_LMP[torch.arange(len(tasks)), best_LM[:, 0]]
    told_L3P = torch.stack([start_MP[0].expand_as(row_LP), start_MP[order_LM[:, 0]], row_LP], 1)
    told_L3 = _scores(core, told_L3P.flatten(0, 1), *asked, turn=TOLD)
    _append(library, tasks, worlds, row_LP)
    library.history.append(history_entry("learned", tasks, training, progress))
    names = [task.name for task in tasks]
    mean, nearest, learned = (dict(zip(names, part, strict=True)) for part in told_L3.T.tolist())
    return progress.update, mean, nearest, learned


def _starts(library: Library, worlds: Sequence[int]) -> torch.Tensor:
    """M × P: the mean of the old rows, then some of them; those of the same worlds where there are any."""
    infos = library.memory.infos
    near = [place for place, info in enumerate(infos) if info.world in worlds] or list(range(len(infos)))
    if not near:
        raise LibraryError("the library has no row to begin from; train its core on some programs")
    old_MP = library.memory.embeddings_NP.detach()[near]
    looked_M = torch.linspace(0, len(near) - 1, min(MAX_TRIED, len(near))).long()
    return torch.cat([old_MP.mean(0, keepdim=True), old_MP[looked_M]])


def _append(library: Library, tasks: Sequence[TrainingTask], worlds: Sequence[int], row_LP: torch.Tensor) -> None:
    """The rows of a new generation."""
    generation = library.memory.generations
    infos = [row_info(task, world, generation) for task, world in zip(tasks, worlds, strict=True)]
    numbers = {name: part.new_zeros(len(infos), part.shape[1]) for name, part in library.memory.named_parameters()}
    library.memory = library.memory.extended(infos, {**numbers, "embeddings_NP": row_LP})


def _objective(
    core: LearnerProgramCore,
    net: LearnerCore,
    rows_NP: torch.Tensor,
    tasks: Sequence[TrainingTask],
    worlds: Sequence[int],
    training: LearnerTraining,
) -> LearnerObjective:
    """Of each task several rows, side by side."""
    problems = Problems(tuple(tasks), tuple(worlds), copies=len(rows_NP) // len(tasks))
    return core.learner.objective(net, rows_NP, problems, training)


def _scores(
    core: LearnerProgramCore,
    rows_NP: torch.Tensor,
    tasks: Sequence[TrainingTask],
    worlds: Sequence[int],
    training: LearnerTraining,
    *,
    turn: int,
) -> torch.Tensor:
    """float64: for each task the first score of each of its rows, which lie side by side."""
    objective = _objective(core, core.net, rows_NP, tasks, worlds, training)
    problems = training.problems * (4 if turn == TOLD else 1)
    return objective.row_scores(2**31 + turn, problems).view(len(tasks), -1)


def _best_first(tasks: Sequence[TrainingTask], scores_LM: torch.Tensor) -> torch.Tensor:
    """int64: for each task its rows, the best one first."""
    sign_L1 = torch.tensor([[1.0 if task.signal[0] == "minimise" else -1.0] for task in tasks])
    return (sign_L1 * scores_LM).argsort(stable=True, dim=1)


def learn_files(
    place: Path | str | Library,
    paths: Sequence[Path | str | ProgramSet],
    training: LearnerTraining | None = None,
    *,
    out: Path | str | None = None,
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Library, LearnedRows]:
    """:func:`learn_rows` on files; the library is written to ``out`` (its own folder by default) unless stopped.

    Args:
        place: the folder, or the library, which is written only where ``out`` is given.
    """
    library = place if isinstance(place, Library) else Library.open(place)
    found = learn_rows(library, [parsed(path) for path in paths], training, report=report, stop=stop)
    folder = place if out is None else out
    if not stop() and not isinstance(folder, Library):
        library.save(folder)
    return library, found
