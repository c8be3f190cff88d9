"""Pages of results: Markdown with generated tables and figures between markers, and prose that is written by hand.

::

    <!-- table: times -->            lines of their own: a table, a list or a paragraph
    <!-- end -->
    It took <!-- seconds -->17.5<!-- end --> seconds.     within a sentence, never at the beginning of a line
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from npi.library.tensor_files import write_whole

Rows = Sequence[Sequence[object]]
"""A table; the first row is its head."""

Content = str | Rows
"""What stands between two markers."""

MARKED = re.compile(r"<!-- (?P<block>table: )?(?P<name>(?!end -->)[\w-]+) -->(?P<old>.*?)<!-- end -->", re.DOTALL)

NOTHING = "nothing yet"
"""Between the markers of a table without rows."""


def fill(text: str, contents: Mapping[str, Content]) -> str:
    """A page with these contents between its markers.

    Raises ``ValueError`` where a marker has no content, or a content has no marker.
    """
    names = {found["name"] for found in MARKED.finditer(text)}
    if names != set(contents):
        differing = ", ".join(sorted(names ^ set(contents)))
        raise ValueError(f"markers of the page and generated contents differ in: {differing}")
    return MARKED.sub(lambda found: _marked(found, contents[found["name"]]), text)


def _marked(found: re.Match[str], content: Content) -> str:
    opening = found[0][: found.start("old") - found.start()]
    lines = content if isinstance(content, str) else "\n".join(markdown(content)) or NOTHING
    return f"{opening}\n{lines}\n<!-- end -->" if found["block"] else f"{opening}{lines}<!-- end -->"


def update(path: Path, contents: Mapping[str, Content]) -> None:
    """Fill the page in a file again."""
    write_whole(path, fill(path.read_text(encoding="utf-8"), contents).encode())


def markdown(rows: Rows) -> list[str]:
    """Lines of a Markdown table."""
    if not rows:
        return []
    head, *body = [[str(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Median and range; one value as it is."""
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}"
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"
