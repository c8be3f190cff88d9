"""A report as Markdown and CSV, with the paper's numbers beside ours."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from npi.reproduce.recipe import COLUMNS, CURVES, FILES, LEARNED, ROWS
from npi.reproduce.report import Figure, Point, Report

NONE = "–"
"""What a cell shows where there is no number."""

PAPER = "NPI"
"""What the paper's columns are called."""

KINDS = ("traces", "training", "learning", "tests")
"""Of work, as its seconds are told apart."""


def cells(report: Report) -> list[list[str]]:
    """The table, its head first: ours as median and range over seeds in percent, beside each column the paper's."""
    head = ["Whole sequences right, %"]
    for label in COLUMNS.values():
        head += [label, PAPER]
    return [head, *([row.label, *_row(report, row.key, row.paper)] for row in ROWS)]


def _row(report: Report, key: str, paper: Any) -> list[str]:
    found = []
    for column in COLUMNS:
        ours = [figure for figure in report.figures if (figure.row, figure.column) == (key, column)]
        found += [percent(ours), f"{paper[column]:.1f}" if column in paper else NONE]
    return found


def percent(found: Sequence[Figure | Point]) -> str:
    """Median and range over seeds, one number where these are equal; ``100.0`` stands only where all were right."""
    if not found:
        return NONE
    values = [x.percent for x in found]
    if min(values) == max(values):
        return _rounded(values[0])
    return f"{_rounded(median(values))} ({_rounded(min(values))}–{_rounded(max(values))})"


def _rounded(value: float) -> str:
    return f"{value if value == 100 else min(99.9, value):.1f}"


def table_csv(report: Report) -> str:
    """One line for each row, column and seed."""
    papers = {row.key: row.paper for row in ROWS}
    lines = [
        [f.row, f.column, f.seed, f.right, f.count, round(f.percent, 4), papers[f.row].get(f.column, "")]
        for f in report.figures
    ]
    return _csv(["row", "column", "seed", "right", "count", "percent", "paper"], lines)


def curves_csv(report: Report) -> str:
    """One line for each point and seed; ``x`` is traces, items or digits."""
    lines = [[p.curve, p.seed, p.x, p.right, p.count, round(p.percent, 4)] for p in report.points]
    return _csv(["curve", "seed", "x", "right", "count", "percent"], lines)


