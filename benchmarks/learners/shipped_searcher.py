"""Make the core that comes with the engine and optimises without gradients.

    python -m benchmarks.learners.shipped_searcher                # into meta/black_box/shipped, some twenty minutes
    python -m benchmarks.learners.shipped_searcher --out FOLDER   # elsewhere

The core is as it begins, which is Bayesian optimisation by the plain row of zeros; training it by the gradient of what
is observed made it worse. Beside it a row is learned for each family of samples of Gaussian processes
(:data:`LEARNED`), by evolution
strategies on the best value after 100 queries. A run that
was stopped goes on with the next family. What the rows reach on samples that neither learning nor the choice among rows
has drawn stands in its card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.common import RUNS, plain_arguments
from benchmarks.learners.cores import written
from dsl import load
from envs.black_box.world import BlackBox
from meta.black_box.ask_tell import PLAIN, SHIPPED
from meta.black_box.learner import BEST, BlackBoxTraining
from meta.black_box.network import BlackBoxConfig
from meta.black_box.program_files import FAMILIES, text
from npi.jobs.learners import new_library
from npi.learners.core import learner_program_core
from npi.learners.interface import LearnerCore, TaskInput
from npi.learners.learn_rows import learn_rows
from npi.learners.rollout import play
from npi.learners.tasks import training_tasks
from npi.library.examples import CARD
from npi.library.library import Library
from npi.library.tensor_files import write_whole

NAME = "shipped-searcher"

LEARNING = BlackBoxTraining(
    updates=25, batch=16, loss=BEST, search_rate=0.1, directions=8, check_every=25, problems=128, starts=1
)

LEARNED = {name: FAMILIES[name] for name in ("gp3", "gp6")}
"""Each takes some eight CPU minutes."""

TEXT = """# Card: a core that optimises without gradients

- **What it is**: an LSTM of {units} units whose parameters all coordinates share, which chooses the next query among
  places, two of them suggested by Gaussian processes, and moves it; and rows of {row} numbers.
  `meta.black_box.Searcher` and `meta.black_box.NeuralSampler` (of Optuna) use it. Core {digest}, {parameters:,}
  parameters; safetensors and JSON, no pickles.
- **The core is not trained**: by its plain row it does Bayesian optimisation. The rows are learned beside it, by
  evolution strategies on samples of Gaussian processes, {updates:,} updates each, seed {seed}:
  `python -m benchmarks.learners.shipped_searcher`. No data of anybody are among them.
- **Reaches**: the mean best value of {count} samples that nothing was chosen by, after 10, 20, 40 and 100 queries:

{table}
- **Not for**: functions with thousands of evaluations, or of hundreds of dimensions; beliefs are of the first {room}.
- **License**: Apache-2.0, as the engine.
"""

COUNT, FIRST = 256, 10**8
"""Samples that it is tried on, and the number of the first: training draws eight digits."""

QUERIES = (10, 20, 40, 100)


def tried(net: LearnerCore, row_P: torch.Tensor, settings: Mapping[str, object], first: int = FIRST) -> list[float]:
    """The mean best value after each of :data:`QUERIES`."""
    world = BlackBox("functions", dict(settings))
    state = world.begin(torch.arange(first, first + COUNT))
    task = TaskInput(world.spec, 0, row_P.expand(COUNT, -1), torch.zeros(COUNT, 3, dtype=torch.int64))
    best_TB = play(net, world, state, task, QUERIES[-1]).scores["value"].cummin(0).values
    return [float(best_TB[count - 1].mean()) for count in QUERIES]


def begun(folder: Path, seed: int) -> Library:
    """The core, with the plain row."""
    sets = [load(written(folder / f"{PLAIN.split('.')[0]}.npi", text(PLAIN.split(".")[0], **FAMILIES["any5"])))]
    tasks = [task for programs in sets for task in training_tasks(programs)]
    found = new_library(BlackBoxConfig(), tasks, sets, seed=seed)
    with torch.no_grad():
        found.memory.embeddings_NP.zero_()
    return found


def learned(folder: Path, training: BlackBoxTraining) -> Library:
    """The core with a row for each family."""
    out = folder / "library"
    library = Library.open(out) if out.exists() else begun(folder / "files", training.seed)
    for name, settings in LEARNED.items():
        path = written(folder / "files" / f"{name}.npi", text(name, **settings))
        if f"{name}.SEARCH" not in [info.name for info in library.memory.infos]:
            result = learn_rows(library, [load(path)], training)
            print(f"{name}: {result.scores}, {result.seconds:.0f} CPU s", flush=True)
            library.save(out)
    return library


def table(library: Library) -> str:
    """Each family by the plain row and by its own."""
    core = learner_program_core(library.core)
    lines = ["| Family | Row | 10 | 20 | 40 | 100 |", "|---|---|---|---|---|---|"]
    for name, settings in LEARNED.items():
        for row in (PLAIN, f"{name}.SEARCH"):
            row_P = library.memory.embeddings_NP[library.memory.index(row)].detach()
            values = tried(core.net, row_P, settings)
            cells = [name, "plain" if row == PLAIN else "learned", *(f"{value:.3f}" for value in values)]
            lines.append(f"| {' | '.join(cells)} |")
            print(f"  {lines[-1]}", flush=True)
    return "\n".join(f"  {line}" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    options = plain_arguments(__doc__)
    options.add_argument("--out", type=Path, default=SHIPPED)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args(arguments)
    training = BlackBoxTraining.from_json({**LEARNING.to_json(), "seed": chosen.seed})
    library = learned(RUNS / f"{NAME}-{chosen.seed}", training)
    core = learner_program_core(library.core)
    card = TEXT.format(
        units=core.net.config.units, row=core.net.config.row, digest=library.core.digest()[:16],
        parameters=sum(part.numel() for part in core.net.parameters()), updates=training.updates, seed=chosen.seed,
        count=COUNT, table=table(library), room=core.net.config.room,
    )  # fmt: skip
    library.save(chosen.out)
    write_whole(chosen.out / CARD, card.encode())
    print(card)


if __name__ == "__main__":
    main()
