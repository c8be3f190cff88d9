"""Copies a finished reproduction to ``docs/results/``: ``python -m benchmarks.paper.publish``.

``npi reproduce npi-paper`` makes the figures; this writes them as ``npi-paper.md``, ``.csv``, ``-curves.csv`` and
``.png``, all from the folder's ``results.json``, and runs nothing.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.common import RESULTS, plain_arguments
from npi.reproduce.outputs import publish, read_report


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
