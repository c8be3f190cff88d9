"""Over-imitation and MetaMimic on the puzzle box (Horner and Whiten 2005; Le Paine et al. 2018).

    python -m benchmarks.learners.mimic                        # all tables of the page
    python -m benchmarks.learners.mimic --only over_imitation  # or diversity, network, replay
    python -m benchmarks.learners.mimic --only network --seeds 0

Each run has a file under ``runs/mimic``, so that a recipe that was stopped resumes. Figures are of boxes of the split
``test`` that no training has drawn.

Shape legend: ``B`` boxes, ``T`` steps, ``P`` parameters of a row.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean

import torch

from benchmarks.common import RUNS, finished, plain_arguments, write
from benchmarks.learners.cores import trained_core, written
from dsl import loads
from envs.control.puzzle_box import PuzzleBox
from envs.control.puzzle_box_settings import IRRELEVANT, SHOWN, SPLIT, WALLS
from meta.mimic.learner import LEARNER
from meta.mimic.network import MimicConfig, MimicCore
from meta.mimic.objective import MimicReplay, MimicTraining
from meta.talk.rows.mimic import text
from npi.jobs.learners import new_library, objective_of
from npi.learners import Supervised
from npi.learners.core import learner_program_core
from npi.learners.interface import TaskInput
from npi.learners.objectives.base import schedule_of
from npi.learners.rollout import play
from npi.learners.tasks import Problems, training_tasks
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Rows, spread
from npi.training.loop import Progress, fit

NAME = "mimic"

COUNT, FIRST = 500, 10**8
"""Boxes of a figure, and the number of the first one."""

BOTH = ("IMITATE", "SOLVE")

STEPS = {"IMITATE": 85, "SOLVE": 50}
"""Acts of the programs at most."""

DEMONSTRATIONS = (1, 10, 50, 100, 500)

JOINT = LEARNER.training
"""Of both programs."""

ALONE = replace(LEARNER.training, updates=80)
"""Of imitation alone, on fewer or more demonstrations."""

COMPARED = replace(LEARNER.training, updates=40)
"""Of imitation alone, by networks of other shapes."""

WIDTHS, DEPTHS = (32, 128, 512), (2,)
"""Of the networks that imitate, each with layer normalisation and without."""

CLONING = replace(LEARNER.training, updates=150, batch=32, rate=2e-3, row_rate=2e-3)
"""Of cloning by the demonstrator's acts, which no other row sees."""

ENOUGH = 0.8
"""The success that the replay is compared at."""

Figures = dict[str, list[float]]
"""Of each box: likeness, irrelevant steps as a share, success, and acts."""


def ran(
    net: MimicCore, row_P: torch.Tensor, world: PuzzleBox, program: str, split: str, *, walls: str = "any",
    count: int = COUNT,
) -> Figures:  # fmt: skip
    """What a row does in boxes of a split; tasks are done without a demonstration in sight."""
    number_B = torch.arange(FIRST, FIRST + count)
    parts = (SPLIT, split), (SHOWN, "yes" if program == "IMITATE" else "no"), (WALLS, walls)
    state = world.begin(number_B, *(torch.full_like(number_B, part.values.index(value)) for part, value in parts))
    frames_B = (state.length_B - 1).float()
    task = TaskInput(world.spec, 0, row_P.detach().expand(count, -1), torch.zeros(count, 3, dtype=torch.int64))
    episodes = play(net, world, state, task, STEPS[program])
    sums = {name: (score_TB * episodes.live_TB).sum(0) for name, score_TB in episodes.scores.items()}
    return {
        "likeness": (sums["likeness"] / frames_B).tolist(),
        "irrelevant": (sums["irrelevant"] / IRRELEVANT).tolist(),
        "success": sums["reward"].tolist(),
        "acts": sums["steps"].tolist(),
        "shorter": (frames_B / sums["steps"]).tolist(),
    }


def interval(seeds: Sequence[list[float]]) -> str:
    """Of one seed the mean with the half width of its 95 % interval over boxes; of several the median and range of
    their means."""
    if len(seeds) > 1:
        return spread([fmean(values) for values in seeds], 3)
    (values,) = seeds
    half = 1.96 * torch.tensor(values).std().item() / math.sqrt(len(values))
    return f"{fmean(values):.3f} ± {half:.3f}"


def net_of(library: Library) -> MimicCore:
    net = learner_program_core(library.core).net
    assert isinstance(net, MimicCore)
    return net


def row_of(library: Library, program: str) -> torch.Tensor:
    names = [info.name.rpartition(".")[2] for info in library.memory.infos]
    return library.memory.embeddings_NP[names.index(program)].detach()


def box(demonstrations: int = 500) -> PuzzleBox:
    return PuzzleBox("box", {"demonstrations": demonstrations})


# --- one core, two rows ----------------------------------------------------------------------------------------------


