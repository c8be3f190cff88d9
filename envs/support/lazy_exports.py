"""Packages that import what they export when it is asked for, so that a command's ``--help`` needs no torch.

A package names its exports in ``__all__``, and where they come from in imports for type checkers alone
(``if TYPE_CHECKING``), which :func:`lazy` reads.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def lazy(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package."""

    @cache
    def homes() -> dict[str, str | None]:
        tree = ast.parse(Path(str(sys.modules[package].__file__)).read_text("utf-8"))
        blocks = [node for node in tree.body if isinstance(node, ast.If)]
        imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
        return {alias.name: node.module for node in imports for alias in node.names}

    def __getattr__(name: str) -> Any:
        home = None if name[:1] == "_" else homes().get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home), name)

    def __dir__() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return __getattr__, __dir__
