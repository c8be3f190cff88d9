"""Rows of the pen's recipe: from one demonstration each, by every way there is, and by a learned loss without actions.

Shape legend: ``N`` drawings, ``P`` parameters of a row.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.learners.pen_scenes import (
    FIRST,
    PUSHED,
    QUIET,
    TESTED,
    TRAINED,
    digits,
    drawn,
    layouts,
    opened,
    world,
)
from envs.control.demonstrations import of_episodes
from envs.control.pen import Pen
from envs.world import Episodes, Layout
from meta.imitation.adaptation import AdaptationConfig, AdaptationLoss, LearnedAdaptation, task_of
from meta.imitation.following import FollowingCore
from meta.imitation.learner import LEARNER, Core
from meta.imitation.network import ALONG, ImitationConfig
from npi.learners.core import LearnerProgramCore, learner_program_core
from npi.learners.learn_from_demonstrations import row_from_demonstrations
from npi.learners.objectives.base import masked_mean
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.training.loop import Schedule, fit

ADAPTATION, ADAPTED = AdaptationConfig(steps=3, rate=2e-2), 1000
"""Of the learned loss, and updates of its training, each on :data:`PAIRS` demonstrations."""

PAIRS = 16

ROW_DRAWINGS, ROW_SCENES = range(1, 73, 4), 10
"""Drawings of which rows are made, each from one demonstration, and new sheets for each, half of them with a push."""

FINE_TUNED = ((30, 1e-4), (100, 3e-4))
"""Steps of fine-tuning, and their rate."""

FAR = replace(LEARNER.learning, updates=100, row_rate=1e-2)
"""How rows are learned beside random weights, which have further to go."""

# --- rows -------------------------------------------------------------------------------------------------------------


def evidence_of(place: Pen, drawings: Sequence[int], seed: int) -> Episodes:
    """One demonstration of each drawing of the test split, on a sheet of its own."""
    begun = [
        {"EPISODE": digits(2 * FIRST + drawing), "DRAWING": digits(drawing), "SPLIT": [TESTED], "PUSH": [QUIET]}
        for drawing in drawings
    ]
    return place.demonstrate(begun, generator=torch.Generator().manual_seed(1000 + seed))


def row_layouts(drawings: Sequence[int]) -> list[Layout]:
    """Half of the scenes of a drawing without a push, then half with one."""
    half = ROW_SCENES // 2
    return [one for n in drawings for push in (QUIET, PUSHED) for one in layouts(TESTED, push, [n], half)]


def usual_rows(core: FollowingCore) -> torch.Tensor:
    """row_P: the mean of the rows that drawings of training are made into."""
    begun: list[Layout] = [{"EPISODE": digits(number), "SPLIT": [TRAINED]} for number in range(200)]
    place = world()
    with torch.no_grad():
        return core.inferred(core.read(place.observe(place.reset(begun)))).mean(0)


def rows(seed: int) -> Result:
    """Each way to a row from one demonstration: scores, drawing by drawing, and CPU seconds of the gradient."""
    library, core = followed(seed)
    held, place = learner_program_core(library.core), world(shown="no")
    digest, kept_NP = held.digest(), library.memory.embeddings_NP.detach().clone()
    mean_P = usual_rows(core)
    found: dict[str, Any] = {"seconds": []}

    def note(name: str, net: Core, row_P: torch.Tensor, drawing: int) -> None:
        begun = row_layouts([drawing])
        for score, values in drawn(net, place, begun, row_P.expand(len(begun), -1)).items():
            found.setdefault(name, {}).setdefault(score, []).extend(values)

    for drawing in ROW_DRAWINGS:
        evidence = evidence_of(place, [drawing], seed)
        with torch.no_grad():
            told_P = core.inferred(of_episodes(evidence, core.sizes))[0]
        note("inferred", core, told_P, drawing)
        note("mean", core, mean_P, drawing)
        began = time.process_time()
        learned = row_from_demonstrations(held, place.spec, 0, evidence, mean_P, LEARNER.learning)
        found["seconds"].append(time.process_time() - began)
        note("gradient", core, learned.row_P, drawing)
        for steps, rate in FINE_TUNED:
            note(f"fine-tuned, {steps}", *fine_tuned(core, place, evidence, told_P, steps, rate), drawing)
        untrained = beside_random(held, seed)
        beside = row_from_demonstrations(untrained, place.spec, 0, evidence, mean_P, FAR)
        note("random", untrained.net, beside.row_P, drawing)  # type: ignore[arg-type]
    found["unchanged"] = held.digest() == digest and torch.equal(kept_NP, library.memory.embeddings_NP)
    return found


def followed(seed: int) -> tuple[Library, FollowingCore]:
    """The trained core that follows."""
    library, core = opened(ALONG, seed)
    assert isinstance(core, FollowingCore)
    return library, core


def beside_random(held: LearnerProgramCore, seed: int) -> LearnerProgramCore:
    """A core of random weights in place of the trained ones."""
    found, config = copy.deepcopy(held), held.config
    assert isinstance(config, ImitationConfig)
    found.net = LEARNER.core(config, held.worlds, generator=torch.Generator().manual_seed(77 + seed))
    return found


def fine_tuned(
    core: Core, place: Pen, evidence: Episodes, row_P: torch.Tensor, steps: int, rate: float
) -> tuple[Core, torch.Tensor]:
    """All weights and the row, moved so that the demonstrated actions become likelier."""
    net, row_1P = copy.deepcopy(core), nn.Parameter(row_P[None].clone())
    optimizer = torch.optim.Adam([*net.parameters(), row_1P], lr=rate)
    for _ in range(steps):
        task = task_of(place.spec, 0, row_1P)
        unrolled = net.unroll(task, evidence, net.begin(task))
        optimizer.zero_grad()
        (-masked_mean(unrolled["log_likelihood"], evidence.live_TB)).backward()
        optimizer.step()
    return net, row_1P.detach()[0]


# --- a learned loss, without actions ----------------------------------------------------------------------------------


def pairs_of(place: Pen, seed: int) -> Callable[[int], tuple[Episodes, Episodes]]:
    """By the number of an update: demonstrations of drawings of training, and others of the same on other sheets."""

    def pairs(number: int) -> tuple[Episodes, Episodes]:
        rng = np.random.default_rng([seed, 1 + number])
        drawings = 1 + rng.integers(len(place.numbers[TRAINED]), size=PAIRS)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        both_sheets = [
            [{"EPISODE": digits(int(e)), "DRAWING": digits(int(d)), "PUSH": [push]}
             for e, d in zip(rng.integers(10**8, size=PAIRS), drawings, strict=True)]
            for push in (QUIET, 0)
        ]  # fmt: skip
        shown, other = (place.demonstrate(begun, generator=generator) for begun in both_sheets)
        return shown, other

    return pairs


def adapted(seed: int) -> Result:
    """Rows by a learned loss, of demonstrations without actions."""
    _, core = followed(seed)
    core.requires_grad_(False)
    place = world(shown="no")
    learned = AdaptationLoss(core, usual_rows(core), replace(ADAPTATION, seed=seed))
    objective = LearnedAdaptation(core, 0, place.spec, learned, pairs_of(place, seed))
    began = time.process_time()
    falls = Schedule(ADAPTED, 100, lambda n: 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * n / ADAPTED)), 1.0)
    fit(objective, falls, report=lambda p: print(p.update, p.scores, flush=True) if p.update % 100 == 0 else None)
    seconds = time.process_time() - began
    began = time.process_time()
    with torch.no_grad():
        row_NP = learned(core, 0, place.spec, evidence_of(place, ROW_DRAWINGS, seed))
        start_NP = learned.start_P.expand_as(row_NP)
    took = (time.process_time() - began) / len(ROW_DRAWINGS)
    begun = row_layouts(ROW_DRAWINGS)
    found = {
        name: drawn(core, place, begun, each_NP.detach().repeat_interleave(ROW_SCENES, 0))
        for name, each_NP in (("learned loss", row_NP), ("its start", start_NP))
    }
    return {**found, "seconds": seconds, "each": took}
