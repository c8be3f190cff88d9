"""What ``begin`` makes of episodes, kept for cores whose hidden numbers last an episode.

A program with a body can call a learned one many times in an episode, and a support set is dear to encode: it is found
again by its content, so what is kept is what would be computed.

Shape legend: ``B`` instances, ``M`` of them that are new, ``H`` hidden numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import final

import numpy as np
import torch

from envs.spec import WorldSpec
from envs.stepper import Observation, Ragged
from npi.learners.interface import LearnerCore, TaskInput

MAX_BYTES = 256 << 20
"""Of hidden numbers that are kept; what was used longest ago goes first. Those of the present batch always stay."""


@final
class EncodedEpisodes:
    """Hidden numbers by the content of episodes (:attr:`LearnerCore.constant_hidden`).

    Args:
        core: whose parameters stay as they are meanwhile.
        max_bytes: see :data:`MAX_BYTES`.
    """

    def __init__(self, core: LearnerCore, *, max_bytes: int = MAX_BYTES) -> None:
        self.core, self.max_bytes = core, max_bytes
        self.encoded = 0
        """How many episodes were encoded so far."""
        self._kept: dict[bytes, torch.Tensor] = {}

    def hidden(self, task: TaskInput, seen: Observation, program_B: torch.Tensor) -> torch.Tensor:
        """hidden_BH of ``begin``, which is asked about those episodes alone that are not kept.

        Args:
            program_B: tells rows apart.
        """
        keys = episode_keys(task.spec, seen, torch.cat([program_B[:, None], task.arguments_B3], 1))
        first = {key: place for place, key in reversed([*enumerate(keys)])}
        new = {key: place for key, place in first.items() if key not in self._kept}
        if new:
            index_M = torch.tensor([*new.values()], device=program_B.device)
            part = TaskInput(task.spec, task.world, task.row_BP[index_M], task.arguments_B3[index_M])
            hidden_MH = self.core.begin(part, seen.select(index_M))
            self._kept |= {key: hidden_H.clone() for key, hidden_H in zip(new, hidden_MH, strict=True)}
            self.encoded += len(new)
        for key in first:  # those used last come last
            self._kept[key] = self._kept.pop(key)
        hidden_BH = torch.stack([self._kept[key] for key in keys])
        self._forget(keep=len(first))
        return hidden_BH

    def _forget(self, *, keep: int) -> None:
        sizes = {key: hidden_H.nbytes for key, hidden_H in self._kept.items()}
        excess = sum(sizes.values()) - self.max_bytes
        for key in [*sizes][: len(sizes) - keep]:
            if excess <= 0:
                return
            excess -= sizes[key]
            del self._kept[key]


def episode_keys(spec: WorldSpec, seen: Observation, called_B4: torch.Tensor) -> Sequence[bytes]:
    """For each instance a sha256 of what is called and of the channels that last an episode."""
    names = sorted(channel.name for channel in spec.channels if channel.per == "episode")
    found = [hashlib.sha256(row) for row in called_B4.cpu().numpy()]
    for name in names:
        held = seen.channels[name]
        part_B, length_B = (held.padded_BLX, held.lengths_B.tolist()) if isinstance(held, Ragged) else (held, None)
        array_B = np.ascontiguousarray(part_B.cpu().numpy())
        for place, digest in enumerate(found):
            row = array_B[place] if length_B is None else array_B[place, : length_B[place]]
            digest.update(f"{name} {row.shape} {row.dtype}".encode())
            digest.update(np.ascontiguousarray(row).data)
    return [digest.digest() for digest in found]
