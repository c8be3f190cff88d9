"""Codes of places: distinct in a program, in the order of its text, and bits enough for the longest one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl import loads
from envs.spec import RETURN
from npi.jobs.train import train_library
from npi.training.dataset import Dataset
from npi.training.examples import TooManyPlaces, bits_for
from npi.training.induction.inferred_places import finders_of
from npi.training.learn_rows import LearnConfig, RowObjective, new_rows
from tests.support.forced_states import forced, two_worlds
from tests.support.tiny import (
    CORE,
    SMALL,
    STRIP,
    dataset,
    forcing,
    make_objective,
    objective_on,
    seen_by,
    turn,
    untrained,
)


def test_codes_are_distinct_in_a_program_and_0_stands_for_its_beginning_alone() -> None:
    """The places that follow count in the order of the text."""
    objective = two_worlds()
    supervision = forced(objective)
    for row, codes in supervision.codes.items():
        assert codes[0] == 0
        assert [code for _, code in sorted(codes.items())] == list(range(len(codes)))
        for code in range(objective.core.codes):
            assert seen_by(objective.library, row, code)[0] == (code in codes.values())
    for every in supervision.examples.values():
        returns = every.call_E4[:, 0] == RETURN
        assert ((every.after_E == 0) == returns).all()
    assert max(len(codes) for codes in supervision.codes.values()) == 4
    assert supervision.codes.keys() == {i for i, info in enumerate(objective.memory.infos) if not info.primitive}


def test_a_program_of_too_many_places_says_how_many_bits_it_needs() -> None:
    """ROUND makes three calls, so it has three places behind its beginning; one bit tells two apart."""
    narrow = replace(SMALL, bits=1)
    with pytest.raises(TooManyPlaces, match=r"^strip.ROUND has 3 places .* 1 bits of state tell 2 .* with 2 bits"):
        make_objective(forcing(), core=narrow)
    make_objective(forcing(), core=replace(SMALL, bits=2))
    library, found = untrained(narrow), [dataset(turn())]
    config, finders = LearnConfig(starts=1), finders_of(found)[0]
    RowObjective(library, found, new_rows(library, found), config, finders)
    long = loads(LONG, path="long.npi")
    library, found = untrained(narrow, long), [Dataset.from_programs(long, traces=2, seed=0)]
    with pytest.raises(TooManyPlaces, match=r"^long.LONG has 5 places .* with 3 bits"):
        objective_on(library, found, forcing())


LONG = (
    STRIP.partition("program SCAN")[0]
    + """
program LONG "Steps":
    MOVE(RIGHT)
    MOVE(LEFT)
    MOVE(RIGHT)
    MOVE(LEFT)
    MOVE(RIGHT)

task long(items: list of 0..2):
    A = items
    run LONG
    expect len(A) == len(items)
    train items of 1..3
"""
)


def test_training_takes_as_many_bits_as_the_longest_program_needs(tmp_path) -> None:
    found = train_library(
        [loads(LONG, path="long.npi")], out=tmp_path / "out", core=replace(CORE, bits=1), training=forcing(),
        traces=4, device="cpu",
    )  # fmt: skip
    assert found.solved
    assert found.library.core.config.bits == 3


@given(st.integers(1, 10_000))
def test_bits_are_enough_and_no_fewer_would_be(places: int) -> None:
    bits = bits_for(places)
    assert 2**bits >= places
    assert bits == 1 or 2 ** (bits - 1) < places
