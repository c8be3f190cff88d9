"""``npi demo``: the main job from end to end, in under three minutes on two cores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from npi.cli.console import SCORED, Column, Meter, Screen, check_folder, finish, number, open_library
from npi.cli.evaluate import score_document
from npi.cli.interrupts import stop_on_interrupt
from npi.cli.options import JsonOption, SeedOption, option
from npi.cli.train import frame_job
from npi.cli.train_report import program_rows
from npi.cli.words import duration, plural, show_sizes

if TYPE_CHECKING:
    from npi.library.kinds import ProgramProof
    from npi.running.evaluate import SizeScore
    from npi.training.learn_rows import RowResult

TRAINED = ("addition.npi", "bubblesort.npi")
LEARNED = "max.npi"
TRACES = 32
"""Runs of each training size."""
TRAINING: dict[str, Any] = {"certify": True}
"""Changes of the default settings of training: it ends when every program is proved."""


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
    Test("add", {10: 1000, 100: 100, 1000: 10, 10000: 3}, 10, 97.0),
    Test("sort", {5: 1000, 20: 1000, 60: 100, 120: 20}, 5, 100.0),
    Test("max", {5: 1000, 20: 1000, 60: 100, 120: 20}, 5, 100.0),
)


def demo(
    programs: Annotated[
        Path | None,
        option("--programs", "Folder of addition.npi, bubblesort.npi and max.npi; by default the engine's.", "DIR"),
    ] = None,
    out: Annotated[Path, option("--out", "The library's folder.", "DIR")] = Path("library"),
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Train one core on addition and sorting, then teach it maximum without changing it.

    Traces both program files, trains until every task is solved and every program proved, runs one addition before your
    eyes, learns max.npi as two new rows beside the frozen core, proves all programs for every input, and tests them on
    sizes far beyond those of training.

    \b
    Example:
      npi demo
    """
    from npi.library.examples import example_files

    screen = Screen(json=json)
    files = example_files(programs, (*TRAINED, LEARNED))
    check_folder(out)
    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str, title: str) -> Iterator[Meter]:
        """A heading, progress and, at the end, an empty line; keeps the time."""
        screen.line(f"{len(seconds) + 1}  {title}")
        with Meter(f"   {name}") as meter:
            yield meter
        seconds[name] = meter.seconds
        screen.line()

    with stop_on_interrupt() as stop:

        def check(done: bool, why: str) -> None:
            if not done:
                screen.note("interrupted; npi demo begins anew" if stop() else f"{why}; try another --seed")
                finish(False, interrupted=stop())

        with stage("train", f"Train one core on {' and '.join(TRAINED)}") as meter:
            check(_train(screen, meter, files[:-1], out, seed, stop), "training did not solve every task")
        with stage("run", f"Run it: npi run {' '.join(SHOWN)}"):
            _show_run(screen, out)
        with stage("learn", f"Learn {LEARNED} as new rows; the core no longer changes") as meter:
            learned = _learn(screen, meter, files[-1], out, seed, stop)
            check(learned.solved, f"{LEARNED} was not learned")
    with stage("prove", "Prove that the core runs each program as its text says, for inputs of every size") as meter:
        proofs = _prove(screen, meter, out)
    with stage("test", "Test on random problems that training never saw") as meter:
        scores = _test(meter, out, seed)
    _summary(screen, seconds, scores, learned, proofs)
    perfect = all(score.right == score.count for score in scores) and all(proof.proved for proof in proofs)
    finish(perfect and learned.unchanged)


def _train(screen: Screen, meter: Meter, files: list[Path], out: Path, seed: int, stop: Callable[[], bool]) -> bool:
    """Train a library; tells whether it is solved."""
    from npi.core.config import CoreConfig, TrainConfig

    core = CoreConfig()
    job = frame_job(files, core, TrainConfig.for_core(core, seed=seed, **TRAINING), traces=TRACES, device="cpu")
    result = job.run(meter, out=out, stop=stop, fresh=True)
    rows, found = program_rows(result), result.report.validation
    frames, traces = sum(row["frames"] for row in rows), sum(result.entry["traces"])
    screen.line(
        f"   {plural(traces, 'trace')}, {plural(frames, 'different frame')} of {plural(len(rows), 'program')}; "
        f"{plural(result.report.update, 'update')}, {duration(meter.seconds)}"
    )
    if found is not None:
        screen.line(f"   random problems and proofs that the core passed: {found.solved} of {found.problems}")
    screen.line(f"   core {result.library.core.digest()}")
    return bool(result.solved)


