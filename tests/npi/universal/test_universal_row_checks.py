"""Row packages of a universal core: rows that bring their worlds and their wiring with them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from npi.library import operations, row_file
from npi.library.library import Library, LibraryError
from npi.library.row_file import EMBEDDINGS, RowFile, padded, trimmed
from npi.library.tensor_files import read_tensors, tensors_bytes
from npi.library.wiring import SEAL, seal
from npi.program_memory import RowInfo
from npi.proof.prove import prove
from npi.universal.code_search import SearchConfig
from npi.universal.core import new_universal
from npi.universal.learn_rows import learn_universal
from npi.universal.network import InterpreterConfig
from npi.universal.rows import row_of
from tests.support.tiny import untrained
from tests.support.universal_helpers import SMALL, names_of, of, same_rows, solves, taught, text


def through_a_file(library: Library, folder: Path, *programs: str, alone: bool = False) -> RowFile:
    operations.pack(library, programs, alone=alone).save(folder / "rows.npirow")
    return RowFile.open(folder / "rows.npirow")


# --- out and in -------------------------------------------------------------------------------------------------------


def test_wiring_numbers_and_world_survive_a_file_to_the_bit(tmp_path: Path) -> None:
    mine = taught("strip", "tape", "turn")
    file = through_a_file(mine, tmp_path, "turn.TURN", "ERASE")
    assert [pack.names for pack in file.packages] == [
        pack.names for pack in operations.pack(mine, ["TURN", "ERASE"]).packages
    ]
    found = operations.add(taught("fruit"), [file])
    assert set(found.added) == set(names_of(mine))
    assert same_rows(mine, found.library, names_of(mine))
    assert [world.name for world in found.library.core.worlds] == ["fruit", "strip", "tape"]
    assert solves(found.library, "fruit", "strip", "tape", "turn")
    assert operations.pack(found.library, ["TURN", "ERASE"]).packages[0].digest == file.packages[0].digest
    found.library.save(tmp_path / "library")
    again = Library.open(tmp_path / "library")
    assert again.memory.infos == found.library.memory.infos
    assert same_rows(mine, again, names_of(mine))


@pytest.mark.parametrize("name", ["strip", "tape", "turn"])
def test_removed_and_added_again_it_is_the_same(tmp_path: Path, name: str) -> None:
    """The numbers of worlds change where the first goes; red when a row keeps the number of its world."""
    library = taught("strip", "tape", "turn")
    program = {"strip": "turn.TURN", "tape": "ERASE", "turn": "TURN"}[name]
    file = through_a_file(library, tmp_path, program)
    less = operations.remove(library, [{"strip": "MOVE", "tape": "ERASE", "turn": "TURN"}[name]], with_callers=True)
    left = names_of(less.library)
    assert same_rows(library, less.library, left)
    assert len(less.library.core.worlds) == (2 if name == "turn" else 1)
    assert solves(less.library, *{left_name.partition(".")[0] for left_name in left})
    back = operations.add(less.library, [file])
    assert same_rows(library, back.library, names_of(library))
    assert solves(back.library, "strip", "tape", "turn")


def test_a_library_may_lose_all_its_rows_and_gain_them_again(tmp_path: Path) -> None:
    library = taught("strip")
    file = through_a_file(library, tmp_path, "BOTH")
    empty = operations.remove(library, [name.partition(".")[2] for name in names_of(library)]).library
    assert (len(empty.memory), empty.core.worlds) == (0, ())
    empty.save(tmp_path / "empty")
    back = operations.add(Library.open(tmp_path / "empty"), [file]).library
    assert back.memory.infos == library.memory.infos
    assert back.rows_digest() == library.rows_digest()


def test_the_library_that_is_given_stays_as_it_is(tmp_path: Path) -> None:
    mine, yours = taught("strip"), taught("tape")
    before = mine.core.worlds, mine.memory.infos, mine.rows_digest()
    found = operations.merge(mine, yours).library
    assert (mine.core.worlds, mine.memory.infos, mine.rows_digest()) == before
    assert len(found.core.worlds) == 2
    assert found.core.digest() == mine.core.digest()
    assert next(found.core.parameters()) is next(mine.core.parameters())


# --- two libraries ----------------------------------------------------------------------------------------------------

FILES = ("fruit", "cards", "tape", "strip", "turn", "twist")


@settings(max_examples=6, deadline=None)
@given(st.permutations(FILES), st.permutations(FILES), st.integers(1, 3), st.integers(1, 3))
@example(["turn", "cards", "strip"], ["fruit"], 3, 1)
def test_what_two_people_learned_runs_in_one(first: list[str], second: list[str], many: int, more: int) -> None:
    """Different files in different worlds, in any order; what both learned is the same, number for number."""
    one, two = taught(*first[:many]), taught(*second[:more])
    for a, b in ((one, two), (two, one)):
        found = operations.merge(a, b)
        assert found.core == a.core.digest() == b.core.digest()
        assert same_rows(found.library, a, names_of(a))
        assert same_rows(found.library, b, names_of(b))
        assert solves(found.library, *first[:many], *second[:more])
        assert len({world.digest for world in found.library.core.worlds}) == len(found.library.core.worlds)
        assert [proof.proved for _, proofs in prove(found.library) for proof in proofs].count(False) == 0


def test_a_file_that_is_used_is_a_pack_of_its_own() -> None:
    """Learned in turn or by a file that uses it: the same packs. Red when all that is new at once is one pack."""
    at_once, in_turn = taught("turn"), taught("strip", "turn")
    assert at_once.memory.infos == in_turn.memory.infos
    assert at_once.rows_digest() == in_turn.rows_digest()
    assert set(at_once.tasks()) == {"strip.both", "turn.turn"}
    assert {info.generation: info.sees for info in at_once.memory.infos} == {1: (), 2: (1,)}
    found = operations.merge(at_once, taught("fruit", "twist"))
    assert {name.partition(".")[0] for name in found.added} == {"fruit", "twist"}
    assert not set(found.there) - {info.name for info in in_turn.memory.infos}


def test_names_are_those_of_their_files() -> None:
    """Two programs of one name, in worlds of different symbols; each is found by its file."""
    found = operations.merge(taught("fruit"), taught("cards")).library
    assert {"fruit.SWAP", "cards.SWAP"} <= set(names_of(found))
    assert solves(found, "fruit", "cards")
    with pytest.raises(LibraryError, match=r"several programs are called SWAP: fruit.SWAP, cards.SWAP"):
        operations.pack(found, ["SWAP"])
    (pack,) = operations.pack(found, ["cards.SWAP"]).packages
    assert pack.names == ("cards.SWAP", "cards.HOME")


def test_other_numbers_of_one_name_are_told() -> None:
    mine, theirs = taught("strip"), taught("strip", seed=1)
    with pytest.raises(LibraryError, match=r"strip.SCAN \(\w{12} in the first, \w{12} in the second\).*--prefer"):
        operations.merge(mine, theirs)
    assert same_rows(operations.merge(mine, theirs, prefer="second").library, theirs, names_of(theirs))


# --- what is refused --------------------------------------------------------------------------------------------------


def test_rows_for_another_core_are_refused(tmp_path: Path) -> None:
    file = through_a_file(taught("tape"), tmp_path, "ERASE")
    other = new_universal(SMALL, seed=1)
    for library in (other, untrained()):
        with pytest.raises(LibraryError, match=rf"learned for core {file.core}, and the library has core"):
            operations.add(library, [file])
    with pytest.raises(LibraryError, match="the libraries have different cores"):
        operations.merge(taught("tape"), other)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    operations.pack(taught("strip", "turn"), ["TURN"], alone=True).save(tmp_path / "turn.npirow")
    return tmp_path / "turn.npirow"


def rewritten(file: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object]) -> RowFile:
    """The file after a change of what is folded in it, sealed again as somebody who means harm would."""
    tensors, about = read_tensors(file)
    parts = row_file.unfold(tensors["folded"], file)
    change(parts, tensors)
    file.write_bytes(tensors_bytes(tensors | {"folded": row_file.fold(parts)}, about))
    return RowFile.open(file)


def rows(parts: dict[str, Any]) -> list[dict[str, Any]]:
    return parts["packages"][0]["rows"]


def _resealed(parts: dict[str, Any], tensors: dict[str, torch.Tensor], wiring: Any) -> None:
    """Another wiring of the first row, RUN, its seal and its version made to fit."""
    rows(parts)[0]["wiring"] = wiring
    tensors["parameters"][:SEAL] = torch.tensor(seal(wiring))
    whole = padded(tensors["parameters"], parts["counts"], sum(parts["widths"]))
    none = torch.zeros(len(whole), 0)
    found = row_file.row_versions({name: whole if name == EMBEDDINGS else none for name in row_file.PARTS})
    for row, version in zip(rows(parts), found, strict=True):
        row["version"] = version


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, t: rows(p)[0]["wiring"][0]["looks"].pop(), "turn.RUN belong to another wiring"),
        (lambda p, t: rows(p)[0].update(wiring=rows(p)[1]["wiring"]), "turn.RUN belong to another wiring"),
        (lambda p, t: t["parameters"][SEAL + 2].add_(1e-3), "numbers are not those of their versions"),
        (lambda p, t: t["parameters"][0].add_(1), "numbers are not those of their versions"),
        (lambda p, t: p["counts"].reverse(), "numbers are not those of their versions"),
        (lambda p, t: p.update(counts=[5]), "it has other numbers than it says"),
    ],
)  # fmt: skip
def test_changed_row_files_are_refused(file: Path, change: Callable[..., object], message: str) -> None:
    with pytest.raises(LibraryError, match=message):
        rewritten(file, change)


LOOKS = [["field", "last(P)"]]


@pytest.mark.parametrize(
    ("wiring", "message"),
    [
        ([{"looks": LOOKS, "does": [["strip.JUMP", [], 0], [None]]}], "turn.RUN: its row names .*strip.JUMP"),
        ([{"looks": LOOKS, "does": [["turn.TURN", [], 1], [None]]}], "turn.RUN: its row names what is not here"),
        ([{"looks": LOOKS, "does": [["turn.TURN", [], -1], [None]]}], "place -1"),
        ([{"looks": [["field", "Q"]], "does": [[None]]}], "no observation 'Q'"),
        ([{"looks": [["slot", 0]], "does": [[None]]}], "turn.RUN: its row names what is not here"),
        ([{"looks": [], "does": [["strip.MOVE", [], 0]]}], "0 arguments of strip.MOVE"),
        ([{"looks": [], "does": [["strip.MOVE", [["constant", "UP"]], 0]]}], "no token 'UP'"),
        ([{"looks": [], "does": []}], "no call"),
        ([], "no call"),
        ([{"does": [[None]]}], "looks"),
        ("a row", "turn.RUN: its row names what is not here"),
        ([{"looks": LOOKS * 7, "does": [[None]]}], "looks at 7 things at once in state 0; the core sees 6"),
        ([{"looks": [], "does": [[None]] * 9}], "chooses among 9 calls in state 0; the core has 8"),
        ([{"looks": LOOKS, "does": [[None]]}] * 8, "has 8 states that decide something"),
    ],
)  # fmt: skip
def test_wiring_that_does_not_fit_is_refused_when_it_is_added(file: Path, wiring: Any, message: str) -> None:
    """Also by those who seal what they changed: nothing may step outside the tables."""
    found = rewritten(file, lambda parts, tensors: _resealed(parts, tensors, wiring))
    with pytest.raises(LibraryError, match=message):
        operations.add(taught("strip"), [found])


def test_a_row_without_its_wiring_is_refused_when_it_is_added(file: Path) -> None:
    found = rewritten(file, lambda parts, tensors: rows(parts)[0].pop("wiring"))
    with pytest.raises(LibraryError, match=r"turn.RUN: its row names what is not here \(no call\)"):
        operations.add(taught("strip"), [found])


def test_a_row_without_what_it_calls_is_refused(file: Path) -> None:
    with pytest.raises(LibraryError, match=r"turn.TURN needs .*strip.MOVE.*which the library does not have"):
        operations.add(taught("fruit"), [RowFile.open(file)])
    with pytest.raises(LibraryError, match=r"was learned with other numbers of .*strip"):
        operations.add(taught("strip", seed=1), [RowFile.open(file)])


# --- small files ------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.sampled_from([0.0, -0.0, 1.5]), min_size=5, max_size=5), min_size=1, max_size=4))
def test_zeros_at_the_end_come_back(found: list[list[float]]) -> None:
    rows_NP = torch.tensor(found)
    counts, numbers = trimmed(rows_NP)
    again = padded(numbers, counts, 5)
    assert torch.equal(again.view(torch.int32), rows_NP.view(torch.int32))  # −0 is kept
    told = [list(map(str, row)) for row in found]
    assert counts == [max((at + 1 for at, one in enumerate(row) if one != "0.0"), default=0) for row in told]


def test_states_that_are_not_there_take_no_room() -> None:
    """Beside a core of the usual size, where a row has room for 10 kB."""
    library = new_universal(InterpreterConfig(), seed=0)
    assert learn_universal(library, [of("strip")], SearchConfig(updates=300, rate=0.1, starts=3)).solved
    assert learn_universal(library, [of("twist")], SearchConfig(updates=300, rate=0.1, starts=3)).solved
    file = operations.pack(library, ["TWIST"], alone=True)
    assert file.parameters <= SEAL + 160 + SEAL  # RUN decides in one state, TWIST in none
    assert 4 * file.packages[0].parameters[EMBEDDINGS].shape[1] > 10_000
    assert len(file.data()) < 4000


# --- parts -----------------------------------------------------------------------------------------------------------


def test_worlds_are_listed_beside_the_core() -> None:
    core = new_universal(SMALL, seed=0).core
    spec = text("tape").world.spec
    found = core.listing([spec])
    assert (core.worlds, found.worlds) == ((), (spec,))
    assert found.digest() == core.digest()


def test_rows_without_a_text_travel_too(tmp_path: Path) -> None:
    """As traces alone leave them: what they may call is told by name."""
    library = taught("strip", "turn")
    bare = Library(library.core, library.memory, [])
    file = through_a_file(bare, tmp_path, "TURN")
    assert [pack.texts for pack in file.packages] == [(), ()]
    found = operations.add(new_universal(SMALL, seed=0), [file]).library
    assert same_rows(found, library, names_of(library))
    assert solves(found, "turn")


def test_a_row_info_keeps_its_wiring() -> None:
    wiring = [{"looks": [["field", "A"]], "does": [["ACT", [["constant", "P"]], 0], [None]]}]
    info = replace(taught("tape").memory.infos[0], wiring=wiring)
    assert RowInfo.from_json(json.loads(json.dumps(info.to_json()))) == info
    row_P = row_of(wiring, torch.ones(1, SMALL.code), torch.ones(1, SMALL.features), SMALL)
    assert row_P[:SEAL].tolist() == seal(info.wiring or ())
