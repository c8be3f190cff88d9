"""Collections that are damaged, forged or put together wrongly: what is wrong is told."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from npi.library import members as module
from npi.library.collection import Collection, combined
from npi.library.index import listings
from npi.library.library import Library, LibraryError
from npi.library.manifest import sealed
from npi.library.members import members, settled
from tests.support.operation_helpers import grown
from tests.support.tiny import LSTM, strip, untrained


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and seal it again, as somebody who means harm would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["sha256"]
    change(manifest)
    (folder / "manifest.json").write_bytes(sealed(manifest))


def test_every_changed_byte_is_told(small: Path) -> None:
    """Of every file of every member, bytes at equal distances; one reader or the other tells each."""
    rng, count = random.Random(0), 0
    for path in sorted(path for path in small.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for place in range(rng.randrange(23), len(data), 1 + len(data) // 23):
            changed = bytearray(data)
            changed[place] ^= rng.randrange(1, 256)
            path.write_bytes(changed)
            for read in (Collection.open, listings):
                with pytest.raises(LibraryError, match=str(small)):
                    read(small)
            count += 1
        path.write_bytes(data)
    assert count > 150
    assert Collection.open(small).tasks()


def test_what_is_missing_cut_off_or_exchanged_is_told(small: Path) -> None:
    one, two = sorted(small.glob("member-*"))
    for path in sorted(path for path in small.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for other in (b"", data[:-1], data + b" "):
            path.write_bytes(other)
            with pytest.raises(LibraryError):
                Collection.open(small)
        path.unlink()
        with pytest.raises(LibraryError, match=r"missing|is not a library"):
            Collection.open(small)
        path.write_bytes(data)
    for wrong in (lambda: shutil.copytree(two, one, dirs_exist_ok=True), lambda: shutil.rmtree(one)):
        wrong()
        with pytest.raises(LibraryError, match=r"is not the library that|is missing; restore it"):
            Collection.open(small)


def entry(change: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
    return lambda manifest: manifest["members"][0].update(change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (entry({"seal": "../" + "0" * 61}), "expected the sha256"),
        (entry({"seal": "/" + "0" * 63}), "expected the sha256"),
        (entry({"seal": "0" * 64}), "is missing; restore it"),
        (entry({"seal": 7}), "damaged"),
        (entry({"core": "0" * 64}), "is not the library that"),
        (entry({"core": "x"}), "expected the sha256"),
        (entry({"folder": "../x"}), "damaged"),
        (entry({"yields": ["strip.HOME"]}), "of each name one member answers"),
        (entry({"yields": ["nothing.there"]}), "of each name one member answers"),
        (entry({"yields": [1]}), "damaged"),
        (lambda manifest: manifest["members"].append(manifest["members"][0]), "is declared twice"),
        (lambda manifest: manifest["members"].clear(), "expected one at least"),
        (lambda manifest: manifest.update(members={}), "damaged"),
        (lambda manifest: manifest.update(more=1), "damaged"),
        (lambda manifest: manifest.update(format=2), "is a collection of format 2, this engine reads 1"),
        (lambda manifest: manifest.update(format=True), "is a collection of format True, this engine reads 1"),
        (lambda manifest: manifest.update(kind="npi collections"), "format 1, this engine reads 2"),
    ],
)
def test_a_hostile_manifest_is_refused(small: Path, change: Callable[[dict[str, Any]], object], said: str) -> None:
    rewrite(small, change)
    for read in (Collection.open, listings, lambda place: Library.open(place, task="turn")):
        with pytest.raises(LibraryError, match=said):
            read(small)


def test_a_collection_in_a_collection_is_refused(small: Path) -> None:
    """As a member, and as the host of one."""
    inner = module.seal_of(small)
    shutil.copytree(small, small.parent / "inner")
    shutil.move(small.parent / "inner", small / f"member-{inner[:16]}")
    rewrite(small, entry({"seal": inner}))
    with pytest.raises(LibraryError, match="is a collection of several libraries, and this takes the folder of one"):
        Collection.open(small)


def test_two_members_of_one_core_are_refused(small: Path, tmp_path: Path) -> None:
    """They are two libraries, each whole, whose names do not meet."""
    combined([grown("twist")]).save(tmp_path / "other")
    (place,) = (tmp_path / "other").glob("member-*")
    shutil.copytree(place, small / place.name)
    there = [*members(small), *members(tmp_path / "other")]
    seals = [one.manifest.sha256 for one in there if one.manifest is not None]
    module.publish(small, settled(there, "first"), seals)
    with pytest.raises(LibraryError, match=r"core '[0-9a-f]{64}' is declared twice"):
        Collection.open(small)


def test_two_members_that_answer_for_one_name_are_refused(tmp_path: Path) -> None:
    combined([grown("turn"), untrained(LSTM, strip())], prefer="first").save(tmp_path)
    rewrite(tmp_path, lambda manifest: manifest["members"][1].update(yields=[]))
    with pytest.raises(LibraryError, match="of each name one member answers"):
        Library.open(tmp_path, task="turn")
