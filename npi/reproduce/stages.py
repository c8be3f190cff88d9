"""The stages of the reproduction: traces, training, tests, learning MAX, and the points of the curves; in a folder.

::

    stages/seed-0/train-multi.json    what a finished stage found, its settings, day and machine
    libraries/seed-0/multi/           the cores; traces/seed-0/ what they were trained on
    programs/                         the program files, copied when it began
    table.md, table.csv, curves.csv, results.json, *.png
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dsl import load
from dsl.program import ProgramSet
from envs.support.atomic_files import unfinished, write_whole
from npi.core.config import TrainConfig
from npi.jobs.run import checkpoint_path
from npi.jobs.train import learn_into, train_library
from npi.library.examples import example_files
from npi.library.library import Library
from npi.reproduce.ledger import Ledger, Result, Say, Stage, Stopped
from npi.reproduce.recipe import FILES, LEARNED, LENGTHS, SAMPLES, Curve, Recipe, rows
from npi.reproduce.score import every_problem, hashes, random_problems, score
from npi.training.checkpoint import CheckpointError
from npi.training.frame_objective import Report
from npi.training.learn_rows import LearnConfig
from npi.training.loop import Progress
from traces.generation.generate import generate, record_traces
from traces.storage.trace_set import MANIFEST, TraceInfo, TraceSet, TraceSetWriter, clear_plan

PARTS = ("table", "samples", "lengths")
"""What can be reproduced by itself."""


@dataclass(frozen=True)
class Work:
    """What all stages share.

    Attributes:
        folder: of the reproduction. recipe: its settings.
        digests: sha256 of each program file with those that it uses.
        device: to train on; tests and learning are on the CPU.
        stop: asked now and then; true ends a stage early.
    """

    folder: Path
    recipe: Recipe
    digests: Mapping[str, str]
    device: str = "cpu"
    stop: Callable[[], bool] = lambda: False

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "stages")

    def file(self, name: str) -> Path:
        return self.folder / "programs" / f"{name}.npi"

    def library(self, seed: int, name: str) -> Path:
        return self.folder / "libraries" / f"seed-{seed}" / name

    def traces(self, seed: int, name: str) -> Path:
        return self.folder / "traces" / f"seed-{seed}" / name

    def heed(self) -> None:
        """Raise :class:`Stopped` where that was asked for."""
        if self.stop():
            raise Stopped


def begin(
    folder: Path,
    programs: Path | None,
    recipe: Recipe,
    *,
    device: str = "cpu",
    stop: Callable[[], bool] = lambda: False,
) -> Work:
    """A folder to work in, with copies of the program files; of those that come with the engine where none is given.

    Raises ``ValueError`` for a folder of other things, or program files that are not there.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder} is a file; name a folder")
    others = folder.is_dir() and not all(unfinished(path) for path in folder.iterdir())
    if others and not (folder / "programs").is_dir():
        raise ValueError(f"--out {folder} holds other files and no reproduction; name a new or an empty folder")
    names = [*FILES, LEARNED]
    paths = example_files(programs, [f"{name}.npi" for name in names])
    texts = {path.stem: _pictured(path.read_text(encoding="utf-8"), recipe.pixels) for path in paths}
    work = Work(folder, recipe, {}, device, stop)
    work.file(LEARNED).parent.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(work.file(name), text.encode())
    return replace(work, digests={name: load(work.file(name)).digest for name in names})


def _pictured(text: str, pixels: int) -> str:
    """A program file with pictures of another size, where it has any and ``pixels`` is not 0."""
    if not pixels:
        return text
    bare = re.sub(r"^(world \w+ is cars\([^)]*?),?\s*pixels:\s*\d+", r"\1", text, flags=re.MULTILINE)
    return re.sub(r"^(world \w+ is cars\([^)]*)\)", rf"\1, pixels: {pixels})", bare, flags=re.MULTILINE)


def plan(work: Work, seeds: Sequence[int], parts: Sequence[str] = PARTS) -> list[Stage]:
    """The stages of some parts, seed by seed, each once and behind those that it needs."""
    makers = {"table": table_stages, "samples": sample_stages, "lengths": length_stages}
    found: dict[str, Stage] = {}
    for part in PARTS:
        for seed in seeds if part in parts else ():
            for stage in makers[part](work, seed):
                found.setdefault(stage.name, stage)
    return list(found.values())


def table_stages(work: Work, seed: int) -> list[Stage]:
    """One core for all files, MAX learned beside it, and a core for each file; each tested."""
    found = [trace_stage(work, seed, file) for file in FILES]
    found += [train_stage(work, seed, "multi", tuple(FILES)), check_stage(work, seed, "multi")]
    found += [learn_stage(work, seed), check_stage(work, seed, "max")]
    for file in FILES:
        found += [*trained_alone(work, seed, file), check_stage(work, seed, "single", file)]
    return found


