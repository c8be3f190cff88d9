"""The page of a reproduction of the talk: Markdown, HTML and pictures.

``results.json`` has all of it for programs.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from meta.talk.comparison import ENOUGH
from meta.talk.row import Found, Row
from npi.library.tensor_files import write_whole
from npi.reproduce.pages import markdown, spread
from npi.reproduce.plots import OURS, THEIRS, label, panels, png

COMMAND = "npi reproduce tools-that-learn"

NOT_TO_QUOTE = "Made by --quick: small cores and few updates, to see that it works. These figures are not to be quoted."


@dataclass(frozen=True)
class RowResult:
    """A finished run of a row.

    Attributes:
        seconds: of the processor, of the process that finished it. date, machine: of that.
    """

    key: str
    seed: int
    found: Found
    seconds: float
    date: str
    machine: str


def summary(found: Found) -> str:
    """Score, control and what lies between them, in one line."""
    one = found.comparison
    return f"{one.score:.3g} beside {one.control:.3g}, {one.multiple:.1f} standard errors"


def write_page(
    folder: Path,
    rows: Mapping[str, Row],
    found: Mapping[str, Sequence[RowResult]],
    lacking: Mapping[str, str],
    *,
    quick: bool,
) -> list[Path]:
    """Write the page of all finished rows; returns the paths of page.md, page.html and results.json."""
    drawn = {key: picture(rows[key], results[0].found, quick=quick) for key, results in found.items()}
    (folder / "pictures").mkdir(exist_ok=True)
    for key, data in drawn.items():
        write_whole(folder / "pictures" / f"{key}.png", data)
    everything = {key: [asdict(result) for result in results] for key, results in found.items()}
    files = {
        "page.md": markdown_page(rows, found, lacking, quick=quick),
        "page.html": html_page(rows, found, lacking, drawn, quick=quick),
        "results.json": json.dumps({"quick": quick, "rows": everything}, indent=1) + "\n",
    }
    for name, text in files.items():
        write_whole(folder / name, text.encode())
    return [folder / name for name in files]


# --- what is said of a row -------------------------------------------------------------------------------------------


def command(key: str, *, quick: bool) -> str:
    return f"{COMMAND}{' --quick' if quick else ''} --only {key}"


def facts(row: Row, results: Sequence[RowResult], *, quick: bool) -> list[tuple[str, str]]:
    """What stands under a row's heading: names and texts."""
    compared = [result.found.comparison for result in results]
    digits = places([x.score for x in compared] + [x.control for x in compared])
    multiples = [x.multiple for x in compared]
    better = "more" if compared[0].higher else "less"
    found = [
        ("Claim", row.claim),
        ("Published", row.paper),
        ("Measured", f"{row.score}; {better} is better; {compared[0].count:,} problems that none was trained on"),
        ("Ours", spread([x.score for x in compared], digits)),
        ("Control", f"{spread([x.control for x in compared], digits)}: {row.control}"),
        ("Between them", f"{spread(multiples)} standard errors"),
    ]
    beside = results[0].found.beside
    if beside:
        each = [
            f"{name} {spread([r.found.beside[name] for r in results if name in r.found.beside], digits)}"
            for name in beside
        ]
        found.append(("Beside it", "; ".join(each)))
    found += [(name[0].upper() + name[1:], text) for name, text in results[0].found.facts.items()]
    seeds = ", ".join(str(result.seed) for result in results)
    found.append(("Seeds", f"{seeds}; CPU seconds of each: {spread([result.seconds for result in results], 0)}"))
    days = sorted({result.date for result in results})
    found.append(("Made", f"{' to '.join(dict.fromkeys((days[0], days[-1])))}, by {command(row.key, quick=quick)}"))
    return found


def places(values: Sequence[float]) -> int:
    """Decimal places at which numbers of this size have three digits or more."""
    largest = max(map(abs, values))
    return 1 if largest >= 10 else 2 if largest >= 1 else 3


def overview(rows: Mapping[str, Row], found: Mapping[str, Sequence[RowResult]], lacking: Mapping[str, str]) -> Any:
    """A table of all rows, its head first."""
    lines: list[list[str]] = [["row", "measured", "ours", "control", "standard errors", "CPU s"]]
    for key, row in rows.items():
        if key in found:
            compared = [result.found.comparison for result in found[key]]
            digits = places([x.score for x in compared] + [x.control for x in compared])
            ours, control = spread([x.score for x in compared], digits), spread([x.control for x in compared], digits)
            multiples = [x.multiple for x in compared]
            mark = "" if min(multiples) >= ENOUGH else f" (**less than {ENOUGH:g}**)"
            seconds = spread([result.seconds for result in found[key]], 0)
            lines.append([row.title, row.score, ours, control, f"{spread(multiples)}{mark}", seconds])
        else:
            lines.append([row.title, f"skipped: {lacking[key]}" if key in lacking else "not made yet", *[""] * 4])
    return lines


