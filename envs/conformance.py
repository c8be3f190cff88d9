"""Checks that every world must pass, whatever its kind.

``check_world(world, layouts, generator=generator)`` runs them all and raises a :class:`ConformanceError` that names
the first one that fails. A check drives a few copies of the world with the same random legal calls and compares what
they show: the observation and the reading of every instance.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from envs.registry import make
from envs.spec import RETURN, SLOTS, WorldSpec
from envs.stepper import Action, Observation, Ragged
from envs.support.capture_check import HostError, tape
from envs.world import Demonstrated, Ending, Hosted, Layout, Privileged, Scored, State, World

STEPS = 24
"""Random calls in one walk."""

CLOSE = 1e-4
"""By how much real numbers of an instance alone may differ from the same in a batch."""

TRIES = 200
"""Draws in search of a legal call."""


class ConformanceError(ValueError):
    """A world that breaks a promise of the interface; ``check`` is a key of :data:`CHECKS`."""

    def __init__(self, check: str, world: str, message: str) -> None:
        super().__init__(f"world {world} fails the check {check!r}: {message}")
        self.check = check


@dataclass(frozen=True)
class Probe:
    """What a check works on."""

    check: str
    world: World[Any]
    layouts: Sequence[Layout]
    generator: torch.Generator

    @property
    def batch(self) -> int:
        return len(self.layouts)

    @property
    def everyone(self) -> torch.Tensor:
        return torch.ones(self.batch, dtype=torch.bool)

    def require(self, holds: bool, message: str) -> None:
        """Raise the check's error unless ``holds``."""
        if not holds:
            raise ConformanceError(self.check, self.world.spec.name, message)

    def actions(self, batch: int) -> Action:
        """A random legal action for each instance, with a payload where the world's primitives take one."""
        width = self.world.spec.payload_width
        payload_BX = torch.randn(batch, width, generator=self.generator) if width else None
        action = Action(self._draw(batch), payload_BX)
        for _ in range(TRIES):
            legal_B = self.world.legal(action)
            if bool(legal_B.all()):
                return action
            action = Action(torch.where(legal_B[:, None], action.call_B4, self._draw(batch)), payload_BX)
        raise ConformanceError(self.check, self.world.spec.name, f"{TRIES} draws from the slots found no legal call")

    def walk(self, batch: int) -> list[Action]:
        return [self.actions(batch) for _ in range(STEPS)]

    def after(self, actions: Sequence[Action]) -> State:
        """The state of the layouts after the given actions."""
        state = self.world.reset(self.layouts)
        for action in actions:
            self.world.act(state, action, self.everyone)
        return state

    def shows(self, state: State) -> Seen:
        seen = self.world.observe(state)
        rows = ([seen.select(torch.tensor([b])) for b in range(state.batch)]) if seen.channels else []
        channels = [{name: plain(part) for name, part in row.channels.items()} for row in rows]
        return Seen(seen.fields_BF.tolist(), channels, self.world.read(state))

    def require_one_each(self, name: str, found_B: torch.Tensor, dtype: torch.dtype) -> None:
        """Raise the check's error unless there is an entry of this type for each instance."""
        right = tuple(found_B.shape) == (self.batch,) and found_B.dtype == dtype
        expected = f"{str(dtype).removeprefix('torch.')} B"
        self.require(right, f"{name} gives {found_B.dtype} {tuple(found_B.shape)}, expected {expected}")

    def _draw(self, batch: int) -> torch.Tensor:
        primitives = self.world.spec.primitives
        return torch.tensor([self._call(self._pick(len(primitives))) for _ in range(batch)]).view(batch, 1 + SLOTS)

    def _call(self, callee: int) -> list[int]:
        slots = self.world.spec.primitives[callee].slots
        chosen = [slot.tokens[self._pick(len(slot.tokens))] for slot in slots]
        return [callee, *chosen, *([0] * (SLOTS - len(slots)))]

    def _pick(self, size: int) -> int:
        return int(torch.randint(size, (), generator=self.generator))


