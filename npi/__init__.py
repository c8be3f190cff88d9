"""The neural program induction engine: programs in files, one network that learns to run them, new ones as rows.

>>> import npi
>>> programs = npi.examples()
>>> result = npi.train([programs / "addition.npi", programs / "bubblesort.npi"], out="library")
>>> npi.learn("library", [programs / "max.npi"])
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envs.registry import register_world
    from npi.api import certify, check_certificate, compile, evaluate, learn, run, speak, train
    from npi.core.config import CoreConfig, TrainConfig
    from npi.jobs.run import TrainResult
    from npi.jobs.sweep import SweepResult, train_sweep
    from npi.learners.interface import register_learner
    from npi.library.collection import Collection
    from npi.library.examples import examples, shipped
    from npi.library.kinds import CoreKind, ProgramProof, register_core
    from npi.library.library import Library, LibraryError
    from npi.proof.certificate import Certificate
    from npi.proof.check_certificate import Finding
    from npi.running.compiled_library import CompiledLibrary
    from npi.running.evaluate import SizeScore, Solved, run_problems, score_sizes, solve
    from npi.running.runs import Run
    from npi.training.learn_rows import LearnConfig, RowResult
    from npi.training.ranks import Ranks, join
    from npi.universal.code_search import SearchConfig
    from npi.universal.network import InterpreterConfig
    from npi.universal.objective import UniversalTrainConfig

__version__ = "0.1.0"

__all__ = [
    "Certificate",
    "Collection",
    "CompiledLibrary",
    "CoreConfig",
    "CoreKind",
    "Finding",
    "InterpreterConfig",
    "LearnConfig",
    "Library",
    "LibraryError",
    "ProgramProof",
    "Ranks",
    "RowResult",
    "Run",
    "SearchConfig",
    "SizeScore",
    "Solved",
    "SweepResult",
    "TrainConfig",
    "TrainResult",
    "UniversalTrainConfig",
    "__version__",
    "certify",
    "check_certificate",
    "compile",
    "evaluate",
    "examples",
    "join",
    "learn",
    "register_core",
    "register_learner",
    "register_world",
    "run",
    "run_problems",
    "score_sizes",
    "shipped",
    "solve",
    "speak",
    "train",
    "train_sweep",
]


def _check_siblings() -> None:
    """Raise ``ImportError`` where a user's own module hides a package of the engine, which lie beside this one.

    A folder of that name without an ``__init__.py`` holds data, not a package: there the engine's is imported by its
    place, since some installations (editable ones) would find the folder first.
    """
    root = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    for name in ("envs", "dsl", "traces", "meta"):
        spec, ours = find_spec(name), os.path.join(root, name)
        if spec is None:
            continue
        if spec.origin is None:
            own = spec_from_file_location(name, os.path.join(ours, "__init__.py"), submodule_search_locations=[ours])
            assert own is not None
            assert own.loader is not None
            sys.modules[name] = module_from_spec(own)
            own.loader.exec_module(sys.modules[name])
            continue
        if os.path.dirname(os.path.realpath(spec.origin)) == ours:
            continue
        found = os.path.dirname(spec.origin) if spec.submodule_search_locations else spec.origin
        raise ImportError(
            f"{found} hides the package {name!r} of the engine ({ours}), since Python looks for modules there first; "
            "rename it, or run from another folder"
        )


_check_siblings()  # before anything of these packages is imported

from envs.support.lazy_exports import lazy  # noqa: E402

__getattr__, __dir__ = lazy(__name__)
