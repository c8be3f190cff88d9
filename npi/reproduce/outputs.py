"""The files that a reproduction ends in: a page, CSV and pictures, with the paper's figures beside ours."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from envs.support.typed_json import FormatError, read_json
from envs.support.user_files import MANIFEST_BYTES, read_file
from npi.library.tensor_files import write_whole
from npi.reproduce.pages import NOTHING, Content, Rows, fill, spread
from npi.reproduce.plots import pictures
from npi.reproduce.recipe import COLUMNS, CURVES, FILES, LEARNED, ROWS, Curve
from npi.reproduce.report import Figure, Point, Report

NONE = "–"
"""What a cell shows where there is no number."""

PAPER = "NPI"
"""What the paper's columns are called."""

COMMAND = "npi reproduce npi-paper"

KINDS = ("traces", "training", "learning", "tests")
"""Of work, as its seconds are told apart."""


def write_outputs(report: Report, folder: Path) -> list[Path]:
    """Write ``table.md``, ``table.csv``, ``curves.csv``, ``results.json`` and the pictures; returns the paths."""
    drawn = pictures(report)
    files = {
        "table.md": page(report, list(drawn)),
        "table.csv": table_csv(report).encode(),
        "curves.csv": curves_csv(report).encode(),
        "results.json": (json.dumps(report.to_json(), indent=1) + "\n").encode(),
        **drawn,
    }
    return write_files(files, folder)


def page(report: Report, pictures: Sequence[str]) -> bytes:
    """The page of a report, with these pictures beside it."""
    prose = (Path(__file__).parent / "npi-paper.md").read_text(encoding="utf-8")
    command = f"{COMMAND} --quick" if report.quick else COMMAND
    return fill(prose, contents(report, command=command, pictures=pictures)).encode()


def read_report(folder: Path) -> Report:
    """The report of a folder that :func:`write_outputs` wrote to."""
    path = folder / "results.json"
    if not path.is_file():
        raise ValueError(f"there is no {path}; {COMMAND} --out {folder} makes it")
    try:
        found: Report = read_json(Report, read_file(path, MANIFEST_BYTES))
    except FormatError as error:
        raise ValueError(f"{path} is damaged ({error}); {COMMAND} --out {folder} makes it again") from error
    return found


def write_files(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write each file whole, by its name; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_whole(folder / name, data)
    return [folder / name for name in files]


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


def contents(report: Report, *, command: str, pictures: Sequence[str]) -> dict[str, Content]:
    """What stands between the markers of ``npi-paper.md``; ``pictures`` are the names of files beside it."""
    counts = {figure.row: figure.count for figure in report.figures}
    hashes = [pair for pair in report.pairs if pair.what == "core"]
    return {
        "command": f"`{command}`",
        "made": f"{' to '.join(report.dates)}. {'; '.join(report.machines)}",
        "seeds": ", ".join(map(str, report.seeds)) or "none yet",
        "warnings": "\n\n".join(_warnings(report)) or "All stages are finished.",
        "table": cells(report) if report.figures else [],
        "tested": ", ".join(f"{row.key} {counts[row.key]:,}" for row in ROWS if row.key in counts) or NOTHING,
        "changes": _changes(report),
        "core": ", ".join(f"seed {p.seed} {p.before[:16]} before, {p.after[:16]} after" for p in hashes) or NOTHING,
        "pictures": "\n".join(f"![{name.partition('.')[0]}]({name})" for name in pictures),
        **{curve.key: _curve(report, curve) for curve in CURVES},
        "training": _efforts(report),
        "times": _times(report),
    }


def _warnings(report: Report) -> list[str]:
    found = []
    if report.quick:
        less = "\n".join(f"* {line}" for line in report.skipped)
        found.append(f"**This is the `{report.recipe['name']}` recipe: figures to see that it works, not to quote.**")
        found += [f"What is less than in the full one:\n\n{less}"] if less else []
    if report.missing:
        found.append(f"**Not finished:** {len(report.missing)} stages are still to be done, first {report.missing[0]}.")
    return found


def _changes(report: Report) -> Rows:
    names = {
        "core": "core (sha256 of every number)",
        "rows": "rows of the old programs (sha256)",
        "outputs": "every logit of the old programs, 256 random configurations of each world",
    }
    seeds = sorted({pair.seed for pair in report.pairs})
    lines = [["Before and after MAX", *(f"seed {seed}" for seed in seeds)]]
    for what in dict.fromkeys(pair.what for pair in report.pairs):
        same = {pair.seed: "identical" if pair.same else "**CHANGED**" for pair in report.pairs if pair.what == what}
        lines.append([names.get(what, f"{what}: how each ended"), *(same.get(seed, NONE) for seed in seeds)])
    return lines if seeds else []


def _curve(report: Report, curve: Curve) -> Rows:
    points: dict[int, list[Point]] = {}
    for point in sorted((p for p in report.points if p.curve == curve.key), key=lambda p: p.x):
        points.setdefault(point.x, []).append(point)
    rows = [[f"{x:,}", percent(of), f"{of[0].count:,}", str(len(of))] for x, of in points.items()]
    return [[curve.axis, "right, %", "problems", "seeds"], *rows] if rows else []


def _efforts(report: Report) -> Rows:
    rows = [["core", "all right at the end of training", "updates"]]
    for core, name in {**FILES, "multi": "all tasks", LEARNED: "MAX and RJMP (rows only)"}.items():
        own = [effort for effort in report.efforts if effort.core == core]
        if own:
            solved = sum(effort.solved for effort in own)
            rows.append([name, f"{solved} of {len(own)} seeds", _spread([e.updates for e in own])])
    return rows if len(rows) > 1 else []


def _times(report: Report) -> Rows:
    names = {**FILES, "multi": "all tasks", LEARNED: "MAX", "samples": "curve of traces"}
    names |= {curve.key: f"curve of {curve.axis}" for curve in CURVES[1:]}
    sums: dict[tuple[str, str], dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for spent in report.spent:
        sums[spent.part, spent.kind][spent.seed] += spent.seconds
    rows = [["CPU seconds of a seed", *KINDS]]
    for part, name in names.items():
        if any(part == with_seconds for with_seconds, _ in sums):
            cells = [_spread(list(sums[part, kind].values())) if (part, kind) in sums else NONE for kind in KINDS]
            rows.append([name, *cells])
    return rows if len(rows) > 1 else []


def _spread(values: Sequence[float]) -> str:
    return spread(values, 1 if max(values) < 10 and any(value % 1 for value in values) else 0)
