"""The gallery: every picture, film and sound of the docs on one page, each with the command that makes it.

    python -m benchmarks.gallery     # writes docs/gallery.md

Nothing is run. What a page of results shows is found on the page, which says by what it is made; pages of the manual
that show something, and sounds, are data here (:data:`SHOWN`). A picture that two pages show stands there once.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import RESULTS, ROOT, plain_arguments
from npi.reproduce.pages import Content, update

DOCS = ROOT / "docs"

PAGE = "gallery"

PICTURE = re.compile(r"!\[(?P<title>[^\]]*)\]\((?P<file>[^)]+)\)")

SOUND = re.compile(r"\[(?P<title>[^\]]*)\]\((?P<file>[^)]+\.wav)\)")

MADE = re.compile(r"Made by (?:<!-- command -->)?`(?P<command>[^`]+)`")

LATER = ("tools-that-learn.md",)
"""Pages that show pictures of others."""


@dataclass(frozen=True)
class Shown:
    """What the gallery shows.

    Attributes:
        file: a path in docs/. title: for people. page: that shows it, likewise, and its heading. command: makes it.
    """

    file: str
    title: str
    page: str
    heading: str
    command: str


COMMANDS: Mapping[str, str] = {
    "pictures/goto.gif": "npi run canonicalise 7 30 30 --teacher programs/goto.npi --animation goto.gif",
    "pictures/bubblesort.png": "npi graph programs/bubblesort.npi --out bubblesort.png",
    "pictures/page.png": "npi run sort 3,1,2 --library library --html page.html",
    "results/harlow-objects.png": "python -m benchmarks.learners.harlow",
    "results/cars.png": "python -m benchmarks.paper.car_sheet",
}
"""Of what pages of the manual show, by file."""


def shown() -> list[Shown]:
    """Everything, in the order of the pages: those of results by name, then the manual's."""
    results = sorted(RESULTS.glob("*.md"), key=lambda path: (path.name in LATER, path.name))
    manual = [path for path in sorted(DOCS.glob("*.md")) if path.stem != PAGE]
    found: dict[str, Shown] = {}
    for path in (*results, *manual):
        for one in _on(path):
            found.setdefault(one.file, one)
    sheet = "results/cars.png"
    found.setdefault(sheet, Shown(sheet, "some of each style", "cars.md", "Cars", COMMANDS[sheet]))
    return list(found.values())


def _on(path: Path) -> Iterator[Shown]:
    """What a page shows; ``ValueError`` where nothing says how it is made."""
    text, page = path.read_text(encoding="utf-8"), path.relative_to(DOCS).as_posix()
    made = MADE.search(text)
    for found in sorted([*PICTURE.finditer(text), *SOUND.finditer(text)], key=lambda one: one.start()):
        file = posixpath.normpath(posixpath.join(posixpath.dirname(page), found["file"]))
        command = COMMANDS.get(file) or (made["command"] if made else "")
        if not command:
            raise ValueError(f"docs/{page} shows {file}, and nothing says what makes it; add it to COMMANDS")
        yield Shown(file, found["title"], page, text.partition("\n")[0].lstrip("# "), command)


def section(one: Shown) -> str:
    """As Markdown: a heading, the picture or the sound, and the command under it."""
    heading = f"## {one.heading}: {one.title}"
    if one.file.endswith(".wav"):
        there = f'[{one.title}]({one.file})\n\n<audio controls src="{one.file}"></audio>'
    else:
        there = f"![{one.title}]({one.file})"
    return f"{heading}\n\n{there}\n\n```sh\n{one.command}\n```\n\nOn [{one.page}]({one.page})."


def contents() -> dict[str, Content]:
    every = shown()
    return {"count": str(len(every)), "gallery": "\n\n".join(map(section, every))}


def main() -> None:
    plain_arguments(__doc__).parse_args()
    update(DOCS / f"{PAGE}.md", contents())
    print(f"written: docs/{PAGE}.md")


if __name__ == "__main__":
    main()
