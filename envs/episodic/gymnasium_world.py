"""Any Gymnasium environment of discrete and box spaces as a world: ``world arm is gymnasium(id: "CartPole-v1")``.

Discrete observations are fields, boxes are channels; discrete actions are tokens of ``ACT``, and a box is its payload.
Numbers between finite bounds are scaled to -1 … 1, both ways; the others are as the environment gives them. What the
last action paid is a channel, so that a learner can adapt within an episode. The number of an episode is its seed.

The environments of a batch are stepped one after the other by the host. Copies are deep copies, so an environment that
lies outside of Python's memory can be run and trained in, but a batch of it is not split.

Shape legend: ``B`` instances, ``F`` fields, ``V`` tokens, ``X`` numbers of an action that is a box.
"""

from __future__ import annotations

import copy
import re
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Self

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from envs.episodic.trials import EPISODE, EpisodeState, Trials, digits, episode_number
from envs.settings import read_settings, within
from envs.spec import NONE, SLOTS, Channel, Field, Signature, Slot, SpecError, WorldSpec
from envs.stepper import Action, Observation
from envs.support.gym_names import VARIABLE, known_names
from envs.support.lazy_torch import torch
from envs.world import Layout

KIND = "gymnasium"

REGISTERED = re.compile(r"(?:\w[\w-]*/)?\w[\w.-]*-v\d+")
"""Ids that a program file can name: those that import nothing."""

MAX_VALUES = 10_000
"""Of a discrete observation, and of each part of a discrete action."""

MAX_FIELDS = 64
"""That the numbers of an observation are shown as, with ``levels``."""

UNBOUNDED = 1e6
"""A bound beyond this is none: some environments write the largest number of their type."""

