"""The network of meta-reinforcement learning: what a world shows, a recurrent layer, a policy and a value.

Every layer has a factor and a summand for each of its units, which are a linear function of the row. Where a world
shows alike things at several places, what is known of each is seen, too (:mod:`meta.reinforcement.object_memory`).

Shape legend: ``B`` episodes, ``K`` steps, ``N`` = ``K`` × ``B``, ``F`` observation fields, ``V`` values of all fields
and arguments, ``L`` numbers by which they are told apart, ``P`` numbers of a row, ``H`` hidden units, ``G`` = 4 ``H``
gates, ``T`` = ``H`` sums of what was seen (or none), ``M`` hidden numbers of a memory of things, ``A`` calls to choose
from.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from envs.spec import SLOTS, WorldSpec
from meta.reinforcement.lstm import step, unroll
from meta.reinforcement.object_memory import Recall, places
from meta.reinforcement.privileged_critic import Insight
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Asked, HostedConfig

LONG = 24
"""A field of more values is seen by how far along it a value lies, so that neighbours look alike."""

BUMPS = 8
"""Places along a long field of which it is told how near a value is."""

HEAD = 0.1
"""By how much the first weights of heads are smaller than others: all calls begin as likely."""

LONGEST = 3.0
"""Units begin to forget between a fourth and, by this much on the gate, a fiftieth of what they hold each step."""


@dataclass(frozen=True)
class MetaRLConfig(HostedConfig):
    """The shape of a core, and what it learns to maximise.

    Attributes:
        hidden: H units, each of which carries two numbers.
        recall: 1: alike things at several places are looked at by one eye, and known again; 0: their fields are seen as
            all others are.
        tally: 1: what was seen is also added up over the episode, and the sums' logarithms are seen; 0: it is not.
        insight: 1: values are those of a critic that in training knows what each call is worth; 0: of the network.
        regret: 1: with insight, what an act brings is counted from what the best call is worth; the aim is the same
            where no act changes what calls are worth later, as in bandits, and there is less noise. 0: it is not.
        discount: of rewards to come, when training begins. later_discount: when it ends.
        trace: λ of generalised advantage estimation (Schulman et al. 2016).
        entropy: weight of the policy's entropy, when training begins. later_entropy: when it ends.
        value: weight of the error of values.
    """

    kind: str = "meta-rl"
    row: int = 8
    hidden: int = 32
    recall: int = 1
    tally: int = 0
    insight: int = 0
    regret: int = 0
    discount: float = 0.9
    later_discount: float = 1.0
    trace: float = 0.9
    entropy: float = 0.03
    later_entropy: float = 0.0
    value: float = 0.25

    def __post_init__(self) -> None:
        for name in ("row", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"core setting {name} must be at least 1, it is {getattr(self, name)}")
        for name in ("recall", "tally", "insight", "regret"):
            if getattr(self, name) not in (0, 1):
                raise ValueError(f"core setting {name} is 0 or 1, it is {getattr(self, name)}")
        if self.regret and not self.insight:
            raise ValueError("core setting regret needs insight: 1, which knows what the best call is worth")
        for name in ("discount", "later_discount", "trace"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"core setting {name} is a share from 0 to 1, it is {getattr(self, name)}")


class Layer(NamedTuple):
    """What a row makes of a layer: ``factor * x + summand``."""

    factor: torch.Tensor
    summand: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addcmul(self.summand, x, self.factor)


class Told(NamedTuple):
    """What a batch is told once: the look of each value of its world, and its row's factors and summands."""

    look_VH: torch.Tensor
    seen: Layer
    gates: Layer
    heads: Layer


class Entered(NamedTuple):
    """What the gates get of what is seen; sums after each step; the memory's numbers after the last one."""

    in_KBG: torch.Tensor
    tally_KBT: torch.Tensor
    carried_BM: torch.Tensor


class Known(NamedTuple):
    """:class:`Told`, and for which batch and which numbers of the core."""

    asked: weakref.ref[Asked]
    versions: tuple[int, ...]
    told: Told


