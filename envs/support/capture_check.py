"""A tape of tensor operations: what a CUDA graph does, on any device, so that it can be checked without a GPU.

A graph replays the same operations on the same memory, and the host has no say in it. A tape holds work to the same
rules: it raises where the host reads a tensor or copies numbers into a new one, and its replay puts every result where
it lay the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

T = TypeVar("T")

HOST = ("_local_scalar_dense", "nonzero", "lift_fresh", "is_nonzero", "equal")
"""Operations that wait for the device, or bring numbers from the host."""


class HostError(ValueError):
    """Work that needs the host between its operations, so that it cannot be captured in a graph."""


class _Recording(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        masked = name.startswith("index") and any(t.dtype == torch.bool for t in _tensors(args[1:2]))
        if name in HOST or masked:
            raise HostError(f"{name} waits for the device or reads from the host; such work cannot be captured")
        found = func(*args, **kwargs)
        self.operations.append((func, args, kwargs, found))
        return found


def tape(work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
    """Do the work, and give its result and what does it anew: every tensor it made is filled with new numbers.

    Raises :class:`HostError` where a graph could not hold the work.
    """
    with _Recording() as recording:
        result = work()

    def replay() -> None:
        for func, args, kwargs, found in recording.operations:
            again = func(*args, **kwargs)
            for old, new in zip(_tensors(found), _tensors(again), strict=True):
                if old.untyped_storage().data_ptr() != new.untyped_storage().data_ptr():
                    old.copy_(new)

    return result, replay


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))
