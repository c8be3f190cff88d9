"""Ways to get a program onto a universal core beside learning its row, to compare that with.

*Mean row*, *nearest old row* and *proposed row* need no gradient. *Fine-tuned* changes the core along with the row, for
this program alone, and so what all other rows do; *from scratch* is the same with random weights to begin with.

Shape legend: ``N`` states, ``O`` states of old rows, ``M`` configurations, ``C`` parameters of a code, ``G`` gains.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from npi.training.loop import Evaluation, Group, Loss, Objective, Schedule, fit
from npi.training.ranks import Ranks
from npi.universal.code_search import SearchConfig
from npi.universal.functions import Examples, Functions, decide, loss
from npi.universal.network import Interpreter, Proposer
from npi.universal.plan import State, Step

SHOWN = 64
"""Configurations of a state in which old rows are tried for it."""

COMPARED = 128
"""Configurations of each old state in which its decision before and after is compared."""


@dataclass(frozen=True)
class Codes:
    """Parameters of some states."""

    code_NC: torch.Tensor
    gain_NG: torch.Tensor

    def __len__(self) -> int:
        return len(self.code_NC)

    def at(self, chosen: torch.Tensor | slice) -> Codes:
        return Codes(self.code_NC[chosen], self.gain_NG[chosen])


def computing(state: State | Step) -> list[bool]:
    """Of each outcome whether a symbol is computed in it; a step's have no names."""
    if isinstance(state, State):
        return [outcome.computes for outcome in state.outcomes]
    return [bool((state.value_M[state.outcome_M == n] >= 0).any()) for n in range(int(state.outcome_M.max()) + 1)]


def errors(net: Interpreter, states: Sequence[State | Step], codes: Codes) -> list[int]:
    """In how many of its configurations, all there are, each state decides wrongly."""
    found = []
    for number, state in enumerate(states):
        own = codes.at(slice(number, number + 1))
        seen_MR = _padded(state, net.config.inputs)
        computes = computing(state)
        outcome_M, value_M, _ = decide(net, seen_MR, own.code_NC, own.gain_NG, computes)
        right, computed = torch.from_numpy(state.outcome_M), torch.from_numpy(state.value_M)
        found.append(int(((outcome_M != right) | ((computed >= 0) & (value_M != computed))).sum()))
    return found


def _padded(state: State | Step, inputs: int) -> torch.Tensor:
    seen_MR = torch.from_numpy(state.seen_MR)
    return torch.nn.functional.pad(seen_MR, (0, inputs - seen_MR.shape[1]), value=-1)


# --- without gradient ------------------------------------------------------------------------------------------------


def mean(old: Codes, count: int) -> Codes:
    """The mean of old rows' parameters, for each of so many states."""
    return Codes(old.code_NC.mean(0).expand(count, -1), old.gain_NG.mean(0).expand(count, -1))


@torch.no_grad()
def nearest(net: Interpreter, old: Codes, states: Sequence[State], *, generator: torch.Generator) -> Codes:
    """For each state the parameters of that old state that decides most of its configurations (a sample) as it does.

    Outcomes are compared by their number: the first that occurs in a state, the second, and so on.
    """
    functions = Functions(states, net.config.inputs)
    best = [_agreeing(net, old, functions, number, len(state.outcomes), generator)
            for number, state in enumerate(states)]  # fmt: skip
    return old.at(torch.tensor(best, dtype=torch.int64))


def _agreeing(
    net: Interpreter, old: Codes, functions: Functions, number: int, outcomes: int, generator: torch.Generator
) -> int:
    shown = functions.draw(torch.tensor([number]), SHOWN, generator=generator)
    choice, value = net(shown.seen.expand(len(old), -1, -1), old.code_NC, old.gain_NG)
    same = choice[..., :outcomes].argmax(-1) == shown.outcome
    same &= (shown.value < 0) | (value.argmax(-1) == shown.value)
    return int(same.float().mean(1).argmax())


@torch.no_grad()
def proposed(net: Interpreter, proposer: Proposer, states: Sequence[State], *, generator: torch.Generator) -> Codes:
    """What the proposer alone makes of examples of each state."""
    functions = Functions(states, net.config.inputs)
    count = 4 * SearchConfig().situations  # as many as a search shows it
    shown = functions.draw(torch.arange(len(states)), count, generator=generator)
    code_NC = proposer(shown.seen, shown.outcome, shown.value)
    return Codes(code_NC, torch.zeros(len(states), net.config.features))


