"""One-shot imitation beside a plain LSTM and a policy that reads the end alone; skills as rows beside fine-tuning.

    python -m benchmarks.learners.imitation                   # one seed: about a quarter of an hour of CPU
    python -m benchmarks.learners.imitation --seeds 0 1 2
    python -m benchmarks.learners.imitation --only recurrent  # or another variant, or skills
    python -m benchmarks.learners.imitation --table           # only write the page from what is finished

Each stage has a file under ``runs/imitation``, so that a run that was stopped resumes. Scenes are those of episodes
from 10^9 on, which no training draws; goals of rows have colours that no training aims at.

Shape legend: ``B`` scenes, ``P`` parameters of a row.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import nn

from benchmarks.common import ROOT, RUNS, arguments, finished, write
from envs.control.demonstrations import of_episodes
from envs.control.reaching import Reaching
from envs.spec import SLOTS
from envs.world import Episodes, Layout
from meta.imitation.learner import LEARNER, Core
from meta.imitation.network import ImitationConfig
from npi.jobs.learners import train_learner
from npi.learners.core import learner_program_core
from npi.learners.interface import TaskInput
from npi.learners.learn_from_demonstrations import row_from_demonstrations
from npi.learners.objectives.base import LearnerObjective, masked_mean
from npi.learners.objectives.imitation import CloningTraining
from npi.learners.rollout import rollout
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Rows, spread

NAME = "imitation"

PROGRAMS = ROOT / "programs" / "learning"

FIRST = 10**9
"""The first scene's number."""

LANDMARKS = range(2, 11)

SCENES = 1000
"""New scenes for each number of landmarks."""

STEPS = 30

SHOWN = replace(LEARNER.training, updates=400, inferred=0.0, check_every=100, problems=100)

VARIANTS: Mapping[str, tuple[ImitationConfig, CloningTraining, tuple[str, ...]]] = {
    "demonstration": (ImitationConfig(), SHOWN, ("reaching",)),
    "final": (ImitationConfig(reads="final"), SHOWN, ("reaching",)),
    "recurrent": (
        ImitationConfig(reads="recurrent"), replace(SHOWN, updates=800, rate=1e-3, kept=1.0), ("reaching",),
    ),
    "rows": (ImitationConfig(), replace(SHOWN, updates=2500, inferred=0.5, check_every=500), ("reaching",)),
}  # fmt: skip
"""What is trained, on which files. Those that are compared have about a minute of CPU each; the plain LSTM, whose
updates are cheaper, has more of them. Rows have a core of their own."""

SKILLS, TOLD_SCENES = range(1, 6), 200
"""New skills, each a colour that no training aims at, and scenes in which each is tried."""

FINE_TUNED = ((30, 1e-4), (100, 3e-4))
"""Steps of fine-tuning, and their rate."""

FAR = replace(LEARNER.learning, updates=100, row_rate=1e-2)
"""How rows are learned beside random weights, which have further to go."""


def folder(variant: str, seed: int) -> Path:
    """Of the trained library."""
    return RUNS / NAME / f"{variant}-{seed}"


def trained(variant: str, seed: int) -> Result:
    """Train a variant; CPU seconds of it."""
    config, training, files = VARIANTS[variant]
    began = time.process_time()
    paths = [PROGRAMS / f"{file}.npi" for file in files]
    train_learner(paths, out=folder(variant, seed), config=config, training=replace(training, seed=seed), checked=told)
    return {"seconds": time.process_time() - began}


def told(objective: LearnerObjective, update: int) -> None:
    """Print how far training has come."""
    print(update, {name: round(score, 3) for name, score in objective.curve[-1]["scores"].items()}, flush=True)


def layouts(count: int, **parts: Sequence[int]) -> list[Layout]:
    """So many scenes that no training draws."""
    return [{"EPISODE": [int(digit) for digit in str(FIRST + number)], **parts} for number in range(count)]


@torch.no_grad()
def success(core: Core, world: Reaching, begun: Sequence[Layout], row_BP: torch.Tensor, *, shown: bool) -> float:
    """The share of scenes in which the right landmark is reached in the end.

    Args:
        shown: whether the core is told by the demonstration that is observed; else by the row alone.
    """
    state = world.reset(begun)
    task = task_of(world, row_BP)
    hidden_BH = core.begin(task, world.observe(state) if shown else None)
    return float(rollout(core, world, state, task, hidden_BH, STEPS)[0].scores["success"][-1].mean())


def task_of(world: Reaching, row_BP: torch.Tensor) -> TaskInput:
    """Without arguments."""
    return TaskInput(world.spec, 0, row_BP, torch.zeros(len(row_BP), SLOTS, dtype=torch.int64))


def opened(variant: str, seed: int) -> tuple[Library, Core]:
    """The trained library, and its network."""
    library = Library.open(folder(variant, seed))
    core: Any = learner_program_core(library.core).net
    return library, core


def reached(variant: str, seed: int) -> Result:
    """Success by the number of landmarks, told by the demonstration, or in ``rows`` by a row that it was made into."""
    library, core = opened(variant, seed)
    world = Reaching("plane", {})
    names = [info.name for info in library.memory.infos]
    row_P = library.memory.embeddings_NP[names.index("reaching.REACH")].detach()
    found: dict[str, float] = {}
    for count in LANDMARKS:
        begun, row_BP = layouts(SCENES, COUNT=[count], SPLIT=[1]), row_P.expand(SCENES, -1)
        if variant == "rows":
            with torch.no_grad():
                row_BP = core.inferred(core.read(world.observe(world.reset(begun))))
        found[str(count)] = success(core, world, begun, row_BP, shown=variant != "rows")
    return {"success": found}


