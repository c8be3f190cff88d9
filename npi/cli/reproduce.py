"""``npi reproduce``: the results of a paper, made again from nothing."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from npi.cli.console import Column, Meter, Screen, finish
from npi.cli.interrupts import stop_on_interrupt
from npi.cli.options import DeviceOption, JsonOption, argument, option
from npi.cli.words import duration, parse_numbers, plural

if TYPE_CHECKING:
    from npi.reproduce.ledger import Result, Stage
    from npi.reproduce.report import Report
    from npi.reproduce.stages import Work


class Paper(StrEnum):
    """What can be reproduced."""

    npi_paper = "npi-paper"


class Part(StrEnum):
    """What of it can be made by itself."""

    table = "table"
    samples = "samples"
    lengths = "lengths"


def reproduce(
    what: Annotated[Paper, argument("npi-paper: Reed & de Freitas, Neural Programmer-Interpreters, 2016, section 4.")],
    out: Annotated[
        Path | None, option("--out", "Where everything is kept; npi-paper, or npi-paper-quick.", "DIR")
    ] = None,
    programs: Annotated[
        Path | None,
        option("--programs", "Folder of addition, bubblesort, goto and max.npi; by default the engine's.", "DIR"),
    ] = None,
    seeds: Annotated[
        str | None, option("--seeds", "Such as 0..4 or 0,3; five by default, one if quick.", "SEEDS")
    ] = None,
    quick: Annotated[
        bool, option("--quick", "Minutes in place of hours, to see that it works; says what it skips.")
    ] = False,
    only: Annotated[
        list[Part] | None,
        option("--only", "One part: the table, the curve of traces, or those of lengths; can be repeated."),
    ] = None,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
) -> None:
    """Make the table and the curves of the NPI paper again, from program files to plots, with the paper's numbers
    beside ours.

    The table: one core for each of addition, sorting and cars (Single), one core for all three (Multi), and that core
    after MAX was learned beside it, frozen (+ Max), with hashes that show whether anything else changed. The curves:
    sorting learned from 1 to 256 traces, sorting up to 120 items, addition up to 3,000 digits. A seed takes some
    25 minutes on one CPU core, nearly all of it for the cars.

    Each finished stage is one file in the folder. After Ctrl-C or a kill, the same command resumes. Ends
    with 1 where a figure is below the paper's (but for --quick), or learning MAX changed something.

    \b
    Example:
      npi reproduce npi-paper --quick
      npi reproduce npi-paper --only samples --only lengths --seeds 0..2
    """
    from envs.support.atomic_files import claimed
    from npi.reproduce.outputs import write_outputs
    from npi.reproduce.plots import check_matplotlib
    from npi.reproduce.recipe import FULL, QUICK, skipped
    from npi.reproduce.report import collect
    from npi.reproduce.stages import PARTS, begin, plan
    from npi.training.ranks import pick_device

    check_matplotlib()
    screen, recipe = Screen(json=json), QUICK if quick else FULL
    chosen = parse_numbers(seeds, "--seeds", least=0) if seeds else recipe.seeds
    folder = out or Path(what.value if not quick else f"{what.value}-quick")
    if quick:
        screen.note("quick: figures to see that it works, not to quote. What is less than in the full recipe:")
        for line in skipped(recipe):
            screen.note(f"  {line}")
    with claimed(folder), stop_on_interrupt() as stop:
        work = begin(folder, programs, recipe, device=str(pick_device(device)), stop=stop)
        stages = plan(work, chosen, [part.value for part in only] if only else PARTS)
        done = carry_out(screen, work, stages)
    report = collect(work, stages)
    paths = write_outputs(report, folder)
    people(screen, report, paths)
    screen.document(report.to_json(), exact=True)
    if report.missing:
        screen.note(f"stopped after {done} of {plural(len(stages), 'stage')}; the same command resumes")
        finish(interrupted=True)
    reached = report.quick or not report.below()  # nobody quotes quick figures, so they need not reach the paper's
    finish(report.unchanged and reached)


def carry_out(screen: Screen, work: Work, stages: Sequence[Stage]) -> int:
    """Do the stages that have no result yet, until one is stopped; returns how many are finished."""
    from npi.reproduce.ledger import Stopped

    finished = [work.ledger.read(stage) is not None for stage in stages]
    if any(finished):
        screen.note(f"{sum(finished)} of {plural(len(stages), 'stage')} were done before")
    for number, stage in enumerate(stages):
        if finished[number]:
            continue
        title = f"{number + 1} of {len(stages)}  {stage.title}"
        if work.stop():
            break
        with Meter(title) as meter:
            try:
                record = work.ledger.run(stage, meter.update)
            except Stopped:
                break
        finished[number] = True
        screen.note(f"{title}: {'; '.join([*told(record.result), duration(meter.seconds)])}")
    return sum(finished)


def told(result: Result) -> list[str]:
    """What a stage found, in a few words."""
    found = []
    if "steps" in result:
        found.append(f"{plural(result['traces'], 'trace')}, {plural(result['steps'], 'step')}")
    if "updates" in result:
        solved = "all right" if result["solved"] else "not all right"
        found.append(f"{solved} after {plural(result['updates'], 'update')}")
    if "hashes" in result:
        changed = [what for what, (before, after) in result["hashes"].items() if before != after]
        found.append(f"CHANGED: {', '.join(changed)}" if changed else "core, old rows and old outputs unchanged")
    tests: dict[str, dict[str, Any]] = result.get("tests", {})
    found += [f"{name} {one['right']:,} of {one['count']:,}" for name, one in tests.items()]
    return found


def people(screen: Screen, report: Report, paths: Sequence[Path]) -> None:
    """The table, what changed, and where the files are."""
    from npi.reproduce.outputs import PAPER, cells

    if report.figures and not screen.json:
        head, *rows = cells(report)
        screen.table(rows, *(Column(name, itemgetter(place), right=place > 0) for place, name in enumerate(head)))
        seeds = ", ".join(map(str, report.seeds))
        ours = f"median and range over seeds {seeds}" if len(report.seeds) > 1 else f"seed {seeds}"
        screen.line(f"{PAPER}: Reed & de Freitas 2016, table 1; ours: {ours}")
    if report.pairs:
        changed = [f"{pair.what}, seed {pair.seed}" for pair in report.pairs if not pair.same]
        same = f"unchanged by MAX: core, old rows, old outputs, every run ({len(report.pairs)} comparisons)"
        screen.line(f"CHANGED by MAX: {'; '.join(changed)}" if changed else same)
    below = "below the paper, as quick figures may be" if report.quick else "below the paper"
    for line in report.below():
        screen.line(f"{below}: {line}")
    screen.line(f"written: {', '.join(map(str, paths))}")
