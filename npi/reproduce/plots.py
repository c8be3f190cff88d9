"""Figures of Matplotlib (the extra ``plots``) as files' bytes."""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import Any

OURS, THEIRS = "#2a6f97", "#d08c60"
"""Colours of our figures and of a paper's."""


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
