"""Training on frames: drawn by the curriculum, teacher forced, and every so often a check of everything.

Training is done when a check finds every different frame right and the machine, run by the core, solves every
validation problem, which are drawn afresh at each check. Problems that it fails are traced by the teacher and their
frames join the training set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from envs.spec import ProgramTable
from envs.support.typed_json import typed
from npi.core.config import FORCED, TrainConfig
from npi.core.recurrent import may_call, recurrent
from npi.library.library import Library
from npi.training.curriculum import WorldFrames, WorldSteps
from npi.training.dataset import Dataset, checked
from npi.training.forced import ForcedStates
from npi.training.induction.inferred_places import finders_of
from npi.training.loop import Evaluation, Group, Loss, Objective, Progress, Schedule, State, part
from npi.training.loss import Rules
from npi.training.places import Finder, Places
from npi.training.ranks import ALONE, Ranks
from npi.training.supervision import Supervision
from npi.training.unrolled import UnrolledFrames
from npi.training.validation import Validation, Validator, packed_steps, unpacked_steps
from traces.recording.batch import same_table
from traces.recording.placed_steps import PlacedSteps
from traces.recording.unique_frames import FrameSet


@dataclass(frozen=True)
class Report:
    """Where training stands.

    Attributes:
        update: optimiser steps taken. loss: of the last one, nats a frame summed over programs.
        errors: running share of wrong frames, by row.
        wrong: wrong frames at the last check, by row (empty before the first).
        validation: the last one, where there was one.
        seconds: CPU seconds spent (by this process), those before a resume included.
        solved: whether training is done.
        steps: with forced states, for each program its different steps, which are learned, and all that traces show.
    """

    update: int
    loss: float
    errors: dict[str, float]
    wrong: dict[str, int]
    validation: Validation | None
    seconds: float
    solved: bool
    steps: dict[str, tuple[int, int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The inverse of :meth:`from_json`, without the frames of failed problems."""
        found = self.validation
        figures = None if found is None else {name: vars(found)[name] for name in ("problems", "solved", "spared")}
        return vars(self) | {"validation": figures}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """Raises ``TypeError`` for other fields."""
        found = data["validation"]
        return cls(**(dict(data) | {"validation": None if found is None else Validation(**found)}))


