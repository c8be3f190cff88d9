"""An optimiser that was learned, for any module: in place of ``torch.optim.Adam`` and the like.

Shape legend: ``N`` numbers of a parameter, ``P`` of a row, ``X`` that the core carries of each number.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self, overload

import torch

from meta.optimisation.network import OptimiserCore, PlainLayers, orthogonal
from npi.learners.core import LearnerProgramCore
from npi.library.library import Library

SHIPPED = Path(__file__).parent / "shipped"
"""The library that comes with the engine (``benchmarks/learners/digits_optimiser.py`` trained it)."""

USUAL = "mlp.OPTIMISE"
"""Its row for networks of many kinds."""

CHUNK = 8192
"""Numbers of a parameter that are moved together: what they need fits into a cache."""

Parameters = Iterable[torch.Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, torch.Tensor]]


class LearnedOptimizer(torch.optim.Optimizer):
    """Moves parameters as a program of a library does; there is no learning rate to choose.

    For each number of a parameter the core carries X more (:attr:`OptimiserCore.numbers`), in float32 whatever the
    parameter is: 53 with the core that comes with the engine.

    Args:
        params: as for every ``torch.optim.Optimizer``; a group can have settings of its own.
        net: the core; what is used is a copy.
        row: the program's numbers, row_P.
        lr: every step is multiplied by it; schedulers change it.
        momentum: decay of the longest average of gradients; as the core was trained, where none is given.

    Raises ``ValueError`` for settings and parameters that it cannot have.
    """

    def __init__(
        self,
        params: Parameters,
        net: OptimiserCore,
        row: torch.Tensor,
        *,
        lr: float = 1.0,
        momentum: float | None = None,
    ) -> None:
        self.net = copy.deepcopy(net).requires_grad_(False)
        usual = net.config.beta_long if momentum is None else momentum
        super().__init__(params, {"lr": lr, "momentum": usual, "row": row.detach().clone()})

    @classmethod
    def open(
        cls, params: Parameters, library: Library | Path | str = SHIPPED, program: str = USUAL, **settings: Any
    ) -> Self:
        """The optimiser that a program of a library is, such as ``"digits.OPTIMISE"``.

        Raises ``ValueError`` for a library whose core is no optimiser's, and for a program that it does not have.
        """
        library = library if isinstance(library, Library) else Library.open(library)
        core = library.core
        if not isinstance(core, LearnerProgramCore) or not isinstance(core.net, OptimiserCore):
            raise ValueError('the core of this library is no optimiser; train one on programs with core "optimiser"')
        return cls(params, core.net, row_of(library, program), **settings)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with settings of their own; the group is not added where ``ValueError`` is raised."""
        before = self.param_groups.copy()
        super().add_param_group(param_group)
        try:
            self._check(self.param_groups[-1])
        except ValueError:
            self.param_groups = before
            raise

    def _check(self, group: dict[str, Any]) -> None:
        shape, expected = tuple(group["row"].shape), (self.net.config.row,)
        if shape != expected:
            raise ValueError(f"a row of this core is a tensor of {expected[0]} numbers, not one of shape {shape}")
        if not group["lr"] >= 0:
            raise ValueError(f"lr multiplies steps and is 0 or more, it is {group['lr']}")
        if not 0 <= group["momentum"] < 1:
            raise ValueError(f"momentum is a share from 0 to below 1, it is {group['momentum']}")
        for name, parameter in _named(len(self.param_groups) - 1, group):
            if parameter.is_complex():
                raise ValueError(f"{name} is complex; optimise torch.view_as_real of it")

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step of every parameter that has a gradient; ``RuntimeError`` for a sparse one, before any moves."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for number, group in enumerate(self.param_groups):
            for name, parameter in _named(number, group):
                if parameter.grad is not None and parameter.grad.layout is not torch.strided:
                    raise RuntimeError(
                        f"LearnedOptimizer does not support sparse gradients, and {name} has one; make its layer with "
                        "sparse=False, or leave it to torch.optim.SparseAdam"
                    )
        for group in self.param_groups:
            layers = self.net.plain(group["row"].to(self.net.rows.weight))
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.numel():
                    self._move(parameter, group, layers)
        return loss

    def _move(self, parameter: torch.Tensor, group: dict[str, Any], layers: PlainLayers) -> None:
        """The state of a parameter is what the core carries of each of its numbers, zeros at first."""
        assert parameter.grad is not None
        state, gradient_N = self.state[parameter], parameter.grad.reshape(-1).float()
        layers = [(weight.to(gradient_N.device), bias.to(gradient_N.device)) for weight, bias in layers]
        if not state:
            state["hidden"] = gradient_N.new_zeros(self.net.numbers, len(gradient_N))
        direction_N = None
        if self.net.config.orthogonal:
            direction_N = orthogonal(gradient_N[None], [tuple(parameter.shape) or (1,)])[0]
        step_N = torch.empty_like(gradient_N)
        for place in range(0, len(step_N), CHUNK):
            chunk = slice(place, place + CHUNK)
            along = None if direction_N is None else direction_N[chunk]
            step_N[chunk] = self.net.move_(
                layers, gradient_N[chunk], state["hidden"][:, chunk], along, beta_long=group["momentum"]
            )
        parameter.add_(step_N.mul_(group["lr"]).view(parameter.shape).to(parameter.dtype))

    @torch._disable_dynamo
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As of every optimiser; the state stays in float32 beside parameters of any kind, so that it resumes exactly.

        Raises ``ValueError`` for another number or shape of parameters, and for another shape of core.
        """
        saved = [place for group in state_dict["param_groups"] for place in group["params"]]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        hidden = {place: state["hidden"] for place, state in state_dict["state"].items()}
        for place, parameter in zip(saved, parameters, strict=False):
            expected = (self.net.numbers, parameter.numel())
            if place in hidden and hidden[place].shape != expected:
                raise ValueError(
                    f"the state of parameter {place} has the shape {tuple(hidden[place].shape)}, not {expected}; "
                    "load it beside the core and the parameters that it was saved with"
                )
        super().load_state_dict(state_dict)
        for place, parameter in zip(saved, parameters, strict=True):
            if place in hidden:
                self.state[parameter]["hidden"] = hidden[place].to(parameter.device, torch.float32, copy=True)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"net": self.net}


def _named(number: int, group: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    """The parameters of a group, by the names that they were given with or by their places."""
    places = [f"parameter {place} of group {number}" for place in range(len(group["params"]))]
    return zip(group.get("param_names", places), group["params"], strict=True)


def row_of(library: Library, program: str) -> torch.Tensor:
    """row_P of a program, by its qualified name."""
    known = [info.name for info in library.memory.infos if not info.primitive]
    if program not in known:
        raise ValueError(f"the library has no program {program!r}; it has {', '.join(known)}")
    return library.memory.embeddings_NP[library.memory.index(program)].detach()
