"""The time-major record of a rollout, a demonstration, a support set or a replay sample.

Shape legend: ``T`` steps, ``B`` instances, ``P`` numbers of a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from envs.stepper import Action, Observation
from envs.support.lazy_torch import torch


@dataclass(frozen=True)
class Episodes:
    """T steps of B instances, or a stretch of them.

    Attributes:
        seen: T + 1 observations: before each action, and after the last one.
        actions: T of them; None where nothing was done, as in a set of examples.
        scores: by name, T × B: after each action (:class:`envs.world.Scored`).
        live_TB: bool, whether the instance still went on when it acted; what follows an end counts for nothing.
        ended_TB: bool, whether it came to a true end by this action. A stretch that is cut ends nothing.
        row_BP: the row of each instance, where a learner acted.
        extras: what else was noted, by name, T × B × … (log-likelihoods, values, privileged ones …).
        first_step: how many steps lie before these.
    """

    seen: Sequence[Observation]
    actions: Sequence[Action] | None
    scores: Mapping[str, torch.Tensor]
    live_TB: torch.Tensor
    ended_TB: torch.Tensor
    row_BP: torch.Tensor | None = None
    extras: Mapping[str, torch.Tensor] = field(default_factory=dict)
    first_step: int = 0

    def __post_init__(self) -> None:
        shape = tuple(self.live_TB.shape)
        if len(self.seen) != shape[0] + 1 or (self.actions is not None and len(self.actions) != shape[0]):
            raise ValueError(f"episodes of {shape[0]} steps have one observation more, here are {len(self.seen)}")
        for name, score_TB in {**self.scores, "ended": self.ended_TB}.items():
            if tuple(score_TB.shape) != shape:
                raise ValueError(f"episodes of {shape[0]} steps and {shape[1]} instances: {name} has another shape")

    @property
    def steps(self) -> int:
        return len(self.live_TB)

    @property
    def batch(self) -> int:
        return self.live_TB.shape[1]
