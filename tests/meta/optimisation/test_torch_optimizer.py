"""The learned optimiser for any module: with the core that comes with the engine, and as torch's optimisers are."""

import copy
import pickle
import re
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from envs.objectives.world import Optimisee
from meta.optimisation import LearnedOptimizer
from meta.optimisation import torch_optimizer as module
from meta.optimisation.network import OptimiserCore
from meta.optimisation.torch_optimizer import SHIPPED, USUAL, row_of
from npi.learners.core import LearnerProgramCore
from npi.learners.rollout import play
from npi.library.library import Library
from npi.universal.core import SHIPPED as UNIVERSAL
from tests.meta.optimisation.test_learned_optimiser import core, problems, task_of
from tests.support.paths import PROGRAMS


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.open(SHIPPED)


@pytest.fixture
def net(library: Library) -> OptimiserCore:
    assert isinstance(library.core, LearnerProgramCore)
    assert isinstance(library.core.net, OptimiserCore)
    return library.core.net


def problem() -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5, generator=generator)
    x = torch.randn(64, 4, generator=generator)
    return model, x, (x[:, :1] * x[:, 1:2]).sin() + x[:, 2:3]


def descend(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor, steps: int
) -> float:
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step()
    return loss.item()


def weight(*shape: int, seed: int = 0, **settings: Any) -> torch.nn.Parameter:
    generator = torch.Generator().manual_seed(seed)
    found = torch.nn.Parameter(torch.randn(shape, generator=generator).to(**settings))
    found.grad = torch.randn(shape, generator=generator).to(**settings)
    return found


@pytest.mark.parametrize("chunk", [8192, 700])
def test_it_takes_the_steps_that_it_takes_in_the_world(
    library: Library, net: OptimiserCore, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the world with a graph's arithmetic, all tensors at once; here one by one, in place, in chunks."""
    monkeypatch.setattr(module, "CHUNK", chunk)
    programs, _ = library.task("mlp")
    world = programs.world
    assert isinstance(world, Optimisee)
    state, shapes = problems(world, 1), world.spec.channels[0].parts
    sizes = [torch.Size(shape).numel() for shape in shapes]
    theta = [
        torch.nn.Parameter(part.view(shape).clone())
        for part, shape in zip(state.theta_BD.detach()[0].split(sizes), shapes, strict=True)
    ]
    optimizer = LearnedOptimizer.open(theta, library)
    episodes = play(net, world, state, task_of(world, row_of(library, USUAL)[None]), 20)
    for gradient_BD in (seen.channels["gradient"] for seen in episodes.seen[:-1]):
        assert isinstance(gradient_BD, torch.Tensor)
        for parameter, part in zip(theta, gradient_BD[0].split(sizes), strict=True):
            parameter.grad = part.view(parameter.shape).clone()
        optimizer.step()
    found = torch.cat([parameter.detach().flatten() for parameter in theta])
    torch.testing.assert_close(found, state.theta_BD.detach()[0], rtol=0, atol=1e-3)


def test_it_trains_a_module_without_any_setting() -> None:
    model, x, y = problem()
    optimizer = LearnedOptimizer.open(model.parameters())
    first = descend(model, optimizer, x, y, 1)
    assert descend(model, optimizer, x, y, 100) < 0.3 * first


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_its_state_resumes_exactly(library: Library, dtype: torch.dtype) -> None:
    """Red where torch casts the state to the parameters' type, or two optimisers share it."""
    (model, x, y), (other, _, _) = problem(), problem()
    model, other, x, y = model.to(dtype), other.to(dtype), x.to(dtype), y.to(dtype)
    optimizer = LearnedOptimizer.open(model.parameters(), library)
    descend(model, optimizer, x, y, 5)
    other.load_state_dict(model.state_dict())
    again = LearnedOptimizer.open(other.parameters(), library)
    again.load_state_dict(optimizer.state_dict())
    assert {state["hidden"].dtype for state in again.state.values()} == {torch.float32}
    assert descend(model, optimizer, x, y, 20) == descend(other, again, x, y, 20)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda held: pickle.loads(pickle.dumps(held))])
def test_a_copy_goes_on_as_the_original(copied: Any) -> None:
    model, x, y = problem()
    held = {"model": model, "optimizer": LearnedOptimizer.open(model.parameters())}
    descend(model, held["optimizer"], x, y, 3)
    twin = copied(held)
    assert descend(twin["model"], twin["optimizer"], x, y, 5) == descend(model, held["optimizer"], x, y, 5)


def test_a_state_of_another_core_is_refused(library: Library, net: OptimiserCore) -> None:
    small = core(units=3)
    optimizer = LearnedOptimizer([weight(2, 2)], small, torch.zeros(16))
    optimizer.step()
    mine = LearnedOptimizer.open([weight(2, 2)], library)
    reason = f"the state of parameter 0 has the shape ({small.numbers}, 4), not ({net.numbers}, 4)"
    with pytest.raises(ValueError, match=re.escape(reason)):
        mine.load_state_dict(optimizer.state_dict())
    assert not mine.state


# --- settings --------------------------------------------------------------------------------------------------------


def test_lr_multiplies_the_steps(library: Library) -> None:
    plain, half, none = (weight(3, 4) for _ in range(3))
    before = plain.detach().clone()
    LearnedOptimizer.open([plain], library).step()
    LearnedOptimizer.open([{"params": [half], "lr": 0.5}, {"params": [none], "lr": 0.0}], library).step()
    torch.testing.assert_close(half - before, (plain - before) / 2)
    assert torch.equal(none, before)


