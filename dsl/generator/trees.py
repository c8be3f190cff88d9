"""Syntax trees looked through and rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dsl.text import syntax as s


def words(item: Any) -> set[str]:
    """The names in expressions."""
    return {node.text for node in s.nodes(item) if isinstance(node, s.Name)}


def calls(item: Any, name: str) -> bool:
    """Whether a call of that name is among the statements."""
    return any(isinstance(node, s.Call) and node.name == name for node in s.nodes(item))


def mapped(item: Any, change: Callable[[Any], Any]) -> Any:
    """A tree or a tuple of trees with every node changed, from the inside out."""
    if isinstance(item, tuple):
        return tuple(mapped(part, change) for part in item)
    if not isinstance(item, s.Node):
        return item
    parts = {name: mapped(part, change) for name, part in vars(item).items() if isinstance(part, s.Node | tuple)}
    return change(replace(item, **parts) if parts else item)


def renamed(program: s.Program, name: str) -> s.Program:
    """A program under another name, also where it calls itself."""

    def change(node: Any) -> Any:
        return replace(node, name=name) if isinstance(node, s.Call) and node.name == program.name else node

    return replace(program, name=name, body=mapped(program.body, change))
