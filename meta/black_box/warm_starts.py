"""The first trials of a study by what past studies of the same hyper-parameters teach.

Configurations of a table (:mod:`envs.black_box.tables`) are tried by a row that was learned from it, the most promising
first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from envs.black_box.tables import features, open_results
from meta.black_box.ask_tell import Searcher
from npi.library.library import Library


@final
class WarmStart:
    """Suggests configurations of past studies, each once.

    Args:
        past: the table, as a file. library, program: whose row was learned from it.

    Raises ``ValueError`` for a file of another form, and for a library that has no such program.
    """

    def __init__(self, past: Path | str, library: Library, program: str) -> None:
        results = open_results(str(past))
        self.settings = [dict(one) for one in results.settings]
        self.points = [tuple(row) for row in features([{"": f, **s} for f, s in zip(
            results.families, results.settings, strict=True
        )]).tolist()]  # fmt: skip
        self.left = len(self.points)
        self.searcher = Searcher.open(len(self.points[0]), library=library, program=program, choices=self.points)
        self._told = set[int]()

    def suggested(self, finished: Sequence[tuple[int, Mapping[str, Any], float]]) -> Mapping[str, Any] | None:
        """The next configuration; None where all were suggested.

        Args:
            finished: trials by number, parameters and value, of which less is better; those of other parameters than a
                configuration's say nothing.
        """
        for number, params, value in finished:
            if number not in self._told and params in self.settings:
                self._told.add(number)
                self.searcher.tell(self.points[self.settings.index(dict(params))], value)
        if not self.left:
            return None
        self.left -= 1
        return self.settings[self.points.index(self.searcher.ask())]
