"""The kit that a new learner must pass: what the engine takes for granted, checked on a program file that it learns.

Shape legend: ``B`` problems, ``H`` hidden numbers, ``P`` parameters of a row, ``T`` steps, ``X`` payload.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from dsl.program import ProgramSet
from envs.spec import SLOTS
from envs.stepper import Action
from envs.world import Demonstrated, Episodes, Layout, World
from npi.core.base import tensors_digest
from npi.learners.interface import Learner, LearnerConfig, LearnerCore, LearnerTraining, TaskInput
from npi.learners.objectives.base import LearnerObjective, schedule_of
from npi.learners.rollout import GeneratorDraw, play, rollout
from npi.learners.tasks import Problems, TrainingTask, check_signal, draw_problems, training_tasks
from npi.training.loop import Checkpoint, Descent, Progress, State, fit, state_of
from npi.training.ranks import ALONE

PROBLEMS, MAX_STEPS = 5, 6
"""Of each rollout of the kit."""

TOLERANCE = 1e-4
"""By how much numbers of a problem alone may differ from the same in a batch."""


class LearnerError(AssertionError):
    """A promise that a learner breaks."""


def check_learner(
    learner: Learner, programs: ProgramSet, *, config: LearnerConfig | None = None, seed: int = 0
) -> None:
    """Raise :class:`LearnerError` that names the first promise that is broken, and says how to keep it.

    Args:
        programs: a file with a program for the learner and a task that trains it.
        config: the usual one by default.
    """
    task = training_tasks(programs)[0]
    problems = draw_problems(task.tasks, PROBLEMS, generator=np.random.default_rng(seed))
    trial = Trial(learner, task, [p.layout for p in problems], config or learner.config(kind=learner.kind), seed)
    for promise in PROMISES:
        promise(trial)


@dataclass(frozen=True)
class Trial:
    """A learner with a program, and problems of it."""

    learner: Learner
    task: TrainingTask
    layouts: list[Layout]
    config: LearnerConfig
    seed: int

    @property
    def world(self) -> World[Any]:
        return self.task.world

    @property
    def steps(self) -> int:
        return min(MAX_STEPS, self.task.steps)

    def core(self, seed: int = 0, *, listed: bool = True) -> LearnerCore:
        """An untrained core."""
        specs = [self.world.spec] if listed else []
        return self.learner.core(self.config, specs, generator=torch.Generator().manual_seed(self.seed + seed))

    def rows(self, count: int = PROBLEMS, seed: int = 0) -> torch.Tensor:
        return torch.randn(count, self.config.row, generator=torch.Generator().manual_seed(100 + self.seed + seed))

    def input(self, row_BP: torch.Tensor) -> TaskInput:
        return TaskInput(self.world.spec, 0, row_BP, torch.zeros(len(row_BP), SLOTS, dtype=torch.int64))

    def run(
        self,
        core: LearnerCore,
        row_BP: torch.Tensor,
        *,
        only: Sequence[int] | None = None,
        segments: Sequence[int] | None = None,
        noise: int | None = None,
        between: Callable[[], object] = lambda: None,
    ) -> list[Episodes]:
        """Segments of a rollout of all problems or of some, without a graph; ``between`` is called after each."""
        index_B = torch.arange(len(self.layouts)) if only is None else torch.tensor(only)
        state = self.world.reset([self.layouts[i] for i in index_B.tolist()])
        draw = None
        if noise is not None:
            draw = GeneratorDraw(torch.Generator().manual_seed(noise), len(self.layouts), index_B)
        found, first = list[Episodes](), 0
        with torch.no_grad():
            task = self.input(row_BP[index_B])
            hidden_BH = core.begin(task, self.world.observe(state))
            for steps in segments or (self.steps,):
                episodes, hidden_BH = rollout(
                    core, self.world, state, task, hidden_BH, steps, draw=draw, first_step=first
                )
                found.append(episodes)
                first += steps
                between()
        return found

    def inferred(self) -> torch.Tensor | None:
        """Rows from demonstrations of the problems, on a fresh core; None where rows are not inferred."""
        if not isinstance(self.world, Demonstrated):
            return None
        evidence = self.world.demonstrate(self.layouts, generator=torch.Generator().manual_seed(self.seed))
        return self.learner.infer_row(self.core(), evidence)

    def objective(self) -> LearnerObjective:
        """A small one, on a fresh core."""
        training: LearnerTraining = replace(self.learner.training, updates=2, batch=8, problems=8, check_every=2)
        problems = Problems((self.task,), (0,))
        return self.learner.objective(self.core(), self.rows(1), problems, training)


def demand(holds: bool, what: str) -> None:
    if not holds:
        raise LearnerError(what)


def _declared(trial: Trial) -> None:
    learner = trial.learner
    check_signal(learner, trial.world, *trial.task.signal, trial.task.name)
    learner.admit(trial.world.spec)
    made = learner.config(kind=learner.kind)
    demand(made.kind == learner.kind, "config made with the learner's kind must keep it")
    again = learner.config.from_json(made.to_json())
    demand(again == made, "config must come back from JSON as it went; keep its settings to numbers and words")
    for name in ("training", "learning"):
        demand(isinstance(getattr(learner, name), LearnerTraining), f"{name} must be a LearnerTraining")


def _core(trial: Trial) -> None:
    torch.manual_seed(1)
    one = tensors_digest(trial.core().state_dict())
    torch.manual_seed(2)
    demand(one == tensors_digest(trial.core().state_dict()), "core must draw its parameters from the generator alone")
    other = tensors_digest(trial.core(seed=1).state_dict())
    demand(one != other, "core must use the generator: two seeds gave one core")
    if trial.learner.anywhere:
        same = one == tensors_digest(trial.core(listed=False).state_dict())
        demand(same, "a core that learns anywhere must not depend on the worlds that it is made for")


def _steps(trial: Trial) -> None:
    core, B = trial.core(), len(trial.layouts)
    state = trial.world.reset(trial.layouts)
    task, seen = trial.input(trial.rows()), trial.world.observe(state)
    shape = (B, core.hidden_size(trial.world.spec))
    with torch.no_grad():
        hidden_BH = core.begin(task, seen)
        demand(hidden_BH.shape == shape, f"begin must give hidden numbers of shape {shape}")
        step = core.step(task, seen, hidden_BH)
    demand(step.hidden_BH.shape == shape, f"step must give hidden numbers of shape {shape}")
    demand(step.hidden_BH.dtype == torch.float32, "hidden numbers must be float32")
    for name, extra in step.extras.items():
        demand(len(extra) == B, f"extra {name} must have the batch first: {B}, not {len(extra)}")
    call_B4, payload_BX = step.action.call_B4, step.action.payload_BX
    demand(call_B4.shape == (B, 1 + SLOTS) and call_B4.dtype == torch.int64, "an action must have call_B4, int64")
    if width := trial.world.spec.payload_width:
        fits = payload_BX is not None and payload_BX.shape == (B, width) and payload_BX.dtype == torch.float32
        demand(fits, f"an action must have payload_BX, float32, {(B, width)}")
    legal = [bool(trial.world.legal(a).all()) for e in trial.run(core, trial.rows()) for a in e.actions or ()]
    demand(all(legal), "an action must be one that the world carries out; look at its legal()")


def _repeats(trial: Trial) -> None:
    core, row_BP = trial.core(), trial.rows()
    before = torch.get_rng_state()
    first, again = (trial.run(core, row_BP)[0] for _ in range(2))
    demand(torch.equal(before, torch.get_rng_state()), "step must not use torch's global generator; use draw")
    demand(_same(first, again), "without draw step must do the same twice")
    noisy, same = (trial.run(core, row_BP, noise=3)[0] for _ in range(2))
    demand(torch.equal(before, torch.get_rng_state()), "exploration noise must come from draw")
    demand(_same(noisy, same), "with the same draw step must do the same twice")


def _alone(trial: Trial) -> None:
    core, row_BP = trial.core(), trial.rows()
    for noise in (None, 3):
        (whole,) = trial.run(core, row_BP, noise=noise)
        for place in range(len(trial.layouts)):
            (alone,) = trial.run(core, row_BP, only=[place], noise=noise)
            near = _near_actions([_part(action, place) for action in _actions(whole)], _actions(alone))
            demand(near, f"problem {place} goes another way alone than in a batch; a step must not mix instances")


def _carries(trial: Trial) -> None:
    if trial.steps < 2:
        return
    core, row_BP = trial.core(), trial.rows()
    (whole,) = trial.run(core, row_BP)
    other_BP = trial.rows(seed=9)
    parts = trial.run(core, row_BP, segments=(1, trial.steps - 1), between=lambda: trial.run(core, other_BP))
    near = _near_actions(_actions(whole), [action for part in parts for action in _actions(part)])
    own = [name for name in whole.extras if name in parts[0].extras]
    noted = all(_near(whole.extras[name], torch.cat([part.extras[name] for part in parts])) for name in own)
    demand(near and noted, "a run in two segments goes another way: what is remembered must be in hidden_BH")


def _lasts(trial: Trial) -> None:
    core, row_BP = trial.core(), trial.rows()
    if not core.constant_hidden:
        return
    (episodes,) = trial.run(core, row_BP)
    task = trial.input(row_BP)
    with torch.no_grad():
        hidden_BH = core.begin(task, episodes.seen[0])
        for seen in episodes.seen[:-1]:
            after_BH = core.step(task, seen, hidden_BH).hidden_BH
            demand(torch.equal(hidden_BH, after_BH), "step changes hidden numbers: constant_hidden must be False")
            same = torch.equal(hidden_BH, core.begin(task, seen))
            demand(same, "begin reads what changes along an episode: constant_hidden must be False")


def _obeys_rows(trial: Trial) -> None:
    core, B = trial.core(), len(trial.layouts)
    runs = [trial.run(core, trial.rows(1, seed=seed).expand(B, -1), noise=5)[0] for seed in (0, 1)]
    demand(not _same(*runs), "two rows do the same: condition the layers on row_BP")


def _unrolls(trial: Trial) -> None:
    """Also that a rollout, which may take a core's faster way, is repeated steps."""
    core, row_BP = trial.core(), trial.rows()
    (episodes,) = trial.run(core, row_BP)
    task = trial.input(row_BP)
    with torch.no_grad():
        hidden_BH = core.begin(task, episodes.seen[0])
        steps = LearnerCore.unroll(core, task, episodes, hidden_BH)
        demand(
            all(_near(steps[name], episodes.extras[name]) for name in steps.keys() & episodes.extras.keys()),
            "generate goes another way than repeated step",
        )
        given, calls = hidden_BH, list[Action]()
        for seen in episodes.seen[:-1]:
            step = core.step(task, seen, given)
            given = step.hidden_BH
            calls.append(step.action)
        demand(_near_actions(calls, _actions(episodes)), "generate goes another way than repeated step")
        unrolled = core.unroll(task, episodes, hidden_BH)
    for name in unrolled.keys() & steps.keys():
        demand(_near(unrolled[name], steps[name]), f"unroll gives another {name} than repeated step")


