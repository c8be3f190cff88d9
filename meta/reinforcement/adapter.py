"""What is observed in one world, what can be called in it, and a critic that is told more.

Shape legend: ``B`` episodes, ``K`` steps, ``N`` = ``K`` × ``B``, ``F`` observation fields, ``V`` values of all fields
and arguments, ``L`` numbers by which they are told apart, ``H`` hidden units, ``A`` calls, ``X`` what a critic knows,
or numbers of a payload, ``Y`` real numbers that are observed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from envs.spec import SLOTS, Channel, WorldSpec
from envs.stepper import Observation
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.object_memory import Recall, places
from npi.core.initialisation import seeded_linear

LONG = 24
"""A field of more values is seen by how far along it a value lies, so that neighbours look alike."""

BUMPS = 8
"""Places along a long field of which it is told how near a value is."""

HEAD = 0.1
"""By how much the first weights of heads are smaller than others: all calls begin as likely."""

CRITIC_UNITS = 64
"""Of each of the two layers of a privileged critic."""

MAX_CRITIC_CALLS = 32
"""Each costs a question to the world at each step."""

GAP_SCALE = 5.0
"""Gaps between expected rewards are scaled up, so that small ones are told apart."""

SPREAD = -0.7
"""The logarithm of a payload's standard deviation at first: half of what reaches from 0 to a bound at 1."""


class PrivilegedCritic(nn.Module):
    """A critic that is told in training what is never observed: the expected reward of each call (Pinto et al. 2018).

    The policy does not depend on it, so the expected gradient is the same as with any other critic; but its values have
    neither the noise of rewards nor that of which arms are good, and far fewer episodes show what an action changed.

    Raises ``ValueError`` for a world of too many calls.
    """

    def __init__(self, world: str, calls: int, known: int, *, generator: torch.Generator) -> None:
        super().__init__()
        if calls > MAX_CRITIC_CALLS:
            raise ValueError(
                f"with privileged: 1 a critic is told of at most {MAX_CRITIC_CALLS} calls, and world {world} has "
                f"{calls}; train with privileged: 0"
            )
        self.one = seeded_linear(known + 2 * calls, CRITIC_UNITS, generator=generator)
        self.two = seeded_linear(CRITIC_UNITS, CRITIC_UNITS, generator=generator)
        self.out = seeded_linear(CRITIC_UNITS, 1, generator=generator)

    def forward(self, known_KBX: torch.Tensor, call_value_KBA: torch.Tensor) -> torch.Tensor:
        """value_KB: the sum of rewards from here on."""
        gap_KBA = call_value_KBA - call_value_KBA.amax(2, keepdim=True)
        x = torch.cat([known_KBX, call_value_KBA, GAP_SCALE * gap_KBA], 2)
        return self.out(torch.relu(self.two(torch.relu(self.one(x))))).squeeze(2)


class Seen(NamedTuple):
    """What is observed in N steps or instances: fields, and the numbers of all channels, squashed; None without any."""

    obs_NF: torch.Tensor
    real_NY: torch.Tensor | None = None

    def flat(self) -> Seen:
        """K × B as N."""
        return Seen(self.obs_NF.flatten(0, 1), None if self.real_NY is None else self.real_NY.flatten(0, 1))

    def one_step(self) -> Seen:
        """B as K × B with K = 1."""
        return Seen(self.obs_NF[None], None if self.real_NY is None else self.real_NY[None])