class FrameObjective(Objective):
    """A core and its rows.

    Args:
        library: its core and rows change in place.
        given: the different frames of each table.
        config: settings; with ``states`` forced, ``finders`` say for each of ``given`` where its steps are in the text.
        validate: runs the tasks on the machine; ``None`` where there are only traces. It says the same on all ranks.
        ranks: the processes that check together; each has an objective of the same library, sources and settings.
    """

    def __init__(
        self,
        library: Library,
        given: Sequence[FrameSet],
        config: TrainConfig,
        *,
        finders: Sequence[Finder] = (),
        validate: Validator | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        core, memory = recurrent(library.core), library.memory
        self.library, self.core, self.memory, self.config = library, core, memory, config
        self.finders, self.validate, self.ranks = list(finders), validate, ranks
        self.given, self.found, self.steps = list(given), list[FrameSet](), list[PlacedSteps]()
        rules, generator = Rules.of(core, memory, may_call(memory)), torch.Generator().manual_seed(config.seed)
        kind = ForcedStates if config.states == FORCED else UnrolledFrames
        self.supervision: Supervision = kind(core, memory, rules, config, self._sources(), generator=generator)
        self.clean = 0
        self.wrong: dict[str, int] = {}
        self.validation: Validation | None = None
        if config.compile:
            name = "advance" if config.states == FORCED else "unroll"
            setattr(core.trunk, name, torch.compile(getattr(core.trunk, name)))

    @classmethod
    def on(cls, library: Library, datasets: Sequence[Dataset], config: TrainConfig, **given: Any) -> FrameObjective:
        """The frames of datasets, with finders of their places where these are needed (:func:`finders_of`)."""
        finders = finders_of(datasets)[0] if config.states == FORCED else []
        return cls(library, [dataset.frames for dataset in datasets], config, finders=finders, **given)

    def _sources(self) -> list[WorldFrames]:
        """Given frames and found ones, with their places where states are forced."""
        sources = []
        for frames in [*self.given, *self.found]:
            places = None
            if self.config.states == FORCED:
                places = self.finders[self._table(frames.table)](frames)
            sources.append(place(self.library, frames, places))
        return sources

    def _steps(self) -> list[WorldSteps]:
        """The steps that proofs brought, renumbered to rows."""
        library = self.library
        return [
            WorldSteps(library.world(one.table.world), one.renumbered(library.rows(one.table))) for one in self.steps
        ]

    def _table(self, table: ProgramTable) -> int:
        """Which of the given sets has this table."""
        return next(number for number, known in enumerate(self.given) if same_table(known.table, table))

    @property
    def schedule(self) -> Schedule:
        """How long and how fast, by the settings."""
        return self.supervision.schedule

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        return self.supervision.losses(update, ranks)

    def groups(self) -> dict[str, Group]:
        """The core, keys and embeddings; gates are set by the frames."""
        parameters = [*self.core.parameters(), self.memory.keys_NK, self.memory.embeddings_NP]
        return {"frames": Group(parameters, self.config.rate, optimiser="adamw", betas=(0.9, 0.98), weight_decay=1e-4)}

    def evaluate(self, update: int) -> Evaluation:
        """Decide the frames and run the tasks; done after ``config.clean`` checks in a row without a mistake."""
        wrong, solved = self.supervision.check(self.ranks)
        self.wrong = {self.memory.infos[row].name: count for row, count in wrong.items()}
        if solved and self.validate is not None:
            self.validation = self.validate(update)
            solved = self.validation.passed
            fresh = new_steps(self.steps, self.validation.steps)
            if self.validation.frames or fresh:
                self.found += self.validation.frames
                self.steps += fresh
                self.supervision.use(self._sources(), self._steps())
        self.clean = self.clean + 1 if solved else 0
        drifted = self.ranks.differing(self.core.digest() + self.library.rows_digest())
        assert not drifted, f"ranks {drifted} hold other parameters than the first one"
        return Evaluation({name: float(count) for name, count in self.wrong.items()}, self.clean >= self.config.clean)

    def scalars(self, progress: Progress) -> dict[str, float]:
        """The running share of wrong frames of each program, and of solved problems at the last validation."""
        found, validation = self.report(progress), self.validation
        curves = {f"error/{name}": error for name, error in found.errors.items()}
        if validation is not None and validation.problems:
            curves["validation/solved"] = validation.solved / validation.problems
        return curves

    def report(self, progress: Progress) -> Report:
        """Where training stands, for people."""
        infos = self.memory.infos
        return Report(
            update=progress.update,
            loss=progress.loss,
            errors={infos[row].name: error for row, error in self.supervision.errors.items()},
            wrong=dict(self.wrong),
            validation=self.validation,
            seconds=progress.seconds,
            solved=progress.solved,
            steps={infos[row].name: counts for row, counts in self.supervision.steps.items()},
        )

    def state_dict(self) -> State:
        """The supervision's state, the frames that validation found, and what the last check found."""
        own, validation = self.supervision.state_dict(), self.validation
        tensors = {f"supervision.{name}": tensor for name, tensor in own.tensors.items()}
        for number, frames in enumerate(self.found):
            tensors |= {f"found.{number}.{name}": column for name, column in frames.columns.items()}
        tensors |= packed_steps(self.steps)
        facts = {
            "supervision": own.facts,
            "found": [self._table(frames.table) for frames in self.found],
            "steps": [self._table(steps.table) for steps in self.steps],
            "wrong": self.wrong,
            "clean": self.clean,
            "validation": validation and [validation.problems, validation.solved, validation.spared],
        }
        return State(tensors, facts)

    def load_state_dict(self, state: State) -> None:
        tensors, facts = state.tensors, state.facts
        self.found = [
            checked(FrameSet(self.given[own].table, **part(tensors, f"found.{number}.")))
            for number, own in enumerate(facts["found"])
        ]
        self.steps = list(map(checked, unpacked_steps(tensors, [self.given[own].table for own in facts["steps"]])))
        if self.found or self.steps:
            self.supervision.use(self._sources(), self._steps())
        self.supervision.load_state_dict(State(part(tensors, "supervision."), facts["supervision"]))
        self.wrong, self.clean = typed(dict[str, int], facts["wrong"]), typed(int, facts["clean"])
        if facts["validation"] is not None:
            problems, solved, spared = typed(tuple[int, int, int], facts["validation"])
            self.validation = Validation(problems, solved, spared=spared)


def new_steps(known: Sequence[PlacedSteps], found: Sequence[PlacedSteps]) -> list[PlacedSteps]:
    """Those found, each all steps of one program, of programs of which none are known yet."""

    def same(one: PlacedSteps, other: PlacedSteps) -> bool:
        return same_table(one.table, other.table) and bool(one.program_S[0] == other.program_S[0])

    return [steps for steps in found if not any(same(steps, other) for other in known)]


def place(library: Library, frames: FrameSet, places: Places | None = None) -> WorldFrames:
    """The frames renumbered to the rows of a library; a ``LibraryError`` names what it lacks."""
    return WorldFrames.of(library.world(frames.table.world), frames, library.rows(frames.table), places)
