"""What crosses between a world and Gymnasium, a batch at a time: spaces, actions, observations, rewards, pictures.

Shape legend: ``B`` instances, ``F`` fields, ``A`` calls, ``X`` numbers of a payload.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces

from envs.spec import SLOTS, Channel
from envs.stepper import Action, Ragged
from envs.world import Bounded, Drawn, Ending, Layout, Pictured, Scored, World

Array = npt.NDArray[Any]

Reading = Mapping[str, list[int]]
"""What :meth:`envs.world.World.read` gives for one instance."""

Goal = Callable[[Reading], bool]
"""Whether a reading is the one sought."""

Draw = Callable[[np.random.Generator], Layout | tuple[Layout, Goal]]
"""Draws how an episode begins, with a goal of its own where episodes differ in what is sought."""

MAX_CALLS = 10_000
"""Of a space of calls."""

RENDER_MODES = ("ansi", "rgb_array")

MARGIN = 4
"""Pixels around a text."""

FIELDS, CALL, PAYLOAD = "fields", "call", "payload"
"""Parts of observations and actions that have several."""


LENGTH = "_length"
"""What is put behind a ragged channel's name for how many lines it has."""


@dataclass(frozen=True)
class Start:
    """How an episode begins, and what is sought in it."""

    layout: Layout
    goal: Goal | None


class Interface:
    """The spaces of a world, and what passes between them and it.

    Args:
        flat: an action is the number of a call among all that signatures allow, with a mask of those that the world
            can carry out; else it is the call itself.
        pictures: channels that are functions of fields are observed, too.

    Raises ``ValueError`` for a world with channels of no fixed length, or with more calls than :data:`MAX_CALLS`.
    """

    def __init__(self, world: World[Any], *, flat: bool, pictures: bool) -> None:
        self.world, self.flat, spec = world, flat, world.spec
        self.real = [channel for channel in spec.channels if not channel.fields]
        self.shown = [channel for channel in spec.rendered if pictures]
        parts: dict[str, spaces.Space[Any]] = {}
        if spec.fields:
            parts[FIELDS] = spaces.MultiDiscrete([field.size for field in spec.fields])
        for channel in self.real:
            parts |= self._spaces(channel)
        for channel in self.shown:
            parts[channel.name] = spaces.Box(0, 255, channel.sizes, np.uint8)
        self.plain = list(parts) == [FIELDS]
        self.observation_space = parts[FIELDS] if self.plain else spaces.Dict(parts)
        self.calls_A4 = _calls(world) if flat else np.zeros((0, 1 + SLOTS), np.int64)
        self.mask_A = world.legal(Action(torch.from_numpy(self.calls_A4))).numpy().astype(np.int8)
        payloads = [primitive.payload for primitive in spec.primitives if primitive.payload is not None]
        call: spaces.Space[Any] = spaces.MultiDiscrete([len(spec.primitives)] + [len(spec.tokens)] * SLOTS)
        if flat:
            call = spaces.Discrete(len(self.calls_A4))
        self.action_space = call
        if payloads:
            box = _box(payloads, (spec.payload_width,))
            alone = len(self.calls_A4) == 1
            self.action_space = box if alone else spaces.Dict({CALL: call, PAYLOAD: box})

    @property
    def longest(self) -> Mapping[str, int]:
        """The most lines of ragged channels."""
        return self.world.longest if isinstance(self.world, Bounded) else {}

    def _spaces(self, channel: Channel) -> dict[str, spaces.Space[Any]]:
        """Of a channel; of a ragged one its lines, zeros behind the last, and how many there are."""
        if not channel.ragged:
            return {channel.name: _box([channel], channel.sizes)}
        longest = self.longest.get(channel.name)
        if longest is None:
            raise ValueError(
                f"world {self.world.spec.name}: {channel.name} has no fixed length, which no box can hold; a world "
                "says how many lines there can be (Bounded in envs/world.py)"
            )
        lines = _box([channel], (longest, *channel.sizes))
        return {channel.name: lines, channel.name + LENGTH: spaces.Box(0, longest, (1,), np.int64)}

    def action(self, actions: Any) -> Action:
        """Actions of a batch (B first in each part) as the world takes them."""
        payload = None
        if isinstance(self.action_space, spaces.Box):
            actions, payload = np.zeros(len(actions), np.int64), actions
        elif isinstance(self.action_space, spaces.Dict):
            actions, payload = actions[CALL], actions[PAYLOAD]
        index = np.asarray(actions, np.int64)
        call_B4 = torch.from_numpy(self.calls_A4[index] if self.flat else index)
        return Action(call_B4, None if payload is None else torch.as_tensor(np.asarray(payload, np.float32)))

    def observe(self, state: Any) -> dict[str, Array]:
        """By name, B first."""
        seen = self.world.observe(state)
        found = {FIELDS: seen.fields_BF.clone().numpy()} if self.world.spec.fields else {}
        for channel in self.real:
            part = seen.channels[channel.name]
            if isinstance(part, Ragged):
                found[channel.name] = _filled(part, self.longest[channel.name])
                found[channel.name + LENGTH] = part.lengths_B[:, None].clone().numpy()
            else:
                found[channel.name] = part.detach().clone().numpy()  # the world may go on with what it shows
        return found | {channel.name: self._pictures(channel, seen.fields_BF) for channel in self.shown}

    def formed(self, parts: dict[str, Array]) -> Any:
        """An observation, of one instance or a batch, in the form of the space."""
        return parts[FIELDS] if self.plain else parts

    def act(self, state: Any, action: Action) -> tuple[Array, Array]:
        """Perform actions: legal_B (bool), and reward_B (float64), 0 where an action could not be carried out.

        The reward is what the world scores; what should be small counts negative.
        """
        world, legal_B = self.world, self.world.legal(action)
        reward_B = np.zeros(len(legal_B))
        with torch.no_grad():
            world.act(state, action, legal_B)
            if isinstance(world, Scored):
                for name, score_B in world.score(state).items():
                    reward_B += score_B.double().numpy() * (1 if world.scores[name] else -1)
        legal = legal_B.numpy()
        return legal, np.where(legal, reward_B, 0.0)

    def ended(self, state: Any) -> Array:
        """bool B: true ends."""
        world = self.world
        return world.ended(state).numpy() if isinstance(world, Ending) else np.zeros(state.batch, bool)

    def render(self, state: Any, instance: int, mode: str) -> str | Array:
        """One instance as text, or as pixels: height × width × 3, uint8; its pictures side by side, else the text."""
        fields_BF = self.world.observe(state).fields_BF[instance : instance + 1]
        if mode == "rgb_array" and self.world.spec.rendered:
            shown = [self._pictures(channel, fields_BF)[0] for channel in self.world.spec.rendered]
            return np.concatenate([np.broadcast_to(each, (*each.shape[:2], 3)) for each in shown], 1)
        if isinstance(self.world, Drawn):
            text = self.world.draw(state, instance)
        else:
            named = zip(self.world.spec.fields, fields_BF[0].tolist(), strict=True)
            text = "\n".join(f"{field.name} {field.values[value]}" for field, value in named)
        return text_pixels(text) if mode == "rgb_array" else text

    def _pictures(self, channel: Channel, fields_BF: torch.Tensor) -> Array:
        assert isinstance(self.world, Pictured), "a world that declares rendered channels renders them"
        return self.world.pictures(fields_BF[:, [self.world.spec.field(name) for name in channel.fields]]).numpy()