def _show_run(screen: Screen, out: Path) -> None:
    from npi.cli.run_view import Replay, print_calls, print_verdict
    from npi.running.runs import run_once, runnable_tasks

    name, *inputs = SHOWN
    (shown,) = runnable_tasks([name], open_library(out))
    problem, began = shown.task.parse(inputs), time.perf_counter()
    found = run_once(shown.stepper, shown.programs, shown.task, problem)
    seconds = time.perf_counter() - began
    screen.line()
    print_calls(screen, found, Replay(shown.programs, problem), every=False, limit=22)
    print_verdict(screen, found, None, seconds)


def _learn(screen: Screen, meter: Meter, file: Path, out: Path, seed: int, stop: Callable[[], bool]) -> RowResult:
    from npi.cli.learn import learn_job, people
    from npi.training.learn_rows import LearnConfig

    job = learn_job(out, [file], LearnConfig(seed=seed), traces=8, device="cpu")
    found: RowResult = job.run(meter, stop=stop)
    people(screen, found, out, kept=found.solved, seconds=meter.seconds)
    return found


def _prove(screen: Screen, meter: Meter, out: Path) -> list[ProgramProof]:
    """Walk every configuration of every program, the new ones included; one that two files use counts once."""
    from npi.proof.prove import prove

    kept: dict[str, ProgramProof] = {}
    for proof in (proof for _, found in prove(open_library(out)) for proof in found):
        if proof.program not in kept or not proof.proved:
            kept[proof.program] = proof
    proofs = list(kept.values())
    wrong = sum(proof.wrong for proof in proofs)
    walked = plural(sum(proof.configurations for proof in proofs), "configuration")
    verdict = "the core decides as the text in all of them" if not wrong else f"the core is wrong in {wrong}"
    screen.line(f"   {plural(len(proofs), 'program')}, {walked}; {verdict} ({duration(meter.seconds)})")
    return proofs


def _test(meter: Meter, out: Path, seed: int) -> list[SizeScore]:
    from npi.running.evaluate import score_sizes

    library = open_library(out)
    scores: list[SizeScore] = []
    total = sum(len(test.counts) for test in TESTS)
    for test in TESTS:
        programs, task = library.task(test.task)
        stepper = library.stepper(programs.table)
        for size in test.counts:
            meter.update(len(scores), total, f"{test.task}, size {size}")
            scores += score_sizes(
                stepper, programs, task, name=test.task, sizes=[size], seed=seed, count=test.counts.__getitem__
            )
    return scores


def _summary(
    screen: Screen,
    seconds: dict[str, float],
    scores: list[SizeScore],
    learned: RowResult,
    proofs: list[ProgramProof],
) -> None:
    tests = {test.task: test for test in TESTS}

    def paper(score: SizeScore) -> str:
        test = tests[score.task]
        return f"{test.paper:.1f} %" if score.size == test.paper_size else ""

    solved, accuracy, _, took = SCORED
    screen.table(
        scores,
        Column("task", once=True),
        number("trained at", lambda score: show_sizes(score.train_sizes), once=True),
        number("tested at", "size"),
        solved,
        accuracy,
        number("paper", paper),
        took,
    )
    screen.line()
    screen.line("paper: Reed & de Freitas 2016, table 1, one core for several tasks")
    proved = sum(proof.proved for proof in proofs)
    screen.line(f"proved for inputs of every size: {proved} of {plural(len(proofs), 'program')}")
    screen.line(f"core before learning {LEARNED}  {learned.before.core}")
    screen.line(f"core after learning {LEARNED}   {learned.after.core}")
    stages = ", ".join(f"{name} {duration(spent)}" for name, spent in seconds.items())
    screen.line(f"time: {stages}; {duration(sum(seconds.values()))} in all")
    screen.document(
        {
            "scores": [score_document(score) for score in scores],
            "paper": {test.task: {"size": test.paper_size, "percent": test.paper} for test in TESTS},
            "core_before": learned.before.core,
            "core_after": learned.after.core,
            "unchanged": learned.unchanged,
            "proved": {proof.program: proof.proved for proof in proofs},
            "seconds": {name: round(spent, 3) for name, spent in seconds.items()},
        }
    )
