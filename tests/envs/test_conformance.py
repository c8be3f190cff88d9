"""The conformance kit, tested on worlds that are broken on purpose: each must fail the check made for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest
import torch

from envs import Layout, PadConfig, PadState, Scratchpad, make, register_world, world_kinds
from envs.conformance import CHECKS, ConformanceError, Probe, check_world
from envs.registry import KINDS
from envs.scratchpad.world import NOWHERE
from envs.stepper import Action, Observation
from envs.world import Episodes, Given
from tests.support.pads import ADDITION, MIXED, PADS, SORTING
from tests.support.small_worlds import Curve, Points, Pusher, SmallState

LAYOUTS: dict[str, list[Layout]] = {
    "addition": [{"IN1": [9, 6], "IN2": [2, 5]}, {"OUT": [1]}, {"IN1": [1, 2, 3], "CARRY": [1, 10, 1]}],
    "sorting": [{"A": [3, 1, 2]}, {"A": [9]}, {"A": [0, 5, 5, 1, 8]}],
    "mixed": [{"BITS": [0, 1]}, {"BITS": [1], "TEXT": [0, 2]}, {"BITS": [1, 0, 0, 1], "STACK": [0, 2, 1]}],
    "wandering": [
        {"BITS": [0, 1]},
        {"BITS": [1], "TEXT": [0, 1, 0], "LINKS": [2, NOWHERE, 0]},
        {"BITS": [1, 0, 0, 1], "STACK": [3]},
    ],
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_unbroken_specimens_conform() -> None:
    for world in (Wrapped(), Viewing(), Paying()):
        check_world(world, LAYOUTS["mixed"], generator=generator())


@pytest.mark.parametrize("name", PADS)
@pytest.mark.parametrize("seed", range(2))
def test_the_scratch_pad_conforms(name: str, seed: int) -> None:
    world = Scratchpad(name, PADS[name])
    assert check_world(world, LAYOUTS[name], generator=generator(seed)) == tuple(CHECKS)


def test_every_kind_is_checked_here() -> None:
    """Cars are, in test_cars_world.py, the worlds of trials in test_trials.py, optimisees in test_optimisees.py,
    black boxes, blocks and towers, pictures and waves, speech, and worlds of control in folders of these names,
    Gymnasium's environments in test_gymnasium_world.py."""
    known = [
        "scratchpad", "cars", "bandit", "two_step", "harlow", "optimisee", "training", "black_box", "ask_tell",
        "blocks", "puzzle_box", "towers", "images", "sines", "reaching", "stacking", "pen", "speech", "utterances",
        "gymnasium", "product",
    ]  # fmt: skip
    assert world_kinds() == known, "check the new kind with check_world as above, then name it here"


class Wrapped:
    """A sound pad, wrapped: the specimens below break one thing each."""

    def __init__(self, config: PadConfig = MIXED) -> None:
        self.pad = Scratchpad("specimen", config)
        self.spec = self.pad.spec

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> Any:
        return self.pad.reset(layouts, device=device)

    def observe(self, state: Any) -> Observation:
        return self.pad.observe(state)

    def act(self, state: Any, action: Action, active_B: torch.Tensor) -> None:
        self.pad.act(state, action, active_B)

    def legal(self, action: Action) -> torch.Tensor:
        return self.pad.legal(action)

    def prepare(self, state: Any, acts: int) -> bool:
        return self.pad.prepare(state, acts)

    def read(self, state: Any) -> list[dict[str, list[int]]]:
        return self.pad.read(state)

    def close(self, state: Any) -> None:
        self.pad.close(state)


class ObservesFloats(Wrapped):
    def observe(self, state: PadState) -> Observation:
        return Observation(self.pad.observe(state).fields_BF.float())


class ObservesTooLittle(Wrapped):
    def observe(self, state: PadState) -> Observation:
        return Observation(self.pad.observe(state).fields_BF[:, :-1])


class TakesAnyLayout(Wrapped):
    def reset(self, layouts: Sequence[Layout], *, device: torch.device | str = "cpu") -> PadState:
        names = [row.name for row in self.pad.config.rows]
        known = [{name: layout[name] for name in names if name in layout} for layout in layouts]
        return self.pad.reset([{"BITS": [0], **layout} for layout in known], device=device)