def check_render_mode(mode: str | None) -> None:
    """Raise ``ValueError`` for a mode that is none."""
    if mode not in (None, *RENDER_MODES):
        raise ValueError(f"render_mode {mode!r}; there is {' and '.join(RENDER_MODES)}")


def text_pixels(text: str) -> Array:
    """Lines of text as pixels, black on white; ``ValueError`` where Pillow is not installed."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ModuleNotFoundError as error:
        raise ValueError("pixels of a text need Pillow: pip install 'npi-engine[pictures]'") from error
    font = ImageFont.load_default()
    box = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((MARGIN, MARGIN), text, font=font)
    image = Image.new("RGB", (int(box[2]) + MARGIN, int(box[3]) + MARGIN), "white")
    ImageDraw.Draw(image).multiline_text((MARGIN, MARGIN), text, "black", font=font)
    return np.asarray(image)


def started(draw: Draw, goal: Goal | None, generator: np.random.Generator) -> Start:
    """A drawn episode; its own goal goes before the common one."""
    drawn = draw(generator)
    return Start(*drawn) if isinstance(drawn, tuple) else Start(drawn, goal)


def _calls(world: World[Any]) -> Array:
    """calls_A4: every primitive but those of setup, with every argument that its signature allows."""
    name = world.spec.name
    primitives = {number: primitive for number, primitive in enumerate(world.spec.primitives) if not primitive.setup}
    count = sum(math.prod(len(slot.tokens) for slot in primitive.slots) for primitive in primitives.values())
    if count > MAX_CALLS:
        raise ValueError(f"world {name} has {count} different calls, and a space of calls at most {MAX_CALLS}")
    found = [
        [number, *tokens, *[0] * (SLOTS - len(tokens))]
        for number, primitive in primitives.items()
        for tokens in itertools.product(*(slot.tokens for slot in primitive.slots))
    ]
    return np.array(found, np.int64)


def _filled(part: Ragged, longest: int) -> Array:
    """B × longest × …: the lines of each instance, and zeros behind them."""
    batch, there, *shape = part.padded_BLX.shape
    found = np.zeros((batch, longest, *shape), np.float32)
    found[:, :there] = part.padded_BLX.detach().numpy()
    found[np.arange(longest) >= part.lengths_B.numpy()[:, None]] = 0
    return found


def _box(channels: list[Channel], shape: tuple[int, ...]) -> spaces.Box:
    """Of numbers that any of the channels can hold."""
    lows, highs = [channel.low for channel in channels], [channel.high for channel in channels]
    low = min((-np.inf if x is None else x for x in lows), default=-np.inf)
    high = max((np.inf if x is None else x for x in highs), default=np.inf)
    return spaces.Box(low, high, shape, np.float32)
