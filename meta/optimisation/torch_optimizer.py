"""An optimiser that was learned, for any module: in place of ``torch.optim.Adam`` and the like.

Shape legend: ``N`` numbers of a parameter, ``P`` of a row, ``U`` units of a layer of the core.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self, overload

import torch

from meta.optimisation.network import OptimiserCore
from npi.learners.core import LearnerProgramCore
from npi.library.library import Library


class LearnedOptimizer(torch.optim.Optimizer):
    """Moves parameters as a program of a library does; there is no learning rate to choose.

    Args:
        params: as for every ``torch.optim.Optimizer``; a group can have a ``"row"`` of its own.
        net: the core; what is used is a copy.
        row: the program's numbers, row_P.
    """

    def __init__(
        self, params: Iterable[torch.Tensor] | Iterable[dict[str, Any]], net: OptimiserCore, row: torch.Tensor
    ) -> None:
        super().__init__(params, {"row": row.detach().clone()})
        for group in self.param_groups:
            if group["row"].shape != (net.config.row,):
                raise ValueError(
                    f"a row of this core is a tensor of {net.config.row} numbers, not one of shape "
                    f"{tuple(group['row'].shape)}"
                )
        self.net = copy.deepcopy(net).requires_grad_(False).to(self.param_groups[0]["params"][0].device)

    @classmethod
    def open(
        cls, params: Iterable[torch.Tensor] | Iterable[dict[str, Any]], library: Library | Path | str, program: str
    ) -> Self:
        """The optimiser that a program of a library is, such as ``"digits.OPTIMISE"``.

        Raises ``ValueError`` for a library whose core is no optimiser's, and for a program that it does not have.
        """
        library = library if isinstance(library, Library) else Library.open(library)
        core = library.core
        if not isinstance(core, LearnerProgramCore) or not isinstance(core.net, OptimiserCore):
            raise ValueError('the core of this library is no optimiser; train one on programs with core "optimiser"')
        return cls(params, core.net, row_of(library, program))

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group["row"])
        return loss

    def _move(self, parameter: torch.Tensor, row_P: torch.Tensor) -> None:
        """The state of a parameter is what the core carries of each of its numbers, zeros at first."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["hidden"] = torch.zeros(self.net.numbers, parameter.numel(), device=parameter.device)
        gradient_1N = parameter.grad.reshape(1, -1).float()
        row_1P = row_P.to(gradient_1N.device)[None]
        moved = self.net(gradient_1N, row_1P, state["hidden"][None].float())
        parameter.add_(moved.step_BD.view_as(parameter).to(parameter.dtype))
        state["hidden"] = moved.hidden_BND[0]


def row_of(library: Library, program: str) -> torch.Tensor:
    """row_P of a program, by its qualified name."""
    known = [info.name for info in library.memory.infos if not info.primitive]
    if program not in known:
        raise ValueError(f"the library has no program {program!r}; it has {', '.join(known)}")
    return library.memory.embeddings_NP[library.memory.index(program)].detach()
