"""Codes for new functions beside a network that does not change: a proposal, then gradient on the code's own numbers.

Many functions are learned as one batch. Situations that are still decided wrongly are drawn more often. A function is
done when every situation that is known of it is decided rightly, by a small lead.

Shape legend: ``N`` functions that are looked for, ``S`` starts of each, ``A`` candidates (function and start) at work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from npi.universal.functions import Examples, Functions, Spans, loss
from npi.universal.network import Interpreter, Proposer

LEAD = 0.02
"""Logits by which every decision must be ahead, so that no other device rounds it to another one."""


@dataclass(frozen=True)
class SearchConfig:
    """How codes are learned.

    Attributes:
        seed: of starts and sampling.
        starts: candidates of each function, side by side: the first is the proposal, the others lie around it.
        spread: how far (standard deviation of each number).
        updates: the most steps of Adam in a round. rate: its first learning rate.
        rounds: how many there are, for what is not right before: each begins at the best that was found, with half the
            rate, and all but the first compute in full precision.
        situations: drawn of each function in an update, a third of them among those that are still wrong.
        check_every: updates between checks of every situation.
        propose: whether the proposer is asked; else starts are random.
    """

    seed: int = 0
    starts: int = 2
    spread: float = 0.3
    updates: int = 1000
    rounds: int = 3
    rate: float = 0.03
    situations: int = 96
    check_every: int = 20
    propose: bool = True

    def __post_init__(self) -> None:
        for name in ("starts", "updates", "rounds", "situations", "check_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"learning setting {name} must be at least 1, it is {getattr(self, name)}")

    @property
    def most(self) -> int:
        """The most steps of all rounds."""
        return self.updates * self.rounds

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        code_NC, gain_NG: the best candidate of each function.
        wrong: for each function, the situations that it still decides wrongly or by less than :data:`LEAD`, by their
            numbers in the functions.
        updates_N: after how many steps each was right; all of them where it is not.
    """

    code_NC: torch.Tensor
    gain_NG: torch.Tensor
    wrong: list[torch.Tensor]
    updates_N: torch.Tensor

    @property
    def right_N(self) -> torch.Tensor:
        return torch.tensor([len(wrong) == 0 for wrong in self.wrong])


