"""Learners from reward on bandits, beside Thompson sampling, UCB1, Gittins indices and the Bayes optimum.

    python -m benchmarks.learners.bandits                    # five seeds; a core for each family of Wang et al. (2016)
    python -m benchmarks.learners.bandits --seeds 0 1        # some of them
    python -m benchmarks.learners.bandits --table            # only write the page from what is done

A core is trained on one family and tried on all, as in section 3.1 of the paper. Results lie under ``runs/bandits``, a
file a seed, and the cores beside them; a run that was stopped goes on.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import RESULTS, RUNS, Result, arguments, each_seed, png, results, spread, write_table
from benchmarks.learners.bandit_baselines import BEGIN
from envs.episodic.bandit import Bandit
from envs.episodic.bandit_families import ELEVEN, FAMILIES
from meta.baselines.bayes_optimal import plan
from meta.baselines.learned_player import Learned
from meta.baselines.player import Player
from meta.baselines.registry import lineup
from meta.baselines.rollout import Played, play
from meta.reinforcement.network import MetaRLConfig
from npi.learners.core import HostedCore
from npi.learners.interface import HostedTraining, learner_of
from npi.learners.jobs import train_hosted, usual_config
from npi.library.library import Library
from npi.library.tensor_files import write_whole

NAME = "bandits"

PAIRS = ("independent", "uniform", "easy", "medium", "hard")
"""The families of the paper's matrix."""

TRAINED = (*PAIRS, "restless", "informative")

QUICK = HostedTraining(updates=400, batch=256, twins=4, rate=5e-3, check_every=100)
TRAINING = dict.fromkeys(TRAINED, QUICK) | {
    "independent": HostedTraining(updates=1000, batch=512, twins=1, rate=5e-3, check_every=250),
    "informative": HostedTraining(updates=1000, batch=512, twins=4, rate=5e-3, check_every=250),
}

SHAPED = {
    "independent": MetaRLConfig(hidden=64, tally=1, insight=1, regret=1, discount=1.0, trace=0.92, value=1.0),
    "informative": MetaRLConfig(entropy=0.3),
}
"""Where the usual settings do not do: what there is to gain is little, or an arm that pays little is to be tried long
enough."""

EPISODES, OTHERS = 50_000, 5000
"""On which players are tried; and on which cores are tried on families that they were not trained on."""

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


def folder(seed: int, family: str) -> Path:
    return RUNS / NAME / f"cores-{seed}" / family


def trained(seed: int, family: str) -> tuple[Library, float]:
    """The library of a core that was trained on one family, and the CPU seconds that this took; kept on disk."""
    out = folder(seed, family)
    clock = out.with_name(f"{family}.seconds")
    if not clock.exists():
        out.mkdir(parents=True, exist_ok=True)
        path = out.with_name(f"{family}.npi")
        path.write_text(text(family))
        training = HostedTraining(**{**TRAINING[family].to_json(), "seed": seed})
        began = time.process_time()
        train_hosted([path], out=out, config=SHAPED.get(family), training=training, fresh=True)
        clock.write_text(f"{time.process_time() - began:.1f}")
        print(f"  {family}: {clock.read_text()} CPU s", flush=True)
    return Library.open(out), float(clock.read_text())


def played(player: Player, family: str, episodes: int = EPISODES) -> Played:
    """Episodes of a family that no training drew, the same for all players."""
    world, steps = world_of(family)
    episode_B = torch.arange(BEGIN, BEGIN + episodes)
    none_B = torch.zeros_like(episode_B)
    return play(world, player, world.begin(episode_B, none_B + FAMILIES.index(family), none_B), steps)


@cache
def world_of(family: str) -> tuple[Bandit, int]:
    arms, steps = (ELEVEN, 5) if family == "informative" else (2, 100)
    return Bandit("arms", {"arms": arms, "steps": steps, "family": family}), steps


def player_of(library: Library) -> Learned:
    assert isinstance(library.core, HostedCore)
    return Learned(library.core, library.memory.embeddings_NP[0])


def run(seed: int) -> Result:
    """Train on each family, and try each core on all."""
    found: Result = {"seconds": {}, "matrix": {}, "curves": {}}
    for family in TRAINED:
        library, found["seconds"][family] = trained(seed, family)
        player = player_of(library)
        tests = [family] if family not in PAIRS else list(PAIRS)
        for test in tests:
            regret = played(player, test, EPISODES if test == family else OTHERS).regret()
            found["matrix"][f"{family} {test}"] = float(regret.mean_S[-1])
            if test == family:
                found["curves"][family] = regret.mean_S.tolist()
        if family == "independent":
            found["lost"] = lost(played(player, family))
        if family == "informative":
            found["asked"] = asked_first(played(player, family))
        print(f"  {family}: regret {found['matrix'][f'{family} {family}']:.2f}", flush=True)
    return found


def lost(plays: Played) -> float:
    """What choices among two independent arms lose, by the plan of the Bayes optimum."""
    return float(plan(len(plays.chosen_SB)).lost(plays.chosen_SB - 1, plays.reward_SB).sum(0).mean())


def asked_first(plays: Played) -> float:
    """The share of episodes that pull the arm that tells first, and the target ever after."""
    best_SB = plays.regret_SB < 1e-6
    return float(((plays.chosen_SB[0] == ELEVEN) & best_SB[1:].all(0)).float().mean())


