"""The page of the talk: a table of all rows, a section for each, and where its figures come from."""

from __future__ import annotations

import base64
import html
import re
import subprocess
from pathlib import Path

from benchmarks.common import RESULTS, ROOT
from benchmarks.talk.entries import ENTRIES
from benchmarks.talk.figures import NONE, marked, said
from meta.talk.page import STYLE
from meta.talk.rows import ROWS
from npi.reproduce.pages import Content, Rows

PAGE = "tools-that-learn"


def rows() -> Rows:
    """Every row of the talk."""
    head = ["row", "published", "ours, recorded", "control", "strongest beside it", "seeds", "CPU s", "reached"]
    lines = [
        [f"[{ROWS[key].title}](#{anchor(key)})", ROWS[key].paper, said(e.ours), said(e.control), said(e.opponent),
         e.seeds, said(e.seconds), "yes" if e.reached else "**no**"]
        for key, e in ENTRIES.items()
    ]  # fmt: skip
    return [head, *lines]


def short_rows() -> Rows:
    """The table's short form: with what is strongest beside each figure, and what it does not say."""
    page = (RESULTS / f"{PAGE}.md").relative_to(ROOT).as_posix()
    lines = [
        [f"[{ROWS[key].title}]({page}#{anchor(key)})", said(e.ours), ROWS[key].paper, from_root(said(e.opponent)),
         from_root("; ".join(["yes" if e.reached else "**no**", *[e.why] * bool(e.why)]))]
        for key, e in ENTRIES.items()
    ]  # fmt: skip
    return [["What", "Ours, recorded", "Published", "Strongest beside it", "Reached, and what is to be said"], *lines]


def from_root(text: str) -> str:
    """A text with links to pages beside this one, for a file of the checkout's root."""
    return re.sub(r"\]\((?=[\w-]+\.md)", f"]({RESULTS.relative_to(ROOT).as_posix()}/", text)


def anchor(key: str) -> str:
    """Of a row's heading, as GitHub and mkdocs make it."""
    return re.sub(r"[^\w\- ]", "", ROWS[key].title.lower()).replace(" ", "-")


def sections() -> str:
    """A section for each row: the slide's claim, why it is short, a picture, the commands."""
    parts = []
    for key, entry in ENTRIES.items():
        row = ROWS[key]
        lines = [f"### {row.title}", "", f"> {row.claim}", ""]
        pages = ", ".join(f"[{page}]({page}.md)" for page in entry.pages)
        lines += [f"- **Figures**: {pages or 'none yet'}, by `{entry.command}`"]
        lines += [f"- **{'What it does not say' if entry.reached else 'Why it is short'}**: {entry.why}"] * bool(
            entry.why
        )
        lines += [
            f"- **In small**: `npi reproduce tools-that-learn --quick --only {key}`: {row.score}; beside {row.control}"
        ]
        lines += ["", f"![{row.title}]({entry.picture})"] * bool(entry.picture)
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def sources() -> Rows:
    """Each page with the day and machine of its figures, and the commit that wrote it."""
    pages = dict.fromkeys(page for entry in ENTRIES.values() for page in entry.pages)
    return [["page", "made", "commit"], *([f"[{p}]({p}.md)", marked(p).get("made", NONE), commit(p)] for p in pages)]


def commit(page: str) -> str:
    """The last one that changed a page; a dash where there is no repository."""
    words = ["git", "log", "-1", "--format=%h", "--", f"docs/results/{page}.md"]
    try:
        found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return NONE
    return found.stdout.strip() or NONE


def contents() -> dict[str, Content]:
    reached = sum(entry.reached for entry in ENTRIES.values())
    return {"rows": rows(), "sections": sections(), "sources": sources(), "reached": f"{reached} of {len(ENTRIES)}"}


def html_page(folder: Path) -> str:
    """The table and the sections as one HTML file."""
    head, *lines = rows()
    parts = ["<!doctype html>\n<html lang=en><meta charset=utf-8><title>Tools that learn</title>",
             f"<style>{STYLE}</style>",
             "<h1>Tools that learn: recorded figures</h1><table>",
             "<tr>" + "".join(f"<th>{html.escape(str(cell))}</th>" for cell in head) + "</tr>"]  # fmt: skip
    for key, line in zip(ENTRIES, lines, strict=True):
        cells = [f'<a href="#{key}">{html.escape(ROWS[key].title)}</a>', *(plain(str(cell)) for cell in line[1:])]
        parts.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    parts.append("</table>")
    for key, entry in ENTRIES.items():
        parts.append(f"<h2 id={key}>{html.escape(ROWS[key].title)}</h2><p>{html.escape(ROWS[key].claim)}</p>")
        parts.append(f"<p>{plain(entry.why)}</p><p><code>{html.escape(entry.command)}</code></p>")
        if entry.picture:
            data = base64.b64encode((folder / entry.picture).read_bytes()).decode()
            parts.append(f'<img alt="{html.escape(ROWS[key].title)}" src="data:image/png;base64,{data}">')
    return "\n".join(parts) + "\n</html>\n"


def plain(text: str) -> str:
    """Markdown's links and marks left out, and the rest escaped."""
    return html.escape(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("**", "").replace("`", ""))
