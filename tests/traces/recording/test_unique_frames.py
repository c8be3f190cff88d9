"""Unique frames against a plain dictionary, padding against loops, and the rule that makes traces learnable."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.spec import RETURN, ProgramTable
from tests.support.trace_helpers import FIRSTS, TABLE, TURN, random_stepper, record
from traces.recording.batch import concatenate
from traces.recording.recorder import ManualRecorder
from traces.recording.unique_frames import ConflictError, Place, check_rule, find_conflict, unique_frames


def finished(seed, instances):
    """The traces of a random stepper that ended; None where none did."""
    batch = record(random_stepper(seed, bad=0, returns=0.5), instances, steps=200)
    done = [batch.trace(i) for i in np.flatnonzero(batch.status == 0)]
    return concatenate(done) if done else None


def plain_frames(batch):
    """(program, arguments, observations, calls) of each frame, as tuples."""
    frames = [batch.frame(i) for i in range(len(batch.program))]
    return [(f.program, f.arguments, tuple(map(tuple, f.obs)), tuple(map(tuple, f.calls))) for f in frames]


def plain_set(frames):
    rows = []
    for m in range(len(frames)):
        steps = slice(int(frames.start_M[m]), int(frames.start_M[m] + frames.length_M[m]))
        obs, calls = (tuple(map(tuple, c[steps].tolist())) for c in (frames.obs_SF, frames.call_S4))
        rows.append((int(frames.program_M[m]), tuple(frames.arguments_M3[m].tolist()), obs, calls))
    return rows


instances_ = st.lists(st.tuples(st.integers(-9, 9), st.sampled_from(FIRSTS)), min_size=1, max_size=13)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), groups=st.lists(instances_, min_size=1, max_size=3))
def test_unique_frames_are_counted_as_a_dictionary_counts_them(seed, groups):
    batches = [batch for group in groups if (batch := finished(seed, group)) is not None]
    if not batches:
        return
    expected = Counter(frame for batch in batches for frame in plain_frames(batch))
    frames = unique_frames(batches)
    assert dict(zip(plain_set(frames), frames.count_M.tolist(), strict=True)) == expected
    assert plain_set(frames) == list(expected)  # in the order of first appearance
    for row, (batch, trace, frame) in zip(plain_set(frames), frames.origin_M3.tolist(), strict=True):
        assert plain_frames(batches[batch].trace(trace))[frame] == row
    assert find_conflict(frames) is None  # a stepper without memory of its own always decides alike


def a_set(seed=5):
    batch = finished(seed, [(x, first) for x in range(-6, 7) for first in FIRSTS])
    assert batch is not None
    return unique_frames([batch])


def test_padding_is_what_loops_make():
    frames = a_set()
    index = torch.tensor([3, 0, 0, len(frames) - 1, 2])
    padded = frames.pad(index)
    rows = [plain_set(frames)[i] for i in index.tolist()]
    longest = max(len(row[2]) for row in rows)
    assert padded.mask_BT.tolist() == [[t < len(row[2]) for t in range(longest)] for row in rows]
    assert padded.obs_BTF.tolist() == [[list(o) for o in row[2]] + [[0, 0]] * (longest - len(row[2])) for row in rows]
    end = [[RETURN, 0, 0, 0]]
    assert padded.call_BT4.tolist() == [[list(c) for c in row[3]] + end * (longest - len(row[3])) for row in rows]
    assert padded.program_B.tolist() == [row[0] for row in rows]
    assert padded.arguments_B3.tolist() == [list(row[1]) for row in rows]
    assert {padded.obs_BTF.dtype, padded.call_BT4.dtype, padded.program_B.dtype} == {torch.int64}


def test_selected_frames_keep_their_steps():
    frames = a_set()
    index = torch.tensor([4, 1, 4])
    assert plain_set(frames.select(index)) == [plain_set(frames)[i] for i in (4, 1, 4)]
    turns = frames.select(frames.program_M == TURN)
    assert plain_set(turns) == [row for row in plain_set(frames) if row[0] == TURN]
    assert turns.steps == sum(len(row[2]) for row in plain_set(turns))
    assert len(frames.select(torch.tensor([], dtype=torch.int64))) == 0


def by_hand(*bodies):
    """One trace a body; a body is a list of (observation, direction) moves of TURN(LEFT), called by MAIN."""
    seen = [0, 0]
    recorder = ManualRecorder(TABLE, observe=lambda: seen)
    for body in bodies:
        seen = [0, 0]
        with recorder.trace("MAIN"), recorder.call("TURN", "LEFT"):
            for obs, direction in body:
                seen = obs
                recorder.act("MOVE", direction)
            seen = [2, 1]
    return recorder.batch()


def test_a_contradiction_is_shown_side_by_side():
    one = by_hand([([0, 0], "LEFT"), ([1, 0], "LEFT")])
    two = by_hand([([0, 1], "RIGHT")], [([0, 0], "LEFT"), ([1, 0], "RIGHT"), ([1, 1], "LEFT")])
    conflict = find_conflict(unique_frames([one, two]))
    assert conflict.places == (Place(0, 0, 1, 1), Place(1, 1, 1, 1))
    assert conflict.calls == ("MOVE(LEFT)", "MOVE(RIGHT)")
    assert (conflict.frame, conflict.observation) == ("TURN(LEFT)", "rest=one")
    with pytest.raises(ConflictError) as caught:
        check_rule(unique_frames([one, two]))
    assert str(caught.value).splitlines()[:4] == [
        "TURN(LEFT) decides differently after the same observations:",
        "  batch 0, trace 0, frame 1, step 1  MOVE(LEFT)",
        "  batch 1, trace 1, frame 1, step 1  MOVE(RIGHT)",
        "  both see         rest=one",
    ]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ([([0, 0], "LEFT"), ([1, 0], "LEFT")], [([0, 1], "LEFT"), ([1, 0], "RIGHT")]),  # the first observation differs
        ([([1, 0], "LEFT")], [([0, 0], "LEFT"), ([1, 0], "RIGHT")]),  # one step later
        ([([1, 0], "LEFT"), ([0, 0], "LEFT")], [([0, 0], "LEFT"), ([1, 0], "RIGHT")]),  # another order
    ],
)
def test_what_was_seen_before_tells_steps_apart(one, two):
    check_rule(unique_frames([by_hand(one, two)]))


def test_ending_and_going_on_contradict_each_other():
    batch = by_hand([], [([2, 1], "LEFT")])
    conflict = find_conflict(unique_frames([batch]))
    assert set(conflict.calls) == {"return", "MOVE(LEFT)"}


def test_unfinished_and_foreign_traces_are_refused():
    batch = by_hand([([0, 0], "LEFT")])
    with pytest.raises(ValueError, match="trace 0 of batch 1 did not finish"):
        unique_frames([batch, replace(batch, status=np.array([1], np.int8))])
    other = ProgramTable(TABLE.world, TABLE.programs[:2], TABLE.calls[:2])
    with pytest.raises(ValueError, match="another program table"):
        unique_frames([batch, replace(batch, table=other)])
    with pytest.raises(ValueError, match="no traces"):
        unique_frames([])