@dataclass(frozen=True)
class Seen:
    """What a world shows of a batch: fields, channels (of a world without any an empty list) and readings."""

    fields: list[list[int]]
    channels: list[dict[str, Any]]
    read: list[dict[str, list[int]]]

    def only(self, instance: int) -> Seen:
        chosen = slice(instance, instance + 1)
        return Seen(self.fields[chosen], self.channels[chosen], self.read[chosen])

    def near(self, other: Seen) -> bool:
        """Whether the other shows the same, real numbers but for what the order of sums does to them."""
        if (self.fields, self.read) != (other.fields, other.read) or len(self.channels) != len(other.channels):
            return False
        pairs = zip(self.channels, other.channels, strict=True)
        return all(one.keys() == two.keys() and all(_near(one[n], two[n]) for n in one) for one, two in pairs)


def _near(one: Any, other: Any) -> bool:
    a, b = torch.tensor(one), torch.tensor(other)
    return a.shape == b.shape and bool(torch.allclose(a, b, rtol=CLOSE, atol=CLOSE))


def plain(part: torch.Tensor | Ragged) -> Any:
    """A channel of one instance as numbers; of a ragged one as many rows as it is long."""
    if isinstance(part, Ragged):
        return part.padded_BLX[:, : int(part.lengths_B[0])].tolist()
    return part.tolist()


def plain_batch(part: torch.Tensor | Ragged) -> Any:
    """A channel of a batch as numbers."""
    return [each.tolist() for each in part] if isinstance(part, Ragged) else part.tolist()


def same(one: Observation, other: Observation) -> bool:
    """Whether two observations hold the same numbers."""
    first, second = ({name: plain_batch(part) for name, part in seen.channels.items()} for seen in (one, other))
    return torch.equal(one.fields_BF, other.fields_BF) and first == second


def shape(probe: Probe) -> None:
    """Every answer has the declared shape and type: int64 B × F, bool B, B readings."""
    state = probe.world.reset(probe.layouts)
    probe.require(state.batch == probe.batch, f"{probe.batch} layouts gave a state of {state.batch}")
    expected = (probe.batch, len(probe.world.spec.fields))
    obs_BF = probe.world.observe(state).fields_BF
    probe.require(tuple(obs_BF.shape) == expected, f"observe gives {tuple(obs_BF.shape)}, expected B x F = {expected}")
    probe.require(obs_BF.dtype == torch.int64, f"observe gives {obs_BF.dtype}, expected int64")
    legal_B = probe.world.legal(Action(torch.zeros(probe.batch, 1 + SLOTS, dtype=torch.int64)))
    right = tuple(legal_B.shape) == expected[:1] and legal_B.dtype == torch.bool
    probe.require(right, f"legal gives {legal_B.dtype} {tuple(legal_B.shape)}, expected bool {expected[:1]}")
    count = len(probe.world.read(state))
    probe.require(count == probe.batch, f"read gives {count} readings of {probe.batch} instances")


def layout(probe: Probe) -> None:
    """A layout that names a part which the world does not have is a ``ValueError``."""
    try:
        probe.world.reset([*probe.layouts, {"no such part": [0]}])
    except ValueError:
        return
    probe.require(False, "reset takes a layout with 'no such part'; raise a ValueError that names it")


def reset(probe: Probe) -> None:
    """The same layouts and the same calls lead to the same state, whatever happened in between."""
    first = probe.shows(probe.world.reset(probe.layouts))
    calls = probe.walk(probe.batch)
    seen = probe.shows(probe.after(calls))
    probe.require(probe.shows(probe.world.reset(probe.layouts)) == first, "two resets from one layout differ")
    probe.require(probe.shows(probe.after(calls)) == seen, "two walks of the same calls end differently")


def observe(probe: Probe) -> None:
    """Observing changes nothing."""
    calls = probe.walk(probe.batch)
    watched = probe.world.reset(probe.layouts)
    for action in calls:
        first = probe.world.observe(watched)
        probe.require(same(first, probe.world.observe(watched)), "observe twice gives two observations")
        probe.world.act(watched, action, probe.everyone)
    unwatched = probe.world.read(probe.after(calls))
    unmoved = probe.world.read(watched) == unwatched
    probe.require(unmoved, "a state that was observed reads otherwise than one that was not")


def read(probe: Probe) -> None:
    """Reading changes nothing, and what is read is not the state itself."""
    calls = probe.walk(probe.batch)
    state = probe.world.reset(probe.layouts)
    for action in calls:
        for reading in probe.world.read(state):
            for part in reading.values():
                part.clear()
        probe.world.act(state, action, probe.everyone)
    unmoved = same(probe.world.observe(state), probe.world.observe(probe.after(calls)))
    probe.require(unmoved, "a state that was read is observed otherwise than one that was not")


