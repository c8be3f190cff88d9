"""Small parts of the command line: sizes, what is left out of long runs, words for numbers."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npi.cli.main import main
from npi.cli.words import duration, elide, parse_numbers, parse_sizes, percent, plural, short_names, show_sizes


@given(st.lists(st.integers(1, 40), min_size=1, unique=True))
def test_sizes_are_read_as_they_are_shown(sizes):
    assert parse_sizes(show_sizes(sizes)) == tuple(sizes)


@pytest.mark.parametrize(
    ("text", "sizes"), [("5", (5,)), ("1..4", (1, 2, 3, 4)), ("1..3,10", (1, 2, 3, 10)), ("2, 1..2", (2, 1))]
)
def test_sizes(text, sizes):
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", "0", "3..1", "1..", "..3", "x", "1,,2", "-1", "1.5", "0..2"])
def test_strange_sizes_are_refused(text):
    with pytest.raises(ValueError, match="--sizes"):
        parse_sizes(text)


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(3, 60))
def test_what_is_left_out_fits(heights, limit):
    head, tail = elide(heights, limit)
    kept = [*heights[:head], *heights[len(heights) - tail :]] if tail else heights[:head]
    assert head + tail <= len(heights)
    if sum(heights) <= limit:
        assert head == len(heights)
    elif head > 1 and tail > 1:
        assert sum(kept) <= limit


def test_words():
    assert [duration(s) for s in (0.04, 1.44, 12, 185, 7800)] == ["40 ms", "1.4 s", "12 s", "3 min 05 s", "2 h 10 min"]
    assert (plural(1, "trace"), plural(1200, "trace")) == ("1 trace", "1,200 traces")
    assert (percent(5, 5), percent(99_999, 100_000), percent(1, 3)) == ("100 %", "99.99 %", "33.33 %")
    assert short_names(["a.X", "b.X", "b.Y"]) == {"a.X": "a.X", "b.X": "b.X", "b.Y": "Y"}


@pytest.mark.parametrize(("text", "seeds"), [("0", (0,)), ("0..3", (0, 1, 2, 3)), ("2,0..1,2", (2, 0, 1))])
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_numbers(text, "--seeds", least=0) == seeds


@pytest.mark.parametrize("text", ["", "x", "3..1", "1..", "-1", "0,,1"])
def test_strange_seeds_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--seeds"):
        parse_numbers(text, "--seeds", least=0)


# --- npi fmt - -------------------------------------------------------------------------------------------------------

LOOSE = 'world  pad is scratchpad:\n  row A of digit\n\nprogram GO "On":\n      ACT( A,RIGHT )  # on\n'
TIDY = 'world pad is scratchpad:\n    row A of digit\n\nprogram GO "On":\n    ACT(A, RIGHT)  # on\n'


def formatted(monkeypatch: pytest.MonkeyPatch, text: bytes, *words: str) -> int:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    return main(["fmt", "-", *words])


def test_standard_input_is_formatted_to_standard_output(monkeypatch, capsys) -> None:
    assert formatted(monkeypatch, LOOSE.encode()) == 0
    assert capsys.readouterr().out == TIDY
    assert formatted(monkeypatch, b"\xef\xbb\xbf" + TIDY.encode()) == 0
    assert capsys.readouterr().out == TIDY


def test_standard_input_is_checked(monkeypatch, capsys) -> None:
    assert formatted(monkeypatch, LOOSE.encode(), "--check") == 1
    assert formatted(monkeypatch, TIDY.encode(), "--check") == 0
    assert capsys.readouterr().out == ""
    assert formatted(monkeypatch, LOOSE.encode(), "--diff") == 0
    assert "+    ACT(A, RIGHT)  # on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"world pad is\n", "<stdin>:1:"),
        (b"\xff", "<stdin>: not a program file: byte 0 is not UTF-8"),
        (b"#" * (5 << 20), "<stdin>: more than 4 MiB"),
    ],
)
def test_standard_input_that_is_no_program_file(monkeypatch, capsys, text: bytes, reason: str) -> None:
    assert formatted(monkeypatch, text) == 2
    found = capsys.readouterr()
    assert reason in found.err
    assert found.out == ""


def test_standard_input_stands_alone(capsys) -> None:
    assert main(["fmt", "-", "x.npi"]) == 2
    assert "- is standard input, and stands alone" in capsys.readouterr().err
