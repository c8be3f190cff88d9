"""New programs on a frozen core: only their rows are learned (NPI section 4.4).

Several random starts are descended as one batch; each start is a copy of the new rows that may call the old rows and
its own copies. Old rows cannot call new ones, and no number of the core or of an old row changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch

from envs.spec import ProgramTable
from npi.core.config import FORCED, LEARNED, RATE, Settings, TrainConfig, at_least, one_of, setting
from npi.core.recurrent import may_call, recurrent
from npi.library.kinds import fingerprint
from npi.library.library import Library, LibraryError, check_texts, missing_rows, row_name, row_names
from npi.program_memory import ProgramMemory, RowInfo
from npi.training.curriculum import WorldFrames, WorldSteps
from npi.training.dataset import Dataset
from npi.training.forced import ForcedStates
from npi.training.frame_objective import new_steps
from npi.training.loop import Evaluation, Group, Loss, Objective, Progress, Reporter, Schedule, fit, frozen
from npi.training.loss import Rules
from npi.training.places import Finder, Places
from npi.training.ranks import ALONE, Ranks
from npi.training.supervision import Supervision, learning_rate_share
from npi.training.unrolled import UnrolledFrames
from npi.training.validation import TaskValidator, Validation, Validator
from traces.recording.batch import same_table
from traces.recording.placed_steps import PlacedSteps
from traces.recording.unique_frames import FrameSet


@dataclass(frozen=True)
class LearnConfig(Settings):
    """How rows are learned.

    Attributes:
        starts: random starts descended side by side; the first one that is right is kept.
        states: how the rows come by their states (:class:`npi.core.config.TrainConfig`); an lstm's are learned.
        updates: the most steps of Adam. rate: its peak learning rate, high, as beside a core that was trained for fifty
            updates a row's numbers have far to go; a tenth of it takes several times as many updates.
        frames: frames a start and update, with learned states.
        seed: of starts and sampling.
        problems: validation problems of each task.
        certify: whether a start must also be proved for every input; only a discrete core's programs can be.
    """

    what = "learning setting"

    starts: int = setting(4, at_least(1))
    states: str = setting(FORCED, one_of(FORCED, LEARNED))
    updates: int = setting(1200, at_least(1))
    rate: float = setting(0.5, RATE)
    frames: int = setting(64, at_least(1))
    seed: int = 0
    problems: int = setting(256, at_least(1))
    check_every: int = setting(25, at_least(1))
    certify: bool = True

    def training(self) -> TrainConfig:
        """The same as settings of the loss and the schedule."""
        return TrainConfig(
            seed=self.seed,
            states=self.states,
            updates=self.updates,
            examples=2**16,
            rate=self.rate,
            decay=300,
            warmup=10,
            check_every=self.check_every,
            problems=self.problems,
        )


@dataclass(frozen=True)
class Inferred:
    """A program whose states were inferred from its frames, and how its row was checked.

    Attributes:
        name: of its row. looks: for each state, the names of the fields and arguments that it looks at.
        frames: different ones that are known. held: how many of these were held back, so that it was not learned from
            them. wrong: in how many the row decides otherwise.
        proved: whether it decides as its text, too; None where there is none.
    """

    name: str
    looks: tuple[tuple[str, ...], ...]
    frames: int
    held: int
    wrong: int
    proved: bool | None


class Digests(NamedTuple):
    """sha256 of a core, of its oldest rows, and of what these put out in random configurations."""

    core: str
    rows: str
    outputs: str

    @classmethod
    def of(cls, library: Library, rows: int) -> Digests:
        """Of the oldest ``rows``."""
        return cls(library.core.digest(), library.rows_digest(rows), fingerprint(library.core, library.memory, rows))


class RowScores(NamedTuple):
    """First scores on fresh problems, of the mean of the old rows, of the best old one (of a row from a demonstration,
    of where it began), and of the program's own."""

    mean: float
    nearest: float
    learned: float


@dataclass(frozen=True)
class RowResult:
    """What learning rows came to, whatever the kind of core.

    Attributes:
        rows: names of the new rows. numbers: how many numbers were learned for each.
        solved: whether they are right, or best by a learner's score, so that the library has them now.
        updates: steps of Adam. seconds: of CPU.
        before, after: digests of what learning must not change, with the rows that were there.
        wrong: frames, or configurations, that are still wrong, by program. validation: of the rows tried last.
        notes: for people: why states had to be learned; where what is not right is wrong, and what would help.
        inferred: the programs that were learned from traces without a look at a text; universal cores only.
        scores: of rows of a learner's core, by name.
    """

    rows: tuple[str, ...]
    numbers: int
    solved: bool
    updates: int
    seconds: float
    before: Digests
    after: Digests
    wrong: dict[str, int] = field(default_factory=dict)
    validation: Validation | None = None
    notes: tuple[str, ...] = ()
    inferred: tuple[Inferred, ...] = ()
    scores: dict[str, RowScores] = field(default_factory=dict)

    @property
    def unchanged(self) -> bool:
        """Whether core, old rows and old outputs are bit-identical."""
        return self.before == self.after


