"""The public face in Python: one function a verb, for every kind of program file and of library.

What the commands ``npi train``, ``learn``, ``run``, ``eval``, ``certify`` and ``compile`` do, these functions do; they
raise errors of the ``ValueError`` family where the commands end with exit status 2. The numbers are those of the
commands, too (:func:`threads_of_commands`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dsl.program import ProgramSet
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.learners import train_learner
from npi.jobs.run import TrainResult
from npi.jobs.train import learn_into, library_to_learn, train_library
from npi.jobs.universal import train_universal
from npi.learners.evaluate import COUNT, TaskScore, score_task
from npi.learners.interface import LearnerConfig, LearnerTraining
from npi.learners.tasks import learned_from_signals
from npi.library.collection import Collection
from npi.library.kinds import ProgramProof, is_learners
from npi.library.library import Library
from npi.library.manifest import is_collection, vacant
from npi.library.members import apportioned, in_collection
from npi.library.program_files import parsed
from npi.library.stand_ins import neighbours, standing_in
from npi.proof.certificate import Certificate
from npi.proof.check_certificate import Finding, check
from npi.proof.prove import certificate_of, provable, prove
from npi.running.compiled_library import CompiledLibrary
from npi.running.evaluate import SizeScore, problem_counts, score_sizes
from npi.running.runs import Run, run_once, runnable_tasks
from npi.training.learn_rows import LearnConfig, RowResult
from npi.training.loop import Reporter
from npi.training.ranks import Ranks, pick_device
from npi.training.scalar_log import check_log
from npi.universal.code_search import SearchConfig
from npi.universal.network import InterpreterConfig
from npi.universal.objective import UniversalTrainConfig
from traces.machine.outcome import Budget

if TYPE_CHECKING:
    from envs.speech.reading import Speech

Source = Path | str | ProgramSet
"""A program file or a folder of traces; a file may have been parsed before (:func:`dsl.load`)."""


@contextmanager
def threads_of_commands() -> Iterator[None]:
    """PyTorch computes with one thread inside, as in commands, unless ``OMP_NUM_THREADS`` is set.

    Another number of threads sums in another order, and the same seed would come to other numbers.
    """
    before = torch.get_num_threads()
    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def shown(verbose: bool) -> Iterator[None]:
    """What the logger ``npi`` is told stands on stderr inside, where ``verbose`` says so."""
    if not verbose:
        yield
        return
    logger, handler = logging.getLogger("npi"), logging.StreamHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@threads_of_commands()
def train(
    paths: Sequence[Source],
    *,
    out: Path | str,
    core: CoreConfig | LearnerConfig | InterpreterConfig | None = None,
    training: TrainConfig | LearnerTraining | UniversalTrainConfig | None = None,
    device: str = "auto",
    ranks: Ranks | None = None,
    fresh: bool = False,
    report: Callable[[Any], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    log: Path | None = None,
    verbose: bool = False,
    **more: Any,
) -> TrainResult[Any]:
    """Train a core and write its library to ``out``; an interrupted call resumes from ``<out>.training``.

    Args:
        paths: program files and folders of traces. Files whose programs have a learning signal go to the learner that
            they name. With an :class:`InterpreterConfig` as ``core`` there are none: a universal core is trained.
        core: the shape of the core; the usual one of the kind by default. training: how it is trained; likewise.
        device: where there is one process. ranks: the processes that train together (:func:`npi.join`).
        report: called after each update with where training stands. stop: asked after each update.
        log: a folder for TensorBoard. verbose: print where training stands after each check; the logger ``npi`` is told
            of it in any case.
        more: for programs with bodies: ``traces`` (runs of each training size), ``hosts`` (libraries of learners that
            they call), ``budget`` (of each run of a program).

    Raises:
        ValueError: for files that cannot be read or learned, settings of another kind of core, or a state of another
            run in the way.
    """
    check_log(log)
    usual: dict[str, Any] = {"report": report, "stop": stop, "fresh": fresh, "log": log}
    with shown(verbose):
        if isinstance(core, InterpreterConfig) or isinstance(training, UniversalTrainConfig):
            if paths or more:
                raise ValueError(
                    "a universal core is trained on random programs: give no paths, and no options of theirs"
                )
            assert core is None or isinstance(core, InterpreterConfig)
            assert training is None or isinstance(training, UniversalTrainConfig)
            return train_universal(Path(out), config=core, training=training, **usual)
        files = [path if isinstance(path, ProgramSet) or Path(path).is_dir() else parsed(path) for path in paths]
        if files and all(isinstance(file, ProgramSet) and learned_from_signals(file) for file in files):
            if isinstance(core, CoreConfig) or isinstance(training, TrainConfig) or more:
                raise ValueError("programs with a learning signal are trained by their learner, with its own settings")
            place = ranks or Ranks(device=pick_device(device))
            return train_learner(files, out=out, config=core, training=training, ranks=place, **usual)
        if isinstance(core, LearnerConfig) or isinstance(training, LearnerTraining):
            raise ValueError("settings of a learner are for programs with a learning signal, and these have bodies")
        return train_library(files, out=out, core=core, training=training, device=device, ranks=ranks, **usual, **more)


@threads_of_commands()
def learn(
    library: Library | Path | str,
    paths: Sequence[Source],
    *,
    settings: LearnConfig | SearchConfig | LearnerTraining | None = None,
    out: Path | str | None = None,
    core: str | None = None,
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    verbose: bool = False,
    **more: Any,
) -> RowResult:
    """Learn the new programs of some files as rows of the library in a folder; core and old rows stay as they are.

    Args:
        library: a folder; one that is not there yet becomes a library of the universal core that comes with the engine.
            A library in memory gains the rows itself. Of a collection, the member learns whose core can.
        out: where the library is written; by default the same folder, and nowhere for a library in memory.
        core: of a collection, the beginning of the member's label or hash, where several fit.
        verbose: print where each check finds the rows.
        more: for programs with bodies: ``traces``, ``hosts``, ``device``, ``keep_unsolved`` (write rows that are not
            right, too), ``from_traces`` (rows of a universal core without the text), ``budget`` (of each run).

    Raises :class:`LibraryError`, a ``ValueError``, where nothing is new or the core cannot learn it.
    """
    if isinstance(library, Library):
        opened: Library | None = library
        place = out
    else:
        opened = None if vacant(Path(library)) else library_to_learn(library, paths, core=core)
        place = out or library
    learners = opened is not None and _is_learners(opened)
    if learners and (more or isinstance(settings, LearnConfig | SearchConfig)):
        raise ValueError("rows of a learner's core have settings of their own: leave out those for bodies")
    if not learners and isinstance(settings, LearnerTraining):
        raise ValueError("settings of a learner are for the library of a learner")
    if opened is not None and opened is not library and not learners and opened.core.follows_device:
        opened.to(pick_device(more.get("device", "auto")))
    with shown(verbose):
        return learn_into(opened or library, paths, config=settings, out=place, report=report, stop=stop, **more)


@threads_of_commands()
def run(
    task: str,
    inputs: dict[str, Any] | Sequence[str] = (),
    *,
    library: Library | Collection | CompiledLibrary | Path | str | None = None,
    programs: Source | None = None,
    rows: Mapping[str, str] | None = None,
    steps: int | None = None,
    depth: int = Budget.depth,
) -> Run:
    """Run a task once, by the core of a library or by the text of a program file.

    Args:
        task: its name, qualified by its file where several have it. inputs: values by name, or words as ``npi run``
            takes them.
        library: of a collection, the member runs it that has the task.
        rows: other rows of the same core that stand in for programs with a learning signal
            (:func:`npi.library.stand_ins.standing_in`).
        steps: at most; by default many more than a program of that text takes on inputs of that size.
        depth: of the calls inside each other.

    Raises ``ValueError`` for a task, an input or a library that is not there.
    """
    (source,) = _sources(library, programs, [task], rows)
    (found,) = runnable_tasks(source.tasks, source.runs)
    problem = found.task.problem(inputs) if isinstance(inputs, dict) else found.task.parse(list(inputs))
    budget = Budget(steps=steps, depth=depth)
    return run_once(found.stepper, found.programs, found.task, problem, budget=budget, by=found.by)


@threads_of_commands()
def speak(
    task: str,
    text: str,
    *,
    library: Library | Path | str,
    seed: int = 0,
    temperature: float = 1.0,
    language: str = "en-us",
) -> Speech:
    """Say a text in the voice of a task's program, by the core of a library; ``save`` of what it gives writes a wav.

    Args:
        temperature: below 1, likelier samples are drawn more often than they are likely.
        language: of espeak-ng, which says how the text sounds.

    Raises ``ValueError`` for a library that does not speak, and where espeak-ng is missing.
    """
    from npi.learners.speaking import speak as said  # reads sounds, which few commands need

    opened = library if isinstance(library, Library) else Library.open(library, task=task)
    return said(opened, task, text, seed=seed, temperature=temperature, language=language)


@threads_of_commands()
def evaluate(
    tasks: Sequence[str] = (),
    *,
    library: Library | Collection | CompiledLibrary | Path | str | None = None,
    programs: Source | None = None,
    rows: Mapping[str, str] | None = None,
    sizes: Sequence[int] | None = None,
    count: int | None = None,
    seed: int = 0,
    device: str = "auto",
    report: Callable[[int, int, str], None] = lambda done, total, name: None,
    steps: int | None = None,
    depth: int = Budget.depth,
) -> list[SizeScore] | list[TaskScore]:
    """Accuracy by size on random problems that training never saw; of a learner's library, its scores.

    Args:
        tasks: all of the library's (or the file's) by default. sizes: in place of the tasks' test sizes.
        rows: as :func:`run` takes them.
        count: problems of each size (of each task, of a learner's library).
        report: told before each size (each task) how many are done, of how many, and its name.
        steps: of each problem, at most; by default as many as the program text takes. depth: of the calls inside each
            other. A learner's tasks have limits of their own.
    """
    place = pick_device(device)
    sources = _sources(library, programs, tasks, rows, place)
    signals = [one for one in sources if isinstance(one.runs, Library) and _is_learners(one.runs)]
    if signals and sizes is not None:
        raise ValueError("a learner's tasks are judged at their test sizes; leave sizes out")
    if 0 < len(signals) < len(sources):
        raise ValueError(
            "some of these tasks are of learners' cores, which are judged otherwise; name tasks of one kind, or "
            "evaluate each library of the collection"
        )
    if signals:
        return _scored(sources, count=count or COUNT, seed=seed, report=report)
    found = [
        (one, size)
        for source in sources
        for one in runnable_tasks(source.tasks, source.runs, device=place)
        for size in sizes or one.task.test_sizes
    ]
    amounts = problem_counts if count is None else lambda size: count
    scores: list[SizeScore] = []
    for one, size in found:
        report(len(scores), len(found), f"{one.name}, size {size}")
        scores += score_sizes(
            one.stepper, one.programs, one.task, name=one.name, sizes=[size], seed=seed, count=amounts, device=place,
            budget=Budget(steps=steps, depth=depth),
        )  # fmt: skip
    return scores


def _scored(
    sources: Sequence[_Tasks], *, count: int, seed: int, report: Callable[[int, int, str], None]
) -> list[TaskScore]:
    """The scores of learners' tasks."""
    chosen = []
    for source in sources:
        assert isinstance(source.runs, Library)
        pairs = [source.runs.task(name) for name in source.tasks] if source.tasks else source.runs.tasks().values()
        chosen += [(source.runs, held, task) for held, task in pairs]
    judged: list[TaskScore] = []
    for library, held, task in chosen:
        report(len(judged), len(chosen), task.name)
        name = f"{Path(held.path).stem}.{task.name}"
        judged.append(score_task(library, held, task, name=name, seed=seed, count=count))
    return judged


@threads_of_commands()
def certify(
    library: Library | Path | str, programs: Sequence[str] | None = None, *, out: Path | str | None = None
) -> list[ProgramProof]:
    """Prove programs of a library, and what they call, for every input of every size.

    Args:
        programs: by name, bare where one file only has it; all by default.
        out: where a certificate is written, if all of it is proved.

    Raises ``ValueError`` for a program without a text, and where no certificate is written of such a core.
    """
    opened = _library(library, program=programs or ())
    proofs = prove(opened, provable(opened, programs or ()))
    found = [proof for _, mine in proofs for proof in mine]
    if out is not None:
        wrong = [proof.program for proof in found if not proof.proved]
        if wrong:
            raise ValueError(f"{out} is not written: {', '.join(wrong)} is not proved")
        certificate_of(opened, proofs).save(Path(out))
    return found


def check_certificate(certificate: Certificate | Path | str, library: Library | Path | str) -> list[Finding]:
    """Check a certificate against a library, by a checker that shares no code with the proof.

    A program's finding has no ``fault`` where the certificate holds.
    """
    opened = certificate if isinstance(certificate, Certificate) else Certificate.open(Path(certificate))
    return check(opened, _library(library, core=opened.core))


@threads_of_commands()
def compile(library: Library | Path | str, *, out: Path | str | None = None) -> CompiledLibrary:
    """Every decision that a core can make, as tables; written to a file where ``out`` names one.

    Raises :class:`LibraryError` for a core whose decisions are no tables of a bearable size.
    """
    compiled = CompiledLibrary.of(_library(library))
    if out is not None:
        compiled.save(Path(out))
    return compiled


def _library(library: Library | Path | str, *, program: Sequence[str] = (), core: str | None = None) -> Library:
    """One library; of a collection that which has programs, or a core by its whole sha256."""
    if isinstance(library, Library):
        return library
    return Library.open(library, program=program, core=None if core is None else in_collection(library, core))


@dataclass(frozen=True)
class _Tasks:
    """What runs some tasks, and their names; all where there are none."""

    runs: Library | CompiledLibrary | ProgramSet
    tasks: Sequence[str]


def _sources(
    library: Library | Collection | CompiledLibrary | Path | str | None,
    programs: Source | None,
    tasks: Sequence[str],
    rows: Mapping[str, str] | None,
    device: torch.device | str = "cpu",
) -> list[_Tasks]:
    """What runs the tasks: one of these, or of a collection each member that has some."""
    if programs is None and library is None:
        raise ValueError("say what runs: library=DIR, or programs=FILE for the program text")
    if programs is not None:
        found = [_Tasks(parsed(programs), tasks)]
    elif isinstance(library, Library | CompiledLibrary):
        found = [_Tasks(library, tasks)]
    elif isinstance(library, Collection):
        found = [_Tasks(one, names) for one, names in library.apportioned(tasks)]
    else:
        assert library is not None
        place = Path(library)
        if place.is_file():
            found = [_Tasks(CompiledLibrary.open(place), tasks)]
        elif is_collection(place):
            shared = apportioned(place, tasks)
            found = [_Tasks(Library.open(place, core=one.core, device=device), names) for one, names in shared]
        else:
            found = [_Tasks(Library.open(place, device=device), tasks)]
    if not rows:
        return found
    one = found[0] if len(found) == 1 else None
    if one is None or not isinstance(one.runs, Library):
        raise ValueError("other rows stand in where one library runs the tasks; name tasks of one member")
    beside: Sequence[Library] = ()
    if isinstance(library, Collection):
        beside = library.libraries
    elif isinstance(library, Path | str):
        beside = neighbours(library, one.runs)
    return [_Tasks(standing_in(one.runs, rows, beside=beside), one.tasks)]


def _is_learners(library: Library) -> bool:
    return is_learners(library.core.config.kind)
