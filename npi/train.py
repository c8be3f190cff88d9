"""The training loop: frames drawn by the curriculum, a step of AdamW, and every so often a check of everything.

Training is done when a check finds every different frame right and the machine, run by the core, solves every
validation problem, which are drawn afresh at each check. Problems that it fails are traced by the teacher and their
frames join the training set.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from npi.config import TrainConfig
from npi.core import Core, may_call
from npi.curriculum import Curriculum, WorldFrames
from npi.gates import set_gates
from npi.library import Library
from npi.loss import FrameBatch, Rules, score
from npi.memory import ProgramMemory
from traces.frames import FrameSet

Validator = Callable[[int], "Validation"]
"""Given the number of updates taken, which names the problems that are drawn."""


@dataclass(frozen=True)
class Validation:
    """What the machine found: problems run, how many were solved, and frames of the failed ones to learn from."""

    problems: int = 0
    solved: int = 0
    frames: tuple[FrameSet, ...] = ()

    @property
    def passed(self) -> bool:
        return self.solved == self.problems


@dataclass(frozen=True)
class Report:
    """Where training stands.

    Attributes:
        update: optimiser steps taken. loss: of the last one, nats a frame summed over programs.
        errors: running share of wrong frames, by row.
        wrong: wrong frames at the last check, by row (empty before the first).
        validation: the last one, where there was one.
        seconds: CPU seconds spent, those before a resume included.
        solved: whether training is done.
    """

    update: int
    loss: float
    errors: dict[str, float]
    wrong: dict[str, int]
    validation: Validation | None
    seconds: float
    solved: bool


@dataclass
class Progress:
    """The counters of a run, which a checkpoint keeps."""

    update: int = 0
    clean: int = 0
    seconds: float = 0.0
    solved: bool = False


class Trainer:
    """Trains a core and its rows.

    Args:
        library: its core and rows change in place.
        sources: the different frames of each world.
        config: settings.
        validate: runs the tasks on the machine; ``None`` where there are only traces.
    """

    def __init__(
        self,
        library: Library,
        sources: Sequence[WorldFrames],
        config: TrainConfig,
        *,
        validate: Validator | None = None,
    ) -> None:
        core, memory = library.core, library.memory
        self.library, self.core, self.memory, self.config, self.validate = library, core, memory, config, validate
        self.curriculum = Curriculum(sources, frames=config.frames, cut=config.cut)
        self.rules = Rules.of(core, memory, may_call(memory))
        set_gates(memory, sources)
        self.parameters = [*core.parameters(), memory.keys_NK, memory.embeddings_NP]
        self.optimizer = adamw(self.parameters, config)
        self.generator = torch.Generator(device="cpu").manual_seed(config.seed)
        self.noise = torch.Generator(device=memory.keys_NK.device).manual_seed(config.seed + 1)
        self.given = len(sources)
        self.progress = Progress()
        self.loss = math.nan
        self.wrong: dict[str, int] = {}
        self.validation: Validation | None = None
        if config.compile:
            core.trunk.unroll = torch.compile(core.trunk.unroll)  # type: ignore[method-assign]

    def run(self, *, stop: Callable[[], bool] = lambda: False, report: Callable[[Report], None] | None = None) -> bool:
        """Train until solved, out of updates, or ``stop()``; True where solved. Calls ``report`` after each update."""
        progress = self.progress
        while not progress.solved and progress.update < self.config.updates and not stop():
            began = time.process_time()
            self.update()
            self.check_when_due()
            progress.seconds += time.process_time() - began
            if report is not None:
                report(self.report())
        return progress.solved

    def update(self) -> None:
        """One optimiser step on freshly drawn frames."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.progress.update)
        device = self.memory.keys_NK.device
        drawn = [[to_device(b, device) for b in group] for group in self.curriculum.draw(generator=self.generator)]
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            loss, rows, wrong = frame_loss(
                self.core, self.memory, self.rules, drawn, config, generator=self.noise
            )
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.take(loss.item(), rows.cpu(), wrong.cpu())

    def take(self, loss: float, row_B: torch.Tensor, wrong_B: torch.Tensor) -> None:
        """Note what an optimiser step found: its loss, and which of its frames were wrong."""
        self.loss = loss
        if not math.isfinite(self.loss):
            raise FloatingPointError(
                f"the loss of seed {self.config.seed} became {self.loss} at update {self.progress.update}; lower the "
                f"learning rate ({self.config.rate})"
            )
        self.curriculum.note(row_B, wrong_B)
        self.progress.update += 1

    def check_when_due(self) -> None:
        """Check after every so many updates, and after the last one."""
        update = self.progress.update
        if update % self.config.check_every == 0 or update == self.config.updates:
            self.check()

    def check(self, limit: int = 1024) -> None:
        """Look at the frames (at most ``limit`` a program, all of them before training ends) and run the tasks."""
        solved = self._frames_right(limit) and self._frames_right(None)
        if solved and self.validate is not None:
            self.validation = self.validate(self.progress.update)
            solved = self.validation.passed
            if self.validation.frames:
                self._learn_more([place(self.library, frames) for frames in self.validation.frames])
        self.progress.clean = self.progress.clean + 1 if solved else 0
        self.progress.solved = self.progress.clean >= self.config.clean

    def _frames_right(self, limit: int | None) -> bool:
        self.wrong = {}
        for number, source in enumerate(self.curriculum.sources):
            index = torch.cat([x.index_M[:limit] for x in self.curriculum.lessons if x.source == number])
            wrong = wrong_frames(self.core, self.memory, self.rules, source, index)
            self.curriculum.hard[number] = wrong
            for row in source.frames.program_M[wrong].tolist():
                name = self.memory.infos[row].name
                self.wrong[name] = self.wrong.get(name, 0) + 1
        return not self.wrong

    def _learn_more(self, found: Sequence[WorldFrames]) -> None:
        """Frames of problems that the core failed join the set, each find as a source of its own."""
        errors = self.curriculum.errors
        sources = [*self.curriculum.sources, *found]
        set_gates(self.memory, sources)
        self.curriculum = Curriculum(sources, frames=self.config.frames, cut=self.config.cut)
        for lesson in self.curriculum.lessons:
            lesson.error = errors.get(lesson.row, 1.0)

    def report(self) -> Report:
        """Where training stands now."""
        infos = self.memory.infos
        return Report(
            update=self.progress.update,
            loss=self.loss,
            errors={infos[x.row].name: x.error for x in self.curriculum.lessons},
            wrong=dict(self.wrong),
            validation=self.validation,
            seconds=self.progress.seconds,
            solved=self.progress.solved,
        )


