"""The training loop against loops written out, and against itself when it is interrupted."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import nn

from npi.training.loop import Checkpoint, Evaluation, Group, Loss, Objective, Schedule, State, fit
from npi.training.ranks import Ranks

SCHEDULE = Schedule(updates=12, check_every=5, share=lambda update: 1 / (1 + update), clip=0.5)


class Bowls(Objective):
    """Two bowls, one a world, that pull at shared numbers and at numbers of their own; noise from a generator."""

    def __init__(self, enough: float = 0.0) -> None:
        self.shared = nn.Parameter(torch.tensor([3.0, -2.0, 5.0]))
        self.own = nn.Embedding.from_pretrained(torch.full((2, 3), 4.0), freeze=False, sparse=True)
        self.generator = torch.Generator().manual_seed(1)
        self.enough, self.left = enough, 0

    def groups(self) -> dict[str, Group]:
        own = Group([self.own.weight], rate=0.2, optimiser="sparse_adam", clipped=False)
        return {"shared": Group([self.shared], rate=0.1, optimiser="adamw", weight_decay=0.01), "own": own}

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        for _ in range(2):
            noise = torch.randn(2, 3, generator=self.generator)
            yield (Loss(((self.shared + self.own(torch.tensor([w])) + noise[w]) ** 2).sum()) for w in range(2))

    def evaluate(self, update: int) -> Evaluation:
        size = float(self.shared.detach().abs().sum())
        return Evaluation({"size": size}, size < self.enough)

    def state_dict(self) -> State:
        return State({"generator": self.generator.get_state()}, {})

    def load_state_dict(self, state: State) -> None:
        self.generator.set_state(state.tensors["generator"])

    def __exit__(self, *_: object) -> None:
        self.left += 1


class Memory(Checkpoint):
    """A checkpoint that is kept in memory."""

    kept: State | None = None

    def save(self, state: State) -> None:
        self.kept = State({name: tensor.clone() for name, tensor in state.tensors.items()}, state.facts)

    def load(self) -> State | None:
        return self.kept


def parameters(objective: Bowls) -> torch.Tensor:
    return torch.cat([objective.shared.detach(), objective.own.weight.detach().flatten()])


def test_it_does_what_a_loop_written_out_does() -> None:
    mine, other = Bowls(), Bowls()
    progress = fit(mine, SCHEDULE)
    adamw = torch.optim.AdamW([other.shared], lr=0.1, weight_decay=0.01)
    sparse = torch.optim.SparseAdam([other.own.weight], lr=0.2)
    for update in range(12):
        values = []
        adamw.param_groups[0]["lr"], sparse.param_groups[0]["lr"] = 0.1 / (1 + update), 0.2 / (1 + update)
        for _ in range(2):
            noise = torch.randn(2, 3, generator=other.generator)
            shared, own = torch.zeros(3), torch.zeros(2, 3)
            for world in range(2):
                pull = 2 * (other.shared + other.own.weight[world] + noise[world]).detach()
                values.append(float((pull / 2).square().sum()))
                shared += pull * min(1.0, 0.5 / (float(pull.norm()) + 1e-6))
                own[world] += pull
            other.shared.grad, other.own.weight.grad = shared, own.to_sparse(1)
            adamw.step()
            sparse.step()
    torch.testing.assert_close(parameters(mine), parameters(other))
    assert progress.update == 12
    assert progress.loss == pytest.approx(sum(values) / 4, rel=1e-4)
    assert mine.left == 1


@pytest.mark.parametrize("stopped_at", [1, 5, 7])
def test_a_run_that_is_stopped_resumes_to_bit_identical_parameters(stopped_at: int) -> None:
    whole = Bowls()
    curve: list[float] = []
    fit(whole, SCHEDULE, report=lambda progress: curve.append(progress.loss))
    memory, seen = Memory(), []
    fit(
        Bowls(), SCHEDULE, checkpoint=memory, report=lambda p: seen.append(p.loss), stop=lambda: len(seen) >= stopped_at
    )
    second = Bowls()
    progress = fit(second, SCHEDULE, checkpoint=memory, report=lambda p: seen.append(p.loss))
    assert progress.resumed
    assert seen == curve
    assert torch.equal(parameters(second), parameters(whole))


def test_keeping_the_state_takes_a_twentieth_of_the_time(monkeypatch) -> None:
    """The first check keeps it, and the last one; in between those for which there is time."""
    clock, kept = [0.0], []

    class Slow(Memory):
        def save(self, state: State) -> None:
            super().save(state)
            kept.append(state.facts["update"])
            clock[0] += 5

    class Later(Bowls):
        def evaluate(self, update: int) -> Evaluation:
            clock[0] += 45
            return super().evaluate(update)

    monkeypatch.setattr("npi.training.loop.time.monotonic", lambda: clock[0])
    fit(Later(), replace(SCHEDULE, updates=11, check_every=1), checkpoint=Slow())
    assert kept == [1, 3, 5, 7, 9, 11]  # the others would come at 95, 190, ... s, after 5, 10, ... s of keeping


def test_a_check_ends_it() -> None:
    checked = fit(Bowls(enough=1000.0), SCHEDULE)
    assert checked.solved
    assert checked.update == 5
    assert not fit(Bowls(), replace(SCHEDULE, updates=3)).solved  # and a check after the last update


def test_gradients_are_laid_out_as_their_parameters() -> None:
    """Red where a fused optimiser gets a convolution's gradient, whose channels may come last in memory, as it is."""

    class Transposed(Bowls):
        def __init__(self) -> None:
            super().__init__()
            self.square = nn.Parameter(torch.zeros(2, 3))

        def groups(self) -> dict[str, Group]:
            return {"square": Group([self.square], rate=0.1, optimiser="adamw")}

        def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
            yield [Loss((self.square.t() * torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]])).sum())]

    objective = Transposed()
    fit(objective, replace(SCHEDULE, updates=1))
    assert torch.equal(objective.square.sign(), torch.tensor([[-1.0, -1.0, 1.0], [1.0, -1.0, 1.0]]))


