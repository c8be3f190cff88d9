"""The corpora that worlds name, by what their names are bound to (:mod:`envs.images.bindings`)."""

from __future__ import annotations

from functools import lru_cache

from envs.images.bindings import bound
from envs.settings import closest
from envs.speech.corpus import Corpus, open_corpus

_HELD: dict[str, Corpus] = {}
"""Corpora of this process by the names that they are bound to."""


def hold(name: str, corpus: Corpus) -> None:
    """Bind a name to a corpus that this process has made itself."""
    _HELD[name] = corpus


def corpus(name: str, rate: int) -> Corpus:
    """The recordings of a name, at so many samples a second.

    Raises ``ValueError`` for a name that nothing is bound to, and for files that are no voices.
    """
    if name in _HELD:
        return _HELD[name]
    paths = bound()
    if name not in paths:
        hint = closest(name, sorted(paths)) if paths else ""
        raise ValueError(
            f"the voices {name} are bound to no folder{hint}; say where they lie: --data {name}=FOLDER, which npi "
            "voices make makes (docs/speech.md)"
        )
    return _opened(paths[name], rate)


@lru_cache(maxsize=4)
def _opened(path: str, rate: int) -> Corpus:
    return open_corpus(path, rate=rate)