def fields(probe: Probe) -> None:
    """Every observation lies within its field."""
    state = probe.world.reset(probe.layouts)
    for action in probe.walk(probe.batch):
        obs_BF = probe.world.observe(state).fields_BF
        for index, field in enumerate(probe.world.spec.fields):
            column_B = obs_BF[:, index].tolist()
            inside = all(0 <= value < field.size for value in column_B)
            probe.require(inside, f"field {field.name} has values 0 to {field.size - 1}, observed {column_B}")
        probe.world.act(state, action, probe.everyone)


def legal(probe: Probe) -> None:
    """A call that leaves the signature is refused, and acting on it changes nothing."""
    state = probe.after(probe.walk(probe.batch))
    before = probe.shows(state)
    for call in illegal_calls(probe.world.spec):
        action = Action(torch.tensor([call] * probe.batch))
        refused = not bool(probe.world.legal(action).any())
        probe.require(refused, f"legal accepts the call {call}, which leaves the signature")
        probe.world.act(state, action, probe.everyone)
        probe.require(probe.shows(state) == before, f"the illegal call {call} changed the state")


def active(probe: Probe) -> None:
    """Acting leaves the inactive instances alone, whatever their rows of the call hold."""
    state = probe.world.reset(probe.layouts)
    for step, action in enumerate(probe.walk(probe.batch)):
        active_B = (torch.arange(probe.batch) + step) % 2 == 0
        call_B4, payload_BX = action.call_B4, action.payload_BX
        rubbish_B4 = call_B4 if step % 4 < 2 else torch.full_like(call_B4, 10**6 if step % 8 < 4 else -(10**6))
        if payload_BX is not None:
            payload_BX = torch.where(active_B[:, None], payload_BX, torch.nan)
        before, alone = probe.shows(state), state.select(torch.arange(probe.batch))
        probe.world.act(alone, action, probe.everyone)
        probe.world.act(state, Action(torch.where(active_B[:, None], call_B4, rubbish_B4), payload_BX), active_B)
        after, acted = probe.shows(state), probe.shows(alone)
        for b, acts in enumerate(active_B.tolist()):
            said = f"active instance {b} is not acted on" if acts else f"inactive instance {b} is changed"
            probe.require(after.only(b).near((acted if acts else before).only(b)), said)


def batch(probe: Probe) -> None:
    """No instance leaks into another: a batch does what its instances do one by one."""
    calls = probe.walk(probe.batch)
    together = probe.shows(probe.after(calls))
    for b, one_layout in enumerate(probe.layouts):
        alone = probe.world.reset([one_layout])
        for action in calls:
            probe.world.act(alone, action.select(torch.tensor([b])), torch.ones(1, dtype=torch.bool))
        probe.require(probe.shows(alone).near(together.only(b)), f"instance {b} ends otherwise alone than in the batch")


def prepare(probe: Probe) -> None:
    """Acts for which room was made change tensors in place and need nothing of the host: a graph can hold them.
    Worlds that say that they are hosted pass."""
    if isinstance(probe.world, Hosted):
        return
    calls, state = probe.walk(probe.batch), probe.after(())
    probe.world.prepare(state, len(calls))
    calls = [Action(call.call_B4) for call in calls]  # what is captured are programs with bodies, which give no payload
    call_B4 = calls[0].call_B4.clone()
    try:
        _, replay = tape(lambda: probe.world.act(state, Action(call_B4), probe.everyone))
    except HostError as error:
        probe.require(False, f"act needs the host after prepare: {error}")
    for step in calls[1:]:
        call_B4.copy_(step.call_B4)
        state.spend(1)
        replay()
    expected = probe.shows(probe.after(calls))
    probe.require(probe.shows(state).near(expected), "acts replayed on the same tensors do not do what acts do")


