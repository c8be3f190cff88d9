"""``npi demo``: the main job from end to end, in under three minutes on two cores."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.common import (
    DONE,
    INTERRUPTED,
    NOT_REACHED,
    JsonOption,
    Meter,
    Screen,
    SeedOption,
    duration,
    finish,
    grid,
    open_library,
    plural,
    stop_on_interrupt,
)
from npi.cli.evaluate import percent, score_document

if TYPE_CHECKING:
    from npi.evaluate import SizeScore
    from npi.learn import Learned
    from npi.session import TrainResult

TRAINED = ("addition.npi", "bubblesort.npi")
LEARNED = "max.npi"


@dataclass(frozen=True)
class Test:
    """A task of the table: problems of each size, and what NPI's paper reports.

    Attributes:
        counts: size to number of problems.
        paper: accuracy in percent at size ``paper_size``, multi-task, NPI table 1.
    """

    task: str
    counts: dict[int, int]
    paper_size: int
    paper: float


SHOWN = ("add", "96", "125")
"""The task that is run before the user's eyes, with its inputs."""

TESTS = (
    Test("add", {10: 500, 100: 100, 1000: 5}, 10, 97.0),
    Test("sort", {5: 500, 20: 200, 60: 20}, 5, 100.0),
    Test("max", {5: 500, 20: 200, 60: 20}, 5, 100.0),
)