# --- with a core that changes ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TuneConfig:
    """How a core and a row are descended together.

    Attributes:
        updates: at most; it stops when every configuration is right. rate: of the core; own: of codes and gains.
        configurations: of each state in an update.
    """

    updates: int = 400
    rate: float = 1e-3
    own: float = 0.03
    configurations: int = 96
    check_every: int = 20


@dataclass(frozen=True)
class Tuned:
    """A core that was changed for some states, their numbers, and after how many updates."""

    net: Interpreter
    codes: Codes
    updates: int


class TuneObjective(Objective):
    """A copy of the core, and parameters of these states, on nothing but these states."""

    def __init__(
        self, net: Interpreter, states: Sequence[State], start: Codes, config: TuneConfig, generator: torch.Generator
    ) -> None:
        self.net, self.states, self.config, self.generator = copy.deepcopy(net), states, config, generator
        self.net.requires_grad_(True)
        self.functions, self.every_N = Functions(states, net.config.inputs), torch.arange(len(states))
        self.code, self.gain = (nn.Parameter(part.clone()) for part in (start.code_NC, start.gain_NG))

    @property
    def codes(self) -> Codes:
        return Codes(self.code.detach(), self.gain.detach())

    def groups(self) -> dict[str, Group]:
        core = Group(list(self.net.parameters()), self.config.rate, clipped=False)
        return {"core": core, "codes": Group([self.code, self.gain], self.config.own, clipped=False)}

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        examples = self.functions.draw(self.every_N, self.config.configurations, generator=self.generator)
        yield [Loss(loss(self.net, examples, self.code, self.gain).sum())]

    def evaluate(self, update: int) -> Evaluation:
        return Evaluation(solved=not any(errors(self.net, self.states, self.codes)))


def tune(
    net: Interpreter, states: Sequence[State], start: Codes, config: TuneConfig, *, generator: torch.Generator
) -> Tuned:
    """Descend a copy of the core, and parameters of these states, on nothing but these states."""
    objective = TuneObjective(net, states, start, config, generator)
    progress = fit(objective, falling(config.updates, config.check_every))
    return Tuned(objective.net, objective.codes, progress.update)


def falling(updates: int, check_every: int) -> Schedule:
    """Learning rates that fall linearly to a tenth of their peaks."""
    return Schedule(updates, check_every, lambda update: 1 - 0.9 * (update + 1) / updates)


def fresh(net: Interpreter, count: int, *, generator: torch.Generator) -> tuple[Interpreter, Codes]:
    """A core of the same shape with random weights, and random codes."""
    codes = Codes(torch.randn(count, net.config.code, generator=generator), torch.zeros(count, net.config.features))
    return Interpreter(net.config, generator=generator), codes


@dataclass(frozen=True)
class Memory:
    """What old rows decide, to see what is left of it.

    Attributes:
        codes: of their states. owner_O: the program that each state is of. seen_OMR: configurations of each state.
        outcomes: how many outcomes each has. outcome_OM, value_OM: what it decided.
    """

    codes: Codes
    owner_O: torch.Tensor
    examples: Examples
    outcomes: tuple[int, ...]

    @classmethod
    def of(
        cls, states: Sequence[State | Step], owners: Sequence[int], codes: Codes, inputs: int, *, seed: int
    ) -> Memory:
        """Rows that are right: what they decide is what their states say."""
        functions = Functions(states, inputs)
        generator = torch.Generator().manual_seed(seed)
        examples = functions.draw(torch.arange(len(states)), COMPARED, generator=generator)
        return cls(codes, torch.tensor(owners), examples, tuple(len(computing(state)) for state in states))

    @torch.no_grad()
    def lost(self, net: Interpreter) -> tuple[float, float]:
        """The share of old decisions that another core makes otherwise, and of old programs that have one of those."""
        choice, value = net(self.examples.seen, self.codes.code_NC, self.codes.gain_NG)
        has_OK = torch.arange(choice.shape[-1]) < torch.tensor(self.outcomes)[:, None]
        chosen = choice.masked_fill(~has_OK[:, None], -torch.inf).argmax(-1)
        wrong_OM = chosen != self.examples.outcome
        wrong_OM |= (self.examples.value >= 0) & (value.argmax(-1) != self.examples.value)
        broken = self.owner_O[wrong_OM.any(1)].unique()
        return float(wrong_OM.float().mean()), len(broken) / len(self.owner_O.unique())