def sample_stages(work: Work, seed: int) -> list[Stage]:
    """The points of the curve of traces."""
    return [sample_stage(work, seed, count) for count in work.recipe.samples]


def length_stages(work: Work, seed: int) -> list[Stage]:
    """The points of the curves of lengths, with the cores that they need."""
    found = []
    for curve in LENGTHS:
        found += trained_alone(work, seed, curve.file)
        sizes = work.recipe.lengths[curve.key]
        found += [length_stage(work, seed, curve, size, count) for size, count in sizes.items()]
    return found


def trained_alone(work: Work, seed: int, file: str) -> list[Stage]:
    """Traces of a program file, and a core for it."""
    return [trace_stage(work, seed, file), train_stage(work, seed, file, (file,))]


# --- traces ----------------------------------------------------------------------------------------------------------


def trace_stage(work: Work, seed: int, file: str) -> Stage:
    """Record the training problems of a program file, as a set of traces for each of its tasks."""
    settings = {"program": work.digests[file], "traces": work.recipe.traces[file], "seed": seed}

    def make(say: Say) -> Result:
        began = time.process_time()
        sets = [_traced(work, seed, name, say) for name in _task_names(work, file)]
        counted = {"traces": sum(map(len, sets)), "steps": sum(s.steps for s in sets)}
        return {**counted, "seconds": {"traces": time.process_time() - began}}

    return Stage(f"seed-{seed}/traces-{file}", f"seed {seed}: traces of {FILES[file]}", settings, make)


def _task_names(work: Work, file: str) -> list[str]:
    """The tasks of a file that are trained on, qualified: also the names of their sets of traces."""
    return [f"{file}.{task.name}" for task in load(work.file(file)).tasks if task.train_sizes]


def _traced(work: Work, seed: int, name: str, say: Say) -> TraceSet:
    file, _, bare = name.partition(".")
    programs = load(work.file(file))
    counts = dict.fromkeys(programs.task(bare).train_sizes, work.recipe.traces[file])
    out = work.traces(seed, name)
    out.parent.mkdir(parents=True, exist_ok=True)
    return generate(
        programs, task=bare, traces=counts, seed=seed, out=out, progress=lambda done, total: say(done, total, bare)
    )


# --- training --------------------------------------------------------------------------------------------------------


def train_stage(work: Work, seed: int, name: str, files: tuple[str, ...]) -> Stage:
    """Train one core on the traces of some files; its own checkpoint carries it over a kill."""
    training = work.recipe.trained(name, seed)
    settings = {
        "core": work.recipe.core.to_json(),
        "training": training.to_json(),
        "traces": [trace_stage(work, seed, file).identity for file in files],
        "device": work.device,
    }

    def make(say: Say) -> Result:
        paths = [work.traces(seed, name) for file in files for name in _task_names(work, file)]
        return trained(work, paths, work.library(seed, name), training, say)

    what = "all tasks" if name == "multi" else f"{FILES[name]} alone"
    return Stage(f"seed-{seed}/train-{name}", f"seed {seed}: one core for {what}", settings, make)


def trained(work: Work, paths: Sequence[Path], out: Path, training: TrainConfig, say: Say) -> Result:
    """Train a library on sets of traces; raises :class:`Stopped` where it was stopped on the way."""

    def report(found: Report) -> None:
        checked = found.update >= training.check_every
        wrong = f"; wrong frames at the last check: {sum(found.wrong.values())}" if checked else ""
        say(found.update, training.updates, f"loss {found.loss:.3f}{wrong}")

    say(0, training.updates, "reading the traces")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = train_library(
            paths, out=out, core=work.recipe.core, training=training, device=work.device, report=report, stop=work.stop,
            keep="never",
        ).report  # fmt: skip
    except CheckpointError as error:
        raise ValueError(f"the folder {checkpoint_path(out).parent} is in the way; remove it ({error})") from error
    if not found.solved and found.update < training.updates:
        raise Stopped
    return {
        "solved": found.solved,
        "updates": found.update,
        "wrong": dict(sorted(found.wrong.items())),  # a checkpoint keeps no order
        "seconds": {"training": found.seconds},
    }


def learn_stage(work: Work, seed: int) -> Stage:
    """Learn MAX and RJMP as rows; all else is frozen, and compared before and after."""
    config = LearnConfig(seed=seed, **work.recipe.learning)
    settings = {
        "of": train_stage(work, seed, "multi", tuple(FILES)).identity,
        "learning": vars(config),
        "traces": work.recipe.traces[LEARNED],
        "program": work.digests[LEARNED],
    }

    def make(say: Say) -> Result:
        def report(found: Progress) -> None:
            wrong = sum(found.scores.values())
            say(found.update, config.updates, f"loss {found.loss:.3f}; wrong frames: {wrong:.0f}")

        old, new = work.library(seed, "multi"), work.library(seed, LEARNED)
        found = learn_into(
            old, [work.file(LEARNED)], config=config, traces=work.recipe.traces[LEARNED], out=new, device="cpu",
            report=report, stop=work.stop, keep_unsolved=True,
        )  # fmt: skip
        if not found.solved and found.updates < config.updates:
            raise Stopped
        return {
            "solved": found.solved,
            "updates": found.updates,
            "rows": list(found.rows),
            "numbers": found.numbers,
            "hashes": hashes(Library.open(old), Library.open(new)),
            "seconds": {"learning": found.seconds},
        }

    title = f"seed {seed}: MAX and RJMP as rows beside the frozen core"
    return Stage(f"seed-{seed}/learn-{LEARNED}", title, settings, make)


