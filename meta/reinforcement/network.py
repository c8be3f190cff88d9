"""The network of meta-reinforcement learning: what a world shows, a recurrent layer, a policy and a value.

Every layer has a factor and a summand for each of its units, which are a linear function of the row. Where a world
shows alike things at several places, what is known of each is seen, too (:mod:`meta.reinforcement.object_memory`).
Real-valued channels are seen beside the fields, and a call's payload is drawn from normal distributions.

Shape legend: ``B`` episodes, ``K`` steps, ``N`` = ``K`` × ``B``, ``F`` observation fields, ``V`` values of all fields
and arguments, ``L`` numbers by which they are told apart, ``P`` parameters of a row, ``H`` hidden units, ``G`` = 4
``H`` gates, ``S`` = ``H`` sums over the episode (or none), ``M`` hidden numbers of the object memory, ``A`` calls,
``X`` what a critic knows, or numbers of a payload, ``Y`` real numbers that are observed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from envs.spec import SLOTS, Channel, WorldSpec
from envs.stepper import Action, Observation
from envs.world import Episodes
from meta.reinforcement.lstm import step, unroll
from meta.reinforcement.object_memory import Recall, places
from npi.core.config import SIZE, SWITCH, setting
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Draw, LearnerConfig, LearnerCore, StepOutput, TaskInput, choice
from npi.learners.rollout import calls

LONG = 24
"""A field of more values is seen by how far along it a value lies, so that neighbours look alike."""

BUMPS = 8
"""Places along a long field of which it is told how near a value is."""

HEAD = 0.1
"""By how much the first weights of heads are smaller than others: all calls begin as likely."""

LONGEST = 3.0
"""Units begin to forget between a fourth and, by this much on the gate, a fiftieth of what they hold each step."""

CRITIC_UNITS = 64
"""Of each of the two layers of a privileged critic."""

MAX_CRITIC_CALLS = 32
"""Each costs a question to the world at each step."""

GAP_SCALE = 5.0
"""Gaps between expected rewards are scaled up, so that small ones are told apart."""


SPREAD = -0.7
"""The logarithm of a payload's standard deviation at first: half of what reaches from 0 to a bound at 1."""

NORMAL_ENTROPY = 0.5 + 0.5 * math.log(2 * math.pi)
"""Of a normal distribution of deviation 1."""


@dataclass(frozen=True)
class MetaRLConfig(LearnerConfig):
    """The shape of a core.

    Attributes:
        hidden: H units, each of which carries two numbers.
        object_memory: 1: alike objects at several places have one encoder, and are recognised; 0: their fields are
            encoded as all others are.
        sums: 1: encoded observations are also added up over the episode, and the sums' logarithms are an input.
        privileged: 1: in training, values are those of a critic that is told the expected reward of each call.
        object_slots: 1: in a world of alike objects each has a recurrent state of ``hidden`` units, with shared weights
            (:mod:`meta.reinforcement.object_slots`); the three settings above are of no use then.
    """

    kind: str = "meta-rl"
    row: int = setting(8, SIZE)
    hidden: int = setting(32, SIZE)
    object_memory: int = setting(1, SWITCH)
    sums: int = setting(0, SWITCH)
    privileged: int = setting(0, SWITCH)
    object_slots: int = setting(0, SWITCH)


class Layer(NamedTuple):
    """What a row makes of a layer: ``factor * x + summand``."""

    factor: torch.Tensor
    summand: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addcmul(self.summand, x, self.factor)


class Conditioning(NamedTuple):
    """What lasts a batch: the encoding of each value of its world, and its rows' factors and summands."""

    value_VH: torch.Tensor
    seen: Layer
    gates: Layer
    heads: Layer


class Entered(NamedTuple):
    """What the gates get of observations; sums after each step; the memory's numbers after the last one."""

    in_KBG: torch.Tensor
    sum_KBS: torch.Tensor
    memory_BM: torch.Tensor


class Heads(NamedTuple):
    """Log-probabilities of calls, values, and the means of payloads (None in a world without any)."""

    log_KBA: torch.Tensor
    value_KB: torch.Tensor
    mean_KBX: torch.Tensor | None


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


