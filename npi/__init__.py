"""The neural program induction engine: programs in files, one network that learns to run them, new ones as rows.

>>> import npi
>>> result = npi.train_library(["programs/addition.npi", "programs/bubblesort.npi"], out="library")
>>> npi.learn_into("library", ["programs/max.npi"])
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "CoreConfig": "npi.config",
    "TrainConfig": "npi.config",
    "score_sizes": "npi.evaluate",
    "solve": "npi.evaluate",
    "LearnConfig": "npi.learn",
    "Learned": "npi.learn",
    "learn": "npi.learn",
    "Library": "npi.library",
    "LibraryError": "npi.library",
    "TrainResult": "npi.session",
    "learn_into": "npi.session",
    "train_library": "npi.session",
    "SweepResult": "npi.sweep",
    "train_sweep": "npi.sweep",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the command line's help needs no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'npi' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