def _infers(trial: Trial) -> None:
    row_BP = trial.inferred()
    if row_BP is not None:
        shape = (len(trial.layouts), trial.config.row)
        demand(row_BP.shape == shape, f"infer_row must give rows of shape {shape}")
        demand(row_BP.requires_grad, "infer_row must be differentiable: its rows have no graph to the core")


def _learns(trial: Trial) -> None:
    objective = trial.objective()
    groups, reached = objective.groups(), set[str]()
    for losses in objective.losses(0, ALONE):
        for loss in losses:
            value = loss.value
            demand(value.ndim == 0 and bool(value.isfinite()), "a loss must be one finite number")
            demand(value.requires_grad, "a loss must have a graph to the parameters that it moves")
            for name in loss.groups or groups:
                found = torch.autograd.grad(value, list(groups[name].parameters), allow_unused=True, retain_graph=True)
                grads = [grad for grad in found if grad is not None]
                demand(all(bool(grad.isfinite().all()) for grad in grads), f"a gradient of {name} is not finite")
                reached |= {name} if any(bool(grad.abs().sum() > 0) for grad in grads) else set()
    for name in groups.keys() - reached - (set() if trial.inferred() is None else {"rows"}):
        raise LearnerError(f"no gradient reaches the {name}")


def _resumes(trial: Trial) -> None:
    """Two updates in one go, and stopped and resumed by another objective after one."""
    whole, part, rest = (trial.objective() for _ in range(3))
    kept, schedule = _Kept(), schedule_of(whole.training)
    fit(whole, schedule)
    turns = itertools.count()
    fit(part, schedule, checkpoint=kept, stop=lambda: next(turns) >= 1)
    fit(rest, schedule, checkpoint=kept)
    states = [state_of(one, Descent(one.groups(), schedule), Progress()) for one in (whole, rest)]
    digests = [tensors_digest(state.tensors) for state in states]
    demand(digests[0] == digests[1], "a resumed run takes another way: state_dict must hold all that losses use")


