"""A digest of what old programs put out, to show that a new row changed nothing."""

from __future__ import annotations

from collections.abc import Sequence

from npi.core.base import Core, tensors_digest
from npi.library.kinds import kind_of
from npi.program_memory import ProgramMemory


def fingerprint(core: Core, memory: ProgramMemory, rows: int | Sequence[int], *, seed: int = 0) -> str:
    """sha256 of everything that rows put out in random configurations (:meth:`npi.library.kinds.CoreKind.fingerprint`).

    Args:
        rows: their positions, or how many of the oldest.
    """
    chosen = range(rows) if isinstance(rows, int) else rows
    return tensors_digest(kind_of(core).fingerprint(core, memory, list(chosen), seed=seed))
