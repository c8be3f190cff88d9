"""Training on frames: drawn by the curriculum, teacher forced, and every so often a check of everything.

Training is done when a check finds every different frame right and the machine, run by the core, solves every
validation problem, which are drawn afresh at each check. Problems that it fails are traced by the teacher and their
frames join the training set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from npi.core.config import TrainConfig
from npi.core.recurrent import RecurrentCore, may_call, recurrent
from npi.library.library import Library
from npi.program_memory import ProgramMemory
from npi.training.curriculum import Curriculum, WorldFrames
from npi.training.input_gates import set_gates
from npi.training.loop import Evaluation, Group, Loss, Objective, Progress, Schedule, State, part
from npi.training.loss import Rules, frame_loss, score, take_share
from npi.training.ranks import ALONE, Ranks
from npi.training.validation import Validation, Validator
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
    """

    update: int
    loss: float
    errors: dict[str, float]
    wrong: dict[str, int]
    validation: Validation | None
    seconds: float
    solved: bool

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


class CurriculumObjective(Objective):
    """The loss of frames that a curriculum draws; what moves, and when it is right, is said by those that are final.

    Args:
        rules: which rows may be called.
        config: of sampling, noise and precision.
        generator: of sampling.
    """

    def __init__(
        self,
        core: RecurrentCore,
        memory: ProgramMemory,
        rules: Rules,
        sources: Sequence[WorldFrames],
        config: TrainConfig,
        *,
        generator: torch.Generator,
    ) -> None:
        self.core, self.memory, self.rules, self.config, self.generator = core, memory, rules, config, generator
        self.noise = torch.Generator(device=memory.keys_NK.device).manual_seed(config.seed + 1)
        self.curriculum = Curriculum(sources, frames=config.frames, cut=config.cut)
        set_gates(memory, sources)

    @property
    def schedule(self) -> Schedule:
        """How long and how fast, by the settings."""
        config = self.config
        return Schedule(config.updates, config.check_every, lambda update: learning_rate_share(config, update))

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        """One loss an update; which of its frames were wrong changes what is drawn next."""
        device = self.memory.keys_NK.device
        drawn = take_share(self.curriculum.draw(generator=self.generator), ranks).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            loss, wrong_B = frame_loss(
                self.core, self.memory, self.rules, drawn, noise=self.config.noise, generator=self.noise
            )
        yield [Loss(loss)]
        self.curriculum.note(drawn.program_D, drawn.flags(wrong_B, ranks))

    def use(self, sources: Sequence[WorldFrames]) -> None:
        """Learn from these frames from now on, knowing of each row how often it was wrong."""
        errors = self.curriculum.errors
        set_gates(self.memory, sources)
        self.curriculum = Curriculum(sources, frames=self.curriculum.frames, cut=self.curriculum.cut)
        for group in self.curriculum.groups:
            group.error = errors.get(group.row, 1.0)


