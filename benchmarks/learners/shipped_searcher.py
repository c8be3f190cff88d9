"""Make the core that comes with the engine and optimises without gradients.

    python -m benchmarks.learners.shipped_searcher                # into meta/black_box/shipped
    python -m benchmarks.learners.shipped_searcher --out FOLDER   # elsewhere

It is trained on samples of Gaussian processes alone (:data:`meta.black_box.program_files.FAMILIES`). What it reaches is
measured on samples that no training drew, beside the same core before training, and stands in its card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.common import RUNS, plain_arguments
from benchmarks.learners.cores import trained_core, written
from envs.black_box.world import BlackBox
from meta.black_box.ask_tell import SHIPPED
from meta.black_box.learner import LEARNER, BlackBoxTraining
from meta.black_box.network import BlackBoxConfig
from meta.black_box.program_files import FAMILIES, text
from npi.learners.core import learner_program_core
from npi.learners.interface import LearnerCore, TaskInput
from npi.learners.rollout import play
from npi.library.examples import CARD
from npi.library.library import Library
from npi.library.tensor_files import write_whole

NAME = "shipped-searcher"

TRAINING = BlackBoxTraining(updates=80, batch=16, rate=1e-3, row_rate=1e-3, check_every=25, problems=64)

TEXT = """# Card: the core that optimises without gradients

- **What it is**: an LSTM of {units} units whose parameters all coordinates share, which chooses the next query among
  places, two of them suggested by Gaussian processes, and moves it; and rows of {row} numbers.
  `meta.black_box.Searcher` and `meta.black_box.NeuralSampler` (of Optuna) use it. Core {digest}, {parameters:,}
  parameters; safetensors and JSON, no pickles.
- **Trained on**: samples of Gaussian processes in 1 to 9 dimensions, {updates:,} updates, seed {seed}:
  `python -m benchmarks.learners.shipped_searcher --updates {updates}`. No data of anybody are among them.
- **Reaches**: the mean best value of {count} samples that no training drew, after 10, 20, 40 and 100 queries, beside
  the same core before training:

{table}
- **Not for**: functions with thousands of evaluations, or of hundreds of dimensions; beliefs are of the first {room}.
- **License**: Apache-2.0, as the engine.
"""

COUNT, FIRST = 256, 10**8
"""Samples that it is tried on, and the number of the first: training draws eight digits."""

QUERIES = (10, 20, 40, 100)


def tried(net: LearnerCore, row_P: torch.Tensor, settings: Mapping[str, object]) -> list[float]:
    """The mean best value after each of :data:`QUERIES`."""
    world = BlackBox("functions", dict(settings))
    state = world.begin(torch.arange(FIRST, FIRST + COUNT))
    task = TaskInput(world.spec, 0, row_P.expand(COUNT, -1), torch.zeros(COUNT, 3, dtype=torch.int64))
    best_TB = play(net, world, state, task, QUERIES[-1]).scores["value"].cummin(0).values
    return [float(best_TB[count - 1].mean()) for count in QUERIES]


def table(library: Library) -> str:
    """Lines of a table: each family by its own row, and before training."""
    core = learner_program_core(library.core)
    before = LEARNER.core(core.net.config, (), generator=torch.Generator().manual_seed(0))
    lines = ["| Family | 10 | 20 | 40 | 100 | before training: 100 |", "|---|---|---|---|---|---|"]
    for name, settings in FAMILIES.items():
        row_P = library.memory.embeddings_NP[library.memory.index(f"{name}.SEARCH")].detach()
        mine, untrained = tried(core.net, row_P, settings), tried(before, torch.zeros_like(row_P), settings)
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in mine)} | {untrained[-1]:.3f} |")
        print(lines[-1], flush=True)
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
    trained, _ = trained_core(name, files(RUNS / name / "files"), training, config=BlackBoxConfig())
    core = learner_program_core(trained.core)
    card = TEXT.format(
        units=core.net.config.units, row=core.net.config.row, digest=trained.core.digest()[:16],
        parameters=sum(part.numel() for part in core.net.parameters()), updates=chosen.updates, seed=chosen.seed,
        count=COUNT, table=table(trained), room=core.net.config.room,
    )  # fmt: skip
    trained.save(chosen.out)
    write_whole(chosen.out / CARD, card.encode())
    print(card)


if __name__ == "__main__":
    main()
