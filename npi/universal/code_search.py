"""Codes for new functions beside a network that does not change: a proposal, then gradient on the code itself.

Many functions are learned as one batch. Situations that are still decided wrongly are drawn more often. A function is
done when every situation that is known of it is decided rightly, by a small lead.

Shape legend: ``N`` functions that are looked for, ``S`` starts of each, ``A`` candidates (function and start) at work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import nn

from npi.core.config import Settings, at_least, setting
from npi.training.loop import Evaluation, Group, Loss, Objective, Progress, Reporter, Schedule, fit, frozen
from npi.training.ranks import Ranks
from npi.universal.functions import Examples, Functions, Spans, loss
from npi.universal.network import Interpreter, Proposer

LEAD = 0.02
"""Logits by which every decision must be ahead, so that no other device rounds it to another one."""


@dataclass(frozen=True)
class SearchConfig(Settings):
    """How codes are learned.

    Attributes:
        seed: of starts and sampling.
        starts: candidates of each function, side by side: the first is the proposal, the others lie around it.
        spread: how far (standard deviation of each parameter).
        updates: the most steps of Adam in a round. rate: its first learning rate.
        rounds: how many there are, for what is not right before: each begins at the best that was found, with half the
            rate, and all but the first compute in full precision.
        patience: updates after which a function that is not right is split, where it can be.
        situations: drawn of each function in an update, a third of them among those that are still wrong.
        check_every: updates between checks of every situation.
        propose: whether the proposer is asked; else starts are random.
    """

    what = "learning setting"

    seed: int = 0
    starts: int = setting(2, at_least(1))
    spread: float = 0.3
    updates: int = setting(1000, at_least(1))
    rounds: int = setting(3, at_least(1))
    patience: int = setting(300, at_least(1))
    rate: float = 0.03
    situations: int = setting(96, at_least(1))
    check_every: int = setting(20, at_least(1))
    propose: bool = True

    @property
    def most(self) -> int:
        """The most steps of all rounds."""
        return self.updates * self.rounds


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


class Search(Objective):
    """Looks for the codes of functions: in each round, candidates around the best codes so far descend side by side.

    Args:
        net, proposer: not changed.
        functions: all of them are looked for.

    Attributes:
        which_A, code_AC, gain_AG: the function and the parameters of each candidate of the round.
        active: the candidates of functions that are not right yet. wrong: the situations that each of these has wrong.
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
        code_AC = (start_NC[:, None] + noise * spread_S[:, None]).flatten(0, 1)
        which_A = every_N.repeat_interleave(config.starts)
        self.round = 0
        self._candidates(which_A, code_AC, torch.zeros(len(which_A), shape.features))
        self.best = Found(
            code_AC[:: config.starts].clone(),
            self.gain_AG.detach()[:: config.starts].clone(),
            [torch.arange(int(s), int(s + c)) for s, c in zip(*vars(functions.spans).values(), strict=True)],
            torch.full((count,), config.most),
        )
        self.wrong: list[torch.Tensor] = []

    def _candidates(self, which_A: torch.Tensor, code_AC: torch.Tensor, gain_AG: torch.Tensor) -> None:
        self.which_A, self.code_AC, self.gain_AG = which_A, nn.Parameter(code_AC), nn.Parameter(gain_AG)
        self.active = torch.arange(len(which_A))

    def run(self, *, report: Reporter | None = None, stop: Callable[[], bool] = lambda: False) -> Found:
        """Descend until every function is right or the updates are spent; ``report`` is called at checks."""
        config = self.config

        def each(progress: Progress) -> None:
            if report is not None and (progress.update % config.check_every == 0 or progress.update == config.updates):
                report(replace(progress, update=self.round * config.updates + progress.update))

        schedule = Schedule(config.updates, config.check_every, lambda update: 1 - 0.9 * (update + 1) / config.updates)
        with frozen(self.net):
            self.evaluate(0)
            for number in range(config.rounds):
                self.round = number
                if number:
                    self._begin_again()
                if not len(self.active) or stop():
                    break
                fit(self, schedule, report=each, stop=stop)
        return self.best

    def _begin_again(self) -> None:
        """Candidates around the best of each function that is not right: itself, and others near to it."""
        which_A = (~self.best.right_N).nonzero()[:, 0].repeat_interleave(self.config.starts)
        noise = torch.randn(len(which_A), self.net.config.code, generator=self.generator)
        noise[:: self.config.starts] = 0
        code_AC = self.best.code_NC[which_A] + self.config.spread / 3 * noise
        self._candidates(which_A, code_AC, self.best.gain_NG[which_A])
        self.wrong = [self.best.wrong[which] for which in which_A.tolist()]

    def groups(self) -> dict[str, Group]:
        """The candidates of the round; each descends as if it were alone, so nothing is clipped."""
        rate = self.config.rate * 0.5**self.round
        return {"candidates": Group([self.code_AC, self.gain_AG], rate, betas=(0.9, 0.98), clipped=False)}

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        """The sum over the active candidates."""
        code, gain = self.code_AC.index_select(0, self.active), self.gain_AG.index_select(0, self.active)
        yield [Loss(loss(self.net, self._examples(), code, gain, precise=self.round > 0).sum())]

    def _examples(self) -> Examples:
        third = self.config.situations // 3
        which_A = self.which_A[self.active]
        drawn = self.functions.draw(which_A, self.config.situations - third, generator=self.generator)
        wrong = Spans.of(torch.tensor([len(one) for one in self.wrong]))
        index = wrong.draw(torch.arange(len(self.wrong))[:, None].expand(-1, third), self.generator)
        return drawn.joined(self.functions.at(torch.cat(self.wrong)[index]))

    def evaluate(self, update: int) -> Evaluation:
        """Decide every situation; candidates of functions that are right now are active no longer."""
        code_AC, gain_AG = self.code_AC.detach()[self.active], self.gain_AG.detach()[self.active]
        which = self.which_A[self.active].tolist()
        wrong = self.functions.wrong(self.net, self.which_A[self.active], code_AC, gain_AG, lead=LEAD)
        for candidate, function in enumerate(which):
            if len(wrong[candidate]) < len(self.best.wrong[function]):
                self.best.wrong[function] = wrong[candidate]
                self.best.code_NC[function] = code_AC[candidate]
                self.best.gain_NG[function] = gain_AG[candidate]
                if not len(wrong[candidate]):
                    self.best.updates_N[function] = self.round * self.config.updates + update
        kept = [candidate for candidate, function in enumerate(which) if len(self.best.wrong[function])]
        self.wrong = [wrong[candidate] for candidate in kept]
        self.active = self.active[kept]
        right = self.best.right_N
        return Evaluation({"right": float(right.sum())}, not len(self.active))
