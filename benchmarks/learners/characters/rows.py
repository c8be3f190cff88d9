"""What a row of a new alphabet buys beside the mean row, and all parameters beside a row.

A row comes from the examples of an episode (inferred in one pass, or by gradient from changed copies of them), or from
characters of the alphabet that are not asked for: half of them, all drawings.

Shape legend: ``S`` pixels of a side, ``W`` ways, ``M`` drawings of a class, ``Q`` queries, ``P`` parameters of a row.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.learners.characters.alphabets import Alphabet
from benchmarks.learners.characters.networks import CHANGES, OurNetwork, encoded
from benchmarks.learners.descent import descend
from meta.few_shot.augmentation import augmented

EPISODES = 2
"""Support sets of each alphabet, each with five queries of a class."""

ROW_RATE, ALL_RATE = 3e-2, 3e-4
"""Chosen on the alphabets of validation."""

UPDATES = {"examples": 24, "characters": 40}
"""Of gradient descent, by what is learned from; a row takes under 5 CPU s."""

WAYS = 20

Loss = Callable[[], torch.Tensor]


def rows(net: OurNetwork, test: Sequence[Alphabet]) -> dict[str, float]:
    """Wrong answers in % in the mean over alphabets, by what the row is; and the CPU seconds of a learned one."""
    kept = {name: part.clone() for name, part in net.state_dict().items()}
    found: dict[str, list[float]] = {}
    for alphabet in test:
        for number in range(EPISODES):
            generator = torch.Generator().manual_seed(1000 + number)
            for name, wrong in _from_examples(net, kept, alphabet, generator).items():
                found.setdefault(f"examples: {name}", []).append(wrong)
        for name, wrong in _from_characters(net, kept, alphabet).items():
            found.setdefault(f"characters: {name}", []).append(wrong)
    net.load_state_dict(kept)
    net.row_P = net.rows_AP.detach().mean(0)
    return {name: statistics.mean(each) for name, each in found.items()}


def _from_examples(
    net: OurNetwork, kept: dict[str, torch.Tensor], alphabet: Alphabet, generator: torch.Generator
) -> dict[str, float]:
    """One drawing of each of 20 classes to learn from, five others of each to name by them."""
    place_WM = alphabet.episode(WAYS, 6, generator)
    support_NSS = alphabet.drawing_NSS[place_WM[:, 0]]
    query_NSS = alphabet.drawing_NSS[place_WM[:, 1:].flatten()]
    label_Q = torch.arange(len(place_WM)).repeat_interleave(place_WM.shape[1] - 1)

    def wrong(row_P: torch.Tensor) -> float:
        net.row_P = row_P
        said_Q = net.distance(encoded(net, query_NSS), encoded(net, support_NSS)).argmin(1)
        return 100 * float((said_Q != label_Q).float().mean())

    def loss() -> torch.Tensor:
        both_NSS = torch.cat([support_NSS, augmented(support_NSS, CHANGES, generator=generator)])
        return _naming(net.encoded(both_NSS), net, len(support_NSS))

    found = {"mean row": wrong(net.rows_AP.detach().mean(0)), "another alphabet's row": wrong(net.rows_AP[0].detach())}
    with torch.no_grad():
        found["inferred row"] = wrong(net.inferred(support_NSS))
    return found | _learned(net, kept, loss, wrong, UPDATES["examples"])


def _from_characters(net: OurNetwork, kept: dict[str, torch.Tensor], alphabet: Alphabet) -> dict[str, float]:
    """Every second character to learn from; the others are named from one drawing of each, 20 episodes."""
    known = Alphabet(alphabet.name, alphabet.drawing_NSS, alphabet.classes[::2])
    asked = Alphabet(alphabet.name, alphabet.drawing_NSS, alphabet.classes[1::2])
    generator = torch.Generator().manual_seed(2000)
    episodes = [asked.episode(WAYS, 6, generator) for _ in range(20)]

    def wrong(row_P: torch.Tensor) -> float:
        net.row_P, each = row_P, []
        place_N = torch.cat(asked.classes)
        code_ND = torch.zeros(len(alphabet.drawing_NSS), net.core.map_size)
        code_ND[place_N] = encoded(net, alphabet.drawing_NSS[place_N])
        for place_WM in episodes:
            W, M = place_WM.shape
            distance_QW = net.distance(code_ND[place_WM[:, 1:].flatten()], code_ND[place_WM[:, 0]])
            each.append(float((distance_QW.argmin(1) != torch.arange(W).repeat_interleave(M - 1)).float().mean()))
        return 100 * statistics.mean(each)

    def loss() -> torch.Tensor:
        place_WM = known.episode(WAYS, 2, generator)
        drawing_NSS = augmented(alphabet.drawing_NSS[place_WM.T.flatten()], CHANGES, generator=generator)
        return _naming(net.encoded(drawing_NSS), net, len(place_WM))

    found = {"mean row": wrong(net.rows_AP.detach().mean(0))}
    with torch.no_grad():
        drawing_NSS = alphabet.drawing_NSS[known.episode(WAYS, 2, generator).flatten()]
        found["inferred row"] = wrong(net.inferred(drawing_NSS))
    return found | _learned(net, kept, loss, wrong, UPDATES["characters"])


def _naming(code_ND: torch.Tensor, net: OurNetwork, ways: int) -> torch.Tensor:
    return F.cross_entropy(-net.distance(code_ND[ways:], code_ND[:ways]), torch.arange(ways))


def _learned(
    net: OurNetwork, kept: dict[str, torch.Tensor], loss: Loss, wrong: Callable[[torch.Tensor], float], updates: int
) -> dict[str, float]:
    """A row by gradient beside the frozen core, and all parameters from the same losses."""
    mean_P, found = net.rows_AP.detach().mean(0), {}
    for name, whole in (("learned row", False), ("all parameters", True)):
        row_P = nn.Parameter(mean_P.clone())

        def own_loss(row_P: torch.Tensor = row_P) -> torch.Tensor:
            net.row_P = row_P * 1  # a parameter would be registered
            return loss()

        began = time.process_time()
        groups = [([row_P], ROW_RATE), *([([*net.core.parameters()], ALL_RATE)] if whole else [])]
        descend(groups, own_loss, updates=updates, falls=False)
        if not whole:
            found["CPU seconds of a row"] = time.process_time() - began
            unchanged = all(torch.equal(part, net.state_dict()[name]) for name, part in kept.items())
            assert unchanged, "the core has changed beside a learned row"
        with torch.no_grad():
            found[name] = wrong(row_P.detach())
        net.load_state_dict(kept)
    return found
