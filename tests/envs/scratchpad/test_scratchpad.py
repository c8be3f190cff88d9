"""The scratch pad against a pad of Python dictionaries, and its declaration, errors and drawing."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import PadConfig, PadState, PointerConfig, RowConfig, Scratchpad, SpecError, WorldSpec, make
from envs.scratchpad.world import ACTIONS, NOWHERE
from envs.stepper import Action
from tests.support.pads import ADDITION, DIGITS, MIXED, PADS, SORTING, WANDERING, PlainPad

Walk = tuple[list[dict[str, list[int]]], list[list[list[int]]]]
"""Layouts, and for each step and instance a call."""


def calls(world: Scratchpad, *texts: str) -> torch.Tensor:
    """call_B4 from texts such as ``"OUT WRITE 3"``, one an instance."""
    rows = []
    for text in texts:
        parts = [*text.split(), "-"][:3]
        rows.append([0, *(world.spec.token(part) for part in parts)])
    return torch.tensor(rows)


def act(world: Scratchpad, state: PadState, *texts: str) -> None:
    """Perform one call an instance."""
    world.act(state, Action(calls(world, *texts)), torch.ones(len(texts), dtype=torch.bool))


@st.composite
def layouts(draw: Callable, config: PadConfig) -> dict[str, list[int]]:
    layout = {}
    for row in config.rows:
        symbols = st.integers(0, len(row.values) - 1) if not row.places else st.sampled_from([0, NOWHERE])
        content = draw(st.lists(symbols, min_size=0 if row.blank else 1, max_size=7))
        if content:
            layout[row.name] = content
    return layout


@st.composite
def walks(draw: Callable, name: str, batch: int) -> Walk:
    """A walk in which many calls are illegal."""
    config = PADS[name]
    spec = Scratchpad(name, config).spec
    pointer, action, operand = (st.sampled_from(slot.tokens) for slot in spec.primitives[0].slots)
    shift = st.tuples(st.just(0), pointer, st.sampled_from([1, 2]), st.just(0))
    other = st.tuples(st.just(0), pointer, action, operand)
    steps = draw(st.integers(0, 50))
    made = [[list(draw(st.one_of(shift, other))) for _ in range(batch)] for _ in range(steps)]
    return [draw(layouts(config)) for _ in range(batch)], made


@pytest.mark.parametrize("name", PADS)
def test_a_batch_does_what_plain_pads_do(name: str) -> None:
    world = Scratchpad(name, PADS[name])
    tokens = world.spec.tokens

    @settings(max_examples=30)
    @given(walks(name, batch=3))
    def check(walk: Walk) -> None:
        laid, steps = walk
        state = world.reset(laid)
        plain = [PlainPad(PADS[name], layout) for layout in laid]
        for step in steps:
            assert world.observe(state).fields_BF.tolist() == [pad.observe() for pad in plain]
            call_B4 = torch.tensor(step)
            done = [pad.act(*(tokens[token] for token in call[1:])) for pad, call in zip(plain, step, strict=True)]
            assert world.legal(Action(call_B4)).tolist() == done
            world.act(state, Action(call_B4), torch.ones(3, dtype=torch.bool))
        assert world.observe(state).fields_BF.tolist() == [pad.observe() for pad in plain]
        assert world.read(state) == [pad.read() for pad in plain]

    check()


@pytest.mark.parametrize("way", ["LEFT", "RIGHT"])
def test_endless_rows_grow_far_beyond_their_first_storage(way: str) -> None:
    world = Scratchpad("pad", ADDITION)
    laid = [{"IN1": [9, 6]}, {"IN1": [1] * 5, "IN2": [2] * 3}]
    state, plain = world.reset(laid), [PlainPad(ADDITION, layout) for layout in laid]
    for step in range(700):
        texts = [f"OUT {way}", f"OUT WRITE {step % 10}"] if step % 3 else ["IN1 WRITE blank", f"OUT {way}"]
        act(world, state, *texts)
        for pad, text in zip(plain, texts, strict=True):
            pad.act(*text.split())
    assert world.read(state) == [pad.read() for pad in plain]
    assert abs(world.read(state)[0]["at(OUT)"][0]) > 400  # so that storage, 32 blanks on each side at first, has grown


def test_a_selection_knows_how_near_its_pointers_are_to_the_edge() -> None:
    world = Scratchpad("pad", ADDITION)
    state = world.reset([{"IN1": [1]}, {"IN1": [2]}])
    for _ in range(200):
        act(world, state, "IN1 LEFT", "OUT RIGHT")
        state = state.select(torch.tensor([0, 1]))
    act(world, state, "IN1 WRITE 5", "OUT WRITE 6")
    one, two = world.read(state)
    assert (one["IN1"], one["at(IN1)"], one["OUT"]) == ([5, *[10] * 199, 1], [-200], [])
    assert (two["OUT"], two["at(OUT)"], two["IN1"]) == ([6], [200], [2])


def test_jumps_lead_far_and_storage_follows() -> None:
    # red when the storage counts only where pointers are, not where a saved place or a jump can take them
    world = Scratchpad("pad", WANDERING)
    laid = [{"TEXT": [0, 1], "BITS": [1] * 300, "STACK": [NOWHERE]}, {"BITS": [0, 1], "LINKS": [1, 0]}]
    state, plain = world.reset(laid), [PlainPad(WANDERING, layout) for layout in laid]
    walk = ["S SAVE T", *["T LEFT"] * 90, "S RIGHT", "S SAVE T", *["T RIGHT"] * 400, "L TO T", "T FOLLOW S"]
    walk += [*["T LEFT"] * 40, "T WRITE b", "S LEFT", "T FOLLOW S", "T HALFWAY L", *["L RIGHT"] * 70, "L SAVE S"]
    walk += ["BITS TO L", "T TO BITS", *["T LEFT"] * 60, "T WRITE a"]
    walk += ["M FOLLOW L", "M FOLLOW M", "M SWAP L", "L WRITE blank"]
    for text in walk:
        act(world, state, text, text)
        for pad in plain:
            pad.act(*text.split())
        assert world.observe(state).fields_BF.tolist() == [pad.observe() for pad in plain], text
    assert world.read(state) == [pad.read() for pad in plain]
    assert world.read(state)[1]["at(T)"] == [-59]
    state = state.select(torch.tensor([1, 0]))
    assert world.read(state) == [pad.read() for pad in plain[::-1]]


@pytest.mark.parametrize("place", [-1, 5, 10**9])
def test_a_place_beyond_everything_laid_is_refused(place: int) -> None:
    with pytest.raises(ValueError, match=f"row LINKS, column 2: there is no place {place}; .* the columns 0 to 4"):
        Scratchpad("pad", WANDERING).reset([{"TEXT": [0] * 5, "BITS": [0], "LINKS": [4, NOWHERE, place]}])


def test_a_pad_without_extras_declares_what_it_always_did() -> None:
    spec = Scratchpad("pad", ADDITION).spec
    assert set(spec.config) == {"rows", "pointers"}
    assert set(spec.config["rows"][0]) == {"name", "symbols", "blank"}
    assert not set(spec.tokens) & {"TO", "HALFWAY", "SAVE", "FOLLOW"}
    again = PadConfig.from_json(json.loads(json.dumps(WANDERING.to_json())))
    assert again == WANDERING
    assert Scratchpad("pad", again).spec.tokens[1:9] == (*ACTIONS, "TO", "HALFWAY", "SAVE", "FOLLOW")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"orders": (("T", "X"),)}, "order of T and X: no pointer 'X'"),
        ({"orders": (("T", "T"),)}, "order of T and T: name two pointers"),
        ({"orders": (("T", "S"), ("S", "T"))}, "order .* is declared twice"),
        ({"jumps": ("HALFWAYS",)}, "there is no jump 'HALFWAYS'; did you mean 'HALFWAY'"),
        ({"rows": (RowConfig("TEXT", ("TO",), blank=True), *WANDERING.rows[1:])}, "TO is an action of this pad"),
    ],
)
def test_extras_that_do_not_fit_are_refused(change: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        replace(WANDERING, **change)


def test_storage_stays_in_proportion_to_what_is_used() -> None:
    world = Scratchpad("pad", ADDITION)
    state = world.reset([{"IN1": [1] * 200}])
    for step in range(4000):
        act(world, state, "OUT RIGHT" if step % 2 else "OUT LEFT")
    assert state.width < 400


@settings(max_examples=25)
@given(walks("mixed", batch=4), st.lists(st.integers(0, 3), max_size=7))
def test_select_copies_in_order(walk: Walk, index: list[int]) -> None:
    laid, steps = walk
    world = Scratchpad("pad", MIXED)
    half = len(steps) // 2
    state, everyone = world.reset(laid), torch.ones(4, dtype=torch.bool)
    for step in steps[:half]:
        world.act(state, Action(torch.tensor(step)), everyone)
    chosen = state.select(torch.tensor(index, dtype=torch.int64))
    before = world.read(chosen)
    assert before == [world.read(state)[b] for b in index]
    for step in steps[half:]:
        world.act(state, Action(torch.tensor(step)), everyone)
    assert world.read(chosen) == before
    for step in steps[half:]:
        call_B4 = torch.tensor([step[b] for b in index], dtype=torch.int64).view(-1, 4)
        world.act(chosen, Action(call_B4), torch.ones(len(index), dtype=torch.bool))
    assert world.read(chosen) == [world.read(state)[b] for b in index]
    assert world.observe(chosen).fields_BF.tolist() == [world.observe(state).fields_BF[b].tolist() for b in index]


def test_addition_pad_by_hand() -> None:
    world = Scratchpad("pad", ADDITION)
    state = world.reset([{"IN1": [10, 9, 6], "IN2": [1, 2, 5]}])  # 96 + 125, right-aligned by a blank
    assert [field.name for field in world.spec.fields] == ["IN1", "IN2", "CARRY", "OUT"]
    assert world.observe(state).fields_BF.tolist() == [[6, 5, 10, 10]]
    for text in ("OUT WRITE 1", "CARRY LEFT", "CARRY WRITE 1", "CARRY RIGHT"):
        act(world, state, text)
    for pointer in ("IN1", "IN2", "CARRY", "OUT"):
        act(world, state, f"{pointer} LEFT")
    assert world.observe(state).fields_BF.tolist() == [[9, 2, 1, 10]]
    reading = world.read(state)[0]
    assert (reading["IN1"], reading["CARRY"], reading["OUT"]) == ([9, 6], [1], [1])
    assert (reading["under(CARRY)"], reading["at(CARRY)"]) == ([1], [1])


def test_tokens_and_signature() -> None:
    spec = Scratchpad("pad", MIXED).spec
    assert spec.tokens == ("-", *ACTIONS, "T", "BITS", "N", "S1", "S2", "a", "b", "c", "0", "1", "(", ")", "blank")
    (primitive,) = spec.primitives
    assert primitive.name == "ACT"
    assert [slot.tokens for slot in primitive.slots] == [
        (5, 6, 7, 8, 9),
        (1, 2, 3, 4),
        (0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17),
    ]
    assert [(field.name, field.size) for field in spec.fields[:4]] == [("T", 4), ("BITS", 2), ("S1", 4), ("S2", 4)]


@pytest.mark.parametrize("config", PADS.values(), ids=PADS)
def test_declaration_survives_json(config: PadConfig) -> None:
    world = Scratchpad("pad", config)
    spec = WorldSpec.from_json(json.loads(json.dumps(world.spec.to_json())))
    assert spec == world.spec
    again = make(spec.kind, spec.name, spec.config)
    assert isinstance(again, Scratchpad)
    assert again.config == config


def test_counts_above_a_byte() -> None:
    config = PadConfig((RowConfig("A", tuple(str(i) for i in range(1000)), blank=True),), (PointerConfig("A", "A"),))
    world = Scratchpad("wide", config)
    state = world.reset([{"A": [998]}])
    act(world, state, "A RIGHT")
    act(world, state, "A WRITE 999")
    assert world.read(state)[0]["A"] == [998, 999]


def test_empty_batch() -> None:
    world = Scratchpad("pad", ADDITION)
    state = world.reset([{"IN1": [1]}] * 3).select(torch.empty(0, dtype=torch.int64))
    for _ in range(100):
        world.act(state, Action(torch.empty(0, 4, dtype=torch.int64)), torch.empty(0, dtype=torch.bool))
    assert world.observe(state).fields_BF.shape == (0, 4)
    assert world.read(state) == []
    assert world.observe(world.reset([])).fields_BF.shape == (0, 4)


def test_layouts_may_be_arrays() -> None:
    world = Scratchpad("pad", ADDITION)
    assert world.read(world.reset([{"IN1": np.array([1, 2])}])) == world.read(world.reset([{"IN1": (1, 2)}]))


ROW = RowConfig("A", DIGITS, blank=True)
LIST = RowConfig("L", DIGITS, blank=False)
WRONG_PADS: list[tuple[Callable[[], object], str]] = [
    (lambda: PadConfig((), ()), "at least one row"),
    (lambda: PadConfig((ROW,), ()), "one pointer"),
    (lambda: PadConfig((ROW, ROW), (PointerConfig("A", "A"),)), "row 'A' is declared twice"),
    (lambda: PadConfig((ROW,), (PointerConfig("A", "A"),) * 2), "pointer 'A' is declared twice"),
    (lambda: PadConfig((LIST, RowConfig("NUMS", DIGITS, True)), (PointerConfig("P", "NUM"),)), "did you mean 'NUMS'"),
    (lambda: PadConfig((ROW,), (PointerConfig("LEFT", "A"),)), "action or a symbol"),
    (lambda: PadConfig((ROW,), (PointerConfig("7", "A"),)), "action or a symbol"),
    (lambda: PadConfig((ROW,), (PointerConfig("blank", "A"),)), "action or a symbol"),
    (lambda: PadConfig((ROW,), (PointerConfig("C", "A", sees=False),)), "counter C stands on row A"),
    (lambda: RowConfig("A", (), True), "0 symbols"),
    (lambda: RowConfig("A", ("x", "x"), True), "symbol 'x' is declared twice"),
    (lambda: RowConfig("A", ("x", "blank"), True), "symbol 'blank'"),
    (lambda: RowConfig("A", ("-", "+"), True), "symbol '-'"),
    (lambda: RowConfig("A", ("SWAP",), True), "symbol 'SWAP'"),
    (lambda: RowConfig("", ("x",), True), "no name"),
    (lambda: PointerConfig("", "A"), "no name"),
    (lambda: PointerConfig("P", "A", "middle"), "'left' or 'right'"),  # type: ignore[arg-type]
    (lambda: PadConfig.from_json({"rows": []}), "'pointers' is missing"),
    (lambda: PadConfig.from_json({"rows": [], "pointer": []}), "did you mean 'pointers'"),
    (lambda: PadConfig.from_json({"rows": [{"name": "A", "symbols": [], "blanc": True}], "pointers": []}), "'blank'"),
]


@pytest.mark.parametrize(("make_it", "message"), WRONG_PADS, ids=[message for _, message in WRONG_PADS])
def test_wrong_declarations(make_it: Callable[[], object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        make_it()
    assert message in str(caught.value)


WRONG_LAYOUTS = [
    ([{"BITS": [0]}, {"BITS": [0], "TEX": [1]}], "instance 1: the pad has no row 'TEX'; did you mean 'TEXT'?"),
    ([{"BITS": [0]}, {}], "instance 1: list BITS is empty"),
    ([{"BITS": []}], "list BITS is empty"),
    ([{"BITS": [0, 1, 2]}], "row BITS, column 2: 2 is not the index of a symbol; the row has 0 to 1"),
    ([{"BITS": [0], "TEXT": [0, -1]}], "row TEXT, column 1: -1"),
    ([{"BITS": [0.5]}], "takes a list of symbol indices"),
    ([{"BITS": [[0]]}], "takes a list of symbol indices"),
    ([{"BITS": [[0], [0, 1]]}], "instance 0: row BITS takes a list of symbol indices"),
    ([{"BITS": 0}], "takes a list of symbol indices"),
    ([{"BITS": "01"}], "takes a list of symbol indices"),
    ([{"BITS": [True]}], "takes a list of symbol indices"),
    ([[0]], "a layout maps rows to symbols"),
]


@pytest.mark.parametrize(("laid", "message"), WRONG_LAYOUTS, ids=[message for _, message in WRONG_LAYOUTS])
def test_wrong_layouts(laid: list, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Scratchpad("pad", MIXED).reset(laid)
    assert message in str(caught.value)


def test_drawing() -> None:
    world = Scratchpad("pad", ADDITION)
    state = world.reset([{}, {"IN1": [10, 9, 6], "IN2": [1, 2, 5]}])
    act(world, state, "OUT LEFT", "OUT LEFT")
    assert world.draw(state, 1).splitlines() == [
        "IN1    ·96",
        "         ^ IN1",
        "IN2    125",
        "         ^ IN2",
        "CARRY  ···",
        "         ^ CARRY",
        "OUT    ···",
        "        ^ OUT",
    ]


WIDE = PadConfig((RowConfig("A", tuple(str(i) for i in range(12)), False),), (PointerConfig("P", "A", "right"),))


@pytest.mark.parametrize(
    ("config", "cells", "lines"),
    [
        (SORTING, [3, 1, 2], ["A  312", "   ^ ^ P1=COUNT P2"]),
        (WIDE, [1, 11, 3], ["A   1 11  3", "          ^ P"]),
    ],
    ids=["a list", "symbols of two characters stand apart"],
)
def test_drawing_of_a_list(config: PadConfig, cells: list[int], lines: list[str]) -> None:
    world = Scratchpad("list", config)
    assert world.draw(world.reset([{"A": cells}])).splitlines() == lines


def test_cells_of_places_are_drawn_as_columns_and_empty_ones_as_blanks() -> None:
    row = RowConfig("S", ("place",), blank=True, places=True)
    world = Scratchpad("list", PadConfig((row,), (PointerConfig("S", "S", "left"),)))
    assert world.draw(world.reset([{"S": [1, NOWHERE, 2]}])).splitlines() == ["S  1·2", "   ^ S"]


def test_long_rows_are_drawn_around_their_pointers() -> None:
    world = Scratchpad("pad", ADDITION)
    state = world.reset([{"IN1": [1] * 300 + [7] * 300, "IN2": [2] * 600}])
    for _ in range(98):
        act(world, state, "OUT LEFT")
    lines = world.draw(state, width=60).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert lines[0].startswith("IN1   …777")
    assert lines[0].endswith("7")
    assert lines[1].endswith("^ IN1")
    assert "left)" in lines[-1]
    assert "^" not in lines[-1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", PADS)
def test_cuda_does_what_the_cpu_does(name: str) -> None:
    world = Scratchpad(name, PADS[name])
    laid = [{row.name: [0, 1, 0] for row in world.config.rows}, {row.name: [1] for row in world.config.rows}]
    slots = world.spec.primitives[0].slots
    generator = torch.Generator().manual_seed(3)
    here, there = world.reset(laid), world.reset(laid, device="cuda")
    for _ in range(400):
        picks = [[s.tokens[int(torch.randint(len(s.tokens), (), generator=generator))] for s in slots] for _ in laid]
        call_B4 = torch.tensor([[0, *pick] for pick in picks])
        active_B = torch.tensor([True, True])
        assert world.legal(Action(call_B4.cuda())).tolist() == world.legal(Action(call_B4)).tolist()
        world.act(here, Action(call_B4), active_B)
        world.act(there, Action(call_B4.cuda()), active_B.cuda())
    assert world.observe(there).fields_BF.tolist() == world.observe(here).fields_BF.tolist()
    assert world.read(there.select(torch.tensor([1, 0], device="cuda"))) == world.read(here)[::-1]
