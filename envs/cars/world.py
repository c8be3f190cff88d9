"""The car world of NPI (section 4.3): a camera goes round a car in steps of 15 degrees and should end at a target pose.

The world shows the target as symbols and the car as a picture. The true pose and the car's number are fields of the
observation that a teacher reads; a core sees the picture in their place (:class:`envs.spec.Channel`). All ways to see
them are a finite set, so a picture is a function of three small numbers, is rendered once, and no pixel is ever stored
in a trace.

Shape legend: ``B`` instances, ``U`` different pictures, ``F`` the five fields in the order of :data:`FIELDS`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from envs.cars.image_cache import PoseGrid, Views
from envs.cars.mesh import Mesh
from envs.cars.shapes import mesh
from envs.cars.styles import STYLES, Car, check_style, draw_car
from envs.settings import check_parts, laid_value, read_settings, within
from envs.spec import NONE, Channel, Field, Signature, Slot, SpecError, WorldSpec
from envs.stepper import Action, Observation
from envs.support.lazy_torch import torch
from envs.world import Given, Layout, check_given

KIND = "cars"

FIELDS = ("CAR", "AZIMUTH", "ELEVATION", "TO_AZIMUTH", "TO_ELEVATION")

MOVES = ("LEFT", "RIGHT", "UP", "DOWN")
"""Where ``ACT`` moves the camera, 15 degrees; LEFT lowers the azimuth. It goes round, and stops above and below."""

STEP = 15
"""Degrees of a move, and between targets."""

CANONICAL = (0, 15)
"""Azimuth and elevation of the target that a layout does not name (NPI section 4.3)."""

MAX_CARS = 30_000
"""Their numbers are held in 16 bits."""


SPLITS = ("seen", "unseen", "novel")
"""``seen``: to learn from. ``unseen``: other cars of the same styles. ``novel``: cars of styles that are held out."""

MAX_SEED = 2**31
"""Seeds and numbers lie below."""


@dataclass(frozen=True)
class Collection:
    """Endless rows of cars, one for each split; the same seed has the same cars.

    The random numbers of a car are seeded by (seed, split, number), so no two splits or numbers share them.
    ``held_out`` are the styles of ``novel``, which ``seen`` and ``unseen`` do not have.
    """

    seed: int = 0
    held_out: tuple[str, ...] = ("coupe", "pickup")

    def __post_init__(self) -> None:
        if not 0 <= self.seed < MAX_SEED:
            raise ValueError(f"the seed is {self.seed}; it has to be 0 to {MAX_SEED - 1}")
        for style in self.held_out:
            check_style(style)
        if len(set(self.held_out)) != len(self.held_out):
            raise ValueError(f"a held-out style is named twice: {', '.join(self.held_out)}")
        if len(self.held_out) == len(STYLES):
            raise ValueError("all styles are held out; leave one at least")

    def styles(self, split: str) -> tuple[str, ...]:
        """The styles of a split; car ``n`` is of style ``n % len(styles)``."""
        if split not in SPLITS:
            raise ValueError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
        return tuple(style for style in STYLES if (style in self.held_out) == (split == "novel"))

    def car(self, split: str, number: int) -> Car:
        """Car ``number`` of a split, from 0."""
        styles = self.styles(split)
        if not styles:
            raise ValueError("no style is held out, so there are no novel cars; name some in held_out")
        if not 0 <= number < MAX_SEED:
            raise ValueError(f"the number of a car is {number}; it has to be 0 to {MAX_SEED - 1}")
        generator = np.random.default_rng([self.seed, SPLITS.index(split), number])
        return draw_car(styles[number % len(styles)], generator)

    def mesh(self, split: str, number: int) -> Mesh:
        """The surface of car ``number`` of a split."""
        return mesh(self.car(split, number))


@dataclass(frozen=True)
class CarsConfig:
    """The settings of ``cars(…)`` in a program file.

    Attributes:
        seen, unseen, novel: how many cars there are to learn from, others of the same styles, and others of styles that
            are never learned from. Cars are numbered in this order.
        seed: of the cars, their lights and backgrounds. pixels: along a side of a picture.
        grid: degrees between the camera's poses: 15, or 5 for starts between the steps.
    """

    seen: int = 500
    unseen: int = 60
    novel: int = 60
    seed: int = 0
    pixels: int = 64
    grid: int = STEP

    @property
    def cars(self) -> int:
        return self.seen + self.unseen + self.novel

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CarsConfig:
        """Settings from a file; :class:`SpecError` names one that does not exist or does not fit."""
        config = read_settings(cls, data, "cars")
        for key, low, high in (
            *((split, 0, MAX_CARS) for split in SPLITS), ("seed", 0, MAX_SEED - 1), ("pixels", 8, 512),
        ):  # fmt: skip
            within("cars", key, getattr(config, key), low, high)
        if not 1 <= config.cars <= MAX_CARS:
            raise SpecError(f"there are {config.cars} cars; there have to be 1 to {MAX_CARS}")
        if config.grid not in (5, STEP):
            raise SpecError(f"the grid of poses is {config.grid} degrees; it can be 15 or 5")
        return config


@dataclass
class CarsState:
    """Where the cameras of a batch are and should go: at_BF int64, indices of the values of :data:`FIELDS`."""

    at_BF: torch.Tensor

    @property
    def batch(self) -> int:
        return len(self.at_BF)

    @property
    def device(self) -> torch.device:
        return self.at_BF.device

    def select(self, index_B: torch.Tensor) -> CarsState:
        return CarsState(self.at_BF.index_select(0, index_B.to(self.device)))

    def spend(self, acts: int) -> None:
        """Nothing counts the acts of a camera."""


class Cars:
    """The world (implements ``World[CarsState]``, ``Pictured``, ``Aimed``, ``Drawn``); see the head of this file."""

    def __init__(self, name: str, config: CarsConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, CarsConfig) else CarsConfig.from_json(config)
        self.grid = PoseGrid(self.config.grid, self.config.grid)
        self.targets = PoseGrid(STEP, STEP)
        self.spec = _spec(name, self.config, self.grid, self.targets)
        self.collection = Collection(self.config.seed)
        azimuth, elevation = CANONICAL
        self._begin = 0, self.grid.front, 0, self.targets.front + azimuth // STEP, elevation // STEP
        self._move = _moves(self.grid)
        self.views = Views(self.mesh, self.grid, size=self.config.pixels, seed=self.config.seed)

    def showing(self, meshes: Sequence[Mesh]) -> Cars:
        """The same world with these cars in place of the first ones; raises ``ValueError`` for more than it has."""
        if not 1 <= len(meshes) <= self.config.cars:
            raise ValueError(f"{len(meshes)} meshes; world {self.spec.name} has room for 1 to {self.config.cars}")
        other = copy.copy(self)
        other.views = Views(meshes.__getitem__, self.grid, size=self.config.pixels, seed=self.config.seed)
        return other

    def split(self, car: int) -> tuple[str, int]:
        """A car's split, and its number there."""
        for split, count in (("seen", self.config.seen), ("unseen", self.config.unseen)):
            if car < count:
                return split, car
            car -= count
        return "novel", car

    def mesh(self, car: int) -> Mesh:
        return self.collection.mesh(*self.split(car))

    def pictures(self, values_UF: torch.Tensor) -> torch.Tensor:
        """uint8 U×H×W×3 of (car, azimuth, elevation), indices of their values; on the CPU."""
        car_U, azimuth_U, elevation_U = values_UF.cpu().numpy().T
        return torch.from_numpy(self.views.pictures(car_U, azimuth_U, elevation_U))

    def goal(self, obs_BF: torch.Tensor) -> torch.Tensor:
        """The same cars, seen from their target poses."""
        car_B, _, _, azimuth_B, elevation_B = obs_BF.unbind(1)
        turn, rise = STEP // self.grid.azimuth_step, STEP // self.grid.elevation_step
        return torch.stack([car_B, azimuth_B * turn, elevation_B * rise, azimuth_B, elevation_B], 1)

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> CarsState:
        """States whose fields have the given indices (one each); what is not named is car 0, seen from in front."""
        check_given(self.spec, given, len(layouts))
        rows = []
        for number, layout in enumerate(layouts):
            check_parts(self.spec, number, layout, self.spec.fields)
            parts = zip(self.spec.fields, self._begin, strict=True)
            rows.append([laid_value(number, layout, field, begin) for field, begin in parts])
        return CarsState(torch.tensor(rows, dtype=torch.int64, device=device).view(-1, len(FIELDS)))

    def observe(self, state: CarsState) -> Observation:
        return Observation(state.at_BF.clone())

    def act(self, state: CarsState, action: Action, active_B: torch.Tensor) -> None:
        moves = self._on(state.device)
        way_B = torch.where(active_B & self.legal(action), action.call_B4[:, 1], 0)
        azimuth_B = (state.at_BF[:, 1] + moves[way_B, 0]) % self.grid.azimuths
        elevation_B = (state.at_BF[:, 2] + moves[way_B, 1]).clamp(0, self.grid.elevations - 1)
        state.at_BF[:, 1].copy_(azimuth_B)
        state.at_BF[:, 2].copy_(elevation_B)

    def prepare(self, state: CarsState, acts: int) -> bool:
        """Acts change the state in place, however many there are."""
        self._on(state.device)
        return False

    def legal(self, action: Action) -> torch.Tensor:
        call_B4 = action.call_B4
        way_B = call_B4[:, 1]
        return (call_B4[:, 0] == 0) & (way_B >= 1) & (way_B <= len(MOVES)) & (call_B4[:, 2:] == 0).all(1)

    def read(self, state: CarsState) -> list[dict[str, list[int]]]:
        return [{name: [value] for name, value in zip(FIELDS, row, strict=True)} for row in state.at_BF.tolist()]

    def close(self, state: CarsState) -> None:
        """Nothing is held."""

    def draw(self, state: CarsState, instance: int = 0, *, width: int = 100) -> str:
        """Where a camera is and should go, in degrees."""
        values = [self.spec.fields[i].values[v] for i, v in enumerate(state.at_BF[instance].tolist())]
        car, azimuth, elevation, to_azimuth, to_elevation = values
        return f"car {car} from azimuth {azimuth}°, elevation {elevation}°; target {to_azimuth}°, {to_elevation}°"

    def _on(self, device: torch.device) -> torch.Tensor:
        if self._move.device != device:
            self._move = self._move.to(device)
        return self._move


def _moves(grid: PoseGrid) -> torch.Tensor:
    """int64 5×2: by how much no call and each of :data:`MOVES` change the indices of azimuth and elevation."""
    turn, rise = STEP // grid.azimuth_step, STEP // grid.elevation_step
    return torch.tensor([[0, 0], [-turn, 0], [turn, 0], [0, rise], [0, -rise]])


def _spec(name: str, config: CarsConfig, grid: PoseGrid, targets: PoseGrid) -> WorldSpec:
    def degrees(found: np.ndarray) -> tuple[str, ...]:
        return tuple(map(str, found.tolist()))

    values = [tuple(map(str, range(config.cars)))]
    for poses in (grid, targets):
        values.append(degrees(poses.azimuth(np.arange(poses.azimuths))))
        values.append(degrees(poses.elevation(np.arange(poses.elevations))))
    way = Slot("way", tuple(range(1, 1 + len(MOVES))))
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=tuple(Field(field, found) for field, found in zip(FIELDS, values, strict=True)),
        tokens=(NONE, *MOVES),
        primitives=(Signature("ACT", (way,), "Move the camera 15 degrees"),),
        channels=(Channel("view", (config.pixels, config.pixels, 3), low=0, high=255, fields=FIELDS[:3]),),
    )
