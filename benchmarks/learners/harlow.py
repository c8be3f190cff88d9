"""Harlow's task, learned from reward: with codes and with pictures, and a rule that is held out.

    python -m benchmarks.learners.harlow                    # five seeds, and three of the rules
    python -m benchmarks.learners.harlow --seeds 0 1        # some of them
    python -m benchmarks.learners.harlow --table            # only write the page from what is done

A core is trained on ``programs/learning/harlow.npi``, one on ``glyphs.npi``, and one without its memory of things.
Others are trained on three rules and on twenty-one; then they are frozen, and a row is learned for the rule ``avoid``.
Results lie under ``runs/harlows``, a file a seed, and under ``runs/harlows-rules``; a run that was stopped resumes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from benchmarks.common import ROOT, RUNS, arguments, each_seed, results, seeds, write
from benchmarks.learners.bandit_baselines import BEGIN
from benchmarks.learners.cores import fine_tuned, trained_core, written
from dsl import load, loads
from dsl.program import ProgramSet
from envs.episodic.harlow import RULES, Harlow, HarlowState, glyphs, scrambled
from meta.baselines.agent import Agent, rollout
from meta.baselines.harlow import ObjectStayer, SideStayer
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.program_files.harlow_rules import Rule, program_file, turned
from npi.jobs.learners import new_library, train_learner
from npi.learners.core import LearnerProgramCore
from npi.learners.interface import LearnerCore, TaskInput, steps_of
from npi.learners.learn_rows import learn_rows
from npi.learners.objectives.base import LearnerObjective
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.learners.rollout import play as run_program
from npi.learners.tasks import training_tasks
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, Rows, spread
from npi.reproduce.plots import label, panels, png

NAME = "harlows"

LEARNING_FILES = ROOT / "programs" / "learning"

KINDS = {"codes": ("harlow.npi", 1), "pictures": ("glyphs.npi", 1), "codes, no memory": ("harlow.npi", 0)}
"""What is trained: the file, and whether the core has a memory of things."""

TRAINING = OnPolicyTraining(updates=300, batch=64, rollouts=1, rate=5e-3, check_every=30, problems=32)

EPISODES = 1000

TRIALS = 6

NUMBERED = [f"trial {t}" for t in range(1, 1 + TRIALS)]

GOAL = 0.95
"""The share of right choices that a core has to pass in every trial from the second on."""

AVOID = Rule("object", (1,) * (TRIALS - 1))
"""The rule ``avoid``, as turns."""

THREE = [Rule("object", (0,) * 5), Rule("side", (0,) * 5), Rule("object", (1, 0) * 2 + (1,))]
"""Those of rules.npi: always the same object, always the same side, the objects in turn."""

HELD = (AVOID, Rule("object", (0, 1, 1, 1, 1)))

RULE_CORE = MetaRLConfig(hidden=64)
RULE_AIM = OnPolicyTraining(discount=0.0, final_discount=0.0, entropy=0.1)
"""Where each choice ends a trial and all choices are equally informative, later rewards are noise."""

RULE_TRAINING = {
    "3 rules": replace(RULE_AIM, updates=900, batch=96, rollouts=1, rate=5e-3, check_every=300),
    "21 rules": replace(RULE_AIM, updates=1500, batch=256, rollouts=1, rate=5e-3, check_every=500, problems=32),
}

ROW = replace(RULE_AIM, updates=300, batch=128, rollouts=1, row_rate=0.1, check_every=100, starts=4)
TUNING = replace(RULE_AIM, updates=300, batch=128, rollouts=1, rate=2e-3, row_rate=0.1, check_every=100)


def taught() -> list[Rule]:
    """The three rules, and eighteen of the other turns, always the same ones; none that is held out."""
    others = [rule for rule in turned("object", TRIALS) if rule not in (*THREE, *HELD)]
    random.Random(1).shuffle(others)
    return [*THREE, *others[:18]]


def begun(world: Harlow, *, unseen: bool, rule: Rule | None = None) -> HarlowState:
    """Episodes that no training drew, the same for all."""
    episode_B = torch.arange(BEGIN, BEGIN + EPISODES)
    rule = rule or Rule("object", (0,) * (TRIALS - 1))
    turned_BT = torch.tensor([0, *rule.turns]).repeat(EPISODES, 1)
    return world.begin(
        episode_B, torch.full_like(episode_B, int(unseen)), torch.full_like(episode_B, RULES.index(rule.of)), turned_BT
    )


def right(state: HarlowState) -> list[float]:
    """The share of right choices, trial by trial; a trial that was not reached counts as wrong."""
    found: list[float] = (state.right_BT == 2).double().mean(0).tolist()
    return found


@torch.no_grad()
def accuracies(net: LearnerCore, row_P: torch.Tensor, world: Harlow, state: HarlowState, steps: int) -> list[float]:
    """A row on a core, without exploring."""
    arguments_B3 = torch.zeros(state.batch, 3, dtype=torch.int64)
    task = TaskInput(world.spec, 0, row_P.detach().expand(state.batch, -1), arguments_B3)
    run_program(net, world, state, task, steps)
    return right(state)


def both(net: LearnerCore, row_P: torch.Tensor, programs: ProgramSet) -> Result:
    """With seen and with unseen objects."""
    world, steps = world_of(programs), steps_of(programs.programs[0])
    return {
        name: accuracies(net, row_P, world, begun(world, unseen=unseen), steps)
        for name, unseen in (("seen", False), ("unseen", True))
    }


def world_of(programs: ProgramSet) -> Harlow:
    assert isinstance(programs.world, Harlow)
    return programs.world


def learned(kind: str, seed: int) -> Result:
    """A core trained on one file: accuracies on the way, and CPU seconds without what measuring took."""
    name, memory = KINDS[kind]
    programs = load(LEARNING_FILES / name)
    config, training = MetaRLConfig(object_memory=memory), replace(TRAINING, seed=seed)
    fresh = new_library(config, training_tasks(programs), [programs], seed=seed)
    assert isinstance(fresh.core, LearnerProgramCore)
    curve: list[Result] = [{"update": 0, **both(fresh.core.net, fresh.memory.embeddings_NP[0], programs)}]
    measuring = 0.0

    def measure(objective: LearnerObjective, update: int) -> None:
        nonlocal measuring
        began = time.process_time()
        curve.append({"update": update, **both(objective.core, objective.rows_NP[0], programs)})
        measuring += time.process_time() - began

    began = time.process_time()
    out = RUNS / NAME / f"core-{seed}-{kind.replace(', ', '-').replace(' ', '-')}"
    train_learner([LEARNING_FILES / name], out=out, config=config, training=training, checked=measure, fresh=True)
    seconds = time.process_time() - began - measuring
    print(f"  {kind}: {percent(curve[-1]['unseen'])} on unseen objects, {seconds:.0f} CPU s", flush=True)
    return {"curve": curve, "seconds": seconds}


def run(seed: int) -> Result:
    """All kinds."""
    return {kind: learned(kind, seed) for kind in KINDS}


def reached(curve: Sequence[Result]) -> bool:
    """Whether the last core is right more often than :data:`GOAL` with unseen objects, from the second trial on."""
    return min(curve[-1]["unseen"][1:]) > GOAL


# --- a rule that is held out -----------------------------------------------------------------------------------------


def run_rules(seed: int) -> Result:
    """A core for three rules and one for twenty-one; then the held-out one on each, by row and by fine-tuning."""
    return {name: held_out(name, rules, seed) for name, rules in (("3 rules", THREE), ("21 rules", taught()))}


def held_out(name: str, rules: Sequence[Rule], seed: int) -> Result:
    """Train, freeze, learn the row of ``avoid``."""
    place = f"{NAME}-rules/core-{seed}-{len(rules)}"
    path = written(RUNS / place / "rules.npi", program_file(rules))
    library, seconds = trained_core(place, [path], replace(RULE_TRAINING[name], seed=seed), config=RULE_CORE)
    core = library.core
    assert isinstance(core, LearnerProgramCore)
    world, old_NP = world_of(library.sets[0]), library.memory.embeddings_NP.detach().clone()

    def tried(net: LearnerCore, row_P: torch.Tensor, rule: Rule) -> list[float]:
        return accuracies(net, row_P, world, begun(world, unseen=True, rule=rule), TRIALS)

    old = [tried(core.net, row_P, rule) for row_P, rule in zip(old_NP, rules, strict=True)]
    programs = loads(program_file([AVOID]), path="avoid.npi")
    began = time.process_time()
    found = learn_rows(library, [programs], replace(ROW, seed=seed))
    learning = time.process_time() - began
    assert found.unchanged
    row_P = library.memory.embeddings_NP[-1]
    tuned_net, tuned_P = fine_tuned(core, old_NP, training_tasks(programs), replace(TUNING, seed=seed))
    result: Result = {
        "seconds": seconds,
        "learning": learning,
        "parameters": found.numbers,
        "unchanged": list(found.after),
        "old": old,
        "mean": tried(core.net, old_NP.mean(0), AVOID),
        "learned": tried(core.net, row_P, AVOID),
        "tuned": tried(tuned_net, tuned_P, AVOID),
    }
    for key in ("mean", "learned", "tuned"):
        print(f"  {name}, {key}: {percent(result[key])}", flush=True)
    return result


def percent(shares: Sequence[float]) -> str:
    return " ".join(f"{100 * share:.0f}" for share in shares)


# --- the page --------------------------------------------------------------------------------------------------------


def baselines() -> dict[str, list[float]]:
    """Agents that know of objects, and of sides alone."""
    world, found = Harlow("table", {}), {}
    for name, make in (("win, stay with objects", ObjectStayer), ("win, stay with sides", SideStayer)):
        agent: Agent = make(world.spec, generator=torch.Generator().manual_seed(0))
        state = begun(world, unseen=True)
        rollout(world, agent, state, TRIALS)
        found[name] = right(state)
    return found


def contents(done: Sequence[Result], rules: Sequence[Result]) -> dict[str, Content | bytes]:
    """The page's tables, figures and pictures."""
    lowest = {
        name: ", ".join(f"{100 * min(min(row[1:]) for row in result[name]['old']):.0f} %" for result in rules)
        for name in RULE_TRAINING
    }
    return {
        "kinds": kind_rows(done),
        "seeds": seeds(done),
        "rules": rule_rows(rules),
        "parameters": str(rules[0]["3 rules"]["parameters"]),
        "lowest-3": lowest["3 rules"],
        "lowest-21": lowest["21 rules"],
        "seconds-3": spread([result["3 rules"]["seconds"] for result in rules], 0),
        "seconds-21": spread([result["21 rules"]["seconds"] for result in rules], 0),
        "seconds-row": spread([result[name]["learning"] for result in rules for name in RULE_TRAINING], 0),
        "harlow.png": picture(done, rules),
        "harlow-objects.png": sheet(),
    }