def learn(
    library: Library,
    datasets: Sequence[Dataset],
    config: LearnConfig | None = None,
    *,
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    keep_unsolved: bool = False,
    finders: Sequence[Finder] = (),
    certifier: Callable[..., Validator] | None = None,
) -> RowResult:
    """Learn rows for every program of the datasets that the library does not have.

    The library gains the rows where they are right (or ``keep_unsolved``); otherwise it stays as it was.

    Args:
        finders: for each dataset where its steps are in the text; needed with forced states.
        certifier: makes of a validator one that asks for proofs too, where ``config`` wants them
            (:class:`npi.proof.prove.Certifier`); without one nothing is proved.
        report: called at checks; the loss is a start's, the scores are the best start's wrong frames by program.

    Raises:
        LibraryError: where there is nothing new, or the core does not know the world.
    """
    config = config or LearnConfig()
    old, began = library.memory, time.process_time()
    fresh = new_rows(library, datasets)
    before = Digests.of(library, len(old))
    objective = RowObjective(library.near(fresh[0].sees or ()), datasets, fresh, config, finders, certifier)

    def each(progress: Progress) -> None:
        if report is not None and (progress.update % config.check_every == 0 or progress.update == config.updates):
            report(replace(progress, loss=progress.loss / config.starts))

    with frozen(objective.core):
        progress = fit(objective, objective.schedule, report=each, stop=stop)
    if progress.solved or keep_unsolved:
        library.memory = old.extended(fresh, objective.parameters(objective.best))
        library.keep_files(d.programs for d in datasets if d.programs is not None)
    return RowResult(
        rows=tuple(info.name for info in fresh),
        numbers=old.numbers,
        solved=progress.solved,
        updates=progress.update,
        seconds=time.process_time() - began,
        before=before,
        after=Digests.of(library, len(old)),
        wrong=objective.wrong[objective.best],
        validation=objective.validation,
    )


def new_rows(library: Library, datasets: Sequence[Dataset]) -> list[RowInfo]:
    """Infos of the rows that the library lacks; :class:`LibraryError` where it lacks none, or a text changed.

    They see the generations that the datasets' tables name rows of, and no other: rows that they were not learned
    with cannot come between them and what they call.
    """
    primitives = library.core.rows_of_primitives
    tables = [(dataset.table, library.world(dataset.table.world)) for dataset in datasets]
    named = {name for table, world in tables for name in row_names(table, world, primitives=primitives)}
    check_texts([*library.texts_of(named), *(m.programs for m in datasets if m.programs is not None)])
    fresh: list[RowInfo] = []
    generation = max(1, library.memory.generations)  # 0 came with the core, also where nothing did
    for dataset in datasets:
        world = library.world(dataset.table.world)
        known = [*library.memory.infos, *fresh]
        fresh += missing_rows(
            known, dataset.table, world, generation=generation, source=dataset.source, primitives=primitives
        )
    if not primitives:  # nor has what learners run
        signals = {p.name for m in datasets if m.programs is not None for p in m.programs.signals}
        fresh = [info for info in fresh if info.name not in signals]
    if not fresh:
        names = ", ".join(m.name for m in datasets)
        raise LibraryError(f"the library already has every program of {names}; there is nothing to learn")
    sees = tuple(sorted({info.generation for info in library.memory.infos if info.name in named}))
    return [replace(info, sees=sees) for info in fresh]


