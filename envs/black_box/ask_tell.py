"""Points that are asked for and whose values somebody else tells (ask and tell), on a grid of the unit cube.

A learner gives ``QUERY`` a point, as in :mod:`envs.black_box.world`, and the nearest point of the grid that was not
asked for yet is what it asks for. A program with a body reads which one that is, evaluates it by what its other worlds
can do, and tells the value as a whole number: ``TELL(value)``. So what is minimised is the program's own business.
A body's own ``QUERY``, which has no payload, asks at the next point of a sequence that fills the cube evenly.

Each question of a learned program can be a run of its own, which remembers nothing: the channel ``history`` has all
that was told.

Shape legend: ``B`` searches, ``D`` dimensions, ``L`` levels of a coordinate, ``K`` points of the grid, ``T`` questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from envs.black_box.drawing import drawing
from envs.black_box.functions import shifted, sobol
from envs.black_box.world import POINT, SEQUENCE, TRENDS, VALUE
from envs.episodic.trials import EPISODE, EpisodeState, Trials, columns, digits, episode_number
from envs.settings import read_settings, within
from envs.spec import NONE, Channel, Field, Signature, Slot, SpecError, WorldSpec
from envs.stepper import Action, Observation
from envs.support.counter_rng import uniform
from envs.support.lazy_torch import torch
from envs.world import Layout

KIND = "ask_tell"

WORLD = "an ask-and-tell search"

HISTORY = "history"
"""The channel of what was told: T × (D + 1), a line for each result in order, its point and its value; then zeros."""

QUERY, TELL = 0, 1
"""The callees."""

MAX_POINTS = 65_536
"""K, at most."""


@dataclass(frozen=True)
class AskTellConfig:
    """The settings of ``ask_tell(…)`` in a program file.

    Attributes:
        dimensions: D. levels: L; coordinates are 0, 1 / (L - 1), …, 1.
        values: values that can be told are 0 to values - 1; less is better.
        steps: T, the most values that can be told.
    """

    dimensions: int = 2
    levels: int = 16
    values: int = 100
    steps: int = 30

    def __post_init__(self) -> None:
        for key, low, high in (("dimensions", 1, 16), ("levels", 2, 1000), ("values", 2, 1000), ("steps", 1, 1000)):
            within(WORLD, key, getattr(self, key), low, high)
        if self.points > MAX_POINTS:
            raise SpecError(
                f"{self.levels} levels of {self.dimensions} coordinates are {self.points} points; {WORLD} has at most "
                f"{MAX_POINTS}: give fewer levels"
            )

    @property
    def points(self) -> int:
        """K."""
        return self.levels**self.dimensions


@dataclass
class AskTellState(EpisodeState):
    """A batch of searches.

    Attributes:
        step_B: int64, values that were told. place_BD: int64, the levels of the last question, from 0.
        open_B: bool, whether its value was not told yet. asked_BK: bool, which points of the grid were asked for.
        point_BD, value_B: float32, of the last value that was told. best_B: the least one; infinite before the first.
        better_B: bool, whether the last one was less than all before.
        history_BTX: float32, see :data:`HISTORY`.
    """

    step_B: torch.Tensor
    place_BD: torch.Tensor
    open_B: torch.Tensor
    asked_BK: torch.Tensor
    point_BD: torch.Tensor
    value_B: torch.Tensor
    best_B: torch.Tensor
    better_B: torch.Tensor
    history_BTX: torch.Tensor


class AskTell(Trials[AskTellState]):
    """The world (implements ``World[AskTellState]``, ``Scored``, ``Drawn``); see the head of this file."""

    scores: Mapping[str, bool] = MappingProxyType({"value": False})

    def __init__(self, name: str, config: AskTellConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, AskTellConfig) else read_settings(AskTellConfig, config, WORLD)
        self.spec = _spec(name, self.config)

    @property
    def parts(self) -> tuple[Field, ...]:
        return (EPISODE,)

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        return (episode_number(number, layout),)

    def begun(self, laid_BX: torch.Tensor) -> AskTellState:
        return self.begin(*columns(laid_BX))

    def begin(self, episode_B: torch.Tensor) -> AskTellState:
        """Searches by their numbers, int64: these shift the sequence of queries without a payload, and nothing else."""
        config, batch = self.config, len(episode_B)
        none_B, none_BD = episode_B.new_zeros(batch), episode_B.new_zeros(batch, config.dimensions)
        return AskTellState(
            episode_B, none_B, none_BD, none_B.bool(), none_B.bool()[:, None].repeat(1, config.points),
            none_BD.float(), none_B.float(), none_B + torch.inf, none_B.bool(),
            none_B.float()[:, None, None].repeat(1, config.steps, config.dimensions + 1),
        )  # fmt: skip

    def prepare(self, state: AskTellState, acts: int) -> bool:
        """Acts change the state in place; what they need of the host is made by a first one that changes nothing."""
        grid(self.config.dimensions, self.config.levels, state.device)
        self._sequence(state)
        return False

    def observe(self, state: AskTellState) -> Observation:
        trend_B = torch.where(state.step_B == 0, 0, torch.where(state.better_B, 1, 2))
        fields_BF = torch.cat([state.step_B[:, None], trend_B[:, None], state.place_BD], 1)
        channels = {POINT: state.point_BD, VALUE: state.value_B[:, None], HISTORY: state.history_BTX}
        return Observation(fields_BF, {name: part.clone() for name, part in channels.items()})

    def act(self, state: AskTellState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action)
        callee_B, token_B, *_ = action.call_B4.unbind(1)
        self._ask(state, action, acts_B & (callee_B == QUERY))
        self._tell(state, token_B, acts_B & (callee_B == TELL) & state.open_B & (state.step_B < self.config.steps))

    def _ask(self, state: AskTellState, action: Action, asks_B: torch.Tensor) -> None:
        """The nearest point that was not asked for yet, of all points where there is none."""
        point_KD = self._grid(state)
        square_BK = (point_KD - self._asked(state, action)[:, None]).square().sum(2)
        left_BK = ~state.asked_BK | state.asked_BK.all(1, keepdim=True)
        index_B = torch.where(left_BK, square_BK, torch.inf).argmin(1)
        place_BD = (point_KD[index_B] * (self.config.levels - 1)).round().long()
        number_K = torch.arange(self.config.points, device=state.device)
        state.asked_BK.logical_or_(asks_B[:, None] & (number_K == index_B[:, None]))
        state.place_BD.copy_(torch.where(asks_B[:, None], place_BD, state.place_BD))
        state.open_B.logical_or_(asks_B)

    def _asked(self, state: AskTellState, action: Action) -> torch.Tensor:
        """point_BD of the next question: what was given, moved into the cube, or the next one of the sequence."""
        if action.payload_BX is None:
            return self._sequence(state)
        given_BD = action.payload_BX[:, : self.config.dimensions].detach().clamp(0, 1)
        if action.given_B is None:
            return given_BD
        return torch.where(action.given_B[:, None], given_BD, self._sequence(state))

    def _tell(self, state: AskTellState, token_B: torch.Tensor, tells_B: torch.Tensor) -> None:
        """The value of the open question."""
        value_B = (token_B - 1).float()  # the tokens from 1 on are the numbers from 0 on
        point_BD = state.place_BD.float() / (self.config.levels - 1)
        row_B1X = torch.cat([point_BD, value_B[:, None]], 1)[:, None]
        step_B11 = state.step_B.clamp(max=self.config.steps - 1)[:, None, None].expand_as(row_B1X)
        old_B1X = state.history_BTX.gather(1, step_B11)
        state.history_BTX.scatter_(1, step_B11, torch.where(tells_B[:, None, None], row_B1X, old_B1X))
        better_B = value_B < state.best_B
        state.better_B.copy_(torch.where(tells_B, better_B, state.better_B))
        state.best_B.copy_(torch.where(tells_B & better_B, value_B, state.best_B))
        state.value_B.copy_(torch.where(tells_B, value_B, state.value_B))
        state.point_BD.copy_(torch.where(tells_B[:, None], point_BD, state.point_BD))
        state.step_B.add_(tells_B.long())
        state.open_B.logical_and_(~tells_B)

    def legal(self, action: Action) -> torch.Tensor:
        callee_B, *token = action.call_B4.unbind(1)
        tells_B = (callee_B == TELL) & (token[0] >= 1) & (token[0] <= self.config.values)
        return ((callee_B == QUERY) & (token[0] == 0) | tells_B) & (token[1] == 0) & (token[2] == 0)

    def _grid(self, state: AskTellState) -> torch.Tensor:
        return grid(self.config.dimensions, self.config.levels, state.device)

    def _sequence(self, state: AskTellState) -> torch.Tensor:
        """point_BD: Sobol's sequence, moved by a shift of each search's own."""
        count, size = self.config.steps, self.config.dimensions
        shift_BD = uniform(state.episode_B[:, None], SEQUENCE, torch.arange(size, device=state.device)).float()
        return shifted(shift_BD, sobol(size, count, state.device)[state.step_B % count])

    def score(self, state: AskTellState) -> dict[str, torch.Tensor]:
        """The value told last; 0 before the first."""
        return {"value": state.value_B.clone()}

    def draw(self, state: AskTellState, instance: int = 0, *, width: int = 100) -> str:
        """Values by question, and the points where there are at most two dimensions."""
        rows = state.history_BTX[instance, : int(state.step_B[instance])].tolist()
        return drawing([row[:-1] for row in rows], [row[-1] for row in rows], width)

    def hidden(self, state: AskTellState) -> Sequence[tuple[Sequence[int], ...]]:
        told = [
            value_T[:count]
            for value_T, count in zip(state.history_BTX[:, :, -1].long().tolist(), state.step_B.tolist(), strict=True)
        ]
        return [(digits(episode), values) for episode, values in zip(state.episode_B.tolist(), told, strict=True)]


@lru_cache(maxsize=8)
def grid(dimensions: int, levels: int, device: torch.device) -> torch.Tensor:
    """float32 K × D: the points, the last coordinate changing fastest."""
    side_L = torch.arange(levels, dtype=torch.float32, device=device) / (levels - 1)
    return torch.cartesian_prod(*[side_L] * dimensions).view(-1, dimensions)


def _spec(name: str, config: AskTellConfig) -> WorldSpec:
    shape = (config.dimensions,)
    numbers = tuple(map(str, range(max(config.values, config.levels + 1))))
    value = Slot("value", tuple(range(1, config.values + 1)))
    levels = tuple(map(str, range(1, config.levels + 1)))
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(
            Field("QUERIES", tuple(map(str, range(config.steps + 1)))),
            Field("TREND", TRENDS),
            *(Field(f"X{place}", levels) for place in range(1, config.dimensions + 1)),
        ),
        tokens=(NONE, *numbers),
        primitives=(
            Signature("QUERY", (), "Ask for the value at a point", Channel("point", shape, low=0, high=1)),
            Signature("TELL", (value,), "Say the value at the point that was asked for", setup=True),
        ),
        channels=(
            Channel(POINT, shape, low=0, high=1),
            Channel(VALUE, (1,)),
            Channel(HISTORY, (config.steps, config.dimensions + 1)),
        ),
        hidden=(EPISODE, Field("TOLD", numbers[: config.values])),
    )