def kind_rows(done: Sequence[Result]) -> Rows:
    """Shares of right choices by trial: of each kind of core, and of baselines."""
    rows = [["what is seen", "objects", *NUMBERED, "seeds", "CPU s"]]
    for kind in KINDS:
        curves = [result[kind]["curve"] for result in done]
        share = f"{sum(map(reached, curves))} of {len(curves)}"
        cost = spread([result[kind]["seconds"] for result in done], 0)
        for objects in ("seen", "unseen"):
            last = [[100 * x for x in curve[-1][objects]] for curve in curves]
            rows.append([kind, objects, *(spread(trial, 1) for trial in zip(*last, strict=True)), share, cost])
    for name, shares in baselines().items():
        rows.append([name, "unseen", *(f"{100 * x:.1f}" for x in shares), "", ""])
    return rows


def rule_rows(rules: Sequence[Result]) -> Rows:
    """What came of the rule ``avoid``."""
    rows = [["core for", "seed", "avoid by", *NUMBERED, "recovered"]]
    for name in RULE_TRAINING:
        for result in rules:
            for key, words in {"mean": "mean row", "learned": "row learned", "tuned": "fine-tuned"}.items():
                share = f"{100 * recovered(result[name]):.0f} %" if key == "learned" else ""
                rows.append([name, str(result["seed"]), words, *(f"{100 * x:.0f}" for x in result[name][key]), share])
    return rows