ENDED = Field("ENDED", ("no", "yes"))
"""Whether the environment has come to its end, or has been cut off by itself."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class GymnasiumConfig:
    """The settings of ``gymnasium(…)`` in a program file.

    Attributes:
        id: of a registered environment, or a name that ``npi --gym`` gave to one.
        steps: the largest step number that is shown.
        levels: with 2 and more, each number of an observation is a field of so many values, too, and an action that is
            a box is chosen from so many in each dimension, so that programs with bodies see the one and take the other.
    """

    id: str = ""
    steps: int = 1000
    levels: int = 0

    def __post_init__(self) -> None:
        within("a gymnasium", "steps", self.steps, 1, 10_000)
        within("a gymnasium", "levels", self.levels, 0, 1000)
        if self.levels == 1:
            raise SpecError("the setting levels of a gymnasium is 1; give at least 2, or 0 for none")
        if not self.id:
            raise SpecError('a gymnasium has no id; write, for example: gymnasium(id: "CartPole-v1")')


@dataclass(frozen=True)
class Part:
    """A part of an observation: where it lies in it (keys and places), its name, and its space."""

    path: tuple[Any, ...]
    name: str
    space: spaces.Space[Any]

    def of(self, seen: Any) -> Array:
        for key in self.path:
            seen = seen[key]
        return np.asarray(seen)


@dataclass
class GymnasiumState(EpisodeState):
    """A batch of episodes, in memory of the host.

    Attributes:
        envs: of the instances. fields_BF: int64. channels: float32, by name, B first. ended_B: bool.
    """

    envs: list[gymnasium.Env[Any, Any]] = field(default_factory=list)
    fields_BF: Array = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    channels: dict[str, Array] = field(default_factory=dict)
    ended_B: Array = field(default_factory=lambda: np.zeros(0, bool))

    def select(self, index_B: torch.Tensor) -> Self:
        """Copies of the instances named; ``ValueError`` where an environment cannot be copied."""
        index = index_B.tolist()
        try:
            envs = [copy.deepcopy(self.envs[b]) for b in index]
        except (TypeError, NotImplementedError) as error:
            raise ValueError(f"{self.envs[index[0]]} cannot be copied: {error}; run one instance at a time") from error
        channels = {name: part[index] for name, part in self.channels.items()}
        episode_B = self.episode_B[index_B.to(self.device)]
        return type(self)(episode_B, envs, self.fields_BF[index], channels, self.ended_B[index])


class Gymnasium(Trials[GymnasiumState]):
    """The world (implements ``World``, ``Scored``, ``Ending``, ``Hosted``); see the head of this file."""

    hosted = True

    def __init__(self, name: str, config: GymnasiumConfig | Mapping[str, Any]) -> None:
        read = config if isinstance(config, GymnasiumConfig) else read_settings(GymnasiumConfig, config, f"a {KIND}")
        self.config, self.id = read, environment_id(name, read.id)
        observed, self.action_space = spaces_of(self.id)
        self.parts_seen = [part for part in parts_of(observed) if not isinstance(part.space, spaces.Box)]
        self.boxes = [part for part in parts_of(observed) if isinstance(part.space, spaces.Box)]
        self.sizes = action_sizes(name, self.action_space, read.levels)
        self.spec = self._spec(name)
        allowed = [[False] * len(self.spec.tokens) for _ in range(SLOTS)]
        for place in range(SLOTS):
            for token in self.spec.primitives[0].slots[place].tokens if place < len(self.sizes) else (0,):
                allowed[place][token] = True
        self._allowed = allowed
        self._idle: list[gymnasium.Env[Any, Any]] = []

    def _spec(self, name: str) -> WorldSpec:
        config, box = self.config, isinstance(self.action_space, spaces.Box)
        seen = [f for part in self.parts_seen for f in _fields(name, part)]
        numbers = [n for part in self.boxes for n in _numbered(part.name, int(np.prod(part.space.shape or ())))]
        if config.levels and len(numbers) > MAX_FIELDS:
            raise SpecError(f"world {name} observes {len(numbers)} numbers; levels show at most {MAX_FIELDS}")
        seen += [Field(number, tuple(map(str, range(config.levels)))) for number in numbers if config.levels]
        values = [self._names(place) for place in range(len(self.sizes))]
        tokens = (NONE, *dict.fromkeys(value for names in values for value in names))
        slots = tuple(map(Slot, _numbered("action", len(values)), [tuple(map(tokens.index, each)) for each in values]))
        last = map(Field, _numbered("LAST", len(values)), [("none", *each) for each in values])
        payload = None
        if box and not self.sizes:
            payload = Channel("action", self.action_space.shape or (1,), *_bounds(self.action_space))
        return WorldSpec(
            name=name,
            kind=KIND,
            config=asdict(config),
            fields=(Field("STEP", tuple(map(str, range(config.steps + 1)))), ENDED, *last, *seen),
            tokens=tokens,
            primitives=(Signature("ACT", slots, "Act in the environment", payload),),
            channels=(
                Channel("paid", (1,)),
                *(Channel(part.name.lower(), part.space.shape or (1,), *_bounds(part.space)) for part in self.boxes),
            ),
            hidden=(EPISODE,),
        )

    def _names(self, place: int) -> tuple[str, ...]:
        """Of the values of a part of a discrete action, as the environment numbers them."""
        first = 0
        if isinstance(self.action_space, spaces.Discrete | spaces.MultiDiscrete):
            first = int(np.ravel(self.action_space.start)[place])
        return tuple(str(first + value) for value in range(self.sizes[place]))

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        return (episode_number(number, layout),)

    def begun(self, laid_BX: torch.Tensor) -> GymnasiumState:
        episode_B, B = laid_BX[:, 0].contiguous(), len(laid_BX)
        envs = [self._idle.pop() if self._idle else make_environment(self.id) for _ in range(B)]
        channels = {c.name: np.zeros((B, *c.sizes), np.float32) for c in self.spec.channels}
        fields_BF = np.zeros((B, len(self.spec.fields)), np.int64)
        state = GymnasiumState(episode_B, envs, fields_BF, channels, np.zeros(B, bool))
        weakref.finalize(state, self._idle.extend, envs).atexit = False
        for b, episode in enumerate(episode_B.tolist()):
            self._enter(state, b, envs[b].reset(seed=episode)[0])
        return state

    def observe(self, state: GymnasiumState) -> Observation:
        channels = {name: torch.tensor(part, device=state.device) for name, part in state.channels.items()}
        return Observation(torch.tensor(state.fields_BF, device=state.device), channels)

    def act(self, state: GymnasiumState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = (active_B & self.legal(action)).cpu().numpy() & ~state.ended_B
        call_B4 = action.call_B4.cpu().numpy()
        payload_BX = None if action.payload_BX is None else action.payload_BX.detach().cpu().numpy()
        given_B = acts_B if action.given_B is None else action.given_B.cpu().numpy()
        for b in np.flatnonzero(acts_B).tolist():
            payload_X = payload_BX[b] if payload_BX is not None and given_B[b] else None
            taken = self._taken(call_B4[b, 1 : 1 + len(self.sizes)], payload_X)
            seen, paid, ended, cut, _ = state.envs[b].step(taken)
            self._enter(state, b, seen)
            state.channels["paid"][b] = paid
            state.ended_B[b] = ended or cut
            state.fields_BF[b, 0] = min(state.fields_BF[b, 0] + 1, self.config.steps)
            state.fields_BF[b, 1] = state.ended_B[b]
            for place, slot in enumerate(self.spec.primitives[0].slots):
                state.fields_BF[b, 2 + place] = 1 + slot.tokens.index(call_B4[b, 1 + place])

    def _enter(self, state: GymnasiumState, b: int, seen: Any) -> None:
        """What an environment shows, into fields and channels."""
        values: list[int] = []
        for part in self.parts_seen:
            first = getattr(part.space, "start", 0)
            values += np.ravel(part.of(seen) - first).tolist()
        for part in self.boxes:
            scaled = scale(part.of(seen), part.space)
            state.channels[part.name.lower()][b] = scaled.reshape(part.space.shape or (1,))
            if self.config.levels:
                values += levels_of(scaled, part.space, self.config.levels)
        state.fields_BF[b, 2 + len(self.sizes) :] = values

    def _taken(self, tokens: Array, payload_X: Array | None) -> Any:
        """An action as the environment takes it."""
        space, slots = self.action_space, self.spec.primitives[0].slots
        index = [slot.tokens.index(token) for slot, token in zip(slots, tokens.tolist(), strict=True)]
        if isinstance(space, spaces.Box):
            if self.sizes:
                unit = np.array(index) * 2 / (self.config.levels - 1) - 1
            else:
                unit = np.zeros(space.shape) if payload_X is None else payload_X[: int(np.prod(space.shape))]
            taken = np.clip(unscale(unit.reshape(space.shape), space), space.low, space.high)
            return (taken if np.issubdtype(space.dtype, np.floating) else taken.round()).astype(space.dtype)
        if isinstance(space, spaces.Discrete):
            return int(space.start) + index[0]
        return (np.array(index) + getattr(space, "start", 0)).astype(space.dtype)

    def legal(self, action: Action) -> torch.Tensor:
        call_B4, V = action.call_B4, len(self.spec.tokens)
        allowed_SV = torch.tensor(self._allowed, device=call_B4.device)
        tokens_B3 = call_B4[:, 1:]
        inside_B3 = (tokens_B3 >= 0) & (tokens_B3 < V)
        slot_S = torch.arange(SLOTS, device=call_B4.device)
        return (call_B4[:, 0] == 0) & (inside_B3 & allowed_SV[slot_S, tokens_B3.clamp(0, V - 1)]).all(1)

    def score(self, state: GymnasiumState) -> dict[str, torch.Tensor]:
        """What the last action paid."""
        return {"reward": torch.tensor(state.channels["paid"][:, 0], device=state.device)}

    def ended(self, state: GymnasiumState) -> torch.Tensor:
        return torch.tensor(state.ended_B, device=state.device)

    def hidden(self, state: GymnasiumState) -> Sequence[tuple[Sequence[int], ...]]:
        return [(digits(episode),) for episode in state.episode_B.tolist()]

    def close(self, state: GymnasiumState) -> None:
        """Close the environments of a state."""
        for env in state.envs:
            env.close()
        state.envs.clear()


def environment_id(name: str, given: str) -> str:
    """The id of the environment that a program file names; ``SpecError`` for one that it cannot reach."""
    known = known_names()
    if given in known:
        return known[given]
    if not REGISTERED.fullmatch(given):
        raise SpecError(
            f"world {name}: {given!r} is no id of a registered environment, such as CartPole-v1. One that imports a "
            f"module is named on the command line: npi --gym {'NAME' if ':' in given else given}=package:Env-v0 … "
            f"(or in the variable {VARIABLE})"
        )
    return given


def make_environment(env_id: str) -> gymnasium.Env[Any, Any]:
    """An environment without a limit of steps, which programs have; ``SpecError`` where it cannot be made."""
    try:
        return gymnasium.make(env_id, max_episode_steps=-1, disable_env_checker=True)
    except (gymnasium.error.Error, ImportError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise SpecError(
            f"Gymnasium cannot make {env_id}: {reason}; choose another id, or install what it needs"
        ) from error


@cache
def spaces_of(env_id: str) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    """What an environment shows, and what it takes."""
    env = make_environment(env_id)
    found = env.observation_space, env.action_space
    env.close()
    return found


def parts_of(space: spaces.Space[Any], path: tuple[Any, ...] = ()) -> list[Part]:
    """The discrete and box spaces that an observation is made of; ``SpecError`` where it has another one."""
    inner: dict[Any, spaces.Space[Any]] = {}
    if isinstance(space, spaces.Dict):
        inner = dict(space.spaces)
    elif isinstance(space, spaces.Tuple):
        inner = dict(enumerate(space.spaces))
    if inner:
        return [part for key, each in inner.items() for part in parts_of(each, (*path, key))]
    if not isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary | spaces.Box):
        raise SpecError(f"a gymnasium observes discrete spaces and boxes, and this environment has {space}")
    words = [re.sub(r"\W", "_", str(key)).upper() for key in path]
    return [Part(path, "_".join(words if words and words[0][:1].isalpha() else ["OBSERVATION", *words]), space)]


def action_sizes(name: str, space: spaces.Space[Any], levels: int) -> tuple[int, ...]:
    """How many values each part of an action has; none of a box that is a payload."""
    if isinstance(space, spaces.Box):
        if not levels:
            return ()
        low, high = _bounds(space)
        if low is None or high is None:
            raise SpecError(
                f"world {name} takes actions without bounds, of which no levels can be made; leave levels out"
            )
        sizes: Sequence[int] = [levels] * int(np.prod(space.shape))
    elif isinstance(space, spaces.Discrete):
        sizes = [int(space.n)]
    elif isinstance(space, spaces.MultiDiscrete):
        sizes = np.ravel(space.nvec).tolist()
    elif isinstance(space, spaces.MultiBinary):
        sizes = [2] * int(np.prod(space.shape))
    else:
        raise SpecError(f"a gymnasium takes actions of discrete spaces and boxes, and this environment has {space}")
    if len(sizes) > SLOTS or max(sizes) > MAX_VALUES:
        raise SpecError(
            f"world {name} takes actions of {len(sizes)} parts with up to {max(sizes)} values; a call has at most "
            f"{SLOTS} arguments of {MAX_VALUES}"
        )
    return tuple(sizes)


def _fields(name: str, part: Part) -> list[Field]:
    space = part.space
    sizes = [int(space.n)] if isinstance(space, spaces.Discrete) else np.ravel(getattr(space, "nvec", ())).tolist()
    if isinstance(space, spaces.MultiBinary):
        sizes = [2] * int(np.prod(space.shape))
    firsts = np.broadcast_to(np.ravel(getattr(space, "start", 0)), len(sizes)).tolist()
    if max(sizes) > MAX_VALUES:
        raise SpecError(f"world {name} observes one of {max(sizes)} values; a field has at most {MAX_VALUES}")
    return [
        Field(number, tuple(str(first + value) for value in range(size)))
        for number, size, first in zip(_numbered(part.name, len(sizes)), sizes, firsts, strict=True)
    ]


def _numbered(name: str, count: int) -> list[str]:
    """The name itself where there is one, else with numbers from 1."""
    return [name] if count == 1 else [f"{name}{number}" for number in range(1, count + 1)]


def _bounded(space: Any) -> Array:
    """Which numbers of a box lie between bounds."""
    return (np.abs(space.low) < UNBOUNDED) & (np.abs(space.high) < UNBOUNDED) & (space.low < space.high)


def _bounds(space: Any) -> tuple[float | None, float | None]:
    """Of a channel with scaled numbers."""
    return (-1.0, 1.0) if bool(_bounded(space).all()) else (None, None)


def scale(numbers: Array, space: Any) -> Array:
    """Numbers of a box, float32, those between bounds from -1 to 1."""
    low, high, inside = space.low.astype(float), space.high.astype(float), _bounded(space)
    width = np.where(inside, high - low, 1.0)
    unit = np.clip(2 * (numbers - np.where(inside, low, 0.0)) / width - 1, -1, 1)
    return np.where(inside, unit, numbers).astype(np.float32)


def unscale(unit: Array, space: Any) -> Array:
    """The inverse of :func:`scale`."""
    inside = _bounded(space)
    low, high = (np.where(inside, bound.astype(float), 0.0) for bound in (space.low, space.high))
    return np.where(inside, low + (unit + 1) / 2 * (high - low), unit)


def levels_of(scaled: Array, space: Any, levels: int) -> list[int]:
    """Scaled numbers as places among equal parts of -1 … 1; without bounds x / (1 + |x|) is."""
    unit = np.where(_bounded(space), scaled, scaled / (1 + np.abs(scaled)))
    return np.clip(((unit + 1) / 2 * levels).astype(int), 0, levels - 1).ravel().tolist()