def demo(
    programs: Annotated[
        Path, typer.Option("--programs", metavar="DIR", help="Folder of addition.npi, bubblesort.npi and max.npi.")
    ] = Path("programs"),
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The library's folder.")] = Path("library"),
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Train one core on addition and sorting, then teach it maximum without changing it.

    Traces both program files, trains until every task is solved, runs one addition before your eyes, learns max.npi as
    two new rows beside the frozen core, and tests everything on sizes far beyond those of training.

    \b
    Example:
      npi demo
    """
    from npi.cli.train import check_folder

    screen = Screen(json=json)
    files = [programs / name for name in (*TRAINED, LEARNED)]
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise ValueError(
            f"there is no {missing[0]}: run this where the repository's programs/ folder is, or give it with --programs"
        )
    check_folder(out)
    times: dict[str, float] = {}
    with stop_on_interrupt() as stop:
        result = _train(screen, files[:2], out, seed, times, stop)
        if not result.solved:
            interrupted = stop()
            screen.note("interrupted; npi demo begins anew" if interrupted else "training did not solve every task; "
                        "try another --seed")  # fmt: skip
            finish(INTERRUPTED if interrupted else NOT_REACHED)
        _show_run(screen, out)
        learned = _learn(screen, files[2], out, seed, times, stop)
        if not learned.solved:
            finish(INTERRUPTED if stop() else NOT_REACHED)
    scores = _test(screen, out, seed, times)
    _summary(screen, scores, learned, times)
    screen.document(_document(scores, learned, times))
    perfect = all(score.right == score.count for score in scores) and learned.unchanged
    finish(DONE if perfect else NOT_REACHED)


def _train(screen: Screen, files: list[Path], out: Path, seed: int, times: dict[str, float], stop: Any) -> TrainResult:
    from npi.cli.train import program_rows, train_with
    from npi.config import CoreConfig, TrainConfig

    config = CoreConfig()
    training = TrainConfig.for_core(config, seed=seed, decay=600, stretch=1.0)
    screen.line(f"1  Train one core on {', '.join(path.name for path in files)}")
    with Meter("   training") as meter:
        result = train_with(meter, files, out=out, core=config, training=training, traces=32, device="cpu", stop=stop,
                            fresh=True)  # fmt: skip
        times["train"] = meter.seconds
    rows = program_rows(result)
    frames, traces = sum(row["frames"] for row in rows), sum(material.traces for material in result.materials)
    screen.line(
        f"   {plural(traces, 'trace')}, {plural(frames, 'different frame')} of {plural(len(rows), 'program')}; "
        f"{plural(result.report.update, 'update')}, {duration(times['train'])}"
    )
    if result.report.validation is not None:
        found = result.report.validation
        screen.line(f"   random problems solved by the core: {found.solved} of {found.problems}")
    screen.line(f"   core {result.library.core.digest()}")
    screen.line()
    return result


def _show_run(screen: Screen, out: Path) -> None:
    from npi.cli.run import find, print_calls, print_verdict
    from npi.cli.runs import Replay, run_once

    name, *inputs = SHOWN
    screen.line(f"2  Run it: npi run {' '.join(SHOWN)}")
    screen.line()
    programs, task, stepper, _ = find(name, out, None)
    problem = task.parse(inputs)
    began = time.perf_counter()
    found = run_once(stepper, programs, task, problem)
    replay = Replay(programs, problem, width=100)
    print_calls(screen, programs, found, replay, every=False, limit=22)
    print_verdict(screen, found, None, time.perf_counter() - began)
    screen.line()


def _learn(screen: Screen, file: Path, out: Path, seed: int, times: dict[str, float], stop: Any) -> Learned:
    from npi.cli.learn import learn_with, people
    from npi.learn import LearnConfig

    screen.line(f"3  Learn {file.name} as new rows; the core no longer changes")
    with Meter("   learning") as meter:
        found = learn_with(
            meter, out, [file], config=LearnConfig(seed=seed), traces=8, out=None, device="cpu", stop=stop,
            keep_unsolved=False,
        )  # fmt: skip
        times["learn"] = meter.seconds
    people(screen, found, out, kept=found.solved, seconds=times["learn"])
    screen.line()
    return found


def _test(screen: Screen, out: Path, seed: int, times: dict[str, float]) -> list[SizeScore]:
    from npi.evaluate import score_sizes

    screen.line("4  Test on random problems that training never saw")
    library = open_library(out)
    scores: list[SizeScore] = []
    total = sum(len(test.counts) for test in TESTS)
    with Meter("   testing") as meter:
        for test in TESTS:
            programs, task = library.task(test.task)
            stepper = library.stepper(programs.table)
            for size, count in test.counts.items():
                meter.update(len(scores), total, f"{test.task}, size {size}")
                amount = {size: count}.__getitem__
                scores += score_sizes(stepper, programs, task, name=test.task, sizes=[size], seed=seed, count=amount)
        times["test"] = meter.seconds
    return scores


def _summary(screen: Screen, scores: list[SizeScore], learned: Learned, times: dict[str, float]) -> None:
    right = ("trained at", "tested at", "solved", "accuracy", "paper")
    table = grid("task", *right, "time", right=right)
    for test in TESTS:
        for score in (s for s in scores if s.task == test.task):
            first = score.size == min(test.counts)
            table.add_row(
                test.task if first else "",
                "1..20" if first and test.task == "add" else "2..20" if first else "",
                f"{score.size:,}",
                f"{score.right:,} of {score.count:,}",
                percent(score.right, score.count),
                f"{test.paper:.1f} %" if score.size == test.paper_size else "",
                duration(score.seconds),
            )
    screen.say(table)
    screen.line("paper: Reed & de Freitas 2016, table 1, one core for several tasks")
    screen.line(f"core before learning max  {learned.core_before}")
    screen.line(f"core after learning max   {learned.core_after}")
    stages = ", ".join(f"{name} {duration(seconds)}" for name, seconds in times.items())
    screen.line(f"time: {stages}; {duration(sum(times.values()))} in all")


def _document(scores: list[SizeScore], learned: Learned, times: dict[str, float]) -> dict[str, Any]:
    return {
        "scores": [score_document(score) for score in scores],
        "paper": {test.task: {"size": test.paper_size, "percent": test.paper} for test in TESTS},
        "core_before": learned.core_before,
        "core_after": learned.core_after,
        "unchanged": learned.unchanged,
        "seconds": {name: round(seconds, 3) for name, seconds in times.items()},
    }
