"""The two-step task learned from reward, and what it then does after each kind of trial.

    python -m benchmarks.learners.two_step                   # three seeds
    python -m benchmarks.learners.two_step --table           # only write the page from what is done

Stay probabilities by reward and by the way that was taken (Daw et al. 2011) are measured where which state pays is
drawn in each trial (task ``stays``), so that what is repeated follows from one trial; see docs/learning.md.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import torch

from benchmarks.common import RESULTS, ROOT, RUNS, Result, arguments, each_seed, png, results, write_table
from benchmarks.learners.bandit_baselines import BEGIN
from benchmarks.learners.two_step_signature import PLAYERS
from dsl import load
from envs.episodic.two_step import TwoStep
from meta.baselines.learned_player import Learned
from meta.baselines.player import Player
from meta.baselines.rollout import play
from meta.baselines.two_step import stays
from npi.learners.core import HostedCore
from npi.learners.interface import HostedTraining
from npi.learners.jobs import train_hosted
from npi.library.library import Library
from npi.library.tensor_files import write_whole

NAME = "twosteps"

TRAINING = HostedTraining(updates=500, batch=256, twins=4, rate=5e-3, check_every=100)

FILE = ROOT / "programs" / "learning" / "twostep.npi"

EPISODES, TRIALS = 2000, 100


def trained(seed: int) -> tuple[Library, float]:
    """The library of the trained core, and CPU seconds; kept on disk."""
    out = RUNS / NAME / f"core-{seed}"
    clock = out.with_suffix(".seconds")
    if not clock.exists():
        began = time.process_time()
        train_hosted([FILE], out=out, training=replace(TRAINING, seed=seed), fresh=True)
        clock.write_text(f"{time.process_time() - began:.1f}")
    return Library.open(out), float(clock.read_text())


def measured(player: Player) -> Result:
    """Reward a trial where states pay in turns; stay probabilities where they pay at random."""
    world = load(FILE).world
    assert isinstance(world, TwoStep)
    episode_B = torch.arange(BEGIN, BEGIN + EPISODES)
    turns = play(world, player, world.begin(episode_B, torch.zeros_like(episode_B)), 2 * TRIALS)
    drawn = play(world, player, world.begin(episode_B, torch.ones_like(episode_B)), 2 * TRIALS)
    found = stays(world.spec, drawn)
    return {
        "reward": float(turns.reward_SB.sum(0).mean()) / TRIALS,
        "common": found.common,
        "rare": found.rare,
        "interaction": found.interaction,
    }


def run(seed: int) -> Result:
    library, seconds = trained(seed)
    core = library.core
    assert isinstance(core, HostedCore)
    found = measured(Learned(core, library.memory.embeddings_NP[0])) | {"seconds": seconds}
    print(f"  {found}", flush=True)
    return found


def beside() -> dict[str, Result]:
    """The players with and without a model, and one that knows nothing."""
    spec = load(FILE).world.spec
    players: dict[str, Player] = {
        name: kind(spec, generator=torch.Generator().manual_seed(0)) for name, kind in PLAYERS.items()
    }
    return {name: measured(player) for name, player in players.items()}


def write() -> None:
    """The table and the picture of what is done."""
    seeds = results(NAME)
    found = beside() | {f"learned, seed {r['seed']}": r for r in seeds}
    ways = ("usual, rewarded", "usual, not", "rare, rewarded", "rare, not")
    rows: list[list[Any]] = [["player", "reward a trial", *ways, "interaction", "CPU s"]]
    for name, one in found.items():
        stay = [f"{chance:.2f}" for chance in (*one["common"], *one["rare"])]
        seconds = f"{one['seconds']:.0f}" if "seconds" in one else ""
        rows.append([name, f"{one['reward']:.3f}", *stay, f"{one['interaction']:+.2f}", seconds])
    lines = [
        f"Reward a trial over {EPISODES:,} episodes of {TRIALS} trials that no training drew; and how often the option",
        "of a trial is chosen again, by the way that was taken and by whether it was rewarded, where which state pays",
        "is drawn in each trial. Who knows the ways stays after a reward behind the usual way and leaves after one",
        "behind the rare way: the interaction is positive. Without a model it is 0. [learning.md](../learning.md) says",
        "why it is measured there.",
        "",
        "![stay probabilities](twosteps.png)",
    ]
    write_table(NAME, "The two-step task, learned from reward", "python -m benchmarks.learners.two_step", lines, rows)
    write_whole(RESULTS / f"{NAME}.png", picture(found))


def picture(found: dict[str, Result]) -> bytes:
    """Bars as Daw et al. (2011) draw them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(found), 3.2), dpi=100, layout="constrained")
    for panel, (name, one) in zip(figure.subplots(1, len(found), sharey=True), found.items(), strict=True):
        panel.bar([0, 1], [one["common"][0], one["common"][1]], 0.38, color="C0", label="usual way")
        panel.bar([0.4, 1.4], [one["rare"][0], one["rare"][1]], 0.38, color="C3", label="rare way")
        panel.set_xticks([0.2, 1.2], ["rewarded", "not"])
        panel.set_title(name, fontsize=9)
        panel.set_ylim(0, 1)
        panel.legend(fontsize=7)
    figure.axes[0].set_ylabel("stays with the option")
    return png(figure)


def main() -> None:
    """Train what is not trained yet, and write the page."""
    parser = arguments("The two-step task, learned from reward.")
    parser.set_defaults(seeds=[0, 1, 2])
    options = parser.parse_args()
    if not options.table:
        each_seed(NAME, options.seeds, run)
    write()


if __name__ == "__main__":
    main()
