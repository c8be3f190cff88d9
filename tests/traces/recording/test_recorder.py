"""Recorded frames against those of plain Python; recording by hand; columns that contradict themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.spec import RETURN, Field, ProgramTable, SpecError, WorldSpec
from tests.support.trace_helpers import FIRSTS, MAIN, MOVE, PAIR, TABLE, random_stepper, record, run_plainly
from traces.recording.batch import DTYPES, batch_from, check_batch, concatenate, same_table
from traces.recording.recorder import ManualRecorder, Recorder
from traces.recording.text import lines, text


def as_plain(trace):
    frames = [trace.frame(i) for i in range(len(trace.program))]
    return [
        (f.program, f.arguments, f.parent, f.parent_step, [tuple(o) for o in f.obs], [tuple(c) for c in f.calls])
        for f in frames
    ]


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10**6),
    bad=st.sampled_from([0.0, 0.02]),
    returns=st.sampled_from([0.2, 0.4, 0.7]),
    instances=st.lists(st.tuples(st.integers(-9, 9), st.sampled_from(FIRSTS)), min_size=1, max_size=13),
)
def test_frames_are_those_that_plain_python_makes(seed, bad, returns, instances):
    stepper = random_stepper(seed, bad=bad, returns=returns)
    batch = record(stepper, instances, steps=97, depth=11)
    assert len(batch) == len(instances)
    assert batch.size.tolist() == [abs(x) for x, _ in instances]
    for trace, (x, first) in zip(batch, instances, strict=True):
        expected = run_plainly(stepper, x, first, steps=97, depth=11)
        assert trace.status.tolist() == [expected.status]
        assert as_plain(trace) == [
            (f.program, f.arguments, f.parent, f.parent_step, f.obs, f.calls) for f in expected.frames
        ]
    if not bad:
        check_batch(batch)
        check_batch(concatenate([batch, batch.trace(0), batch]))


def test_columns_have_their_types_and_returns_carry_no_arguments():
    class Careless:
        width, dtype = 1, torch.int64

        def step(self, seen, program_B, arguments_B3, hidden_BH, *, ended_B=None, draw=None):
            from envs.stepper import Action, Decision

            return Decision(Action(torch.tensor([[RETURN, 4, 4, 4]]).expand(len(program_B), 4)), hidden_BH)

    batch = record(Careless(), [(0, FIRSTS[0]), (1, FIRSTS[1])])
    assert {name: column.dtype for name, column in batch.columns().items()} == DTYPES
    assert batch.calls.tolist() == [[RETURN, 0, 0, 0]] * 2


def test_concatenated_traces_keep_their_frames():
    stepper = random_stepper(4, bad=0, returns=0.5)
    one = record(stepper, [(3, FIRSTS[0]), (1, FIRSTS[1])], steps=50)
    two = record(stepper, [(5, FIRSTS[2])], steps=50)
    both = concatenate([one, two])
    assert [as_plain(trace) for trace in both] == [as_plain(t) for t in [*one, *two]]
    with pytest.raises(IndexError):
        both.trace(3)


def test_batches_of_different_tables_do_not_mix():
    batch = record(random_stepper(4, bad=0, returns=0.9), [(3, FIRSTS[0])])
    again = replace(batch, table=ProgramTable.from_json(TABLE.to_json()))
    assert len(concatenate([batch, again])) == 2
    other = ProgramTable(TABLE.world, TABLE.programs[:2], TABLE.calls[:2])
    assert not same_table(TABLE, other)
    with pytest.raises(ValueError, match="different program tables"):
        concatenate([batch, replace(batch, table=other)])
    with pytest.raises(ValueError, match="no batch"):
        concatenate([])


def test_a_recorder_says_when_it_has_nothing_yet():
    with pytest.raises(ValueError, match="nothing is recorded"):
        Recorder(TABLE).batch()


def test_a_field_that_does_not_fit_a_column_is_refused():
    spec = WorldSpec("big", "line", {}, (Field("n", tuple(map(str, range(40000)))),), ("-",), ())
    with pytest.raises(SpecError, match="'n' has more values"):
        Recorder(ProgramTable(spec, (), ()))


class Hand:
    """A world for teachers in Python: x, and what was done to it."""

    def __init__(self, x=0):
        self.x, self.done = x, []

    def observe(self):
        return [self.x % 3, self.x % 2]

    def perform(self, call):
        self.done.append(call)
        self.x += 2 * call[1] - 3


def test_a_trace_by_hand_is_the_trace_of_the_machine():
    hand = Hand(x=2)
    recorder = ManualRecorder(TABLE, observe=hand.observe, perform=hand.perform)
    with recorder.trace("MAIN", size=7, seed=3):
        with recorder.call("TURN", "RIGHT"):
            recorder.act("MOVE", "RIGHT")
        with recorder.call("other.PAIR", "a", "c"):
            pass
        recorder.act("MOVE", "LEFT")
    batch = recorder.batch()
    assert text(batch, observations=True, returns=True).splitlines() == [
        "MAIN",
        "  TURN(RIGHT)    # rest=two",
        "    MOVE(RIGHT)    # rest=two",
        "    return    # rest=zero odd",
        "  PAIR(a, c)    # rest=zero odd",
        "    return    # rest=zero odd",
        "  MOVE(LEFT)    # rest=zero odd",
        "  return    # rest=two",
    ]
    assert list(lines(batch)) == ["MAIN", "  TURN(RIGHT)", "    MOVE(RIGHT)", "  PAIR(a, c)", "  MOVE(LEFT)"]
    assert hand.done == [(MOVE, 2, 0, 0), (MOVE, 1, 0, 0)]
    assert (batch.size.tolist(), batch.seed.tolist(), batch.status.tolist()) == ([7], [3], [0])


def test_a_trace_whose_block_raises_leaves_nothing():
    recorder = ManualRecorder(TABLE, observe=lambda: [0, 0])
    with recorder.trace("TURN", "LEFT"):
        recorder.act("MOVE", "LEFT")

    def broken():
        with recorder.trace("MAIN"), recorder.call("TURN", "LEFT"):
            raise RuntimeError("the arm fell off")

    with pytest.raises(RuntimeError, match="fell off"):
        broken()
    batch = recorder.batch()
    assert (len(batch), batch.steps) == (1, 2)
    with recorder.trace("MAIN"):
        pass
    assert len(recorder.batch()) == 2


WRONG_BY_HAND = {
    "unknown": (lambda r: r.act("JUMP"), "no callable 'JUMP'"),
    "primitive called": (lambda r: r.call("MOVE", "LEFT").__enter__(), "MOVE is a primitive: record it with act"),
    "program acted": (lambda r: r.act("TURN", "LEFT"), "TURN is a program: record it with call"),
    "token": (lambda r: r.act("MOVE", "UP"), "argument direction is 'UP', expected one of LEFT, RIGHT"),
    "missing": (lambda r: r.act("MOVE"), "argument direction is '-', expected one of LEFT, RIGHT"),
    "too many": (lambda r: r.act("MOVE", "LEFT", "LEFT"), "takes 1 arguments, here are 2"),
    "nested": (lambda r: r.trace("MAIN").__enter__(), "cannot begin inside another"),
    "early": (lambda r: r.batch(), "has not ended"),
}


@pytest.mark.parametrize("name", WRONG_BY_HAND)
def test_mistakes_by_hand_are_explained(name):
    do, message = WRONG_BY_HAND[name]
    recorder = ManualRecorder(TABLE, observe=lambda: [0, 0])
    with pytest.raises(ValueError, match=message), recorder.trace("MAIN"):
        do(recorder)


@pytest.mark.parametrize(("obs", "message"), [([0], "2 fields"), ([3, 0], "rest is 3"), ([0, -1], "odd is -1")])
def test_observations_by_hand_are_checked(obs, message):
    recorder = ManualRecorder(TABLE, observe=lambda: obs)
    with pytest.raises(ValueError, match=message), recorder.trace("MAIN"):
        recorder.act("MOVE", "LEFT")


def test_acting_outside_a_trace_is_refused():
    with pytest.raises(ValueError, match="no trace is being recorded"):
        ManualRecorder(TABLE, observe=lambda: [0, 0]).act("MOVE", "LEFT")
    assert len(ManualRecorder(TABLE, observe=lambda: [0, 0]).batch()) == 0


def sound():
    hand = Hand()
    recorder = ManualRecorder(TABLE, observe=hand.observe, perform=hand.perform)
    for _ in range(2):
        with recorder.trace("MAIN"), recorder.call("TURN", "LEFT"):
            recorder.act("MOVE", "LEFT")
    return recorder.batch()  # frames MAIN: call, return; TURN: MOVE, return; and again


DAMAGE = {
    "obs out of its field": ("obs", (0, 1), 2, "column obs at"),
    "unknown callee": ("calls", (0, 0), 9, "column calls at"),
    "unknown token": ("calls", (2, 1), 6, "column calls at"),
    "a frame of a primitive": ("program", (1,), MOVE, "column program at"),
    "a token that is none": ("arguments", (1, 2), -1, "column arguments at"),
    "a length too long": ("length", (0,), 3, "column start"),
    "a start elsewhere": ("start", (1,), 1, "column start"),
    "frames of another trace": ("frames", (0,), 1, "column first_frame"),
    "a parent of its own": ("parent", (1,), 1, "column parent:"),
    "two first frames": ("parent", (1,), -1, "column parent:"),
    "a step that is not there": ("parent_step", (1,), 2, "column parent_step"),
    "a call of another program": ("program", (1,), PAIR, "not those of the call"),
    "other arguments": ("arguments", (1, 0), 2, "not those of the call"),
    "a return amid a frame": ("calls", (2,), (RETURN, 0, 0, 0), "only return"),
    "a call without a frame": ("calls", (2,), (MAIN, 0, 0, 0), "begins one frame"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_columns_that_contradict_themselves_are_found(name):
    batch = sound()
    check_batch(batch)
    column, place, value, message = DAMAGE[name]
    columns = {key: np.array(c) for key, c in batch.columns().items()}
    columns[column][place] = value
    with pytest.raises(ValueError, match=message):
        check_batch(batch_from(TABLE, columns))


def test_a_column_of_another_shape_is_found():
    batch = sound()
    with pytest.raises(ValueError, match=r"column size has the shape \(1,\), expected \(2,\)"):
        check_batch(replace(batch, size=batch.size[:1]))
