"""The kit that holds a learner to its promises: whole ones pass, and each broken one is told what it breaks.

Shape legend: ``B`` instances.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from dsl import loads
from envs import registry
from envs.stepper import Action, Observation
from envs.world import Episodes
from npi.learners.conformance import LearnerError, check_learner
from npi.learners.interface import StepOutput, TaskInput
from npi.training.loop import State
from tests.support.small_learners import FILES, LEARNERS, Imitator, ImitatorCore, Reacher
from tests.support.small_worlds import KINDS
from tests.support.tiny_learner import EASY, LEARNER, Tiny, TinyCore


@pytest.fixture(autouse=True)
def small_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "KINDS", {**registry.KINDS, **KINDS})


def test_the_tiny_learner_keeps_its_promises() -> None:
    check_learner(LEARNER, loads(EASY))


@pytest.mark.parametrize("kind", FILES)
def test_small_learners_keep_their_promises(kind: str) -> None:
    check_learner(LEARNERS[kind], loads(FILES[kind]))


# --- broken ones -----------------------------------------------------------------------------------------------------


class WithCore(Tiny):
    """A tiny learner with another core."""

    made: type[TinyCore]

    def core(self, config: Any, specs: Any, *, generator: torch.Generator) -> TinyCore:
        return self.made(config, specs[0], generator)


def calling(step: StepOutput, token_B: torch.Tensor) -> StepOutput:
    call_B4 = step.action.call_B4.clone()
    call_B4[:, 1] = token_B
    return step._replace(action=Action(call_B4))


def broken(step: Callable[..., StepOutput]) -> Callable[[], Tiny]:
    """A learner whose core makes something of each step: of the core, the input, the observation, the true step."""

    class Core(TinyCore):
        def step(self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Any = None) -> StepOutput:
            return step(self, task, seen, hidden_BH, super().step(task, seen, hidden_BH, draw=draw))

    class Learner(WithCore):
        made = Core

    return Learner


def noisy(core: TinyCore, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, true: StepOutput) -> StepOutput:
    """Draws from torch's global generator."""
    return calling(true, 1 + torch.randint(2, (len(hidden_BH),)))


def crowd(core: TinyCore, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, true: StepOutput) -> StepOutput:
    """Does what the others of the batch do."""
    return calling(true, torch.full((len(hidden_BH),), min(2, len(hidden_BH))))


def outside(
    core: TinyCore, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, true: StepOutput
) -> StepOutput:
    """Calls what there is not."""
    return calling(true, torch.full((len(hidden_BH),), 3))


def blind(core: TinyCore, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, true: StepOutput) -> StepOutput:
    """Does not read rows."""
    return TinyCore.step(core, replace(task, row_BP=torch.zeros_like(task.row_BP)), seen, hidden_BH)


class Remembering(TinyCore):
    """Keeps what it knows in itself."""

    kept: torch.Tensor | None = None

    def step(self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Any = None) -> StepOutput:
        kept = self.kept if self.kept is not None and len(self.kept) == len(hidden_BH) else hidden_BH
        later = bool(seen.fields_BF[:, 2].any())
        found = super().step(task, seen, kept if later else hidden_BH, draw=draw)
        self.kept = found.hidden_BH.detach()
        return found._replace(hidden_BH=torch.zeros_like(hidden_BH))


class Changing(TinyCore):
    """Says that its hidden numbers stay as they are."""

    constant_hidden = True


class Peeking(TinyCore):
    """Begins with what it sees in the present step, and says that this stays as it is."""

    constant_hidden = True

    def begin(self, task: TaskInput, given: Observation | None = None) -> torch.Tensor:
        assert given is not None
        return given.fields_BF[:, :1].float().expand(-1, self.cell.hidden_size)

    def step(self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Any = None) -> StepOutput:
        return super().step(task, seen, hidden_BH, draw=draw)._replace(hidden_BH=hidden_BH)


class Hasty(TinyCore):
    """Unrolls without what it remembers."""

    def unroll(self, task: TaskInput, episodes: Episodes, hidden_BH: torch.Tensor) -> dict[str, torch.Tensor]:
        values = [TinyCore.step(self, task, seen, hidden_BH).extras["value"] for seen in episodes.seen[:-1]]
        return super().unroll(task, episodes, hidden_BH) | {"value": torch.stack(values)}


