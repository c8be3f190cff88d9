"""The neural program induction engine: programs in files, one network that learns to run them, new ones as rows.

>>> import npi
>>> result = npi.train_library(["programs/addition.npi", "programs/bubblesort.npi"], out="library")
>>> npi.learn_into("library", ["programs/max.npi"])
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "CoreConfig": "npi.core.config",
    "TrainConfig": "npi.core.config",
    "score_sizes": "npi.running.evaluate",
    "solve": "npi.running.evaluate",
    "LearnConfig": "npi.training.learn_rows",
    "Learned": "npi.training.learn_rows",
    "learn": "npi.recurrent",
    "register_core": "npi.library.kinds",
    "Library": "npi.library.library",
    "LibraryError": "npi.library.library",
    "TrainResult": "npi.jobs.train",
    "learn_into": "npi.jobs.train",
    "train_library": "npi.jobs.train",
    "SweepResult": "npi.jobs.sweep",
    "train_sweep": "npi.jobs.sweep",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the command line's help needs no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'npi' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def _check_siblings() -> None:
    """Raise ``ImportError`` where a user's own module hides a package of the engine, which lie beside this one."""
    root = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    for name in ("envs", "dsl", "traces", "meta"):
        spec, ours = find_spec(name), os.path.join(root, name)
        if spec is None or spec.origin is None or os.path.dirname(os.path.realpath(spec.origin)) == ours:
            continue
        found = os.path.dirname(spec.origin) if spec.submodule_search_locations else spec.origin
        raise ImportError(
            f"{found} hides the package {name!r} of the engine ({ours}), since Python looks for modules there first; "
            "rename it, or run from another folder"
        )


_check_siblings()
