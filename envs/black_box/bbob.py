"""The 24 noiseless functions of BBOB (Hansen, Finck, Ros and Auger 2009, "Real-parameter black-box optimization
benchmarking 2009: noiseless functions definitions"), for batches of problems.

The cube is the domain from -5 to 5. An episode's number draws the place of the minimum, both rotations, and Gallagher's
peaks, so that instances differ from those of COCO, whose seeds are others. A value is what lies above the minimum: 0 is
the least, and ``f_opt`` is left out, as are penalties for points outside of the domain, where no query leads. Values of
steep functions go to 1e8 and beyond; with ``log`` they are ``log10(1e-8 + f)``, 1e-8 being BBOB's final precision.

All is computed in float64. Names follow the publication: R and Q are rotations, Λ^α scales axes, T_osz and T_asy break
symmetry, 1^± is a vector of signs.

Shape legend: ``B`` problems, ``D`` dimensions, ``N`` peaks, ``G`` numbers that make a problem what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from envs.black_box.functions import constant, normal
from envs.support.counter_rng import uniform
from envs.support.lazy_torch import torch

MIN_DIMENSIONS = 2
"""Exponents are fractions of D - 1."""

PRECISION = 1e-8
"""The final target of BBOB, added to values before their logarithm."""

OPTIMUM, ROTATE, PEAKS, WIDTHS, AXES = 101, 102, 104, 105, 106
"""What is drawn, as a part of the numbers that are mixed; R is ``ROTATE`` and Q the number behind it."""


@dataclass(frozen=True)
class Instance:
    """What problems are of.

    Attributes:
        xopt_BD: places of the minimum. R_BDD, Q_BDD: rotations.
        peak_BND, curve_BND: Gallagher's peaks, and the diagonals of their matrices C; without peaks N is 0.
    """

    xopt_BD: torch.Tensor
    R_BDD: torch.Tensor
    Q_BDD: torch.Tensor
    peak_BND: torch.Tensor
    curve_BND: torch.Tensor


Value = Callable[["torch.Tensor", Instance], "torch.Tensor"]
"""x_BD of the domain → value_B."""


@dataclass(frozen=True)
class Definition:
    """One of the functions.

    Attributes:
        reach: the largest coordinate of the minimum, which is drawn uniformly. signs: ``xopt = reach 1^±`` instead.
        peaks: Gallagher's N. sharpest: α of the first one. widest: the domain of the others.
    """

    value: Value
    reach: float = 4.0
    signs: bool = False
    peaks: int = 0
    sharpest: float = 1000.0
    widest: float = 5.0


class Bbob:
    """The functions f1 to f24, by their number."""

    def __init__(self, number: int, dimensions: int, log: bool = False) -> None:
        self.definition, self.dimensions, self.log = DEFINITIONS[number - 1], dimensions, log

    def draw(self, episode_B: torch.Tensor) -> torch.Tensor:
        size, definition = self.dimensions, self.definition
        axis = torch.arange(size, device=episode_B.device)
        share_BD = 2 * uniform(episode_B[:, None], OPTIMUM, axis) - 1
        xopt_BD = definition.reach * (share_BD.sign() if definition.signs else share_BD)
        turns = [_rotation(episode_B, ROTATE + i, size).flatten(1) for i in range(2)]
        peaks = [part.flatten(1) for part in _peaks(episode_B, definition, xopt_BD)]
        return torch.cat([xopt_BD, *turns, *peaks], 1).float()

    def value(self, point_BD: torch.Tensor, given_BG: torch.Tensor) -> torch.Tensor:
        """In the type of the points."""
        value_B = self.definition.value(10 * point_BD.double() - 5, self.instance(given_BG))
        return ((value_B + PRECISION).log10() if self.log else value_B).to(point_BD.dtype)

    def least(self, given_BG: torch.Tensor) -> torch.Tensor:
        return given_BG.new_full((len(given_BG),), math.log10(PRECISION) if self.log else 0.0)

    def instance(self, given_BG: torch.Tensor) -> Instance:
        size, peaks = self.dimensions, self.definition.peaks
        xopt, *turns = given_BG.double().split([size, size**2, size**2, peaks * size, peaks * size], 1)
        shapes = [(size, size)] * 2 + [(peaks, size)] * 2
        return Instance(xopt, *(part.unflatten(1, shape) for part, shape in zip(turns, shapes, strict=True)))


def _rotation(episode_B: torch.Tensor, what: int, size: int) -> torch.Tensor:
    """float64 B × D × D: Gaussian vectors, made orthonormal one after the other."""
    factors = torch.linalg.qr(normal(episode_B, what, size * size).view(-1, size, size).mT)
    return (factors.Q * factors.R.diagonal(dim1=1, dim2=2).sign()[:, None]).mT


def _peaks(episode_B: torch.Tensor, definition: Definition, xopt_BD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """peak_BND, the first of which is the minimum, and curve_BND: Λ^α / α^¼ with a shuffled diagonal for each peak, α
    being those of a geometric row, shuffled."""
    count, (batch, size) = definition.peaks, xopt_BD.shape
    if not count:
        return (xopt_BD.new_zeros(batch, 0, size),) * 2
    peak, axis = torch.arange(count, device=xopt_BD.device)[:, None], torch.arange(size, device=xopt_BD.device)
    parts = episode_B[:, None, None]
    peak_BND = definition.widest * (2 * uniform(parts, PEAKS, peak, axis) - 1)
    rank_BN1 = uniform(parts, WIDTHS, peak[1:]).argsort(1)
    alpha_BN1 = 1000.0 ** (2 * rank_BN1 / (count - 2))
    alpha_BN1 = torch.cat([alpha_BN1.new_full((batch, 1, 1), definition.sharpest), alpha_BN1], 1)
    place_BND = uniform(parts, AXES, peak, axis).argsort(2)
    return torch.cat([xopt_BD[:, None], peak_BND[:, 1:]], 1), alpha_BN1 ** (place_BND / (2 * (size - 1)) - 0.25)


# Transformations.


def _share(x_BD: torch.Tensor) -> torch.Tensor:
    """(i - 1) / (D - 1) of each axis."""
    return torch.linspace(0, 1, x_BD.shape[1], dtype=x_BD.dtype, device=x_BD.device)


def _turn(turn_BDD: torch.Tensor, x_BD: torch.Tensor) -> torch.Tensor:
    return (turn_BDD @ x_BD[:, :, None])[:, :, 0]


def _scaled(alpha: float, x_BD: torch.Tensor) -> torch.Tensor:
    """Λ^α x."""
    return alpha ** (_share(x_BD) / 2) * x_BD


def _weighted(power: float, x_BD: torch.Tensor) -> torch.Tensor:
    """The sum of squares, the i-th of which weighs ``10 ** (power (i - 1) / (D - 1))``."""
    return (10 ** (power * _share(x_BD)) * x_BD.square()).sum(1)


def oscillated(x: torch.Tensor) -> torch.Tensor:
    """T_osz."""
    up = x > 0
    size = x.abs().clamp(min=torch.finfo(x.dtype).tiny).log()
    bent = torch.where(up, 10 * size, 5.5 * size).sin() + torch.where(up, 7.9 * size, 3.1 * size).sin()
    return x.sign() * (size + 0.049 * bent).exp()


def asymmetric(beta: float, x_BD: torch.Tensor) -> torch.Tensor:
    """T_asy^β."""
    positive_BD = x_BD.clamp(min=torch.finfo(x_BD.dtype).tiny)
    return torch.where(x_BD > 0, positive_BD ** (1 + beta * _share(x_BD) * positive_BD.sqrt()), x_BD)


def _rastrigin(z_BD: torch.Tensor) -> torch.Tensor:
    return 10 * (1 - (2 * math.pi * z_BD).cos()).sum(1) + z_BD.square().sum(1)


def _stretch(x_BD: torch.Tensor) -> float:
    """max(1, √D / 8)."""
    return max(1.0, math.sqrt(x_BD.shape[1]) / 8)


def _valleys(z_BD: torch.Tensor) -> torch.Tensor:
    """B × (D - 1): the summands of Rosenbrock's function."""
    return 100 * (z_BD[:, :-1].square() - z_BD[:, 1:]).square() + (z_BD[:, :-1] - 1).square()


