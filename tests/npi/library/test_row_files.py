"""Row files on disk: what damages one is found, and proofs go on holding whatever is added beside them."""

import copy
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from dsl.program import ProgramSet
from npi.core.config import CoreConfig
from npi.library import operations, row_file
from npi.library.assembly import Assembly
from npi.library.index import difference, listing
from npi.library.library import Library, LibraryError
from npi.library.row_file import RowFile
from npi.library.tensor_files import read_tensors, tensors_bytes
from npi.proof.certificate import Certificate, table_rows
from npi.proof.check_certificate import check
from npi.proof.prove import certificate_of, prove
from npi.recurrent import learn
from npi.training.dataset import Dataset
from npi.training.learn_rows import LearnConfig
from tests.support.clear import CLEAR, proved
from tests.support.operation_helpers import grown, of, versions_of
from tests.support.tiny import untrained
from traces.generation.generate import load_sources


@pytest.fixture
def file(tmp_path: Path) -> Path:
    operations.pack(grown("turn", "again"), ["AGAIN"]).save(tmp_path / "again.npirow")
    return tmp_path / "again.npirow"


# --- damage -----------------------------------------------------------------------------------------------------------


def test_every_changed_byte_is_found(file: Path) -> None:
    data = file.read_bytes()
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 1 << (at // 7 % 8)
        file.write_bytes(changed)
        with pytest.raises(ValueError, match=r"damaged|changed or cut off|no row file"):
            RowFile.open(file)


def test_a_file_cut_off_or_grown_is_found(file: Path) -> None:
    data = file.read_bytes()
    for other in (b"", data[:4], data[: len(data) // 2], data[:-1], data + b" "):
        file.write_bytes(other)
        with pytest.raises(ValueError, match=r"damaged|changed or cut off"):
            RowFile.open(file)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"there is no row file .*npi library pack writes one"):
        RowFile.open(tmp_path / "none.npirow")
    with pytest.raises(LibraryError, match="there is no row file"):
        RowFile.open(tmp_path)
    (tmp_path / "other").write_bytes(tensors_bytes({"a": torch.zeros(3)}, {"format": 1}))
    with pytest.raises(LibraryError, match=r"is no row file; give one that npi library pack wrote"):
        RowFile.open(tmp_path / "other")


Parts = dict[str, Any]


def rewrite(file: Path, change: Callable[[Parts, Parts, dict[str, torch.Tensor]], object]) -> None:
    """Change a file (header, what is folded, tensors) and seal it again, as somebody who means harm would."""
    tensors, about = read_tensors(file)
    folded = row_file.unfold(tensors["folded"], file)
    before = tensors["folded"]
    change(about, folded, tensors)
    if tensors["folded"] is before:
        tensors["folded"] = row_file.fold(folded)
    file.write_bytes(tensors_bytes(tensors, about))


def row(folded: Parts) -> Parts:
    """The first row of the first package, RUN."""
    found: Parts = folded["packages"][0]["rows"][0]
    return found


def _folded(tensors: dict[str, torch.Tensor], data: bytes) -> None:
    tensors["folded"] = torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _infinite(about: Parts, folded: Parts, tensors: dict[str, torch.Tensor]) -> None:
    tensors["parameters"][0] = torch.inf
    one = Assembly(grown("turn", "again")).package(1)
    parameters = {name: part.clone() for name, part in one.parameters.items()}
    parameters["keys_NK"][0, 0] = torch.inf
    versions = row_file.RowPackage(one.infos, parameters, one.worlds).versions
    for found in folded["packages"][0]["rows"]:
        found["version"] = versions[found["name"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, f, t: a.update(format=2), "has format 2, this engine reads 3; pack the rows again"),
        (lambda a, f, t: a.pop("core"), "part of it is missing or wrong"),
        (lambda a, f, t: f["packages"].pop(), "it has other rows than it says"),
        (lambda a, f, t: f["packages"].clear(), "it has other rows than it says"),
        (lambda a, f, t: f["counts"].pop(), "it has other numbers than it says"),
        (lambda a, f, t: f.update(widths=[7, 3, 1]), "rows of other lengths than it says"),
        (lambda a, f, t: f.update(widths=[1 << 40, 1, 1]), "rows of other lengths than it says"),
        (lambda a, f, t: f.update(widths="wide"), "part of it is missing or wrong"),
        (lambda a, f, t: row(f).pop("source"), "part of it is missing or wrong"),
        (lambda a, f, t: row(f).update(colour=1), "part of it is missing or wrong"),
        (lambda a, f, t: row(f).update(version="0" * 64), "numbers are not those of their versions"),
        (lambda a, f, t: t["parameters"].mul_(2), "numbers are not those of their versions"),
        (_infinite, "some numbers of turn.RUN, turn.TURN are not finite"),
        (lambda a, f, t: row(f).update(name="turn.TURN"), "two rows of one name, turn.TURN"),
        (lambda a, f, t: row(f).update(name="turn.WALK"), "row turn.WALK is not the program of that"),
        (
            lambda a, f, t: row(f)["signature"].update(slots=[{"name": "d", "tokens": [1]}]),
            "row turn.RUN is not the program of that name in its text",
        ),
        (lambda a, f, t: f["packages"][0]["needs"].pop("strip.STAY"), "does not name all rows that turn.RUN needs"),
        (lambda a, f, t: row(f).update(world=3), "part of it is missing or wrong"),
        (lambda a, f, t: f["worlds"]["0"].pop("tokens"), "part of it is missing or wrong"),
        (lambda a, f, t: f["worlds"]["0"]["fields"].pop(), "row turn.RUN is not the program of that name"),
        (lambda a, f, t: f["packages"][0]["sets"][0].update(digest="0" * 64), "are not those of the manifest"),
        (lambda a, f, t: f["packages"][0]["sets"][0]["sources"].pop(0), r"strip.npi"),
        (lambda a, f, t: [r.update(source="") for r in f["packages"][0]["rows"]], "program text that none of its rows"),
        (lambda a, f, t: f["texts"].clear(), "part of it is missing or wrong"),
        (lambda a, f, t: _folded(t, b"nonsense"), "part of it is missing or wrong"),
        (lambda a, f, t: _folded(t, zlib.compress(b"x" * 1000)[:-5]), "cut off, or more than 64 MiB"),
        (lambda a, f, t: _folded(t, zlib.compress(bytes(row_file.MAX_TEXT_BYTES + 1))), "cut off, or more than 64 MiB"),
    ],
)  # fmt: skip
def test_parts_that_do_not_belong_together(file: Path, change: Callable[..., object], message: str) -> None:
    rewrite(file, change)
    with pytest.raises(ValueError, match=message):
        RowFile.open(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, f, t: a.update(first="0" * 64), "trained with the core are not those of this library"),
        (lambda a, f, t: f["packages"][1].update(sees=[]), "needs was learned together with other rows"),
        (lambda a, f, t: f["packages"].reverse(), "numbers are not those of their versions"),
    ],
)  # fmt: skip
def test_what_is_found_when_it_is_added(file: Path, change: Callable[..., object], message: str) -> None:
    rewrite(file, change)
    with pytest.raises(LibraryError, match=message):
        operations.add(grown(), [RowFile.open(file)])