def _csv(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return text.getvalue()


def page(report: Report, *, command: str, pictures: Sequence[str]) -> str:
    """The report as a page of Markdown; ``pictures`` are the names of files beside it."""
    parts = [
        "# Neural Programmer-Interpreters (2016), repeated",
        f"{' to '.join(report.dates)}. {'; '.join(report.machines)}. Made by `{command}`. "
        f"Seeds: {', '.join(map(str, report.seeds)) or 'none yet'}.",
        *_warnings(report),
        *_table(report),
        *_changes(report),
        *_curves(report, pictures),
        *_efforts(report),
        *_times(report),
    ]
    return "\n\n".join(parts) + "\n"


def _warnings(report: Report) -> list[str]:
    found = []
    if report.quick:
        less = "\n".join(f"* {line}" for line in report.skipped)
        found.append(f"**This is the `{report.recipe['name']}` recipe: figures to see that it works, not to quote.**")
        found += [f"What is less than in the full one:\n\n{less}"] if less else []
    if report.missing:
        found.append(f"**Not finished:** {len(report.missing)} stages are still to be done, first {report.missing[0]}.")
    return found


def _table(report: Report) -> list[str]:
    if not report.figures:
        return []
    counts = {f.row: f.count for f in report.figures}
    tested = ", ".join(f"{row.key} {counts[row.key]:,}" for row in ROWS if row.key in counts)
    return [
        "## The table",
        "Single: a core for each task. Multi: one core for addition, sorting and cars. + Max: the same core, frozen, "
        "after the two rows of MAX and RJMP were learned beside it; all tasks are tested again. Ours are median and "
        f"range over seeds. {PAPER}: Reed & de Freitas 2016, table 1; {NONE} where the paper has no number.",
        _markdown(cells(report)),
        f"Problems tested for each seed: {tested}. A problem counts where the run ends by itself with the right "
        "result. Start poses of cars are 11 azimuths by 5 elevations; the target is azimuth 0, elevation 15. Cars, "
        "pictures and cores are ours, not the paper's: what can be compared is the task and the measure.",
    ]


def _changes(report: Report) -> list[str]:
    if not report.pairs:
        return []
    names = {
        "core": "core (sha256 of every number)",
        "rows": "rows of the old programs (sha256)",
        "outputs": "every logit of the old programs, 256 random situations of each world",
    }
    lines = [["Before and after MAX", *(f"seed {seed}" for seed in _seeds(report.pairs))]]
    for what in dict.fromkeys(pair.what for pair in report.pairs):
        same = {pair.seed: "identical" if pair.same else "**CHANGED**" for pair in report.pairs if pair.what == what}
        lines.append([names.get(what, f"{what}: how each ended"), *(same.get(s, NONE) for s in _seeds(report.pairs))])
    hashes = [p for p in report.pairs if p.what == "core"]
    told = ", ".join(f"seed {p.seed} {p.before[:16]} before, {p.after[:16]} after" for p in hashes)
    return ["## What learning MAX changed", _markdown(lines), *([f"Core: {told}."] if told else [])]


def _curves(report: Report, pictures: Sequence[str]) -> list[str]:
    found = [f"![{name.partition('.')[0]}]({name})" for name in pictures]
    for curve in CURVES:
        points = [point for point in report.points if point.curve == curve.key]
        if points:
            by_x = [(x, [p for p in points if p.x == x]) for x in sorted({p.x for p in points})]
            rows = [[curve.axis, "right, %", "problems", "seeds"]]
            rows += [[f"{x:,}", percent(of), f"{of[0].count:,}", str(len(of))] for x, of in by_x]
            found += [f"## {curve.title}", f"{curve.remark}.", _markdown(rows)]
    return found


def _efforts(report: Report) -> list[str]:
    rows = [["core", "all right at the end of training", "updates"]]
    for core, name in {**FILES, "multi": "all tasks", LEARNED: "MAX and RJMP (rows only)"}.items():
        own = [effort for effort in report.efforts if effort.core == core]
        if own:
            solved = sum(effort.solved for effort in own)
            rows.append([name, f"{solved} of {len(own)} seeds", _spread([e.updates for e in own])])
    if len(rows) == 1:
        return []
    why = "Training ends when every frame and every validation problem is right, or when its updates are spent."
    return ["## Training", why, _markdown(rows)]


def _times(report: Report) -> list[str]:
    names = {**FILES, "multi": "all tasks", LEARNED: "MAX", "samples": "curve of traces"}
    names |= {curve.key: f"curve of {curve.axis}" for curve in CURVES[1:]}
    rows = [["CPU seconds of a seed", *KINDS]]
    for part, name in names.items():
        own = [spent for spent in report.spent if spent.part == part]
        sums = [_sums(own, kind) for kind in KINDS]
        if own:
            rows.append([name, *(_spread(values) if values else NONE for values in sums)])
    return ["## Times", _markdown(rows)] if len(rows) > 1 else []


def _sums(spent: Sequence[Any], kind: str) -> list[float]:
    """Seconds of a kind, a sum for each seed that has any."""
    return [sum(s.seconds for s in spent if (s.seed, s.kind) == (seed, kind))
            for seed in _seeds([s for s in spent if s.kind == kind])]  # fmt: skip


def _seeds(found: Iterable[Any]) -> list[int]:
    return sorted({x.seed for x in found})


def _spread(values: Sequence[float]) -> str:
    """Median and range."""
    digits = 1 if max(values) < 10 and any(value % 1 for value in values) else 0
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}"
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head."""
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))
