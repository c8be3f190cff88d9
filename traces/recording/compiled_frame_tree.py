"""The frames of steps in machine code; imported where there are many steps, since loading it takes a moment."""

from __future__ import annotations

from numba import njit

from traces.recording import frame_tree

tree = njit(cache=True)(frame_tree.tree)
"""As :func:`traces.recording.frame_tree.tree`."""
