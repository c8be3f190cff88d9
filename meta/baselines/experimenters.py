"""Experimenters that are learned: a row on a learner's frozen core, and networks that are shown random experiments.

Shape legend: ``B`` experiments, ``N`` blocks, ``P`` parameters of a row, ``H`` hidden numbers, ``K`` observations of an
experiment, before the first poke and after each, ``X`` numbers of an observation.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.utils import skip_init

from envs.physics.blocks import BETAS, POKE, Blocks, BlocksState
from envs.spec import SLOTS
from envs.stepper import Action, Observation
from meta.baselines.blocks import Experiments
from meta.baselines.learned_agent import LearnedPolicy
from npi.core.initialisation import seeded_linear
from npi.learners.interface import LearnerCore

UNITS = 48
"""Of a classifier's recurrent layer."""

WIDTH, HEADS, LAYERS = 64, 4, 2
"""Of the transformer."""


class LearnedExperimenter:
    """The likeliest calls of a row beside a frozen network (implements ``Experimenter``)."""

    def __init__(self, net: LearnerCore, row_P: torch.Tensor, world: Blocks) -> None:
        self.policy = LearnedPolicy(net, row_P, world.spec)

    def act(self, seen: Observation, live_B: torch.Tensor) -> torch.Tensor:
        return self.policy.act(seen, live_B).call_B4


# --- random experiments -----------------------------------------------------------------------------------------------


def random_pokes(
    world: Blocks, state: BlocksState, pokes: int, *, repeat: bool, generator: torch.Generator
) -> torch.Tensor:
    """shown_KBX: heights, the block poked last and the β of the masses, before and after each of some random pokes.

    Args:
        repeat: whether a block may be poked again; else the blocks are poked in a random order, each once.
    """
    count, blocks = state.batch, world.config.blocks
    if repeat:
        block_BK = torch.randint(blocks, (count, pokes), generator=generator)
    else:
        block_BK = torch.rand(count, blocks, generator=generator).argsort(1)[:, :pokes]
    shown, everyone_B = [_shown(world, state)], torch.ones(count, dtype=torch.bool)
    for block_B in block_BK.unbind(1):
        call_B4 = torch.zeros(count, 1 + SLOTS, dtype=torch.int64)
        call_B4[:, 0], call_B4[:, 1] = POKE, 1 + block_B
        world.act(state, Action(call_B4), everyone_B)
        shown.append(_shown(world, state))
    return torch.stack(shown)


def shown_numbers(blocks: int) -> int:
    """X."""
    return 2 * blocks + len(BETAS)


def _shown(world: Blocks, state: BlocksState) -> torch.Tensor:
    seen = world.observe(state)
    height_BN = seen.channels["heights"]
    assert isinstance(height_BN, torch.Tensor)
    last_BN = nn.functional.one_hot(seen.fields_BF[:, 0], 1 + world.config.blocks)[:, 1:]
    beta_BX = nn.functional.one_hot(state.beta_B, len(BETAS))
    return torch.cat([height_BN.log1p(), last_BN.float(), beta_BX.float()], 1)


class RandomPokeClassifier(nn.Module):
    """A recurrent classifier of what random pokes lead to: which block is the heavy one, after each of them."""

    def __init__(self, blocks: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.enter = seeded_linear(shown_numbers(blocks), UNITS, generator=generator)
        self.cell = skip_init(nn.GRUCell, UNITS, UNITS)
        self.out = seeded_linear(UNITS, blocks, generator=generator)
        with torch.no_grad():
            for part in self.cell.parameters():
                part.uniform_(-(UNITS**-0.5), UNITS**-0.5, generator=generator)

    def forward(self, shown_KBX: torch.Tensor) -> torch.Tensor:
        """log_KBN: the logarithm of each block's chance."""
        hidden_BH, log = shown_KBX.new_zeros(shown_KBX.shape[1], UNITS), list[torch.Tensor]()
        for entered_BH in torch.relu(self.enter(shown_KBX)):
            hidden_BH = self.cell(entered_BH, hidden_BH)
            log.append(self.out(hidden_BH).log_softmax(1))
        return torch.stack(log)


class PosteriorTransformer(nn.Module):
    """A causal transformer that infers in context which block is the heavy one (Vaswani et al. 2017).

    Trained on the right answers of random experiments, what it says comes to the posterior over answers, as in
    in-context learning by posterior labels (Lee et al. 2023) and in-context pure exploration (Russo et al. 2025).
    """

    def __init__(self, blocks: int, longest: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.enter = seeded_linear(shown_numbers(blocks), WIDTH, generator=generator)
        self.place_KH = nn.Parameter(0.1 * torch.randn(longest, WIDTH, generator=generator))
        self.layers = nn.ModuleList(_Layer(generator=generator) for _ in range(LAYERS))
        self.out = seeded_linear(WIDTH, blocks, generator=generator)

    def forward(self, shown_KBX: torch.Tensor) -> torch.Tensor:
        """log_KBN: the logarithm of each block's chance."""
        x_BKH = self.enter(shown_KBX.transpose(0, 1)) + self.place_KH[: len(shown_KBX)]
        for layer in self.layers:
            x_BKH = layer(x_BKH)
        found_KBN: torch.Tensor = self.out(_normal(x_BKH)).log_softmax(2).transpose(0, 1)
        return found_KBN


class _Layer(nn.Module):
    """Attention to what was seen before, then two layers of each place's own; normalised before either."""

    def __init__(self, *, generator: torch.Generator) -> None:
        super().__init__()
        self.asks = seeded_linear(WIDTH, 3 * WIDTH, generator=generator)
        self.tells = seeded_linear(WIDTH, WIDTH, generator=generator)
        self.wide = seeded_linear(WIDTH, 4 * WIDTH, generator=generator)
        self.narrow = seeded_linear(4 * WIDTH, WIDTH, generator=generator)

    def forward(self, x_BKH: torch.Tensor) -> torch.Tensor:
        parts = self.asks(_normal(x_BKH)).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        heard = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x_BKH = x_BKH + self.tells(heard.transpose(1, 2).flatten(2))
        found_BKH: torch.Tensor = x_BKH + self.narrow(nn.functional.gelu(self.wide(_normal(x_BKH))))
        return found_BKH


def _normal(x_BKH: torch.Tensor) -> torch.Tensor:
    return nn.functional.layer_norm(x_BKH, (WIDTH,))


def stopped(log_KBN: torch.Tensor, heavy_B: torch.Tensor, *, sure: float, discount: float) -> Experiments:
    """Experiments that end with the likeliest answer once its chance is ``sure`` or more, or after the last poke."""
    chance_KB, answer_KB = log_KBN.exp().max(2)
    over_KB = chance_KB >= sure
    over_KB[-1] = True
    pokes_B = over_KB.int().argmax(0)
    right_B = answer_KB.gather(0, pokes_B[None])[0] == heavy_B
    return Experiments((2 * right_B.double() - 1) * discount**pokes_B, right_B, pokes_B)


def surest(log_KBN: torch.Tensor, heavy_B: torch.Tensor, discount: float, sure: Iterable[float]) -> float:
    """Of some chances, the one that pays most as a bound for :func:`stopped`."""
    return max(sure, key=lambda bound: stopped(log_KBN, heavy_B, sure=bound, discount=discount).means()["return"])
