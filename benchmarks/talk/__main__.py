"""The talk *Tools that learn*, row by row: one page of the figures that the recipes recorded.

    python -m benchmarks.talk                  # writes docs/results/tools-that-learn.md, and the README's short form
    python -m benchmarks.talk --html FILE      # and the page as one HTML file with its pictures

Nothing is run. What a row says is data (:mod:`benchmarks.talk.entries`); its figures are read from the tables of the
pages under ``docs/results`` by the names of table, row and column, so that they are those of the recipes, whatever
these come to. ``npi reproduce tools-that-learn`` makes the rows again in small, each with its control.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.common import RESULTS, ROOT, plain_arguments
from benchmarks.talk.page import PAGE, contents, html_page, short_rows
from npi.library.tensor_files import write_whole
from npi.reproduce.pages import update


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--html", type=Path, help="write the page as one HTML file, too")
    options = parser.parse_args()
    update(RESULTS / f"{PAGE}.md", contents())
    update(ROOT / "README.md", {"talk": short_rows()})
    print(f"written: docs/results/{PAGE}.md, README.md")
    if options.html is not None:
        write_whole(options.html, html_page(RESULTS).encode())
        print(f"written: {options.html}")


if __name__ == "__main__":
    main()
