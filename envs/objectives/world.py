"""Functions whose parameters are to be moved so that their loss falls (Andrychowicz et al. 2016, section 3).

A learner reads the channel ``gradient`` and gives ``UPDATE`` the step that it adds. A program with a body, and a
person, see how far the loss has come; their ``UPDATE``, which has no payload, is a step of gradient descent.

Shape legend: ``B`` problems, ``D`` parameters of each, ``G`` given numbers of each, ``M`` images of a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Self

from envs.episodic.trials import EPISODE, EpisodeState, Trials, columns, digits, episode_number
from envs.objectives.functions import (
    ACTIVATIONS,
    ANY,
    SIDE,
    UNSEEN,
    BatchedFunction,
    Conv,
    Function,
    Mlp,
    Quadratic,
    Rosenbrock,
)
from envs.settings import laid_value, one_of, read_settings, within
from envs.spec import NONE, Channel, Field, Signature, SpecError, WorldSpec
from envs.stepper import Action, LazyChannels, Observation
from envs.support.counter_rng import below
from envs.support.lazy_torch import torch
from envs.world import Layout

KIND = "optimisee"

GRADIENT = "gradient"
"""The channel: of the loss, by the parameters."""

FUNCTIONS = ("quadratic", "rosenbrock", "digits", "conv")

IMAGES = Field("IMAGES", ("seen", "unseen"))
"""The hidden part that says which images a network is trained on: those of all training, or those kept for tests."""

WORST, BEST = -4, 24
"""The least and the most that ``LEVEL`` shows: halvings of the loss since the beginning."""

TRENDS = ("none", "fell", "rose")

MINIBATCH = 46
"""What is drawn in each step, as a part of the numbers that are mixed."""


@dataclass(frozen=True)
class OptimiseeConfig:
    """The settings of ``optimisee(…)`` in a program file.

    Attributes:
        function: one of :data:`FUNCTIONS`. dimensions: of those in closed form (quadratic, rosenbrock).
        units, layers, activation: of networks: units of a layer (channels of a convolution), layers, what follows each;
            "any" is drawn for each problem.
        spread: initial weights of a network are up to so many times larger or smaller, drawn for each problem.
        minibatch: images of a step.
        rate: how far an ``UPDATE`` without a payload goes down the gradient.
        steps: the largest number of a step that is shown.
    """

    function: str = "quadratic"
    dimensions: int = 10
    units: int = 20
    layers: int = 1
    activation: str = "sigmoid"
    spread: float = 1.0
    minibatch: int = 128
    rate: float = 0.01
    steps: int = 100

    def __post_init__(self) -> None:
        one_of("an optimisee", "function", self.function, FUNCTIONS)
        one_of("an optimisee", "activation", self.activation, (*ACTIVATIONS, ANY))
        deepest = SIDE.bit_length() - 1 if self.function == "conv" else 10
        for key, low, high in (
            ("dimensions", 2 if self.function == "rosenbrock" else 1, 1000), ("units", 1, 1000), ("layers", 1, deepest),
            ("minibatch", 1, 1000), ("steps", 1, 10_000),
        ):  # fmt: skip
            within("an optimisee", key, getattr(self, key), low, high)
        if not 0 < self.rate < float("inf"):
            raise SpecError(f"the setting rate of an optimisee is {self.rate}; give a positive number")
        if not 1 <= self.spread <= 100:
            raise SpecError(f"the setting spread of an optimisee is {self.spread}; give a number from 1 to 100")


@dataclass
class OptimiseeState(EpisodeState):
    """A batch of problems.

    Attributes:
        episode_B, unseen_B: int64, what was laid out: a number, and an index of :data:`IMAGES`.
        step_B: int64, steps so far.
        theta_BD: float32, the parameters, which need a gradient.
        given_BG: float32, what makes a function in closed form what it is.
        first_B, before_B, loss_B: float32, the loss at the beginning, before the last step, and now.
        gradient_BD: of ``loss_B``, once it was read.
    """

    unseen_B: torch.Tensor
    step_B: torch.Tensor
    theta_BD: torch.Tensor
    given_BG: torch.Tensor
    first_B: torch.Tensor
    before_B: torch.Tensor
    loss_B: torch.Tensor
    gradient_BD: torch.Tensor | None = None

    def select(self, index_B: torch.Tensor) -> Self:
        """Copies of the instances named, in that order, without a graph."""
        with torch.no_grad():
            held = {name: part[index_B] for name, part in vars(self).items() if part is not None}
        held["theta_BD"].requires_grad_()
        return type(self)(**held)


class Optimisee(Trials[OptimiseeState]):
    """The world (implements ``World[OptimiseeState]``, ``Scored``); see the head of this file."""

    scores: Mapping[str, bool] = MappingProxyType({"loss": False})

    def __init__(self, name: str, config: OptimiseeConfig | Mapping[str, Any]) -> None:
        read = config if isinstance(config, OptimiseeConfig) else read_settings(OptimiseeConfig, config, f"an {KIND}")
        self.config, self.function = read, _function(read)
        self.spec = _spec(name, read, self.function)
        self.batched = BatchedFunction(self.function)

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        return episode_number(number, layout), laid_value(number, layout, IMAGES, 0)

    def begun(self, laid_BX: torch.Tensor) -> OptimiseeState:
        return self.begin(*columns(laid_BX))

    def begin(self, episode_B: torch.Tensor, unseen_B: torch.Tensor) -> OptimiseeState:
        """Problems by tensors: their numbers, and whether their images are unseen ones (0 or 1)."""
        theta_BD, given_BG = self.function.draw(episode_B)
        step_B, loss_B = torch.zeros_like(episode_B), theta_BD.new_zeros(len(episode_B))
        parts = theta_BD.clone().requires_grad_(), given_BG, loss_B, loss_B.clone(), loss_B
        state = OptimiseeState(episode_B, unseen_B, step_B, *parts)
        state.loss_B = self._loss(state)
        state.first_B = state.loss_B.detach().clone()
        return state

    def observe(self, state: OptimiseeState) -> Observation:
        halvings_B = torch.log2(state.first_B / state.loss_B.detach()).nan_to_num(WORST, BEST, WORST).floor()
        level_B = halvings_B.clamp(WORST, BEST).long() - WORST
        trend_B = torch.where(state.step_B == 0, 0, torch.where(state.loss_B < state.before_B, 1, 2))
        fields_BF = torch.stack([state.step_B.clamp(max=self.config.steps), level_B, trend_B], 1)
        return Observation(fields_BF, LazyChannels({GRADIENT: partial(self._gradient, state, state.loss_B)}))

    def act(self, state: OptimiseeState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action)
        if action.payload_BX is None:
            self._descend(state, acts_B)
            return
        step_BD = action.payload_BX
        if action.given_B is not None:
            step_BD = torch.where(action.given_B[:, None], step_BD, self._descent(state))
        moved_BD = torch.where(acts_B[:, None], state.theta_BD + step_BD, state.theta_BD)
        state.theta_BD = moved_BD if torch.is_grad_enabled() else moved_BD.requires_grad_()
        state.before_B = torch.where(acts_B, state.loss_B.detach(), state.before_B)
        state.step_B = state.step_B + acts_B
        state.loss_B, state.gradient_BD = self._loss(state), None

    def _descend(self, state: OptimiseeState, acts_B: torch.Tensor) -> None:
        """A step of gradient descent; it changes the state's tensors in place."""
        with torch.no_grad():
            theta_BD = state.theta_BD.detach()
            step_BD = self._descent(state)
            state.theta_BD = theta_BD.detach().requires_grad_()  # a leaf on the same memory
            state.loss_B, state.gradient_BD = state.loss_B.detach(), None
            state.before_B.copy_(torch.where(acts_B, state.loss_B, state.before_B))
            theta_BD.copy_(torch.where(acts_B[:, None], theta_BD + step_BD, theta_BD))
            state.step_B.add_(acts_B.long())
            state.loss_B.copy_(self.batched.losses(theta_BD, *self._data(state)))

    def _descent(self, state: OptimiseeState) -> torch.Tensor:
        return -self.config.rate * self.batched.gradients(state.theta_BD.detach(), *self._data(state))

    def score(self, state: OptimiseeState) -> dict[str, torch.Tensor]:
        """The loss of the parameters as they are, on the data of the next step."""
        return {"loss": state.loss_B if torch.is_grad_enabled() else state.loss_B.detach()}

    def detach(self, state: OptimiseeState) -> None:
        if not state.theta_BD.is_leaf:
            state.theta_BD = state.theta_BD.detach().requires_grad_()
            state.loss_B = self._loss(state)

    def _loss(self, state: OptimiseeState) -> torch.Tensor:
        """loss_B, with a graph to the parameters."""
        with torch.enable_grad():
            return self.batched.losses(state.theta_BD, *self._data(state))

    def _gradient(self, state: OptimiseeState, loss_B: torch.Tensor) -> torch.Tensor:
        """gradient_BD of the loss that was observed, without a graph (Andrychowicz et al. 2016, section 2.1: the dashed
        edges of figure 2 are dropped)."""
        if state.loss_B is not loss_B:
            raise ValueError("a gradient must be read before the next action: the parameters have moved since")
        if state.gradient_BD is None:
            if loss_B.requires_grad:
                ones_B, keeps = torch.ones_like(loss_B), torch.is_grad_enabled()
                (state.gradient_BD,) = torch.autograd.grad(loss_B, state.theta_BD, ones_B, retain_graph=keeps)
            else:
                state.gradient_BD = self.batched.gradients(state.theta_BD.detach(), *self._data(state))
        return state.gradient_BD

    def hidden(self, state: OptimiseeState) -> Sequence[tuple[Sequence[int], ...]]:
        laid = torch.stack([state.episode_B, state.unseen_B], 1).tolist()
        return [(digits(episode), [unseen])[: len(self.spec.hidden)] for episode, unseen in laid]

    def _data(self, state: OptimiseeState) -> tuple[torch.Tensor, ...]:
        """What the losses of the next step are of, beside the parameters."""
        if not self.function.images:
            return (state.given_BG,)
        pixels_NI, label_N = self.batched.images_on(state.device)
        seen, place_M = len(label_N) - UNSEEN, torch.arange(self.config.minibatch, device=state.device)
        parts = state.episode_B[:, None], MINIBATCH, state.step_B[:, None], place_M
        kept_BM = seen + below(UNSEEN, *parts)
        index_BM = torch.where(state.unseen_B[:, None] == 1, kept_BM, below(seen, *parts))
        return pixels_NI[index_BM], label_N[index_BM], state.given_BG


def _function(config: OptimiseeConfig) -> Function:
    if config.function == "quadratic":
        return Quadratic(config.dimensions)
    if config.function == "rosenbrock":
        return Rosenbrock(config.dimensions)
    kind = Mlp if config.function == "digits" else Conv
    return kind(config.units, config.layers, config.activation, config.spread)


def _spec(name: str, config: OptimiseeConfig, function: Function) -> WorldSpec:
    shape = (function.dimensions,)
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=(
            Field("STEP", tuple(map(str, range(config.steps + 1)))),
            Field("LEVEL", tuple(map(str, range(WORST, BEST + 1)))),
            Field("TREND", TRENDS),
        ),
        tokens=(NONE,),
        primitives=(
            Signature("UPDATE", (), "Add a step to the parameters, or go down the gradient", Channel("step", shape)),
        ),
        channels=(Channel(GRADIENT, shape, parts=function.parts),),
        hidden=(EPISODE, IMAGES) if function.images else (EPISODE,),
    )
