"""A table with blocks, seen from the side, drawn as text."""

from __future__ import annotations

from collections.abc import Sequence

from envs.control.stacking_hand import FLOOR, SIDE, WALL

COLUMNS = 5
"""Of a block."""


def drawing(
    names: str, places: Sequence[Sequence[float]], hand: Sequence[float], *, closed: bool, task: str, width: int = 100
) -> str:
    """Blocks as ``[a]`` on a table, the gripper as ``| |`` or, closed, ``><``, under what is to be built.

    Args:
        places, hand: x and y of each, in units of length.
    """
    side = max(3, min(COLUMNS, int(width / (2 * WALL / SIDE + 1))))
    columns, rows = round((2 * WALL / SIDE + 1) * side), 1 + max(round((y - FLOOR) / SIDE) for _, y in [*places, hand])
    lines = [[" "] * columns for _ in range(rows)]

    def put(x: float, y: float, text: str) -> None:
        column, row = round((x + WALL) / SIDE * side + side / 2 - len(text) / 2), round((y - FLOOR) / SIDE)
        column = max(0, min(columns - len(text), column))
        lines[rows - 1 - row][column : column + len(text)] = text

    for name, (x, y) in zip(names, places, strict=False):
        put(x, y, f"[{name}]")
    column, row = round((hand[0] + WALL) / SIDE * side + side / 2), rows - 1 - round((hand[1] - FLOOR) / SIDE)
    for mark, at in zip("><" if closed else "||", (column - side // 2, column + side // 2 - 1), strict=True):
        lines[row][max(0, min(columns - 1, at))] = mark
    return "\n".join([task, *("".join(line).rstrip() for line in lines), "=" * columns])
