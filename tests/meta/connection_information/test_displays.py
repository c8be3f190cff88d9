"""Displays of two words, and what counts as a crossover: against the definitions, letter by letter."""

import pytest

from meta.connection_information.displays import (
    DISSIMILAR,
    NEUTRAL,
    NONE_SHARED,
    ONE_SHARED,
    SIMILAR,
    Display,
    displays,
    exchanges,
    outcome,
    outcomes,
)
from meta.connection_information.lexicon import Lexicon, common_words


def shared(word: str, other: str) -> list[int]:
    return [place for place in range(4) if word[place] == other[place]]


def test_exchanges() -> None:
    assert exchanges("sand", "lane") == ("land", "sane")
    assert exchanges("sand", "sand") == ()


def test_partners_are_of_their_kinds() -> None:
    words, found = set(common_words().words), displays(common_words(), 40, 3)
    assert len(found) == 40
    assert sum(ONE_SHARED in display.partners for display in found) > 20
    for display in found:
        word, partners = display.word, display.partners
        similar = partners[SIMILAR]
        assert {word, *partners.values(), *display.exchanged} <= words
        differing = [place for place in range(4) if word[place] != similar[place]]
        assert len(differing) == 2
        for new, place in zip(display.exchanged, differing, strict=True):
            assert new[place] == similar[place]
            assert new[:place] + new[place + 1 :] == word[:place] + word[place + 1 :]
        assert shared(word, partners[NONE_SHARED]) == shared(word, partners[DISSIMILAR]) == []
        assert shared(word, partners[NEUTRAL]) == []
        assert all(partners[NONE_SHARED][place] == similar[place] for place in differing)
        assert all(partners[NEUTRAL][place] != similar[place] for place in differing)
        if ONE_SHARED in partners:
            assert len(shared(word, partners[ONE_SHARED])) == 1
            assert all(partners[ONE_SHARED][place] == similar[place] for place in differing)


def test_displays_depend_on_the_seed_alone_and_leave_words_out() -> None:
    known = displays(common_words(), 10, 5)
    assert displays(common_words(), 10, 5) == known
    assert displays(common_words(), 10, 6) != known
    left_out = {display.word for display in known}
    assert not left_out & {display.word for display in displays(common_words(), 10, 5, without=left_out)}


def test_a_lexicon_without_similar_words_is_refused() -> None:
    with pytest.raises(ValueError) as raised:
        displays(Lexicon(("sand", "bolt", "echo")), 1, 0)
    assert str(raised.value) == (
        "only 0 of 1 displays of similar words were found among 3 words; give more words"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        ("sand", "right"),
        ("lane", "other_word"),
        ("land", "crossover"),
        ("sane", "crossover"),
        ("hand", "other"),
        ("lanx", "other"),
    ],
)
def test_what_a_response_counts_for(response: str, kind: str) -> None:
    """A letter of neither word makes a response no crossover, whatever the others are."""
    assert outcome("sand", "lane", response) == kind


def test_crossovers_of_dissimilar_words_need_no_word() -> None:
    assert outcome("sand", "bolt", "solt") == "crossover"


def test_shares_of_outcomes() -> None:
    shown = [Display("sand", {SIMILAR: "lane"}, ("land", "sane"))] * 4
    found = outcomes(shown, ["lane", "lane", "bolt", "bolt"], ["land", "lane", "sane", "sand"])
    assert found == (0.25, 0.25, 0.25, 0.25, 0.5)
