"""The states of a run, told as the first one and what each step changed, for a page to draw.

A run is carried out once more in its world. What is observed on the way must be what was recorded; a world that does
not repeat itself has none.
"""

from __future__ import annotations

import base64
import itertools
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from envs.scratchpad.world import PadState, Scratchpad
from envs.stepper import Action
from envs.world import Aimed, Layout, Pictured, World
from traces.recording.batch import Ints
from traces.recording.text import state_lines

Pixels = NDArray[np.uint8]
"""A picture, height × width × channels."""

COLOURS = {1: 0, 3: 2, 4: 6}
"""PNG's number for so many channels: grey, red-green-blue, the same with opacity."""

TEXT_WIDTH = 400
"""Characters of a line that is shown of a world that is no pad."""


class StatesError(ValueError):
    """A run that cannot be carried out again as it was recorded; the message says where it parts."""


@dataclass(frozen=True)
class PadRow:
    """A row of a pad as it begins.

    Attributes:
        values: the text of each value of a cell; empty where cells hold columns, which are their own text.
        empty: the value of an empty cell. endless: whether there are empty cells beyond the ends.
        start: the column of the first cell.
    """

    name: str
    values: tuple[str, ...]
    empty: int
    endless: bool
    start: int
    cells: tuple[int, ...]


@dataclass(frozen=True)
class PadPointer:
    """A pointer as it begins: on which row, in which column, and whether the symbol under it is observed."""

    name: str
    row: int
    at: int
    sees: bool


@dataclass(frozen=True)
class PadStates:
    """A scratch pad. Changes are flat, each with the steps since the change before it in the same list.

    Attributes:
        moves: steps, pointer, column. writes: steps, row, column, value.
    """

    rows: tuple[PadRow, ...]
    pointers: tuple[PadPointer, ...]
    moves: tuple[int, ...]
    writes: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return {"kind": "pad", **asdict(self)}


@dataclass(frozen=True)
class TextStates:
    """Any other world: the lines that describe it. ``changes``: steps since the change before, line, text."""

    texts: tuple[str, ...]
    lines: tuple[int, ...]
    changes: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return {"kind": "text", **asdict(self)}


@dataclass(frozen=True)
class PictureStates:
    """A world that shows pictures: places for pictures beside each other, and the lines that describe it.

    Attributes:
        captions: of the places. pictures: PNG files, each different one once.
        shown: for each place, the number of the picture that is there at first.
        turns: flat; steps since the change before, place, picture.
    """

    text: TextStates
    captions: tuple[str, ...]
    pictures: tuple[bytes, ...]
    shown: tuple[int, ...]
    turns: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        addresses = [f"data:image/png;base64,{base64.b64encode(picture).decode()}" for picture in self.pictures]
        places = {"captions": self.captions, "shown": self.shown, "turns": self.turns}
        return {"kind": "picture", "text": self.text.to_json(), "pictures": addresses, **places}


States = PadStates | TextStates | PictureStates


def states(
    world: World[Any],
    layout: Layout,
    calls_S4: Ints,
    obs_SF: Ints,
    *,
    primitives: int,
    beside: Sequence[str] = (),
    payloads: Sequence[torch.Tensor | None] = (),
) -> States:
    """Carry a run out again; :class:`StatesError` where something else is observed than was recorded.

    Args:
        calls_S4, obs_SF: what was decided and observed, in the order of time.
        primitives: how many ids of the table are primitives.
        beside: lines below the drawings of states before calls of primitives, of worlds that are drawn as text.
        payloads: float32 X each, what was given beside the calls, None where nothing was; may be fewer.
    """
    state = world.reset([layout])
    camera: PadCamera | PictureCamera | TextCamera
    if isinstance(world, Scratchpad):
        camera = PadCamera(world, state)
    else:
        camera = PictureCamera(world, state) if has_pictures(world) else TextCamera(world, state, beside)
    call_S4, active_1 = torch.from_numpy(np.ascontiguousarray(calls_S4, np.int64)), torch.ones(1, dtype=torch.bool)
    acts = ((calls_S4[:, 0] >= 0) & (calls_S4[:, 0] < primitives)).tolist()
    for step, act in enumerate(acts):
        if step == 0 or acts[step - 1]:
            seen = world.observe(state).fields_BF[0].tolist()
        if seen != obs_SF[step].tolist():
            raise StatesError(f"at step {step + 1} the world shows something else than was recorded")
        if act:
            payload_X = payloads[step] if step < len(payloads) else None
            action = Action(call_S4[step : step + 1], None if payload_X is None else payload_X[None])
            if step < len(acts) - 1 or bool(world.legal(action)):
                with torch.no_grad():
                    world.act(state, action, active_1)
                camera.take(state, step)
    return camera.states()


