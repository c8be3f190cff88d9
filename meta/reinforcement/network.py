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

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from envs.spec import WorldSpec
from envs.stepper import Action, Observation
from envs.world import Episodes
from meta.reinforcement.adapter import Adapter, Seen, small_head
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.lstm import step, unroll
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Draw, LearnerCore, StepOutput, TaskInput, choice
from npi.learners.rollout import calls

LONGEST = 3.0
"""Units begin to forget between a fourth and, by this much on the gate, a fiftieth of what they hold each step."""

NORMAL_ENTROPY = 0.5 + 0.5 * math.log(2 * math.pi)
"""Of a normal distribution of deviation 1."""


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


def normal_log(
    payload_KBX: torch.Tensor, mean_KBX: torch.Tensor, spread_X: torch.Tensor, takes_KBX: torch.Tensor
) -> torch.Tensor:
    """The log-likelihood of payloads, of the numbers that are taken; ``spread_X`` are logarithms of deviations."""
    distance_KBX = (payload_KBX - mean_KBX) / spread_X.exp()
    return (takes_KBX * (-0.5 * distance_KBX.square() - spread_X - NORMAL_ENTROPY + 0.5)).sum(-1)


def _payload(action: Action) -> torch.Tensor:
    assert action.payload_BX is not None, "a core acts with payloads in a world that takes some"
    return action.payload_BX
