"""Few-shot learning (Lake et al. 2015): characters of alphabets that are generated from a seed, from one drawing each.

Shape legend: ``L`` drawings of a support set, ``T`` queries, ``B`` episodes, ``S`` pixels of a side.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from envs.images.world import PICTURE, SUPPORT
from envs.stepper import Ragged
from envs.world import Episodes
from meta.few_shot.classic import nearest_pixels
from meta.few_shot.learner import LEARNER, accuracy
from meta.talk.comparison import paired
from meta.talk.row import Effort, Found, Picture, Row, Run, file
from npi.learners.evaluate import evaluated

TASK = "alphabets"
"""Alphabets that no training has seen."""


def run(run: Run) -> Found:
    """Train on generated alphabets, and name characters of others, as the nearest drawing by pixels does."""
    library = run.train([file("learning/characters")])
    programs, task = library.task(TASK)
    mine, pixels, sheet = list[torch.Tensor](), list[float](), dict[str, list[list[float]]]()
    for part in evaluated(library, programs, task, count=run.effort.problems, seed=run.seed):
        run.heed()
        mine.append(accuracy(programs.world, part.episodes)["accuracy"])
        for place in range(len(part.problems)):
            support_LSS, query_TSS = pictures(part.episodes, place)
            right_T = part.state.label_BQ[place, : len(query_TSS)].numpy() - 1
            pixels.append(float(np.mean(nearest_pixels(support_LSS, query_TSS) == right_T)))
            sheet = sheet or {"one drawing of each": tiled(support_LSS), "to be named": tiled(query_TSS)}
    comparison = paired(100 * torch.cat(mine), 100 * torch.tensor(pixels))
    return Found(comparison, facts={"classes": "20 of an alphabet, one drawing of each"}, picture=Picture(images=sheet))


def pictures(episodes: Episodes, place: int) -> tuple[np.ndarray, np.ndarray]:
    """The support set and the queries of one episode, each N × S × S."""
    support = episodes.seen[0].channels[SUPPORT]
    assert isinstance(support, Ragged)
    steps = int(episodes.live_TB[:, place].sum())
    queries = [np.asarray(seen.channels[PICTURE][place]) for seen in episodes.seen[:steps]]
    return np.asarray(support.padded_BLX[place, : int(support.lengths_B[place])]), np.stack(queries)


def tiled(picture_NSS: np.ndarray, across: int = 10) -> list[list[float]]:
    """Drawings beside each other, ink dark, half as large."""
    rows = [np.concatenate([*picture_NSS[at : at + across, ::2, ::2]], 1) for at in range(0, len(picture_NSS), across)]
    whole = np.concatenate([row for row in rows if row.shape == rows[0].shape])
    return [[round(float(x), 2) for x in line] for line in whole / max(1e-6, float(whole.max()))]


ROW = Row(
    key="few-shot",
    title="Few-shot learning",
    claim="Learn a model that expects a few data at test time, and knows how to capitalise on this data",
    paper="20 ways, 1 shot on Omniglot: 96.0 % (Snell et al. 2017, prototypes), other alphabets and drawings than here",
    score="% of characters of new alphabets named right",
    control="the nearest drawing by pixels, on the same episodes",
    run=run,
    quick=Effort(replace(LEARNER.training, updates=300, check_every=100), 100),
    full=Effort(LEARNER.training, 1000),
)