def has_pictures(world: World[Any]) -> bool:
    """Whether a world shows pictures."""
    return isinstance(world, Pictured) and bool(world.spec.rendered)


def views(world: World[Any], obs_1F: torch.Tensor) -> dict[str, Pixels]:
    """What a world that has pictures shows to the one observation, by caption; where it has a goal, also from there."""
    assert isinstance(world, Pictured)
    found = {picture.name: (picture, obs_1F) for picture in world.spec.rendered}
    if isinstance(world, Aimed):
        found["target"] = world.spec.rendered[0], world.goal(obs_1F)
    shown = {}
    for caption, (picture, seen_1F) in found.items():
        columns = [world.spec.field(name) for name in picture.fields]
        shown[caption] = world.pictures(seen_1F[:, columns])[0].numpy()
    return shown


class Changes:
    """What changed, flat: for each change the steps since the one before, then what it is."""

    def __init__(self) -> None:
        self.flat: list[int] = []
        self._last = 0

    def note(self, step: int, *what: int) -> None:
        """A change that was done by ``step``."""
        self.flat += (step - self._last, *what)
        self._last = step

    def compare(self, step: int, before: Sequence[int], now: Sequence[int]) -> None:
        """Note each place that holds another value than before, and the value."""
        for place, (old, new) in enumerate(zip(before, now, strict=True)):
            if old != new:
                self.note(step, place, new)


class PadCamera:
    """Watches one pad (instance 0)."""

    def __init__(self, world: Scratchpad, state: PadState) -> None:
        self.world, self.config = world, world.config
        self._cells_RW, self._origin = state.cells_BRW[0].numpy().copy(), state.origin
        self._at = self._columns(state)
        self._first = (self._rows(state), self._at)
        self._moves, self._writes = Changes(), Changes()

    def take(self, state: PadState, step: int) -> None:
        """Note what has changed since the last look, as done by ``step``."""
        at = self._columns(state)
        self._moves.compare(step, self._at, at)
        self._at = at
        cells_RW = state.cells_BRW[0].numpy()
        if cells_RW.shape != self._cells_RW.shape or state.origin != self._origin:
            self._cells_RW = self._widened(cells_RW, state.origin)
            self._origin = state.origin
        changed: NDArray[np.intp] = (cells_RW != self._cells_RW).ravel().nonzero()[0]
        for flat in changed.tolist():
            row, column = divmod(flat, cells_RW.shape[1])
            value = int(cells_RW[row, column])
            self._cells_RW[row, column] = value
            self._writes.note(step, row, column - state.origin, value)

    def states(self) -> PadStates:
        rows, at = self._first
        names = [row.name for row in self.config.rows]
        pointers = tuple(
            PadPointer(p.name, names.index(p.row), column, p.sees)
            for p, column in zip(self.config.pointers, at, strict=True)
        )
        return PadStates(rows, pointers, tuple(self._moves.flat), tuple(self._writes.flat))

    def _columns(self, state: PadState) -> list[int]:
        columns: list[int] = (state.at_BP[0] % state.width - state.origin).tolist()
        return columns

    def _rows(self, state: PadState) -> tuple[PadRow, ...]:
        rows = []
        for r, row in enumerate(self.config.rows):
            (begin,), (end,) = self.world.extents(state, self._cells_RW[None, r], r)
            values = () if row.places else row.values[: len(row.symbols)]
            inside = tuple(self._cells_RW[r, begin:end].tolist())
            empty = int(row.empty) if row.blank else -1
            rows.append(PadRow(row.name, values, empty, row.blank, int(begin) - state.origin, inside))
        return tuple(rows)

    def _widened(self, like_RW: Ints, origin: int) -> Ints:
        """The cells of the last look in a storage that has grown."""
        wide_RW = np.empty_like(like_RW)
        wide_RW[:] = np.array([row.empty for row in self.config.rows])[:, None]
        left = origin - self._origin
        wide_RW[:, left : left + self._cells_RW.shape[1]] = self._cells_RW
        return wide_RW