# Functions, in the order of the publication.


def _sphere(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    return (x_BD - it.xopt_BD).square().sum(1)


def _ellipsoid(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    return _weighted(6, oscillated(x_BD - it.xopt_BD))


def _separable_rastrigin(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    return _rastrigin(_scaled(10, asymmetric(0.2, oscillated(x_BD - it.xopt_BD))))


def _bueche_rastrigin(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    """The minimum's coordinates with an odd number (1, 3, …) are positive; there positive z weigh ten times more."""
    odd_D = torch.arange(x_BD.shape[1], device=x_BD.device) % 2 == 0
    z_BD = oscillated(x_BD - torch.where(odd_D, it.xopt_BD.abs(), it.xopt_BD))
    return _rastrigin(_scaled(10, torch.where(odd_D & (z_BD > 0), 10 * z_BD, z_BD)))


def _slope(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    s_BD = it.xopt_BD.sign() * 10 ** _share(x_BD)
    z_BD = torch.where(it.xopt_BD * x_BD < 25, x_BD, it.xopt_BD)
    return (5 * s_BD.abs() - s_BD * z_BD).sum(1)


def _attractive_sector(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    z_BD = _turn(it.Q_BDD, _scaled(10, _turn(it.R_BDD, x_BD - it.xopt_BD)))
    steep_BD = torch.where(z_BD * it.xopt_BD > 0, 100 * z_BD, z_BD)
    return oscillated(steep_BD.square().sum(1)) ** 0.9


def _steps(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    """The first z has a slope where all plateaus are left."""
    z_BD = _scaled(10, _turn(it.R_BDD, x_BD - it.xopt_BD))
    plateau_BD = torch.where(z_BD.abs() > 0.5, (0.5 + z_BD).floor(), (0.5 + 10 * z_BD).floor() / 10)
    return 0.1 * torch.maximum(z_BD[:, 0].abs() / 1e4, _weighted(2, _turn(it.Q_BDD, plateau_BD)))


def _rosenbrock(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    return _valleys(_stretch(x_BD) * (x_BD - it.xopt_BD) + 1).sum(1)


def _turned_rosenbrock(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    """The minimum, z = 1, is where R leads it; ``xopt`` has no part in it."""
    return _valleys(_stretch(x_BD) * _turn(it.R_BDD, x_BD) + 0.5).sum(1)


def _turned_ellipsoid(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    return _weighted(6, oscillated(_turn(it.R_BDD, x_BD - it.xopt_BD)))


def _discus(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    square_BD = oscillated(_turn(it.R_BDD, x_BD - it.xopt_BD)).square()
    return 1e6 * square_BD[:, 0] + square_BD[:, 1:].sum(1)


def _bent_cigar(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    square_BD = _turn(it.R_BDD, asymmetric(0.5, _turn(it.R_BDD, x_BD - it.xopt_BD))).square()
    return square_BD[:, 0] + 1e6 * square_BD[:, 1:].sum(1)


def _sharp_ridge(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    square_BD = _turn(it.Q_BDD, _scaled(10, _turn(it.R_BDD, x_BD - it.xopt_BD))).square()
    return square_BD[:, 0] + 100 * square_BD[:, 1:].sum(1).sqrt()


def _powers(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    return (_turn(it.R_BDD, x_BD - it.xopt_BD).abs() ** (2 + 4 * _share(x_BD))).sum(1).sqrt()


def _turned_rastrigin(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    bent_BD = asymmetric(0.2, oscillated(_turn(it.R_BDD, x_BD - it.xopt_BD)))
    return _rastrigin(_turn(it.R_BDD, _scaled(10, _turn(it.Q_BDD, bent_BD))))


def _weierstrass(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    turned_BD = _turn(it.Q_BDD, oscillated(_turn(it.R_BDD, x_BD - it.xopt_BD)))
    z_BD = _turn(it.R_BDD, _scaled(0.01, turned_BD))
    k = torch.arange(12, dtype=x_BD.dtype, device=x_BD.device)
    wave_BDK = 0.5**k * (2 * math.pi * 3**k * (z_BD[:, :, None] + 0.5)).cos()
    least = (0.5**k * (math.pi * 3**k).cos()).sum()
    return 10 * (wave_BDK.sum(2).mean(1) - least) ** 3


def _schaffers(alpha: float, x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    bent_BD = asymmetric(0.5, _turn(it.R_BDD, x_BD - it.xopt_BD))
    square_BD = _scaled(alpha, _turn(it.Q_BDD, bent_BD)).square()
    s_BD = (square_BD[:, :-1] + square_BD[:, 1:]).sqrt()
    return (s_BD.sqrt() * (1 + (50 * s_BD**0.2).sin().square())).mean(1).square()


def _griewank_rosenbrock(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    """The minimum, z = 1, is where R leads it; ``xopt`` has no part in it."""
    s_BD = _valleys(_stretch(x_BD) * _turn(it.R_BDD, x_BD) + 0.5)
    return 10 * (s_BD / 4000 - s_BD.cos()).mean(1) + 10


def _schwefel(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    """The points have a penalty as far as they are outside of the domain once they are transformed."""
    x_BD, edge_BD = 2 * it.xopt_BD.sign() * x_BD, 2 * it.xopt_BD.abs()
    before_BD = torch.nn.functional.pad((x_BD - edge_BD)[:, :-1], (1, 0))
    z_BD = 100 * (_scaled(10, x_BD + 0.25 * before_BD - edge_BD) + edge_BD)
    outside_B = (z_BD.abs() / 100 - 5).clamp(min=0).square().sum(1)
    return 4.189828872724339 - (z_BD * z_BD.abs().sqrt().sin()).mean(1) / 100 + 100 * outside_B


def _gallagher(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    count, size = it.peak_BND.shape[1], x_BD.shape[1]
    weights = 10.0, *(1.1 + 8 * i / (count - 2) for i in range(count - 1))
    apart_BND = (x_BD[:, None] - it.peak_BND) @ it.R_BDD.mT
    height_BN = (
        constant(weights, x_BD.dtype, x_BD.device) * ((it.curve_BND * apart_BND.square()).sum(2) / (-2 * size)).exp()
    )
    return oscillated(10 - height_BN.amax(1)).square()


def _katsuura(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    z_BD, size = _turn(it.Q_BDD, _scaled(100, _turn(it.R_BDD, x_BD - it.xopt_BD))), x_BD.shape[1]
    power = 2.0 ** torch.arange(1, 33, dtype=x_BD.dtype, device=x_BD.device)
    scaled_BDJ = power * z_BD[:, :, None]
    rough_BD = ((scaled_BDJ - scaled_BDJ.detach().round()).abs() / power).sum(2)
    place_D = torch.arange(1, size + 1, dtype=x_BD.dtype, device=x_BD.device)
    return 10 / size**2 * (((1 + place_D * rough_BD) ** (10 / size**1.2)).prod(1) - 1)


def _lunacek(x_BD: torch.Tensor, it: Instance) -> torch.Tensor:
    first, size = 2.5, x_BD.shape[1]
    s = 1 - 1 / (2 * math.sqrt(size + 20) - 8.2)
    second = -math.sqrt((first**2 - 1) / s)
    x_BD = 2 * it.xopt_BD.sign() * x_BD
    bowls = (x_BD - first).square().sum(1), size + s * (x_BD - second).square().sum(1)
    z_BD = _turn(it.Q_BDD, _scaled(100, _turn(it.R_BDD, x_BD - first)))
    return torch.minimum(*bowls) + 10 * (1 - (2 * math.pi * z_BD).cos()).sum(1)


DEFINITIONS = (
    Definition(_sphere), Definition(_ellipsoid), Definition(_separable_rastrigin), Definition(_bueche_rastrigin),
    Definition(_slope, reach=5.0, signs=True), Definition(_attractive_sector), Definition(_steps),
    Definition(_rosenbrock, reach=3.0), Definition(_turned_rosenbrock), Definition(_turned_ellipsoid),
    Definition(_discus), Definition(_bent_cigar), Definition(_sharp_ridge), Definition(_powers),
    Definition(_turned_rastrigin), Definition(_weierstrass), Definition(partial(_schaffers, 10.0)),
    Definition(partial(_schaffers, 1000.0)), Definition(_griewank_rosenbrock),
    Definition(_schwefel, reach=4.2096874633 / 2, signs=True), Definition(_gallagher, peaks=101),
    Definition(_gallagher, reach=3.92, peaks=21, sharpest=1e6, widest=4.9), Definition(_katsuura),
    Definition(_lunacek, reach=1.25, signs=True),
)  # fmt: skip
"""f1 to f24."""