class MovesWhenObserved(Wrapped):
    def observe(self, state: PadState) -> Observation:
        seen = self.pad.observe(state)
        self.pad.act(
            state, Action(torch.tensor([[0, self.spec.token("T"), 1, 0]] * state.batch)), state.at_BP[:, 0] > -1
        )
        return seen


class MovesWhenRead(Wrapped):
    def read(self, state: PadState) -> list[dict[str, list[int]]]:
        found = self.pad.read(state)
        self.pad.act(
            state, Action(torch.tensor([[0, self.spec.token("N"), 2, 0]] * state.batch)), state.at_BP[:, 0] > -1
        )
        return found


class CountsBlankFromOne(Wrapped):
    def observe(self, state: PadState) -> Observation:
        return Observation(self.pad.observe(state).fields_BF + 1)


class RemembersEarlierEpisodes(Wrapped):
    episodes = 0

    def reset(self, layouts: Sequence[Layout], *, device: torch.device | str = "cpu") -> PadState:
        self.episodes += 1
        state = self.pad.reset(layouts, device=device)
        state.at_BP[:, 0] -= self.episodes
        return state


class AcceptsEverything(Wrapped):
    def legal(self, action: Action) -> torch.Tensor:
        return torch.ones(len(action.call_B4), dtype=torch.bool)


class ActsOnIllegalCalls(Wrapped):
    def act(self, state: PadState, action: Action, active_B: torch.Tensor) -> None:
        known = torch.where(
            self.pad.legal(action)[:, None], action.call_B4, torch.tensor([0, self.spec.token("T"), 1, 0])
        )
        self.pad.act(state, Action(known), active_B)


class ActsOnEveryone(Wrapped):
    def act(self, state: PadState, action: Action, active_B: torch.Tensor) -> None:
        self.pad.act(state, action, torch.ones_like(active_B))


class LeaksIntoTheNextInstance(Wrapped):
    """All instances' lists get the edges of the longest list."""

    def reset(self, layouts: Sequence[Layout], *, device: torch.device | str = "cpu") -> PadState:
        state = self.pad.reset(layouts, device=device)
        longest = (state.high_BP - state.low_BP).max(0).values
        state.high_BP = state.low_BP + longest
        return state


@dataclass
class View:
    """A state within a state, sound."""

    state: PadState

    @property
    def batch(self) -> int:
        return self.state.batch

    @property
    def device(self) -> torch.device:
        return self.state.device

    def select(self, index_B: torch.Tensor) -> View:
        return type(self)(self.state.select(index_B))

    def spend(self, acts: int) -> None:
        self.state.spend(acts)


class Viewing(Wrapped):
    """Keeps its states in views; sound but for what the view does."""

    view: type[View] = View

    def reset(self, layouts: Sequence[Layout], *, device: torch.device | str = "cpu") -> View:
        return self.view(self.pad.reset(layouts, device=device))

    def observe(self, state: View) -> Observation:
        return self.pad.observe(state.state)

    def act(self, state: View, action: Action, active_B: torch.Tensor) -> None:
        self.pad.act(state.state, action, active_B)

    def prepare(self, state: View, acts: int) -> bool:
        return self.pad.prepare(state.state, acts)

    def read(self, state: View) -> list[dict[str, list[int]]]:
        return self.pad.read(state.state)


class SortedView(View):
    """Selects the right instances in the wrong order."""

    def select(self, index_B: torch.Tensor) -> View:
        return super().select(index_B.sort().values)


class SelectsInOrderOfIndex(Viewing):
    view = SortedView


class SharedView(View):
    """Some selections write into the cells of the state they were selected from."""

    def select(self, index_B: torch.Tensor) -> View:
        chosen = super().select(index_B)
        if len(index_B) == self.batch:
            return chosen
        per_instance = len(self.state.cells) // self.batch
        back_B1 = ((index_B - torch.arange(len(index_B))) * per_instance)[:, None]
        chosen.state.cells = self.state.cells
        chosen.state.slack = 10**6
        for address_BP in (chosen.state.at_BP, chosen.state.low_BP, chosen.state.high_BP):
            address_BP += back_B1
        return chosen


class SelectsSharedCells(Viewing):
    view = SharedView

    def read(self, state: View) -> list[dict[str, list[int]]]:
        pad = state.state
        whole = pad if len(pad.cells) == pad.length_BR.numel() * pad.width else apart(pad)
        return self.pad.read(whole)


