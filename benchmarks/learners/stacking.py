"""Block stacking from one demonstration, by number of stages; a program that builds towers by two learned skills.

    python -m benchmarks.learners.stacking                       # one seed: about half an hour of CPU
    python -m benchmarks.learners.stacking --seeds 0 1 2
    python -m benchmarks.learners.stacking --only demonstration  # or another variant, skills, or build
    python -m benchmarks.learners.stacking --table               # only write the page from what is finished

Each stage has a file under ``runs/stacking``, so that a run that was stopped resumes. Layouts are those of episodes
from 10^9 on of each split, which no training draws.

Shape legend: ``B`` layouts, ``L`` moments, ``P`` parameters of a row.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch

from benchmarks.common import ROOT, RUNS, arguments, finished, write
from dsl import load
from dsl.tasks.task import Problem
from envs.control.stacking import Stacking
from envs.control.stacking_skills import DRAWN, SKILL
from envs.control.stacking_skills import STEPS as SKILL_STEPS
from envs.control.stacking_tasks import LETTERS, MAX_BLOCKS, SPLIT
from envs.spec import SLOTS
from envs.world import Layout
from meta.imitation.learner import LEARNER
from meta.imitation.network import ImitationConfig
from npi.core.config import TrainConfig
from npi.jobs.learners import train_learner
from npi.jobs.train import train_library
from npi.learners import write_demonstrations
from npi.learners.core import learner_program_core
from npi.learners.interface import LearnerCore, TaskInput
from npi.learners.learn_from_demonstrations import learn_from_demonstrations
from npi.learners.objectives.base import LearnerObjective
from npi.learners.objectives.imitation import CloningTraining
from npi.learners.rollout import rollout
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Rows
from npi.running.evaluate import run_problems, test_seed

NAME = "stacking"

PROGRAMS, TOOLS = ROOT / "programs" / "learning", ROOT / "programs" / "tools"

FIRST = 10**9
"""The first layout's number."""

LAYOUTS = 100
"""New layouts for each number of stages."""

STAGES = {"test": range(1, 8), "more": range(1, 10)}
"""Numbers of stages of the tasks of each split that is measured."""

STEPS = 300

LOT = 100
"""Layouts that are tried side by side."""

CORE = ImitationConfig(attention="shared", every=3, moments=24, rounds=2, heads=3, track=32, units=64)

CLONED = replace(
    LEARNER.training, updates=3000, cloned=16, inferred=0.0, silent=0.0, kept=1.0, check_every=1000, problems=50
)

VARIANTS: Mapping[str, tuple[ImitationConfig, CloningTraining]] = {
    "demonstration": (CORE, CLONED),
    "snapshots": (replace(CORE, reads="snapshots"), CLONED),
    "final": (replace(CORE, reads="final"), CLONED),
    "recurrent": (replace(CORE, reads="recurrent"), replace(CLONED, updates=1000, rate=1e-3)),
}
"""What is compared, with equally many updates; those of the plain LSTM cost most, and it has fewer of them."""


def folder(variant: str, seed: int) -> Path:
    """Of the trained library."""
    return RUNS / NAME / f"{variant}-{seed}"


def page_of(variant: str, seed: int) -> Path:
    """Where the figures of a variant lie once it is finished."""
    return RUNS / NAME / f"{variant}-{seed}-reached.json"


def trained(variant: str, seed: int) -> Result:
    """Train a variant; CPU seconds of it."""
    config, training = VARIANTS[variant]
    began = time.process_time()
    train_learner(
        [PROGRAMS / "stacking.npi"], out=folder(variant, seed), config=config, training=replace(training, seed=seed),
        checked=partial(told, began),
    )  # fmt: skip
    return {"seconds": time.process_time() - began}


def told(began: float, objective: LearnerObjective, update: int) -> None:
    """Print how far training has come."""
    scores = {name: round(score, 3) for name, score in objective.curve[-1]["scores"].items()}
    print(f"{update} updates, {time.process_time() - began:.0f} CPU s", scores, flush=True)


class Measured(NamedTuple):
    """Of layouts: how many there are, and in how many all stages were done; the mean share of stages that were."""

    layouts: int
    solved: int
    stages: float


def layouts(count: int, **parts: Sequence[int]) -> list[Layout]:
    """So many layouts that no training draws."""
    return [{"EPISODE": [int(digit) for digit in str(FIRST + number)], **parts} for number in range(count)]


@torch.no_grad()
def measured(core: LearnerCore, world: Stacking, begun: Sequence[Layout], row_P: torch.Tensor) -> Measured:
    """What a core does in the end, with one row."""
    solved, stages = 0, 0.0
    for first in range(0, len(begun), LOT):
        state = world.reset(begun[first : first + LOT])
        none_B3 = torch.zeros(state.batch, SLOTS, dtype=torch.int64)
        task = TaskInput(world.spec, 0, row_P.expand(state.batch, -1), none_B3)
        rollout(core, world, state, task, core.begin(task, world.observe(state)), STEPS)
        scores = world.score(state)
        solved, stages = solved + int(scores["success"].sum()), stages + float(scores["stages"].sum())
    return Measured(len(begun), solved, stages / len(begun))


