"""A mistake in a row is told once: what stands on the row is no mistake of its own."""

from __future__ import annotations

import pytest

from dsl import diagnose

TEXT = """
world list is scratchpad:
    row A of 0..9 ROW
    row B of 0..9
    pointer P, Q on A

program GO:
    ACT(P, RIGHT)
    ACT(Q, WRITE, 3)

task go(items: list of 0..9):
    A = items
    B = items
    run GO
    expect len(A) == len(items)
    train items of 1..5
"""


@pytest.mark.parametrize(("row", "code"), [('or "SWAP"', "NPI044"), ("at right", "NPI049")])
def test_one_mistake_of_a_row_is_one_error(row: str, code: str) -> None:
    """Red where the pointers of a row that is lost are looked for on other rows (NPI048)."""
    assert [error.code for error in diagnose(TEXT.replace("ROW", row)).errors] == [code]