def apart(pad: PadState) -> PadState:
    """A state that shares cells, as one that does not."""
    per_instance = pad.length_BR.shape[1] * pad.width
    index_B = pad.at_BP[:, 0] // per_instance
    forth_B1 = ((torch.arange(pad.batch) - index_B) * per_instance)[:, None]
    cells = pad.cells.view(-1, per_instance)[index_B].flatten()
    return replace(pad, cells=cells, at_BP=pad.at_BP + forth_B1)


class ReplacesItsTensors(Wrapped):
    def act(self, state: PadState, action: Action, active_B: torch.Tensor) -> None:
        state.at_BP = state.at_BP.clone()
        self.pad.act(state, action, active_B)


class LooksAtTheHost(Wrapped):
    def act(self, state: PadState, action: Action, active_B: torch.Tensor) -> None:
        if bool(active_B.any()):
            self.pad.act(state, action, active_B)


class Paying(Wrapped):
    """Pays for every act; sound."""

    scores: ClassVar = {"reward": True}

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> Any:
        state = self.pad.reset(layouts, device=device)
        self.paid_B = torch.zeros(state.batch)
        return state

    def act(self, state: Any, action: Action, active_B: torch.Tensor) -> None:
        self.pad.act(state, action, active_B)
        if len(active_B) == len(self.paid_B):
            self.paid_B += active_B

    def score(self, state: Any) -> dict[str, torch.Tensor]:
        return {"reward": self.paid_B.clone()}

    def detach(self, state: Any) -> None:
        pass

    def value(self, state: Any, action: Action) -> torch.Tensor:
        return action.call_B4[:, 1].float()

    def optimum(self, state: Any) -> torch.Tensor:
        return torch.full((state.batch,), float(len(self.spec.tokens)))


class ScoresByAnotherName(Paying):
    def score(self, state: Any) -> dict[str, torch.Tensor]:
        return {"loss": self.paid_B.clone()}


class PaysWholeNumbers(Paying):
    def score(self, state: Any) -> dict[str, torch.Tensor]:
        return {"reward": self.paid_B.long()}


class DetachesTheScore(Paying):
    def detach(self, state: Any) -> None:
        self.paid_B += 1


class PaysThoseWhoRest(Paying):
    def act(self, state: Any, action: Action, active_B: torch.Tensor) -> None:
        self.pad.act(state, action, active_B)
        self.paid_B += 1


class KnowsNoBest(Paying):
    def optimum(self, state: Any) -> torch.Tensor:
        return torch.zeros(state.batch)


class DeclaresTuples(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, config={key: tuple(value) for key, value in self.spec.config.items()})


class DeclaresAnotherConfig(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, config=ADDITION.to_json())


SPECIMENS: list[tuple[type[Wrapped], str, str]] = [
    (ObservesFloats, "shape", "expected int64"),
    (ObservesTooLittle, "shape", "expected B x F"),
    (TakesAnyLayout, "layout", "no such part"),
    (MovesWhenObserved, "observe", "observe"),
    (MovesWhenRead, "read", "was read"),
    (CountsBlankFromOne, "fields", "field"),
    (RemembersEarlierEpisodes, "reset", "two resets"),
    (AcceptsEverything, "legal", "legal accepts the call"),
    (ActsOnIllegalCalls, "legal", "changed the state"),
    (ActsOnEveryone, "active", "inactive instance"),
    (LeaksIntoTheNextInstance, "batch", "alone"),
    (SelectsInOrderOfIndex, "select", "in this order"),
    (SelectsSharedCells, "select", "changed the state it was selected from"),
    (ReplacesItsTensors, "prepare", "replayed on the same tensors"),
    (LooksAtTheHost, "prepare", "needs the host"),
    (ScoresByAnotherName, "scores", "declared"),
    (PaysWholeNumbers, "scores", "expected float32 B"),
    (DetachesTheScore, "scores", "detach changes more"),
    (PaysThoseWhoRest, "scores", "did not act"),
    (KnowsNoBest, "privileged", "the optimum is"),
    (DeclaresTuples, "spec", "no tuples"),
    (DeclaresAnotherConfig, "spec", "declares otherwise"),
]


class FarQuery(Points):
    """Its query leaves the bounds that are declared."""

    def observe(self, state: SmallState) -> Observation:
        seen = super().observe(state)
        return Observation(seen.fields_BF, {**seen.channels, "query": 3 + state.place_BX})


