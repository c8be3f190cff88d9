"""The harder setting of the cars: starts from all round and between the steps, ``python -m
benchmarks.paper.cars_free_start``.

Trains one core on ``programs/goto24.npi``, tests it from random starts, and says of the runs that are wrong how far
from the target they ended. A library and the wrong runs of each seed are kept in ``runs/harder``.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import ROOT, RUNS, arguments, finished, run_recipe, seeds
from dsl import compile_teacher, load
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from envs.cars.world import STEP, Cars
from envs.spec import RETURN
from envs.stepper import Action, Decision, Draw, Observation, Stepper
from npi.core.config import CoreConfig, TrainConfig
from npi.core.pictures import PictureInput
from npi.jobs.train import new_library, run_identity, validator_for
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.reproduce.score import random_problems
from npi.running.evaluate import MAX_BATCH, bounded_budget, run_problems
from npi.training.checkpoint import FileCheckpoint
from npi.training.dataset import Dataset
from npi.training.forced import ForcedStates
from npi.training.frame_objective import FrameObjective, Report
from npi.training.loop import Progress, fit
from npi.training.questions import Turns
from traces.machine.lockstep import Status

TESTS = {
    "canonicalise": ("Canonicalise, seen car", 5000),
    "unseen": ("Canonicalise, unseen car", 2000),
    "novel": ("Canonicalise, unseen body style", 2000),
    "goto": ("Go to a random target, seen car", 1000),
}
"""Task → what it is called, and random starts."""

EDGE, AWAY = (5, 10), (175, 180)
"""Degrees from the target where a picture of 2.5 degrees less or more would decide otherwise: whether the camera is
there, and which way round is shorter. Where the target is opposite both ways are as long, and either does."""

ROUND, UP = range(0, 181, 5), range(0, 61, 5)
SIDES, RISES = ("LGOTO", "RGOTO"), ("VGOTO", "UGOTO", "DGOTO")

DECISIONS: Mapping[str, tuple[Sequence[str], int, Sequence[int]]] = {
    "HGOTO, target 5 or 10 degrees off": (["HGOTO"], 0, EDGE),
    "HGOTO, target opposite (175 or 180)": (["HGOTO"], 0, AWAY),
    "HGOTO, elsewhere": (["HGOTO"], 0, [d for d in ROUND if d not in EDGE + AWAY]),
    "LGOTO, RGOTO, target 5 or 10 degrees off": (SIDES, 0, EDGE),
    "LGOTO, RGOTO, elsewhere": (SIDES, 0, [d for d in ROUND if d not in EDGE]),
    "VGOTO, UGOTO, DGOTO, target 5 or 10 degrees off": (RISES, 1, EDGE),
    "VGOTO, UGOTO, DGOTO, elsewhere": (RISES, 1, [d for d in UP if d not in EDGE]),
}
"""What is decided: by which programs, whether it goes by azimuth (0) or elevation (1), and how far off they are."""

CHOICE = "HGOTO"
"""The program that chooses the way round; what follows from a wrong choice is measured."""

UPDATES = 8000

TRAINING: Mapping[str, Any] = {
    "updates": UPDATES, "decay": UPDATES, "questions": 24, "examples": 3072, "precision": "bfloat16",
    "check_every": 1000, "problems": 256, "slack": 0.001,
}  # fmt: skip
"""Changes of the usual settings of training: 128 pictures an update, each asked 24 questions."""

SHORT: Mapping[str, Any] = {"updates": 1000, "decay": 1000}
"""Changes for the controls: they see as many pictures."""

CONTROLS: Mapping[str, Mapping[str, Any]] = {
    "24 questions, little by little": {},
    "24 questions, of all targets at once": {"turns": 2**30},
    "what traces ask, forced states": {"questions": 0, "examples": 128},
}
"""What is asked of 128 pictures in each of 1,000 updates."""

PICTURES = 6 * 2**30
"""Bytes of pictures kept in memory in training: all that training reads, 4 GB."""


def train(
    programs: ProgramSet, seed: int, folder: Path, *, minutes: float = math.inf, turns: int = 1, **changes: Any
) -> tuple[Library, Report]:
    """One core, from as many traces as the file says.

    Args:
        folder: of the run's state. minutes: CPU time after which the recipe ends, to resume when it is called again.
        turns: what is asked from the beginning.
    """
    dataset = Dataset.from_programs(programs, traces=1, seed=seed)
    config = TrainConfig.for_core(CoreConfig(), seed=seed, **TRAINING | changes)
    library = new_library(CoreConfig(), [dataset], seed=seed)
    for picture in library.core.modules():
        if isinstance(picture, PictureInput):
            assert isinstance(picture.shown.world, Cars)
            picture.shown.world.views.most_bytes = PICTURES
    validate = validator_for(library, config)
    objective = FrameObjective.on(library, [dataset], config, validate=validate)
    assert isinstance(objective.supervision, ForcedStates)
    objective.supervision.turns = Turns(turns)

    def say(progress: Progress) -> None:
        report = objective.report(progress)
        if report.update % 50 == 0:
            tried = f", {report.validation.solved} of {report.validation.problems} runs" if report.validation else ""
            wrong = f"wrong frames at the last check {report.wrong}{tried}"
            print(f"  {report.update} updates, {report.seconds:.0f} s: loss {report.loss:.3f}, {wrong}", flush=True)

    kept = FileCheckpoint(folder / "state.safetensors", identity=run_identity(CoreConfig(), config, [dataset]))
    late = time.process_time() + 60 * minutes
    progress = fit(objective, objective.schedule, checkpoint=kept, report=say, stop=lambda: time.process_time() > late)
    if not progress.ended(objective.schedule):
        raise SystemExit(f"stopped after {progress.update} updates; the same command resumes")
    return library, objective.report(progress)


class Advised:
    """A core, but for one program, which the text runs (implements ``Stepper``); its state holds those of both."""

    width, dtype = 2, torch.int64

    def __init__(self, library: Library, programs: ProgramSet, program: str) -> None:
        self.core, self.text = library.stepper(programs.table, memo=False), compile_teacher(programs)
        names = [signature.name.rpartition(".")[2] for signature in programs.table.signatures]
        self.told_N = torch.tensor([name == program for name in names])

    def step(
        self,
        seen: Observation,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        ended_B: torch.Tensor | None = None,
        draw: Draw | None = None,
    ) -> Decision:
        core = self.core.step(seen, program_B, arguments_B3, hidden_BH[:, :1])
        text = self.text.step(seen, program_B, arguments_B3, hidden_BH[:, 1:])
        call_B4 = torch.where(self.told_N[program_B][:, None], text.call_B4, core.call_B4)
        return Decision(Action(call_B4), torch.cat([core.hidden_BH, text.hidden_BH], 1))


def decisions(library: Library, programs: ProgramSet, task: Task, seed: int, count: int = 4000) -> Result:
    """First steps that the core decides otherwise than the text, and all, for each of :data:`DECISIONS`.

    Args:
        task: whose cars are shown. count: random cars, poses and targets, which all programs see; targets are neither
            the lowest, up to which nothing ever moves, nor the highest.
    """
    fields, generator = programs.world.spec.fields, torch.Generator().manual_seed(seed)
    obs_BF = torch.stack([torch.randint(field.size, (count,), generator=generator) for field in fields], 1)
    obs_BF[:, -1] = torch.randint(1, fields[-1].size - 1, (count,), generator=generator)
    obs_BF[:, 0] = torch.tensor([problem.values["car"] for problem in random_problems(task, 1, count, seed=seed)])
    off_B2 = torch.tensor([missed(programs, reading) for reading in readings(programs, obs_BF)]).abs()
    wrong = {name: differing(library, programs, name, obs_BF) for name in ("HGOTO", *SIDES, *RISES)}
    found: Result = {}
    for label, (names, axis, degrees) in DECISIONS.items():
        mine_B = torch.isin(off_B2[:, axis], torch.tensor(degrees))
        found[label] = [sum(int(wrong[name][mine_B].sum()) for name in names), len(names) * int(mine_B.sum())]
    return found


def readings(programs: ProgramSet, obs_BF: torch.Tensor) -> Iterator[Mapping[str, Sequence[int]]]:
    """Observations as the world reads its states."""
    names = [field.name for field in programs.world.spec.fields]
    for row in obs_BF.tolist():
        yield {name: [value] for name, value in zip(names, row, strict=True)}


def differing(library: Library, programs: ProgramSet, name: str, obs_BF: torch.Tensor) -> torch.Tensor:
    """bool_B: whether a program begins otherwise by the core than by its text."""
    steppers, program = (compile_teacher(programs), library.stepper(programs.table, memo=False)), programs.program(name)
    wrong = []
    for seen_BF in obs_BF.split(MAX_BATCH):
        zeros_B3 = torch.zeros(len(seen_BF), 3, dtype=torch.int64)
        program_B = zeros_B3[:, 0] + program.id
        text_B4, core_B4 = (
            stepper.step(Observation(seen_BF), program_B, zeros_B3, zeros_B3[:, :1]).call_B4 for stepper in steppers
        )
        ends_B = text_B4[:, 0] == RETURN
        wrong.append(torch.where(ends_B, core_B4[:, 0] != RETURN, (core_B4 != text_B4).any(1)))
    return torch.cat(wrong)


def choice(library: Library, programs: ProgramSet, seed: int, count: int = 1000) -> Result:
    """How many starts of seen cars end right, and how many where the text makes the choice of the way round."""
    task = programs.task("canonicalise")
    problems = random_problems(task, 1, count, seed=seed)
    plain = wrong_runs(library.stepper(programs.table), programs, task, problems)
    advised = wrong_runs(Advised(library, programs, CHOICE), programs, task, problems)
    return {"count": count, "right": count - len(plain), "advised": count - len(advised)}


def wrong_runs(stepper: Stepper, programs: ProgramSet, task: Task, problems: Sequence[Problem]) -> list[Result]:
    """Runs that did not end right: the inputs, how they ended, and where, in degrees from the target."""
    teacher, found = compile_teacher(programs), []
    for begin in range(0, len(problems), MAX_BATCH):
        chunk = problems[begin : begin + MAX_BATCH]
        budget = bounded_budget(run_problems(teacher, programs, chunk).steps_N.tolist())
        outcome = run_problems(stepper, programs, chunk, budget=budget)
        ended = zip(chunk, outcome.status_N.tolist(), outcome.read(programs.world), strict=True)
        for problem, status, reading in ended:
            if status != Status.DONE or not task.judge(problem, reading):
                off = missed(programs, reading)
                found.append({**problem.values, "status": Status(status).name, "off": off})
    return found


def missed(programs: ProgramSet, reading: Mapping[str, Sequence[int]]) -> list[int]:
    """Degrees from the target: azimuth, the short way round, and elevation."""
    fields = programs.world.spec.fields
    at = {field.name: int(field.values[reading[field.name][0]]) for field in fields}
    azimuth = (at["AZIMUTH"] - at["TO_AZIMUTH"] + 180) % 360 - 180
    return [azimuth, at["ELEVATION"] - at["TO_ELEVATION"]]


def run(seed: int, minutes: float = math.inf) -> Result:
    """Train, and test every task."""
    programs = load(ROOT / "programs" / "goto24.npi")
    library, report = train(programs, seed, RUNS / "harder" / f"state-{seed}", minutes=minutes)
    library.save(RUNS / "harder" / f"library-{seed}")
    found: Result = {"solved": report.solved, "updates": report.update, "seconds": report.seconds, "tests": {}}
    found["traces"], found["cars"] = programs.task("goto").traces, programs.world.spec.config["seen"]
    found["choice"] = choice(library, programs, seed)
    found["decisions"] = {}
    for name, (_, count) in TESTS.items():
        task = programs.task(name)
        found["decisions"][name] = decisions(library, programs, task, seed)
        wrong = wrong_runs(library.stepper(programs.table), programs, task, random_problems(task, 1, count, seed=seed))
        found["tests"][name] = {"count": count, "wrong": wrong}
        print(f"  {name}: {count - len(wrong)} of {count}", flush=True)
    return found


def near(wrong: Result) -> bool:
    """Whether a wrong run ended within one step of the camera."""
    return wrong["status"] == Status.DONE.name and max(map(abs, wrong["off"])) <= STEP


def cells(tests: Sequence[Result]) -> list[str]:
    """Runs that were right, percent, and how the others ended."""
    wrong = [one for test in tests for one in test["wrong"]]
    ended = sum(one["status"] == Status.DONE.name for one in wrong)
    close = sum(map(near, wrong))
    right = spread([100 * (1 - len(test["wrong"]) / test["count"]) for test in tests])
    return [f"**{right}**", f"{close:,}", f"{ended - close:,}", f"{len(wrong) - ended:,}"]


def contents(done: Sequence[Result], controls: Mapping[str, Result]) -> dict[str, Content]:
    """The page's tables and figures."""
    rows = [["", "runs", "right, %", "one step off", "further off", "did not end"]]
    rows += [[label, f"{count:,}", *cells([r["tests"][name] for r in done])] for name, (label, count) in TESTS.items()]
    choices = [r["choice"] for r in done]
    kinds = [name for name in TESTS if name != "goto"]  # whose cars are those of the first
    decided = [["wrong, %", "seen car", "unseen car", "unseen body style"]]
    for label in DECISIONS:
        shares = [[r["decisions"][kind][label] for r in done] for kind in kinds]
        decided.append([label, *[spread([100 * wrong / every for wrong, every in mine], 2) for mine in shares]])
    return {
        "tests": rows,
        "decisions": decided,
        "controls": compared(controls),
        "seeds": seeds(done),
        "minutes": spread([r["seconds"] / 60 for r in done], 0),
        "updates": spread([r["updates"] for r in done], 0),
        "traces": f"{done[0]['traces']:,}",
        "cars": f"{done[0]['cars']:,}",
        "solved": f"{sum(r['solved'] for r in done)} of {len(done)}",
        "plain": spread([100 * c["right"] / c["count"] for c in choices]),
        "advised": spread([100 * c["advised"] / c["count"] for c in choices]),
    }