class ActorCritic(LearnerCore):
    """The core, for some worlds."""

    def __init__(self, config: MetaRLConfig, worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> None:
        super().__init__()
        self.config, H = config, config.hidden
        self.worlds = nn.ModuleList(Adapter(spec, config, generator=generator) for spec in worlds)
        self.condition = seeded_linear(config.row, 2 * (H + 4 * H + H), generator=generator)
        self.summed = H if config.sums else 0
        self.enter = seeded_linear(H + self.summed, 4 * H, generator=generator)
        self.recur_HG = nn.Parameter((2 * torch.rand(H, 4 * H, generator=generator) - 1) / H**0.5)
        self.value = small_head(H, 1, generator=generator)
        with torch.no_grad():
            self.condition.bias.zero_()
            self.enter.bias[H : 2 * H] += 1 + LONGEST * torch.rand(H, generator=generator)

    def hidden_size(self, spec: WorldSpec) -> int:
        """Both numbers of each unit, sums, and the memory's."""
        memories = [adapter.objects for adapter in map(_adapter, self.worlds) if adapter.spec.digest == spec.digest]
        remembered = sum(memory.numbers for memory in memories[:1] if memory is not None)
        return 2 * self.config.hidden + self.summed + remembered

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        """Draw a call, or take the likeliest."""
        return self._step(task, self.conditioning(task), seen, hidden_BH, draw)

    def generate(
        self,
        task: TaskInput,
        seen: Observation,
        respond: Callable[[StepOutput], Observation],
        hidden_BH: torch.Tensor,
        steps: int,
        *,
        draw: Draw | None = None,
    ) -> tuple[list[Observation], list[StepOutput]]:
        """Steps whose conditioning is computed once."""
        conditioning, observed, taken = self.conditioning(task), [seen], list[StepOutput]()
        for _ in range(steps):
            taken.append(self._step(task, conditioning, observed[-1], hidden_BH, draw))
            hidden_BH = taken[-1].hidden_BH
            observed.append(respond(taken[-1]))
        return observed, taken

    def unroll(self, task: TaskInput, episodes: Episodes, hidden_BH: torch.Tensor) -> dict[str, torch.Tensor]:
        """``log_likelihood``, ``entropy`` and ``value``, K × B, of all steps at once.

        Values are the privileged critic's where the episodes have the expected rewards of calls (``call_values``).
        """
        adapter = self.adapter(task)
        parts = [adapter.seen(seen) for seen in episodes.seen[:-1]]
        real = [part.real_NY for part in parts if part.real_NY is not None]
        seen = Seen(torch.stack([part.obs_NF for part in parts]), torch.stack(real) if real else None)
        heads = self._whole(task, seen, hidden_BH, episodes.extras.get("call_values"))
        chosen_KB = adapter.index(calls(episodes))
        log_KB = heads.log_KBA.gather(2, chosen_KB[:, :, None])[:, :, 0]
        entropy_KB = -(heads.log_KBA.exp() * heads.log_KBA).sum(2)
        if heads.mean_KBX is not None and adapter.spread_X is not None:
            payload_KBX = torch.stack([_payload(action) for action in episodes.actions or ()])
            log_KB = log_KB + normal_log(payload_KBX, heads.mean_KBX, adapter.spread_X, adapter.takes_AX[chosen_KB])
            takes_KBX = heads.log_KBA.exp() @ adapter.takes_AX
            entropy_KB = entropy_KB + (takes_KBX * (adapter.spread_X + NORMAL_ENTROPY)).sum(2)
        found = {"log_likelihood": log_KB, "log_calls": heads.log_KBA, "entropy": entropy_KB}
        return found | {"value": heads.value_KB}

    def _whole(
        self, task: TaskInput, seen: Seen, hidden_BH: torch.Tensor, call_value_KBA: torch.Tensor | None
    ) -> Heads:
        """Heads along given observations."""
        conditioning = self.conditioning(task)
        h_BH, c_BH, sum_BS, memory_BM = self._parts(hidden_BH)
        entered = self._enter(task, conditioning, seen, sum_BS, memory_BM)
        h_KBH = unroll(entered.in_KBG, conditioning.gates.factor, self.recur_HG, h_BH, c_BH)
        heads = self._heads(task, conditioning, h_KBH)
        critic = self.adapter(task).critic
        if call_value_KBA is not None and critic is not None:
            known_KBX = torch.cat([conditioning.heads(h_KBH), entered.sum_KBS.log1p()], 2)
            heads = heads._replace(value_KB=critic(known_KBX.detach(), call_value_KBA))
        return heads

    def conditioning(self, task: TaskInput) -> Conditioning:
        """What rows make of the layers."""
        H = self.config.hidden
        parts = self.condition(task.row_BP).split([H, H, 4 * H, 4 * H, H, H], 1)
        layers = (Layer(1 + factor, summand) for factor, summand in zip(parts[::2], parts[1::2], strict=True))
        return Conditioning(self.adapter(task).values(), *layers)

    def calls(self, world: int) -> torch.Tensor:
        """call_A4 of a world, by its index."""
        return _adapter(self.worlds[world]).call_A4

    def adapter(self, task: TaskInput) -> Adapter:
        return _adapter(self.worlds[task.world])

    def _step(
        self,
        task: TaskInput,
        conditioning: Conditioning,
        observed: Observation,
        hidden_BH: torch.Tensor,
        draw: Draw | None,
    ) -> StepOutput:
        h_BH, c_BH, sum_BS, memory_BM = self._parts(hidden_BH)
        adapter = self.adapter(task)
        entered = self._enter(task, conditioning, adapter.seen(observed).one_step(), sum_BS, memory_BM)
        h_BH, c_BH = step(entered.in_KBG[0], conditioning.gates.factor, self.recur_HG, h_BH, c_BH)
        log_BA, value_B, mean_BX = self._heads(task, conditioning, h_BH)
        chosen_B = choice(log_BA.exp(), draw)
        log_B, payload_BX = log_BA.gather(1, chosen_B[:, None])[:, 0], None
        if mean_BX is not None and adapter.spread_X is not None:
            noise_BX = 0.0 if draw is None else draw.normal(mean_BX.shape[1]) * adapter.spread_X.exp()
            payload_BX = (mean_BX + noise_BX).detach()
            log_B = log_B + normal_log(payload_BX, mean_BX, adapter.spread_X, adapter.takes_AX[chosen_B])
        hidden_BH = torch.cat([h_BH, c_BH, entered.sum_KBS[0], entered.memory_BM], 1)
        extras = {"log_likelihood": log_B, "log_calls": log_BA, "value": value_B}
        if payload_BX is not None and mean_BX is not None and adapter.spread_X is not None:
            extras["log_payload"] = normal_log(
                payload_BX[:, None], mean_BX[:, None], adapter.spread_X, adapter.takes_AX
            )
        return StepOutput(Action(adapter.call_A4[chosen_B], payload_BX), hidden_BH, extras)

    def _parts(self, hidden_BH: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """h_BH, c_BH, sum_BS and memory_BM."""
        H = self.config.hidden
        return hidden_BH.tensor_split([H, 2 * H, 2 * H + self.summed], 1)

    def _enter(
        self,
        task: TaskInput,
        conditioning: Conditioning,
        seen: Seen,
        sum_BS: torch.Tensor,
        memory_BM: torch.Tensor,
    ) -> Entered:
        """Observations (K × B first) on their way to the gates."""
        adapter, obs_KBF = self.adapter(task), seen.obs_NF
        K, B, _ = obs_KBF.shape
        seen_NH = adapter.encode(conditioning.value_VH, seen.flat(), task.arguments_B3.repeat(K, 1))
        seen_KBH = seen_NH.view(K, B, -1)
        if adapter.objects is not None:
            known_KBH, memory_BM = adapter.objects(obs_KBF, seen_KBH, task.row_BP, memory_BM)
            seen_KBH = seen_KBH + known_KBH
        seen_KBH = torch.relu(conditioning.seen(seen_KBH))
        sum_KBS = sum_BS + seen_KBH[:, :, : self.summed].cumsum(0)
        in_KBG = conditioning.gates(self.enter(torch.cat([seen_KBH, sum_KBS.log1p()], 2)))
        return Entered(in_KBG, sum_KBS, memory_BM)

    def _heads(self, task: TaskInput, conditioning: Conditioning, h_KBH: torch.Tensor) -> Heads:
        adapter, top_KBH = self.adapter(task), conditioning.heads(h_KBH)
        mean_KBX = None if adapter.payload is None else adapter.payload(top_KBH)
        return Heads(adapter.policy(top_KBH).log_softmax(-1), self.value(top_KBH).squeeze(-1), mean_KBX)


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


def normal_log(
    payload_KBX: torch.Tensor, mean_KBX: torch.Tensor, spread_X: torch.Tensor, takes_KBX: torch.Tensor
) -> torch.Tensor:
    """The log-likelihood of payloads, of the numbers that are taken; ``spread_X`` are logarithms of deviations."""
    distance_KBX = (payload_KBX - mean_KBX) / spread_X.exp()
    return (takes_KBX * (-0.5 * distance_KBX.square() - spread_X - NORMAL_ENTROPY + 0.5)).sum(-1)


def _payload(action: Action) -> torch.Tensor:
    assert action.payload_BX is not None, "a core acts with payloads in a world that takes some"
    return action.payload_BX


def small_head(inputs: int, outputs: int, *, generator: torch.Generator) -> nn.Linear:
    """A linear layer with small weights and no bias at first."""
    layer = seeded_linear(inputs, outputs, generator=generator)
    with torch.no_grad():
        layer.weight.mul_(HEAD)
        layer.bias.zero_()
    return layer