class FrameObjective(CurriculumObjective):
    """A core and its rows.

    Args:
        library: its core and rows change in place.
        sources: the different frames of each world.
        config: settings.
        validate: runs the tasks on the machine; ``None`` where there are only traces. It says the same on all ranks.
        ranks: the processes that check together; each has an objective of the same library, sources and settings.
    """

    def __init__(
        self,
        library: Library,
        sources: Sequence[WorldFrames],
        config: TrainConfig,
        *,
        validate: Validator | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        core, memory = recurrent(library.core), library.memory
        rules, generator = Rules.of(core, memory, may_call(memory)), torch.Generator().manual_seed(config.seed)
        super().__init__(core, memory, rules, sources, config, generator=generator)
        self.library, self.validate, self.ranks = library, validate, ranks
        self.given = len(sources)
        self.clean = 0
        self.wrong: dict[str, int] = {}
        self.validation: Validation | None = None
        if config.compile:
            core.trunk.unroll = torch.compile(core.trunk.unroll)  # type: ignore[method-assign]

    def groups(self) -> dict[str, Group]:
        """The core, keys and embeddings; gates are set by the frames."""
        parameters = [*self.core.parameters(), self.memory.keys_NK, self.memory.embeddings_NP]
        return {"frames": Group(parameters, self.config.rate, optimiser="adamw", betas=(0.9, 0.98), weight_decay=1e-4)}

    def evaluate(self, update: int) -> Evaluation:
        """Decide the frames and run the tasks; done after ``config.clean`` checks in a row without a mistake."""
        return self.check(update)

    def check(self, update: int, limit: int = 1024) -> Evaluation:
        """Decide at most ``limit`` frames of a program, all of them before training ends, and run the tasks."""
        solved = self._frames_right(limit) and self._frames_right(None)
        if solved and self.validate is not None:
            self.validation = self.validate(update)
            solved = self.validation.passed
            if self.validation.frames:
                found = [place(self.library, frames) for frames in self.validation.frames]
                self.use([*self.curriculum.sources, *found])
        self.clean = self.clean + 1 if solved else 0
        drifted = self.ranks.differing(self.core.digest() + self.library.rows_digest())
        assert not drifted, f"ranks {drifted} hold other parameters than the first one"
        return Evaluation({name: float(count) for name, count in self.wrong.items()}, self.clean >= self.config.clean)

    def _frames_right(self, limit: int | None) -> bool:
        self.wrong, right = {}, True
        for number, source in enumerate(self.curriculum.sources):
            index = torch.cat([x.index_M[:limit] for x in self.curriculum.groups if x.source == number])
            wrong = self._wrong(source, index)
            self.curriculum.hard[number] = wrong
            for row in source.frames.program_M[wrong].tolist():
                name = self.memory.infos[row].name
                self.wrong[name] = self.wrong.get(name, 0) + 1
            slack = self.config.slack if source.frames.table.world.rendered else 0.0
            right = right and len(wrong) <= slack * len(index)
        return right

    def _wrong(self, source: WorldFrames, index_M: torch.Tensor) -> torch.Tensor:
        """Which of the frames named are wrong, in the order in which one rank finds them: by length."""
        mine = wrong_frames(self.core, self.memory, self.rules, source, self.ranks.share(index_M))
        if self.ranks.alone:
            return mine
        flags = torch.zeros(len(source.frames), dtype=torch.int64)
        flags[mine] = 1
        wrong = index_M[self.ranks.sum(flags)[index_M] > 0]
        return wrong[source.frames.length_M[wrong].argsort(stable=True)]

    def report(self, progress: Progress) -> Report:
        """Where training stands, for people."""
        infos = self.memory.infos
        return Report(
            update=progress.update,
            loss=progress.loss,
            errors={infos[x.row].name: x.error for x in self.curriculum.groups},
            wrong=dict(self.wrong),
            validation=self.validation,
            seconds=progress.seconds,
            solved=progress.solved,
        )

    def state_dict(self) -> State:
        """Generators, gates, the curriculum with the frames that validation found, and what the last check found."""
        curriculum, validation = self.curriculum, self.validation
        tensors = {"generator": self.generator.get_state(), "noise": self.noise.get_state()}
        tensors["gates"] = self.memory.gates_NF.detach()
        tensors |= {f"hard.{number}": hard for number, hard in enumerate(curriculum.hard)}
        found = curriculum.sources[self.given :]
        for number, source in enumerate(found):
            tensors |= {f"found.{number}.{name}": column for name, column in source.frames.columns.items()}
        facts = {
            "errors": [group.error for group in curriculum.groups],
            "worlds": [source.world for source in found],
            "wrong": self.wrong,
            "clean": self.clean,
            "validation": validation and [validation.problems, validation.solved, validation.spared],
        }
        return State(tensors, facts)

    def load_state_dict(self, state: State) -> None:
        tensors, facts = state.tensors, state.facts
        self.generator.set_state(tensors["generator"])
        self.noise.set_state(tensors["noise"])
        sources = self.curriculum.sources[: self.given]
        for number, world in enumerate(facts["worlds"]):
            table = next(source.frames.table for source in sources if source.world == world)
            sources.append(WorldFrames(world, FrameSet(table, **part(tensors, f"found.{number}."))))
        self.curriculum = Curriculum(sources, frames=self.config.frames, cut=self.config.cut)
        for group, error in zip(self.curriculum.groups, facts["errors"], strict=True):
            group.error = error
        self.curriculum.hard = [tensors[f"hard.{number}"] for number in range(len(sources))]
        with torch.no_grad():
            self.memory.gates_NF.copy_(tensors["gates"])
        self.wrong, self.clean = facts["wrong"], facts["clean"]
        if facts["validation"] is not None:
            problems, solved, spared = facts["validation"]
            self.validation = Validation(problems, solved, spared=spared)


def place(library: Library, frames: FrameSet) -> WorldFrames:
    """The frames renumbered to the rows of a library; a ``LibraryError`` names what it lacks."""
    return WorldFrames.of(library.world(frames.table.world), frames, library.rows(frames.table))


def learning_rate_share(config: TrainConfig, update: int) -> float:
    """Of the peak: warm-up, then cycles of ``decay`` updates that each fall linearly to 5 %."""
    warm = min(1.0, (update + 1) / max(1, config.warmup))
    return warm * max(0.05, 1 - (update % config.decay) / config.decay)


@torch.no_grad()
def wrong_frames(
    core: RecurrentCore, memory: ProgramMemory, rules: Rules, source: WorldFrames, index_M: torch.Tensor
) -> torch.Tensor:
    """Which of the frames named have a wrong call (indices into the source), each frame whole and without noise."""
    device = memory.keys_NK.device
    tables, found = core.tables(memory), []
    for index, batch in source.chunks(index_M):
        (scores,) = score(core, tables, rules, [batch.to(device)])
        found.append(index[scores.wrong_B.cpu()])
    return torch.cat(found) if found else index_M