class Search:
    """Looks for the codes of functions.

    Args:
        net, proposer: not changed.
        functions: all of them are looked for.
    """

    def __init__(self, net: Interpreter, proposer: Proposer, functions: Functions, config: SearchConfig) -> None:
        self.net, self.functions, self.config = net, functions, config
        self.generator = torch.Generator().manual_seed(config.seed)
        count, shape = len(functions), net.config
        every_N = torch.arange(count)
        start_NC = torch.zeros(count, shape.code)
        if config.propose and count:
            shown = functions.draw(every_N, 4 * config.situations, generator=self.generator)
            with torch.no_grad():
                start_NC = proposer(shown.seen, shown.outcome, shown.value)
        spread_S = torch.full((config.starts,), config.spread if config.propose else 1.0)
        spread_S[0] = 0.0 if config.propose else 1.0
        noise = torch.randn(count, config.starts, shape.code, generator=self.generator)
        self.which_A = every_N.repeat_interleave(config.starts)
        self.code_AC = (start_NC[:, None] + noise * spread_S[:, None]).flatten(0, 1)
        self.gain_AG = torch.zeros(len(self.which_A), shape.features)
        self.best = Found(
            self.code_AC[:: config.starts].clone(),
            self.gain_AG[:: config.starts].clone(),
            [torch.arange(int(s), int(s + c)) for s, c in zip(*vars(functions.spans).values(), strict=True)],
            torch.full((count,), config.most),
        )
        self.wrong: list[torch.Tensor] = []

    def run(
        self,
        *,
        report: Callable[[int, int], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Found:
        """Descend until every function is right or the updates are spent; ``report`` hears of both."""
        trained = [parameter.requires_grad for parameter in self.net.parameters()]
        self.net.requires_grad_(False)
        try:
            self._check(0)
            for number in range(self.config.rounds):
                if len(self.which_A) and not stop():
                    self._round(number, report, stop)
        finally:
            for parameter, needed in zip(self.net.parameters(), trained, strict=True):
                parameter.requires_grad_(needed)
        return self.best

    def _round(self, number: int, report: Callable[[int, int], None] | None, stop: Callable[[], bool]) -> None:
        """Descend from where the round before came, as long as something is wrong and updates are left."""
        if number:
            self._begin_again()
        self.moments = [torch.zeros_like(part) for part in (self.code_AC, self.code_AC, self.gain_AG, self.gain_AG)]
        before = number * self.config.updates
        for update in range(1, self.config.updates + 1):
            if not len(self.which_A) or stop():
                break
            self._step(update, number)
            if update % self.config.check_every == 0 or update == self.config.updates:
                self._check(before + update)
                if report is not None:
                    report(before + update, int(self.best.right_N.sum()))

    def _begin_again(self) -> None:
        """Candidates around the best of each function that is not right: itself, and others near to it."""
        self.which_A = (~self.best.right_N).nonzero()[:, 0].repeat_interleave(self.config.starts)
        noise = torch.randn(len(self.which_A), self.net.config.code, generator=self.generator)
        noise[:: self.config.starts] = 0
        self.code_AC = self.best.code_NC[self.which_A] + self.config.spread / 3 * noise
        self.gain_AG = self.best.gain_NG[self.which_A]
        self.wrong = [self.best.wrong[which] for which in self.which_A.tolist()]

    def _step(self, update: int, number: int) -> None:
        """One step of Adam (Kingma and Ba 2015) on each candidate's own numbers."""
        code, gain = self.code_AC.requires_grad_(), self.gain_AG.requires_grad_()
        total = loss(self.net, self._examples(), code, gain, precise=number > 0).sum()
        gradients = torch.autograd.grad(total, (code, gain))
        self.code_AC, self.gain_AG = code.detach(), gain.detach()
        rate = self.config.rate * 0.5**number * (1 - 0.9 * update / self.config.updates)
        for place, (part, gradient) in enumerate(zip((self.code_AC, self.gain_AG), gradients, strict=True)):
            first, second = self.moments[2 * place : 2 * place + 2]
            first.lerp_(gradient, 0.1)
            second.lerp_(gradient.square(), 0.02)
            size = (second / (1 - 0.98**update)).sqrt() + 1e-8
            part.sub_(rate * first / (1 - 0.9**update) / size)

    def _examples(self) -> Examples:
        third = self.config.situations // 3
        drawn = self.functions.draw(self.which_A, self.config.situations - third, generator=self.generator)
        wrong = Spans.of(torch.tensor([len(one) for one in self.wrong]))
        index = wrong.draw(torch.arange(len(self.wrong))[:, None].expand(-1, third), self.generator)
        return drawn.joined(self.functions.at(torch.cat(self.wrong)[index]))

    def _check(self, update: int) -> None:
        """Decide every situation; candidates of functions that are right now leave the batch."""
        wrong = self.functions.wrong(self.net, self.which_A, self.code_AC, self.gain_AG, lead=LEAD)
        for candidate, which in enumerate(self.which_A.tolist()):
            if len(wrong[candidate]) < len(self.best.wrong[which]):
                self.best.wrong[which] = wrong[candidate]
                self.best.code_NC[which] = self.code_AC[candidate]
                self.best.gain_NG[which] = self.gain_AG[candidate]
                if not len(wrong[candidate]):
                    self.best.updates_N[which] = update
        kept = [c for c, which in enumerate(self.which_A.tolist()) if len(self.best.wrong[which])]
        self.wrong = [wrong[candidate] for candidate in kept]
        self.which_A, self.code_AC, self.gain_AG = self.which_A[kept], self.code_AC[kept], self.gain_AG[kept]
        if update:
            self.moments = [moment[kept] for moment in self.moments]
