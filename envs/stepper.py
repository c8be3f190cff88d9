"""The plug that teacher, core, table and test script share.

One step of one frame, for a batch (NPI section 3, equations 1–4): what is observed, which program runs with which
arguments, and the frame's hidden state go in; a call (or a return) and the next hidden state come out.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

from envs.support.lazy_torch import torch


class Decision(NamedTuple):
    """call_B4 (int64: callee or RETURN, three tokens) and the frame's next hidden state, hidden_BH."""

    call_B4: torch.Tensor
    hidden_BH: torch.Tensor


class Stepper(Protocol):
    """Anything that can decide a frame's next call.

    Attributes:
        width: H, how many numbers a frame carries from step to step. Every frame begins with H zeros (h ← 0).
        dtype: of those numbers; int64 for a teacher or a table, a float type for a network.
    """

    width: int
    dtype: torch.dtype

    def step(
        self,
        obs_BF: torch.Tensor,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
    ) -> Decision:
        """Decide for every instance; program_B holds ids of the table that the stepper was made for."""
        ...


@runtime_checkable
class Attentive(Protocol):
    """A stepper that looks past what is observed, at the state of the world itself: at a gradient, for example."""

    def attend(self, world: Any, state: Any) -> None:
        """The state that the next steps are about, whose instances are those of the batch, in their order."""
        ...