class OtherSupport(Points):
    """Its support set changes within an episode."""

    def observe(self, state: SmallState) -> Observation:
        return super().observe(replace(state, episode_B=state.episode_B + state.step_B))


class EndsForAMoment(Points):
    """An end that passes."""

    def ended(self, state: SmallState) -> torch.Tensor:
        return state.step_B == 1


class DemonstratesAsItLikes(Pusher):
    """Draws from a generator of its own."""

    own = torch.Generator().manual_seed(0)

    def demonstrate(self, layouts: Sequence[Layout], *, generator: torch.Generator) -> Episodes:
        return super().demonstrate(layouts, generator=self.own)


class ClosesEverything(Points):
    """Closing one state ends what all of them need."""

    open = True

    def observe(self, state: SmallState) -> Observation:
        seen = super().observe(state)
        return seen if self.open else Observation(seen.fields_BF * 0, seen.channels)

    def close(self, state: SmallState) -> None:
        self.open = False


SMALL = ("channels", "ending", "demonstrations", "close")
"""The checks that the pad has nothing for."""

SMALL_SPECIMENS: list[tuple[type[Any], str, str]] = [
    (FarQuery, "channels", "leaves its bounds"),
    (OtherSupport, "channels", "changes in it"),
    (EndsForAMoment, "ending", "goes on"),
    (DemonstratesAsItLikes, "demonstrations", "differ"),
    (ClosesEverything, "close", "closing a state"),
]


def small_probe(check: str, world: Any) -> Probe:
    layouts: list[Layout] = [{"EPISODE": [number]} for number in (1, 2, 3)]
    return Probe(check, world, layouts, generator())


@pytest.mark.parametrize("check", SMALL)
@pytest.mark.parametrize("kind", [Points, Pusher, Curve])
def test_small_worlds_keep_what_only_they_promise(kind: type[Any], check: str) -> None:
    CHECKS[check](small_probe(check, kind("specimen", {})))


@pytest.mark.parametrize(("specimen", "check", "message"), SMALL_SPECIMENS)
def test_broken_small_worlds_fail_their_check(specimen: type[Any], check: str, message: str) -> None:
    with pytest.raises(ConformanceError, match=message):
        CHECKS[check](small_probe(check, specimen("specimen", {})))


@pytest.mark.parametrize(("specimen", "check", "message"), SPECIMENS, ids=[s.__name__ for s, _, _ in SPECIMENS])
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.thorough)])
def test_broken_worlds_fail_their_check(specimen: type[Wrapped], check: str, message: str, seed: int) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_world(specimen(), LAYOUTS["mixed"], generator=generator(seed))
    assert caught.value.check == check
    assert message in str(caught.value)
    assert "specimen" in str(caught.value)


def test_every_check_has_a_specimen() -> None:
    assert {check for _, check, _ in [*SPECIMENS, *SMALL_SPECIMENS]} == set(CHECKS)


def test_few_layouts_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        check_world(Scratchpad("pad", ADDITION), LAYOUTS["addition"][:2], generator=generator())


def test_the_kit_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    check_world(Scratchpad("pad", SORTING), LAYOUTS["sorting"], generator=generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_kind_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envs.registry.KINDS", dict(KINDS))
    register_world("another", Scratchpad)
    register_world("another", Scratchpad)
    with pytest.raises(ValueError, match="registered already"):
        register_world("another", lambda name, config: Scratchpad(name, config))


def test_kinds_outside_of_the_engine_are_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("elsewhere", "envs.scratchpad.world:Scratchpad", "npi.worlds")
    monkeypatch.setattr("envs.registry.offered", lambda group: {point.name: point})
    assert world_kinds()[-1] == "elsewhere"
    assert isinstance(make("elsewhere", "pad", ADDITION.to_json()), Scratchpad)
    with pytest.raises(ValueError, match="did you mean 'elsewhere'"):
        make("elswhere", "pad", {})


def test_a_world_is_made_from_settings_and_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envs.registry.KINDS", dict(KINDS))
    register_world("taught", lambda name, config, data=None: Scratchpad(name, data["pads"][config["pad"]]))
    made = make("taught", "pad", {"pad": 1}, data={"pads": [SORTING, ADDITION]})
    assert made.spec == Scratchpad("pad", ADDITION).spec
