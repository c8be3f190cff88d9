"""The two-step task learned from reward, and what it then does after each kind of trial.

    python -m benchmarks.learners.two_step                   # three seeds
    python -m benchmarks.learners.two_step --table           # only write the page from what is finished
    python -m benchmarks.learners.two_step --signature       # the baselines alone, as docs/learning.md shows them

Stay probabilities by reward and by the way that was taken (Daw et al. 2011) are measured where which state pays is
drawn in each trial (task ``stays``), so that what is repeated follows from one trial; see docs/learning.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from benchmarks.common import ROOT, arguments, run_recipe
from benchmarks.learners.bandit_baselines import BEGIN
from benchmarks.learners.cores import trained_core
from dsl import load
from envs.episodic.two_step import TwoStep
from meta.baselines.agent import Agent, Random, Rollout, rollout
from meta.baselines.learned_agent import Learned
from meta.baselines.two_step import ModelBased, ModelFree, Stays, stays
from npi.learners.core import LearnerProgramCore
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, Rows, markdown
from npi.reproduce.plots import panels, png

NAME = "twosteps"

TRAINING = OnPolicyTraining(updates=500, batch=256, rollouts=4, rate=5e-3, check_every=100)

FILE = ROOT / "programs" / "learning" / "twostep.npi"

EPISODES, TRIALS = 2000, 100

BASELINES: dict[str, Callable[..., Agent]] = {
    "random": Random,
    "without a model": ModelFree,
    "with the model": ModelBased,
}


def stay_probabilities(
    agent: Agent, world: TwoStep, episodes: torch.Tensor, *, at_random: bool
) -> tuple[Rollout, Stays]:
    """Rollouts where which state pays is drawn in each trial, or changes now and then; and how often options repeat."""
    state = world.begin(episodes, torch.full_like(episodes, int(at_random)))
    found = rollout(world, agent, state, 2 * TRIALS)
    return found, stays(world.spec, found)


def measured(agent: Agent) -> Result:
    """Reward a trial where states pay in turns; stay probabilities where they pay at random."""
    world = load(FILE).world
    assert isinstance(world, TwoStep)
    episode_B = torch.arange(BEGIN, BEGIN + EPISODES)
    turns, _ = stay_probabilities(agent, world, episode_B, at_random=False)
    _, found = stay_probabilities(agent, world, episode_B, at_random=True)
    reward = float(turns.reward_SB.sum(0).mean()) / TRIALS
    return {"reward": reward, "common": found.common, "rare": found.rare, "interaction": found.interaction}


def run(seed: int) -> Result:
    library, seconds = trained_core(f"{NAME}/core-{seed}", [FILE], replace(TRAINING, seed=seed))
    core = library.core
    assert isinstance(core, LearnerProgramCore)
    return measured(Learned(core, library.memory.embeddings_NP[0])) | {"seconds": seconds}


def baseline(kind: Callable[..., Agent], world: TwoStep) -> Agent:
    return kind(world.spec, generator=torch.Generator().manual_seed(0))


def contents(done: Sequence[Result]) -> dict[str, Content | bytes]:
    """The page's table and picture: the baselines, and the seeds."""
    world = load(FILE).world
    assert isinstance(world, TwoStep)
    found = {name: measured(baseline(kind, world)) for name, kind in BASELINES.items()}
    found |= {f"learned, seed {r['seed']}": r for r in done}
    ways = ("usual, rewarded", "usual, not", "rare, rewarded", "rare, not")
    rows = [["agent", "reward a trial", *ways, "interaction", "CPU s"]]
    for name, one in found.items():
        stay = [f"{probability:.2f}" for probability in (*one["common"], *one["rare"])]
        seconds = f"{one['seconds']:.0f}" if "seconds" in one else ""
        rows.append([name, f"{one['reward']:.3f}", *stay, f"{one['interaction']:+.2f}", seconds])
    return {"agents": rows, "twosteps.png": picture(found)}


def picture(found: dict[str, Result]) -> bytes:
    """Bars as Daw et al. (2011) draw them."""
    figure, axes = panels(len(found), across=len(found), size=(2.6 * len(found), 3.2), sharey=True)
    for panel, (name, one) in zip(axes, found.items(), strict=True):
        panel.bar([0, 1], [one["common"][0], one["common"][1]], 0.38, color="C0", label="usual way")
        panel.bar([0.4, 1.4], [one["rare"][0], one["rare"][1]], 0.38, color="C3", label="rare way")
        panel.set_xticks([0.2, 1.2], ["rewarded", "not"])
        panel.set_title(name, fontsize=9)
        panel.set_ylim(0, 1)
        panel.legend(fontsize=7)
    figure.axes[0].set_ylabel("stays with the option")
    return png(figure)


def signature() -> Rows:
    """The table of ``docs/learning.md``: the interaction of reward and way by how states pay, over 5,000 episodes."""
    world, episode_B = TwoStep("ways", {}), torch.arange(5_000)
    rows = [["agent", "interaction, paying in turns", "interaction, paying at random"]]
    for name, kind in BASELINES.items():
        found = [stay_probabilities(baseline(kind, world), world, episode_B, at_random=by)[1] for by in (False, True)]
        rows.append([name, *(f"{one.interaction:.2f}" for one in found)])
    return rows


def main() -> None:
    parser = arguments(__doc__, seeds=range(3))
    parser.add_argument("--signature", action="store_true", help="only print the baselines' table of docs/learning.md")
    options = parser.parse_args()
    if options.signature:
        print("\n".join(markdown(signature())))
    else:
        run_recipe(options, NAME, run, contents, training=TRAINING.to_json())


if __name__ == "__main__":
    main()
