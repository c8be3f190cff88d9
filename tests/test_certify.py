"""Effects against the world itself, and proofs against cores that are right and cores that are not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import loads
from envs.effects import effect_of, next_observations
from envs.scratchpad import PadConfig, PointerConfig, RowConfig, Scratchpad
from npi.certify import Certifier, certify
from npi.config import CoreConfig, TrainConfig
from npi.library import Library, LibraryError
from npi.material import Material, TaskValidator
from npi.session import new_library
from npi.train import Trainer, place

SYMBOLS = st.lists(st.integers(0, 2), min_size=1, max_size=3)

CLEAR = """
world tape is scratchpad:
    row A of "x" or "y" or blank at left

program CLEAR "Blank every cell to the right":
    while A:
        ACT(A, WRITE, blank)
        ACT(A, RIGHT)

task clear(word: list of "x" or "y"):
    A = word
    run CLEAR
    expect len(A) == 0
    train word of 1..6
    test word of 20
"""


def _two_rows() -> Scratchpad:
    rows = (RowConfig("A", ("0", "1"), True), RowConfig("L", ("a", "b", "c"), False))
    pointers = (
        PointerConfig("P", "A"),
        PointerConfig("Q", "A"),
        PointerConfig("R", "A", "right"),
        PointerConfig("I", "L"),
        PointerConfig("J", "L", "right"),
        PointerConfig("K", "L", "left", False),
    )
    return Scratchpad("pad", PadConfig(rows, pointers))


@settings(max_examples=60)
@given(SYMBOLS, SYMBOLS, st.data())
def test_no_change_that_the_effects_do_not_allow(a: list[int], items: list[int], data: st.DataObject) -> None:
    """Red when an effect forgets that pointers may share a cell, or an end of a list."""
    world = _two_rows()
    state = world.reset([{"A": a, "L": items}])
    act = world.spec.primitives[0]
    for _ in range(12):
        call = [0, *(data.draw(st.sampled_from(slot.tokens)) for slot in act.slots)]
        call_B4 = torch.tensor([call])
        if not bool(world.legal(call_B4)):
            continue
        before = world.observe(state)[0].tolist()
        world.act(state, call_B4, torch.tensor([True]))
        after = tuple(world.observe(state)[0].tolist())
        assert after in next_observations(world.spec, effect_of(world.spec, call), before), call


def _trained() -> tuple[Library, object]:
    programs = loads(CLEAR)
    material = Material.from_programs(programs, traces=8, seed=0)
    library = new_library(CoreConfig(hidden=32, bits=3), [material], seed=0)
    training = TrainConfig(seed=0, frames=64, check_every=50, problems=8)
    validate = Certifier(TaskValidator(library, [programs], training), library, [programs])
    assert Trainer(library, [place(library, material.frames)], training, validate=validate).run()
    return library, programs


def test_a_right_core_is_proved_and_a_wrong_one_is_not() -> None:
    """Red when the walk stops early, or compares the core with itself."""
    library, programs = _trained()
    (proof,) = certify(library, programs)  # type: ignore[arg-type]
    assert proof.proved
    assert proof.situations >= 3
    assert proof.margin > 0
    assert proof.examples is None
    with torch.no_grad():
        library.core.end.bias += 1000.0  # returns always
    (proof,) = certify(library, programs)  # type: ignore[arg-type]
    assert not proof.proved
    assert proof.examples is not None
    obs = proof.examples.obs_SF[:, 0].tolist()
    calls = proof.examples.call_S4[:, 0].tolist()
    assert all((symbol == 2) == (callee == -1) for symbol, callee in zip(obs, calls, strict=True) if callee == -1)


def test_an_lstm_is_refused() -> None:
    programs = loads(CLEAR)
    material = Material.from_programs(programs, traces=2, seed=0)
    library = new_library(CoreConfig(kind="lstm", hidden=8, gates=False), [material], seed=0)
    with pytest.raises(LibraryError, match="only a discrete core"):
        certify(library, programs)