class RowObjective(Objective):
    """Several starts of the new rows side by side, the core and the old rows fixed.

    Args:
        library: its core, and the old rows that the new ones may call.
        fresh: infos of the new rows.
        finders: for each dataset where its steps are in the text, with forced states.
        certifier: makes of a validator one that asks for proofs, too; None to prove nothing.
    """

    def __init__(
        self,
        library: Library,
        datasets: Sequence[Dataset],
        fresh: Sequence[RowInfo],
        config: LearnConfig,
        finders: Sequence[Finder] = (),
        certifier: Callable[..., Validator] | None = None,
    ) -> None:
        self.library, self.datasets, self.fresh, self.learning = library, datasets, fresh, config
        self.finders, self.certifier = finders, certifier
        self.core, self.old = recurrent(library.core), len(library.memory)
        generator = torch.Generator().manual_seed(config.seed)
        copies = [replace(i, name=f"{i.name} (start {s})") for s in range(config.starts) for i in fresh]
        self.memory = library.memory.drawn(copies, generator=generator)
        for parameter in (self.memory.keys_NK, self.memory.embeddings_NP):
            parameter.register_hook(self._new_rows_alone)
        self.frames: list[tuple[FrameSet, Places | None]] = []
        self.steps: list[PlacedSteps] = []
        self._learn_from(m.frames for m in datasets)
        programs = config.starts * sum(len(frames.program_M.unique()) for frames, _ in self.frames)
        self.config = replace(config.training(), frames=config.frames * max(1, programs))
        rules = Rules.of(self.core, self.memory, self._reach(self.memory))
        kind = ForcedStates if self.config.states == FORCED else UnrolledFrames
        self.supervision: Supervision = kind(
            self.core, self.memory, rules, self.config, self._sources(), generator=generator
        )
        self.best = 0
        self.wrong: list[dict[str, int]] = [{} for _ in range(config.starts)]
        self.validation: Validation | None = None

    def _new_rows_alone(self, gradient_NX: torch.Tensor) -> torch.Tensor:
        """Adam leaves what never had a gradient bit-identical."""
        return torch.cat([torch.zeros_like(gradient_NX[: self.old]), gradient_NX[self.old :]])

    def _reach(self, memory: ProgramMemory) -> torch.Tensor:
        """What may be called, with the copies of different starts apart."""
        start = (torch.arange(len(memory)) - self.old).div(len(self.fresh), rounding_mode="floor")
        start[: self.old] = -1
        return may_call(memory) & ((start == start[:, None]) | (start == -1))

    def _rows(self, table: ProgramTable, start: int) -> torch.Tensor:
        """For each id of the table: its old row, or its copy of this start."""
        places = {info.name: place for place, info in enumerate(self.library.memory.infos)}
        first = self.old + start * len(self.fresh)
        places |= {info.name: first + place for place, info in enumerate(self.fresh)}
        world = self.library.world(table.world)
        return torch.tensor([places[row_name(table, i, world)] for i in range(len(table))])

    def _learn_from(self, found: Iterable[FrameSet]) -> None:
        """Keep the frames of new programs, with their places where states are forced."""
        for every in found:
            new_N = self._rows(every.table, 0) >= self.old
            frames = every.select(new_N[every.program_M])
            if len(frames):
                places = None
                if self.learning.states == FORCED:
                    own = next(n for n, m in enumerate(self.datasets) if same_table(m.table, frames.table))
                    places = self.finders[own](frames)
                    reads = {program: read for program, read in places.reads.items() if new_N[program]}
                    places = replace(places, reads=reads)
                self.frames.append((frames, places))

    def _sources(self) -> list[WorldFrames]:
        """The frames of new programs, start by start, each as frames of the start's copies."""
        return [
            WorldFrames.of(self.library.world(frames.table.world), frames, self._rows(frames.table, start), places)
            for start in range(self.learning.starts)
            for frames, places in self.frames
        ]

    def _steps(self) -> list[WorldSteps]:
        """The steps that proofs brought, start by start."""
        return [
            WorldSteps(self.library.world(one.table.world), one.renumbered(self._rows(one.table, start)))
            for start in range(self.learning.starts)
            for one in self.steps
        ]

    @property
    def schedule(self) -> Schedule:
        """How long and how fast, by the settings: in cycles, so that a row gets out of dead ends, however few of its
        steps are wrong."""
        config = self.config
        return Schedule(config.updates, config.check_every, lambda update: learning_rate_share(config, update))

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        return self.supervision.losses(update, ranks)

    def groups(self) -> dict[str, Group]:
        """Keys and embeddings; each start is descended as if it were alone, so nothing is clipped."""
        parameters = [self.memory.keys_NK, self.memory.embeddings_NP]
        return {"rows": Group(parameters, self.learning.rate, clipped=False)}

    def evaluate(self, update: int) -> Evaluation:
        """Count what each start has wrong; let those without any mistake run the tasks."""
        self.wrong = [{} for _ in range(self.learning.starts)]
        for row, count in self.supervision.check(ALONE)[0].items():
            start, place = divmod(row - self.old, len(self.fresh))
            self.wrong[start][self.fresh[place].name] = count
        totals = [sum(counts.values()) for counts in self.wrong]
        self.best = totals.index(min(totals))
        solved = any(total == 0 and self._validated(start, update) for start, total in enumerate(totals))
        return Evaluation({name: float(count) for name, count in self.wrong[self.best].items()}, solved)

    def _validated(self, start: int, update: int) -> bool:
        sets = [m.programs for m in self.datasets if m.programs is not None and m.programs.tasks]
        if not sets:
            self.best = start
            return True
        trial = Library(self.core, self.library.memory.extended(self.fresh, self.parameters(start)), [])
        validate: Validator = TaskValidator(trial, sets, self.config, budget=self.datasets[0].budget)
        if self.certifier is not None and self.learning.certify and self._can_be_proved():
            names = {info.name for info in self.fresh}
            validate = self.certifier(validate, trial, sets, names=names, states=self.learning.states)
        self.validation = validate(update)
        if self.validation.passed:
            self.best = start
        else:
            self._learn_from(self.validation.frames)
            self.steps += new_steps(self.steps, self.validation.steps)
            self.supervision.use(self._sources(), self._steps())
        return self.validation.passed

    def _can_be_proved(self) -> bool:
        return self.core.config.kind == "discrete" and self.memory.keys_NK.device.type == "cpu"

    def parameters(self, start: int) -> dict[str, torch.Tensor]:
        """The rows of one start, by the name of each parameter."""
        first = self.old + start * len(self.fresh)
        return {name: p.detach()[first : first + len(self.fresh)] for name, p in self.memory.named_parameters()}
