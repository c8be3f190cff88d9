"""The loop that trains a learner's core with its rows, or rows beside a frozen core.

What an update draws depends on the seed and its number alone, so a run that goes on from a checkpoint needs no state
of any generator.

Shape legend: ``N`` rows, ``P`` numbers of each, ``B`` problems, ``H`` hidden numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from npi.learners.interface import Asked, HostedTraining, Learner, Roll
from npi.learners.programs import Batch, Group, Lesson, groups_of
from npi.learners.rollout import rollout

LEAST = 0.05
"""What is left of the learning rate at the end."""

MOST_JUDGED = 2048
"""Problems of a check at most; each lesson has at least eight."""

WITHOUT_GRADIENT = 4
"""How many times as much a batch may carry where nothing is learned from it."""

DRAWN, LUCK, CHECKED = 1, 2, 3
"""What chance is for, as a part of seeds."""


@dataclass(frozen=True)
class Report:
    """Where training stands.

    Attributes:
        update: how many were taken. loss: the outer loss of the last one.
        scores: for each program, by name, the first score of :meth:`npi.learners.interface.Learner.judge` at the last
            check; empty before it.
    """

    update: int
    loss: float
    scores: Mapping[str, float]


class HostedTrainer:
    """Trains rows, and the core with them unless it is frozen.

    Args:
        learner: whose loss falls.
        net: its core.
        rows_NP: a row for each lesson; with ``copies``, so many side by side for each.
        lessons: programs and their tasks. worlds: for each, the index of its world in the core.
        frozen: whether the core's numbers stay as they are.
    """

    def __init__(
        self,
        learner: Learner,
        net: nn.Module,
        rows_NP: torch.Tensor,
        lessons: Sequence[Lesson],
        worlds: Sequence[int],
        training: HostedTraining,
        *,
        frozen: bool = False,
        copies: int = 1,
    ) -> None:
        if len(rows_NP) != copies * len(lessons):
            raise ValueError(f"{len(lessons)} programs with {copies} rows each need other rows than {len(rows_NP)}")
        self.learner, self.net, self.lessons, self.training = learner, net, tuple(lessons), training
        self.rows_NP = nn.Parameter(rows_NP.detach().clone())
        self.groups = groups_of(lessons, worlds)
        self.copies = copies
        self.update, self.loss = 0, math.nan
        self.scores: dict[str, float] = {}
        self.curve: list[dict[str, Any]] = []
        numbers = [] if frozen else list(net.parameters())
        self.optimizer = torch.optim.Adam(
            [{"params": [self.rows_NP], "lr": training.row_rate}]
            + ([{"params": numbers, "lr": training.rate}] if numbers else [])
        )
        self._peaks = [group["lr"] for group in self.optimizer.param_groups]
        self._learned = [self.rows_NP, *numbers]

    @property
    def device(self) -> torch.device:
        return self.rows_NP.device

    def run(
        self, *, report: Callable[[Report], None] | None = None, stop: Callable[[], bool] = lambda: False
    ) -> Report:
        """All updates that are left, or until ``stop``, which is asked after each."""
        while self.update < self.training.updates:
            self.step()
            if self.update % self.training.check_every == 0 or self.update == self.training.updates:
                self.check()
            if report is not None:
                report(self.report())
            if stop():
                break
        return self.report()

    def report(self) -> Report:
        return Report(self.update, self.loss, dict(self.scores))

    def step(self) -> None:
        """A batch of each world, in stretches, with a step of the optimiser after each."""
        training = self.training
        share = LEAST + (1 - LEAST) * 0.5 * (1 + math.cos(math.pi * self.update / training.updates))
        for settings, peak in zip(self.optimizer.param_groups, self._peaks, strict=True):
            settings["lr"] = peak * share
        first = len(self.groups) * self.update
        stretches = [self._losses(group, first + number) for number, group in enumerate(self.groups)]
        losses: list[float] = []
        while found := self._descend(stretches):
            losses += found
        self.update += 1
        self.loss = sum(losses) / len(losses)
        if not math.isfinite(self.loss):
            raise FloatingPointError(
                f"the loss is not a number after {self.update} updates; lower the rate ({training.rate}) or clip"
            )

    def _descend(self, stretches: Sequence[Iterator[torch.Tensor]]) -> list[float]:
        """One step of the optimiser, along the sum of the gradients of the worlds' next stretches; their losses.

        Each gradient is clipped by itself, so that a world with a large one does not drown the others. If worlds took
        turns, several steps in a row would be one world's, and move the rows of others by what Adam remembers of them.
        """
        losses: list[float] = []
        sums: dict[nn.Parameter, torch.Tensor] = {}
        for stretch in stretches:
            if (loss := next(stretch, None)) is None:
                continue
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            heard = [parameter for parameter in self._learned if parameter.grad is not None]
            nn.utils.clip_grad_norm_(heard, self.training.clip)
            for parameter in heard:
                assert parameter.grad is not None
                sums[parameter] = sums[parameter] + parameter.grad if parameter in sums else parameter.grad
            losses.append(float(loss.detach()))
        if losses:
            for parameter, gradient in sums.items():
                parameter.grad = gradient
            self.optimizer.step()
        return losses

    def _losses(self, group: Group, turn: int) -> Iterator[torch.Tensor]:
        """The outer loss of a fresh batch, stretch by stretch; what is drawn depends on the seed and on ``turn``."""
        training = self.training
        batch = group.draw(
            max(1, self._room(group, training.batch, training.carried) // training.twins),
            generator=np.random.default_rng([training.seed, DRAWN, turn]),
            device=self.device,
            copies=self.copies,
            twins=training.twins,
        )
        luck = torch.Generator(self.device).manual_seed(_seed(training.seed, LUCK, turn))
        progress = self.update / training.updates
        world, stretch = group.world, training.stretch or group.steps
        hidden_BH = torch.zeros(batch.state.batch, self.learner.width(self.net, world), device=self.device)
        for begun in range(0, group.steps, stretch):
            steps = min(stretch, group.steps - begun)
            asked = Asked(group.index, self.rows_NP[batch.lesson_B], batch.arguments_B3)
            roll, hidden_BH = rollout(
                self.learner, self.net, world, batch.state, asked, hidden_BH.detach(), steps,
                begun=begun, ends=begun + steps == group.steps, twin_B=batch.twin_B, progress=progress, generator=luck,
            )  # fmt: skip
            yield self.learner.loss(self.net, roll)

    def _room(self, group: Group, problems: int, carried: int) -> int:
        """How many of these problems a batch holds that carries so much; at least one of each lesson."""
        if not carried:
            return problems
        width = self.learner.width(self.net, group.world)
        return min(problems, max(len(group.lessons), carried // (width * self.copies)))

    def check(self) -> None:
        """Judge every row on fresh problems; with copies, the best of each lesson tells."""
        scores_N = self.judged(turn=self.update)
        found = scores_N.view(len(self.lessons), self.copies)
        best = found.max(1).values if self.learner.signal == "reward" else found.min(1).values
        self.scores = {lesson.name: float(score) for lesson, score in zip(self.lessons, best, strict=True)}
        self.curve.append({"update": self.update, "scores": dict(self.scores)})

    @torch.no_grad()
    def judged(self, *, turn: int, problems: int | None = None) -> torch.Tensor:
        """float64 N: the mean first score of each row, on problems that no other turn has (a number from 0)."""
        count = problems or max(8, min(self.training.problems, MOST_JUDGED // len(self.lessons)))
        found_N = torch.zeros(len(self.rows_NP), dtype=torch.float64)
        generator = np.random.default_rng([self.training.seed, CHECKED, turn])
        for group in self.groups:
            together = self._room(group, count * len(group.lessons), WITHOUT_GRADIENT * self.training.carried)
            batch = group.draw(together, generator=generator, device=self.device, copies=self.copies)
            roll = play_batch(self.learner, self.net, group, batch, self.rows_NP)
            score_B = next(iter(self.learner.judge(group.world, roll).values())).double().cpu()
            sums_N = torch.zeros_like(found_N).index_add_(0, batch.lesson_B.cpu(), score_B)
            found_N += sums_N / torch.bincount(batch.lesson_B.cpu(), minlength=len(found_N)).clamp(min=1)
        return found_N

    # --- the state of a run ------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Everything that the next update depends on."""
        tensors = {f"net.{k}": v for k, v in self.net.state_dict().items()} | {"rows": self.rows_NP.detach()}
        for number, held in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{name}": torch.as_tensor(value) for name, value in held.items()}
        loss = self.loss if math.isfinite(self.loss) else None
        return tensors, {"update": self.update, "loss": loss, "scores": self.scores, "curve": self.curve}

    def restore(self, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
        """Stand where the run of that state stood."""
        self.net.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
        with torch.no_grad():
            self.rows_NP.copy_(tensors["rows"])
        held: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("adam."):
                _, number, key = name.split(".")
                held.setdefault(int(number), {})[key] = tensor
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({"state": held, "param_groups": whole["param_groups"]})
        self.update, self.scores, self.curve = about["update"], dict(about["scores"]), list(about["curve"])
        self.loss = math.nan if about["loss"] is None else about["loss"]


@torch.no_grad()
def play_batch(
    learner: Learner, net: nn.Module, group: Group, batch: Batch, rows_NP: torch.Tensor, *, steps: int | None = None
) -> Roll:
    """Whole programs without exploring, judged; ``lesson_B`` of the batch says which row each problem has."""
    asked = Asked(group.index, rows_NP.detach()[batch.lesson_B], batch.arguments_B3)
    hidden_BH = torch.zeros(batch.state.batch, learner.width(net, group.world), device=rows_NP.device)
    roll, _ = rollout(learner, net, group.world, batch.state, asked, hidden_BH, steps or group.steps, judged=True)
    return roll


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]) >> 1