class _Kept(Checkpoint):
    """A state in memory."""

    def __init__(self) -> None:
        self.state: State | None = None

    def save(self, state: State) -> None:
        self.state = State({name: tensor.clone() for name, tensor in state.tensors.items()}, state.facts)

    def load(self) -> State | None:
        return self.state


def _judges(trial: Trial) -> None:
    core, B = trial.core(), len(trial.layouts)
    before = tensors_digest(core.state_dict())
    state = trial.world.reset(trial.layouts)
    scores = trial.learner.judge(trial.world, play(core, trial.world, state, trial.input(trial.rows()), trial.steps))
    demand(bool(scores), "judge must give at least one score")
    for name, score_B in scores.items():
        demand(score_B.shape == (B,) and bool(score_B.isfinite().all()), f"score {name} must be {B} finite numbers")
    demand(before == tensors_digest(core.state_dict()), "running must not change the core's parameters")


PROMISES: tuple[Callable[[Trial], None], ...] = (
    _declared, _core, _steps, _repeats, _alone, _carries, _lasts, _obeys_rows, _unrolls, _infers, _judges, _learns,
    _resumes,
)  # fmt: skip
"""In the order in which they are checked; the later ones lean on the earlier."""


def _actions(episodes: Episodes) -> Sequence[Action]:
    assert episodes.actions is not None
    return episodes.actions


def _part(action: Action, place: int) -> Action:
    return action.select(torch.tensor([place]))


def _tensors(actions: Iterable[Action]) -> list[torch.Tensor]:
    return [part for action in actions for part in action if part is not None]


def _same(one: Episodes, other: Episodes) -> bool:
    pairs = zip(_tensors(_actions(one)), _tensors(_actions(other)), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and all(
        torch.equal(extra, other.extras[name]) for name, extra in one.extras.items()
    )


def _near_actions(one: Iterable[Action], other: Iterable[Action]) -> bool:
    return all(_near(a, b) for a, b in zip(_tensors(one), _tensors(other), strict=True))


def _near(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool(torch.allclose(one.detach().double(), other.detach().double(), atol=TOLERANCE, rtol=TOLERANCE))
