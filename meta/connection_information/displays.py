"""Displays of two words, as in experiments on letters that migrate between words (Mozer 1983; McClelland & Mozer 1986).

The first word of a display is the one to report. A *crossover* is a response that is neither word and has in every
position a letter of one of the two words there, such as LAND or SANE for SAND LANE.

For one word to report there are partners of five kinds. ``similar``: it has two letters in common with the word, in
place, and exchanging either of the other two makes a word (SAND LANE). ``one shared`` and ``same letters, none shared``
have the same two letters to exchange, which make the same words, and one or none in common (SAND LIKE: still LAND and
SANE). ``dissimilar``: any word that has no letter in common, in place. ``neutral``: such a one without the two letters;
how often LAND or SANE is said beside it is what they come to by chance.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import eq
from typing import NamedTuple

from meta.connection_information.lexicon import POSITIONS, Lexicon, letter_codes

SIMILAR, ONE_SHARED, NONE_SHARED = "similar", "one shared", "same letters, none shared"

DISSIMILAR, NEUTRAL = "dissimilar", "neutral"

KINDS = (SIMILAR, ONE_SHARED, NONE_SHARED, DISSIMILAR, NEUTRAL)

SHARED = 2
"""Letters that similar words have in common."""


@dataclass(frozen=True)
class Display:
    """A word to report, its partners by kind (some words have none with one letter shared), and the words that an
    exchange of one letter with the similar partner makes."""

    word: str
    partners: dict[str, str]
    exchanged: tuple[str, ...]


def exchanges(word: str, other: str) -> tuple[str, ...]:
    """What a word becomes with one letter of another, for each position in which they differ."""
    differing = [place for place in range(POSITIONS) if word[place] != other[place]]
    return tuple(word[:place] + other[place] + word[place + 1 :] for place in differing)


def displays(lexicon: Lexicon, count: int, seed: int, *, without: Collection[str] = ()) -> list[Display]:
    """So many displays at random, each with partners of all kinds but ``one shared``, which is there where one exists.

    Args:
        without: words that are not to be reported.

    Raises:
        ValueError: where the lexicon has no similar words.
    """
    rng, other_rng, found = random.Random(seed), random.Random(f"{seed} {ONE_SHARED}"), list[Display]()
    possible = 2000 * max(count, 1) + len(lexicon) ** 2
    for _ in range(possible):
        if len(found) == count:
            return found
        word, partner = rng.choice(lexicon.words), rng.choice(lexicon.words)
        if sum(map(eq, word, partner)) != SHARED:
            continue
        made = exchanges(word, partner)
        if not all(new in lexicon for new in made):
            continue
        kinds = others(lexicon, word, partner)
        if not kinds[NONE_SHARED]:
            continue
        partners = {kind: rng.choice(kinds[kind]) for kind in (NONE_SHARED, DISSIMILAR, NEUTRAL)}
        if kinds[ONE_SHARED]:
            partners[ONE_SHARED] = other_rng.choice(kinds[ONE_SHARED])
        if word not in without:
            found.append(Display(word, {SIMILAR: partner} | partners, made))
    raise ValueError(
        f"only {len(found)} of {count} displays of similar words were found among {len(lexicon)} words; give more words"
    )


def others(lexicon: Lexicon, word: str, partner: str) -> dict[str, list[str]]:
    """Words that can stand in the place of a similar partner, by kind."""
    code_WP, (word_P, partner_P) = lexicon.code_WP, letter_codes([word, partner])
    shared_W = (code_WP == word_P).sum(1)
    same_WD = (code_WP == partner_P)[:, word_P != partner_P]
    found = {
        ONE_SHARED: (shared_W == 1) & same_WD.all(1),
        NONE_SHARED: (shared_W == 0) & same_WD.all(1),
        DISSIMILAR: shared_W == 0,
        NEUTRAL: (shared_W == 0) & ~same_WD.any(1),
    }
    return {kind: [lexicon.words[place] for place in those_W.nonzero()[:, 0]] for kind, those_W in found.items()}


class Outcomes(NamedTuple):
    """Shares of responses: right, crossovers, the other word, anything else; these four sum to 1.

    Attributes:
        exchanged: the words that an exchange with the similar partner makes, whatever the partner was.
    """

    right: float
    crossover: float
    other_word: float
    other: float
    exchanged: float


def outcomes(shown: Sequence[Display], partners: Sequence[str], responses: Sequence[str]) -> Outcomes:
    """Of one response a display, partner by partner."""
    counts = dict.fromkeys(Outcomes._fields, 0)
    for display, partner, response in zip(shown, partners, responses, strict=True):
        counts[outcome(display.word, partner, response)] += 1
        counts["exchanged"] += response in display.exchanged
    return Outcomes(**{name: count / max(len(responses), 1) for name, count in counts.items()})


def outcome(word: str, partner: str, response: str) -> str:
    """Which field of :class:`Outcomes` a response counts for."""
    if response == word:
        return "right"
    if response == partner:
        return "other_word"
    mixed = all(said in both for said, *both in zip(response, word, partner, strict=True))
    return "crossover" if mixed else "other"
