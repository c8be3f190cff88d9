"""Which is Heavier (Denil et al. 2017) beside the Bayes-optimal experimenter: one core for six settings and many
questions, then new questions as rows, sorting by asking, and a core that sees pixels.

    python -m benchmarks.learners.heavier                    # five seeds
    python -m benchmarks.learners.heavier --seeds 0 1        # some of them
    python -m benchmarks.learners.heavier --table            # only write the page from what is finished

A core is trained on the six programs of ``programs/learning/heavier.npi`` and on questions about some of the blocks
(``meta/reinforcement/program_files/block_questions.py``). Then it is frozen, and rows are learned for questions that it
never met, beside it and beside a core of random weights; for each question a copy of all of the core is fine-tuned.
Results lie under ``runs/heavier``, a file a seed, and the cores beside them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from benchmarks.common import ROOT, RUNS, finished, recipe, seeds
from benchmarks.learners.block_experiments import (
    FILE,
    GAPS,
    OTHERS,
    PIXELS,
    SETTINGS,
    by_gap,
    opponents,
    tried,
    world,
)
from benchmarks.learners.cores import fine_tuned, trained_core, written
from dsl import load
from dsl.teacher import shown_by
from meta.baselines.experimenters import LearnedExperimenter
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.program_files.block_questions import program_file, training_questions
from npi.jobs.learners import new_library
from npi.learners.core import learner_program_core
from npi.learners.learn_rows import learn_rows
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.learners.tasks import training_tasks
from npi.library.library import Library
from npi.library.operations import hosting
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.reproduce.plots import label, panels, png
from npi.running.evaluate import run_problems

NAME = "heavier"

NEW = (ROOT / "programs" / "tools" / "ranks.npi", ROOT / "programs" / "learning" / "compare.npi")
WEIGH = ROOT / "programs" / "tools" / "weigh.npi"

QUESTIONS = {
    "ranks.LIGHTEST": "lightest", "ranks.SECOND": "second heaviest", "ranks.THIRD": "third heaviest",
    "ranks.HEAVIEST": "heaviest", "compare.HEAVIER": "place of 1 among 1 2", "compare.MANY": "place of 1",
}  # fmt: skip
"""What the new programs ask, with β 3 and the discount 0.99."""

NEEDED = {"place of 1 among 1 2": 2}
"""Blocks that must be poked to know the answer; 4 of other questions."""

TRAINING = OnPolicyTraining(
    stopping=1, truncation=5, updates=1600, batch=768, rollouts=2, rate=5e-3, row_rate=3e-2, value_weight=0.5,
    entropy=0.05, coverage=0.3, wander=0.3, belief=0.5, check_every=200, problems=200,
)  # fmt: skip
SHAPE = MetaRLConfig(object_slots=1, hidden=24, row=16)
LEARNING = replace(TRAINING, updates=250, batch=192, row_rate=5e-2, starts=6, problems=100, check_every=250)
TUNING = replace(TRAINING, updates=250, batch=192, rate=2e-3, check_every=250)

SEEING = replace(TRAINING, updates=300, batch=384)
"""Training of the core that sees pixels, on its six programs."""

SORTED = 1000
"""Problems of the program that sorts."""


def run(seed: int) -> Result:
    """Train, try the six programs, learn rows, fine-tune copies, sort; the same six programs from pixels."""
    asked = written(RUNS / NAME / "questions.npi", program_file(training_questions()))
    training = replace(TRAINING, seed=seed)
    library, seconds = trained_core(f"{NAME}/core-{seed}", [FILE, asked], training, config=SHAPE)
    core = learner_program_core(library.core)
    found: Result = {"seconds": seconds, "settings": {}, "gaps": {}, "curve": library.history[0]["curve"]}
    for name, (beta, discount) in SETTINGS.items():
        row_P = library.memory.embeddings_NP[library.memory.index(f"heavier.{name}")]
        went = tried(LearnedExperimenter(core.net, row_P, world()), beta, discount)
        found["settings"][name] = went.means()
        found["gaps"][name] = by_gap(went, beta, discount)
        print(f"  {name}: {went.means()}", flush=True)
    found |= rows(library, seed)
    found["weigh"] = weigh(library)
    return found | {"pixels": pixels(seed)}


def rows(library: Library, seed: int) -> Result:
    """New questions as rows beside the core and beside random weights, and by fine-tuning all of a copy."""
    core, old_NP = learner_program_core(library.core), library.memory.embeddings_NP.detach().clone()
    sets = [load(path) for path in NEW]
    began = time.process_time()
    learned = learn_rows(library, sets, replace(LEARNING, seed=seed))
    seconds = time.process_time() - began
    assert learned.unchanged
    tasks = {task.name: task for programs in sets for task in training_tasks(programs)}
    random = new_library(SHAPE, training_tasks(load(FILE)), [load(FILE)], seed=1000 + seed)
    learn_rows(random, sets, replace(LEARNING, seed=seed))
    found = {}
    for name, question in QUESTIONS.items():
        row_P = library.memory.embeddings_NP[library.memory.index(name)]
        random_P = random.memory.embeddings_NP[random.memory.index(name)]
        random_core = learner_program_core(random.core)
        agents = {
            "mean": LearnedExperimenter(core.net, old_NP.mean(0), world()),
            "learned": LearnedExperimenter(core.net, row_P, world()),
            "random": LearnedExperimenter(random_core.net, random_P, world()),
            "tuned": LearnedExperimenter(*fine_tuned(core, old_NP, [tasks[name]], replace(TUNING, seed=seed)), world()),
        }
        found[name] = {n: tried(agent, "3", "0.99", question, count=OTHERS).means() for n, agent in agents.items()}
        print(f"  {name}: { {n: round(means['return'], 3) for n, means in found[name].items()} }", flush=True)
    return {"rows": found, "learning": seconds, "parameters": learned.numbers, "hashes": list(learned.after)}


def weigh(library: Library) -> Result:
    """The share of problems that the program with a body sorts right, and of those whose four answers are right."""
    programs = hosting(load(WEIGH), [library])
    problems = programs.task("weigh").draw(9, SORTED, generator=torch.Generator().manual_seed(0), spread=False)
    outcome = run_problems(shown_by(programs), programs, problems)
    readings = outcome.read(programs.world)
    values = programs.world.spec.fields[programs.world.spec.field("P")].values
    answers = [[values[symbol] for symbol in reading["A"]] for reading in readings]
    orders = [[str(1 + block) for block in reading["ORDER"]] for reading in readings]
    right = [programs.task("weigh").judge(p, r) for p, r in zip(problems, readings, strict=True)]
    places = [
        sum(a == b for a, b in zip(given, order, strict=False)) for given, order in zip(answers, orders, strict=True)
    ]
    return {"orders": sum(right) / SORTED, "answers": sum(places) / (4 * SORTED)}


def pixels(seed: int) -> Result:
    """A core that sees pictures in place of heights."""
    training = replace(SEEING, seed=seed)
    library, seconds = trained_core(f"{NAME}/pixels-{seed}", [PIXELS], training, config=SHAPE)
    net, found = learner_program_core(library.core).net, {}
    for name, (beta, discount) in SETTINGS.items():
        row_P = library.memory.embeddings_NP[library.memory.index(f"seenheavier.{name}")]
        agent = LearnedExperimenter(net, row_P, world(PIXELS))
        found[name] = tried(agent, beta, discount, count=OTHERS, within=PIXELS).means()
        print(f"  {name} from pixels: {found[name]}", flush=True)
    return {"seconds": seconds, "settings": found}


# --- the page ---------------------------------------------------------------------------------------------------------


def contents(done: Sequence[Result]) -> dict[str, Content | bytes]:
    """The page's tables and figures."""
    beside = finished(f"{NAME}-opponents", opponents)
    return {
        "settings": settings_table(done, beside),
        "opponents": opponents_table(beside),
        "rows": rows_table(done),
        "recovered": spread([recovered(result) for result in done]),
        "seeds": seeds(done),
        "asked": str(len(training_questions())),
        "seconds": spread([result["seconds"] for result in done], 0),
        "learning": spread([result["learning"] for result in done], 0),
        "parameters": str(done[0]["parameters"]),
        "orders": spread([100 * result["weigh"]["orders"] for result in done]),
        "answers": spread([100 * result["weigh"]["answers"] for result in done]),
        "pixels": pixels_table(done, beside),
        "pixel_seconds": spread([result["pixels"]["seconds"] for result in done], 0),
        "heavier.png": picture(done, beside),
    }