def test_a_loss_moves_its_groups_alone() -> None:
    class OneSided(Bowls):
        def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
            yield [Loss((self.shared * self.own.weight.sum()).sum(), ("shared",))]

    objective = OneSided()
    fit(objective, SCHEDULE)
    assert torch.equal(objective.own.weight, torch.full((2, 3), 4.0))
    assert not torch.equal(objective.shared, Bowls().shared)


def test_a_loss_that_is_no_number_is_an_error_that_says_what_to_do() -> None:
    class Broken(Bowls):
        def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
            yield [Loss(self.shared.sum() / (2 - update if update < 3 else 0))]

    with pytest.raises(FloatingPointError, match=r"inf at update 2; lower the learning rate \(0.2\)"):
        fit(Broken(), SCHEDULE)


def test_shares_of_two_ranks_are_the_whole() -> None:
    """Each rank yields the loss of one world; the sum is what one process would compute, clipped after it."""

    class Half(Bowls):
        def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
            for _ in range(2):
                noise = torch.randn(2, 3, generator=self.generator)
                whole = [((self.shared + self.own(torch.tensor([w])) + noise[w]) ** 2).sum() for w in range(2)]
                yield [Loss(whole[0] + whole[1] if ranks.alone else whole[ranks.rank])]

    class Pair:
        """The second of two ranks in one process: adds what the first one would have sent."""

        alone, first, count, rank = False, True, 2, 0

        def any(self, flag: bool) -> bool:
            return flag

        def sum(self, numbers: torch.Tensor) -> torch.Tensor:
            shared, own = twin.shared, twin.own(torch.tensor([1]))
            loss = ((shared + own + torch.randn(2, 3, generator=twin.generator)[1]) ** 2).sum()
            gradients = torch.autograd.grad(loss, [shared, twin.own.weight])
            sent = torch.cat(
                [*(g.to_dense().flatten() for g in gradients), torch.tensor([1.0, 1.0, float(loss.detach())])]
            )
            numbers += sent
            return numbers

    alone, mine, twin = Half(), Half(), Half()
    twin.shared, twin.own = mine.shared, mine.own
    fit(alone, replace(SCHEDULE, updates=1))
    fit(mine, replace(SCHEDULE, updates=1), ranks=cast(Ranks, Pair()))
    torch.testing.assert_close(mine.shared, alone.shared)
