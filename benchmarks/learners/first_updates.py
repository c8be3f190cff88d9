"""Outer losses of each learner's first updates, so that a change of the engine shows where it changes figures.

    python -m benchmarks.learners.first_updates --out before.json       # with the code as it was
    python -m benchmarks.learners.first_updates --compare before.json   # with the code as it is

The settings are those of the recipes beside this one, the seed is 0, and one thread computes. The file is JSON,
``{name: [loss, …]}``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.common import ROOT
from benchmarks.learners import bandits, harlow, optimisers
from dsl import load, loads
from dsl.program import ProgramSet
from npi.learners.core import HostedCore
from npi.learners.interface import HostedConfig, HostedTraining
from npi.learners.jobs import new_library, usual_config
from npi.learners.programs import learner_for, lessons_of
from npi.learners.trainer import HostedTrainer
from npi.library.tensor_files import write_whole

UPDATES, SEED = 50, 0


def losses(
    sets: list[ProgramSet], config: HostedConfig | None, training: HostedTraining, updates: int = UPDATES
) -> list[float]:
    """The outer loss of each of the first updates of a run."""
    learner, lessons = learner_for(sets[0]), [lesson for programs in sets for lesson in lessons_of(programs)]
    library = new_library(config or usual_config(learner), lessons, sets, seed=training.seed)
    assert isinstance(library.core, HostedCore)
    worlds = [library.world(lesson.world.spec) for lesson in lessons]
    trainer = HostedTrainer(learner, library.core.net, library.memory.embeddings_NP, lessons, worlds, training)
    found = []
    for _ in range(updates):
        trainer.step()
        found.append(trainer.loss)
    return found


def bandit(family: str) -> list[float]:
    """A core for one family of bandits."""
    programs = loads(bandits.text(family), path=f"{family}.npi")
    training = HostedTraining(**{**bandits.TRAINING[family].to_json(), "seed": SEED})
    return losses([programs], bandits.SHAPED.get(family), training)


def harlow_task(kind: str) -> list[float]:
    """A core for Harlow's task, with codes or with pictures."""
    name, recall = harlow.KINDS[kind]
    training = HostedTraining(**{**harlow.TRAINING.to_json(), "seed": SEED})
    return losses([load(harlow.LEARNING_FILES / name)], harlow.MetaRLConfig(recall=recall), training)


def optimiser() -> list[float]:
    """The learned optimiser on its four families."""
    sets = [load(ROOT / "programs" / "learning" / f"{name}.npi") for name in optimisers.TRAINED]
    return losses(sets, None, HostedTraining(**{**optimisers.LEARNER.training.to_json(), "seed": SEED}))


RUNS: dict[str, Callable[[], list[float]]] = {
    **{
        f"bandits, {family}": lambda family=family: bandit(family)
        for family in ("independent", "medium", "informative")
    },
    **{f"harlow, {kind}": lambda kind=kind: harlow_task(kind) for kind in ("codes", "pictures")},
    "optimisers": optimiser,
}


def largest_difference(before: list[float], after: list[float]) -> float:
    """The largest relative difference of two runs' losses; ``ValueError`` where their lengths differ."""
    pairs = zip(before, after, strict=True)
    return max((abs(b - a) / max(abs(b), abs(a)) for b, a in pairs if b != a), default=0.0)


def main() -> None:
    """Take the first updates, and keep or compare their losses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), metavar="NAME", help=f"of {list(RUNS)}")
    parser.add_argument("--out", type=Path, help="write the losses to this file")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="losses of an earlier run to compare with")
    options = parser.parse_args()
    torch.set_num_threads(1)
    before = json.loads(options.compare.read_text()) if options.compare else {}
    found: dict[str, list[float]] = {}
    for name in options.only:
        began = time.process_time()
        found[name] = RUNS[name]()
        compared = (
            f", largest relative difference {largest_difference(before[name], found[name]):.2e}" if before else ""
        )
        print(f"{name}: last loss {found[name][-1]:.6f}, {time.process_time() - began:.0f} CPU s{compared}", flush=True)
        if options.out:
            write_whole(options.out, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
