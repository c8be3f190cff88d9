"""Many states' functions as one ragged table: what each leads to in every configuration.

Shape legend: ``N`` functions, ``Z`` configurations of all functions, ``M`` configurations drawn of each, ``R`` inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from npi.universal.network import Interpreter, InterpreterConfig
from npi.universal.plan import HEAD, Plan, State, Step
from npi.universal.symbols import COMPUTABLE, DIGIT

SAMPLED = 2**14
"""Of a function of more configurations so many are decided first; the others only where these are right."""

CHUNK = 2**15
"""Configurations that are decided at once."""


@dataclass(frozen=True)
class Examples:
    """Some configurations of each function: seen_NMR, outcome_NM and value_NM (−1 where nothing is computed)."""

    seen: torch.Tensor
    outcome: torch.Tensor
    value: torch.Tensor

    def joined(self, other: Examples) -> Examples:
        """These and other configurations of the same functions."""
        parts = zip((self.seen, self.outcome, self.value), (other.seen, other.outcome, other.value), strict=True)
        return Examples(*(torch.cat(pair, 1) for pair in parts))


@dataclass(frozen=True)
class Spans:
    """For each of N lists, where it begins among Z entries and how many it has."""

    start: torch.Tensor
    count: torch.Tensor

    @classmethod
    def of(cls, count: torch.Tensor) -> Spans:
        return cls(count.cumsum(0) - count, count)

    def draw(self, which: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A random entry of each list named; a list without entries gives its start."""
        share = torch.rand(which.shape, generator=generator)
        return self.start[which] + (share * self.count[which]).long()


