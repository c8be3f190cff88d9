"""Experiments with blocks that agents of recipes are compared on, and agents that are no rows.

Shape legend: ``B`` experiments, ``K`` observations of one.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.common import ROOT
from benchmarks.learners.descent import descend
from dsl import load
from envs.physics.blocks import BETAS, DISCOUNTS, Blocks, BlocksState
from meta.baselines.blocks import Experimenter, Experiments, StoppingPlan, Weigher, experiments
from meta.baselines.experimenters import PosteriorTransformer, RandomPokeClassifier, random_pokes, stopped, surest
from npi.reproduce.ledger import Result

FILE = ROOT / "programs" / "learning" / "heavier.npi"
PIXELS = ROOT / "programs" / "learning" / "seenheavier.npi"

SETTINGS = {
    f"{name}{beta}": (beta, discount)
    for discount, name in (("0.95", "QUICK"), ("0.99", "PATIENT"))
    for beta in ("3", "5", "10")
}
"""β and discount of the six programs."""

BEGIN = 10**8
"""Numbers of episodes from here on are those of tests: training draws eight digits."""

COUNT, OTHERS = 100_000, 10_000
"""Experiments of each setting, the same for all, and of each new question."""

VALIDATION = BEGIN // 2
"""Where episodes begin by which settings of opponents are chosen; none of them is tested on."""

GAPS = np.linspace(-0.4, 1.0, 15)
"""Edges of bins of the gap between the heavy block's draw and the largest light one."""

RANDOM_POKES = 10
"""The most of the classifier, any block at each poke."""

SURE = (*np.linspace(0.3, 0.95, 27), 0.96, 0.97, 0.98, 0.99, 0.995, 0.999)
"""Chances of the likeliest answer at which the transformer may stop."""

UPDATES, BATCH = 800, 512
"""Of the classifier's training and of the transformer's."""


@cache
def world(file: Path = FILE) -> Blocks:
    found = load(file).world
    assert isinstance(found, Blocks)
    return found


def begun(
    beta: str, discount: str, question: str = "heavy", *, count: int = COUNT, first: int = BEGIN, within: Path = FILE
) -> BlocksState:
    """Experiments from a number on; blocks are the same ones in the worlds of both files."""
    episode_B = torch.arange(first, first + count)
    asked = BETAS.index(beta), DISCOUNTS.index(discount), world(within).questions.index(question)
    return world(within).begin(episode_B, *(torch.full_like(episode_B, index) for index in asked))


def tried(
    agent: Experimenter,
    beta: str,
    discount: str,
    question: str = "heavy",
    *,
    count: int = COUNT,
    within: Path = FILE,
) -> Experiments:
    return experiments(world(within), agent, begun(beta, discount, question, count=count, within=within))


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


def opponents() -> Result:
    """On the same experiments: the optimum, fixed numbers of pokes, and networks that are shown random pokes."""
    found: Result = {"settings": {}, "gaps": {}}
    blocks, generator = world().config.blocks, torch.Generator().manual_seed(0)
    classifier = RandomPokeClassifier(blocks, generator=generator)
    trained(classifier, RANDOM_POKES, 5e-3, repeat=True)
    transformer = PosteriorTransformer(blocks, 1 + blocks, generator=generator)
    found["seconds"] = trained(transformer, blocks, 2e-3, repeat=False)
    for name, (beta, discount) in SETTINGS.items():
        plan = StoppingPlan(blocks, float(beta), float(discount))
        best = tried(Weigher(world().config, plan), beta, discount)
        found["gaps"][name] = by_gap(best, beta, discount)
        here = {"optimum": best.means() | {"plan": plan.start}}
        for pokes in range(blocks + 1):
            here[f"{pokes} pokes"] = tried(Weigher(world().config, plan, pokes=pokes), beta, discount).means()
        here["classifier"] = fixed_pokes(classifier, beta, discount)
        here["transformer"] = until_sure(transformer, beta, discount)
        first = float(best.return_B[:OTHERS].mean())  # of the experiments that cores are tried on from pixels
        found["settings"][name] = here | {"first": first}
        print(f"  {name}: {here}", flush=True)
    return found


def trained(net: nn.Module, pokes: int, rate: float, *, repeat: bool) -> float:
    """Train a network on right answers of random experiments with any β; the CPU seconds."""
    generator = torch.Generator().manual_seed(0)

    def loss() -> torch.Tensor:
        episode_B = torch.randint(10**7, VALIDATION, (BATCH,), generator=generator)
        beta_B = torch.randint(1, len(BETAS), (BATCH,), generator=generator)
        state = world().begin(episode_B, beta_B, torch.zeros_like(beta_B), torch.zeros_like(beta_B))
        log_KBN = net(random_pokes(world(), state, pokes, repeat=repeat, generator=generator))
        return cross_entropy(log_KBN.flatten(0, 1), state.heavy_B.repeat(1 + pokes))

    return descend([([*net.parameters()], rate)], loss, updates=UPDATES)


@torch.no_grad()
def said(
    net: nn.Module, pokes: int, beta: str, discount: str, *, repeat: bool, first: int, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """log_KBN of random experiments from a number on, and heavy_B."""
    state = begun(beta, discount, count=count, first=first)
    generator = torch.Generator().manual_seed(first)
    shown_KBX = random_pokes(world(), state, pokes, repeat=repeat, generator=generator)
    return torch.cat([net(part_KBX) for part_KBX in shown_KBX.split(OTHERS, 1)], 1), state.heavy_B


def fixed_pokes(net: nn.Module, beta: str, discount: str) -> Result:
    """After the number of random pokes that is best on validation episodes."""

    def returns(first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        log_KBN, heavy_B = said(net, RANDOM_POKES, beta, discount, repeat=True, first=first, count=count)
        right_K = (log_KBN.argmax(2) == heavy_B).double().mean(1)
        return (2 * right_K - 1) * float(discount) ** torch.arange(1 + RANDOM_POKES), right_K

    pokes = int(returns(VALIDATION, OTHERS)[0].argmax())
    return_K, right_K = returns(BEGIN, COUNT)
    return {"return": float(return_K[pokes]), "right": float(right_K[pokes]), "pokes": float(pokes)}


def until_sure(net: nn.Module, beta: str, discount: str) -> Result:
    """Until an answer is as likely as is best on validation episodes."""
    pokes = world().config.blocks
    checked = said(net, pokes, beta, discount, repeat=False, first=VALIDATION, count=OTHERS)
    sure = surest(*checked, float(discount), SURE)
    tested = said(net, pokes, beta, discount, repeat=False, first=BEGIN, count=COUNT)
    return stopped(*tested, sure=sure, discount=float(discount)).means() | {"sure": float(sure)}
