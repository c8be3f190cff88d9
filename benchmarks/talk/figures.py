"""Figures, read from the tables of the pages under ``docs/results``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from benchmarks.common import RESULTS
from benchmarks.talk.entries import Cell
from npi.reproduce.pages import MARKED

NONE = "–"
"""Stands where there is no figure."""


@cache
def marked(page: str) -> Mapping[str, str]:
    """What stands between the markers of a page, by name."""
    text = (RESULTS / f"{page}.md").read_text(encoding="utf-8")
    return {found["name"]: found["old"].strip() for found in MARKED.finditer(text)}


def figure(cell: Cell) -> str:
    """The text of a figure; ``ValueError`` where the page has no such table, row or column."""
    blocks = marked(cell.page)
    name = cell.table or cell.column
    if name not in blocks:
        raise ValueError(f"docs/results/{cell.page}.md has no {name}; there are {', '.join(blocks)}")
    if not cell.table:
        return " ".join(blocks[name].split())
    head, _, *lines = ([part.strip() for part in line.strip("| ").split(" | ")] for line in whole(blocks[name]))
    if cell.column not in head:
        raise ValueError(f"docs/results/{cell.page}.md, {cell.table}: no column {cell.column}; there are {head}")
    found = [line for line in lines if tuple(part.strip("*") for part in line[: len(cell.row)]) == cell.row]
    if len(found) != 1 and not (found and len({line[head.index(cell.column)] for line in found}) == 1):
        raise ValueError(f"docs/results/{cell.page}.md, {cell.table}: {len(found)} rows begin with {cell.row}")
    return found[0][head.index(cell.column)]


def whole(block: str) -> list[str]:
    """The lines of a table, with its empty cells kept apart."""
    return [line.replace("|  |", "| – |").replace("|  |", "| – |") for line in block.splitlines()]


def said(part: tuple[str, *tuple[Cell, ...]]) -> str:
    """A text with its figures."""
    text, *cells = part
    return text.format(*map(figure, cells))
