"""The training loop: frames drawn by the curriculum, a step of AdamW, and every so often a check of everything.

Training is done when a check finds every different frame right and the machine, run by the core, solves every
validation problem, which are drawn afresh at each check. Problems that it fails are traced by the teacher and their
frames join the training set.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from npi.core.config import TrainConfig
from npi.core.recurrent import RecurrentCore, may_call, recurrent
from npi.core.share import Share
from npi.library.library import Library
from npi.program_memory import ProgramMemory
from npi.training.curriculum import Curriculum, WorldFrames
from npi.training.input_gates import set_gates
from npi.training.loss import DrawnShare, FrameBatch, Rules, score, take_share
from npi.training.ranks import ALONE, Ranks, losing
from traces.recording.unique_frames import FrameSet

Validator = Callable[[int], "Validation"]
"""Given the number of updates taken, which names the problems that are drawn."""


@dataclass(frozen=True)
class Validation:
    """What the machine found: problems run, how many were solved, and frames of the failed ones to learn from.

    ``spared``: how many failed that may fail, since they look at pictures.
    """

    problems: int = 0
    solved: int = 0
    frames: tuple[FrameSet, ...] = ()
    spared: int = 0

    @property
    def passed(self) -> bool:
        return self.solved + self.spared == self.problems


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
        validate: runs the tasks on the machine; ``None`` where there are only traces. It says the same on all ranks.
        ranks: the processes that train together; each has a trainer of the same library, sources and settings.
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
        self.ranks = ranks
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
        self.shared: DistributedDataParallel | None = None
        if not ranks.alone:
            whole = SharedLoss(core, memory, ranks.count)
            self.shared = DistributedDataParallel(whole, find_unused_parameters=_unused(core, sources))

    def run(self, *, stop: Callable[[], bool] = lambda: False, report: Callable[[Report], None] | None = None) -> bool:
        """Train until solved, out of updates, or ``stop()``; True where solved. Calls ``report`` after each update.

        Several ranks stop where one is asked to.
        """
        progress = self.progress
        while not progress.solved and progress.update < self.config.updates and not self.ranks.any(stop()):
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
        drawn = self.curriculum.draw(generator=self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss, rows, wrong = self._gradients(drawn) if self.shared is None else self._summed_gradients(drawn)
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

    def _gradients(self, drawn: Sequence[Sequence[FrameBatch]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Backward through the loss of what was drawn; the loss, row_B and wrong_B."""
        placed = [[to_device(batch, self._device) for batch in group] for group in drawn]
        with self._precision():
            found = frame_loss(self.core, self.memory, self.rules, placed, self.config, generator=self.noise)
        found[0].backward()
        return found

    def _summed_gradients(
        self, drawn: Sequence[Sequence[FrameBatch]]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The same from this rank's share and those of the others: gradients, loss and flags are the whole draw's."""
        assert self.shared is not None
        part = take_share(drawn, self.ranks)
        placed = replace(part, groups=[[to_device(batch, self._device) for batch in group] for group in part.groups])
        with losing(), self._precision():
            loss, wrong_B = self.shared(self.rules, placed, self.config, self.noise)
        with losing():
            loss.backward()
        whole = torch.zeros(1 + len(part.program_D), dtype=torch.float64)
        whole[0] = loss.item() / self.ranks.count
        whole[1 + part.index_B] = wrong_B.double().cpu()
        self.ranks.sum(whole)
        return whole[0], part.program_D, whole[1:] > 0

    @property
    def _device(self) -> torch.device:
        return self.memory.keys_NK.device

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

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
        drifted = self.ranks.differing(self.core.digest() + self.library.rows_digest())
        assert not drifted, f"ranks {drifted} hold other numbers than the first one"

    def _frames_right(self, limit: int | None) -> bool:
        self.wrong, right = {}, True
        for number, source in enumerate(self.curriculum.sources):
            index = torch.cat([x.index_M[:limit] for x in self.curriculum.lessons if x.source == number])
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


class SharedLoss(nn.Module):
    """The loss of one rank's share times the number of ranks.

    ``DistributedDataParallel`` takes the mean of the ranks' gradients; the loss of a draw is the sum of its shares'.
    """

    def __init__(self, core: RecurrentCore, memory: ProgramMemory, count: int) -> None:
        super().__init__()
        self.core, self.memory, self.count = core, memory, count

    def forward(
        self, rules: Rules, drawn: DrawnShare, config: TrainConfig, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss and wrong_B of the share."""
        loss, _, wrong_B = frame_loss(
            self.core,
            self.memory,
            rules,
            drawn.groups,
            config,
            generator=generator,
            shares=drawn.shares,
            program_D=drawn.program_D,
        )
        return loss * self.count, wrong_B


def _unused(core: RecurrentCore, sources: Sequence[WorldFrames]) -> bool:
    """Whether a share may leave a parameter without gradient: an eye, or the state where all frames have one step."""
    pictured = any(world.rendered for world in core.worlds)
    return pictured or all(int(source.frames.length_M.max()) == 1 for source in sources)


def place(library: Library, frames: FrameSet) -> WorldFrames:
    """The frames renumbered to the rows of a library; a ``LibraryError`` names what it lacks."""
    return WorldFrames.of(library.world(frames.table.world), frames, library.rows(frames.table))


def frame_loss(
    core: RecurrentCore,
    memory: ProgramMemory,
    rules: Rules,
    drawn: Sequence[Sequence[FrameBatch]],
    config: TrainConfig,
    *,
    generator: torch.Generator,
    shares: Sequence[Share] | None = None,
    program_D: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss (mean over a program's frames, summed over programs), row_B and wrong_B.

    Of a share of what was drawn (``shares`` by group, ``program_D`` the rows of it all), its part of the whole's loss.
    """
    tables = core.tables(memory)
    nll, rows, wrong = [], [], []
    for batches, share in zip(drawn, [None] * len(drawn) if shares is None else shares, strict=True):
        scores = score(core, tables, rules, batches, noise=config.noise, generator=generator, share=share)
        for batch, one in zip(batches, scores, strict=True):
            nll.append(one.nll_B)
            wrong.append(one.wrong_B)
            rows.append(batch.program_B)
    row_B = torch.cat(rows)
    counted = row_B if program_D is None else program_D.to(row_B.device)
    weight_B = 1.0 / torch.bincount(counted, minlength=len(memory))[row_B]
    loss = (torch.cat(nll) * weight_B).sum()
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
    core: RecurrentCore, memory: ProgramMemory, rules: Rules, source: WorldFrames, index_M: torch.Tensor
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
