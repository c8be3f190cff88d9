"""Words of four letters, and the letters that they connect to.

Shape legend: ``W`` words, ``P`` positions in a word, ``A`` letters of the alphabet, ``L`` = P x A letter units.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

import torch

ALPHABET = "abcdefghijklmnopqrstuvwxyz"

POSITIONS = 4

LETTER_UNITS = POSITIONS * len(ALPHABET)
"""L: a unit for every letter in every position."""


@dataclass(frozen=True)
class Lexicon:
    """Distinct words of four letters, in lower case.

    Raises:
        ValueError: for none, for one of another form, and for one that is there twice.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.words:
            raise ValueError("a lexicon of no words; give one or more of four letters")
        check_words(self.words)
        if len(self.index) < len(self.words):
            twice = next(word for place, word in enumerate(self.words) if self.index[word] != place)
            raise ValueError(f"the word {twice!r} is in the lexicon twice; give it once")

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each word."""
        return {word: place for place, word in enumerate(self.words)}

    @cached_property
    def code_WP(self) -> torch.Tensor:
        """int64: the places of letters in the alphabet."""
        return letter_codes(self.words)

    @cached_property
    def letters_WL(self) -> torch.Tensor:
        """float32: 1 where a word has the letter in the position."""
        return one_hot(self.words).flatten(1)


def check_words(words: Iterable[str]) -> None:
    """Raise ``ValueError`` for a word that is not four letters from a to z."""
    for word in words:
        if len(word) != POSITIONS or any(letter not in ALPHABET for letter in word):
            raise ValueError(f"{word!r} is no word of {POSITIONS} letters from a to z; give one such as 'sand'")


def letter_codes(words: Sequence[str]) -> torch.Tensor:
    """int64 N x P: the places of letters in the alphabet."""
    return torch.tensor([[ALPHABET.index(letter) for letter in word] for word in words]).view(-1, POSITIONS)


def one_hot(words: Sequence[str]) -> torch.Tensor:
    """float32 N x P x A: 1 at the letters of words."""
    return torch.nn.functional.one_hot(letter_codes(words), len(ALPHABET)).float()


def spelled(code_NP: torch.Tensor) -> list[str]:
    """The inverse of :func:`letter_codes`."""
    return ["".join(ALPHABET[code] for code in codes) for codes in code_NP.tolist()]


@cache
def common_words() -> Lexicon:
    """Some 1,500 common English words (``words.txt``, written for this engine)."""
    lines = files(__package__).joinpath("words.txt").read_text("utf-8").splitlines()
    return Lexicon(tuple(word for line in lines if not line.startswith("#") for word in line.split()))
