"""Every setting of the reproduction, and what the paper reports: one place to tune, one place to read.

Cores are trained by :meth:`npi.core.config.TrainConfig.for_core`, rows learned by
:class:`npi.training.learn_rows.LearnConfig`; a recipe says what it changes of their defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from npi.core.config import CoreConfig, TrainConfig

COLUMNS = {"single": "Single", "multi": "Multi", "max": "+ Max"}
"""Of the paper's table: a core for each task, one core for all, the same after MAX was learned beside it."""

FILES = {"addition": "addition", "bubblesort": "sorting", "goto": "cars"}
"""Program files that cores are trained on, and what a person calls them."""

LEARNED = "max"
"""The program file that is learned as rows beside the core of all tasks."""


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        key, label: short and long name.
        file, task: which task of which program file is tested.
        size: digits or items of the inputs.
        poses: whether the inputs are the start poses of cars, each once, in place of random ones.
        paper: what NPI's table 1 says, percent of whole sequences, by column.
    """

    key: str
    label: str
    file: str
    task: str
    size: int = 1
    poses: bool = False
    paper: Mapping[str, float] = field(default_factory=dict)


ROWS = (
    Row("addition", "Addition, 10 digits", "addition", "add", 10, paper={"single": 100.0, "multi": 97.0, "max": 97.0}),
    Row("sorting", "Sorting, 5 items", "bubblesort", "sort", 5, paper={"single": 100.0, "multi": 100.0, "max": 100.0}),
    Row("seen", "Canonicalise, seen car", "goto", "canonicalise", poses=True,
        paper={"single": 89.5, "multi": 91.4, "max": 91.4}),
    Row("unseen", "Canonicalise, unseen car", "goto", "unseen", poses=True,
        paper={"single": 88.7, "multi": 89.9, "max": 89.9}),
    Row("novel", "Canonicalise, unseen body style", "goto", "novel", poses=True),
    Row("target", "Go to a random target, seen car", "goto", "goto"),
    Row(LEARNED, "Maximum, 5 items", LEARNED, "max", 5, paper={"max": 100.0}),
)  # fmt: skip
"""Unseen body styles and random targets are not in the paper."""


def rows(column: str, file: str | None = None) -> tuple[Row, ...]:
    """The rows that a core is tested on: those of its file, or all; maximum only where it was learned."""
    return tuple(r for r in ROWS if (r.file == file if file else r.file != LEARNED or column == "max"))


@dataclass(frozen=True)
class Curve:
    """One curve of section 4: what varies, and what the paper says of it.

    Attributes:
        key, title, axis: names. file, task: what is tested.
        mark, remark: a place on the axis, and what the paper says of it.
        scale: of the axis (Matplotlib's word).
    """

    key: str
    title: str
    axis: str
    file: str
    task: str
    mark: int
    remark: str
    scale: str = "linear"


SAMPLES = Curve(
    "samples", "Sorting learned from few traces", "traces of 20 items learned from", "bubblesort", "sort", 8,
    "NPI: nearly perfect from 8", "log",
)  # fmt: skip
LENGTHS = (
    Curve("sorting", "Sorting beyond its training", "items", "bubblesort", "sort", 60, "NPI: breaks beyond 60"),
    Curve("digits", "Addition beyond its training", "digits", "addition", "add", 3000, "NPI: 100 % up to 3,000", "log"),
)
CURVES = (SAMPLES, *LENGTHS)


@dataclass(frozen=True)
class Recipe:
    """All settings of a reproduction.

    Attributes:
        name: ``"full"`` or ``"quick"``; stands in every output.
        seeds: of weights, traces and tests, where none are asked for.
        core: the shape of every core.
        traces: by program file, runs of each training size of its tasks.
        training: by core (a program file, ``multi`` for all of them, ``samples``), changes of the usual settings.
        learning: changes of the usual settings of learning rows.
        problems: random test problems of a row of the table, and of a point of the sample curve.
        poses: start poses tested of each kind of car, the same ones for every seed; 0 takes all that there are.
        pixels: along a side of the pictures of cars; 0 leaves what the program file says.
        samples: how many traces sorting is learned from. sample_size: their length, and that of its test.
        lengths: by curve, the sizes that are tested and how many problems of each.
    """

    name: str
    seeds: tuple[int, ...]
    core: CoreConfig
    traces: Mapping[str, int]
    training: Mapping[str, Mapping[str, Any]]
    learning: Mapping[str, Any]
    problems: int
    poses: int
    pixels: int
    samples: tuple[int, ...]
    sample_size: int
    lengths: Mapping[str, Mapping[int, int]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def trained(self, name: str, seed: int) -> TrainConfig:
        """How a core is trained: the usual settings with the recipe's changes."""
        return TrainConfig.for_core(self.core, seed=seed, **self.training[name])


PICTURES = {"states": "learned"}
"""With forced states the last pictures of 20,000 traces took longer than with these, and were fewer right."""

FULL = Recipe(
    name="full",
    seeds=(0, 1, 2, 3, 4),
    core=CoreConfig(),
    traces={"addition": 32, "bubblesort": 64, "goto": 20000, LEARNED: 8},
    training={
        "addition": {},
        "bubblesort": {},
        "goto": {**PICTURES, "updates": 1200, "decay": 600, "frames": 256, "problems": 256, "slack": 0.001},
        "multi": {**PICTURES, "updates": 1600, "decay": 800, "frames": 512, "problems": 256, "slack": 0.001},
        "samples": {"updates": 1000, "clean": 3},
    },
    learning={},
    problems=1000,
    poses=0,
    pixels=0,
    samples=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    sample_size=20,
    lengths={
        "sorting": dict.fromkeys((2, 5, 10, 20), 1000) | dict.fromkeys(range(30, 121, 10), 100),
        "digits": dict.fromkeys((1, 3, 10, 20), 1000) | dict.fromkeys((50, 100, 300, 1000, 2000, 3000), 100),
    },
)
"""Where the paper counts its traces, as many: 640 of addition (32 of each length), 1,216 of sorting (64 of each)."""

QUICK = replace(
    FULL,
    name="quick",
    seeds=(0,),
    traces={**FULL.traces, "goto": 2000},
    training={
        **FULL.training,
        "goto": {**PICTURES, "updates": 600, "frames": 128, "problems": 64},
        "multi": {**PICTURES, "updates": 900, "frames": 256, "decay": 900, "problems": 64},
    },
    problems=200,
    poses=300,
    pixels=32,
    samples=(1, 8, 64),
    lengths={"sorting": {5: 100, 20: 100, 60: 50, 120: 10}, "digits": {10: 100, 100: 50, 1000: 10, 3000: 3}},
)
"""Minutes in place of hours; figures to see that it works, and not to quote."""


def skipped(recipe: Recipe) -> list[str]:
    """What is less than in the full recipe, a line for each kind of thing."""
    found = [_less("seeds, unless --seeds names others", len(recipe.seeds), len(FULL.seeds))]
    found += [_less(f"traces of {name}.npi for each size", n, FULL.traces[name]) for name, n in recipe.traces.items()]
    for name in recipe.training:
        few, many = recipe.trained(name, 0), FULL.trained(name, 0)
        what = {"multi": "the core for all", "samples": "a point of the curve of traces"}.get(name, f"{name}.npi alone")
        found.append(_less(f"updates at most of {what}", few.updates, many.updates))
        found.append(_less(f"frames in an update of {what}", few.frames, many.frames))
    found.append(_less("test problems of a row of the table", recipe.problems, FULL.problems))
    if recipe.poses and recipe.poses != FULL.poses:
        found.append(f"start poses tested of each kind of car: {recipe.poses:,} in place of {FULL.poses or 'all'}")
    if recipe.pixels and recipe.pixels != FULL.pixels:
        file = "those that goto.npi says"
        found.append(f"pixels along a side of a picture: {recipe.pixels} in place of {FULL.pixels or file}")
    found.append(_less("points of the curve of traces", len(recipe.samples), len(FULL.samples)))
    for curve in LENGTHS:
        few_of, all_of = recipe.lengths[curve.key], FULL.lengths[curve.key]
        found.append(_less(f"points of the curve of {curve.axis}", len(few_of), len(all_of)))
        found.append(_less("test problems of that curve, over all points", sum(few_of.values()), sum(all_of.values())))
    return [line for line in found if line]


def _less(what: str, few: int, many: int) -> str:
    return f"{what}: {few:,} in place of {many:,}" if few != many else ""
