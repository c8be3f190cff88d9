"""A new program as a row that comes from a demonstration: inferred from it, then moved by gradient beside a frozen core.

Shape legend: ``N`` rows that are tried, ``P`` parameters of each, ``B`` demonstrations, ``T`` steps.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import final

import torch
from torch import nn

from dsl.program import Program, ProgramSet
from envs.spec import SLOTS, WorldSpec
from envs.world import Episodes
from npi.learners.core import LearnerProgramCore, learner_program_core
from npi.learners.demonstration_files import read_demonstrations
from npi.learners.interface import LearnerTraining, TaskInput
from npi.learners.learn_rows import RowSearch, checked_sets
from npi.learners.objectives.base import masked_mean, schedule_of
from npi.learners.tasks import TrainingTask
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.program_memory import RowInfo
from npi.training.learn_rows import Digests, RowResult, RowScores
from npi.training.loop import Evaluation, Group, Loss, Objective, Progress, Reporter, fit
from npi.training.ranks import Ranks
from collections.abc import Iterator, Mapping


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

    The row begins at what the core infers from the demonstrations, and at the mean of the old rows; each is moved so
    that the demonstrator's actions become likelier, and the one by which they are likeliest is kept. Without actions
    the inferred row is kept as it is. No problem of the program is drawn, but for the scores that are told.

    Raises ``ValueError`` for a file that the world cannot have made, and unless exactly one program is new.
    """
    core = checked_sets(library, sets)
    known = {info.name for info in library.memory.infos}
    new = [(programs, program) for programs in sets for program in programs.signals if program.name not in known]
    if len(new) != 1:
        names = ", ".join(program.name for _, program in new) or "none"
        raise LibraryError(f"a demonstration is learned as one program, and new ones here are {names}; name one file")
    ((programs, program),) = new
    evidence = read_demonstrations(file, programs.world.spec)
    began, count, listed = time.process_time(), len(library.memory), core.worlds
    before = Digests.of(library, count)
    try:
        world = core.learns_in(programs.world.spec)
        search = DemonstrationSearch(core, programs.world.spec, world, evidence, training or core.learner.learning)
        mean_1P = library.memory.embeddings_NP.detach().mean(0, keepdim=True)
        row_P, progress = search.run(mean_1P, report, stop)
    except BaseException:
        core.worlds = listed
        raise
    _append(library, programs, program, world, row_P)
    library.history.append(
        {
            "learned": [program.name], "from": [Path(programs.path).name], "demonstration": Path(file).name,
            "settings": search.training.to_json(), "updates": progress.update,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )  # fmt: skip
    library.keep_files(sets)
    seconds = time.process_time() - began
    scores = told_scores(library, core, programs, program, torch.stack([mean_1P[0], search.inferred_P, row_P]))
    return RowResult(
        rows=(program.name,),
        numbers=library.memory.numbers,
        solved=not stop(),
        updates=progress.update,
        seconds=seconds,
        before=before,
        after=Digests.of(library, count),
        scores=scores,
    )
