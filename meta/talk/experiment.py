"""``npi reproduce tools-that-learn`` (implements ``npi.reproduce.experiment.Experiment``).

::

    stages/seed-0/harlow.json     what a finished row found, its settings, day and machine
    work/seed-0/harlow-3f2a91c0/  what was trained for it: libraries, and the state of a training that was stopped
    page.md, page.html, results.json, pictures/*.png
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from envs.support.atomic_files import unfinished
from envs.support.typed_json import typed
from meta.talk.comparison import ENOUGH
from meta.talk.page import RowResult, summary, write_page
from meta.talk.row import Found, Row, Run
from meta.talk.rows import ROWS
from npi.reproduce.experiment import Outcome, Request
from npi.reproduce.ledger import Ledger, Result, Say, Stage, Stopped
from npi.reproduce.plots import check_matplotlib

MODES = {True: "quick", False: "full"}


class ToolsThatLearn:
    """Every row of the talk.

    Args:
        rows: by key.
    """

    name = "tools-that-learn"
    title = "Tools that learn, a talk of 2018: every row"

    def __init__(self, rows: Mapping[str, Row] = ROWS) -> None:
        self.rows = rows

    @property
    def parts(self) -> Sequence[str]:
        return tuple(self.rows)

    def seeds(self, *, quick: bool) -> tuple[int, ...]:
        return (0,) if quick else (0, 1, 2)

    def check(self, request: Request) -> list[str]:
        """What is skipped and why; ``ValueError`` where that was asked for by name."""
        check_matplotlib()
        lacking = self.lacking(request.parts)
        if request.parts and lacking:
            raise ValueError("; ".join(f"the row {key} cannot be made here: {why}" for key, why in lacking.items()))
        notes = [f"skipped: {key}: {why}" for key, why in lacking.items()]
        if request.quick:
            notes.insert(
                0, "quick: small cores and few updates, to see that it works; its figures are not to be quoted"
            )
        return notes

    def lacking(self, parts: Sequence[str] = ()) -> dict[str, str]:
        """Of these rows (none: of all), those that cannot be made on this machine, each with what brings it."""
        found = {key: self.rows[key].needs() for key in parts or self.rows}
        return {key: why for key, why in found.items() if why}

    def begin(self, request: Request) -> TalkSession:
        folder, lacking = request.folder, self.lacking(request.parts)
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"--out {folder} is a file; name a folder")
        others = folder.is_dir() and not all(unfinished(path) for path in folder.iterdir())
        if others and not (folder / "stages").is_dir():
            raise ValueError(f"--out {folder} holds other files and no reproduction; name a new or an empty folder")
        (folder / "stages").mkdir(parents=True, exist_ok=True)
        chosen = [self.rows[key] for key in request.parts or self.rows if key not in lacking]
        seeds = request.seeds or self.seeds(quick=request.quick)
        stages = [stage(request, row, seed) for seed in seeds for row in chosen]
        return TalkSession(request, self.rows, stages, lacking)


def stage(request: Request, row: Row, seed: int) -> Stage:
    """A row with a seed."""
    effort = row.effort(quick=request.quick)
    settings = {"row": row.key, "mode": MODES[request.quick], "seed": seed, **effort.to_json()}

    def make(say: Say) -> Result:
        began = time.process_time()
        place = request.folder / "work" / f"seed-{seed}" / f"{row.key}-{one.identity[:8]}"
        if request.stop():
            raise Stopped
        found = row.run(Run(place, seed, effort, say, request.stop))
        facts = asdict(found) | {"seconds": time.process_time() - began}
        return dict(json.loads(json.dumps(facts)))  # as it is read again

    one = Stage(f"seed-{seed}/{row.key}", f"{row.title}, seed {seed}", settings, make)
    return one


@dataclass(frozen=True)
class TalkSession:
    """The talk in a folder (implements ``npi.reproduce.experiment.Session``).

    Attributes:
        lacking: rows that cannot be made on this machine, each with what brings it.
    """

    request: Request
    rows: Mapping[str, Row]
    stages: Sequence[Stage]
    lacking: Mapping[str, str]

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.request.folder / "stages")

    def told(self, result: Result) -> list[str]:
        return [summary(typed(Found, {key: result[key] for key in result if key != "seconds"}))]

    def outcome(self) -> Outcome:
        """Of all rows and seeds that are finished in the folder."""
        found = self.results()
        paths = write_page(self.request.folder, self.rows, found, self.lacking, quick=self.request.quick)
        missing = tuple(stage.name for stage in self.stages if self.ledger.read(stage) is None)
        below = [result for results in found.values() for result in results if not result.found.comparison.reached]
        lines = [
            f"less than {ENOUGH:g} standard errors better than its control: {result.key}, seed {result.seed} "
            f"({result.found.comparison.multiple:.1f})"
            for result in below
        ]
        lines += [f"skipped: {key}: {why}" for key, why in self.lacking.items()]
        return Outcome(
            table=table(self.rows, found),
            lines=(*lines, f"written: {', '.join(map(str, paths))}"),
            document={"quick": self.request.quick, "rows": [asdict(r) for rs in found.values() for r in rs]},
            missing=missing,
            reached=not below,
        )

    def results(self) -> dict[str, list[RowResult]]:
        """What is finished in the folder, by row and then seed; ``ValueError`` where other settings made it."""
        seeds = sorted(int(path.name.removeprefix("seed-")) for path in self.ledger.folder.glob("seed-*"))
        found: dict[str, list[RowResult]] = {}
        for row in self.rows.values():
            for seed in seeds:
                record = self.ledger.read(stage(self.request, row, seed))
                if record is None:
                    continue
                told: dict[str, Any] = dict(record.result)
                seconds = told.pop("seconds")
                result = RowResult(row.key, seed, typed(Found, told), seconds, record.date, record.machine)
                found.setdefault(row.key, []).append(result)
        return found


def table(rows: Mapping[str, Row], found: Mapping[str, Sequence[RowResult]]) -> list[list[str]]:
    """For people: each row and seed with score, control and the standard errors between them."""
    head = ["row", "seed", "score", "control", "standard errors", "CPU s"]
    lines = [
        [key, str(r.seed), f"{r.found.comparison.score:.3g}", f"{r.found.comparison.control:.3g}",
         f"{r.found.comparison.multiple:.1f}", f"{r.seconds:.0f}"]
        for key in rows for r in found.get(key, [])
    ]  # fmt: skip
    return [head, *lines] if lines else []


EXPERIMENT = ToolsThatLearn()
