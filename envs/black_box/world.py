"""Functions that are known by their values alone, and are to be made small in few queries (Chen et al. 2017).

A learner gives ``QUERY`` a point of the unit cube and reads the value there. In training the value has a gradient by
the point. A program with a body sees how far it has come; its ``QUERY``, which has no payload, asks at the next point
of a sequence that fills the cube evenly.

Of a table of results (:mod:`envs.black_box.tables`) a query is answered by the nearest configuration that was not tried
yet, and ``CHOOSE`` takes one by its number.

Shape legend: ``B`` problems, ``D`` dimensions, ``T`` queries that are kept, ``K`` configurations of a table, ``G``
numbers that make a problem what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Self

from envs.black_box.drawing import drawing
from envs.black_box.functions import normals, shifted, sobol
from envs.black_box.settings import WORLD, BlackBoxConfig, make_function, make_table
from envs.black_box.tables import Results, Table
from envs.episodic.trials import EPISODE, EpisodeState, Trials, columns, digits, episode_number
from envs.settings import laid_value, read_settings
from envs.spec import NONE, Channel, Field, Signature, Slot, WorldSpec
from envs.stepper import Action, Observation
from envs.support.counter_rng import uniform
from envs.support.lazy_torch import torch
from envs.world import Layout

KIND = "black_box"

POINT, VALUE = "point", "value"
"""The channels: the last query, and the value that was seen there; zeros before the first."""

CHOICES = "choices"
"""The channel of a table: the point of each configuration, K × D."""

LEVELS = 24
"""The largest of ``LEVEL``. Level n > 0: the best value lies at least 2 ** (n - 8) below the first."""

UNIT_LEVEL = 8
"""The level of a gain of 1."""

SPLIT = Field("SPLIT", ("train", "test"))
"""The hidden part of a table that says whether the data set is one of those kept for tests."""

QUERY, CHOOSE = 0, 1
"""The callees."""

TRENDS = ("none", "better", "worse")

SEQUENCE, NOISE, OFFSET, FACTOR = 81, 82, 83, 84
"""What is drawn, as a part of the numbers that are mixed."""


@dataclass
class BlackBoxState(EpisodeState):
    """A batch of problems.

    Attributes:
        test_B: int64, an index of :data:`SPLIT`. step_B: int64, queries so far.
        point_BD, value_B: float32, the last query and the value that was seen. exact_B: the same without noise. They
            keep a graph.
        first_B, best_B: float32, of the values that were seen. better_B: bool, whether the last one was the best.
        history_BTX: float32, points and values of the first T queries.
        tried_BK: bool, which configurations of a table were tried.
        offset_B, factor_B: float32, a and b of the scale. given_BG: float32, what makes a problem what it is.
    """

    test_B: torch.Tensor
    step_B: torch.Tensor
    point_BD: torch.Tensor
    value_B: torch.Tensor
    exact_B: torch.Tensor
    first_B: torch.Tensor
    best_B: torch.Tensor
    better_B: torch.Tensor
    history_BTX: torch.Tensor
    tried_BK: torch.Tensor
    offset_B: torch.Tensor
    factor_B: torch.Tensor
    given_BG: torch.Tensor

    def select(self, index_B: torch.Tensor) -> Self:
        """Copies of the instances named, in that order, without a graph."""
        with torch.no_grad():
            return super().select(index_B)


class BlackBox(Trials[BlackBoxState]):
    """The world (implements ``World[BlackBoxState]``, ``Scored``, ``Drawn``); see the head of this file."""

    scores: Mapping[str, bool] = MappingProxyType({"value": False})

    def __init__(
        self,
        name: str,
        config: BlackBoxConfig | Mapping[str, Any],
        *,
        data: Mapping[str, Results] | None = None,
    ) -> None:
        read = config if isinstance(config, BlackBoxConfig) else read_settings(BlackBoxConfig, config, WORLD)
        self.table = make_table(read, data)
        if self.table is not None:
            read = replace(read, dimensions=self.table.dimensions, configurations=self.table.configurations)
        self.config, self.function = read, self.table or make_function(read)
        self.spec = _spec(name, self.config)

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        return episode_number(number, layout), laid_value(number, layout, SPLIT, 0)

    def begun(self, laid_BX: torch.Tensor) -> BlackBoxState:
        return self.begin(*columns(laid_BX))

    def begin(self, episode_B: torch.Tensor, test_B: torch.Tensor | None = None) -> BlackBoxState:
        """Problems by their numbers, int64; of a table, whether they are of data sets kept for tests (0 or 1)."""
        batch, size, scale = len(episode_B), self.config.dimensions, self.config.scale
        test_B = torch.zeros_like(episode_B) if test_B is None else test_B
        given_BG = self.table.draw(episode_B, test_B) if self.table else self.function.draw(episode_B)
        none_B = given_BG.new_zeros(batch)
        step_B, none_BD = torch.zeros_like(episode_B), given_BG.new_zeros(batch, size)
        history_BTX = given_BG.new_zeros(batch, self.config.steps, size + 1)
        offset_B, factor_B = none_B, none_B + 1
        if scale != 1:
            offset_B = scale * normals(uniform(episode_B, OFFSET)).float()
            factor_B = (scale ** (2 * uniform(episode_B, FACTOR) - 1)).float()
        tried_BK = torch.zeros(batch, self.config.configurations, dtype=torch.bool, device=episode_B.device)
        return BlackBoxState(
            episode_B, test_B, step_B, none_BD, none_B.clone(), none_B.clone(), none_B.clone(), none_B + torch.inf,
            step_B.bool(), history_BTX, tried_BK, offset_B, factor_B, given_BG,
        )  # fmt: skip

    def prepare(self, state: BlackBoxState, acts: int) -> bool:
        """Acts change the state in place; what they need of the host is made by a first one that changes nothing."""
        with torch.no_grad():
            self.function.value(self._sequence(state), state.given_BG)
        return False

    def observe(self, state: BlackBoxState) -> Observation:
        step_B, gain_B = state.step_B, state.first_B - state.best_B
        level_B = (torch.log2(gain_B).floor() + UNIT_LEVEL).clamp(0, LEVELS)
        level_B = torch.where(step_B > 0, level_B, 0).long()
        trend_B = torch.where(step_B == 0, 0, torch.where(state.better_B, 1, 2))
        fields_BF = torch.stack([step_B.clamp(max=self.config.steps), level_B, trend_B], 1)
        channels = {POINT: state.point_BD.clone(), VALUE: state.value_B.clone()[:, None]}
        if self.table is not None:
            channels[CHOICES] = self.table.rows(state.device).feature_KD.expand(state.batch, -1, -1)
        return Observation(fields_BF, channels)

    def act(self, state: BlackBoxState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action)
        point_BD, exact_B = self._answer(state, action, acts_B)
        now_B = torch.addcmul(state.offset_B, state.factor_B, exact_B)
        exact_B = torch.where(acts_B, now_B, state.exact_B)
        value_B = exact_B if not self.config.noise else torch.where(acts_B, now_B + self._noise(state), state.value_B)
        self._keep(state, acts_B, point_BD.detach(), value_B.detach())
        _put(state, {"point_BD": point_BD, "exact_B": exact_B, "value_B": value_B}, action.payload_BX is None)

    def _answer(self, state: BlackBoxState, action: Action, acts_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Where each problem asks, which is the last point where it does not act, and the function's value there."""
        asked_BD = self._asked(state, action)
        if self.table is not None:
            index_B = self._configuration(self.table, state, action, asked_BD, acts_B)
            asked_BD = self.table.rows(state.device).feature_KD[index_B]
            point_BD = torch.where(acts_B[:, None], asked_BD, state.point_BD)
            return point_BD, state.given_BG.gather(1, index_B[:, None])[:, 0]
        point_BD = torch.where(acts_B[:, None], asked_BD, state.point_BD)
        return point_BD, self.function.value(point_BD, state.given_BG)

    def _asked(self, state: BlackBoxState, action: Action) -> torch.Tensor:
        """point_BD of the next query: what was given, moved into the cube, or the next one of the sequence."""
        if action.payload_BX is not None:
            given_BD = action.payload_BX[:, : self.config.dimensions].clamp(0, 1)
            if action.given_B is None:
                return given_BD
            return torch.where(action.given_B[:, None], given_BD, self._sequence(state))
        return self._sequence(state)

    def _configuration(
        self, table: Table, state: BlackBoxState, action: Action, asked_BD: torch.Tensor, acts_B: torch.Tensor
    ) -> torch.Tensor:
        """int64 B: the configuration that was chosen, or is close to what was asked; it is tried now."""
        without_BK = state.tried_BK if self.config.repeats == "no" else torch.zeros_like(state.tried_BK)
        near_B, chosen_B = table.nearest(asked_BD, without_BK), (action.call_B4[:, 1] - 1).clamp(min=0)
        index_B = torch.where(acts_B & (action.call_B4[:, 0] == CHOOSE), chosen_B, near_B)
        number_K = torch.arange(self.config.configurations, device=state.device)
        state.tried_BK.logical_or_(acts_B[:, None] & (number_K == index_B[:, None]))
        return index_B

    def legal(self, action: Action) -> torch.Tensor:
        if self.table is None:
            return super().legal(action)
        callee_B, *token = action.call_B4.unbind(1)
        queries_B = (callee_B == QUERY) & (token[0] == 0)
        chooses_B = (callee_B == CHOOSE) & (token[0] >= 1) & (token[0] <= self.config.configurations)
        return (queries_B | chooses_B) & (token[1] == 0) & (token[2] == 0)

    def _sequence(self, state: BlackBoxState) -> torch.Tensor:
        """point_BD: Sobol's sequence, moved by a shift of each problem's own."""
        count, size = self.config.steps, self.config.dimensions
        place_B = state.step_B % count
        shift_BD = uniform(state.episode_B[:, None], SEQUENCE, torch.arange(size, device=state.device)).float()
        return shifted(shift_BD, sobol(size, count, state.device)[place_B])

    def _noise(self, state: BlackBoxState) -> torch.Tensor:
        """What this query's value is off by, float32 B."""
        return state.factor_B * self.config.noise * normals(uniform(state.episode_B, NOISE, state.step_B)).float()

    def _keep(self, state: BlackBoxState, acts_B: torch.Tensor, point_BD: torch.Tensor, value_B: torch.Tensor) -> None:
        """Note a query among those that were made."""
        begins_B, better_B = acts_B & (state.step_B == 0), value_B < state.best_B
        place_B11 = state.step_B.clamp(max=self.config.steps - 1)[:, None, None].expand(-1, 1, point_BD.shape[1] + 1)
        keeps_B1 = (acts_B & (state.step_B < self.config.steps))[:, None, None]
        row_B1X = torch.cat([point_BD, value_B[:, None]], 1)[:, None]
        history_BTX = state.history_BTX
        history_BTX.scatter_(1, place_B11, torch.where(keeps_B1, row_B1X, history_BTX.gather(1, place_B11)))
        state.first_B.copy_(torch.where(begins_B, value_B, state.first_B))
        state.better_B.copy_(torch.where(acts_B, better_B, state.better_B))
        state.best_B.copy_(torch.where(acts_B & better_B, value_B, state.best_B))
        state.step_B.add_(acts_B.long())

    def score(self, state: BlackBoxState) -> dict[str, torch.Tensor]:
        """The value of the last query, without noise; 0 before the first."""
        return {"value": (state.exact_B if torch.is_grad_enabled() else state.exact_B.detach()).clone()}

    def detach(self, state: BlackBoxState) -> None:
        for name in ("point_BD", "value_B", "exact_B"):
            setattr(state, name, getattr(state, name).detach())

    def least(self, state: BlackBoxState) -> torch.Tensor | None:
        """The minimum of each problem, float32 B, where the function has a known one; it is never observed."""
        found_B = self.function.least(state.given_BG)
        return None if found_B is None else state.offset_B + state.factor_B * found_B

    def draw(self, state: BlackBoxState, instance: int = 0, *, width: int = 100) -> str:
        """Values by query, and the points where there are at most two dimensions."""
        count = min(int(state.step_B[instance]), self.config.steps)
        rows = state.history_BTX[instance, :count].tolist()
        return drawing([row[:-1] for row in rows], [row[-1] for row in rows], width)

    def hidden(self, state: BlackBoxState) -> Sequence[tuple[Sequence[int], ...]]:
        laid = torch.stack([state.episode_B, state.test_B], 1).tolist()
        return [(digits(episode), [test])[: len(self.spec.hidden)] for episode, test in laid]


