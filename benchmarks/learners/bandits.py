"""Learners from reward on bandits, beside Thompson sampling, UCB1, Gittins indices and the Bayes optimum.

    python -m benchmarks.learners.bandits                    # five seeds; a core for each family of Wang et al. (2016)
    python -m benchmarks.learners.bandits --seeds 0 1        # some of them
    python -m benchmarks.learners.bandits --table            # only write the page from what is done

A core is trained on one family and tried on all, as in section 3.1 of the paper. Results lie under ``runs/bandits``, a
file a seed, and the cores beside them; a run that was stopped resumes.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import torch

from benchmarks.common import RUNS, finished, recipe, seeds
from benchmarks.learners.bandit_baselines import BEGIN
from benchmarks.learners.cores import trained_core, written
from envs.episodic.bandit import ELEVEN, FAMILIES, Bandit
from meta.baselines.agent import Agent, Rollout, rollout
from meta.baselines.bayes_optimal import plan
from meta.baselines.learned_agent import Learned
from meta.baselines.registry import lineup
from meta.reinforcement.config import MetaRLConfig
from npi.jobs.learners import usual_config
from npi.learners.core import LearnerProgramCore
from npi.learners.interface import learner_of
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.reproduce.plots import label, panels, png

NAME = "bandits"

PAIRS = ("independent", "uniform", "easy", "medium", "hard")
"""The families of the paper's matrix."""

TRAINED = (*PAIRS, "restless", "informative")

QUICK = OnPolicyTraining(updates=400, batch=256, rollouts=4, rate=5e-3, check_every=100)
TRAINING = dict.fromkeys(TRAINED, QUICK) | {
    "independent": OnPolicyTraining(
        updates=1000, batch=512, rate=5e-3, check_every=250,
        regret=1, discount=1.0, gae_lambda=0.92, value_weight=1.0,
    ),
    "informative": OnPolicyTraining(updates=1000, batch=512, rollouts=4, rate=5e-3, check_every=250, entropy=0.3),
}  # fmt: skip
"""Where the usual settings do not do: the gain over a simple policy is small, or an arm of small reward has to be tried
long enough."""

SHAPES = {"independent": MetaRLConfig(hidden=64, sums=1, privileged=1)}
"""Where the usual shape does not do."""

EPISODES, OTHERS = 50_000, 5000
"""Episodes that agents are tried on; and those of families that a core was not trained on."""

BESIDE = ("UCB1", "Thompson", "Thompson, true prior", "Gittins", "best")


def text(family: str) -> str:
    """A program file for one family."""
    arms, steps = (ELEVEN, 5) if family == "informative" else (2, 100)
    return f"""world arms is bandit(arms: {arms}, family: {family}, steps: {steps})

program EXPLORE "Find the arm that pays more, and keep pulling it":
    maximise reward over {steps} steps
    core "meta-rl"

task {family}(episode: number):
    EPISODE = digits(episode)
    run EXPLORE
    expect TRIAL == [{steps}]
    train episode of 8 digits
    test episode of 9 digits
"""


def trained(seed: int, family: str) -> tuple[Library, float]:
    """The library of a core that was trained on one family, and the CPU seconds that this took."""
    name, training = f"{NAME}/cores-{seed}/{family}", replace(TRAINING[family], seed=seed)
    path = written(RUNS / name / f"{family}.npi", text(family))
    return trained_core(name, [path], training, config=SHAPES.get(family))


def rollouts(agent: Agent, family: str, episodes: int = EPISODES) -> Rollout:
    """Episodes of a family that no training drew, the same for all agents."""
    world, steps = world_of(family)
    episode_B = torch.arange(BEGIN, BEGIN + episodes)
    none_B = torch.zeros_like(episode_B)
    return rollout(world, agent, world.begin(episode_B, none_B + FAMILIES.index(family), none_B), steps)


@cache
def world_of(family: str) -> tuple[Bandit, int]:
    arms, steps = (ELEVEN, 5) if family == "informative" else (2, 100)
    return Bandit("arms", {"arms": arms, "steps": steps, "family": family}), steps


def agent_of(library: Library) -> Learned:
    assert isinstance(library.core, LearnerProgramCore)
    return Learned(library.core, library.memory.embeddings_NP[0])


def run(seed: int) -> Result:
    """Train on each family, and try each core on all."""
    found: Result = {"seconds": {}, "matrix": {}, "curves": {}}
    for family in TRAINED:
        library, found["seconds"][family] = trained(seed, family)
        agent = agent_of(library)
        for test in PAIRS if family in PAIRS else (family,):
            regret = rollouts(agent, test, EPISODES if test == family else OTHERS).regret()
            found["matrix"][f"{family} {test}"] = float(regret.mean_S[-1])
            if test == family:
                found["curves"][family] = regret.mean_S.tolist()
        if family == "independent":
            found["lost"] = lost(rollouts(agent, family))
        if family == "informative":
            found["asked"] = asked_first(rollouts(agent, family))
        print(f"  {family}: regret {found['matrix'][f'{family} {family}']:.2f}", flush=True)
    return found


