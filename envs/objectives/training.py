"""Small networks whose learning rate and width a program chooses before they are trained.

An episode is a classification task on scikit-learn's digits: some labelled images to train on, others to validate by,
an activation, and how large weights begin. ``BUILD(rate, width)`` makes a network with a layer of so many units, and
says what its steps are multiplied by. A learner reads the channel ``gradient`` of the loss on all training images, and
gives ``UPDATE`` the step; a program with a body, whose ``UPDATE`` has no payload, goes down the gradient. ``LOSS``
shows the loss on the validation images, which the gradient knows nothing of.

Networks of all widths have the parameters of the widest one (:class:`envs.objectives.functions.NarrowMlp`).

Shape legend: ``B`` networks, ``D`` parameters of the widest, ``G`` given numbers of each, ``M`` images, ``I`` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from envs.episodic.trials import EPISODE, EpisodeState, Trials, columns, digits, episode_number
from envs.objectives.functions import ACTIVATIONS, ANY, UNSEEN, BatchedFunction, Drawn, NarrowMlp
from envs.objectives.world import GRADIENT, IMAGES
from envs.settings import laid_value, one_of, read_settings, within
from envs.spec import NONE, Channel, Field, Signature, Slot, SpecError, WorldSpec
from envs.stepper import Action, LazyChannels, Observation
from envs.support.counter_rng import below
from envs.support.lazy_torch import torch
from envs.world import Layout

KIND = "training"

WORLD = "a training"

UPDATE, BUILD = 0, 1
"""The callees."""

RATES = 16
"""Learning rates to choose from."""

UNIT_RATE = 11
"""The one that is 1; n is the root of 2 to the power of n - 11, so that they go from 2 ** -5 to 2 ** 2.5."""

LOSSES = 100
"""What ``LOSS`` can show: n, where the loss is at least :data:`LEAST` times 2 ** (n / :data:`PER_DOUBLING`)."""

LEAST, PER_DOUBLING = 0.05, 15

EXAMPLE = 47
"""What is drawn of a training image, as a part of the numbers that are mixed."""


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of ``training(…)`` in a program file.

    Attributes:
        units: the widest network. activation: what follows its layer; "any" is drawn for each episode.
        spread: initial weights are up to so many times larger or smaller, drawn for each episode.
        examples: M, images that a network is trained on. validation: those by which it is judged.
        rate: how far an ``UPDATE`` without a payload goes down the gradient, where the learning rate is 1.
        steps: the largest number of a step that is shown.
    """

    units: int = 16
    activation: str = ANY
    spread: float = 4.0
    examples: int = 50
    validation: int = 300
    rate: float = 1.0
    steps: int = 100

    def __post_init__(self) -> None:
        one_of(WORLD, "activation", self.activation, (*ACTIVATIONS, ANY))
        for key, low, high in (
            ("units", 2, 1000), ("spread", 1, 100), ("examples", 1, 1000), ("validation", 1, 800), ("steps", 1, 10_000),
        ):  # fmt: skip
            within(WORLD, key, getattr(self, key), low, high)
        if not 0 < self.rate < float("inf"):
            raise SpecError(f"the setting rate of {WORLD} is {self.rate}; give a positive number")


@dataclass
class TrainingState(EpisodeState):
    """A batch of networks.

    Attributes:
        unseen_B: int64, an index of :data:`envs.objectives.world.IMAGES`.
        rate_B, width_B: int64, from 1. step_B: int64, steps since the network was built.
        start_BD, drawn_BG: float32, what the episode drew: parameters of the widest network, and its activation.
        theta_BD: float32, the parameters, which need a gradient. given_BG: activation and units.
        loss_B, valid_B: float32, on the training images, and on those for validation.
        gradient_BD: of ``loss_B``, once it was read.
    """

    unseen_B: torch.Tensor
    rate_B: torch.Tensor
    width_B: torch.Tensor
    step_B: torch.Tensor
    start_BD: torch.Tensor
    drawn_BG: torch.Tensor
    theta_BD: torch.Tensor
    given_BG: torch.Tensor
    loss_B: torch.Tensor
    valid_B: torch.Tensor
    gradient_BD: torch.Tensor | None = None

    def select(self, index_B: torch.Tensor) -> Self:
        """Copies of the instances named, in that order, without a graph."""
        with torch.no_grad():
            held = {name: part[index_B] for name, part in vars(self).items() if part is not None}
        held["theta_BD"].requires_grad_()
        return type(self)(**held)


