"""``npi demo``: the main job from end to end, in under three minutes on two cores."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from npi.cli.console import SCORED, Column, Meter, Screen, check_folder, finish, number, open_library, stop_on_interrupt
from npi.cli.evaluate import score_document
from npi.cli.options import JsonOption, SeedOption, option
from npi.cli.train import frame_job
from npi.cli.train_report import program_rows
from npi.cli.words import duration, plural, show_sizes

if TYPE_CHECKING:
    from npi.proof.prove import ProgramProof
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
        Path, option("--programs", "Folder of addition.npi, bubblesort.npi and max.npi.", "DIR")
    ] = Path("programs"),
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
    screen = Screen(json=json)
    files = [programs / name for name in (*TRAINED, LEARNED)]
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise ValueError(
            f"there is no {missing[0]}: run this where the repository's programs/ folder is, or give it with --programs"
        )
    check_folder(out)
    with stop_on_interrupt() as stop:
        job = Job(screen, out, seed, stop, {})
        if not _train(job, files[:-1]):
            _give_up(job, "training did not solve every task")
        _show_run(job)
        learned = _learn(job, files[-1])
        if not learned.solved:
            _give_up(job, f"{LEARNED} was not learned")
    proofs = _prove(job)
    scores = _test(job)
    _summary(job, scores, learned, proofs)
    proved = all(proof.proved for proof in proofs)
    perfect = all(score.right == score.count for score in scores) and learned.unchanged and proved
    finish(perfect)


@dataclass(frozen=True)
class Job:
    """What the stages share: where to print, the library's folder, the seed, and the seconds of each stage."""

    screen: Screen
    out: Path
    seed: int
    stop: Callable[[], bool]
    seconds: dict[str, float]


def _give_up(job: Job, why: str) -> None:
    interrupted = job.stop()
    job.screen.note("interrupted; npi demo begins anew" if interrupted else f"{why}; try another --seed")
    finish(False, interrupted=interrupted)


def _train(job: Job, files: list[Path]) -> bool:
    """Train a library; tells whether it is solved."""
    from npi.core.config import CoreConfig, TrainConfig

    screen, core = job.screen, CoreConfig()
    training = TrainConfig.for_core(core, seed=job.seed, **TRAINING)
    screen.line(f"1  Train one core on {' and '.join(path.name for path in files)}")
    with Meter("   training") as meter:
        result = frame_job(files, core, training, traces=TRACES, device="cpu").run(
            meter, out=job.out, stop=job.stop, fresh=True
        )
    job.seconds["train"] = meter.seconds
    rows = program_rows(result)
    frames, traces = sum(row["frames"] for row in rows), sum(result.entry["traces"])
    screen.line(
        f"   {plural(traces, 'trace')}, {plural(frames, 'different frame')} of {plural(len(rows), 'program')}; "
        f"{plural(result.report.update, 'update')}, {duration(job.seconds['train'])}"
    )
    found = result.report.validation
    if found is not None:
        screen.line(f"   random problems and proofs that the core passed: {found.solved} of {found.problems}")
    screen.line(f"   core {result.library.core.digest()}")
    screen.line()
    return result.solved


def _show_run(job: Job) -> None:
    from npi.cli.run_view import Replay, print_calls, print_verdict
    from npi.running.runs import run_once, runnable_tasks

    name, *inputs = SHOWN
    job.screen.line(f"2  Run it: npi run {' '.join(SHOWN)}")
    job.screen.line()
    (shown,) = runnable_tasks([name], open_library(job.out))
    problem = shown.task.parse(inputs)
    began = time.perf_counter()
    found = run_once(shown.stepper, shown.programs, shown.task, problem)
    seconds = time.perf_counter() - began
    print_calls(job.screen, found, Replay(shown.programs, problem), every=False, limit=22)
    print_verdict(job.screen, found, None, seconds)
    job.screen.line()


def _learn(job: Job, file: Path) -> RowResult:
    from npi.cli.learn import learn_job, people
    from npi.training.learn_rows import LearnConfig

    job.screen.line(f"3  Learn {file.name} as new rows; the core no longer changes")
    config = LearnConfig(seed=job.seed)
    with Meter("   learning") as meter:
        found = learn_job(job.out, [file], config, traces=8, device="cpu").run(meter, stop=job.stop)
    job.seconds["learn"] = meter.seconds
    people(job.screen, found, job.out, kept=found.solved, seconds=job.seconds["learn"])
    job.screen.line()
    return found


def _prove(job: Job) -> list[ProgramProof]:
    """Walk every configuration of every program, the new ones included."""
    from npi.proof.prove import prove

    job.screen.line("4  Prove that the core runs each program as its text says, for inputs of every size")
    began = time.perf_counter()
    proofs = [proof for _, found in prove(open_library(job.out)) for proof in found]
    job.seconds["prove"] = time.perf_counter() - began
    wrong = sum(proof.wrong for proof in proofs)
    walked = plural(sum(proof.configurations for proof in proofs), "configuration")
    verdict = "the core decides as the text in all of them" if not wrong else f"the core is wrong in {wrong}"
    job.screen.line(f"   {plural(len(proofs), 'program')}, {walked}; {verdict} ({duration(job.seconds['prove'])})")
    job.screen.line()
    return proofs


def _test(job: Job) -> list[SizeScore]:
    from npi.running.evaluate import score_sizes

    job.screen.line("5  Test on random problems that training never saw")
    library = open_library(job.out)
    scores: list[SizeScore] = []
    total = sum(len(test.counts) for test in TESTS)
    with Meter("   testing") as meter:
        for test in TESTS:
            programs, task = library.task(test.task)
            stepper = library.stepper(programs.table)
            for size, count in test.counts.items():
                meter.update(len(scores), total, f"{test.task}, size {size}")
                amount = {size: count}.__getitem__
                scores += score_sizes(
                    stepper, programs, task, name=test.task, sizes=[size], seed=job.seed, count=amount
                )
    job.seconds["test"] = meter.seconds
    return scores


def _summary(job: Job, scores: list[SizeScore], learned: RowResult, proofs: list[ProgramProof]) -> None:
    screen = job.screen
    tests = {test.task: test for test in TESTS}

    def paper(score: SizeScore) -> str:
        test = tests[score.task]
        return f"{test.paper:.1f} %" if score.size == test.paper_size else ""

    solved, accuracy, _, seconds = SCORED
    screen.table(
        scores,
        Column("task", once=True),
        number("trained at", lambda score: show_sizes(score.train_sizes), once=True),
        number("tested at", "size"),
        solved,
        accuracy,
        number("paper", paper),
        seconds,
    )
    screen.line()
    screen.line("paper: Reed & de Freitas 2016, table 1, one core for several tasks")
    proved = sum(proof.proved for proof in proofs)
    screen.line(f"proved for inputs of every size: {proved} of {plural(len(proofs), 'program')}")
    screen.line(f"core before learning {LEARNED}  {learned.before.core}")
    screen.line(f"core after learning {LEARNED}   {learned.after.core}")
    stages = ", ".join(f"{name} {duration(seconds)}" for name, seconds in job.seconds.items())
    screen.line(f"time: {stages}; {duration(sum(job.seconds.values()))} in all")
    screen.document(
        {
            "scores": [score_document(score) for score in scores],
            "paper": {test.task: {"size": test.paper_size, "percent": test.paper} for test in TESTS},
            "core_before": learned.before.core,
            "core_after": learned.after.core,
            "unchanged": learned.unchanged,
            "proved": {proof.program: proof.proved for proof in proofs},
            "seconds": {name: round(seconds, 3) for name, seconds in job.seconds.items()},
        }
    )
