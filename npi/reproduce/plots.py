"""A report as pictures: the table as bars, and the curves. Needs Matplotlib (the extra ``plots``)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from statistics import median
from typing import Any

from npi.reproduce.recipe import COLUMNS, CURVES, ROWS, SAMPLES, Curve
from npi.reproduce.report import Report

OURS, THEIRS = "#2a6f97", "#d08c60"
"""Colours of our figures and of the paper's."""

PANELS = ("table", *(curve.key for curve in CURVES))
"""What can be drawn."""

PICTURES = {"table.png": ("table",), "samples.png": ("samples",), "lengths.png": ("sorting", "digits")}
"""Files of a reproduction and their panels."""


def check_matplotlib() -> None:
    """Raise ``ValueError`` where Matplotlib is missing."""
    if find_spec("matplotlib") is None:
        raise ValueError(
            "the plots of a reproduction need Matplotlib, which is not installed: pip install 'npi-engine[plots]'"
        )


def pictures(report: Report) -> dict[str, bytes]:
    """The PNG files of a report, by name; those that would be empty are left out."""
    return {name: drawn for name, panels in PICTURES.items() if (drawn := picture(report, panels))}


def picture(report: Report, panels: Sequence[str] = PANELS) -> bytes | None:
    """Panels side by side, in two columns, as a PNG; ``None`` where the report has nothing for any of them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [panel for panel in panels if _has(report, panel)]
    if not panels:
        return None
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(6.5 * across, 4.2 * down), dpi=110, layout="constrained")
    axes = figure.subplots(down, across, squeeze=False)
    for panel, place in zip(panels, axes.flat, strict=False):
        if panel == "table":
            _bars(place, report)
        else:
            _curve(place, report, next(curve for curve in CURVES if curve.key == panel))
    for place in axes.flat[len(panels) :]:
        place.axis("off")
    if report.quick:
        figure.suptitle(f"{report.recipe['name']} recipe: not to be quoted", color="#b00020", fontsize=10)
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def _has(report: Report, panel: str) -> bool:
    return bool(report.figures) if panel == "table" else any(point.curve == panel for point in report.points)


def _bars(axes: Any, report: Report) -> None:
    """For each row a bar for each column, the range over seeds, and the paper's number as a mark."""
    height = 0.8 / len(COLUMNS)
    for number, row in enumerate(ROWS):
        for place, column in enumerate(COLUMNS):
            at = number + (place - 1) * height
            values = [f.percent for f in report.figures if (f.row, f.column) == (row.key, column)]
            if values:
                axes.barh(at, median(values), height * 0.9, color=OURS, alpha=(0.45, 0.7, 1.0)[place])
                axes.plot([min(values), max(values)], [at, at], color="black", linewidth=1)
            if column in row.paper:
                axes.plot(row.paper[column], at, "D", color=THEIRS, markersize=4)
    axes.plot([], [], "D", color=THEIRS, markersize=4, label="NPI (2016)")
    for place, label in enumerate(COLUMNS.values()):
        axes.barh([0], [0], color=OURS, alpha=(0.45, 0.7, 1.0)[place], label=label)
    axes.set_yticks(range(len(ROWS)), [row.label for row in ROWS], fontsize=8)
    axes.invert_yaxis()
    axes.set(xlim=(0, 101), xlabel="whole sequences right, %")
    axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=1 + len(COLUMNS), frameon=False)


def _curve(axes: Any, report: Report, curve: Curve) -> None:
    """Median over seeds, the range as a band, the paper's word at its place."""
    points = [point for point in report.points if point.curve == curve.key]
    xs = sorted({point.x for point in points})
    values = [[point.percent for point in points if point.x == x] for x in xs]
    axes.fill_between(xs, [min(v) for v in values], [max(v) for v in values], color=OURS, alpha=0.2, linewidth=0)
    seeds = len({point.seed for point in points})
    axes.plot(xs, [median(v) for v in values], "o-", color=OURS, label=f"ours, {seeds} seed{'s' * (seeds != 1)}")
    axes.axvline(curve.mark, color=THEIRS, linestyle="--", label=curve.remark)
    axes.set(xscale=curve.scale, xlabel=curve.axis, ylabel="whole sequences right, %", ylim=(-3, 103))
    if curve.scale == "log":
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    if curve == SAMPLES:
        axes.set_xticks(xs)
        axes.minorticks_off()
    axes.set_title(curve.title, fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right" if curve == SAMPLES else "lower left")
