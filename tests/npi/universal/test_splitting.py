"""What the splitting of decisions counts with, by second ways in plain Python."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dsl
from npi.universal.functions import logits
from npi.universal.network import Interpreter, InterpreterConfig
from npi.universal.plan import HEAD, plan_of
from npi.universal.rows import _decided
from npi.universal.splitting import Draft, _merged, classes, numbered, settled, symbols_of
from npi.universal.symbols import COMPUTABLE, numbers_of

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


def lead(logits_K: torch.Tensor) -> float:
    first, second = sorted(logits_K.tolist())[-1:-3:-1]
    return first - second


def test_a_decision_leads_by_the_least_that_any_of_its_steps_leads_by() -> None:
    """One by one, with codes that were drawn; of a step that writes a register, its symbol counts."""
    config = InterpreterConfig()
    programs = dsl.loads(
        "world pad is scratchpad:\n    row A, B, C of 0..3\n\n"
        "program P:\n    if A + B + C > 4:\n        ACT(A, WRITE, (A + B + C) mod 4)\n"
    )
    (program,) = programs.programs
    plan, generator = plan_of(program, programs.table), torch.Generator().manual_seed(0)
    draft = Draft(next(one for one in plan.states if one.inputs), programs.table, plan.signature, config)
    assert draft.split(draft.parts[-1], 8)
    state, net = draft.state, Interpreter(config, generator=generator)
    codes = torch.randn(len(state.steps), config.code, generator=generator)
    gains = torch.randn(len(state.steps), config.features, generator=generator)
    found = _decided(net, state, (codes, gains), plan, programs.table)
    numbers = [numbers_of(read, programs.table.world, plan.signature) for read in state.inputs]
    for number, places in enumerate(itertools.product(*(range(len(part)) for part in numbers))):
        shown = {read: int(part[place]) for read, part, place in zip(state.inputs, numbers, places, strict=True)}
        written, leads, outcome = dict[int, int](), [], 0
        for step, code_C, gain_G in zip(state.steps, codes, gains, strict=True):
            at = {
                look: written.get(look.register, 0) if look.read is None else shown[look.read]
                for look in {*step.looks, *(look for look, _ in step.when)}
            }
            if all(at[look] in allowed for look, allowed in step.when):
                seen_1R = torch.tensor([[at[look] for look in step.looks] + [-1] * (config.inputs - len(step.looks))])
                (choice_K,), (value_V,) = logits(net, seen_1R, code_C[None], gain_G[None])
                if step.to != HEAD:
                    leads.append(lead(value_V))
                    written[step.to] = int(value_V.argmax())
                    continue
                outcome = int(choice_K[: len(state.outcomes)].argmax())
                leads.append(lead(choice_K[: len(state.outcomes)]))
                leads += [lead(value_V)] * state.outcomes[outcome].computes
        assert float(found.lead_M[number]) == pytest.approx(min(leads), abs=1e-4)
        assert int(found.outcome_M[number]) == outcome
