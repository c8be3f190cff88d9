"""One frozen core into which any program over symbols is written, as a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from npi.universal.plan import describe, plan_of

__all__ = [
    "describe",
    "plan_of",
]

__getattr__, __dir__ = lazy(__name__)
