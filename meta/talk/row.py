"""A row of the talk: what it claims, and what measures it.

Shape legend: ``B`` problems, ``P`` parameters of a row of a core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from dsl.program import ProgramSet
from meta.talk.comparison import Comparison
from npi.jobs.learners import new_library, train_learner
from npi.learners.core import learner_program_core
from npi.learners.evaluate import evaluated
from npi.learners.interface import LearnerConfig, LearnerTraining
from npi.learners.learn_rows import learn_rows
from npi.learners.tasks import training_tasks
from npi.library.examples import examples
from npi.library.library import Library
from npi.library.program_files import parsed
from npi.reproduce.ledger import Say, Stopped
from npi.training.learn_rows import RowResult
from npi.training.loop import Progress

Source = Path | ProgramSet

Lines = Mapping[str, Sequence[Sequence[float]]]
"""Curves by name: the numbers along the axis, and the values there."""


@dataclass(frozen=True)
class Picture:
    """What is drawn of a row: curves, or grids of numbers; bars of the scores where neither is given.

    Attributes:
        x, y: names of the axes of curves. lines: the curves. images: grids by title, rows of equal length.
    """

    x: str = ""
    y: str = ""
    lines: Lines = field(default_factory=dict)
    images: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a row came to in one run.

    Attributes:
        comparison: the score beside its control. beside: scores of others on the same problems, by name.
        facts: what else is to be said, by name, as texts.
    """

    comparison: Comparison
    beside: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    picture: Picture = Picture()


@dataclass(frozen=True)
class Effort:
    """How much a run of a row does.

    Attributes:
        training: of the row's core; none where nothing is trained by a learner's objective.
        problems: B, on which row and control are tried. more: further settings of the row.
    """

    training: LearnerTraining | None = None
    problems: int = 1000
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        training = {} if self.training is None else self.training.to_json()
        return {"training": training, "problems": self.problems, "more": dict(self.more)}


@dataclass(frozen=True)
class Run:
    """One run of a row.

    Attributes:
        folder: what is trained lies there. seed: of weights, training and problems.
        say: told how far it is. stop: asked after each update; true raises :class:`~npi.reproduce.ledger.Stopped`.
    """

    folder: Path
    seed: int
    effort: Effort
    say: Say = lambda done, total, words: None
    stop: Callable[[], bool] = lambda: False

    def heed(self) -> None:
        """Raise ``Stopped`` where that was asked for."""
        if self.stop():
            raise Stopped

    def train(
        self,
        files: Sequence[Source],
        *,
        name: str = "library",
        config: LearnerConfig | None = None,
        training: LearnerTraining | None = None,
    ) -> Library:
        """A learner's core on some files; one that an earlier, stopped run of this row finished is opened again."""
        out = self.folder / name
        if out.exists():
            return Library.open(out)
        settings = training or self.effort.training
        assert settings is not None
        out.parent.mkdir(parents=True, exist_ok=True)
        found = train_learner(
            files, out=out, config=config, training=replace(settings, seed=self.seed),
            report=self.reporter(settings.updates, name), stop=self.stop,
        )  # fmt: skip
        if not found.ended:
            raise Stopped
        return found.library

    def learn(self, library: Library, files: Sequence[Source], settings: LearnerTraining) -> RowResult:
        """Rows of new files beside the library's frozen core, in memory."""
        settings = replace(settings, seed=self.seed)
        report = self.reporter(settings.updates, "row")
        found = learn_rows(library, [parsed(file) for file in files], settings, report=report, stop=self.stop)
        self.heed()
        return found

    def reporter(self, updates: int, what: str) -> Callable[[Progress], None]:
        """Tells :attr:`say` how far a training is."""

        def report(progress: Progress) -> None:
            name = "" if what == "library" else f"{what}: "
            self.say(progress.update, updates, f"{name}update {progress.update:,} of {updates:,}")

        return report


@dataclass(frozen=True)
class Row:
    """A row of the talk.

    Attributes:
        key, title: its name on the command line, and for people.
        claim: of the slide. paper: the published figure it rests on, with its source.
        score, control: what is measured, with its unit, and what it is held against.
        run: makes it. quick, full: how much that does in minutes, and by a learner's own settings.
        needs: what is missing on this machine, and the command that brings it; empty where nothing is.
    """

    key: str
    title: str
    claim: str
    paper: str
    score: str
    control: str
    run: Callable[[Run], Found]
    quick: Effort
    full: Effort
    needs: Callable[[], str] = lambda: ""

    def effort(self, *, quick: bool) -> Effort:
        return self.quick if quick else self.full


# --- what rows share -------------------------------------------------------------------------------------------------


def file(name: str) -> Path:
    """An example program file, such as ``learning/harlow``."""
    return examples() / f"{name}.npi"


def untrained(files: Sequence[Source], config: LearnerConfig, seed: int) -> Library:
    """A core of random weights with random rows, of another seed than any that is trained."""
    sets = [parsed(path) for path in files]
    tasks = [task for programs in sets for task in training_tasks(programs)]
    return new_library(config, tasks, sets, seed=1000 + seed)


def scores(library: Library, task: str, count: int, seed: int, score: str = "") -> torch.Tensor:
    """float64 B: a score of each problem of a task, the learner's first one by default.

    The problems are those that ``npi eval`` has, which training never draws; a task and a seed have the same ones
    whatever the library.
    """
    core, (programs, found) = learner_program_core(library.core), library.task(task)
    parts = []
    for part in evaluated(library, programs, found, count=count, seed=seed):
        judged = core.learner.judge(programs.world, part.episodes)
        parts.append(judged[score or next(iter(judged))].double())
    return torch.cat(parts)


def row_of(library: Library, program: str) -> torch.Tensor:
    """P numbers: a program's."""
    return library.memory.embeddings_NP[library.memory.index(program)].detach()