def opened(path: Path) -> tuple[Library, Any]:
    """A trained library, and its network."""
    library = Library.open(path)
    return library, learner_program_core(library.core).net


def reached(variant: str, seed: int, splits: Sequence[str]) -> Result:
    """By split and number of stages: solved layouts, of how many, and the share of stages."""
    library, core = opened(folder(variant, seed))
    return by_stages(core, library.memory.embeddings_NP[0].detach(), splits)


def by_stages(core: LearnerCore, row_P: torch.Tensor, splits: Sequence[str]) -> Result:
    world, found = Stacking("table", {"blocks": MAX_BLOCKS}), {}
    for split in splits:
        for count in STAGES[split]:
            parts = {"SPLIT": [SPLIT.values.index(split)], "STAGES": [count]}
            found[f"{split} {count}"] = list(measured(core, world, layouts(LAYOUTS, **parts), row_P))
            print(split, count, found[f"{split} {count}"], flush=True)
    return found


def untrained(seed: int) -> Result:
    """The control: random weights."""
    world = Stacking("table", {"blocks": 8})
    core = LEARNER.core(CORE, [world.spec], generator=torch.Generator().manual_seed(seed))
    return by_stages(core, torch.zeros(CORE.row), ["test"])


# --- skills that a program calls -------------------------------------------------------------------------------------

HANDLING = ImitationConfig(heads=3, units=64)

HANDLED = replace(
    LEARNER.training, updates=1000, inferred=0.6, silent=0.5, kept=0.5, check_every=250, problems=100
)  # fmt: skip

SKILLS = ("pick", "place")

TRIED = 400
"""New layouts for each skill, a quarter of them about each block."""

SHOWINGS = 10
"""Demonstrations of each skill, each of which makes a row of its own; the first one's is the program's."""

TOWERS, SIZES = 200, (2, 3, 4)
"""Plans of each size, which is the number of blocks."""

CHECKED = 40
"""Plans of each size that are carried out by the second way, too."""


def handled(seed: int) -> Result:
    """Train the core of skills; CPU seconds of it."""
    began, files = time.process_time(), [PROGRAMS / "handling.npi", PROGRAMS / "lifting.npi"]
    training = replace(HANDLED, seed=seed)
    train_learner(files, out=folder("handling", seed), config=HANDLING, training=training, checked=partial(told, began))
    return {"seconds": time.process_time() - began}


def skills(seed: int) -> Result:
    """Two programs, each from one demonstration of states alone; by skill and way to a row, in how many layouts it is
    done."""
    library, core = opened(folder("handling", seed))
    table, shows = Stacking("table", {"blocks": 4, "shown": "no"}), Stacking("shown", {"blocks": 4})
    index = [world.digest for world in learner_program_core(library.core).worlds].index(table.spec.digest)
    random = LEARNER.core(HANDLING, [table.spec], generator=torch.Generator().manual_seed(1000 + seed))
    seen = shows.observe(
        shows.reset([{"EPISODE": [a, b], "SKILL": [SKILL.values.index(DRAWN)]} for a in range(1, 9) for b in range(8)])
    )
    with torch.no_grad():
        mean_P = core.inferred(core.read(seen)).mean(0)
    found: dict[str, Any] = {}
    for skill in SKILLS:
        kind = SKILL.values.index(skill)
        parts = {"SKILL": [kind], "SPLIT": [SPLIT.values.index("test")]}
        tried = [{**layout, "BLOCK": [1 + n % 4]} for n, layout in enumerate(layouts(TRIED, **parts))]
        numbered = [[{"EPISODE": [7, number], **parts}] for number in range(SHOWINGS)]
        shown = [table.demonstrate(layout, generator=torch.Generator()) for layout in numbered]
        evidence = [replace(one, actions=None) for one in shown]
        file = RUNS / NAME / f"{skill}-{seed}.npz"
        write_demonstrations(file, evidence[0], table.spec)
        learned = learn_from_demonstrations(library, [load(TOOLS / f"{skill}.npi")], file)
        assert learned.unchanged
        with torch.no_grad():
            rows = [LEARNER.infer_row(core, one)[0] for one in evidence]
        assert torch.allclose(rows[0], library.memory.embeddings_NP[-1], atol=1e-5)
        ways = {"inferred": rows[0], "mean row": mean_P}
        found[skill] = {name: done(core, table, index, tried, row_P) for name, row_P in ways.items()}
        found[skill]["of others"] = [done(core, table, index, tried, row_P) for row_P in rows[1:]]
        with torch.no_grad():
            alone_P = LEARNER.infer_row(random, evidence[0])[0]
        found[skill]["random weights"] = done(random, table, 0, tried, alone_P)
        index_shown = [world.digest for world in learner_program_core(library.core).worlds].index(shows.spec.digest)
        row_P = library.memory.embeddings_NP[library.memory.index("handling.HANDLE")].detach()
        found[skill]["demonstration observed"] = done(core, shows, index_shown, tried, row_P)
    library.save(folder("skills", seed))
    return found


