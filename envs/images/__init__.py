"""Pictures of classes: handwritten characters that are generated, published, or a user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from envs.images.alphabets import StrokesConfig
    from envs.images.bindings import bind
    from envs.images.drawings import Drawings
    from envs.images.official_runs import OneShotRun, one_shot_runs
    from envs.images.sources import open_source
    from envs.images.strokes import generated_drawings

__all__ = [
    "Drawings",
    "OneShotRun",
    "StrokesConfig",
    "bind",
    "generated_drawings",
    "one_shot_runs",
    "open_source",
]

__getattr__, __dir__ = lazy(__name__)