SCHEDULERS: dict[str, Any] = {
    "step": lambda o: lr_scheduler.StepLR(o, 2, gamma=0.5),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 6),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=8),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, base_lr=0.1, max_lr=1.0, step_size_up=2),
    "warm-up": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=3), lr_scheduler.ExponentialLR(o, 0.9)], [3]
    ),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_change_lr_as_that_of_sgd(library: Library, name: str) -> None:
    ours = LearnedOptimizer.open([weight(3)], library)
    theirs = torch.optim.SGD([weight(3)], lr=1.0, momentum=0.9)
    schedules, seen = [SCHEDULERS[name](optimizer) for optimizer in (ours, theirs)], []
    for _ in range(6):
        for optimizer, schedule in zip((ours, theirs), schedules, strict=True):
            optimizer.step()
            schedule.step(*([1.0] if name == "plateau" else []))
        groups = ours.param_groups[0], theirs.param_groups[0]
        assert [group["lr"] for group in groups] == [groups[1]["lr"]] * 2
        assert [group["momentum"] for group in groups] == [groups[1]["momentum"]] * 2
        seen.append(groups[0]["lr"])
    assert len(set(seen)) > 1


def test_momentum_is_the_decay_of_the_long_average(net: OptimiserCore) -> None:
    """Of two gradients g and h the average is (βg + h) / (β + 1)."""
    parameter = weight(5)
    optimizer = LearnedOptimizer([parameter], net, torch.zeros(16), momentum=0.6)
    first = parameter.grad.clone()  # type: ignore[union-attr]
    optimizer.step()
    parameter.grad = weight(5, seed=1).grad
    optimizer.step()
    average = optimizer.state[parameter]["hidden"][4 * net.config.units + 1]
    torch.testing.assert_close(average, (0.6 * first + parameter.grad) / 1.6)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"row": torch.zeros(15)}, "a row of this core is a tensor of 16 numbers, not one of shape (15,)"),
        ({"lr": -1.0}, "lr multiplies steps and is 0 or more, it is -1.0"),
        ({"lr": float("nan")}, "lr multiplies steps and is 0 or more, it is nan"),
        ({"momentum": 1.0}, "momentum is a share from 0 to below 1, it is 1.0"),
        ({"params": [weight(2), weight(3, dtype=torch.complex64)]}, "parameter 1 of group 1 is complex"),
        ({"params": [("head", weight(3, dtype=torch.complex64))]}, "head is complex"),
    ],
)
def test_groups_that_cannot_be_are_refused(library: Library, settings: dict[str, Any], reason: str) -> None:
    named = isinstance(settings.get("params", [0])[0], tuple)
    optimizer = LearnedOptimizer.open([("a", weight(2))] if named else [weight(2)], library)
    with pytest.raises(ValueError, match=re.escape(reason)):
        optimizer.add_param_group({"params": [weight(2)], **settings})
    assert len(optimizer.param_groups) == 1
    optimizer.step()


def test_sparse_gradients_are_refused_by_name_before_anything_moves(library: Library) -> None:
    for named in (False, True):
        model = torch.nn.ModuleDict({"head": torch.nn.Linear(2, 2), "words": torch.nn.Embedding(5, 2, sparse=True)})
        parameters = model.named_parameters() if named else model.parameters()
        optimizer = LearnedOptimizer.open(parameters, library)
        model["head"](model["words"](torch.tensor([1, 3]))).sum().backward()
        before = copy.deepcopy(model.state_dict())
        name = "words.weight" if named else "parameter 2 of group 0"
        with pytest.raises(
            RuntimeError, match=f"does not support sparse gradients, and {name} has one; make its layer"
        ):
            optimizer.step()
        assert all(torch.equal(part, before[key]) for key, part in model.state_dict().items())


def test_parameters_of_every_shape_move(library: Library) -> None:
    shapes = ((), (0,), (1,), (7,), (3, 4), (2, 3, 2, 2), (module.CHUNK + 1,))
    parameters = [weight(*shape) for shape in shapes]
    before = [parameter.detach().clone() for parameter in parameters]
    LearnedOptimizer.open(parameters, library).step()
    for parameter, held in zip(parameters, before, strict=True):
        assert bool(parameter.isfinite().all())
        assert bool((parameter != held).all())


@pytest.mark.parametrize("program", [USUAL, "conv.OPTIMISE", "quadratic.OPTIMISE"])
def test_the_library_that_comes_with_the_engine_is_whole(library: Library, program: str) -> None:
    assert row_of(library, program).shape == (16,)
    stem = program.partition(".")[0]
    texts = {text for held in library.sets for _, text in held.sources}
    assert (PROGRAMS / "learning" / f"{stem}.npi").read_text() in texts


def test_other_libraries_and_programs_are_refused(library: Library) -> None:
    with pytest.raises(ValueError, match="the core of this library is no optimiser"):
        LearnedOptimizer.open([weight(2)], UNIVERSAL, "x")
    with pytest.raises(ValueError, match=r"the library has no program 'relu\.OPTIMISE'; it has mlp\.OPTIMISE"):
        LearnedOptimizer.open([weight(2)], library, "relu.OPTIMISE")