def settings_table(done: Sequence[Result], beside: Result) -> list[list[str]]:
    """Each setting: the optimum, what was learned, and its share of the optimum's return."""
    rows = [
        ["program", "β", "discount", "optimum: return, right, pokes", "learned: return", "right", "pokes", "share, %"]
    ]
    for name, (beta, discount) in SETTINGS.items():
        best = beside["settings"][name]["optimum"]
        mine = [result["settings"][name] for result in done]
        share = [100 * one["return"] / best["return"] for one in mine]
        cells = f"{best['return']:.3f}, {100 * best['right']:.1f} %, {best['pokes']:.2f}"
        learned = spread([m["return"] for m in mine], 3), spread([100 * m["right"] for m in mine])
        rows.append([name, beta, discount, cells, *learned, spread([m["pokes"] for m in mine], 2), spread(share)])
    return rows


def opponents_table(beside: Result) -> list[list[str]]:
    """Returns, and pokes of the networks."""
    networks = ("classifier", "transformer")
    names = [name for name in beside["settings"]["QUICK3"] if name not in (*networks, "first")]
    rows = [["program", *names, *(f"{name} (pokes)" for name in networks)]]
    for name, here in beside["settings"].items():
        cells = [f"{here[n]['return']:.3f}" for n in names]
        rows.append([name, *cells, *(f"{here[n]['return']:.3f} ({here[n]['pokes']:.2f})" for n in networks)])
    return rows


