"""What off-policy objectives remember: transitions by column, in the order in which rollouts brought them.

Shape legend: ``T`` steps, ``B`` instances, ``M`` transitions, ``K`` steps of a return.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch

from envs.stepper import Observation
from envs.world import Episodes
from npi.learners.rollout import calls
from npi.learners.tasks import Batch

Shard = Mapping[str, torch.Tensor]
"""Transitions that were appended together, by column, M first."""

SCORE = "score."
"""The beginning of the columns of scores."""


@final
class Memory:
    """The transitions of the last rollouts, side by side in one block for each column, the oldest first.

    Args:
        shards: rollouts that are remembered.
    """

    def __init__(self, shards: int) -> None:
        self.shards = shards
        self._places: dict[int, tuple[int, int]] = {}
        self._blocks: dict[str, torch.Tensor] = {}

    def __len__(self) -> int:
        return self._end - self._begin

    @property
    def _begin(self) -> int:
        return next(iter(self._places.values()))[0] if self._places else 0

    @property
    def _end(self) -> int:
        return next(reversed(self._places.values()))[1] if self._places else 0

    def append(self, number: int, shard: Shard) -> None:
        """The transitions of a rollout; those of the oldest one go where there are too many."""
        for oldest in list(self._places)[: max(0, len(self._places) + 1 - self.shards)]:
            del self._places[oldest]
        count = len(next(iter(shard.values())))
        self._make_room(shard, count)
        begin = self._end
        for name, column in shard.items():
            self._blocks[name][begin : begin + count] = column
        self._places[number] = begin, begin + count

    def _make_room(self, shard: Shard, count: int) -> None:
        """Move what is remembered to the front of its block, or of one that is twice as large as needed."""
        begin, end = self._begin, self._end
        room = len(next(iter(self._blocks.values()))) if self._blocks else 0
        if end + count <= room:
            return
        size = room if 2 * (end - begin + count) <= room else 2 * (end - begin + count)
        for name, column in shard.items():
            block = column.new_empty(size, *column.shape[1:])
            if end > begin:
                block[: end - begin] = self._blocks[name][begin:end]
            self._blocks[name] = block
        self._places = {number: (first - begin, last - begin) for number, (first, last) in self._places.items()}

    def sample(self, index_M: torch.Tensor) -> dict[str, torch.Tensor]:
        """The transitions of these places, 0 the oldest."""
        return {name: block[self._begin + index_M] for name, block in self._blocks.items()}

    def by_number(self) -> dict[int, Shard]:
        """What each rollout brought, by its number."""
        return {
            number: {name: block[begin:end] for name, block in self._blocks.items()}
            for number, (begin, end) in self._places.items()
        }


def transitions(
    episodes: Episodes, batch: Batch, remembered: Sequence[Observation], returns: int
) -> dict[str, torch.Tensor]:
    """The live steps of episodes as columns.

    Args:
        remembered: what is kept of each of the T + 1 observations. returns: K, so many scores are kept of each step on;
            ``after`` is the observation behind them, or where the episode ends or is cut before. ``steps`` is how many
            there are.
    """
    assert episodes.actions is not None
    live_TB, T = episodes.live_TB, episodes.steps
    left_TB = live_TB.long().flip(0).cumsum(0).flip(0)
    steps_TB = left_TB.clamp(max=returns)
    time_T1 = torch.arange(T, device=live_TB.device)[:, None]
    after_TB = time_T1 + steps_TB
    payloads = [action.payload_BX for action in episodes.actions if action.payload_BX is not None]
    columns = {
        "order": batch.whole * time_T1 + batch.index_B,
        "row": batch.row_B.expand(T, -1),
        "arguments": batch.arguments_B3.expand(T, -1, -1),
        "call": calls(episodes),
        "steps": steps_TB,
        "ended": episodes.ended_TB.gather(0, (after_TB - 1).clamp(min=0)),
        **{SCORE + name: scores_ahead(score_TB * live_TB, returns) for name, score_TB in episodes.scores.items()},
        **packed(remembered[:-1], "seen"),
        **{name: at_steps(column, after_TB) for name, column in packed(remembered, "after").items()},
    }
    if payloads:
        columns["payload"] = torch.stack(payloads)
    return {name: column[live_TB] for name, column in columns.items()}


def scores_ahead(score_TB: torch.Tensor, returns: int) -> torch.Tensor:
    """T × B × K: the scores of each step and of those after it, zeros behind the last one."""
    zeros = score_TB.new_zeros(returns - 1, *score_TB.shape[1:])
    return torch.cat([score_TB, zeros]).unfold(0, returns, 1)


def at_steps(column_JB: torch.Tensor, place_TB: torch.Tensor) -> torch.Tensor:
    """T × B × …: for each step of each instance what stands in its column at a place."""
    instance_B = torch.arange(column_JB.shape[1], device=column_JB.device)
    return column_JB[place_TB, instance_B]


def packed(seen: Sequence[Observation], prefix: str) -> dict[str, torch.Tensor]:
    """Observations as columns, T × B first. Ragged channels are no part of a transition."""
    found = {f"{prefix}.fields": torch.stack([observation.fields_BF for observation in seen])}
    for name in seen[0].channels:
        parts = [observation.channels[name] for observation in seen]
        if isinstance(parts[0], torch.Tensor):
            found[f"{prefix}.channels.{name}"] = torch.stack([part for part in parts if isinstance(part, torch.Tensor)])
    return found


def unpacked(sample: Shard, prefix: str) -> Observation:
    """The inverse of :func:`packed`, for a sample."""
    start = f"{prefix}.channels."
    channels = {name.removeprefix(start): column for name, column in sample.items() if name.startswith(start)}
    return Observation(sample[f"{prefix}.fields"], channels)


def discounted(score_MK: torch.Tensor, discount: float) -> torch.Tensor:
    """float32 M: the sum of scores, each discounted by its place."""
    return score_MK @ discount ** torch.arange(score_MK.shape[1], dtype=score_MK.dtype, device=score_MK.device)
