"""Sorting cards by what a learned reader says of them.

    python -m benchmarks.learners.sortcards                 # five seeds, two CPU minutes each
    python -m benchmarks.learners.sortcards --seeds 0 1     # some of them
    python -m benchmarks.learners.sortcards --table         # only write the page from what is done

For each seed a reader is trained on generated alphabets (``programs/tools/readcard.npi``), then a core on traces of
``programs/tools/sortcards.npi`` until all of its programs are proved, whatever the reader says. Both then sort lists of
cards whose characters are of alphabets that no training drew. Results lie under ``runs/sortcards``, a file a seed; a
run that was stopped resumes.

A second way to each result: the reader's network names all cards of a list at once, without programs or a machine, and
Python sorts what it says.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from benchmarks.common import ROOT, RUNS, recipe, seeds
from benchmarks.learners.cores import trained_core
from dsl.program import ProgramSet
from dsl.tasks.task import Problem
from envs.images.world import Images
from envs.product import Product
from envs.spec import SLOTS
from meta.few_shot.core import FewShotCore
from meta.few_shot.learner import LEARNER
from npi.core.config import TrainConfig
from npi.jobs.train import train_library
from npi.learners.core import learner_program_core
from npi.learners.interface import TaskInput
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.running.evaluate import run_problems, test_seed
from traces.machine.outcome import Status

NAME = "sortcards"

TOOLS = ROOT / "programs" / "tools"

UPDATES = 300
"""Of the reader, each of one alphabet and 20 cards."""

PROBLEMS = 256
"""Of the sorting core's validation, beside the proof."""

SIZES, LISTS = (5, 20), 200
"""Cards of a list, and lists of each size."""

CHECKED = 50
"""Lists of each size that are sorted by the second way, too."""


def run(seed: int) -> Result:
    training = replace(LEARNER.training, seed=seed, updates=UPDATES, check_every=UPDATES)
    reader, read_seconds = trained_core(f"{NAME}-{seed}", [TOOLS / "readcard.npi"], training)
    began = time.process_time()
    trained = train_library(
        [TOOLS / "sortcards.npi"],
        out=RUNS / f"{NAME}-{seed}" / "sorter",
        hosts=[reader],
        training=TrainConfig(seed=seed, certify=True, problems=PROBLEMS),
        fresh=True,
    )
    return {
        "reader_seconds": read_seconds,
        "sorter_seconds": time.process_time() - began,
        "proved": trained.solved,
        "sizes": {str(size): sorted_lists(trained.library, reader, size, seed) for size in SIZES},
    }


def sorted_lists(library: Library, reader: Library, size: int, seed: int) -> dict[str, float]:
    """Counts of lists by how they went; raises ``AssertionError`` where the two ways differ."""
    programs, task = library.task("sortcards.unseen")
    generator = torch.Generator().manual_seed(test_seed(seed, NAME, size))
    problems = task.draw(size, LISTS, generator=generator, spread=False)
    began = time.process_time()
    outcome = run_problems(library.stepper(programs.table), programs, problems)
    seconds = time.process_time() - began
    readings = outcome.read(programs.world)
    found = Counter[str]()
    for reading, status in zip(readings, outcome.status_N.tolist(), strict=True):
        symbols, labels, answers = (list(reading[name]) for name in ("A", "LABELS", "ANSWERS"))
        assert status == Status.DONE
        assert symbols == sorted(answers), "what is certified does not hold"
        assert len(labels) == len(answers) == size
        found["sorted"] += symbols == sorted(labels)
        found["read"] += labels == answers
        found["exchanged"] += labels != answers and sorted(labels) == sorted(answers)
        found["cards"] += sum(label == answer for label, answer in zip(labels, answers, strict=True))
    assert found["sorted"] == found["read"] + found["exchanged"]
    said = named_at_once(reader, programs, problems[:CHECKED])
    for answers, reading in zip(said, readings, strict=False):
        assert sorted(answers) == list(reading["A"]), "the machine and plain Python sort a list in two ways"
    return {name: int(found[name]) for name in ("sorted", "read", "exchanged", "cards")} | {"seconds": seconds}


@torch.no_grad()
def named_at_once(reader: Library, programs: ProgramSet, problems: Sequence[Problem]) -> list[list[int]]:
    """What the reader's network says of the cards of each list, as the symbols of the scratch pad (0 is 1)."""
    assert isinstance(programs.world, Product)
    cards = programs.world.parts[0]
    core = learner_program_core(reader.core)
    assert isinstance(cards, Images)
    assert isinstance(core.net, FewShotCore)
    parts = [part.name for part in cards.parts]
    layouts = [{name: problem.layout[name] for name in parts if name in problem.layout} for problem in problems]
    episodes = cards.demonstrate(layouts, generator=torch.Generator())
    row_P = reader.memory.embeddings_NP[reader.memory.index("readcard.READ")]
    none_B3 = torch.zeros(len(problems), SLOTS, dtype=torch.int64)
    task = TaskInput(cards.spec, 0, row_P.expand(len(problems), -1), none_B3)
    log_TBW = core.net.unroll(task, episodes, core.net.begin(task, episodes.seen[0]))["log_BW"]
    return [[int(label) for label in label_T] for label_T in log_TBW.argmax(2).T]


def contents(done: Sequence[Result]) -> Mapping[str, Content]:
    head = ["cards", "cards named right", "all of a list named right", "lists sorted", "of these two errors exchanged"]
    table = [head]
    for size in SIZES:
        each = [result["sizes"][str(size)] for result in done]
        shares = {name: [100 * one[name] / LISTS for one in each] for name in ("sorted", "read")}
        cards = [100 * one["cards"] / LISTS / size for one in each]
        table.append([
            str(size), spread(cards, 1), spread(shares["read"], 1), spread(shares["sorted"], 1),
            str(sum(one["exchanged"] for one in each)),
        ])  # fmt: skip
    return {
        "seeds": seeds(done),
        "lists": table,
        "proved": f"{sum(bool(result['proved']) for result in done)} of {len(done)}",
        "reader-seconds": spread([result["reader_seconds"] for result in done], 0),
        "sorter-seconds": spread([result["sorter_seconds"] for result in done], 0),
    }


def main() -> None:
    recipe(__doc__, NAME, run, contents, updates=UPDATES, problems=PROBLEMS, lists=LISTS)


if __name__ == "__main__":
    main()
