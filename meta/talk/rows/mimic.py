"""Over-imitation (Horner and Whiten 2005) and MetaMimic (Le Paine et al. 2018) on the puzzle box: copy all that a
demonstrator did, from more and more demonstrations, by larger networks with and without normalisation.

Shape legend: ``B`` boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from dsl import loads
from envs.control.puzzle_box_settings import IRRELEVANT
from meta.mimic.learner import LEARNER
from meta.mimic.network import MimicConfig
from meta.talk.comparison import paired, unpaired
from meta.talk.row import Effort, Found, Picture, Row, Run, file, scores, untrained
from npi.jobs.learners import usual_config
from npi.library.library import Library

FILE = "learning/puzzlebox"

LIKENESS = "likeness"


def text(demonstrations: int, *programs: str) -> str:
    """The program file of the engine with so many demonstrations and these programs and their tasks alone."""
    whole = file(FILE).read_text(encoding="utf-8").replace("demonstrations: 500", f"demonstrations: {demonstrations}")
    head, *parts = whole.split("\n\n")
    kept = [part for part in parts if any(f"program {name} " in part or f"run {name}" in part for name in programs)]
    return "\n\n".join([head, *kept]).rstrip("\n") + "\n"


def over_imitation(run: Run) -> Found:
    """Two rows of one core: IMITATE, which is shown a demonstration it never saw, and SOLVE, which is to get the
    reward; irrelevant steps that each does."""
    library = run.train([file(FILE)])
    random = untrained([file(FILE)], usual_config(LEARNER), run.seed)

    def shares(one: Library, task: str) -> torch.Tensor:
        return 100 * scores(one, task, run.effort.problems, run.seed, "irrelevant") / IRRELEVANT

    imitate_B, solve_B = shares(library, "unseen"), shares(library, "unseensolved")
    success = {
        task: scores(library, task, run.effort.problems, run.seed, "reward") for task in ("unseen", "unseensolved")
    }
    return Found(
        unpaired(imitate_B, solve_B),
        beside={"IMITATE of random weights": float(shares(random, "unseen").mean())},
        facts={"the reward": f"IMITATE gets it in {100 * float(success['unseen'].mean()):.0f} % of boxes, SOLVE in "
               f"{100 * float(success['unseensolved'].mean()):.0f} %: copying less says something of SOLVE only where "
               "it gets it"},
    )  # fmt: skip


def likeness(library: Library, task: str, run: Run) -> torch.Tensor:
    """float64 B: to the demonstrations of a task, 1 at most, per frame."""
    return scores(library, task, run.effort.problems, run.seed, LIKENESS)


def demonstrations(run: Run) -> Found:
    """Likeness to demonstrations that were never seen, by how many training had."""
    counts: Sequence[int] = run.effort.more["demonstrations"]
    unseen, seen = dict[int, torch.Tensor](), dict[int, torch.Tensor]()
    for count in counts:
        library = run.train([loads(text(count, "IMITATE"))], name=f"of-{count}")
        unseen[count], seen[count] = likeness(library, "unseen", run), likeness(library, "imitate", run)
    few, most = counts[0], counts[-1]
    curves: Mapping[str, Mapping[int, torch.Tensor]] = {"unseen": unseen, "seen": seen}
    return Found(
        paired(unseen[most], unseen[few]),
        beside={f"{kind}, of {count}": float(one[count].mean()) for kind, one in curves.items() for count in counts},
        picture=Picture("demonstrations", "likeness", {
            kind: [[float(count) for count in counts], [float(one[count].mean()) for count in counts]]
            for kind, one in curves.items()
        }),
    )  # fmt: skip


def networks(run: Run) -> Found:
    """Likeness to demonstrations that were never seen, by width of the networks and with layer normalisation or not."""
    widths: Sequence[int] = run.effort.more["widths"]
    found = dict[tuple[int, int], torch.Tensor]()
    for units in widths:
        for normalised in (1, 0):
            config = MimicConfig(units=units, normalised=normalised)
            name = named(units, normalised).replace(", ", "-").replace(" ", "-")
            library = run.train([loads(text(500, "IMITATE"))], name=name, config=config)
            found[units, normalised] = likeness(library, "unseen", run)
    large, small = found[widths[-1], 1], found[widths[0], 0]
    curves: dict[str, list[list[float]]] = {
        name: [[float(u) for u in widths], [float(found[u, normalised].mean()) for u in widths]]
        for name, normalised in (("normalised", 1), ("not normalised", 0))
    }
    return Found(
        paired(large, small),
        beside={named(*key): float(one.mean()) for key, one in found.items()},
        picture=Picture("units of a layer", "likeness", curves),
    )


def named(units: int, normalised: int) -> str:
    return f"{units} units{', normalised' if normalised else ''}"


def effort(updates: int, problems: int, **more: Any) -> Effort:
    """The learner's usual training with so many updates."""
    return Effort(replace(LEARNER.training, updates=updates, check_every=min(10, updates)), problems, more)


OVER_IMITATION = Row(
    key="over-imitation",
    title="Over-imitation",
    claim="Children copy everything; chimps copy only the necessary actions, and ignore the rest",
    paper="children do irrelevant steps on a transparent box, too; chimpanzees leave them out (Horner and Whiten 2005)",
    score="% of irrelevant steps of unseen demonstrations that IMITATE does",
    control="SOLVE, the other row of the same core, which sees no demonstration",
    run=over_imitation,
    quick=effort(30, 300),
    full=Effort(LEARNER.training, 1000),
)

METAMIMIC = Row(
    key="metamimic",
    title="MetaMimic: likeness by the number of demonstrations",
    claim="Important: generalize to new trajectories",
    paper="with many demonstrations unseen ones are followed as seen ones (figure, no table; Le Paine et al. 2018)",
    score="likeness to unseen demonstrations after training on the most demonstrations (1 at most)",
    control="after training on one demonstration, with as many updates",
    run=demonstrations,
    quick=effort(20, 300, demonstrations=(1, 500)),
    full=effort(LEARNER.training.updates, 1000, demonstrations=(1, 10, 50, 100, 500)),
)

NETWORKS = Row(
    key="network-ablation",
    title="MetaMimic: width and normalisation of the networks",
    claim="Massive deep nets are essential for generalization, and yes, they can be trained with RL",
    paper="larger networks with normalisation are best (curves, no table; Le Paine et al. 2018)",
    score="likeness to unseen demonstrations of the widest networks, normalised (1 at most)",
    control="the narrowest ones, not normalised, with as many updates",
    run=networks,
    quick=effort(20, 300, widths=(32, 128)),
    full=effort(LEARNER.training.updates, 1000, widths=(64, 256, 512)),
)