def place(library: Library, frames: FrameSet) -> WorldFrames:
    """The frames renumbered to the rows of a library; a ``LibraryError`` names what it lacks."""
    return WorldFrames.of(library.world(frames.table.world), frames, library.rows(frames.table))


def frame_loss(
    core: Core,
    memory: ProgramMemory,
    rules: Rules,
    drawn: Sequence[Sequence[FrameBatch]],
    config: TrainConfig,
    *,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss (mean over a program's frames, summed over programs), row_B and wrong_B."""
    tables = core.tables(memory)
    nll, rows, wrong = [], [], []
    for batches in drawn:
        scores = score(core, tables, rules, batches, noise=config.noise, generator=generator)
        for batch, one in zip(batches, scores, strict=True):
            nll.append(one.nll_B)
            wrong.append(one.wrong_B)
            rows.append(batch.program_B)
    row_B = torch.cat(rows)
    share_B = 1.0 / torch.bincount(row_B, minlength=len(memory))[row_B]
    loss = (torch.cat(nll) * share_B).sum()
    return loss, row_B, torch.cat(wrong)


def adamw(parameters: Sequence[torch.Tensor], config: TrainConfig) -> torch.optim.AdamW:
    """The optimiser of a core and its rows."""
    return torch.optim.AdamW(parameters, lr=config.rate, betas=(0.9, 0.98), weight_decay=1e-4, fused=True)


def learning_rate(config: TrainConfig, update: int) -> float:
    """Warm-up, then cycles of ``decay`` updates that each fall linearly from the peak to 5 % of it."""
    warm = min(1.0, (update + 1) / max(1, config.warmup))
    return config.rate * warm * max(0.05, 1 - (update % config.decay) / config.decay)


@torch.no_grad()
def wrong_frames(
    core: Core, memory: ProgramMemory, rules: Rules, source: WorldFrames, index_M: torch.Tensor
) -> torch.Tensor:
    """Which of the frames named have a wrong call (indices into the source), each frame whole and without noise."""
    device = memory.keys_NK.device
    tables, found = core.tables(memory), []
    for index, batch in source.chunks(index_M):
        (scores,) = score(core, tables, rules, [to_device(batch, device)])
        found.append(index[scores.wrong_B.cpu()])
    return torch.cat(found) if found else index_M


def to_device(batch: FrameBatch, device: torch.device) -> FrameBatch:
    """The batch on a device; itself where it is there already."""
    if batch.obs_BTF.device == device:
        return batch
    return FrameBatch(
        batch.world,
        *(x.to(device, non_blocking=True) for x in _tensors(batch)),
    )


def _tensors(batch: FrameBatch) -> Iterable[torch.Tensor]:
    return batch.obs_BTF, batch.call_BT4, batch.mask_BT, batch.program_B, batch.arguments_B3