class Shortcut(TinyCore):
    """Has a faster way to steps, with other values."""

    def generate(self, *given: Any, **more: Any) -> Any:
        observed, taken = super().generate(*given, **more)
        return observed, [step._replace(extras={**step.extras, "value": -step.extras["value"]}) for step in taken]


class Lifeless(Tiny):
    """Has losses that depend on nothing."""

    def objective(self, core: Any, rows_NP: torch.Tensor, problems: Any, training: Any) -> Any:
        found = super().objective(core, rows_NP, problems, training)
        found.loss = lambda unrolled, *more: unrolled["value"].sum().detach()  # type: ignore[method-assign]
        return found


class Frozen(Tiny):
    """Has losses that do not reach the rows."""

    def objective(self, core: Any, rows_NP: torch.Tensor, problems: Any, training: Any) -> Any:
        found = super().objective(core, rows_NP, problems, training)
        found.rows_of = lambda group, batch, number: found.rows_NP.detach()[batch.row_B]  # type: ignore[method-assign]
        return found


class Careless(Tiny):
    """Judges the batch in place of its problems."""

    def judge(self, world: Any, episodes: Episodes) -> dict[str, torch.Tensor]:
        return {"reward": episodes.scores["reward"].sum()}


class Seedless(Tiny):
    """Draws its core by itself."""

    def core(self, config: Any, specs: Any, *, generator: torch.Generator) -> TinyCore:
        return super().core(config, specs, generator=torch.Generator().manual_seed(0))


class Other(Tiny):
    """Learns from what its world does not have."""

    signals = (("minimise", "loss"),)


def with_core(core: type[TinyCore]) -> Callable[[], Tiny]:
    return type("Broken", (WithCore,), {"made": core})


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (broken(noisy), "must not use torch's global generator"),
        (broken(blind), "two rows do the same"),
        (broken(crowd), "must not mix instances"),
        (broken(outside), "must be one that the world carries out"),
        (with_core(Remembering), "what is remembered must be in hidden_BH"),
        (with_core(Changing), "step changes hidden numbers"),
        (with_core(Peeking), "begin reads what changes along an episode"),
        (with_core(Hasty), "unroll gives another value than repeated step"),
        (with_core(Shortcut), "generate goes another way than repeated step"),
        (Lifeless, "must have a graph"),
        (Frozen, "no gradient reaches the rows"),
        (Careless, "must be 5 finite numbers"),
        (Seedless, "two seeds gave one core"),
        (Other, "does not learn to maximise reward; write minimise loss"),
    ],
)
def test_broken_learners_are_told_what_they_break(made: Callable[[], Tiny], told: str) -> None:
    with pytest.raises((LearnerError, ValueError), match=told):
        check_learner(made(), loads(EASY))


class Severed(Imitator):
    """Infers rows without a graph."""

    def infer_row(self, core: Any, evidence: Episodes) -> torch.Tensor | None:
        row_BP = super().infer_row(core, evidence)
        return row_BP.detach()


class Weightless(ImitatorCore):
    """Gives no force."""

    def step(self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Any = None) -> StepOutput:
        found = super().step(task, seen, hidden_BH, draw=draw)
        return found._replace(action=Action(found.action.call_B4))


class Forceless(Imitator):
    def core(self, config: Any, specs: Any, *, generator: torch.Generator) -> ImitatorCore:
        return Weightless(config, generator)


class Forgetful(Reacher):
    """Has an objective whose state lacks the replay memory."""

    def objective(self, core: Any, rows_NP: torch.Tensor, problems: Any, training: Any) -> Any:
        found = super().objective(core, rows_NP, problems, training)
        keep = found.state_dict

        def state_dict() -> State:
            state: State = keep()
            tensors: Mapping[str, torch.Tensor] = state.tensors
            return State({name: part for name, part in tensors.items() if not name.startswith("memory")}, state.facts)

        found.state_dict = state_dict  # type: ignore[method-assign]
        return found


@pytest.mark.parametrize(
    ("made", "kind", "told"),
    [
        (Severed, "small-imitator", "infer_row must be differentiable"),
        (Forceless, "small-imitator", r"must have payload_BX, float32, \(5, 2\)"),
        (Forgetful, "small-reacher", "state_dict must hold all that losses use"),
    ],
)
def test_broken_small_learners_are_told_what_they_break(made: Callable[[], Any], kind: str, told: str) -> None:
    with pytest.raises(LearnerError, match=told):
        check_learner(made(), loads(FILES[kind]))