@torch.no_grad()
def done(core: LearnerCore, world: Stacking, index: int, begun: Sequence[Layout], row_P: torch.Tensor) -> int:
    """In how many layouts a skill is done in the end."""
    state = world.reset(begun)
    arguments_B3 = torch.tensor([[*layout["BLOCK"], 0, 0] for layout in begun])
    task = TaskInput(world.spec, index, row_P.expand(state.batch, -1), arguments_B3)
    rollout(core, world, state, task, core.begin(task, world.observe(state)), SKILL_STEPS)
    return int(world.score(state)["success"].sum())


def built(seed: int) -> Result:
    """The program with a body: trained on traces with the skills hosted, proved, and run on plans."""
    began = time.process_time()
    trained = train_library(
        [TOOLS / "build.npi"], out=folder("build", seed), hosts=[Library.open(folder("skills", seed))],
        training=TrainConfig(seed=seed, certify=True, problems=64), fresh=True,
    )  # fmt: skip
    found: dict[str, Any] = {"seconds": time.process_time() - began, "proved": trained.solved}
    library = trained.library
    programs, task = library.task("build.build")
    for size in SIZES:
        generator = torch.Generator().manual_seed(test_seed(seed, NAME, size))
        problems = task.draw(size, TOWERS, generator=generator, spread=False)
        outcome = run_problems(library.stepper(programs.table), programs, problems)
        towers = [list(reading["TOWER"]) for reading in outcome.read(programs.world)]
        wanted = [[LETTERS.index(str(letter)) for letter in plan(problem)] for problem in problems]
        assert carried_out(library, problems[:CHECKED]) == towers[:CHECKED], "the machine and plain Python differ"
        found[str(size)] = sum(tower == plan for tower, plan in zip(towers, wanted, strict=True))
        print(size, found[str(size)], flush=True)
    return found


def plan(problem: Problem) -> Sequence[Any]:
    """The letters of the tower that a problem asks for, from the table upwards."""
    tower: Any = problem.values["tower"]
    return list(tower)


@torch.no_grad()
def carried_out(library: Library, problems: Sequence[Problem]) -> list[list[int]]:
    """The second way: the skills' network alone, called in turn for each pair of a plan; the towers that come out."""
    host = learner_program_core(library.hosts[0].core)
    table, memory = Stacking("table", {"blocks": 4, "shown": "no"}), library.hosts[0].memory
    index = [world.digest for world in host.worlds].index(table.spec.digest)
    rows = [memory.embeddings_NP[memory.index(name)].detach() for name in ("pick.PICK", "place.PLACE_ON")]
    parts = "EPISODE", "SPLIT", "SKILL"
    state = table.reset([{part: problem.layout[part] for part in parts} for problem in problems])
    letters = [[LETTERS.index(str(letter)) for letter in plan(problem)] for problem in problems]
    for stage in range(len(letters[0]) - 1):
        for row_P, place in zip(rows, (stage + 1, stage), strict=True):
            arguments_B3 = torch.tensor([[1 + each[place], 0, 0] for each in letters])
            task = TaskInput(table.spec, index, row_P.expand(state.batch, -1), arguments_B3)
            rollout(host.net, table, state, task, host.net.begin(task), SKILL_STEPS)
    return [reading["TOWER"] for reading in table.read(state)]


# --- the page --------------------------------------------------------------------------------------------------------


def trained_stage(variant: str, seed: int) -> Result:
    config, training = VARIANTS[variant]
    settings = {"config": config.to_json(), "training": training.to_json()}
    return finished(f"{NAME}/{variant}-{seed}-trained", partial(trained, variant, seed), **settings)


def stage(seed: int, variant: str) -> Result:
    """A variant, trained and tried."""
    took, splits = trained_stage(variant, seed), list(STAGES) if variant == "demonstration" else ["test"]
    found = finished(f"{NAME}/{variant}-{seed}-reached", partial(reached, variant, seed, splits), layouts=LAYOUTS)
    return found | took


def control_stage(seed: int) -> Result:
    return finished(f"{NAME}/random-{seed}-reached", partial(untrained, seed), layouts=LAYOUTS)


