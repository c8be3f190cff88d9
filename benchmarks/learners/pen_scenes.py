"""What the stages of the pen's recipe share: what is trained, scenes, and a core in them.

Shape legend: ``B`` scenes, ``P`` parameters of a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import RUNS
from envs.control.pen import Pen, judged
from envs.world import Layout
from meta.imitation.adaptation import task_of
from meta.imitation.learner import LEARNER, Core
from meta.imitation.network import ALONG, RECURRENT, ImitationConfig
from npi.learners.core import learner_program_core
from npi.learners.objectives.imitation import CloningTraining
from npi.learners.rollout import rollout
from npi.library.library import Library

NAME, DATA = "pen", "people"

FIRST = 10**9
"""The first scene's number."""

TRAINED, VALIDATED, TESTED = range(3)
"""The splits."""

DRAWINGS = {VALIDATED: 78, TESTED: 72}
"""How many each has."""

QUIET, PUSHED = 1, 2
"""Of ``PUSH``."""

SCENES = 5
"""New sheets for each drawing, without a push, and as many with one."""

SHOWN = replace(
    LEARNER.training, updates=450, batch=48, rate=8e-3, cloned=50, kept=1.0, inferred=0.0, silent=0.6, check_every=150,
    problems=40,
)  # fmt: skip

VARIANTS: Mapping[str, tuple[ImitationConfig, CloningTraining]] = {
    ALONG: (ImitationConfig(reads=ALONG, row=64, moments=101), replace(SHOWN, inferred=0.5)),
    "attention": (ImitationConfig(moments=50, dilated=3), replace(SHOWN, updates=1000, rate=6e-3)),
    RECURRENT: (ImitationConfig(reads=RECURRENT), replace(SHOWN, updates=1000, rate=1e-3)),
}
"""What is trained. The core that follows has less than a minute; the others, which do not learn it in that, more."""

Scores = dict[str, list[float]]


def folder(variant: str, seed: int) -> Path:
    """Of the trained library."""
    return RUNS / NAME / f"{variant}-{seed}"


def world(**settings: Any) -> Pen:
    return Pen("sheet", {"data": DATA, **settings})


def digits(number: int) -> list[int]:
    return [int(digit) for digit in str(number)]


def layouts(split: int, push: int, drawings: Sequence[int], scenes: int) -> list[Layout]:
    """New sheets for some drawings of a split, drawing by drawing."""
    return [
        {"EPISODE": digits(FIRST + 1000 * drawing + scene), "DRAWING": digits(drawing), "SPLIT": [split],
         "PUSH": [push]}
        for drawing in drawings for scene in range(scenes)
    ]  # fmt: skip


def all_layouts(split: int, push: int) -> list[Layout]:
    return layouts(split, push, range(1, DRAWINGS[split] + 1), SCENES)


def opened(variant: str, seed: int) -> tuple[Library, Core]:
    """The trained library, and its network."""
    library = Library.open(folder(variant, seed))
    core: Any = learner_program_core(library.core).net
    return library, core


@torch.no_grad()
def drawn(core: Core, place: Pen, begun: Sequence[Layout], row_BP: torch.Tensor) -> Scores:
    """The scores of a core, by the demonstration where the world shows one, else by rows alone."""
    state = place.reset(begun)
    task = task_of(place.spec, 0, row_BP)
    rollout(core, place, state, task, core.begin(task, place.observe(state)), place.config.steps)
    return listed(judged(state.trail_BT3, state))


def listed(scores: Mapping[str, torch.Tensor]) -> Scores:
    return {name: score_B.tolist() for name, score_B in scores.items()}
