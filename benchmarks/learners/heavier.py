"""Which is Heavier (Denil et al. 2017) beside the Bayes-optimal experimenter: one core for six settings, then new rows.

    python -m benchmarks.learners.heavier                    # five seeds
    python -m benchmarks.learners.heavier --seeds 0 1        # some of them
    python -m benchmarks.learners.heavier --table            # only write the page from what is finished

A core is trained on the six programs of ``programs/learning/heavier.npi``. Then it is frozen, and rows are learned
for questions that it never met, beside it and beside a core of random weights; for each question a copy of all of the
core is fine-tuned. Results lie under ``runs/heavier``, a file a seed, and the cores beside them.

Shape legend: ``B`` experiments, ``K`` steps.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmarks.common import ROOT, finished, recipe, seeds
from benchmarks.learners.cores import fine_tuned, trained_core
from benchmarks.learners.descent import descend
from dsl import load
from dsl.teacher import shown_by
from envs.physics.blocks import BETAS, DISCOUNTS, Blocks, BlocksState
from meta.baselines.blocks import Experimenter, Experiments, StoppingPlan, Weigher, experiments
from meta.baselines.experimenters import LearnedExperimenter, RandomPokeClassifier
from meta.reinforcement.network import MetaRLConfig
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

FILE = ROOT / "programs" / "learning" / "heavier.npi"
NEW = (ROOT / "programs" / "tools" / "ranks.npi", ROOT / "programs" / "learning" / "compare.npi")
WEIGH = ROOT / "programs" / "tools" / "weigh.npi"

SETTINGS = {
    f"{name}{beta}": (beta, discount)
    for discount, name in (("0.95", "QUICK"), ("0.99", "PATIENT"))
    for beta in ("3", "5", "10")
}
"""β and discount of the six programs."""

QUESTIONS = {
    "ranks.LIGHTEST": "lightest", "ranks.SECOND": "second heaviest", "ranks.THIRD": "third heaviest",
    "ranks.HEAVIEST": "heaviest", "compare.HEAVIER": "place of 1 among 1 2", "compare.MANY": "place of 1",
}  # fmt: skip
"""What the new programs ask, with β 3 and the discount 0.99."""

NEEDED = {"place of 1 among 1 2": 2}
"""Blocks that must be poked to know the answer; 4 of other questions."""

TRAINING = OnPolicyTraining(
    stopping=1, truncation=6, updates=2000, batch=512, rollouts=2, rate=5e-3, value_weight=0.5, entropy=0.05,
    coverage=0.3, wander=0.3, check_every=100,
)  # fmt: skip
SHAPE = MetaRLConfig(hidden=48, row=16)
LEARNING = replace(TRAINING, updates=100, batch=192, row_rate=3e-2, starts=2, check_every=50)
TUNING = replace(TRAINING, updates=100, batch=384, rate=2e-3, row_rate=1e-2, check_every=100)

BEGIN = 10**8
"""Numbers of episodes from here on are those of tests: training draws eight digits."""

COUNT, OTHERS = 100_000, 20_000
"""Experiments of each setting, the same for all, and of each new question."""

VALIDATION = BEGIN // 2
"""Where episodes begin by which a number of random pokes is chosen; none of them is tested on."""

GAPS = np.linspace(-0.4, 1.0, 15)
"""Edges of bins of the gap between the heavy block's draw and the largest light one."""

RANDOM_POKES = 10
"""The most of the classifier. CLASSIFIER_UPDATES: of its training."""
CLASSIFIER_UPDATES = 800

SORTED = 1000
"""Problems of the program that sorts."""


@cache
def world() -> Blocks:
    found = load(FILE).world
    assert isinstance(found, Blocks)
    return found


def begun(beta: str, discount: str, question: str = "heavy", *, count: int = COUNT, first: int = BEGIN) -> BlocksState:
    """Experiments from a number on."""
    episode_B = torch.arange(first, first + count)
    asked = BETAS.index(beta), DISCOUNTS.index(discount), world().questions.index(question)
    return world().begin(episode_B, *(torch.full_like(episode_B, index) for index in asked))


def tried(agent: Experimenter, beta: str, discount: str, question: str = "heavy", *, count: int = COUNT) -> Experiments:
    return experiments(world(), agent, begun(beta, discount, question, count=count))


