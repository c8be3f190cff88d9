"""``npi reproduce``: the results of a paper or of a talk, made again from nothing."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from npi.cli.console import Column, Meter, Screen, finish
from npi.cli.interrupts import stop_on_interrupt
from npi.cli.options import DataOption, DeviceOption, JsonOption, argument, option, refuse_others
from npi.cli.words import duration, parse_numbers, plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from npi.reproduce.experiment import Session


def reproduce(
    context: typer.Context,
    what: Annotated[
        str,
        argument(
            "npi-paper: Reed & de Freitas, Neural Programmer-Interpreters, 2016, section 4; tools-that-learn: every "
            "row of the talk of that name.",
            "npi-paper|tools-that-learn",
        ),
    ],
    out: Annotated[
        Path | None, option("--out", "Where everything is kept; the experiment's name, and -quick if quick.", "DIR")
    ] = None,
    programs: Annotated[
        Path | None,
        option("--programs", "Folder of addition, bubblesort, goto and max.npi; by default the engine's.", "DIR"),
    ] = None,
    seeds: Annotated[
        str | None, option("--seeds", "Such as 0..4 or 0,3; several by default, one if quick.", "SEEDS")
    ] = None,
    quick: Annotated[
        bool, option("--quick", "Minutes in place of hours, to see that it works; says what it skips.")
    ] = False,
    only: Annotated[
        list[str] | None,
        option("--only", "One part: table, samples or lengths of the paper, or a row of the talk; repeatable.", "PART"),
    ] = None,
    device: DeviceOption = "cpu",
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make the results of a paper or of a talk again, from program files to plots, with published numbers beside ours.

    npi-paper: one core for each of addition, sorting and cars (Single), one core for all three (Multi), and that core
    after MAX was learned beside it, frozen (+ Max), with hashes that show whether anything else changed; sorting
    learned from 1 to 256 traces, sorting up to 120 items, addition up to 3,000 digits. A seed takes some 25 minutes on
    one CPU core, nearly all of it for the cars.

    tools-that-learn: a stage for each row of the talk, each with the control that its claim needs. With --quick all
    rows take some minutes; without it each learner is trained as npi train trains it.

    Each finished stage is one file in the folder. After Ctrl-C or a kill, the same command resumes. Ends with 1 where a
    figure of the paper is below the paper's (but for --quick), learning MAX changed something, or a row of the talk is
    not five standard errors better than its control.

    \b
    Example:
      npi reproduce npi-paper --quick
      npi reproduce npi-paper --only samples --only lengths --seeds 0..2
      npi reproduce tools-that-learn --quick
      npi reproduce tools-that-learn --quick --only harlow --only few-shot
    """
    from envs.support.atomic_files import claimed
    from npi.reproduce.experiment import Request, checked_parts, experiment
    from npi.training.ranks import pick_device

    found = experiment(what)
    refuse_others(context, what)
    screen, chosen = Screen(json=json), parse_numbers(seeds, "--seeds", least=0) if seeds else None
    folder = out or Path(f"{found.name}-quick" if quick else found.name)
    with stop_on_interrupt() as stop:
        request = Request(
            folder, quick, chosen, checked_parts(found, only or ()), programs, str(pick_device(device)), stop
        )
        for line in found.check(request):
            screen.note(line)
        with claimed(folder):
            session = found.begin(request)
            done = carry_out(screen, session, stop)
            outcome = session.outcome()
    if outcome.table and not screen.json:
        head, *rows = outcome.table
        columns = [Column(str(name), itemgetter(place), right=place > 0) for place, name in enumerate(head)]
        screen.table(rows, *columns)
    screen.lines(outcome.lines)
    screen.document(outcome.document, exact=True)
    if outcome.missing:
        screen.note(f"stopped after {done} of {plural(len(session.stages), 'stage')}; the same command resumes")
        finish(interrupted=True)
    finish(outcome.reached)


def carry_out(screen: Screen, session: Session, stop: Callable[[], bool]) -> int:
    """Do the stages that have no result yet, until one is stopped; returns how many are finished."""
    from npi.reproduce.ledger import Stopped

    ledger, stages = session.ledger, session.stages
    finished = [ledger.read(stage) is not None for stage in stages]
    if any(finished):
        screen.note(f"{sum(finished)} of {plural(len(stages), 'stage')} were done before")
    for number, stage in enumerate(stages):
        if finished[number]:
            continue
        title = f"{number + 1} of {len(stages)}  {stage.title}"
        if stop():
            break
        with Meter(title) as meter:
            try:
                record = ledger.run(stage, meter.update)
            except Stopped:
                break
        finished[number] = True
        screen.note(f"{title}: {'; '.join([*session.told(record.result), duration(meter.seconds)])}")
    return sum(finished)