class Adapter(nn.Module):
    """What is observed in one world, and what can be called in it."""

    plain_F: torch.Tensor
    offset_F: torch.Tensor
    shown_VL: torch.Tensor
    call_A4: torch.Tensor
    takes_AX: torch.Tensor

    def __init__(self, spec: WorldSpec, config: MetaRLConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        if spec.rendered and not config.object_memory:
            raise ValueError(f"world {spec.name} shows pictures, which a core with object_memory: 0 cannot encode")
        hidden = config.hidden
        objects = {column for place in places(spec) for column in place.columns} if config.object_memory else set()
        plain = [column for column in range(len(spec.fields)) if column not in objects]
        sizes = [*(spec.fields[column].size for column in plain), *[len(spec.tokens)] * SLOTS]
        tables = {
            "plain_F": torch.tensor(plain),
            "offset_F": torch.tensor([0, *itertools.accumulate(sizes[:-1])]),
            "shown_VL": shown(sizes),
            "call_A4": all_calls(spec),
            "takes_AX": payloads(spec),
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)
        scale = len(sizes) ** -0.5
        self.encoding_LH = nn.Parameter(scale * torch.randn(self.shown_VL.shape[1], hidden, generator=generator))
        self.policy = small_head(hidden, len(self.call_A4), generator=generator)
        self.objects = Recall(spec, config.row, hidden, generator=generator) if objects else None
        self.critic = None
        if config.privileged:
            known = (2 if config.sums else 1) * hidden
            self.critic = PrivilegedCritic(spec.name, len(self.call_A4), known, generator=generator)
        self.real = real_channels(spec)
        numbers = sum(channel.size for channel in self.real)
        self.numbers = seeded_linear(numbers, hidden, generator=generator) if numbers else None
        self.payload = self.spread_X = None
        if spec.payload_width:
            self.payload = small_head(hidden, spec.payload_width, generator=generator)
            self.spread_X = nn.Parameter(torch.full((spec.payload_width,), SPREAD))
        self.spec = spec

    def seen(self, seen: Observation) -> Seen:
        """What of an observation the core reads; numbers keep their sign and the logarithm of their size."""
        if not self.real:
            return Seen(seen.fields_BF)
        parts = [seen.channels[channel.name] for channel in self.real]
        real_BY = torch.cat([part.flatten(1) for part in parts if isinstance(part, torch.Tensor)], 1)
        return Seen(seen.fields_BF, real_BY.sign() * real_BY.abs().log1p())

    def values(self) -> torch.Tensor:
        """value_VH: the encoding of each value of each field."""
        return self.shown_VL @ self.encoding_LH

    def encode(self, value_VH: torch.Tensor, seen: Seen, arguments_N3: torch.Tensor) -> torch.Tensor:
        """seen_NH: the sum of the encodings of what is observed, but for objects, and of the program's arguments."""
        found_NH = self._encode(value_VH, seen.obs_NF, arguments_N3)
        return found_NH if self.numbers is None else found_NH + self.numbers(seen.real_NY)

    def _encode(self, value_VH: torch.Tensor, obs_NF: torch.Tensor, arguments_N3: torch.Tensor) -> torch.Tensor:
        index_NF = torch.cat([obs_NF[:, self.plain_F], arguments_N3], 1) + self.offset_F
        if not value_VH.requires_grad:
            return nn.functional.embedding_bag(index_NF, value_VH, mode="sum")
        # On a CPU the gradient of a product takes a tenth of that of a bag.
        ones_NF = value_VH.new_ones(1, 1).expand(index_NF.shape)
        return value_VH.new_zeros(len(index_NF), len(value_VH)).scatter_(1, index_NF, ones_NF) @ value_VH

    def index(self, call_KB4: torch.Tensor) -> torch.Tensor:
        """int64 KB: the places of calls among ``call_A4``."""
        base = len(self.spec.tokens) ** torch.arange(SLOTS, -1, -1, device=call_KB4.device)
        key_A, order_A = (self.call_A4 * base).sum(1).sort()
        return order_A[torch.searchsorted(key_A, (call_KB4 * base).sum(-1))]


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


def all_calls(spec: WorldSpec) -> torch.Tensor:
    """call_A4: every primitive but those of setup, with every argument that its signature allows."""
    found = [
        [number, *tokens, *[0] * (SLOTS - len(tokens))]
        for number, primitive in enumerate(spec.primitives)
        if not primitive.setup
        for tokens in itertools.product(*(slot.tokens for slot in primitive.slots))
    ]
    return torch.tensor(found, dtype=torch.int64).view(-1, 1 + SLOTS)


def real_channels(spec: WorldSpec) -> list[Channel]:
    """The channels whose numbers a core reads; those that are functions of fields are pictures."""
    return [channel for channel in spec.channels if not channel.fields]


def payloads(spec: WorldSpec) -> torch.Tensor:
    """takes_AX, float32: 1 where a call takes that number of a payload, else 0."""
    widths = [0 if primitive.payload is None else primitive.payload.size for primitive in spec.primitives]
    width_A1 = torch.tensor(widths, dtype=torch.int64)[all_calls(spec)[:, :1]]
    return (torch.arange(spec.payload_width) < width_A1).float()


def small_head(inputs: int, outputs: int, *, generator: torch.Generator) -> nn.Linear:
    """A linear layer with small weights and no bias at first."""
    layer = seeded_linear(inputs, outputs, generator=generator)
    with torch.no_grad():
        layer.weight.mul_(HEAD)
        layer.bias.zero_()
    return layer