# --- rows ------------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Result:
    """New skills, each from one demonstration: success of each way to a row, and CPU seconds of the gradient."""
    library, core = opened("rows", seed)
    held, world = learner_program_core(library.core), Reaching("skills", {"shown": "no"})
    index, shows = 0, Reaching("plane", {})
    with torch.no_grad():  # of rows that scenes of training's colours are made into
        usual = shows.observe(shows.reset([{"EPISODE": [a, b]} for a in range(1, 9) for b in range(8)]))
        mean_P = core.inferred(core.read(usual)).mean(0)
    found: dict[str, list[float]] = {}

    def note(name: str, net: Core, row_P: torch.Tensor, tried: Sequence[Layout]) -> None:
        found.setdefault(name, []).append(success(net, world, tried, row_P.expand(len(tried), -1), shown=False))

    for skill in SKILLS:
        parts = {"SKILL": [int(digit) for digit in str(skill)], "SPLIT": [1]}
        tried = layouts(TOLD_SCENES, **parts)
        generator = torch.Generator().manual_seed(1000 * seed + skill)
        evidence = world.demonstrate([{"EPISODE": [8, skill // 10, skill % 10], **parts}], generator=generator)
        shown = of_episodes(evidence, core.sizes)
        with torch.no_grad():
            told_P = core.inferred(shown)[0]
            quiet_P = core.inferred(shown.without_actions(torch.ones(1, dtype=torch.bool)))[0]
        note("inferred", core, told_P, tried)
        note("inferred, no actions", core, quiet_P, tried)
        note("mean row", core, mean_P, tried)
        began = time.process_time()
        learned = row_from_demonstrations(held, world.spec, index, evidence, mean_P, LEARNER.learning)
        found.setdefault("seconds", []).append(time.process_time() - began)
        note("gradient", core, learned.row_P, tried)
        for steps, rate in FINE_TUNED:
            note(f"fine-tuned, {steps} steps", *fine_tuned(core, world, evidence, told_P, steps, rate), tried)
        untrained = copy.deepcopy(held)
        untrained.net = LEARNER.core(held.config, held.worlds, generator=torch.Generator().manual_seed(77 + seed))
        beside = row_from_demonstrations(untrained, world.spec, index, evidence, mean_P, FAR)
        note("random weights", untrained.net, beside.row_P, tried)  # type: ignore[arg-type]
    return found


def fine_tuned(
    core: Core, world: Reaching, evidence: Episodes, row_P: torch.Tensor, steps: int, rate: float
) -> tuple[Core, torch.Tensor]:
    """All weights and the row, moved so that the demonstrated actions become likelier."""
    net, row_1P = copy.deepcopy(core), nn.Parameter(row_P[None].clone())
    optimizer = torch.optim.Adam([*net.parameters(), row_1P], lr=rate)
    for _ in range(steps):
        task = task_of(world, row_1P)
        unrolled = net.unroll(task, evidence, net.begin(task))
        optimizer.zero_grad()
        (-masked_mean(unrolled["log_likelihood"], evidence.live_TB)).backward()
        optimizer.step()
    return net, row_1P.detach()[0]


# --- stages ----------------------------------------------------------------------------------------------------------


def stage(seed: int, variant: str) -> Result:
    """A variant, trained and tried."""
    took = finished(f"{NAME}/{variant}-{seed}-trained", partial(trained, variant, seed), settings=settings(variant))
    return finished(f"{NAME}/{variant}-{seed}-reached", partial(reached, variant, seed)) | took


def settings(variant: str) -> dict[str, Any]:
    """What a stage's result depends on beside the seed."""
    config, training, files = VARIANTS[variant]
    return {"config": config.to_json(), "training": training.to_json(), "files": list(files)}


def row_stage(seed: int) -> Result:
    stage(seed, "rows")
    return finished(f"{NAME}/rows-{seed}-skills", partial(rows, seed))


def percent(values: Sequence[float]) -> str:
    """Mean over seeds, and the spread where there are several."""
    return spread([100 * value for value in values], 1)


def reaching_table(seeds: Sequence[int]) -> Rows:
    lines: Rows = [["", *map(str, LANDMARKS), "updates", "CPU s of training"]]
    for variant, (_, training, _) in VARIANTS.items():
        done = [stage(seed, variant) for seed in seeds]
        cells = [percent([one["success"][str(count)] for one in done]) for count in LANDMARKS]
        name = "inferred row" if variant == "rows" else variant
        lines.append([name, *cells, training.updates, f"{fmean(one['seconds'] for one in done):.0f}"])
    return lines


def row_table(seeds: Sequence[int]) -> Rows:
    done = [row_stage(seed) for seed in seeds]
    names = [name for name in done[0] if name != "seconds"]
    lines: Rows = [["row", "success in new scenes", "worst skill"]]
    for name in names:
        each = [one[name] for one in done]
        lines.append([name, percent([fmean(values) for values in each]), f"{100 * min(map(min, each)):.1f}"])
    return lines


def main() -> None:
    parser = arguments(__doc__, seeds=[0])
    parser.add_argument("--only", choices=[*VARIANTS, "skills"], help="this stage alone")
    options = parser.parse_args()
    if options.only:
        for seed in options.seeds:
            print(row_stage(seed) if options.only == "skills" else stage(seed, options.only))
        return
    seconds = [second for seed in options.seeds for second in row_stage(seed)["seconds"]]
    tables = {"reaching": reaching_table(options.seeds), "rows": row_table(options.seeds)}
    write(NAME, {**tables, "gradient": f"{fmean(seconds):.1f}"})


if __name__ == "__main__":
    main()
