"""``npi learn``: new programs for a core that no longer changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import Column, Meter, Screen, finish, number, picked
from npi.cli.interrupts import stop_on_interrupt
from npi.cli.learners import SetOption, chosen, measure, sources_of
from npi.cli.options import (
    DEPTH,
    CoreOption,
    DataOption,
    DepthOption,
    DeviceOption,
    HostOption,
    JsonOption,
    LibraryOption,
    OutOption,
    SeedOption,
    StepsOption,
    argument,
    option,
    refuse_others,
)
from npi.cli.train_report import Job
from npi.cli.words import digests, duration, plural, unchanged_lines

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from npi.learners.interface import Learner, LearnerTraining
    from npi.library.library import Library
    from npi.training.learn_rows import LearnConfig, RowResult
    from npi.universal.code_search import SearchConfig

FilesArgument = Annotated[list[Path], argument("Program files (*.npi) or folders of npi trace.")]


def learn(
    context: typer.Context,
    files: FilesArgument,
    library: LibraryOption = Path("library"),
    core: CoreOption = None,
    out: OutOption = None,
    starts: Annotated[int | None, option("--starts", "Random restarts, in parallel.", "N", min=1)] = None,
    updates: Annotated[int | None, option("--updates", "The most steps of the optimiser.", "N", min=1)] = None,
    traces: Annotated[int, option("--traces", "Runs of each training size.", "N", min=1)] = 8,
    from_traces: Annotated[
        bool, option("--from-traces", "Infer states from traces; a program's text only checks the rows.")
    ] = False,
    demonstration: Annotated[
        Path | None, option("--demonstration", "Learn one program from what a file shows (.npz, or .hdf5).", "FILE")
    ] = None,
    row: Annotated[str | None, option("--row", "Take a row of a learner's library as it is.", "FILE.PROGRAM")] = None,
    keep: Annotated[bool, option("--keep", "Write the rows even where they are not right yet.")] = False,
    certify: Annotated[
        bool, option("--certify/--no-certify", "Take rows only that are proved for every input.")
    ] = True,
    steps: StepsOption = None,
    depth: DepthOption = DEPTH,
    device: DeviceOption = "auto",
    data: DataOption = None,
    seed: SeedOption = 0,
    settings: SetOption = None,
    host: HostOption = None,
    json: JsonOption = False,
) -> None:
    """Learn programs that a library does not have yet: a row of numbers each, and no other number changes.

    The outputs of the old programs stay bit-identical, which is checked. The library on disk changes only where the new
    programs pass.

    A library that is not there yet begins with the universal core that comes with the engine, into which any program
    over symbols can be written. A row of it is right where it decides as the program's text does in every configuration
    that there can be. Libraries of npi train learn rows in the worlds that their cores were trained in.

    Of a collection, the member learns whose core can: it knows the world, and has the rows that the programs use. Where
    several can, --core says which.

    Traces may have no text beside them. A universal core's library then infers the states of their programs, and a row
    is right where it decides as all frames do, a tenth of which were held back. Nothing is proved of it. A folder of
    npi trace has its text; --from-traces learns as if it had none, and then proves the rows.

    Programs with a learning signal become rows of a learner's library, learned from it beside its frozen core.
    --demonstration learns one program from what a file shows, and from nothing else; --row learns nothing: the new
    programs are a row that the library has.

    \b
    Example:
      npi learn programs/max.npi
      npi learn sets/mark --library mine
      npi learn programs/learning/avoid.npi --library rules
    """
    from npi.jobs.train import learn_settings, library_to_learn
    from npi.library.library import Library
    from npi.library.manifest import vacant
    from npi.training.ranks import pick_device
    from traces.machine.outcome import Budget

    screen, new, place = Screen(json=json), vacant(library), out or library
    sources, signals = sources_of(files)
    config: Any
    if signals:
        refuse_others(context, "learners", *["row"] * (row is not None))
        opened = library_to_learn(library, sources, core=core) if not new else Library.open(library)
        learner = learner_of(opened, sources)
        config = chosen(learner, learner.learning, settings or (), updates=updates, starts=starts, seed=seed)[1]
        job = learn_job(opened, sources, config, measure(learner), demonstration=demonstration, row=row)
    else:
        opened = library_to_learn(library, sources, core=core, device=pick_device(device))
        refuse_others(context, opened.core.config.kind, *["traces"] * all(path.is_dir() for path in files))
        config = learn_settings(opened, seed=seed, starts=starts, updates=updates, certify=certify)
        hosts = [Library.open(folder) for folder in host or ()]
        job = learn_job(
            opened, sources, config, traces=traces, hosts=hosts, keep_unsolved=keep, from_traces=from_traces,
            budget=Budget(steps=steps, depth=depth), note=lambda text: screen.note(f"npi: {text}"),
        )  # fmt: skip
        if new:
            screen.note(f"{library} is new: it begins with the universal core that comes with the engine")
    with stop_on_interrupt() as stop, Meter("learning") as meter:
        found = job.run(meter, out=place, stop=stop)
        interrupted = stop() and not found.solved
    people(
        screen, found, place, kept=found.solved or keep, interrupted=interrupted, seconds=meter.seconds,
        begun="best old row" if demonstration is None else "where it began", row=row,
    )  # fmt: skip
    screen.document(
        {
            "library": place if found.solved or keep else None,
            **picked(found, "rows numbers updates"),
            **(scores_document(found) if found.scores else checks_document(found)),
            **digests(found),
            "seconds": meter.seconds,
        }
    )
    if interrupted:
        screen.note(f"interrupted after {plural(found.updates, 'update')}; the library is as it was")
    finish(found.solved, interrupted=interrupted)


def learner_of(library: Library, sources: Sequence[Path | ProgramSet]) -> Learner:
    """The learner of a library's core; :class:`LibraryError` for another kind of core."""
    from npi.learners.core import LearnerProgramCore
    from npi.library.manifest import LibraryError
    from npi.library.program_files import parsed

    if not isinstance(library.core, LearnerProgramCore):
        raise LibraryError(
            f"{parsed(sources[0]).path} has a signal, and the library's core learns from texts; name the library of a "
            "learner (npi train makes one of files with signals)"
        )
    return library.core.learner