def joint(seed: int) -> tuple[Library, float]:
    """The core of both programs."""
    path = written(RUNS / NAME / "files" / "puzzlebox.npi", text(500, *BOTH))
    return trained_core(f"{NAME}/joint-{seed}", [path], replace(JOINT, seed=seed), report=told)


def told(progress: Progress) -> None:
    """A line of each check."""
    if progress.update % LEARNER.training.check_every == 0:
        print(progress.update, dict(progress.scores), f"{progress.seconds:.0f} CPU s", flush=True)


def over_imitation(seed: int) -> Result:
    """Both rows of one frozen core, and the controls, in boxes that nothing was trained on."""
    library, seconds = joint(seed)
    net, world = net_of(library), box()
    before = learner_program_core(library.core).digest()
    rows = {name: row_of(library, name) for name in STEPS}
    mean_P = torch.stack(list(rows.values())).mean(0)
    random = new_library(MimicConfig(), training_tasks(loads(text(500, *BOTH))), [], seed=seed + 1000)
    cloned = cloning(seed)
    found: dict[str, Figures] = {
        "IMITATE, unseen demonstrations": ran(net, rows["IMITATE"], world, "IMITATE", "test"),
        "IMITATE, seen demonstrations": ran(net, rows["IMITATE"], world, "IMITATE", "train"),
        "IMITATE, unseen, opaque": ran(net, rows["IMITATE"], world, "IMITATE", "test", walls="opaque"),
        "IMITATE, unseen, transparent": ran(net, rows["IMITATE"], world, "IMITATE", "test", walls="transparent"),
        "SOLVE, unseen boxes": ran(net, rows["SOLVE"], world, "SOLVE", "test"),
        "SOLVE, unseen, opaque": ran(net, rows["SOLVE"], world, "SOLVE", "test", walls="opaque"),
        "SOLVE, unseen, transparent": ran(net, rows["SOLVE"], world, "SOLVE", "test", walls="transparent"),
        "mean row, demonstration shown": ran(net, mean_P, world, "IMITATE", "test"),
        "mean row, none shown": ran(net, mean_P, world, "SOLVE", "test"),
        "random weights, demonstration shown": ran(net_of(random), row_of(random, "IMITATE"), world, "IMITATE", "test"),
        "random weights, none shown": ran(net_of(random), row_of(random, "SOLVE"), world, "SOLVE", "test"),
        "cloning of the demonstrator's acts, unseen": ran(*cloned, world, "IMITATE", "test"),
    }
    assert before == learner_program_core(library.core).digest()
    return {"figures": found, "seconds": seconds}


def cloning(seed: int) -> tuple[MimicCore, torch.Tensor]:
    """A core of the same shape that was told what the demonstrator did."""
    programs = loads(text(500, "IMITATE"))
    tasks = training_tasks(programs)
    library = new_library(MimicConfig(), tasks, [programs], seed=seed)
    training = replace(CLONING, seed=seed)
    net, rows_NP = net_of(library), library.memory.embeddings_NP
    objective = Supervised(LEARNER, net, rows_NP, Problems(tuple(tasks), (0,)), training)
    fit(objective, schedule_of(training))
    return net, objective.rows_NP.detach()[0]


# --- how many demonstrations -----------------------------------------------------------------------------------------


def imitating(seed: int, demonstrations: int, config: MimicConfig, plan: MimicTraining) -> Result:
    """Likeness to seen and unseen demonstrations of a core that imitates alone."""
    path = written(RUNS / NAME / "files" / f"imitate{demonstrations}.npi", text(demonstrations, "IMITATE"))
    training, shape = replace(plan, seed=seed), f"{config.layers}-{config.units}-{config.normalised}"
    name = f"{NAME}/imitate-{demonstrations}-{shape}-{plan.updates}-{seed}"
    library, seconds = trained_core(name, [path], training, config=config, report=told)
    net, row_P, world = net_of(library), row_of(library, "IMITATE"), box(demonstrations)
    figures = {split: ran(net, row_P, world, "IMITATE", split) for split in ("train", "test")}
    return {"figures": figures, "seconds": seconds}


# --- the replay ------------------------------------------------------------------------------------------------------


def replayed(seed: int, shared: bool, most: float = math.inf) -> Result:
    """Success of the task along training, by the acts in the world, with the episodes of imitation and without.

    Args:
        most: acts in the world. The run is over there, or where success is :data:`ENOUGH`.
    """
    programs = BOTH if shared else ("SOLVE",)
    parsed = loads(text(500, *programs))
    tasks = training_tasks(parsed)
    training: MimicTraining = replace(JOINT, seed=seed, updates=JOINT.updates if shared else ALONE_UPDATES)
    library = new_library(MimicConfig(), tasks, [parsed], seed=seed)
    objective = objective_of(library, tasks, training)
    assert isinstance(objective, MimicReplay)
    library.memory.embeddings_NP = objective.rows_NP
    curve: list[list[float]] = []

    def report(progress: Progress) -> None:
        if progress.update % EVERY == 0:
            figures = ran(net_of(library), row_of(library, "SOLVE"), box(), "SOLVE", "test", count=200)
            curve.append([sum(objective.collected), objective.collected[-1], fmean(figures["success"])])

    def stop() -> bool:
        return bool(curve) and (curve[-1][2] >= ENOUGH or curve[-1][0] >= most)

    began = time.process_time()
    fit(objective, schedule_of(training), report=report, stop=stop)
    return {"curve": curve, "seconds": time.process_time() - began}


