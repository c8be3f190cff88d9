"""Steps apart from their frames, each with the place of its program at which it is made.

Shape legend: ``S`` steps, ``F`` fields of the observation, ``N`` ids of a table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from envs.spec import RETURN, ProgramTable
from traces.recording.unique_frames import FrameSet


def renumbered_calls(call_S4: torch.Tensor, rows_N: torch.Tensor) -> torch.Tensor:
    """Calls, int64, whose callees are the row of each id; returns stay returns."""
    lookup = torch.cat([rows_N, torch.tensor([RETURN])])  # index −1 is the last
    call_S4 = call_S4.to(torch.int64)
    return torch.cat([lookup[call_S4[:, :1]], call_S4[:, 1:]], 1)


@dataclass(frozen=True)
class PlacedSteps:
    """S steps with their places, as columns; what is not read may be anything.

    Attributes:
        program_S: ids of the table. place_S, after_S: the place before each step, and after it (0: a frame's
            beginning, and after a return).
        obs_SF, arguments_S3, call_S4: as in frames. count_S: how often each was seen; 0 for one that no trace shows.
    """

    table: ProgramTable
    program_S: torch.Tensor
    place_S: torch.Tensor
    after_S: torch.Tensor
    obs_SF: torch.Tensor
    arguments_S3: torch.Tensor
    call_S4: torch.Tensor
    count_S: torch.Tensor

    @property
    def columns(self) -> dict[str, torch.Tensor]:
        """Its tensors, by name."""
        return {name: column for name, column in vars(self).items() if name != "table"}

    @classmethod
    def of(cls, frames: FrameSet, before_S: torch.Tensor, after_S: torch.Tensor) -> PlacedSteps:
        """The steps of frames, and their places."""
        length = frames.length_M
        return cls(
            frames.table,
            frames.program_M.repeat_interleave(length),
            before_S,
            after_S,
            frames.obs_SF,
            frames.arguments_M3.repeat_interleave(length, 0),
            frames.call_S4,
            frames.count_M.repeat_interleave(length),
        )

    def renumbered(self, rows_N: torch.Tensor) -> PlacedSteps:
        """With programs and callees renumbered from ids of the table to the row of each."""
        return replace(self, program_S=rows_N[self.program_S], call_S4=renumbered_calls(self.call_S4, rows_N))
