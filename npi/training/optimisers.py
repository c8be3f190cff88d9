"""Torch's optimisers without its compiler.

The methods of ``torch.optim.Optimizer`` are wrapped so that ``torch.compile`` leaves them alone, and the wrapper
imports the compiler at the first call: two CPU seconds of every process that trains. Nothing is compiled here, so the
methods inside the wrappers are called.
"""

from __future__ import annotations

import inspect
from functools import cache

import torch
from torch.optim import Optimizer


@cache
def without_compiler(kind: type[Optimizer]) -> type[Optimizer]:
    """The same optimiser, number for number, whose methods do not import ``torch._dynamo``."""
    inner = {
        name: inspect.unwrap(method)
        for name, method in vars(Optimizer).items()
        if inspect.isfunction(method) and hasattr(method, "__wrapped__")
    }
    inner["step"] = torch.no_grad()(inspect.unwrap(kind.step))  # the wrapper of a step turns gradients off, too
    return type(kind.__name__, (kind,), inner)
