"""A core for worlds of alike objects: a recurrent state for each object, comparisons of them, and what a row selects.

A world of N alike objects, such as blocks to poke or arms to pull, shows the same of each and has the same calls for
each. So one network with the same weights serves all of them, and an object's exchange for another exchanges what is
done (DeepSets: Zaheer et al. 2017). What is known of an object is a state of its own; each is compared with each other
(relation networks: Santoro et al. 2017). Object and token share numbers: a call's token can mean an object, or a place
such as "the second". Therefore each object has a score for each token, a matrix, of which a row selects columns (which
object has the second place?) and lines (which place has object 3?).

A part of a row's numbers belongs to the objects, :data:`OWN` to each: whether it counts, for example. The others are
common to all. States do not depend on the row, so what is remembered of objects is the same for all programs.

Shape legend: ``B`` episodes, ``N`` objects, ``H`` units of an object, ``G`` = 4 ``H`` gates, ``D`` comparisons, ``P``
parameters of a row, ``Y`` real numbers of an object, ``V`` values of fields that belong to no object, ``F`` fields,
``W`` fields that name an object, ``Q`` primitives, ``A`` = ``Q`` × ``N`` calls.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action, Observation
from envs.world import Episodes
from meta.reinforcement.adapter import all_calls, real_channels, shown, small_head
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.lstm import step
from meta.reinforcement.network import LONGEST
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Draw, LearnerCore, StepOutput, TaskInput, choice
from npi.learners.rollout import calls

OWN = 2
"""Numbers of a row that belong to each object."""

COMPARISONS = 24
"""D: numbers by which two objects are compared."""

STEEP = 3.0
"""By how much the first weights of comparisons are larger than others, so that close objects differ."""


@dataclass(frozen=True)
class AlikeObjects:
    """Where a world's objects are.

    Attributes:
        tokens: that name the objects, in order. naming: fields whose values are none of the objects, or one of them.
        others: the remaining fields.
    """

    tokens: tuple[int, ...]
    naming: tuple[int, ...]
    others: tuple[int, ...]

    @property
    def count(self) -> int:
        """N."""
        return len(self.tokens)


def alike_objects(spec: WorldSpec) -> AlikeObjects:
    """The objects of a world; ``ValueError`` where it has none.

    Every primitive but those of setup takes one token, the same ones, without a payload. The last axis of each
    channel is shared out evenly among the objects: heights of N blocks, or a picture with columns of pixels for each.
    Without a channel, a field names one of the objects, such as the arm that was pulled last.
    """
    acting = [primitive for primitive in spec.primitives if not primitive.setup]
    slots = {tuple(slot.tokens for slot in primitive.slots) for primitive in acting}
    if len(slots) != 1 or len(next(iter(slots))) != 1 or any(primitive.payload for primitive in acting):
        raise ValueError(_refusal(spec, "calls that take one token, the same ones for all"))
    tokens = next(iter(slots))[0]
    if len(tokens) < 2 or any(channel.ragged or channel.sizes[-1] % len(tokens) for channel in real_channels(spec)):
        raise ValueError(_refusal(spec, f"channels whose last axis is shared out among {len(tokens)} objects"))
    if spec.rendered:
        raise ValueError(_refusal(spec, "no pictures of fields"))
    values = ("none", *(spec.tokens[token] for token in tokens))
    naming = tuple(column for column, field in enumerate(spec.fields) if field.values == values)
    others = tuple(column for column in range(len(spec.fields)) if column not in naming)
    if not naming and not real_channels(spec):
        raise ValueError(_refusal(spec, "a field that names one of them, or a channel that shows something of each"))
    return AlikeObjects(tokens, naming, others)


def _refusal(spec: WorldSpec, needed: str) -> str:
    return f"world {spec.name} has no alike objects for a core with object_slots: 1, which needs {needed}; train with 0"


class ObjectAdapter(nn.Module):
    """What is observed of the objects of one world, and what can be called."""

    offset_V: torch.Tensor
    shown_VL: torch.Tensor
    call_A4: torch.Tensor
    token_N: torch.Tensor

    def __init__(self, spec: WorldSpec, hidden: int, common: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.spec, self.objects = spec, alike_objects(spec)
        sizes = [*(spec.fields[column].size for column in self.objects.others), *[len(spec.tokens)] * SLOTS]
        tables = {
            "offset_V": torch.tensor([0, *itertools.accumulate(sizes[:-1])]),
            "shown_VL": shown(sizes),
            "call_A4": all_calls(spec),
            "token_N": torch.tensor(self.objects.tokens),
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)
        scale = len(sizes) ** -0.5
        self.encoding_LH = nn.Parameter(scale * torch.randn(self.shown_VL.shape[1], hidden, generator=generator))
        numbers = sum(channel.size for channel in real_channels(spec)) // self.objects.count
        named = len(self.objects.naming) + SLOTS
        self.own = seeded_linear(numbers + named, hidden, generator=generator)
        primitives = len(self.call_A4) // self.objects.count
        self.score = small_head(hidden, primitives, generator=generator)
        self.table = small_head(hidden, primitives * self.objects.count, generator=generator)
        self.column = seeded_linear(common, primitives * self.objects.count, generator=generator)
        self.line = seeded_linear(common + OWN, primitives, generator=generator)

    def forward(self, seen: Observation, arguments_B3: torch.Tensor) -> torch.Tensor:
        """seen_BNH, before it depends on the row."""
        objects, fields_BF = self.objects, seen.fields_BF
        number_N = 1 + torch.arange(objects.count, device=fields_BF.device)
        parts = [arguments_B3[:, None, :] == self.token_N[:, None]]
        if objects.naming:
            parts.append(fields_BF[:, None, list(objects.naming)] == number_N[:, None])
        parts += [self._shares(seen, channel.name) for channel in real_channels(self.spec)]
        own_BNH = self.own(torch.cat([part.float() for part in parts], 2))
        index_BV = torch.cat([fields_BF[:, list(objects.others)], arguments_B3], 1) + self.offset_V
        common_BH = nn.functional.embedding(index_BV, self.shown_VL @ self.encoding_LH).sum(1)
        found_BNH: torch.Tensor = own_BNH + common_BH[:, None]
        return found_BNH

    def _shares(self, seen: Observation, name: str) -> torch.Tensor:
        """BNY: of each object its share of a channel; numbers keep their sign and the logarithm of their size."""
        real = seen.channels[name]
        assert isinstance(real, torch.Tensor)
        share_BNY = real.unflatten(-1, (self.objects.count, -1)).movedim(-2, 1).flatten(2)
        return share_BNY.sign() * share_BNY.abs().log1p()


class Conditioning(NamedTuple):
    """What rows make of the layers: factors and summands (B × N first), and what they select of the tables."""

    seen: torch.Tensor
    weigh: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    column_BQN: torch.Tensor
    line_BNQ: torch.Tensor


class ObjectActorCritic(LearnerCore):
    """The core, for some worlds of alike objects; they share all but what is observed and called.

    Raises ``ValueError`` for a world without alike objects, and for rows too short for a part of each object.
    """

    def __init__(self, config: MetaRLConfig, worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> None:
        super().__init__()
        self.config, H, D = config, config.hidden, COMPARISONS
        self.most = max((alike_objects(spec).count for spec in worlds), default=0)
        common = config.row - OWN * self.most
        if common < 1:
            raise ValueError(
                f"with object_slots: 1 a row has {OWN} numbers for each of {self.most} objects and others for all, and "
                f"row: {config.row} is too short; train with row: {OWN * self.most + 8}"
            )
        self.worlds = nn.ModuleList(ObjectAdapter(spec, H, common, generator=generator) for spec in worlds)
        self.sizes = [2 * H, D, 2 * H, 2 * H]
        self.condition = seeded_linear(common + OWN, sum(self.sizes), generator=generator)
        self.enter = seeded_linear(H, 4 * H, generator=generator)
        self.recur_HG = nn.Parameter((2 * torch.rand(H, 4 * H, generator=generator) - 1) / H**0.5)
        self.compare = seeded_linear(H, D, generator=generator)
        self.with_HD = nn.Parameter(torch.empty(H, D))
        self.first = seeded_linear(H + D, H, generator=generator)
        self.second = seeded_linear(2 * H, H, generator=generator)
        self.value = small_head(H, 1, generator=generator)
        with torch.no_grad():
            self.condition.bias.zero_()
            self.enter.bias[H : 2 * H] += 1 + LONGEST * torch.rand(H, generator=generator)
            self.compare.weight.mul_(STEEP)
            self.with_HD.copy_(-self.compare.weight.T)

    def hidden_size(self, spec: WorldSpec) -> int:
        """Two numbers of each unit of each object."""
        return 2 * self.config.hidden * alike_objects(spec).count

    def calls(self, world: int) -> torch.Tensor:
        """call_A4 of a world, by its index."""
        return _adapter(self.worlds[world]).call_A4

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        """Draw a call, or take the likeliest."""
        adapter = _adapter(self.worlds[task.world])
        conditioning = self.conditioning(task, adapter)
        seen_BNH = torch.relu(_modulated(adapter(seen, task.arguments_B3), conditioning.seen))
        known, hidden_BH = self._remember(seen_BNH, hidden_BH)
        top_BNH = self._compare(known, conditioning)
        log_BA = self._scores(adapter, top_BNH, conditioning).flatten(1).log_softmax(1)
        chosen_B = choice(log_BA.exp(), draw)
        log_B = log_BA.gather(1, chosen_B[:, None])[:, 0]
        extras = {
            "log_likelihood": log_B, "log_calls": log_BA, "value": self.value(top_BNH.mean(1))[:, 0],
            "entropy": -(log_BA.exp() * log_BA).sum(1),
        }  # fmt: skip
        return StepOutput(Action(adapter.call_A4[chosen_B]), hidden_BH, extras)

    def unroll(self, task: TaskInput, episodes: Episodes, hidden_BH: torch.Tensor) -> dict[str, torch.Tensor]:
        """The extras of each step, with the log-likelihoods of the episodes' calls."""
        found = super().unroll(task, episodes, hidden_BH)
        chosen_TBA = (calls(episodes)[:, :, None] == self.calls(task.world)).all(3)
        return found | {"log_likelihood": (found["log_calls"] * chosen_TBA).sum(2)}

    def conditioning(self, task: TaskInput, adapter: ObjectAdapter) -> Conditioning:
        """What rows make of the layers of a world."""
        count, own = adapter.objects.count, OWN * self.most
        own_BNK = task.row_BP[:, :own].unflatten(1, (self.most, OWN))[:, :count]
        common_BK = task.row_BP[:, own:]
        row_BNK = torch.cat([own_BNK, common_BK[:, None].expand(-1, count, -1)], 2)
        seen, weigh, first, second = self.condition(row_BNK).split(self.sizes, 2)
        column_BQN = adapter.column(common_BK).unflatten(1, (-1, count))
        return Conditioning(seen, weigh, first, second, column_BQN, adapter.line(row_BNK))

    def _remember(self, seen_BNH: torch.Tensor, hidden_BH: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is known of each object, BNH, and the hidden numbers."""
        B, N, H = seen_BNH.shape
        h_MH, c_MH = hidden_BH.reshape(B * N, 2 * H).chunk(2, 1)
        gates_MG = self.enter(seen_BNH.flatten(0, 1))
        h_MH, c_MH = step(gates_MG, h_MH.new_ones(()), self.recur_HG, h_MH, c_MH)
        return h_MH.view(B, N, H), torch.cat([h_MH, c_MH], 1).view(B, -1)

    def _compare(self, known_BNH: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
        """top_BNH: of each object, by what is known of it and of all others beside it."""
        left_BND, right_BND = self.compare(known_BNH), known_BNH @ self.with_HD
        pair_BNND = torch.tanh(left_BND[:, :, None] + right_BND[:, None])
        beside_BND = (pair_BNND * (1 + conditioning.weigh)[:, None]).sum(2)
        first_BNH = torch.relu(_modulated(self.first(torch.cat([known_BNH, beside_BND], 2)), conditioning.first))
        all_BNH = first_BNH.mean(1, keepdim=True).expand_as(first_BNH)
        return torch.relu(_modulated(self.second(torch.cat([first_BNH, all_BNH], 2)), conditioning.second))

    def _scores(self, adapter: ObjectAdapter, top_BNH: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
        """score_BQN of each call: an object's own, and what is selected of the tables of objects and tokens."""
        own_BNQ = adapter.score(top_BNH)
        table_BNQN = adapter.table(top_BNH).unflatten(2, (own_BNQ.shape[2], -1))
        column_BQN = torch.einsum("bnqm,bqm->bqn", table_BNQN, conditioning.column_BQN)
        line_BQN = torch.einsum("bnqm,bnq->bqm", table_BNQN, conditioning.line_BNQ)
        return own_BNQ.mT + column_BQN + line_BQN


def _modulated(x_BNH: torch.Tensor, both_BNX: torch.Tensor) -> torch.Tensor:
    """By factors and summands side by side."""
    factor_BNH, summand_BNH = both_BNX.chunk(2, 2)
    return torch.addcmul(summand_BNH, x_BNH, 1 + factor_BNH)


def _adapter(module: nn.Module) -> ObjectAdapter:
    assert isinstance(module, ObjectAdapter)
    return module
