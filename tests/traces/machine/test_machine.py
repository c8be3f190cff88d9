"""The machine against Algorithm 1 in plain Python, its budgets, refusals and order."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.spec import RETURN, Field, ProgramTable, Signature, Slot, SpecError, WorldSpec
from envs.stepper import Action, Decision, Draw
from tests.support.trace_helpers import (
    BAD,
    FIRSTS,
    GOOD,
    MAIN,
    MOVE,
    PAIR,
    PUT,
    TABLE,
    TURN,
    WORLD,
    LineWorld,
    TableStepper,
    allowed_plainly,
    random_stepper,
    run_plainly,
)
from traces.machine.call_rules import ACT, POP, PUSH, REFUSED, CallRules
from traces.machine.lockstep import Budget, Status, run


def start(xs):
    return WORLD.reset([{"x": [x]} for x in xs])


def run_all(stepper, xs, firsts, **settings_):
    first = torch.tensor(firsts)
    return run(stepper, WORLD, start(xs), TABLE, first[:, 0], first[:, 1:], **settings_)


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10**6),
    bad=st.sampled_from([0.0, 0.02, 0.1]),
    returns=st.sampled_from([0.2, 0.4, 0.7]),
    instances=st.lists(st.tuples(st.integers(-9, 9), st.sampled_from(FIRSTS)), min_size=1, max_size=23),
    steps=st.integers(1, 61),
    depth=st.integers(1, 7),
    check_every=st.sampled_from([1, 3, 16]),
    compact=st.booleans(),
)
def test_a_batch_runs_as_plain_python_does(seed, bad, returns, instances, steps, depth, check_every, compact):
    stepper = random_stepper(seed, bad=bad, returns=returns)
    budget = Budget(steps=steps, depth=depth)
    xs, firsts = [x for x, _ in instances], [first for _, first in instances]
    outcome = run_all(stepper, xs, firsts, budget=budget, check_every=check_every, compact=compact)
    expected = [run_plainly(stepper, x, first, steps=steps, depth=depth) for x, first in instances]
    assert outcome.status_N.tolist() == [e.status for e in expected]
    assert outcome.steps_N.tolist() == [e.steps for e in expected]
    assert outcome.depth_N.tolist() == [e.depth for e in expected]
    assert outcome.refused_N4.tolist() == [list(e.refused) for e in expected]
    assert outcome.read(WORLD) == [{"x": [e.x]} for e in expected]


def always(call, hidden=0):
    keys = itertools.product((MAIN, TURN, PAIR), range(6), range(3), range(2), range(4))
    return TableStepper(dict.fromkeys(keys, (call, hidden)))


def counting(decide):
    """A stepper whose hidden number counts the steps of a frame; ``decide(program, count, x mod 3)`` gives the call."""

    class Counting:
        width, dtype = 1, torch.int64

        def step(self, seen, program_B, arguments_B3, hidden_BH, *, ended_B=None, draw=None):
            rows = zip(program_B.tolist(), hidden_BH[:, 0].tolist(), seen.fields_BF[:, 0].tolist(), strict=True)
            return Decision(Action(torch.tensor([decide(*row) for row in rows])), hidden_BH + 1)

    return Counting()


@pytest.mark.parametrize("depth", [1, 2, 16, 17, 100])
def test_endless_recursion_ends_at_the_depth_to_the_frame(depth):
    outcome = run_all(always((MAIN, 0, 0, 0)), [0], [FIRSTS[0]], budget=Budget(depth=depth))
    assert outcome.status_N.tolist() == [Status.DEPTH]
    assert (outcome.depth_N.tolist(), outcome.steps_N.tolist()) == ([depth], [depth])


def test_deep_recursion_returns_through_every_frame():
    def decide(_, count, rest):
        return (RETURN, 0, 0, 0) if count == 2 else (MAIN, 0, 0, 0) if count == 1 and rest else (MOVE, 2, 0, 0)

    # each frame moves right, then calls itself unless x is a multiple of 3: 7 → 8 → 9
    outcome = run_all(counting(decide), [7], [FIRSTS[0]])
    assert outcome.read(WORLD) == [{"x": [10]}]  # the deepest frame (x = 9) moves once more and returns
    assert (outcome.depth_N.item(), outcome.status_N.item()) == (2, 0)

    def down(_, count, __):
        return (MAIN, 0, 0, 0) if count == 0 else (RETURN, 0, 0, 0)

    stepper = counting(down)
    outcome = run_all(stepper, [0], [FIRSTS[0]], budget=Budget(steps=5000, depth=5000))
    assert outcome.depth_N.item() == 5000  # the stacks grew on the way


def test_memory_of_the_stacks_limits_the_depth():
    budget = Budget(depth=10_000, stack_bytes=50 * (4 * 8 + 8))
    outcome = run_all(always((MAIN, 0, 0, 0)), [0], [FIRSTS[0]], budget=budget)
    assert (outcome.status_N.item(), outcome.depth_N.item()) == (Status.DEPTH, 50)


def test_shrinking_keeps_the_order_and_stops_asking_for_ended_ones():
    stepper = TableStepper({})

    def step(seen, program_B, arguments_B3, hidden_BH, *, ended_B=None, draw=None):
        obs_BF = seen.fields_BF
        stepper.asked.append(len(obs_BF))
        ends = obs_BF[:, 0] == 0
        calls = torch.where(ends[:, None], torch.tensor([RETURN, 0, 0, 0]), torch.tensor([PUT, 3, 0, 0]))
        return Decision(Action(calls), hidden_BH)

    stepper.step = step  # PUT adds 21, which keeps x mod 3: only multiples of 3 ever end
    xs = [1, 3, 6, 9, 2, 12]
    outcome = run_all(stepper, xs, [FIRSTS[0]] * 6, budget=Budget(steps=10), check_every=2)
    assert outcome.read(WORLD) == [{"x": [x if x % 3 == 0 else x + 210]} for x in xs]
    assert stepper.asked == [6, 6] + [2] * 8
    assert [part[0].tolist() for part in outcome.parts] == [[1, 2, 3, 5], [0, 4]]
    with pytest.raises(ValueError, match="compact=False"):
        _ = outcome.state
    run_all(stepper, [1, 3, 2, 12], [FIRSTS[0]] * 4, budget=Budget(steps=10), check_every=2)
    assert stepper.asked[10:] == [4] * 10  # half of them still run
    whole = run_all(stepper, xs, [FIRSTS[0]] * 6, budget=Budget(steps=10), check_every=2, compact=False)
    assert whole.state.x_B.tolist() == [x["x"][0] for x in outcome.read(WORLD)]


def test_every_call_is_classed_as_plain_python_does():
    calls = list(itertools.product(range(-3, 8), range(-2, 8), (-1, 0, 1, 2, 5, 6), (0, 1, -1, 2**40)))
    change = CallRules(WORLD, TABLE).change(torch.tensor(calls)).tolist()
    for call, found in zip(calls, change, strict=True):
        kind = POP if call[0] == RETURN else ACT if call[0] < TABLE.primitives else PUSH
        assert found == (kind if allowed_plainly(call) else REFUSED), call
    assert all(allowed_plainly(call) for call in GOOD)
    assert not any(allowed_plainly(call) for call in BAD)


@pytest.mark.parametrize(
    ("xs", "firsts", "message"),
    [
        ([1, 2], [(MAIN, 0, 0, 0)], "2 states need as many programs"),
        ([1], [(MOVE, 1, 0, 0)], "instance 0 begins with"),
        ([1, 2], [(MAIN, 0, 0, 0), (TURN, 3, 0, 0)], "instance 1 begins with"),
        ([1], [(99, 0, 0, 0)], "expected an id from 2 to 4"),
    ],
)
def test_wrong_beginnings_are_explained(xs, firsts, message):
    with pytest.raises(ValueError, match=message):
        run_all(always((RETURN, 0, 0, 0)), xs, firsts)


def test_a_world_of_another_table_is_refused_and_an_equal_one_read_from_json_is_not():
    again = ProgramTable.from_json(TABLE.to_json())
    stepper = always((RETURN, 0, 0, 0))
    first = torch.tensor([FIRSTS[0]])
    assert run(stepper, WORLD, start([1]), again, first[:, 0], first[:, 1:]).status_N.item() == 0
    other = WorldSpec("else", "line", {}, (Field("x", ("a",)),), TABLE.world.tokens, TABLE.world.primitives)
    with pytest.raises(ValueError, match="not the world 'else'"):
        run(stepper, WORLD, start([1]), ProgramTable(other, TABLE.programs, TABLE.calls), first[:, 0], first[:, 1:])


def test_slots_that_allow_too_many_calls_are_refused():
    tokens = ("-", *(f"t{i}" for i in range(200)))
    wide = Slot("any", tuple(range(201)))
    spec = WorldSpec("wide", "line", {}, (), tokens, (Signature("DO", (wide, wide, wide)),))
    with pytest.raises(SpecError, match="declare fewer tokens"):
        CallRules(WORLD, ProgramTable(spec, (), ()))


@pytest.mark.parametrize("values", [{"steps": 0}, {"depth": 0}])
def test_an_empty_budget_is_refused(values):
    with pytest.raises(ValueError, match="at least one"):
        Budget(**values)


def test_an_empty_batch_has_an_empty_outcome():
    nothing = torch.zeros(0, dtype=torch.int64)
    outcome = run(always((RETURN, 0, 0, 0)), WORLD, start([]), TABLE, nothing, nothing.view(0, 1).expand(0, 3))
    assert (len(outcome.status_N), outcome.read(WORLD)) == (0, [])


class Sampling:
    """Moves left or right at random, ``stop`` times in a frame; returns where the world has ended."""

    width, dtype = 1, torch.int64

    def __init__(self, stop=20):
        self.stop = stop

    def step(self, seen, program_B, arguments_B3, hidden_BH, *, ended_B=None, draw=None):
        right_B = torch.zeros_like(program_B) if draw is None else (draw.uniform(2)[:, 1] < 0.5).long()
        call_B4 = torch.zeros(len(program_B), 4, dtype=torch.int64)
        call_B4[:, 0], call_B4[:, 1] = MOVE, 1 + right_B
        over_B = hidden_BH[:, 0] == self.stop
        over_B = over_B if ended_B is None else over_B | ended_B
        return Decision(Action(torch.where(over_B[:, None], torch.tensor([RETURN, 0, 0, 0]), call_B4)), hidden_BH + 1)


def test_a_seed_draws_the_same_for_an_instance_alone_and_in_a_batch():
    whole = run_all(Sampling(), [0] * 7, [FIRSTS[0]] * 7, seed=5).read(WORLD)
    assert len({reading["x"][0] for reading in whole}) > 2
    assert run_all(Sampling(), [0] * 3, [FIRSTS[0]] * 3, seed=5, check_every=3).read(WORLD) == whole[:3]
    assert run_all(Sampling(), [0] * 7, [FIRSTS[0]] * 7, seed=6).read(WORLD) != whole
    assert run_all(Sampling(), [0], [FIRSTS[0]]).read(WORLD) == [{"x": [-20]}]  # without one, the likeliest


def test_an_instance_keeps_its_draws_where_the_batch_shrinks():
    class Leaving(Sampling):
        def step(self, seen, program_B, *rest, ended_B=None, draw=None):
            found = super().step(seen, program_B, *rest, ended_B=ended_B, draw=draw)
            found.call_B4[program_B != MAIN, 0] = RETURN
            return found

    firsts = [FIRSTS[0], *[FIRSTS[1]] * 5, FIRSTS[0]]
    shrunk = run_all(Leaving(), [0] * 7, firsts, seed=5, check_every=2)
    assert len(shrunk.parts) > 1
    assert shrunk.read(WORLD) == run_all(Leaving(), [0] * 7, firsts, seed=5, compact=False).read(WORLD)


def test_where_the_world_ends_the_stepper_is_told():
    class Ending(LineWorld):
        def ended(self, state):
            return state.x_B <= -4

    world, firsts = Ending(), torch.tensor([FIRSTS[0]] * 2)
    outcome = run(Sampling(), world, start([0, 30]), TABLE, firsts[:, 0], firsts[:, 1:])
    assert outcome.read(world) == [{"x": [-4]}, {"x": [10]}]
    assert outcome.steps_N.tolist() == [5, 21]


def test_draws_are_uniform_normal_and_new_each_time():
    draw = Draw(3, torch.arange(20_000), 7)
    uniform, normal, again = draw.uniform(2), draw.normal(2), draw.uniform(2)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.01)
    assert (normal.mean().item(), normal.std().item()) == pytest.approx((0, 1), abs=0.02)
    assert torch.cat([uniform, again, normal], 1).T.corrcoef().fill_diagonal_(0).abs().max() < 0.03
    assert torch.equal(Draw(3, torch.tensor([11]), 7).uniform(2), uniform[11:12])
    assert not torch.equal(Draw(3, torch.arange(20_000), 8).uniform(2), uniform)


def test_endless_runs_end_with_their_budget_to_the_step():
    outcome = run_all(always((MOVE, 2, 0, 0)), [0, 5], [FIRSTS[0]] * 2, budget=Budget(steps=37))
    assert outcome.status_N.tolist() == [Status.STEPS] * 2
    assert outcome.steps_N.tolist() == [37, 37]
    assert outcome.read(WORLD) == [{"x": [37]}, {"x": [42]}]


def test_a_refused_call_changes_nothing_and_is_reported():
    def decide(_, count, __):
        return (MOVE, 2, 0, 0) if count < 3 else (PUT, 5, 2, 0)

    outcome = run_all(counting(decide), [0, 1], [FIRSTS[0]] * 2)
    assert outcome.status_N.tolist() == [Status.ILLEGAL] * 2
    assert outcome.refused_N4.tolist() == [[PUT, 5, 2, 0]] * 2
    assert outcome.steps_N.tolist() == [4, 4]
    assert outcome.read(WORLD) == [{"x": [3]}, {"x": [4]}]


def test_hidden_numbers_start_at_zero_in_each_frame_and_survive_calls():
    watched = []

    class Watching:
        width, dtype = 2, torch.float32

        def step(self, seen, program_B, arguments_B3, hidden_BH, *, ended_B=None, draw=None):
            program, count = int(program_B[0]), int(hidden_BH[0, 0])
            watched.append((program, hidden_BH[0].tolist()))
            call = (TURN, 1, 0, 0) if program == MAIN and count < 2 else (RETURN, 0, 0, 0)
            return Decision(Action(torch.tensor([call])), hidden_BH + torch.tensor([1.0, 0.5]))

    run_all(Watching(), [0], [FIRSTS[0]])
    zero = [0.0, 0.0]
    assert watched[:5] == [(MAIN, zero), (TURN, zero), (MAIN, [1.0, 0.5]), (TURN, zero), (MAIN, [2.0, 1.0])]
    assert all(entry == (MAIN, zero) for entry in watched[5:])  # an ended instance idles at its beginning