def lost(episodes: Rollout) -> float:
    """What choices among two independent arms lose, by the plan of the Bayes optimum."""
    return float(plan(len(episodes.chosen_SB)).lost(episodes.chosen_SB - 1, episodes.reward_SB).sum(0).mean())


def asked_first(episodes: Rollout) -> float:
    """The share of episodes that pull the informative arm first, and the target ever after."""
    best_SB = episodes.regret_SB < 1e-6
    return float(((episodes.chosen_SB[0] == ELEVEN) & best_SB[1:].all(0)).float().mean())


def baselines() -> Result:
    """Regret so far of the baselines, on the same episodes."""
    found: Result = {}
    for family in TRAINED:
        world, _ = world_of(family)
        for name, make in lineup(world, family).items():
            if name in BESIDE:
                agent = make(torch.Generator().manual_seed(0))
                found[f"{family} {name}"] = rollouts(agent, family).regret().mean_S.tolist()
    return found


# --- the page --------------------------------------------------------------------------------------------------------


def contents(done: Sequence[Result]) -> dict[str, Content | bytes]:
    """The page's tables, figures and pictures."""
    beside = finished(f"{NAME}-baselines", baselines)
    rows = [["family", "learned", *BESIDE, "CPU s"]]
    for family in TRAINED:
        final = [result["matrix"][f"{family} {family}"] for result in done]
        cells = [f"{beside[f'{family} {n}'][-1]:.2f}" if f"{family} {n}" in beside else "" for n in BESIDE]
        rows.append([family, spread(final, 2), *cells, spread([r["seconds"][family] for r in done], 0)])
    matrix = [["", *PAIRS]]
    for family in PAIRS:
        cells = [f"{statistics.fmean(r['matrix'][f'{family} {test}'] for r in done):.2f}" for test in PAIRS]
        matrix.append([family, *cells])
    return {
        "regret": rows,
        "matrix": matrix,
        "seeds": seeds(done),
        "asked": spread([100 * result["asked"] for result in done]),
        "optimum": f"{plan(100).regret:.3f}",
        "more": spread([100 * result["lost"] / plan(100).regret for result in done]),
        "bandits.png": curves(done, beside),
        "bandit-episodes.png": episodes(done[0]["seed"]),
    }


def curves(done: Sequence[Result], beside: Result) -> bytes:
    """Regret so far, a panel a family; a thin line a seed."""
    figure, axes = panels(len(TRAINED), across=4, size=(15, 7))
    for panel, family in zip(axes, TRAINED, strict=True):
        for number, result in enumerate(done):
            curve = result["curves"][family]
            named = None if number else "learned, a line a seed"
            panel.plot(range(1, 1 + len(curve)), curve, "k", linewidth=0.9, label=named)
        for number, name in enumerate(BESIDE):
            if f"{family} {name}" in beside:
                curve = beside[f"{family} {name}"]
                panel.plot(range(1, 1 + len(curve)), curve, f"C{number}", linewidth=1.3, label=name)
        label(panel, family, "pulls", "regret so far", legend="upper left")
    return png(figure)


def episodes(seed: int, family: str = "medium", shown: int = 30) -> bytes:
    """Choices of some episodes, a line each, before and after learning."""
    library, _ = trained(seed, family)
    core = library.core
    assert isinstance(core, LearnerProgramCore)
    generator = torch.Generator().manual_seed(seed)
    untrained = LearnerProgramCore(usual_config(learner_of("meta-rl")), core.worlds, generator=generator)
    agents = {
        "before learning": Learned(untrained, torch.randn(core.config.row, generator=generator)),
        "after learning": agent_of(library),
    }
    figure, axes = panels(2, across=2, size=(12, 4))
    for panel, (name, agent) in zip(axes, agents.items(), strict=True):
        best_BS = (rollouts(agent, family, shown).regret_SB < 1e-6).T
        panel.imshow(best_BS, aspect="auto", cmap="Blues", vmin=-0.3, vmax=1.2, interpolation="nearest")
        panel.set_title(f"{name}: dark where the better arm is pulled ({family})", fontsize=10)
        panel.set(xlabel="pull", ylabel="episode")
    return png(figure)


def main() -> None:
    recipe(__doc__, NAME, run, contents)


if __name__ == "__main__":
    main()
