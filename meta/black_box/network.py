"""An LSTM that asks for values of a function and reads them (Chen et al. 2017, section 2.1).

All coordinates of a point share its parameters, and each has a state of its own; what they say to each other is the
mean of their states. So one core serves functions of any number of dimensions, for each of which the paper trained one
of its own. The row of a program scales and shifts every gate and output.

Each coordinate of the next query is that of one of some places, moved a little: the next point of a sequence that fills
the cube, the best point so far, the core's own; and, with ``posterior``, what a Gaussian process suggests
(:mod:`meta.black_box.proposals`).
With ``attention`` the state reads all queries so far, too, as a transformer's decoder reads its context.

Values are only seen in their standard deviations from the best, so that shifting and scaling a function changes
nothing.

Shape legend: ``B`` problems, ``D`` dimensions, ``U`` units, ``I`` inputs of a coordinate, ``K`` places to choose from,
``M`` queries that are remembered, ``H`` hidden numbers, ``P`` parameters of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import nn

from envs.black_box.ask_tell import HISTORY
from envs.black_box.world import CHOICES, POINT, VALUE
from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action, Observation
from meta.black_box.choices import Choices, suggested_choices
from meta.black_box.experience import Experience
from meta.black_box.history import History
from meta.black_box.proposals import Suggestions, spread_evenly
from meta.black_box.suggesting import FEWEST, MAX_DEVIATIONS, Kept, ahead, features, suggested_each
from npi.core.config import SIZE, SWITCH, setting, within
from npi.core.coordinate_cells import affine, conditioned, lstm_cell
from npi.core.initialisation import seeded_linear
from npi.learners.interface import Draw, LearnerConfig, LearnerCore, StepOutput, TaskInput

KIND = "black-box"

QUERIES = "QUERIES"
"""The field that counts results."""

FORGET_BIAS = 1.0
"""Added to the forget gates, so that the state lasts from the beginning."""

LAST_LAYER_SCALE = 0.1
"""The last layer begins smaller than the others."""

TRUST = 2.0
"""How much more than others a Gaussian process's suggestion weighs before training says better."""

QUIET = -4.0
"""The logarithm of the size of a move before training says better."""

LONG_LOG = 5.0
"""What the logarithm of the number of queries is divided by."""

SMALLEST_SQUARE = 1e-6
"""Of a distance, so that it has a slope where two places are one."""


@dataclass(frozen=True)
class BlackBoxConfig(LearnerConfig):
    """The shape of a core.

    Attributes:
        units: U. attention: heads that read all queries so far; 0: none.
        posterior: 1: suggestions of a Gaussian process are among the places to choose from.
        components: choices of a table of which a row says what to expect; 0: none, and a table is searched as the cube
            is.
        room: M, queries that are remembered for it, and for attention.
    """

    kind: str = KIND
    row: int = setting(32, SIZE)
    units: int = setting(32, SIZE)
    attention: int = setting(0, within(0, 16))
    posterior: int = setting(1, SWITCH)
    components: int = setting(13, within(0, 1000))
    room: int = setting(128, within(1, 1000))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.attention and self.units % self.attention:
            raise ValueError(f"core setting attention must divide units; {self.attention} does not divide {self.units}")

    @property
    def remembered(self) -> int:
        """M, or 0 where nothing reads them."""
        return self.room if self.posterior or self.attention else 0


class Places(NamedTuple):
    """What a step chooses from: place_BKD, and what the cells read of it, B × I × D."""

    place_BKD: torch.Tensor
    read_BID: torch.Tensor


class Proposed(NamedTuple):
    """A step's query next_BD, and what it leaves: the cells' state, B × 2U × D, and the history."""

    next_BD: torch.Tensor
    state_BUD: torch.Tensor
    history: History