class Adapter(nn.Module):
    """What one world shows and what can be called in it."""

    plain_F: torch.Tensor
    offset_F: torch.Tensor
    shown_VL: torch.Tensor
    call_A4: torch.Tensor

    def __init__(self, spec: WorldSpec, config: MetaRLConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        if spec.rendered and not config.recall:
            raise ValueError(f"world {spec.name} shows pictures, which a core with recall: 0 has no eye for")
        hidden = config.hidden
        things = {column for place in places(spec) for column in place.columns} if config.recall else set()
        plain = [column for column in range(len(spec.fields)) if column not in things]
        sizes = [*(spec.fields[column].size for column in plain), *[len(spec.tokens)] * SLOTS]
        tables = {
            "plain_F": torch.tensor(plain),
            "offset_F": torch.tensor([0, *itertools.accumulate(sizes[:-1])]),
            "shown_VL": shown(sizes),
            "call_A4": calls(spec),
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)
        scale = len(sizes) ** -0.5
        self.look_LH = nn.Parameter(scale * torch.randn(self.shown_VL.shape[1], hidden, generator=generator))
        self.policy = small_head(hidden, len(self.call_A4), generator=generator)
        self.recall = Recall(spec, config.row, hidden, generator=generator) if things else None
        self.insight = None
        if config.insight:
            known = (2 if config.tally else 1) * hidden
            self.insight = Insight(spec.name, len(self.call_A4), known, generator=generator)
        self.spec = spec

    def look(self) -> torch.Tensor:
        """look_VH: of each value of each field."""
        return self.shown_VL @ self.look_LH

    def see(self, look_VH: torch.Tensor, obs_NF: torch.Tensor, arguments_N3: torch.Tensor) -> torch.Tensor:
        """seen_NH: the sum of the looks of what is observed, but for things, and of the program's arguments."""
        index_NF = torch.cat([obs_NF[:, self.plain_F], arguments_N3], 1) + self.offset_F
        if not look_VH.requires_grad:
            return nn.functional.embedding_bag(index_NF, look_VH, mode="sum")
        # On a CPU the gradient of a product takes a tenth of that of a bag.
        ones_NF = look_VH.new_ones(1, 1).expand(index_NF.shape)
        return look_VH.new_zeros(len(index_NF), len(look_VH)).scatter_(1, index_NF, ones_NF) @ look_VH


class ActorCritic(nn.Module):
    """The core, for some worlds."""

    def __init__(self, config: MetaRLConfig, worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> None:
        super().__init__()
        self.config, H = config, config.hidden
        self.worlds = nn.ModuleList(Adapter(spec, config, generator=generator) for spec in worlds)
        self.condition = seeded_linear(config.row, 2 * (H + 4 * H + H), generator=generator)
        self.tallied = H if config.tally else 0
        self.enter = seeded_linear(H + self.tallied, 4 * H, generator=generator)
        self.recur_HG = nn.Parameter((2 * torch.rand(H, 4 * H, generator=generator) - 1) / H**0.5)
        self.value = small_head(H, 1, generator=generator)
        with torch.no_grad():
            self.condition.bias.zero_()
            self.enter.bias[H : 2 * H] += 1 + LONGEST * torch.rand(H, generator=generator)
        self._known: Known | None = None

    def told(self, asked: Asked) -> Told:
        """What the batch is told, with a graph."""
        H = self.config.hidden
        parts = self.condition(asked.row_BP).split([H, H, 4 * H, 4 * H, H, H], 1)
        layers = (Layer(1 + factor, summand) for factor, summand in zip(parts[::2], parts[1::2], strict=True))
        return Told(self.adapter(asked).look(), *layers)

    def told_once(self, asked: Asked) -> Told:
        """The same without a graph, kept until the batch or the core's numbers are others."""
        versions = tuple(p._version for p in (asked.row_BP, *self.parameters()))
        if self._known is None or self._known.asked() is not asked or self._known.versions != versions:
            self._known = Known(weakref.ref(asked), versions, self.told(asked))
        return self._known.told

    def adapter(self, asked: Asked) -> Adapter:
        return _adapter(self.worlds[asked.world])

    def once(
        self, asked: Asked, told: Told, obs_BF: torch.Tensor, hidden_BH: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One step: log-probabilities BA, values B, and the hidden numbers: both of each unit, sums, and the
        memory's."""
        h_BH, c_BH, tally_BT, carried_BM = self._parts(hidden_BH)
        entered = self._enter(asked, told, obs_BF[None], tally_BT, carried_BM)
        h_BH, c_BH = step(entered.in_KBG[0], told.gates.factor, self.recur_HG, h_BH, c_BH)
        log_BA, value_B = self._heads(asked, told, h_BH)
        return log_BA, value_B, torch.cat([h_BH, c_BH, entered.tally_KBT[0], entered.carried_BM], 1)

    def whole(
        self,
        asked: Asked,
        told: Told,
        obs_KBF: torch.Tensor,
        hidden_BH: torch.Tensor,
        worth_KBA: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A stretch of steps, what is observed in it being known: log-probabilities KBA and values KB, which are the
        critic's where it is told what calls are worth."""
        h_BH, c_BH, tally_BT, carried_BM = self._parts(hidden_BH)
        entered = self._enter(asked, told, obs_KBF, tally_BT, carried_BM)
        h_KBH = unroll(entered.in_KBG, told.gates.factor, self.recur_HG, h_BH, c_BH)
        log_KBA, value_KB = self._heads(asked, told, h_KBH)
        insight = self.adapter(asked).insight
        if worth_KBA is not None and insight is not None:
            known_KBX = torch.cat([told.heads(h_KBH), entered.tally_KBT.log1p()], 2)
            value_KB = insight(known_KBX.detach(), worth_KBA)
        return log_KBA, value_KB

    def width(self, spec: WorldSpec) -> int:
        """Hidden numbers in a world."""
        recalls = [adapter.recall for adapter in map(_adapter, self.worlds) if adapter.spec.digest == spec.digest]
        remembered = sum(recall.numbers for recall in recalls[:1] if recall is not None)
        return 2 * self.config.hidden + self.tallied + remembered

    def _parts(self, hidden_BH: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """h_BH, c_BH, tally_BT and carried_BM."""
        H = self.config.hidden
        return hidden_BH.tensor_split([H, 2 * H, 2 * H + self.tallied], 1)

    def _enter(
        self, asked: Asked, told: Told, obs_KBF: torch.Tensor, tally_BT: torch.Tensor, carried_BM: torch.Tensor
    ) -> Entered:
        """What is seen on its way to the gates, for a stretch."""
        adapter, (K, B, _) = self.adapter(asked), obs_KBF.shape
        seen_NH = adapter.see(told.look_VH, obs_KBF.flatten(0, 1), asked.arguments_B3.repeat(K, 1))
        seen_KBH = seen_NH.view(K, B, -1)
        if adapter.recall is not None:
            known_KBH, carried_BM = adapter.recall(obs_KBF, seen_KBH, asked.row_BP, carried_BM)
            seen_KBH = seen_KBH + known_KBH
        seen_KBH = torch.relu(told.seen(seen_KBH))
        tally_KBT = tally_BT + seen_KBH[:, :, : self.tallied].cumsum(0)
        in_KBG = told.gates(self.enter(torch.cat([seen_KBH, tally_KBT.log1p()], 2)))
        return Entered(in_KBG, tally_KBT, carried_BM)

    def _heads(self, asked: Asked, told: Told, h_KBH: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        top_KBH = told.heads(h_KBH)
        return self.adapter(asked).policy(top_KBH).log_softmax(-1), self.value(top_KBH).squeeze(-1)


def _adapter(module: nn.Module) -> Adapter:
    assert isinstance(module, Adapter)
    return module


def shown(sizes: Sequence[int]) -> torch.Tensor:
    """shown_VL: each value of a short field by a number of its own; of a long one by bumps, and by how far it lies."""
    blocks = []
    for size in sizes:
        if size <= LONG:
            blocks.append(torch.eye(size))
            continue
        along_V1 = torch.linspace(0, 1, size)[:, None]
        bumps_VL = torch.exp(-(((along_V1 - torch.linspace(0, 1, BUMPS)) * BUMPS) ** 2))
        blocks.append(torch.cat([along_V1, bumps_VL], 1))
    return torch.block_diag(*blocks)


def calls(spec: WorldSpec) -> torch.Tensor:
    """call_A4: every primitive with every argument that its signature allows."""
    found = [
        [number, *tokens, *[0] * (SLOTS - len(tokens))]
        for number, primitive in enumerate(spec.primitives)
        for tokens in itertools.product(*(slot.tokens for slot in primitive.slots))
    ]
    return torch.tensor(found, dtype=torch.int64).view(-1, 1 + SLOTS)


def small_head(inputs: int, outputs: int, *, generator: torch.Generator) -> nn.Linear:
    """A linear layer with small weights and no bias at first."""
    layer = seeded_linear(inputs, outputs, generator=generator)
    with torch.no_grad():
        layer.weight.mul_(HEAD)
        layer.bias.zero_()
    return layer
