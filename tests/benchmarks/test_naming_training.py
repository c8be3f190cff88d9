"""How networks that name characters are trained in recipes: steps of filters, losses, turned alphabets, generators."""

import math

import pytest
import torch
from torch import nn

from benchmarks.learners.characters.alphabets import Generated
from benchmarks.learners.characters.less import PARTS, WITHOUT
from benchmarks.learners.characters.networks import (
    QUICK,
    SETTINGS,
    OurNetwork,
    Training,
    named_by_each_other,
    network,
    trained,
    turned,
)
from benchmarks.learners.descent import Muon, descend
from envs.images.alphabets import StrokesConfig


def filters(seed: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(seed)))


def test_filters_move_along_the_orthogonal_part_of_the_gradient_and_keep_their_norm() -> None:
    """By a second way: U Vᵀ of the gradient's singular value decomposition, which the iteration comes near to."""
    weight = filters(0)
    before, gradient = weight.detach().clone(), torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    weight.grad = gradient
    Muon([weight], 0.05, keeps_norms=True).step()
    assert float(weight.detach().norm()) == pytest.approx(float(before.norm()), rel=1e-5)
    left, _, right = torch.linalg.svd(gradient.flatten(1), full_matrices=False)
    along = (left @ right).view_as(before)
    unscaled = before - 0.05 * before.norm() * along / along.norm()
    wanted = unscaled * before.norm() / unscaled.norm()
    moved, expected = weight.detach() - before, wanted - before
    assert float((moved * expected).sum() / (moved.norm() * expected.norm())) > 0.97
    assert float(moved.norm() / expected.norm()) == pytest.approx(1, abs=0.05)


def test_descent_of_normalised_filters_comes_to_the_target_and_keeps_the_norm() -> None:
    """Red where filters are left out of the gradients, or their rate does not fall."""
    weight, target, plain = filters(0), filters(2).detach(), nn.Parameter(torch.zeros(3))
    norm = float(weight.detach().norm())

    def loss() -> torch.Tensor:
        cosine = (weight * target).sum() / (weight.norm() * target.norm())
        return 1 - cosine + (plain - 1).square().sum()

    descend([([plain], 0.1)], loss, updates=150, filters=[([weight], 0.1)])
    assert loss().item() < 0.01
    assert float(weight.detach().norm()) == pytest.approx(norm, rel=1e-4)


def test_drawings_are_named_by_each_other() -> None:
    """By hand: of each drawing, the share of those of its class among all others."""
    generator = torch.Generator().manual_seed(0)
    distance_NN, label_N = torch.rand(7, 7, generator=generator), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    total = 0.0
    for query in range(7):
        likelihood = {other: math.exp(-float(distance_NN[query, other])) for other in range(7) if other != query}
        same = sum(value for other, value in likelihood.items() if label_N[other] == label_N[query])
        total -= math.log(same / sum(likelihood.values()))
    distance_NN.requires_grad_()
    found = named_by_each_other(distance_NN, label_N)
    assert found.item() == pytest.approx(total / 7, rel=1e-5)
    found.backward()
    assert distance_NN.grad is not None
    assert distance_NN.grad.isfinite().all()


def test_drawings_are_turned_in_eight_ways_all_alike() -> None:
    one_SS = torch.arange(9.0).view(3, 3)
    found = [turned(torch.stack([one_SS, 2 * one_SS]), way) for way in range(8)]
    assert len({tuple(both[0].flatten().tolist()) for both in found}) == 8
    assert all(torch.equal(both[1], 2 * both[0]) for both in found)
    assert torch.equal(found[0][0], one_SS)
    assert found[1][0].tolist() == [[2, 5, 8], [1, 4, 7], [0, 3, 6]]
    assert found[4][0].tolist() == [[2, 1, 0], [5, 4, 3], [8, 7, 6]]


def test_generators_lack_one_thing_each_and_fixed_alphabets_stay() -> None:
    configs = [repr(without) for without in WITHOUT.values()]
    assert len(set(configs)) == len(configs)
    assert WITHOUT["as it is"].config == StrokesConfig()
    generator = torch.Generator().manual_seed(0)
    fixed = Generated(kept=2, characters=3, drawers=2, renewed=False)
    drawn = {id(fixed.draw(generator)[1]) for _ in range(20)}
    assert len(drawn) == 2
    renewed = Generated(kept=2, characters=3, drawers=2)
    assert len({renewed.draw(generator)[1].drawing_NSS.sum().item() for _ in range(20)}) > 2
    assert {part.config is None for part in PARTS.values()} == {True, False}


@pytest.mark.parametrize("name", ["plain", "few-shot"])
@pytest.mark.parametrize("training", [QUICK, SETTINGS], ids=["quick", "settings"])
def test_training_moves_every_parameter_and_keeps_norms_of_filters(name: str, training: dict[str, Training]) -> None:
    """Red where a group of parameters is left out, or filters are moved by Adam, too."""
    source = Generated(kept=2, characters=5, drawers=3, renewed=False)
    net = network(name, source.rows, 0)
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    trained(net, source, training[name], updates=8, seed=0)
    for name, weight in net.named_parameters():
        assert not torch.equal(weight.detach(), before[name]), name
        if weight.ndim == 4 and training is QUICK:
            assert float(weight.detach().norm()) == pytest.approx(float(before[name].norm()), rel=1e-4)
    assert not net.training
    if isinstance(net, OurNetwork):
        assert torch.equal(net.row_P, net.rows_AP.detach().mean(0))
