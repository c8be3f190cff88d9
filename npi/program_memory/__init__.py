"""The program memory: rows of numbers, and what is known about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from npi.program_memory.memory import GATES, OPEN, ProgramMemory
    from npi.program_memory.row_info import RowInfo

__all__ = ["GATES", "OPEN", "ProgramMemory", "RowInfo"]

__getattr__, __dir__ = lazy(__name__)
