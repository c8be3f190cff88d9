"""Regret of the baselines of each family of bandits: ``python -m benchmarks.learners.bandit_baselines``.

Writes ``docs/results/bandit-baselines.md`` and the curves beside it. All agents of a family have the same episodes.
"""

from __future__ import annotations

import time

import torch

from benchmarks.common import plain_arguments, write
from envs.episodic.bandit import FAMILIES, Bandit
from meta.baselines.agent import Curve, rollout
from meta.baselines.bayes_optimal import plan
from meta.baselines.registry import lineup
from npi.reproduce.pages import Content
from npi.reproduce.plots import label, panels, png

ORDER = (
    "random", "UCB1", "Thompson", "Thompson, forgets", "Thompson, true prior", "Gittins", "Gittins, finite", "best",
    "oracle",
)  # fmt: skip

BEGIN = 100_000_000
"""The first episode's number: such as no task of programs/learning trains on."""

SHOWN = tuple(family for family in FAMILIES if family != "drawn")

Curves = dict[str, dict[str, Curve]]


def measure(episodes: int, seed: int) -> Curves:
    """Family → agent → regret so far."""
    found: Curves = {}
    for family in SHOWN:
        arms, steps = (11, 5) if family == "informative" else (2, 100)
        world = Bandit("arms", {"arms": arms, "steps": steps, "family": family})
        episode_B = torch.arange(BEGIN, BEGIN + episodes)
        none_B = torch.zeros_like(episode_B)
        found[family] = {}
        for name, make in lineup(world, family).items():
            began = time.perf_counter()
            agent = make(torch.Generator().manual_seed(seed))
            state = world.begin(episode_B, none_B + FAMILIES.index(family), none_B)
            regret = rollout(world, agent, state, steps).regret()
            found[family][name] = regret
            took = time.perf_counter() - began
            print(f"{family}, {name}: {_figure(regret)} ({took:.1f} s)", flush=True)
    return found


def contents(curves: Curves) -> dict[str, Content | bytes]:
    """The page's table, figures and picture."""
    rows = [["agent", *curves]]
    rows += [[name, *(_figure(found[name]) if name in found else "" for found in curves.values())] for name in ORDER]
    return {
        "regret": rows,
        "exact": f"{plan(100).regret:.4f}",
        "rollouts": _figure(curves["independent"]["best"]),
        "bandit-baselines.png": picture(curves),
    }


def _figure(curve: Curve) -> str:
    return f"{float(curve.mean_S[-1]):.2f} ± {float(curve.error_S[-1]):.2f}"


def picture(curves: Curves) -> bytes:
    """The curves as a PNG: a panel a family, bands of two standard errors."""
    figure, axes = panels(len(curves), across=4, size=(15, 7.5))
    for place, (family, found) in zip(axes, curves.items(), strict=True):
        for name in (n for n in ORDER if n in found and n != "oracle"):
            mean_S, error_S = found[name].mean_S, found[name].error_S
            pulls = range(1, 1 + len(mean_S))
            (line,) = place.plot(pulls, mean_S, label=name, color=f"C{ORDER.index(name)}", linewidth=1.4)
            place.fill_between(pulls, mean_S - 2 * error_S, mean_S + 2 * error_S, color=line.get_color(), alpha=0.2)
        second = sorted(float(c.mean_S[-1]) for c in found.values())[-2]
        place.set_ylim(0, second * 1.4)
        label(place, family, "pulls", "regret so far", legend="upper left")
    return png(figure)


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--episodes", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.perf_counter()
    found = contents(measure(options.episodes, options.seed))
    took = f"{time.perf_counter() - began:.0f}"
    write("bandit-baselines", {**found, "episodes": f"{options.episodes:,}", "seconds": took})


if __name__ == "__main__":
    main()
