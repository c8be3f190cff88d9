"""Words of four letters: what is refused, and codes there and back."""

import re

import pytest
import torch

from meta.connection_information.lexicon import Lexicon, common_words, letter_codes, one_hot, spelled


def test_the_words_that_come_with_the_engine_are_many_and_in_order() -> None:
    words = common_words().words
    assert len(words) >= 1000
    assert list(words) == sorted(set(words))
    assert all(re.fullmatch("[a-z]{4}", word) for word in words)
    assert {"sand", "lane", "land", "sane"} <= set(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "a lexicon of no words; give one or more of four letters"),
        (("sand", "sandy"), "'sandy' is no word of 4 letters from a to z; give one such as 'sand'"),
        (("SAND",), "'SAND' is no word of 4 letters from a to z; give one such as 'sand'"),
        (("s nd",), "'s nd' is no word of 4 letters from a to z; give one such as 'sand'"),
        (("sand", "lane", "sand"), "the word 'sand' is in the lexicon twice; give it once"),
    ],
)
def test_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        Lexicon(words)
    assert str(raised.value) == message


def test_letters_are_units_of_their_positions() -> None:
    """Letter l in position p is unit 26 p + l: red where positions are mixed up."""
    letters_L = Lexicon(("lane", "baby")).letters_WL[1]
    assert letters_L.nonzero()[:, 0].tolist() == [1, 26, 52 + 1, 78 + 24]


def test_codes_there_and_back() -> None:
    words = ["sand", "zany", "abba"]
    assert spelled(letter_codes(words)) == words
    assert torch.equal(one_hot(words).argmax(2), letter_codes(words))