def select(probe: Probe) -> None:
    """Selecting gives copies in the order asked for, and neither side sees what happens to the other."""
    state = probe.after(probe.walk(probe.batch))
    before = probe.shows(state)
    index = [probe.batch - 1, *range(probe.batch - 1), 0]
    chosen = state.select(torch.tensor(index))
    copied = probe.shows(chosen)
    ordered = chosen.batch == len(index) and all(copied.only(i) == before.only(b) for i, b in enumerate(index))
    probe.require(ordered, f"select({index}) does not give these instances in this order")
    for action in probe.walk(len(index)):
        probe.world.act(chosen, action, torch.ones(len(index), dtype=torch.bool))
    probe.require(probe.shows(state) == before, "acting on a selection changed the state it was selected from")
    chosen = state.select(torch.tensor(index))
    for action in probe.walk(probe.batch):
        probe.world.act(state, action, probe.everyone)
    probe.require(probe.shows(chosen) == copied, "acting on a state changed a selection that was made from it")


def spec(probe: Probe) -> None:
    """The declaration survives JSON, and the world that is made from it is the same one."""
    declared = probe.world.spec
    again = WorldSpec.from_json(json.loads(json.dumps(declared.to_json())))
    probe.require(again == declared, "the declaration read back from JSON differs; its config may hold no tuples")
    rebuilt = make(declared.kind, declared.name, again.config)
    probe.require(rebuilt.spec == declared, f"the {declared.kind!r} made from the declared config declares otherwise")
    unmoved = same(rebuilt.observe(rebuilt.reset(probe.layouts)), probe.world.observe(probe.after(())))
    probe.require(unmoved, f"the {declared.kind!r} made from the declared config begins with another observation")


def scores(probe: Probe) -> None:
    """Each declared score is float32 B, and stays as it is as long as nothing acts, also where the graph begins anew.
    Worlds without scores pass."""
    world = probe.world
    if not isinstance(world, Scored):
        return
    state = world.reset(probe.layouts)
    for step, action in enumerate(probe.walk(probe.batch)):
        active_B = (torch.arange(probe.batch) + step) % 3 > 0
        before = world.score(state)
        probe.require(before.keys() == world.scores.keys(), f"scores {list(before)}, declared {list(world.scores)}")
        for name, score_B in before.items():
            probe.require_one_each(f"score {name}", score_B, torch.float32)
        seen = probe.shows(state)
        world.detach(state)
        kept = all(torch.equal(world.score(state)[name], score_B) for name, score_B in before.items())
        probe.require(kept and probe.shows(state) == seen, "detach changes more than the graph")
        world.act(state, action, active_B)
        after = world.score(state)
        kept = all(bool((after[name] == before[name])[~active_B].all()) for name in after)
        probe.require(kept, "the score of an instance changes that did not act")


def privileged(probe: Probe) -> None:
    """Values and optima are float32 B, no action is worth more than the optimum, and asking changes nothing."""
    world = probe.world
    if not isinstance(world, Privileged):
        return
    state = world.reset(probe.layouts)
    for action in probe.walk(probe.batch):
        seen = probe.shows(state)
        value_B, optimum_B = world.value(state, action), world.optimum(state)
        for name, found_B in (("value", value_B), ("optimum", optimum_B)):
            probe.require_one_each(name, found_B, torch.float32)
        better = bool((value_B > optimum_B).any())
        probe.require(not better, f"actions are worth {value_B.tolist()}, and the optimum is {optimum_B.tolist()}")
        probe.require(probe.shows(state) == seen, "value or optimum changes the state")
        world.act(state, action, probe.everyone)


def channels(probe: Probe) -> None:
    """Channels are observed, float32 of their shapes within their bounds; those of an episode stay as they are.

    Channels that are functions of fields are rendered from these, not observed.
    """
    world = probe.world
    declared = {channel.name: channel for channel in world.spec.channels if not channel.fields}
    state = world.reset(probe.layouts)
    first = world.observe(state).channels
    for action in probe.walk(probe.batch):
        seen = world.observe(state).channels
        probe.require(seen.keys() == declared.keys(), f"channels {list(seen)}, declared {list(declared)}")
        for name, channel in declared.items():
            part = seen[name]
            probe.require(isinstance(part, Ragged) == channel.ragged, f"channel {name} is ragged, or should be")
            numbers = part.padded_BLX if isinstance(part, Ragged) else part
            lengths = tuple(numbers.shape[1:2]) if channel.ragged else ()
            expected = (probe.batch, *lengths, *channel.sizes)
            right = tuple(numbers.shape) == expected and numbers.dtype == torch.float32
            probe.require(right, f"channel {name} is {numbers.dtype} {tuple(numbers.shape)}, expected {expected}")
            limits = [sign * math.inf if x is None else x for sign, x in ((-1, channel.low), (1, channel.high))]
            inside = torch.equal(numbers, numbers.clamp(*limits))
            probe.require(inside, f"channel {name} leaves its bounds, {channel.low} to {channel.high}")
            kept = channel.per == "step" or plain_batch(part) == plain_batch(first[name])
            probe.require(kept, f"channel {name} is of an episode, and changes in it")
        world.act(state, action, probe.everyone)