def recovered(result: Result) -> float:
    """The gain of the learned row as a share of that of fine-tuning."""
    mean, row, full = (sum(result[key][1:]) for key in ("mean", "learned", "tuned"))
    return (row - mean) / (full - mean)


def picture(done: Sequence[Result], rules: Sequence[Result]) -> bytes:
    """By trial, early and late; by update; and the rule that is held out."""
    figure, axes = panels(5, across=3, size=(14, 8.5))
    trials = range(1, 1 + TRIALS)
    for panel, kind in zip(axes, ("codes", "pictures"), strict=False):
        points = [point["update"] for point in done[0][kind]["curve"]]
        chosen = [0, 1, 2, 3, len(points) - 1]
        for number, at in enumerate(chosen):
            shade = str(0.8 - 0.8 * number / (len(chosen) - 1))
            for objects, line in (("seen", "--"), ("unseen", "-")):
                mean = means([result[kind]["curve"][at][objects] for result in done])
                named = f"after {points[at]} updates" if line == "-" else None
                panel.plot(trials, mean, line, color=shade, marker="o", markersize=3, label=named)
    for name, shares in baselines().items():
        axes[0].plot(trials, [100 * x for x in shares], ":", label=name)
    for kind, colour in zip(KINDS, ("C0", "C1", "C3"), strict=True):
        for number, result in enumerate(done):
            curve = result[kind]["curve"]
            later = [100 * sum(point["unseen"][1:]) / (TRIALS - 1) for point in curve]
            named = None if number else kind
            axes[2].plot([p["update"] for p in curve], later, color=colour, linewidth=0.9, label=named)
    for panel, name in zip(axes[3:], RULE_TRAINING, strict=True):
        for key, words in (("mean", "mean row"), ("learned", "row learned"), ("tuned", "all fine-tuned")):
            panel.plot(trials, means([result[name][key] for result in rules]), marker="o", markersize=3, label=words)
    titles = [f"{kind}: mean of {len(done)} seeds; dashed: seen objects" for kind in ("codes", "pictures")]
    titles += ["unseen objects, trials 2 to 6: a line a seed"]
    titles += [f"avoid, held out from a core for {name}" for name in RULE_TRAINING]
    for panel, title in zip(axes, titles, strict=True):
        panel.set_ylim(-5, 105)
        label(panel, title, "updates" if panel is axes[2] else "trial", "% right", legend="lower right")
    return png(figure)


