"""What MkDocs needs to show the pages of the repository as they are (hooks of mkdocs.yml).

Pages are written for people who read the repository, so links lead to files beside docs/, fences carry words for the
tests, and lists are indented as CommonMark has it. Here README.md becomes the first page, linked files and folders join
the site at their own paths, and the rest is turned into what Python-Markdown reads.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {"index.md": "README.md", "CHANGELOG.md": "CHANGELOG.md"}
"""Pages that lie outside docs/, by their places on the site."""
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=[)#])")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages outside docs/, and everything that some page links to."""
    for place, source in PAGES.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    for page in [file for file in files if file.src_uri.endswith(".md")]:
        text = Path(str(page.abs_src_path)).read_text(encoding="utf-8")
        for target in LINK.findall(text):
            _add(target_of(page.src_uri, target), files, config)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with links of the site, in the dialect of Python-Markdown."""
    return dialect(LINK.sub(lambda found: site_link(page.file.src_uri, found[0]), markdown))


def target_of(place: str, target: str) -> str | None:
    """What a page links to, as a path in the repository; None for an address and for what is not there."""
    source = PAGES.get(place) or (place if (ROOT / place).is_file() else f"docs/{place}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    return path if ":" not in target and (ROOT / path).exists() else None


def site_place(path: str) -> str:
    """Where a file of the repository lies on the site; a folder is shown by its README, or by a list of its files."""
    places = {source: place for place, source in PAGES.items()}
    if (ROOT / path).is_dir():
        path = f"{path}/{'README' if (ROOT / path / 'README.md').is_file() else 'index'}.md"
    return places.get(path) or path.removeprefix("docs/")


def site_link(place: str, target: str) -> str:
    """A link as it must be on the site; one that leads nowhere stays, for MkDocs to complain of."""
    path = target_of(place, target)
    return target if path is None else posixpath.relpath(site_place(path), posixpath.dirname(place))


def dialect(text: str) -> str:
    """Fences with their language alone, and what belongs to an item of a list four spaces in."""
    lines, fence = [], None
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        opened = re.match(r" *```(\w*)", line)
        if fence is None and opened:
            fence = indent
            line = " " * indent + f"```{opened[1]}"
        elif fence is not None and line.strip() == "```":
            indent, fence = fence, None
        shift = fence if fence is not None else indent
        lines.append(" " * (4 - shift) + line if shift in (2, 3) else line)
    return "\n".join(lines)


def _add(path: str | None, files: Files, config: Any) -> None:
    if path is None or files.get_file_from_path(site_place(path)):
        return
    place, source = site_place(path), ROOT / path
    shown = source / "README.md" if source.is_dir() else source
    if shown.is_file():
        files.append(File.generated(config, place, abs_src_path=str(shown)))
        return
    names = sorted(found.relative_to(source).as_posix() for found in source.rglob("*.*") if found.is_file())
    for name in names:
        _add(f"{path}/{name}", files, config)
    text = "\n".join([f"# {path.removeprefix('docs/')}/", "", *(f"- [{name}]({name})" for name in names)])
    files.append(File.generated(config, place, content=text))