def test_rows_of_a_world_that_the_core_does_not_know_are_refused() -> None:
    found = operations.pack(grown("turn"), ["TURN"])
    (package,) = found.packages
    other = replace(package, worlds={0: replace(package.worlds[0], tokens=(*package.worlds[0].tokens, "more"))})
    with pytest.raises(ValueError, match="the core has no adapter for world 'strip' as it is declared"):
        operations.add(grown(), [replace(found, packages=(other,))])


def test_rows_of_another_width_are_refused(file: Path) -> None:
    wide = untrained(CoreConfig(hidden=13, bits=3, row=12, key=7))
    learn(wide, [of("turn")], LearnConfig(starts=1, updates=1, problems=1, certify=False), keep_unsolved=True)
    ours = grown()
    found = operations.pack(wide, ["TURN"])
    package = replace(found.packages[0], needs={}, texts=())
    with pytest.raises(LibraryError, match="do not have as many numbers as rows of this core"):
        operations.add(
            ours, [replace(found, core=ours.core.digest(), first=Assembly(ours).digest(0), packages=(package,))]
        )


def test_a_file_is_written_whole_or_not_at_all(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def crash(*args: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="no room"):
        operations.pack(grown("turn"), ["TURN"]).save(file)
    monkeypatch.undo()
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_row_takes_less_than_a_kilobyte(file: Path) -> None:
    """Numbers of the usual core: 32 of the key, 64 of the embedding, and a mask of gates for each code of its state."""
    library = untrained(CoreConfig())
    learn(library, [of("twist")], LearnConfig(starts=1, updates=1, problems=1, certify=False), keep_unsolved=True)
    found = operations.pack(library, ["TWIST"])
    assert 4 * sum(part.numel() for part in found.packages[0].parameters.values()) == 2 * 4 * (32 + 64 + 2**6 + 1)
    assert len(found.data()) < 4000


# --- libraries on disk ------------------------------------------------------------------------------------------------


def test_a_library_comes_back_with_what_was_added(tmp_path: Path, file: Path) -> None:
    grown().save(tmp_path / "library")
    found = operations.add(Library.open(tmp_path / "library"), [RowFile.open(file)]).library
    found.save(tmp_path / "library")
    again = Library.open(tmp_path / "library")
    assert again.memory.infos == found.memory.infos
    assert again.rows_digest() == found.rows_digest() == grown("turn", "again").rows_digest()
    assert list(again.tasks()) == ["strip.both", "turn.turn", "again.again"]
    assert operations.pack(again, ["AGAIN"]).data() == file.read_bytes()
    again.save(tmp_path / "copy")
    parts = {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()}
    assert parts == {path.name: path.read_bytes() for path in (tmp_path / "library").iterdir()}


def test_a_listing_is_what_the_library_holds(tmp_path: Path) -> None:
    library = grown("turn", "again")
    library.save(tmp_path)
    found = listing(tmp_path)
    assert {card.name: card.version for card in found.cards} == versions_of(library)
    assert [card.generation for card in found.cards] == [info.generation for info in library.memory.infos]
    assert {card.name: card.calls for card in found.programs if card.generation} == {
        "turn.RUN": ("strip.MOVE",), "turn.TURN": ("strip.STAY", "turn.RUN"), "again.AGAIN": ("turn.TURN", "strip.HOME")
    }  # fmt: skip
    assert found.one("strip.MOVE").call == "strip.MOVE(d)"
    assert {card.file for card in found.cards} == {"strip.npi", "turn.npi", "again.npi"}
    with torch.no_grad():
        library.memory.gates_NF[9, 0] += 1
    library.save(tmp_path)
    changed = difference(found, listing(tmp_path))
    assert [(a.name, b.name) for a, b in changed.other] == [("turn.TURN", "turn.TURN")]
    assert changed.core
    assert changed.first
    assert not changed.same


# --- proofs -----------------------------------------------------------------------------------------------------------

USER = """
use "clear.npi"

program {name} "Clear, and clear what is left":
    CLEAR
    CLEAR

task {task}(word: list of "x" or "y"):
    A = word
    run {name}
    expect len(A) == 0
    train word of 1..6
    test word of 20
"""


@cache
def _file(name: str) -> ProgramSet:
    text = USER.format(name=name.upper(), task=name)
    return load_sources([("clear.npi", CLEAR), (f"{name}.npi", text)])


@cache
def _proved(*names: str) -> Library:
    """A core that is proved to clear, and learned these."""
    library = copy.deepcopy(_proved(*names[:-1]) if names else proved())
    if not names:
        return library
    config = LearnConfig(starts=3, updates=600, check_every=20, problems=8)
    assert learn(library, [Dataset.from_programs(_file(names[-1]), traces=4, seed=0)], config).solved
    return library


def certified(library: Library) -> Certificate:
    return certificate_of(library, prove(library))


def holds(certificate: Certificate, library: Library) -> bool:
    return [finding.fault for finding in check(certificate, library)] == [""] * len(check(certificate, library))


@pytest.mark.thorough
def test_proofs_hold_after_rows_come_and_go(tmp_path: Path) -> None:
    """Also where a pack got another number: red when the hash of rows counts generations of the whole library."""
    core, one, two = _proved(), _proved("twice"), _proved("again")
    first, ours, theirs = certified(core), certified(one), certified(two)
    added = operations.add(one, [operations.pack(two, ["AGAIN"])]).library
    assert {i.name: i.generation for i in added.memory.infos}["again.AGAIN"] == 2
    for library in (added, operations.merge(two, one).library, operations.merge(one, two).library):
        for certificate in (first, ours, theirs):
            assert holds(certificate, library)
    less = operations.remove(added, ["TWICE"]).library
    assert holds(first, less)
    assert holds(theirs, less)
    assert not holds(ours, less)
    added.save(tmp_path / "library")
    certified(added).save(tmp_path / "certificate")
    assert holds(Certificate.open(tmp_path / "certificate"), Library.open(tmp_path / "library"))


def test_the_hash_of_rows_counts_what_they_may_call() -> None:
    """Whether a row sees another that its table names is a part of what was proved."""
    library = grown("turn", "again")
    again = library.file(library.memory.infos[-1].source)
    assert again is not None
    before = table_rows(library, again)
    seen = copy.deepcopy(library)
    seen.memory.infos = tuple(replace(i, sees=None) for i in seen.memory.infos)
    assert table_rows(seen, again) == before  # the same may be called
    later = copy.deepcopy(library)
    later.memory.infos = tuple(
        replace(i, generation=i.generation and i.generation + 5, sees=i.sees and tuple(s and s + 5 for s in i.sees))
        for i in later.memory.infos
    )
    assert table_rows(later, again) == before
    blind = copy.deepcopy(library)
    blind.memory.infos = (*library.memory.infos[:-1], replace(library.memory.infos[-1], sees=(0,)))
    assert table_rows(blind, again) != before
    numbers = copy.deepcopy(library)
    with torch.no_grad():
        numbers.memory.gates_NF[0, 0] += 1
    assert table_rows(numbers, again) != before