def skill_stage(seed: int) -> Result:
    settings = {"config": HANDLING.to_json(), "training": HANDLED.to_json()}
    took = finished(f"{NAME}/handling-{seed}-trained", partial(handled, seed), **settings)
    return finished(f"{NAME}/skills-{seed}", partial(skills, seed), tried=TRIED) | took


def build_stage(seed: int) -> Result:
    skill_stage(seed)
    return finished(f"{NAME}/build-{seed}", partial(built, seed), towers=TOWERS)


def share(solved: int, count: int) -> str:
    """Percent, with its 95 % interval (Wilson 1927)."""
    z, mean = 1.96, solved / count
    middle, half = mean + z * z / (2 * count), z * math.sqrt(mean * (1 - mean) / count + z * z / (4 * count * count))
    low, high = ((middle + sign * half) / (1 + z * z / count) for sign in (-1, 1))
    return f"{100 * mean:.1f} ({100 * low:.0f}–{100 * high:.0f})"


def over(cells: Sequence[Sequence[float]]) -> str:
    """Several seeds' layouts together."""
    return share(int(sum(cell[1] for cell in cells)), int(sum(cell[0] for cell in cells)))


def stage_table(seeds: Sequence[int], variants: Sequence[str]) -> Rows:
    lines: Rows = [["", *map(str, STAGES["test"]), "updates", "CPU s of training"]]
    for variant in variants:
        done_S = [stage(seed, variant) for seed in seeds]
        cells = [over([one[f"test {count}"] for one in done_S]) for count in STAGES["test"]]
        seconds = fmean(one["seconds"] for one in done_S)
        lines = [*lines, [variant, *cells, VARIANTS[variant][1].updates, f"{seconds:.0f}"]]
    control = [control_stage(seed) for seed in seeds]
    cells = [over([one[f"test {count}"] for one in control]) for count in STAGES["test"]]
    return [*lines, ["random weights", *cells, 0, 0]]


def more_table(seeds: Sequence[int]) -> Rows:
    done_S = [stage(seed, "demonstration") for seed in seeds]
    cells = [[one[f"more {count}"] for one in done_S] for count in STAGES["more"]]
    return [
        ["", *map(str, STAGES["more"])],
        ["all stages done", *map(over, cells)],
        ["share of stages", *(f"{100 * fmean(each[2] for each in cell):.1f}" for cell in cells)],
    ]


def skill_table(seeds: Sequence[int]) -> Rows:
    done_S = [skill_stage(seed) for seed in seeds]
    lines: Rows = [["row", *("`PICK`" if skill == "pick" else "`PLACE_ON`" for skill in SKILLS)]]
    for name in ("inferred", "mean row", "random weights", "demonstration observed"):
        cells = [share(sum(one[skill][name] for one in done_S), TRIED * len(seeds)) for skill in SKILLS]
        lines = [*lines, [name, *cells]]
    worst = [100 * min(min(one[skill]["of others"]) for one in done_S) / TRIED for skill in SKILLS]
    return [*lines, ["worst of nine other demonstrations", *(f"{value:.1f}" for value in worst)]]


def build_table(seeds: Sequence[int]) -> Rows:
    done_S, skills_S = [build_stage(seed) for seed in seeds], [skill_stage(seed) for seed in seeds]
    each = [fmean(one[skill]["inferred"] / TRIED for one in skills_S) for skill in SKILLS]
    lines: Rows = [["blocks of the tower", "calls of skills", "plans built", "product of the skills' shares"]]
    for size in SIZES:
        right = share(sum(one[str(size)] for one in done_S), TOWERS * len(seeds))
        lines = [*lines, [size, 2 * (size - 1), right, f"{100 * math.prod(each) ** (size - 1):.1f}"]]
    return lines


def main() -> None:
    parser = arguments(__doc__, seeds=[0])
    parser.add_argument("--only", choices=[*VARIANTS, "skills", "build"], help="this stage alone")
    options = parser.parse_args()
    apart = {"skills": skill_stage, "build": build_stage}
    if options.only:
        for seed in options.seeds:
            print(apart[options.only](seed) if options.only in apart else stage(seed, options.only))
        return
    seeds = options.seeds
    ready = [v for v in VARIANTS if not options.table or all(page_of(v, seed).exists() for seed in seeds)]
    done_S, built_S = [skill_stage(seed) for seed in seeds], [build_stage(seed) for seed in seeds]
    write(
        NAME,
        {
            "stages": stage_table(seeds, ready),
            "more": more_table(seeds),
            "skills": skill_table(seeds),
            "build": build_table(seeds),
            "seeds": ", ".join(map(str, seeds)),
            "handling": f"{fmean(one['seconds'] for one in done_S):.0f}",
            "proved": f"{sum(one['proved'] for one in built_S)} of {len(seeds)}",
            "building": f"{fmean(one['seconds'] for one in built_S):.0f}",
        },
    )


if __name__ == "__main__":
    main()
