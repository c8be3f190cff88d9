"""Torch's optimisers without its compiler.

The methods of ``torch.optim.Optimizer`` are wrapped so that ``torch.compile`` leaves them alone, and the wrapper
imports the compiler at the first call: two CPU seconds of every process that trains. Nothing is compiled here, so the
methods inside the wrappers are called.
"""

from __future__ import annotations

import inspect
from typing import TypeVar, cast

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)


def without_compiler(kind: type[Kind]) -> type[Kind]:
    """The same optimiser, number for number, whose methods do not import ``torch._dynamo``."""
    inner = {
        name: inspect.unwrap(method)
        for name, method in vars(Optimizer).items()
        if inspect.isfunction(method) and hasattr(method, "__wrapped__")
    }
    inner["step"] = torch.no_grad()(inspect.unwrap(kind.step))  # the wrapper of a step turns gradients off, too
    return cast(type[Kind], type(kind.__name__, (kind,), inner))


ADAM, ADAMW = without_compiler(torch.optim.Adam), without_compiler(torch.optim.AdamW)
SPARSE_ADAM = without_compiler(torch.optim.SparseAdam)