ALONE_UPDATES = 2000
"""Of the task without imitation at most."""

EVERY = 5
"""Updates between two points of a curve."""


# --- the page --------------------------------------------------------------------------------------------------------


def over_imitation_table(seeds: Sequence[int]) -> Rows:
    rows: list[list[object]] = [["", "likeness", "irrelevant steps", "success", "acts", "demonstrator's acts / acts"]]
    found = [finished(f"{NAME}/over_imitation/{seed}", partial(over_imitation, seed)) for seed in seeds]
    for name in found[0]["figures"]:
        runs = [one["figures"][name] for one in found]
        shown = "IMITATE" in name or "cloning" in name or "demonstration shown" in name
        cells = [interval([run[key] for run in runs]) for key in ("irrelevant", "success", "acts", "shorter")]
        rows.append([name, interval([run["likeness"] for run in runs]) if shown else "", *cells])
    return rows


def diversity_table(seeds: Sequence[int]) -> Rows:
    rows: list[list[object]] = [["demonstrations", "seen", "unseen", "irrelevant steps, unseen", "CPU s"]]
    for count in DEMONSTRATIONS:
        found = [
            finished(f"{NAME}/diversity-{count}/{seed}", partial(imitating, seed, count, MimicConfig(), ALONE))
            for seed in seeds
        ]
        seen, unseen = ([one["figures"][split] for one in found] for split in ("train", "test"))
        parts = (
            [run["likeness"] for run in seen],
            [run["likeness"] for run in unseen],
            [r["irrelevant"] for r in unseen],
        )
        rows.append([count, *map(interval, parts), spread([one["seconds"] for one in found], 0)])
    return rows


def network_table(seeds: Sequence[int]) -> Rows:
    head = ["layers", "units", "unseen, normalised", "unseen, not normalised", "seen, normalised"]
    rows: list[list[object]] = [[*head, "seen, not normalised", "CPU s"]]
    for layers, units in itertools.product(DEPTHS, WIDTHS):
        cells, seconds = dict[str, str](), list[float]()
        for normalised in (1, 0):
            config = MimicConfig(units=units, layers=layers, normalised=normalised)
            name = f"{NAME}/network-{layers}-{units}-{normalised}"
            found = [finished(f"{name}/{seed}", partial(imitating, seed, 500, config, COMPARED)) for seed in seeds]
            for split in ("test", "train"):
                cells[f"{split} {normalised}"] = interval([one["figures"][split]["likeness"] for one in found])
            seconds += [one["seconds"] for one in found]
        rows.append(
            [layers, units, *(cells[key] for key in ("test 1", "test 0", "train 1", "train 0")), spread(seconds, 0)]
        )
    return rows


def replay_table(seeds: Sequence[int]) -> Rows:
    """Of each seed; without imitation a run is over at twice the acts that the other one took."""
    head = ["seed", "replay", f"acts of all actors until {ENOUGH:.0%}", "acts of the task's actors"]
    rows: list[list[object]] = [[*head, "success then", "CPU s"]]
    for seed in seeds:
        most = math.inf
        for name, shared in (("with imitation", True), ("without", False)):
            stage = f"{NAME}/replay-{name.partition(' ')[0]}/{seed}"
            found = finished(stage, partial(replayed, seed, shared, most))
            acts, own, success = found["curve"][-1]
            most, more = 2 * acts, "" if success >= ENOUGH else "more than "
            cells = [f"{more}{acts:,.0f}", f"{more}{own:,.0f}", f"{success:.3f}", f"{found['seconds']:.0f}"]
            rows.append([seed, name, *cells])
    return rows


TABLES: Mapping[str, Callable[[Sequence[int]], Rows]] = {
    "over_imitation": over_imitation_table, "diversity": diversity_table, "network": network_table,
    "replay": replay_table,
}  # fmt: skip

SEEDS: Mapping[str, int] = {"over_imitation": 3, "diversity": 1, "network": 1, "replay": 1}
"""How many seeds a table has by default."""


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", help="by default from 0 on, as many as the page's tables have")
    parser.add_argument("--only", choices=list(TABLES), help="make this table alone, and print it")
    options = parser.parse_args()
    made = {name: options.seeds or range(SEEDS[name]) for name in ([options.only] if options.only else TABLES)}
    tables = {name: TABLES[name](seeds) for name, seeds in made.items()}
    if not options.only:
        write(NAME, tables)
        return
    for row in tables[options.only]:
        print(*row, sep=" | ")


if __name__ == "__main__":
    main()