class Data(NamedTuple):
    """pixels_BMI and label_BM of some images of each episode."""

    pixels_BMI: torch.Tensor
    label_BM: torch.Tensor


class Training(Trials[TrainingState]):
    """The world (implements ``World[TrainingState]``, ``Scored``); see the head of this file."""

    scores: Mapping[str, bool] = MappingProxyType({"loss": False})

    def __init__(self, name: str, config: TrainingConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, TrainingConfig) else read_settings(TrainingConfig, config, WORLD)
        self.network = NarrowMlp(self.config.units, self.config.activation, self.config.spread)
        self.spec = _spec(name, self.config, self.network)
        self.batched = BatchedFunction(self.network)

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        _, images_part, rate, width = self.spec.hidden
        usual = (images_part, 0), (rate, UNIT_RATE - 1), (width, self.config.units - 1)
        return episode_number(number, layout), *(laid_value(number, layout, part, index) for part, index in usual)

    def begun(self, laid_BX: torch.Tensor) -> TrainingState:
        episode_B, unseen_B, rate_B, width_B = columns(laid_BX)
        return self.begin(episode_B, unseen_B, rate_B + 1, width_B + 1)

    def begin(
        self, episode_B: torch.Tensor, unseen_B: torch.Tensor, rate_B: torch.Tensor, width_B: torch.Tensor
    ) -> TrainingState:
        """Networks that were built, by tensors: numbers of episodes, whether their images are unseen ones (0 or 1),
        and rates and widths from 1."""
        drawn = self.network.draw(episode_B)
        theta_BD, given_BG = self.network.narrowed(drawn, width_B)
        parts = theta_BD.requires_grad_(), given_BG, *(theta_BD.new_zeros(len(episode_B)) for _ in range(2))
        state = TrainingState(episode_B, unseen_B, rate_B, width_B, torch.zeros_like(episode_B), *drawn, *parts)
        state.loss_B, state.valid_B = self._loss(state), self._validation(state)
        return state

    def observe(self, state: TrainingState) -> Observation:
        loss_B = (PER_DOUBLING * torch.log2(state.valid_B / LEAST)).nan_to_num(LOSSES, LOSSES, 0).floor()
        fields_BF = torch.stack([state.step_B.clamp(max=self.config.steps), loss_B.clamp(0, LOSSES - 1).long()], 1)
        return Observation(fields_BF, LazyChannels({GRADIENT: partial(self._gradient, state, state.loss_B)}))

    def act(self, state: TrainingState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action)
        callee_B, rate_B, width_B, _ = action.call_B4.unbind(1)
        builds_B, updates_B = (acts_B & (callee_B == callee) for callee in (BUILD, UPDATE))
        step_BD = self._step(state, action)  # at the rate that the network was built with
        state.rate_B.copy_(torch.where(builds_B, rate_B, state.rate_B))
        state.width_B.copy_(torch.where(builds_B, width_B, state.width_B))
        state.step_B.copy_(torch.where(builds_B, 0, state.step_B + updates_B))
        fresh = self.network.narrowed(Drawn(state.start_BD, state.drawn_BG), state.width_B)
        theta_BD = torch.where(updates_B[:, None], state.theta_BD + step_BD, state.theta_BD)
        theta_BD = torch.where(builds_B[:, None], fresh.theta_BD, theta_BD)
        if action.payload_BX is None:
            self._replace(state, Drawn(theta_BD.detach(), fresh.given_BG), acts_B)
            return
        state.theta_BD = theta_BD if torch.is_grad_enabled() else theta_BD.requires_grad_()
        state.given_BG = fresh.given_BG
        state.loss_B, state.gradient_BD = self._loss(state), None
        state.valid_B = torch.where(acts_B, self._validation(state), state.valid_B)

    def _replace(self, state: TrainingState, new: Drawn, acts_B: torch.Tensor) -> None:
        """Change the networks in place, and what is known of them; the graph begins anew."""
        with torch.no_grad():
            held_BD = state.theta_BD.detach()
            held_BD.copy_(new.theta_BD)
            state.given_BG.copy_(new.given_BG)
            state.theta_BD, state.loss_B = held_BD.detach().requires_grad_(), state.loss_B.detach()
            state.gradient_BD = None
            state.loss_B.copy_(self.batched.losses(held_BD, *self._data(state), state.given_BG))
            state.valid_B.copy_(torch.where(acts_B, self._validation(state), state.valid_B))

    def _step(self, state: TrainingState, action: Action) -> torch.Tensor:
        """step_BD at the learning rate: what was given, or one down the gradient."""
        if action.payload_BX is None or action.given_B is not None:
            theta_BD = state.theta_BD.detach()
            step_BD = -self.config.rate * self.batched.gradients(theta_BD, *self._data(state), state.given_BG)
            if action.payload_BX is not None and action.given_B is not None:
                step_BD = torch.where(action.given_B[:, None], action.payload_BX, step_BD)
        else:
            step_BD = action.payload_BX
        return torch.exp2((state.rate_B - UNIT_RATE) / 2)[:, None] * step_BD

    def legal(self, action: Action) -> torch.Tensor:
        callee_B, rate_B, width_B, rest_B = action.call_B4.unbind(1)
        chosen_B = (rate_B >= 1) & (rate_B <= RATES) & (width_B >= 1) & (width_B <= self.config.units)
        updates_B = (callee_B == UPDATE) & (rate_B == 0) & (width_B == 0)
        return (updates_B | (callee_B == BUILD) & chosen_B) & (rest_B == 0)

    def score(self, state: TrainingState) -> dict[str, torch.Tensor]:
        """The loss on the training images."""
        return {"loss": state.loss_B if torch.is_grad_enabled() else state.loss_B.detach()}

    def detach(self, state: TrainingState) -> None:
        if not state.theta_BD.is_leaf:
            state.theta_BD = state.theta_BD.detach().requires_grad_()
            state.loss_B = self._loss(state)

    def hidden(self, state: TrainingState) -> Sequence[tuple[Sequence[int], ...]]:
        laid = torch.stack([state.episode_B, state.unseen_B, state.rate_B - 1, state.width_B - 1], 1).tolist()
        return [(digits(episode), *([index] for index in others)) for episode, *others in laid]

    def _loss(self, state: TrainingState) -> torch.Tensor:
        """loss_B, with a graph to the parameters."""
        with torch.enable_grad():
            return self.batched.losses(state.theta_BD, *self._data(state), state.given_BG)

    def _validation(self, state: TrainingState) -> torch.Tensor:
        """valid_B of the parameters as they are."""
        with torch.no_grad():
            return self.batched.losses(state.theta_BD.detach(), *self._held_out(state), state.given_BG)

    def _gradient(self, state: TrainingState, loss_B: torch.Tensor) -> torch.Tensor:
        """gradient_BD of the loss that was observed, without a graph."""
        if state.loss_B is not loss_B:
            raise ValueError("a gradient must be read before the next action: the parameters have moved since")
        if state.gradient_BD is None:
            state.gradient_BD = self.batched.gradients(state.theta_BD.detach(), *self._data(state), state.given_BG)
        return state.gradient_BD

    def _data(self, state: TrainingState) -> Data:
        """The images that networks are trained on: of the front of their half."""
        place_M = torch.arange(self.config.examples, device=state.device)
        front = UNSEEN - self.config.validation
        return self._some(state, below(front, state.episode_B[:, None], EXAMPLE, place_M))

    def _held_out(self, state: TrainingState) -> Data:
        """The images by which they are judged: those at the end of their half."""
        place_M = torch.arange(UNSEEN - self.config.validation, UNSEEN, device=state.device)
        return self._some(state, place_M.expand(state.batch, -1))

    def _some(self, state: TrainingState, place_BM: torch.Tensor) -> Data:
        """Images by their places in the half of each episode."""
        pixels_NI, label_N = self.batched.images_on(state.device)
        seen = len(label_N) - UNSEEN
        index_BM = place_BM + seen * state.unseen_B[:, None]
        return Data(pixels_NI[index_BM], label_N[index_BM])


def _spec(name: str, config: TrainingConfig, network: NarrowMlp) -> WorldSpec:
    shape = (network.dimensions,)
    numbers = tuple(map(str, range(1, max(RATES, config.units) + 1)))
    rate, width = Slot("rate", tuple(range(1, RATES + 1))), Slot("width", tuple(range(1, config.units + 1)))
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(
            Field("STEP", tuple(map(str, range(config.steps + 1)))),
            Field("LOSS", tuple(map(str, range(LOSSES)))),
        ),
        tokens=(NONE, *numbers),
        primitives=(
            Signature("UPDATE", (), "Add a step to the parameters, or go down the gradient", Channel("step", shape)),
            Signature("BUILD", (rate, width), "Make a new network of a width, to be trained at a rate", setup=True),
        ),
        channels=(Channel(GRADIENT, shape, parts=network.parts),),
        hidden=(EPISODE, IMAGES, Field("RATE", numbers[:RATES]), Field("WIDTH", numbers[: config.units])),
    )
