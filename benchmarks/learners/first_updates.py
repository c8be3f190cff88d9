"""Outer losses of each learner's first updates, so that a change of the engine shows where it changes figures.

    python -m benchmarks.learners.first_updates --out before.json       # with the code as it was
    python -m benchmarks.learners.first_updates --compare before.json   # with the code as it is

The settings are those of the recipes beside this one, the seed is 0, and one thread computes. The file is JSON,
``{name: [loss, …]}``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.common import ROOT, plain_arguments
from benchmarks.learners import bandits, harlow, optimisers
from dsl import load, loads
from dsl.program import ProgramSet
from npi.jobs.learners import new_library, objective_of, usual_config
from npi.learners.interface import LearnerConfig, LearnerTraining
from npi.learners.objectives.base import schedule_of
from npi.learners.tasks import learner_for, training_tasks
from npi.library.tensor_files import write_whole
from npi.training.loop import Descent

UPDATES, SEED = 50, 0

Run = tuple[list[ProgramSet], LearnerConfig | None, LearnerTraining]
"""Program files, the shape of the core (None: the usual one), and how it is trained."""


def bandit(family: str) -> Run:
    """A core for one family of bandits."""
    programs = loads(bandits.text(family), path=f"{family}.npi")
    return [programs], bandits.SHAPES.get(family), bandits.TRAINING[family]


def harlow_task(kind: str) -> Run:
    """A core for Harlow's task, with codes or with pictures."""
    name, memory = harlow.KINDS[kind]
    return [load(harlow.LEARNING_FILES / name)], harlow.MetaRLConfig(object_memory=memory), harlow.TRAINING


def optimiser() -> Run:
    """The learned optimiser on its four families."""
    sets = [load(ROOT / "programs" / "learning" / f"{name}.npi") for name in optimisers.TRAINED]
    return sets, None, optimisers.LEARNER.training


RUNS: dict[str, Callable[[], Run]] = {
    **{f"bandits, {family}": partial(bandit, family) for family in ("independent", "medium", "informative")},
    **{f"harlow, {kind}": partial(harlow_task, kind) for kind in ("codes", "pictures")},
    "optimisers": optimiser,
}


def losses(run: Run, updates: int) -> list[float]:
    """The outer loss of each of the first updates of a run."""
    sets, config, training = run
    training = replace(training, seed=SEED)
    learner, tasks = learner_for(sets[0]), [task for programs in sets for task in training_tasks(programs)]
    library = new_library(config or usual_config(learner), tasks, sets, seed=SEED)
    objective = objective_of(library, tasks, training)
    descent = Descent(objective.groups(), schedule_of(training))
    return [descent.update(objective, update) for update in range(updates)]


def largest_difference(before: list[float], after: list[float]) -> float:
    """The largest relative difference of two runs' losses, over the updates that both have."""
    pairs = zip(before, after, strict=False)
    return max((abs(b - a) / max(abs(b), abs(a)) for b, a in pairs if b != a), default=0.0)


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), metavar="NAME", help=f"of {list(RUNS)}")
    parser.add_argument("--updates", type=int, default=UPDATES)
    parser.add_argument("--out", type=Path, help="write the losses to this file")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="losses of an earlier run to compare with")
    options = parser.parse_args()
    before = json.loads(options.compare.read_text()) if options.compare else {}
    found: dict[str, list[float]] = {}
    for name in options.only:
        began = time.process_time()
        found[name] = losses(RUNS[name](), options.updates)
        said = f"{name}: last loss {found[name][-1]:.6f}, {time.process_time() - began:.0f} CPU s"
        if name in before:
            said += f", largest relative difference {largest_difference(before[name], found[name]):.2e}"
        print(said, flush=True)
        if options.out:
            write_whole(options.out, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