def control(changes: Mapping[str, Any], seed: int = 0) -> Result:
    """A short training with other settings, and how its runs and decisions are."""
    programs = load(ROOT / "programs" / "goto24.npi")
    with tempfile.TemporaryDirectory() as folder:
        library, report = train(programs, seed, Path(folder), **SHORT | changes)
    task = programs.task("canonicalise")
    problems = random_problems(task, 1, 1000, seed=seed)
    wrong = wrong_runs(library.stepper(programs.table), programs, task, problems)
    found = decisions(library, programs, task, seed)
    return {"seconds": report.seconds, "count": len(problems), "wrong": len(wrong), "decisions": found}


def compared(controls: Mapping[str, Result]) -> list[list[str]]:
    """A row for each control: runs that are right, and what share of decisions is wrong."""
    if not controls:
        return []
    rows = [["", "CPU minutes", "runs right, %", "HGOTO wrong, %", "LGOTO, RGOTO", "VGOTO, UGOTO, DGOTO"]]
    for label, found in controls.items():
        shares = []
        for names in (("HGOTO",), SIDES, RISES):
            mine = [found["decisions"][name] for name, (programs, _, _) in DECISIONS.items() if programs[0] == names[0]]
            shares.append(f"{100 * sum(wrong for wrong, _ in mine) / sum(every for _, every in mine):.1f}")
        right = 100 * (1 - found["wrong"] / found["count"])
        rows.append([label, f"{found['seconds'] / 60:.1f}", f"{right:.1f}", *shares])
    return rows


def main() -> None:
    parser = arguments(__doc__, seeds=range(3))
    parser.add_argument("--controls", action="store_true", help="run the short trainings, and no seeds")
    parser.add_argument("--minutes", type=float, default=math.inf, help="CPU minutes of training, then stop to resume")
    options = parser.parse_args()
    controls = {}
    for number, (label, changes) in enumerate(CONTROLS.items()):
        if options.controls or (RUNS / "harder-controls" / f"{number}.json").exists():
            settings = {**TRAINING, **SHORT, **changes}
            controls[label] = finished(f"harder-controls/{number}", partial(control, changes), changes=settings)
    options.table |= options.controls
    made = partial(contents, controls=controls)
    run_recipe(
        options, "cars-harder", partial(run, minutes=options.minutes), made, name="harder", changes=dict(TRAINING)
    )


if __name__ == "__main__":
    main()
