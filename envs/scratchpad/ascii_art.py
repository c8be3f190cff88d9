"""Plain-text drawings of rows of cells with pointers under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BLANK_CELL = "·"
CUT = "…"
MIN_COLUMNS = 8
"""However narrow the page, so many cells of a row are drawn."""


@dataclass(frozen=True)
class DrawnRow:
    """A row as it is drawn.

    Attributes:
        values: the text of each index. cells: indices, the first of them in column ``start``.
        endless: whether columns beyond the cells are blank cells; otherwise there is nothing.
        pointers: (name, column) of those that stand on the row.
    """

    name: str
    values: tuple[str, ...]
    cells: Sequence[int]
    start: int
    endless: bool
    pointers: tuple[tuple[str, int], ...]

    def text(self, column: int) -> str:
        index = column - self.start
        if 0 <= index < len(self.cells):
            return self.values[self.cells[index]]
        return BLANK_CELL if self.endless else ""


def draw_rows(rows: Sequence[DrawnRow], *, width: int) -> str:
    """One line a row, columns aligned, and below it a ``^`` under each pointer with the names at the end.

    Pointers on one cell are joined by ``=``. Rows that do not fit into ``width`` characters are cut to the columns
    around the pointers, ``…`` marking the cut; a pointer outside them is named with the way to it, ``P(98 left)``.
    """
    label = max(len(row.name) for row in rows) + 2
    cell = max(len(value) for row in rows for value in row.values)
    pitch = cell if cell == 1 else cell + 1
    names = max(len(_names(row, *_extent(rows))) for row in rows)
    first, last = _window(rows, (width - label - 2 - names) // pitch, (width - label - 3 - 2 * names) // pitch)
    lines: list[str] = []
    for row in rows:
        shown = [row.text(column).rjust(cell).ljust(pitch) for column in range(first, last + 1)]
        before = CUT if len(row.cells) and row.start < first else " "
        after = CUT if len(row.cells) and row.start + len(row.cells) - 1 > last else ""
        lines.append(f"{row.name:<{label - 1}}{before}{''.join(shown).rstrip()}{after}")
        if row.pointers:
            under = {column for _, column in row.pointers}
            marks = "".join(("^" if c in under else "").rjust(cell).ljust(pitch) for c in range(first, last + 1))
            lines.append(f"{'':<{label}}{marks.rstrip()} {_names(row, first, last)}")
    return "\n".join(lines)


def _extent(rows: Sequence[DrawnRow]) -> tuple[int, int]:
    """First and last column that holds a cell or a pointer."""
    filled = [row for row in rows if len(row.cells)]
    stands = [column for row in rows for _, column in row.pointers]
    first = min([*stands, *(row.start for row in filled)], default=0)
    return first, max([*stands, *(row.start + len(row.cells) - 1 for row in filled)], default=0)


def _window(rows: Sequence[DrawnRow], room: int, cut_room: int) -> tuple[int, int]:
    """First and last column to draw: all where ``room`` columns are enough, else ``cut_room`` around the pointers."""
    first, last = _extent(rows)
    if last - first < max(MIN_COLUMNS, room):
        return first, last
    room = max(MIN_COLUMNS, cut_room)
    stands = [column for row in rows for _, column in row.pointers] or [first]
    middle = (min(stands) + max(stands)) // 2 if max(stands) - min(stands) < room else stands[0]
    begin = min(max(first, middle - room // 2), last - room + 1)
    return begin, begin + room - 1


def _names(row: DrawnRow, first: int, last: int) -> str:
    """The pointers from left to right, for those outside the window how far it is to them."""
    names: list[str] = []
    for column in sorted({column for _, column in row.pointers}):
        name = "=".join(name for name, at in row.pointers if at == column)
        away = f"({first - column} left)" if column < first else f"({column - last} right)" if column > last else ""
        names.append(name + away)
    return " ".join(names)
