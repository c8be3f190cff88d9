"""torch, imported when something of it is first used.

Reading, checking and trying program files needs none of it, and importing it takes a second.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["torch"]


class Later:
    """A module that is not imported yet; each of its names is looked up once."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, found)
        return found


if TYPE_CHECKING:
    import torch
else:
    torch = Later("torch")
