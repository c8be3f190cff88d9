"""The universal core's network: what a state sees and the state's code in, which outcome and which symbol out.

It is one function for all states of all programs. What makes it this state's function is the state's *code*, a few
numbers of the program's row, which condition every layer. How they do is a choice (:data:`CONDITIONINGS`): by
concatenation with the input; by a scale and a shift of every unit (feature-wise modulation, Perez et al. 2018); or by
low-rank weights that they generate (a hypernetwork, Ha et al. 2017).

The :class:`Proposer` beside it looks at examples of such a function and proposes a code for it (a conditional neural
process, Garnelo et al. 2018).

Shape legend: ``B`` configurations, ``N`` codes, ``R`` inputs, ``C`` numbers of a code, ``K`` outcomes, ``V`` symbols
that can be computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from npi.core.config import Settings, one_of, setting, within
from npi.core.initialisation import seeded_linear
from npi.library.wiring import SEAL
from npi.universal.symbols import COMPUTABLE, VALUES

KIND = "universal"
"""The kind of core, in a library's manifest."""

CONDITIONINGS = ("film", "concat", "lowrank")

WORD = 32
"""Numbers that a value is embedded in."""

RANK = 2
"""Of the weights that a code generates."""


@dataclass(frozen=True)
class InterpreterConfig(Settings):
    """The shape of a universal core.

    Attributes:
        hidden: units of each layer. layers: how many.
        features: G, units of the last layer, which the outcomes are read from.
        code: C, numbers of a state's code that condition the layers; it has a gain for each feature beside them.
        inputs: R, the most that a state can look at. outcomes: K, the most that it can choose among.
        states: the most that a program can have.
        conditioning: one of :data:`CONDITIONINGS`.
        kind: always :data:`KIND`.
    """

    what = "core"

    hidden: int = setting(256, within(1, 4096))
    layers: int = setting(2, within(1, 64))
    features: int = setting(128, within(1, 4096))
    code: int = setting(32, within(1, 4096))
    inputs: int = setting(6, within(1, 64))
    outcomes: int = setting(8, within(1, 1024))
    states: int = setting(16, within(1, 1024))
    conditioning: str = setting("film", one_of(*CONDITIONINGS))
    kind: str = KIND

    @property
    def row(self) -> int:
        """P, parameters of a row."""
        return SEAL + self.states * (self.code + self.features)


class Words(nn.Module):
    """Maps what is seen_…R to numbers_…X: a learned embedding of each value and, of a digit, which ones it reaches.

    So 7 is 1 at "reaches 5" and 0 at "reaches 8": sums and comparisons of digits are linear in these.
    """

    width = WORD + 11

    def __init__(self, *, generator: torch.Generator) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(VALUES + 1, WORD, generator=generator))  # the last one: no such input
        value_V = torch.arange(VALUES + 1)[:, None]
        reached = (value_V >= torch.arange(10)) & (value_V < 10)
        self.register_buffer("digits", torch.cat([reached, value_V < 10], 1).float(), persistent=False)

    digits: torch.Tensor

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        known = torch.where(seen < 0, VALUES, seen)
        return nn.functional.embedding(known, torch.cat([self.table, self.digits], 1)).flatten(-2)


class Interpreter(nn.Module):
    """Maps seen_BR and a code to logits_BK over outcomes and logits_BV over symbols."""

    def __init__(self, config: InterpreterConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        width, code = config.hidden, config.code
        self.words = Words(generator=generator)
        extra = code if config.conditioning == "concat" else 0
        self.first = seeded_linear(config.inputs * self.words.width + extra, width, generator=generator)
        sizes = [*[width] * config.layers, config.features]
        self.middle = nn.ModuleList(seeded_linear(i, o, generator=generator) for i, o in pairwise(sizes))
        self.condition = nn.ModuleList(
            seeded_linear(code, self._taken(into, out), generator=generator)
            for into, out in zip([0, *sizes], sizes, strict=False)
        )
        with torch.no_grad():
            for layer in self.condition:
                assert isinstance(layer, nn.Linear)
                layer.weight.normal_(0.0, 0.5 / math.sqrt(code), generator=generator)
        self.choose = seeded_linear(config.features, config.outcomes, generator=generator)
        self.compute = seeded_linear(config.features, COMPUTABLE, generator=generator)

    def _taken(self, into: int, out: int) -> int:
        """How many numbers a layer takes of a code."""
        low = out + RANK * (into + out) if into else out  # what the first layer takes in is sparse: only a shift
        return {"film": 2 * out, "concat": 1, "lowrank": low}[self.config.conditioning]

    def forward(
        self, seen_NMR: torch.Tensor, code_NC: torch.Tensor, gain_NG: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """logits_NMK and logits_NMV of M configurations for each of N codes. Inputs that are not there are −1."""
        x = self.words(seen_NMR)
        if self.config.conditioning == "concat":
            x = torch.cat([x, code_NC[:, None].expand(-1, x.shape[1], -1)], -1)
        for number, (layer, condition) in enumerate(zip((self.first, *self.middle), self.condition, strict=True)):
            x = self._layer(layer, x, code_NC, condition, first=number == 0)
        if gain_NG is not None:
            x = x * (1 + gain_NG[:, None])
        return self.choose(x), self.compute(x)

    def _layer(
        self, layer: nn.Module, x: torch.Tensor, code_NC: torch.Tensor, condition: nn.Module, *, first: bool
    ) -> torch.Tensor:
        y: torch.Tensor = layer(x)
        if self.config.conditioning == "concat":
            return torch.relu(y)
        taken = condition(code_NC)[:, None]
        if self.config.conditioning == "film":
            scale, shift = taken.chunk(2, -1)
            return torch.relu(torch.addcmul(shift, y, 1 + scale))
        shift, weights = taken.split([y.shape[-1], taken.shape[-1] - y.shape[-1]], -1)
        if first:
            return torch.relu(y + shift)
        into, out = weights[:, 0].unflatten(-1, (RANK, -1)).split([x.shape[-1], y.shape[-1]], -1)
        return torch.relu(y + shift + (x @ into.transpose(1, 2)) @ out / math.sqrt(x.shape[-1]))


class Proposer(nn.Module):
    """Proposes a code from examples of a state's function, in any order."""

    def __init__(self, config: InterpreterConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.words = Words(generator=generator)
        seen = config.inputs * self.words.width
        self.first = seeded_linear(seen + config.outcomes + COMPUTABLE + 1, config.hidden, generator=generator)
        self.second = seeded_linear(config.hidden, config.hidden, generator=generator)
        self.third = seeded_linear(2 * config.hidden, config.hidden, generator=generator)
        self.out = seeded_linear(config.hidden, config.code, generator=generator)

    def forward(self, seen_NMR: torch.Tensor, outcome_NM: torch.Tensor, value_NM: torch.Tensor) -> torch.Tensor:
        """code_NC from M examples of each of N functions; value −1 for none computed."""
        words = self.words(seen_NMR)
        outcome = nn.functional.one_hot(outcome_NM, self.config.outcomes)
        value = nn.functional.one_hot(value_NM + 1, COMPUTABLE + 1)
        x = torch.relu(self.first(torch.cat([words, outcome, value], -1)))
        x = torch.relu(self.second(x))
        pooled = torch.cat([x.mean(1), x.amax(1)], -1)
        code: torch.Tensor = self.out(torch.relu(self.third(pooled)))
        return code
