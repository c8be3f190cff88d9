"""The NPI paper as an experiment: ``npi reproduce npi-paper`` (implements ``npi.reproduce.experiment.Experiment``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npi.reproduce import recipe
from npi.reproduce.experiment import Outcome, Request
from npi.reproduce.ledger import Ledger, Result, Stage
from npi.reproduce.outputs import PAPER, cells, write_outputs
from npi.reproduce.plots import check_matplotlib
from npi.reproduce.recipe import Recipe, skipped
from npi.reproduce.report import Report, collect
from npi.reproduce.stages import PARTS, Work, begin, plan


class NpiPaper:
    """Reed & de Freitas, Neural Programmer-Interpreters, 2016, section 4."""

    name, parts = "npi-paper", PARTS
    title = "Reed & de Freitas, Neural Programmer-Interpreters, 2016, section 4"

    def seeds(self, *, quick: bool) -> tuple[int, ...]:
        return _recipe(quick).seeds

    def check(self, request: Request) -> list[str]:
        check_matplotlib()
        if not request.quick:
            return []
        head = "quick: figures to see that it works, not to quote. What is less than in the full recipe:"
        return [head, *(f"  {line}" for line in skipped(_recipe(quick=True)))]

    def begin(self, request: Request) -> PaperSession:
        work = begin(request.folder, request.programs, _recipe(request.quick), device=request.device, stop=request.stop)
        return PaperSession(work, plan(work, request.seeds or work.recipe.seeds, request.parts or PARTS))


def _recipe(quick: bool) -> Recipe:
    return recipe.QUICK if quick else recipe.FULL


@dataclass(frozen=True)
class PaperSession:
    """The paper in a folder (implements ``npi.reproduce.experiment.Session``)."""

    work: Work
    stages: Sequence[Stage]

    @property
    def ledger(self) -> Ledger:
        return self.work.ledger

    def told(self, result: Result) -> list[str]:
        found = []
        if "steps" in result:
            found.append(f"{_counted(result['traces'], 'trace')}, {_counted(result['steps'], 'step')}")
        if "updates" in result:
            solved = "all right" if result["solved"] else "not all right"
            found.append(f"{solved} after {_counted(result['updates'], 'update')}")
        if "hashes" in result:
            changed = [what for what, (before, after) in result["hashes"].items() if before != after]
            found.append(f"CHANGED: {', '.join(changed)}" if changed else "core, old rows and old outputs unchanged")
        tests: dict[str, dict[str, Any]] = result.get("tests", {})
        return found + [f"{name} {one['right']:,} of {one['count']:,}" for name, one in tests.items()]

    def outcome(self) -> Outcome:
        report = collect(self.work, self.stages)
        paths = write_outputs(report, self.work.folder)
        return Outcome(
            table=cells(report) if report.figures else [],
            lines=tuple(_lines(report, paths)),
            document=report.to_json(),
            missing=report.missing,
            reached=report.unchanged and (report.quick or not report.below()),  # nobody quotes quick figures
        )


def _counted(count: int, one: str) -> str:
    return f"{count:,} {one if count == 1 else one + 's'}"


def _lines(report: Report, paths: Sequence[Path]) -> Iterator[str]:
    """Whose figures they are, what changed, what is below the paper, and where the files are."""
    if report.figures:
        seeds = ", ".join(map(str, report.seeds))
        ours = f"median and range over seeds {seeds}" if len(report.seeds) > 1 else f"seed {seeds}"
        yield f"{PAPER}: Reed & de Freitas 2016, table 1; ours: {ours}"
    if report.pairs:
        changed = [f"{pair.what}, seed {pair.seed}" for pair in report.pairs if not pair.same]
        same = f"unchanged by MAX: core, old rows, old outputs, every run ({len(report.pairs)} comparisons)"
        yield f"CHANGED by MAX: {'; '.join(changed)}" if changed else same
    below = "below the paper, as quick figures may be" if report.quick else "below the paper"
    for line in report.below():
        yield f"{below}: {line}"
    yield f"written: {', '.join(map(str, paths))}"


EXPERIMENT = NpiPaper()
