"""Steps of the machine captured once and replayed: free of what a step costs the host.

In lockstep a step is some forty small tensor operations. On a GPU each costs its launch, many times its work. As long
as the stacks and the world keep their tensors, K steps are the same operations on the same memory; captured in a CUDA
graph they cost one launch together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol

import torch

from traces.machine.outcome import Chunk, S

Capture = Callable[[Callable[[], Chunk]], tuple[Chunk, Callable[[], None]]]
"""Does work; gives the tensors in which it leaves its results, and what does it anew on the same memory."""


class Advance(Protocol):
    """So many steps of a state and its stacks."""

    def __call__(self, state: S, stack: object, steps: int) -> Chunk: ...


def cuda_graph(work: Callable[[], Chunk]) -> tuple[Chunk, Callable[[], None]]:
    """Capture work on a CUDA device, and replay it once."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):  # carries nothing out
        chunk = work()
    graph.replay()
    return chunk, graph.replay


class Stretches(Generic[S]):
    """Stretches of steps, one after the other: the first on new memory runs as it is, those that follow are replayed
    (``replayed`` of them)."""

    def __init__(self, advance: Advance, capture: Capture) -> None:
        self._advance, self._capture = advance, capture
        self._steps = 0
        self._held: tuple[Chunk, Callable[[], None]] | None = None
        self.replayed = 0

    def next(self, state: S, stack: object, steps: int, *, moved: bool) -> Chunk:
        """K steps; ``moved`` where state or stack have other tensors than at the last stretch.

        The tensors of a replayed chunk are overwritten by the next stretch.
        """
        if moved:
            self.forget()
        if steps != self._steps:
            self.forget()
            self._steps = steps
            return self._advance(state, stack, steps)
        if self._held is None:
            self._held = self._capture(lambda: self._advance(state, stack, steps))
        else:
            state.spend(steps)
            self._held[1]()
            self.replayed += 1
        return self._held[0]

    def forget(self) -> None:
        """The memory is another: the next stretch runs as it is."""
        self._steps, self._held = 0, None
