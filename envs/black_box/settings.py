"""The settings of black boxes, and the functions that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from envs.black_box.bbob import DEFINITIONS, MIN_DIMENSIONS, Bbob
from envs.black_box.classic import FORMULAS, Classic
from envs.black_box.functions import Function
from envs.black_box.gaussian_processes import ANY, KERNELS, GaussianProcess
from envs.black_box.tables import MAX_CONFIGURATIONS, MAX_COORDINATES, Results, Table
from envs.settings import one_of, within
from envs.spec import SpecError

WORLD = "a black box"

BBOB = "bbob"

NUMBERED: Final = {f"{BBOB}{number}": number for number in range(1, len(DEFINITIONS) + 1)}
"""Names of BBOB's functions: short for ``function: bbob, number: …``."""

TABLE = "table"

FUNCTIONS = ("gp", *FORMULAS, BBOB, TABLE)

MAX_DIMENSIONS = 20
"""Of functions that exist in any number of dimensions."""

FREE_DIMENSIONS = 3
"""Of these functions where no number is given."""


@dataclass(frozen=True)
class BlackBoxConfig:
    """The settings of ``black_box(…)`` in a program file.

    Attributes:
        function: one of :data:`FUNCTIONS` or :data:`NUMBERED`, which become ``bbob`` with a number.
        number: of ``bbob``, 1 to 24.
        dimensions: D; 0: the function's own, and 3 where it exists in any number.
        kernel, length_scale, spread: of ``gp``: one of :data:`KERNELS` or "any", which each problem draws; the length
            scale, and up to how many times larger or smaller it is, drawn for each problem.
        perturbed: ``no`` where functions of the literature are to be as they were published.
        log: ``yes`` where values of ``bbob`` are to be ``log10(1e-8 + f)``.
        data, family: of ``table``: the name that a file is bound to when a command is run, and the family of models;
            none: all of the file.
        configurations: of ``table``: how many the family has. Where it and ``dimensions`` are given, the program can be
            checked without the file.
        repeats: of ``table``: ``yes`` where a query may lead to a configuration that was tried.
        noise: standard deviation of what is added to a value that is seen, before it is scaled.
        scale: s: values are ``a + b f`` with b from 1/s to s and a normal with standard deviation s; 1: as they are.
        steps: the largest number of a query that is shown, and queries that are kept to be drawn.
    """

    function: str = "gp"
    number: int = 0
    dimensions: int = 0
    kernel: str = "squared"
    length_scale: float = 0.3
    spread: float = 1.0
    perturbed: str = "yes"
    log: str = "no"
    data: str = ""
    family: str = ""
    configurations: int = 0
    repeats: str = "no"
    noise: float = 0.0
    scale: float = 1.0
    steps: int = 100

    def __post_init__(self) -> None:
        self._name_function()
        self._check_dimensions()
        one_of(WORLD, "kernel", self.kernel, (*KERNELS, ANY))
        for key in ("perturbed", "log", "repeats"):
            one_of(WORLD, key, getattr(self, key), ("yes", "no"))
        for key, low, high in (("spread", 1, 100), ("noise", 0, 1e6), ("scale", 1, 1e6), ("steps", 1, 10_000)):
            within(WORLD, key, getattr(self, key), low, high)
        if not 0 < self.length_scale < float("inf"):
            raise SpecError(f"the setting length_scale of {WORLD} is {self.length_scale}; give a positive number")
        if self.log == "yes" and self.function != BBOB:
            raise SpecError(f"the setting log of {WORLD} is of bbob, whose minima are 0; leave it out")
        self._check_table()

    def _name_function(self) -> None:
        if self.function in NUMBERED and self.number in (0, NUMBERED[self.function]):
            object.__setattr__(self, "number", NUMBERED[self.function])
            object.__setattr__(self, "function", BBOB)
        one_of(WORLD, "function", self.function, FUNCTIONS)
        if self.function == BBOB:
            within(WORLD, "number", self.number, 1, len(DEFINITIONS))
        elif self.number:
            raise SpecError(f"the setting number of {WORLD} is {self.number}; it is of bbob alone, leave it out")

    def _check_table(self) -> None:
        if self.function == TABLE:
            within(WORLD, "configurations", self.configurations, 0, MAX_CONFIGURATIONS)
            if not self.data:
                raise SpecError(f"{WORLD} of a table has no data; write data: NAME, and run it with --data NAME=FILE")
        elif self.data or self.family or self.configurations:
            raise SpecError(f"the settings data, family and configurations of {WORLD} are of a table; leave them out")

    def _check_dimensions(self) -> None:
        low, high = dimensions_of(self.function)
        if not self.dimensions and self.function != TABLE:
            object.__setattr__(self, "dimensions", min(max(low, FREE_DIMENSIONS), high))
        elif low == high != self.dimensions:
            given = f"the setting dimensions of {WORLD} is {self.dimensions}"
            raise SpecError(f"{given}; {self.function} has {low}: give that, or leave it out")
        within(WORLD, "dimensions", self.dimensions, low, high)


def dimensions_of(function: str) -> tuple[int, int]:
    """The least and the most that a function can have."""
    if function in FORMULAS:
        return (FORMULAS[function].dimensions,) * 2
    if function == TABLE:
        return 0, MAX_COORDINATES
    return MIN_DIMENSIONS if function == BBOB else 1, MAX_DIMENSIONS


def make_table(config: BlackBoxConfig, held: Mapping[str, Results] | None) -> Table | None:
    if config.function != TABLE:
        return None
    return Table(config.data, config.family, config.dimensions, config.configurations, held)


def make_function(config: BlackBoxConfig) -> Function:
    """Of anything but a table."""
    if config.function in FORMULAS:
        return Classic(config.function, config.perturbed == "yes")
    if config.function == BBOB:
        return Bbob(config.number, config.dimensions, config.log == "yes")
    return GaussianProcess(config.dimensions, config.kernel, config.length_scale, config.spread)