def _put(state: BlackBoxState, parts: Mapping[str, torch.Tensor], in_place: bool) -> None:
    """Give a state new parts; in place where it can be, since acts without payloads are captured."""
    for name, part in parts.items():
        held = getattr(state, name)
        if in_place and not held.requires_grad:
            held.copy_(part)
        else:
            setattr(state, name, part)


def _spec(name: str, config: BlackBoxConfig) -> WorldSpec:
    shape = (config.dimensions,)
    query = Signature("QUERY", (), "Ask for the value at a point", Channel("point", shape, low=0, high=1))
    numbers = tuple(map(str, range(1, config.configurations + 1)))
    slot = Slot("configuration", tuple(range(1, config.configurations + 1)))
    choose = Signature("CHOOSE", (slot,), "Ask for the value of a configuration")
    channels = [Channel(POINT, shape, low=0, high=1), Channel(VALUE, (1,))]
    if numbers:
        channels.append(Channel(CHOICES, (config.configurations, config.dimensions), low=0, high=1, per="episode"))
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(
            Field("QUERIES", tuple(map(str, range(config.steps + 1)))),
            Field("LEVEL", tuple(map(str, range(LEVELS + 1)))),
            Field("TREND", TRENDS),
        ),
        tokens=(NONE, *numbers),
        primitives=(query, choose) if numbers else (query,),
        channels=tuple(channels),
        hidden=(EPISODE, SPLIT) if numbers else (EPISODE,),
    )
