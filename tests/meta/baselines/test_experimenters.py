"""Experimenters that are learned: rows act as their programs do, networks of random pokes read nothing that comes later
and come to exact posteriors, and a bound on the chance stops where a person would."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.learners.descent import descend
from envs.physics.blocks import BETAS, Blocks, BlocksState
from meta.baselines.blocks import StoppingPlan, draw_of, experiments
from meta.baselines.experimenters import (
    LearnedExperimenter,
    PosteriorTransformer,
    RandomPokeClassifier,
    random_pokes,
    shown_numbers,
    stopped,
    surest,
)
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.learner import LEARNER
from npi.learners.interface import TaskInput
from npi.learners.rollout import play

BETA = BETAS.index("3")


def begun(world: Blocks, count: int, first: int = 0) -> BlocksState:
    zero_B = torch.zeros(count, dtype=torch.int64)
    return world.begin(first + torch.arange(count), zero_B + BETA, zero_B, zero_B)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("slots", [0, 1])
def test_a_row_experiments_as_its_program_does(slots: int) -> None:
    """Although experiments that are over are left out of its batches."""
    world = Blocks("table", {"steps": 7})
    config = MetaRLConfig(row=11, hidden=5, object_slots=slots)
    core = LEARNER.core(config, [world.spec], generator=generator())
    with torch.no_grad():
        for head in (core.worlds[0].score, core.worlds[0].table) if slots else (core.worlds[0].policy,):
            head.weight.mul_(60)  # so that experiments end apart
    lengths = set[int]()
    for row_P in torch.randn(12, 11, generator=generator(1)):
        found = experiments(world, LearnedExperimenter(core, row_P, world), begun(world, 40))
        state = begun(world, 40)
        task = TaskInput(world.spec, 0, row_P.expand(40, -1), torch.zeros(40, 3, dtype=torch.int64))
        episodes = play(core, world, state, task, 7)
        assert torch.equal(found.pokes_B, state.step_B - (state.answer_B > 0).long())
        assert torch.equal(found.right_B, state.right_B)
        paid_B = (episodes.scores["reward"] * episodes.live_TB).sum(0)
        torch.testing.assert_close(found.return_B.float(), paid_B)
        lengths.add(len(found.pokes_B.unique()))
    assert max(lengths) > 1  # batches whose experiments end apart are among them


def test_random_pokes_show_each_mass_once_where_none_repeats() -> None:
    world = Blocks("table", {"blocks": 3})
    state = begun(world, 53)
    shown_KBX = random_pokes(world, state, 3, repeat=False, generator=generator())
    assert shown_KBX.shape == (4, 53, shown_numbers(3))
    height_KBN, last_KBN, beta_KBX = shown_KBX.split([3, 3, len(BETAS)], 2)
    assert torch.equal(last_KBN.sum(0), torch.ones(53, 3))
    assert bool((beta_KBX.argmax(2) == BETA).all())
    assert len({tuple(order) for order in last_KBN[1:].argmax(2).T.tolist()}) == 6
    poked_BN = (height_KBN.expm1() * last_KBN).sum(0)
    torch.testing.assert_close(draw_of(world.config, poked_BN.double()), state.mass_BN - 0.25, atol=1e-4, rtol=0)
    repeated_KBX = random_pokes(world, begun(world, 53), 3, repeat=True, generator=generator())
    assert repeated_KBX[:, :, 3:6].sum(0).max() > 1


@pytest.mark.parametrize("kind", ["classifier", "transformer"])
def test_nothing_later_is_read(kind: str) -> None:
    net: nn.Module = RandomPokeClassifier(3, generator=generator())
    if kind == "transformer":
        net = PosteriorTransformer(3, 5, generator=generator())
    shown_KBX = torch.randn(5, 7, shown_numbers(3), generator=generator(1))
    changed_KBX = shown_KBX.clone()
    changed_KBX[3:] += 1
    before_KBN, after_KBN = net(shown_KBX), net(changed_KBX)
    torch.testing.assert_close(before_KBN[:3], after_KBN[:3])
    assert (before_KBN[3:] - after_KBN[3:]).abs().amin((1, 2)).max() > 0
    assert before_KBN.shape == (5, 7, 3)
    torch.testing.assert_close(before_KBN.exp().sum(2), torch.ones(5, 7))
    torch.testing.assert_close(net(shown_KBX[:, 2:4]), before_KBN[:, 2:4])  # no experiment reads another


def test_the_transformer_comes_to_the_exact_posterior() -> None:
    """Of two blocks, by the likelihood ratios of the draws that were seen."""
    world, draws = Blocks("table", {"blocks": 2}), generator(5)
    net = PosteriorTransformer(2, 3, generator=generator())

    def loss() -> torch.Tensor:
        state = begun(world, 256, int(torch.randint(10**6, (), generator=draws)) * 256)
        log_KBN = net(random_pokes(world, state, 2, repeat=False, generator=draws))
        return cross_entropy(log_KBN.flatten(0, 1), state.heavy_B.repeat(3))

    descend([([*net.parameters()], 2e-3)], loss, updates=150)
    state = begun(world, 500, 10**9)
    shown_KBX = random_pokes(world, state, 2, repeat=False, generator=draws)
    poked_KBN = shown_KBX[:, :, 2:4].cumsum(0) > 0
    ratio_BN = StoppingPlan(2, 3.0, 0.99).ratio(state.mass_BN - 0.25)
    ratio_KBN = torch.where(poked_KBN, ratio_BN, 1.0)
    exact_KBN = ratio_KBN / ratio_KBN.sum(2, keepdim=True)
    with torch.no_grad():
        error_K = (net(shown_KBX).exp() - exact_KBN).abs().mean((1, 2))
    assert error_K.max() < 0.06
    assert (exact_KBN - 0.5).abs().mean((1, 2))[2] > 0.3  # who knows nothing is far from it


def test_experiments_stop_once_an_answer_is_likely_enough() -> None:
    chance_KBN = torch.tensor(
        [[[0.5, 0.5]] * 3, [[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]], [[0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]]
    )
    heavy_B = torch.tensor([0, 0, 0])
    found = stopped(chance_KBN.log(), heavy_B, sure=0.8, discount=0.9)
    assert found.pokes_B.tolist() == [1, 2, 2]
    assert found.right_B.tolist() == [True, True, False]
    assert found.return_B.tolist() == pytest.approx([0.9, 0.81, -0.81])
    early = stopped(chance_KBN.log(), heavy_B, sure=0.55, discount=0.9)
    assert early.pokes_B.tolist() == [1, 1, 1]
    assert early.right_B.tolist() == [True, True, True]
    assert surest(chance_KBN.log(), heavy_B, 0.9, (0.8, 0.55)) == 0.55
