"""What the splitting of decisions counts with, by second ways in plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npi.universal.functions import COMPUTABLE
from npi.universal.splitting import _merged, classes, numbered, settled, symbols_of

SMALL = st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=1, max_size=12)


@given(SMALL)
def test_equal_rows_have_equal_numbers_in_their_order(rows: list[list[int]]) -> None:
    order = sorted({tuple(row) for row in rows})
    assert numbered(np.array(rows)).tolist() == [order.index(tuple(row)) for row in rows]


@given(SMALL, st.data())
def test_it_is_settled_where_what_is_alike_has_one_label(rows: list[list[int]], data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))
    alone = all(
        a == b for one, a in zip(rows, labels, strict=True) for two, b in zip(rows, labels, strict=True) if one == two
    )
    assert settled(np.array(rows), np.array(labels)) == alone


@given(st.sampled_from([100, 101, 1000, 1001]) | st.integers(1, 2000), st.data())
def test_symbols_of_places_are_their_digits(radix: int, data: st.DataObject) -> None:
    """As many as the largest place has, the lowest first; one where the core computes it at once."""
    place = data.draw(st.sampled_from([0, radix - 1, radix // 2]))
    digits = [int(symbols[0]) for symbols in symbols_of(np.array([place]), radix)]
    assert digits == ([place] if radix <= COMPUTABLE else [int(d) for d in f"{place:0{len(str(radix - 1))}d}"[::-1]])


@given(st.lists(st.lists(st.integers(-1, 2), min_size=3, max_size=3), min_size=1, max_size=6))
def test_groups_are_put_together_that_do_not_contradict_each_other(known: list[list[int]]) -> None:
    """Those of which most is known come first; each joins the first that fits, or is one of its own."""
    order = sorted(range(len(known)), key=lambda group: (-sum(label >= 0 for label in known[group]), group))
    made: list[list[int]] = []
    place = {}
    for group in order:
        for number, one in enumerate(made):
            if all(a < 0 or b < 0 or a == b for a, b in zip(one, known[group], strict=True)):
                made[number] = [max(a, b) for a, b in zip(one, known[group], strict=True)]
                place[group] = number
                break
        else:
            place[group] = len(made)
            made.append(known[group])
    assert _merged(np.array(known)).tolist() == [made[place[group]] for group in range(len(known))]


@given(st.integers(1, 4), st.integers(1, 3), st.data())
def test_classes_are_groups_that_are_alike_whatever_the_rest_is(groups: int, rests: int, data: st.DataObject) -> None:
    """Numbered by their outcomes, then by what is computed."""
    label = st.builds(lambda outcome, value: outcome * (COMPUTABLE + 1) + value, st.integers(0, 1), st.integers(0, 2))
    table = [data.draw(st.lists(label, min_size=rests, max_size=rests)) for _ in range(groups)]
    at = [(group, rest) for group in range(groups) for rest in range(rests)]
    group_M, rest_M = (np.array(part) for part in zip(*at, strict=True))
    found = classes(group_M, rest_M, np.array([table[group][rest] for group, rest in at]))
    assert found is not None
    order = sorted({(tuple(one // (COMPUTABLE + 1) for one in row), tuple(row)) for row in table})
    assert found.tolist() == [[row for _, row in order].index(tuple(table[group])) for group, _ in at]