def means(rows: Sequence[Sequence[float]]) -> list[float]:
    """In per cent, of each trial."""
    return [100 * sum(trial) / len(trial) for trial in zip(*rows, strict=True)]


def sheet(across: int = 24, down: int = 5, pixels: int = 16) -> bytes:
    """Seen and unseen objects, as cores see them."""
    config = Harlow("table", {"pixels": pixels}).config
    figure, axes = panels(2, across=1, size=(12, 6))
    for panel, (title, first) in zip(axes, (("seen", 0), ("unseen", config.seen)), strict=True):
        shown = glyphs(scrambled(torch.arange(first, first + across * down), config.bits), pixels)
        framed = torch.nn.functional.pad(shown, (0, 0, 1, 1, 1, 1), value=255)
        grid = framed.view(down, across, pixels + 2, pixels + 2, 3).permute(0, 2, 1, 3, 4).flatten(2, 3).flatten(0, 1)
        panel.imshow(grid, interpolation="nearest")
        panel.set_title(f"{title}: the first {across * down}", fontsize=10)
        panel.axis("off")
    return png(figure)


def main() -> None:
    options = arguments(__doc__).parse_args()
    if not options.table:
        each_seed(NAME, options.seeds, run, training=TRAINING.to_json())
        each_seed(f"{NAME}-rules", options.seeds[:3], run_rules, row=ROW.to_json(), tuning=TUNING.to_json())
    done, rules = results(NAME), results(f"{NAME}-rules")
    if not done or not rules:
        raise SystemExit("no seed is finished yet, so there is nothing to write")
    write("harlow", contents(done, rules), [*done, *rules])


if __name__ == "__main__":
    main()