def opponents(seed: int) -> Result:
    """Regret so far of the players that stand beside, on the same episodes."""
    found: Result = {}
    for family in TRAINED:
        world, _ = world_of(family)
        for name, make in lineup(world, family).items():
            if name in BESIDE:
                player = make(torch.Generator().manual_seed(seed))
                found[f"{family} {name}"] = played(player, family).regret().mean_S.tolist()
    return found


# --- the page --------------------------------------------------------------------------------------------------------


def write() -> None:
    """The table, the matrix and the pictures of what is done."""
    seeds = results(NAME)
    beside = results(f"{NAME}-opponents")[0]
    rows: list[list[Any]] = [["family", "learned", *BESIDE, "CPU s"]]
    for family in TRAINED:
        final = [result["matrix"][f"{family} {family}"] for result in seeds]
        cells = [f"{beside[f'{family} {n}'][-1]:.2f}" if f"{family} {n}" in beside else "" for n in BESIDE]
        rows.append([family, spread(final, 2), *cells, spread([r["seconds"][family] for r in seeds], 0)])
    asked = [100 * result["asked"] for result in seeds]
    more = [100 * result["lost"] / plan(100).regret for result in seeds]
    lines = [
        f"Mean regret after 100 pulls (after 5 where one of eleven arms is informative) over {EPISODES:,} episodes",
        "that no training drew, the same for all players; median and range of the seeds",
        f"{', '.join(str(r['seed']) for r in seeds)}. Each core was trained on its family alone. *best* is the Bayes",
        "optimum, the least regret that is possible. Families, players and the settings for independent arms are",
        "described in [learning.md](../learning.md).",
        "",
        f"Eleven arms: {spread(asked)} % of the episodes pull the arm that tells first, and the target ever after.",
        "",
        f"Two independent arms: the optimum's regret is {plan(100).regret:.3f}; by its plan, which has no luck of",
        f"episodes in it, what is learned loses {spread(more)} % more.",
        "",
        "![regret](bandits.png)",
        "",
        "![an episode before and after learning](bandit-episodes.png)",
        "",
        f"Trained on a family (rows), tried on another (columns, {OTHERS:,} episodes), mean of the seeds; the paper",
        "shows this as a picture.",
        "",
        *(f"| {' | '.join(row)} |" for row in _matrix(seeds)),
        "",
    ]
    write_table(NAME, "Bandits, learned from reward", "python -m benchmarks.learners.bandits", lines, rows)
    write_whole(RESULTS / "bandits.png", curves(seeds, beside))
    write_whole(RESULTS / "bandit-episodes.png", episodes(seeds[0]["seed"]))


def _matrix(seeds: list[Result]) -> list[list[str]]:
    rows = [["", *PAIRS], ["---"] * (1 + len(PAIRS))]
    for family in PAIRS:
        cells = [sum(r["matrix"][f"{family} {test}"] for r in seeds) / len(seeds) for test in PAIRS]
        rows.append([family, *(f"{cell:.2f}" for cell in cells)])
    return rows


def curves(seeds: list[Result], beside: Result) -> bytes:
    """Regret so far, a panel a family; a thin line a seed."""
    figure, place = _figure(2, 4, (15, 7))
    for panel, family in zip(place, TRAINED, strict=False):
        for number, result in enumerate(seeds):
            curve = result["curves"][family]
            label = None if number else "learned, a line a seed"
            panel.plot(range(1, 1 + len(curve)), curve, "k", linewidth=0.9, label=label)
        for number, name in enumerate(BESIDE):
            if f"{family} {name}" in beside:
                curve = beside[f"{family} {name}"]
                panel.plot(range(1, 1 + len(curve)), curve, f"C{number}", linewidth=1.3, label=name)
        panel.set_title(family, fontsize=10)
        panel.set_xlabel("pulls")
        panel.set_ylabel("regret so far")
        panel.legend(fontsize=7, loc="upper left")
    for panel in place[len(TRAINED) :]:
        panel.axis("off")
    return png(figure)


def episodes(seed: int, family: str = "medium", shown: int = 30) -> bytes:
    """Choices of some episodes, a line each, before and after learning."""
    library = Library.open(folder(seed, family))
    core = library.core
    assert isinstance(core, HostedCore)
    generator = torch.Generator().manual_seed(seed)
    untrained = HostedCore(usual_config(learner_of("meta-rl")), core.worlds, generator=generator)
    players = {
        "before learning": Learned(untrained, torch.randn(core.config.row, generator=generator)),
        "after learning": player_of(library),
    }
    figure, place = _figure(1, 2, (12, 4))
    for panel, (name, player) in zip(place, players.items(), strict=True):
        plays = played(player, family, shown)
        best_BS = (plays.regret_SB < 1e-6).T
        panel.imshow(best_BS, aspect="auto", cmap="Blues", vmin=-0.3, vmax=1.2, interpolation="nearest")
        panel.set_title(f"{name}: dark where the better arm is pulled ({family})", fontsize=10)
        panel.set_xlabel("pull")
        panel.set_ylabel("episode")
    return png(figure)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=100, layout="constrained")
    return figure, list(figure.subplots(rows, columns).flat)


def main() -> None:
    """Train what is not trained yet, and write the page."""
    options = arguments("Bandits, learned from reward.").parse_args()
    if not options.table:
        each_seed(f"{NAME}-opponents", [0], opponents)
        each_seed(NAME, options.seeds, run)
    write()


if __name__ == "__main__":
    main()
