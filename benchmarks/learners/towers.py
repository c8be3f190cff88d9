"""Towers (Denil et al. 2017): of how many rigid bodies does a tower consist? Forces on blocks, a fist, new questions.

    python -m benchmarks.learners.towers                    # three seeds
    python -m benchmarks.learners.towers --seeds 0          # some of them
    python -m benchmarks.learners.towers --table            # only write the page from what is finished

Cores are trained on ``programs/learning/towers.npi``, on ``towers_fist.npi``, and on the first together with questions
about pairs of blocks. They are tried on towers whose numbers training never draws, at the speed of training, and with
steps that last half and twice as long. Then the last core is frozen, and rows are learned for pairs of blocks that it
never was asked about; for each a copy of the core is fine-tuned. Opponents observe pushes that nobody chose. Results
lie under ``runs/towers``, a file a seed, and the cores beside them.

Shape legend: ``B`` towers, ``K`` steps, ``M`` numbers of an observation.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import nll_loss

from benchmarks.common import ROOT, RUNS, finished, recipe, seeds
from benchmarks.learners.cores import fine_tuned, trained_core, written
from benchmarks.learners.descent import descend
from dsl import load
from envs.physics.blocks import DISCOUNTS
from envs.physics.tower_settings import DIRECT, FIST, STEPS
from envs.physics.towers import Towers, TowersState
from envs.physics.welds import BODIES, questions
from meta.baselines.learned_agent import LearnedPolicy
from meta.baselines.towers import (
    PushClassifier,
    Pusher,
    TowerExperiments,
    fixed_pushes,
    passive,
    random_pushes,
    tower_experiments,
    watched,
)
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.program_files.tower_questions import TRAINING_PAIRS, program_file
from npi.learners.core import learner_program_core
from npi.learners.learn_rows import learn_rows
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.learners.tasks import training_tasks
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.reproduce.plots import label, panels, png

NAME = "towers"

ASKED = "questions"
"""The name of the core of forces that is trained on questions about pairs, too."""

PROGRAMS = ROOT / "programs" / "learning"
FILES = {DIRECT: PROGRAMS / "towers.npi", FIST: PROGRAMS / "towers_fist.npi", ASKED: PROGRAMS / "towers.npi"}
"""The file of each core; that of questions has four about pairs beside it."""

ACTUATORS = {DIRECT: DIRECT, FIST: FIST, ASKED: DIRECT}
"""How each core acts."""

WELDED = PROGRAMS / "welded.npi"

QUESTIONS = {"welded.WELDED_2_3": "bodies among 2 3", "welded.WELDED_1_4": "bodies among 1 4"}
"""What the new programs ask."""

SHAPE = MetaRLConfig(hidden=64, row=16)
COMMON = OnPolicyTraining(
    stopping=1, rollouts=1, rate=5e-3, value_weight=0.5, entropy=0.05, coverage=0.3, belief=0.1, check_every=50,
)  # fmt: skip
TRAININGS = {
    DIRECT: replace(COMMON, truncation=9, updates=320, batch=224, wander=0.5),
    FIST: replace(COMMON, truncation=12, updates=280, batch=160, wander=0.8, suggested=0.85),
    ASKED: replace(COMMON, truncation=9, updates=350, batch=224, wander=0.5),
}
LEARNING = replace(
    COMMON, truncation=6, updates=60, batch=64, row_rate=3e-2, starts=2, check_every=60, problems=64, wander=0.0
)  # fmt: skip
TUNING = replace(
    COMMON, truncation=6, updates=60, batch=128, rate=2e-3, row_rate=1e-2, check_every=60, problems=64, wander=0.0
)

BEGIN = 10**8
"""Numbers of episodes from here on are those of tests: training draws eight digits."""

COUNT, OTHERS = 2000, 1000
"""Towers that agents are tried on, and those of other speeds and other questions."""

SECONDS = (0.05, 0.1, 0.2)
"""Of a step; training has the middle one."""

WATCHED, VALIDATION = 50_000_000, 60_000_000
"""Where episodes begin that classifiers are trained on, and those by which a number of steps is chosen."""

TOWERS, STEPS_WATCHED = 3000, {DIRECT: 10, FIST: 20}
"""Towers that a classifier is trained on, and steps of each. EPOCHS: of its training; TOGETHER: in a batch."""
EPOCHS, TOGETHER = 8, 200

PUSHERS: dict[str, Pusher] = {"passive": passive, "random": random_pushes, "fixed": fixed_pushes}


def world(actuator: str, seconds: float = 0.1) -> Towers:
    """With the same limit in seconds, however long a step is."""
    return Towers("tower", {"actuator": actuator, "seconds": seconds, "steps": round(STEPS[actuator] * 0.1 / seconds)})


def begun(here: Towers, count: int, first: int = BEGIN, question: str = BODIES) -> TowersState:
    """Experiments from a number on, with the discount of the settings."""
    episode_B = torch.arange(first, first + count)
    asked = DISCOUNTS.index("0.99"), questions().index(question)
    return here.begin(episode_B, *(torch.full_like(episode_B, index) for index in asked))


def tried(library: Library, name: str, actuator: str, *, seconds: float = 0.1, count: int = COUNT) -> TowerExperiments:
    """What a program of a library does."""
    core, here = learner_program_core(library.core), world(actuator, seconds)
    row_P = library.memory.embeddings_NP[library.memory.index(name)]
    return tower_experiments(here, LearnedPolicy(core.net, row_P, here.spec), begun(here, count))


def run(seed: int) -> Result:
    """Train each core, try it at three speeds, and learn rows beside the one of forces."""
    found: Result = {}
    pairs = written(RUNS / NAME / "pairs.npi", program_file(TRAINING_PAIRS))
    for name, file in FILES.items():
        files = [file, pairs] if name == ASKED else [file]
        training = replace(TRAININGS[name], seed=seed)
        library, seconds = trained_core(f"{NAME}/{name}-{seed}", files, training, config=SHAPE)
        found[name] = finished(f"{NAME}/{name}-{seed}/tried", partial(speeds, library, file, ACTUATORS[name]))
        found[name] |= {"cpu": seconds, "curve": library.history[0]["curve"]}
    library = Library.open(RUNS / NAME / f"{ASKED}-{seed}" / "library")
    return found | {"rows": finished(f"{NAME}/{ASKED}-{seed}/rows", partial(rows, library, seed))}


def speeds(library: Library, file: Path, actuator: str) -> Result:
    """Means at each speed, and the share of right answers by the number of bodies."""
    name = f"{file.stem}.BODIES"
    found = {
        str(seconds): tried(library, name, actuator, seconds=seconds, count=COUNT if seconds == 0.1 else OTHERS).means()
        for seconds in SECONDS
    }
    print(f"  {actuator}: {found}", flush=True)
    return found


def rows(library: Library, seed: int) -> Result:
    """New questions as rows beside the core, and by fine-tuning all of a copy."""
    core, old_NP = learner_program_core(library.core), library.memory.embeddings_NP.detach().clone()
    programs, here = load(WELDED), world(DIRECT)
    began = time.process_time()
    learned = learn_rows(library, [programs], replace(LEARNING, seed=seed))
    seconds = time.process_time() - began
    assert learned.unchanged
    tasks = {task.name: task for task in training_tasks(programs)}
    found: Result = {}
    for name, question in QUESTIONS.items():
        row_P = library.memory.embeddings_NP[library.memory.index(name)]
        agents = {
            "mean": LearnedPolicy(core.net, old_NP.mean(0), here.spec),
            "learned": LearnedPolicy(core.net, row_P, here.spec),
            "tuned": LearnedPolicy(*fine_tuned(core, old_NP, [tasks[name]], replace(TUNING, seed=seed)), here.spec),
        }
        found[name] = {
            n: tower_experiments(here, agent, begun(here, OTHERS, question=question)).means()
            for n, agent in agents.items()
        }
        print(f"  {name}: {found[name]}", flush=True)
    return {"questions": found, "seconds": seconds, "parameters": learned.numbers, "hashes": list(learned.after)}


# --- opponents --------------------------------------------------------------------------------------------------------


def opponents() -> Result:
    """Classifiers of what each pusher shows, for forces and a fist, after the number of steps that validation chose."""
    return {
        f"{actuator} {name}": finished(f"{NAME}-{actuator}-{name}", partial(classified, actuator, name))
        for actuator in (DIRECT, FIST)
        for name in PUSHERS
    }


def classified(actuator: str, name: str) -> Result:
    """The means of a classifier's answers, and the share of right ones after each number of steps."""
    here, steps, generator = world(actuator), STEPS_WATCHED[actuator], torch.Generator().manual_seed(0)
    classifier = PushClassifier(here, generator=generator)
    state = begun(here, TOWERS, WATCHED)
    seen_KBM = watched(here, state, PUSHERS[name], steps, generator=generator)
    order_B = torch.cat([torch.randperm(TOWERS, generator=generator) for _ in range(EPOCHS)])
    batches = iter(order_B.split(TOGETHER))

    def loss() -> torch.Tensor:
        chosen_B = next(batches)
        log_KBA = classifier(seen_KBM[:, chosen_B])
        return nll_loss(log_KBA.flatten(0, 1), state.correct_B[chosen_B].repeat(steps + 1))

    seconds = descend([(list(classifier.parameters()), 5e-3)], loss, updates=len(order_B) // TOGETHER)

    @torch.no_grad()
    def right(first: int, count: int) -> torch.Tensor:
        tested = begun(here, count, first)
        log_KBA = classifier(watched(here, tested, PUSHERS[name], steps, generator=generator))
        return (log_KBA.argmax(2) == tested.correct_B).double().mean(1)

    worth_K = 0.99 ** torch.arange(steps + 1)
    best = int(((2 * right(VALIDATION, OTHERS) - 1) * worth_K).argmax())
    right_K = right(BEGIN, OTHERS)
    print(f"  {actuator} {name}: {right_K.tolist()}", flush=True)
    return {
        "right": float(right_K[best]), "pushes": best, "return": float((2 * right_K[best] - 1) * worth_K[best]),
        "after": right_K.tolist(), "cpu": seconds,
    }  # fmt: skip


# --- the page ---------------------------------------------------------------------------------------------------------


def contents(done: Sequence[Result]) -> dict[str, Content | bytes]:
    """The page's tables and figures."""
    beside = finished(f"{NAME}-opponents", opponents)
    return {
        "bodies": bodies_table(done, beside),
        "speeds": speeds_table(done),
        "rows": rows_table(done),
        "recovered": spread([recovered(result) for result in done]),
        "seeds": seeds(done),
        "learning": spread([result["rows"]["seconds"] for result in done], 0),
        "parameters": str(done[0]["rows"]["parameters"]),
        "towers.png": picture(done, beside),
    }


def bodies_table(done: Sequence[Result], beside: Result) -> list[list[str]]:
    """How often each agent is right about the number of bodies, and when it answers."""
    rows = [["actuator", "agent", "right, %", "return", "pushes", "CPU seconds of training"]]
    for core, actuator in ACTUATORS.items():
        mine = [result[core]["0.1"] for result in done]
        cpu = spread([result[core]["cpu"] for result in done], 0)
        right, paid = spread([100 * m["right"] for m in mine]), spread([m["return"] for m in mine], 3)
        agent = "**learned**, with questions" if core == ASKED else "**learned**"
        rows.append([actuator, agent, right, paid, spread([m["pushes"] for m in mine], 2), cpu])
        for name in PUSHERS if core != ASKED else ():
            if one := beside.get(f"{actuator} {name}"):
                cells = f"{100 * one['right']:.1f}", f"{one['return']:.3f}", str(one["pushes"]), f"{one['cpu']:.0f}"
                rows.append([actuator, f"{name}, a classifier", *cells])
    return rows


def speeds_table(done: Sequence[Result]) -> list[list[str]]:
    """With steps of other lengths: seconds to the answer, and how often it is right."""
    rows = [["core", "step, s", "seconds to the answer", "against 0.1 s, %", "right, %"]]
    for actuator in FILES:
        for seconds in map(str, SECONDS):
            here = [result[actuator][seconds] for result in done]
            change = [
                100 * (result[actuator][seconds]["seconds"] / result[actuator]["0.1"]["seconds"] - 1) for result in done
            ]
            cells = (
                spread([one["seconds"] for one in here], 2),
                spread(change),
                spread([100 * o["right"] for o in here]),
            )
            rows.append([actuator, seconds, *cells])
    return rows


def rows_table(done: Sequence[Result]) -> list[list[str]]:
    """New questions."""
    columns = {"mean row": "mean", "row learned": "learned", "fine-tuned": "tuned"}
    rows = [["question", *(f"{name}: return" for name in columns), *(f"{name}: right, %" for name in columns)]]
    for name, question in QUESTIONS.items():
        found = [result["rows"]["questions"][name] for result in done]
        paid = [spread([one[key]["return"] for one in found], 3) for key in columns.values()]
        right = [spread([100 * one[key]["right"] for one in found]) for key in columns.values()]
        rows.append([question, *paid, *right])
    return rows


def recovered(result: Result) -> float:
    """Of the mean return of fine-tuning, the share that learned rows reach, in percent."""
    every = result["rows"]["questions"].values()
    return 100 * sum(one["learned"]["return"] for one in every) / sum(one["tuned"]["return"] for one in every)


def picture(done: Sequence[Result], beside: Result) -> bytes:
    """Learning curves, and how often classifiers are right after each number of steps."""
    figure, axes = panels(2, across=2, size=(11, 4.2))
    for number, (actuator, file) in enumerate(FILES.items()):
        for place, result in enumerate(done):
            curve = result[actuator]["curve"]
            scores = [check["scores"][f"{file.stem}.BODIES"] for check in curve]
            named = None if place else actuator
            axes[0].plot([check["update"] for check in curve], scores, f"C{number}", linewidth=0.9, label=named)
    label(axes[0], "training: number of bodies", "updates", "return", legend="lower right")
    for number, (name, one) in enumerate(beside.items()):
        axes[1].plot([100 * right for right in one["after"]], f"C{number}", linewidth=0.9, label=name)
    label(axes[1], "classifiers", "steps watched", "right, %", legend="lower right")
    return png(figure)


def main() -> None:
    recipe(
        __doc__, NAME, run, contents, seeds=range(3),
        trainings={name: training.to_json() for name, training in TRAININGS.items()},
        learning=LEARNING.to_json(), tuning=TUNING.to_json(),
    )  # fmt: skip


if __name__ == "__main__":
    main()