class PictureCamera:
    """Watches the pictures of a world, and the lines that describe it (instance 0)."""

    def __init__(self, world: World[Any], state: Any) -> None:
        self._world = world
        self._text = TextCamera(world, state)
        self._numbers: dict[bytes, int] = {}
        self._pictures: list[bytes] = []
        first = views(world, world.observe(state).fields_BF)
        self._captions = tuple(first)
        self._now = self._first = [self._number(pixels) for pixels in first.values()]
        self._turns = Changes()

    def take(self, state: Any, step: int) -> None:
        """Note what has changed since the last look, as done by ``step``."""
        self._text.take(state, step)
        now = [self._number(pixels) for pixels in views(self._world, self._world.observe(state).fields_BF).values()]
        self._turns.compare(step, self._now, now)
        self._now = now

    def states(self) -> PictureStates:
        pictures, shown, turns = tuple(self._pictures), tuple(self._first), tuple(self._turns.flat)
        return PictureStates(self._text.states(), self._captions, pictures, shown, turns)

    def _number(self, pixels: Pixels) -> int:
        number = self._numbers.setdefault(pixels.tobytes(), len(self._pictures))
        if number == len(self._pictures):
            self._pictures.append(png(pixels))
        return number


class TextCamera:
    """Watches the lines that describe a world (instance 0), and one beside each state where there are some."""

    def __init__(self, world: World[Any], state: Any, beside: Sequence[str] = ()) -> None:
        self._world = world
        self._beside = iter(beside)
        self._texts: dict[str, int] = {}
        self._now = self._lines(state)
        self._first, self._changes = tuple(self._now), Changes()

    def take(self, state: Any, step: int) -> None:
        """Note what has changed since the last look, as done by ``step``."""
        now = self._lines(state)
        now += [self._text("")] * (len(self._now) - len(now))
        self._now += [self._text("")] * (len(now) - len(self._now))
        self._changes.compare(step, self._now, now)
        self._now = now

    def states(self) -> TextStates:
        return TextStates(tuple(self._texts), self._first, tuple(self._changes.flat))

    def _lines(self, state: Any) -> list[int]:
        lines = [*state_lines(self._world, state), *itertools.islice(self._beside, 1)]
        return [self._text(line if len(line) <= TEXT_WIDTH else line[:TEXT_WIDTH] + " …") for line in lines]

    def _text(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))


def png(pixels_HWC: Pixels) -> bytes:
    """The file of a picture; ``ValueError`` for one that is not uint8 with 1, 3 or 4 channels."""
    if pixels_HWC.dtype != np.uint8 or pixels_HWC.ndim != 3 or pixels_HWC.shape[2] not in COLOURS:
        found = f"{pixels_HWC.dtype} {pixels_HWC.shape}"
        raise ValueError(f"a picture is {found}; it has to be uint8, height × width × 1, 3 or 4")
    height, width, channels = pixels_HWC.shape
    unfiltered = np.zeros((height, 1 + width * channels), np.uint8)  # each row begins with the number of its filter
    unfiltered[:, 1:] = pixels_HWC.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, COLOURS[channels], 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(unfiltered.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
