"""Packages that import what they export when it is asked for, so that a command's ``--help`` needs no torch.

A package lists its exports once for Python (:func:`lazy`) and once for type checkers (``if TYPE_CHECKING``); a test
holds the two lists against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy(
    package: str, homes: Mapping[str, Sequence[str]], own: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its name. homes: for each module, the names that the package exports from it.
        own: names that the package defines itself.
    """
    where = {name: module for module, names in homes.items() for name in names}

    def __getattr__(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(where[name]), name)

    def __dir__() -> list[str]:
        return sorted([*where, *own])

    return __getattr__, __dir__
