"""The smallest learners that are whole: a policy that remembers in a GRU, and a rate for every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from envs.spec import SLOTS, WorldSpec
from envs.world import World
from npi.learners.interface import Asked, HostedConfig, HostedTraining, Roll, Step


@dataclass(frozen=True)
class TinyConfig(HostedConfig):
    """Of :class:`Tiny`."""

    kind: str = "tiny"
    row: int = 4
    hidden: int = 16


class Net(nn.Module):
    """Fields and row into a GRU, out comes a choice."""

    def __init__(self, config: TinyConfig, spec: WorldSpec, generator: torch.Generator) -> None:
        super().__init__()
        self.sizes = [field.size for field in spec.fields]
        self.choices = len(spec.primitives[0].slots[0].tokens)
        self.cell = nn.GRUCell(sum(self.sizes) + config.row, config.hidden)
        self.head = nn.Linear(config.hidden + config.row, self.choices)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2, generator=generator)


class Tiny:
    """REINFORCE with the mean of the batch as baseline (implements ``Learner``)."""

    kind, signal, anywhere = "tiny", "reward", False
    config = TinyConfig
    training = HostedTraining(updates=60, batch=32, rate=1e-2, check_every=20, problems=32)
    learning = HostedTraining(updates=20, batch=32, check_every=10, problems=32, starts=2)

    def admit(self, spec: WorldSpec) -> None:
        if len(spec.primitives) != 1:
            raise ValueError(f"world {spec.name} has several primitives; tiny learners take one")

    def network(self, config: Any, worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> nn.Module:
        (spec,) = worlds
        return Net(config, spec, generator)

    def width(self, net: nn.Module, world: World[Any]) -> int:
        assert isinstance(net, Net)
        return net.cell.hidden_size

    def step(
        self, net: nn.Module, asked: Asked, seen: torch.Tensor, hidden_BH: torch.Tensor, *,
        generator: torch.Generator | None,
    ) -> Step:  # fmt: skip
        assert isinstance(net, Net)
        shown = [nn.functional.one_hot(c, n).float() for c, n in zip(seen.unbind(1), net.sizes, strict=True)]
        hidden_BH = net.cell(torch.cat([*shown, asked.row_BP], 1), hidden_BH)
        chance_BA = net.head(torch.cat([hidden_BH, asked.row_BP], 1)).log_softmax(1)
        chosen_B = chance_BA.argmax(1)
        if generator is not None:
            chosen_B = torch.multinomial(chance_BA.detach().exp(), 1, generator=generator)[:, 0]
        call_B4 = torch.zeros(len(seen), 1 + SLOTS, dtype=torch.int64, device=seen.device)
        call_B4[:, 1] = 1 + chosen_B
        return Step(call_B4, hidden_BH, {"log": chance_BA.gather(1, chosen_B[:, None])[:, 0]})

    def loss(self, net: nn.Module, roll: Roll) -> torch.Tensor:
        left_KB, left_B = [], torch.zeros_like(roll.first_B)
        for reward_B in roll.signal_KB.flip(0):
            left_B = reward_B + 0.5 * left_B
            left_KB.append(left_B)
        gain_KB = torch.stack(left_KB[::-1])
        gain_KB = (gain_KB - gain_KB.mean()) / (gain_KB.std() + 1e-6)
        return -(roll.notes["log"] * gain_KB).mean()

    def judge(self, world: World[Any], roll: Roll) -> dict[str, torch.Tensor]:
        found = {"reward": roll.signal_KB.sum(0)}
        return found if roll.regret_KB is None else {**found, "regret": roll.regret_KB.sum(0)}


LEARNER = Tiny()
