"""A short version of ``benchmarks.faults.hostile_files``: files changed and sealed again are refused, or are sound."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.faults.changes import RAW, Raw, changed, manifest_bytes, outcomes, parts_of, tensor_file, text_of
from benchmarks.faults.forgeries import forgeries
from benchmarks.faults.hostile_files import (
    change_index,
    change_library,
    change_rows,
    change_tensor_file,
    change_traces,
)  # fmt: skip
from npi.library import operations
from npi.library.index import listing
from npi.library.library import Library, missing_rows
from npi.library.row_file import RowFile
from npi.proof.certificate import Certificate
from npi.proof.check_certificate import check
from npi.proof.prove import certificate_of, prove
from npi.running.compiled_library import CompiledLibrary
from tests.support.clear import CLEAR, proved
from tests.support.tape_programs import npi
from tests.support.tiny import SMALL, strip, tape, turn, untrained
from traces.generation.generate import generate
from traces.storage.trace_set import TraceSet

COUNTS = {"library": 40, "row file": 12, "certificate": 40, "compiled library": 40, "trace set": 40}


def opened(path: Path) -> None:
    """A library, as commands read it."""
    listing(path)
    library = Library.open(path)
    for programs in library.sets:
        library.stepper(programs.table)


def checked(path: Path) -> None:
    assert all(finding.fault or finding.margin > 0 for finding in check(Certificate.open(path), proved()))


def whole(path: Path) -> None:
    assert len(TraceSet.open(path)) == 6


def packed() -> RowFile:
    """Rows that were drawn and not learned, in a file."""
    library = untrained(SMALL, strip())
    infos = missing_rows(library.memory.infos, turn().table, 0, generation=1, source=turn().digest, primitives=False)
    library.memory = library.memory.drawn(infos, generator=torch.Generator().manual_seed(0))
    library.keep_files([turn()])
    return operations.pack(library, ["TURN"])


Change = Callable[[Path, random.Random, Path], str]

FORMATS: dict[str, tuple[Callable[[Path], object], Change, Callable[[Path], object]]] = {
    "library": (untrained(SMALL, turn(), tape()).save, change_library, opened),
    "row file": (lambda path: packed().save(path), change_rows, RowFile.open),
    "certificate": (
        lambda path: certificate_of(proved(), prove(proved())).save(path), change_tensor_file, checked
    ),
    "compiled library": (
        lambda path: CompiledLibrary.of(untrained(SMALL, strip())).save(path), change_tensor_file, CompiledLibrary.open
    ),
    "trace set": (lambda path: generate(strip(), task="both", traces={1: 3, 2: 3}, out=path), change_traces, whole),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_changed_files_are_refused_by_name_or_taken(name: str, tmp_path: Path) -> None:
    """Red where a part of a format has no type: whatever else a reader raises gets through."""
    write, change, read = FORMATS[name]
    write(tmp_path / "right")
    read(tmp_path / "right")
    messages = {}
    for number in range(COUNTS[name]):
        place = tmp_path / f"changed-{number}"
        change(tmp_path / "right", random.Random(number), place)
        try:
            read(place)
        except ValueError as error:
            messages[place] = str(error)
    assert [message for place, message in messages.items() if str(place) not in message] == []
    assert len(messages) > COUNTS[name] / 2


def test_no_index_leads_out_of_a_compiled_library(tmp_path: Path) -> None:
    """Red when a table is not held against its range before machine code reads it."""
    CompiledLibrary.of(untrained(SMALL, strip())).save(tmp_path / "right.npic")
    for number in range(72):
        what = change_index(tmp_path / "right.npic", number, tmp_path / "wrong.npic")
        with pytest.raises(ValueError, match=r"wrong.npic: part of it is missing or wrong") as caught:
            CompiledLibrary.open(tmp_path / "wrong.npic")
        assert what.split(".")[1].split("[")[0].partition("_")[0] in str(caught.value)


def test_no_forged_certificate_holds(tmp_path: Path) -> None:
    """Red when domains, lists, fields, changes, programs or texts are believed that the file's own text contradicts."""
    proved().save(tmp_path / "library")
    (tmp_path / "clear.npi").write_text(CLEAR)
    found = forgeries(tmp_path / "library", tmp_path / "clear.npi", mutants=1)
    assert sum(kind["tried"] for kind in found.values()) >= 25
    assert [name for name, kind in found.items() if kind["accepted"]] == []


def test_a_right_certificate_covers_its_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """And one of some programs tells which it leaves out, by exit status 1 where the file is named."""
    library = Library(proved().core, proved().memory, proved().sets)
    library.save(tmp_path / "library")
    (tmp_path / "clear.npi").write_text(CLEAR)
    right = certificate_of(library, prove(library))
    right.save(tmp_path / "certificate")
    words = ["certify", "--check", tmp_path / "certificate", "--library", tmp_path / "library"]
    assert npi(capsys, *words, tmp_path / "clear.npi")[0] == 0
    (file,) = right.files
    Certificate(right.engine, right.core, right.tolerance, (type(file)(**vars(file) | {"programs": ()}),)).save(
        tmp_path / "certificate"
    )
    code, out, _ = npi(capsys, *words, tmp_path / "clear.npi")
    assert code == 1
    assert "clear.npi: program clear.CLEAR" in out
    assert "clear.npi: task clear, which runs clear.CLEAR" in out


# --- the changes themselves -------------------------------------------------------------------------------------------


def test_changes_change_and_seals_fit(tmp_path: Path) -> None:
    """Else everything would be refused for its seal alone."""
    untrained(SMALL, strip()).save(tmp_path / "library")
    data = (tmp_path / "library" / "manifest.json").read_bytes()
    assert json.loads(manifest_bytes(json.loads(data))) == json.loads(data) | {
        "sha256": json.loads(manifest_bytes(json.loads(data)))["sha256"]
    }
    again = shutil.copytree(tmp_path / "library", tmp_path / "again")
    (again / "manifest.json").write_bytes(manifest_bytes(json.loads(data)))
    opened(again)
    values = [changed({"a": [1, {"b": None}], "c": "x"}, random.Random(n)) for n in range(60)]
    assert len({text_of(value) for value, _ in values}) > 30
    assert any(isinstance(value, dict) and any(isinstance(x, Raw) for x in value.values()) for value, _ in values)
    assert '"a": 2.0' in text_of({"a": Raw(RAW[5])})
    packed().save(tmp_path / "row")
    tensors, about = parts_of((tmp_path / "row").read_bytes())
    (tmp_path / "row").write_bytes(tensor_file(tensors, about))
    assert RowFile.open(tmp_path / "row").names


def _case(number: int) -> tuple[str, str]:
    if number == 1:
        os.kill(os.getpid(), 9)
    if number == 2:
        raise LookupError
    return "refused", str(number)


def test_a_crash_is_seen(tmp_path: Path) -> None:
    """The cases after one that ends its process are done all the same."""
    found: list[Any] = outcomes(_case, 4, tmp_path)
    assert [outcome for outcome, _ in found] == ["refused", "crash", "traceback", "refused"]