def pixels_table(done: Sequence[Result], beside: Result) -> list[list[str]]:
    """What the core that sees pixels reaches, and its share of the optimum's return."""
    rows = [["program", "optimum", "from pixels: return", "right, %", "pokes", "share, %"]]
    for name in SETTINGS:
        best = beside["settings"][name]["first"]
        mine = [result["pixels"]["settings"][name] for result in done]
        cells = spread([m["return"] for m in mine], 3), spread([100 * m["right"] for m in mine])
        share = spread([100 * m["return"] / best for m in mine])
        rows.append([name, f"{best:.3f}", *cells, spread([m["pokes"] for m in mine], 2), share])
    return rows


def rows_table(done: Sequence[Result]) -> list[list[str]]:
    """Returns of new questions."""
    columns = {"mean row": "mean", "row learned": "learned", "fine-tuned": "tuned", "beside random weights": "random"}
    rows = [["question", "poke as needed, then answer", *columns, "right by the row, %", "pokes"]]
    for name, question in QUESTIONS.items():
        found = [result["rows"][name] for result in done]
        cells = [spread([one[key]["return"] for one in found], 3) for key in columns.values()]
        learned = [one["learned"] for one in found]
        last = spread([100 * one["right"] for one in learned]), spread([one["pokes"] for one in learned], 2)
        rows.append([question, f"{0.99 ** NEEDED.get(question, 4):.3f}", *cells, *last])
    return rows


def recovered(result: Result) -> float:
    """Of the mean return of fine-tuning, the share that learned rows reach, in percent."""
    every = result["rows"].values()
    return 100 * sum(one["learned"]["return"] for one in every) / sum(one["tuned"]["return"] for one in every)


def picture(done: Sequence[Result], beside: Result) -> bytes:
    """Learning curves, and episode lengths by the gap of masses for either discount."""
    figure, axes = panels(3, across=3, size=(15, 4.2))
    for number, name in enumerate(SETTINGS):
        for place, result in enumerate(done):
            updates = [check["update"] for check in result["curve"]]
            scores = [check["scores"][f"heavier.{name}"] for check in result["curve"]]
            axes[0].plot(updates, scores, f"C{number}", linewidth=0.9, label=None if place else name)
        axes[0].axhline(beside["settings"][name]["optimum"]["return"], color=f"C{number}", linewidth=0.6, linestyle=":")
    label(axes[0], "training; dotted: the optimum", "updates", "return", legend="lower right")
    middle = (GAPS[1:] + GAPS[:-1]) / 2
    for panel, title, names in ((axes[1], "0.95", list(SETTINGS)[:3]), (axes[2], "0.99", list(SETTINGS)[3:])):
        for number, name in enumerate(names):
            panel.plot(middle, beside["gaps"][name], f"C{number}:", label=f"optimum, β {SETTINGS[name][0]}")
            for place, result in enumerate(done):
                named = None if place else f"learned, β {SETTINGS[name][0]}"
                panel.plot(middle, result["gaps"][name], f"C{number}", linewidth=0.9, label=named)
        label(panel, f"discount {title}", "heavy draw less the largest light one", "pokes before the answer")
    return png(figure)


def main() -> None:
    recipe(__doc__, NAME, run, contents, learning=LEARNING.to_json(), tuning=TUNING.to_json())


if __name__ == "__main__":
    main()
