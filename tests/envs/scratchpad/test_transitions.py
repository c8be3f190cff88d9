"""Effects against the world itself: never too narrow, and on small pads not too wide."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import make
from envs.product import Product
from envs.scratchpad.config import NOWHERE, PadConfig, PointerConfig, RowConfig
from envs.scratchpad.transitions import allowed, changed_fields, effect_of, obeys, rules_of
from envs.scratchpad.world import Scratchpad
from envs.stepper import Action
from tests.support.pads import PADS

CROWDED = PadConfig(
    rows=(RowConfig("A", ("0", "1"), True), RowConfig("L", ("a", "b", "c"), False)),
    pointers=(
        PointerConfig("P", "A"),
        PointerConfig("Q", "A"),
        PointerConfig("R", "A", "right"),
        PointerConfig("I", "L"),
        PointerConfig("J", "L", "right"),
        PointerConfig("K", "L", "left", False),
    ),
    orders=(("P", "Q"), ("R", "Q"), ("P", "R"), ("I", "J"), ("K", "J"), ("Q", "I")),
    jumps=("TO", "HALFWAY"),
)
"""Many pointers on two rows, compared within and across them."""

SEVERAL_LISTS = PadConfig(
    rows=(RowConfig("L", ("a", "b"), False), RowConfig("M", ("a", "b"), False), RowConfig("S", ("place",), True, True)),
    pointers=(
        PointerConfig("I", "L"),
        PointerConfig("J", "L", "right"),
        PointerConfig("K", "M", "right"),
        PointerConfig("S", "S"),
        PointerConfig("T", "S", "right"),
    ),
    orders=(("K", "I"), ("J", "K"), ("S", "J"), ("T", "S")),
    jumps=("HALFWAY", "TO"),
)
"""Lists of different lengths, and places that lead out of them."""

EVERY_PAD = PADS | {"crowded": CROWDED, "several lists": SEVERAL_LISTS}


def _legal_calls(world: Scratchpad) -> torch.Tensor:
    slots = [slot.tokens for slot in world.spec.primitives[0].slots]
    calls = torch.tensor([[0, *call] for call in product(*slots)])
    return calls[world.legal(Action(calls))]


def _layout(config: PadConfig, data: st.DataObject) -> dict[str, list[int]]:
    layout = {}
    for row in config.rows:
        symbols = st.sampled_from([NOWHERE, 0, 1, 2]) if row.places else st.integers(0, len(row.values) - 1)
        # A place must be a column of the input: the rows are long enough for 0 to 2.
        layout[row.name] = data.draw(st.lists(symbols, min_size=3 if row.places else 1, max_size=4))
    return layout


@pytest.mark.parametrize("name", EVERY_PAD)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_no_change_that_the_effects_do_not_allow(name: str, data: st.DataObject) -> None:
    """Red when an effect forgets that pointers may share a cell, an end of a list, or how half a step is rounded."""
    config = EVERY_PAD[name]
    world = Scratchpad("pad", config)
    calls = _legal_calls(world)
    state = world.reset([_layout(config, data)])
    sizes = [f.size for f in world.spec.fields]
    for number in data.draw(st.lists(st.integers(0, len(calls) - 1), min_size=8, max_size=24)):
        before = world.observe(state).fields_BF
        world.act(state, Action(calls[number : number + 1]), torch.tensor([True]))
        after = world.observe(state).fields_BF
        names = [world.spec.tokens[token] for token in calls[number, 1:].tolist()]
        assert all(bool(obeys(rule, sizes, after)) for rule in rules_of(world.spec)), after
        assert bool(allowed(world.spec, effect_of(world.spec, calls[number].tolist()), before, after)), names


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_in_joined_worlds_a_call_changes_what_it_changes_alone(data: st.DataObject) -> None:
    """Three parts, two of them pads that share all names; what the whole shows is held against what the part shows.

    Red when fields, tokens or primitives of the whole are taken for those of a part, or a part's effect goes beyond it.
    """
    configs = {"one": CROWDED, "two": SEVERAL_LISTS}
    pads = [{"kind": "scratchpad", "name": name, "config": config.to_json()} for name, config in configs.items()]
    parts = [pads[0], {"kind": "bandit", "name": "cards", "config": {}}, pads[1]]
    world = make("product", "desk", {"parts": parts})
    assert isinstance(world, Product)
    layouts = [_layout(config, data) for config in configs.values()]
    laid = {
        f"{name}.{row}": cells for name, layout in zip(configs, layouts, strict=True) for row, cells in layout.items()
    }
    state = world.reset([laid | {"EPISODE": [1]}])
    sizes = [f.size for f in world.spec.fields]
    for number in data.draw(st.lists(st.integers(0, 2), min_size=6, max_size=18)):
        part = world.parts[number]
        calls = torch.tensor([[0, *c] for c in product(*(slot.tokens for slot in part.spec.primitives[0].slots))])
        calls = torch.nn.functional.pad(calls, (0, 4 - calls.shape[1]))
        calls = calls[part.legal(Action(calls))]
        own = calls[data.draw(st.integers(0, len(calls) - 1))][None]
        action = world.whole_action(number, Action(own))
        before = world.observe(state).fields_BF
        world.act(state, action, torch.tensor([True]))
        after = world.observe(state).fields_BF
        first, end = world.first_field[number : number + 2]
        outside = [index for index in range(len(sizes)) if not first <= index < end]
        effect = effect_of(world.spec, action.call_B4[0].tolist())
        assert bool(allowed(world.spec, effect, before, after))
        assert not changed_fields([effect]) & set(outside)
        assert all(bool(obeys(rule, sizes, after)) for rule in rules_of(world.spec)), after
        if part.spec.kind == "scratchpad":
            alone = effect_of(part.spec, own[0].tolist())
            values = [data.draw(st.integers(0, size - 1)) for size in sizes[first:end]]
            other = before.clone()
            other[0, first:end] = torch.tensor(values)
            obeying = all(bool(obeys(rule, sizes, other)) for rule in rules_of(world.spec))
            alone_allows = bool(allowed(part.spec, alone, before[:, first:end], other[:, first:end]))
            assert bool(allowed(world.spec, effect, before, other)) == alone_allows
            assert obeying or not alone_allows


SMALL = PadConfig(
    rows=(RowConfig("A", ("x",), True),),
    pointers=(PointerConfig("P", "A"), PointerConfig("Q", "A", "right")),
    orders=(("P", "Q"),),
    jumps=("TO", "HALFWAY"),
)
SMALL_LIST = PadConfig(rows=(RowConfig("A", ("x", "y"), False),), pointers=(PointerConfig("P", "A"),))
SMALL_PLACES = PadConfig(
    rows=(RowConfig("A", ("x",), True), RowConfig("S", ("place",), True, True)),
    pointers=(PointerConfig("P", "A"), PointerConfig("S", "S")),
    orders=(("P", "S"),),
    jumps=("TO",),
)


@pytest.mark.parametrize("config", [SMALL, SMALL_LIST, SMALL_PLACES], ids=["endless", "list", "places"])
def test_every_change_that_the_effects_allow_is_seen(config: PadConfig) -> None:
    """Red when an effect is too wide: every observation that it allows comes up on some pad after many random acts."""
    world = Scratchpad("pad", config)
    calls = _legal_calls(world)
    generator = torch.Generator().manual_seed(0)
    sizes = [f.size for f in world.spec.fields]
    layouts: list[dict[str, list[int]]] = []
    for _ in range(4000):
        layout = {}
        for row in config.rows:
            length = int(torch.randint(1, 6, (1,), generator=generator))
            drawn = torch.randint(len(row.values), (length,), generator=generator).tolist()
            layout[row.name] = [0 if symbol else NOWHERE for symbol in drawn] if row.places else drawn
        layouts.append(layout)
    state = world.reset(layouts)
    active = torch.ones(len(layouts), dtype=torch.bool)
    rows = []
    for _ in range(40):
        before = world.observe(state).fields_BF
        chosen = calls[torch.randint(len(calls), (len(layouts),), generator=generator)]
        world.act(state, Action(chosen), active)
        rows.append(torch.cat([chosen, before, world.observe(state).fields_BF], 1))
    seen = torch.cat(rows).unique(dim=0)
    fields = len(sizes)
    every = torch.tensor(list(product(*map(range, sizes))))
    starts = seen[:, 4 : 4 + fields].unique(dim=0)
    for call in calls.tolist():
        mine = seen[(seen[:, :4] == torch.tensor(call)).all(1), 4:]
        effect = effect_of(world.spec, call)
        pairs = torch.cat([starts.repeat_interleave(len(every), 0), every.repeat(len(starts), 1)], 1)
        good = pairs[allowed(world.spec, effect, pairs[:, :fields], pairs[:, fields:])]
        extra = {tuple(p) for p in good.tolist()} - {tuple(p) for p in mine.tolist()}
        names = [world.spec.tokens[token] for token in call[1:]]
        if names[1] == "FOLLOW":
            continue  # to anywhere: nothing is said about which places are written
        assert not extra, (names, sorted(extra)[:5])
