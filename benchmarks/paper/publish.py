"""Copies a finished reproduction to ``docs/results/``: ``python -m benchmarks.paper.publish``.

``npi reproduce npi-paper`` makes the figures; this writes them as ``npi-paper.md``, ``.csv``, ``-curves.csv`` and
``.png``, all from the folder's ``results.json``, and runs nothing.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.common import RESULTS, plain_arguments
from npi.reproduce.outputs import curves_csv, page, read_report, table_csv, write_files
from npi.reproduce.plots import picture
from npi.reproduce.report import Report


def publish(report: Report, folder: Path, name: str = "npi-paper") -> list[Path]:
    """Write a report as NAME.md, NAME.csv, NAME-curves.csv and NAME.png; returns the paths."""
    drawn = picture(report)
    files = {
        f"{name}.md": page(report, [f"{name}.png"] if drawn else []),
        f"{name}.csv": table_csv(report).encode(),
        f"{name}-curves.csv": curves_csv(report).encode(),
    }
    return write_files({**files, f"{name}.png": drawn} if drawn else files, folder)


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("npi-paper"), help="what --out named")
    folder = parser.parse_args().folder
    report = read_report(folder)
    if report.quick:
        raise SystemExit(f"{folder} holds the {report.recipe['name']} recipe, whose figures are not to be quoted")
    for path in publish(report, RESULTS):
        print(path)


if __name__ == "__main__":
    main()
