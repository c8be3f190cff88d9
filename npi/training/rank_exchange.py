"""What ranks do for each other beside gradients: read a trace set's shards, validate, and hand a state on."""

from __future__ import annotations

import torch

from envs.spec import ProgramTable
from npi.training.frame_objective import COLUMNS
from npi.training.ranks import Parcel, Ranks
from npi.training.validation import Validation, Validator
from traces.recording.unique_frames import FrameSet, unique_frames, united
from traces.storage.trace_set import TraceSet


def shared_frames(traces: TraceSet, ranks: Ranks) -> FrameSet:
    """The different frames of a trace set, of which each rank reads (and checks) its own shards only.

    Bit-identical, whatever the number of ranks, with ``unique_frames(traces.batches())``.

    Raises:
        TraceSetError: on the rank that reads a damaged shard.
        ValueError: for a set without traces, or with unfinished ones.
    """
    if ranks.alone:
        traces.check()
        return unique_frames(traces.batches())
    numbers = ranks.share(torch.arange(len(traces.shards))).tolist()
    traces.check(numbers)
    mine = [unique_frames(traces.batches(numbers), numbers)] if numbers else []
    parts = [frames for parcel in ranks.gather(pack_frames(mine)) for frames in unpack_frames(parcel)]
    return united(parts)


class FirstValidator:
    """A validator that runs on the first rank, and says everywhere what it found there.

    Args:
        validate: of the tasks, or of tasks and proofs; the other ranks wait for it.
    """

    def __init__(self, validate: Validator, ranks: Ranks) -> None:
        self.validate, self.ranks = validate, ranks

    def __call__(self, turn: int) -> Validation:
        """The first rank's validation, with equal frames on all of them."""

        def ask() -> Parcel:
            found = self.validate(turn)
            return pack_frames(found.frames, about=[found.problems, found.solved, found.spared])

        parcel = self.ranks.from_first(ask)
        problems, solved, spared = parcel.about["more"]
        return Validation(problems, solved, tuple(unpack_frames(parcel)), spared)


def pack_frames(found: list[FrameSet] | tuple[FrameSet, ...], about: object = None) -> Parcel:
    """Frame sets with their tables, and something JSON-able beside them."""
    tensors = {f"{n}.{name}": getattr(frames, name) for n, frames in enumerate(found) for name in COLUMNS}
    return Parcel(tensors, {"tables": [frames.table.to_json() for frames in found], "more": about})


def unpack_frames(parcel: Parcel) -> list[FrameSet]:
    """The inverse of :func:`pack_frames`."""
    return [
        FrameSet(ProgramTable.from_json(table), **{name: parcel.tensors[f"{n}.{name}"] for name in COLUMNS})
        for n, table in enumerate(parcel.about["tables"])
    ]
