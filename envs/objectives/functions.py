"""Functions whose parameters are optimised, in closed form and small networks on scikit-learn's digits.

Each is written for one problem; worlds run them in batches. Shape legend: ``B`` problems, ``D`` parameters of each,
``G`` given numbers that make a problem what it is, ``M`` images of a step, ``I`` pixels of an image, ``U`` units or
channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from itertools import pairwise
from typing import NamedTuple, Protocol

from envs.support.counter_rng import BELL, bell, below, mixed, uniform
from envs.support.lazy_torch import torch

BEGIN, GIVEN, SHIFT, SCALE, SPLIT, ACTIVATION = 41, 42, 43, 44, 45, 46
"""What is drawn, as a part of the numbers that are mixed."""

SMALL = 0.01
"""The standard deviation of a quadratic's first parameters."""

STEEP = 100.0
"""By how much Rosenbrock's valley is steeper across than along."""

BOX = 5.0
"""Beyond it Rosenbrock's function grows in proportion, so that its gradient has a bound, and no step leads to numbers
that are none."""


class Drawn(NamedTuple):
    """Problems: where their parameters begin, theta_BD, and what is given, given_BG; float32."""

    theta_BD: torch.Tensor
    given_BG: torch.Tensor


class Function(Protocol):
    """A family of problems.

    Attributes:
        dimensions: D. parts: the shapes of the tensors that the parameters consist of, none where they are one.
        images: whether the loss is of images, which the world draws anew for each step.
    """

    dimensions: int
    parts: tuple[tuple[int, ...], ...]
    images: bool

    def draw(self, episode_B: torch.Tensor) -> Drawn:
        """Problems by their numbers."""
        ...

    def loss(self, theta_D: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        """Of one problem: of given_G; of images, pixels_MI, label_M and given_G."""
        ...


class Quadratic:
    """``||Wθ − y||²``, W and y Gaussian (Andrychowicz et al. 2016, section 3.1); θ begins close to zero."""

    images = False
    parts: tuple[tuple[int, ...], ...] = ()

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions

    def draw(self, episode_B: torch.Tensor) -> Drawn:
        size = self.dimensions
        return Drawn(normal(episode_B, BEGIN, size) * SMALL, normal(episode_B, GIVEN, size * size + size))

    def loss(self, theta_D: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        W, y = given[0].split([self.dimensions**2, self.dimensions])
        return (W.view(self.dimensions, self.dimensions) @ theta_D - y).square().sum()


class Rosenbrock:
    """Rosenbrock's valley, turned, scaled and shifted at random: ``z = 1 + s R (θ − c)``, and the sum over i of
    ``100 (z[i+1] − z[i]²)² + (1 − z[i])²``. It begins where z is Gaussian."""

    images = False
    parts: tuple[tuple[int, ...], ...] = ()

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions

    def draw(self, episode_B: torch.Tensor) -> Drawn:
        size = self.dimensions
        turn_BDD = torch.linalg.qr(normal(episode_B, GIVEN, size * size).double().view(-1, size, size)).Q.float()
        turn_BDD = turn_BDD * torch.exp2(2 * uniform(episode_B, SCALE) - 1).float()[:, None, None]
        least_BD = normal(episode_B, SHIFT, size)
        theta_BD = least_BD + torch.linalg.solve(turn_BDD, normal(episode_B, BEGIN, size) - 1)
        return Drawn(theta_BD, torch.cat([turn_BDD.flatten(1), least_BD], 1))

    def loss(self, theta_D: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        turn, least_D = given[0].split([self.dimensions**2, self.dimensions])
        free_D = 1 + turn.view(self.dimensions, self.dimensions) @ (theta_D - least_D)
        z_D = free_D.clamp(-BOX, BOX)
        valley = STEEP * (z_D[1:] - z_D[:-1].square()).square() + (1 - z_D[:-1]).square()
        return valley.sum() + STEEP * (free_D - z_D).abs().sum()


def normal(episode_B: torch.Tensor, what: int, count: int) -> torch.Tensor:
    """float32 B × count: normally distributed numbers, a function of an episode's number and of what is drawn."""
    place = torch.arange(count, device=episode_B.device)
    return bell().to(episode_B.device).float()[below(BELL, episode_B[:, None], what, place)]


SIDE, CLASSES, WINDOW = 8, 10, 3
"""Pixels along a side of an image, digits, and the side of a convolution."""

UNSEEN = 897
"""Images that are kept for tests: half of 1797, so that problems with them are as hard as the others."""

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": lambda x: x.sigmoid(),
    "relu": lambda x: x.relu(),
    "tanh": lambda x: x.tanh(),
}

ANY = "any"
"""Instead of an activation's name: each problem draws one of :data:`ACTIVATIONS`."""


class Images(NamedTuple):
    """pixels_NI float32 from 0 to 1, and label_N int64; the last :data:`UNSEEN` ones are those kept for tests."""

    pixels_NI: torch.Tensor
    label_N: torch.Tensor


@cache
def images() -> Images:
    """scikit-learn's digits, shuffled; ``ValueError`` where it is not installed."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ValueError("networks on digits need scikit-learn: pip install 'npi-engine[digits]'") from error
    found = load_digits()
    order_N = mixed(torch.arange(len(found.target)), SPLIT).argsort()
    pixels_NI = torch.tensor(found.data, dtype=torch.float32)[order_N] / 16
    return Images(pixels_NI, torch.tensor(found.target, dtype=torch.int64)[order_N])


class BatchedFunction:
    """A family of problems, many at once, and the images that their losses are of, on each device."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._images: dict[torch.device, Images] = {}

    @cached_property
    def losses(self) -> Callable[..., torch.Tensor]:
        """theta_BD, of images pixels_BMI and label_BM, and given_BG → loss_B."""
        return torch.func.vmap(self._function.loss)

    @cached_property
    def gradients(self) -> Callable[..., torch.Tensor]:
        """The same → gradient_BD."""
        return torch.func.vmap(torch.func.grad(self._function.loss))

    def images_on(self, device: torch.device) -> Images:
        """:func:`images` there; ``ValueError`` where scikit-learn is not installed."""
        if device not in self._images:
            self._images[device] = Images(*(part.to(device) for part in images()))
        return self._images[device]


class Mlp:
    """Layers of units on the pixels, and the cross-entropy of the digits (Andrychowicz et al. 2016, section 3.2)."""

    images = True

    def __init__(self, units: int, layers: int, activation: str, spread: float = 1.0) -> None:
        sizes = [SIDE * SIDE, *[units] * layers, CLASSES]
        self.shapes, self.activation, self.spread = list(pairwise(sizes)), activation, spread
        self.parts = _parts(self.shapes)
        self.dimensions = sum(map(math.prod, self.parts))

    def draw(self, episode_B: torch.Tensor) -> Drawn:
        return _network(episode_B, self.shapes, self.activation, self.spread)

    def loss(self, theta_D: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        x, label_M, given_G = given
        *hidden, last = _layers(theta_D, self.shapes)
        for weight, bias in hidden:
            x = _activated(x @ weight + bias, self.activation, given_G)
        return _cross_entropy(x @ last[0] + last[1], label_M)


class NarrowMlp:
    """One layer of units of which each problem has the first ones alone; the others give 0, and have no gradient.

    Given are what :class:`Mlp` has given, and which units a problem has, as 0 and 1.
    """

    images = True

    def __init__(self, units: int, activation: str, spread: float = 1.0) -> None:
        self.whole, self.units = Mlp(units, 1, activation, spread), units
        self.dimensions, self.parts = self.whole.dimensions, self.whole.parts

    def draw(self, episode_B: torch.Tensor) -> Drawn:
        """As of problems that have all units."""
        return self.whole.draw(episode_B)

    def narrowed(self, drawn: Drawn, width_B: torch.Tensor) -> Drawn:
        """The same with so many units: the variance of the last layer's weights is one over their number."""
        last = self.units * CLASSES
        before_BD, weight_BD, bias_BD = drawn.theta_BD.split([self.dimensions - last - CLASSES, last, CLASSES], 1)
        wider_B1 = (self.units / width_B).sqrt().to(weight_BD.dtype)[:, None]
        has_BU = torch.arange(self.units, device=width_B.device) < width_B[:, None]
        given_BG = torch.cat([drawn.given_BG, has_BU.to(weight_BD.dtype)], 1)
        return Drawn(torch.cat([before_BD, weight_BD * wider_B1, bias_BD], 1), given_BG)

    def loss(self, theta_D: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        x, label_M, given_G = given
        drawn_G, has_U = given_G.tensor_split([len(given_G) - self.units])
        (weight, bias), last = _layers(theta_D, self.whole.shapes)
        x = _activated(x @ weight + bias, self.whole.activation, drawn_G) * has_U
        return _cross_entropy(x @ last[0] + last[1], label_M)


class Conv:
    """Convolutions of 3 × 3 in steps of two pixels, each behind its activation, then the digits."""

    images = True

    def __init__(self, channels: int, layers: int, activation: str, spread: float = 1.0) -> None:
        depths = [1, *[channels] * layers]
        self.shapes = [(WINDOW * WINDOW * a, b) for a, b in pairwise(depths)]
        self.shapes.append(((SIDE >> layers) ** 2 * channels, CLASSES))
        self.activation, self.spread = activation, spread
        self.parts = _parts(self.shapes)
        self.dimensions = sum(map(math.prod, self.parts))

    def draw(self, episode_B: torch.Tensor) -> Drawn:
        return _network(episode_B, self.shapes, self.activation, self.spread)

    def loss(self, theta_D: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        pixels_MI, label_M, given_G = given
        *convolutions, last = _layers(theta_D, self.shapes)
        x = pixels_MI.unflatten(1, (SIDE, SIDE, 1))
        for weight, bias in convolutions:
            x = _activated(_windows(x) @ weight + bias, self.activation, given_G)
        return _cross_entropy(x.flatten(1) @ last[0] + last[1], label_M)


def _windows(x: torch.Tensor) -> torch.Tensor:
    """M × side × side × U → the 3 × 3 around every second place, zeros beyond the edge: M × side/2 × side/2 × 9U."""
    side = x.shape[1]
    wide = torch.nn.functional.pad(x, (0, 0, 1, 1, 1, 1))
    ends = [slice(i, i + side, 2) for i in range(WINDOW)]
    return torch.cat([wide[:, rows, columns] for rows in ends for columns in ends], -1)


def _cross_entropy(logit_MC: torch.Tensor, label_M: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logit_MC, label_M)


def _parts(shapes: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """The weights and the biases of each layer."""
    return tuple(part for inputs, outputs in shapes for part in ((inputs, outputs), (outputs,)))


def _layers(theta_D: torch.Tensor, shapes: Sequence[tuple[int, int]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weights (inputs × outputs) and biases of each layer."""
    parts = theta_D.split([size for inputs, outputs in shapes for size in (inputs * outputs, outputs)])
    return [(w.view(shape), b) for w, b, shape in zip(parts[::2], parts[1::2], shapes, strict=True)]


def _activated(x: torch.Tensor, activation: str, given_G: torch.Tensor) -> torch.Tensor:
    if activation != ANY:
        return ACTIVATIONS[activation](x)
    return sum((share * f(x) for share, f in zip(given_G, ACTIVATIONS.values(), strict=True)), torch.zeros_like(x))


def _network(episode_B: torch.Tensor, shapes: Sequence[tuple[int, int]], activation: str, spread: float) -> Drawn:
    """Gaussian weights whose variance is one over a layer's inputs, times a scale from 1/spread to spread, which is the
    same for all weights of a problem; biases of zero. Given is which of any activations a problem has, as 0 and 1."""
    scale_D = torch.cat([
        part
        for inputs, outputs in shapes
        for part in (torch.full((inputs * outputs,), 1 / math.sqrt(inputs)), torch.zeros(outputs))
    ]).to(episode_B.device)  # fmt: skip
    theta_BD = normal(episode_B, BEGIN, len(scale_D)) * scale_D
    if spread != 1:
        theta_BD = theta_BD * (spread ** (2 * uniform(episode_B, SCALE) - 1)).float()[:, None]
    if activation != ANY:
        return Drawn(theta_BD, theta_BD.new_zeros(len(episode_B), 0))
    chosen_B = below(len(ACTIVATIONS), episode_B, ACTIVATION)
    return Drawn(theta_BD, torch.nn.functional.one_hot(chosen_B, len(ACTIVATIONS)).float())
