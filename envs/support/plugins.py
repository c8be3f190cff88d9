"""What packages and modules of users offer: kinds of worlds, learners, cores.

A package offers them as entry points. A module that is no package, such as a script beside program files, registers
them where it is imported; the variable :data:`VARIABLE` of the environment, which processes that are started inherit,
names such modules. A program file can name neither.
"""

from __future__ import annotations

import importlib
import os
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

VARIABLE = "NPI_PLUGINS"
"""Names of modules with commas between them; they are looked for in the working folder, too."""


def offered(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name; before that the modules of :data:`VARIABLE` have been imported.

    Raises ``ValueError`` for a module that cannot be imported.
    """
    _import_modules()
    return _entry_points(group)


def load(point: EntryPoint) -> Any:
    """What a package offers; ``ValueError``, with the package and the reason, where it cannot be imported."""
    try:
        return point.load()
    except Exception as error:
        package = point.dist.name if point.dist is not None else "a package"
        raise ValueError(
            f"{package} offers {point.name!r} ({point.group}) as {point.value}, which cannot be imported "
            f"({type(error).__name__}: {error}); mend the package, or remove it"
        ) from error


@cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


@cache
def _import_modules() -> None:
    names = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    if names and "" not in sys.path:
        sys.path.insert(0, "")
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            raise ValueError(
                f"{VARIABLE} names the module {name}, which cannot be imported ({type(error).__name__}: {error}); mend "
                "it, or leave it out"
            ) from error
