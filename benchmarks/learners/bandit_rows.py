"""New rows beside a frozen core of meta-reinforcement learning: held-out families of bandits.

    python -m benchmarks.learners.bandit_rows                    # three seeds
    python -m benchmarks.learners.bandit_rows --table            # only write the page from what is done

A core is trained on 96 drawn priors over six arms, a row each. Then it is frozen, and for eight priors that it never
met a row is learned; beside it all of a copy of the core is trained along (full fine-tuning, with as many updates).
Results lie under ``runs/newrows``, a file a seed, and the cores beside them.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from benchmarks.common import RUNS, recipe
from benchmarks.learners.bandit_baselines import BEGIN
from benchmarks.learners.cores import fine_tuned, trained_core, written
from dsl import loads
from envs.episodic.bandit import FAMILIES, Bandit
from meta.baselines.agent import Agent, rollout
from meta.baselines.bandits import CaseThompson, Thompson, drawn_cases
from meta.baselines.learned_agent import Learned
from meta.reinforcement.program_files.bandit_priors import program_file
from npi.learners.core import LearnerProgramCore
from npi.learners.learn_rows import learn_rows
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.learners.tasks import TrainingTask, training_tasks
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content

NAME = "newrows"

ARMS, STEPS = 6, 20

TRAINED = range(1, 97)
"""Priors that the core is trained on. HELD: those that it never meets."""
HELD = range(1001, 1009)

TRAINING = OnPolicyTraining(updates=1500, batch=384, rollouts=4, rate=5e-3, check_every=250)
LEARNING = OnPolicyTraining(updates=200, batch=256, rollouts=4, row_rate=3e-2, starts=4, problems=256, check_every=100)
TUNING = OnPolicyTraining(updates=200, batch=256, rollouts=4, rate=1e-3, row_rate=1e-2, check_every=100)

EPISODES = 4000

COLUMNS = {
    "mean row": "mean", "random old row": "random", "row learned": "learned", "fine-tuned": "tuned",
    "Thompson": "thompson", "Thompson, true prior": "told",
}  # fmt: skip


def regret(agent: Agent, prior: int) -> float:
    """After all pulls, on episodes that no training drew, the same for all agents."""
    world = Bandit("arms", {"arms": ARMS, "family": "drawn", "steps": STEPS})
    episode_B = torch.arange(BEGIN, BEGIN + EPISODES)
    none_B = torch.zeros_like(episode_B)
    state = world.begin(episode_B, none_B + FAMILIES.index("drawn"), none_B + prior)
    return float(rollout(world, agent, state, STEPS).regret().mean_S[-1])


def run(seed: int) -> Result:
    """Train, learn rows, fine-tune copies, and try all of them."""
    name = f"{NAME}/core-{seed}"
    path = written(RUNS / name / "priors.npi", program_file(TRAINED, arms=ARMS, steps=STEPS))
    library, seconds = trained_core(name, [path], replace(TRAINING, seed=seed))
    core, old_NP = library.core, library.memory.embeddings_NP.detach().clone()
    assert isinstance(core, LearnerProgramCore)
    held = loads(program_file(HELD, arms=ARMS, steps=STEPS), path="held.npi")
    began = time.process_time()
    learned = learn_rows(library, [held], replace(LEARNING, seed=seed))
    learning = time.process_time() - began
    assert learned.unchanged
    random_N = torch.randint(len(old_NP), (len(HELD),), generator=torch.Generator().manual_seed(seed))
    families = {}
    for place, (prior, task) in enumerate(zip(HELD, training_tasks(held), strict=True)):
        row_P = library.memory.embeddings_NP[library.memory.index(task.name)]
        generator = torch.Generator().manual_seed(seed)
        world = task.world.spec
        agents: dict[str, Agent] = {
            "mean": Learned(core, old_NP.mean(0)),
            "random": Learned(core, old_NP[random_N[place]]),
            "learned": Learned(core, row_P),
            "tuned": tuned(core, old_NP, task, seed),
            "thompson": Thompson(world, generator=generator),
            "told": CaseThompson(world, drawn_cases(world, prior), generator=generator),
        }
        families[str(prior)] = {name: regret(agent, prior) for name, agent in agents.items()}
        print(f"  prior {prior}: { {n: round(v, 2) for n, v in families[str(prior)].items()} }", flush=True)
    hashes = list(learned.after)
    parameters = learned.numbers
    return {"families": families, "seconds": seconds, "learning": learning, "parameters": parameters, "hashes": hashes}


def tuned(core: LearnerProgramCore, old_NP: torch.Tensor, task: TrainingTask, seed: int) -> Learned:
    """A copy of the core that was fine-tuned on one family."""
    net, row_P = fine_tuned(core, old_NP, [task], replace(TUNING, seed=seed))
    found = copy.copy(core)
    found._modules = {**core._modules, "net": net}
    return Learned(found, row_P)


def recovered(families: Result) -> float:
    """What the learned rows gain over the mean row, as a share of what fine-tuning gains, over all families."""
    gains = [(f["mean"] - f["learned"], f["mean"] - f["tuned"]) for f in families.values()]
    return sum(row for row, _ in gains) / sum(full for _, full in gains)


def contents(done: Sequence[Result]) -> dict[str, Content]:
    """The page's table and figures."""
    rows = [["seed", "prior", *COLUMNS]]
    for result in done:
        for prior, family in result["families"].items():
            rows.append([result["seed"], prior, *(f"{family[key]:.2f}" for key in COLUMNS.values())])
        every = result["families"].values()
        means = [sum(f[key] for f in every) / len(every) for key in COLUMNS.values()]
        rows.append([result["seed"], "mean", *(f"{mean:.2f}" for mean in means)])
    return {
        "regret": rows,
        "parameters": str(done[0]["parameters"]),
        "recovered": ", ".join(f"{100 * recovered(result['families']):.0f} %" for result in done),
        "seconds": ", ".join(f"{result['seconds']:.0f} and {result['learning']:.0f}" for result in done),
    }


def main() -> None:
    recipe(__doc__, NAME, run, contents, seeds=range(3), learning=LEARNING.to_json(), tuning=TUNING.to_json())


if __name__ == "__main__":
    main()