def learn_job(
    library: Path | Library,
    files: Sequence[Path | ProgramSet],
    config: LearnConfig | SearchConfig | LearnerTraining,
    measure: str = "wrong",
    **settings: Any,
) -> Job:
    """Learning the programs of some files as rows."""
    from npi.jobs.train import learn_into
    from npi.universal.code_search import SearchConfig

    most = config.most if isinstance(config, SearchConfig) else config.updates
    return Job(
        partial(learn_into, library, files, config=config, **settings),
        most,
        measure=measure,
        first="reading the programs",
    )


def people(
    screen: Screen,
    found: RowResult,
    folder: Path,
    *,
    kept: bool,
    seconds: float,
    interrupted: bool = False,
    begun: str = "best old row",
    row: str | None = None,
) -> None:
    """What was learned, for people; ``begun`` says what the learned row is compared with, ``row`` what was taken."""
    if found.scores:
        headings = ("program", "mean row", begun, "learned")
        scores = [
            dict(zip(headings, (name, *map("{:.3f}".format, found.scores[name])), strict=True)) for name in found.rows
        ]
        screen.table(scores, Column("program"), *map(number, headings[1:]), title="scores on fresh problems")
    rows = ", ".join(name.rpartition(".")[2] for name in found.rows)
    what = "learned" if row is None else "taken"
    screen.line(f"{what:<12}{rows}: {plural(found.numbers, 'number')} each, {plural(found.updates, 'update')}, "
                f"{duration(seconds)}")  # fmt: skip
    screen.lines(unchanged_lines(found))
    if found.validation is not None:
        checks = f"{found.validation.solved} of {found.validation.problems}"
        screen.line(f"checks      {checks} passed ({kinds_of_checks(found)})")
    screen.lines(inferences(found))
    for name, count in found.wrong.items():
        if not any(name in note for note in found.notes):
            screen.line(f"wrong       {name}: {plural(count, 'frame or step', 'frames or steps')}")
    screen.lines(found.notes)
    if found.solved:
        screen.line(f"solved; the library in {folder} has them now")
    elif kept:
        screen.line(f"not solved; written to {folder} all the same, as --keep asks")
    elif not interrupted:
        screen.line("not solved, so the library is as it was: raise --starts, --updates or --traces, or try a --seed")


def scores_document(found: RowResult) -> dict[str, Any]:
    """Of a learner's rows: scores by program."""
    parts = ("mean", "nearest", "learned")
    return {part: {name: getattr(scores, part) for name, scores in found.scores.items()} for part in parts}


def checks_document(found: RowResult) -> dict[str, Any]:
    """Of other rows: how they were checked."""
    validation = found.validation
    return {
        **picked(found, "solved wrong notes inferred"),
        "problems": validation and validation.problems,
        "problems_solved": validation and validation.solved,
    }


def kinds_of_checks(found: RowResult) -> str:
    """What is among the checks of rows."""
    if not found.inferred:
        return "random problems, and proofs of the new rows"
    unproved = all(one.proved is None for one in found.inferred)
    alone = unproved and len(found.inferred) == len(found.rows)
    return "frames of the traces" if alone else "random problems, frames of the traces, and proofs of the new rows"


def inferences(found: RowResult) -> Iterator[str]:
    """A line for each program whose states were inferred from traces, and one where nothing was proved."""
    for one in found.inferred:
        looks = ", ".join(dict.fromkeys(name for names in one.looks for name in names)) or "nothing"
        right = f"right in all {one.frames:,} different frames" if not one.wrong else (
            f"wrong in {one.wrong:,} of {one.frames:,} different frames"
        )  # fmt: skip
        held = f"{one.held:,} of them held back" if one.held else "it learned from all of them"
        states = plural(len(one.looks), "state")
        yield f"inferred    {one.name.rpartition('.')[2]}: {states}, looking at {looks}; {right}, {held}"
    if any(one.proved is None for one in found.inferred):
        yield "not proved  without a text, nothing is known of configurations that no frame shows"
