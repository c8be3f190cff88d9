"""The harder setting of the cars: starts from all round and between the steps, ``python -m
benchmarks.paper.cars_free_start``.

Trains one core on ``programs/goto24.npi``, tests it from random starts, and says of the runs that are wrong how far
from the target they ended. A library and the wrong runs of each seed are kept in ``runs/harder``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks.common import ROOT, RUNS, recipe, seeds
from dsl import compile_teacher, load
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from envs.cars.world import STEP, Cars
from envs.stepper import Action, Decision, Draw, Observation, Stepper
from npi.core.config import CoreConfig, TrainConfig
from npi.core.pictures import PictureInput
from npi.jobs.train import new_library, validator_for
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.reproduce.score import random_problems
from npi.running.evaluate import MAX_BATCH, bounded_budget, run_problems
from npi.training.dataset import Dataset
from npi.training.frame_objective import FrameObjective, Report
from npi.training.loop import Progress, fit
from traces.machine.lockstep import Status

TESTS = {
    "canonicalise": ("Canonicalise, seen car", 5000),
    "unseen": ("Canonicalise, unseen car", 2000),
    "novel": ("Canonicalise, unseen body style", 2000),
    "goto": ("Go to a random target, seen car", 1000),
}
"""Task → what it is called, and random starts."""

CHOICE = "HGOTO"
"""The program that chooses the way round; what follows from a wrong choice is measured."""

UPDATES = 8000

TRAINING: Mapping[str, Any] = {
    "updates": UPDATES, "decay": UPDATES, "questions": 24, "examples": 3072, "precision": "bfloat16",
    "check_every": 1000, "problems": 256, "slack": 0.001,
}  # fmt: skip
"""Changes of the usual settings of training: 128 pictures an update, each asked 24 questions."""

PICTURES = 6 * 2**30
"""Bytes of pictures kept in memory in training: all that training reads, 4 GB."""


def train(programs: ProgramSet, seed: int) -> tuple[Library, Report]:
    """One core, from as many traces as the file says."""
    dataset = Dataset.from_programs(programs, traces=1, seed=seed)
    config = TrainConfig.for_core(CoreConfig(), seed=seed, **TRAINING)
    library = new_library(CoreConfig(), [dataset], seed=seed)
    for picture in library.core.modules():
        if isinstance(picture, PictureInput):
            assert isinstance(picture.shown.world, Cars)
            picture.shown.world.views.most_bytes = PICTURES
    validate = validator_for(library, config)
    objective = FrameObjective.on(library, [dataset], config, validate=validate)

    def say(progress: Progress) -> None:
        report = objective.report(progress)
        if report.update % 50 == 0:
            tried = f", {report.validation.solved} of {report.validation.problems} runs" if report.validation else ""
            wrong = f"wrong frames at the last check {report.wrong}{tried}"
            print(f"  {report.update} updates, {report.seconds:.0f} s: loss {report.loss:.3f}, {wrong}", flush=True)

    return library, objective.report(fit(objective, objective.schedule, report=say))


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


def run(seed: int) -> Result:
    """Train, and test every task."""
    programs = load(ROOT / "programs" / "goto24.npi")
    began = time.process_time()
    library, report = train(programs, seed)
    seconds = time.process_time() - began
    library.save(RUNS / "harder" / f"library-{seed}")
    found: Result = {"solved": report.solved, "updates": report.update, "seconds": seconds, "tests": {}}
    found["choice"] = choice(library, programs, seed)
    for name, (_, count) in TESTS.items():
        task = programs.task(name)
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


def contents(done: Sequence[Result]) -> dict[str, Content]:
    """The page's table and figures."""
    rows = [["", "runs", "right, %", "one step off", "further off", "did not end"]]
    rows += [[label, f"{count:,}", *cells([r["tests"][name] for r in done])] for name, (label, count) in TESTS.items()]
    choices = [r["choice"] for r in done]
    return {
        "tests": rows,
        "seeds": seeds(done),
        "minutes": spread([r["seconds"] / 60 for r in done], 0),
        "updates": spread([r["updates"] for r in done], 0),
        "solved": f"{sum(r['solved'] for r in done)} of {len(done)}",
        "plain": spread([100 * c["right"] / c["count"] for c in choices]),
        "advised": spread([100 * c["advised"] / c["count"] for c in choices]),
    }


def main() -> None:
    recipe(__doc__, "cars-harder", run, contents, name="harder", changes=dict(TRAINING))


if __name__ == "__main__":
    main()
