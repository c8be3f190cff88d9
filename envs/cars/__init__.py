"""Cars: shapes of many body styles, pictures of them from any side, collections, and users' own meshes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from envs.cars.mesh_files import load_folder
    from envs.cars.rendering import render
    from envs.cars.world import Cars

__all__ = [
    "Cars",
    "load_folder",
    "render",
]

__getattr__, __dir__ = lazy(__name__)
