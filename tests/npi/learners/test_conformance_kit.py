"""The kit that holds a learner to its promises: a whole one passes, and each broken one is told what it breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from envs import make
from npi.learners.conformance import LearnerError, check_learner
from npi.learners.interface import Asked, Roll, Step
from tests.support.tiny_learner import LEARNER, Net, Tiny


def the_world() -> Any:
    return make("bandit", "arms", {"family": "easy"})


LAYOUTS = [{"EPISODE": [k]} for k in range(5)]


class Chancy(Tiny):
    """Takes its chance from nowhere."""

    def step(self, net: Any, asked: Asked, seen: torch.Tensor, hidden_BH: torch.Tensor, *, generator: Any) -> Step:
        found = super().step(net, asked, seen, hidden_BH, generator=generator)
        return replace_act(found, 1 + torch.randint(2, (len(seen),)))


class Blind(Tiny):
    """Does not look at rows."""

    def step(self, net: Any, asked: Asked, seen: torch.Tensor, hidden_BH: torch.Tensor, *, generator: Any) -> Step:
        asked = replace(asked, row_BP=torch.zeros_like(asked.row_BP))
        return super().step(net, asked, seen, hidden_BH, generator=generator)


class Remembers(Tiny):
    """Keeps what it knows in itself."""

    hidden: torch.Tensor | None = None

    def step(self, net: Any, asked: Asked, seen: torch.Tensor, hidden_BH: torch.Tensor, *, generator: Any) -> Step:
        kept = self.hidden if self.hidden is not None and len(self.hidden) == len(seen) else hidden_BH
        found = super().step(net, asked, seen, kept if bool(seen[:, 2].any()) else hidden_BH, generator=generator)
        self.hidden = found.hidden_BH.detach()
        return Step(found.act, torch.zeros_like(hidden_BH), found.notes)


class LooksRound(Tiny):
    """Does what the others of the batch do."""

    def step(self, net: Any, asked: Asked, seen: torch.Tensor, hidden_BH: torch.Tensor, *, generator: Any) -> Step:
        found = super().step(net, asked, seen, hidden_BH, generator=generator)
        return replace_act(found, torch.full((len(seen),), min(2, len(seen))))


class Outside(Tiny):
    """Calls what there is not."""

    def step(self, net: Any, asked: Asked, seen: torch.Tensor, hidden_BH: torch.Tensor, *, generator: Any) -> Step:
        found = super().step(net, asked, seen, hidden_BH, generator=generator)
        return replace_act(found, torch.full((len(seen),), 3))


class Weighs(Tiny):
    """Asks what calls are worth that there are not."""

    def step(self, net: Any, asked: Asked, seen: torch.Tensor, hidden_BH: torch.Tensor, *, generator: Any) -> Step:
        found = super().step(net, asked, seen, hidden_BH, generator=generator)
        return found._replace(weighed_A4=torch.tensor([[0, 1, 0, 0], [0, 3, 0, 0]]))


class Lifeless(Tiny):
    """Has a loss that depends on nothing."""

    def loss(self, net: Any, roll: Roll) -> torch.Tensor:
        return super().loss(net, roll).detach()


class Careless(Tiny):
    """Judges the batch in place of its problems."""

    def judge(self, world: Any, roll: Roll) -> dict[str, torch.Tensor]:
        return {"reward": roll.signal_KB.sum()}


class Seedless(Tiny):
    """Draws its core by itself."""

    def network(self, config: Any, worlds: Any, *, generator: torch.Generator) -> Net:
        return super().network(config, worlds, generator=torch.Generator().manual_seed(0))


class Loud(Tiny):
    """Learns from what its world does not have."""

    signal = "loss"


def replace_act(step: Step, token_B: torch.Tensor) -> Step:
    call_B4 = step.act.clone()
    call_B4[:, 1] = token_B
    return step._replace(act=call_B4)


def test_the_tiny_learner_keeps_its_promises() -> None:
    check_learner(LEARNER, the_world(), LAYOUTS)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Chancy, "without a generator|global chance"),
        (Blind, "two rows do the same"),
        (Remembers, "what is remembered must be in hidden_BH"),
        (LooksRound, "must not look at others"),
        (Outside, "must be a call that the world carries out"),
        (Weighs, "weighed calls must be such"),
        (Lifeless, "must have a graph"),
        (Careless, "must be 5 finite numbers"),
        (Seedless, "two seeds gave one core"),
        (Loud, "has no loss"),
    ],
)
def test_broken_learners_are_told_what_they_break(broken: Callable[[], Tiny], told: str) -> None:
    with pytest.raises((LearnerError, ValueError), match=told):
        check_learner(broken(), the_world(), LAYOUTS)
