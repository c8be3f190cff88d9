"""Several trainers as one: packed frames have the losses, flags and gradients of padded ones, updates are the same."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.func import grad, vmap

import npi.core.discrete
import npi.core.encoder
import npi.core.recurrent
from dsl import load
from npi.core.discrete import _Sign
from npi.core.encoder import HardGate
from npi.jobs.train import new_library
from npi.training.dataset import Material
from npi.training.sweep.packed_frames import Drawn, Inputs, pack
from npi.training.sweep.stacked_trainers import SeedLoss, StackedTrainers, clip_each
from npi.training.trainer import Trainer, frame_loss, place
from tests.support.paths import PROGRAMS
from tests.support.tiny import CORE, SMALL, material, strip, tape, training, untrained
from traces.generation.generate import record_problems
from traces.recording.unique_frames import unique_frames

CPU = torch.device("cpu")


def two_worlds(seed: int, **changes) -> Trainer:
    """A trainer of two worlds; by the seed it has other frames that it failed, or none, and a source of mined ones."""
    library = untrained(SMALL, strip(), tape(), seed=seed)
    sources = [place(library, material(programs()).frames) for programs in (strip, tape)]
    trainer = Trainer(library, sources, training(seed=seed, cut=3, **changes))
    if seed:
        task = strip().tasks[0]
        drawn = task.draw(9, seed, generator=torch.Generator().manual_seed(seed), spread=False)
        frames = unique_frames([record_problems(strip(), task, drawn)])
        trainer._learn_more([place(library, frames)])
        trainer.curriculum.hard[2] = torch.arange(len(frames))
        trainer.curriculum.hard[1] = torch.arange(seed)
    return trainer


def apart(one: Trainer, two: Trainer) -> float:
    """The largest difference of two numbers that are learned."""
    pairs = zip(one.parameters, two.parameters, strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


# --- the packed loss ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_packed_frames_have_the_loss_the_flags_and_the_gradients_of_padded_ones(noise: float) -> None:
    """Two worlds, short, long and whole frames, and seeds that drew different numbers of them (the first: short alone).

    Red when a step, a frame's share, a gate or a number of the noise is mixed up.
    """
    trainers = [two_worlds(seed, noise=noise) for seed in range(3)]
    groups = [trainer.curriculum.draw(generator=trainer.generator) for trainer in trainers]
    assert [len(g) for g in groups] == [1, 3, 3]
    plain = []
    for trainer, drawn in zip(trainers, groups, strict=True):
        loss, rows, wrong = frame_loss(
            trainer.core, trainer.memory, trainer.rules, drawn, trainer.config, generator=trainer.noise
        )
        loss.backward()
        plain.append((loss.item(), rows, wrong, [p.grad.clone() for p in trainer.parameters]))
    found = [
        Drawn.of(drawn, bits=SMALL.bits, noise=noise, generator=torch.Generator().manual_seed(seed + 1))
        for seed, drawn in enumerate(groups)
    ]
    packed = pack(found, Inputs.of(trainers[0].core), worlds=2, device=CPU)
    assert packed.counts[0] == max(len(rows) for _, rows, _, _ in plain)
    assert list(packed.counts) == sorted(packed.counts, reverse=True)
    for seed, trainer in enumerate(trainers):
        loss, rows, wrong, gradients = plain[seed]
        steps = torch.utils._pytree.tree_map(lambda column, seed=seed: column[seed], packed.steps)
        for parameter in trainer.parameters:
            parameter.grad = None
        ours, flags = SeedLoss(trainer.core, trainer.memory, trainer.rules)(steps, packed.counts, packed.frame_K)
        ours.backward()
        assert ours.item() == pytest.approx(loss, rel=1e-5)
        for parameter, expected in zip(trainer.parameters, gradients, strict=True):
            torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-5)
        frames = len(rows)
        assert not flags[frames:].any()
        length_B = torch.cat([b.mask_BT.sum(1) for group in groups[seed] for b in group])
        order = length_B.argsort(descending=True, stable=True)
        assert packed.rows[seed].tolist() == rows[order].tolist()
        assert flags[:frames].tolist() == wrong[order].tolist()
        assert int(wrong.sum()) > 0


def test_no_step_is_unrolled_that_no_seed_has() -> None:
    """Padding is what the seeds' numbers of frames differ by, and nothing else."""
    drawn = [two_worlds(seed).curriculum.draw(generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    found = [Drawn.of(groups, bits=3, noise=0.0, generator=torch.Generator()) for groups in drawn]
    inputs = Inputs.of(two_worlds(0).core)
    for seed in range(2):
        alone = pack(found[seed : seed + 1], inputs, worlds=2, device=CPU)
        assert bool(alone.steps.real_K.all())
        assert sum(alone.counts) == sum(int(b.mask_BT.sum()) for group in drawn[seed] for b in group)
    both = pack(found, inputs, worlds=2, device=CPU)
    assert both.steps.real_K.any(0).all()


@pytest.mark.parametrize("function", [_Sign, HardGate])
def test_custom_gradients_are_the_same_under_vmap(function) -> None:
    values = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(5, 7, generator=torch.Generator().manual_seed(1))

    def total(value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return (function.apply(value) * weight).sum()

    together = vmap(grad(total))(values, weights)
    one_by_one = torch.stack([grad(total)(v, w) for v, w in zip(values, weights, strict=True)])
    assert torch.equal(together, one_by_one)
    soft = torch.tanh(values) if function is _Sign else torch.sigmoid(values)
    slope = 1 - soft**2 if function is _Sign else 4 * soft * (1 - soft)
    torch.testing.assert_close(together, weights * slope)


def old_style(forward, slope) -> type[torch.autograd.Function]:
    """A function with its gradient as they were written before vmap: forward and context in one."""

    class Old(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            ctx.save_for_backward(value)
            return forward(value)

        @staticmethod
        def backward(ctx, gradient):
            (value,) = ctx.saved_tensors
            return slope(gradient, value)

    return Old


def test_the_form_that_vmap_takes_changes_no_bit_of_a_single_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty updates of addition and sorting, against functions that are written the other way."""
    found = [Material.from_programs(load(PROGRAMS / f), traces=2, seed=0) for f in ("addition.npi", "bubblesort.npi")]

    def after() -> tuple[str, str]:
        library = new_library(CORE, found, seed=0)
        trainer = Trainer(library, [place(library, m.frames) for m in found], training(frames=64))
        for _ in range(30):
            trainer.update()
        return library.core.digest(), library.rows_digest()

    now = after()
    sign = old_style(
        lambda v: torch.where(v >= 0, 1.0, -1.0).to(v.dtype), lambda g, v: g * (1 - torch.tanh(v) * torch.tanh(v))
    )
    gate = old_style(lambda v: (v > 0).to(v.dtype), lambda g, v: g * 4 * torch.sigmoid(v) * (1 - torch.sigmoid(v)))
    monkeypatch.setattr(npi.core.discrete, "_Sign", sign)
    for module in (npi.core.recurrent, npi.core.encoder):
        monkeypatch.setattr(module, "HardGate", gate)
    assert after() == now


# --- updates of several trainers ------------------------------------------------------------------------------------


def stacked_and_alone(seeds: int, **changes) -> tuple[list[Trainer], list[Trainer]]:
    return tuple([two_worlds(seed, **changes) for seed in range(seeds)] for _ in range(2))  # type: ignore[return-value]


def test_updates_taken_at_once_are_those_taken_one_by_one() -> None:
    """Within 1e-5 after 20 updates at the full rate (measured: 3e-7), with the same frames found wrong on the way."""
    together, alone = stacked_and_alone(3, warmup=0)
    before = two_worlds(0)
    stacked = StackedTrainers(together)
    for _ in range(20):
        stacked.update()
        for trainer in alone:
            trainer.update()
    for one, two in zip(together, alone, strict=True):
        assert apart(one, two) < 1e-5
        assert one.loss == pytest.approx(two.loss, rel=1e-4)
        assert one.curriculum.errors == two.curriculum.errors
        assert torch.equal(one.generator.get_state(), two.generator.get_state())
        assert torch.equal(one.noise.get_state(), two.noise.get_state())
        assert torch.equal(one.memory.gates_NF, two.memory.gates_NF)
    assert apart(together[0], before) > 1e-2
    assert apart(together[0], together[1]) > 1e-2


def test_released_trainers_go_on_by_themselves() -> None:
    """With moments of their own: red when a moment or its step is lost or shared."""
    together, alone = stacked_and_alone(2, warmup=0)
    stacked = StackedTrainers(together)
    for _ in range(5):
        stacked.update()
    stacked.release()
    for trainer in together:
        trainer.update()
    for trainer in alone:
        for _ in range(6):
            trainer.update()
    for one, two in zip(together, alone, strict=True):
        assert apart(one, two) < 1e-5
        steps = {float(state["step"]) for state in one.optimizer.state.values()}
        assert steps == {6.0}
    tensors = [p for trainer in together for p in trainer.parameters]
    tensors += [m for trainer in together for state in trainer.optimizer.state.values() for m in state.values()]
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors}) == len(tensors)


def test_what_a_check_changes_the_next_update_sees() -> None:
    """Gates that a trainer opens or closes are those of the stack, and its core is the one that the stack trains."""
    trainers = [two_worlds(seed) for seed in range(2)]
    stacked, before = StackedTrainers(trainers), trainers[1].core.digest()
    with torch.no_grad():
        trainers[1].memory.gates_NF[3] = -5.0
    assert (stacked.numbers["memory.gates_NF"][1, 3] == -5.0).all()
    assert not (stacked.numbers["memory.gates_NF"][0, 3] == -5.0).any()
    stacked.update()
    assert trainers[1].core.digest() != before


def test_half_precision_learns_side_by_side_too() -> None:
    together, alone = stacked_and_alone(2, precision="bfloat16")
    stacked = StackedTrainers(together)
    for _ in range(3):
        stacked.update()
        for trainer in alone:
            trainer.update()
    for one, two in zip(together, alone, strict=True):
        assert one.loss == pytest.approx(two.loss, rel=0.05)
        assert apart(one, two) < 2e-3


def test_each_seed_is_clipped_by_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor([0.01, 1.0, 100.0])
    stacked = [nn.Parameter(torch.zeros(3, *shape)) for shape in ((5, 2), (7,))]
    for parameter in stacked:
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.grad = noise * sizes.view(3, *[1] * (parameter.dim() - 1))
    alone = [[nn.Parameter(torch.zeros_like(p[s])) for p in stacked] for s in range(3)]
    for seed, parameters in enumerate(alone):
        for parameter, whole in zip(parameters, stacked, strict=True):
            parameter.grad = whole.grad[seed].clone()
        nn.utils.clip_grad_norm_(parameters, 1.0)
    clip_each(stacked, 1.0)
    for seed, parameters in enumerate(alone):
        for parameter, whole in zip(parameters, stacked, strict=True):
            torch.testing.assert_close(whole.grad[seed], parameter.grad)


def test_a_loss_that_is_no_number_names_its_seed() -> None:
    trainers = [two_worlds(seed) for seed in (4, 7)]
    with torch.no_grad():
        trainers[1].core.end.weight.fill_(math.inf)
    with pytest.raises(FloatingPointError, match="the loss of seed 7 became nan at update 0; lower the learning rate"):
        StackedTrainers(trainers).update()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_updates_on_cuda_are_those_taken_one_by_one_there() -> None:
    def trainer(seed: int) -> Trainer:
        library = new_library(CORE, [material(strip())], seed=seed, device="cuda")
        return Trainer(library, [place(library, material(strip()).frames)], training(seed=seed))

    together, alone = ([trainer(seed) for seed in range(3)] for _ in range(2))
    stacked = StackedTrainers(together)
    for _ in range(12):
        stacked.update()
        for one in alone:
            one.update()
    for one, two in zip(together, alone, strict=True):
        assert one.memory.keys_NK.is_cuda
        assert apart(one, two) < 1e-3
