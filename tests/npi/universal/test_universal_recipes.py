"""What the recipes for universal cores count, on cores and pools small enough to redo by hand."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import common
from benchmarks.universal import (
    ablation,
)
from benchmarks.universal import (
    alternatives as columns,
)
from benchmarks.universal import (
    heldout_programs as heldout,
)
from benchmarks.universal import (
    human_programs as humans,
)
from benchmarks.universal import (
    page as universal_tables,
)
from benchmarks.universal.alternatives import Codes, Memory, TuneConfig
from benchmarks.universal.frozen_rows import Bench, learn_batch
from benchmarks.universal.heldout_programs import Sample, kind_of, sample
from dsl import loads
from npi.core.base import tensors_digest
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import fill
from npi.universal.code_search import SearchConfig
from npi.universal.core import new_universal
from npi.universal.functions import decide
from npi.universal.network import Interpreter, InterpreterConfig
from npi.universal.plan import State
from npi.universal.symbols import VALUES
from npi.universal.training_stream import WORLDS, held_programs, vocabularies

TINY = InterpreterConfig(hidden=24, layers=1, features=16, code=8)

TEXT = WORLDS["flags"] + (
    "program ONE:\n    if A == 3:\n        ACT(B, LEFT)\n"
    "program TWO:\n    ACT(B, WRITE, A)\n    while P == 0:\n        ACT(P, WRITE, 1)\n"
    "program THREE:\n    ACT(A, LEFT)\n"
    "program FOUR:\n    if A + B > 9:\n        ACT(A, WRITE, (A + B) mod 10)\n"
)


def network(seed: int = 0) -> Interpreter:
    return Interpreter(TINY, generator=torch.Generator().manual_seed(seed))


def numbers(count: int, seed: int = 1) -> Codes:
    generator = torch.Generator().manual_seed(seed)
    return Codes(torch.randn(count, TINY.code, generator=generator),
                 torch.randn(count, TINY.features, generator=generator))  # fmt: skip


def spoken(net: Interpreter, codes: Codes, place: int, outcomes: int = 2) -> State:
    """The state, of one input that shows 0..9, that a core with these numbers decides rightly."""
    seen_MR = np.arange(10)[:, None]
    padded = torch.full((10, TINY.inputs), -1)
    padded[:, 0] = torch.arange(10)
    own = codes.at(slice(place, place + 1))
    outcome_M, value_M, _ = decide(net, padded, own.code_NC, own.gain_NG, [False] * outcomes)
    state = programs()[0].states[0]
    return replace(state, seen_MR=seen_MR, outcome_M=outcome_M.numpy(), value_M=value_M.numpy(),
                   outcomes=(state.outcomes * 2)[:outcomes])  # fmt: skip


def programs(config: InterpreterConfig = TINY) -> list[Sample]:
    found = loads(TEXT)
    return [sample("flags", 2, p.name, p, found.table, config) for p in found.programs]


# --- columns ---------------------------------------------------------------------------------------------------------


def test_errors_count_situations_decided_otherwise() -> None:
    net, codes = network(), numbers(2)
    state = spoken(net, codes, 0)
    flipped = replace(state, outcome_M=np.where(np.arange(10) < 3, 1 - state.outcome_M, state.outcome_M))
    other = replace(state, value_M=np.where(np.arange(10) == 7, (state.value_M + 1) % 10, state.value_M))
    unspoken = replace(other, value_M=np.full(10, -1))
    first = codes.at(torch.tensor([0, 0, 0, 0]))
    assert columns.errors(net, [state, flipped, other, unspoken], first) == [0, 3, 1, 0]


def test_nearest_finds_the_old_state_that_decides_alike() -> None:
    """Red where the codes are not kept beside their gains, or agreement is counted the wrong way round."""
    net, old = network(), numbers(12)
    states = [spoken(net, old, place) for place in (7, 2)]
    generator = torch.Generator().manual_seed(0)
    found = columns.nearest(net, old, states, generator=generator)
    assert columns.errors(net, states, found) == [0, 0]
    assert columns.errors(net, states, columns.mean(old, 2)) != [0, 0]


def test_tuning_learns_a_state_and_forgets_others() -> None:
    net, old = network(), numbers(6)
    states = [spoken(net, old, place) for place in range(6)]
    memory = Memory.of(states, [0, 0, 1, 2, 2, 2], old, TINY.inputs, seed=0)
    assert memory.lost(net) == (0.0, 0.0)
    before = tensors_digest(dict(net.state_dict()))
    wanted = programs()[0].states
    generator = torch.Generator().manual_seed(0)
    start = numbers(len(wanted), seed=5)
    tuned = columns.tune(net, wanted, start, TuneConfig(updates=200, rate=0.01), generator=generator)
    assert not any(columns.errors(tuned.net, wanted, tuned.codes))
    assert tuned.updates < 200
    assert tensors_digest(dict(net.state_dict())) == before, "the core itself stays"
    decisions, broken = memory.lost(tuned.net)
    assert 0 < decisions < broken <= 1
    random, _ = columns.fresh(net, 1, generator=generator)
    assert random.config == net.config
    assert tensors_digest(dict(random.state_dict())) != before


# --- pools -----------------------------------------------------------------------------------------------------------


def test_new_worlds_are_declared_as_none_of_training_is() -> None:
    known = {words.face.spec.digest for words in vocabularies().values()}
    assert not known & {words.face.spec.digest for words in vocabularies(heldout.NEW_WORLDS).values()}


def test_batches_are_mixed_and_come_back_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heldout, "WORLDS", {name: WORLDS[name] for name in ("flags", "bits")})
    monkeypatch.setattr(heldout, "TOGETHER", 5)
    monkeypatch.setattr(heldout, "held_programs", partial(held_programs, each=2, sizes=range(2, 5)))
    monkeypatch.setattr(heldout, "SIZES", range(2, 5))
    batches = heldout.drawn_batches(TINY, count=10)
    assert [len(batch) for batch in batches] == [5, 5, 2]
    assert {one.world for one in batches[0]} == {"flags", "bits"}
    assert {one.world for one in batches[2]} <= set(heldout.NEW_WORLDS)
    again = heldout.drawn_batches(TINY, count=10)
    assert [one.name for batch in batches for one in batch] == [one.name for batch in again for one in batch]
    old = {one.program.tree.name for one in heldout.old_programs(TINY, each=2)}
    assert old
    assert not old & {one.program.tree.name for batch in batches for one in batch}


def test_kinds_and_those_that_do_not_fit() -> None:
    one, two, three, four = programs()
    assert [kind_of(state) for state in one.states] == ["chooses; 1 inputs; up to 12 configurations"]
    assert [kind_of(state) for state in four.states] == ["computes a symbol; 2 inputs; up to 150 configurations"]
    assert three.states == ()
    assert not three.reason
    narrow = programs(replace(TINY, inputs=1))
    assert [bool(item.reason) for item in narrow] == [False, False, False, True]
    assert "looks at 2 things" in narrow[3].reason
    assert narrow[3].states == ()


def test_a_batch_counts_everything_and_changes_nothing() -> None:
    """Red where a program that does not fit is left out, or a row touches the core."""
    config = replace(TINY, inputs=1)
    core = new_universal(config, seed=0).core
    bench = Bench.of(core, programs(config)[:3])  # type: ignore[arg-type]
    found = learn_batch(bench, programs(config), tuned=4)
    assert found["unchanged"]
    by_name = {p["name"].rpartition(".")[2]: p for p in found["programs"]}
    assert set(by_name) == {"ONE", "TWO", "THREE", "FOUR"}
    assert not by_name["FOUR"]["exact"]
    assert not by_name["FOUR"]["tuned"]
    assert by_name["THREE"]["exact"]
    assert by_name["THREE"]["numbers"] == 0
    assert by_name["ONE"]["numbers"] == TINY.code + TINY.features
    assert by_name["ONE"]["exact"] == (by_name["ONE"]["functions"][0]["wrong"] == 0)


# --- pages -----------------------------------------------------------------------------------------------------------


def result(name: str, size: int, world: str = "flags", **more: object) -> Result:
    functions = [{"kind": "chooses; 1 inputs; up to 12 configurations", "key": "ab", "wrong": int(not more["exact"])}]
    return {"name": name, "size": size, "world": world, "reason": "", "note": "", "updates": 20, "numbers": 160,
            "functions": functions, "mean": False, "nearest": True, "proposed": False, **more}  # fmt: skip


def test_shares_count_what_was_tried_and_what_does_not_fit() -> None:
    left = {"name": "c", "size": 3, "world": "flags", "reason": "is too wide", "exact": False}
    found = [result("a", 2, exact=True, tuned=True), result("b", 3, exact=False), left]
    assert universal_tables.share(found) == "33.3 % (1/3)"
    assert universal_tables.share(found, "nearest") == "66.7 % (2/3)"
    assert universal_tables.share(found, "tuned") == "100.0 % (1/1)"
    assert universal_tables.share(found, "scratch") == "–"
    rows = universal_tables.by_size(found, {"cd"})
    assert rows[2][:3] == ["3", "2", "0.0 % (0/2)"]
    assert rows[-1][-1] == "2 of 2"
    assert universal_tables.by_size(found, None)[-1][-1] == "not known"
    assert universal_tables.by_kind(found)[1] == ["chooses", "1", "up to 12", "2", "1", "50.0 %"]


def test_the_page_is_written_from_what_is_done() -> None:
    found = [result("a", 2, exact=True, tuned=True, lost=[0.25, 0.5]), result("b", 3, "signed (new)", exact=False)]
    batch = {"programs": found, "seconds": 1.0, "unchanged": True, "core": "0123456789abcdef0123"}
    contents = universal_tables.contents([batch], [{"seconds": [0.5, 2.5], "exact": [True, False]}], None)
    drawn = contents.pop("universal-held.png")
    page = fill((common.RESULTS / "universal-held.md").read_text(), {"made": "", **contents})
    assert "Core <!-- core -->0123456789abcdef<!-- end -->." in page
    assert "25.0 % of the old rows' decisions are wrong" in page
    assert "median 1.50, mean 1.50, longest 2.5 (2 rows, 50 % exact)" in page
    assert "| signed (new) | 1 |" in page
    assert drawn.startswith(b"\x89PNG")


# --- files of people -------------------------------------------------------------------------------------------------


def test_a_chain_of_files_is_learned_and_looked_at_again(tmp_path: Path) -> None:
    """Red where a later file changes the proof of an earlier one; the core is not trained, so rows may be wrong."""
    new_universal(TINY, seed=3).save(tmp_path)
    folder = humans.PROGRAMS / "composition"
    config = SearchConfig(updates=4)
    lines = [humans.learned_line(tmp_path, folder / f"{stem}.npi", config=config, count=lambda size: 2)
             for stem in ("keep", "least")]  # fmt: skip
    assert [line[5] for line in lines] == ["none", "2: the same"]
    assert lines[1][2] == "keep.NEXT"
    assert set(humans.proofs(Library.open(tmp_path))) == {"keep.KEEP", "keep.NEXT", "least.LEAST"}


# --- ablation --------------------------------------------------------------------------------------------------------


def test_a_whole_program_has_one_code_and_sees_which_state_it_is_in() -> None:
    every = [list(one.states) for one in programs() if one.states]
    slots = ablation.CodedFunctions(every, TINY.inputs, whole=False)
    whole = ablation.CodedFunctions(every, TINY.inputs + 1, whole=True)
    counts = [len(states) for states in every]
    assert len(slots) == sum(counts)
    assert len(whole) == len(every)
    assert whole.owner.tolist() == [place for place, count in enumerate(counts) for _ in range(count)]
    which = torch.tensor([1, 0])
    drawn = whole.draw(which, 40, generator=torch.Generator().manual_seed(0))
    assert drawn.seen.shape == (2, 40, TINY.inputs + 1)
    for place, program in enumerate(which.tolist()):
        assert set(drawn.seen[place, :, -1].tolist()) == {VALUES - 1 - n for n in range(counts[program])}
    plain = slots.draw(torch.tensor([0]), 40, generator=torch.Generator().manual_seed(0))
    assert set(plain.seen[0, :, 1:].unique().tolist()) == {-1}


def test_every_variant_is_trained_and_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [list(one.states) for one in programs(InterpreterConfig()) if one.states]
    monkeypatch.setattr(ablation, "dataset", lambda each, held: (every, every))
    budget = ablation.Budget(updates=2, codes=4, configurations=6, row_updates=2, check_every=1)
    total = sum(map(len, every))
    for name, variant in ablation.VARIANTS.items():
        found = ablation.run(name, budget, 0)
        assert len(found["exact"]) == len(every)
        own = variant.code + 128 * variant.gains
        assert found["numbers"] == (own if variant.whole else own * total / len(every))
    short, long = (ablation.VARIANTS[name] for name in ("film", "long"))
    assert short.code + short.shape().features == long.code, "as many numbers with gains as without"