def by_gap(found: Experiments, beta: str, discount: str) -> list[float]:
    """The mean number of pokes in each bin of the gap; nan in bins of fewer than 30 experiments."""
    state = begun(beta, discount, count=len(found.pokes_B))
    draw_BN = (state.mass_BN - world().config.least) / (world().config.most - world().config.least)
    heavy_B1 = state.heavy_B[:, None]
    light_B = draw_BN.scatter(1, heavy_B1, -1.0).amax(1)
    bin_B = np.digitize((draw_BN.gather(1, heavy_B1)[:, 0] - light_B).numpy(), GAPS)
    pokes_B = found.pokes_B.numpy()
    chosen = [pokes_B[bin_B == place] for place in range(1, len(GAPS))]
    return [float(part.mean()) if len(part) >= 30 else float("nan") for part in chosen]


def run(seed: int) -> Result:
    """Train, try the six programs, learn rows, fine-tune copies, sort."""
    library, seconds = trained_core(f"{NAME}/core-{seed}", [FILE], replace(TRAINING, seed=seed), config=SHAPE)
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
    return found


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


# --- opponents --------------------------------------------------------------------------------------------------------


def opponents() -> Result:
    """On the same experiments: the optimum, fixed numbers of pokes, and a classifier of random pokes."""
    found: Result = {"settings": {}, "gaps": {}}
    classifier = classifier_of_random_pokes()
    for name, (beta, discount) in SETTINGS.items():
        plan = StoppingPlan(world().config.blocks, float(beta), float(discount))
        best = tried(Weigher(world().config, plan), beta, discount)
        found["gaps"][name] = by_gap(best, beta, discount)
        here = {"optimum": best.means() | {"plan": plan.start}}
        for pokes in range(world().config.blocks + 1):
            here[f"{pokes} pokes"] = tried(Weigher(world().config, plan, pokes=pokes), beta, discount).means()
        found["settings"][name] = here | {"random pokes": random_pokes(classifier, beta, discount)}
        print(f"  {name}: {here['optimum']}", flush=True)
    return found


def classifier_of_random_pokes(batch: int = 512) -> RandomPokeClassifier:
    """One classifier for all β."""
    generator = torch.Generator().manual_seed(0)
    classifier = RandomPokeClassifier(world().config.blocks, generator=generator)

    def loss() -> torch.Tensor:
        episode_B = torch.randint(10**7, BEGIN // 2, (batch,), generator=generator)
        beta_B = torch.randint(1, len(BETAS), (batch,), generator=generator)
        state = world().begin(episode_B, beta_B, torch.zeros_like(beta_B), torch.zeros_like(beta_B))
        log_KBN = classifier(world(), state, RANDOM_POKES, generator=generator)
        return cross_entropy(log_KBN.flatten(0, 1), state.heavy_B.repeat(1 + RANDOM_POKES))

    descend([([*classifier.parameters()], 5e-3)], loss, updates=CLASSIFIER_UPDATES)
    return classifier


@torch.no_grad()
def random_pokes(classifier: RandomPokeClassifier, beta: str, discount: str) -> Mapping[str, float]:
    """After the number of random pokes that is best on validation episodes."""
    generator = torch.Generator().manual_seed(1)

    def returns(first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        state = begun(beta, discount, count=count, first=first)
        log_KBN = classifier(world(), state, RANDOM_POKES, generator=generator)
        right_KB = (log_KBN.argmax(2) == state.heavy_B).double()
        return (2 * right_KB.mean(1) - 1) * float(discount) ** torch.arange(1 + RANDOM_POKES), right_KB.mean(1)

    pokes = int(returns(VALIDATION, OTHERS)[0].argmax())
    return_K, right_K = returns(BEGIN, COUNT)
    return {"return": float(return_K[pokes]), "right": float(right_K[pokes]), "pokes": float(pokes)}


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
        "seconds": spread([result["seconds"] for result in done], 0),
        "learning": spread([result["learning"] for result in done], 0),
        "parameters": str(done[0]["parameters"]),
        "orders": spread([100 * result["weigh"]["orders"] for result in done]),
        "answers": spread([100 * result["weigh"]["answers"] for result in done]),
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
    """Returns, and the pokes of the classifier."""
    names = [name for name in beside["settings"]["QUICK3"] if name not in ("random pokes",)]
    rows = [["program", *names, "random pokes, a classifier (pokes)"]]
    for name, here in beside["settings"].items():
        one = here["random pokes"]
        cells = [f"{here[n]['return']:.3f}" for n in names]
        rows.append([name, *cells, f"{one['return']:.3f} ({one['pokes']:.0f})"])
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
