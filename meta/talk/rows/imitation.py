"""One-shot imitation (Duan et al. 2017, appendix): a point mass goes to the landmark that one demonstration tells.

Shape legend: ``B`` scenes, ``L`` moments.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from envs.control.demonstrations import DEMONSTRATION
from envs.control.reaching import Reaching
from envs.stepper import Observation, Ragged
from envs.world import Episodes, Layout
from meta.imitation.learner import LEARNER
from meta.talk.comparison import paired
from meta.talk.row import Effort, Found, Picture, Row, Run, file, row_of
from npi.learners.core import learner_program_core
from npi.learners.interface import TaskInput
from npi.learners.rollout import rollout
from npi.library.library import Library

FIRST = 10**9
"""The first scene's number: training draws eight digits."""

STEPS = 30

LANDMARKS = 10

TRAINING = replace(LEARNER.training, updates=400, inferred=0.0, check_every=100, problems=100)


@torch.no_grad()
def tried(library: Library, count: int, *, shifted: bool) -> tuple[torch.Tensor, Episodes]:
    """float64 B: whether the right landmark was reached, of a colour that no training aims at.

    Args:
        shifted: each scene is told by the demonstration of the next one.
    """
    world = library.sets[0].world
    assert isinstance(world, Reaching)
    scenes: list[Layout] = [
        {"EPISODE": [int(digit) for digit in str(FIRST + number)], "COUNT": [LANDMARKS], "SPLIT": [1]}
        for number in range(count)
    ]
    state = world.reset(scenes)
    net, row_P = learner_program_core(library.core).net, row_of(library, "reaching.REACH")
    task = TaskInput(world.spec, 0, row_P.expand(count, -1), torch.zeros(count, 3, dtype=torch.int64))
    seen = world.observe(state)
    hidden_BH = net.begin(task, moved_on(seen) if shifted else seen)
    episodes = rollout(net, world, state, task, hidden_BH, STEPS)[0]
    return episodes.scores["success"][-1].double(), episodes


def moved_on(seen: Observation) -> Observation:
    """What is observed, with the demonstration of the next instance in place of its own."""
    held = seen.channels[DEMONSTRATION]
    assert isinstance(held, Ragged)
    other = Ragged(held.padded_BLX.roll(-1, 0), held.lengths_B.roll(-1, 0))
    return Observation(seen.fields_BF, {**seen.channels, DEMONSTRATION: other})


def run(run: Run) -> Found:
    """Train, and go by a scene's demonstration or by that of another scene."""
    library = run.train([file("learning/reaching")])
    mine_B, episodes = tried(library, run.effort.problems, shifted=False)
    other_B, _ = tried(library, run.effort.problems, shifted=True)
    return Found(
        paired(100 * mine_B, 100 * other_B),
        facts={"landmarks": f"{LANDMARKS} in each scene; goals of colours that no training aims at"},
        picture=Picture("across the plane", "along it", {
            f"scene {number}": [
                [float(seen.channels["body"][number][axis]) for seen in episodes.seen] for axis in (0, 1)
            ]
            for number in range(5)
        }),
    )  # fmt: skip


ROW = Row(
    key="imitation",
    title="One-shot imitation",
    claim="One-shot imitation learning",
    paper="100 % up to nine landmarks; 91.9 % at ten by its plain LSTM (Duan et al. 2017, appendix)",
    score=f"% of new scenes of {LANDMARKS} landmarks in which the demonstrated one is reached",
    control="the same core, told by the demonstration of another scene",
    run=run,
    quick=Effort(replace(TRAINING, updates=250, check_every=125), 500),
    full=Effort(TRAINING, 1000),
)