def introduction(found: Mapping[str, Sequence[RowResult]], *, quick: bool) -> list[str]:
    """Paragraphs above the table."""
    machines = dict.fromkeys(result.machine for results in found.values() for result in results)
    mode = f"{COMMAND} --quick" if quick else COMMAND
    paragraphs = [
        f"Made by {mode}. {'; '.join(machines)}.",
        "Each row of the talk with the control that its claim needs, on the same problems where that can be; ours is "
        "the median and the range over seeds. Standard errors are those of the difference over problems, of one "
        "trained core: they say nothing of other seeds.",
    ]
    return [NOT_TO_QUOTE, *paragraphs] if quick else paragraphs


# --- files -----------------------------------------------------------------------------------------------------------


def markdown_page(
    rows: Mapping[str, Row],
    found: Mapping[str, Sequence[RowResult]],
    lacking: Mapping[str, str],
    *,
    quick: bool,
) -> str:
    """The page as Markdown, with the pictures beside it."""
    parts = [
        "# Tools that learn",
        *introduction(found, quick=quick),
        "\n".join(markdown(overview(rows, found, lacking))),
    ]
    for key, results in found.items():
        parts.append(f"## {rows[key].title}")
        parts.append("\n".join(f"- **{name}**: {text}" for name, text in facts(rows[key], results, quick=quick)))
        parts.append(f"![{rows[key].title}](pictures/{key}.png)")
    return "\n\n".join(parts) + "\n"


STYLE = """body { font: 15px/1.45 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse } td, th { border-bottom: 1px solid #ccc; padding: .25em .6em; text-align: left;
vertical-align: top } img { max-width: 100% } .quick { color: #b00020; font-weight: bold }"""


def html_page(
    rows: Mapping[str, Row],
    found: Mapping[str, Sequence[RowResult]],
    lacking: Mapping[str, str],
    drawn: Mapping[str, bytes],
    *,
    quick: bool,
) -> str:
    """The page as one HTML file, its pictures in it."""
    parts = ["<!doctype html>\n<html lang=en><meta charset=utf-8><title>Tools that learn</title>",
             f"<style>{STYLE}</style>",
             "<h1>Tools that learn</h1>"]  # fmt: skip
    for text in introduction(found, quick=quick):
        kind = " class=quick" if text == NOT_TO_QUOTE else ""
        parts.append(f"<p{kind}>{html.escape(text)}</p>")
    head, *lines = overview(rows, found, lacking)
    cells = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
    cells += ["".join(f"<td>{html.escape(cell.replace('**', ''))}</td>" for cell in line) for line in lines]
    parts.append("<table>" + "\n".join(f"<tr>{row}</tr>" for row in cells) + "</table>")
    for key, results in found.items():
        parts.append(f"<h2 id={key}>{html.escape(rows[key].title)}</h2><table>")
        for name, text in facts(rows[key], results, quick=quick):
            parts.append(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>")
        data = base64.b64encode(drawn[key]).decode()
        parts.append(f'</table><img alt="{html.escape(rows[key].title)}" src="data:image/png;base64,{data}">')
    return "\n".join(parts) + "\n</html>\n"


# --- pictures --------------------------------------------------------------------------------------------------------


def picture(row: Row, found: Found, *, quick: bool) -> bytes:
    """A row's curves or images, or bars of its scores."""
    shown = found.picture
    if shown.images:
        figure, axes = panels(len(shown.images), across=len(shown.images), size=(5.5 * len(shown.images), 3.6))
        for panel, (name, grid) in zip(axes, shown.images.items(), strict=True):
            panel.imshow(grid, cmap="Greys", interpolation="nearest", aspect="auto")
            panel.set_title(name, fontsize=10)
            panel.axis("off")
    elif shown.lines:
        figure, (panel,) = panels(1, across=1, size=(6.5, 3.8))
        for number, (name, (xs, ys)) in enumerate(shown.lines.items()):
            panel.plot(xs, ys, ".-", color=OURS if number == 0 else f"C{number}", label=name, markersize=4,
                       linewidth=2 if number == 0 else 1)  # fmt: skip
        if all(y > 0 for _, ys in shown.lines.values() for y in ys) and "loss" in shown.y:
            panel.set_yscale("log")
        label(panel, row.title, shown.x, shown.y)
    else:
        figure, (panel,) = panels(1, across=1, size=(6.5, 3))
        bars(panel, row, found)
    if quick:
        figure.suptitle("quick: not to be quoted", color="#b00020", fontsize=8)
    return png(figure)


def bars(panel: Any, row: Row, found: Found) -> None:
    """Score, control and what stands beside them."""
    one = found.comparison
    values = {"ours": one.score, "control": one.control, **found.beside}
    colours = [OURS, THEIRS, *["#999999"] * len(found.beside)]
    panel.barh(range(len(values)), list(values.values()), color=colours)
    panel.set_yticks(range(len(values)), list(values), fontsize=8)
    panel.invert_yaxis()
    panel.set_xlabel(row.score, fontsize=8)
    panel.set_title(row.title, fontsize=10)
