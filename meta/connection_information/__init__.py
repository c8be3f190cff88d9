"""Networks that program other networks: connection information distribution (McClelland 1985)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from meta.connection_information.lexicon import Lexicon, common_words, spelled
    from meta.connection_information.network import ModulesConfig, OwnCopies, ProgrammedModules, Reading, evidence

__all__ = [
    "Lexicon",
    "ModulesConfig",
    "OwnCopies",
    "ProgrammedModules",
    "Reading",
    "common_words",
    "evidence",
    "spelled",
]

__getattr__, __dir__ = lazy(__name__)