def ending(probe: Probe) -> None:
    """Ends are bool B, and final but for setup: an instance that came to its end stays there. Worlds without ends
    pass."""
    world = probe.world
    if not isinstance(world, Ending):
        return
    state = world.reset(probe.layouts)
    before_B = torch.zeros(probe.batch, dtype=torch.bool)
    setup_N = torch.tensor([primitive.setup for primitive in world.spec.primitives])
    for action in probe.walk(probe.batch):
        seen, ended_B = probe.shows(state), world.ended(state)
        probe.require_one_each("ended", ended_B, torch.bool)
        probe.require(bool((ended_B | ~before_B).all()), "an instance that has ended goes on")
        probe.require(probe.shows(state) == seen, "ended changes the state")
        world.act(state, action, probe.everyone)
        before_B = ended_B & ~setup_N[action.call_B4[:, 0]]


def demonstrations(probe: Probe) -> None:
    """Demonstrations are one a layout, of legal actions up to an end, and the same from the same generator."""
    world = probe.world
    if not isinstance(world, Demonstrated):
        return
    seed = int(torch.randint(2**31, (), generator=probe.generator))
    one, again = (world.demonstrate(probe.layouts, generator=torch.Generator().manual_seed(seed)) for _ in range(2))
    probe.require(one.batch == probe.batch, f"{probe.batch} layouts gave {one.batch} demonstrations")
    alike = all(same(a, b) for a, b in zip(one.seen, again.seen, strict=True))
    probe.require(alike, "two demonstrations from one seed differ; draw from the generator that is given")
    probe.require(bool((one.live_TB[:-1] | ~one.live_TB[1:]).all()), "a demonstration goes on after its end")
    for action, live_B in zip(one.actions or (), one.live_TB, strict=True):
        probe.require(bool((world.legal(action) | ~live_B).all()), "a demonstration makes a call that is not legal")


def close(probe: Probe) -> None:
    """Closing a state takes nothing from another one."""
    state = probe.after(probe.walk(probe.batch))
    copy = state.select(torch.arange(probe.batch))
    seen = probe.shows(copy)
    probe.world.close(state)
    probe.require(probe.shows(copy) == seen, "closing a state changed one that was selected from it")
    probe.world.act(copy, probe.actions(probe.batch), probe.everyone)


CHECKS: dict[str, Callable[[Probe], None]] = {
    check.__name__: check
    for check in (
        *(shape, layout, reset, observe, read, fields, legal, active, batch, prepare, select),
        *(scores, privileged, channels, ending, demonstrations, close, spec),
    )
}
"""The checks by name, in the order in which they run."""


def illegal_calls(declared: WorldSpec) -> list[list[int]]:
    """Calls that leave the signature of a world's primitives, one for each way of leaving it."""
    tokens = len(declared.tokens)
    calls = [[RETURN, 0, 0, 0], [len(declared.primitives), 0, 0, 0]]
    for callee, primitive in enumerate(declared.primitives):
        usual = [slot.tokens[0] for slot in primitive.slots] + [0] * (SLOTS - len(primitive.slots))
        for place in range(SLOTS):
            allowed = primitive.slots[place].tokens if place < len(primitive.slots) else (0,)
            for token in (-1, tokens, *sorted(set(range(tokens)) - set(allowed))):
                calls.append([callee, *usual[:place], token, *usual[place + 1 :]])
    return calls


def check_world(world: World[Any], layouts: Sequence[Layout], *, generator: torch.Generator) -> tuple[str, ...]:
    """Run every check on a world of a registered kind; returns the names of the checks.

    Args:
        layouts: at least three, the more different the better.
        generator: source of the random calls.

    Raises :class:`ConformanceError` at the first check that fails.
    """
    if len(layouts) < 3:
        raise ValueError(f"{len(layouts)} layouts; give at least 3 different ones, so that a mix-up can be seen")
    for name, check in CHECKS.items():
        check(Probe(name, world, layouts, generator))
    return tuple(CHECKS)