class BlackBoxCore(LearnerCore):
    """The core; a row of zeros leaves everything as it is."""

    config: BlackBoxConfig
    experience_XP: torch.Tensor
    """What a row says to Gaussian processes (:mod:`meta.black_box.experience`); no gradient goes there."""

    def __init__(self, config: BlackBoxConfig, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config, units = config, config.units
        self.kinds = 3 + 2 * config.posterior
        inputs = 10 + 7 * config.posterior
        self.cell = seeded_linear(inputs + 2 * units, 4 * units, generator=generator)
        self.out = seeded_linear(2 * units, self.kinds + 3, generator=generator)
        if config.attention:
            self.query = seeded_linear(units, units, generator=generator)
            self.token = seeded_linear(5, 2 * units, generator=generator)
            self.read = seeded_linear(units, units, generator=generator)
        outputs = sum(2 * layer.out_features for layer in (self.cell, self.out))
        self.rows = seeded_linear(config.row, outputs, generator=generator, bias=False)
        told_XP = torch.empty(Experience.width(config.components), config.row)
        self.register_buffer("experience_XP", nn.init.orthogonal_(told_XP, generator=generator))
        with torch.no_grad():
            self.cell.bias[units : 2 * units] += FORGET_BIAS
            for part in self.out.parameters():
                part.mul_(LAST_LAYER_SCALE)
            self.out.bias[-1] += QUIET
            if config.posterior:
                self.out.bias[3] += TRUST

    def hidden_size(self, spec: WorldSpec) -> int:
        size = dimensions(spec)
        return 2 * self.config.units * size + History.width(size, self.config.remembered)

    def begin(self, task: TaskInput, given: Observation | None = None) -> torch.Tensor:
        """Zeros; where a world shows what was told before (:data:`HISTORY`), the hidden numbers after these steps.

        So a run that asks once goes on with a search as a run that asks every time does.
        """
        hidden_BH = super().begin(task, given)
        history_BTX = None if given is None else given.channels.get(HISTORY)
        if given is None or not isinstance(history_BTX, torch.Tensor):
            return hidden_BH
        column = task.spec.field(QUERIES)
        count_B1 = given.fields_BF[:, column, None]
        for t in range(int(count_B1.max())):
            fields_BF = given.fields_BF.clone()
            fields_BF[:, column] = t
            told_BX = history_BTX[:, t - 1] if t else torch.zeros_like(history_BTX[:, 0])
            seen = Observation(fields_BF, {POINT: told_BX[:, :-1], VALUE: told_BX[:, -1:]})
            hidden_BH = torch.where(t < count_B1, self.step(task, seen, hidden_BH).hidden_BH, hidden_BH)
        return hidden_BH

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        state_BUD, history = self._read(task, seen, hidden_BH)
        found = self.suggestions(task.row_BP, history, self.choices(seen))
        return self._output(*self.propose(task.row_BP, state_BUD, history, found))

    def generate(
        self,
        task: TaskInput,
        seen: Observation,
        respond: Callable[[StepOutput], Observation],
        hidden_BH: torch.Tensor,
        steps: int,
        *,
        draw: Draw | None = None,
    ) -> tuple[list[Observation], list[StepOutput]]:
        """The same as steps; but what a Gaussian process believes is kept from one to the next."""
        observed, taken, kept, choices = [seen], list[StepOutput](), Kept(self.config.room), self.choices(seen)
        for _ in range(steps):
            state_BUD, history = self._read(task, observed[-1], hidden_BH)
            found = self.suggestions(task.row_BP, history, choices, kept)
            taken.append(self._output(*self.propose(task.row_BP, state_BUD, history, found)))
            hidden_BH = taken[-1].hidden_BH
            observed.append(respond(taken[-1]))
        return observed, taken

    def _read(self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor) -> tuple[torch.Tensor, History]:
        """The cells' states, B × 2U × D, and the history with what came back."""
        size = dimensions(task.spec)
        cells = 2 * self.config.units * size
        history = History.unpacked(hidden_BH[:, cells:], size, self.config.remembered)
        point_BD, value_B1 = seen.channels[POINT], seen.channels[VALUE]
        assert isinstance(point_BD, torch.Tensor)
        assert isinstance(value_B1, torch.Tensor)
        count_B1 = seen.fields_BF[:, task.spec.field(QUERIES)][:, None]
        last = len(task.spec.fields[task.spec.field(QUERIES)].values) - 1
        returned_B1 = (count_B1 > history.count_B1) | (count_B1 == last)
        return hidden_BH[:, :cells].view(len(hidden_BH), -1, size), history.told(point_BD, value_B1, returned_B1)

    def choices(self, seen: Observation) -> Choices | None:
        """Those of a table, which are alike in all its problems, where rows say what to expect of them."""
        feature_BKD = seen.channels.get(CHOICES)
        if not self.config.components or not isinstance(feature_BKD, torch.Tensor):
            return None
        return Choices.of(feature_BKD[0], self.config.components)

    def suggestions(
        self,
        row_BP: torch.Tensor,
        history: History,
        choices: Choices | None = None,
        kept: Kept | None = None,
        pending: Sequence[torch.Tensor] = (),
    ) -> Suggestions | None:
        """What Gaussian processes suggest; nothing where the core asks for none, nor, where no row says what to expect,
        while there are too few results.

        Args:
            kept: what they believed before, where all problems have as many results.
            pending: points that were asked for before, B × D each; they count as if their values were what is expected
                (Ginsbourger et al. 2010, "Kriging believer").
        """
        if not self.config.posterior:
            return None
        row = Experience.of(row_BP.detach() @ self.experience_XP.T)
        if choices is not None:
            return suggested_choices(choices, row, history, pending)
        if kept is not None and bool((history.count_B1 == history.count_B1[:1]).all()):
            return kept.suggestions(row, history, pending)
        return suggested_each(row, history, self.config.room) if int(history.count_B1.max()) >= FEWEST else None

    def propose(
        self, row_BP: torch.Tensor, state_BUD: torch.Tensor, history: History, found: Suggestions | None
    ) -> Proposed:
        """The next queries, and what the cells and the history are then."""
        places = self._places(history, found)
        h_BUD, c_BUD = state_BUD.chunk(2, 1)
        said_BU1 = h_BUD.mean(2, keepdim=True)
        if self.config.attention:
            said_BU1 = said_BU1 + self._attended(said_BU1, history)
        cell, out = conditioned((self.cell, self.out), self.rows, row_BP)
        h_BUD, c_BUD = lstm_cell(affine(cell, places.read_BID, h_BUD, said_BU1.expand_as(h_BUD)), c_BUD)
        next_BD = self._mixed(affine(out, h_BUD, h_BUD.mean(2, keepdim=True).expand_as(h_BUD)), places.place_BKD)
        return Proposed(next_BD, torch.cat([h_BUD, c_BUD], 1), replace(history, asked_B1=history.asked_B1 + 1))

    def _output(self, next_BD: torch.Tensor, state_BUD: torch.Tensor, history: History) -> StepOutput:
        call_B4 = torch.zeros(len(next_BD), 1 + SLOTS, dtype=torch.int64, device=next_BD.device)
        return StepOutput(Action(call_B4, next_BD), torch.cat([state_BUD.flatten(1), history.packed()], 1))

    def _mixed(self, said_BOD: torch.Tensor, place_BKD: torch.Tensor) -> torch.Tensor:
        """The next query: of each coordinate the place of the largest weight, moved towards a side of the cube.

        The gradient is that of the places in the mean by their weights (a straight-through estimator, Bengio et al.
        2013): what is asked for is one of the places, for what lies between two good ones need not be good.
        """
        logit_BKD, own_B1D, way_B1D, log_B1D = said_BOD.split([self.kinds, 1, 1, 1], 1)
        place_BKD = torch.cat([own_B1D.sigmoid(), place_BKD], 1)
        soft_BKD = logit_BKD.softmax(1)
        hard_BKD = torch.zeros_like(soft_BKD).scatter(1, logit_BKD.argmax(1, keepdim=True), 1.0)
        mixed_BD = ((hard_BKD + soft_BKD - soft_BKD.detach()) * place_BKD).sum(1)
        move_BD = (way_B1D.tanh() * log_B1D.clamp(max=0).exp())[:, 0]
        return mixed_BD + move_BD * torch.where(move_BD > 0, 1 - mixed_BD, mixed_BD)

    def _places(self, history: History, found: Suggestions | None) -> Places:
        """What can be chosen beside the core's own, and what the cells read."""
        B, D = history.best_BD.shape
        even_BD = spread_evenly(D, history.asked_B1[:, 0].long())
        begun_B1 = history.count_B1 > 0
        best_BD = torch.where(begun_B1, history.best_BD, even_BD)
        gap_B1 = ((history.last_B1 - history.best_B1) / history.deviation_B1).clamp(max=MAX_DEVIATIONS)
        away_BD = history.last_BD - best_BD
        clock_B1 = history.count_B1.log1p() / LONG_LOG
        shared = [gap_B1, history.better_B1, begun_B1.float(), clock_B1, torch.full_like(gap_B1, D**-0.5)]
        own = [history.last_BD - 0.5, best_BD - 0.5, away_BD, away_BD * gap_B1, even_BD - 0.5]
        places = [even_BD, best_BD]
        if self.config.posterior:
            told = ahead(found, even_BD)
            places += [told.improving_BD, told.least_BD]
            own += [told.improving_BD - best_BD, told.least_BD - best_BD]
            shared += features(told)
        read_BID = torch.stack([*own, *(one_B1.expand(B, D) for one_B1 in shared)], 1)
        return Places(torch.stack(places, 1), read_BID)

    def _attended(self, said_BU1: torch.Tensor, history: History) -> torch.Tensor:
        """What the coordinates' common state reads of all queries, B × U × 1."""
        B, M, D = history.point_BMD.shape
        heads = self.config.attention
        known_BM = torch.arange(M, device=said_BU1.device) < history.count_B1
        gap_BM = ((history.value_BM - history.best_B1) / history.deviation_B1).clamp(0, MAX_DEVIATIONS)
        away_BM, step_BM = (
            ((history.point_BMD - point_BD[:, None]).square().mean(2) + SMALLEST_SQUARE).sqrt()
            for point_BD in (history.best_BD, history.last_BD)
        )
        since_BM = (history.count_B1 - torch.arange(M, device=said_BU1.device)).clamp(min=0).log1p() / LONG_LOG
        token_BM5 = torch.stack([gap_BM, (-gap_BM).exp(), away_BM, step_BM, since_BM], 2)
        key_BMU, value_BMU = self.token(token_BM5).tanh().chunk(2, 2)
        query_B1U = self.query(said_BU1[:, :, 0])[:, None]
        q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in (query_B1U, key_BMU, value_BMU))
        weights = (q @ k.mT / math.sqrt(q.shape[3])).masked_fill(~known_BM[:, None, None], -1e9).softmax(3)
        return self.read((weights @ v).transpose(1, 2).flatten(1))[:, :, None]


def dimensions(spec: WorldSpec) -> int:
    """D of a world; ``ValueError`` for one whose first primitive does not ask for a value at a point of a cube."""
    channels = {channel.name: channel for channel in spec.channels}
    first = spec.primitives[0]
    point, value = channels.get(POINT), channels.get(VALUE)
    fits = point is not None and len(point.shape) == 1 and value is not None and value.shape == (1,)
    if not fits or first.slots or first.payload is None or first.payload.shape != point.shape:  # type: ignore[union-attr]
        raise ValueError(
            f"world {spec.name} ({spec.kind}) does not answer queries at points of a cube: it needs the channels "
            f"{POINT!r} and {VALUE!r} (1), and a first primitive that takes nothing but a point; use a black_box, or a "
            "world like it (envs/black_box/world.py)"
        )
    assert point is not None
    return point.size
