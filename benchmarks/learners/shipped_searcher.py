"""Make the core that comes with the engine and optimises without gradients.

    python -m benchmarks.learners.shipped_searcher                # into meta/black_box/shipped
    python -m benchmarks.learners.shipped_searcher --out FOLDER   # elsewhere

It is trained on samples of Gaussian processes alone (:data:`meta.black_box.program_files.FAMILIES`), and compared with
the same core before training on samples for validation; what is better there is shipped. What both reach on samples
that neither training nor this choice has drawn stands in its card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch

from benchmarks.common import RUNS, plain_arguments
from benchmarks.learners.cores import trained_core, written
from dsl import load
from dsl.program import ProgramSet
from envs.black_box.world import BlackBox
from meta.black_box.ask_tell import SHIPPED
from meta.black_box.learner import BlackBoxTraining
from meta.black_box.network import BlackBoxConfig
from meta.black_box.program_files import FAMILIES, text
from npi.jobs.learners import new_library
from npi.learners.core import learner_program_core
from npi.learners.interface import LearnerCore, TaskInput
from npi.learners.rollout import play
from npi.learners.tasks import training_tasks
from npi.library.examples import CARD
from npi.library.library import Library
from npi.library.tensor_files import write_whole

NAME = "shipped-searcher"

TRAINING = BlackBoxTraining(updates=80, batch=16, rate=1e-3, row_rate=1e-3, check_every=25, problems=64)

TEXT = """# Card: a core that optimises without gradients

- **What it is**: an LSTM of {units} units whose parameters all coordinates share, which chooses the next query among
  places, two of them suggested by Gaussian processes, and moves it; and rows of {row} numbers.
  `meta.black_box.Searcher` and `meta.black_box.NeuralSampler` (of Optuna) use it. Core {digest}, {parameters:,}
  parameters; safetensors and JSON, no pickles.
- **{state}**: {updates:,} updates on samples of Gaussian processes in 1 to 9 dimensions, seed {seed}, beside none:
  `python -m benchmarks.learners.shipped_searcher --updates {updates}`. No data of anybody are among them.
- **Reaches**: the mean best value of {count} samples that nothing was chosen by, before training after 10, 20, 40 and
  100 queries, and after training after 100:

{table}
- **Not for**: functions with thousands of evaluations, or of hundreds of dimensions; beliefs are of the first {room}.
- **License**: Apache-2.0, as the engine.
"""

COUNT, FIRST, VALIDATION = 256, 10**8, 2 * 10**8
"""Samples that it is tried on, and the number of the first, of the last table and of the choice: training draws eight
digits."""

QUERIES = (10, 20, 40, 100)


def tried(net: LearnerCore, row_P: torch.Tensor, settings: Mapping[str, object], first: int = FIRST) -> list[float]:
    """The mean best value after each of :data:`QUERIES`."""
    world = BlackBox("functions", dict(settings))
    state = world.begin(torch.arange(first, first + COUNT))
    task = TaskInput(world.spec, 0, row_P.expand(COUNT, -1), torch.zeros(COUNT, 3, dtype=torch.int64))
    best_TB = play(net, world, state, task, QUERIES[-1]).scores["value"].cummin(0).values
    return [float(best_TB[count - 1].mean()) for count in QUERIES]


def before_training(trained: Library, sets: Sequence[ProgramSet]) -> Library:
    """The same core without training, with rows of zeros."""
    core = learner_program_core(trained.core)
    tasks = [task for programs in sets for task in training_tasks(programs)]
    found = new_library(core.config, tasks, list(sets), seed=0)
    with torch.no_grad():
        found.memory.embeddings_NP.zero_()
    return found


def values(library: Library, first: int = FIRST) -> dict[str, list[float]]:
    """Of each family, by its own row."""
    core, found = learner_program_core(library.core), dict[str, list[float]]()
    for name, settings in FAMILIES.items():
        row_P = library.memory.embeddings_NP[library.memory.index(f"{name}.SEARCH")].detach()
        found[name] = tried(core.net, row_P, settings, first)
        print(f"  {name}: {found[name]}", flush=True)
    return found


def table(before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]) -> str:
    """Each family before training, and its last value after it."""
    lines = ["| Family | 10 | 20 | 40 | 100 | trained: 100 |", "|---|---|---|---|---|---|"]
    for name in FAMILIES:
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in before[name])} | {after[name][-1]:.3f} |")
    return "\n".join(f"  {line}" for line in lines)


def files(folder: Path) -> list[Path]:
    """The program files of all families."""
    return [written(folder / f"{name}.npi", text(name, **settings)) for name, settings in FAMILIES.items()]


def main() -> None:
    options = plain_arguments(__doc__)
    options.add_argument("--out", type=Path, default=SHIPPED)
    options.add_argument("--updates", type=int, default=TRAINING.updates)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    training = replace(TRAINING, updates=chosen.updates, seed=chosen.seed)
    name = f"{NAME}-{chosen.updates}-{chosen.seed}"
    paths = files(RUNS / name / "files")
    trained, _ = trained_core(name, paths, training, config=BlackBoxConfig())
    before = before_training(trained, [load(path) for path in paths])
    last = [fmean(one[-1] for one in values(library, VALIDATION).values()) for library in (trained, before)]
    best, state = (trained, "Trained") if last[0] < last[1] else (before, "Not trained: training made it worse")
    core = learner_program_core(best.core)
    card = TEXT.format(
        units=core.net.config.units, row=core.net.config.row, digest=best.core.digest()[:16], state=state,
        parameters=sum(part.numel() for part in core.net.parameters()), updates=chosen.updates, seed=chosen.seed,
        count=COUNT, table=table(values(before), values(trained)), room=core.net.config.room,
    )  # fmt: skip
    best.save(chosen.out)
    write_whole(chosen.out / CARD, card.encode())
    print(card)


if __name__ == "__main__":
    main()