# --- tests -----------------------------------------------------------------------------------------------------------


def check_stage(work: Work, seed: int, column: str, file: str | None = None) -> Stage:
    """Test a core on the rows of the table that it can do."""
    name = file or column
    trained_on = (file,) if file else tuple(FILES)
    of = learn_stage(work, seed) if column == "max" else train_stage(work, seed, name, trained_on)
    settings = {"of": of.identity, "problems": work.recipe.problems, "poses": work.recipe.poses}

    def make(say: Say) -> Result:
        library = Library.open(work.library(seed, name))
        wanted, tests = rows(column, file), {}
        for number, row in enumerate(wanted):
            work.heed()
            say(number, len(wanted), row.label)
            programs = load(work.file(row.file))
            task = programs.task(row.task)
            problems = (
                every_problem(task, work.recipe.poses)
                if row.poses
                else random_problems(task, row.size, work.recipe.problems, seed=seed)
            )
            tests[row.key] = vars(score(library, programs, task, problems))
        return _tested(tests)

    what = {"multi": "all tasks", "max": "all tasks after MAX"}.get(column, FILES.get(name, name))
    return Stage(f"seed-{seed}/test-{name}", f"seed {seed}: test of {what}", settings, make)


def _tested(tests: Mapping[str, Any]) -> Result:
    return {"tests": dict(tests), "seconds": {"tests": sum(found["seconds"] for found in tests.values())}}


def length_stage(work: Work, seed: int, curve: Curve, size: int, count: int) -> Stage:
    """One point of a curve of lengths: the core of one task, on inputs of one size."""
    of = train_stage(work, seed, curve.file, (curve.file,))
    settings = {"of": of.identity, "size": size, "problems": count}

    def make(say: Say) -> Result:
        work.heed()
        programs = load(work.file(curve.file))
        return _one_test(work.library(seed, curve.file), programs, curve.task, size, count, seed)

    title = f"seed {seed}: {FILES[curve.file]}, {size:,} {curve.axis}"
    return Stage(f"seed-{seed}/{curve.key}-{size}", title, settings, make)


def _one_test(library: Path, programs: ProgramSet, name: str, size: int, count: int, seed: int) -> Result:
    task = programs.task(name)
    problems = random_problems(task, size, count, seed=seed)
    return _tested({name: vars(score(Library.open(library), programs, task, problems))})


def sample_stage(work: Work, seed: int, count: int) -> Stage:
    """One point of the curve of traces: a core that learns sorting from so many traces, and from nothing else.

    The set of traces is without its program file, so no problem is drawn in training beside those of the traces.
    """
    training, size = work.recipe.trained(SAMPLES.key, seed), work.recipe.sample_size
    settings = {
        "core": work.recipe.core.to_json(),
        "training": training.to_json(),
        "program": work.digests[SAMPLES.file],
        "traces": count,
        "size": size,
        "problems": work.recipe.problems,
        "device": work.device,
    }

    def make(say: Say) -> Result:
        name = f"{SAMPLES.key}-{count}"
        programs = load(work.file(SAMPLES.file))
        began = time.process_time()
        _bare_traces(programs, work.traces(seed, name), count, size, seed)
        traced = {"traces": time.process_time() - began}
        found = trained(work, [work.traces(seed, name)], work.library(seed, name), training, say)
        tested = _one_test(work.library(seed, name), programs, SAMPLES.task, size, work.recipe.problems, seed)
        return {**found, **tested, "seconds": {**traced, **found["seconds"], **tested["seconds"]}}

    title = f"seed {seed}: sorting from {count} {'trace' if count == 1 else 'traces'}"
    return Stage(f"seed-{seed}/{SAMPLES.key}-{count}", title, settings, make)


def _bare_traces(programs: ProgramSet, out: Path, count: int, size: int, seed: int) -> None:
    """Write traces of one size, without the program's text."""
    if (out / MANIFEST).exists():
        clear_plan(out)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    info = TraceInfo(SAMPLES.file, programs.digest, (), SAMPLES.task, seed, {"counts": {str(size): count}})
    writer = TraceSetWriter(out, programs.table, info)
    writer.finish([writer.write(0, record_traces(programs, task=SAMPLES.task, traces={size: count}, seed=seed))])
