"""Regret of the players that stand beside learners, on each family of bandits: ``python -m
benchmarks.learners.bandit_baselines``.

Writes ``docs/results/bandit-opponents.md`` and the curves beside it. All players of a family play the same episodes.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime

import torch

from benchmarks.common import RESULTS, machine, png
from envs.episodic.bandit import Bandit
from envs.episodic.bandit_families import FAMILIES
from meta.baselines.bayes_optimal import plan
from meta.baselines.registry import lineup
from meta.baselines.rollout import Curve, play
from npi.library.tensor_files import write_whole

ORDER = (
    "random", "UCB1", "Thompson", "Thompson, forgets", "Thompson, true prior", "Gittins", "Gittins, finite", "best",
    "oracle",
)  # fmt: skip

BEGIN = 100_000_000
"""The first episode's number: such as no task of programs/learning trains on."""

SHOWN = tuple(family for family in FAMILIES if family != "drawn")

Curves = dict[str, dict[str, Curve]]


def measure(episodes: int, seed: int) -> Curves:
    """Family → player → regret so far."""
    found: Curves = {}
    for family in SHOWN:
        arms, steps = (11, 5) if family == "informative" else (2, 100)
        world = Bandit("arms", {"arms": arms, "steps": steps, "family": family})
        episode_B = torch.arange(BEGIN, BEGIN + episodes)
        none_B = torch.zeros_like(episode_B)
        found[family] = {}
        for name, make in lineup(world, family).items():
            began = time.perf_counter()
            player = make(torch.Generator().manual_seed(seed))
            state = world.begin(episode_B, none_B + FAMILIES.index(family), none_B)
            regret = play(world, player, state, steps).regret()
            found[family][name] = regret
            took = time.perf_counter() - began
            print(f"{family}, {name}: {_figure(regret)} ({took:.1f} s)", flush=True)
    return found


def table(curves: Curves, episodes: int, took: float) -> str:
    """The figures as Markdown."""
    day = datetime.now(UTC).date()
    lines = [
        "# Opponents on bandits",
        "",
        f"Mean regret after 100 pulls (after 5 where one arm is informative) and standard errors over {episodes:,}",
        "episodes. What the families and the players are is in [learning.md](../learning.md#opponents).",
        f"`python -m benchmarks.learners.bandit_baselines` made this page on {day}; playing took {took:.0f} seconds.",
        f"{machine()}.",
        "",
        f"| player | {' | '.join(curves)} |",
        f"|---|{'---|' * len(curves)}",
    ]
    for name in ORDER:
        cells = [_figure(found[name]) if name in found else "" for found in curves.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", _remarks(curves), "", "![Curves](bandit-opponents.png)", ""])


def _remarks(curves: Curves) -> str:
    exact = plan(100).regret
    played = _figure(curves["independent"]["best"])
    return (
        f"The least mean regret that is possible on two independent arms is {exact:.4f}, worked out exactly; played\n"
        f"it came to {played}. *best* is the Bayes optimum in each column, on *restless* to the width of a grid. The\n"
        "regret of *oracle* is 0 by its definition: it is told what no player can find out.\n\n"
        "Wang et al. (2016) set their learners beside Gittins indices, UCB and Thompson sampling, as curves without a\n"
        "table, so there are no figures of theirs to put here."
    )


def _figure(curve: Curve) -> str:
    return f"{float(curve.mean_S[-1]):.2f} ± {float(curve.error_S[-1]):.2f}"


def picture(curves: Curves) -> bytes:
    """The curves as a PNG: a panel a family, bands of two standard errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 7.5), dpi=100, layout="constrained")
    places = list(figure.subplots(2, 4).flat)
    for place, (family, found) in zip(places, curves.items(), strict=False):
        for name in (n for n in ORDER if n in found and n != "oracle"):
            mean_S, error_S = found[name].mean_S, found[name].error_S
            pulls = range(1, 1 + len(mean_S))
            (line,) = place.plot(pulls, mean_S, label=name, color=f"C{ORDER.index(name)}", linewidth=1.4)
            place.fill_between(pulls, mean_S - 2 * error_S, mean_S + 2 * error_S, color=line.get_color(), alpha=0.2)
        second = sorted(float(c.mean_S[-1]) for c in found.values())[-2]
        place.set_ylim(0, second * 1.4)
        place.set_title(family, fontsize=10)
        place.set_xlabel("pulls")
        place.set_ylabel("regret so far")
        place.legend(fontsize=7, loc="upper left")
    for place in places[len(curves) :]:
        place.axis("off")
    return png(figure)


def main() -> None:
    """Play, and write the page and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()
    curves = measure(given.episodes, given.seed)
    write_whole(RESULTS / "bandit-opponents.png", picture(curves))
    write_whole(RESULTS / "bandit-opponents.md", table(curves, given.episodes, time.perf_counter() - began).encode())


if __name__ == "__main__":
    main()
