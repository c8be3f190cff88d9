"""A new program as a row that comes from demonstrations: inferred, then moved by gradient beside a frozen core.

Shape legend: ``N`` rows that are tried, ``P`` parameters of each, ``B`` demonstrations, ``T`` steps.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import final

import torch
from torch import nn

from dsl.program import ProgramSet
from envs.spec import SLOTS, WorldSpec
from envs.world import Bounded, Episodes
from npi.learners.core import LearnerProgramCore
from npi.learners.demonstration_files import read_demonstrations
from npi.learners.interface import LearnerCore, LearnerTraining, TaskInput, steps_of
from npi.learners.learn_rows import RowSearch, append_rows, core_for
from npi.learners.objectives.base import masked_mean, schedule_of
from npi.learners.tasks import TrainingTask
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.training.learn_rows import Digests, RowResult, RowScores
from npi.training.loop import Evaluation, Group, Loss, Objective, Progress, Reporter, fit
from npi.training.ranks import Ranks

TOLD = -2
"""The turn of the problems by which the scores of rows are told (:meth:`RowSearch.scores`)."""


def learn_from_demonstrations(
    library: Library,
    sets: Sequence[ProgramSet],
    file: Path | str,
    training: LearnerTraining | None = None,
    *,
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> RowResult:
    """Learn the one new program of some files from the demonstrations of a file; it becomes a row, in memory.

    No problem of the program is drawn, but for the scores that are told where the file has a task to train it. Where it
    takes arguments, its row is the inferred one, of the states alone.

    Raises ``ValueError`` for a file that the world cannot have made, and unless exactly one program is new.
    """
    core = core_for(library, sets)
    task = new_task(library, sets)
    spec, training = task.world.spec, training or core.learner.learning
    evidence = read_demonstrations(file, spec, task.world.longest if isinstance(task.world, Bounded) else {})
    began, count, listed = time.process_time(), len(library.memory), core.worlds
    before = Digests.of(library, count)
    try:
        world = core.learns_in(spec)
        mean_P = library.memory.embeddings_NP.detach().mean(0)
        if task.program.signature.slots:  # a file does not tell which arguments the demonstrated actions were for
            evidence = replace(evidence, actions=None)
        found = row_from_demonstrations(core, spec, world, evidence, mean_P, training, report=report, stop=stop)
    except BaseException:
        core.worlds = listed
        raise
    append_rows(library, [task], [world], found.row_P[None])
    entry = {
        "learned": [task.name],
        "from": [Path(task.programs.path).name],
        "demonstration": Path(file).name,
        "settings": training.to_json(),
        "updates": found.updates,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    library.history.append(entry)
    library.keep_files(sets)
    seconds = time.process_time() - began
    scores: dict[str, RowScores] = {}
    if task.tasks:
        search = RowSearch(core, [task], [world], training)
        rows_3P = torch.stack([mean_P, found.start_P, found.row_P])
        scores = {task.name: RowScores(*search.scores(rows_3P, turn=TOLD)[0].tolist())}
    return RowResult(
        rows=(task.name,), numbers=library.memory.numbers, solved=not stop(), updates=found.updates, seconds=seconds,
        before=before, after=Digests.of(library, count), scores=scores,
    )  # fmt: skip


def new_task(library: Library, sets: Sequence[ProgramSet]) -> TrainingTask:
    """The one program with a signal that the library does not have, with the tasks that train it, if there are any."""
    known = {info.name for info in library.memory.infos}
    new = [(programs, program) for programs in sets for program in programs.signals if program.name not in known]
    if len(new) != 1:
        names = ", ".join(program.name for _, program in new) or "none"
        raise LibraryError(f"demonstrations show one program, and the new ones here are: {names}; name a file with one")
    ((programs, program),) = new
    tasks = tuple(task for task in programs.tasks if task.program == program.id and task.train_sizes)
    return TrainingTask(programs, program, tasks, steps_of(program))


@dataclass(frozen=True)
class Found:
    """A row from demonstrations: row_P, where it began, start_P, and steps of the optimiser."""

    row_P: torch.Tensor
    start_P: torch.Tensor
    updates: int


def row_from_demonstrations(
    core: LearnerProgramCore,
    spec: WorldSpec,
    world: int,
    evidence: Episodes,
    mean_P: torch.Tensor,
    training: LearnerTraining,
    *,
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Found:
    """A row by which the core does what was demonstrated.

    It begins at what the core infers from the demonstrations (the mean, of several), or at the mean of the old rows
    where the learner infers none, and is moved so that the demonstrator's actions become likelier. Without actions it
    is the inferred row as it is.

    Raises ``ValueError`` where no actions are known, and the learner infers no rows.
    """
    with torch.no_grad():
        inferred_BP = core.learner.infer_row(core.net, evidence)
    if evidence.actions is None:
        if inferred_BP is None:
            raise ValueError(f"{core.config.kind!r} infers no rows, so demonstrations must have actions; add them")
        row_P = inferred_BP.mean(0)
        return Found(row_P, row_P, 0)
    start_NP = (mean_P if inferred_BP is None else inferred_BP.mean(0))[None]
    net = copy.deepcopy(core.net).requires_grad_(False)
    fitted = FittedRows(net, spec, world, evidence, start_NP, training)
    progress: Progress = fit(fitted, schedule_of(training), report=report, stop=stop)
    return Found(fitted.rows_NP.detach()[0], start_NP[0], progress.update)


@final
class FittedRows(Objective):
    """Makes the actions of demonstrations likelier, by rows side by side."""

    def __init__(
        self,
        net: LearnerCore,
        spec: WorldSpec,
        world: int,
        evidence: Episodes,
        start_NP: torch.Tensor,
        training: LearnerTraining,
    ) -> None:
        self.net, self.spec, self.world, self.evidence, self.training = net, spec, world, evidence, training
        self.rows_NP = nn.Parameter(start_NP.clone())

    def groups(self) -> Mapping[str, Group]:
        return {"rows": Group([self.rows_NP], self.training.row_rate)}

    def losses(self, update: int, ranks: Ranks) -> Iterator[list[Loss]]:
        yield [Loss(self._losses(self.rows_NP).sum() / ranks.count)]

    def evaluate(self, update: int) -> Evaluation:
        return Evaluation({"loss": float(self.losses_of(self.rows_NP).min())})

    @torch.no_grad()
    def losses_of(self, rows_NP: torch.Tensor) -> torch.Tensor:
        """loss_N of rows."""
        return self._losses(rows_NP)

    def _losses(self, rows_NP: torch.Tensor) -> torch.Tensor:
        evidence, found = self.evidence, []
        for row_P in rows_NP:
            row_BP = row_P.expand(evidence.batch, -1)
            none_B3 = torch.zeros(evidence.batch, SLOTS, dtype=torch.int64, device=row_P.device)
            task = TaskInput(self.spec, self.world, row_BP, none_B3)
            unrolled = self.net.unroll(task, evidence, self.net.begin(task, evidence.seen[0]))
            found.append(-masked_mean(unrolled["log_likelihood"], evidence.live_TB))
        return torch.stack(found)
