"""The kit that a new learner must pass: what the engine takes for granted, checked on a world that it acts in.

Shape legend: ``B`` problems, ``H`` hidden numbers, ``P`` numbers of a row, ``D`` parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from envs.spec import SLOTS
from envs.stepper import Action
from envs.world import Layout, World
from npi.core.base import tensors_digest
from npi.learners.interface import SIGNALS, Asked, HostedConfig, HostedTraining, Learner, Roll
from npi.learners.rollout import check_signal, rollout

STEPS = 6
"""Of each roll that is looked at."""

CLOSE = 1e-4
"""By how much numbers of a problem alone may differ from the same in a batch."""


class LearnerError(AssertionError):
    """A promise that a learner breaks."""


def check_learner(
    learner: Learner, world: World[Any], layouts: Sequence[Layout], *, config: HostedConfig | None = None, seed: int = 0
) -> None:
    """Raise :class:`LearnerError` that names the first promise that is broken, and says how to keep it.

    Args:
        world: in which the learner's cores can act. layouts: of at least two different problems of it.
        config: the usual one by default.
    """
    if len(layouts) < 2:
        raise ValueError("give at least two layouts, so that a batch can be told from its problems")
    trial = Trial(learner, world, list(layouts), config or learner.config(kind=learner.kind), seed)
    for promise in PROMISES:
        promise(trial)


@dataclass(frozen=True)
class Trial:
    """A learner with a world and problems of it."""

    learner: Learner
    world: World[Any]
    layouts: list[Layout]
    config: HostedConfig
    seed: int

    def net(self, seed: int = 0, *, listed: bool = True) -> nn.Module:
        """An untrained core."""
        worlds = [self.world.spec] if listed else []
        return self.learner.network(self.config, worlds, generator=torch.Generator().manual_seed(self.seed + seed))

    def rows(self, count: int, seed: int = 0) -> torch.Tensor:
        return torch.randn(count, self.config.row, generator=torch.Generator().manual_seed(100 + self.seed + seed))

    def roll(
        self,
        net: nn.Module,
        row_BP: torch.Tensor,
        *,
        only: Sequence[int] | None = None,
        stretches: Sequence[int] = (STEPS,),
        luck: int | None = None,
        between: Callable[[], object] = lambda: None,
    ) -> list[Roll]:
        """Stretches of steps, one after the other, of all problems or of some; ``between`` is called after each."""
        chosen = list(range(len(self.layouts))) if only is None else list(only)
        state = self.world.reset([self.layouts[i] for i in chosen])
        asked = Asked(0, row_BP[chosen], torch.zeros(len(chosen), SLOTS, dtype=torch.int64))
        hidden_BH = torch.zeros(len(chosen), self.learner.width(net, self.world))
        generator = None if luck is None else torch.Generator().manual_seed(luck)
        found, begun = [], 0
        for steps in stretches:
            roll, hidden_BH = rollout(
                self.learner, net, self.world, state, asked, hidden_BH.detach(), steps, begun=begun,
                ends=begun + steps == sum(stretches), generator=generator, judged=luck is None,
            )  # fmt: skip
            found.append(roll)
            begun += steps
            between()
        return found


def demand(holds: bool, what: str) -> None:
    if not holds:
        raise LearnerError(what)


def _declared(trial: Trial) -> None:
    learner = trial.learner
    signals = {what for _, what in SIGNALS}
    demand(learner.signal in signals, f"signal is {learner.signal!r}; it must be one of {sorted(signals)}")
    check_signal(learner, trial.world)
    learner.admit(trial.world.spec)
    made = learner.config(kind=learner.kind)
    demand(made.kind == learner.kind, "config made with the learner's kind must keep it")
    again = learner.config.from_json(made.to_json())
    demand(again == made, "config must come back from JSON as it went; keep its settings to numbers and words")
    for name in ("training", "learning"):
        demand(isinstance(getattr(learner, name), HostedTraining), f"{name} must be a HostedTraining")


def _network(trial: Trial) -> None:
    torch.manual_seed(1)
    one = tensors_digest(trial.net().state_dict())
    torch.manual_seed(2)
    demand(one == tensors_digest(trial.net().state_dict()), "network must draw its numbers from the generator alone")
    other = tensors_digest(trial.net(seed=1).state_dict())
    demand(one != other, "network must use the generator: two seeds gave one core")
    if trial.learner.anywhere:
        same = one == tensors_digest(trial.net(listed=False).state_dict())
        demand(same, "a core that learns anywhere must not depend on the worlds that it is made for")


def _steps(trial: Trial) -> None:
    net, B = trial.net(), len(trial.layouts)
    row_BP = trial.rows(B)
    hidden_BH = torch.zeros(B, trial.learner.width(net, trial.world))
    asked = Asked(0, row_BP, torch.zeros(B, SLOTS, dtype=torch.int64))
    (roll,) = trial.roll(net, row_BP)
    step = trial.learner.step(net, asked, roll.seen[0], hidden_BH, generator=None)
    demand(step.hidden_BH.shape == hidden_BH.shape, f"step must give hidden numbers of shape {tuple(hidden_BH.shape)}")
    demand(step.hidden_BH.dtype == torch.float32, "hidden numbers must be float32")
    for name, note in step.notes.items():
        demand(len(note) == B, f"note {name} must have the batch first: {B}, not {len(note)}")
    if trial.learner.signal == "reward":
        demand(step.act.shape == (B, 1 + SLOTS) and step.act.dtype == torch.int64, "act must be call_B4, int64")
        legal = [bool(trial.world.legal(Action(act)).all()) for act in roll.acts]
        demand(all(legal), "act must be a call that the world carries out; look at its legal()")
        luck = torch.Generator().manual_seed(0)
        weighed_A4 = trial.learner.step(net, asked, roll.seen[0], hidden_BH, generator=luck).weighed_A4
        if weighed_A4 is not None:
            shape = weighed_A4.dim() == 2 and weighed_A4.shape[1] == 1 + SLOTS
            demand(shape and weighed_A4.dtype == torch.int64, "weighed calls must be weighed_A4, int64")
            demand(
                bool(trial.world.legal(Action(weighed_A4)).all()), "weighed calls must be such as the world carries out"
            )
    else:
        size = trial.world.spec.channel("gradient").size
        demand(step.act.shape == (B, size) and step.act.dtype == torch.float32, f"act must be step_BD, {(B, size)}")


def _repeats(trial: Trial) -> None:
    net, row_BP = trial.net(), trial.rows(len(trial.layouts))
    before = torch.get_rng_state()
    first, again = (trial.roll(net, row_BP)[0] for _ in range(2))
    demand(torch.equal(before, torch.get_rng_state()), "step must not use torch's global chance; use the generator")
    demand(_same(first, again), "without a generator step must do the same twice")
    lucky, same = (trial.roll(net, row_BP, luck=3)[0] for _ in range(2))
    demand(torch.equal(before, torch.get_rng_state()), "exploring must take its chance from the generator")
    demand(_same(lucky, same), "with a generator of one seed step must do the same twice")


def _alone(trial: Trial) -> None:
    net, row_BP = trial.net(), trial.rows(len(trial.layouts))
    (whole,) = trial.roll(net, row_BP)
    for place in range(len(trial.layouts)):
        (alone,) = trial.roll(net, row_BP, only=[place])
        near = all(_near(a[place : place + 1], b) for a, b in zip(whole.acts, alone.acts, strict=True))
        demand(near, f"problem {place} goes another way alone than in a batch; what is done must not look at others")


def _carries(trial: Trial) -> None:
    net, row_BP = trial.net(), trial.rows(len(trial.layouts))
    (whole,) = trial.roll(net, row_BP)
    other_BP = trial.rows(len(trial.layouts), seed=9)
    parts = trial.roll(net, row_BP, stretches=(2, STEPS - 2), between=lambda: trial.roll(net, other_BP))
    acts = [act for part in parts for act in part.acts]
    near = all(_near(a, b) for a, b in zip(whole.acts, acts, strict=True))
    noted = all(_near(note, torch.cat([part.notes[name] for part in parts])) for name, note in whole.notes.items())
    demand(near and noted, "a run in two stretches goes another way: what is remembered must be in hidden_BH")


def _obeys_rows(trial: Trial) -> None:
    net, B = trial.net(), len(trial.layouts)
    rolls = [trial.roll(net, trial.rows(1, seed=seed).expand(B, -1), luck=5)[0] for seed in (0, 1)]
    demand(not _same(*rolls), "two rows do the same: condition the layers on row_BP")


def _learns(trial: Trial) -> None:
    net, B = trial.net(), len(trial.layouts)
    row_BP = trial.rows(B).requires_grad_(True)
    (roll,) = trial.roll(net, row_BP, luck=7)
    loss = trial.learner.loss(net, roll)
    demand(loss.ndim == 0 and bool(loss.isfinite()), "loss must be one finite number")
    demand(loss.requires_grad, "loss must have a graph to the core and the rows")
    loss.backward()
    demand(_reached([row_BP]), "the gradient of loss does not reach the rows")
    demand(_reached(net.parameters()), "the gradient of loss does not reach the core")
    grads = [p.grad for p in (row_BP, *net.parameters()) if p.grad is not None]
    demand(all(bool(grad.isfinite().all()) for grad in grads), "a gradient of loss is not finite")


def _judges(trial: Trial) -> None:
    net, B = trial.net(), len(trial.layouts)
    before = tensors_digest(net.state_dict())
    with torch.no_grad():
        (roll,) = trial.roll(net, trial.rows(B))
    scores = trial.learner.judge(trial.world, roll)
    demand(bool(scores), "judge must give at least one score")
    for name, score_B in scores.items():
        demand(score_B.shape == (B,) and bool(score_B.isfinite().all()), f"score {name} must be {B} finite numbers")
    demand(before == tensors_digest(net.state_dict()), "running must not change the core's numbers")


PROMISES: tuple[Callable[[Trial], None], ...] = (
    _declared, _network, _steps, _repeats, _alone, _carries, _obeys_rows, _learns, _judges,
)  # fmt: skip
"""In the order in which they are checked; the later ones lean on the earlier."""


def _reached(parameters: Iterable[torch.Tensor]) -> bool:
    return any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in parameters)


def _same(one: Roll, other: Roll) -> bool:
    acts = all(torch.equal(a, b) for a, b in zip(one.acts, other.acts, strict=True))
    return acts and all(torch.equal(note, other.notes[name]) for name, note in one.notes.items())


def _near(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool(torch.allclose(one.detach().double(), other.detach().double(), atol=CLOSE, rtol=CLOSE))
