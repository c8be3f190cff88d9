"""Figures of Matplotlib (the extra ``plots``) as files' bytes; a report's table as bars, and its curves."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from statistics import median
from typing import Any

from npi.reproduce.recipe import COLUMNS, CURVES, ROWS, SAMPLES, Curve
from npi.reproduce.report import Report

OURS, THEIRS = "#2a6f97", "#d08c60"
"""Colours of our figures and of a paper's."""

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


def panels(
    count: int, *, across: int, size: tuple[float, float], dpi: int = 100, sharey: bool = False
) -> tuple[Any, list[Any]]:
    """A figure (``size`` in inches) and its first ``count`` axes, row by row; the rest of the last row stays empty."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=dpi, layout="constrained")
    axes = list(figure.subplots(-(-count // across), across, squeeze=False, sharey=sharey).flat)
    for empty in axes[count:]:
        empty.axis("off")
    return figure, axes[:count]


def label(axes: Any, title: str, x: str, y: str, *, legend: str = "best") -> None:
    """Title, names of the axes, and a legend at a place (Matplotlib's word)."""
    axes.set_title(title, fontsize=10)
    axes.set(xlabel=x, ylabel=y)
    axes.legend(fontsize=7, loc=legend)


def png(figure: Any) -> bytes:
    """A figure as a PNG file's bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


# --- a report -------------------------------------------------------------------------------------------------------


def pictures(report: Report) -> dict[str, bytes]:
    """The PNG files of a report, by name; those that would be empty are left out."""
    return {name: drawn for name, wanted in PICTURES.items() if (drawn := picture(report, wanted))}


def picture(report: Report, wanted: Sequence[str] = PANELS) -> bytes | None:
    """Panels side by side, in two columns, as a PNG; ``None`` where the report has nothing for any of them."""
    filled = {"table"} if report.figures else set[str]()
    filled |= {point.curve for point in report.points}
    wanted = [panel for panel in wanted if panel in filled]
    if not wanted:
        return None
    across = min(2, len(wanted))
    size = (6.5 * across, 4.2 * -(-len(wanted) // across))
    figure, axes = panels(len(wanted), across=across, size=size, dpi=110)
    for panel, place in zip(wanted, axes, strict=True):
        if panel == "table":
            _bars(place, report)
        else:
            _curve(place, report, next(curve for curve in CURVES if curve.key == panel))
    if report.quick:
        figure.suptitle(f"{report.recipe['name']} recipe: not to be quoted", color="#b00020", fontsize=10)
    return png(figure)


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