class Functions:
    """Functions of states, their configurations sorted by what they lead to.

    Args:
        states: with a function to learn each (:func:`deciding`), and within the sizes of the core (:func:`oversize`).
        inputs: R of the core.
    """

    def __init__(self, states: Sequence[State | Step], inputs: int) -> None:
        seen, outcome, value, classes, kinds = [], [], [], [], []
        for state in states:
            key = state.outcome_M * 100 + state.value_M + 1
            order = np.argsort(key, kind="stable")
            counts = np.unique(key, return_counts=True)[1]
            padding = ((0, 0), (0, inputs - state.seen_MR.shape[1]))
            seen.append(np.pad(state.seen_MR[order], padding, constant_values=-1))
            outcome.append(state.outcome_M[order])
            value.append(state.value_M[order])
            classes.append(counts)
            kinds.append(len(counts))
        none = np.zeros(0, np.int64)
        self.seen_ZR = torch.from_numpy(np.concatenate([none.reshape(0, inputs), *seen])).to(torch.int8)
        self.outcome_Z = torch.from_numpy(np.concatenate([none, *outcome]))
        self.value_Z = torch.from_numpy(np.concatenate([none, *value]))
        self.spans = Spans.of(torch.tensor([len(state.outcome_M) for state in states], dtype=torch.int64))
        self.classes = Spans.of(torch.from_numpy(np.concatenate([none, *classes])))
        self.kinds = Spans.of(torch.tensor(kinds, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.spans.count)

    def draw(self, which_N: torch.Tensor, size: int, *, generator: torch.Generator) -> Examples:
        """Configurations of some functions: half of them uniform, half with all outcomes equally frequent."""
        half = which_N[:, None].expand(-1, size // 2)
        rest = which_N[:, None].expand(-1, size - size // 2)
        even = self.classes.draw(self.kinds.draw(rest, generator), generator)
        return self.at(torch.cat([self.spans.draw(half, generator), even], 1))

    def at(self, index: torch.Tensor) -> Examples:
        """The configurations of these numbers."""
        return Examples(self.seen_ZR[index].long(), self.outcome_Z[index], self.value_Z[index])

    @torch.no_grad()
    def wrong(
        self,
        net: Interpreter,
        which_N: torch.Tensor,
        code_NC: torch.Tensor,
        gain_NG: torch.Tensor | None = None,
        *,
        lead: float = 0.0,
    ) -> list[torch.Tensor]:
        """For each function, the configurations in which a code is wrong, or right by no more than ``lead`` logits.

        Of a large function they are those of a sample, while there are any.
        """
        found = []
        for place, which in enumerate(which_N.tolist()):
            begin, count = int(self.spans.start[which]), int(self.spans.count[which])
            codes = code_NC[place, None], None if gain_NG is None else gain_NG[place, None]
            for step in (count // SAMPLED, 1) if count > SAMPLED else (1,):
                index_M = torch.arange(begin, begin + count, step)
                wrong_W = index_M[self._lead(net, index_M, *codes) <= lead]
                if len(wrong_W):
                    break
            found.append(wrong_W)
        return found

    def _lead(
        self, net: Interpreter, index_M: torch.Tensor, code_1C: torch.Tensor, gain_1G: torch.Tensor | None
    ) -> torch.Tensor:
        """lead_M: by how many logits the right decision is ahead of the next in these configurations."""
        choice_MK, value_MV = logits(net, self.seen_ZR[index_M].long(), code_1C, gain_1G)
        computed_M = self.value_Z[index_M]
        spelled_M = torch.where(computed_M >= 0, _ahead(value_MV, computed_M.clamp(min=0)), torch.inf)
        return torch.minimum(_ahead(choice_MK, self.outcome_Z[index_M]), spelled_M)


@torch.no_grad()
def logits(
    net: Interpreter, seen_MR: torch.Tensor, code_1C: torch.Tensor, gain_1G: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """logits_MK of outcomes and logits_MV of symbols by one code, :data:`CHUNK` configurations at once."""
    choices, values = zip(*(net(part[None], code_1C, gain_1G) for part in seen_MR.split(CHUNK)), strict=True)
    return torch.cat(choices, 1)[0], torch.cat(values, 1)[0]


def _ahead(logits_MK: torch.Tensor, right_M: torch.Tensor) -> torch.Tensor:
    """By how much the right one is ahead of the best other."""
    others_MK = logits_MK.scatter(1, right_M[:, None], -torch.inf)
    return logits_MK.gather(1, right_M[:, None])[:, 0] - others_MK.amax(1)


def decide(
    net: Interpreter,
    seen_MR: torch.Tensor,
    code_1C: torch.Tensor,
    gain_1G: torch.Tensor | None,
    computes: Sequence[bool],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """outcome_M and value_M that a code decides in each configuration, and lead_M (logits) over the next best.

    Args:
        computes: for each outcome that there is, whether the symbol counts too.
    """
    choice_MK, value_MV = logits(net, seen_MR, code_1C, gain_1G)
    choice_MK = choice_MK[:, : len(computes)]
    outcome_M = choice_MK.argmax(-1)
    spelled_M = torch.where(torch.tensor(list(computes))[outcome_M], _lead(value_MV), torch.inf)
    return outcome_M, value_MV.argmax(-1), torch.minimum(_lead(choice_MK), spelled_M)


def _lead(logits_MK: torch.Tensor) -> torch.Tensor:
    """By how much the largest is ahead of the next."""
    if logits_MK.shape[-1] == 1:
        return torch.full(logits_MK.shape[:-1], torch.inf)
    first, second = logits_MK.topk(2, -1).values.unbind(-1)
    return first - second


def loss(
    net: Interpreter, examples: Examples, code_NC: torch.Tensor, gain_NG: torch.Tensor | None, *, precise: bool = False
) -> torch.Tensor:
    """loss_N: mean negative log-likelihood (nats) of the outcomes and of what is computed in them.

    Unless it is to be ``precise``, matrix products are :func:`hasty`: near enough to begin with.
    """
    with hasty(code_NC.device.type, enabled=not precise):
        choice, value = net(examples.seen, code_NC, gain_NG)
    nll = functional.cross_entropy(choice.float().flatten(0, 1), examples.outcome.flatten(), reduction="none")
    computed = examples.value.flatten()
    spelled = functional.cross_entropy(value.float().flatten(0, 1), computed.clamp(min=0), reduction="none")
    return (nll + spelled * (computed >= 0)).view_as(examples.outcome).mean(1)


def hasty(device: str, *, enabled: bool = True) -> torch.autocast:
    """Matrix products in bfloat16 where that is several times faster: not on a processor without AVX-512, which takes
    ten times as long for these as for products of float32."""
    fast = device != "cpu" or torch.backends.cpu.get_cpu_capability() == "AVX512"
    return torch.autocast(device, dtype=torch.bfloat16, enabled=enabled and fast)


def deciding(state: State) -> bool:
    """Whether there is anything to learn: a state that always does the same has no code."""
    return bool(state.inputs)


def oversize(plan: Plan, config: InterpreterConfig) -> str | None:
    """Why a program does not fit the core as it is planned; None where it does."""
    return next((reason for _, reason in oversizes(plan, config)), None)


def oversizes(plan: Plan, config: InterpreterConfig) -> Iterator[tuple[int, str]]:
    """For each state that does not fit the core, its number and why."""
    count = [len(state.functions) for state in plan.states]
    if sum(count) > config.states:
        what = "decide something" if max(count) == 1 else "decide something or take a step to a decision"
        yield (
            max(range(len(count)), key=count.__getitem__),
            (f"has {sum(count)} states that {what}, and the core's rows have room for {config.states}"),
        )
    for number, state in enumerate(plan.states):
        looks = max((len(step.looks) for step in state.steps), default=len(state.inputs))
        if looks > config.inputs:
            yield number, f"looks at {looks} things at once in state {number}; the core sees {config.inputs}"
        if len(state.outcomes) > config.outcomes * (COMPUTABLE if state.which != HEAD else 1):
            yield number, f"chooses among {len(state.outcomes)} calls in state {number}; the core has {config.outcomes}"
        for argument in (argument for outcome in state.outcomes for argument in outcome.computed):
            if argument.radix > DIGIT ** len(argument.digits) and argument.radix > COMPUTABLE:
                yield number, f"computes one of {argument.radix} symbols in state {number}; the core has {COMPUTABLE}"
