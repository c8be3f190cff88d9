"""What the finished stages of a folder come to: the table, the points of the curves, what stayed the same, times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from envs.support.typed_json import typed
from npi.reproduce.ledger import Record, Result, Stage
from npi.reproduce.recipe import COLUMNS, CURVES, FILES, LEARNED, ROWS, SAMPLES, Recipe, rows, skipped
from npi.reproduce.stages import Work, plan


@dataclass(frozen=True)
class Figure:
    """How many whole sequences were right: one row and column of the table, one seed."""

    row: str
    column: str
    seed: int
    right: int
    count: int

    @property
    def percent(self) -> float:
        return 100 * self.right / self.count


@dataclass(frozen=True)
class Point:
    """One point of a curve, one seed: at ``x`` traces, items or digits."""

    curve: str
    seed: int
    x: int
    right: int
    count: int

    @property
    def percent(self) -> float:
        return 100 * self.right / self.count


@dataclass(frozen=True)
class Pair:
    """A sha256 before and after MAX was learned: of ``what``, one seed."""

    what: str
    seed: int
    before: str
    after: str

    @property
    def same(self) -> bool:
        return self.before == self.after


@dataclass(frozen=True)
class Effort:
    """What training a core or learning rows took: whether all was right at its end, and the updates."""

    core: str
    seed: int
    solved: bool
    updates: int


@dataclass(frozen=True)
class Spent:
    """CPU seconds of one kind (traces, training, learning, tests) for one core, curve or file, one seed."""

    part: str
    kind: str
    seed: int
    seconds: float


@dataclass(frozen=True)
class Report:
    """Everything that the outputs show.

    Attributes:
        recipe: the settings, as JSON; its name is ``full`` or ``quick``. skipped: what it does less than the full one.
        seeds: of which there are results. dates: first and last day. machines: all that took part.
        missing: names of stages that were asked for and are not finished.
    """

    recipe: Mapping[str, Any]
    skipped: tuple[str, ...]
    seeds: tuple[int, ...]
    dates: tuple[str, ...]
    machines: tuple[str, ...]
    figures: tuple[Figure, ...]
    points: tuple[Point, ...]
    pairs: tuple[Pair, ...]
    efforts: tuple[Effort, ...]
    spent: tuple[Spent, ...]
    missing: tuple[str, ...]

    @property
    def quick(self) -> bool:
        return self.recipe["name"] != "full"

    @property
    def unchanged(self) -> bool:
        """Whether everything that was compared before and after MAX is the same."""
        return all(pair.same for pair in self.pairs)

    def below(self) -> list[str]:
        """Cells of the table whose median is below the paper's number."""
        found = []
        for row in ROWS:
            for column, paper in row.paper.items():
                values = [f.percent for f in self.figures if (f.row, f.column) == (row.key, column)]
                if values and median(values) < paper:
                    found.append(f"{row.label} ({COLUMNS[column]}): {median(values):.1f} %, the paper {paper:.1f} %")
        return found

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """The inverse; :class:`envs.support.typed_json.FormatError` where it is of another form."""
        found: Report = typed(cls, data)
        return found


def collect(work: Work, wanted: Sequence[Stage]) -> Report:
    """Everything that is finished in the folder, of all seeds and parts; ``wanted`` are the stages that were asked for.

    Raises ``ValueError`` where a finished stage has other settings than the recipe.
    """
    folders = [path.name.removeprefix("seed-") for path in work.ledger.folder.glob("seed-*")]
    seeds = sorted(int(seed) for seed in folders if seed.isdecimal())
    found = {stage.name: work.ledger.read(stage) for stage in plan(work, seeds)}
    records = {name: record for name, record in found.items() if record is not None}
    dates = sorted(record.date for record in records.values())
    done = _Done(records)
    return Report(
        recipe=work.recipe.to_json(),
        skipped=tuple(skipped(work.recipe)),
        seeds=tuple(seed for seed in seeds if any(name.startswith(f"seed-{seed}/") for name in records)),
        dates=tuple(dict.fromkeys(dates[:1] + dates[-1:])),
        machines=tuple(dict.fromkeys(record.machine for record in records.values())),
        figures=tuple(figure for seed in seeds for figure in done.figures(seed)),
        points=tuple(point for seed in seeds for point in done.points(seed, work.recipe)),
        pairs=tuple(pair for seed in seeds for pair in done.pairs(seed)),
        efforts=tuple(effort for seed in seeds for effort in done.efforts(seed)),
        spent=tuple(spent for name, record in records.items() for spent in _spent(name, record.result)),
        missing=tuple(stage.name for stage in wanted if stage.name not in records),
    )


@dataclass(frozen=True)
class _Done:
    """The finished stages, by name."""

    records: Mapping[str, Record]

    def result(self, seed: int, name: str) -> Result | None:
        record = self.records.get(f"seed-{seed}/{name}")
        return None if record is None else record.result

    def figures(self, seed: int) -> Iterator[Figure]:
        """The table's numbers."""
        tests = [("single", file) for file in FILES] + [("multi", None), ("max", None)]
        for column, file in tests:
            found = self.result(seed, f"test-{file or column}")
            for row in rows(column, file) if found else ():
                one = found["tests"][row.key] if found else {}
                yield Figure(row.key, column, seed, one["right"], one["count"])

    def points(self, seed: int, recipe: Recipe) -> Iterator[Point]:
        """Those of the curves, in order."""
        for curve in CURVES:
            for x in recipe.samples if curve == SAMPLES else recipe.lengths[curve.key]:
                found = self.result(seed, f"{curve.key}-{x}")
                if found is not None:
                    one = found["tests"][curve.task]
                    yield Point(curve.key, seed, x, one["right"], one["count"])

    def pairs(self, seed: int) -> Iterator[Pair]:
        """What was compared before and after MAX: hashes of core, rows and outputs, and of every run of the tests."""
        learned = self.result(seed, f"learn-{LEARNED}")
        for what, (before, after) in (learned["hashes"] if learned else {}).items():
            yield Pair(what, seed, before, after)
        before, after = self.result(seed, "test-multi"), self.result(seed, "test-max")
        for key, test in (before["tests"] if before and after else {}).items():
            yield Pair(f"runs of {key}", seed, test["digest"], after["tests"][key]["digest"] if after else "")

    def efforts(self, seed: int) -> Iterator[Effort]:
        for core, name in [*((f, f"train-{f}") for f in (*FILES, "multi")), (LEARNED, f"learn-{LEARNED}")]:
            found = self.result(seed, name)
            if found is not None:
                yield Effort(core, seed, found["solved"], found["updates"])


def _spent(name: str, result: Result) -> Iterator[Spent]:
    """The seconds of a stage; the points of a curve count for the curve."""
    folder, _, stage = name.partition("/")
    first, _, last = stage.rpartition("-")
    part = first if last.isdecimal() else last
    for kind, seconds in result["seconds"].items():
        yield Spent(part, kind, int(folder.removeprefix("seed-")), seconds)
